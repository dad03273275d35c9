//! Counters narrower than 64 bits, which wrap: the PIT's 16 bits, the ACPI timer's 24, the HPET's 32.

/// The highest reading of a counter of `bits` bits.
pub const fn mask(bits: u32) -> u64 {
    if bits >= u64::BITS { u64::MAX } else { (1 << bits) - 1 }
}

/// Ticks from reading `start` to reading `end`, if the counter wrapped at most once.
pub const fn elapsed(start: u64, end: u64, bits: u32) -> u64 {
    end.wrapping_sub(start) & mask(bits)
}

/// Ticks between two readings that differ by `observed`, when they are known to be about `expected`: the number of times
/// that the counter wrapped is taken from that. Right if `expected` is off by less than half of the counter's range.
pub const fn unwrapped(observed: u64, expected: u64, bits: u32) -> u64 {
    let mask = mask(bits);
    let (observed, half) = (observed & mask, mask / 2 + 1);
    let distance = observed.wrapping_sub(expected) & mask;
    // Up to half the range above what was expected; else below, unless that would be less than nothing.
    let below = distance >= half && expected.wrapping_add(distance) > mask;
    let ticks = expected.saturating_add(distance);
    if below { ticks.wrapping_sub(mask).wrapping_sub(1) } else { ticks }
}

/// The full count of a counter that had `last` when it was last looked at and whose low bits are `reading` now. It must be
/// looked at once in half of its range. A reading that is a little older than `last`, taken by a CPU that was held up
/// meanwhile, gives `last`.
pub const fn extended(last: u64, reading: u64, bits: u32) -> u64 {
    let ahead = elapsed(last, reading, bits);
    if ahead > mask(bits) / 2 { last } else { last.saturating_add(ahead) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_wrap_is_counted_through() {
        assert_eq!(elapsed(0xff_fff0, 0x10, 24), 0x20);
        assert_eq!(elapsed(u64::MAX, 1, 64), 2);
        assert_eq!(extended(0x01ff_fff0, 0x10, 24), 0x0200_0010);
    }

    #[test]
    fn a_late_reading_does_not_turn_the_count_back() {
        assert_eq!(extended(0x0100_0010, 0x0f, 24), 0x0100_0010);
        assert_eq!(extended(0x0100_0010, 0xff_fff0, 24), 0x0100_0010);
    }

    proptest! {
        #[test]
        fn wraps_are_found_from_about_the_time(
            ticks in 0..1_u64 << 50, error in -0x7fff_i64..0x7fff, start: u64, bits in 16..=32_u32,
        ) {
            let observed = elapsed(start, start.wrapping_add(ticks), bits);
            let expected = ticks.saturating_add_signed(error);
            prop_assert_eq!(unwrapped(observed, expected, bits), ticks);
        }

        #[test]
        fn looking_often_enough_counts_everything(steps in proptest::collection::vec(0..0x7f_ffff_u64, 1..100)) {
            let (mut count, mut seen) = (0_u64, 0);
            for step in steps {
                count += step;
                seen = extended(seen, count & mask(24), 24);
                prop_assert_eq!(seen, count);
            }
        }
    }
}
