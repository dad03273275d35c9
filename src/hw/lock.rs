//! The one way past a lock: a panic may speak even if whoever holds the lock never will again.

use super::{ipi, percpu};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use logic::sync::rank::stop_checking;
use logic::sync::{IrqGuard, IrqLock};
use x86_64::instructions::interrupts;

/// Proof of being in the panic handler, which does not return. Of two, the older one's owner never runs again.
pub struct Panicking(());

/// Nobody panics.
const NOBODY: usize = usize::MAX;
static WHO: AtomicUsize = AtomicUsize::new(NOBODY);
static AGAIN: AtomicBool = AtomicBool::new(false);

/// What a panic is to one that was there before.
pub enum Declared {
    /// It is the first.
    First(Panicking),
    /// It came while this processor reported the first.
    Again(Panicking),
    /// It came while that was reported, or while another processor reports: nothing is left to be said.
    Hopeless,
}

impl Panicking {
    /// To be called once for each panic. Only the panic handler is ever given a `PanicInfo`.
    pub fn declare(_: &PanicInfo<'_>) -> Declared {
        interrupts::disable();
        stop_checking();
        let this = percpu::current().number();
        match WHO.compare_exchange(NOBODY, this, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                ipi::stop_others();
                Declared::First(Self(()))
            }
            Err(who) if who == this && !AGAIN.swap(true, Ordering::Relaxed) => Declared::Again(Self(())),
            Err(_) => Declared::Hopeless,
        }
    }

    /// Takes a lock from whoever holds it. The other processors must have been stopped.
    pub fn seize<'a, T>(&self, lock: &'a IrqLock<T>) -> IrqGuard<'a, T> {
        // SAFETY: the other processors stand still or have not answered an NMI, and this one is in the panic handler for good
        // (`Panicking`), so that the code which holds the guard never runs again.
        unsafe { lock.seize() }
    }
}
