//! The process-wide limit on emulators running at one time.
//!
//! TCG keeps a core busy for each machine; more machines than cores only stretch every time limit.

use std::sync::{Condvar, Mutex, PoisonError};

const SLOTS: usize = 2;

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// The right to run one emulator; dropping it lets the next one start.
pub struct Slot(());

impl Slot {
    /// Waits until fewer than `SLOTS` emulators run.
    pub fn take() -> Self {
        // A panicking test cannot leave the counter half-changed, so a poisoned lock is as good as a clean one.
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken >= SLOTS {
            taken = FREED.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += 1;
        Slot(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREED.notify_one();
    }
}
