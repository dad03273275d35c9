//! How fast the time-stamp counter counts: what each source says, and which is believed.
//!
//! Sources are ranked by how exact they are. One that is measured against must agree with the others, since any of them is
//! wrong on some machine: the choice is the source that most others agree with, and among equals the best ranked.

use arrayvec::ArrayVec;
use core::fmt;

/// Who says how fast the time-stamp counter is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// CPUID leaf 15h: the crystal's frequency and the counter's ratio to it (SDM volume 2, CPUID).
    Crystal,
    /// CPUID leaf 40000010h: the hypervisor knows, as it makes the counter.
    Hypervisor,
    /// Measured against the high precision event timer.
    Hpet,
    /// Measured against the ACPI power management timer.
    PmTimer,
    /// Measured against the interval timer's channel 2.
    Pit,
    /// CPUID leaf 16h: the processor's base frequency in whole megahertz, which the counter has only more or less.
    BaseFrequency,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Crystal => "CPUID 15h",
            Self::Hypervisor => "hypervisor",
            Self::Hpet => "HPET",
            Self::PmTimer => "ACPI timer",
            Self::Pit => "PIT",
            Self::BaseFrequency => "CPUID 16h",
        })
    }
}

/// More sources than exist.
pub const MAX_SOURCES: usize = 6;

/// What one source says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Who says it.
    pub source: Source,
    /// The time-stamp counter's frequency.
    pub hertz: u64,
    /// How far it may be off, in millionths.
    pub error_ppm: u32,
}

/// How far crystals on one board may be apart without one being called wrong, in millionths.
const CRYSTAL_PPM: u32 = 500;

/// The error of [`Source::BaseFrequency`], which marketing rounds.
const BASE_FREQUENCY_PPM: u32 = 20_000;

/// No CPU counts more slowly, not even an emulated one, nor faster.
pub const fn plausible_tsc(hertz: u64) -> bool {
    hertz >= 1_000_000 && hertz <= 20_000_000_000
}

impl Measurement {
    /// From CPUID leaf 15h; `None` if the processor does not tell. Where it leaves only the crystal out, `base_megahertz` of
    /// leaf 16h could stand in, but then the result is no better than that leaf: it is not used.
    pub fn from_crystal(denominator: u32, numerator: u32, crystal_hertz: u32) -> Option<Self> {
        let ticks = u64::from(crystal_hertz) * u64::from(numerator);
        let hertz = ticks.checked_div(u64::from(denominator))?;
        Self::checked(Source::Crystal, hertz, 0)
    }

    /// From CPUID leaf 16h.
    pub fn from_base_frequency(megahertz: u32) -> Option<Self> {
        Self::checked(Source::BaseFrequency, u64::from(megahertz & 0xffff) * 1_000_000, BASE_FREQUENCY_PPM)
    }

    /// From CPUID leaf 40000010h.
    pub fn from_hypervisor(kilohertz: u32) -> Option<Self> {
        Self::checked(Source::Hypervisor, u64::from(kilohertz) * 1000, 10)
    }

    /// From a stretch of time in which a counter of `reference_hertz` made `reference_ticks`, and the time-stamp counter
    /// `tsc_ticks`, of which `unsure` went by while the two were being read.
    pub fn from_stretch(
        source: Source,
        tsc_ticks: u64,
        unsure: u64,
        reference_ticks: u64,
        reference_hertz: u64,
    ) -> Option<Self> {
        let hertz = (u128::from(tsc_ticks) * u128::from(reference_hertz)).checked_div(reference_ticks.into())?;
        let reading = (u128::from(unsure) * 1_000_000).checked_div(tsc_ticks.into())?;
        // Either end of the stretch may lie anywhere within a tick of the reference.
        let stepping = 2_000_000_u64.checked_div(reference_ticks)?;
        let error_ppm = u32::try_from(reading + u128::from(stepping)).unwrap_or(u32::MAX);
        Self::checked(source, u64::try_from(hertz).ok()?, error_ppm)
    }

