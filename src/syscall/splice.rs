//! Bytes from one file to another within the kernel: copy_file_range(2), splice(2), tee(2), vmsplice(2).
//!
//! They go through a buffer of the kernel's, a piece at a time: no page is ever shared between files.

use super::arguments::{Fd, UserBuffer, UserPtr, zeroed};
use super::blocking::{Waiting, claim, claim_both};
use super::terminal::{check_read, check_write};
use super::transfer::{
    From, MOST, PIECE, buffers_at, copy_in, copy_out, end_of, read_stream, tell_of_broken_pipe, write_piece,
};
use crate::proc::process::{Answer, Current, Stop, Task};
use alloc::sync::Arc;
use core::ops::ControlFlow;
use logic::errno::Errno;
use logic::fs::attributes::FileKind;
use logic::fs::credentials::Access;
use logic::fs::open_file::{OpenFile, PositionClaim, Seek, StatusFlags};
use logic::fs::{File, copy_range};
use logic::ipc::pipe::splice::may_wait;
use logic::ipc::pipe::{End, Pipe};

/// Where a transfer begins in a file, and whose that is to say.
enum Start<'a> {
    /// The program's: it learns by the pointer where the transfer ended.
    Given(UserPtr<u64>, u64),
    /// The position of the open description, which moves on.
    Claimed(PositionClaim<'a>),
    /// There is none.
    Nowhere,
}

impl<'a> Start<'a> {
    /// Reads the offset, if the program passed one.
    fn given(task: &Task, offset: UserPtr<u64>) -> Result<Option<Self>, Errno> {
        offset.non_null().map(|pointer| Ok(Self::Given(pointer, pointer.read(task)?))).transpose()
    }

    /// Takes the position, if there is one.
    fn of(task: &Task, open: &'a OpenFile) -> Result<Self, Stop> {
        if open.has_position() { Ok(Self::Claimed(claim(task, open)?)) } else { Ok(Self::Nowhere) }
    }

    fn value(&self) -> u64 {
        match self {
            Self::Given(_, value) => *value,
            Self::Claimed(claim) => claim.value(),
            Self::Nowhere => 0,
        }
    }

    /// Says that so many bytes were transferred.
    fn advance(self, task: &Task, count: usize) -> Result<(), Errno> {
        let end = self.value().saturating_add(count as u64);
        match self {
            Self::Given(pointer, _) => pointer.write(task, &end),
            Self::Claimed(mut claim) => {
                claim.seek(Seek::Set(i64::try_from(end).unwrap_or(i64::MAX)))?;
                Ok(())
            }
            Self::Nowhere => Ok(()),
        }
    }
}

/// copy_file_range(2).
pub fn copy_file_range(
    current: &mut Current,
    from: Fd,
    offset: UserPtr<u64>,
    to: Fd,
    target_offset: UserPtr<u64>,
    count: usize,
    flags: u32,
) -> Answer {
    let task = &current.task;
    let (source, target) = (task.files().get(from.0)?, task.files().get(to.0)?);
    let (start, target_start) = (Start::given(task, offset)?, Start::given(task, target_offset)?);
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    // What can have no position is refused before one is asked for.
    copy_range::check(&source, 0, &target, 0, 0)?;
    let (start, target_start) = match (start, target_start) {
        (Some(start), Some(target_start)) => (start, target_start),
        (Some(start), None) => (start, Start::of(task, &target)?),
        (None, Some(target_start)) => (Start::of(task, &source)?, target_start),
        (None, None) => match claim_both(task, &source, &target)? {
            (start, Some(target_start)) => (Start::Claimed(start), Start::Claimed(target_start)),
            // One position for both ends: the ranges are the same.
            (start, None) => {
                return Ok(copy_range::check(&source, start.value(), &target, start.value(), count as u64)?);
            }
        },
    };
    let (first, target_first) = (start.value(), target_start.value());
    let count = copy_range::check(&source, first, &target, target_first, count as u64)?;
    let count = usize::try_from(count).unwrap_or(MOST).min(MOST);
    let (total, outcome) = copy(task, (&source, first), (&target, target_first), count)?;
    if total == 0 {
        outcome?;
        return Ok(0);
    }
    start.advance(task, total)?;
    target_start.advance(task, total)?;
    Ok(total as u64)
}

