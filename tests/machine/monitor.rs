//! The kernel's own prompt: every command, at the serial port and at the keyboard, in a kernel that runs and in one that has panicked.

use crate::boot_to_ready;
use crate::harness::{ComposedImage, Machine, Mode, Setup};
use std::thread;
use std::time::{Duration, Instant};

pub const PROMPT: &str = "eres> ";
const PANIC_PROMPT: &str = "panic> ";

/// How long an answer may take to come in full.
const PATIENCE: Duration = Duration::from_secs(60);

/// Commands that come back, with words that their answers must have.
const ANSWERS: &[(&str, &[&str])] = &[
    ("help", &["  help ", "  poweroff ", "`help COMMAND` tells more"]),
    ("boot", &["loader    Eres BIOS loader, from BIOS", "display   framebuffer 1024x768", "times     firmware "]),
    ("report", &["Eres OS ", "firmware   BIOS, SeaBIOS", "running", "devices    8086:1237", "warnings   none"]),
    ("memory", &["RAM  ", "heap  ", "free  "]),
    ("address 0", &["programs' half", "nothing is mapped there"]),
    ("x p:0x101000 32", &["0000000000101000  ", "0000000000101010  "]),
    ("cpus", &["QEMU", "CPU 0 ", "CPU 1 ", "runs monitor"]),
    ("registers", &["  cr0 0000000080", "  efer "]),
    ("interrupts", &["  timer"]),
    ("threads", &["idle/0", "idle/1", "monitor          urgent   runs on CPU "]),
    ("backtrace", &[" kernel::proc::thread::thread_main+0x", " context_start+0x"]),
    ("pci", &["00:00.0"]),
    ("acpi", &["APIC  p:0x", "2 CPUs, 1 I/O APIC, HPET, PM timer", "switches the machine off"]),
    ("log", &["Eres OS ", "debug: ", "ready"]),
    ("uptime", &["up 00:0"]),
    ("date", &["2033-05-18 03:3", " UTC"]),
    ("test", &["this kernel has no tests in it"]),
    ("clear", &[]),
];

/// Commands that do not come back by themselves, each with a test of its own; `qr` in `codes`.
const ENDS: &[&str] = &["qr", "provoke", "continue", "reboot", "poweroff"];

/// What is wrong, and the one line that helps.
const COMPLAINTS: &[(&str, &str)] = &[
    ("memroy", "unknown command `memroy`: did you mean `memory`?"),
    ("frobnicate", "unknown command `frobnicate`: `help` lists them"),
    ("help memroy", "unknown command `memroy`: did you mean `memory`?"),
    ("help help help", "usage: help [COMMAND]  (see `help help`)"),
    ("memory mpa", "unknown part of memory `mpa`: did you mean `map`?"),
    ("address", "usage: address ADDRESS  (see `help address`)"),
    ("x", "usage: x ADDRESS [BYTES]  (see `help x`)"),
    ("x 12z", "`12z` is no number (as 4096, 0x1000, 4K); a physical address begins with `p:`"),
    ("x 0x10000000000000000", "`0x10000000000000000` does not fit into 64 bits; a physical address begins with `p:`"),
    ("x 0 many", "`many` is no number (as 4096, 0x1000, 4K)"),
    ("cpus feature", "unknown word `feature`: did you mean `features`?"),
    ("threads 1000000", "there is no thread 1000000: `threads` lists their numbers"),
    ("threads main", "`main` is no thread: `threads` lists their numbers"),
    ("log dbug", "unknown level `dbug`: did you mean `debug`?"),
    ("provoke pancake", "unknown fault `pancake`: `help provoke` lists them"),
    ("date now", "`date` stands alone"),
    ("uptime 'now", "a quotation mark ' is not closed"),
];

/// What the kernel says with `log=debug` some time after it has started, by itself.
const LATE_LINE: &str = "debug: clock: TSC ";

/// A machine at whose prompt one types by the serial line.
struct Desk {
    machine: Machine,
    prompt: &'static str,
}

impl Desk {
    #[track_caller]
    fn at(setup: Setup) -> Self {
        Self { machine: boot_to_ready(setup), prompt: PROMPT }
    }

    /// Types a command, and answers what it says until the next prompt.
    #[track_caller]
    fn ask(&mut self, command: &str) -> Vec<String> {
        ask(&mut self.machine, self.prompt, command)
    }

