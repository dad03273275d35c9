//! The kernel's one kind of spinning lock: interrupts are off while it is held, so that no interrupt handler ever waits for
//! the code it interrupted. Long waits use sleeping locks instead.

use super::interrupts::InterruptsOff;
use super::rank::{Held, LockRank, Rank, Taking};
use core::ops::{Deref, DerefMut};
use spin::{Mutex, MutexGuard};

/// Data behind a spinning lock with a place in the order of locks ([`Rank`]).
pub struct IrqLock<T: ?Sized> {
    rank: LockRank,
    data: Mutex<T>,
}

/// Access to the data of an [`IrqLock`]. The order of fields is the order of letting go: data, rank, interrupts.
#[must_use = "the lock is free again as soon as this is dropped"]
pub struct IrqGuard<'a, T: ?Sized> {
    data: MutexGuard<'a, T>,
    _held: Held,
    _interrupts: InterruptsOff,
}

impl<T> IrqLock<T> {
    /// A free lock.
    pub const fn new(rank: Rank, value: T) -> Self {
        Self { rank: LockRank::new(rank), data: Mutex::new(value) }
    }

    /// The data of a lock that is not needed any more.
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> IrqLock<T> {
    /// Waits for the lock. Panics in checked builds if a lock of the same or a higher rank is held.
    pub fn lock(&self) -> IrqGuard<'_, T> {
        self.take(Taking::Waiting)
    }

    /// The lock if it is free; in any order, because nobody waits.
    pub fn try_lock(&self) -> Option<IrqGuard<'_, T>> {
        let interrupts = InterruptsOff::new();
        let data = self.data.try_lock()?;
        Some(IrqGuard { data, _held: Held::note(self.rank, Taking::WasFree), _interrupts: interrupts })
    }

    /// Takes the lock whoever holds it, in any order: for a panic, which may speak even if the holder never will again.
    ///
    /// # Safety
    /// Whoever held the lock must never run again: other processors are stopped, and this one does not return to the code
    /// below it on the stack. The data must be fit for use wherever that code was stopped.
    pub unsafe fn seize(&self) -> IrqGuard<'_, T> {
        let interrupts = InterruptsOff::new();
        let data = loop {
            if let Some(data) = self.data.try_lock() {
                break data;
            }
            // SAFETY: the caller promises that the holder is gone for good, so its guard is never used or dropped.
            unsafe { self.data.force_unlock() };
        };
        IrqGuard { data, _held: Held::unknown(), _interrupts: interrupts }
    }

    /// The data, without locking: the borrow proves that nobody else has the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    fn take(&self, taking: Taking) -> IrqGuard<'_, T> {
        let interrupts = InterruptsOff::new();
        // Before waiting: a violated order must panic, not hang.
        let held = Held::note(self.rank, taking);
        IrqGuard { data: self.data.lock(), _held: held, _interrupts: interrupts }
    }
}

impl<T: ?Sized> Deref for IrqGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T: ?Sized> DerefMut for IrqGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.data
    }
}

/// Two locks of the same rank, both held ([`lock_pair`]).
#[must_use = "the locks are free again as soon as this is dropped"]
pub struct PairGuard<'a, T> {
    /// Dropped first, because it was taken last: the other guard switches interrupts on again.
    taken_last: IrqGuard<'a, T>,
    taken_first: IrqGuard<'a, T>,
    swapped: bool,
}

impl<T> PairGuard<'_, T> {
    /// The data of both locks, in the order of [`lock_pair`]'s arguments.
    pub fn both(&mut self) -> (&mut T, &mut T) {
        let (first, last) = (&mut *self.taken_first, &mut *self.taken_last);
        if self.swapped { (last, first) } else { (first, last) }
    }
}

