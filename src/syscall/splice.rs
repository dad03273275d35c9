//! Bytes from one file to another within the kernel: copy_file_range(2).
//!
//! They go through a buffer of the kernel's, a piece at a time: no page is ever shared between files.

use super::arguments::{Fd, UserPtr, zeroed};
use super::blocking::claim;
use super::transfer::{From, MOST, PIECE, write_piece};
use crate::proc::process::{Answer, Current, Stop, Task};
use logic::errno::Errno;
use logic::fs::copy_range;
use logic::fs::open_file::{OpenFile, PositionClaim, Seek};

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
        (None, None) if source.number() == target.number() => {
            // One position for both ends: the ranges are the same.
            let position = claim(task, &source)?.value();
            return Ok(copy_range::check(&source, position, &target, position, count as u64)?);
        }
        // Two calls that copy in opposite directions must not wait for each other.
        (None, None) if source.number() < target.number() => {
            let start = Start::of(task, &source)?;
            (start, Start::of(task, &target)?)
        }
        (None, None) => {
            let target_start = Start::of(task, &target)?;
            (Start::of(task, &source)?, target_start)
        }
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
