//! Time: clocks, sleeping, interval timers.

use super::arguments::{Argument, Registers, UserPtr};
use super::blocking::{after_ns, left_ns};
use crate::hw::clock;
use crate::proc::process::{Answer, Continuation, Counted, Current, Sleep, Stop, find_task};
use linux_raw_sys::general;
use logic::errno::Errno;
use logic::process::Pid;
use logic::signal::Restart;
use logic::sync::WaitQueue;
use logic::time::Instant;

const SECOND_NS: u64 = 1_000_000_000;

/// Nanoseconds of a `struct timespec`; the longest time there is if it is longer.
///
/// # Errors
/// [`Errno::EINVAL`] if it is negative, or its nanoseconds are a second or more.
pub fn timespec(bytes: &[u8; 16]) -> Result<u64, Errno> {
    let [seconds, nanoseconds] = super::processes::halves(bytes);
    if nanoseconds >= SECOND_NS || i64::try_from(seconds).is_err() {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(SECOND_NS).saturating_add(nanoseconds))
}

/// A `struct timespec`.
pub fn to_timespec(nanoseconds: u64) -> [u8; 16] {
    pair(nanoseconds / SECOND_NS, nanoseconds % SECOND_NS)
}

/// Two words.
pub fn pair(first: u64, second: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..].copy_from_slice(&second.to_le_bytes());
    bytes
}

/// Nanoseconds of a `struct timeval`.
///
/// # Errors
/// [`Errno::EINVAL`].
pub fn timeval(bytes: &[u8; 16]) -> Result<u64, Errno> {
    let [seconds, microseconds] = super::processes::halves(bytes);
    if microseconds >= 1_000_000 || i64::try_from(seconds).is_err() {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(SECOND_NS).saturating_add(microseconds * 1000))
}

/// Nanoseconds since 1970; 0 before.
pub fn real_time_ns() -> u64 {
    clock::wall_clock().nanoseconds_since_1970()
}

/// When the time of day will be so many nanoseconds after 1970.
pub fn at_real_time(nanoseconds: u64) -> Instant {
    after_ns(nanoseconds.saturating_sub(real_time_ns()))
}

/// What the coarse clocks promise. They are as fine as the others, but who asks for one wants to hear how long it may stand still,
/// which is so long on Linux.
const COARSE_STEP_NS: u64 = 4_000_000;

/// The clocks that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The time of day.
    RealTime,
    /// The time since the kernel's start.
    Monotonic,
    /// Processor time of a process, or of a thread.
    Processor {
        /// Whose; the caller's if none.
        id: Option<Pid>,
        /// Of the one thread only.
        thread: bool,
    },
}

impl Argument for Clock {
    fn take(registers: &mut Registers<'_>) -> Result<Self, Errno> {
        Self::of(i32::take(registers)?)
    }
}

impl Clock {
    /// The clock with a number.
    fn of(number: i32) -> Result<Self, Errno> {
        let known = u32::try_from(number).unwrap_or(u32::MAX);
        Ok(match known {
            general::CLOCK_REALTIME | general::CLOCK_REALTIME_COARSE | general::CLOCK_REALTIME_ALARM => Self::RealTime,
            general::CLOCK_TAI => Self::RealTime,
            general::CLOCK_MONOTONIC
            | general::CLOCK_MONOTONIC_RAW
            | general::CLOCK_MONOTONIC_COARSE
            | general::CLOCK_BOOTTIME
            | general::CLOCK_BOOTTIME_ALARM => Self::Monotonic,
            general::CLOCK_PROCESS_CPUTIME_ID => Self::Processor { id: None, thread: false },
            general::CLOCK_THREAD_CPUTIME_ID => Self::Processor { id: None, thread: true },
            // clock_getcpuclockid(3): the complement of the number, and what is counted below it.
            _ if number < 0 && number & 3 <= 2 => {
                Self::Processor { id: Pid::from_user(!(number >> 3)), thread: number & 4 != 0 }
            }
            _ => return Err(Errno::EINVAL),
        })
    }

    fn now(self, current: &Current) -> Result<u64, Errno> {
        match self {
            Self::RealTime => Ok(real_time_ns()),
            Self::Monotonic => Ok(clock::now().nanoseconds()),
            Self::Processor { id, thread } => {
                let task = match id {
                    Some(id) => find_task(id).ok_or(Errno::EINVAL)?,
                    None => current.task.clone(),
                };
                let (_, own) = task.times_ns();
                let past = task.process.usage();
                Ok(if thread { own } else { own + past.user_ns + past.system_ns })
            }
        }
    }
}

/// clock_gettime(2).
pub fn clock_gettime(current: &mut Current, clock: Clock, target: UserPtr<[u8; 16]>) -> Answer {
    let now = clock.now(current)?;
    target.write(&current.task, &to_timespec(now))?;
    Ok(0)
}

/// clock_getres(2).
pub fn clock_getres(current: &mut Current, number: i32, target: UserPtr<[u8; 16]>) -> Answer {
    Clock::of(number)?;
    let is_coarse = u32::try_from(number)
        .is_ok_and(|known| matches!(known, general::CLOCK_REALTIME_COARSE | general::CLOCK_MONOTONIC_COARSE));
    let step = if is_coarse { COARSE_STEP_NS } else { 1 };
    target.write_if_any(&current.task, &to_timespec(step))?;
    Ok(0)
}

