//! From a counter's ticks to nanoseconds and back by one multiplication: [`Scale`], and [`Line`], which also says where
//! the count began.
//!
//! The factor has 63 or 64 significant bits, so a conversion is off by at most four units over all of `u64`.

use super::{Instant, NANOSECONDS};

/// The highest frequency a scale takes, in hertz.
const MAX_HERTZ: u64 = 1 << 40;

/// Turns counts at one frequency into counts at another: `count × multiplier >> shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    multiplier: u64,
    shift: u32,
}

impl Scale {
    /// From counts at `from` hertz to counts at `to` hertz; `None` unless both lie between 1 Hz and 2⁴⁰ Hz.
    pub const fn new(from: u64, to: u64) -> Option<Self> {
        if from == 0 || from > MAX_HERTZ || to == 0 || to > MAX_HERTZ {
            return None;
        }
        // The quotient of two numbers with so many bits has as many bits as their difference says, or one more; the shift
        // brings it to 63 or 64. At most 64 bits times 2^103: nothing overflows.
        let shift = 63 + (u64::BITS - from.leading_zeros()) - (u64::BITS - to.leading_zeros());
        let multiplier = ((to as u128) << shift) / from as u128;
        Some(Self { multiplier: multiplier as u64, shift })
    }

    /// From ticks at `hertz` to nanoseconds.
    pub const fn to_nanoseconds(hertz: u64) -> Option<Self> {
        Self::new(hertz, NANOSECONDS)
    }

    /// From nanoseconds to ticks at `hertz`.
    pub const fn from_nanoseconds(hertz: u64) -> Option<Self> {
        Self::new(NANOSECONDS, hertz)
    }

    /// `count` converted, rounded down: the exact value or up to four units less, never more, and never less than for a
    /// smaller count. `u64::MAX` if it would not fit.
    pub const fn convert(self, count: u64) -> u64 {
        let scaled = (count as u128 * self.multiplier as u128) >> self.shift;
        if scaled > u64::MAX as u128 { u64::MAX } else { scaled as u64 }
    }

    /// `count` converted, rounded up: never less than the exact value, at most five units more.
    pub const fn convert_up(self, count: u64) -> u64 {
        self.convert(count).saturating_add(if count == 0 { 0 } else { 5 })
    }
}

/// What a counter's readings mean: reading `start` is the moment `start_ns`, and from there on it counts evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    start: u64,
    start_ns: u64,
    hertz: u64,
    to_nanoseconds: Scale,
    from_nanoseconds: Scale,
}

impl Line {
    /// A counter of `hertz` that reads `start` at the moment `at`. `None` for a frequency that [`Scale`] does not take.
    pub fn new(start: u64, at: Instant, hertz: u64) -> Option<Self> {
        Some(Self {
            start,
            start_ns: at.nanoseconds(),
            hertz,
            to_nanoseconds: Scale::to_nanoseconds(hertz)?,
            from_nanoseconds: Scale::from_nanoseconds(hertz)?,
        })
    }

    /// The counter's reading at which the line begins.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Hertz.
    pub fn hertz(&self) -> u64 {
        self.hertz
    }

    /// How long so many ticks take, in nanoseconds.
    pub fn nanoseconds_of(&self, ticks: u64) -> u64 {
        self.to_nanoseconds.convert(ticks)
    }

    /// What the line is computed with by programs (`asm/vdso.asm`): start, its moment in nanoseconds, multiplier, shift.
    pub fn words(&self) -> [u64; 4] {
        [self.start, self.start_ns, self.to_nanoseconds.multiplier, self.to_nanoseconds.shift.into()]
    }

    /// The moment of a reading; of one before the start, the start.
    pub fn instant(&self, reading: u64) -> Instant {
        let since = self.to_nanoseconds.convert(reading.saturating_sub(self.start));
        Instant::from_nanoseconds(self.start_ns.saturating_add(since))
    }

    /// The reading that the counter has at `instant` or up to a few ticks later.
    pub fn reading(&self, instant: Instant) -> u64 {
        let since = instant.nanoseconds().saturating_sub(self.start_ns);
        self.start.saturating_add(self.from_nanoseconds.convert_up(since))
    }

