//! Typing, at the PS/2 keyboard and at the serial port, at a kernel that gives back each line (`then=echo`): so a line
//! that was typed appears twice, once as echo.

use crate::harness::{ComposedImage, Machine};
use crate::{ask, boot_to_ready};
use serde_json::json;
use std::time::Duration;

const END_OF_INPUT: &str = "end of input: ";

fn image(command_line: &str) -> ComposedImage {
    ComposedImage::new(&["--command-line", command_line])
}

/// The lines `line`, as echoed and as given back.
#[track_caller]
fn expect_twice(machine: &mut Machine, line: &str) {
    for _ in 0..2 {
        machine.expect_line_where(line, |found| found == line);
    }
}

/// Boots with `keymap`, types `typed` as on a US keyboard, and expects `line`.
#[track_caller]
fn types(keymap: &str, typed: &str, line: &str) -> Machine {
    let image = image(&format!("then=echo keymap={keymap}"));
    let mut machine = boot_to_ready(Machine::image(&image.path()));
    machine.type_text(typed);
    expect_twice(&mut machine, line);
    machine
}

#[test]
fn what_is_typed_at_the_keyboard_is_read() {
    let mut machine = types("us", "Hello, World! {~|}\n", "Hello, World! {~|}");
    machine.expect_on_screen("Hello, World! {~|}");
    // With Control: takes the line back; ends the input.
    machine.type_text("wrong");
    machine.send_key("ctrl-u");
    machine.type_text("right\n");
    machine.expect_line_where("what was not taken back", |line| line == "right");
    machine.send_key("ctrl-d");
    machine.expect_line(END_OF_INPUT);
}

#[test]
fn what_is_typed_at_the_serial_port_is_read() {
    let image = image("then=echo");
    let mut machine = boot_to_ready(Machine::image(&image.path()).cpus(4));
    machine.send_serial("hello\r");
    expect_twice(&mut machine, "hello");
    machine.send_serial("abc\x7f\x7fé漢\x7fd\r");
    machine.expect_line_where("what is left", |line| line == "aéd");
    machine.type_text("and\n");
    expect_twice(&mut machine, "and");
    machine.send_serial("\x04");
    machine.expect_line(END_OF_INPUT);
}

#[test]
fn keymap_chooses_the_layout() {
    let mut german = types("de", "yz[;'-\n", "zyüöäß");
    german.send_key("alt_r-q");
    german.send_key("alt_r-8");
    // Dead keys.
    german.type_text("`e=a");
    german.send_key("ret");
    expect_twice(&mut german, "@[êá");
    types("fr", "qwerty,2\n", "azerty;é");
    types("uk", "\"~#\n", "@¬£");
}

#[test]
fn an_unknown_layout_gets_a_warning_with_those_there_are() {
    let image = image("keymap=klingon");
    let mut machine = Machine::image(&image.path()).boot();
    let line = machine.expect_line("warning: keymap=klingon is none of ");
    assert!(["us", "uk", "de", "fr"].iter().all(|name| line.text.contains(name)), "{}", line.text);
}

#[test]
fn held_keys_repeat_and_modifiers_do_not_stick() {
    let image = image("then=echo");
    let mut machine = boot_to_ready(Machine::image(&image.path()));
    machine.hold_key("a");
    std::thread::sleep(Duration::from_millis(300));
    machine.release_key("a");
    machine.send_key("shift-b");
    machine.type_text("c\n");
    machine.expect_line_where("repeated letters", |line| line.starts_with("aaa") && line.ends_with("aBc"));
}

#[test]
fn lights_show_what_is_locked() {
    let mut machine = boot_to_ready(Machine::raw().argument("-trace").argument("ps2_set_ledstate"));
    for (key, lights) in [("caps_lock", 4), ("num_lock", 6), ("caps_lock", 2)] {
        machine.send_key(key);
        machine.expect_message(&format!("ledstate {lights}"));
    }
}

#[test]
fn a_mouse_does_no_harm() {
    let image = image("then=echo");
    let mut machine = boot_to_ready(Machine::image(&image.path()));
    for letter in ["m", "o", "u", "s", "e"] {
        let moved = |axis: &str| json!({ "type": "rel", "data": { "axis": axis, "value": 7 } });
        let button = |down: bool| json!({ "type": "btn", "data": { "down": down, "button": "left" } });
        let events = json!({ "events": [moved("x"), moved("y"), button(true), button(false)] });
        machine.qmp("input-send-event", events);
        machine.send_key(letter);
    }
    machine.type_text("\n");
    expect_twice(&mut machine, "mouse");
}

/// Sends a break over the serial line.
#[track_caller]
fn send_break(machine: &mut Machine) {
    machine.qmp("chardev-send-break", json!({ "id": "serial0" }));
}

/// The prompt is there and answers; then it is left.
#[track_caller]
fn expect_prompt_and_leave(machine: &mut Machine) {
    machine.expect_line("Type `help` for what can be done here.");
    assert!(ask(machine, "uptime").iter().any(|line| line.starts_with("up ")), "{}", machine.serial_log());
    machine.send_serial("continue\r");
    machine.expect_line("eres> continue");
    // Nothing tells when it is left.
    std::thread::sleep(Duration::from_millis(300));
}

