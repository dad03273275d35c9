//! Each processor's timer, which goes off once at a moment: the local APIC's, set by the time-stamp counter where both are up
//! to it, else by a count; on a machine without local APICs, channel 0 of the interval timer.
//!
//! The timer keeps no state: it may go off early (a wait longer than the hardware can count, a frequency that was refined), so
//! its hook looks at the clock, does what is due and arms it again.

use super::irq::{self, Line, Registration};
use super::{apic, clock, cpu, pit};
use core::fmt;
use core::hint::spin_loop;
use core::time::Duration;
use logic::time::scale::Scale;
use logic::time::{Instant, NANOSECONDS, PIT_HZ};
use spin::Once;
use x86_64::instructions::interrupts::without_interrupts;

/// The APIC timer counts once in four of its clock's ticks: resolution enough, and the longest wait is seconds.
const DIVIDE_LOG2: u8 = 2;

/// The shortest stretch that the APIC timer is measured over.
const STRETCH: Duration = Duration::from_millis(1);

/// Looks at the clock before it is given up; that is 5 ns each.
const PATIENCE: u32 = 200_000;

/// Pairs of readings of which the closest counts.
const LOOKS: u32 = 5;

/// Frequencies of the divided APIC timer that are believed, in hertz.
const PLAUSIBLE: core::ops::RangeInclusive<u64> = 10_000..=10_000_000_000;

static KIND: Once<Kind> = Once::new();
static HOOK: Once<fn()> = Once::new();
/// The time-stamp counter and the APIC timer's count when it began to be measured: the clock may not have started then.
static MEASURED_SINCE: Once<(u64, u32)> = Once::new();

enum Kind {
    TscDeadline,
    Apic { hertz: u64, from_nanoseconds: Scale },
    Pit { _line: Registration },
    None,
}

/// Begins to measure the timer. Called on the first processor, after interrupt controllers are found, a millisecond or more before
/// [`init_bsp`] unless that is to wait.
pub fn begin() {
    if apic::mode() != apic::ApicMode::Absent {
        apic::timer_one_shot(u32::MAX, DIVIDE_LOG2);
        MEASURED_SINCE.call_once(look);
    }
}

/// Chooses the timer of all processors and says so in the log. Called on the first processor, after [`begin`] and when the clock
/// has started.
pub fn init_bsp() {
    let kind = KIND.call_once(choose);
    irq::set_fixed_handler(irq::TIMER_VECTOR, interrupt);
    arm(None);
    log::debug!("timer: {kind}");
}

/// Makes another processor's timer ready. Called on it, after [`init_bsp`] on the first.
pub fn init_this_cpu() {
    arm(None);
}

/// Names what is called when a timer goes off, for good, on the processor that it is of. It is an interrupt handler, may be
/// called early, and must [`arm`] the timer again if it still waits for anything.
pub fn set_hook(hook: fn()) {
    HOOK.call_once(|| hook);
}

/// Lets this processor's timer go off at `deadline` instead of whenever it was to: at once if that is past, and perhaps before.
/// `None`: not at all. Called with interrupts off, or where moving to another processor meanwhile does no harm.
pub fn arm(deadline: Option<Instant>) {
    let now = clock::now();
    let must_look = clock::longest_pause().map(|pause| now.after(pause));
    let deadline = match (deadline, must_look) {
        (Some(deadline), Some(look)) => Some(deadline.min(look)),
        (deadline, look) => deadline.or(look),
    };
    match (KIND.get(), deadline) {
        (None | Some(Kind::None), _) => {}
        (Some(Kind::Pit { .. }), None) => pit::stop(),
        (Some(_), None) => apic::timer_stop(),
        // 0 would switch the timer off.
        (Some(Kind::TscDeadline), Some(deadline)) => {
            apic::timer_tsc_deadline(clock::tsc_at(deadline).unwrap_or(1).max(1));
        }
        (Some(Kind::Apic { from_nanoseconds, .. }), Some(deadline)) => {
            let count = from_nanoseconds.convert_up(wait(now, deadline)).clamp(1, u32::MAX.into());
            apic::timer_one_shot(u32::try_from(count).unwrap_or(u32::MAX), DIVIDE_LOG2);
        }
        (Some(Kind::Pit { .. }), Some(deadline)) => {
            let nanoseconds = wait(now, deadline).min(pit::LONGEST_ONE_SHOT);
            pit::one_shot(u16::try_from((nanoseconds * PIT_HZ).div_ceil(NANOSECONDS)).unwrap_or(u16::MAX));
        }
    }
}

/// Nanoseconds from `now` to `deadline`, 0 if it is past.
fn wait(now: Instant, deadline: Instant) -> u64 {
    deadline.nanoseconds().saturating_sub(now.nanoseconds())
}

fn choose() -> Kind {
    if apic::has_tsc_deadline() && clock::tsc_at(clock::now()).is_some() {
        return Kind::TscDeadline;
    }
    if let Some((hertz, from_nanoseconds)) = measure_apic() {
        return Kind::Apic { hertz, from_nanoseconds };
    }
    match irq::register(Line::Isa(0), interrupt, "timer") {
        Ok(line) => Kind::Pit { _line: line },
        Err(error) => {
            log::error!("timer: none: {error}");
            Kind::None
        }
    }
}

/// Counts a second of the APIC timer as [`begin`] has set it going, and how to get them. `None` if it does not count.
fn measure_apic() -> Option<(u64, Scale)> {
    let &(start, first_count) = MEASURED_SINCE.get()?;
    let start = clock::now_at(start);
    let mut passed = clock::now().since(start);
    for _ in 0..PATIENCE {
        if passed >= STRETCH {
            break;
        }
        spin_loop();
        passed = clock::now().since(start);
    }
    let (end, last_count) = look();
    apic::timer_stop();
    let end = clock::now_at(end);
    let counts = u128::from(first_count.checked_sub(last_count)?);
    let hertz = (counts * u128::from(NANOSECONDS)).checked_div(end.since(start).as_nanos())?;
    let hertz = u64::try_from(hertz).ok().filter(|hertz| PLAUSIBLE.contains(hertz))?;
    Some((hertz, Scale::from_nanoseconds(hertz)?))
}

/// The time-stamp counter and the APIC timer's count together: of several pairs the closest, as the others were held up.
fn look() -> (u64, u32) {
    let pair = |_| {
        let before = cpu::tsc();
        let count = apic::timer_current();
        let apart = cpu::tsc().saturating_sub(before);
        (apart, before + apart / 2, count)
    };
    let closest = without_interrupts(|| (0..LOOKS).map(pair).min_by_key(|(apart, ..)| *apart));
    closest.map_or((0, 0), |(_, at, count)| (at, count))
}

fn interrupt() {
    match HOOK.get() {
        Some(hook) => hook(),
        // Nobody waits, but the clock may have to be looked at.
        None => arm(None),
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TscDeadline => formatter.write_str("local APIC, TSC deadline"),
            Self::Apic { hertz, .. } => write!(formatter, "local APIC, {} kHz", hertz / 1000),
            Self::Pit { .. } => formatter.write_str("PIT"),
            Self::None => formatter.write_str("none"),
        }
    }
}