/// Copies from one position to another; how much that was, and why it is not all.
fn copy(
    task: &Task,
    (source, start): (&OpenFile, u64),
    (target, target_start): (&OpenFile, u64),
    count: usize,
) -> Result<(usize, Result<(), Stop>), Errno> {
    let mut piece = zeroed(PIECE.min(count))?;
    let mut total = 0;
    while total < count {
        let bytes = piece.get_mut(..PIECE.min(count - total)).unwrap_or_default();
        let got = match source.read_at(start.saturating_add(total as u64), bytes) {
            Ok(got) => got,
            Err(error) => return Ok((total, Err(error.into()))),
        };
        let bytes = bytes.get(..got).unwrap_or_default();
        let written = match write_piece(task, target, &mut None, From::Offset(target_start), total, bytes) {
            Ok(written) => written,
            Err(stop) => return Ok((total, Err(stop))),
        };
        total += written;
        // The source was cut off meanwhile, the target is full, or somebody wants the task to end.
        if got == 0 || written < got || task.wants_attention() {
            break;
        }
    }
    Ok((total, Ok(())))
}

/// Tries something with an end of a pipe, as long as it answers `EAGAIN` if the call may wait.
fn attempt<T>(task: &Task, end: &End, waits: bool, mut attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Stop> {
    match end.changes() {
        Some(queue) if waits => Waiting::new(task).until(queue, attempt),
        _ => Ok(attempt()?),
    }
}

/// What becomes of a call that moved `total` bytes to `target` and then stopped: only who moved nothing hears why.
fn answer(task: &Task, target: &OpenFile, total: usize, outcome: Result<(), Stop>) -> Answer {
    if outcome == Err(Stop::Failed(Errno::EPIPE)) {
        tell_of_broken_pipe(task, target);
    }
    match outcome {
        Err(stop) if total == 0 => Err(stop),
        _ => Ok(total as u64),
    }
}

/// splice(2).
pub fn splice(
    current: &mut Current,
    from: Fd,
    offset: UserPtr<u64>,
    to: Fd,
    target_offset: UserPtr<u64>,
    count: usize,
    flags: u32,
) -> Answer {
    let task = &current.task;
    if count == 0 {
        return Ok(0);
    }
    let waits = may_wait(flags)?;
    let count = count.min(MOST);
    let (source, target) = (task.files().get(from.0)?, task.files().get(to.0)?);
    check_open(&source, &target)?;
    let (input, output) = (end_of(&source), end_of(&target));
    if (input.is_some() && !offset.is_null()) || (output.is_some() && !target_offset.is_null()) {
        return Err(Errno::ESPIPE.into());
    }
    let is_nonblocking = |open: &OpenFile| open.flags().contains(StatusFlags::NONBLOCK);
    match (input, output) {
        (Some(input), Some(output)) => {
            let waits = waits && !is_nonblocking(&source) && !is_nonblocking(&target);
            between(task, input, (&target, output), count, waits, Keep::Not)
        }
        (Some(input), None) => {
            if target.flags().contains(StatusFlags::APPEND) {
                return Err(Errno::EINVAL.into());
            }
            let start = start_of(task, &target, target_offset)?;
            check_write(task, &target)?;
            from_pipe(task, input, &target, start, count, waits && !is_nonblocking(&source))
        }
        (None, Some(output)) => {
            let start = start_of(task, &source, offset)?;
            check_read(task, &source)?;
            to_pipe(task, &source, start, (&target, output), count, waits && !is_nonblocking(&target))
        }
        (None, None) => Err(Errno::EINVAL.into()),
    }
}

fn check_open(source: &OpenFile, target: &OpenFile) -> Result<(), Errno> {
    let is_open = |open: &OpenFile, access| !open.is_path_only() && open.access().contains(access);
    if is_open(source, Access::READ) && is_open(target, Access::WRITE) { Ok(()) } else { Err(Errno::EBADF) }
}

/// Where splice(2) begins in a file that is no pipe.
fn start_of<'a>(task: &Task, open: &'a OpenFile, offset: UserPtr<u64>) -> Result<Start<'a>, Stop> {
    let can = match open.place().inode().kind() {
        FileKind::Regular => open.has_position(),
        FileKind::CharacterDevice | FileKind::Socket => true,
        _ => false,
    };
    if !can {
        return Err(Errno::EINVAL.into());
    }
    match Start::given(task, offset)? {
        Some(start) if !open.has_position() || i64::try_from(start.value()).is_err() => Err(Errno::EINVAL.into()),
        Some(start) => Ok(start),
        None => Start::of(task, open),
    }
}

