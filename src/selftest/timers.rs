//! Tests of sleeping and of waits with a deadline: never early, never lost, and no ticks while nothing is to be done.

use super::tools::{Chance, after, eventually, no_memory, processors, room_for_threads};
use super::{Outcome, Test, on_each_cpu};
use crate::hw::{clock, irq};
use crate::proc::thread::spawn_on;
use crate::proc::timer::call_at;
use crate::proc::{Outcome as Wait, Priority, scheduler, sleep, spawn, wait_until};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use core::time::Duration;
use logic::sched::CpuSet;
use logic::sync::interrupts::InterruptsOff;
use logic::sync::wait_queue::WaitQueue;
use logic::sync::{IrqLock, Rank};
use logic::time::Instant;

/// All of them.
pub const TESTS: &[Test] = &[
    Test { name: "timers-sleep", run: sleeps_are_never_short },
    Test { name: "timers-deadlines", run: deadlines_past_and_far },
    Test { name: "timers-wake-first", run: a_wake_up_before_the_wait_counts },
    Test { name: "timers-order", run: sleepers_wake_in_order },
    Test { name: "timers-strict-order", run: calls_come_in_order },
    Test { name: "timers-called-off", run: calls_can_be_called_off },
    Test { name: "timers-cancel", run: a_wait_that_is_over_disturbs_nobody },
    Test { name: "timers-many", run: many_sleepers },
    Test { name: "timers-tickless", run: nothing_ticks_while_all_sleep },
];

/// A sleep may be this much too long on a host that is busy.
const SLACK: Duration = Duration::from_secs(5);

/// Sleeps; how much too short or too long that was.
fn timed_sleep(time: Duration) -> Outcome {
    let started = clock::now();
    sleep(time);
    let took = clock::now().since(started);
    check!(took >= time, "a sleep of {time:?} took {took:?}");
    check!(took <= time + SLACK, "a sleep of {time:?} took {took:?}");
    Ok(())
}

fn sleeps_are_never_short() -> Outcome {
    let mut threads = Vec::new();
    for cpu in 0..processors() {
        let work = || -> Outcome {
            for nanoseconds in [0, 1, 100, 1_000, 20_000, 1_000_000, 54_900_000, 60_000_000, 100_000_001] {
                timed_sleep(Duration::from_nanos(nanoseconds))?;
            }
            Ok(())
        };
        threads.push(spawn_on(CpuSet::only(cpu), "sleeper", Priority::NORMAL, work).map_err(no_memory)?);
    }
    threads.into_iter().try_for_each(|thread| thread.join())
}

fn deadlines_past_and_far() -> Outcome {
    let queue = Arc::new(WaitQueue::new());
    for past in [Instant::START, clock::now()] {
        check_eq!(wait_until(&queue, Some(past), || false), Wait::TimedOut);
        check_eq!(wait_until(&queue, Some(past), || true), Wait::Done);
    }
    for far in [after(Duration::from_secs(100 * 365 * 86400)), Instant::from_nanoseconds(u64::MAX)] {
        let flag = Arc::new(AtomicBool::new(false));
        let (waker_queue, waker_flag) = (queue.clone(), flag.clone());
        let work = move || {
            sleep(Duration::from_millis(20));
            waker_flag.store(true, SeqCst);
            waker_queue.wake_one();
        };
        let waker = spawn("waker", Priority::NORMAL, work).map_err(no_memory)?;
        check_eq!(wait_until(&queue, Some(far), || flag.load(SeqCst)), Wait::Done);
        waker.join();
    }
    let deadline = after(Duration::from_millis(30));
    check_eq!(wait_until(&queue, Some(deadline), || false), Wait::TimedOut);
    check!(clock::now() >= deadline, "timed out before its time");
    check!(queue.is_empty(), "somebody is left in the queue");
    // A condition that comes true by itself is noticed at the deadline.
    let moment = after(Duration::from_millis(10));
    check_eq!(wait_until(&queue, Some(after(Duration::from_millis(20))), || clock::now() > moment), Wait::Done);
    Ok(())
}

fn a_wake_up_before_the_wait_counts() -> Outcome {
    let queue = WaitQueue::new();
    let flag = AtomicBool::new(true);
    check!(!queue.wake_one(), "somebody waits");
    check_eq!(wait_until(&queue, None, || flag.load(SeqCst)), Wait::Done);
    // Woken between looking at the condition and going to sleep.
    let mut looks = 0;
    let outcome = wait_until(&queue, None, || {
        looks += 1;
        if looks == 2 {
            queue.wake_all();
        }
        looks == 3
    });
    check_eq!(outcome, Wait::Done);
    check_eq!(looks, 3);
    Ok(())
}

/// Sleepers on one processor: whoever's time is long past has woken before one whose time has just come.
fn sleepers_wake_in_order() -> Outcome {
    const SLEEPERS: u64 = 40;
    let base = after(Duration::from_millis(100));
    let mut threads = Vec::new();
    for number in 0..SLEEPERS {
        // In a wild order, each time twice.
        let step = number * 7 % (SLEEPERS / 2);
        let deadline = base.after(Duration::from_millis(step * 5));
        let work = move || {
            let never = WaitQueue::new();
            let mut looks = 0;
            let outcome = wait_until(&never, Some(deadline), || {
                looks += 1;
                false
            });
            (outcome, looks, clock::now())
        };
        let thread = spawn_on(CpuSet::only(0), "sleeper", Priority::NORMAL, work).map_err(no_memory)?;
        threads.push((deadline, thread));
    }
    for (deadline, thread) in threads {
        let (outcome, looks, woke) = thread.join();
        check_eq!(outcome, Wait::TimedOut);
        check!(woke >= deadline, "woke {:?} early", deadline.since(woke));
        check!(woke <= deadline.after(SLACK), "woke {:?} late", woke.since(deadline));
        // Before, in the queue, and at the end: who is woken for nothing looks more often.
        check!(looks <= 3, "woken {looks} times for one deadline");
    }
    Ok(())
}

