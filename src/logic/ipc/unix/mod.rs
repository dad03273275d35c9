//! Sockets of one machine (unix(7)): streams, datagrams, and streams of messages, which can pass open files on.
//!
//! Each [`Socket`] has an inbox. Who sends puts messages there, at the expense of its own buffer ([`message`]), until somebody
//! receives them. Sockets know one another only weakly; a socket that is closed tells its peer. Of two sockets' locks only one is
//! held at a time.
//!
//! Names in file systems are not known here: bind(2) makes an inode, which keeps a weak reference to the socket, and connect(2)
//! walks to the inode and passes what it finds. What all sockets share, abstract names and the account of open files that are on
//! their way, is in a [`Domain`].

pub mod address;
mod connection;
mod flight;
mod message;
mod names;
pub mod options;
#[cfg(test)]
mod tests;
mod transfer;

pub use address::Address;
pub use connection::{Ending, MOST_BACKLOG};
pub use flight::{MOST_IN_FLIGHT, MOST_PER_MESSAGE, Passed, Rights};
pub use message::Credentials;
pub use transfer::{Received, Receiving};

use self::flight::Flight;
use self::message::{Account, Message};
use self::names::Names;
use crate::errno::Errno;
use crate::fs::{File, Readiness, UserBytes};
use crate::sync::{IrqLock, Rank, WaitQueue};
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use linux_raw_sys::{ioctl, net};

/// How a socket passes on what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `SOCK_STREAM`: bytes, between two.
    Stream,
    /// `SOCK_DGRAM`: messages, to anybody.
    Datagram,
    /// `SOCK_SEQPACKET`: messages, between two.
    SequencedPacket,
}

impl Kind {
    /// As socket(2) numbers it. `SOCK_RAW` is taken for datagrams, as Linux does.
    ///
    /// # Errors
    /// [`Errno::ESOCKTNOSUPPORT`].
    pub fn from_number(number: u32) -> Result<Self, Errno> {
        match number {
            net::SOCK_STREAM => Ok(Self::Stream),
            net::SOCK_DGRAM | net::SOCK_RAW => Ok(Self::Datagram),
            net::SOCK_SEQPACKET => Ok(Self::SequencedPacket),
            _ => Err(Errno::ESOCKTNOSUPPORT),
        }
    }

    /// As `SO_TYPE` tells it.
    pub fn number(self) -> u32 {
        match self {
            Self::Stream => net::SOCK_STREAM,
            Self::Datagram => net::SOCK_DGRAM,
            Self::SequencedPacket => net::SOCK_SEQPACKET,
        }
    }

    fn connects(self) -> bool {
        self != Self::Datagram
    }
}

/// What all sockets that can reach one another share.
pub struct Domain {
    names: Names,
    flight: IrqLock<Flight>,
}

impl Domain {
    /// Without sockets.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { names: Names::new(), flight: IrqLock::new(Rank::RightsInFlight, Flight::new()) })
    }

    /// The socket of an abstract name, among those of one kind.
    ///
    /// # Errors
    /// [`Errno::ECONNREFUSED`] if there is none.
    pub fn find(&self, kind: Kind, name: &Address) -> Result<Arc<Socket>, Errno> {
        self.names.get(kind, name).ok_or(Errno::ECONNREFUSED)
    }

    /// How many open files are on their way.
    pub fn in_flight(&self) -> usize {
        self.flight.lock().count()
    }

    /// Frees sockets that wait only in one another's inboxes. To be called when a descriptor of a socket was closed while open
    /// files are on their way; it costs nothing else.
    pub fn free_lost(&self) {
        let lost = {
            let mut flight = self.flight.lock();
            if !flight.has_sockets() || flight.is_burying {
                return;
            }
            flight.is_burying = true;
            flight.find_lost()
        };
        drop(lost);
        self.empty_grave();
    }

    /// Lets go what nobody will receive: all of `messages`.
    fn bury(&self, messages: VecDeque<Message>) {
        if messages.iter().any(|message| !message.rights.is_empty()) {
            self.bury_rights(messages);
        }
    }

    fn bury_rights(&self, mut messages: VecDeque<Message>) {
        {
            let mut flight = self.flight.lock();
            for message in &mut messages {
                flight.arrive(&message.rights);
                flight.grave.append(&mut message.rights);
            }
            if core::mem::replace(&mut flight.is_burying, true) {
                return;
            }
        }
        drop(messages);
        self.empty_grave();
    }

    /// For whoever has noted that somebody is at it.
    fn empty_grave(&self) {
        loop {
            let next = {
                let mut flight = self.flight.lock();
                let next = flight.grave.pop();
                flight.is_burying = next.is_some();
                next
            };
            let Some(description) = next else { return };
            // This may close a socket, which comes here again with what was in its inbox, and leaves it to this loop.
            drop(description);
        }
    }
}