/// Whether bytes stay where they come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// tee(2).
    All,
    /// splice(2).
    Not,
}

/// From one pipe to another: waits for the first bytes and for room, and then takes what there is.
fn between(
    task: &Task,
    input: &End,
    (target, output): (&OpenFile, &End),
    count: usize,
    waits: bool,
    keep: Keep,
) -> Answer {
    if Arc::<Pipe>::ptr_eq(input.pipe(), output.pipe()) {
        return Err(Errno::EINVAL.into());
    }
    let mut total = 0;
    let mut piece = zeroed(PIECE.min(count))?;
    let mut step = |total: usize| -> Result<ControlFlow<(), usize>, Stop> {
        // Waits with no claim, so that nobody else has to.
        drop(attempt(task, input, waits && total == 0, || input.claim())?);
        let room = attempt(task, output, waits && total == 0, || output.room())?;
        let claim = match input.claim() {
            Err(Errno::EAGAIN) if total == 0 => return Ok(ControlFlow::Continue(0)),
            claim => claim?,
        };
        let bytes = piece.get_mut(..PIECE.min(count - total).min(room)).unwrap_or_default();
        let got = claim.peek(bytes);
        if got == 0 {
            return Ok(ControlFlow::Break(()));
        }
        match output.write(0, bytes.get(..got).unwrap_or_default()) {
            // Others were faster.
            Err(Errno::EAGAIN) if total == 0 => Ok(ControlFlow::Continue(0)),
            written => {
                let written = written?;
                if keep == Keep::Not {
                    claim.take(written);
                }
                Ok(ControlFlow::Continue(written))
            }
        }
    };
    let outcome = loop {
        match step(total) {
            Ok(ControlFlow::Continue(moved)) => total += moved,
            Ok(ControlFlow::Break(())) => break Ok(()),
            Err(stop) => break Err(stop),
        }
        // What stays would come again.
        if total == count || (total > 0 && (keep == Keep::All || task.wants_attention())) {
            break Ok(());
        }
    };
    answer(task, target, total, outcome)
}

/// From a pipe to a file: waits for the first bytes, and for the file as write(2) does.
fn from_pipe(task: &Task, input: &End, target: &OpenFile, start: Start<'_>, count: usize, waits: bool) -> Answer {
    let first = start.value();
    let from = if matches!(start, Start::Nowhere) { From::Position } else { From::Offset(first) };
    let mut total = 0;
    let mut piece = zeroed(PIECE.min(count))?;
    let mut step = |total: usize| -> Result<usize, Stop> {
        let claim = attempt(task, input, waits && total == 0, || input.claim())?;
        let bytes = piece.get_mut(..PIECE.min(count - total)).unwrap_or_default();
        let got = claim.peek(bytes);
        if got == 0 {
            return Ok(0);
        }
        let written = write_piece(task, target, &mut None, from, total, bytes.get(..got).unwrap_or_default())?;
        claim.take(written);
        Ok(written)
    };
    let outcome = loop {
        match step(total) {
            Ok(0) => break Ok(()),
            Ok(moved) => total += moved,
            Err(stop) => break Err(stop),
        }
        if total == count || task.wants_attention() {
            break Ok(());
        }
    };
    if total > 0 {
        start.advance(task, total)?;
    }
    answer(task, target, total, outcome)
}

