//! QR codes: read from the screen's pixels, they say what the serial line said.

use crate::boot_to_ready;
use crate::harness::{ComposedImage, Machine, Mode, Setup};
use crate::monitor::PROMPT;
use std::fs;
use std::time::Duration;

/// Lines of the log that a code has at least: in the framebuffer of 1024x768 pixels, and in text mode.
const LINES: usize = 30;
const LINES_OF_TEXT_MODE: usize = 6;

/// What the kernel has said on the serial line before its panic, and in it, without the log's end that stands in between.
fn before_and_in_panic(machine: &Machine) -> (Vec<String>, Vec<String>) {
    let log = machine.serial_log();
    let kernel_log = &log[log.find("Eres OS ").expect("a first line")..];
    let lines = || kernel_log.lines().map(str::to_owned).filter(|line| !line.is_empty());
    let is_panic = |line: &String| line.starts_with("kernel panic at ");
    let before = lines().take_while(|line| !is_panic(line)).collect();
    (before, lines().skip_while(|line| !is_panic(line)).filter(|line| !line.starts_with("  | ")).collect())
}

/// Fails unless `log` and what was said end alike, for as many lines as both have, and `lines` at least.
#[track_caller]
fn expect_tail(log: &[String], said: &[String], lines: usize) {
    assert!(log.len() >= lines, "only {} lines: {log:#?}", log.len());
    // The time is another one at the console than in the log.
    let alike = |one: &str, other: &str| one == other || one.starts_with("time: ") && other.starts_with("time: ");
    let pairs = || log.iter().rev().zip(said.iter().rev());
    assert!(pairs().all(|(one, other)| alike(one, other)), "{log:#?}\nis not the end of\n{said:#?}");
}

/// With `log=debug`, the serial line has all that the log has from then on.
fn said_since_debug(said: &[String]) -> &[String] {
    let first = said.iter().position(|line| line.starts_with("loader: ")).expect("a line about the loader");
    &said[first..]
}

#[test]
fn a_panic_in_a_framebuffer_has_a_code_of_all_that_the_kernel_said() {
    let image = ComposedImage::new(&["--command-line", "log=debug provoke=deep-fault"]);
    let mut machine = Machine::image(&image.path()).cpus(2).boot();
    machine.expect_line(" context_start+0x");
    let code = machine.expect_code();
    let (before, panic) = before_and_in_panic(&machine);
    assert!(code.head[0].starts_with("Eres OS "), "{code}");
    assert_eq!(code.head[1..], panic, "{code}");
    expect_tail(&code.log, said_since_debug(&before), LINES);
    // Beside the code all can be read.
    let screen = machine.screen();
    for line in &panic {
        assert!(screen.rows.iter().any(|row| row.starts_with(line)), "{line:?} is not on the screen:\n{screen}");
    }
}

#[test]
fn a_panic_in_text_mode_has_message_and_code_on_a_page_and_registers_on_another() {
    let image = ComposedImage::new(&["--text", "--command-line", "log=debug provoke=deep-fault"]);
    let mut machine = Machine::image(&image.path()).boot();
    machine.expect_line(" context_start+0x");
    let code = machine.expect_code();
    let (before, panic) = before_and_in_panic(&machine);
    assert!(code.head.len() == 4 && code.head[1..3] == panic[..2], "{code}");
    let address = panic.iter().find_map(|line| line.strip_prefix("  at ffffffff")?.get(..8)).expect("a backtrace");
    assert!(code.head[3].starts_with(&format!("  at {address} ")), "{code}");
    expect_tail(&code.log, said_since_debug(&before), LINES_OF_TEXT_MODE);
    let page = machine.second_page();
    for words in ["kernel panic at src/", "  exception 6, invalid opcode", "provoke::deep::fifth+0x", "main_thread+0x"]
    {
        assert!(page.rows.iter().any(|row| row.starts_with(words)), "{words:?} is not on\n{page}");
    }
    // Any key shows the other page.
    machine.send_key("spc");
    machine.expect_stays_up(Duration::from_secs(1));
    assert_eq!(machine.code(), None);
    assert!(machine.screen().contains("  rflags "));
    machine.send_key("spc");
    assert_eq!(machine.expect_code(), code);
}

#[test]
fn a_panic_before_there_is_memory_to_be_had_has_a_code_too() {
    for options in [&[][..], &["--text"]] {
        let image = ComposedImage::new(&[options, &["--command-line", "provoke=early"]].concat());
        let mut machine = Machine::image(&image.path()).boot();
        machine.expect_line("  at ffffffff80");
        let code = machine.expect_code();
        let (before, panic) = before_and_in_panic(&machine);
        assert_eq!(code.head[1..3], panic[..2], "{code}");
        expect_tail(&code.log, &before, 1);
        machine.expect_stays_up(Duration::from_millis(500));
    }
}

