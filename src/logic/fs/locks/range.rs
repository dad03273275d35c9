//! Ranges of a file as fcntl(2) gives them, and sets of them that are split and merged.

use crate::errno::Errno;
use alloc::vec::Vec;
use linux_raw_sys::general;

/// What a lock forbids others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// To write: others may have the same.
    Shared,
    /// Everything.
    Exclusive,
}

/// Bytes of a file; both ends are included, and [`END`] means for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockRange {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// The last byte that a file can have.
pub const END: u64 = i64::MAX as u64;

impl LockRange {
    /// All of a file.
    pub const ALL: Self = Self { first: 0, last: END };

    /// As `struct flock` has it: `length` bytes from `start` on, counted from `base`; 0 means to the end, and negative ones lie
    /// before the start.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] before the file's start, [`Errno::EOVERFLOW`] beyond all files' ends.
    pub fn new(base: u64, start: i64, length: i64) -> Result<Self, Errno> {
        let base = i64::try_from(base).map_err(|_| Errno::EOVERFLOW)?;
        let start = base.checked_add(start).ok_or(Errno::EOVERFLOW)?;
        let (first, last) = match length {
            0 => (start, i64::MAX),
            1.. => (start, start.checked_add(length - 1).ok_or(Errno::EOVERFLOW)?),
            _ => (start.checked_add(length).ok_or(Errno::EINVAL)?, start.checked_sub(1).ok_or(Errno::EINVAL)?),
        };
        let unsigned = |value: i64| u64::try_from(value).map_err(|_| Errno::EINVAL);
        Ok(Self { first: unsigned(first)?, last: unsigned(last)? })
    }

    /// `l_len` of `struct flock`, with `l_start` counted from the file's start.
    pub const fn length(&self) -> u64 {
        if self.last == END { 0 } else { self.last - self.first + 1 }
    }

    /// Whether they have a byte in common.
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl LockKind {
    /// `l_type` of `struct flock`.
    pub const fn number(self) -> u32 {
        match self {
            Self::Shared => general::F_RDLCK,
            Self::Exclusive => general::F_WRLCK,
        }
    }

    /// Whether two of these exclude each other.
    pub fn excludes(self, other: Self) -> bool {
        self == Self::Exclusive || other == Self::Exclusive
    }
}

/// Gives `range` of one owner's ranges the kind `kind`, or none: what was there is split, and neighbours of a kind become one. The
/// ranges are in order, and none overlap.
///
/// # Errors
/// [`Errno::ENOLCK`] if there would be more than `most`, or memory has no room; then nothing has changed.
pub fn set(
    ranges: &mut Vec<(LockRange, LockKind)>,
    range: LockRange,
    kind: Option<LockKind>,
    most: usize,
) -> Result<(), Errno> {
    // At worst one is cut in two, and one comes.
    let mut result: Vec<(LockRange, LockKind)> = Vec::new();
    result.try_reserve_exact(ranges.len() + 2).map_err(|_| Errno::ENOLCK)?;
    let before =
        |of: &LockRange| range.first.checked_sub(1).map(|last| LockRange { first: of.first, last: of.last.min(last) });
    let after = |of: &LockRange| {
        let first = of.first.max(range.last.saturating_add(1));
        LockRange { first, last: of.last }
    };
    let pieces = |part: &dyn Fn(&LockRange) -> Option<LockRange>, result: &mut Vec<(LockRange, LockKind)>| {
        for (old, old_kind) in ranges.iter() {
            if let Some(piece) = part(old).filter(|piece| piece.first <= piece.last) {
                push(result, piece, *old_kind);
            }
        }
    };
    pieces(&|old| before(old), &mut result);
    if let Some(kind) = kind {
        push(&mut result, range, kind);
    }
    pieces(&|old| Some(after(old)), &mut result);
    if result.len() > most.max(ranges.len()) {
        return Err(Errno::ENOLCK);
    }
    *ranges = result;
    Ok(())
}

/// Adds a range behind all others, to the last if they are neighbours of a kind.
fn push(ranges: &mut Vec<(LockRange, LockKind)>, range: LockRange, kind: LockKind) {
    match ranges.last_mut() {
        Some((last, last_kind)) if *last_kind == kind && last.last.saturating_add(1) == range.first => {
            last.last = range.last
        }
        _ => ranges.push((range, kind)),
    }
}
