//! What is to happen later: timers in the order of their deadlines.
//!
//! A queue belongs behind a lock. Its owner takes out what is due, one timer at a time, and fires it after letting go of the lock.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use core::task::Waker;
use intrusive_collections::{KeyAdapter, RBTree, RBTreeAtomicLink, intrusive_adapter};

/// No queue.
const NOWHERE: usize = usize::MAX;

/// Wakes somebody at a time; may be used again and again, in one queue at a time.
#[derive(Debug)]
pub struct Timer {
    link: RBTreeAtomicLink,
    /// Number of the queue that this is in, else [`NOWHERE`]. Written under that queue's lock, after unlinking: who reads
    /// [`NOWHERE`] without the lock may put the timer into another queue.
    queue: AtomicUsize,
    /// Nanoseconds since boot.
    deadline: AtomicU64,
    /// Order among equal deadlines; unique within a queue.
    sequence: AtomicU64,
    waker: Waker,
}

intrusive_adapter!(TimerAdapter = Arc<Timer>: Timer { link => RBTreeAtomicLink });

impl<'a> KeyAdapter<'a> for TimerAdapter {
    type Key = (u64, u64);

    fn get_key(&self, timer: &'a Timer) -> (u64, u64) {
        timer.key()
    }
}

impl Timer {
    /// A timer that is in no queue.
    pub fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Self {
            link: RBTreeAtomicLink::new(),
            queue: AtomicUsize::new(NOWHERE),
            deadline: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            waker,
        })
    }

    /// Number of the queue that this is in: where to cancel it. May change at once when it fires.
    pub fn queue(&self) -> Option<usize> {
        Some(self.queue.load(Acquire)).filter(|&queue| queue != NOWHERE)
    }

    /// Does what the timer is for. Called by the owner of the queue, without its lock.
    pub fn fire(&self) {
        self.waker.wake_by_ref();
    }

    fn key(&self) -> (u64, u64) {
        (self.deadline.load(Relaxed), self.sequence.load(Relaxed))
    }
}

/// Timers by deadline, those with equal ones in the order of insertion.
pub struct TimerQueue {
    number: usize,
    tree: RBTree<TimerAdapter>,
    next_sequence: u64,
}

impl TimerQueue {
    /// An empty queue. `number` must differ from that of all other queues: the processor's.
    pub const fn new(number: usize) -> Self {
        Self { number, tree: RBTree::new(TimerAdapter::NEW), next_sequence: 0 }
    }

    /// Sets a timer to a time, in nanoseconds since boot; if it is in this queue already, it is moved. True if it comes first
    /// now, so that the hardware must be told. Panics if the timer is in another queue.
    pub fn insert(&mut self, timer: &Arc<Timer>, deadline_ns: u64) -> bool {
        self.cancel(timer);
        assert!(!timer.link.is_linked(), "timer queue: a timer is set in two queues");
        timer.queue.store(self.number, Release);
        timer.deadline.store(deadline_ns, Relaxed);
        timer.sequence.store(self.next_sequence, Relaxed);
        self.next_sequence += 1;
        self.tree.insert(timer.clone());
        self.tree.front().get().is_some_and(|first| core::ptr::eq(first, &raw const **timer))
    }

    /// Takes a timer out. False if it is not in this queue: it has fired, or never was.
    pub fn cancel(&mut self, timer: &Arc<Timer>) -> bool {
        if timer.queue() != Some(self.number) {
            return false;
        }
        let mut cursor = self.tree.find_mut(&timer.key());
        let found = cursor.get().is_some_and(|found| core::ptr::eq(found, &raw const **timer));
        if found {
            cursor.remove();
            timer.queue.store(NOWHERE, Release);
        }
        found
    }

    /// The earliest deadline.
    pub fn next_deadline(&self) -> Option<u64> {
        self.tree.front().get().map(|timer| timer.deadline.load(Relaxed))
    }

    /// Takes out the first timer that is due, to be [fired](Timer::fire).
    pub fn expire(&mut self, now: u64) -> Option<Arc<Timer>> {
        let timer =
            self.next_deadline().filter(|&deadline| deadline <= now).and_then(|_| self.tree.front_mut().remove())?;
        timer.queue.store(NOWHERE, Release);
        Some(timer)
    }

