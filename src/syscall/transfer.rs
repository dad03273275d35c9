//! Bytes to and from files: read(2), write(2) and their kin.
//!
//! Bytes go through a buffer of the kernel's, a piece at a time. What was transferred before an error or a signal is the answer.

use super::arguments::{Argument, Fd, Registers, UserBuffer, UserPtr, zeroed};
use super::blocking::{Waiting, claim, claim_both, turn_to_write};
use super::messages;
use super::terminal::{self, check_read, check_write};
use crate::proc::process::with_tree;
use crate::proc::process::{Answer, Current, Stop, Task, post};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use linux_raw_sys::general;
use logic::errno::Errno;
use logic::fs::attributes::FileKind;
use logic::fs::credentials::Access;
use logic::fs::open_file::{OpenFile, PositionClaim, Seek, StatusFlags};
use logic::ipc::unix::{Kind, Passed};
use logic::process::Resource;
use logic::signal::{Signal, SignalInfo};

/// Bytes of a page.
const PAGE_BYTES: usize = 4096;
/// Bytes of a piece.
pub const PIECE: usize = 64 * 1024;
/// Bytes that one call transfers at most: Linux's `MAX_RW_COUNT`.
pub const MOST: usize = 0x7fff_f000;
/// Buffers of readv(2).
const MOST_BUFFERS: usize = general::UIO_MAXIOV as usize;

/// Where a transfer begins.
#[derive(Clone, Copy)]
pub enum From {
    /// At the file's position, if it has one.
    Position,
    /// Here.
    Offset(u64),
}

/// read(2).
pub fn read(current: &mut Current, descriptor: Fd, buffer: UserBuffer) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    read_into(&current.task, &open, &[buffer], From::Position)
}

/// pread64(2).
pub fn pread(current: &mut Current, descriptor: Fd, buffer: UserBuffer, offset: i64) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    read_into(&current.task, &open, &[buffer], within(offset, buffer)?)
}

/// readv(2).
pub fn readv(current: &mut Current, descriptor: Fd, buffers: UserPtr<u64>, count: usize) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    let buffers = buffers_at(&current.task, buffers, count)?;
    read_into(&current.task, &open, &buffers, From::Position)
}

/// preadv(2).
pub fn preadv(current: &mut Current, descriptor: Fd, buffers: UserPtr<u64>, count: usize, offset: i64) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    let buffers = buffers_at(&current.task, buffers, count)?;
    read_into(&current.task, &open, &buffers, at(offset)?)
}

/// write(2).
pub fn write(current: &mut Current, descriptor: Fd, buffer: UserBuffer) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    write_from(&current.task, &open, &[buffer], From::Position)
}

/// pwrite64(2).
pub fn pwrite(current: &mut Current, descriptor: Fd, buffer: UserBuffer, offset: i64) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    write_from(&current.task, &open, &[buffer], within(offset, buffer)?)
}

/// writev(2).
pub fn writev(current: &mut Current, descriptor: Fd, buffers: UserPtr<u64>, count: usize) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    let buffers = buffers_at(&current.task, buffers, count)?;
    write_from(&current.task, &open, &buffers, From::Position)
}

/// pwritev(2).
pub fn pwritev(current: &mut Current, descriptor: Fd, buffers: UserPtr<u64>, count: usize, offset: i64) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    let buffers = buffers_at(&current.task, buffers, count)?;
    write_from(&current.task, &open, &buffers, at(offset)?)
}

fn at(offset: i64) -> Result<From, Errno> {
    u64::try_from(offset).map(From::Offset).map_err(|_| Errno::EINVAL)
}

/// The same for as many bytes as a buffer has: the end, too, must be an offset.
fn within(offset: i64, buffer: UserBuffer) -> Result<From, Errno> {
    let length = i64::try_from(buffer.length.min(MOST)).map_err(|_| Errno::EINVAL)?;
    offset.checked_add(length).ok_or(Errno::EINVAL)?;
    at(offset)
}

