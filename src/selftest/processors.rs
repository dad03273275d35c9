//! Tests of what processors are to each other: numbers, calls, one clock.

use super::tools::{after, eventually, here, no_memory, processors, spin};
use super::{Outcome, Test};
use crate::hw::percpu::MAX_CPUS;
use crate::hw::{acpi, apic, clock, cpu, ipi, percpu, smp, tsc_sync};
use crate::proc::{Priority, scheduler, sleep, spawn, thread::spawn_on};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use logic::sched::CpuSet;
use logic::sync::interrupts::InterruptsOff;
use logic::time::Instant;
use logic::time::stability::{Exchange, Skew, Together, check_cpu, judge_skew};
use x86_64::VirtAddr;

/// All of them.
pub const TESTS: &[Test] = &[
    Test { name: "processors-numbers", run: numbers_are_right },
    Test { name: "processors-calls", run: a_call_reaches_each_once },
    Test { name: "processors-calls-at-once", run: calls_from_all_at_once },
    Test { name: "processors-shoot-down", run: shoot_downs_are_counted },
    Test { name: "processors-phantom", run: a_processor_that_is_not_there },
    Test { name: "processors-clock", run: the_clock_never_goes_back },
    Test { name: "processors-counters", run: counters_are_told_apart },
    Test { name: "processors-clock-apart", run: the_clock_never_goes_back_where_counters_are_apart },
];

/// One count for each processor.
struct Counts([AtomicU64; MAX_CPUS]);

impl Counts {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; MAX_CPUS])
    }

    fn clear(&self) {
        self.0.iter().for_each(|count| count.store(0, Ordering::SeqCst));
    }

    fn add_here(&self) {
        self.0[here()].fetch_add(1, Ordering::SeqCst);
    }

    fn get(&self, cpu: usize) -> u64 {
        self.0[cpu].load(Ordering::SeqCst)
    }
}

fn numbers_are_right() -> Outcome {
    let known = &acpi::platform().cpus;
    for number in 0..processors() {
        let of = |cpu: &percpu::PerCpu| (cpu.number(), cpu.apic_id());
        let seen = move || {
            let _here = InterruptsOff::new();
            (of(percpu::current()), apic::id())
        };
        let thread = spawn_on(CpuSet::only(number), "number", Priority::NORMAL, seen).map_err(no_memory)?;
        let ((current, stored), id) = thread.join();
        check_eq!(current, number);
        check_eq!(stored, id);
        check_eq!(percpu::get(number).map(of), Some((number, id)));
        let twins = percpu::all().filter(|cpu| cpu.apic_id() == id).count();
        check!(twins == 1, "{twins} processors have APIC id {id}");
        let is_known = known.is_empty() || known.iter().any(|cpu| cpu.usable && cpu.apic_id == id);
        check!(is_known, "the firmware knows no processor with APIC id {id}");
    }
    Ok(())
}

fn a_call_reaches_each_once() -> Outcome {
    static CALLS: Counts = Counts::new();
    CALLS.clear();
    for from in 0..processors() {
        let call = || {
            ipi::call_others(|_| true, &|| CALLS.add_here());
            ipi::call_others(|_| false, &|| CALLS.add_here());
        };
        spawn_on(CpuSet::only(from), "caller", Priority::NORMAL, call).map_err(no_memory)?.join();
        for to in 0..processors() {
            // Everybody who has called so far has called everybody else.
            let expected = from as u64 + 1 - u64::from(to <= from);
            check!(CALLS.get(to) == expected, "{to} was called {} times, not {expected}", CALLS.get(to));
        }
    }
    CALLS.clear();
    let call = || ipi::call_others(|cpu| cpu % 2 == 1, &|| CALLS.add_here());
    spawn_on(CpuSet::only(0), "caller", Priority::NORMAL, call).map_err(no_memory)?.join();
    for to in 0..processors() {
        check!(CALLS.get(to) == to as u64 % 2, "{to} was called {} times", CALLS.get(to));
    }
    Ok(())
}