/// Where a socket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Nothing has happened yet; a datagram socket stays so.
    Fresh,
    /// connect(2) is under way.
    Connecting,
    Connected,
    Listening,
}

struct State {
    name: Address,
    role: Role,
    /// Whom it is connected to; of datagrams, where they go if nothing else is said.
    peer: Weak<Socket>,
    peer_name: Address,
    peer_credentials: Credentials,
    /// Who made it, listens, or connects.
    credentials: Credentials,
    inbox: VecDeque<Message>,
    /// Messages in the inbox that pass open files on.
    with_rights: usize,
    /// Nothing more is received, or sent: shutdown(2) here or at the peer's.
    no_receive: bool,
    no_send: bool,
    /// What the next call tells (`SO_ERROR`).
    error: Option<Errno>,
    wants_credentials: bool,
    receive_limit: usize,
    /// How long a call waits to receive, and to send; 0 is for ever.
    receive_patience_ns: u64,
    send_patience_ns: u64,
    /// Connections to be accepted, and how many there may be.
    pending: VecDeque<Arc<Socket>>,
    backlog: usize,
    /// It came of a connect(2), and nobody has accepted it yet.
    is_embryo: bool,
    /// Sockets that wait for room: in the inbox, or to be accepted.
    blocked: Vec<Weak<Socket>>,
}

/// A socket, as an open file.
pub struct Socket {
    me: Weak<Self>,
    kind: Kind,
    domain: Arc<Domain>,
    account: Arc<Account>,
    state: IrqLock<State>,
}

impl Socket {
    /// socket(2): not connected, without a name. `credentials` are of who makes it.
    pub fn new(domain: &Arc<Domain>, kind: Kind, credentials: Credentials) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            kind,
            domain: domain.clone(),
            account: Arc::new(Account::new(options::USUAL_BUFFER)),
            state: IrqLock::new(
                Rank::File,
                State {
                    name: Address::Unnamed,
                    role: Role::Fresh,
                    peer: Weak::new(),
                    peer_name: Address::Unnamed,
                    peer_credentials: Credentials::NOBODY,
                    credentials,
                    inbox: VecDeque::new(),
                    with_rights: 0,
                    no_receive: false,
                    no_send: false,
                    error: None,
                    wants_credentials: false,
                    receive_limit: options::USUAL_BUFFER,
                    receive_patience_ns: 0,
                    send_patience_ns: 0,
                    pending: VecDeque::new(),
                    backlog: 0,
                    is_embryo: false,
                    blocked: Vec::new(),
                },
            ),
        })
    }

    /// socketpair(2): two that are connected to each other.
    pub fn pair(domain: &Arc<Domain>, kind: Kind, credentials: Credentials) -> (Arc<Self>, Arc<Self>) {
        let (one, other) = (Self::new(domain, kind, credentials), Self::new(domain, kind, credentials));
        for (socket, peer) in [(&one, &other), (&other, &one)] {
            let mut state = socket.state.lock();
            state.peer = Arc::downgrade(peer);
            state.peer_credentials = credentials;
            state.role = Role::Connected;
        }
        (one, other)
    }

    /// How it passes on what is sent.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it shares with others.
    pub fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }

    fn wake(&self) {
        self.account.changed.wake_all();
    }

    /// There is room again: who waited for it is woken.
    fn wake_blocked(&self) {
        let blocked = core::mem::take(&mut self.state.lock().blocked);
        wake_each(blocked);
    }

    /// Whether a datagram of `sender` finds the inbox full. If so, the sender is woken when there is room. Who is connected back
    /// to the sender takes as much as the sender's buffer holds.
    fn is_full_for(&self, sender: &Self) -> bool {
        let mut state = self.state.lock();
        let is_full = state.inbox.len() > options::MOST_DATAGRAMS && !state.peer.ptr_eq(&sender.me);
        // Without memory to note who waits, the sender looks again when something else wakes it.
        is_full && {
            let _ = state.note_blocked(&sender.me);
            true
        }
    }

    fn take_inbox(&self) -> VecDeque<Message> {
        let mut state = self.state.lock();
        state.with_rights = 0;
        core::mem::take(&mut state.inbox)
    }

    fn take_pending(&self) -> Option<Arc<Self>> {
        self.state.lock().pending.pop_front()
    }

    fn copy_pending(&self, to: &mut Vec<Arc<Self>>) -> Result<(), Errno> {
        let state = self.state.lock();
        to.try_reserve(state.pending.len()).map_err(|_| Errno::ENOMEM)?;
        to.extend(state.pending.iter().cloned());
        Ok(())
    }

    fn for_each_right(&self, look: impl FnMut(&Arc<dyn Passed>)) {
        let state = self.state.lock();
        if state.with_rights > 0 {
            state.inbox.iter().flat_map(|message| &message.rights).for_each(look);
        }
    }
}