/// The buffers that an array of `struct iovec` names.
pub fn buffers_at(task: &Task, array: UserPtr<u64>, count: usize) -> Result<Vec<UserBuffer>, Errno> {
    if count > MOST_BUFFERS {
        return Err(Errno::EINVAL);
    }
    let bytes = UserBuffer { address: array.address(), length: count * 16 }.read(task, MOST_BUFFERS * 16)?;
    let mut buffers = Vec::new();
    buffers.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    let mut total = 0usize;
    for words in bytes.as_chunks::<16>().0 {
        let word = |half: usize| u64::from_le_bytes(core::array::from_fn(|index| words[half * 8 + index]));
        let pair = [word(0), word(1), 0, 0, 0, 0];
        let buffer = UserBuffer::take(&mut Registers::new(&pair))?;
        if i64::try_from(buffer.length).is_err() {
            return Err(Errno::EINVAL);
        }
        total = total.checked_add(buffer.length).ok_or(Errno::EINVAL)?;
        buffers.push(buffer);
    }
    if i64::try_from(total).is_err() { Err(Errno::EINVAL) } else { Ok(buffers) }
}

fn read_into(task: &Arc<Task>, open: &OpenFile, buffers: &[UserBuffer], from: From) -> Answer {
    let mut claimed = match from {
        From::Position if open.has_position() => Some(claim(task, open)?),
        _ => None,
    };
    check_read(task, open)?;
    let mut piece = Vec::new();
    let mut total = 0usize;
    let mut has_read = false;
    for buffer in buffers {
        let mut done = 0;
        while done < buffer.length || !has_read {
            let wanted = (buffer.length - done).min(PIECE).min(MOST - total);
            if piece.len() < wanted {
                piece = zeroed(wanted)?;
            }
            let bytes = piece.get_mut(..wanted).unwrap_or_default();
            let got = match (&mut claimed, from) {
                (Some(claim), _) => claim.read(bytes).map_err(Stop::from),
                (None, From::Offset(offset)) => {
                    open.read_at(offset.saturating_add(total as u64), bytes).map_err(Stop::from)
                }
                // Only the first piece is waited for.
                (None, From::Position) => read_stream(task, open, total > 0, bytes),
            };
            has_read = true;
            let count = match got {
                Ok(count) => count,
                Err(_) if total > 0 => return Ok(total as u64),
                Err(stop) => return Err(stop),
            };
            let address = buffer.part(done, count).address;
            let copied = match copy_out(task, address, bytes.get(..count).unwrap_or_default()) {
                Ok(copied) => copied,
                Err(error) if total == 0 => return Err(error.into()),
                Err(_) => 0,
            };
            if copied < count {
                if let Some(claim) = &mut claimed {
                    // What the program did not get has not been read.
                    let position = claim.value().saturating_sub((count - copied) as u64);
                    claim.seek(Seek::Set(i64::try_from(position).unwrap_or(i64::MAX)))?;
                }
                return Ok((total + copied) as u64);
            }
            done += count;
            total += count;
            if count < wanted || total == MOST || wanted == 0 {
                return Ok(total as u64);
            }
        }
    }
    Ok(total as u64)
}

/// Reads what has no position.
///
/// # Errors
/// As read(2).
pub fn read_stream(task: &Task, open: &OpenFile, never_waits: bool, bytes: &mut [u8]) -> Result<usize, Stop> {
    match open.file().terminal() {
        Some(terminal) if !never_waits && !open.flags().contains(StatusFlags::NONBLOCK) => {
            terminal::read(task, open, terminal, bytes)
        }
        _ => Waiting::to_read(task, open).on(open, never_waits, || open.read(bytes)),
    }
}

fn write_from(task: &Arc<Task>, open: &OpenFile, buffers: &[UserBuffer], from: From) -> Answer {
    let mut claimed = match from {
        From::Position if open.has_position() => Some(claim(task, open)?),
        _ => None,
    };
    check_write(task, open)?;
    let _turn = turn_to_write(task, open)?;
    let mut total = 0usize;
    let mut has_written = false;
    let mut piece = Vec::new();
    for buffer in buffers {
        let mut done = 0;
        while done < buffer.length || !has_written {
            let wanted = (buffer.length - done).min(PIECE).min(MOST - total);
            if piece.len() < wanted {
                piece = zeroed(wanted)?;
            }
            let bytes = piece.get_mut(..wanted).unwrap_or_default();
            has_written = true;
            let step = copy_in(task, buffer.part(done, wanted).address, bytes).map_err(Stop::from).and_then(|count| {
                write_in_turn(task, open, &mut claimed, from, total, bytes.get(..count).unwrap_or_default())
            });
            let count = match step {
                Ok(count) => count,
                Err(_) if total > 0 => return Ok(total as u64),
                Err(Stop::Failed(Errno::EPIPE)) => {
                    // As send(2), which has no signal for messages.
                    if open.socket().is_none_or(|socket| socket.kind() == Kind::Stream) {
                        tell_of_broken_pipe(task);
                    }
                    return Err(Errno::EPIPE.into());
                }
                Err(stop) => return Err(stop),
            };
            done += count;
            total += count;
            if total == MOST || wanted == 0 || (count < wanted && claimed.is_some()) {
                return Ok(total as u64);
            }
        }
    }
    Ok(total as u64)
}

