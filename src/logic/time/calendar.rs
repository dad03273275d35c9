//! Civil dates (proleptic Gregorian calendar, UTC) and Unix time.

use super::{Instant, NANOSECONDS};
use core::fmt;
use core::time::Duration;

const DAY_SECONDS: i64 = 86_400;

/// Time since 1970-01-01 00:00:00 UTC, leap seconds not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime {
    /// Whole seconds; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds of the second that has begun, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl UnixTime {
    /// All of it in nanoseconds; 0 before 1970, and never more than fit.
    pub const fn nanoseconds_since_1970(self) -> u64 {
        if self.seconds < 0 {
            return 0;
        }
        self.seconds.unsigned_abs().saturating_mul(super::NANOSECONDS).saturating_add(self.nanoseconds as u64)
    }

    /// A whole second.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanoseconds: 0 }
    }

    /// `length` later; the last second there is if that is beyond it.
    pub fn after(self, length: Duration) -> Self {
        let nanoseconds = u64::from(self.nanoseconds) + u64::from(length.subsec_nanos());
        let carry = (nanoseconds / NANOSECONDS) as i64;
        let seconds = self.seconds.saturating_add_unsigned(length.as_secs()).saturating_add(carry);
        Self { seconds, nanoseconds: (nanoseconds % NANOSECONDS) as u32 }
    }

    /// What the time was at the kernel's entry, if it is this at `now`.
    pub fn at_start(self, now: Instant) -> Self {
        let back = now.nanoseconds();
        let (seconds, nanoseconds) = (back / NANOSECONDS, (back % NANOSECONDS) as u32);
        // One second more is taken off than must be, and given back as nanoseconds.
        let left = self.nanoseconds + NANOSECONDS as u32 - nanoseconds;
        let start = Self::from_seconds(self.seconds.saturating_sub_unsigned(seconds).saturating_sub(1));
        start.after(Duration::from_nanos(left.into()))
    }

    /// The date and time of day.
    pub fn date_time(self) -> DateTime {
        DateTime::from_unix(self.seconds)
    }
}

/// A second of a day, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateTime {
    /// Astronomical year number: 0 is 1 BC.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

impl DateTime {
    /// Whether that day is in the calendar and that second in a day.
    pub fn is_valid(&self) -> bool {
        (1..=12).contains(&self.month)
            && (1..=days_in_month(self.year, self.month)).contains(&self.day)
            && (self.hour < 24 && self.minute < 60 && self.second < 60)
    }

    /// Seconds since 1970-01-01 00:00:00 UTC. `None` for what is not valid, or further away than a billion years.
    pub fn unix_seconds(&self) -> Option<i64> {
        if !self.is_valid() || self.year.unsigned_abs() > 1_000_000_000 {
            return None;
        }
        let second = (i64::from(self.hour) * 60 + i64::from(self.minute)) * 60 + i64::from(self.second);
        Some(days_since_1970(self.year, self.month, self.day) * DAY_SECONDS + second)
    }

    /// The second that is `seconds` after 1970-01-01 00:00:00 UTC.
    pub fn from_unix(seconds: i64) -> Self {
        let (year, month, day) = civil_from_days(seconds.div_euclid(DAY_SECONDS));
        let second = seconds.rem_euclid(DAY_SECONDS);
        Self {
            year,
            month,
            day,
            hour: (second / 3600) as u8,
            minute: (second / 60 % 60) as u8,
            second: (second % 60) as u8,
        }
    }
}

/// `2026-11-24 00:11:22`.
impl fmt::Display for DateTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second } = self;
        write!(formatter, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

fn days_in_month(year: i64, month: u8) -> u8 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + u8::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// Both ways count in years that begin on 1 March, so that the leap day comes last, and in eras of 400 years, after which the
// calendar repeats. Months from March on have 153 days every five. Algorithm: Howard Hinnant, "chrono-Compatible
// Low-Level Date Algorithms".
const ERA_DAYS: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

fn days_since_1970(year: i64, month: u8, day: u8) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (i64::from(month) + 9) % 12;
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    era * ERA_DAYS + year * 365 + year / 4 - year / 100 + day_of_year - DAYS_TO_1970
}

fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let days = days + DAYS_TO_1970;
    let (era, day) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    // Leap days of 4, of 100 and of 400 years before that day, taken out.
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(year: i64, month: u8, day: u8) -> DateTime {
        DateTime { year, month, day, hour: 0, minute: 0, second: 0 }
    }

    #[test]
    fn well_known_dates_have_their_numbers() {
        assert_eq!(date(1970, 1, 1).unix_seconds(), Some(0));
        assert_eq!(date(2000, 3, 1).unix_seconds(), Some(951_868_800));
        assert_eq!(DateTime::from_unix(1_234_567_890).to_string(), "2009-02-13 23:31:30");
        assert_eq!(DateTime::from_unix(i64::from(i32::MAX)).to_string(), "2038-01-19 03:14:07");
        assert_eq!(DateTime::from_unix(-1).to_string(), "1969-12-31 23:59:59");
    }

    #[test]
    fn days_that_are_not_in_the_calendar_are_refused() {
        for invalid in [date(1900, 2, 29), date(2023, 2, 29), date(2024, 4, 31), date(2024, 0, 1), date(2024, 13, 1)] {
            assert_eq!(invalid.unix_seconds(), None, "{invalid}");
        }
        assert!(date(2000, 2, 29).is_valid());
        assert_eq!(DateTime { second: 60, ..date(2000, 1, 1) }.unix_seconds(), None);
    }

    #[test]
    fn each_day_of_a_thousand_years_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1600, 1, 1);
        let first = days_since_1970(year, month, day);
        for number in first..first + 366_000 {
            assert_eq!(civil_from_days(number), (year, month, day));
            assert_eq!(days_since_1970(year, month, day), number);
            day += 1;
            if day > days_in_month(year, month) {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }

    proptest! {
        #[test]
        fn seconds_to_date_and_back_is_the_same(seconds in -30_000_000_000_000_000_i64..30_000_000_000_000_000) {
            let date = DateTime::from_unix(seconds);
            prop_assert!(date.is_valid());
            prop_assert_eq!(date.unix_seconds(), Some(seconds));
        }

        #[test]
        fn no_number_of_seconds_panics(seconds: i64, nanoseconds in 0..1_000_000_000_u32, length: u64) {
            let _ = DateTime::from_unix(seconds).to_string();
            let time = UnixTime { seconds, nanoseconds };
            prop_assert!(time.after(Duration::from_nanos(length)) >= time);
            prop_assert!(time.at_start(Instant::from_nanoseconds(length)).nanoseconds < 1_000_000_000);
        }

        #[test]
        fn the_start_is_as_long_ago_as_the_clock_says(
            seconds in -1_i64 << 40..1 << 40, nanoseconds in 0..1_000_000_000_u32, ago: u64,
        ) {
            let time = UnixTime { seconds, nanoseconds };
            prop_assert_eq!(time.at_start(Instant::from_nanoseconds(ago)).after(Duration::from_nanos(ago)), time);
        }
    }
}
