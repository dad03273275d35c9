//! The kernel's clock: nanoseconds since its entry, the same on every processor and never going back.
//!
//! It runs by the time-stamp counter, whose frequency is measured while the kernel starts ([`begin`], [`add_references`],
//! [`start`]) and corrected once when more time has passed ([`refine`]). The counter is the clock until it is caught drifting,
//! or far apart between processors; then the HPET or the ACPI timer takes over. Counters that are a little apart stay the
//! clock, under a floor that all processors share.

use super::reference::{Reading, Reference};
use super::{cpu, hpet, percpu, pit, pmtimer, rtc, shared_clock};
use arrayvec::ArrayVec;
use core::arch::x86_64::__cpuid;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use logic::acpi::Platform;
use logic::sync::interrupts::InterruptsOff;
use logic::sync::{IrqLock, Rank};
use logic::time::calibration::{Choice, MAX_SOURCES, Measurement, choose};
use logic::time::counter::extended;
use logic::time::scale::Line;
use logic::time::stability::{Exchange, Skew, Together, Verdict, check_cpu, judge, judge_skew};
use logic::time::{Instant, TscFrequency, UnixTime};
use spin::Once;

/// What the counter is taken to count at when nothing tells: the clock is wrong then, but runs.
const UNKNOWN_HERTZ: u64 = 1_000_000_000;

/// After this part of a second the frequency is refined.
const REFINE_AFTER: u64 = 10;

/// A measurement with at most this error, in millionths, settles that the frequency needs no correction.
const CONFIRMING_PPM: u32 = 50;

/// A correction begins this part of a second later: by then every processor knows of it.
const BEND_AFTER: u64 = 100;

/// In the place of a line that there is not: one that begins after all readings.
const NO_LINE: [u64; 4] = [u64::MAX, 0, 0, 0];

/// How often the fallback must be asked at least. The ACPI timer's 24 bits wrap after 4.7 s.
const FALLBACK_INTERVAL: Duration = Duration::from_secs(1);

/// The time-stamp counter at the kernel's entry.
static ENTRY: AtomicU64 = AtomicU64::new(0);
/// References to measure against, and what they were when the kernel started.
static REFERENCES: IrqLock<ArrayVec<(Reference, Reading), 3>> = IrqLock::new(Rank::Timers, ArrayVec::new_const());

/// What the time-stamp counter means.
static LINE: Once<Line> = Once::new();
/// The same from this line's start on, after correction.
static REFINED: Once<Line> = Once::new();
/// Somebody has told what those claim.
static IS_MEASURED: AtomicBool = AtomicBool::new(false);
/// The clock from when the time-stamp counter was found to be of no use.
static FALLBACK: Once<Fallback> = Once::new();

/// The latest time that any processor was told, kept while [`SHARES_FLOOR`].
static FLOOR: AtomicU64 = AtomicU64::new(0);
static SHARES_FLOOR: AtomicBool = AtomicBool::new(false);

/// References that agree with what is believed, best first.
static BELIEVED: Once<ArrayVec<Reference, 3>> = Once::new();
/// What watches over the time-stamp counter.
static WATCH: IrqLock<Option<Watch>> = IrqLock::new(Rank::Timers, None);
/// Its value from which on [`refine`] has something to do.
static NEXT_LOOK: AtomicU64 = AtomicU64::new(u64::MAX);

/// The time of day at the kernel's entry.
static WALL_AT_ENTRY: Once<UnixTime> = Once::new();

/// Starts the first measurement; called at the kernel's entry, at which the time-stamp counter was `entry_tsc`.
pub fn begin(entry_tsc: u64) {
    ENTRY.store(entry_tsc, Ordering::Relaxed);
    pit::start_stopwatch();
    let _ = REFERENCES.lock().try_push((Reference::Pit, Reference::Pit.read()));
}

/// Starts measuring against what the firmware's tables name. Called as soon as they are read and device memory can be mapped.
pub fn add_references(platform: &Platform) {
    let hpet = hpet::find(platform).map(Reference::Hpet);
    let pm_timer = pmtimer::find(platform).map(Reference::PmTimer);
    for reference in [hpet, pm_timer].into_iter().flatten() {
        let reading = reference.read();
        let _ = REFERENCES.lock().try_push((reference, reading));
    }
}

