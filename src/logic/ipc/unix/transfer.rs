//! Sending and receiving (send(2), recv(2)), with what goes along.

use super::flight::{Flight, MOST_PER_MESSAGE, Rights};
use super::message::{Message, OVERHEAD, PIECE};
use super::{Address, Credentials, Kind, Role, Socket, State};
use crate::errno::Errno;
use crate::sync::IrqGuard;
use alloc::sync::{Arc, Weak};

/// How to receive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receiving {
    /// `MSG_PEEK`: what is received stays.
    pub peek: bool,
    /// A message that is longer than the buffer stays, too, and is told by [`Errno::EMSGSIZE`]: the caller has room for it, but
    /// did not know.
    pub whole: bool,
}

/// What was received.
pub struct Received {
    /// Bytes that are in the buffer now.
    pub copied: usize,
    /// Bytes of the whole message; more than were copied if the buffer was too small (`MSG_TRUNC`). Of a stream, the same.
    pub length: usize,
    /// What the sender is called.
    pub sender: Address,
    /// Who sent it, if the socket wants to know (`SO_PASSCRED`).
    pub credentials: Option<Credentials>,
    /// The open files that were passed on.
    pub rights: Rights,
}

impl Received {
    fn end() -> Self {
        Self { copied: 0, length: 0, sender: Address::Unnamed, credentials: None, rights: Rights::new() }
    }
}

impl Socket {
    /// send(2) and its kin: to `target`, or else to the peer. `rights` are passed on with it, and taken out when that has
    /// happened. Of a stream as much is sent as finds room, of a message all or nothing.
    ///
    /// # Errors
    /// As send(2): [`Errno::EAGAIN`], [`Errno::ECONNREFUSED`], [`Errno::ECONNRESET`], [`Errno::EISCONN`], [`Errno::EMSGSIZE`],
    /// [`Errno::ENOBUFS`], [`Errno::ENOTCONN`], [`Errno::EOPNOTSUPP`], [`Errno::EPERM`], [`Errno::EPIPE`],
    /// [`Errno::EPROTOTYPE`], and [`Errno::ETOOMANYREFS`] or [`Errno::EINVAL`] for too many open files.
    pub fn send(
        &self,
        bytes: &[u8],
        target: Option<&Arc<Self>>,
        credentials: Credentials,
        rights: &mut Rights,
    ) -> Result<usize, Errno> {
        if rights.len() > MOST_PER_MESSAGE {
            return Err(Errno::EINVAL);
        }
        match self.kind {
            Kind::Datagram => self.send_datagram(bytes, target, credentials, rights),
            Kind::SequencedPacket => {
                let peer = self.connected_peer()?;
                self.send_whole(&peer, bytes, credentials, rights)
            }
            Kind::Stream => {
                let is_connected = self.state.lock().role == Role::Connected;
                match target {
                    Some(_) if is_connected => Err(Errno::EISCONN),
                    Some(_) => Err(Errno::EOPNOTSUPP),
                    None => self.send_stream(bytes, credentials, rights),
                }
            }
        }
    }

    fn connected_peer(&self) -> Result<Arc<Self>, Errno> {
        let peer = {
            let state = self.state.lock();
            match state.role {
                _ if state.no_send => return Err(Errno::EPIPE),
                Role::Connected => state.peer.clone(),
                _ => return Err(Errno::ENOTCONN),
            }
        };
        peer.upgrade().ok_or(Errno::EPIPE)
    }

