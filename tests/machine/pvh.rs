//! Without a loader: QEMU puts the kernel itself into memory, on machines with firmware and without.

use crate::harness::{Machine, Mode};
use crate::{ask, boot_to_ready};

const PVH: &str = "loader: PVH, from ";

#[test]
fn qemu_loads_the_kernel_with_its_arguments_and_the_initramfs() {
    for machine in ["pc", "q35"] {
        let setup = Machine::kernel().machine(machine).cpus(2).kernel_arguments("keymap=de one.two=three");
        let mut machine = boot_to_ready(setup);
        assert!(machine.line(PVH).is_some_and(|line| line.contains("BIOS; module: initramfs, ")));
        assert!(machine.line("processors: 2 running").is_some(), "the ACPI tables were not found");
        machine.expect_on_screen("ready");
        assert!(ask(&mut machine, "boot").iter().any(|line| line == "arguments init=none keymap=de one.two=three"));
    }
}

#[test]
fn a_machine_without_firmware_comes_to_a_prompt_that_answers() {
    let machines = [
        ("microvm", 4),
        ("microvm,pcie=on", 2),
        ("microvm,x-option-roms=off", 2),
        ("microvm,pit=off,pic=off", 1),
        ("microvm,acpi=off", 1),
        // No interrupt reaches the kernel from the serial port there, and nothing tells how fast a counter counts.
        ("microvm,acpi=off,pit=off,pic=off", 1),
    ];
    for (machine, processors) in machines {
        let mut machine = boot_to_ready(Machine::kernel().machine(machine).cpus(processors));
        assert!(machine.line(PVH).is_some_and(|line| line.contains("a hypervisor; module: initramfs, ")));
        assert!(machine.line(&format!("processors: {processors} running")).is_some(), "{}", machine.serial_log());
        assert_eq!(machine.screen().mode, Mode::None);
        assert!(ask(&mut machine, "boot").iter().any(|line| line == "display   none"));
    }
}

#[test]
fn little_and_much_memory_and_any_processor_will_do() {
    for (machine, memory_mib, cpu) in
        [("pc", 4, "qemu64"), ("q35", 12 * 1024, "max"), ("microvm", 4, "max"), ("microvm", 3 * 1024, "qemu64,-nx")]
    {
        boot_to_ready(Machine::kernel().machine(machine).memory_mib(memory_mib).cpu(cpu).cpus(4));
    }
}

#[test]
fn a_machine_with_a_bios_but_no_screen_is_not_taken_to_have_one() {
    let mut machine = boot_to_ready(Machine::kernel().vga("none"));
    assert!(ask(&mut machine, "boot").iter().any(|line| line == "display   none"));
}

#[test]
fn a_kernel_alone_needs_no_initramfs() {
    let mut machine = boot_to_ready(Machine::kernel_alone());
    assert!(machine.line(PVH).is_some_and(|line| line.ends_with("from BIOS")));
    assert!(!ask(&mut machine, "boot").iter().any(|line| line.starts_with("module")));
}

#[test]
fn of_a_command_line_that_is_too_long_the_beginning_counts() {
    // QEMU's option ROM, which serves `pc`, has room for 4096 bytes.
    for (machine, bytes) in [("pc", 4000), ("microvm", 4096), ("microvm", 60_000)] {
        let line = format!("log=debug {}", "a".repeat(bytes - "init=none log=debug ".len()));
        let setup = Machine::kernel().machine(machine).kernel_arguments(&line);
        let machine = boot_to_ready(setup);
        assert!(machine.line("command line: init=none log=debug aaaa").is_some(), "{}", machine.serial_log());
        assert_eq!(machine.line("were left out"), None);
    }
}

#[test]
fn a_32_bit_cpu_is_refused() {
    let mut machine = Machine::kernel().cpu("qemu32").boot();
    machine.expect_line("E02 Eres needs a 64-bit CPU");
    machine.expect_on_screen("E02 Eres needs a 64-bit CPU");
}