/// Ends the measurements, which waits for at most a millisecond, and sets the clock going; says so in the log. Called once.
pub fn start(platform: &Platform) {
    let measured = measure();
    let choice = choose(&measured.measurements);
    let hertz = choice.as_ref().map_or(UNKNOWN_HERTZ, |choice| choice.chosen.hertz);
    let line = Line::new(ENTRY.load(Ordering::Relaxed), Instant::START, hertz);
    let Some(line) = line else { return };
    LINE.call_once(|| line);
    IS_MEASURED.store(choice.is_some(), Ordering::Relaxed);
    let century_register = platform.fixed.as_ref().and_then(|fixed| fixed.century_register);
    let wall = rtc::read(century_register).and_then(|date| date.unix_seconds()).map(UnixTime::from_seconds);
    if let Some(wall) = wall {
        WALL_AT_ENTRY.call_once(|| wall.at_start(now()));
    }
    match &choice {
        Some(choice) => {
            tell(choice);
            watch(choice, &measured.readings);
        }
        None => log::warn!("clock: nothing to measure the TSC with; a second may have any length"),
    }
}

/// The time.
pub fn now() -> Instant {
    now_at(cpu::tsc())
}

/// The time on a processor whose time-stamp counter is `tsc`.
pub fn now_at(tsc: u64) -> Instant {
    let instant = match FALLBACK.get() {
        Some(fallback) => fallback.now(),
        None => instant_of(tsc),
    };
    if !SHARES_FLOOR.load(Ordering::SeqCst) {
        return instant;
    }
    let floor = FLOOR.fetch_max(instant.nanoseconds(), Ordering::SeqCst);
    instant.max(Instant::from_nanoseconds(floor))
}

/// The time of day: the real-time clock's at boot, and what has passed since. Without such a clock, time since 1970 begins with
/// the kernel.
pub fn wall_clock() -> UnixTime {
    WALL_AT_ENTRY.get().copied().unwrap_or_default().after(now().since(Instant::START))
}

/// The time-stamp counter's frequency as known; `None` before [`start`] and if nothing told.
pub fn tsc_frequency() -> Option<TscFrequency> {
    let line = REFINED.get().or_else(|| LINE.get())?;
    TscFrequency::from_hertz(line.hertz()).filter(|_| IS_MEASURED.load(Ordering::Relaxed))
}

/// What programs need to tell the time by themselves; `None` if they cannot.
pub(super) fn shared() -> Option<shared_clock::Content> {
    let first = LINE.get().filter(|_| FALLBACK.get().is_none() && !SHARES_FLOOR.load(Ordering::SeqCst))?;
    let start = WALL_AT_ENTRY.get().copied().unwrap_or_default();
    let later = REFINED.get().map_or(NO_LINE, Line::words);
    Some(shared_clock::Content { day_start_ns: start.nanoseconds_since_1970(), first: first.words(), later })
}

/// How long the time-stamp counter takes for so many ticks, in nanoseconds.
pub fn nanoseconds_of(ticks: u64) -> u64 {
    REFINED.get().or_else(|| LINE.get()).map_or(0, |line| line.nanoseconds_of(ticks))
}

/// What the time-stamp counter will be at `instant`. `None` if the clock does not run by a counter that may be relied on so far
/// ahead: one that the processor calls invariant.
pub fn tsc_at(instant: Instant) -> Option<u64> {
    let first = LINE.get().filter(|_| FALLBACK.get().is_none() && is_invariant())?;
    let refined = REFINED.get().filter(|line| instant >= line.instant(line.start()));
    Some(refined.unwrap_or(first).reading(instant))
}

/// For how long at most the clock may go without being asked; `None`: for ever.
pub fn longest_pause() -> Option<Duration> {
    FALLBACK.get().map(|_| FALLBACK_INTERVAL)
}

/// Corrects the frequency once 100 ms after [`start`], and from then on looks every second whether a counter that the processor
/// does not call invariant drifts. Meant to be called often, when idle or from a timer; does nothing most of the time.
pub fn refine() {
    if cpu::tsc() < NEXT_LOOK.load(Ordering::Relaxed) {
        return;
    }
    // A stretch must begin and end with the same counter, where they differ.
    if SHARES_FLOOR.load(Ordering::Relaxed) && percpu::current().number() != 0 {
        return;
    }
    // The lock is free again before the fallback speaks of it.
    let drifts = WATCH.try_lock().is_some_and(|mut watch| watch.as_mut().is_some_and(Watch::drifts));
    if drifts {
        fall_back();
    }
}

/// Judges how far the counter of processor `number` is from the boot processor's, does what the clock needs, and answers how far.
pub fn judge_cpu(number: usize, exchanges: &[Exchange]) -> Option<Skew> {
    let hertz = LINE.get()?.hertz();
    let skew = check_cpu(exchanges);
    match (judge_skew(skew, hertz), skew) {
        (Together::Same, _) => return skew,
        (_, Some(skew)) => log::warn!("clock: TSC of processor {number} is {skew}"),
        (_, None) => log::warn!("clock: TSC of processor {number} cannot be compared"),
    }
    share_floor();
    if judge_skew(skew, hertz) == Together::FarApart {
        fall_back();
    }
    skew
}

