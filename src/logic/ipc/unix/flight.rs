//! Open files on their way through sockets (`SCM_RIGHTS`).
//!
//! A socket that is itself on its way keeps what waits in its inbox, so a ring of sockets that wait in one another's inboxes
//! would never be freed: nobody can reach it, and each keeps the next. [`Flight::find_lost`] finds such rings. Sockets of which every
//! reference is in an inbox are suspects; a suspect that waits in the inbox of somebody who is none, or of one that is reachable,
//! is reachable itself; the others are lost. Rights come into and out of inboxes only with this lock held, so that the counts
//! hold still meanwhile.
//!
//! A chain of sockets in one another's inboxes is freed link by link, not by recursion, which would take too much stack: who
//! is to be freed goes to the [`grave`](Flight::grave), which is emptied by one caller at a time.

use super::{Message, Socket};
use crate::errno::Errno;
use crate::fs::open_file::OpenFile;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;

/// An open description that is passed on. The layer above knows its type, and finds it through [`Any`].
pub trait Passed: Any + Send + Sync {
    /// The socket that it opened, if it is one of these.
    fn socket(&self) -> Option<&Socket>;
}

impl Passed for OpenFile {
    fn socket(&self) -> Option<&Socket> {
        let file: &dyn Any = &**self.file();
        file.downcast_ref()
    }
}

/// What a message passes on.
pub type Rights = Vec<Arc<dyn Passed>>;

/// Open files that one message passes on at most: Linux' SCM_MAX_FD.
pub const MOST_PER_MESSAGE: usize = 253;

/// Open files on their way at a time.
pub const MOST_IN_FLIGHT: usize = 4096;

/// What is on its way.
pub(super) struct Flight {
    count: usize,
    /// The sockets among them, in the order of addresses.
    sockets: Vec<Traveller>,
    /// Those that nobody will receive, to be let go with no lock held. There is always room for all that are on their way.
    pub(super) grave: Vec<Arc<dyn Passed>>,
    /// Somebody empties the grave.
    pub(super) is_burying: bool,
}

/// A socket that is on its way.
struct Traveller {
    address: usize,
    description: Weak<dyn Passed>,
    /// In how many places.
    count: usize,
}

/// A socket that is on its way, and nothing else but that is known to keep.
struct Suspect {
    address: usize,
    description: Arc<dyn Passed>,
    /// In how many inboxes it waits, and how many of these are suspects'.
    waits: usize,
    among_suspects: usize,
    is_reachable: bool,
}

/// What was found to be lost, and all that was held while looking: to be dropped with no lock held.
#[derive(Default)]
pub(super) struct Lost {
    suspects: Vec<Suspect>,
    embryos: Vec<Arc<Socket>>,
    messages: Vec<VecDeque<Message>>,
}

fn address(description: &Arc<dyn Passed>) -> usize {
    Arc::as_ptr(description).addr()
}

impl Flight {
    pub(super) const fn new() -> Self {
        Self { count: 0, sockets: Vec::new(), grave: Vec::new(), is_burying: false }
    }

    /// Whether sockets are on their way.
    pub(super) fn has_sockets(&self) -> bool {
        !self.sockets.is_empty()
    }

    /// How many open files are on their way.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// `rights` begin their way.
    pub(super) fn depart(&mut self, rights: &Rights) -> Result<(), Errno> {
        let count = self.count.saturating_add(rights.len());
        if count > MOST_IN_FLIGHT {
            return Err(Errno::ETOOMANYREFS);
        }
        self.grave.try_reserve(count).map_err(|_| Errno::ENOMEM)?;
        self.sockets.try_reserve(rights.len()).map_err(|_| Errno::ENOMEM)?;
        self.count = count;
        for description in rights.iter().filter(|description| description.socket().is_some()) {
            let address = address(description);
            match self.sockets.binary_search_by_key(&address, |traveller| traveller.address) {
                Ok(place) => {
                    if let Some(traveller) = self.sockets.get_mut(place) {
                        traveller.count = traveller.count.saturating_add(1);
                    }
                }
                Err(place) => {
                    let description = Arc::downgrade(description);
                    self.sockets.insert(place, Traveller { address, description, count: 1 });
                }
            }
        }
        Ok(())
    }

