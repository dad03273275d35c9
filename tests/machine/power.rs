//! Firmware's tables and the machine's end: what ACPI tables say is understood, or warned of, and every machine can be switched
//! off and reset by one way or another.

use crate::harness::{ComposedImage, Machine, Setup};
use crate::{ask, boot_to_ready, expect_ready};
use std::fs;
use std::time::Duration;

/// The raw image with a command line of its own.
fn raw(command_line: &str) -> (ComposedImage, Setup) {
    let image = ComposedImage::new(&["--command-line", command_line]);
    let setup = Machine::image(&image.path());
    (image, setup)
}

/// The ISO image under UEFI with a command line of its own, written over GRUB's configuration in place.
fn uefi(command_line: &'static str) -> Setup {
    let change = move |bytes: &mut Vec<u8>| {
        let find = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).position(|window| window == text);
        let loop_begins = b"    for try in 1 2 3 4 5; do\n        if multiboot2 ";
        let start = find(bytes, loop_begins).expect("GRUB's configuration lies in the image as it is");
        let length = find(&bytes[start..], b"    boot\n").expect("GRUB's configuration ends as it does");
        let changed = format!("multiboot2 /boot/kernel.elf {command_line}\nmodule2 /boot/initramfs.cpio initramfs\n");
        let padded = format!("{changed:<width$}\n", width = length - 1);
        assert_eq!(padded.len(), length, "the command line is too long");
        bytes[start..start + length].copy_from_slice(padded.as_bytes());
    };
    Machine::iso().uefi().damaged(change)
}

/// What the kernel has tried so far to end the machine.
fn attempts(machine: &Machine) -> Vec<String> {
    let lines = machine.lines().into_iter();
    lines.filter_map(|line| line.text.strip_prefix("trying: ").map(str::to_owned)).collect()
}

/// The machine switches itself off. Resets are allowed for once: a machine that resets instead does not end.
#[track_caller]
fn switches_off(setup: Setup, by: &[&str]) {
    let mut machine = setup.argument("-action").argument("reboot=reset").boot();
    machine.expect_line("switching off");
    machine.expect_exit(0);
    assert_eq!(attempts(&machine), by, "{}", machine.serial_log());
}

/// The machine comes up again by the last of the ways tried.
#[track_caller]
fn resets(setup: Setup, by: &[&str]) {
    let mut machine = setup.argument("-action").argument("reboot=reset").boot();
    expect_ready(&mut machine);
    machine.expect_line("rebooting");
    for way in by {
        machine
            .expect_line_where(way, |line| line.strip_prefix("trying: ").is_some_and(|tried| tried.starts_with(way)));
    }
    let tried = attempts(&machine).len();
    machine.expect_line("Eres OS ");
    assert_eq!(tried, by.len(), "{}", machine.serial_log());
}

/// What the tables told, as the prompt has it; `None` if there are none.
#[track_caller]
fn summary(machine: &mut Machine) -> Option<String> {
    let answer = ask(machine, "acpi");
    if answer == ["the firmware has no ACPI tables"] {
        return None;
    }
    let line = answer.iter().find(|line| line.contains(" I/O APIC, ")).unwrap_or_else(|| panic!("{answer:#?}"));
    Some(line.trim_end_matches(", two 8259s").to_owned())
}

#[test]
fn the_tables_are_understood_on_both_boards_under_both_firmwares() {
    for (setup, wanted) in [
        (Machine::raw().cpus(3), "3 CPUs, 1 I/O APIC, HPET, PM timer"),
        (Machine::raw().machine("q35"), "1 CPU, 1 I/O APIC, HPET, PM timer, PCIe ECAM"),
        (Machine::raw().machine("q35,hpet=off"), "1 CPU, 1 I/O APIC, PM timer, PCIe ECAM"),
        (Machine::iso().uefi().cpus(2), "2 CPUs, 1 I/O APIC, HPET, PM timer"),
        (Machine::iso().uefi().machine("q35"), "1 CPU, 1 I/O APIC, HPET, PM timer, PCIe ECAM"),
    ] {
        let mut machine = boot_to_ready(setup);
        assert_eq!(summary(&mut machine).as_deref(), Some(wanted));
        assert_eq!(machine.line("warning: ACPI"), None);
    }
}

