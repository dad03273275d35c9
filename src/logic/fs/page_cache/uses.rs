//! Who has a file open for writing, and who runs it as a program: never both at once (`ETXTBSY` of open(2) and execve(2)).

use super::PageCache;
use crate::errno::Errno;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicIsize, Ordering};

/// How many write; below 0, how many run.
pub(super) struct Uses(AtomicIsize);

impl Uses {
    /// Nobody.
    pub(super) const fn new() -> Self {
        Self(AtomicIsize::new(0))
    }

    fn step(&self, step: isize) -> Result<(), Errno> {
        let next = |uses: isize| (uses * step >= 0).then_some(uses + step);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).map(drop).map_err(|_| Errno::ETXTBSY)
    }

    fn step_back(&self, step: isize) {
        self.0.fetch_sub(step, Ordering::AcqRel);
    }
}

/// Somebody may write to a file, as long as this is there.
pub struct Writing(Arc<PageCache>);

impl Writing {
    /// One more.
    ///
    /// # Errors
    /// [`Errno::ETXTBSY`] while somebody runs it.
    pub fn begin(cache: Arc<PageCache>) -> Result<Self, Errno> {
        cache.uses.step(1)?;
        Ok(Self(cache))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.uses.step_back(1);
    }
}

/// Somebody runs a file, as long as this is there.
pub struct Running(Arc<PageCache>);

impl Running {
    /// One more.
    ///
    /// # Errors
    /// [`Errno::ETXTBSY`] while somebody may write to it.
    pub fn begin(cache: Arc<PageCache>) -> Result<Self, Errno> {
        cache.uses.step(-1)?;
        Ok(Self(cache))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.uses.step_back(-1);
    }
}
