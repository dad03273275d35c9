//! Tests of one run queue, driven by a simulated clock.

use super::run_queue::{LATENCY_NS, SHORTEST_SLICE_NS, URGENT_BUDGET_NS, URGENT_PERIOD_NS};
use super::{Nice, Outgoing, Priority, Reason, RunQueue, SchedulingEntity};
use proptest::prelude::*;
use std::sync::Arc;

const MS: u64 = 1_000_000;
const NORMAL: Priority = Priority::Fair(Nice::NORMAL);

#[derive(Debug, Default)]
struct Thread {
    number: usize,
    entity: SchedulingEntity,
}

crate::schedulable!(Thread { entity });

fn thread(number: usize, priority: Priority) -> Arc<Thread> {
    let thread = Arc::new(Thread { number, entity: SchedulingEntity::new() });
    thread.entity.set_priority(priority);
    thread
}

/// A processor whose threads never sleep unless told to.
struct Cpu {
    queue: RunQueue<Thread>,
    now: u64,
}

impl Cpu {
    fn with(priorities: &[Priority]) -> (Self, Vec<Arc<Thread>>) {
        let mut cpu = Self { queue: RunQueue::new(0), now: 0 };
        let threads: Vec<_> =
            priorities.iter().enumerate().map(|(number, &priority)| thread(number, priority)).collect();
        threads.iter().for_each(|thread| cpu.queue.enqueue(thread.clone(), 0, Reason::New));
        cpu.switch(Outgoing::Runnable);
        (cpu, threads)
    }

    fn running(&self) -> usize {
        self.queue.running().expect("something runs").number
    }

    fn switch(&mut self, outgoing: Outgoing) -> Option<Arc<Thread>> {
        let old = self.queue.running().cloned();
        let new = self.queue.pick_next(self.now, outgoing);
        if let Some(old) = old.clone().filter(|old| !new.as_ref().is_some_and(|new| Arc::ptr_eq(old, new)))
            && outgoing != Outgoing::Leaves
        {
            self.queue.enqueue(old, self.now, Reason::Preempted);
        }
        old
    }

    /// Lets the running thread go on for `time_ns` or to the end of its turn, whichever is earlier.
    fn run(&mut self, time_ns: u64) {
        let end = self.now + time_ns;
        self.now = self.queue.slice_end().map_or(end, |slice_end| slice_end.clamp(self.now, end));
        if self.queue.should_preempt(self.now) {
            self.switch(Outgoing::Runnable);
        } else {
            let timer = self.queue.slice_end();
            assert!(timer.is_none_or(|timer| timer > self.now), "the timer would fire for ever");
        }
    }

    fn run_until(&mut self, end: u64) {
        while self.now < end {
            self.run(end - self.now);
        }
    }
}

fn share(thread: &Arc<Thread>, of_ns: u64) -> f64 {
    thread.entity.run_time_ns() as f64 / of_ns as f64
}

#[test]
fn nothing_runs_on_an_empty_queue() {
    let mut queue: RunQueue<Thread> = RunQueue::new(0);
    assert!(queue.pick_next(5, Outgoing::Leaves).is_none());
    assert!(queue.is_empty() && queue.load().idle && !queue.should_preempt(6) && queue.slice_end().is_none());
}

#[test]
fn a_thread_alone_needs_no_timer() {
    let (mut cpu, threads) = Cpu::with(&[NORMAL]);
    assert_eq!(cpu.queue.slice_end(), None);
    cpu.run_until(1000 * MS);
    cpu.queue.charge(cpu.now);
    assert_eq!(threads[0].entity.run_time_ns(), 1000 * MS);
    cpu.queue.enqueue(thread(1, NORMAL), cpu.now, Reason::New);
    assert!(cpu.queue.slice_end().is_some());
}

#[test]
fn equals_get_equal_time_in_turns_within_the_latency() {
    let (mut cpu, threads) = Cpu::with(&[NORMAL; 4]);
    cpu.run_until(2 * LATENCY_NS);
    cpu.queue.charge(cpu.now);
    for thread in &threads {
        assert!((share(thread, cpu.now) - 0.25).abs() < 0.13, "{}", share(thread, cpu.now));
    }
    cpu.run_until(4000 * MS);
    for thread in &threads {
        assert!((share(thread, cpu.now) - 0.25).abs() < 0.002, "{}", share(thread, cpu.now));
    }
}