    /// `rights` are not on their way any more.
    pub(super) fn arrive(&mut self, rights: &Rights) {
        self.count = self.count.saturating_sub(rights.len());
        for description in rights.iter().filter(|description| description.socket().is_some()) {
            let address = address(description);
            if let Ok(place) = self.sockets.binary_search_by_key(&address, |traveller| traveller.address)
                && let Some(traveller) = self.sockets.get_mut(place)
            {
                traveller.count = traveller.count.saturating_sub(1);
                if traveller.count == 0 {
                    self.sockets.remove(place);
                }
            }
        }
    }

    /// Takes what waits in inboxes that nobody can reach. Without memory to search it finds nothing.
    pub(super) fn find_lost(&mut self) -> Lost {
        let mut lost = Lost::default();
        // An error leaves what has been found for the next time.
        let _ = self.search(&mut lost);
        lost
    }

    fn search(&mut self, lost: &mut Lost) -> Result<(), Errno> {
        lost.suspects.try_reserve(self.sockets.len()).map_err(|_| Errno::ENOMEM)?;
        for traveller in &self.sockets {
            let Some(description) = traveller.description.upgrade() else { continue };
            // One reference is this one's.
            let is_kept_elsewhere = Arc::strong_count(&description).saturating_sub(1) > traveller.count;
            lost.suspects.push(Suspect {
                address: traveller.address,
                description,
                waits: traveller.count,
                among_suspects: 0,
                // For now: whoever is no suspect.
                is_reachable: is_kept_elsewhere,
            });
        }
        for index in 0..lost.suspects.len() {
            if lost.suspects.get(index).is_some_and(|suspect| !suspect.is_reachable) {
                lost.visit(index, |suspect| {
                    suspect.among_suspects = suspect.among_suspects.saturating_add(1);
                    false
                })?;
            }
        }
        let mut reachable = Vec::new();
        reachable.try_reserve(lost.suspects.len()).map_err(|_| Errno::ENOMEM)?;
        for (index, suspect) in lost.suspects.iter_mut().enumerate() {
            let is_found = !suspect.is_reachable && suspect.among_suspects < suspect.waits;
            suspect.is_reachable |= is_found;
            if is_found {
                reachable.push(index);
            }
        }
        while let Some(index) = reachable.pop() {
            let found = lost.visit(index, |suspect| !core::mem::replace(&mut suspect.is_reachable, true))?;
            reachable.try_reserve(found.len()).map_err(|_| Errno::ENOMEM)?;
            reachable.extend(found);
        }
        self.take_messages(lost)
    }

    fn take_messages(&mut self, lost: &mut Lost) -> Result<(), Errno> {
        for index in 0..lost.suspects.len() {
            let Some(suspect) = lost.suspects.get(index).filter(|suspect| !suspect.is_reachable) else { continue };
            let Some(socket) = suspect.description.socket() else { continue };
            lost.messages.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            let messages = socket.take_inbox();
            messages.iter().for_each(|message| self.arrive(&message.rights));
            lost.messages.push(messages);
            // Connections that nobody will accept.
            while let Some(embryo) = socket.take_pending() {
                lost.messages.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                lost.embryos.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                let messages = embryo.take_inbox();
                messages.iter().for_each(|message| self.arrive(&message.rights));
                lost.messages.push(messages);
                lost.embryos.push(embryo);
            }
        }
        Ok(())
    }
}

impl Lost {
    /// Shows `look` every suspect in the inbox of the one at `index`, and in those of connections that wait for it to accept
    /// them; the places of those for which it answers true.
    fn visit(&mut self, index: usize, mut look: impl FnMut(&mut Suspect) -> bool) -> Result<Vec<usize>, Errno> {
        let mut found = Vec::new();
        let Some(description) = self.suspects.get(index).map(|suspect| suspect.description.clone()) else {
            return Ok(found);
        };
        let Some(socket) = description.socket() else { return Ok(found) };
        let first = self.embryos.len();
        socket.copy_pending(&mut self.embryos)?;
        let (suspects, mut outcome) = (&mut self.suspects, Ok(()));
        let embryos = self.embryos.get(first..).unwrap_or_default();
        for socket in core::iter::once(socket).chain(embryos.iter().map(Arc::as_ref)) {
            socket.for_each_right(|right| {
                let place = suspects.binary_search_by_key(&address(right), |suspect| suspect.address);
                if let Some((place, suspect)) = place.ok().and_then(|place| Some((place, suspects.get_mut(place)?)))
                    && look(suspect)
                {
                    match found.try_reserve(1) {
                        Ok(()) => found.push(place),
                        Err(_) => outcome = Err(Errno::ENOMEM),
                    }
                }
            });
        }
        outcome.map(|()| found)
    }
}
