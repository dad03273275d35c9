//! How many users each allocated frame has: shared by everybody, without the allocator's lock.
//!
//! A block is counted at its first frame. Allocating sets 1; the one whose [`RefCounts::release`] answers that it was the last
//! owns the frame alone, with a count of 0, and gives it back.

use super::MAX_SECTIONS;
use core::sync::atomic::{AtomicU32, Ordering};
use spin::Once;
use x86_64::structures::paging::PhysFrame;

/// Why a count cannot change: all but `Overflow` are bugs of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountError {
    /// The frame is not the allocator's, or has not been needed yet.
    NotOurs,
    /// The frame is in nobody's use.
    NotInUse,
    /// The frame has as many users as can be counted.
    Overflow,
}

/// The reference counts of all frames, by section. Sections appear in it as they wake.
pub struct RefCounts {
    /// Logarithm of the frames in a section; set before the first section wakes.
    section_shift: AtomicU32,
    sections: [Once<SectionCounts>; MAX_SECTIONS],
}

struct SectionCounts {
    first: u32,
    counts: &'static [AtomicU32],
}

impl RefCounts {
    /// Counts of no frames.
    pub const fn new() -> Self {
        Self { section_shift: AtomicU32::new(0), sections: [const { Once::new() }; MAX_SECTIONS] }
    }

    /// One user more.
    ///
    /// # Errors
    /// [`CountError`]; the count is as it was.
    pub fn share(&self, frame: PhysFrame) -> Result<(), CountError> {
        let add = |count: u32| if count == 0 { None } else { count.checked_add(1) };
        match self.of(frame)?.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => Ok(()),
            Err(0) => Err(CountError::NotInUse),
            Err(_) => Err(CountError::Overflow),
        }
    }

    /// One user less. Answers whether it was the last: then the frame is the caller's to give back.
    ///
    /// # Errors
    /// [`CountError`]: nobody uses the frame, as when it is released twice.
    pub fn release(&self, frame: PhysFrame) -> Result<bool, CountError> {
        // Release and acquire: what other users did to the frame happens before what its next owner does.
        let before = self
            .of(frame)?
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |count| count.checked_sub(1))
            .map_err(|_| CountError::NotInUse)?;
        Ok(before == 1)
    }

    /// Users of the frame; 0 for frames that are not the allocator's. Only a sole user can rely on the answer.
    pub fn count(&self, frame: PhysFrame) -> u32 {
        self.of(frame).map_or(0, |count| count.load(Ordering::Acquire))
    }

    /// Gives a frame that nobody uses its first user.
    ///
    /// # Errors
    /// [`CountError::NotOurs`].
    pub(super) fn set(&self, frame: PhysFrame, count: u32) -> Result<(), CountError> {
        self.of(frame)?.store(count, Ordering::Release);
        Ok(())
    }

    pub(super) fn set_section_shift(&self, shift: u32) {
        self.section_shift.store(shift, Ordering::Release);
    }

    /// Lets everybody see the counts of a section, whose first is that of frame `first`.
    pub(super) fn publish(&self, section: usize, first: u32, counts: &'static [AtomicU32]) {
        if let Some(slot) = self.sections.get(section) {
            slot.call_once(|| SectionCounts { first, counts });
        }
    }

    fn of(&self, frame: PhysFrame) -> Result<&AtomicU32, CountError> {
        let number = u32::try_from(frame.pfn()).map_err(|_| CountError::NotOurs)?;
        let section = (number >> self.section_shift.load(Ordering::Acquire)) as usize;
        let section = self.sections.get(section).and_then(Once::get).ok_or(CountError::NotOurs)?;
        let index = number.checked_sub(section.first).ok_or(CountError::NotOurs)?;
        section.counts.get(index as usize).ok_or(CountError::NotOurs)
    }
}

impl Default for RefCounts {
    fn default() -> Self {
        Self::new()
    }
}