/// Calls on one processor come in the order of their deadlines, those with the same one in the order of asking, and none comes early.
fn calls_come_in_order() -> Outcome {
    const CALLS: u64 = 200;
    static CAME: IrqLock<Vec<(u64, u64, bool)>> = IrqLock::new(Rank::File, Vec::new());
    let ask = || -> Outcome {
        let base = after(Duration::from_millis(50));
        *CAME.lock() = Vec::with_capacity(CALLS as usize);
        let mut calls = Vec::with_capacity(CALLS as usize);
        // Should the host take its time, no call comes before all are asked for.
        let silence = InterruptsOff::new();
        for number in 0..CALLS {
            // In a wild order, each moment four times.
            let step = number * 37 % (CALLS / 4);
            let deadline = base.after(Duration::from_micros(step * 500));
            let call = call_at(deadline, move || CAME.lock().push((step, number, clock::now() < deadline)));
            calls.push(call.map_err(|error| error.to_string())?);
        }
        drop(silence);
        check!(eventually(|| CAME.lock().len() == CALLS as usize), "{} of {CALLS} calls came", CAME.lock().len());
        let came = core::mem::take(&mut *CAME.lock());
        check!(!came.iter().any(|(_, _, is_early)| *is_early), "a call came early: {came:?}");
        check!(came.is_sorted_by_key(|(step, number, _)| (*step, *number)), "the calls came so: {came:?}");
        Ok(())
    };
    on_each_cpu(ask)
}

fn calls_can_be_called_off() -> Outcome {
    static CAME: AtomicUsize = AtomicUsize::new(0);
    CAME.store(0, SeqCst);
    let soon = after(Duration::from_millis(20));
    let count = || _ = CAME.fetch_add(1, SeqCst);
    let kept = call_at(soon, count).map_err(|error| error.to_string())?;
    drop(call_at(soon, count).map_err(|error| error.to_string())?);
    check!(eventually(|| CAME.load(SeqCst) > 0), "a call did not come");
    sleep(Duration::from_millis(20));
    check_eq!(CAME.load(SeqCst), 1);
    drop(kept);
    Ok(())
}

/// A timer that was cancelled does not end a later wait of its thread, nor interrupt anybody.
fn a_wait_that_is_over_disturbs_nobody() -> Outcome {
    let queue = Arc::new((AtomicUsize::new(0), WaitQueue::new()));
    let bell = queue.clone();
    const ROUNDS: usize = 200;
    let ringer = spawn("ringer", Priority::NORMAL, move || {
        for round in 1..=ROUNDS {
            bell.0.store(round, SeqCst);
            bell.1.wake_all();
            wait_until(&bell.1, None, || bell.0.load(SeqCst) == 0);
        }
    });
    let ringer = ringer.map_err(no_memory)?;
    for round in 1..=ROUNDS {
        let soon = after(Duration::from_secs(10));
        check_eq!(wait_until(&queue.1, Some(soon), || queue.0.load(SeqCst) == round), Wait::Done);
        queue.0.store(0, SeqCst);
        queue.1.wake_all();
    }
    ringer.join();
    let short = after(Duration::from_millis(30));
    let mut looks = 0;
    let outcome = wait_until(&queue.1, Some(short), || {
        looks += 1;
        looks == 2
    });
    check_eq!(outcome, Wait::Done);
    looks = 0;
    let outcome = wait_until(&queue.1, Some(short.after(Duration::from_millis(100))), || {
        looks += 1;
        false
    });
    check_eq!(outcome, Wait::TimedOut);
    check!(looks <= 3, "the cancelled timer woke its thread: {looks} looks");
    Ok(())
}

fn many_sleepers() -> Outcome {
    let mut threads = Vec::new();
    for number in 0..room_for_threads(2000) {
        let work = move || -> Outcome {
            let mut chance = Chance::new(number as u64);
            for _ in 0..3 {
                timed_sleep(Duration::from_micros(chance.below(100_000)))?;
                if chance.below(4) == 0 {
                    scheduler::yield_now();
                }
            }
            Ok(())
        };
        threads.push(spawn("sleeper", Priority::NORMAL, work).map_err(no_memory)?);
    }
    threads.into_iter().try_for_each(|thread| thread.join())
}

/// Timer interrupts so far, whichever timer it is.
fn timer_interrupts() -> u64 {
    irq::counts().filter(|(_, name, _)| *name == "timer").map(|(_, _, count)| count).sum()
}

fn nothing_ticks_while_all_sleep() -> Outcome {
    // What else is due, such as looking whether the clock drifts, comes now and then.
    let mut least = u64::MAX;
    eventually(|| {
        let before = timer_interrupts();
        sleep(Duration::from_millis(300));
        least = least.min(timer_interrupts() - before);
        least <= 10
    });
    // The interval timer can wait for 55 ms at a time.
    check!(least <= 10, "{least} timer interrupts in 300 ms of sleep");
    Ok(())
}
