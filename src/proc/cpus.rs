//! What the scheduler keeps for each processor.

use super::scheduler::Disposition;
use super::thread::Thread;
use crate::hw::clock;
use crate::hw::percpu::{self, MAX_CPUS};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use logic::procfs::machine::Times;
use logic::sched::balance::Loads;
use logic::sched::{Load, RunQueue, TimerQueue};
use logic::sync::{IrqLock, Rank};
use spin::Once;

/// No time at all, in nanoseconds.
pub(super) const NEVER: u64 = u64::MAX;

/// One processor.
pub(super) struct Cpu {
    pub(super) number: usize,
    /// Who wants to run here. The idle thread never does.
    pub(super) queue: IrqLock<RunQueue<Thread>>,
    /// Sleeps that were begun here.
    pub(super) timers: IrqLock<TimerQueue>,
    /// Who runs.
    pub(super) current: IrqLock<Arc<Thread>>,
    /// Who runs when nobody wants to.
    pub(super) idle: Arc<Thread>,
    /// Who was left, until it is seen to on the next stack.
    pub(super) left: IrqLock<Option<(Arc<Thread>, Disposition)>>,
    /// Somebody else should run; asked at the end of an interrupt.
    pub(super) preempt: AtomicBool,
    /// What the timer is set to, [`NEVER`] if to nothing. Only this processor touches it, with interrupts off.
    pub(super) armed: AtomicU64,
    queued: AtomicUsize,
    is_idle: AtomicBool,
    /// How often it went on with another thread.
    switches: AtomicU64,
    /// Time in programs.
    user_ticks: AtomicU64,
    /// Time without anything to do, up to the last end of such a time.
    idle_ns: AtomicU64,
    /// Since when it has had nothing to do, [`NEVER`] if it has.
    idle_since: AtomicU64,
}

static CPUS: [Once<Box<Cpu>>; MAX_CPUS] = [const { Once::new() }; MAX_CPUS];

/// Adds a processor that runs its idle thread.
pub(super) fn add(number: usize, idle: Arc<Thread>) -> &'static Cpu {
    CPUS[number].call_once(|| {
        Box::new(Cpu {
            number,
            queue: IrqLock::new(Rank::RunQueue, RunQueue::new(number)),
            timers: IrqLock::new(Rank::Timers, TimerQueue::new(number)),
            current: IrqLock::new(Rank::Current, idle.clone()),
            idle,
            left: IrqLock::new(Rank::Current, None),
            preempt: AtomicBool::new(false),
            armed: AtomicU64::new(NEVER),
            queued: AtomicUsize::new(0),
            is_idle: AtomicBool::new(true),
            switches: AtomicU64::new(0),
            user_ticks: AtomicU64::new(0),
            idle_ns: AtomicU64::new(0),
            idle_since: AtomicU64::new(clock::now().nanoseconds()),
        })
    })
}

/// Processor `number`, if it takes part.
pub(super) fn get(number: usize) -> Option<&'static Cpu> {
    CPUS.get(number)?.get().map(|cpu| &**cpu)
}

/// The processor that runs this. Interrupts must be off for the answer to stay true.
pub(super) fn this() -> Option<&'static Cpu> {
    get(percpu::current().number())
}

/// Threads that run or want to, the idle ones aside.
pub(super) fn active() -> u64 {
    let active = |cpu: &Cpu| {
        let queued = cpu.queued.load(Ordering::Relaxed) as u64;
        queued.saturating_add(u64::from(!cpu.is_idle.load(Ordering::Relaxed)))
    };
    (0..percpu::numbers()).filter_map(get).map(active).sum()
}

/// How busy the processors are at the moment of asking.
pub(super) struct CurrentLoads {
    count: usize,
}

/// How busy all are.
pub(super) fn loads() -> CurrentLoads {
    CurrentLoads { count: percpu::numbers() }
}

impl Loads for CurrentLoads {
    fn count(&self) -> usize {
        self.count
    }

    fn load(&self, number: usize) -> Option<Load> {
        (number < self.count).then(|| match get(number) {
            Some(cpu) => Load { queued: cpu.queued.load(Ordering::Relaxed), idle: cpu.is_idle.load(Ordering::Relaxed) },
            // It has been started but does not take part yet: nothing must be put there.
            None => Load { queued: usize::MAX / 2, idle: false },
        })
    }
}

impl Cpu {
    /// Notes that it goes on with `next` after `this`, on this processor with interrupts off.
    pub(super) fn note_switch(&self, this: &Arc<Thread>, next: &Arc<Thread>) {
        self.switches.fetch_add(1, Ordering::Relaxed);
        if Arc::ptr_eq(next, &self.idle) {
            self.idle_since.store(clock::now().nanoseconds(), Ordering::Relaxed);
        } else if Arc::ptr_eq(this, &self.idle) {
            self.idle_ns.store(self.idle_time_ns(), Ordering::Relaxed);
            self.idle_since.store(NEVER, Ordering::Relaxed);
        }
    }

    /// Notes time that was spent in a program.
    pub(super) fn note_user_ticks(&self, ticks: u64) {
        self.user_ticks.fetch_add(ticks, Ordering::Relaxed);
    }

    fn idle_time_ns(&self) -> u64 {
        let since = self.idle_since.load(Ordering::Relaxed);
        let current = if since == NEVER { 0 } else { clock::now().nanoseconds().saturating_sub(since) };
        self.idle_ns.load(Ordering::Relaxed).saturating_add(current)
    }

    /// What it has spent its time with since the machine started.
    pub(super) fn times(&self) -> Times {
        let idle_ns = self.idle_time_ns();
        let busy_ns = clock::now().nanoseconds().saturating_sub(idle_ns);
        let user_ns = clock::nanoseconds_of(self.user_ticks.load(Ordering::Relaxed)).min(busy_ns);
        Times { user_ns, system_ns: busy_ns - user_ns, idle_ns }
    }

    /// How often it went on with another thread.
    pub(super) fn switches(&self) -> u64 {
        self.switches.load(Ordering::Relaxed)
    }

    /// Whether it idles and nobody waits there.
    pub(super) fn has_nothing(&self) -> bool {
        self.is_idle.load(Ordering::Relaxed) && self.queued.load(Ordering::Relaxed) == 0
    }

    /// Lets the others see how busy it is, as its queue tells.
    pub(super) fn publish(&self, queue: &RunQueue<Thread>) {
        let load = queue.load();
        self.queued.store(load.queued, Ordering::Relaxed);
        self.is_idle.store(load.idle, Ordering::Relaxed);
    }
}
