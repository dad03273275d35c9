//! Arithmetic of time: the time-stamp counter's frequency, and counts of it in words.

use core::fmt;

/// The 8254 interval timer counts at this many hertz (1.193182 MHz, a third of the NTSC colour carrier).
pub const PIT_HZ: u64 = 1_193_182;

/// The fewest ticks of the PIT (1 ms) that give a frequency worth printing.
pub const MIN_PIT_TICKS: u64 = PIT_HZ / 1000;

/// How fast the time-stamp counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TscFrequency(u64);

impl TscFrequency {
    /// From the counts of the time-stamp counter and of the PIT over one stretch of time; `None` if the stretch was too
    /// short or the answer is no CPU's. An emulated one may
    /// count as slowly as a megahertz.
    pub fn from_pit(tsc_ticks: u64, pit_ticks: u64) -> Option<Self> {
        if pit_ticks < MIN_PIT_TICKS {
            return None;
        }
        let hertz = u128::from(tsc_ticks) * u128::from(PIT_HZ) / u128::from(pit_ticks);
        u64::try_from(hertz).ok().filter(|hertz| (1_000_000..=20_000_000_000).contains(hertz)).map(Self)
    }

    /// Hertz.
    pub fn hertz(self) -> u64 {
        self.0
    }

    /// `ticks` of the counter as a time.
    pub fn microseconds(self, ticks: u64) -> Microseconds {
        let microseconds = u128::from(ticks) * 1_000_000 / u128::from(self.0);
        Microseconds(u64::try_from(microseconds).unwrap_or(u64::MAX))
    }
}

/// A time, shown as milliseconds with one decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Microseconds(pub u64);

impl fmt::Display for Microseconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.saturating_add(50) / 100;
        write!(formatter, "{}.{} ms", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gigahertz_is_recognised() {
        let frequency = TscFrequency::from_pit(1_000_000_000, PIT_HZ).unwrap();
        assert_eq!(frequency.hertz(), 1_000_000_000);
        assert_eq!(frequency.microseconds(1_234_560).to_string(), "1.2 ms");
        assert_eq!(frequency.microseconds(u64::MAX).0, u64::MAX / 1000);
    }

    #[test]
    fn a_dead_or_absurd_timer_gives_no_frequency() {
        assert_eq!(TscFrequency::from_pit(1_000_000, 0), None);
        assert_eq!(TscFrequency::from_pit(0, PIT_HZ), None);
        assert_eq!(TscFrequency::from_pit(u64::MAX, MIN_PIT_TICKS), None);
    }

    #[test]
    fn times_are_rounded_to_a_tenth() {
        assert_eq!(Microseconds(0).to_string(), "0.0 ms");
        assert_eq!(Microseconds(99_950).to_string(), "100.0 ms");
        assert!(Microseconds(u64::MAX).to_string().ends_with(" ms"));
    }
}
