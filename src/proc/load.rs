//! Load averages: the count is taken from the timer's interrupt, or when somebody asks after it was quiet for long.

use super::cpus;
use crate::hw::clock;
use core::sync::atomic::{AtomicU64, Ordering};
use logic::procfs::load::{LoadAverage, PERIOD_NS};
use logic::sync::{IrqLock, Rank};

static LOAD: IrqLock<LoadAverage> = IrqLock::new(Rank::Timers, LoadAverage::new());
/// When the count is to be taken next; changed with the lock held.
static NEXT_NS: AtomicU64 = AtomicU64::new(PERIOD_NS);

/// Takes the count if it is time. Meant to be called often: it does nothing most of the time.
pub fn sample() {
    let now = clock::now().nanoseconds();
    if now < NEXT_NS.load(Ordering::Relaxed) {
        return;
    }
    let active = cpus::active();
    let mut load = LOAD.lock();
    let next = NEXT_NS.load(Ordering::Relaxed);
    if let Some(late) = now.checked_sub(next) {
        let periods = late / PERIOD_NS + 1;
        NEXT_NS.store(next.saturating_add(periods.saturating_mul(PERIOD_NS)), Ordering::Relaxed);
        load.add(active, periods);
    }
}

/// The averages.
pub fn averages() -> LoadAverage {
    sample();
    *LOAD.lock()
}
