//! What the tests of threads and processors share.

use crate::hw::{clock, frames, percpu, stacks};
use crate::proc::{self, sleep};
use core::time::Duration;
use logic::time::Instant;

/// How long at most a test waits for what should come at once: the host may have other things to do.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The moment in `time` from now.
pub fn after(time: Duration) -> Instant {
    clock::now().after(time)
}

/// Waits, looking again and again, until `condition` holds; false if it does not in time.
pub fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    let end = after(PATIENCE);
    while !condition() {
        if clock::now() >= end {
            return false;
        }
        sleep(Duration::from_millis(1));
    }
    true
}

/// How many processors take part.
pub fn processors() -> usize {
    percpu::count()
}

/// The processor that runs this, at this moment.
pub fn here() -> usize {
    percpu::current().number()
}

/// Keeps the processor busy for `time`.
pub fn spin(time: Duration) {
    let end = after(time);
    while clock::now() < end {
        core::hint::spin_loop();
    }
}

/// How many threads this machine has room for, at most `most`.
pub fn room_for_threads(most: usize) -> usize {
    // Stack, page tables, heap; and no more than half of the memory.
    let each = stacks::STACK_BYTES / frames::FRAME_BYTES + 2;
    most.min(usize::try_from(frames::free_frames() / (2 * each)).unwrap_or(most))
}

/// Small differences between threads, the same in every run.
pub struct Chance(u64);

impl Chance {
    /// A sequence of its own for every `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// The text of an error of spawning.
pub fn no_memory(_: crate::hw::areas::OutOfMemory) -> alloc::string::String {
    alloc::format!("no memory for a thread beside {} others", proc::thread::count())
}