#[test]
fn a_panic_has_its_code_whatever_locks_are_held() {
    for fault in ["panic-in-lock", "panic-in-heap", "panic-in-interrupt", "stack"] {
        let image = ComposedImage::new(&["--command-line", &format!("log=debug provoke={fault}")]);
        let mut machine = Machine::image(&image.path()).boot();
        machine.expect_line("  at ffffffff80");
        let code = machine.expect_code();
        let (before, panic) = before_and_in_panic(&machine);
        assert_eq!(code.head[1..3], panic[..2], "{code}");
        expect_tail(&code.log, said_since_debug(&before), LINES);
    }
}

#[test]
fn a_panic_in_a_screen_of_grub_has_its_code() {
    for setup in [Machine::iso(), Machine::iso().uefi()] {
        let mut machine = boot_to_ready(setup);
        machine.expect_prompt(PROMPT);
        machine.send_serial("provoke panic\r");
        machine.expect_line("  at ffffffff80");
        let code = machine.expect_code();
        let (_, panic) = before_and_in_panic(&machine);
        assert_eq!(code.head[1..3], panic[..2], "{code}");
        assert!(code.log.iter().any(|line| line.starts_with("loader: GRUB 2")), "{code}");
        assert!(code.log.iter().any(|line| line == "ready"), "{code}");
    }
}

/// Has the prompt show a code, and compares it with the log.
#[track_caller]
fn expect_code_on_request(setup: Setup, mode: Mode, lines: usize) {
    let mut machine = boot_to_ready(setup);
    machine.expect_prompt(PROMPT);
    machine.send_serial("qr\r");
    machine.expect_line("Any key brings the text back.");
    let code = machine.expect_code();
    assert!(code.head.len() == 1 && code.head[0].starts_with("Eres OS "), "{code}");
    machine.send_serial(" ");
    let screen = machine.expect_on_screen_where("the prompt", |screen| {
        screen.rows.iter().rev().find(|row| !row.is_empty()).is_some_and(|row| row == PROMPT.trim_end())
    });
    assert_eq!(screen.mode, mode);
    assert_eq!(machine.code(), None);
    // Meanwhile more may have been said.
    let log = match mode {
        // Its log has more than one page.
        Mode::VgaText => said_since_debug(&before_and_in_panic(&machine).0).to_vec(),
        _ => crate::ask(&mut machine, "log"),
    };
    let last = log.iter().position(|line| Some(line) == code.log.last()).expect("the code's last line is of the log");
    expect_tail(&code.log, &log[..=last], lines);
}

#[test]
fn the_prompt_shows_the_log_as_a_code_until_a_key_is_pressed() {
    let framebuffer = Mode::Graphics { width: 1024, height: 768 };
    expect_code_on_request(Machine::raw(), framebuffer, LINES);
    expect_code_on_request(Machine::iso(), framebuffer, LINES);
    let text = ComposedImage::new(&["--text", "--command-line", "log=debug"]);
    expect_code_on_request(Machine::image(&text.path()), Mode::VgaText, LINES_OF_TEXT_MODE);
}

#[test]
fn the_prompt_after_a_panic_shows_a_code_too() {
    let image = ComposedImage::new(&["--command-line", "panic=monitor provoke=panic"]);
    let mut machine = Machine::image(&image.path()).boot();
    machine.expect_prompt("panic> ");
    machine.send_serial("qr\r");
    let code = machine.expect_code();
    assert!(code.log.iter().any(|line| line.ends_with("  provoked by the command line")), "{code}");
    machine.send_serial(" ");
    machine.expect_prompt("panic> ");
    machine.send_serial("uptime\r");
    machine.expect_line("up 00:0");
    machine.expect_on_screen("up 00:0");
}

#[test]
fn a_machine_without_a_screen_says_that_there_is_none_for_a_code() {
    let mut machine = boot_to_ready(Machine::kernel().vga("none"));
    let answer = crate::ask(&mut machine, "qr");
    assert_eq!(answer.last().map(String::as_str), Some("there is no screen that has room for a code"));
}

/// An initramfs that leaves the kernel not enough memory to go on with is found by trying.
#[test]
fn a_kernel_that_cannot_go_on_shows_a_code_with_the_reason() {
    let scratch = std::env::temp_dir().join(format!("eres-codes-{}", std::process::id()));
    for kib in (100..1600).step_by(40) {
        fs::write(&scratch, vec![0xe5; kib * 1024]).expect("a file can be written");
        let setup = Machine::kernel_alone().memory_mib(4).argument("-initrd").argument(&scratch.display().to_string());
        let mut machine = setup.boot();
        let line = machine.expect_line_where("an end", |line| line == "ready" || line.contains("error: E3")).text;
        // Where E38 is said there was not even memory to map a screen.
        if !line.contains("E37") {
            continue;
        }
        let code = machine.expect_code();
        assert_eq!(code.log.last(), Some(&line), "{code}");
        let page = machine.second_page();
        assert!(page.rows[0].starts_with(&line["error: ".len()..][..20]), "{page}");
        fs::remove_file(&scratch).expect("the file can be removed");
        return;
    }
    panic!("the kernel always finds enough memory");
}
