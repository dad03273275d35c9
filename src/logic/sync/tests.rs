//! Tests of parking and wait queues with real threads; `tests/interleavings.rs` tries all orders of a few steps.

use super::park::{AfterSwitch, ParkToken, Wakeup};
use super::turn::Turn;
use super::wait_queue::{WaitQueue, Waiter};
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Wake, Waker};
use std::thread;

/// A thread as a kernel would have it; its run queue is a counter of how often it may run.
struct Sleeper {
    token: ParkToken,
    queued: Mutex<usize>,
    enqueued: Condvar,
}

impl Sleeper {
    fn new() -> Arc<Self> {
        Arc::new(Self { token: ParkToken::new(), queued: Mutex::new(0), enqueued: Condvar::new() })
    }

    fn wait_until(&self, queue: &WaitQueue, waiter: &Arc<Waiter>, condition: impl Fn() -> bool) {
        loop {
            self.token.prepare();
            queue.add(waiter);
            if condition() {
                queue.remove(waiter);
                return;
            }
            if self.token.commit() && self.token.finish() == AfterSwitch::Sleep {
                let mut queued = self.queued.lock().expect("whole");
                while *queued == 0 {
                    queued = self.enqueued.wait(queued).expect("whole");
                }
                *queued -= 1;
            }
        }
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        if self.token.wake() == Wakeup::Enqueue {
            let mut queued = self.queued.lock().expect("whole");
            *queued += 1;
            assert_eq!(*queued, 1, "a thread is in a run queue once");
            self.enqueued.notify_one();
        }
    }
}

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Bell {
    fn new() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self::default());
        (bell.clone(), Waker::from(bell))
    }

    fn rings(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn what_is_passed_on_wakes_the_next_waiter_and_no_observer() {
    let queue = WaitQueue::new();
    let (watch, watch_waker) = Bell::new();
    let (first, first_waker) = Bell::new();
    let (second, second_waker) = Bell::new();
    queue.add(&Waiter::observer(watch_waker));
    queue.add(&Waiter::new(first_waker));
    queue.add(&Waiter::new(second_waker));
    assert!(queue.pass_on());
    assert_eq!((watch.rings(), first.rings(), second.rings()), (0, 1, 0));
    assert!(queue.pass_on() && !queue.pass_on());
    assert_eq!((watch.rings(), first.rings(), second.rings()), (0, 1, 1));
    queue.wake_all();
    assert_eq!(watch.rings(), 1);
}

#[test]
fn a_wake_up_before_the_decision_keeps_a_thread_awake() {
    let token = ParkToken::new();
    token.prepare();
    assert_eq!(token.wake(), Wakeup::Nothing);
    assert!(!token.commit());
}

#[test]
fn a_wake_up_before_preparing_is_forgotten() {
    let token = ParkToken::new();
    assert_eq!(token.wake(), Wakeup::Nothing);
    token.prepare();
    assert!(token.commit());
    assert_eq!(token.finish(), AfterSwitch::Sleep);
}

#[test]
fn a_wake_up_during_the_switch_requeues_and_later_ones_do_nothing() {
    let token = ParkToken::new();
    token.prepare();
    assert!(token.commit());
    assert_eq!(token.wake(), Wakeup::Nothing);
    assert_eq!(token.finish(), AfterSwitch::Requeue);
    assert_eq!(token.wake(), Wakeup::Nothing);
}

#[test]
fn of_many_wake_ups_one_enqueues_a_sleeping_thread() {
    let token = ParkToken::new();
    token.prepare();
    assert!(token.commit());
    assert_eq!(token.finish(), AfterSwitch::Sleep);
    let enqueued = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| enqueued.fetch_add(usize::from(token.wake() == Wakeup::Enqueue), Ordering::Relaxed));
        }
    });
    assert_eq!(enqueued.into_inner(), 1);
}

#[test]
fn a_preempted_thread_that_does_not_sleep_is_requeued() {
    let token = ParkToken::new();
    token.prepare();
    assert_eq!(token.finish(), AfterSwitch::Requeue);
    assert!(token.commit(), "it goes on where it was interrupted");
}

#[test]
fn waiters_are_woken_in_the_order_of_adding() {
    let queue = WaitQueue::new();
    let bells: Vec<_> = (0..3).map(|_| Bell::new()).collect();
    let waiters: Vec<_> = bells.iter().map(|(_, waker)| Waiter::new(waker.clone())).collect();
    waiters.iter().for_each(|waiter| queue.add(waiter));
    queue.add(&waiters[0]);
    let rings = || bells.iter().map(|(bell, _)| bell.rings()).collect::<Vec<_>>();
    assert!(queue.wake_one());
    assert_eq!(rings(), [1, 0, 0]);
    assert_eq!(queue.wake(5), 2);
    assert_eq!(rings(), [1, 1, 1]);
    assert!(!queue.wake_one());
    assert!(queue.is_empty());
}

#[test]
fn every_wake_up_reaches_all_observers_and_does_not_count_them() {
    let queue = WaitQueue::new();
    let (taking, waker) = Bell::new();
    let taker = Waiter::new(waker);
    let (looking, waker) = Bell::new();
    let observers: Vec<_> = (0..40).map(|_| Waiter::observer(waker.clone())).collect();
    queue.add(&taker);
    observers.iter().for_each(|observer| queue.add(observer));
    assert_eq!(queue.wake(1), 1);
    assert_eq!((taking.rings(), looking.rings()), (1, 40));
}

#[test]
fn a_waiter_taken_out_is_not_woken_and_can_be_added_elsewhere() {
    let (here, there) = (WaitQueue::new(), WaitQueue::new());
    let (bell, waker) = Bell::new();
    let waiter = Waiter::new(waker);
    here.add(&waiter);
    there.remove(&waiter);
    assert!(!here.is_empty(), "it was not there");
    here.remove(&waiter);
    assert!(!here.wake_one());
    there.add(&waiter);
    assert!(there.wake_one());
    assert!(waiter.was_woken());
    assert_eq!(bell.rings(), 1);
}

