//! Time without a machine: what counters count, how fast, and what date that makes.
//!
//! [`Instant`] is the kernel's clock: nanoseconds since its entry, never going back. Lengths of time are
//! [`core::time::Duration`]s. Whoever needs the time takes it as an argument.

pub mod calendar;
pub mod calibration;
pub mod counter;
pub mod frequency;
pub mod patience;
pub mod rtc;
pub mod scale;
pub mod stability;

pub use calendar::UnixTime;
pub use frequency::{Microseconds, PIT_HZ, TscFrequency};
pub use patience::Patience;

use core::fmt;
use core::time::Duration;

/// Nanoseconds in a second.
pub const NANOSECONDS: u64 = 1_000_000_000;

/// A moment: nanoseconds since the kernel's entry. They last for 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The kernel's entry.
    pub const START: Self = Self(0);
    /// A moment that does not come.
    pub const NEVER: Self = Self(u64::MAX);

    /// `nanoseconds` after the kernel's entry.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds since the kernel's entry.
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// `length` later, [`Self::NEVER`] at the latest.
    pub fn after(self, length: Duration) -> Self {
        let nanoseconds = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanoseconds))
    }

    /// The time from `earlier` until this moment, zero if that one is the later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Seconds with microseconds, as in a log: `12.000345`.
impl fmt::Display for Instant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:06}", self.0 / NANOSECONDS, self.0 % NANOSECONDS / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_never_leave_their_range() {
        let moment = Instant::from_nanoseconds(5);
        assert_eq!(moment.after(Duration::from_nanos(7)).nanoseconds(), 12);
        assert_eq!(moment.after(Duration::MAX), Instant::NEVER);
        assert_eq!(Instant::START.since(moment), Duration::ZERO);
        assert_eq!(moment.since(Instant::START), Duration::from_nanos(5));
    }

    #[test]
    fn a_moment_reads_as_seconds() {
        assert_eq!(Instant::from_nanoseconds(12_000_345_678).to_string(), "12.000345");
    }
}
