//! Tests of whole machines: the images boot in QEMU and Bochs, and what they say on screen and serial line is read.
//!
//! Those of the kernel itself boot images that start no programs, and use the kernel's own prompt, the monitor's (`Machine::raw`
//! and its like); those of the whole boot what users have, which comes to a shell (`Machine::raw_with_programs`).
//!
//! They need what `scripts/iso.sh`, `scripts/raw.sh`, `scripts/monitor.sh`, `scripts/programs.sh` and
//! `scripts/kernel.sh selftest debug` build.

mod codes;
mod console;
mod damage;
mod faults;
mod harness;
mod hostile;
mod input;
mod last_log;
mod limits;
mod load;
mod matrix;
mod monitor;
mod pci;
mod power;
mod processors;
mod procfs;
mod programs;
mod pvh;
mod random;
mod screens;
mod selftest;
mod shell;
mod stand_in;

use harness::{Machine, Setup};

/// What the kernel calls the loader that started it.
const GRUB: &str = "loader: GRUB 2";
const ERES_LOADER: &str = "loader: Eres BIOS loader";

/// Boots `setup` until the kernel is ready.
#[track_caller]
fn boot_to_ready(setup: Setup) -> Machine {
    let mut machine = setup.boot();
    expect_ready(&mut machine);
    machine
}

#[track_caller]
fn expect_ready(machine: &mut Machine) {
    machine.expect_line("Eres OS ");
    machine.expect_line_where("the line `ready`", |line| line == "ready");
}

/// Boots `setup` until the shell shows its prompt.
#[track_caller]
fn boot_to_shell(setup: Setup) -> Machine {
    let mut machine = boot_to_ready(setup);
    machine.expect_prompt(shell::PROMPT);
    machine
}

/// Types a command at the kernel's prompt, by the serial line, and answers what it says.
#[track_caller]
fn ask(machine: &mut Machine, command: &str) -> Vec<String> {
    monitor::ask(machine, monitor::PROMPT, command)
}