#[test]
fn the_kernel_can_be_called_from_keyboard_and_serial_line() {
    let mut machine = boot_to_ready(Machine::raw());
    expect_prompt_and_leave(&mut machine);
    machine.send_key("alt-sysrq-h");
    expect_prompt_and_leave(&mut machine);
    send_break(&mut machine);
    expect_prompt_and_leave(&mut machine);
    machine.send_key("ctrl-c");
    expect_prompt_and_leave(&mut machine);
    machine.send_serial("\x03");
    expect_prompt_and_leave(&mut machine);
    machine.send_key("ctrl-alt-delete");
    machine.expect_line("rebooting");
    machine.expect_exit(0);
}

#[test]
fn who_calls_the_kernel_twice_leaves_the_prompt_once() {
    let mut machine = boot_to_ready(Machine::raw());
    machine.expect_prompt("eres> ");
    machine.send_key("alt-sysrq-h");
    send_break(&mut machine);
    expect_prompt_and_leave(&mut machine);
    machine.expect_silence(Duration::from_millis(500));
}

#[test]
fn the_kernel_can_be_called_while_a_program_does_not_read() {
    let image = image("then=echo");
    let mut machine = boot_to_ready(Machine::image(&image.path()).vga("none").cpus(2));
    machine.send_key("ctrl-s");
    // More than the terminal keeps, and less than the kernel does.
    let (text, _) = long_text();
    machine.send_serial(&text[..40 * 1024]);
    machine.expect_line("00001 the quick");
    // All of it has to be in the kernel: at a busy host, that takes a while.
    std::thread::sleep(Duration::from_secs(8));
    machine.send_key("alt-sysrq-h");
    expect_prompt_and_leave(&mut machine);
    send_break(&mut machine);
    expect_prompt_and_leave(&mut machine);
    machine.send_key("ctrl-c");
    expect_prompt_and_leave(&mut machine);
    assert_eq!(machine.line("unknown command"), None, "what was for the program is no command");
    // ^C has taken back what was typed, and output goes on.
    machine.send_serial("again\r");
    expect_twice(&mut machine, "again");
}

#[test]
fn what_was_typed_for_a_program_waits_for_it_while_the_prompt_is_open() {
    let image = image("then=echo");
    let mut machine = boot_to_ready(Machine::image(&image.path()));
    machine.send_serial("a");
    machine.expect_prompt("a");
    machine.type_text("b");
    machine.expect_prompt("ab");
    send_break(&mut machine);
    expect_prompt_and_leave(&mut machine);
    // The break is no byte: these are a, b, c and the end of the line.
    machine.send_serial("c\r\x04");
    let line = machine.expect_line(END_OF_INPUT);
    assert!(line.text.contains("input: 4 bytes"), "{}", line.text);
}

/// What booting takes the kernel in a machine that counts instructions, in tenths of a millisecond.
fn boot_time(machine: &str) -> (u32, Machine) {
    let image = image("then=echo log=debug");
    let setup = Machine::image(&image.path()).machine(machine).argument("-icount").argument("shift=0,sleep=off");
    let machine = boot_to_ready(setup);
    let line = machine.line("time: firmware").expect("the kernel tells its time");
    let time = line.split(", kernel ").nth(1).and_then(|rest| rest.split(" ms").next()).expect("in milliseconds");
    (time.replace('.', "").parse().expect("with one decimal"), machine)
}

#[test]
fn a_machine_without_a_keyboard_controller_boots_without_delay() {
    let (with, machine) = boot_time("q35");
    assert!(machine.line("keyboard: PS/2, us layout").is_some());
    drop(machine);
    let (without, mut machine) = boot_time("q35,i8042=off");
    assert!(machine.line("keyboard: none").is_some());
    assert!(without <= with + 10, "{without} tenths of a millisecond instead of {with}");
    machine.send_serial("serial\r");
    expect_twice(&mut machine, "serial");
}

/// More than 100 KiB of text, and what the kernel says when it has read that.
fn long_text() -> (String, String) {
    let lines = (0..1400).map(|number| format!("{number:05} {}\n", "the quick brown fox jumps over it! ".repeat(2)));
    let text: String = lines.collect();
    assert!(text.len() > 100 * 1024, "{}", text.len());
    let (mut sum, mut sum_of_sums) = (1, 0);
    for byte in text.bytes() {
        sum = (sum + u32::from(byte)) % 65521;
        sum_of_sums = (sum_of_sums + sum) % 65521;
    }
    let end = format!("{END_OF_INPUT}{} bytes, Adler-32 {:08x}", text.len(), sum_of_sums << 16 | sum);
    (text, end)
}

#[test]
fn no_byte_of_a_long_paste_is_lost() {
    let (text, end) = long_text();
    let image = image("then=echo");
    // Without a screen, which takes much longer than the serial line.
    let mut machine = boot_to_ready(Machine::image(&image.path()).vga("none"));
    machine.send_serial(&text);
    machine.send_serial("\x04");
    assert_eq!(machine.expect_line(END_OF_INPUT).text, end);
    assert_eq!(machine.line("too fast"), None);
}

#[test]
fn a_paste_waits_for_a_program_that_does_not_read() {
    let (text, end) = long_text();
    let image = image("then=echo");
    let mut machine = boot_to_ready(Machine::image(&image.path()).vga("none").cpus(4));
    // Output stands still, so the program does too. More was sent than the kernel keeps; the rest waits outside.
    machine.send_key("ctrl-s");
    machine.send_serial(&text);
    machine.send_serial("\x04");
    machine.expect_line("00001 the quick");
    std::thread::sleep(Duration::from_secs(1));
    machine.send_key("ctrl-q");
    assert_eq!(machine.expect_line(END_OF_INPUT).text, end);
    assert_eq!(machine.line("too fast"), None);
}
