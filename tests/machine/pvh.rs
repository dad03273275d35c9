//! Without a loader: QEMU puts the kernel itself into memory, on machines with firmware and without.

use crate::harness::{Machine, Mode};
use crate::{ask, boot_to_ready};

const PVH: &str = "loader: PVH, from ";

#[test]
fn qemu_loads_the_kernel_with_its_arguments_and_the_initramfs() {
    for machine in ["pc", "q35"] {
        let setup = Machine::kernel().machine(machine).cpus(2).argument("-append").argument("keymap=de one.two=three");
        let mut machine = boot_to_ready(setup);
        assert!(machine.line(PVH).is_some_and(|line| line.contains("BIOS; module: initramfs, ")));
        assert!(machine.line("processors: 2 running").is_some(), "the ACPI tables were not found");
        machine.expect_on_screen("ready");
        assert!(ask(&mut machine, "boot").iter().any(|line| line == "arguments keymap=de one.two=three"));
    }
}

#[test]
fn a_machine_without_firmware_comes_to_the_prompt_on_its_serial_port() {
    for (machine, processors) in [("microvm", 2), ("microvm,acpi=off", 1), ("microvm,acpi=off,pit=off,pic=off", 1)] {
        let setup = Machine::kernel().machine(machine).cpus(processors).argument("-append").argument("log=debug");
        let mut machine = boot_to_ready(setup);
        assert!(machine.line(PVH).is_some_and(|line| line.contains("a hypervisor; module: initramfs, ")));
        assert!(machine.line(&format!("processors: {processors} running")).is_some(), "{}", machine.serial_log());
        assert_eq!(machine.screen().mode, Mode::None);
    }
}

#[test]
fn a_prompt_without_firmware_answers() {
    let mut machine = boot_to_ready(Machine::kernel().machine("microvm").cpu("max"));
    assert!(ask(&mut machine, "uptime").iter().any(|line| line.starts_with("up ")));
}

#[test]
fn little_and_much_memory_will_do() {
    for memory_mib in [4, 3 * 1024, 12 * 1024] {
        boot_to_ready(Machine::kernel().memory_mib(memory_mib));
    }
}

#[test]
fn a_32_bit_cpu_is_refused() {
    let mut machine = Machine::kernel().cpu("qemu32").boot();
    machine.expect_line("E02 Eres needs a 64-bit CPU");
    machine.expect_on_screen("E02 Eres needs a 64-bit CPU");
}