/// From a file to a pipe: waits for room, and for the file as read(2) does; once.
fn to_pipe(
    task: &Task,
    source: &OpenFile,
    start: Start<'_>,
    (target, output): (&OpenFile, &End),
    count: usize,
    waits: bool,
) -> Answer {
    let mut total = 0;
    let mut piece = zeroed(PIECE.min(count))?;
    let mut step = |total: usize| -> Result<usize, Stop> {
        let room = attempt(task, output, waits && total == 0, || output.room())?;
        let bytes = piece.get_mut(..PIECE.min(count - total).min(room)).unwrap_or_default();
        let got = match start {
            Start::Nowhere => read_stream(task, source, false, bytes)?,
            _ => source.read_at(start.value().saturating_add(total as u64), bytes)?,
        };
        output.write_all(bytes.get(..got).unwrap_or_default())?;
        Ok(got)
    };
    let outcome = loop {
        match step(total) {
            Ok(0) => break Ok(()),
            Ok(moved) => total += moved,
            Err(stop) => break Err(stop),
        }
        // A second read of a stream might wait.
        if total == count || matches!(start, Start::Nowhere) || task.wants_attention() {
            break Ok(());
        }
    };
    if total > 0 {
        start.advance(task, total)?;
    }
    answer(task, target, total, outcome)
}

/// tee(2).
pub fn tee(current: &mut Current, from: Fd, to: Fd, count: usize, flags: u32) -> Answer {
    let task = &current.task;
    let waits = may_wait(flags)?;
    if count == 0 {
        return Ok(0);
    }
    let (source, target) = (task.files().get(from.0)?, task.files().get(to.0)?);
    check_open(&source, &target)?;
    let (Some(input), Some(output)) = (end_of(&source), end_of(&target)) else { return Err(Errno::EINVAL.into()) };
    let is_nonblocking = [&source, &target].iter().any(|open| open.flags().contains(StatusFlags::NONBLOCK));
    between(task, input, (&target, output), count.min(MOST), waits && !is_nonblocking, Keep::All)
}

/// vmsplice(2): to a pipe from the program's memory, or to there; by copying.
pub fn vmsplice(current: &mut Current, descriptor: Fd, buffers: UserPtr<u64>, count: usize, flags: u32) -> Answer {
    let task = &current.task;
    let waits = may_wait(flags)?;
    let open = task.files().get(descriptor.0)?;
    let end = end_of(&open).filter(|_| !open.is_path_only()).ok_or(Errno::EBADF)?;
    let buffers = buffers_at(task, buffers, count)?;
    let writes = open.access().contains(Access::WRITE);
    let mut piece = zeroed(PIECE)?;
    let mut total = 0;
    let mut outcome = Ok(());
    'all: for buffer in buffers {
        let mut done = 0;
        while done < buffer.length && total < MOST {
            let wanted = PIECE.min(buffer.length - done).min(MOST - total);
            let bytes = piece.get_mut(..wanted).unwrap_or_default();
            let part = buffer.part(done, wanted);
            let waits = waits && total == 0;
            let moved = if writes { give(task, end, part, bytes, waits) } else { fetch(task, end, part, bytes, waits) };
            match moved {
                Ok(moved) => {
                    (done, total) = (done + moved, total + moved);
                    if moved < wanted {
                        break 'all;
                    }
                }
                Err(stop) => {
                    outcome = Err(stop);
                    break 'all;
                }
            }
        }
    }
    answer(task, &open, total, outcome)
}

/// From memory to a pipe.
fn give(task: &Task, end: &End, part: UserBuffer, bytes: &mut [u8], waits: bool) -> Result<usize, Stop> {
    let room = attempt(task, end, waits, || end.room())?;
    let bytes = bytes.get_mut(..room.min(part.length)).unwrap_or_default();
    let count = copy_in(task, part.address, bytes)?;
    end.write_all(bytes.get(..count).unwrap_or_default())?;
    Ok(count)
}

/// From a pipe to memory.
fn fetch(task: &Task, end: &End, part: UserBuffer, bytes: &mut [u8], waits: bool) -> Result<usize, Stop> {
    let claim = attempt(task, end, waits, || end.claim())?;
    let got = claim.peek(bytes);
    let count = copy_out(task, part.address, bytes.get(..got).unwrap_or_default())?;
    claim.take(count);
    Ok(count)
}
