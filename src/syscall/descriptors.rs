//! Descriptors: open(2), close(2), dup(2), pipe(2), fcntl(2), ioctl(2), flock(2).

use super::arguments::{Fd, UserPath, UserPtr};
use super::blocking::Waiting;
use crate::proc::files;
use crate::proc::process::{Answer, Current, Stop, Task};
use alloc::sync::Arc;
use linux_raw_sys::{general, ioctl};
use logic::errno::Errno;
use logic::fs::UserBytes;
use logic::fs::credentials::Access;
use logic::fs::descriptors::Closed;
use logic::fs::open_file::{OpenFile, StatusFlags};
use logic::fs::place::Place;
use logic::ipc::pipe::{End, Pipe};

/// The working directory, in the place of a descriptor.
const AT_FDCWD: i32 = general::AT_FDCWD;

/// Flags of close_range(2).
const CLOSE_RANGE_UNSHARE: u32 = 1 << 1;
const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;

/// The memory of the task that runs.
pub struct TaskBytes<'a>(pub &'a Task);

impl UserBytes for TaskBytes<'_> {
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        self.0.read(address, bytes)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.0.write(address, bytes)
    }
}

/// Where a relative path begins that goes with a descriptor; `None` for the working directory.
///
/// # Errors
/// [`Errno::EBADF`]; [`Errno::ENOTDIR`].
pub fn start(task: &Task, directory: Fd, path: &[u8]) -> Result<Option<Place>, Errno> {
    if directory.0 == AT_FDCWD || path.first() == Some(&b'/') {
        return Ok(None);
    }
    let place = task.files().get(directory.0)?.place().clone();
    if place.dentry.is_directory() { Ok(Some(place)) } else { Err(Errno::ENOTDIR) }
}

/// open(2).
pub fn open(current: &mut Current, path: UserPath, flags: u32, mode: u32) -> Answer {
    openat(current, Fd(AT_FDCWD), path, flags, mode)
}

/// creat(2).
pub fn creat(current: &mut Current, path: UserPath, mode: u32) -> Answer {
    openat(current, Fd(AT_FDCWD), path, general::O_CREAT | general::O_WRONLY | general::O_TRUNC, mode)
}

/// openat(2).
pub fn openat(current: &mut Current, directory: Fd, path: UserPath, flags: u32, mode: u32) -> Answer {
    let task = &current.task;
    let path = path.read(task)?;
    let walker = task.walker(start(task, directory, &path)?)?;
    let permissions = u16::try_from(mode & 0o7777).unwrap_or(0);
    let special = files::SpecialFor(task);
    let open = walker.caller().open(&path, flags, permissions, &special)?;
    wait_for_other_side(task, &open)?;
    task.add_descriptor(open, flags & general::O_CLOEXEC != 0).map_err(Stop::from)
}

/// Who opens one end of a fifo waits for somebody at the other: fifo(7).
fn wait_for_other_side(task: &Task, open: &Arc<OpenFile>) -> Result<(), Stop> {
    let file: &dyn core::any::Any = &**open.file();
    let Some(end) = file.downcast_ref::<End>() else { return Ok(()) };
    if open.flags().contains(StatusFlags::NONBLOCK) {
        return Ok(());
    }
    Waiting::new(task).until(end.pipe().opened(), || if end.has_met() { Ok(()) } else { Err(Errno::EAGAIN) })
}

/// close(2).
pub fn close(current: &mut Current, descriptor: Fd) -> Answer {
    let number = u32::try_from(descriptor.0).map_err(|_| Errno::EBADF)?;
    let closed = current.task.files().edit(|table| table.close(number))?;
    files::closed(&current.task, closed);
    Ok(0)
}