/// Copies to the program as much as it has memory for, from the beginning.
///
/// # Errors
/// Why nothing can be copied.
pub fn copy_out(task: &Task, address: u64, bytes: &[u8]) -> Result<usize, Errno> {
    page_by_page(address, bytes.len(), |at, range| task.write(at, bytes.get(range).unwrap_or_default()))
}

/// Copies from the program as much as it has, from the beginning.
///
/// # Errors
/// Why nothing can be copied.
pub fn copy_in(task: &Task, address: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
    page_by_page(address, bytes.len(), |at, range| task.read(at, bytes.get_mut(range).unwrap_or_default()))
}

/// Has `copy` copy all at once, or else page by page until one cannot be copied; how much that was.
fn page_by_page(
    address: u64,
    length: usize,
    mut copy: impl FnMut(u64, Range<usize>) -> Result<(), Errno>,
) -> Result<usize, Errno> {
    if copy(address, 0..length).is_ok() {
        return Ok(length);
    }
    let mut done = 0;
    while done < length {
        let at = address.wrapping_add(done as u64);
        let to_page_end = PAGE_BYTES - (at % PAGE_BYTES as u64) as usize;
        let end = length.min(done + to_page_end);
        match copy(at, done..end) {
            Ok(()) => done = end,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Writes a piece; of what has no position all of it, unless it must not wait. From an offset, `done` bytes have been written.
///
/// # Errors
/// As write(2); of [`Errno::EPIPE`] the caller [tells](tell_of_broken_pipe).
pub fn write_piece(
    task: &Task,
    open: &OpenFile,
    claimed: &mut Option<PositionClaim<'_>>,
    from: From,
    done: usize,
    bytes: &[u8],
) -> Result<usize, Stop> {
    let _turn = turn_to_write(task, open)?;
    write_in_turn(task, open, claimed, from, done, bytes)
}

/// The same for who has the turn, if there are turns.
fn write_in_turn(
    task: &Task,
    open: &OpenFile,
    claimed: &mut Option<PositionClaim<'_>>,
    from: From,
    done: usize,
    bytes: &[u8],
) -> Result<usize, Stop> {
    match (claimed, from) {
        (Some(claim), _) => {
            let room = room_in_file(task, open, claim.value(), bytes.len())?;
            Ok(claim.write(bytes.get(..room).unwrap_or_default())?)
        }
        (None, From::Offset(offset)) => {
            let offset = offset.saturating_add(done as u64);
            let room = room_in_file(task, open, offset, bytes.len())?;
            Ok(open.write_at(offset, bytes.get(..room).unwrap_or_default())?)
        }
        (None, From::Position) => Waiting::to_write(task, open).on(open, false, || match open.socket() {
            Some(socket) => messages::write(task, socket, bytes),
            None => open.write(bytes),
        }),
    }
}

/// Whether `RLIMIT_FSIZE` lets a file have this size; if not, SIGXFSZ.
///
/// # Errors
/// [`Errno::EFBIG`].
pub fn check_file_size(task: &Task, size: u64) -> Result<(), Errno> {
    if size <= task.process.limit(Resource::FileSize) {
        return Ok(());
    }
    send_to_itself(task, Signal::SIGXFSZ);
    Err(Errno::EFBIG)
}

/// How much of a write `RLIMIT_FSIZE` lets through.
fn room_in_file(task: &Task, open: &OpenFile, position: u64, wanted: usize) -> Result<usize, Stop> {
    let limit = task.process.limit(Resource::FileSize);
    if limit == u64::MAX || !open.has_position() {
        return Ok(wanted);
    }
    match limit.saturating_sub(position) {
        0 if wanted > 0 => {
            send_to_itself(task, Signal::SIGXFSZ);
            Err(Errno::EFBIG.into())
        }
        room => Ok(usize::try_from(room).unwrap_or(usize::MAX).min(wanted)),
    }
}

/// Nobody reads what was to be written: SIGPIPE.
pub fn tell_of_broken_pipe(task: &Task) {
    send_to_itself(task, Signal::SIGPIPE);
}

fn send_to_itself(task: &Task, signal: Signal) {
    // The kernel's own signals have always room.
    with_tree(|tree| {
        let _ = post(tree, task.process.id, SignalInfo::kernel(signal));
    });
}

/// lseek(2).
pub fn lseek(current: &mut Current, descriptor: Fd, offset: i64, whence: u32) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    let seek = Seek::new(whence, offset)?;
    if !open.has_position() {
        return match open.place().inode().kind() {
            _ if open.is_path_only() => Err(Errno::EBADF.into()),
            // Linux lets events be sought, without effect.
            FileKind::Regular => Ok(0),
            _ => Err(Errno::ESPIPE.into()),
        };
    }
    Ok(claim(&current.task, &open)?.seek(seek)?)
}

/// sendfile(2), through a buffer: from a file with a position to anything.
pub fn sendfile(current: &mut Current, to: Fd, from: Fd, offset: UserPtr<u64>, count: usize) -> Answer {
    let task = &current.task;
    let (source, target) = (task.files().get(from.0)?, task.files().get(to.0)?);
    if !source.access().contains(Access::READ) || !target.access().contains(Access::WRITE) {
        return Err(Errno::EBADF.into());
    }
    if !source.has_position() {
        return Err(if offset.is_null() { Errno::EINVAL } else { Errno::ESPIPE }.into());
    }
    if target.flags().contains(StatusFlags::APPEND) {
        return Err(Errno::EINVAL.into());
    }
    let given = match offset.non_null() {
        Some(offset) => Some(i64::try_from(offset.read(task)?).map_err(|_| Errno::EINVAL)?.cast_unsigned()),
        None => None,
    };
    let (mut claimed, mut target_claim) = match (given, target.has_position()) {
        (Some(_), true) => (None, Some(claim(task, &target)?)),
        (Some(_), false) => (None, None),
        (None, false) => (Some(claim(task, &source)?), None),
        (None, true) => {
            let (first, second) = claim_both(task, &source, &target)?;
            (Some(first), second)
        }
    };
    let start = given.or(claimed.as_ref().map(|claim| claim.value())).unwrap_or(0);
    // What is its own source is written where it is read.
    let target_start = target_claim.as_ref().map_or(start, |claim| claim.value());
    let from = if target.has_position() { From::Offset(target_start) } else { From::Position };
    let mut piece = zeroed(PIECE.min(count))?;
    let mut total = 0usize;
    let outcome = loop {
        let wanted = piece.len().min(count.min(MOST) - total);
        if wanted == 0 {
            break Ok(());
        }
        let bytes = piece.get_mut(..wanted).unwrap_or_default();
        let got = match source.read_at(start.saturating_add(total as u64), bytes) {
            Ok(0) => break Ok(()),
            Ok(got) => got,
            Err(error) => break Err(Stop::from(error)),
        };
        let bytes = bytes.get(..got).unwrap_or_default();
        match write_piece(task, &target, &mut None, from, total, bytes) {
            Ok(written) => {
                total += written;
                // A file that grows by what is read from it has no end.
                if written < got || task.wants_attention() {
                    break Ok(());
                }
            }
            Err(stop) => break Err(stop),
        }
    };
    for (claim, start) in [(&mut claimed, start), (&mut target_claim, target_start)] {
        if let Some(claim) = claim {
            let end = start.saturating_add(total as u64);
            let _ = claim.seek(Seek::Set(i64::try_from(end).unwrap_or(i64::MAX)));
        }
    }
    offset.write_if_any(task, &start.saturating_add(total as u64))?;
    match outcome {
        Err(Stop::Failed(Errno::EPIPE)) if total == 0 => {
            tell_of_broken_pipe(task);
            Err(Errno::EPIPE.into())
        }
        Err(stop) if total == 0 => Err(stop),
        _ => Ok(total as u64),
    }
}
