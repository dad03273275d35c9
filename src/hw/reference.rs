//! Counters of known frequency, and the time-stamp counter measured against them.
//!
//! A measurement is the stretch between two [`Reading`]s. Nothing waits for it to pass unless less than a millisecond has.

use super::hpet::{self, Hpet};
use super::pmtimer::{self, PmTimer};
use super::{cpu, pit};
use logic::time::PIT_HZ;
use logic::time::calibration::{Measurement, Source};
use logic::time::counter::{elapsed, mask, unwrapped};
use x86_64::instructions::interrupts::without_interrupts;

/// A counter that keeps time.
#[derive(Clone, Copy)]
pub(super) enum Reference {
    Hpet(&'static Hpet),
    PmTimer(&'static PmTimer),
    /// The stopwatch, which `pit::start_stopwatch` has started.
    Pit,
}

/// What a reference and the time-stamp counter were at one moment.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub tsc: u64,
    /// Ticks of the time-stamp counter within which that moment was.
    pub unsure: u64,
    pub reference: u64,
}

/// Pairs of readings of which the closest counts: the others were held up, by a hypervisor say.
const LOOKS: u32 = 5;

/// Readings after which a counter that stands still is taken for dead. Even at 10 ns each, the slowest has moved by then.
const DEAD_AFTER: u32 = 1000;

/// Readings before waiting for a millisecond is given up; that is 5 ns each.
const PATIENCE: u32 = 200_000;

impl Reference {
    pub fn source(self) -> Source {
        match self {
            Self::Hpet(_) => Source::Hpet,
            Self::PmTimer(_) => Source::PmTimer,
            Self::Pit => Source::Pit,
        }
    }

    pub fn hertz(self) -> u64 {
        match self {
            Self::Hpet(hpet) => hpet.hertz(),
            Self::PmTimer(_) => pmtimer::HERTZ,
            Self::Pit => PIT_HZ,
        }
    }

    pub fn bits(self) -> u32 {
        match self {
            Self::Hpet(_) => hpet::BITS,
            Self::PmTimer(timer) => timer.bits(),
            Self::Pit => pit::STOPWATCH_BITS,
        }
    }

    /// The count, of which [`Self::bits`] mean something.
    pub fn count(self) -> u64 {
        match self {
            Self::Hpet(hpet) => hpet.read().into(),
            Self::PmTimer(timer) => timer.read().into(),
            Self::Pit => pit::stopwatch().into(),
        }
    }

    /// Whether the clock could run by it: it takes all processors asking at once, and seldom wraps.
    pub fn can_be_clock(self) -> bool {
        !matches!(self, Self::Pit)
    }

    /// Reads both counters together.
    pub fn read(self) -> Reading {
        let look = || {
            let before = cpu::tsc();
            let reference = self.count();
            let unsure = cpu::tsc().saturating_sub(before);
            Reading { tsc: before + unsure / 2, unsure, reference }
        };
        without_interrupts(|| {
            let first = look();
            (1..LOOKS).map(|_| look()).fold(first, |best, new| if new.unsure < best.unsure { new } else { best })
        })
    }

    /// Measures the time-stamp counter since `start`, or since now if too much time has passed to tell how much.
    /// `about_hertz` is its frequency as far as known. `None` if the reference does not count.
    pub fn measure(self, start: Reading, about_hertz: Option<u64>) -> Option<(Reading, Measurement)> {
        let mut start = start;
        if about_hertz.is_none() && matches!(self, Self::Pit) && pit::stopwatch_has_wrapped() {
            pit::start_stopwatch();
            start = self.read();
        }
        self.wait_for_a_millisecond(start.reference)?;
        self.since(start, about_hertz)
    }

    /// The same without waiting.
    pub fn since(self, start: Reading, about_hertz: Option<u64>) -> Option<(Reading, Measurement)> {
        let end = self.read();
        let tsc_ticks = end.tsc.checked_sub(start.tsc)?;
        let observed = elapsed(start.reference, end.reference, self.bits());
        let ticks = match about_hertz.map(|hertz| self.ticks_in(tsc_ticks, hertz)) {
            Some(expected) => unwrapped(observed, expected, self.bits()),
            None => observed,
        };
        let unsure = start.unsure.saturating_add(end.unsure);
        let measurement = Measurement::from_stretch(self.source(), tsc_ticks, unsure, ticks, self.hertz())?;
        Some((end, measurement))
    }

    /// Whether `tsc_ticks` at about `hertz` are too many to tell how often the reference wrapped meanwhile, if the frequency
    /// may be off by a hundredth or two.
    pub fn loses_count_in(self, tsc_ticks: u64, hertz: u64) -> bool {
        self.ticks_in(tsc_ticks, hertz) / 50 > mask(self.bits()) / 2
    }

    fn ticks_in(self, tsc_ticks: u64, tsc_hertz: u64) -> u64 {
        let ticks = u128::from(tsc_ticks) * u128::from(self.hertz()) / u128::from(tsc_hertz.max(1));
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    fn wait_for_a_millisecond(self, start: u64) -> Option<()> {
        let mut first = None;
        for attempt in 0..PATIENCE {
            let count = self.count();
            if elapsed(start, count, self.bits()) >= self.hertz() / 1000 {
                return Some(());
            }
            if attempt > DEAD_AFTER && first == Some(count) {
                return None;
            }
            first.get_or_insert(count);
        }
        None
    }
}
