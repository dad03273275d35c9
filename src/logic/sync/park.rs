//! The park token: how a thread goes to sleep without losing a wake-up that comes at the worst moment.
//!
//! A sleeper repeats, until its condition holds: [`prepare`](ParkToken::prepare), look at the condition,
//! [`commit`](ParkToken::commit), give the processor away. From `commit` on it must not be preempted, and the code that the
//! processor goes on with calls [`finish`](ParkToken::finish) as soon as it has left the sleeper's stack. A waker makes the
//! condition true, then calls [`wake`](ParkToken::wake). Each side looks after the other has written, so one of them notices.
//!
//! | state | meaning | a waker makes it |
//! |---|---|---|
//! | `RUNNING` | runs or is in a run queue | `NOTIFIED` |
//! | `NOTIFIED` | the same, and must not go to sleep | `NOTIFIED` |
//! | `PARKING` | has decided to sleep, a processor is still on its stack | `NOTIFIED`, so that `finish` requeues it |
//! | `PARKED` | sleeps | `RUNNING`, and puts it into a run queue |
//!
//! Only the one waker that turns `PARKED` into `RUNNING` enqueues the thread, and only after the stack was left: a thread is
//! never in two run queues and never runs on two processors. `tests/interleavings.rs` tries every interleaving.

use super::atomic::{AtomicU8, Ordering};

const RUNNING: u8 = 0;
const NOTIFIED: u8 = 1;
const PARKING: u8 = 2;
const PARKED: u8 = 3;

/// One thread's way to sleep and be woken.
#[derive(Debug)]
pub struct ParkToken(AtomicU8);

/// What to do with a thread whose stack has just been left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a thread to requeue is lost otherwise"]
pub enum AfterSwitch {
    /// It was woken meanwhile, or never meant to sleep: put it into a run queue.
    Requeue,
    /// It sleeps until a waker enqueues it.
    Sleep,
}

/// What a waker has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a thread to enqueue is lost otherwise"]
pub enum Wakeup {
    /// The thread slept: put it into a run queue. Exactly one waker is told so.
    Enqueue,
    /// The thread is awake, or others see to it.
    Nothing,
}

impl ParkToken {
    /// The token of a thread that runs or is about to be put into a run queue for the first time.
    pub fn new() -> Self {
        Self(AtomicU8::new(RUNNING))
    }

    /// Sleeper: forgets earlier wake-ups. To be called before looking at the condition, which shows what they were about.
    pub fn prepare(&self) {
        let state = self.0.swap(RUNNING, Ordering::AcqRel);
        debug_assert!(state <= NOTIFIED, "park token: a sleeping thread prepares to sleep");
    }

    /// Sleeper: decides to sleep. False if a wake-up has come since [`prepare`](Self::prepare): look again. After true, the
    /// thread gives its processor away without being preempted.
    #[must_use = "a thread that was woken must not sleep"]
    pub fn commit(&self) -> bool {
        self.0.compare_exchange(RUNNING, PARKING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Processor: the thread's stack was left and its registers are saved.
    pub fn finish(&self) -> AfterSwitch {
        match self.0.compare_exchange(PARKING, PARKED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => AfterSwitch::Sleep,
            Err(_) => AfterSwitch::Requeue,
        }
    }

    /// Waker: the condition may hold now. From any context, interrupt handlers included.
    pub fn wake(&self) -> Wakeup {
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            // NOTIFIED is written again: what this waker has done must be seen by whoever reads the state next.
            let next = if state == PARKED { RUNNING } else { NOTIFIED };
            match self.0.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(PARKED) => return Wakeup::Enqueue,
                Ok(_) => return Wakeup::Nothing,
                Err(current) => state = current,
            }
        }
    }
}

impl Default for ParkToken {
    fn default() -> Self {
        Self::new()
    }
}
