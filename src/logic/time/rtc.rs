//! The real-time clock's registers (Motorola MC146818A data sheet), read while it may be changing them.

use super::calendar::DateTime;

/// Registers by number.
const SECONDS: u8 = 0x00;
const MINUTES: u8 = 0x02;
const HOURS: u8 = 0x04;
const DAY: u8 = 0x07;
const MONTH: u8 = 0x08;
const YEAR: u8 = 0x09;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;

/// Of status A: the clock is about to change its registers or is changing them.
const UPDATE_IN_PROGRESS: u8 = 0x80;
/// Of status B: hours count to 23, not twice to 12.
const HOURS_24: u8 = 0x02;
/// Of status B: numbers are binary, not binary-coded decimal.
const BINARY: u8 = 0x04;
/// Of the hours register when they count twice to 12.
const AFTERNOON: u8 = 0x80;

/// The year that two digits are taken to mean at the earliest, where no register has the century.
const WINDOW_START: i64 = 1970;

/// Looks at status A before the clock is given up. An update takes up to 2.3 ms, a look two port accesses, which take 2 µs on
/// hardware and 40 ns at the least.
const PATIENCE: u32 = 100_000;

/// Readings of all registers before two in a row must have been equal.
const ATTEMPTS: u32 = 10;

/// The clock's registers.
pub trait Registers {
    /// Reads register `number`, below 128.
    fn read(&mut self, number: u8) -> u8;
}

/// The registers as they were at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    seconds: u8,
    minutes: u8,
    hours: u8,
    day: u8,
    month: u8,
    year: u8,
    century: Option<u8>,
    status_b: u8,
}

/// The date and time in UTC. `century_register` is what the ACPI FADT names. `None` if there is no clock, or nothing sensible
/// in it.
pub fn read(registers: &mut impl Registers, century_register: Option<u8>) -> Option<DateTime> {
    // Numbers below are the time and alarm; 128 and up cannot be addressed.
    let century_register = century_register.filter(|number| (STATUS_B + 1..128).contains(number));
    let mut last = None;
    for _ in 0..ATTEMPTS {
        wait_for_update(registers)?;
        let new = snapshot(registers, century_register);
        if last == Some(new) {
            return new.decode();
        }
        last = Some(new);
    }
    None
}

/// The clock announces an update 244 µs ahead, so what is read at once after this is of one piece unless an interrupt or
/// hypervisor holds it up. That is why everything is read twice.
fn wait_for_update(registers: &mut impl Registers) -> Option<()> {
    (0..PATIENCE).find(|_| registers.read(STATUS_A) & UPDATE_IN_PROGRESS == 0).map(|_| ())
}

fn snapshot(registers: &mut impl Registers, century_register: Option<u8>) -> Snapshot {
    Snapshot {
        seconds: registers.read(SECONDS),
        minutes: registers.read(MINUTES),
        hours: registers.read(HOURS),
        day: registers.read(DAY),
        month: registers.read(MONTH),
        year: registers.read(YEAR),
        century: century_register.map(|number| registers.read(number)),
        status_b: registers.read(STATUS_B),
    }
}

impl Snapshot {
    /// `None` if the numbers are no date, such as the ones of a bus on which nothing answers.
    fn decode(&self) -> Option<DateTime> {
        let number = |register| if self.status_b & BINARY != 0 { Some(register) } else { from_bcd(register) };
        let hour = if self.status_b & HOURS_24 != 0 {
            number(self.hours)?
        } else {
            let hour = number(self.hours & !AFTERNOON).filter(|hour| (1..=12).contains(hour))?;
            hour % 12 + if self.hours & AFTERNOON != 0 { 12 } else { 0 }
        };
        let year = number(self.year).filter(|year| *year < 100)?;
        // Firmware that names the register may still have nothing in it.
        let century = self.century.and_then(number).filter(|century| (19..=99).contains(century));
        let date_time = DateTime {
            year: full_year(year, century),
            month: number(self.month)?,
            day: number(self.day)?,
            hour,
            minute: number(self.minutes)?,
            second: number(self.seconds)?,
        };
        date_time.is_valid().then_some(date_time)
    }
}

fn full_year(year: u8, century: Option<u8>) -> i64 {
    match century {
        Some(century) => i64::from(century) * 100 + i64::from(year),
        // The first year from the window's start on that ends in these digits.
        None => WINDOW_START + (i64::from(year) - WINDOW_START).rem_euclid(100),
    }
}

