//! The time-stamp counter's frequency, and counts of it in words.

use super::calibration::plausible_tsc;
use core::fmt;

/// The 8254 interval timer counts at this many hertz (1.193182 MHz, a third of the NTSC colour carrier).
pub const PIT_HZ: u64 = 1_193_182;

/// How fast the time-stamp counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TscFrequency(u64);

impl TscFrequency {
    /// `None` if that is no CPU's frequency.
    pub fn from_hertz(hertz: u64) -> Option<Self> {
        plausible_tsc(hertz).then_some(Self(hertz))
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

/// Megahertz with one decimal.
impl fmt::Display for TscFrequency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.saturating_add(50_000) / 100_000;
        write!(formatter, "{}.{} MHz", tenths / 10, tenths % 10)
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
        let frequency = TscFrequency::from_hertz(1_000_000_000).unwrap();
        assert_eq!(frequency.hertz(), 1_000_000_000);
        assert_eq!(frequency.microseconds(1_234_560).to_string(), "1.2 ms");
        assert_eq!(frequency.microseconds(u64::MAX).0, u64::MAX / 1000);
        assert_eq!(frequency.to_string(), "1000.0 MHz");
    }

    #[test]
    fn absurd_frequencies_are_refused() {
        assert_eq!(TscFrequency::from_hertz(u64::MAX), None);
        assert_eq!(TscFrequency::from_hertz(0), None);
    }

    #[test]
    fn times_are_rounded_to_a_tenth() {
        assert_eq!(Microseconds(0).to_string(), "0.0 ms");
        assert_eq!(Microseconds(99_950).to_string(), "100.0 ms");
        assert!(Microseconds(u64::MAX).to_string().ends_with(" ms"));
    }
}
