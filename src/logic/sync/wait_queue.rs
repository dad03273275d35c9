//! Who waits for something to happen.
//!
//! A sleeper adds its waiter, then looks at its condition, then parks, and all that again until the condition holds; then it
//! removes the waiter. A waker makes the condition true, then wakes. Waiters are woken in the order of adding and taken out by
//! that. Neither adding nor waking allocates, and wakers are called with no lock
//! held. To wait for several things, put one waiter into each queue, all with the same waker.

use super::interrupts::InterruptsOff;
use super::lock::IrqLock;
use super::rank::Rank;
use alloc::sync::Arc;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::task::Waker;
use intrusive_collections::{LinkedList, LinkedListAtomicLink, intrusive_adapter};

/// Waiters woken for one taking of the lock, so that interrupts are not off for long.
const BATCH: usize = 16;

/// No queue.
const NOWHERE: u64 = 0;

/// One place in one wait queue at a time, for one sleeper.
#[derive(Debug)]
pub struct Waiter {
    link: LinkedListAtomicLink,
    /// Number of the queue that this is linked into, else [`NOWHERE`]. Written after linking and before unlinking, under that
    /// queue's lock: who holds the lock and reads the queue's number here knows that the link is in that queue's list.
    queue: AtomicU64,
    woken: AtomicBool,
    observer: bool,
    waker: Waker,
}

intrusive_adapter!(WaiterAdapter = Arc<Waiter>: Waiter { link => LinkedListAtomicLink });

impl Waiter {
    /// For one who takes what it waits for: [`WaitQueue::wake_one`] wakes one of these.
    pub fn new(waker: Waker) -> Arc<Self> {
        Self::make(waker, false)
    }

    /// For one who only looks and leaves it to others (poll): every wake-up wakes all of these, and they do not count.
    pub fn observer(waker: Waker) -> Arc<Self> {
        Self::make(waker, true)
    }

    fn make(waker: Waker, observer: bool) -> Arc<Self> {
        Arc::new(Self {
            link: LinkedListAtomicLink::new(),
            queue: AtomicU64::new(NOWHERE),
            woken: AtomicBool::new(false),
            observer,
            waker,
        })
    }

    /// Whether a queue has woken this since it was added.
    pub fn was_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }
}

/// A queue of waiters.
pub struct WaitQueue(IrqLock<Waiters>);

/// Observers first, then the others in the order of adding.
struct Waiters {
    list: LinkedList<WaiterAdapter>,
    count: usize,
    /// Tells this list from all others; given when first needed. Moving the queue moves it along.
    number: u64,
}

impl WaitQueue {
    /// A queue in which nobody waits.
    pub const fn new() -> Self {
        Self(IrqLock::new(
            Rank::WaitQueue,
            Waiters { list: LinkedList::new(WaiterAdapter::NEW), count: 0, number: NOWHERE },
        ))
    }

    /// Adds a waiter; one that waits here already keeps its place. Panics if it waits in another queue.
    pub fn add(&self, waiter: &Arc<Waiter>) {
        let mut waiters = self.0.lock();
        if waiters.number == NOWHERE {
            waiters.number = next_number();
        }
        if waiter.queue.load(Ordering::Relaxed) == waiters.number {
            return;
        }
        assert!(!waiter.link.is_linked(), "wait queue: a waiter waits in two queues");
        if waiter.observer {
            waiters.list.push_front(waiter.clone());
        } else {
            waiters.list.push_back(waiter.clone());
        }
        waiter.woken.store(false, Ordering::Relaxed);
        waiter.queue.store(waiters.number, Ordering::Relaxed);
        waiters.count += 1;
    }

    /// Takes a waiter out, because its sleeper got what it waited for or leaves with empty hands (time-out, signal). If it was
    /// woken since it was added, it may not have looked since, and somebody else may be waiting for what that was about: the
    /// wake-up goes to the next. So a sleeper that was woken adds its waiter again before it looks again.
    pub fn remove(&self, waiter: &Waiter) {
        let mut waiters = self.0.lock();
        if waiters.number != NOWHERE && waiter.queue.load(Ordering::Relaxed) == waiters.number {
            waiter.queue.store(NOWHERE, Ordering::Relaxed);
            // SAFETY: the waiter is in this list, as its queue number, read under the lock, says.
            let mut cursor = unsafe { waiters.list.cursor_mut_from_ptr(waiter) };
            cursor.remove();
            waiters.count -= 1;
            return;
        }
        drop(waiters);
        if waiter.woken.swap(false, Ordering::AcqRel) && !waiter.observer {
            self.wake_one();
        }
    }

    /// Wakes all observers and the waiter that has waited longest. Whether there was such a waiter.
    pub fn wake_one(&self) -> bool {
        self.wake(1) == 1
    }

    /// Wakes the waiter that has waited longest, but no observer: for one who took part of something, and leaves the rest to
    /// others. That is nothing new to those who only look.
    pub fn pass_on(&self) -> bool {
        let next = self.0.lock().take_first_waiter();
        // As in `wake`.
        let _here = InterruptsOff::new();
        next.inspect(|waiter| waiter.waker.wake_by_ref()).is_some()
    }

    /// Wakes everybody.
    pub fn wake_all(&self) {
        self.wake(usize::MAX);
    }

    /// Wakes all observers and up to `most` waiters. How many waiters, observers not counted.
    pub fn wake(&self, most: usize) -> usize {
        let mut woken = 0;
        let mut left = self.0.lock().count;
        loop {
            let batch = self.0.lock().take_batch(&mut left, most - woken);
            woken += batch.iter().filter(|waiter| !waiter.observer).count();
            {
                // Who is out of the queue must not wait for a waker that was preempted by the first it woke.
                let _here = InterruptsOff::new();
                batch.iter().for_each(|waiter| waiter.waker.wake_by_ref());
            }
            if !batch.is_full() {
                return woken;
            }
        }
    }

    /// Whether nobody waits; a hint, because it may change at once.
    pub fn is_empty(&self) -> bool {
        self.0.lock().count == 0
    }
}

impl Waiters {
    fn take_first_waiter(&mut self) -> Option<Arc<Waiter>> {
        let mut cursor = self.list.front_mut();
        while cursor.get()?.observer {
            cursor.move_next();
        }
        let waiter = cursor.remove()?;
        waiter.woken.store(true, Ordering::Release);
        waiter.queue.store(NOWHERE, Ordering::Relaxed);
        self.count -= 1;
        Some(waiter)
    }

    /// Takes out the next waiters to be woken: no more than `left` in all, because those woken may come back at once and must
    /// not be woken for ever, and no more than `most` that are not observers.
    fn take_batch(&mut self, left: &mut usize, mut most: usize) -> ArrayVec<Arc<Waiter>, BATCH> {
        let mut batch = ArrayVec::new();
        while *left > 0 && !batch.is_full() {
            let mut front = self.list.front_mut();
            let Some(waiter) = front.get().filter(|waiter| waiter.observer || most > 0) else { break };
            most -= usize::from(!waiter.observer);
            waiter.woken.store(true, Ordering::Release);
            waiter.queue.store(NOWHERE, Ordering::Relaxed);
            batch.extend(front.remove());
            self.count -= 1;
            *left -= 1;
        }
        batch
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for WaitQueue {
    /// Nobody waits for ever for what has gone.
    fn drop(&mut self) {
        self.wake_all();
    }
}

fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(NOWHERE);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}
