//! Sockets: socket(2), bind(2), connect(2), accept(2) and what is asked of them. What is sent is in [`messages`](super::messages).
//!
//! There are UNIX sockets alone.

use super::arguments::{Fd, UserBuffer, UserPtr};
use super::blocking::Waiting;
use super::descriptors::add_pair;
use crate::proc::files;
use crate::proc::process::{Answer, Current, Task};
use alloc::sync::Arc;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use linux_raw_sys::{general, net};
use logic::errno::Errno;
use logic::fs::attributes::FileKind;
use logic::fs::credentials::Access;
use logic::fs::inode::NewInode;
use logic::fs::open_file::{OpenFile, StatusFlags};
use logic::fs::walk::Wanted;
use logic::ipc::unix::address::MOST_BYTES;
use logic::ipc::unix::{Address, Credentials, Ending, Kind, Passed, Socket};

/// Bytes of the longest address of any family: `struct sockaddr_storage`.
const MOST_ADDRESS: usize = 128;
/// Bytes of the longest option.
const MOST_OPTION: usize = 64;

/// Who a task is, for whom it talks to.
pub fn credentials(task: &Task) -> Credentials {
    let credentials = task.credentials();
    Credentials {
        process: task.process.id.number(),
        user: credentials.users.effective,
        group: credentials.groups.effective,
    }
}

/// The kind of socket, and its flags.
fn kind(family: u32, number: u32, protocol: u32) -> Result<(Kind, u32), Errno> {
    const FLAGS: u32 = general::O_CLOEXEC | general::O_NONBLOCK;
    if family != net::AF_UNIX {
        return Err(Errno::EAFNOSUPPORT);
    }
    // The only protocol has the number of the family, too.
    if protocol != 0 && protocol != net::AF_UNIX {
        return Err(Errno::EPROTONOSUPPORT);
    }
    if number & !(FLAGS | 0xf) != 0 {
        return Err(Errno::EINVAL);
    }
    Ok((Kind::from_number(number & 0xf)?, number & FLAGS))
}

fn open_socket(task: &Task, socket: Arc<Socket>, flags: u32) -> Arc<OpenFile> {
    let place = files::anonymous_place(task, "socket", FileKind::Socket);
    let status = StatusFlags::from_bits_truncate(flags & general::O_NONBLOCK);
    OpenFile::new(socket, place, Access::READ | Access::WRITE, status)
}

/// socket(2).
pub fn socket(current: &mut Current, family: u32, number: u32, protocol: u32) -> Answer {
    let (kind, flags) = kind(family, number, protocol)?;
    let task = &current.task;
    let open = open_socket(task, Socket::new(files::socket_domain(), kind, credentials(task)), flags);
    Ok(task.add_descriptor(open, flags & general::O_CLOEXEC != 0)?)
}

/// socketpair(2).
pub fn socketpair(
    current: &mut Current,
    family: u32,
    number: u32,
    protocol: u32,
    descriptors: UserPtr<[u8; 8]>,
) -> Answer {
    let (kind, flags) = kind(family, number, protocol)?;
    let task = &current.task;
    let (one, other) = Socket::pair(files::socket_domain(), kind, credentials(task));
    let both = [open_socket(task, one, flags), open_socket(task, other, flags)];
    add_pair(task, both, flags & general::O_CLOEXEC != 0, descriptors)
}

/// The socket that an open file is.
///
/// # Errors
/// [`Errno::ENOTSOCK`].
pub fn socket_of(open: &OpenFile) -> Result<&Socket, Errno> {
    if open.is_path_only() {
        return Err(Errno::EBADF);
    }
    open.socket().ok_or(Errno::ENOTSOCK)
}

/// The address that a program passes.
///
/// # Errors
/// [`Errno::EINVAL`], [`Errno::EFAULT`].
pub fn read_address(task: &Task, address: u64, length: u32) -> Result<Address, Errno> {
    Address::from_bytes(&address_bytes(task, address, length)?)
}

fn address_bytes(task: &Task, address: u64, length: u32) -> Result<Vec<u8>, Errno> {
    let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
    UserBuffer { address, length }.read(task, MOST_ADDRESS)
}

/// Tells a program an address, as much of it as there is room for, and how long it is.
///
/// # Errors
/// [`Errno::EINVAL`] for a length that is none; [`Errno::EFAULT`].
pub fn write_address(task: &Task, address: &Address, target: u64, length: UserPtr<i32>) -> Result<(), Errno> {
    let room = usize::try_from(length.read(task)?).map_err(|_| Errno::EINVAL)?;
    let bytes: ArrayVec<u8, MOST_BYTES> = address.to_bytes();
    UserBuffer { address: target, length: room }.write(task, &bytes)?;
    length.write(task, &i32::try_from(bytes.len()).unwrap_or(0))
}