/// Every processor calls all others for a while, now with interrupts on, now off: nobody may wait for somebody who waits.
fn calls_from_all_at_once() -> Outcome {
    static CALLS: Counts = Counts::new();
    CALLS.clear();
    let end = after(Duration::from_secs(2));
    let mut threads = Vec::new();
    for from in 0..processors() {
        let work = move || {
            let mut calls = 0_u64;
            while clock::now() < end {
                let off = calls.is_multiple_of(3).then(InterruptsOff::new);
                ipi::call_others(|_| true, &|| CALLS.add_here());
                drop(off);
                calls += 1;
            }
            calls
        };
        threads.push(spawn_on(CpuSet::only(from), "caller", Priority::NORMAL, work).map_err(no_memory)?);
    }
    let made: Vec<u64> = threads.into_iter().map(|thread| thread.join()).collect();
    let all: u64 = made.iter().sum();
    for (to, own) in made.iter().enumerate() {
        check!(*own > 0, "processor {to} never came to call");
        check!(CALLS.get(to) == all - own, "{to} was called {} times, not {}", CALLS.get(to), all - own);
    }
    Ok(())
}

fn shoot_downs_are_counted() -> Outcome {
    // A stretch that is never mapped: nothing is lost when it is forgotten.
    const START: VirtAddr = VirtAddr::new(0xffff_c07f_0000_0000);
    let others = processors() as u64 - 1;
    for pages in [1, 2, 31, 32, 33, 1000] {
        let before = ipi::pages_shot_down();
        ipi::shoot_down(START..START + pages * 4096);
        check_eq!(ipi::pages_shot_down() - before, pages * others);
    }
    // From everywhere at once, by threads that are moved about.
    let before = ipi::pages_shot_down();
    let mut threads = Vec::new();
    for _ in 0..2 * processors() {
        let work = || (0..10).for_each(|_| ipi::shoot_down(START..START + 4096));
        threads.push(spawn("forgetful", Priority::NORMAL, work).map_err(no_memory)?);
    }
    let rounds = 10 * threads.len() as u64;
    threads.into_iter().for_each(|thread| thread.join());
    let counted = ipi::pages_shot_down() - before;
    // The threads' own stacks may have come on top.
    check!(counted >= rounds * others, "{counted} pages were forgotten, not {}", rounds * others);
    Ok(())
}

fn a_processor_that_is_not_there() -> Outcome {
    const PHANTOM: u32 = 0xfe;
    fn never() -> ! {
        cpu::halt()
    }
    // Where nobody was ever started, the tables for starting would be made now, and stay.
    if processors() == 1 {
        return Ok(());
    }
    let before = processors();
    let info = super::INFO.get().ok_or("no boot information")?;
    let outcome = smp::start(info, &[PHANTOM], never).map_err(|_| "no memory for the trampoline")?;
    check_eq!(outcome.silent, [PHANTOM]);
    check_eq!(outcome.left_out, 0);
    check_eq!(processors(), before);
    // And all that were there still answer.
    a_call_reaches_each_once()
}

/// Whatever any processor has read before, no processor reads less.
fn the_clock_never_goes_back() -> Outcome {
    never_goes_back(|_| clock::now())
}

