//! The kernel at its end: panics and exceptions say what happened on both consoles, and the machine stands still.

use crate::boot_to_ready;
use crate::harness::{ComposedImage, Machine, Mode};
use serde_json::json;
use std::time::Duration;

/// What `provoke=fault` ends in, with words that must be among the last.
const FAULTS: [(&str, &str); 10] = [
    ("panic", "provoked by the command line"),
    ("panic-in-lock", "provoked with the locks of console and log held"),
    ("panic-in-heap", "provoked with the lock of the heap held"),
    ("panic-in-interrupt", "provoked in the handler of an interrupt"),
    ("panic-beside-lock", "provoked while another processor holds the locks of console and log"),
    ("fault", "exception 6, invalid opcode"),
    ("null", "exception 14, page fault: read 0x0, where nothing is mapped (a null pointer)"),
    ("write-text", "exception 14, page fault: wrote to 0xffffffff80"),
    ("run-data", "exception 14, page fault: executed 0xffffffff80"),
    ("stack", "exception 8, double fault: the stack is full"),
];

#[test]
fn a_kernel_that_fails_says_where_and_why_and_stops() {
    for (fault, words) in FAULTS {
        let image = ComposedImage::new(&["--command-line", &format!("provoke={fault}")]);
        let mut machine = Machine::image(&image.path()).cpus(2).boot();
        machine.expect_line("kernel panic at src/");
        machine.expect_line(words);
        machine.expect_on_screen("kernel panic at src/");
        machine.expect_on_screen(words);
        machine.expect_stays_up(Duration::from_millis(500));
        assert!(machine.line("ready").is_none(), "it went on after {fault}");
    }
}

#[test]
fn a_page_fault_says_what_was_done_and_why_that_was_wrong() {
    for (fault, reason) in [("write-text", "which is read-only"), ("run-data", "which is not executable")] {
        let image = ComposedImage::new(&["--command-line", &format!("provoke={fault}")]);
        let mut machine = Machine::image(&image.path()).boot();
        let line = machine.expect_line("page fault: ").text;
        assert!(line.ends_with(reason), "{line}");
    }
}

#[test]
fn a_non_maskable_interrupt_that_nobody_sent_is_told() {
    let mut machine = boot_to_ready(Machine::raw().cpus(2));
    machine.qmp("inject-nmi", json!({}));
    machine.expect_line("kernel panic at src/hw/trap.rs:");
    machine.expect_line("exception 2, non-maskable interrupt");
    machine.expect_on_screen("exception 2, non-maskable interrupt");
    machine.expect_stays_up(Duration::from_millis(500));
}

#[test]
fn a_panic_before_there_is_a_screen_finds_one() {
    let early = |options: &[&str]| ComposedImage::new(&[options, &["--command-line", "provoke=early"]].concat());
    for (image, mode) in [(early(&[]), None), (early(&["--text"]), Some(Mode::VgaText))] {
        let mut machine = Machine::image(&image.path()).no_serial().boot();
        // The backtrace is drawn after the message.
        let screen = machine.expect_on_screen(" kernel_main+0x");
        let message = "provoked before there are screens and page tables";
        assert!(screen.contains("kernel panic at src/provoke.rs:") && screen.contains(message), "{screen}");
        assert!(mode.is_none_or(|mode| screen.mode == mode), "{screen}");
        machine.expect_stays_up(Duration::from_millis(500));
    }
}

/// A machine check goes to all processors, and the report must be of the one whose hardware failed.
#[test]
fn of_a_machine_check_that_all_processors_are_told_the_failed_one_is_quoted() {
    let mut machine = boot_to_ready(Machine::raw().cpu("max").cpus(4));
    let command = "mce -b 2 3 0xbe00000000000090 5 0x12340000 0x0";
    machine.qmp("human-monitor-command", json!({ "command-line": command }));
    machine.expect_line("kernel panic at src/hw/trap.rs:");
    machine.expect_line("uncorrected memory controller error at 0x12340000 (bank 3, status be00000000000090) of CPU ");
    // Registers and backtrace are of the processor that panics.
    machine.expect_line("  rip ");
    machine.expect_line("  at ffffffff80");
    machine.expect_stays_up(Duration::from_millis(500));
}

/// Has the hardware of CPU `cpu` report an uncorrected error of its memory (QEMU's monitor, `mce`).
fn break_memory(machine: &mut Machine, cpu: u32) {
    let command = format!("mce {cpu} 3 0xb600000000000090 0x5 0x12340000 0x0");
    machine.qmp("human-monitor-command", json!({ "command-line": command }));
}

#[test]
fn hardware_that_reports_its_failure_is_quoted() {
    for cpu in [0, 1] {
        let mut machine = boot_to_ready(Machine::raw().cpus(2));
        break_memory(&mut machine, cpu);
        let words = "exception 18, machine check: uncorrected memory controller error at 0x12340000 (bank 3, status ";
        let line = machine.expect_line_where("a panic's first line", |line| line.starts_with("kernel panic at ")).text;
        assert!(line.ends_with(&format!(" on CPU {cpu}")), "{line}");
        machine.expect_line(words);
        // As much as stands in a row beside the code.
        machine.expect_on_screen("exception 18, machine check: uncorrected memory controller error at 0x1234");
        machine.expect_stays_up(Duration::from_millis(500));
    }
}

#[test]
fn what_the_hardware_reported_before_a_reset_is_told_after_it() {
    let mut machine = boot_to_ready(Machine::raw().argument("-action").argument("reboot=reset"));
    break_memory(&mut machine, 0);
    machine.expect_line("exception 18, machine check: ");
    machine.qmp("system_reset", json!({}));
    machine.expect_line("Eres OS ");
    machine.expect_line("warning: machine check before this start: uncorrected memory controller error");
    machine.expect_line_where("the line `ready`", |line| line == "ready");
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
    assert!(machine.expect_line("page fault: wrote to 0x").text.ends_with("which is read-only"));
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
