//! Where a program's parts are put: as on Linux, with the same random bits, so that what rests on it finds it so.

use super::area::{GUARD_BYTES, PAGE};

/// The address after the last of a program. The last page of the lower half is nobody's: a SYSCALL at its end would return to an
/// address that is none.
pub const END: u64 = (1 << 47) - PAGE;

/// The lowest address that a program can have anything at (`vm.mmap_min_addr`), so that null pointers point to nothing.
pub const LOWEST: u64 = 64 << 10;

/// Bits of randomness, in pages, of the top of the stack.
const STACK_BITS: u32 = 22;
/// Bits of randomness, in pages, of where mappings start, and of where position-independent programs are.
const MAPPING_BITS: u32 = 28;
/// Bits of randomness, in pages, between a program and its heap.
const HEAP_BITS: u32 = 18;

/// Where position-independent programs are at least: at two thirds, far from mappings and from where others are linked to.
const POSITION_INDEPENDENT: u64 = (END / 3 * 2) / PAGE * PAGE;

/// Room for the stack to grow into, at least and at most.
const SMALLEST_STACK_ROOM: u64 = 128 << 20;
const LARGEST_STACK_ROOM: u64 = END / 6 * 5;

/// Random numbers, all of whose bits are random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Randomness {
    /// For the stack.
    pub stack: u64,
    /// For mappings.
    pub mappings: u64,
    /// For a position-independent program.
    pub program: u64,
    /// For the heap.
    pub heap: u64,
}

/// Where things are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The address after the stack's last.
    pub stack_top: u64,
    /// The address below which room for mappings is looked for.
    pub mapping_top: u64,
    /// Where a position-independent program is loaded.
    pub program: u64,
    /// How far after a program its heap is.
    pub heap_distance: u64,
}

impl Layout {
    /// A layout for a stack of at most `stack_limit` bytes; always the same without randomness (`ADDR_NO_RANDOMIZE` of
    /// personality(2)).
    pub fn new(stack_limit: u64, randomness: Option<Randomness>) -> Self {
        let pages = |random: u64, bits: u32| (random & ((1 << bits) - 1)) * PAGE;
        let none = Randomness { stack: 0, mappings: 0, program: 0, heap: 0 };
        let random = randomness.unwrap_or(none);
        let most_random = if randomness.is_some() { pages(u64::MAX, STACK_BITS) } else { 0 };
        let room = stack_limit.saturating_add(most_random + GUARD_BYTES).clamp(SMALLEST_STACK_ROOM, LARGEST_STACK_ROOM);
        let mapping_top = END - room - pages(random.mappings, MAPPING_BITS);
        Self {
            stack_top: END - pages(random.stack, STACK_BITS),
            mapping_top: mapping_top - mapping_top % PAGE,
            program: POSITION_INDEPENDENT + pages(random.program, MAPPING_BITS),
            heap_distance: pages(random.heap, HEAP_BITS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_randomness_everything_is_where_linux_has_it() {
        let layout = Layout::new(8 << 20, None);
        assert_eq!(layout.stack_top, 0x7fff_ffff_f000);
        assert_eq!(layout.mapping_top, 0x7fff_f7ff_f000);
        assert_eq!(layout.program, 0x5555_5555_4000);
        assert_eq!(layout.heap_distance, 0);
    }

    proptest! {
        #[test]
        fn whatever_is_random_everything_has_its_room(
            limit: u64,
            random: Option<(u64, u64, u64, u64)>,
        ) {
            let randomness = random
                .map(|(stack, mappings, program, heap)| Randomness { stack, mappings, program, heap });
            let layout = Layout::new(limit, randomness);
            for address in [layout.stack_top, layout.mapping_top, layout.program, layout.heap_distance] {
                prop_assert_eq!(address % PAGE, 0);
            }
            prop_assert!(layout.stack_top <= END && layout.mapping_top < layout.stack_top);
            prop_assert!(layout.mapping_top > 1 << 40);
            prop_assert!(layout.program > LOWEST && layout.program < END);
            if limit <= 1 << 30 {
                prop_assert!(layout.stack_top - layout.mapping_top >= limit + GUARD_BYTES);
                prop_assert!(layout.program < layout.mapping_top);
            }
        }
    }
}
