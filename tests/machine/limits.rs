//! Machines at the edge: the wrong CPU, too little memory, very much of it, and parts that are not there.

use crate::boot_to_ready;
use crate::harness::{Machine, Mode, Setup};
use std::thread;
use std::time::{Duration, Instant};

/// The machine refuses to run in a sentence that both its outputs show, and stands still.
#[track_caller]
fn refuses_with(message: &str, setup: Setup) {
    let mut machine = setup.boot();
    machine.expect_line(message);
    machine.expect_on_screen(message);
    machine.expect_silence(Duration::from_millis(500));
    machine.expect_stays_up(Duration::from_millis(500));
}

/// The machine either becomes ready, or its serial line or screen has a line that begins as one of `reasons` does.
#[track_caller]
fn boots_or_says_why_not(setup: Setup, reasons: &[&str]) {
    let mut machine = setup.boot();
    let started = Instant::now();
    let is_reason = |line: &str| reasons.iter().any(|reason| line.trim_start().starts_with(reason));
    loop {
        let ended = |line: &str| line == "ready" || is_reason(line);
        if machine.lines().iter().any(|line| ended(&line.text)) {
            break;
        }
        let screen = machine.screen();
        if screen.rows.iter().any(|row| is_reason(row)) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(120), "neither ready nor a reason:\n{screen}");
        thread::sleep(Duration::from_millis(200));
    }
    machine.expect_stays_up(Duration::from_millis(500));
}

/// MiB of memory that the kernel counts as usable.
#[track_caller]
fn usable_mib(machine: &Machine) -> u32 {
    let line = machine.line("memory: ").expect("a memory line");
    let number = line.trim_start_matches("memory: ").split_once(" MiB usable").map(|(number, _)| number.parse());
    number.and_then(Result::ok).unwrap_or_else(|| panic!("no size in {line:?}"))
}

#[test]
fn a_32_bit_cpu_is_refused_by_our_loader() {
    refuses_with("E20 Eres needs a 64-bit CPU", Machine::raw().cpu("qemu32"));
}

#[test]
fn a_32_bit_cpu_is_refused_by_the_kernel_under_grub() {
    refuses_with("E02 Eres needs a 64-bit CPU", Machine::iso().cpu("qemu32"));
}

#[test]
fn a_cpu_without_no_execute_will_do() {
    boot_to_ready(Machine::raw().cpu("qemu64,-nx"));
    boot_to_ready(Machine::iso().cpu("qemu64,-nx"));
}

#[test]
fn a_cpu_with_everything_will_do() {
    boot_to_ready(Machine::raw().cpu("max"));
    boot_to_ready(Machine::iso().cpu("max"));
}

#[test]
fn all_of_12_gib_is_counted_at_both_doors() {
    for setup in [Machine::raw(), Machine::iso()] {
        let machine = boot_to_ready(setup.memory_mib(12 * 1024));
        let usable = usable_mib(&machine);
        assert!((12 * 1024 - 16..=12 * 1024).contains(&usable), "{usable} MiB usable");
    }
}

#[test]
fn memory_from_8_mib_to_64_gib_is_counted_and_managed() {
    for memory_mib in [8, 16, 64, 3 * 1024, 5 * 1024, 64 * 1024] {
        let machine = boot_to_ready(Machine::raw().memory_mib(memory_mib));
        let usable = usable_mib(&machine);
        assert!((memory_mib.saturating_sub(4)..=memory_mib).contains(&usable), "{usable} of {memory_mib} MiB usable");
        let used = machine.line("in use: ");
        let used = used.and_then(|line| line.split_once("in use: ")?.1.split(' ').next()?.parse::<u32>().ok());
        assert!(used.is_some_and(|kib| (100..4096).contains(&kib)), "{used:?} KiB in use of {memory_mib} MiB");
        assert!(!machine.serial_log().contains("warning: "), "{}", machine.serial_log());
    }
}

