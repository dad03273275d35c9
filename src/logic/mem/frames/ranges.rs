//! The frames that the allocator was ever given, as ranges: sorted, disjoint, neighbours merged.

use super::AddError;
use crate::boot::memory_map::MAX_REGIONS;
use arrayvec::ArrayVec;
use core::ops::Range;

/// Ranges that can be remembered: those of a full memory map, and what is reclaimed later without touching any of them.
const MAX_RANGES: usize = MAX_REGIONS + 64;

/// Ranges of frame numbers.
pub(super) struct FrameRanges(ArrayVec<Range<u32>, MAX_RANGES>);

impl FrameRanges {
    pub(super) const fn new() -> Self {
        Self(ArrayVec::new_const())
    }

    /// Adds a range that overlaps none that is there. Nothing changes on an error.
    pub(super) fn insert(&mut self, range: Range<u32>) -> Result<(), AddError> {
        let at = self.0.partition_point(|other| other.end <= range.start);
        if self.0.get(at).is_some_and(|after| after.start < range.end) {
            return Err(AddError::Overlap);
        }
        let joins_before =
            at.checked_sub(1).filter(|before| self.0.get(*before).is_some_and(|it| it.end == range.start));
        let joins_after = self.0.get(at).is_some_and(|after| after.start == range.end);
        match (joins_before, joins_after) {
            (Some(before), true) => {
                let after = self.0.remove(at);
                self.0[before].end = after.end;
            }
            (Some(before), false) => self.0[before].end = range.end,
            (None, true) => self.0[at].start = range.start,
            (None, false) => self.0.try_insert(at, range).map_err(|_| AddError::TooManyRanges)?,
        }
        Ok(())
    }

    /// The parts of the ranges that lie in `bounds`, in rising order; never empty ones.
    pub(super) fn within(&self, bounds: Range<u32>) -> impl Iterator<Item = Range<u32>> + '_ {
        let first = self.0.partition_point(|range| range.end <= bounds.start);
        self.0.iter().skip(first).map(move |range| cut(range, &bounds)).take_while(|range| !range.is_empty())
    }
}

/// The part of `range` that lies in `bounds`.
pub(super) fn cut(range: &Range<u32>, bounds: &Range<u32>) -> Range<u32> {
    range.start.max(bounds.start)..range.end.min(bounds.end)
}
