//! Where randomness comes from: the processor's own generator where it has one, and time itself, in the small.

use super::cpu;
use core::arch::asm;
use x86_64::instructions::random::RdRand;

/// A number of the processor's own, and the instruction that gave it, if there is one that answers.
///
/// RDSEED comes first, whose every bit is new; RDRAND's generator makes more of them than it is given.
pub fn hardware() -> Option<(u64, &'static str)> {
    let seed = seed().map(|seed| (seed, "RDSEED"));
    seed.or_else(|| generated().map(|number| (number, "RDRAND")))
}

/// By RDSEED, which has none when others have taken all. The manual would have it tried again after a pause, without saying how often
/// (SDM volume 1, section 7.3.17.2); RDRAND is there for the rest.
fn seed() -> Option<u64> {
    const TRIES: usize = 100;
    if !cpu::identity().get_extended_feature_info().is_some_and(|features| features.has_rdseed()) {
        return None;
    }
    (0..TRIES).find_map(|_| {
        let (number, has_number): (u64, u8);
        // SAFETY: the processor has the instruction, which changes the registers named and the flags.
        unsafe {
            asm!("rdseed {}", "setc {}", out(reg) number, out(reg_byte) has_number, options(nomem, nostack));
        }
        if has_number == 0 {
            core::hint::spin_loop();
        }
        (has_number != 0).then_some(number)
    })
}

/// By RDRAND.
fn generated() -> Option<u64> {
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
