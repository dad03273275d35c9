//! Interrupt vectors: the fixed ones, and those that are handed out to devices.

use core::ops::RangeInclusive;

/// What the 8259s raise: interrupt request 0 and up.
pub const PIC_BASE: u8 = 0x20;
/// What devices are given, through I/O APICs and messages.
pub const DEVICE_VECTORS: RangeInclusive<u8> = 0x30..=0xef;
/// The first of the fixed vectors of local APICs.
pub const FIXED_BASE: u8 = 0xf0;
/// The timer of this processor.
pub const TIMER_VECTOR: u8 = 0xf0;
/// Another processor has put something in this one's run queue.
pub const RESCHEDULE_VECTOR: u8 = 0xf1;
/// Another processor has changed page tables that this one may have cached.
pub const SHOOTDOWN_VECTOR: u8 = 0xf2;
/// Another processor wants a function called here.
pub const CALL_VECTOR: u8 = 0xf3;
/// The local APIC reports an error.
pub const ERROR_VECTOR: u8 = 0xfe;
/// An interrupt went away before the local APIC could deliver it. Its low four bits must be ones on old processors.
pub const SPURIOUS_VECTOR: u8 = 0xff;

/// The largest block of vectors: a function with MSI has at most 32 messages (PCI 3.0 section 6.8.1.3).
pub const MAX_BLOCK: u8 = 32;

/// Which of the [`DEVICE_VECTORS`] are taken.
///
/// A search begins behind the last block that was given out, so that a vector rests before it is used again: an interrupt that
/// was already on its way when its line was closed then meets nobody, rather than somebody else.
#[derive(Clone, Debug)]
pub struct VectorAllocator {
    taken: [u64; 4],
    next: u8,
}

impl VectorAllocator {
    /// All are free.
    pub const fn new() -> Self {
        Self { taken: [0; 4], next: *DEVICE_VECTORS.start() }
    }

    /// Takes `count` vectors in a row and answers the first, which is a multiple of `count`: devices with several messages
    /// put the message's number into the low bits. `None` if there is no such block, or `count` is not a power of two up
    /// to [`MAX_BLOCK`].
    pub fn allocate(&mut self, count: u8) -> Option<u8> {
        if !count.is_power_of_two() || count > MAX_BLOCK {
            return None;
        }
        let step = usize::from(count);
        let first_block = DEVICE_VECTORS.start().next_multiple_of(count);
        let blocks = || (first_block..=DEVICE_VECTORS.end() - (count - 1)).step_by(step);
        let (behind, before) = (blocks().filter(|at| *at >= self.next), blocks().filter(|at| *at < self.next));
        let first = behind.chain(before).find(|at| (*at..=at + (count - 1)).all(|vector| !self.is_taken(vector)))?;
        for vector in first..=first + (count - 1) {
            self.taken[usize::from(vector / 64)] |= bit(vector);
        }
        self.next = first + count;
        Some(first)
    }

    /// Gives a vector back; each of a block on its own. A vector that is free stays so.
    pub fn release(&mut self, vector: u8) {
        self.taken[usize::from(vector / 64)] &= !bit(vector);
    }

    /// Whether `vector` was handed out.
    pub fn is_taken(&self, vector: u8) -> bool {
        self.taken[usize::from(vector / 64)] & bit(vector) != 0
    }
}

impl Default for VectorAllocator {
    fn default() -> Self {
        Self::new()
    }
}

fn bit(vector: u8) -> u64 {
    1 << (vector % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_device_vector_is_given_out_once() {
        let mut vectors = VectorAllocator::new();
        let mut given: Vec<u8> = std::iter::from_fn(|| vectors.allocate(1)).collect();
        given.sort_unstable();
        assert_eq!(given, DEVICE_VECTORS.collect::<Vec<u8>>());
    }

    #[test]
    fn a_released_vector_rests_before_it_is_used_again() {
        let mut vectors = VectorAllocator::new();
        let first = vectors.allocate(1).unwrap();
        vectors.release(first);
        assert_ne!(vectors.allocate(1), Some(first));
    }

    #[test]
    fn blocks_of_impossible_sizes_are_refused() {
        for count in [0, 3, 6, 33, 64, 255] {
            assert_eq!(VectorAllocator::new().allocate(count), None, "{count}");
        }
    }

    proptest! {
        #[test]
        fn blocks_are_aligned_inside_and_disjoint(steps in prop::collection::vec((0_u32..6, any::<prop::sample::Index>(), any::<bool>()), 1..200)) {
            let mut vectors = VectorAllocator::new();
            let mut held: Vec<(u8, u8)> = Vec::new();
            for (power, index, release) in steps {
                if release && !held.is_empty() {
                    let (first, count) = held.swap_remove(index.index(held.len()));
                    (first..first + count).for_each(|vector| vectors.release(vector));
                    continue;
                }
                let count = 1 << power;
                let Some(first) = vectors.allocate(count) else {
                    // Only a table in use may refuse.
                    prop_assert!(!held.is_empty());
                    continue;
                };
                prop_assert_eq!(first % count, 0);
                prop_assert!(DEVICE_VECTORS.contains(&first) && DEVICE_VECTORS.contains(&(first + count - 1)));
                for (other, length) in &held {
                    prop_assert!(first + count <= *other || other + length <= first);
                }
                held.push((first, count));
            }
            let taken = (0..=255).filter(|vector| vectors.is_taken(*vector)).count();
            prop_assert_eq!(taken, held.iter().map(|(_, count)| usize::from(*count)).sum::<usize>());
        }
    }
}