    fn checked(source: Source, hertz: u64, error_ppm: u32) -> Option<Self> {
        plausible_tsc(hertz).then_some(Self { source, hertz, error_ppm })
    }

    /// Whether both may be right.
    fn agrees(&self, other: &Self) -> bool {
        let bound = u64::from(self.error_ppm) + u64::from(other.error_ppm) + u64::from(CRYSTAL_PPM);
        u64::from(difference_ppm(self.hertz, other.hertz)) <= bound
    }
}

/// How far two frequencies are apart, in millionths of the smaller, `u32::MAX` at most.
pub fn difference_ppm(left: u64, right: u64) -> u32 {
    let parts = (u128::from(left.abs_diff(right)) * 1_000_000).checked_div(left.min(right).into());
    parts.and_then(|parts| u32::try_from(parts).ok()).unwrap_or(u32::MAX)
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The one that is believed.
    pub chosen: Measurement,
    /// Those that agree with it, best first, and by how many millionths they differ.
    pub agreeing: ArrayVec<(Source, u32), MAX_SOURCES>,
    /// Those that contradict it, which somebody should be told.
    pub disagreeing: ArrayVec<(Source, u32), MAX_SOURCES>,
}

/// Chooses among what the sources say. `None` if none says anything.
pub fn choose(measurements: &[Measurement]) -> Option<Choice> {
    let mut candidates: ArrayVec<Measurement, MAX_SOURCES> = measurements.iter().take(MAX_SOURCES).copied().collect();
    candidates.sort_unstable_by_key(|measurement| measurement.source);
    let votes = |candidate: &Measurement| candidates.iter().filter(|other| candidate.agrees(other)).count();
    // The base frequency is a hint: it votes, and is chosen only if it is alone.
    let eligible = candidates.iter().filter(|each| each.source != Source::BaseFrequency || candidates.len() == 1);
    // Of equals, `max_by_key` takes the last: the best ranked, in this order.
    let chosen = *eligible.rev().max_by_key(|candidate| votes(candidate))?;
    let mut choice = Choice { chosen, agreeing: ArrayVec::new(), disagreeing: ArrayVec::new() };
    for other in candidates.iter().filter(|other| other.source != chosen.source) {
        let list = if chosen.agrees(other) { &mut choice.agreeing } else { &mut choice.disagreeing };
        list.push((other.source, difference_ppm(chosen.hertz, other.hertz)));
    }
    Some(choice)
}

