//! Tests of spinning locks: between processors, and between threads and the interrupts of their own processor.

use super::tools::{no_memory, processors};
use super::{Fatal, Outcome, Test};
use crate::hw::ipi;
use crate::proc::{Priority, thread::spawn_on};
use alloc::vec::Vec;
use logic::sched::CpuSet;
use logic::sync::interrupts::InterruptsOff;
use logic::sync::{IrqLock, Rank, lock_pair};
use x86_64::instructions::interrupts;

/// All of them.
pub const TESTS: &[Test] = &[
    Test { name: "locks-contention", run: processors_count_exactly },
    Test { name: "locks-interrupts", run: interrupts_are_as_before },
    Test { name: "locks-handlers", run: handlers_and_threads_share_a_lock },
    Test { name: "locks-pairs", run: pairs_from_both_sides },
];

/// Those that end in a panic.
pub const FATAL: &[Fatal] = &[
    Fatal {
        name: "locks-order",
        expect: "lock order: WaitQueue (rank 12) taken while Serial (rank 27) is held",
        run: wrong_order,
    },
    Fatal { name: "locks-sleep", expect: "lock order: File is held where nothing may be", run: sleep_with_a_lock },
];

const ROUNDS: u64 = 20_000;

/// A number that only a lock protects: read, then written, with time between.
fn increment(lock: &IrqLock<u64>) {
    let mut guard = lock.lock();
    let value = core::hint::black_box(*guard);
    *guard = value + 1;
}

fn processors_count_exactly() -> Outcome {
    static COUNTER: IrqLock<u64> = IrqLock::new(Rank::File, 0);
    *COUNTER.lock() = 0;
    let mut threads = Vec::new();
    for cpu in 0..processors() {
        let work = || (0..ROUNDS).for_each(|_| increment(&COUNTER));
        threads.push(spawn_on(CpuSet::only(cpu), "contender", Priority::NORMAL, work).map_err(no_memory)?);
    }
    threads.into_iter().for_each(|thread| thread.join());
    check_eq!(*COUNTER.lock(), ROUNDS * processors() as u64);
    Ok(())
}

fn interrupts_are_as_before() -> Outcome {
    let (outer, inner) = (IrqLock::new(Rank::File, ()), IrqLock::new(Rank::WaitQueue, ()));
    check!(interrupts::are_enabled(), "threads run with interrupts off");
    {
        let _outer = outer.lock();
        check!(!interrupts::are_enabled(), "interrupts are on under a lock");
        drop(inner.lock());
        check!(!interrupts::are_enabled(), "the inner lock has switched interrupts on");
        check!(outer.try_lock().is_none(), "a held lock was free");
        check!(!interrupts::are_enabled(), "trying in vain has switched interrupts on");
    }
    check!(interrupts::are_enabled(), "interrupts stay off after a lock");
    {
        let _off = InterruptsOff::new();
        drop(outer.lock());
        check!(!interrupts::are_enabled(), "a lock has switched interrupts on that were off");
    }
    check!(interrupts::are_enabled(), "interrupts stay off");
    drop(outer.try_lock());
    check!(interrupts::are_enabled(), "interrupts stay off after a lock that was tried");
    Ok(())
}

fn handlers_and_threads_share_a_lock() -> Outcome {
    static COUNTER: IrqLock<u64> = IrqLock::new(Rank::File, 0);
    const CALLS: u64 = 50;
    *COUNTER.lock() = 0;
    let mut threads = Vec::new();
    for cpu in 0..processors() {
        let work = || {
            for _ in 0..CALLS {
                ipi::call_others(|_| true, &|| increment(&COUNTER));
                (0..10).for_each(|_| increment(&COUNTER));
            }
        };
        threads.push(spawn_on(CpuSet::only(cpu), "caller", Priority::NORMAL, work).map_err(no_memory)?);
    }
    threads.into_iter().for_each(|thread| thread.join());
    let cpus = processors() as u64;
    check_eq!(*COUNTER.lock(), CALLS * cpus * (cpus - 1 + 10));
    Ok(())
}

fn pairs_from_both_sides() -> Outcome {
    static PAIR: [IrqLock<u64>; 2] = [const { IrqLock::new(Rank::RunQueue, 0) }; 2];
    PAIR.iter().for_each(|lock| *lock.lock() = 0);
    let mut threads = Vec::new();
    for cpu in 0..processors() {
        let work = move || {
            let (first, second) = (&PAIR[cpu % 2], &PAIR[1 - cpu % 2]);
            for _ in 0..ROUNDS / 10 {
                let mut pair = lock_pair(first, second);
                let (first, second) = pair.both();
                *first += 1;
                *second += 1;
            }
        };
        threads.push(spawn_on(CpuSet::only(cpu), "pair", Priority::NORMAL, work).map_err(no_memory)?);
    }
    threads.into_iter().for_each(|thread| thread.join());
    let expected = ROUNDS / 10 * processors() as u64;
    check_eq!(*PAIR[0].lock(), expected);
    check_eq!(*PAIR[1].lock(), expected);
    Ok(())
}

fn wrong_order() {
    let (serial, queue) = (IrqLock::new(Rank::Serial, ()), IrqLock::new(Rank::WaitQueue, ()));
    let _serial = serial.lock();
    let _queue = queue.lock();
}

fn sleep_with_a_lock() {
    let lock = IrqLock::new(Rank::File, ());
    let _guard = lock.lock();
    crate::proc::scheduler::yield_now();
}
