//! The alarm of a process: alarm(2), setitimer(2).
//!
//! When the time has come, an interrupt handler only notes that and calls the attention of a task, which sends the signal. The task that
//! has set it may have ended by then.

use super::{Process, Task, with_tree};
use crate::hw::clock;
use crate::proc::timer::{Call, call_at};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use logic::errno::Errno;
use logic::sync::{IrqLock, Rank};
use logic::time::Instant;

/// The alarm that is set, if any.
pub(super) struct Alarm {
    set: IrqLock<Option<Setting>>,
    is_due: AtomicBool,
}

struct Setting {
    deadline: u64,
    interval_ns: u64,
    /// Dropped, it does not happen.
    _call: Call,
}

impl Alarm {
    pub(super) const fn new() -> Self {
        Self { set: IrqLock::new(Rank::Process, None), is_due: AtomicBool::new(false) }
    }

    fn left(setting: Option<&Setting>) -> (u64, u64) {
        let now = clock::now().nanoseconds();
        // What is due within the moment is not off yet.
        setting.map_or((0, 0), |setting| (setting.deadline.saturating_sub(now).max(1), setting.interval_ns))
    }
}

impl Task {
    /// Has SIGALRM come in `value_ns` and every `interval_ns` after that; never if the first is 0. Answers what was left of the alarm
    /// before, and its interval.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn set_alarm(&self, value_ns: u64, interval_ns: u64) -> Result<(u64, u64), Errno> {
        let alarm = &self.process.alarm;
        let new = if value_ns == 0 { None } else { Some(self.arm(value_ns, interval_ns)?) };
        let previous = core::mem::replace(&mut *alarm.set.lock(), new);
        Ok(Alarm::left(previous.as_ref()))
    }

    fn arm(&self, value_ns: u64, interval_ns: u64) -> Result<Setting, Errno> {
        let deadline = clock::now().nanoseconds().saturating_add(value_ns);
        let process = Arc::downgrade(&self.process);
        let call = call_at(Instant::from_nanoseconds(deadline), move || {
            if let Some(process) = process.upgrade() {
                process.alarm.is_due.store(true, Ordering::Release);
                with_tree(|tree| tree.living_threads(process.id).take(1).for_each(|task| task.call_attention()));
            }
        });
        Ok(Setting { deadline, interval_ns, _call: call.map_err(|_| Errno::ENOMEM)? })
    }

    /// Whether the alarm has come, of which it is told once. It is set again if it has an interval.
    pub(super) fn take_alarm(&self) -> bool {
        let alarm = &self.process.alarm;
        if !alarm.is_due.swap(false, Ordering::AcqRel) {
            return false;
        }
        let interval_ns = alarm.set.lock().as_ref().map_or(0, |setting| setting.interval_ns);
        let next = if interval_ns > 0 { self.arm(interval_ns, interval_ns).ok() } else { None };
        let previous = core::mem::replace(&mut *alarm.set.lock(), next);
        drop(previous);
        true
    }
}

impl Process {
    /// What is left of its alarm, and its interval.
    pub fn alarm(&self) -> (u64, u64) {
        Alarm::left(self.alarm.set.lock().as_ref())
    }
}