    /// Whether no timer is set.
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    fn silent() -> Arc<Timer> {
        Timer::new(Waker::noop().clone())
    }

    #[test]
    fn a_timer_fires_once_and_can_be_used_again() {
        struct Bell(AtomicUsize);
        impl Wake for Bell {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Relaxed);
            }
        }
        let bell = Arc::new(Bell(AtomicUsize::new(0)));
        let timer = Timer::new(Waker::from(bell.clone()));
        let mut queue = TimerQueue::new(0);
        for round in 1..4 {
            queue.insert(&timer, 100);
            assert!(queue.expire(99).is_none());
            queue.expire(100).expect("due").fire();
            assert!(queue.expire(100).is_none());
            assert_eq!(bell.0.load(Relaxed), round);
        }
        assert_eq!(Arc::strong_count(&timer), 1, "the queue has let go of it");
    }

    #[test]
    fn inserting_tells_whether_the_hardware_must_know() {
        let mut queue = TimerQueue::new(0);
        let (early, late) = (silent(), silent());
        assert!(queue.insert(&late, 200));
        assert!(queue.insert(&early, 100));
        assert!(!queue.insert(&late, 150));
        assert_eq!(queue.next_deadline(), Some(100));
        assert!(queue.cancel(&early) && !queue.cancel(&early));
        assert_eq!(queue.next_deadline(), Some(150));
    }

    #[test]
    fn a_timer_says_where_it_can_be_cancelled() {
        let (mut here, mut there) = (TimerQueue::new(0), TimerQueue::new(1));
        let timer = silent();
        assert_eq!(timer.queue(), None);
        here.insert(&timer, 1);
        assert_eq!(timer.queue(), Some(0));
        assert!(!there.cancel(&timer) && here.cancel(&timer));
        there.insert(&timer, 1);
        assert_eq!(timer.queue(), Some(1));
    }

    #[test]
    #[should_panic(expected = "a timer is set in two queues")]
    fn a_timer_set_in_two_queues_panics() {
        let (mut here, mut there) = (TimerQueue::new(0), TimerQueue::new(1));
        let timer = silent();
        here.insert(&timer, 1);
        there.insert(&timer, 1);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(usize, u64),
        Cancel(usize),
        Expire(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_usize..12, 0_u64..20).prop_map(|(timer, deadline)| Step::Insert(timer, deadline)),
            (0_usize..12).prop_map(Step::Cancel),
            (0_u64..20).prop_map(Step::Expire),
        ]
    }

    proptest! {
        #[test]
        fn timers_come_in_the_order_of_deadline_then_insertion(steps in prop::collection::vec(step(), 0..200)) {
            let timers: Vec<_> = (0..12).map(|_| silent()).collect();
            let mut queue = TimerQueue::new(0);
            // (deadline, timer) in the order in which they are due.
            let mut model: Vec<(u64, usize)> = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(timer, deadline) => {
                        model.retain(|&(_, other)| other != timer);
                        let place = model.partition_point(|&(other, _)| other <= deadline);
                        model.insert(place, (deadline, timer));
                        prop_assert_eq!(queue.insert(&timers[timer], deadline), place == 0);
                    }
                    Step::Cancel(timer) => {
                        let was = model.iter().any(|&(_, other)| other == timer);
                        model.retain(|&(_, other)| other != timer);
                        prop_assert_eq!(queue.cancel(&timers[timer]), was);
                    }
                    Step::Expire(now) => {
                        let due = model.first().filter(|(deadline, _)| *deadline <= now).map(|&(_, timer)| timer);
                        let expired = queue.expire(now);
                        match (due, expired) {
                            (Some(due), Some(expired)) => {
                                prop_assert!(Arc::ptr_eq(&timers[due], &expired));
                                model.remove(0);
                            }
                            (due, expired) => prop_assert!(due.is_none() && expired.is_none()),
                        }
                    }
                }
                prop_assert_eq!(queue.next_deadline(), model.first().map(|&(deadline, _)| deadline));
                prop_assert_eq!(queue.is_empty(), model.is_empty());
            }
        }
    }
}