/// clock_settime(2): the clock is the machine's own.
pub fn clock_settime(_: &mut Current, clock: Clock, _: u64) -> Answer {
    Err(if clock == Clock::RealTime { Errno::EPERM } else { Errno::EINVAL }.into())
}

/// gettimeofday(2).
pub fn gettimeofday(current: &mut Current, target: UserPtr<[u8; 16]>, zone: UserPtr<[u8; 8]>) -> Answer {
    let now = real_time_ns();
    target.write_if_any(&current.task, &pair(now / SECOND_NS, now % SECOND_NS / 1000))?;
    zone.write_if_any(&current.task, &[0; 8])?;
    Ok(0)
}

/// time(2).
pub fn time(current: &mut Current, target: UserPtr<u64>) -> Answer {
    let seconds = real_time_ns() / SECOND_NS;
    target.write_if_any(&current.task, &seconds)?;
    Ok(seconds)
}

/// nanosleep(2).
pub fn nanosleep(current: &mut Current, time: UserPtr<[u8; 16]>, rest: UserPtr<[u8; 16]>) -> Answer {
    let nanoseconds = timespec(&time.read(&current.task)?)?;
    sleep(current, after_ns(nanoseconds), Some(rest.address()))
}

/// clock_nanosleep(2).
pub fn clock_nanosleep(
    current: &mut Current,
    clock: Clock,
    flags: u32,
    time: UserPtr<[u8; 16]>,
    rest: UserPtr<[u8; 16]>,
) -> Answer {
    if matches!(clock, Clock::Processor { thread: true, .. }) {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let nanoseconds = timespec(&time.read(&current.task)?)?;
    if flags & general::TIMER_ABSTIME == 0 {
        return sleep(current, after_ns(nanoseconds), Some(rest.address()));
    }
    let deadline = match clock {
        Clock::RealTime => at_real_time(nanoseconds),
        _ => Instant::from_nanoseconds(nanoseconds),
    };
    sleep(current, deadline, None)
}

/// Sleeps until `deadline`; who is interrupted learns how much was left.
fn sleep(current: &mut Current, deadline: Instant, rest: Option<u64>) -> Answer {
    let task = current.task.clone();
    let never = WaitQueue::new();
    if task.sleep_until(&never, Some(deadline), || false) == Sleep::TimedOut {
        return Ok(0);
    }
    let Some(rest) = rest else { return Err(Stop::Interrupted(Restart::IfNotHandled)) };
    let left = left_ns(deadline);
    if left == 0 {
        return Ok(0);
    }
    UserPtr::new(rest).write_if_any(&task, &to_timespec(left))?;
    current.continuation = Some(Continuation { call: sleep_on, arguments: [deadline.nanoseconds(), rest, 0, 0] });
    Err(Stop::Interrupted(Restart::RestartBlock))
}

fn sleep_on(current: &mut Current, [deadline, rest, ..]: [u64; 4]) -> Answer {
    sleep(current, Instant::from_nanoseconds(deadline), Some(rest))
}

/// alarm(2).
pub fn alarm(current: &mut Current, seconds: u32) -> Answer {
    let (left, _) = current.task.set_alarm(u64::from(seconds) * SECOND_NS, 0)?;
    Ok(left.div_ceil(SECOND_NS))
}

/// setitimer(2).
pub fn setitimer(current: &mut Current, which: u32, new: UserPtr<[u8; 32]>, old: UserPtr<[u8; 32]>) -> Answer {
    let which = Interval::new(which)?;
    let task = &current.task;
    let (interval, value) = match new.non_null() {
        None => (0, 0),
        Some(new) => {
            let bytes = new.read(task)?;
            let part = |start: usize| timeval(&core::array::from_fn(|index| bytes[start + index]));
            (part(0)?, part(16)?)
        }
    };
    let was = match which {
        Interval::Real => task.set_alarm(value, interval)?,
        Interval::Processor(counted) => task.process.set_processor_timer(counted, value, interval)?,
    };
    old.write_if_any(task, &timer_bytes(was))?;
    Ok(0)
}

/// getitimer(2).
pub fn getitimer(current: &mut Current, which: u32, target: UserPtr<[u8; 32]>) -> Answer {
    let task = &current.task;
    let left = match Interval::new(which)? {
        Interval::Real => task.process.alarm(),
        Interval::Processor(counted) => task.process.processor_timer(counted),
    };
    target.write(task, &timer_bytes(left))?;
    Ok(0)
}

/// The interval timers of a process.
enum Interval {
    Real,
    Processor(Counted),
}

impl Interval {
    fn new(which: u32) -> Result<Self, Errno> {
        match which {
            general::ITIMER_REAL => Ok(Self::Real),
            general::ITIMER_VIRTUAL => Ok(Self::Processor(Counted::Program)),
            general::ITIMER_PROF => Ok(Self::Processor(Counted::All)),
            _ => Err(Errno::EINVAL),
        }
    }
}

fn timer_bytes((left, interval): (u64, u64)) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&pair(interval / SECOND_NS, interval % SECOND_NS / 1000));
    bytes[16..].copy_from_slice(&pair(left / SECOND_NS, left % SECOND_NS / 1000));
    bytes
}
