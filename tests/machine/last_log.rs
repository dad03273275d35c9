//! What a start said is there after a reset, if memory keeps it.

use crate::harness::{ComposedImage, Machine, Setup};
use crate::{ask, boot_to_ready};
use serde_json::json;

const NOTHING: &str = "nothing of a last start is left: the machine was off, or its memory was used since";

/// Boots, resets by the prompt's `reboot`, and answers the machine when it is ready again.
#[track_caller]
fn rebooted(setup: Setup) -> Machine {
    let mut machine = boot_to_ready(setup.may_reset());
    assert_eq!(ask(&mut machine, "log last"), [NOTHING]);
    machine.send_serial("reboot\r");
    expect_ready(&mut machine);
    machine
}

/// Waits until the machine is ready once more.
#[track_caller]
fn expect_ready(machine: &mut Machine) {
    machine.expect_line_where("the line `ready`", |line| line == "ready");
}

#[test]
fn a_log_outlives_a_reboot_by_every_door_and_on_small_machines() {
    for setup in [
        Machine::raw(),
        Machine::raw().memory_mib(4),
        Machine::raw().memory_mib(16),
        Machine::raw().memory_mib(3 * 1024),
        Machine::iso(),
        Machine::iso().machine("q35"),
        Machine::iso().uefi(),
    ] {
        let mut machine = rebooted(setup);
        let last = ask(&mut machine, "log last");
        for words in ["Eres OS ", "loader: ", "ready", "rebooting"] {
            assert!(last.iter().any(|line| line.contains(words)), "no {words:?} in {last:#?}");
        }
        let log = machine.serial_log();
        assert!(!log.contains("the last start ended"), "an end in order is nothing to tell:\n{log}");
    }
}

#[test]
fn a_panic_is_told_at_the_next_start() {
    let image = ComposedImage::new(&["--command-line", "panic=monitor log=debug"]);
    let mut machine = boot_to_ready(Machine::image(&image.path()).cpus(2).may_reset());
    machine.expect_prompt("eres> ");
    machine.send_serial("provoke null\r");
    machine.expect_prompt("panic> ");
    machine.qmp("system_reset", json!({}));
    let told = machine.expect_line("the last start ended in a kernel panic at src/").text;
    assert!(told.contains("on CPU ") && told.contains(": exception 14, page fault: "), "{told}");
    expect_ready(&mut machine);
    machine.expect_prompt("eres> ");
    // More than a page.
    machine.send_serial("log last\r ");
    for words in ["error: kernel panic at src/", "  cr2 0000000000000000", "::read_null+0x"] {
        machine.expect_line(words);
    }
    // That start is over now, too.
    machine.send_serial("reboot\r");
    expect_ready(&mut machine);
    assert!(ask(&mut machine, "log last").iter().any(|line| line == "rebooting"));
}

#[test]
fn a_reset_out_of_nowhere_is_told() {
    let mut machine = boot_to_ready(Machine::raw().may_reset());
    machine.qmp("system_reset", json!({}));
    machine.expect_line("the last start ended abruptly");
    expect_ready(&mut machine);
    assert!(ask(&mut machine, "log last").iter().any(|line| line == "ready"));
}
