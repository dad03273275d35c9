//! Names and connections: bind(2), listen(2), connect(2), accept(2), shutdown(2).

use super::{Address, Credentials, Kind, Role, Socket, State};
use crate::errno::Errno;
use crate::sync::IrqLock;
use alloc::sync::{Arc, Weak};

/// Connections that may wait to be accepted at most: Linux' /proc/sys/net/core/somaxconn.
pub const MOST_BACKLOG: usize = 4096;

/// What shutdown(2) ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Receiving.
    pub receiving: bool,
    /// Sending.
    pub sending: bool,
}

impl Ending {
    /// As shutdown(2) numbers it.
    ///
    /// # Errors
    /// [`Errno::EINVAL`].
    pub fn from_number(number: u32) -> Result<Self, Errno> {
        use linux_raw_sys::net::{SHUT_RD, SHUT_RDWR, SHUT_WR};
        match number {
            SHUT_RD => Ok(Self { receiving: true, sending: false }),
            SHUT_WR => Ok(Self { receiving: false, sending: true }),
            SHUT_RDWR => Ok(Self { receiving: true, sending: true }),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The same, seen from the other side.
    fn reversed(self) -> Self {
        Self { receiving: self.sending, sending: self.receiving }
    }
}

impl State {
    fn end(&mut self, ending: Ending) {
        self.no_receive |= ending.receiving;
        self.no_send |= ending.sending;
    }
}

impl Socket {
    /// getsockname(2).
    pub fn name(&self) -> Address {
        self.state.lock().name.clone()
    }

    /// getpeername(2).
    ///
    /// # Errors
    /// [`Errno::ENOTCONN`].
    pub fn peer_name(&self) -> Result<Address, Errno> {
        let (peer, known) = {
            let state = self.state.lock();
            if state.role != Role::Connected {
                return Err(Errno::ENOTCONN);
            }
            (state.peer.clone(), state.peer_name.clone())
        };
        // The peer may have got its name only after it was connected.
        Ok(peer.upgrade().map_or(known, |peer| peer.name()))
    }

    /// bind(2). Of a path, the layer above makes the inode first, and keeps this socket there, weakly. Without a name, any is given.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if it has a name; [`Errno::EADDRINUSE`] if another has it.
    pub fn bind(&self, address: &Address) -> Result<(), Errno> {
        if self.name() != Address::Unnamed {
            return if *address == Address::Unnamed { Ok(()) } else { Err(Errno::EINVAL) };
        }
        let name = match address {
            Address::Unnamed => self.domain.names.bind_any(self.kind, &self.me)?,
            Address::Abstract(_) => {
                self.domain.names.bind(self.kind, address, self.me.clone())?;
                address.clone()
            }
            Address::Path(_) => address.clone(),
        };
        let came_first = {
            let mut state = self.state.lock();
            let is_free = state.name == Address::Unnamed;
            if is_free {
                state.name = name.clone();
            }
            is_free
        };
        if came_first {
            return Ok(());
        }
        self.release_name(&name);
        Err(Errno::EINVAL)
    }

    pub(super) fn release_name(&self, name: &Address) {
        if let Address::Abstract(_) = name {
            self.domain.names.release(self.kind, name, &self.me);
        }
    }

    /// listen(2). Who connects learns of `credentials`.
    ///
    /// # Errors
    /// [`Errno::EOPNOTSUPP`] of datagrams; [`Errno::EINVAL`] without a name, or when connected.
    pub fn listen(&self, backlog: usize, credentials: Credentials) -> Result<(), Errno> {
        if !self.kind.connects() {
            return Err(Errno::EOPNOTSUPP);
        }
        {
            let mut state = self.state.lock();
            if state.name == Address::Unnamed || !matches!(state.role, Role::Fresh | Role::Listening) {
                return Err(Errno::EINVAL);
            }
            state.role = Role::Listening;
            state.backlog = backlog.min(MOST_BACKLOG);
            state.credentials = credentials;
        }
        self.wake_blocked();
        Ok(())
    }

    /// connect(2) to `target`, which the layer above has found by its name. Of datagrams, that is only where they go. Who finds no
    /// room to be accepted is woken when there may be some.
    ///
    /// # Errors
    /// As connect(2): [`Errno::EAGAIN`] if there is no room, [`Errno::ECONNREFUSED`] if nobody listens, [`Errno::EISCONN`],
    /// [`Errno::EPROTOTYPE`], [`Errno::EINVAL`] of one that listens, [`Errno::EPERM`] if a datagram socket takes messages only
    /// of another.
    pub fn connect(&self, target: &Arc<Self>, credentials: Credentials) -> Result<(), Errno> {
        if self.kind != target.kind {
            return Err(Errno::EPROTOTYPE);
        }
        if self.kind == Kind::Datagram {
            return self.connect_datagrams(target, credentials);
        }
        {
            let mut state = self.state.lock();
            match state.role {
                Role::Fresh => state.role = Role::Connecting,
                Role::Connecting => return Err(Errno::EALREADY),
                Role::Connected => return Err(Errno::EISCONN),
                Role::Listening => return Err(Errno::EINVAL),
            }
        }
        let embryo = Self::new(&self.domain, self.kind, credentials);
        let outcome = self.knock(target, &embryo, credentials);
        let mut state = self.state.lock();
        match outcome {
            Ok((name, peer_credentials)) => {
                state.role = Role::Connected;
                state.peer_name = name;
                state.peer_credentials = peer_credentials;
                Ok(())
            }
            Err(error) => {
                state.role = Role::Fresh;
                // What was never connected has nobody to lose: see `leave_peer`.
                state.peer = Weak::new();
                Err(error)
            }
        }
    }

    /// Offers `embryo` to be accepted. What its peer is called, and who that is.
    fn knock(
        &self,
        target: &Arc<Self>,
        embryo: &Arc<Self>,
        credentials: Credentials,
    ) -> Result<(Address, Credentials), Errno> {
        // Before anybody can accept it and send.
        self.state.lock().peer = Arc::downgrade(embryo);
        let name = self.name();
        let told = {
            let mut listener = target.state.lock();
            if listener.role != Role::Listening || listener.no_receive {
                return Err(Errno::ECONNREFUSED);
            }
            if listener.pending.len() > listener.backlog {
                listener.note_blocked(&self.me)?;
                return Err(Errno::EAGAIN);
            }
            (listener.name.clone(), listener.credentials, listener.wants_credentials)
        };
        let (listener_name, listener_credentials, wants_credentials) = told;
        {
            let mut state = embryo.state.lock();
            state.name = listener_name.clone();
            state.role = Role::Connected;
            state.peer = self.me.clone();
            state.peer_name = name;
            state.peer_credentials = credentials;
            state.credentials = listener_credentials;
            state.wants_credentials = wants_credentials;
            state.is_embryo = true;
        }
        {
            let mut listener = target.state.lock();
            // It may have changed since.
            if listener.no_receive {
                return Err(Errno::ECONNREFUSED);
            }
            listener.pending.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            listener.pending.push_back(embryo.clone());
        }
        target.account.changed.wake_one();
        Ok((listener_name, listener_credentials))
    }

    fn connect_datagrams(&self, target: &Arc<Self>, credentials: Credentials) -> Result<(), Errno> {
        let (name, peer_credentials) = {
            let peer = target.state.lock();
            if peer.takes_only_others(self) {
                return Err(Errno::EPERM);
            }
            (peer.name.clone(), peer.credentials)
        };
        self.change_peer(|state| {
            state.role = Role::Connected;
            state.peer = Arc::downgrade(target);
            state.peer_name = name;
            state.peer_credentials = peer_credentials;
            state.credentials = credentials;
        });
        Ok(())
    }

    /// connect(2) to no address: datagrams go nowhere any more unless something is said.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] of a stream.
    pub fn disconnect(&self) -> Result<(), Errno> {
        if self.kind != Kind::Datagram {
            return Err(Errno::EINVAL);
        }
        self.change_peer(|state| {
            state.role = Role::Fresh;
            state.peer = Weak::new();
            state.peer_name = Address::Unnamed;
            state.peer_credentials = Credentials::NOBODY;
        });
        Ok(())
    }

    /// Who was connected before may have waited for this one's room, under rules that do not hold any more.
    fn change_peer(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.wake();
        self.wake_blocked();
    }

    /// accept(2): the connection that has waited longest.
    ///
    /// # Errors
    /// [`Errno::EAGAIN`]; [`Errno::EINVAL`] if it does not listen; [`Errno::EOPNOTSUPP`] of datagrams.
    pub fn accept(&self) -> Result<Arc<Self>, Errno> {
        if !self.kind.connects() {
            return Err(Errno::EOPNOTSUPP);
        }
        let (embryo, is_more) = {
            let mut state = self.state.lock();
            if state.role != Role::Listening {
                return Err(Errno::EINVAL);
            }
            let nothing = if state.no_receive { Errno::EINVAL } else { Errno::EAGAIN };
            (state.pending.pop_front().ok_or(nothing)?, !state.pending.is_empty())
        };
        embryo.state.lock().is_embryo = false;
        if is_more {
            self.account.changed.pass_on();
        }
        self.wake_blocked();
        Ok(embryo)
    }

    /// shutdown(2). Of one that is not connected it counts when it is.
    pub fn shut_down(&self, ending: Ending) {
        let peer = {
            let mut state = self.state.lock();
            state.end(ending);
            state.peer.clone()
        };
        if self.kind.connects()
            && let Some(peer) = peer.upgrade()
        {
            peer.state.lock().end(ending.reversed());
            peer.wake();
        }
        self.wake();
        self.wake_blocked();
    }

    /// This is closed: `peer` is told, and that it was broken off if something was left unread.
    pub(super) fn leave_peer(&self, peer: &Self, broke_off: bool) {
        let was_peer = |state: &IrqLock<State>| {
            let mut state = state.lock();
            let is_mine = state.peer.ptr_eq(&self.me);
            if is_mine && self.kind.connects() {
                state.end(Ending { receiving: true, sending: true });
                if broke_off {
                    state.error = Some(Errno::ECONNRESET);
                }
            }
            is_mine
        };
        if was_peer(&peer.state) {
            peer.wake();
        }
    }
}

impl State {
    /// Whether this is connected to another than `sender`, and so takes nothing of it.
    pub(super) fn takes_only_others(&self, sender: &Socket) -> bool {
        self.role == Role::Connected && !self.peer.ptr_eq(&sender.me)
    }
}