#[test]
#[should_panic(expected = "a waiter waits in two queues")]
fn a_waiter_in_two_queues_panics() {
    let (here, there) = (WaitQueue::new(), WaitQueue::new());
    let waiter = Waiter::new(Waker::noop().clone());
    here.add(&waiter);
    there.add(&waiter);
}

#[test]
fn one_who_was_woken_and_leaves_passes_the_wake_up_on() {
    let queue = WaitQueue::new();
    let (first_bell, waker) = Bell::new();
    let first = Waiter::new(waker);
    let (second_bell, waker) = Bell::new();
    let second = Waiter::new(waker);
    queue.add(&first);
    queue.add(&second);
    queue.wake_one();
    queue.remove(&first);
    assert_eq!((first_bell.rings(), second_bell.rings()), (1, 1));
    queue.add(&first);
    queue.add(&second);
    queue.remove(&first);
    assert_eq!(second_bell.rings(), 1, "nobody was woken since the last adding");
}

#[test]
fn waking_everybody_ends_even_if_they_come_back_at_once() {
    struct Returner(Mutex<Option<Arc<Waiter>>>, Arc<WaitQueue>, AtomicUsize);
    impl Wake for Returner {
        fn wake(self: Arc<Self>) {
            self.2.fetch_add(1, Ordering::Relaxed);
            self.1.add(self.0.lock().expect("whole").as_ref().expect("set"));
        }
    }
    let queue = Arc::new(WaitQueue::new());
    let returners: Vec<_> = (0..50)
        .map(|_| {
            let returner = Arc::new(Returner(Mutex::new(None), queue.clone(), AtomicUsize::new(0)));
            let waiter = Waiter::new(Waker::from(returner.clone()));
            queue.add(&waiter);
            *returner.0.lock().expect("whole") = Some(waiter);
            returner
        })
        .collect();
    queue.wake_all();
    for returner in &returners {
        assert_eq!(returner.2.load(Ordering::Relaxed), 1);
        queue.remove(&returner.0.lock().expect("whole").take().expect("set"));
    }
}

#[test]
fn a_dropped_queue_wakes_who_waits() {
    let (bell, waker) = Bell::new();
    let waiter = Waiter::new(waker);
    let queue = WaitQueue::new();
    queue.add(&waiter);
    let moved = queue;
    drop(moved);
    assert_eq!(bell.rings(), 1);
}

#[test]
fn threads_hand_everything_over_through_a_wait_queue() {
    const ITEMS: usize = 2000;
    let queue = WaitQueue::new();
    let (items, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let take = || {
        let took = |count: usize| count.checked_sub(1);
        items.fetch_update(Ordering::AcqRel, Ordering::Acquire, took).is_ok()
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let sleeper = Sleeper::new();
                let waiter = Waiter::new(Waker::from(sleeper.clone()));
                loop {
                    sleeper.wait_until(&queue, &waiter, || taken.load(Ordering::Acquire) == ITEMS || take());
                    if taken.load(Ordering::Acquire) == ITEMS {
                        break;
                    }
                    if taken.fetch_add(1, Ordering::AcqRel) + 1 == ITEMS {
                        queue.wake_all();
                    }
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..ITEMS / 2 {
                    items.fetch_add(1, Ordering::AcqRel);
                    queue.wake_one();
                }
            });
        }
    });
    assert_eq!((taken.into_inner(), items.into_inner()), (ITEMS, 0));
}

#[test]
fn a_turn_is_handed_over_in_the_order_of_coming() {
    let turn = Turn::new();
    let taken = turn.try_take().expect("nobody has it");
    for _ in 0..2 {
        assert!(turn.try_take().is_none());
    }
    let [first, second, third] = [(); 3].map(|()| turn.line_up().expect("there is memory"));
    let (bell, waker) = Bell::new();
    first.called().add(&Waiter::new(waker));
    assert!(first.try_take().is_none());
    drop(taken);
    assert_eq!(bell.rings(), 1);
    assert!(turn.try_take().is_none() && second.try_take().is_none(), "it is another's");
    let taken = first.try_take().expect("it is its turn");
    assert!(first.try_take().is_none(), "once");
    drop(first);
    // One leaves the line, and one is called while it leaves.
    drop(second);
    assert!(third.try_take().is_none());
    drop(taken);
    drop(third);
    assert!(turn.line_up().expect("there is memory").try_take().is_some());
    assert!(turn.try_take().is_some());
}

#[test]
fn nobody_is_alone_with_a_turn_that_others_want() {
    static TURN: Turn = Turn::new();
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    let sleepers: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(|| {
                let sleeper = Sleeper::new();
                for _ in 0..2000 {
                    let taken = TURN.try_take().unwrap_or_else(|| {
                        let place = TURN.line_up().expect("there is memory");
                        let waiter = Waiter::new(Waker::from(sleeper.clone()));
                        let taken = RefCell::new(None);
                        sleeper.wait_until(place.called(), &waiter, || {
                            let has_it = taken.borrow().is_some();
                            has_it || taken.replace(place.try_take()).is_some() || taken.borrow().is_some()
                        });
                        taken.into_inner().expect("it was waited for")
                    });
                    assert_eq!(INSIDE.fetch_add(1, Ordering::SeqCst), 0);
                    INSIDE.fetch_sub(1, Ordering::SeqCst);
                    drop(taken);
                }
            })
        })
        .collect();
    sleepers.into_iter().for_each(|sleeper| sleeper.join().expect("whole"));
}