/// Whether the processors' clocks keep a floor in common.
#[cfg(feature = "selftest")]
pub fn has_floor() -> bool {
    SHARES_FLOOR.load(Ordering::SeqCst)
}

/// Gives up the floor that [`judge_cpu`] made for a counter that was only said to be apart, when the counters have come up to it.
#[cfg(feature = "selftest")]
pub fn trust_again() {
    while instant_of(cpu::tsc()).nanoseconds() <= FLOOR.load(Ordering::SeqCst) {
        core::hint::spin_loop();
    }
    SHARES_FLOOR.store(false, Ordering::SeqCst);
    shared_clock::update();
}

/// From now on no processor is told an earlier time than any other was. Programs have to ask the kernel then.
fn share_floor() {
    SHARES_FLOOR.store(true, Ordering::SeqCst);
    shared_clock::update();
}

/// SDM volume 3 section 18.17.1: the counter runs at one rate in all states.
fn is_invariant() -> bool {
    const LEAF: u32 = 0x8000_0007;
    // Remembered, because CPUID takes a hypervisor microseconds.
    static ANSWER: Once<bool> = Once::new();
    *ANSWER.call_once(|| __cpuid(0x8000_0000).eax >= LEAF && __cpuid(LEAF).edx & 1 << 8 != 0)
}

/// The moment at which the time-stamp counter is `tsc`; before [`start`], the kernel's entry.
fn instant_of(tsc: u64) -> Instant {
    match (LINE.get(), REFINED.get()) {
        (_, Some(line)) if tsc >= line.start() => line.instant(tsc),
        (Some(line), _) => line.instant(tsc),
        (None, _) => Instant::START,
    }
}

/// What was found out about the frequency.
struct Measured {
    measurements: ArrayVec<Measurement, MAX_SOURCES>,
    /// References that count, and what they were at the end.
    readings: ArrayVec<(Reference, Reading), 3>,
}

fn measure() -> Measured {
    let mut measurements = told_by_cpu();
    let mut readings = ArrayVec::new();
    let references = {
        let mut references = REFERENCES.lock();
        references.sort_unstable_by_key(|(reference, _)| reference.source());
        references.clone()
    };
    for (reference, start) in references {
        // The counters that wrap late come first, and say how often the others have.
        let about_hertz = measurements.last().map(|last| last.hertz);
        match reference.measure(start, about_hertz) {
            Some((end, measurement)) => {
                readings.push((reference, end));
                measurements.push(measurement);
            }
            None => log::warn!("clock: {} does not count", reference.source()),
        }
    }
    Measured { measurements, readings }
}

/// The frequency as the processor or its hypervisor tells it.
fn told_by_cpu() -> ArrayVec<Measurement, MAX_SOURCES> {
    const HYPERVISOR: u32 = 0x4000_0000;
    const TIMING: u32 = 0x4000_0010;
    let highest = __cpuid(0).eax;
    let base = (highest >= 0x16).then(|| Measurement::from_base_frequency(__cpuid(0x16).eax));
    let crystal = (highest >= 0x15).then(|| __cpuid(0x15));
    let crystal = crystal.map(|leaf| Measurement::from_crystal(leaf.eax, leaf.ebx, leaf.ecx));
    let is_guest = __cpuid(1).ecx & 1 << 31 != 0;
    let has_timing = is_guest && (TIMING..TIMING + 0x100).contains(&__cpuid(HYPERVISOR).eax);
    let hypervisor = has_timing.then(|| Measurement::from_hypervisor(__cpuid(TIMING).eax));
    [base, hypervisor, crystal].into_iter().flatten().flatten().collect()
}

fn tell(choice: &Choice) {
    struct Wall;
    impl fmt::Display for Wall {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            match WALL_AT_ENTRY.get() {
                Some(_) => write!(formatter, "RTC {} UTC", wall_clock().date_time()),
                None => formatter.write_str("no RTC"),
            }
        }
    }
    if let Some(frequency) = TscFrequency::from_hertz(choice.chosen.hertz) {
        log::debug!("clock: TSC {frequency} {choice}; {Wall}");
    }
    for (source, ppm) in &choice.disagreeing {
        log::warn!("clock: {source} disagrees by {ppm} ppm");
    }
}

/// The clock after the time-stamp counter: a slower counter, extended to 64 bits.
struct Fallback {
    reference: Reference,
    count: AtomicU64,
    line: Line,
}

impl Fallback {
    fn now(&self) -> Instant {
        let last = self.count.load(Ordering::SeqCst);
        let count = extended(last, self.reference.count(), self.reference.bits());
        self.line.instant(self.count.fetch_max(count, Ordering::SeqCst).max(count))
    }
}

