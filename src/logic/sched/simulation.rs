//! A whole machine, simulated: several processors, a clock, and threads that run, sleep, start others and end, by chance that a
//! seed decides. No thread is lost or doubled, everybody gets on, and no processor idles while threads wait.

use super::balance::{choose_cpu, choose_victim};
use super::{CpuId, CpuSet, Load, Nice, Outgoing, Priority, Reason, RunQueue, SchedulingEntity, Timer, TimerQueue};
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

const MS: u64 = 1_000_000;
const STEP: u64 = MS / 4;

/// The time after which a thread that wants to run must have run, with at most so many threads and no extreme priorities.
const PATIENCE: u64 = 3_000 * MS;
const MOST_THREADS: usize = 40;

struct Thread {
    number: usize,
    entity: SchedulingEntity,
    allowed: CpuSet,
    /// Never sleeps or ends.
    hog: bool,
    /// Time to run before doing something else.
    burst: AtomicU64,
    last_ran: AtomicU64,
    ended: AtomicBool,
}

crate::schedulable!(Thread { entity });

/// Wakes a thread by noting it, as an interrupt handler would.
struct Alarm {
    thread: Arc<Thread>,
    woken: Arc<Mutex<Vec<Arc<Thread>>>>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.woken.lock().expect("whole").push(self.thread.clone());
    }
}

struct Machine {
    now: u64,
    queues: Vec<RunQueue<Thread>>,
    timers: TimerQueue,
    asleep: usize,
    woken: Arc<Mutex<Vec<Arc<Thread>>>>,
    threads: Vec<Arc<Thread>>,
    chance: u64,
}

impl Machine {
    fn new(cpus: usize, seed: u64) -> Self {
        Self {
            now: 0,
            queues: (0..cpus).map(RunQueue::new).collect(),
            timers: TimerQueue::new(0),
            asleep: 0,
            woken: Arc::default(),
            threads: Vec::new(),
            chance: seed | 1,
        }
    }