#[test]
fn time_is_shared_by_weight() {
    let priorities = [Nice::NORMAL, Nice::new(5), Nice::new(10), Nice::new(-5)].map(Priority::Fair);
    let (mut cpu, threads) = Cpu::with(&priorities);
    cpu.run_until(20_000 * MS);
    let total: u64 = priorities.iter().map(|priority| priority.weight()).sum();
    for (thread, priority) in threads.iter().zip(priorities) {
        let (got, due) = (share(thread, cpu.now), priority.weight() as f64 / total as f64);
        assert!((got / due - 1.0).abs() < 0.03, "{priority:?}: {got} instead of {due}");
    }
}

#[test]
fn an_idle_thread_gets_next_to_nothing_beside_others_but_something() {
    let (mut cpu, threads) = Cpu::with(&[NORMAL, Priority::Idle]);
    cpu.run_until(20_000 * MS);
    let got = share(&threads[1], cpu.now);
    assert!(got > 0.001 && got < 0.005, "{got}");
}

#[test]
fn an_urgent_thread_goes_first_but_leaves_time_to_others() {
    let (mut cpu, threads) = Cpu::with(&[NORMAL, Priority::Urgent]);
    assert_eq!(cpu.running(), 1);
    cpu.run_until(10 * URGENT_PERIOD_NS);
    let got = share(&threads[1], cpu.now);
    assert!((got - URGENT_BUDGET_NS as f64 / URGENT_PERIOD_NS as f64).abs() < 0.01, "{got}");
}

#[test]
fn an_urgent_thread_alone_is_not_held_back() {
    let (mut cpu, threads) = Cpu::with(&[Priority::Urgent]);
    cpu.run_until(10 * URGENT_PERIOD_NS);
    cpu.queue.charge(cpu.now);
    assert_eq!(threads[0].entity.run_time_ns(), cpu.now);
}

#[test]
fn an_urgent_thread_that_wakes_up_displaces_at_once() {
    let (mut cpu, _) = Cpu::with(&[NORMAL]);
    cpu.run_until(3 * MS);
    cpu.queue.enqueue(thread(9, Priority::Urgent), cpu.now, Reason::Woken);
    assert!(cpu.queue.should_preempt(cpu.now));
    cpu.switch(Outgoing::Runnable);
    assert_eq!(cpu.running(), 9);
}

#[test]
fn a_sleeper_comes_first_but_has_only_a_bounded_credit() {
    let (mut cpu, threads) = Cpu::with(&[NORMAL, NORMAL]);
    let sleeper = cpu.running();
    cpu.switch(Outgoing::Leaves);
    cpu.run_until(60_000 * MS);
    cpu.queue.enqueue(threads[sleeper].clone(), cpu.now, Reason::Woken);
    assert!(cpu.queue.should_preempt(cpu.now));
    cpu.switch(Outgoing::Runnable);
    assert_eq!(cpu.running(), sleeper);
    let (woken_at, before) = (cpu.now, threads[sleeper].entity.run_time_ns());
    cpu.run_until(woken_at + 400 * MS);
    cpu.queue.charge(cpu.now);
    let ran = threads[sleeper].entity.run_time_ns() - before;
    assert!((195 * MS..=200 * MS + LATENCY_NS).contains(&ran), "{ran}");
}

#[test]
fn who_ran_alone_for_long_is_not_held_back_for_it() {
    let (mut cpu, threads) = Cpu::with(&[NORMAL]);
    cpu.run_until(10_000 * MS);
    cpu.queue.enqueue(thread(1, NORMAL), cpu.now, Reason::New);
    cpu.run_until(10_040 * MS);
    cpu.queue.charge(cpu.now);
    let ran = threads[0].entity.run_time_ns() - 10_000 * MS;
    assert!((14 * MS..=26 * MS).contains(&ran), "{ran}");
}

#[test]
fn threads_that_start_threads_and_end_do_not_keep_others_out() {
    let (mut cpu, threads) = Cpu::with(&[NORMAL; 3]);
    let victim = &threads[0];
    let mut number = 3;
    // Everybody but the victim starts a thread and ends after 10 us.
    while cpu.now < 2000 * MS {
        if cpu.running() == victim.number {
            cpu.run(MS);
        } else {
            cpu.now += 10_000;
            cpu.queue.enqueue(thread(number, NORMAL), cpu.now, Reason::New);
            cpu.switch(Outgoing::Leaves);
            number += 1;
        }
    }
    assert!(share(victim, cpu.now) > 0.3, "{}", share(victim, cpu.now));
}

