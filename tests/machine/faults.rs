//! The kernel at its end: panics and exceptions say what happened on both consoles, and the machine stands still.

use crate::boot_to_ready;
use crate::harness::{ComposedImage, Machine, Mode};
use std::time::Duration;

/// What `provoke=fault` ends in, with words that must be among the last.
const FAULTS: [(&str, &str); 6] = [
    ("panic", "provoked by the command line"),
    ("fault", "exception 6, invalid opcode"),
    ("null", "exception 14, page fault: read where nothing is mapped"),
    ("write-text", "exception 14, page fault: wrote to what is read-only"),
    ("run-data", "exception 14, page fault: executed what is not executable"),
    ("stack", "exception 8, double fault: the stack is full"),
];

#[test]
fn a_kernel_that_fails_says_where_and_why_and_stops() {
    for (fault, words) in FAULTS {
        let image = ComposedImage::new(&["--command-line", &format!("provoke={fault}")]);
        let mut machine = Machine::image(&image.path()).boot();
        machine.expect_line("kernel panic at src/");
        machine.expect_line(words);
        machine.expect_on_screen("kernel panic at src/");
        machine.expect_on_screen(words);
        machine.expect_stays_up(Duration::from_millis(500));
        assert!(machine.line("ready").is_none(), "it went on after {fault}");
    }
}

#[test]
fn a_panic_is_seen_in_text_mode_and_without_a_serial_port() {
    let image = ComposedImage::new(&["--text", "--command-line", "provoke=fault"]);
    let mut machine = Machine::image(&image.path()).no_serial().boot();
    let screen = machine.expect_on_screen("exception 6, invalid opcode");
    assert_eq!(screen.mode, Mode::VgaText, "{screen}");
}

#[test]
fn without_nx_data_can_run_and_code_still_cannot_be_written() {
    let image = ComposedImage::new(&["--command-line", "provoke=run-data"]);
    boot_to_ready(Machine::image(&image.path()).cpu("qemu64,-nx"));
    let image = ComposedImage::new(&["--command-line", "provoke=write-text"]);
    let mut machine = Machine::image(&image.path()).cpu("qemu64,-nx").boot();
    machine.expect_line("page fault: wrote to what is read-only");
}

#[test]
fn log_levels_are_obeyed_and_nonsense_gets_a_warning() {
    let boot = |line: &str| {
        let image = ComposedImage::new(&["--command-line", line]);
        let machine = boot_to_ready(Machine::image(&image.path()));
        machine.serial_log()
    };
    assert!(!boot("log=info").contains("debug: "));
    assert!(boot("log=debug").contains("debug: "));
    assert!(boot("log=loud").contains("warning: log= takes off, error, warn, info, debug or trace"));
    assert!(boot("provoke=nothing").contains("warning: provoke=nothing is none of"));
}
