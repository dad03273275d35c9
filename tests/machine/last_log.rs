//! What a start said is there after a reset, if memory keeps it.

use crate::harness::{ComposedImage, Machine, Setup};
use crate::{ask, monitor};
use serde_json::json;

const NOTHING: &str = "nothing of a last start is left: the machine was off, or its memory was used since";

#[track_caller]
fn boot(setup: Setup) -> Machine {
    let mut machine = setup.may_reset().boot();
    expect_ready(&mut machine);
    machine
}

/// Boots, resets by the prompt's `reboot`, and answers the machine when it is ready again.
#[track_caller]
fn rebooted(setup: Setup) -> Machine {
    let mut machine = boot(setup);
    assert_eq!(ask(&mut machine, "log last"), [NOTHING]);
    machine.send_serial("reboot\r");
    expect_ready(&mut machine);
    machine
}

/// Waits until the machine is ready once more: for what the prompt says, which is in no log that may be shown meanwhile.
#[track_caller]
fn expect_ready(machine: &mut Machine) {
    machine.expect_line("Type `help` for what can be done here.");
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
        Machine::iso().uefi().memory_mib(96),
        Machine::kernel(),
    ] {
        let mut machine = rebooted(setup);
        // A small screen has pages.
        machine.expect_prompt("eres> ");
        machine.send_serial("log last\r  ");
        for words in ["Eres OS ", "loader: ", "ready", "rebooting"] {
            machine.expect_line(words);
        }
        let log = machine.serial_log();
        assert!(!log.contains("the last start ended"), "an end in order is nothing to tell:\n{log}");
        machine.send_serial("log\r");
        machine.expect_line("debug: the last start ended in order");
    }
}

#[test]
fn a_panic_is_told_at_the_next_start() {
    let image = ComposedImage::new(&["--command-line", "panic=monitor log=debug"]);
    let mut machine = boot(Machine::image(&image.path()).cpus(2));
    machine.expect_prompt("eres> ");
    machine.send_serial("provoke null\r");
    // What it says itself is not the last start's.
    assert_eq!(monitor::ask(&mut machine, "panic> ", "log last"), [NOTHING]);
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
    // That start is over now, too, in order.
    machine.send_serial("reboot\r");
    expect_ready(&mut machine);
    assert!(ask(&mut machine, "log last").iter().any(|line| line == "rebooting"));
    // A panic leaves it readable.
    machine.send_serial("provoke panic\r");
    machine.expect_prompt("panic> ");
    machine.send_serial("log last\r ");
    machine.expect_line_where("the line `rebooting`", |line| line == "rebooting");
}

#[test]
fn a_panic_before_there_is_a_screen_is_told_at_the_next_start() {
    let image = ComposedImage::new(&["--command-line", "provoke=early"]);
    let mut machine = Machine::image(&image.path()).may_reset().boot();
    machine.expect_line("provoked before there are screens");
    machine.qmp("system_reset", json!({}));
    machine.expect_line("the last start ended in a kernel panic at src/provoke.rs:");
}

#[test]
fn what_was_damaged_is_left_out_and_the_rest_is_told() {
    let mut machine = boot(Machine::raw());
    let map = ask(&mut machine, "memory map");
    let region = map.iter().find_map(|line| line.strip_suffix(" log")).expect("the map names the log");
    let start = region.trim_start().strip_prefix("0x").and_then(|line| line.split_once('-')).expect("a range");
    let start = u64::from_str_radix(start.0, 16).expect("an address");
    // The words of the first record, behind the headers of the segment and its own.
    machine.write_memory(start + 24, b"Err");
    machine.qmp("system_reset", json!({}));
    machine.expect_line("the last start ended abruptly");
    expect_ready(&mut machine);
    let last = ask(&mut machine, "log last");
    assert!(!last.iter().any(|line| line.contains("Eres OS ") || line.contains("Errs OS ")), "{last:#?}");
    assert!(last.iter().any(|line| line.contains("loader: ")) && last.iter().any(|line| line == "ready"), "{last:#?}");
    // Nothing whole is left, and that is as good as nothing.
    machine.write_memory(start, &[0x5a; 4096]);
    machine.write_memory(start + 8192, &[0xa5; 4096]);
    machine.write_memory(start + 2 * 8192, &[0; 4096]);
    machine.write_memory(start + 3 * 8192, &[0xff; 4096]);
    machine.qmp("system_reset", json!({}));
    expect_ready(&mut machine);
    assert_eq!(ask(&mut machine, "log last"), [NOTHING]);
}

#[test]
fn a_reset_out_of_nowhere_is_told() {
    let mut machine = boot(Machine::raw());
    machine.qmp("system_reset", json!({}));
    machine.expect_line("the last start ended abruptly");
    expect_ready(&mut machine);
    assert!(ask(&mut machine, "log last").iter().any(|line| line == "ready"));
}
