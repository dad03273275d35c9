//! Every interleaving of a few steps of parking and wait queues, tried by loom, with what weakly ordered memory may show.
//!
//! The sources under test are compiled here a second time, over loom's atomics and a lock that loom knows.

// The same sources in the kernel use all of it.
#![allow(dead_code)]

extern crate alloc;

use loom::sync::atomic;

#[path = "../src/logic/sync/interrupts.rs"]
mod interrupts;
#[path = "../src/logic/sync/park.rs"]
mod park;
#[path = "../src/logic/sync/wait_queue.rs"]
#[allow(unsafe_code, reason = "as in src/logic/sync")]
mod wait_queue;

mod rank {
    //! Ranks are checked elsewhere.

    pub enum Rank {
        WaitQueue,
    }
}

mod lock {
    //! A lock with the face of the kernel's, whose waiting loom explores.

    use super::rank::Rank;
    use std::ops::{Deref, DerefMut};
    use std::sync::{Mutex, MutexGuard, OnceLock};

    pub struct IrqLock<T> {
        turn: OnceLock<loom::sync::Mutex<()>>,
        data: Mutex<T>,
    }

    pub struct IrqGuard<'a, T> {
        data: MutexGuard<'a, T>,
        _turn: loom::sync::MutexGuard<'a, ()>,
    }

    impl<T> IrqLock<T> {
        pub const fn new(_: Rank, value: T) -> Self {
            Self { turn: OnceLock::new(), data: Mutex::new(value) }
        }

        pub fn lock(&self) -> IrqGuard<'_, T> {
            let turn = self.turn.get_or_init(|| loom::sync::Mutex::new(())).lock().expect("whole");
            IrqGuard { data: self.data.try_lock().expect("whoever has the turn has the data"), _turn: turn }
        }
    }

    impl<T> Deref for IrqGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.data
        }
    }

    impl<T> DerefMut for IrqGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.data
        }
    }
}

use atomic::{AtomicUsize, Ordering};
use park::{AfterSwitch, ParkToken, Wakeup};
use std::sync::Arc;
use std::task::{Wake, Waker};
use wait_queue::{WaitQueue, Waiter};

/// A thread as a kernel would have it; loom's mutex and condition variable stand for its run queue.
struct Sleeper {
    token: ParkToken,
    queued: loom::sync::Mutex<usize>,
    enqueued: loom::sync::Condvar,
}

impl Sleeper {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            token: ParkToken::new(),
            queued: loom::sync::Mutex::new(0),
            enqueued: loom::sync::Condvar::new(),
        })
    }

    fn wait_until(&self, mut condition: impl FnMut() -> bool) {
        loop {
            self.token.prepare();
            if condition() {
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

/// Explores all interleavings with at most `preemptions` switches away from a thread that could go on.
fn explore(preemptions: usize, scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(scenario);
}

/// Takes one of `items` if there is one.
fn take(items: &AtomicUsize) -> bool {
    items.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1)).is_ok()
}

#[test]
fn a_sleeper_notices_what_two_wakers_have_done() {
    explore(3, || {
        let sleeper = Sleeper::new();
        // Relaxed, so that only the token makes what was done visible.
        let done = Arc::new(AtomicUsize::new(0));
        let wakers: Vec<_> = (0..2)
            .map(|_| {
                let (sleeper, done) = (sleeper.clone(), done.clone());
                loom::thread::spawn(move || {
                    done.fetch_add(1, Ordering::Relaxed);
                    sleeper.wake();
                })
            })
            .collect();
        sleeper.wait_until(|| done.load(Ordering::Relaxed) == 2);
        wakers.into_iter().for_each(|waker| waker.join().expect("ends"));
    });
}

#[test]
fn two_sleepers_get_one_item_each() {
    explore(3, || {
        let (queue, items) = (Arc::new(WaitQueue::new()), Arc::new(AtomicUsize::new(0)));
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let (queue, items) = (queue.clone(), items.clone());
                loom::thread::spawn(move || {
                    let sleeper = Sleeper::new();
                    let waiter = Waiter::new(Waker::from(sleeper.clone()));
                    sleeper.wait_until(|| {
                        queue.add(&waiter);
                        take(&items)
                    });
                    queue.remove(&waiter);
                })
            })
            .collect();
        for _ in 0..2 {
            items.fetch_add(1, Ordering::Relaxed);
            queue.wake_one();
        }
        takers.into_iter().for_each(|taker| taker.join().expect("ends"));
    });
}

#[test]
fn a_wake_up_for_one_who_gives_up_reaches_the_other() {
    explore(3, || {
        let (queue, items) = (Arc::new(WaitQueue::new()), Arc::new(AtomicUsize::new(0)));
        let quitter = {
            let queue = queue.clone();
            loom::thread::spawn(move || {
                let waiter = Waiter::new(Waker::noop().clone());
                queue.add(&waiter);
                queue.remove(&waiter);
            })
        };
        let maker = {
            let (queue, items) = (queue.clone(), items.clone());
            loom::thread::spawn(move || {
                items.fetch_add(1, Ordering::Relaxed);
                queue.wake_one();
            })
        };
        let sleeper = Sleeper::new();
        let waiter = Waiter::new(Waker::from(sleeper.clone()));
        sleeper.wait_until(|| {
            queue.add(&waiter);
            take(&items)
        });
        queue.remove(&waiter);
        quitter.join().expect("ends");
        maker.join().expect("ends");
    });
}