fn never_goes_back(read: impl Fn(usize) -> Instant + Copy + Send + 'static) -> Outcome {
    static LATEST: AtomicU64 = AtomicU64::new(0);
    let end = after(Duration::from_secs(1));
    let failed = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for cpu in 0..processors() {
        let failed = failed.clone();
        let work = move || {
            while clock::now() < end && !failed.load(Ordering::Relaxed) {
                let before = LATEST.load(Ordering::SeqCst);
                let now = read(cpu).nanoseconds();
                if now < before {
                    failed.store(true, Ordering::Relaxed);
                    return before - now;
                }
                LATEST.fetch_max(now, Ordering::SeqCst);
            }
            0
        };
        threads.push(spawn_on(CpuSet::only(cpu), "clock", Priority::NORMAL, work).map_err(no_memory)?);
    }
    // One that hops about.
    let hop = move || {
        let mut last = clock::now();
        for round in 0..500_u64 {
            match round % 3 {
                0 => scheduler::yield_now(),
                1 => sleep(Duration::from_micros(100)),
                _ => spin(Duration::from_micros(50)),
            }
            let now = clock::now();
            if now < last {
                return last.since(now).as_nanos();
            }
            last = now;
        }
        0
    };
    let hopper = spawn("hopper", Priority::NORMAL, hop).map_err(no_memory)?;
    for (cpu, thread) in threads.into_iter().enumerate() {
        let back = thread.join();
        check!(back == 0, "processor {cpu} read {back} ns less than another had");
    }
    let back = hopper.join();
    check!(back == 0, "a thread that hops about saw the clock go back by {back} ns");
    check!(eventually(|| clock::now() > end), "the clock stands still");
    Ok(())
}

/// Exchanges with processor `number` that are tight enough to tell `width` ticks, were its counter `offset` ticks ahead of what it is.
fn tight_exchanges(number: usize, offset: i64, width: u64) -> Result<(Vec<Exchange>, Skew), String> {
    let mut found = None;
    eventually(|| {
        let exchanges = tsc_sync::exchange_with(number, &|| cpu::tsc().wrapping_add_signed(offset));
        let skew = check_cpu(&exchanges);
        found = skew.filter(|skew| skew.most.abs_diff(skew.least) < width).map(|skew| (exchanges.to_vec(), skew));
        found.is_some()
    });
    found.ok_or_else(|| format!("no exchange with processor {number} is tight enough"))
}

fn counters_are_told_apart() -> Outcome {
    let Some(hertz) = clock::tsc_frequency().map(|frequency| frequency.hertz()) else { return Ok(()) };
    // All exchanges are from here.
    let compare = move || {
        for number in 1..processors() {
            let (_, same) = tight_exchanges(number, 0, hertz / 20_000)?;
            check_eq!(judge_skew(Some(same), hertz), Together::Same);
            for (parts, verdict) in [(5_000, Together::Apart), (100, Together::FarApart)] {
                let offset = (hertz / parts).cast_signed();
                for offset in [offset, -offset] {
                    let (_, skew) = tight_exchanges(number, offset, hertz / 20_000)?;
                    check_eq!(judge_skew(Some(skew), hertz), verdict);
                    check!(skew.least <= offset && offset <= skew.most, "processor {number} is {skew}, not {offset}");
                }
            }
        }
        Ok(())
    };
    spawn_on(CpuSet::only(0), "comparer", Priority::NORMAL, compare).map_err(no_memory)?.join()
}

/// The last processor reads its counter as if that were a good tenth of a millisecond ahead.
fn the_clock_never_goes_back_where_counters_are_apart() -> Outcome {
    let Some(hertz) = clock::tsc_frequency().map(|frequency| frequency.hertz()) else { return Ok(()) };
    let last = processors() - 1;
    if last == 0 || clock::has_floor() {
        return Ok(());
    }
    let offset = hertz / 8_000;
    let ahead = move || clock::now_at(cpu::tsc().wrapping_add(offset));
    check!(eventually(|| ahead() > clock::now()), "a counter that is ahead makes no clock that is ahead");
    let judge = move || {
        let (exchanges, _) = tight_exchanges(last, offset.cast_signed(), hertz / 20_000)?;
        check!(clock::judge_cpu(last, &exchanges).is_some(), "there is no skew");
        Ok(())
    };
    spawn_on(CpuSet::only(0), "judge", Priority::NORMAL, judge).map_err(no_memory)?.join()?;
    check!(clock::has_floor(), "the clock has no floor though processor {last} reads its counter ahead");
    let outcome = never_goes_back(move |number| if number == last { ahead() } else { clock::now() });
    clock::trust_again();
    outcome
}
