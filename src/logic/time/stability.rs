//! Whether the time-stamp counter can be the clock: does it keep its rate, and do all CPUs read the same.
//!
//! The rule is plain: the counter is the clock until it is caught drifting. Whether the CPU calls it invariant (CPUID
//! 80000007h, EDX bit 8) only decides if it is watched, for emulators leave the flag out although theirs keeps time.

use super::calibration::difference_ppm;
use core::fmt;

/// A later, longer measurement may correct the first by so much, in millionths; by more, and the counter has changed its
/// rate or the reference is no good.
const MAX_CORRECTION_PPM: u32 = 10_000;

/// What a second measurement of the frequency means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It confirms the first: its own error is larger than the difference.
    Keep,
    /// It corrects the first to this many hertz.
    Refine(u64),
    /// The counter does not keep its rate.
    Drifts,
}

/// Judges a counter that was found to count at `first` hertz and later, over a longer time and with an error of up to
/// `error_ppm` millionths, at `again` hertz.
pub fn judge(first: u64, again: u64, error_ppm: u32) -> Verdict {
    match difference_ppm(first, again) {
        difference if difference > MAX_CORRECTION_PPM.saturating_add(error_ppm) => Verdict::Drifts,
        difference if difference <= error_ppm => Verdict::Keep,
        _ => Verdict::Refine(again),
    }
}

/// One comparison of two CPUs' counters: the other CPU read its own between two readings of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Our counter before the other CPU was asked.
    pub before: u64,
    /// The other CPU's counter.
    pub other: u64,
    /// Our counter after it had answered.
    pub after: u64,
}

/// By how many ticks another CPU's counter is ahead of ours: something from `least` to `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// The least that the exchanges allow; negative if it is behind.
    pub least: i64,
    /// The most.
    pub most: i64,
}

impl Skew {
    /// Ticks by which the counters differ for certain; 0 if they may be equal.
    pub fn certain(self) -> u64 {
        if self.least > 0 {
            self.least.unsigned_abs()
        } else if self.most < 0 {
            self.most.unsigned_abs()
        } else {
            0
        }
    }

    /// Whether two CPUs reading the clock in turn could see it go back by more than `bound` ticks.
    pub fn exceeds(self, bound: u64) -> bool {
        self.certain() > bound
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} to {} ticks ahead", self.least, self.most)
    }
}

/// What two CPUs' counters are good for together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Together {
    /// They may be equal, as far as a clock with microseconds can tell.
    Same,
    /// They are apart, or cannot be compared: a clock by them needs a floor that it never falls below.
    Apart,
    /// They are so far apart that a clock by them stands still for long where the floor holds it.
    FarApart,
}

/// Judges the skew of counters that count at `hertz`: apart from a microsecond on, far from a millisecond on.
pub fn judge_skew(skew: Option<Skew>, hertz: u64) -> Together {
    match skew {
        Some(skew) if skew.exceeds(hertz / 1000) => Together::FarApart,
        Some(skew) if !skew.exceeds(hertz / 1_000_000) => Together::Same,
        _ => Together::Apart,
    }
}

/// Compares two CPUs' counters by several exchanges, each of which narrows the result. `None` without any, or if they
/// contradict each other: then one of the counters jumped while they were compared.
pub fn check_cpu(exchanges: &[Exchange]) -> Option<Skew> {
    // Counters are taken modulo 2⁶⁴: only their difference matters.
    let bounds = exchanges.iter().map(|exchange| Skew {
        least: exchange.other.wrapping_sub(exchange.after).cast_signed(),
        most: exchange.other.wrapping_sub(exchange.before).cast_signed(),
    });
    bounds
        .reduce(|known, new| Skew { least: known.least.max(new.least), most: known.most.min(new.most) })
        .filter(|skew| skew.least <= skew.most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_small_difference_refines_and_a_large_one_condemns() {
        assert_eq!(judge(1_000_000_000, 1_000_050_000, 100), Verdict::Keep);
        assert_eq!(judge(1_000_000_000, 1_000_500_000, 100), Verdict::Refine(1_000_500_000));
        assert_eq!(judge(2_000_000_000, 1_000_000_000, 100), Verdict::Drifts);
        assert_eq!(judge(2_000_000_000, 0, 100), Verdict::Drifts);
        assert_eq!(judge(2_000_000_000, 1, u32::MAX), Verdict::Keep);
    }

    #[test]
    fn no_exchange_tells_nothing() {
        assert_eq!(check_cpu(&[]), None);
    }

    #[test]
    fn exchanges_that_contradict_each_other_tell_of_a_jump() {
        let first = Exchange { before: 100, other: 150, after: 200 };
        let second = Exchange { before: 300, other: 5000, after: 400 };
        assert_eq!(check_cpu(&[first, second]), None);
    }

    #[test]
    fn counters_are_the_same_within_a_microsecond_and_far_apart_beyond_a_millisecond() {
        let judge = |least, most| judge_skew(Some(Skew { least, most }), 2_000_000_000);
        assert_eq!(judge(-50, 70), Together::Same);
        assert_eq!(judge(-5_000_000, 7_000_000), Together::Same, "nothing is certain");
        assert_eq!(judge(2_000, 2_100), Together::Same);
        assert_eq!(judge(2_001, 2_100), Together::Apart);
        assert_eq!(judge(-2_100, -2_001), Together::Apart);
        assert_eq!(judge(2_000_000, 2_100_000), Together::Apart);
        assert_eq!(judge(-2_100_000, -2_000_001), Together::FarApart);
        assert_eq!(judge_skew(None, 2_000_000_000), Together::Apart);
    }

    proptest! {
        #[test]
        fn the_true_skew_lies_within_the_answer(
            skew in -1_000_000_i64..1_000_000, start: u64,
            delays in proptest::collection::vec((1..5_000_u64, 1..5_000_u64), 1..20),
        ) {
            let mut ours = start;
            let mut exchanges = Vec::new();
            for (there, back) in &delays {
                let before = ours;
                let other = before.wrapping_add(*there).wrapping_add_signed(skew);
                ours = before.wrapping_add(there + back);
                exchanges.push(Exchange { before, other, after: ours });
            }
            let answer = check_cpu(&exchanges).unwrap();
            prop_assert!(answer.least <= skew && skew <= answer.most);
            prop_assert!(answer.certain() <= skew.unsigned_abs());
            let closest = delays.iter().map(|(there, back)| there + back).min().unwrap();
            prop_assert!(answer.certain() + closest >= skew.unsigned_abs());
            prop_assert!(!answer.exceeds(skew.unsigned_abs()));
        }
    }
}
