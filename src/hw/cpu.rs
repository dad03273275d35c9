//! The processor itself.

use x86_64::instructions::{hlt, interrupts};

/// Stops this processor for good.
pub fn halt() -> ! {
    interrupts::disable();
    loop {
        hlt();
    }
}

/// The time-stamp counter, which counts from the machine's start.
pub fn tsc() -> u64 {
    // SAFETY: every 64-bit CPU has RDTSC, and nothing sets CR4.TSD.
    unsafe { core::arch::x86_64::_rdtsc() }
}