fn from_bcd(value: u8) -> Option<u8> {
    let (tens, ones) = (value >> 4, value & 0xf);
    (tens < 10 && ones < 10).then_some(tens * 10 + ones)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CENTURY: u8 = 0x32;

    /// A clock whose time moves on by a second after `reads` reads; an update shows in status A for `busy` reads of it.
    struct Clock {
        now: DateTime,
        status_b: u8,
        reads_to_update: u32,
        busy: u32,
    }

    impl Clock {
        fn at(now: DateTime, status_b: u8) -> Self {
            Self { now, status_b, reads_to_update: u32::MAX, busy: 0 }
        }

        fn number(&self, value: u8) -> u8 {
            if self.status_b & BINARY != 0 { value } else { ((value / 10) << 4) | (value % 10) }
        }

        fn hours(&self) -> u8 {
            match self.now.hour {
                hour if self.status_b & HOURS_24 != 0 => self.number(hour),
                hour => self.number((hour + 11) % 12 + 1) | if hour >= 12 { AFTERNOON } else { 0 },
            }
        }
    }

    impl Registers for Clock {
        fn read(&mut self, number: u8) -> u8 {
            self.reads_to_update = self.reads_to_update.saturating_sub(1);
            if self.reads_to_update == 0 {
                self.reads_to_update = u32::MAX;
                self.now = DateTime::from_unix(self.now.unix_seconds().unwrap() + 1);
            }
            match number {
                SECONDS => self.number(self.now.second),
                MINUTES => self.number(self.now.minute),
                HOURS => self.hours(),
                DAY => self.number(self.now.day),
                MONTH => self.number(self.now.month),
                YEAR => self.number((self.now.year % 100) as u8),
                CENTURY => self.number((self.now.year / 100) as u8),
                STATUS_A if self.busy > 0 => {
                    self.busy -= 1;
                    UPDATE_IN_PROGRESS
                }
                STATUS_A => 0,
                STATUS_B => self.status_b,
                _ => 0xff,
            }
        }
    }

    /// Every register the same.
    struct Dead(u8);

    impl Registers for Dead {
        fn read(&mut self, _: u8) -> u8 {
            self.0
        }
    }

    /// No two readings the same.
    struct Restless(u8);

    impl Registers for Restless {
        fn read(&mut self, _: u8) -> u8 {
            self.0 = (self.0 + 1) % 60;
            self.0
        }
    }

    #[test]
    fn a_clock_that_is_not_there_tells_no_time() {
        assert_eq!(read(&mut Dead(0xff), None), None);
        assert_eq!(read(&mut Dead(0xff), Some(CENTURY)), None);
        assert_eq!(read(&mut Dead(0), None), None);
        assert_eq!(read(&mut Dead(0x7f), None), None);
        assert_eq!(read(&mut Restless(0), None), None);
    }

    #[test]
    fn midnight_and_noon_are_told_apart() {
        for (hour, status_b) in [(0, 0), (12, 0), (0, BINARY), (12, BINARY)] {
            let now = DateTime { year: 2026, month: 11, day: 24, hour, minute: 0, second: 0 };
            assert_eq!(read(&mut Clock::at(now, status_b), None), Some(now));
        }
    }

    #[test]
    fn an_empty_century_register_is_not_believed() {
        assert_eq!(full_year(26, None), 2026);
        assert_eq!(full_year(70, None), 1970);
        assert_eq!(full_year(69, None), 2069);
        let now = DateTime { year: 26, month: 11, day: 24, hour: 1, minute: 2, second: 3 };
        assert_eq!(read(&mut Clock::at(now, HOURS_24), Some(CENTURY)).map(|date| date.year), Some(2026));
    }

    #[test]
    fn an_update_is_waited_for() {
        let now = DateTime { year: 2026, month: 12, day: 31, hour: 23, minute: 59, second: 59 };
        let mut clock = Clock { busy: 1000, ..Clock::at(now, HOURS_24) };
        assert_eq!(read(&mut clock, Some(CENTURY)), Some(now));
    }

    proptest! {
        #[test]
        fn every_time_is_read_in_every_mode(seconds in 0..253_402_300_799_i64, mode in 0..4_u8) {
            let now = DateTime::from_unix(seconds);
            prop_assert_eq!(read(&mut Clock::at(now, mode << 1), Some(CENTURY)), Some(now));
        }

        #[test]
        fn an_update_in_the_middle_gives_the_time_before_or_after(
            seconds in 0..4_000_000_000_i64, mode in 0..4_u8, reads_to_update in 1..40_u32,
        ) {
            let before = DateTime::from_unix(seconds);
            let after = DateTime::from_unix(seconds + 1);
            let mut clock = Clock { reads_to_update, ..Clock::at(before, mode << 1) };
            let time = read(&mut clock, Some(CENTURY)).unwrap();
            prop_assert!(time == before || time == after);
        }

        #[test]
        fn garbage_gives_a_valid_date_or_none(bytes in proptest::collection::vec(any::<u8>(), 128), century: Option<u8>) {
            struct Garbage(Vec<u8>);
            impl Registers for Garbage {
                fn read(&mut self, number: u8) -> u8 {
                    self.0[usize::from(number)]
                }
            }
            let time = read(&mut Garbage(bytes), century);
            prop_assert!(time.is_none_or(|time| time.is_valid() && (1900..10_000).contains(&time.year)));
        }
    }
}
