//! The kernel's spin lock, and the one way past it: a panic may speak even if whoever holds the lock never will again.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};
use spin::{Mutex, MutexGuard};

/// Data behind a spin lock. Interrupts are off in all of the kernel so far, so a holder always gets to its end.
pub struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    /// A free lock.
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock()
    }

    /// Takes the lock from whoever holds it.
    pub fn seize(&self, _: &Panicking) -> MutexGuard<'_, T> {
        if self.0.is_locked() {
            // SAFETY: there is one processor and it is in the panic handler for good (`Panicking`), so the code that
            // holds the guard is below us on this stack and never runs again.
            unsafe { self.0.force_unlock() };
        }
        self.0.lock()
    }
}

/// Proof of being in the panic handler, which does not return. There is never more than one.
pub struct Panicking(());

impl Panicking {
    /// `None` the second time: a panic while panicking. Only the panic handler is ever given a `PanicInfo`.
    pub fn declare(_: &PanicInfo<'_>) -> Option<Self> {
        static DECLARED: AtomicBool = AtomicBool::new(false);
        (!DECLARED.swap(true, Ordering::Relaxed)).then_some(Self(()))
    }
}
