//! Load averages: how many threads ran or wanted to, over one, five and fifteen minutes, as Linux counts (proc(5), loadavg).

use core::fmt;

/// How often the number is taken.
pub const PERIOD_NS: u64 = 5_000_000_000;

/// Bits after the binary point.
const FRACTION_BITS: u32 = 11;
const ONE: u64 = 1 << FRACTION_BITS;

/// What is left of the old value after one period: `e` to the power of -5/60, -5/300, -5/900.
const LEFT: [u64; 3] = [1884, 2014, 2037];

/// Periods after which nothing of an old value can be seen any more.
const MOST_PERIODS: u64 = 3000;

/// The three averages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadAverage([u64; 3]);

impl LoadAverage {
    /// No load, ever.
    pub const fn new() -> Self {
        Self([0; 3])
    }

    /// During so many periods, `active` threads ran or wanted to.
    pub fn add(&mut self, active: u64, periods: u64) {
        let active = active.min(u64::from(u32::MAX)) << FRACTION_BITS;
        for _ in 0..periods.min(MOST_PERIODS) {
            for (load, left) in self.0.iter_mut().zip(LEFT) {
                let sum = *load * left + active * (ONE - left);
                // Rising, it is rounded up, so that it arrives.
                *load = (sum + if active >= *load { ONE - 1 } else { 0 }) / ONE;
            }
        }
    }

    /// As sysinfo(2) has them: with 16 bits after the binary point.
    pub fn for_sysinfo(&self) -> [u64; 3] {
        self.0.map(|load| load << (16 - FRACTION_BITS))
    }
}

impl fmt::Display for LoadAverage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, load) in self.0.iter().enumerate() {
            // Half of a hundredth more, to round.
            let load = load + ONE / 200;
            let blank = if index > 0 { " " } else { "" };
            write!(formatter, "{blank}{}.{:02}", load / ONE, load % ONE * 100 / ONE)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_constant_load_is_what_all_averages_come_to() {
        let mut load = LoadAverage::new();
        assert_eq!(load.to_string(), "0.00 0.00 0.00");
        load.add(1, 12);
        assert_eq!(load.to_string(), "0.63 0.18 0.06");
        load.add(1, u64::MAX);
        assert_eq!(load.to_string(), "1.00 1.00 1.00");
        assert_eq!(load.for_sysinfo(), [1 << 16; 3]);
        load.add(0, u64::MAX);
        assert_eq!(load.to_string(), "0.00 0.00 0.00");
    }

    proptest! {
        #[test]
        fn averages_stay_between_what_was_seen(seen in proptest::collection::vec((any::<u64>(), 0_u64..50), 1..20)) {
            let mut load = LoadAverage::new();
            let mut most = 0;
            for (active, periods) in seen {
                load.add(active, periods);
                most = most.max(active.min(u64::from(u32::MAX)));
                prop_assert!(load.0.iter().all(|load| *load <= most << FRACTION_BITS));
            }
        }
    }
}