/// The socket of an address: whom to connect or send to. Abstract names are looked for among sockets of one kind only.
///
/// # Errors
/// As connect(2): [`Errno::ECONNREFUSED`] if nobody has it; what walking to a path answers; [`Errno::EACCES`] if it must not be
/// written to.
pub fn find(task: &Task, kind: Kind, address: &Address) -> Result<Arc<Socket>, Errno> {
    match address {
        Address::Unnamed => Err(Errno::EINVAL),
        Address::Abstract(_) => files::socket_domain().find(kind, address),
        Address::Path(path) => {
            let walker = task.walker(None)?;
            let caller = walker.caller();
            let place = caller.lookup(path, Wanted::Target)?;
            caller.check_access(&place, Access::WRITE)?;
            let anchor = place.inode().anchor().ok_or(Errno::ECONNREFUSED)?;
            anchor.get::<Socket>().ok_or(Errno::ECONNREFUSED)
        }
    }
}

/// bind(2).
pub fn bind(current: &mut Current, descriptor: Fd, address: u64, length: u32) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    let socket = socket_of(&open)?;
    let address = read_address(task, address, length)?;
    let Address::Path(path) = &address else {
        socket.bind(&address)?;
        return Ok(0);
    };
    let walker = task.walker(None)?;
    if socket.name() != Address::Unnamed {
        // In Linux's order: the path is looked at first.
        let is_taken = walker.caller().lookup(path, Wanted::Object).is_ok();
        return Err(if is_taken { Errno::EADDRINUSE } else { Errno::EINVAL }.into());
    }
    let made = walker.caller().make_node(path, NewInode::Socket, 0o777);
    let place = made.map_err(|error| if error == Errno::EEXIST { Errno::EADDRINUSE } else { error })?;
    let file: Arc<dyn core::any::Any + Send + Sync> = open.file().clone();
    if let (Some(anchor), Ok(socket)) = (place.inode().anchor(), file.downcast::<Socket>()) {
        anchor.get_or_set(|| socket);
    }
    socket.bind(&address)?;
    Ok(0)
}

/// listen(2).
pub fn listen(current: &mut Current, descriptor: Fd, backlog: i32) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    // Negative is as many as there may be.
    let backlog = usize::try_from(backlog).unwrap_or(usize::MAX);
    socket_of(&open)?.listen(backlog, credentials(task))?;
    Ok(0)
}

/// connect(2).
pub fn connect(current: &mut Current, descriptor: Fd, address: u64, length: u32) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    let socket = socket_of(&open)?;
    let bytes = address_bytes(task, address, length)?;
    let family = bytes.first_chunk::<2>().map(|family| u16::from_ne_bytes(*family)).ok_or(Errno::EINVAL)?;
    if u32::from(family) == net::AF_UNSPEC {
        socket.disconnect()?;
        return Ok(0);
    }
    let target = find(task, socket.kind(), &Address::from_bytes(&bytes)?)?;
    let who = credentials(task);
    Waiting::to_write(task, &open).on(&open, false, || socket.connect(&target, who))?;
    Ok(0)
}

/// accept(2).
pub fn accept(current: &mut Current, descriptor: Fd, address: u64, length: UserPtr<i32>) -> Answer {
    accept4(current, descriptor, address, length, 0)
}

/// accept4(2).
pub fn accept4(current: &mut Current, descriptor: Fd, address: u64, length: UserPtr<i32>, flags: u32) -> Answer {
    if flags & !(general::O_CLOEXEC | general::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    let socket = socket_of(&open)?;
    let accepted = Waiting::to_read(task, &open).on(&open, false, || socket.accept())?;
    if address != 0 {
        // Who is gone already had a name all the same.
        write_address(task, &accepted.peer_name().unwrap_or_default(), address, length)?;
    }
    let opened = open_socket(task, accepted, flags);
    Ok(task.add_descriptor(opened, flags & general::O_CLOEXEC != 0)?)
}

/// getsockname(2).
pub fn getsockname(current: &mut Current, descriptor: Fd, address: u64, length: UserPtr<i32>) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    write_address(task, &socket_of(&open)?.name(), address, length)?;
    Ok(0)
}

/// getpeername(2).
pub fn getpeername(current: &mut Current, descriptor: Fd, address: u64, length: UserPtr<i32>) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    write_address(task, &socket_of(&open)?.peer_name()?, address, length)?;
    Ok(0)
}

/// shutdown(2).
pub fn shutdown(current: &mut Current, descriptor: Fd, how: u32) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    socket_of(&open)?.shut_down(Ending::from_number(how)?);
    Ok(0)
}

/// setsockopt(2).
pub fn setsockopt(current: &mut Current, descriptor: Fd, level: u32, option: u32, value: u64, length: u32) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    let socket = socket_of(&open)?;
    if level != net::SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
    let value = UserBuffer { address: value, length: length.min(MOST_OPTION) }.read(task, MOST_OPTION)?;
    socket.set_option(option, &value, task.credentials().is_privileged())?;
    Ok(0)
}

/// getsockopt(2).
pub fn getsockopt(
    current: &mut Current,
    descriptor: Fd,
    level: u32,
    option: u32,
    target: u64,
    length: UserPtr<i32>,
) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    let socket = socket_of(&open)?;
    if level != net::SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let room = usize::try_from(length.read(task)?).map_err(|_| Errno::EINVAL)?;
    let value = socket.option(option)?;
    let count = UserBuffer { address: target, length: room }.write(task, &value)?;
    length.write(task, &i32::try_from(count).unwrap_or(0))?;
    Ok(0)
}