/// close_range(2).
pub fn close_range(current: &mut Current, first: u32, last: u32, flags: u32) -> Answer {
    if first > last || flags & !(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let task = &current.task;
    if flags & CLOSE_RANGE_UNSHARE != 0 {
        let copy = task.files().copy()?;
        task.replace_files(copy);
    }
    if flags & CLOSE_RANGE_CLOEXEC != 0 {
        task.files().edit(|table| table.mark_range(first, last));
        return Ok(0);
    }
    loop {
        let closed: Closed = task.files().edit(|table| table.close_range(first, last));
        if closed.is_empty() {
            return Ok(0);
        }
        closed.into_iter().for_each(|open| files::closed(task, open));
    }
}

/// dup(2).
pub fn dup(current: &mut Current, descriptor: Fd) -> Answer {
    duplicate(&current.task, descriptor, 0, false)
}

/// dup2(2).
pub fn dup2(current: &mut Current, from: Fd, to: Fd) -> Answer {
    if from == to {
        current.task.files().get(from.0)?;
        return Ok(u64::from(to.0.cast_unsigned()));
    }
    duplicate_to(&current.task, from, to, false)
}

/// dup3(2).
pub fn dup3(current: &mut Current, from: Fd, to: Fd, flags: u32) -> Answer {
    if from == to || flags & !general::O_CLOEXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    duplicate_to(&current.task, from, to, flags & general::O_CLOEXEC != 0)
}

fn duplicate(task: &Task, descriptor: Fd, from: u32, close_on_exec: bool) -> Answer {
    let number = u32::try_from(descriptor.0).map_err(|_| Errno::EBADF)?;
    let limit = task.descriptor_limit();
    Ok(task.files().edit(|table| table.duplicate(number, from, close_on_exec, limit))?.into())
}

fn duplicate_to(task: &Task, from: Fd, to: Fd, close_on_exec: bool) -> Answer {
    let number = |descriptor: Fd| u32::try_from(descriptor.0).map_err(|_| Errno::EBADF);
    let (from, to) = (number(from)?, number(to)?);
    let limit = task.descriptor_limit();
    let replaced = task.files().edit(|table| table.duplicate_to(from, to, close_on_exec, limit))?;
    if let Some(replaced) = replaced {
        files::closed(task, replaced);
    }
    Ok(to.into())
}

/// pipe(2).
pub fn pipe(current: &mut Current, descriptors: UserPtr<[u8; 8]>) -> Answer {
    pipe2(current, descriptors, 0)
}

/// pipe2(2).
pub fn pipe2(current: &mut Current, descriptors: UserPtr<[u8; 8]>, flags: u32) -> Answer {
    if flags & !(general::O_CLOEXEC | general::O_NONBLOCK | general::O_DIRECT) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let task = &current.task;
    let (reader, writer) = Pipe::pair();
    let place = files::pipe_place(task);
    // Whoever opens /proc/PID/fd/N finds the pipe again by its place.
    if let Some(anchor) = place.inode().anchor() {
        anchor.get_or_set(|| reader.pipe().clone());
    }
    let status = StatusFlags::from_bits_truncate(flags & general::O_NONBLOCK);
    // What is read is a packet or not by how it was written.
    let packets = StatusFlags::from_bits_truncate(flags & general::O_DIRECT);
    let files = [
        OpenFile::new(reader, place.clone(), Access::READ, status),
        OpenFile::new(writer, place, Access::WRITE, status | packets),
    ];
    add_pair(task, files, flags & general::O_CLOEXEC != 0, descriptors)
}

/// Gives two open files descriptors, and tells the program which.
pub fn add_pair(
    task: &Task,
    [first, second]: [Arc<OpenFile>; 2],
    close_on_exec: bool,
    descriptors: UserPtr<[u8; 8]>,
) -> Answer {
    let first = task.add_descriptor(first, close_on_exec)?;
    let close = |number: u64| {
        let closed = task.files().edit(|table| table.close(u32::try_from(number).unwrap_or(u32::MAX)));
        drop(closed);
    };
    let second = match task.add_descriptor(second, close_on_exec) {
        Ok(second) => second,
        Err(error) => {
            close(first);
            return Err(error.into());
        }
    };
    let both = first | second << 32;
    if let Err(error) = descriptors.write(task, &both.to_le_bytes()) {
        close(first);
        close(second);
        return Err(error.into());
    }
    Ok(0)
}

/// fcntl(2).
pub fn fcntl(current: &mut Current, descriptor: Fd, command: u32, argument: u64) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    let number = descriptor.0.cast_unsigned();
    let low = u32::try_from(argument & u64::from(u32::MAX)).unwrap_or(0);
    let is_pathless = matches!(
        command,
        general::F_DUPFD | general::F_DUPFD_CLOEXEC | general::F_GETFD | general::F_SETFD | general::F_GETFL
    );
    if open.is_path_only() && !is_pathless {
        return Err(Errno::EBADF.into());
    }
    match command {
        general::F_DUPFD => duplicate_from(task, descriptor, low, false),
        general::F_DUPFD_CLOEXEC => duplicate_from(task, descriptor, low, true),
        general::F_GETFD => {
            let is_closed = task.files().edit(|table| table.get(number).map(|found| found.close_on_exec))?;
            Ok(is_closed.into())
        }
        general::F_SETFD => {
            let closes = low & general::FD_CLOEXEC != 0;
            task.files().edit(|table| table.set_close_on_exec(number, closes))?;
            Ok(0)
        }
        general::F_GETFL => Ok(open.status().into()),
        general::F_SETFL => {
            open.set_status(low);
            Ok(0)
        }
        general::F_GETPIPE_SZ | general::F_SETPIPE_SZ => pipe_size(task, &open, command, low),
        general::F_GETLK | general::F_SETLK | general::F_SETLKW => files::record_lock(task, &open, command, argument),
        general::F_OFD_GETLK | general::F_OFD_SETLK | general::F_OFD_SETLKW => {
            files::record_lock(task, &open, command, argument)
        }
        general::F_GETOWN => Ok(0),
        // No file can be sealed: see `files::make_nameless`.
        general::F_GET_SEALS if files::is_nameless(&open) => Ok(general::F_SEAL_SEAL.into()),
        general::F_ADD_SEALS if files::is_nameless(&open) => Err(Errno::EPERM.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn duplicate_from(task: &Task, descriptor: Fd, from: u32, close_on_exec: bool) -> Answer {
    if from >= task.descriptor_limit() {
        return Err(Errno::EINVAL.into());
    }
    duplicate(task, descriptor, from, close_on_exec)
}

fn pipe_size(task: &Task, open: &OpenFile, command: u32, wanted: u32) -> Answer {
    let file: &dyn core::any::Any = &**open.file();
    let end = file.downcast_ref::<End>().ok_or(Errno::EBADF)?;
    if command == general::F_GETPIPE_SZ {
        return Ok(end.capacity() as u64);
    }
    let wanted = usize::try_from(wanted).map_err(|_| Errno::EINVAL)?;
    Ok(end.set_capacity(wanted, task.credentials().is_privileged())? as u64)
}

/// ioctl(2).
pub fn ioctl(current: &mut Current, descriptor: Fd, request: u32, argument: u64) -> Answer {
    let task = current.task.clone();
    let open = task.files().get(descriptor.0)?;
    if open.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    let number = descriptor.0.cast_unsigned();
    match request {
        ioctl::FIOCLEX | ioctl::FIONCLEX => {
            task.files().edit(|table| table.set_close_on_exec(number, request == ioctl::FIOCLEX))?;
            Ok(0)
        }
        ioctl::FIONBIO => {
            let on = UserPtr::<i32>::new(argument).read(&task)? != 0;
            let status = open.status() & !general::O_NONBLOCK;
            open.set_status(if on { status | general::O_NONBLOCK } else { status });
            Ok(0)
        }
        _ => super::terminal::control(&task, &open, request, argument),
    }
}

/// flock(2).
pub fn flock(current: &mut Current, descriptor: Fd, operation: u32) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    files::whole_file_lock(&current.task, &open, operation)
}