/// Lets the best reference be the clock from now on, if one can.
fn fall_back() {
    if FALLBACK.is_completed() {
        return;
    }
    let best = BELIEVED.get().into_iter().flatten().copied().find(|reference| reference.can_be_clock());
    let Some(reference) = best else {
        NEXT_LOOK.store(u64::MAX, Ordering::Relaxed);
        log::warn!("clock: the TSC is unreliable, and nothing can take its place");
        return;
    };
    share_floor();
    // A timer's interrupt that came meanwhile and wanted the same would wait for ever.
    let interrupts = InterruptsOff::new();
    FALLBACK.call_once(|| {
        let (count, at) = (reference.count(), instant_of(cpu::tsc()));
        // A reference that has measured has a frequency that makes a line.
        let line = Line::new(count, at, reference.hertz()).unwrap_or_else(|| unreachable!("{}", reference.source()));
        Fallback { reference, count: AtomicU64::new(count), line }
    });
    drop(interrupts);
    NEXT_LOOK.store(u64::MAX, Ordering::Relaxed);
    log::warn!("clock: the TSC is unreliable; now by {}", reference.source());
}

/// The state of watching.
struct Watch {
    reference: Reference,
    /// Where the current stretch began.
    since: Reading,
    /// The time-stamp counter's frequency as last known.
    hertz: u64,
    is_refined: bool,
    /// It drifted when last looked at.
    is_suspect: bool,
    /// What was told of it still holds.
    is_told: bool,
}

/// Begins to watch, with the best reference that is believed.
fn watch(choice: &Choice, readings: &[(Reference, Reading)]) {
    let is_believed = |reference: &Reference| {
        let source = reference.source();
        source == choice.chosen.source || choice.agreeing.iter().any(|(agreeing, _)| *agreeing == source)
    };
    BELIEVED.call_once(|| readings.iter().map(|(reference, _)| *reference).filter(is_believed).collect());
    let Some(&(reference, since)) = readings.iter().find(|(reference, _)| is_believed(reference)) else { return };
    let hertz = choice.chosen.hertz;
    // What is no measurement needs no correction.
    let is_refined = choice.chosen.source != reference.source();
    *WATCH.lock() = Some(Watch { reference, since, hertz, is_refined, is_suspect: false, is_told: false });
    NEXT_LOOK.store(since.tsc.saturating_add(hertz / REFINE_AFTER), Ordering::Relaxed);
}

impl Watch {
    /// Ends the stretch and begins the next. `true` if the counter drifted over two in a row.
    fn drifts(&mut self) -> bool {
        let start = self.since;
        let too_late = self.reference.loses_count_in(cpu::tsc().saturating_sub(start.tsc), self.hertz);
        let found = self.reference.since(start, Some(self.hertz));
        self.since = found.map_or_else(|| self.reference.read(), |(end, _)| end);
        let next_look =
            if self.is_refined && is_invariant() { u64::MAX } else { self.since.tsc.saturating_add(self.hertz) };
        NEXT_LOOK.store(next_look, Ordering::Relaxed);
        let Some((_, measurement)) = found.filter(|_| !too_late) else { return false };
        let verdict = judge(self.hertz, measurement.hertz, measurement.error_ppm);
        // It is looked at every second: more would push everything else out of the log.
        let changes = match verdict {
            Verdict::Drifts => true,
            Verdict::Refine(_) if !self.is_refined => true,
            Verdict::Keep | Verdict::Refine(_) => self.is_suspect,
        };
        if changes || !self.is_told {
            log::debug!("clock: TSC {} Hz by {}, {verdict:?}", measurement.hertz, self.reference.source());
            self.is_told = true;
        }
        match verdict {
            Verdict::Drifts if self.is_suspect => return true,
            // The floor comes a stretch before the fallback, so that all processors have it by then.
            Verdict::Drifts => {
                self.is_suspect = true;
                share_floor();
            }
            Verdict::Refine(hertz) if !self.is_refined => self.refine(hertz),
            // A stretch that was itself disturbed confirms little.
            Verdict::Keep | Verdict::Refine(_) => {
                self.is_refined |= measurement.error_ppm <= CONFIRMING_PPM;
                self.is_suspect = false;
            }
        }
        false
    }

    fn refine(&mut self, hertz: u64) {
        let bend = cpu::tsc().saturating_add(self.hertz / BEND_AFTER);
        if let Some(line) = LINE.get().and_then(|line| line.bent(bend, hertz)) {
            REFINED.call_once(|| line);
            shared_clock::update();
            self.hertz = hertz;
        }
        self.is_refined = true;
    }
}
