//! The kernel tests itself on the machine: built with the feature `selftest`, it runs these tests in place of all that would
//! come after `ready`.
//!
//! `selftest=` on the command line takes beginnings of names, separated by commas: only those tests run. Tests that must end in
//! a panic run only when named in full and alone, and so do those that must fail, which test the runner; `selftest=list` names
//! them, with the words that must come. `patience=` takes the seconds after which a test counts as hanging.
//! `selftest=monitor` leaves the tests to the prompt's command `test`.
//! The last line is `selftest: … passed, … failed`, and QEMU's `isa-debug-exit` device makes the outcome an exit code
//! ([`Exit`]). A test that hangs is named by a watchdog; one that leaks memory is named too.

/// Ends the test with a message unless the condition holds.
macro_rules! check {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(alloc::format!($($words)+));
        }
    };
}

/// Ends the test with a message unless the first is as the second.
macro_rules! check_eq {
    ($found:expr, $wanted:expr $(,)?) => {
        match (&$found, &$wanted) {
            (found, wanted) if found != wanted => {
                return Err(alloc::format!("{} is {found:?}, not {wanted:?}", stringify!($found)));
            }
            _ => {}
        }
    };
}

mod dma;
mod exceptions;
mod exhaustion;
mod faulty;
mod guards;
mod interrupts;
mod locks;
mod log;
mod mappings;
mod memory;
mod pci;
mod processors;
mod programs;
mod runner;
mod terminal;
mod threads;
mod timers;
mod tools;

use crate::hw::percpu;
use crate::proc::{Priority, thread};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use logic::boot::BootInfo;
use logic::sched::CpuSet;
use spin::Once;

/// What the kernel was booted with, for tests that compare.
static INFO: Once<&'static BootInfo> = Once::new();

/// Ok, or what was wrong, in one line.
pub type Outcome = Result<(), String>;

/// One test. It leaves the kernel as it was; the runner checks that no memory is missing.
pub struct Test {
    /// Words with hyphens, the room first: `memory-zones`.
    pub name: &'static str,
    /// The test, run in a thread with interrupts on and no lock held.
    pub run: fn() -> Outcome,
}

/// A test that must end in a panic, and so is the last.
pub struct Fatal {
    /// As of [`Test`].
    pub name: &'static str,
    /// Words of the panic.
    pub expect: &'static str,
    /// Must not return.
    pub run: fn(),
}

/// All tests by room, in the order of running.
const ROOMS: &[&[Test]] = &[
    exceptions::TESTS,
    mappings::TESTS,
    guards::TESTS,
    memory::TESTS,
    exhaustion::TESTS,
    locks::TESTS,
    interrupts::TESTS,
    processors::TESTS,
    timers::TESTS,
    threads::TESTS,
    programs::TESTS,
    pci::TESTS,
    dma::TESTS,
    terminal::TESTS,
    log::TESTS,
];

/// All tests that end in a panic.
const FATAL_ROOMS: &[&[Fatal]] = &[guards::FATAL, locks::FATAL];

/// A test that must fail, to see that the runner tells.
pub struct Faulty {
    /// The words that must come.
    pub expect: &'static str,
    /// Runs like any other.
    pub test: Test,
}

/// Runs the tests that the command line asks for and switches the machine off; `selftest=monitor` leaves that to the prompt.
pub fn as_asked(info: &'static BootInfo) {
    INFO.call_once(|| info);
    pci::prepare();
    if info.command_line.value("selftest") != Some("monitor") {
        runner::run(info)
    }
}

pub use runner::{names, run_beginning_with};

/// Runs `test` in a thread of its own on each processor, one after the other.
fn on_each_cpu(test: impl Fn() -> Outcome + Copy + Send + 'static) -> Outcome {
    (0..percpu::count()).try_for_each(|number| {
        let thread = thread::spawn_on(CpuSet::only(number), "on each cpu", Priority::NORMAL, test);
        let outcome = thread.map_err(|error| error.to_string())?.join();
        outcome.map_err(|why| format!("on CPU {number}: {why}"))
    })
}

/// Runs `test` on all processors at once, each in a thread of its own.
fn on_all_cpus(test: impl Fn() -> Outcome + Copy + Send + 'static) -> Outcome {
    let threads: Vec<_> = (0..percpu::count())
        .map(|number| thread::spawn_on(CpuSet::only(number), "on all cpus", Priority::NORMAL, test))
        .collect();
    let outcomes = threads.into_iter().map(|thread| thread.map_err(|error| error.to_string())?.join());
    // All are joined before the first failure is told.
    let outcomes: Vec<_> = outcomes.collect();
    outcomes.into_iter().collect()
}
