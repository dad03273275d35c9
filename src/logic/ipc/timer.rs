//! A timer that programs read (timerfd_create(2)).
//!
//! A [`Clock`] tells the time; when to look again is told to the layer above ([`Timer::next_expiry`]), which calls
//! [`Timer::fire`] then. What is read is worked out from the clock, so a late call changes nothing but when sleepers wake.

use crate::errno::Errno;
use crate::fs::{File, Readiness};
use crate::sync::{IrqLock, Rank, WaitQueue};
use alloc::sync::Arc;
use linux_raw_sys::general;

/// Bytes that a read gives.
const SIZE: usize = size_of::<u64>();

/// What time it is, on the clock that a timer goes by.
pub trait Clock: Send + Sync {
    /// Nanoseconds since the clock's beginning.
    fn now_ns(&self) -> u64;

    /// How often the clock was set: it jumped (settimeofday(2)). Of a clock that nobody can set, always the same.
    fn times_set(&self) -> u64 {
        0
    }
}

/// When a timer expires: `struct itimerspec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Nanoseconds: until it expires or, if absolute, the time at which it does. 0 is never.
    pub value_ns: u64,
    /// Nanoseconds from one expiry to the next; 0 is only once.
    pub interval_ns: u64,
}

impl Setting {
    /// Bytes of `struct itimerspec`.
    pub const SIZE: usize = size_of::<general::__kernel_itimerspec>();

    /// Reads a `struct itimerspec`: seconds and nanoseconds of the interval, then of the value. Times beyond what 64 bits of
    /// nanoseconds hold are that far away.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] for negative times, and a second or more of nanoseconds.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Result<Self, Errno> {
        let (fields, _) = bytes.as_chunks::<8>();
        match fields.iter().map(|field| i64::from_ne_bytes(*field)).collect::<arrayvec::ArrayVec<i64, 4>>().as_slice() {
            &[interval_seconds, interval_rest, seconds, rest] => Ok(Self {
                value_ns: nanoseconds(seconds, rest)?,
                interval_ns: nanoseconds(interval_seconds, interval_rest)?,
            }),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The same as a `struct itimerspec`.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let fields =
            [self.interval_ns / SECOND, self.interval_ns % SECOND, self.value_ns / SECOND, self.value_ns % SECOND];
        for (target, field) in bytes.chunks_exact_mut(8).zip(fields) {
            target.copy_from_slice(&field.to_ne_bytes());
        }
        bytes
    }
}

const SECOND: u64 = 1_000_000_000;

fn nanoseconds(seconds: i64, rest: i64) -> Result<u64, Errno> {
    let seconds = u64::try_from(seconds).map_err(|_| Errno::EINVAL)?;
    let rest = u64::try_from(rest).ok().filter(|rest| *rest < SECOND).ok_or(Errno::EINVAL)?;
    Ok(seconds.saturating_mul(SECOND).saturating_add(rest))
}

/// How a timer is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// `TFD_TIMER_ABSTIME`: the value is a time of the clock.
    pub absolute: bool,
    /// `TFD_TIMER_CANCEL_ON_SET`: a read fails once if the clock is set meanwhile.
    pub cancel_on_set: bool,
}

/// A timer, as an open file.
pub struct Timer {
    clock: Arc<dyn Clock>,
    state: IrqLock<State>,
    changed: WaitQueue,
}

#[derive(Default)]
struct State {
    /// When it expires next, and what has expired and was not read.
    next_ns: Option<u64>,
    interval_ns: u64,
    expired: u64,
    /// `times_set` of the clock when this was set, if that matters.
    watched_set: Option<u64>,
}

impl State {
    /// Counts what has expired until `now`.
    fn advance(&mut self, now: u64) {
        let Some(late) = self.next_ns.and_then(|next| now.checked_sub(next)) else { return };
        let Some(whole) = late.checked_div(self.interval_ns) else {
            self.expired = self.expired.saturating_add(1);
            self.next_ns = None;
            return;
        };
        let count = whole.saturating_add(1);
        self.expired = self.expired.saturating_add(count);
        // At the end of time there is no next one.
        let step = count.checked_mul(self.interval_ns);
        self.next_ns = self.next_ns.zip(step).and_then(|(next, step)| next.checked_add(step));
    }

    /// Whether the clock was set meanwhile, and that matters.
    fn is_cancelled(&self, times_set: u64) -> bool {
        self.watched_set.is_some_and(|before| before != times_set)
    }

    fn setting(&self, now: u64) -> Setting {
        let value_ns = self.next_ns.map_or(0, |next| next.saturating_sub(now).max(1));
        Setting { value_ns, interval_ns: self.interval_ns }
    }
}

