//! Runs the tests that are asked for, one after the other, and tells what became of each.

use super::faulty::FAULTY;
use super::{FATAL_ROOMS, Fatal, Outcome, ROOMS, Test};
use crate::hw::power::{self, Exit};
use crate::hw::{clock, frames, heap, percpu, stacks};
use crate::proc::{self, Priority, thread};
use alloc::format;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use logic::boot::BootInfo;
use logic::sched::CpuSet;
use spin::Once;

/// After so many seconds, a test counts as hanging. Generous: emulated processors share a busy host.
const PATIENCE: u64 = 60;
/// How often the watchdog looks.
const WATCH: Duration = Duration::from_secs(1);
/// What a test has started may take so long to end and give its memory back.
const SETTLE: Duration = Duration::from_secs(5);
/// Frames that stay free for so long are not on their way anywhere.
const REST: Duration = Duration::from_millis(20);

const FRAME_BYTES: u64 = frames::FRAME_BYTES;
/// What one page table of level 1 and of level 2 maps.
const TABLE_REACH: [u64; 2] = [FRAME_BYTES << 9, FRAME_BYTES << 18];

/// No test runs.
const NONE: usize = usize::MAX;
/// The test that runs, counted through all rooms and the faulty, and when it began in nanoseconds.
static CURRENT: AtomicUsize = AtomicUsize::new(NONE);
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Runs the tests that the command line asks for, all if it asks for none, and switches the machine off.
pub fn run(info: &BootInfo) -> ! {
    let wanted = info.command_line.value("selftest").unwrap_or("");
    if wanted == "list" {
        list();
    }
    if let Some(fatal) = FATAL_ROOMS.iter().copied().flatten().find(|fatal| fatal.name == wanted) {
        run_fatal(fatal);
    }
    let patience = info.command_line.value("patience").and_then(|seconds| seconds.parse().ok()).unwrap_or(PATIENCE);
    let is_wanted = |test: &Test| {
        if is_faulty(test) {
            return test.name == wanted;
        }
        wanted.split(',').any(|beginning| test.name.starts_with(beginning))
    };
    let (passed, failed) = run_all(patience, is_wanted);
    log::info!("selftest: {passed} passed, {failed} failed");
    leave(failed == 0 && passed > 0)
}

/// The names of all tests that come back and should pass.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().filter(|test| !is_faulty(test)).map(|test| test.name)
}

/// Runs the tests whose names begin so; tells how many passed and how many failed.
pub fn run_beginning_with(beginning: &str) -> (usize, usize) {
    run_all(PATIENCE, |test| test.name.starts_with(beginning) && !is_faulty(test))
}

fn run_all(patience_seconds: u64, is_wanted: impl Fn(&Test) -> bool) -> (usize, usize) {
    static WATCHDOG: Once<()> = Once::new();
    WATCHDOG.call_once(|| {
        let patience = Duration::from_secs(patience_seconds);
        // Two, on processors of their own: one sleeps on for ever if its processor hangs with interrupts off.
        for number in 0..percpu::count().min(2) {
            let watchdog =
                thread::spawn_on(CpuSet::only(number), "watchdog", Priority::Urgent, move || watch(patience));
            if watchdog.is_err() {
                log::warn!("no memory for the watchdog");
            }
        }
    });
    wait_until_frames_rest();
    let (mut passed, mut failed) = (0, 0);
    for (index, test) in all().enumerate().filter(|(_, test)| is_wanted(test)) {
        if run_one(index, test) { passed += 1 } else { failed += 1 }
    }
    (passed, failed)
}

fn is_faulty(test: &Test) -> bool {
    FAULTY.iter().any(|faulty| faulty.test.name == test.name)
}

fn all() -> impl Iterator<Item = &'static Test> {
    ROOMS.iter().copied().flatten().chain(FAULTY.iter().map(|faulty| &faulty.test))
}

/// Whether it passed.
fn run_one(index: usize, test: &Test) -> bool {
    log::info!("test {} ...", test.name);
    let before = free_frames();
    let begun = clock::now();
    BEGUN.store(begun.nanoseconds(), Ordering::Release);
    CURRENT.store(index, Ordering::Release);
    let outcome = (test.run)();
    CURRENT.store(NONE, Ordering::Release);
    // Whatever the outcome, the next test begins when this one has left.
    let leak = expect_free_frames(before);
    let outcome = outcome.and(leak);
    let milliseconds = clock::now().since(begun).as_millis();
    match &outcome {
        Ok(()) => log::info!("test {}: ok ({milliseconds} ms)", test.name),
        Err(why) => log::error!("test {}: FAILED: {why}", test.name),
    }
    outcome.is_ok()
}

fn run_fatal(fatal: &Fatal) -> ! {
    log::info!("test {} ...", fatal.name);
    (fatal.run)();
    log::error!("test {}: FAILED: it goes on", fatal.name);
    leave(false)
}

/// Names all tests, those that end in a panic or must fail with their words.
fn list() -> ! {
    for test in ROOMS.iter().copied().flatten() {
        log::info!("test {}", test.name);
    }
    for faulty in FAULTY {
        log::info!("faulty {}: {}", faulty.test.name, faulty.expect);
    }
    for fatal in FATAL_ROOMS.iter().copied().flatten() {
        log::info!("fatal {}: {}", fatal.name, fatal.expect);
    }
    leave(true)
}

/// Tells which test hangs.
fn watch(patience: Duration) {
    loop {
        proc::sleep(WATCH);
        let index = CURRENT.load(Ordering::Acquire);
        let Some(test) = all().nth(index) else { continue };
        let running = clock::now().nanoseconds().saturating_sub(BEGUN.load(Ordering::Acquire));
        // One of the watchdogs tells.
        let hangs = u128::from(running) > patience.as_nanos();
        if hangs && CURRENT.compare_exchange(index, NONE, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            log::error!("test {}: HANGS", test.name);
            thread::for_each(|thread| log::error!("  thread {} is {}", thread.id(), thread.name()));
            leave(false);
        }
    }
}

/// Waits for as many free frames as there were: threads that have ended may still be on their way out.
fn expect_free_frames(before: u64) -> Outcome {
    let mut now = free_frames();
    // Emptying a full pool of stacks takes its time, and does not count.
    let begun = clock::now();
    while now != before {
        if clock::now().since(begun) > SETTLE {
            return Err(format!("{now} frames are free or the heap's, {before} were"));
        }
        proc::sleep(Duration::from_millis(10));
        now = free_frames();
    }
    Ok(())
}

/// Waits until what was started before, and may be on its way out, has given its memory back.
fn wait_until_frames_rest() {
    let begun = clock::now();
    let mut before = free_frames();
    while clock::now().since(begun) < SETTLE {
        proc::sleep(REST);
        let now = free_frames();
        if now == before {
            break;
        }
        before = now;
    }
}

/// Frames that are free, or would be had the heap never grown, which it does for good: it takes pages and, from the start of its
/// addresses on, tables for them.
fn free_frames() -> u64 {
    stacks::drain_pool();
    frames::drain_caches();
    let mapped = heap::mapped();
    let tables: u64 = TABLE_REACH.iter().map(|reach| mapped.div_ceil(*reach)).sum();
    frames::free_frames() + heap::size() / FRAME_BYTES + tables
}

/// Ends the machine.
fn leave(good: bool) -> ! {
    power::leave_emulator(if good { Exit::Passed } else { Exit::Failed });
    power::power_off()
}