    /// The line that goes on at `hertz` where this one reaches `reading`: from there on the clock runs at the new rate, and
    /// up to there at the old, whenever and by whomever either is asked. So a rate can be corrected on all CPUs at once and
    /// without the clock going back, by letting `reading` lie in the future.
    pub fn bent(&self, reading: u64, hertz: u64) -> Option<Self> {
        Self::new(reading, self.instant(reading), hertz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exact(count: u64, from: u64, to: u64) -> u128 {
        u128::from(count) * u128::from(to) / u128::from(from)
    }

    #[test]
    fn frequencies_out_of_range_are_refused() {
        assert_eq!(Scale::new(0, 1), None);
        assert_eq!(Scale::new(1, 0), None);
        assert_eq!(Scale::new(MAX_HERTZ + 1, 1), None);
        assert!(Scale::new(MAX_HERTZ, 1).is_some() && Scale::new(1, MAX_HERTZ).is_some());
    }

    #[test]
    fn a_century_of_a_fast_counter_fits() {
        let century = 100 * 365 * 86_400;
        let line = Line::new(0, Instant::START, 5_000_000_000).unwrap();
        let nanoseconds = line.instant(century * 5_000_000_000).nanoseconds();
        assert!((century * NANOSECONDS - 2..=century * NANOSECONDS).contains(&nanoseconds));
    }

    proptest! {
        #[test]
        fn conversion_is_exact_to_four_units(count: u64, from in 1..=MAX_HERTZ, to in 1..=MAX_HERTZ) {
            let (scale, exact) = (Scale::new(from, to).unwrap(), exact(count, from, to));
            let (down, up) = (u128::from(scale.convert(count)), u128::from(scale.convert_up(count)));
            let limit = u128::from(u64::MAX);
            prop_assert!(down <= exact && (down + 4 >= exact || down == limit), "{down} of {exact}");
            prop_assert!(up >= exact.min(limit) && up <= exact + 5, "{up} of {exact}");
        }

        #[test]
        fn conversion_never_goes_back(count in 0..u64::MAX, more: u64, from in 1..=MAX_HERTZ, to in 1..=MAX_HERTZ) {
            let scale = Scale::new(from, to).unwrap();
            prop_assert!(scale.convert(count.saturating_add(more)) >= scale.convert(count));
        }

        #[test]
        fn a_counter_set_to_a_deadline_does_not_fire_early(
            start in 0..1_u64 << 60, at in 0..1_u64 << 50, wait in 0..1_u64 << 55, hertz in 1000..20_000_000_000_u64,
        ) {
            let line = Line::new(start, Instant::from_nanoseconds(at), hertz).unwrap();
            let deadline = Instant::from_nanoseconds(at + wait);
            let reading = line.reading(deadline);
            prop_assume!(reading < u64::MAX);
            // Early by rounding at most, as `instant` rounds down by as much.
            prop_assert!(line.instant(reading).nanoseconds() + 2 >= deadline.nanoseconds());
            // And late by a few ticks at most.
            let late = line.instant(reading).nanoseconds().saturating_sub(deadline.nanoseconds());
            prop_assert!(u128::from(late) * u128::from(hertz) <= 5 * u128::from(NANOSECONDS) + u128::from(hertz) * 2);
        }

        #[test]
        fn bending_a_line_never_turns_the_clock_back(
            rates in (1_000_000..20_000_000_000_u64, 1_000_000..20_000_000_000_u64), bend in 0..1_u64 << 40,
            readings in proptest::collection::vec(0..1_u64 << 41, 2..50),
        ) {
            let old = Line::new(0, Instant::START, rates.0).unwrap();
            let new = old.bent(bend, rates.1).unwrap();
            let mut readings = readings;
            readings.sort_unstable();
            let moments = readings.iter().map(|&reading| if reading >= bend { new } else { old }.instant(reading));
            prop_assert!(moments.is_sorted());
        }
    }
}
