//! What goes through sockets: send(2), recv(2), sendmsg(2), recvmsg(2) and their kin.

use super::arguments::{Fd, UserBuffer, UserPtr, zeroed};
use super::blocking::{Waiting, deadline_in, left_ns};
use super::sockets::{credentials, find, read_address, socket_of, write_address};
use super::transfer::{buffers_at, tell_of_broken_pipe};
use super::vectors::{gather, scatter, total};
use crate::hw::clock;
use crate::proc::process::{Answer, Current, Stop, Task};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::mem::offset_of;
use linux_raw_sys::general;
use linux_raw_sys::net::{self, msghdr};
use logic::errno::Errno;
use logic::fs::open_file::OpenFile;
use logic::ipc::control_message::{ControlMessages, ControlWriter};
use logic::ipc::unix::{Address, Credentials, Kind, MOST_PER_MESSAGE, Received, Receiving, Rights, Socket};

/// Bytes of a stream that are transferred at a time.
const PIECE: usize = 64 * 1024;
/// Bytes of control messages that are read and written at most: more than all that can be said.
const MOST_CONTROL: usize = 4096;
/// `struct mmsghdr`: a header and a count.
const HEADER: usize = size_of::<msghdr>();
const MANY_HEADER: usize = HEADER + 8;
/// Messages of one sendmmsg(2) or recvmmsg(2).
const MOST_MESSAGES: u32 = general::UIO_MAXIOV;
/// recvmmsg(2): wait for the first only.
const MSG_WAITFORONE: u32 = 0x10000;

/// What a program's `struct msghdr` says.
struct Header {
    name: u64,
    name_bytes: i32,
    buffers: Vec<UserBuffer>,
    control: UserBuffer,
}

impl Header {
    fn read(task: &Task, address: u64) -> Result<Self, Errno> {
        let mut bytes = [0; HEADER];
        task.read(address, &mut bytes)?;
        let word = |offset: usize| u64::from_le_bytes(core::array::from_fn(|index| bytes[offset + index]));
        let size = |offset: usize| usize::try_from(word(offset)).map_err(|_| Errno::EINVAL);
        let name_bytes: [u8; 4] = core::array::from_fn(|index| bytes[offset_of!(msghdr, msg_namelen) + index]);
        let array = UserPtr::new(word(offset_of!(msghdr, msg_iov)));
        let count = size(offset_of!(msghdr, msg_iovlen))?;
        if count > general::UIO_MAXIOV as usize {
            return Err(Errno::EMSGSIZE);
        }
        let control = word(offset_of!(msghdr, msg_control));
        let control_bytes = if control == 0 { 0 } else { size(offset_of!(msghdr, msg_controllen))? };
        Ok(Self {
            name: word(offset_of!(msghdr, msg_name)),
            name_bytes: i32::from_le_bytes(name_bytes),
            buffers: buffers_at(task, array, count)?,
            control: UserBuffer { address: control, length: control_bytes },
        })
    }

    /// What it is to be sent to, if anything is said.
    fn name(&self) -> Result<Option<(u64, u32)>, Errno> {
        let length = u32::try_from(self.name_bytes).map_err(|_| Errno::EINVAL)?;
        Ok((self.name != 0 && length != 0).then_some((self.name, length)))
    }
}

/// What is sent along, and to whom.
struct Outgoing {
    target: Option<Arc<Socket>>,
    credentials: Credentials,
    rights: Rights,
}

impl Outgoing {
    fn new(task: &Task, socket: &Socket, name: Option<(u64, u32)>) -> Result<Self, Errno> {
        let target = match (name, socket.kind()) {
            (Some(_), Kind::Stream) => {
                return Err(if socket.peer_name().is_ok() { Errno::EISCONN } else { Errno::EOPNOTSUPP });
            }
            (Some((address, length)), Kind::Datagram) => {
                Some(find(task, Kind::Datagram, &read_address(task, address, length)?)?)
            }
            // Linux looks at none.
            (_, Kind::SequencedPacket) | (None, _) => None,
        };
        Ok(Self { target, credentials: sender(task), rights: Rights::new() })
    }