#[test]
fn memory_above_a_hole_that_begins_early_is_used() {
    let machine = boot_to_ready(Machine::raw().memory_mib(2048).machine("pc,max-ram-below-4g=1G"));
    assert!((2040..=2048).contains(&usable_mib(&machine)), "{}", machine.serial_log());
    assert!(machine.line("memory: ").is_some_and(|line| line.contains(" in 2 ranges")), "{}", machine.serial_log());
}

#[test]
fn memory_is_counted_alike_at_both_doors() {
    let [raw, iso] = [Machine::raw(), Machine::iso()].map(|setup| usable_mib(&boot_to_ready(setup)));
    assert!(raw.abs_diff(iso) <= 1, "{raw} MiB by our loader, {iso} MiB by GRUB");
}

#[test]
fn four_mib_of_memory_are_enough_and_eight_under_grub() {
    for memory_mib in [8, 4] {
        boot_to_ready(Machine::raw().memory_mib(memory_mib));
    }
    boot_to_ready(Machine::iso().memory_mib(8));
}

#[test]
fn more_processors_than_memory_has_room_for_do_no_harm() {
    for (memory_mib, least) in [(4, 4), (8, 16)] {
        let machine = boot_to_ready(Machine::raw().memory_mib(memory_mib).cpus(64));
        let number = |line: &str| line.split(' ').find_map(|word| word.parse::<u32>().ok());
        let running = machine.line("processors: ").as_deref().and_then(number).expect("a line about processors");
        let left_out = machine.line(" more processors; they are left out").as_deref().and_then(number);
        assert!(running >= least, "{memory_mib} MiB: {}", machine.serial_log());
        assert_eq!(running + left_out.unwrap_or(0), 64, "{memory_mib} MiB: {}", machine.serial_log());
        assert!(!machine.serial_log().contains("does not answer"), "{}", machine.serial_log());
    }
}

#[test]
fn little_memory_is_enough_or_is_refused_by_our_loader() {
    for memory_mib in [3, 2, 1] {
        boots_or_says_why_not(
            Machine::raw().memory_mib(memory_mib),
            &["E24 ", "E28 ", "E29 ", "error: E37 ", "error: E38 "],
        );
    }
}

#[test]
fn little_memory_is_enough_or_is_refused_under_grub() {
    for memory_mib in [16, 3] {
        boots_or_says_why_not(
            Machine::iso().memory_mib(memory_mib),
            &["error: E35 ", "error: E37 ", "error: E38 ", "error: out of memory", "error: no suitable"],
        );
    }
}

#[test]
fn the_machine_is_called_what_its_firmware_calls_it() {
    for (setup, name) in [
        (Machine::raw(), "machine: QEMU Standard PC (i440FX + PIIX, 1996)"),
        (Machine::iso().machine("q35"), "machine: QEMU Standard PC (Q35 + ICH9, 2009)"),
        (Machine::iso().uefi(), "machine: QEMU Standard PC (i440FX + PIIX, 1996)"),
        (
            Machine::raw().argument("-smbios").argument("type=1,manufacturer=Acme,product=Rocket"),
            "machine: Acme Rocket",
        ),
    ] {
        let machine = boot_to_ready(setup);
        assert_eq!(machine.line("machine: ").as_deref(), Some(name));
    }
}

#[test]
fn a_machine_without_a_serial_port_shows_all_on_the_screen() {
    for setup in [Machine::raw(), Machine::iso()] {
        let mut machine = setup.no_serial().boot();
        assert!(machine.expect_on_screen("ready").contains("Eres OS "));
    }
}

#[test]
fn a_machine_without_a_display_says_all_on_the_serial_line() {
    for setup in [Machine::raw(), Machine::iso()] {
        let mut machine = boot_to_ready(setup.vga("none"));
        assert_eq!(machine.screen().mode, Mode::None);
    }
}