impl Timer {
    /// A timer that does not run.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, state: IrqLock::new(Rank::File, State::default()), changed: WaitQueue::new() })
    }

    /// timerfd_settime(2): what it was set to before. The layer above asks for [`Timer::next_expiry`] afterwards.
    pub fn set(&self, setting: Setting, how: How) -> Setting {
        let (now, times_set) = (self.clock.now_ns(), self.clock.times_set());
        let before = {
            let mut state = self.state.lock();
            state.advance(now);
            let before = state.setting(now);
            let next = if how.absolute { setting.value_ns } else { now.saturating_add(setting.value_ns) };
            *state = State {
                next_ns: (setting.value_ns != 0).then_some(next),
                interval_ns: setting.interval_ns,
                expired: 0,
                watched_set: (how.absolute && how.cancel_on_set).then_some(times_set),
            };
            before
        };
        // An absolute time may have passed already.
        self.changed.wake_all();
        before
    }

    /// timerfd_gettime(2): how long until it expires, and then from time to time.
    pub fn get(&self) -> Setting {
        let now = self.clock.now_ns();
        let mut state = self.state.lock();
        state.advance(now);
        state.setting(now)
    }

    /// When it expires next, by its clock. If the clock is set, that is another moment: ask again, and call [`Timer::fire`].
    pub fn next_expiry(&self) -> Option<u64> {
        self.state.lock().next_ns
    }

    /// Wakes who waits, if it has expired or been cancelled. When to call this the next time.
    pub fn fire(&self) -> Option<u64> {
        let now = self.clock.now_ns();
        let next = {
            let mut state = self.state.lock();
            state.advance(now);
            state.next_ns
        };
        if !self.poll().is_empty() {
            self.changed.wake_one();
        }
        next
    }
}

impl File for Timer {
    fn read(&self, _: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        let target = bytes.first_chunk_mut::<SIZE>().ok_or(Errno::EINVAL)?;
        let (now, times_set) = (self.clock.now_ns(), self.clock.times_set());
        let mut state = self.state.lock();
        if state.is_cancelled(times_set) {
            state.watched_set = Some(times_set);
            state.expired = 0;
            return Err(Errno::ECANCELED);
        }
        state.advance(now);
        match core::mem::take(&mut state.expired) {
            0 => Err(Errno::EAGAIN),
            expired => {
                *target = expired.to_ne_bytes();
                Ok(SIZE)
            }
        }
    }