    fn send_stream(&self, bytes: &[u8], credentials: Credentials, rights: &mut Rights) -> Result<usize, Errno> {
        let peer = self.connected_peer()?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = rest.len().min(PIECE).min(self.account.room());
            let outcome = match rest.get(..size).filter(|piece| !piece.is_empty()) {
                Some(piece) => self.deliver(&peer, piece, Address::Unnamed, credentials, rights),
                None => Err(Errno::EAGAIN),
            };
            match outcome {
                Ok(()) => rest = rest.get(size..).unwrap_or_default(),
                Err(error) if rest.len() == bytes.len() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(bytes.len().saturating_sub(rest.len()))
    }

    fn send_datagram(
        &self,
        bytes: &[u8],
        target: Option<&Arc<Self>>,
        credentials: Credentials,
        rights: &mut Rights,
    ) -> Result<usize, Errno> {
        if self.state.lock().no_send {
            return Err(Errno::EPIPE);
        }
        let peer = match target {
            Some(target) => target.clone(),
            None => {
                let (role, peer) = {
                    let state = self.state.lock();
                    (state.role, state.peer.clone())
                };
                if role != Role::Connected {
                    return Err(Errno::ENOTCONN);
                }
                let Some(peer) = peer.upgrade() else {
                    // It is gone; the next time there is none.
                    self.forget_peer(&peer);
                    return Err(Errno::ECONNREFUSED);
                };
                peer
            }
        };
        if peer.kind != self.kind {
            return Err(Errno::EPROTOTYPE);
        }
        if peer.state.lock().takes_only_others(self) {
            return Err(Errno::EPERM);
        }
        self.send_whole(&peer, bytes, credentials, rights)
    }

    fn forget_peer(&self, gone: &Weak<Self>) {
        let mut state = self.state.lock();
        if state.peer.ptr_eq(gone) {
            state.peer = Weak::new();
            state.role = Role::Fresh;
        }
    }

    fn send_whole(
        &self,
        peer: &Arc<Self>,
        bytes: &[u8],
        credentials: Credentials,
        rights: &mut Rights,
    ) -> Result<usize, Errno> {
        if bytes.len().saturating_add(OVERHEAD) > self.account.limit() {
            return Err(Errno::EMSGSIZE);
        }
        if bytes.len() > self.account.room() || (self.kind == Kind::Datagram && peer.is_full_for(self)) {
            return Err(Errno::EAGAIN);
        }
        self.deliver(peer, bytes, self.name(), credentials, rights)?;
        Ok(bytes.len())
    }

    /// Puts a message into the peer's inbox.
    fn deliver(
        &self,
        peer: &Arc<Self>,
        bytes: &[u8],
        sender: Address,
        credentials: Credentials,
        rights: &mut Rights,
    ) -> Result<(), Errno> {
        let mut message = Some(Message::new(bytes, &self.account, sender, credentials, rights)?);
        let outcome = self.take_off(peer, &mut message);
        // What has not been put in is dropped here, with no lock held.
        if let Some(message) = &mut message
            && outcome.is_err()
        {
            *rights = core::mem::take(&mut message.rights);
        }
        drop(message);
        if outcome.is_ok() {
            peer.wake();
        }
        outcome
    }

    /// Puts a message into the peer's inbox, and its open files into the account of those on their way.
    fn take_off(&self, peer: &Arc<Self>, message: &mut Option<Message>) -> Result<(), Errno> {
        let Some(rights) = message.as_ref().map(|message| &message.rights).filter(|rights| !rights.is_empty()) else {
            return peer.take_in(message);
        };
        let mut flight = self.domain.flight.lock();
        flight.depart(rights)?;
        let outcome = peer.take_in(message);
        if let Some(message) = message
            && outcome.is_err()
        {
            flight.arrive(&message.rights);
        }
        outcome
    }

    /// Puts `message` into the inbox. It stays where it is if it must not, or if another has absorbed it.
    fn take_in(&self, message: &mut Option<Message>) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if state.no_receive {
            return Err(Errno::EPIPE);
        }
        let is_stream = self.kind == Kind::Stream;
        let last = state.inbox.back_mut().filter(|_| is_stream);
        if let (Some(last), Some(message)) = (last, message.as_ref())
            && last.absorb(message)
        {
            return Ok(());
        }
        state.inbox.try_reserve(1).map_err(|_| Errno::ENOBUFS)?;
        if let Some(message) = message.take() {
            state.with_rights = state.with_rights.saturating_add(usize::from(!message.rights.is_empty()));
            state.inbox.push_back(message);
        }
        Ok(())
    }

    /// Bytes of the message that comes next; 0 if there is none. Another may take it meanwhile.
    pub fn next_length(&self) -> usize {
        self.state.lock().inbox.front().map_or(0, |message| message.rest().len())
    }

    /// recv(2) and its kin.
    ///
    /// # Errors
    /// As recv(2): [`Errno::EAGAIN`], [`Errno::ECONNRESET`], [`Errno::EINVAL`] or [`Errno::ENOTCONN`] if it is not connected.
    pub fn receive(&self, bytes: &mut [u8], how: Receiving) -> Result<Received, Errno> {
        match self.kind {
            Kind::Stream => self.receive_stream(bytes, how),
            _ => self.receive_message(bytes, how),
        }
    }