/// Waits for two locks of the same rank, in the order of their addresses so that two processors cannot wait for each other.
/// Panics if they are the same lock.
pub fn lock_pair<'a, T>(a: &'a IrqLock<T>, b: &'a IrqLock<T>) -> PairGuard<'a, T> {
    assert!(!core::ptr::eq(a, b), "lock order: a {:?} lock paired with itself", a.rank);
    assert!(a.rank == b.rank, "lock order: {:?} paired with {:?}", a.rank, b.rank);
    let swapped = core::ptr::from_ref(a) > core::ptr::from_ref(b);
    let (first, last) = if swapped { (b, a) } else { (a, b) };
    let taken_first = first.take(Taking::Waiting);
    PairGuard { taken_last: last.take(Taking::SecondOfPair), taken_first, swapped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;
    use std::thread;

    static RUN_QUEUES: [IrqLock<u64>; 2] = [const { IrqLock::new(Rank::RunQueue, 0) }; 2];

    fn panic_message(code: impl FnOnce() + std::panic::UnwindSafe) -> String {
        let payload = catch_unwind(code).expect_err("it panics");
        payload.downcast_ref::<String>().expect("a formatted message").clone()
    }

    #[test]
    fn only_one_thread_holds_the_lock() {
        let counter = IrqLock::new(Rank::File, 0_u64);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| *counter.lock() += 1));
            }
        });
        assert_eq!(counter.into_inner(), 4000);
    }

    #[test]
    fn a_held_lock_is_not_free_and_a_dropped_one_is() {
        let lock = IrqLock::new(Rank::File, ());
        let guard = lock.try_lock().expect("free");
        assert!(lock.try_lock().is_none());
        drop(guard);
        drop(lock.lock());
    }

    #[test]
    fn a_violated_order_panics_with_both_ranks_and_frees_what_was_held() {
        static SERIAL: IrqLock<()> = IrqLock::new(Rank::Serial, ());
        static HEAP: IrqLock<()> = IrqLock::new(Rank::Heap, ());
        let message = panic_message(|| {
            let _serial = SERIAL.lock();
            let _heap = HEAP.lock();
        });
        assert!(message.starts_with("lock order: Heap (rank"), "{message}");
        assert!(message.contains("taken while Serial (rank"), "{message}");
        let _heap = HEAP.lock();
        let _serial = SERIAL.lock();
    }

    #[test]
    fn a_lock_taken_twice_panics_instead_of_hanging() {
        static LOCK: IrqLock<()> = IrqLock::new(Rank::Process, ());
        let message = panic_message(|| {
            let _guard = LOCK.lock();
            let _again = LOCK.lock();
        });
        assert!(message.contains("Process (rank 1) taken while Process (rank 1) is held"), "{message}");
    }

    #[test]
    fn pairs_locked_from_both_sides_never_wait_for_each_other() {
        let [a, b] = &RUN_QUEUES;
        thread::scope(|scope| {
            for (first, second) in [(a, b), (b, a)] {
                scope.spawn(move || {
                    for _ in 0..1000 {
                        let mut pair = lock_pair(first, second);
                        let (first, second) = pair.both();
                        *first += 1;
                        *second += 1;
                    }
                });
            }
        });
        assert_eq!(lock_pair(a, b).both(), (&mut 2000, &mut 2000));
    }

    #[test]
    fn a_pair_is_in_the_order_of_the_arguments_and_not_one_lock_twice() {
        let [a, b] = &[IrqLock::new(Rank::RunQueue, 'a'), IrqLock::new(Rank::RunQueue, 'b')];
        assert_eq!(lock_pair(a, b).both(), (&mut 'a', &mut 'b'));
        assert_eq!(lock_pair(b, a).both(), (&mut 'b', &mut 'a'));
        assert!(panic_message(|| drop(lock_pair(&RUN_QUEUES[0], &RUN_QUEUES[0]))).contains("paired with itself"));
    }

    #[test]
    fn a_thread_that_holds_a_lock_must_not_sleep() {
        static LOCK: IrqLock<()> = IrqLock::new(Rank::WaitQueue, ());
        crate::sync::rank::assert_none_held();
        let message = panic_message(|| {
            let _guard = LOCK.lock();
            crate::sync::rank::assert_none_held();
        });
        assert_eq!(message, "lock order: WaitQueue is held where nothing may be");
    }

    #[test]
    fn a_panic_seizes_a_lock_that_is_held() {
        let lock = IrqLock::new(Rank::Serial, 1);
        core::mem::forget(lock.data.lock());
        // SAFETY: the guard was forgotten: nobody uses the data.
        let mut guard = unsafe { lock.seize() };
        *guard += 1;
        drop(guard);
        assert_eq!(*lock.lock(), 2);
    }
}
