//! A lock for long work: who must wait for it sleeps.

use super::wait::wait_until;
use core::ops::{Deref, DerefMut};
use logic::sync::rank::assert_none_held;
use logic::sync::wait_queue::WaitQueue;

/// Data that one thread uses at a time. Not for interrupt handlers.
pub struct Mutex<T: ?Sized> {
    waiting: WaitQueue,
    data: spin::Mutex<T>,
}

/// The data, until this is dropped.
pub struct MutexGuard<'a, T: ?Sized> {
    /// `None` only while it is dropped.
    data: Option<spin::MutexGuard<'a, T>>,
    waiting: &'a WaitQueue,
}

impl<T> Mutex<T> {
    /// A free lock.
    pub const fn new(value: T) -> Self {
        Self { waiting: WaitQueue::new(), data: spin::Mutex::new(value) }
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock. No spinning lock may be held.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        assert_none_held();
        let mut data = self.data.try_lock();
        if data.is_none() {
            wait_until(&self.waiting, None, || {
                data = self.data.try_lock();
                data.is_some()
            });
        }
        MutexGuard { data, waiting: &self.waiting }
    }

    /// The lock, if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.data.try_lock().map(|data| MutexGuard { data: Some(data), waiting: &self.waiting })
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.data.as_deref().expect("a guard holds its lock until it is dropped")
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.data.as_deref_mut().expect("a guard holds its lock until it is dropped")
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.data = None;
        self.waiting.wake_one();
    }
}
