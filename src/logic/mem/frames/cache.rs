//! A processor's own small stock of single frames, so that the allocator's lock is taken once for many of them.
//!
//! Frames in the stock have a reference count of 0. The stock is last in, first out: what was freed last is still in the
//! processor's caches. It moves frames in batches and always from and to its cold end.

use super::{CountError, RefCounts};
use arrayvec::ArrayVec;
use x86_64::structures::paging::PhysFrame;

/// Frames that a stock can hold.
pub const CACHE_FRAMES: usize = 64;

/// Frames that move between a stock and the allocator at a time.
pub const CACHE_BATCH: usize = 32;

/// Frames that must go back to the allocator.
pub type Batch = ArrayVec<PhysFrame, CACHE_BATCH>;

/// The stock of one processor.
#[derive(Default)]
pub struct FrameCache(ArrayVec<PhysFrame, CACHE_FRAMES>);

impl FrameCache {
    /// An empty stock.
    pub const fn new() -> Self {
        Self(ArrayVec::new_const())
    }

    /// Takes a frame out, with a reference count of 1. `None`: take the allocator's lock and [`refill`](Self::refill).
    pub fn take(&mut self, counts: &RefCounts) -> Option<PhysFrame> {
        let frame = self.0.pop()?;
        counts.set(frame, 1).ok().map(|()| frame)
    }

    /// Puts a frame in whose last user has released it. `Some`: that batch must go back to the allocator.
    #[must_use = "these frames are lost if they do not go back"]
    pub fn put(&mut self, frame: PhysFrame) -> Option<Batch> {
        let surplus = self.0.is_full().then(|| self.0.drain(..CACHE_BATCH).collect());
        self.0.push(frame);
        surplus
    }

    /// Takes up to [`CACHE_BATCH`] frames from `allocate`, which answers `None` when there are no more. Answers how many.
    ///
    /// # Errors
    /// [`CountError`] if `allocate` gives a frame that is not the allocator's.
    pub fn refill(
        &mut self,
        counts: &RefCounts,
        mut allocate: impl FnMut() -> Option<PhysFrame>,
    ) -> Result<usize, CountError> {
        let room = CACHE_FRAMES.saturating_sub(self.0.len()).min(CACHE_BATCH);
        for taken in 0..room {
            let Some(frame) = allocate() else { return Ok(taken) };
            counts.set(frame, 0)?;
            self.0.push(frame);
        }
        Ok(room)
    }

    /// Empties the stock, as when memory has run out: a batch at a time, `None` once there is nothing left.
    pub fn drain(&mut self) -> Option<Batch> {
        let count = self.0.len().min(CACHE_BATCH);
        (count > 0).then(|| self.0.drain(..count).collect())
    }

    /// Frames in the stock.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the stock is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