    /// What a program's control messages say.
    fn add_control(&mut self, task: &Task, control: UserBuffer) -> Result<(), Errno> {
        if control.length == 0 {
            return Ok(());
        }
        let wanted = ControlMessages::from_bytes(&control.read(task, MOST_CONTROL)?)?;
        if let Some(said) = wanted.credentials {
            check_credentials(task, said)?;
            self.credentials = said;
        }
        self.rights.try_reserve_exact(wanted.descriptors.len()).map_err(|_| Errno::ENOMEM)?;
        let files = task.files();
        for descriptor in wanted.descriptors {
            let open = files.get(descriptor)?;
            if open.is_path_only() {
                return Err(Errno::EBADF);
            }
            self.rights.push(open);
        }
        Ok(())
    }
}

/// Whether a task may say that it is this (unix(7), `SCM_CREDENTIALS`).
fn check_credentials(task: &Task, said: Credentials) -> Result<(), Errno> {
    let own = task.credentials();
    let is_among = |number, all: [u32; 3]| all.contains(&number);
    let is_true = said.process == task.process.id.number()
        && is_among(said.user, [own.users.real, own.users.effective, own.users.saved])
        && is_among(said.group, [own.groups.real, own.groups.effective, own.groups.saved]);
    if is_true || own.is_privileged() { Ok(()) } else { Err(Errno::EPERM) }
}

/// Sends what is in `buffers`.
fn send(task: &Task, open: &OpenFile, buffers: &[UserBuffer], mut outgoing: Outgoing, flags: u32) -> Answer {
    let socket = socket_of(open)?;
    if flags & net::MSG_OOB != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let wanted = total(buffers);
    let is_stream = socket.kind() == Kind::Stream;
    if !is_stream && wanted > socket.send_limit() {
        return Err(Errno::EMSGSIZE.into());
    }
    let never_waits = flags & net::MSG_DONTWAIT != 0;
    let waiting = Waiting::to_write(task, open);
    let mut done = 0;
    loop {
        let length = if is_stream { (wanted - done).min(PIECE) } else { wanted };
        let outcome = gather(task, buffers, done, length).map_err(Stop::from).and_then(|bytes| {
            let Outgoing { target, credentials, rights } = &mut outgoing;
            waiting.on(open, never_waits, || socket.send(&bytes, target.as_ref(), *credentials, rights))
        });
        match outcome {
            Ok(count) => done += count,
            Err(_) if done > 0 => return Ok(done as u64),
            Err(stop) => {
                if stop == Stop::Failed(Errno::EPIPE) && flags & net::MSG_NOSIGNAL == 0 {
                    tell_of_broken_pipe(task, open);
                }
                return Err(stop);
            }
        }
        if !is_stream || done >= wanted {
            return Ok(done as u64);
        }
    }
}

/// write(2) to a socket, as send(2) of who writes: not of who made it.
///
/// # Errors
/// As [`Socket::send`].
pub fn write(task: &Task, socket: &Socket, bytes: &[u8]) -> Result<usize, Errno> {
    socket.send(bytes, None, sender(task), &mut Rights::new())
}

/// write(2) and writev(2) of one message, which is all that is in `buffers`.
///
/// # Errors
/// As send(2).
pub fn write_message(task: &Task, open: &OpenFile, buffers: &[UserBuffer]) -> Answer {
    let outgoing = Outgoing::new(task, socket_of(open)?, None)?;
    send(task, open, buffers, outgoing, 0)
}

/// read(2) and readv(2) of one message, of which the rest goes.
///
/// # Errors
/// As recv(2).
pub fn read_message(task: &Task, open: &OpenFile, socket: &Socket, buffers: &[UserBuffer]) -> Answer {
    // Unlike recv(2), this neither takes an empty message nor waits for one.
    if total(buffers) == 0 {
        return Ok(0);
    }
    let (count, _) = receive_message(task, open, socket, buffers, 0)?;
    Ok(count as u64)
}

/// As whom a task sends.
fn sender(task: &Task) -> Credentials {
    let own = task.credentials();
    Credentials { user: own.users.real, group: own.groups.real, ..credentials(task) }
}

/// sendto(2).
pub fn sendto(
    current: &mut Current,
    descriptor: Fd,
    buffer: UserBuffer,
    flags: u32,
    address: u64,
    length: u32,
) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    let name = (address != 0 && length != 0).then_some((address, length));
    let outgoing = Outgoing::new(task, socket_of(&open)?, name)?;
    send(task, &open, &[buffer], outgoing, flags)
}

/// sendmsg(2).
pub fn sendmsg(current: &mut Current, descriptor: Fd, message: u64, flags: u32) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    send_message(task, &open, message, flags)
}

