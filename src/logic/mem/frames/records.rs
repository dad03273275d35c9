//! What the frame allocator knows about each frame, and who finds room for it.
//!
//! Zeroed memory is a valid [`FrameRecord`] (of a frame that is not ours) and a valid reference count (none), so that
//! records can be made by clearing the frames they lie in.

use core::sync::atomic::AtomicU32;
use x86_64::structures::paging::PhysFrame;

/// The number of a frame in a list, or none. None is zero, so that empty lists take no room in the kernel's image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link(u32);

impl Link {
    pub(super) const NONE: Self = Self(0);

    /// There is no frame `u32::MAX`.
    pub(super) fn to(number: u32) -> Self {
        Self(number + 1)
    }

    pub(super) fn number(self) -> Option<u32> {
        self.0.checked_sub(1)
    }
}

/// Bytes that the records of one frame take, its reference count included.
const BYTES_PER_FRAME: usize = size_of::<FrameRecord>() + size_of::<AtomicU32>();

const FRAME_BYTES: usize = 4096;

/// Frames that the records of `count` frames take.
pub const fn record_frames(count: usize) -> usize {
    count.saturating_mul(BYTES_PER_FRAME).div_ceil(FRAME_BYTES)
}

/// What a frame is to the allocator. Only the first frame of a block tells the block's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum FrameState {
    /// A hole, or memory of others.
    #[default]
    NotOurs = 0,
    /// In a block, but not its first frame.
    Inside,
    /// The first frame of a free block.
    Free,
    /// The first frame of a block that was given out.
    Allocated,
    /// Holds records.
    Records,
}

/// The allocator's record of one frame: 12 bytes.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct FrameRecord {
    /// Neighbours in the list of free blocks; mean something while the state is `Free`.
    pub(super) previous: Link,
    pub(super) next: Link,
    /// The block's order, if this is its first frame.
    pub(super) order: u8,
    pub(super) state: FrameState,
}

/// The records of one section: as many of the one kind as of the other.
pub struct SectionRecords {
    /// For the allocator alone, under its lock.
    pub frames: &'static mut [FrameRecord],
    /// For everybody, through [`super::RefCounts`].
    pub counts: &'static [AtomicU32],
}

/// Makes records in frames that the allocator names.
pub trait RecordMemory {
    /// Makes records for `count` frames, all default (zeros), in the `frames` frames from `first` on: they are free memory that
    /// belongs to the records from now on and for ever. `frames` is [`record_frames`]`(count)`.
    fn records(&mut self, first: PhysFrame, frames: usize, count: usize) -> SectionRecords;
}
