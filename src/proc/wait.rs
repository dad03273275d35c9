//! The only sleep there is: until a condition holds, or a time has come.

use super::scheduler;
use crate::hw::clock;
use core::time::Duration;
use logic::sync::wait_queue::WaitQueue;
use logic::time::Instant;

/// When to give up waiting; `None` is never.
pub type Deadline = Option<Instant>;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The condition held.
    Done,
    /// The time came first.
    TimedOut,
}

/// Sleeps until `condition` holds, looking again whenever `queue` wakes, or until `deadline`. The condition is asked with this
/// thread in the queue, and must not sleep itself. No lock may be held.
pub fn wait_until(queue: &WaitQueue, deadline: Deadline, mut condition: impl FnMut() -> bool) -> Outcome {
    if condition() {
        return Outcome::Done;
    }
    let this = scheduler::current();
    if let Some(deadline) = deadline {
        scheduler::set_timer(&this.timer, deadline);
    }
    let outcome = loop {
        this.park.prepare();
        queue.add(&this.waiter);
        if condition() {
            queue.remove(&this.waiter);
            break Outcome::Done;
        }
        if deadline.is_some_and(|deadline| clock::now() >= deadline) {
            queue.remove(&this.waiter);
            break Outcome::TimedOut;
        }
        scheduler::park(&this);
    };
    if deadline.is_some() {
        scheduler::cancel_timer(&this.timer);
    }
    outcome
}

/// Sleeps for at least `time`.
pub fn sleep(time: Duration) {
    let never = WaitQueue::new();
    let deadline = clock::now().after(time);
    while wait_until(&never, Some(deadline), || false) != Outcome::TimedOut {}
}