#[test]
fn processors_that_may_be_plugged_in_later_do_not_count() {
    let mut machine = boot_to_ready(Machine::raw().argument("-smp").argument("2,maxcpus=6"));
    let summary = summary(&mut machine).expect("tables");
    assert!(summary.starts_with("2 CPUs, "), "{summary}");
}

#[test]
fn a_long_list_of_processors_is_read() {
    let mut machine = boot_to_ready(Machine::raw().machine("q35").argument("-smp").argument("1,maxcpus=255"));
    let summary = summary(&mut machine).expect("tables");
    assert!(summary.starts_with("1 CPU, "), "{summary}");
    assert_eq!(machine.line("warning: ACPI"), None);
}

#[test]
fn machines_without_acpi_do_without() {
    for setup in [
        Machine::raw().machine("pc,acpi=off"),
        Machine::raw().machine("isapc").cpu("qemu64"),
        Machine::iso().machine("isapc").cpu("qemu64"),
    ] {
        assert_eq!(summary(&mut boot_to_ready(setup)), None);
    }
}

#[test]
fn a_table_that_lies_costs_itself_and_a_warning() {
    // Too short for a timer's address; a region of PCI buses from 9 to 2; a MADT after the good one, which nobody reads.
    let ecam: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0];
    for (signature, contents, warning) in [
        ("HPET", &[0xff; 11][..], Some("cannot have a length of 47 bytes")),
        ("MCFG", ecam, Some("has an impossible entry")),
        ("APIC", &[0; 40], None),
    ] {
        let contents_file = std::env::temp_dir().join(format!("eres-{signature}-{}", std::process::id()));
        fs::write(&contents_file, contents).expect("a table can be written");
        let table = format!("sig={signature},rev=1,data={}", contents_file.display());
        let mut machine = boot_to_ready(Machine::raw().machine("pc,hpet=off").argument("-acpitable").argument(&table));
        fs::remove_file(&contents_file).expect("the table goes");
        let said = machine.line("warning: ACPI: ");
        assert_eq!(said.is_some(), warning.is_some(), "{}", machine.serial_log());
        if let (Some(said), Some(warning)) = (said, warning) {
            assert!(said.contains(&format!("table {signature} at 0x")) && said.ends_with(warning), "{said}");
        }
        assert_eq!(summary(&mut machine).as_deref(), Some("1 CPU, 1 I/O APIC, PM timer"), "{}", machine.serial_log());
    }
}

#[test]
fn every_machine_with_acpi_switches_itself_off_by_its_sleep_registers() {
    let by = ["ACPI sleep registers"];
    for board in ["pc", "q35"] {
        let (_image, setup) = raw("then=poweroff");
        switches_off(setup.machine(board), &by);
        switches_off(uefi("then=poweroff").machine(board), &by);
    }
}

#[test]
fn a_machine_that_cannot_switch_itself_off_asks_for_it() {
    for (board, cpu) in [("pc,acpi=off", "max"), ("isapc", "qemu64")] {
        let (_image, setup) = raw("then=poweroff");
        let mut machine = setup.machine(board).cpu(cpu).boot();
        machine.expect_line("trying: port 0x604");
        machine.expect_line("trying: port 0xb004");
        machine.expect_line("trying: port 0x8900");
        machine.expect_line("it is now safe to switch off the machine");
        machine.expect_on_screen("it is now safe to switch off the machine");
        machine.expect_stays_up(Duration::from_millis(500));
    }
}

#[test]
fn every_machine_resets() {
    for (board, by) in [
        ("pc", &["port 0xcf9"][..]),
        ("q35", &["ACPI register at port 0xcf9"]),
        ("pc,acpi=off", &["port 0xcf9"]),
        ("isapc", &["port 0xcf9", "keyboard controller"]),
    ] {
        let (_image, setup) = raw("then=reboot");
        resets(setup.machine(board).cpu("qemu64"), by);
    }
}

#[test]
fn machines_with_uefi_reset() {
    resets(uefi("then=reboot"), &["port 0xcf9"]);
    resets(uefi("then=reboot").machine("q35"), &["ACPI register at port 0xcf9"]);
}

#[test]
fn what_to_do_when_ready_is_obeyed_and_nonsense_gets_a_warning() {
    let (_image, setup) = raw("then=halt");
    boot_to_ready(setup).expect_stays_up(Duration::from_millis(500));
    let (_image, setup) = raw("then=sing");
    boot_to_ready(setup).expect_line("warning: then=sing is none of halt, poweroff, reboot, card, scroll, echo");
}