/// Threads that do nothing but yield, each time after a microsecond, and one that sleeps 5 ms and then has 50 µs of work.
#[test]
fn threads_that_yield_all_the_time_keep_no_sleeper_waiting() {
    const TURN: u64 = 1_000;
    let (mut cpu, threads) = Cpu::with(&[NORMAL, Priority::Fair(Nice::new(5)), NORMAL]);
    while cpu.running() != 2 {
        cpu.now += TURN;
        cpu.switch(Outgoing::Yields);
    }
    for _ in 0..200 {
        let sleeper = cpu.switch(Outgoing::Leaves).expect("it ran");
        let wakes = cpu.now + 5 * MS;
        while cpu.now < wakes {
            cpu.now += TURN;
            cpu.switch(Outgoing::Yields);
        }
        cpu.queue.enqueue(sleeper, cpu.now, Reason::Woken);
        let mut work = 50 * 1_000;
        while work > 0 {
            if cpu.queue.should_preempt(cpu.now) {
                cpu.switch(Outgoing::Runnable);
            }
            cpu.now += TURN;
            match cpu.running() {
                2 => work -= TURN,
                _ => _ = cpu.switch(Outgoing::Yields),
            }
        }
        assert!(cpu.now < wakes + 10 * MS, "50 us of work took {} us", (cpu.now - wakes) / 1_000);
        while cpu.running() != 2 {
            cpu.switch(Outgoing::Yields);
        }
    }
    let had = |number: usize| threads[number].entity.run_time_ns();
    assert!(had(0).abs_diff(had(1)) < 20 * MS, "those that yield have not taken turns: {} and {}", had(0), had(1));
}

#[test]
fn who_yields_lets_another_go_first() {
    let (mut cpu, _) = Cpu::with(&[NORMAL, NORMAL]);
    let first = cpu.running();
    cpu.now += 1000;
    cpu.switch(Outgoing::Yields);
    assert_ne!(cpu.running(), first);
    let (mut alone, _) = Cpu::with(&[NORMAL]);
    alone.switch(Outgoing::Yields);
    assert_eq!(alone.running(), 0);
}

#[test]
fn a_stolen_thread_keeps_its_distance() {
    let (mut old, threads) = Cpu::with(&[NORMAL; 3]);
    old.run_until(30_000 * MS);
    let (mut new, natives) = Cpu::with(&[NORMAL]);
    new.run_until(1000 * MS);
    let stolen = old.queue.steal(|_| true).expect("one waits");
    assert_eq!(old.queue.len(), 1);
    let before = stolen.entity.run_time_ns();
    new.queue.enqueue(stolen.clone(), new.now, Reason::Migrated);
    assert_eq!(stolen.entity.last_cpu(), Some(0));
    new.run_until(1200 * MS);
    new.queue.charge(new.now);
    let (guest, native) = (stolen.entity.run_time_ns() - before, natives[0].entity.run_time_ns() - 1000 * MS);
    assert!(guest.abs_diff(native) <= 2 * LATENCY_NS, "{guest} {native}");
    drop(threads);
}

#[test]
fn a_thread_that_has_had_its_share_cannot_get_more_by_moving() {
    let (mut old, threads) = Cpu::with(&[NORMAL, Priority::Fair(Nice::MAX)]);
    while old.running() == 0 {
        old.run(MS);
    }
    while old.running() == 1 {
        old.run(MS);
    }
    let (mut new, _) = Cpu::with(&[NORMAL]);
    new.run_until(1000 * MS);
    let before = threads[1].entity.run_time_ns();
    new.queue.enqueue(old.queue.steal(|_| true).expect("one waits"), new.now, Reason::Migrated);
    new.run_until(1050 * MS);
    assert_eq!(threads[1].entity.run_time_ns(), before);
    new.run_until(1400 * MS);
    assert!(threads[1].entity.run_time_ns() > before);
}

#[test]
fn only_what_is_allowed_is_stolen_urgent_threads_first() {
    let (mut cpu, _) = Cpu::with(&[NORMAL, NORMAL, Priority::Urgent, Priority::Urgent]);
    assert!(cpu.queue.steal(|_| false).is_none());
    let urgent = cpu.queue.steal(|_| true).expect("waits");
    assert_eq!(urgent.entity.priority(), Priority::Urgent);
    assert_eq!(cpu.queue.steal(|thread| thread.number == 0).expect("waits").number, 0);
    assert_eq!(cpu.queue.len(), 1);
}

#[test]
fn a_thread_is_removed_only_from_the_queue_it_is_in() {
    let (mut cpu, threads) = Cpu::with(&[NORMAL, Priority::Idle, NORMAL]);
    let mut elsewhere: RunQueue<Thread> = RunQueue::new(1);
    let running = cpu.running();
    for thread in &threads {
        assert!(!elsewhere.remove(thread));
        assert_eq!(cpu.queue.remove(thread), thread.number != running);
        assert!(!cpu.queue.remove(thread));
    }
    assert!(cpu.queue.is_empty());
}