    /// Waits until the serial line has had so many lines.
    #[track_caller]
    fn expect_lines(&mut self, count: usize) {
        let begun = Instant::now();
        while self.machine.lines().len() < count {
            assert!(begun.elapsed() < PATIENCE, "{count} lines did not come:\n{}", self.machine.serial_log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Types a command and waits until it has been read.
    #[track_caller]
    fn enter(&mut self, command: &str) {
        enter(&mut self.machine, self.prompt, command);
    }
}

/// Types a command at a prompt, and answers what it says until the next one.
#[track_caller]
pub fn ask(machine: &mut Machine, prompt: &str, command: &str) -> Vec<String> {
    enter(machine, prompt, command);
    machine.expect_prompt(prompt);
    let typed = format!("{prompt}{command}");
    let lines: Vec<String> = machine.lines().into_iter().map(|line| line.text).collect();
    let behind = lines.iter().rposition(|line| line.ends_with(&typed)).map_or(0, |index| index + 1);
    lines.get(behind..).unwrap_or_default().to_vec()
}

#[track_caller]
fn enter(machine: &mut Machine, prompt: &str, command: &str) {
    machine.expect_prompt(prompt);
    machine.send_serial(&format!("{command}\r"));
    let line = format!("{prompt}{command}");
    machine.expect_line_where(&line, |found| found.ends_with(&line));
}

/// What it answers has all of `words`.
#[track_caller]
fn expect_words(desk: &mut Desk, command: &str, words: &[&str]) {
    let answer = desk.ask(command).join("\n");
    for wanted in words {
        assert!(answer.contains(wanted), "{wanted:?} is not in the answer to {command:?}:\n{answer}");
    }
}

#[test]
fn a_line_of_the_kernels_own_leaves_the_prompt_and_what_is_typed_below_it() {
    let image = ComposedImage::new(&["--command-line", "log=debug"]);
    let mut desk = Desk::at(Machine::image(&image.path()));
    desk.machine.expect_prompt(PROMPT);
    desk.machine.send_serial("upti");
    desk.machine.expect_line_where(LATE_LINE, |line| line.starts_with(LATE_LINE) && line.contains(" Hz by "));
    desk.machine.expect_prompt("eres> upti");
    desk.machine.expect_on_screen_where("the prompt below", |screen| {
        let row = |text: &str| screen.rows.iter().rposition(|row| row.trim_start().starts_with(text));
        row("eres> upti") > row(LATE_LINE)
    });
    desk.machine.send_serial("me\r");
    desk.machine.expect_line("up 00:0");
    expect_words(&mut desk, "date", &[" UTC"]);
}

#[test]
fn every_command_answers() {
    let setup = Machine::raw().cpus(2).argument("-rtc").argument("base=2033-05-18T03:33:20");
    let mut desk = Desk::at(setup);
    for (command, words) in ANSWERS {
        expect_words(&mut desk, command, words);
    }
    let help = desk.ask("help");
    let tested: Vec<&str> = ANSWERS.iter().map(|(command, _)| *command).chain(ENDS.iter().copied()).collect();
    let mut listed = 0;
    for line in help.iter().filter_map(|line| line.strip_prefix("  ")) {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(tested.iter().any(|command| command.split(' ').next() == Some(name)), "{name} has no test");
        assert!(line.len() < 78, "{line:?} is too long");
        listed += 1;
        expect_words(&mut desk, &format!("help {name}"), &[&format!("{name} ")]);
    }
    assert_eq!(listed, tested.len(), "{help:#?}");
}

#[test]
fn what_is_wrong_gets_one_line_that_helps() {
    let mut desk = Desk::at(Machine::raw());
    for (command, complaint) in COMPLAINTS {
        assert_eq!(desk.ask(command), [*complaint], "{command}");
    }
    assert_eq!(desk.ask(""), [""; 0]);
}

#[test]
fn memory_is_shown_in_every_part() {
    let mut desk = Desk::at(Machine::raw());
    expect_words(&mut desk, "memory map", &["636 KiB  low memory", " KiB  kernel", " KiB  usable"]);
    expect_words(&mut desk, "memory frames", &["zone ", "<4 GiB ", " frames hold records"]);
    expect_words(&mut desk, "memory heap", &["the heap has "]);
    let code = "ffffffff80101000";
    expect_words(&mut desk, &format!("address {code}"), &["kernel image", "p:0x101000 as r-x-g", "is kernel by"]);
    expect_words(&mut desk, "address p:0xfee00000", &["is not in the memory map"]);
}

#[test]
fn examining_any_address_does_no_harm() {
    let mut desk = Desk::at(Machine::raw());
    for (place, answer) in [
        ("0", "nothing is mapped at 0x0"),
        ("0x8000000000000000", "0x8000000000000000 is no address: bits 47 to 63 differ"),
        ("0x0000800000000000", "0x800000000000 is no address: bits 47 to 63 differ"),
        ("0xffffffffffffffff", "nothing is mapped at 0xffffffffffffffff"),
        ("0xffffc02000001000", "0xffffc02000001000 is device memory, which reading may change"),
        ("p:0xfee00000", "no memory is at physical address 0xfee00000"),
        ("p:0xffffffffffffffff", "no memory is at physical address 0xffffffffffffffff"),
    ] {
        assert_eq!(desk.ask(&format!("x {place}")), [answer], "{place}");
    }
    // The end of what is mapped ends the dump, even in the middle of a line.
    let answer = desk.ask("x 0xffff80000009fff8 32");
    assert_eq!(answer, ["nothing is mapped at 0xffff80000009fff8"]);
    let answer = desk.ask("x 0xffff80000009eff8 32");
    assert_eq!(answer.len(), 2, "{answer:#?}");
    assert!(answer[0].starts_with("ffff80000009eff8  ") && answer[0].len() < 75, "{answer:#?}");
    assert_eq!(answer[1], "nothing is mapped at 0xffff80000009f000");
    // The kernel's code, by either of its addresses.
    let [by_virtual, by_physical] = ["ffffffff80101000", "p:0x101000"].map(|address| {
        let answer = desk.ask(&format!("x {address} 64"));
        let bytes: Vec<_> =
            answer.iter().map(|line| line.split_once("  ").map(|(_, bytes)| bytes.to_owned())).collect();
        bytes
    });
    assert!(by_virtual.len() == 4 && by_virtual == by_physical, "{by_virtual:#?} {by_physical:#?}");
}

#[test]
fn threads_show_where_they_will_go_on() {
    let mut desk = Desk::at(Machine::raw().cpus(2));
    let answer = desk.ask("threads all").join("\n");
    for wanted in ["idle/0", "kernel::proc::scheduler::switch+0x", "runs, so that its stack changes while one looks"] {
        assert!(answer.contains(wanted), "{wanted:?} is not in:\n{answer}");
    }
    let id = answer.lines().find_map(|line| line.trim_start().strip_suffix(" ms")?.split_once("  monitor "));
    let (id, _) = id.expect("the monitor is listed");
    expect_words(&mut desk, &format!("threads {id}"), &["  monitor ", "         runs, "]);
}

#[test]
fn features_are_those_of_the_processor() {
    let mut desk = Desk::at(Machine::raw().cpu("max"));
    expect_words(&mut desk, "cpus features", &["sse2 ", "smep ", "smap ", "syscall ", "nx "]);
    expect_words(&mut desk, "cpus", &["protections in use: NX WP PGE SMEP SMAP"]);
}

#[test]
fn the_log_is_filtered_by_level() {
    let image = ComposedImage::new(&["--command-line", "cpus=none"]);
    let mut desk = Desk::at(Machine::image(&image.path()));
    assert_eq!(desk.ask("log warn"), ["warning: cpus= takes a number from 1 on"]);
    assert_eq!(desk.ask("log error"), [""; 0]);
    let info = desk.ask("log info");
    assert!(info.contains(&"ready".to_owned()) && info.iter().all(|line| !line.starts_with("debug: ")), "{info:#?}");
    expect_words(&mut desk, "log debug", &["debug: ", "warning: ", "ready"]);
}

#[test]
fn long_output_pages_and_can_be_left() {
    let image = ComposedImage::new(&["--text"]);
    let mut desk = Desk::at(Machine::image(&image.path()));
    let question = "-- more (";
    // One row is the question's.
    let page = 24;
    desk.machine.expect_prompt(PROMPT);
    let mut lines = desk.machine.lines().len() + 1;
    desk.enter("memory tables");
    for (key, more) in [("", page), ("\r", 1), ("\x1b[B", 1), (" ", page), ("?", 0)] {
        desk.machine.send_serial(key);
        lines += more;
        desk.expect_lines(lines);
        desk.machine.expect_prompt(question);
        desk.machine.expect_silence(Duration::from_millis(500));
        assert_eq!(desk.machine.lines().len(), lines, "after {key:?}");
    }
    for quit in ["q", "\x03"] {
        desk.machine.send_serial(quit);
        assert_eq!(desk.ask("uptime").len(), 1, "after {quit:?}");
        desk.enter("memory tables");
        desk.machine.expect_prompt(question);
    }
}

#[test]
fn lines_are_edited_completed_and_remembered() {
    let mut desk = Desk::at(Machine::raw());
    desk.machine.expect_prompt(PROMPT);
    for (typed, line) in [
        ("upt\t\r", "uptime "),
        ("daate\x1b[D\x1b[D\x7f\r", "date"),
        ("\x1b[A\r", "date"),
        ("\x12upt\r", "uptime "),
        ("memory he\t\r", "memory heap "),
        ("xx\x15date\r", "date"),
        ("nonsense\x03uptime\r", "uptime"),
    ] {
        desk.machine.send_serial(typed);
        // What was drawn before the last drawing of the row stands before it in the transcript.
        desk.machine.expect_line_where(line, |found| found.ends_with(&format!("{PROMPT}{line}")));
        desk.machine.expect_prompt(PROMPT);
    }
    desk.machine.send_serial("me\t\t");
    desk.machine.send_serial("\x15re\t");
    desk.machine.expect_line("registers  reboot");
}

#[test]
fn leaving_the_prompt_leaves_the_kernel_running() {
    let mut desk = Desk::at(Machine::raw());
    desk.enter("continue");
    let before = desk.machine.lines().len();
    desk.machine.send_serial("uptime\r");
    desk.machine.expect_stays_up(Duration::from_secs(1));
    // Whoever reads now may echo what is typed; nobody answers.
    assert!(desk.machine.lines().split_off(before).iter().all(|line| !line.text.starts_with("up ")));
}

#[test]
fn the_machine_is_switched_off_and_reset_from_the_prompt() {
    let mut desk = Desk::at(Machine::raw());
    desk.enter("poweroff");
    desk.machine.expect_line("switching off");
    desk.machine.expect_exit(0);
    let mut desk = Desk::at(Machine::raw().argument("-action").argument("reboot=reset"));
    desk.enter("reboot");
    desk.machine.expect_line("rebooting");
    desk.machine.expect_line("Eres OS ");
}

#[test]
fn a_kernel_with_tests_runs_them_from_the_prompt() {
    let image = ComposedImage::of_kernel("build/selftest.elf", &["--command-line", "selftest=monitor"]);
    let mut desk = Desk::at(Machine::image(&image.path()).cpus(2));
    desk.machine.expect_prompt(PROMPT);
    desk.machine.send_serial("test\r");
    desk.machine.expect_line("exceptions-divide-error");
    desk.machine.expect_prompt("-- more (");
    desk.machine.send_serial("q");
    assert_eq!(desk.ask("test nothing"), ["no test's name begins with `nothing`: `test` lists them"]);
    expect_words(&mut desk, "test exceptions-div", &["test exceptions-divide-error: ok (", "1 passed, 0 failed"]);
    expect_words(&mut desk, "test exceptions-page", &["2 passed, 0 failed"]);
}

#[test]
fn a_panic_ends_at_a_prompt_where_that_is_wanted() {
    let image = ComposedImage::new(&["--command-line", "panic=monitor"]);
    let mut desk = Desk::at(Machine::image(&image.path()).cpus(2));
    desk.enter("provoke null");
    desk.machine.expect_line("kernel panic at ");
    desk.prompt = PANIC_PROMPT;
    expect_words(&mut desk, "help", &["The kernel has panicked: what needs it to run is left out."]);
    expect_words(&mut desk, "registers", &["error code 0", "  efer "]);
    expect_words(&mut desk, "backtrace", &[" kernel::hw::provoke::read_null+0x", " context_start+0x"]);
    expect_words(&mut desk, "threads all", &["idle/1", "monitor "]);
    expect_words(&mut desk, "memory map", &["low memory"]);
    expect_words(&mut desk, "memory frames", &["that needs a lock"]);
    expect_words(&mut desk, "log info", &["ready"]);
    expect_words(&mut desk, "cpus", &["CPU 0 ", "CPU 1 "]);
    expect_words(&mut desk, "boot", &["arguments init=none panic=monitor"]);
    for command in ["acpi", "uptime", "date", "address 0", "x p:0x100000"] {
        assert!(!desk.ask(command).is_empty(), "{command}");
    }
    assert_eq!(desk.ask("x 0"), ["nothing is mapped at 0x0"]);
    assert_eq!(desk.ask("interrupts"), ["`interrupts` needs a kernel that runs; `help` lists what works now"]);
    desk.enter("poweroff");
    desk.machine.expect_exit(0);
}

#[test]
fn a_panic_of_a_debug_build_ends_at_a_prompt() {
    let image = ComposedImage::of_kernel("build/debug.elf", &[]);
    let mut desk = Desk::at(Machine::image(&image.path()).cpus(2));
    desk.enter("provoke null");
    desk.machine.expect_line("kernel panic at ");
    desk.prompt = PANIC_PROMPT;
    expect_words(&mut desk, "backtrace", &[" kernel::hw::provoke::read_null+0x"]);
    drop(desk);
    let image = ComposedImage::of_kernel("build/debug.elf", &["--command-line", "panic=halt provoke=null"]);
    let mut machine = Machine::image(&image.path()).boot();
    machine.expect_line(" context_start+0x");
    machine.expect_silence(Duration::from_secs(1));
    assert!(!machine.serial_log().contains(PANIC_PROMPT));
}

#[test]
fn a_panic_with_the_consoles_locks_held_ends_at_a_prompt_too() {
    let image = ComposedImage::new(&["--command-line", "panic=monitor provoke=panic-in-lock"]);
    let mut machine = Machine::image(&image.path()).boot();
    machine.expect_line("kernel panic at ");
    let mut desk = Desk { machine, prompt: PANIC_PROMPT };
    expect_words(&mut desk, "log", &["Eres OS "]);
    desk.enter("continue");
    desk.machine.expect_silence(Duration::from_millis(500));
    desk.machine.expect_stays_up(Duration::ZERO);
}

/// Types at the keyboard, and reads the answer off the screen.
#[track_caller]
fn types_and_reads(setup: Setup, mode: Mode) {
    let mut machine = setup.boot();
    let screen = machine.expect_on_screen(PROMPT.trim_end());
    assert_eq!(screen.mode, mode, "{screen}");
    machine.type_text("memroy\n");
    machine.expect_on_screen("unknown command `memroy`: did you mean `memory`?");
    machine.type_text("dat");
    machine.send_key("tab");
    machine.send_key("ret");
    machine.expect_on_screen(" UTC");
    machine.type_text("clear\n");
    machine.type_text("x p:0x101000 16\n");
    let screen = machine.expect_on_screen("0000000000101000  ");
    assert!(!screen.contains("memroy"), "the screen was cleared:\n{screen}");
    machine.send_key("up");
    machine.send_key("home");
    machine.send_key("delete");
    machine.type_text("address");
    machine.expect_on_screen("eres> address p:0x101000 16");
    machine.send_key("end");
    machine.send_key("ctrl-u");
    machine.type_text("memory tables\n");
    machine.expect_on_screen("-- more (");
    machine.type_text("q");
    machine.type_text("boot\n");
    let screen = machine.expect_on_screen("times     ");
    assert!(!screen.contains("-- more ("), "{screen}");
}

#[test]
fn the_prompt_works_at_keyboard_and_screen_in_text_mode() {
    let image = ComposedImage::new(&["--text"]);
    types_and_reads(Machine::image(&image.path()).no_serial(), Mode::VgaText);
}

#[test]
fn the_prompt_works_at_keyboard_and_screen_in_a_framebuffer_under_bios() {
    types_and_reads(Machine::raw().no_serial(), Mode::Graphics { width: 1024, height: 768 });
}

#[test]
fn the_prompt_works_at_keyboard_and_screen_in_a_framebuffer_under_uefi() {
    types_and_reads(Machine::iso().uefi().no_serial(), Mode::Graphics { width: 1024, height: 768 });
}

#[test]
fn the_prompt_understands_other_keyboards() {
    let image = ComposedImage::new(&["--command-line", "keymap=de"]);
    let mut machine = Machine::image(&image.path()).boot();
    machine.expect_prompt(PROMPT);
    // As on a US keyboard: y and z, and - and /, stand elsewhere on a German one.
    machine.type_text("x p>0x101000 16\n");
    machine.expect_line("0000000000101000  ");
    machine.type_text("yz/[\n");
    machine.expect_line("unknown command `zy-ü`: `help` lists them");
}

#[test]
fn a_hot_key_brings_the_prompt_back() {
    let mut desk = Desk::at(Machine::raw());
    desk.enter("continue");
    desk.machine.expect_stays_up(Duration::from_millis(500));
    desk.machine.send_key("alt-sysrq-h");
    desk.machine.expect_line("Type `help` for what can be done here.");
    assert_eq!(desk.ask("uptime").len(), 1);
}

#[test]
fn keys_are_read_after_a_panic() {
    let image = ComposedImage::new(&["--text", "--command-line", "panic=monitor"]);
    let mut machine = Machine::image(&image.path()).no_serial().boot();
    machine.expect_on_screen(PROMPT.trim_end());
    machine.type_text("provoke panic\n");
    machine.expect_on_screen(PANIC_PROMPT.trim_end());
    machine.type_text("boot\n");
    machine.expect_on_screen("times     ");
    machine.send_key("up");
    machine.type_text("\x08\x08\x08\x08date\n");
    machine.expect_on_screen(" UTC");
}