    fn receive_message(&self, bytes: &mut [u8], how: Receiving) -> Result<Received, Errno> {
        // What is taken out is copied, and dropped, with no lock held.
        let (taken, mut received, text) = {
            let mut locked = self.lock_inbox();
            if self.kind.connects() && locked.state.role != Role::Connected {
                return Err(Errno::ENOTCONN);
            }
            if self.kind == Kind::Datagram
                && let Some(error) = locked.state.error.take()
            {
                return Err(error);
            }
            if locked.state.inbox.is_empty() {
                return locked.state.nothing_there();
            }
            let length = locked.state.inbox.front().map_or(0, |message| message.rest().len());
            if how.whole && length > bytes.len() {
                return Err(Errno::EMSGSIZE);
            }
            let (taken, rights) = if how.peek { (None, locked.copy_rights(0)?) } else { (locked.pop(), Rights::new()) };
            let wants_credentials = locked.state.wants_credentials;
            let Some(message) = taken.as_ref().or(locked.state.inbox.front()) else { return Err(Errno::EAGAIN) };
            let received = Received {
                copied: 0,
                length: message.rest().len(),
                sender: message.sender.clone(),
                credentials: wants_credentials.then_some(message.credentials),
                rights,
            };
            let text = message.shared();
            (taken, received, text)
        };
        received.copied = copy(bytes, &text);
        if let Some(mut message) = taken {
            received.rights = core::mem::take(&mut message.rights);
            drop(message);
            self.wake_blocked();
        }
        Ok(received)
    }

    /// Ends after a message that passes open files on, and before one of another sender if the socket wants to know who sends
    /// (unix(7), "Ancillary messages").
    fn receive_stream(&self, bytes: &mut [u8], how: Receiving) -> Result<Received, Errno> {
        let mut received = Received::end();
        let mut index = 0_usize;
        let mut outcome = Ok(());
        loop {
            // One message at a time, so that not too much is copied with the lock held.
            let mut locked = self.lock_inbox();
            if locked.state.role != Role::Connected {
                return Err(Errno::EINVAL);
            }
            let wants_credentials = locked.state.wants_credentials;
            let Some(message) = locked.state.inbox.get(index) else {
                if received.copied == 0 {
                    outcome = locked.state.nothing_there().map(|_| ());
                }
                break;
            };
            let credentials = wants_credentials.then_some(message.credentials);
            if received.copied > 0 && received.credentials != credentials {
                break;
            }
            let room = bytes.get_mut(received.copied..).unwrap_or_default();
            if room.is_empty() {
                break;
            }
            let rest = message.rest();
            let count = copy(room, rest);
            let is_whole = count == rest.len();
            let has_rights = !message.rights.is_empty();
            if has_rights {
                let rights = if how.peek { locked.copy_rights(index) } else { Ok(locked.take_rights(index)) };
                match rights {
                    Ok(rights) => received.rights = rights,
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
            }
            received.credentials = credentials;
            received.copied = received.copied.saturating_add(count);
            let mut finished = None;
            if how.peek {
                index = index.saturating_add(1);
            } else if is_whole {
                finished = locked.pop();
            } else if let Some(message) = locked.state.inbox.front_mut() {
                message.advance(count);
            }
            drop(locked);
            drop(finished);
            if has_rights || !is_whole {
                break;
            }
        }
        if received.copied == 0 {
            outcome?;
        }
        received.length = received.copied;
        Ok(received)
    }

    /// The inbox, and the account of open files too if the next message may pass some on: they come out with that held only.
    fn lock_inbox(&self) -> LockedInbox<'_> {
        {
            let state = self.state.lock();
            if state.with_rights == 0 {
                return LockedInbox { state, flight: None };
            }
        }
        let flight = self.domain.flight.lock();
        LockedInbox { state: self.state.lock(), flight: Some(flight) }
    }
}

/// A socket's state, locked. The order of fields is the order of letting go.
struct LockedInbox<'a> {
    state: IrqGuard<'a, State>,
    /// Held if any message passes open files on.
    flight: Option<IrqGuard<'a, Flight>>,
}

