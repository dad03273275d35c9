//! What is to be done at a time without a thread that waits for it.

use super::scheduler;
use crate::hw::areas::OutOfMemory;
use crate::hw::heap;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::task::Waker;
use logic::sched::Timer;
use logic::time::Instant;

/// Heap that a call takes at most, beside what its function holds.
const HEAP_BYTES: usize = 1024;

/// A call that is to come, or has come. Dropping it calls it off.
#[must_use = "dropping it calls it off"]
pub struct Call(Arc<Timer>);

struct Function<F>(F);

impl<F: Fn() + Send + Sync> Wake for Function<F> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        (self.0)();
    }
}

/// Has `function` called at `deadline`, once, in the timer's interrupt handler on this processor: it keeps the rules for handlers
/// (`hw::irq`).
///
/// # Errors
/// [`OutOfMemory`] if there is none to remember it with.
pub fn call_at(deadline: Instant, function: impl Fn() + Send + Sync + 'static) -> Result<Call, OutOfMemory> {
    let call = prepare(function)?;
    call.come_at(deadline);
    Ok(call)
}

/// The same without a time: it comes when [`Call::come_at`] has said so.
///
/// # Errors
/// As of [`call_at`].
pub fn prepare(function: impl Fn() + Send + Sync + 'static) -> Result<Call, OutOfMemory> {
    heap::ensure(HEAP_BYTES + size_of_val(&function))?;
    Ok(Call(Timer::new(Waker::from(Arc::new(Function(function))))))
}

impl Call {
    /// Has it come at `deadline`. It must not be about to come already: this is for one that was only [prepared](prepare), or for its own
    /// function while that runs.
    pub fn come_at(&self, deadline: Instant) {
        scheduler::set_timer(&self.0, deadline);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        scheduler::cancel_timer(&self.0);
    }
}