fn send_message(task: &Task, open: &OpenFile, message: u64, flags: u32) -> Answer {
    let socket = socket_of(open)?;
    let header = Header::read(task, message)?;
    let mut outgoing = Outgoing::new(task, socket, header.name()?)?;
    outgoing.add_control(task, header.control)?;
    send(task, open, &header.buffers, outgoing, flags)
}

/// sendmmsg(2).
pub fn sendmmsg(current: &mut Current, descriptor: Fd, messages: u64, count: u32, flags: u32) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    each_message(task, messages, count, |_, message| send_message(task, &open, message, flags))
}

/// Calls `transfer` with the number and address of each message, and notes how many bytes that was, until it fails.
fn each_message(task: &Task, messages: u64, count: u32, mut transfer: impl FnMut(u32, u64) -> Answer) -> Answer {
    for number in 0..count.min(MOST_MESSAGES) {
        let message = messages.wrapping_add(u64::from(number) * MANY_HEADER as u64);
        let outcome = transfer(number, message).and_then(|bytes| {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            Ok(UserPtr::new(message.wrapping_add(HEADER as u64)).write(task, &bytes)?)
        });
        match outcome {
            Ok(()) => {}
            Err(stop) if number == 0 => return Err(stop),
            Err(_) => return Ok(number.into()),
        }
    }
    Ok(count.min(MOST_MESSAGES).into())
}

/// Receives into `buffers`: what the call answers, and what came along.
fn receive(task: &Task, open: &OpenFile, buffers: &[UserBuffer], flags: u32) -> Result<(usize, Received), Stop> {
    let socket = socket_of(open)?;
    if flags & net::MSG_ERRQUEUE != 0 {
        return Err(Errno::EAGAIN.into());
    }
    if flags & net::MSG_OOB != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    if socket.kind() == Kind::Stream {
        receive_stream(task, open, socket, buffers, flags)
    } else {
        receive_message(task, open, socket, buffers, flags)
    }
}

fn receive_message(
    task: &Task,
    open: &OpenFile,
    socket: &Socket,
    buffers: &[UserBuffer],
    flags: u32,
) -> Result<(usize, Received), Stop> {
    let room = total(buffers);
    let peek = flags & net::MSG_PEEK != 0;
    let mut bytes = Vec::new();
    let received = Waiting::to_read(task, open).on(open, flags & net::MSG_DONTWAIT != 0, || {
        loop {
            // No more memory than the message needs, however much the program has room for.
            let length = socket.next_length().min(room);
            if bytes.len() < length {
                bytes = zeroed(length)?;
            }
            let whole = bytes.len() < room;
            match socket.receive(&mut bytes, Receiving { peek, whole }) {
                // Another thread took the message that was looked at, and the next is longer.
                Err(Errno::EMSGSIZE) => {}
                outcome => return outcome,
            }
        }
    })?;
    scatter(task, buffers, 0, bytes.get(..received.copied).unwrap_or_default())?;
    let told = if flags & net::MSG_TRUNC != 0 { received.length } else { received.copied };
    Ok((told, received))
}

fn receive_stream(
    task: &Task,
    open: &OpenFile,
    socket: &Socket,
    buffers: &[UserBuffer],
    flags: u32,
) -> Result<(usize, Received), Stop> {
    let room = total(buffers);
    let how = Receiving { peek: flags & net::MSG_PEEK != 0, whole: false };
    let waits_for_all = flags & net::MSG_WAITALL != 0 && !how.peek;
    let waiting = Waiting::to_read(task, open);
    let mut bytes = zeroed(room.min(PIECE))?;
    let mut done = 0;
    let mut first: Option<Received> = None;
    loop {
        let piece = bytes.get_mut(..(room - done).min(PIECE)).unwrap_or_default();
        let outcome = waiting.on(open, flags & net::MSG_DONTWAIT != 0, || socket.receive(piece, how));
        let received = match (outcome, first.take()) {
            (Ok(received), None) => received,
            (Ok(next), Some(mut earlier)) => {
                earlier.rights = next.rights;
                Received { copied: next.copied, length: next.length, ..earlier }
            }
            (Err(_), Some(earlier)) => return Ok((done, earlier)),
            (Err(stop), None) => return Err(stop),
        };
        // With MSG_TRUNC, what is received is thrown away (tcp(7)), which UNIX sockets do not know: it is copied.
        scatter(task, buffers, done, piece.get(..received.copied).unwrap_or_default())?;
        done += received.copied;
        let goes_on = waits_for_all && received.copied > 0 && done < room && received.rights.is_empty();
        if !goes_on {
            let sender = socket.peer_name().unwrap_or_default();
            return Ok((done, Received { sender, ..received }));
        }
        first = Some(received);
    }
}