    fn write(&self, _: u64, _: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    fn poll(&self) -> Readiness {
        let (now, times_set) = (self.clock.now_ns(), self.clock.times_set());
        let mut state = self.state.lock();
        state.advance(now);
        let mut ready = Readiness::empty();
        ready.set(Readiness::IN | Readiness::RDNORM, state.expired > 0 || state.is_cancelled(times_set));
        ready
    }

    fn changes(&self) -> Option<&WaitQueue> {
        Some(&self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::testing::Bell;
    use crate::sync::Waiter;
    use core::sync::atomic::{AtomicU64, Ordering};
    use proptest::prelude::*;

    #[derive(Default)]
    struct Hand {
        now: AtomicU64,
        times_set: AtomicU64,
    }

    impl Hand {
        fn move_to(&self, now: u64) {
            self.now.store(now, Ordering::Relaxed);
        }
    }

    impl Clock for Hand {
        fn now_ns(&self) -> u64 {
            self.now.load(Ordering::Relaxed)
        }

        fn times_set(&self) -> u64 {
            self.times_set.load(Ordering::Relaxed)
        }
    }

    fn timer() -> (Arc<Hand>, Arc<Timer>) {
        let hand = Arc::new(Hand::default());
        hand.move_to(1000);
        (hand.clone(), Timer::new(hand))
    }

    fn read(timer: &Timer) -> Result<u64, Errno> {
        let mut bytes = [0; SIZE];
        timer.read(0, &mut bytes).map(|_| u64::from_ne_bytes(bytes))
    }

    const ABSOLUTE: How = How { absolute: true, cancel_on_set: false };

    #[test]
    fn a_relative_timer_expires_once_after_its_time() {
        let (hand, timer) = timer();
        assert_eq!((read(&timer), timer.next_expiry()), (Err(Errno::EAGAIN), None));
        assert_eq!(timer.set(Setting { value_ns: 50, interval_ns: 0 }, How::default()), Setting::default());
        assert_eq!(timer.next_expiry(), Some(1050));
        hand.move_to(1049);
        assert_eq!((read(&timer), timer.get().value_ns), (Err(Errno::EAGAIN), 1));
        hand.move_to(1050);
        assert_eq!(timer.poll(), Readiness::IN | Readiness::RDNORM);
        assert_eq!((read(&timer), read(&timer), timer.next_expiry()), (Ok(1), Err(Errno::EAGAIN), None));
        assert_eq!(timer.get(), Setting::default());
    }

    #[test]
    fn an_interval_counts_every_expiry_since_the_last_read() {
        let (hand, timer) = timer();
        timer.set(Setting { value_ns: 1100, interval_ns: 10 }, ABSOLUTE);
        hand.move_to(1135);
        assert_eq!(read(&timer), Ok(4));
        assert_eq!(timer.get(), Setting { value_ns: 5, interval_ns: 10 });
        let before = timer.set(Setting::default(), How::default());
        assert_eq!(before, Setting { value_ns: 5, interval_ns: 10 });
        hand.move_to(2000);
        assert_eq!(read(&timer), Err(Errno::EAGAIN), "it was stopped");
    }

    #[test]
    fn a_time_that_has_passed_expires_at_once() {
        let (_, timer) = timer();
        timer.set(Setting { value_ns: 3, interval_ns: 0 }, ABSOLUTE);
        assert_eq!(read(&timer), Ok(1));
    }

    #[test]
    fn the_end_of_time_is_survived() {
        let (hand, timer) = timer();
        timer.set(Setting { value_ns: u64::MAX, interval_ns: u64::MAX }, How::default());
        hand.move_to(u64::MAX);
        assert_eq!((read(&timer), timer.next_expiry()), (Ok(1), None));
        timer.set(Setting { value_ns: 1, interval_ns: 1 }, ABSOLUTE);
        assert_eq!(read(&timer), Ok(u64::MAX));
    }

    #[test]
    fn a_clock_that_is_set_cancels_once_if_that_was_asked_for() {
        let (hand, timer) = timer();
        timer.set(Setting { value_ns: 9000, interval_ns: 0 }, How { absolute: true, cancel_on_set: true });
        hand.times_set.store(1, Ordering::Relaxed);
        assert!(timer.poll().contains(Readiness::IN));
        assert_eq!((read(&timer), read(&timer)), (Err(Errno::ECANCELED), Err(Errno::EAGAIN)));
        hand.move_to(9000);
        assert_eq!(read(&timer), Ok(1));
    }

    #[test]
    fn firing_wakes_only_when_there_is_something_to_read_and_tells_when_to_fire_next() {
        let (hand, timer) = timer();
        let (bell, waker) = Bell::new();
        timer.set(Setting { value_ns: 50, interval_ns: 10 }, How::default());
        timer.changes().unwrap().add(&Waiter::new(waker));
        assert_eq!((timer.fire(), bell.rings()), (Some(1050), 0));
        hand.move_to(1050);
        assert_eq!((timer.fire(), bell.rings()), (Some(1060), 1));
    }

    #[test]
    fn settings_are_those_of_the_system_call() {
        let setting = Setting { value_ns: 3 * SECOND + 4, interval_ns: SECOND + 2 };
        let bytes = setting.to_bytes();
        assert_eq!(core::mem::offset_of!(general::__kernel_itimerspec, it_value), 16);
        assert_eq!(bytes.as_chunks::<8>().0, [1, 2, 3, 4_u64].map(u64::to_ne_bytes));
        assert_eq!(Setting::from_bytes(&bytes), Ok(setting));
        let with = |index: usize, value: i64| {
            let mut bytes = bytes;
            bytes[8 * index..][..8].copy_from_slice(&value.to_ne_bytes());
            Setting::from_bytes(&bytes)
        };
        for (index, value) in [(0, -1), (1, -1), (2, i64::MIN), (3, 1_000_000_000)] {
            assert_eq!(with(index, value), Err(Errno::EINVAL));
        }
        assert_eq!(with(2, i64::MAX).map(|setting| setting.value_ns), Ok(u64::MAX));
    }

    proptest! {
        #[test]
        fn as_much_is_read_as_intervals_have_passed(
            first in 1..100_u64, interval in 1..50_u64, steps in prop::collection::vec((0..80_u64, any::<bool>()), 1..40)
        ) {
            let (hand, timer) = timer();
            timer.set(Setting { value_ns: first, interval_ns: interval }, How::default());
            let (mut now, mut total) = (1000, 0);
            for (step, reads) in steps {
                now += step;
                hand.move_to(now);
                if reads {
                    total += read(&timer).unwrap_or(0);
                    let passed = now.checked_sub(1000 + first).map_or(0, |late| late / interval + 1);
                    prop_assert_eq!(total, passed);
                    prop_assert_eq!(timer.fire(), Some(1000 + first + passed * interval));
                }
            }
        }
    }
}
