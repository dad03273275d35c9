//! The kernel at its end: panics and exceptions say what happened on both consoles, and the machine stands still.

use crate::boot_to_ready;
use crate::harness::{ComposedImage, Machine, Mode};
use std::time::Duration;

/// What `provoke=fault` ends in, with words that must be among the last.
const FAULTS: [(&str, &str); 7] = [
    ("panic", "provoked by the command line"),
    ("panic-in-lock", "provoked with the locks of console and log held"),
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

/// Fails unless some of `lines` hold these words, in this order.
#[track_caller]
fn expect_in_order<'a>(lines: impl IntoIterator<Item = &'a str>, words: &[&str], whole: &str) {
    let mut lines = lines.into_iter();
    for wanted in words {
        assert!(lines.any(|line| line.contains(wanted)), "{wanted:?} is not (there) in:\n{whole}");
    }
}

#[test]
fn a_panic_names_who_called_whom_on_both_consoles() {
    let calls =
        ["fifth", "fourth", "third", "second", "first"].map(|name| format!(" kernel::provoke::deep::{name}+0x"));
    let mut words = vec!["kernel panic at src/provoke.rs:", "  provoked five calls deep", "  | time: "];
    words.extend(calls.iter().map(String::as_str));
    words.extend([" kernel::main_thread+0x", " kernel::proc::thread::thread_main+0x", " context_start+0x"]);
    let image = ComposedImage::new(&["--command-line", "provoke=deep"]);
    let mut machine = Machine::image(&image.path()).boot();
    machine.expect_line(" context_start+0x");
    let serial = machine.serial_log();
    expect_in_order(serial.lines(), &words, &serial);
    assert!(!serial.contains(" core::panicking::"), "{serial}");
    let screen = machine.expect_on_screen(" context_start+0x");
    expect_in_order(screen.rows.iter().map(String::as_str), &words, &screen.to_string());
}

#[test]
fn a_panic_shows_registers_and_the_code_that_an_exception_interrupted() {
    for (fault, function, error_code) in
        [("fault", "invalid_opcode", "0"), ("null", "read_null", "0"), ("write-text", "write_text", "3")]
    {
        let image = ComposedImage::new(&["--command-line", &format!("provoke={fault}")]);
        let mut machine = Machine::image(&image.path()).boot();
        let rip = machine.expect_line("  rip ").text;
        let rip = rip.split("rip ").nth(1).expect("the value of RIP").to_owned();
        machine.expect_line(&format!("  error code {error_code}"));
        machine.expect_line(&format!("  at {rip} kernel::hw::provoke::{function}+0x"));
        machine.expect_line(" kernel::main_thread+0x");
    }
    let image = ComposedImage::new(&["--command-line", "provoke=run-data"]);
    let mut machine = Machine::image(&image.path()).boot();
    machine.expect_line("  error code 11");
    machine.expect_line(" kernel::hw::provoke::run_data+0x");
}

#[test]
fn a_full_stack_is_told_in_a_few_lines() {
    let image = ComposedImage::new(&["--command-line", "provoke=stack"]);
    let mut machine = Machine::image(&image.path()).boot();
    machine.expect_line_where("a line for all calls", |line| line.contains("::deeper+0x") && line.ends_with(" times)"));
    machine.expect_line(" kernel::hw::provoke::overflow_stack+0x");
    machine.expect_line(" kernel::main_thread+0x");
}

#[test]
fn the_end_of_the_log_comes_with_the_panic_whatever_was_shown() {
    let image = ComposedImage::new(&["--command-line", "log=off provoke=panic"]);
    let mut machine = Machine::image(&image.path()).boot();
    machine.expect_line("kernel panic at ");
    machine.expect_line("  | debug: ");
    machine.expect_line("  | time: ");
    let screen = machine.expect_on_screen("  | time: ");
    assert!(screen.contains("  | debug: "), "{screen}");
}

#[test]
fn a_text_screen_keeps_message_registers_and_backtrace() {
    let image = ComposedImage::new(&["--text", "--command-line", "provoke=deep-fault"]);
    let mut machine = Machine::image(&image.path()).no_serial().boot();
    // The message comes first, and again below all else when it has scrolled away.
    let below = machine.expect_on_screen(" context_start+0x");
    assert_eq!(below.mode, Mode::VgaText, "{below}");
    machine.expect_stays_up(Duration::from_millis(500));
    let screen = machine.screen();
    let words = [
        "  | time: ",
        "  rax ",
        "  rip ",
        "  rflags ",
        " kernel::hw::provoke::invalid_opcode+0x",
        " kernel::provoke::deep::fifth+0x",
        " kernel::provoke::deep::first+0x",
        " kernel::main_thread+0x",
        " context_start+0x",
        "kernel panic at src/hw/trap.rs:",
        "  exception 6, invalid opcode",
    ];
    expect_in_order(screen.rows.iter().map(String::as_str), &words, &screen.to_string());
}

#[test]
fn a_panic_in_the_panic_says_so_in_a_line_and_stops() {
    for options in [&["--command-line"][..], &["--text", "--command-line"]] {
        let image = ComposedImage::new(&[options, &["provoke=panic-in-panic"]].concat());
        let mut machine = Machine::image(&image.path()).boot();
        machine.expect_line("kernel panic at src/provoke.rs:");
        let line = machine.expect_line("panic in the panic at src/provoke.rs:").text;
        assert!(line.ends_with(": provoked in the message"), "{line}");
        machine.expect_on_screen("panic in the panic at src/provoke.rs:");
        machine.expect_silence(Duration::from_millis(500));
        machine.expect_stays_up(Duration::ZERO);
    }
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