/// recvfrom(2).
pub fn recvfrom(
    current: &mut Current,
    descriptor: Fd,
    buffer: UserBuffer,
    flags: u32,
    address: u64,
    length: UserPtr<i32>,
) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    let (told, received) = receive(task, &open, &[buffer], flags)?;
    if address != 0 {
        match received.sender {
            Address::Unnamed => length.write(task, &0)?,
            name => write_address(task, &name, address, length)?,
        }
    }
    Ok(told as u64)
}

/// recvmsg(2).
pub fn recvmsg(current: &mut Current, descriptor: Fd, message: u64, flags: u32) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    take_message(task, &open, message, flags)
}

fn take_message(task: &Task, open: &OpenFile, message: u64, flags: u32) -> Answer {
    let header = Header::read(task, message)?;
    let (told, received) = receive(task, open, &header.buffers, flags)?;
    let at = |offset: usize| message.wrapping_add(offset as u64);
    let mut found = flags & net::MSG_CMSG_CLOEXEC;
    if received.length > received.copied {
        found |= net::MSG_TRUNC;
    }
    if header.name != 0 {
        let length = UserPtr::new(at(offset_of!(msghdr, msg_namelen)));
        match &received.sender {
            Address::Unnamed => length.write(task, &0)?,
            name => write_address(task, name, header.name, length)?,
        }
    }
    let mut room = zeroed(header.control.length.min(MOST_CONTROL))?;
    let mut writer = ControlWriter::new(&mut room);
    if let Some(credentials) = received.credentials {
        writer.credentials(credentials);
    }
    let is_cut = add_rights(task, &mut writer, received.rights, flags & net::MSG_CMSG_CLOEXEC != 0);
    let (used, is_truncated) = (writer.used(), writer.is_truncated());
    if is_cut || is_truncated {
        found |= net::MSG_CTRUNC;
    }
    header.control.write(task, room.get(..used).unwrap_or_default())?;
    UserPtr::new(at(offset_of!(msghdr, msg_controllen))).write(task, &(used as u64))?;
    UserPtr::new(at(offset_of!(msghdr, msg_flags))).write(task, &found)?;
    Ok(told as u64)
}

/// Gives what a message passed on descriptors, as many as can be told. Whether some were left out.
fn add_rights(task: &Task, writer: &mut ControlWriter<'_>, rights: Rights, close_on_exec: bool) -> bool {
    let mut numbers: arrayvec::ArrayVec<i32, MOST_PER_MESSAGE> = arrayvec::ArrayVec::new();
    let count = rights.len();
    for right in rights.into_iter().take(writer.room_for_descriptors()) {
        let right: Arc<dyn Any + Send + Sync> = right;
        let Ok(open) = right.downcast::<OpenFile>() else { continue };
        let Ok(number) = task.add_descriptor(open, close_on_exec) else { break };
        // A message has no more than there is room for, and descriptors are small numbers.
        let _ = numbers.try_push(i32::try_from(number).unwrap_or(-1));
    }
    writer.descriptors(&numbers);
    numbers.len() < count
}

/// recvmmsg(2). As in Linux, the time-out is looked at after each message only.
pub fn recvmmsg(
    current: &mut Current,
    descriptor: Fd,
    messages: u64,
    count: u32,
    flags: u32,
    timeout: UserPtr<[u8; 16]>,
) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    let deadline = deadline_in(task, timeout)?;
    let answer = each_message(task, messages, count, |number, message| {
        if number > 0 && deadline.is_some_and(|deadline| clock::now() >= deadline) {
            return Err(Errno::EAGAIN.into());
        }
        let is_patient = number == 0 || flags & MSG_WAITFORONE == 0;
        let flags = if is_patient { flags } else { flags | net::MSG_DONTWAIT };
        take_message(task, &open, message, flags & !MSG_WAITFORONE)
    });
    if let Some(deadline) = deadline {
        let left = left_ns(deadline);
        timeout.write(task, &super::time::to_timespec(left))?;
    }
    answer
}