    /// A number below `limit` (xorshift64*).
    fn chance(&mut self, limit: u64) -> u64 {
        self.chance ^= self.chance >> 12;
        self.chance ^= self.chance << 25;
        self.chance ^= self.chance >> 27;
        (self.chance.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    fn loads(&self) -> Vec<Load> {
        self.queues.iter().map(RunQueue::load).collect()
    }

    fn start(&mut self, priority: Priority, allowed: CpuSet, hog: bool, from: CpuId) -> Arc<Thread> {
        let thread = Arc::new(Thread {
            number: self.threads.len(),
            entity: SchedulingEntity::new(),
            allowed,
            hog,
            burst: AtomicU64::new(1 + self.chance(5 * MS)),
            last_ran: AtomicU64::new(self.now),
            ended: AtomicBool::new(false),
        });
        thread.entity.set_priority(priority);
        self.threads.push(thread.clone());
        self.place(thread.clone(), from, Reason::New);
        thread
    }

    fn start_any(&mut self, from: CpuId) {
        let priority = match self.chance(12) {
            0 => Priority::Urgent,
            _ => Priority::Fair(Nice::new(self.chance(12) as i32 - 4)),
        };
        let allowed = match self.chance(4) {
            0 => CpuSet::only(self.chance(self.queues.len() as u64) as usize),
            _ => CpuSet::ALL,
        };
        self.start(priority, allowed, false, from);
    }

    fn place(&mut self, thread: Arc<Thread>, from: CpuId, reason: Reason) {
        thread.last_ran.store(self.now, Relaxed);
        let cpu = choose_cpu(thread.entity.last_cpu(), from, &self.loads(), &thread.allowed);
        assert!(thread.allowed.contains(cpu));
        self.queues[cpu].enqueue(thread, self.now, reason);
        if self.queues[cpu].should_preempt(self.now) {
            self.switch(cpu, Outgoing::Runnable);
        }
    }

    fn switch(&mut self, cpu: CpuId, outgoing: Outgoing) {
        let queue = &mut self.queues[cpu];
        let old = queue.running().cloned();
        let new = queue.pick_next(self.now, outgoing);
        let goes_on = |old: &Arc<Thread>| new.as_ref().is_some_and(|new| Arc::ptr_eq(old, new));
        if let Some(old) = old.filter(|old| outgoing != Outgoing::Leaves && !goes_on(old)) {
            queue.enqueue(old, self.now, Reason::Preempted);
        }
    }

    /// The thread that runs on `cpu` has run for its burst: it sleeps, ends, starts another or goes on.
    fn act(&mut self, cpu: CpuId, thread: Arc<Thread>) {
        thread.burst.store(1 + self.chance(5 * MS), Relaxed);
        let live = self.threads.iter().filter(|thread| !thread.ended.load(Relaxed)).count();
        match self.chance(10) {
            _ if thread.hog => {}
            0 => {
                thread.ended.store(true, Relaxed);
                self.switch(cpu, Outgoing::Leaves);
            }
            1 | 2 if live < MOST_THREADS => self.start_any(cpu),
            3 => self.switch(cpu, Outgoing::Yields),
            4 => thread.entity.set_priority(Priority::Fair(Nice::new(self.chance(12) as i32 - 4))),
            _ => {
                let alarm = Alarm { thread: thread.clone(), woken: self.woken.clone() };
                let deadline = self.now + self.chance(20 * MS);
                self.timers.insert(&Timer::new(Waker::from(Arc::new(alarm))), deadline);
                self.asleep += 1;
                self.switch(cpu, Outgoing::Leaves);
            }
        }
    }

    fn step(&mut self) {
        self.now += STEP;
        for cpu in 0..self.queues.len() {
            if let Some(thread) = self.queues[cpu].running().cloned() {
                thread.last_ran.store(self.now, Relaxed);
                let left = thread.burst.load(Relaxed).saturating_sub(STEP);
                thread.burst.store(left, Relaxed);
                if left == 0 {
                    self.queues[cpu].charge(self.now);
                    self.act(cpu, thread);
                }
            }
        }
        while let Some(timer) = self.timers.expire(self.now) {
            timer.fire();
            self.asleep -= 1;
        }
        let woken = std::mem::take(&mut *self.woken.lock().expect("whole"));
        for thread in woken {
            let from = self.chance(self.queues.len() as u64) as usize;
            self.place(thread, from, Reason::Woken);
        }
        for cpu in 0..self.queues.len() {
            let slice_over = self.queues[cpu].slice_end().is_some_and(|end| end <= self.now);
            if (slice_over && self.queues[cpu].should_preempt(self.now)) || self.queues[cpu].running().is_none() {
                self.switch(cpu, Outgoing::Runnable);
            }
            // Idle processors look for work always, busy ones now and then.
            if self.queues[cpu].running().is_none() || self.chance(16) == 0 {
                self.steal_for(cpu);
            }
        }
        self.check();
    }

    fn steal_for(&mut self, cpu: CpuId) {
        let Some(victim) = choose_victim(&self.loads(), cpu, &CpuSet::ALL) else { return };
        let Some(thread) = self.queues[victim].steal(|thread| thread.allowed.contains(cpu)) else { return };
        self.queues[cpu].enqueue(thread, self.now, Reason::Migrated);
        if self.queues[cpu].running().is_none() {
            self.switch(cpu, Outgoing::Runnable);
        }
    }

    fn check(&self) {
        let mut places = vec![0; self.threads.len()];
        for (cpu, queue) in self.queues.iter().enumerate() {
            if let Some(thread) = queue.running() {
                places[thread.number] += 1;
                assert!(!thread.entity.is_queued() && !thread.ended.load(Relaxed) && thread.allowed.contains(cpu));
            }
        }
        let mut queued = 0;
        for thread in &self.threads {
            if thread.entity.is_queued() {
                queued += 1;
                places[thread.number] += 1;
                let waited = self.now - thread.last_ran.load(Relaxed);
                assert!(waited < PATIENCE, "thread {} waited {waited} ns", thread.number);
            }
        }
        assert_eq!(queued, self.queues.iter().map(RunQueue::len).sum::<usize>());
        let live = self.threads.iter().filter(|thread| !thread.ended.load(Relaxed)).count();
        assert!(places.iter().all(|&places| places <= 1), "a thread is at two places");
        assert_eq!(places.iter().sum::<usize>() + self.asleep, live, "a thread is lost");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_thread_is_lost_or_doubled_and_all_get_on(cpus in 1_usize..9, seed in any::<u64>()) {
        let mut machine = Machine::new(cpus, seed);
        for _ in 0..6 {
            machine.start_any(0);
        }
        for _ in 0..4000 {
            machine.step();
            if machine.chance(200) == 0 {
                machine.start_any(0);
            }
        }
    }

    #[test]
    fn threads_that_all_want_to_run_share_all_processors(
        cpus in 1_usize..9, for_each in 1_usize..5, seed in any::<u64>()
    ) {
        const TIME: u64 = 2_000 * MS;
        let mut machine = Machine::new(cpus, seed);
        let hogs: Vec<_> = (0..cpus * for_each)
            .map(|_| machine.start(Priority::Fair(Nice::NORMAL), CpuSet::ALL, true, 0))
            .collect();
        while machine.now < TIME {
            machine.step();
            prop_assert!(machine.queues.iter().all(|queue| !queue.load().idle), "a processor idles");
        }
        for queue in &mut machine.queues {
            queue.charge(TIME);
            prop_assert!(queue.load().total().abs_diff(for_each) <= 1, "unbalanced: {:?}", queue.load());
        }
        let total: u64 = hogs.iter().map(|thread| thread.entity.run_time_ns()).sum();
        prop_assert!(total >= TIME * cpus as u64 - 10 * MS, "time was lost");
        let due = TIME / for_each as u64;
        for hog in hogs {
            let got = hog.entity.run_time_ns();
            prop_assert!(got * 10 >= due * 9 && got * 10 <= due * 11, "{got} ns of {due} ns");
        }
    }
}