impl LockedInbox<'_> {
    /// Takes the first message out.
    fn pop(&mut self) -> Option<Message> {
        let message = self.state.inbox.pop_front()?;
        self.account_for(&message.rights);
        Some(message)
    }

    fn take_rights(&mut self, index: usize) -> Rights {
        let rights = self.state.inbox.get_mut(index).map(|message| core::mem::take(&mut message.rights));
        let rights = rights.unwrap_or_default();
        self.account_for(&rights);
        rights
    }

    fn copy_rights(&self, index: usize) -> Result<Rights, Errno> {
        let mut copy = Rights::new();
        if let Some(message) = self.state.inbox.get(index) {
            copy.try_reserve_exact(message.rights.len()).map_err(|_| Errno::ENOMEM)?;
            copy.extend(message.rights.iter().cloned());
        }
        Ok(copy)
    }

    fn account_for(&mut self, rights: &Rights) {
        if !rights.is_empty() {
            self.state.with_rights = self.state.with_rights.saturating_sub(1);
            if let Some(flight) = &mut self.flight {
                flight.arrive(rights);
            }
        }
    }
}

impl State {
    /// What a receive answers that finds nothing.
    fn nothing_there(&mut self) -> Result<Received, Errno> {
        match self.error.take() {
            Some(error) => Err(error),
            None if self.no_receive => Ok(Received::end()),
            None => Err(Errno::EAGAIN),
        }
    }
}

/// Copies as much as both have, and answers how much that is.
fn copy(target: &mut [u8], source: &[u8]) -> usize {
    let count = target.len().min(source.len());
    if let (Some(target), Some(source)) = (target.get_mut(..count), source.get(..count)) {
        target.copy_from_slice(source);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::File;
    use crate::ipc::unix::{Domain, Ending};

    const SOMEBODY: Credentials = Credentials { process: 1, user: 2, group: 3 };

    #[test]
    fn who_receives_nothing_waits_for_it_and_who_reads_nothing_does_not() {
        for kind in [Kind::Stream, Kind::SequencedPacket, Kind::Datagram] {
            let (one, other) = Socket::pair(&Domain::new(), kind, SOMEBODY);
            let receive = || other.receive(&mut [], Receiving::default()).map(|received| received.length);
            assert_eq!((receive(), other.read(0, &mut [])), (Err(Errno::EAGAIN), Ok(0)));
            one.write(0, b"ab").unwrap();
            assert_eq!(other.read(0, &mut []), Ok(0));
            let mut buffer = [0; 4];
            assert_eq!(other.read(0, &mut buffer), Ok(2));
        }
    }
    #[test]
    fn what_is_shut_before_it_is_connected_stays_so() {
        let domain = Domain::new();
        let [listener, client] = [(); 2].map(|()| Socket::new(&domain, Kind::Stream, SOMEBODY));
        listener.bind(&Address::Unnamed).unwrap();
        listener.listen(1, SOMEBODY).unwrap();
        client.shut_down(Ending { receiving: false, sending: true });
        client.connect(&listener, SOMEBODY).unwrap();
        assert_eq!((client.write(0, b"x"), listener.accept().unwrap().write(0, b"x")), (Err(Errno::EPIPE), Ok(1)));
    }

    #[test]
    fn each_kind_of_socket_has_abstract_names_of_its_own() {
        let domain = Domain::new();
        let name = Address::Abstract(b"name".iter().copied().collect());
        let kinds = [Kind::Stream, Kind::Datagram, Kind::SequencedPacket];
        let sockets = kinds.map(|kind| Socket::new(&domain, kind, SOMEBODY));
        assert!(sockets.iter().all(|socket| socket.bind(&name).is_ok()));
        for (kind, socket) in kinds.into_iter().zip(&sockets) {
            assert!(Arc::ptr_eq(&domain.find(kind, &name).unwrap(), socket));
            assert_eq!(Socket::new(&domain, kind, SOMEBODY).bind(&name), Err(Errno::EADDRINUSE));
        }
        let [stream, ..] = sockets;
        drop(stream);
        assert_eq!(domain.find(Kind::Stream, &name).err(), Some(Errno::ECONNREFUSED));
        assert!(domain.find(Kind::Datagram, &name).is_ok());
    }
}
