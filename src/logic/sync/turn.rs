//! A turn, which one at a time has: a lock for longer than a spinning one may be held.
//!
//! Nothing here waits: who does not get it sleeps at [`Turn::free`], and tries again.

use super::wait_queue::WaitQueue;
use core::sync::atomic::{AtomicBool, Ordering};

/// What only one may do at a time, however long it takes.
pub struct Turn {
    is_taken: AtomicBool,
    free: WaitQueue,
}

/// It is one's turn, until this is dropped.
#[must_use = "the turn is over when this is dropped"]
pub struct Taken<'a>(&'a Turn);

impl Turn {
    /// Nobody's.
    pub const fn new() -> Self {
        Self { is_taken: AtomicBool::new(false), free: WaitQueue::new() }
    }

    /// The turn, unless somebody has it.
    pub fn try_take(&self) -> Option<Taken<'_>> {
        (!self.is_taken.swap(true, Ordering::Acquire)).then(|| Taken(self))
    }

    /// Wakes one of those who wait when the turn is over.
    pub fn free(&self) -> &WaitQueue {
        &self.free
    }
}

impl Default for Turn {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.is_taken.store(false, Ordering::Release);
        self.0.free.wake_one();
    }
}