impl State {
    fn note_blocked(&mut self, sender: &Weak<Socket>) -> Result<(), Errno> {
        if self.blocked.iter().any(|other| other.ptr_eq(sender)) {
            return Ok(());
        }
        if self.blocked.len() == self.blocked.capacity() {
            self.blocked.retain(|other| other.strong_count() > 0);
        }
        self.blocked.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.blocked.push(sender.clone());
        Ok(())
    }
}

fn wake_each(sockets: Vec<Weak<Socket>>) {
    sockets.iter().filter_map(Weak::upgrade).for_each(|socket| socket.wake());
}

impl File for Socket {
    /// Open files that are passed on with what is read are let go.
    fn read(&self, _: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        // Unlike recv(2), this neither takes an empty message nor waits for one.
        if bytes.is_empty() {
            return Ok(0);
        }
        self.receive(bytes, Receiving::default()).map(|received| received.copied)
    }

    /// In the name of who made the socket, as nothing is known of who writes.
    fn write(&self, _: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let credentials = self.state.lock().credentials;
        self.send(bytes, None, credentials, &mut Rights::new())
    }

    fn poll(&self) -> Readiness {
        let (mut ready, peer) = {
            let state = self.state.lock();
            let mut ready = Readiness::empty();
            let readable = !state.inbox.is_empty() || !state.pending.is_empty() || state.no_receive;
            ready.set(Readiness::IN | Readiness::RDNORM, readable);
            ready.set(Readiness::RDHUP, state.no_receive);
            let is_loose = self.kind.connects() && matches!(state.role, Role::Fresh | Role::Connecting);
            ready.set(Readiness::HUP, (state.no_receive && state.no_send) || is_loose);
            ready.set(Readiness::ERR, state.error.is_some());
            let writes = state.role != Role::Listening && self.account.is_writable();
            ready.set(Readiness::OUT | Readiness::WRNORM, writes);
            (ready, state.peer.clone())
        };
        if self.kind == Kind::Datagram
            && let Some(peer) = peer.upgrade()
            && peer.is_full_for(self)
        {
            ready -= Readiness::OUT | Readiness::WRNORM;
        }
        ready
    }

    fn changes(&self) -> Option<&WaitQueue> {
        Some(&self.account.changed)
    }

    fn control(&self, request: u32, argument: u64, memory: &mut dyn UserBytes) -> Result<u64, Errno> {
        let number = match request {
            ioctl::FIONREAD => {
                let state = self.state.lock();
                match self.kind {
                    _ if state.role == Role::Listening => return Err(Errno::EINVAL),
                    Kind::Stream => state.inbox.iter().map(|message| message.rest().len()).sum(),
                    _ => state.inbox.front().map_or(0, |message| message.rest().len()),
                }
            }
            ioctl::TIOCOUTQ => self.account.used(),
            _ => return Err(Errno::ENOTTY),
        };
        memory.write(argument, &i32::try_from(number).unwrap_or(i32::MAX).to_ne_bytes())?;
        Ok(0)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        let inbox = core::mem::take(&mut state.inbox);
        let pending = core::mem::take(&mut state.pending);
        let blocked = core::mem::take(&mut state.blocked);
        let (peer, is_embryo) = (state.peer.upgrade(), state.is_embryo);
        let name = core::mem::take(&mut state.name);
        // An accepted connection has its listener's name, but is not found by it.
        self.release_name(&name);
        if let Some(peer) = peer {
            self.leave_peer(&peer, is_embryo || !inbox.is_empty());
        }
        wake_each(blocked);
        self.domain.bury(inbox);
        drop(pending);
        self.domain.free_lost();
    }
}
