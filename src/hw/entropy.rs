//! Where randomness comes from: the processor's own generator where it has one, and time itself, in the small.

use super::cpu;
use x86_64::instructions::random::RdRand;

/// A number of the processor's generator (RDRAND), if it has one that answers.
pub fn hardware() -> Option<u64> {
    const TRIES: usize = 10;
    let generator = RdRand::new()?;
    // The manual's count of tries, after which it must be broken (SDM volume 1, section 7.3.17.1).
    (0..TRIES).find_map(|_| generator.get_u64())
}

/// How many cycles a little work took this time. What caches, interrupts and other processors do meanwhile is in the lowest bits.
pub fn jitter(work: &mut [u64; 64]) -> u64 {
    let start = cpu::tsc();
    for step in 0..16 {
        let place = (work[step] ^ start) as usize % work.len();
        work[place] = work[place].rotate_left(7).wrapping_add(cpu::tsc());
    }
    cpu::tsc().wrapping_sub(start) ^ work[start as usize % work.len()]
}
