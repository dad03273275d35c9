//! Bytes to and from files: read(2), write(2) and their kin.
//!
//! Bytes go through a buffer of the kernel's, a piece at a time. What was transferred before an error or a signal is the answer.

use super::arguments::{Argument, Fd, Registers, UserBuffer, UserPtr, zeroed};
use super::blocking::{Waiting, claim, claim_both, turn_to_write};
use super::messages;
use super::terminal::{self, check_read, check_write};
use super::vectors::{gather_some, scatter_some, total};
use crate::proc::process::with_tree;
use crate::proc::process::{Answer, Current, Stop, Task, post};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Range;
use linux_raw_sys::general;
use logic::errno::Errno;
use logic::fs::attributes::FileKind;
use logic::fs::credentials::Access;
use logic::fs::open_file::{OpenFile, PositionClaim, Seek, StatusFlags};
use logic::ipc::pipe::{End, PIPE_BUF};
use logic::ipc::unix::{Kind, Passed, Socket};
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
    if total(&buffers) == 0 {
        return nothing(&open, Access::READ);
    }
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
    if total(&buffers) == 0 {
        return nothing(&open, Access::WRITE);
    }
    write_from(&current.task, &open, &buffers, From::Position)
}

/// pwritev(2).
pub fn pwritev(current: &mut Current, descriptor: Fd, buffers: UserPtr<u64>, count: usize, offset: i64) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    let buffers = buffers_at(&current.task, buffers, count)?;
    write_from(&current.task, &open, &buffers, at(offset)?)
}

/// Buffers without room: unlike read(2) and write(2), the file does not hear of it.
fn nothing(open: &OpenFile, wanted: Access) -> Answer {
    if open.is_path_only() || !open.access().contains(wanted) { Err(Errno::EBADF.into()) } else { Ok(0) }
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

/// The position, if the transfer begins there and the file has one.
fn claim_for<'a>(task: &Task, open: &'a OpenFile, from: From) -> Result<Option<PositionClaim<'a>>, Stop> {
    match from {
        From::Position if open.has_position() => claim(task, open).map(Some),
        _ => Ok(None),
    }
}

/// Reads as if `buffers` were one: what has no position has packets, messages or lines, of which one read gets one.
fn read_into(task: &Arc<Task>, open: &OpenFile, buffers: &[UserBuffer], from: From) -> Answer {
    if let (From::Position, Some(socket)) = (from, message_socket(open)) {
        return messages::read_message(task, open, socket, buffers);
    }
    let mut claimed = claim_for(task, open, from)?;
    check_read(task, open)?;
    let room = total(buffers).min(MOST);
    let mut piece = zeroed(room.min(PIECE))?;
    let mut done = 0usize;
    loop {
        let wanted = piece.len().min(room - done);
        let bytes = piece.get_mut(..wanted).unwrap_or_default();
        let got = match (&mut claimed, from) {
            (Some(claim), _) => claim.read(bytes).map_err(Stop::from),
            (None, From::Offset(offset)) => open.read_at(offset.saturating_add(done as u64), bytes).map_err(Stop::from),
            // Only the first piece is waited for.
            (None, From::Position) => read_stream(task, open, done > 0, bytes),
        };
        let count = match got {
            Ok(count) => count,
            Err(_) if done > 0 => return Ok(done as u64),
            Err(stop) => return Err(stop),
        };
        let copied = match scatter_some(task, buffers, done, bytes.get(..count).unwrap_or_default()) {
            Ok(copied) => copied,
            Err(error) if done == 0 => return Err(error.into()),
            Err(_) => 0,
        };
        done += copied;
        if copied < count
            && let Some(claim) = &mut claimed
        {
            // What the program did not get has not been read.
            let position = claim.value().saturating_sub((count - copied) as u64);
            claim.seek(Seek::Set(i64::try_from(position).unwrap_or(i64::MAX)))?;
        }
        if copied < wanted || done == room {
            return Ok(done as u64);
        }
    }
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

/// Writes as if `buffers` were one: as one message, or, if it is no more than a piece, at once.
fn write_from(task: &Arc<Task>, open: &OpenFile, buffers: &[UserBuffer], from: From) -> Answer {
    if matches!(from, From::Position) && message_socket(open).is_some() {
        return messages::write_message(task, open, buffers);
    }
    let mut claimed = claim_for(task, open, from)?;
    check_write(task, open)?;
    let _turn = turn_to_write(task, open)?;
    let room = total(buffers).min(MOST);
    let mut piece = zeroed(room.min(PIECE))?;
    let mut done = 0usize;
    loop {
        let wanted = piece.len().min(room - done);
        let bytes = piece.get_mut(..wanted).unwrap_or_default();
        let step = take_from(task, open, buffers, done, bytes).map_err(Stop::from).and_then(|count| {
            write_in_turn(task, open, &mut claimed, from, done, bytes.get(..count).unwrap_or_default())
        });
        let count = match step {
            Ok(count) => count,
            Err(_) if done > 0 => return Ok(done as u64),
            Err(stop) => {
                if stop == Stop::Failed(Errno::EPIPE) {
                    tell_of_broken_pipe(task, open);
                }
                return Err(stop);
            }
        };
        done += count;
        if done == room || (count < wanted && claimed.is_some()) {
            return Ok(done as u64);
        }
    }
}

/// What is to be written, as much as the program has memory for. What of a page (or packet) for a pipe is not all there is not
/// written at all, as in Linux.
fn take_from(
    task: &Task,
    open: &OpenFile,
    buffers: &[UserBuffer],
    start: usize,
    bytes: &mut [u8],
) -> Result<usize, Errno> {
    let count = gather_some(task, buffers, start, bytes)?;
    if count == bytes.len() || end_of(open).is_none() {
        return Ok(count);
    }
    match count - count % PIPE_BUF {
        0 => Err(Errno::EFAULT),
        whole => Ok(whole),
    }
}

/// The socket that an open file is, if that passes on messages.
fn message_socket(open: &OpenFile) -> Option<&Socket> {
    open.socket().filter(|socket| socket.kind() != Kind::Stream)
}

/// The end of a pipe that an open file is.
pub fn end_of(open: &OpenFile) -> Option<&End> {
    let file: &dyn Any = &**open.file();
    file.downcast_ref()
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

/// Nobody reads what was to be written to `open`: SIGPIPE, which there is not for messages.
pub fn tell_of_broken_pipe(task: &Task, open: &OpenFile) {
    if message_socket(open).is_none() {
        send_to_itself(task, Signal::SIGPIPE);
    }
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
            tell_of_broken_pipe(task, &target);
            Err(Errno::EPIPE.into())
        }
        Err(stop) if total == 0 => Err(stop),
        _ => Ok(total as u64),
    }
}