#[test]
fn a_changed_priority_counts_from_the_next_turn() {
    let (mut cpu, threads) = Cpu::with(&[NORMAL, NORMAL]);
    let waiting = 1 - cpu.running();
    threads[waiting].entity.set_priority(Priority::Urgent);
    cpu.run_until(200 * MS);
    assert_eq!(cpu.running(), waiting);
    threads[waiting].entity.set_priority(Priority::Fair(Nice::MAX));
    cpu.run_until(1000 * MS);
    let before = threads[waiting].entity.run_time_ns();
    cpu.run_until(3000 * MS);
    assert!(threads[waiting].entity.run_time_ns() - before < 100 * MS);
}

#[test]
fn a_thread_made_more_important_does_not_wait_for_what_it_had_as_a_lesser_one() {
    let (mut cpu, threads) = Cpu::with(&[NORMAL, Priority::Idle]);
    while cpu.running() != 1 {
        cpu.run(MS);
    }
    threads[1].entity.set_priority(NORMAL);
    while cpu.running() == 1 {
        cpu.run(MS);
    }
    let (from, before) = (cpu.now, threads[1].entity.run_time_ns());
    cpu.run_until(from + 100 * MS);
    let ran = threads[1].entity.run_time_ns() - before;
    assert!(ran > 35 * MS && ran < 65 * MS, "{ran}");
}

#[test]
fn the_end_of_virtual_time_makes_everybody_equal() {
    let (mut cpu, threads) = Cpu::with(&[Priority::Idle, Priority::Idle]);
    cpu.now = u64::MAX / 4;
    cpu.switch(Outgoing::Runnable);
    cpu.now *= 2;
    cpu.switch(Outgoing::Runnable);
    let before: Vec<_> = threads.iter().map(|thread| thread.entity.run_time_ns()).collect();
    cpu.run_until(cpu.now + 200 * MS);
    for (thread, before) in threads.iter().zip(before) {
        assert!(thread.entity.run_time_ns() - before > 50 * MS);
    }
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![
        1 => Just(Priority::Urgent),
        6 => (-8..20).prop_map(|nice| Priority::Fair(Nice::new(nice))),
        1 => Just(Priority::Idle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn everybody_runs_within_a_bound_whatever_the_priorities(
        priorities in prop::collection::vec(priority(), 1..9),
        naps in prop::collection::vec((1_u64..5 * MS, 0_usize..4), 1..50),
    ) {
        let (mut cpu, threads) = Cpu::with(&priorities);
        let weight: u64 = priorities.iter().map(|priority| priority.weight()).sum();
        // Between two turns of a thread, the others together run for as much as its own turn and what they can have in hand are
        // worth to them, stretched by urgent ones taking 95 % of each period, and finish a turn each.
        let bound = |priority: Priority| {
            let ahead = (SHORTEST_SLICE_NS + LATENCY_NS) * 1024 / priority.weight() + 2 * LATENCY_NS;
            let turns = ahead * weight / 1024 + threads.len() as u64 * LATENCY_NS;
            20 * turns + 2 * URGENT_PERIOD_NS
        };
        let mut waiting_since = vec![0; threads.len()];
        let mut naps = naps.into_iter().cycle();
        let mut asleep: Vec<(u64, Arc<Thread>)> = Vec::new();
        for _ in 0..3000 {
            let (burst, action) = naps.next().expect("cycles");
            let running = cpu.running();
            cpu.run(burst);
            waiting_since[running] = cpu.now;
            // The only one awake must not sleep; a nap is as long as the burst.
            if action == 0 && cpu.running() == running && !cpu.queue.is_empty() {
                let sleeper = cpu.switch(Outgoing::Leaves).expect("it ran");
                asleep.push((cpu.now + burst, sleeper));
            }
            let now = cpu.now;
            for (_, thread) in asleep.extract_if(.., |(until, _)| *until <= now) {
                waiting_since[thread.number] = now;
                cpu.queue.enqueue(thread, now, Reason::Woken);
            }
            if cpu.queue.should_preempt(cpu.now) {
                waiting_since[cpu.running()] = cpu.now;
                cpu.switch(Outgoing::Runnable);
            }
            waiting_since[cpu.running()] = cpu.now;
            prop_assert_eq!(cpu.queue.len() + 1 + asleep.len(), threads.len());
            for thread in threads.iter().filter(|thread| thread.entity.is_queued()) {
                let waited = cpu.now - waiting_since[thread.number];
                prop_assert!(waited <= bound(priorities[thread.number]), "{} waited {waited} ns", thread.number);
            }
        }
    }
}
