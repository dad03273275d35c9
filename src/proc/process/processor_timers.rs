//! The timers of a process that count its processor time: setitimer(2), `ITIMER_VIRTUAL` and `ITIMER_PROF`.
//!
//! While one is set, an interrupt handler looks at every tick which of the process's tasks run, and calls their attention. Those count
//! the time, and send the signal. So a timer may be late by a tick, as on Linux; and tasks that sleep are left alone.

use super::{Process, Task, with_tree};
use crate::hw::{clock, percpu};
use crate::proc::scheduler;
use crate::proc::timer::{Call, prepare};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use logic::errno::Errno;
use logic::process::processor_timer::ProcessorTimer;
use logic::signal::Signal;
use logic::sync::{IrqLock, Rank};
use logic::time::Instant;

/// How often is looked: Linux's tick, with 250 of them a second.
const TICK_NS: u64 = 4_000_000;

/// What a timer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Time in the program: `ITIMER_VIRTUAL`, SIGVTALRM.
    Program,
    /// That, and time in the kernel on its behalf: `ITIMER_PROF`, SIGPROF.
    All,
}

/// The timers that are set.
pub(super) struct ProcessorTimers {
    state: IrqLock<State>,
    is_tick: AtomicBool,
}

struct State {
    timers: [ProcessorTimer; 2],
    /// The next look, and which one this is: a handler that comes late must not ask for that of another.
    look: Option<Call>,
    number: u64,
}

impl ProcessorTimers {
    pub(super) const fn new() -> Self {
        let state = State { timers: [ProcessorTimer::new(); 2], look: None, number: 0 };
        Self { state: IrqLock::new(Rank::Process, state), is_tick: AtomicBool::new(false) }
    }
}

fn next_tick() -> Instant {
    Instant::from_nanoseconds(clock::now().nanoseconds().saturating_add(TICK_NS))
}

impl Process {
    /// Processor time of all its threads: in the program, in all.
    fn processor_time_ns(&self) -> [u64; 2] {
        let past = self.usage();
        let mut sum = [past.user_ns, past.user_ns + past.system_ns];
        with_tree(|tree| {
            for task in tree.living_threads(self.id) {
                let (user_ns, total_ns) = task.times_ns();
                sum = [sum[0] + user_ns, sum[1] + total_ns];
            }
        });
        sum
    }

    /// What is left of a timer, and its interval.
    pub fn processor_timer(&self, counted: Counted) -> (u64, u64) {
        let now = self.processor_time_ns();
        self.processor_timers.state.lock().timers[counted as usize].left(now[counted as usize])
    }

    /// Sets a timer to expire after `value_ns` of processor time, and every `interval_ns` after that; never if the first is 0.
    /// Answers what was left before, and the interval.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn set_processor_timer(
        self: &Arc<Self>,
        counted: Counted,
        value_ns: u64,
        interval_ns: u64,
    ) -> Result<(u64, u64), Errno> {
        let now = self.processor_time_ns()[counted as usize];
        static LOOKS: AtomicU64 = AtomicU64::new(0);
        let number = LOOKS.fetch_add(1, Ordering::Relaxed) + 1;
        let process = Arc::downgrade(self);
        let look = prepare(move || {
            if let Some(process) = process.upgrade() {
                process.look(number);
            }
        });
        let mut look = Some(look.map_err(|_| Errno::ENOMEM)?);
        let (was, previous) = {
            let mut state = self.processor_timers.state.lock();
            let timer = &mut state.timers[counted as usize];
            let was = timer.left(now);
            timer.set(now, value_ns, interval_ns);
            let next = if state.timers.iter().any(ProcessorTimer::is_set) { look.take() } else { None };
            if let Some(next) = &next {
                next.come_at(next_tick());
            }
            state.number = number;
            (was, core::mem::replace(&mut state.look, next))
        };
        // Neither is dropped with the lock held.
        drop(look);
        drop(previous);
        Ok(was)
    }

    /// Whether a timer may be due that nobody has seen to yet.
    pub(super) fn has_due_timer(&self) -> bool {
        self.has_due_alarm() || self.processor_timers.is_tick.load(Ordering::Acquire)
    }

    /// At a tick: calls those of its tasks that run, and asks for the next look.
    fn look(&self, number: u64) {
        let running = (0..percpu::numbers()).filter_map(scheduler::running_on);
        let tasks = running.filter_map(|thread| thread.task.get()?.upgrade());
        for task in tasks.filter(|task| core::ptr::eq(&raw const *task.process, self)) {
            self.processor_timers.is_tick.store(true, Ordering::Release);
            task.call_attention();
        }
        let state = self.processor_timers.state.lock();
        if let Some(look) = state.look.as_ref().filter(|_| state.number == number) {
            look.come_at(next_tick());
        }
    }
}

impl Task {
    /// The signal of a timer that has expired, of which is told once.
    pub(super) fn take_processor_timer(&self) -> Option<Signal> {
        let timers = &self.process.processor_timers;
        if !timers.is_tick.swap(false, Ordering::AcqRel) {
            return None;
        }
        let now = self.process.processor_time_ns();
        let (expired, unused) = {
            let mut state = timers.state.lock();
            let expired = [Counted::Program, Counted::All].into_iter().find(|counted| {
                let index = *counted as usize;
                state.timers[index].take_expired(now[index])
            });
            let is_any_set = state.timers.iter().any(ProcessorTimer::is_set);
            (expired, if is_any_set { None } else { state.look.take() })
        };
        drop(unused);
        // The other may have expired as well.
        timers.is_tick.store(expired.is_some(), Ordering::Release);
        expired.map(|counted| if counted == Counted::Program { Signal::SIGVTALRM } else { Signal::SIGPROF })
    }
}