/// `by HPET, ACPI timer agrees within 3 ppm, PIT within 40 ppm`.
impl fmt::Display for Choice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "by {}", self.chosen.source)?;
        for (position, (source, ppm)) in self.agreeing.iter().enumerate() {
            write!(formatter, ", {source} {}within {ppm} ppm", if position == 0 { "agrees " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn says(source: Source, hertz: u64, error_ppm: u32) -> Measurement {
        Measurement { source, hertz, error_ppm }
    }

    #[test]
    fn the_best_source_wins_when_all_agree() {
        let pit = says(Source::Pit, 2_995_300_000, 900);
        let hpet = says(Source::Hpet, 2_995_200_000, 20);
        let base = says(Source::BaseFrequency, 3_000_000_000, 20_000);
        let choice = choose(&[pit, base, hpet]).unwrap();
        assert_eq!(choice.chosen, hpet);
        assert!(choice.disagreeing.is_empty());
        assert_eq!(choice.to_string(), "by HPET, PIT agrees within 33 ppm, CPUID 16h within 1602 ppm");
    }

    #[test]
    fn a_majority_outvotes_a_better_source() {
        let hpet = says(Source::Hpet, 1_000_000_000, 20);
        let pm_timer = says(Source::PmTimer, 2_000_000_000, 20);
        let pit = says(Source::Pit, 2_000_100_000, 900);
        let choice = choose(&[hpet, pm_timer, pit]).unwrap();
        assert_eq!(choice.chosen, pm_timer);
        assert_eq!(choice.disagreeing.as_slice(), &[(Source::Hpet, 1_000_000)]);
    }

    #[test]
    fn of_two_that_contradict_each_other_the_better_source_wins() {
        let (hpet, pit) = (says(Source::Hpet, 1_000_000_000, 20), says(Source::Pit, 1_100_000_000, 20));
        let choice = choose(&[pit, hpet]).unwrap();
        assert_eq!(choice.chosen, hpet);
        assert_eq!(choice.disagreeing.as_slice(), &[(Source::Pit, 100_000)]);
    }

    #[test]
    fn the_base_frequency_is_believed_only_when_alone() {
        let base = says(Source::BaseFrequency, 3_000_000_000, 20_000);
        assert_eq!(choose(&[base]).unwrap().chosen, base);
        let pit = says(Source::Pit, 1_000_000_000, 20);
        assert_eq!(choose(&[base, pit]).unwrap().chosen, pit);
        assert_eq!(choose(&[]), None);
    }

    #[test]
    fn what_processors_say_is_checked() {
        // A Skylake: 24 MHz × 216 / 2.
        assert_eq!(Measurement::from_crystal(2, 216, 24_000_000).unwrap().hertz, 2_592_000_000);
        assert_eq!(Measurement::from_crystal(2, 216, 0), None);
        assert_eq!(Measurement::from_crystal(0, 216, 24_000_000), None);
        assert_eq!(Measurement::from_crystal(1, u32::MAX, u32::MAX), None);
        assert_eq!(Measurement::from_base_frequency(2_600).unwrap().hertz, 2_600_000_000);
        assert_eq!(Measurement::from_base_frequency(0), None);
        assert_eq!(Measurement::from_hypervisor(2_995_200).unwrap().hertz, 2_995_200_000);
        assert_eq!(Measurement::from_hypervisor(u32::MAX), None);
    }

    #[test]
    fn a_counter_that_stands_gives_nothing() {
        assert_eq!(Measurement::from_stretch(Source::Hpet, 1_000_000, 0, 0, 14_318_180), None);
        assert_eq!(Measurement::from_stretch(Source::Hpet, 0, 0, 1000, 14_318_180), None);
        assert_eq!(Measurement::from_stretch(Source::Hpet, u64::MAX, 0, 1, u64::MAX), None);
    }

    #[test]
    fn a_short_stretch_owns_up_to_its_error() {
        let measurement = Measurement::from_stretch(Source::Pit, 3_000_000, 3_000, 1_193, 1_193_182).unwrap();
        assert!(measurement.hertz.abs_diff(3_000_000_000) < 1_000_000);
        assert_eq!(measurement.error_ppm, 1_000 + 2_000_000 / 1_193);
    }

    proptest! {
        #[test]
        fn the_choice_is_one_of_them_whatever_their_order(
            values in proptest::collection::vec((0..6_usize, 1_000_000..20_000_000_000_u64, 0..100_000_u32), 1..7),
            rotation in 0..6_usize,
        ) {
            const ALL: [Source; 6] = [Source::Crystal, Source::Hypervisor, Source::Hpet, Source::PmTimer, Source::Pit,
                Source::BaseFrequency];
            let mut measurements: Vec<Measurement> = Vec::new();
            for (source, hertz, error) in values {
                if measurements.iter().all(|each| each.source != ALL[source]) {
                    measurements.push(says(ALL[source], hertz, error));
                }
            }
            let choice = choose(&measurements).unwrap();
            prop_assert!(measurements.contains(&choice.chosen));
            prop_assert_eq!(choice.agreeing.len() + choice.disagreeing.len() + 1, measurements.len());
            let places = rotation % measurements.len();
            measurements.rotate_left(places);
            prop_assert_eq!(choose(&measurements).unwrap(), choice);
        }
    }
}
