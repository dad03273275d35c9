//! The alarm of a process: alarm(2), setitimer(2).
//!
//! When the time has come, an interrupt handler only notes that and calls the attention of a task, which sends the signal. The task that
//! has set it may have ended by then.

use super::{Process, Task, with_tree};
use crate::hw::clock;
use crate::proc::timer::{Call, prepare};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use logic::errno::Errno;
use logic::sync::{IrqLock, Rank};
use logic::time::Instant;

/// The alarm that is set, if any.
pub(super) struct Alarm {
    set: IrqLock<Option<Setting>>,
    /// Of the one that came last and was not told of: its number; else 0.
    due: AtomicU64,
}

struct Setting {
    /// Tells it from those before and after.
    number: u64,
    deadline: u64,
    interval_ns: u64,
    /// Dropped, it does not happen.
    call: Call,
}

impl Alarm {
    pub(super) const fn new() -> Self {
        Self { set: IrqLock::new(Rank::Process, None), due: AtomicU64::new(0) }
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
        let new = if value_ns == 0 { None } else { Some(self.prepare(interval_ns)?) };
        let previous = {
            let mut set = alarm.set.lock();
            let previous = core::mem::replace(&mut *set, new);
            // Not before it is known here: it may come at once, to another thread.
            set.iter_mut().for_each(|setting| setting.come_in(value_ns));
            previous
        };
        Ok(Alarm::left(previous.as_ref()))
    }

    fn prepare(&self, interval_ns: u64) -> Result<Setting, Errno> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed) + 1;
        let process = Arc::downgrade(&self.process);
        let call = prepare(move || {
            if let Some(process) = process.upgrade() {
                process.alarm.due.store(number, Ordering::Release);
                // Others hold the tree's lock no longer than a signal to all processes takes.
                with_tree(|tree| tree.living_threads(process.id).for_each(|task| task.call_attention()));
            }
        });
        Ok(Setting { number, deadline: 0, interval_ns, call: call.map_err(|_| Errno::ENOMEM)? })
    }

    /// Whether the alarm has come, of which it is told once. It is set again if it has an interval.
    pub(super) fn take_alarm(&self) -> bool {
        let alarm = &self.process.alarm;
        let number = alarm.due.swap(0, Ordering::AcqRel);
        if number == 0 {
            return false;
        }
        // Another may have been set since. The call of this one is over, so that it can be asked for again.
        let mut set = alarm.set.lock();
        if let Some(setting) = set.as_mut().filter(|setting| setting.number == number) {
            if setting.interval_ns > 0 {
                setting.come_in(setting.interval_ns);
            } else {
                let over = set.take();
                drop(set);
                drop(over);
            }
        }
        true
    }
}

impl Setting {
    fn come_in(&mut self, value_ns: u64) {
        self.deadline = clock::now().nanoseconds().saturating_add(value_ns);
        self.call.come_at(Instant::from_nanoseconds(self.deadline));
    }
}

impl Process {
    /// Whether nobody has been told yet that its alarm has come.
    pub(super) fn has_due_alarm(&self) -> bool {
        self.alarm.due.load(Ordering::Acquire) != 0
    }

    /// What is left of its alarm, and its interval.
    pub fn alarm(&self) -> (u64, u64) {
        Alarm::left(self.alarm.set.lock().as_ref())
    }
}
