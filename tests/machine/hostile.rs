//! A BIOS that does everything wrong that BIOSes were seen to do, each thing alone and all together: `hostile.asm` stands between
//! an image and QEMU's BIOS.

use crate::harness::{Machine, Setup};
use crate::{GRUB, boot_to_ready, expect_ready};

/// What can be wrong, and with which faults.
const FAULTS: [(&str, &[&str]); 14] = [
    ("nothing is wrong", &[]),
    ("the parameter block is written over", &["PARAMETER_BLOCK"]),
    ("the sector is started at 07C0:0000", &["WRONG_SEGMENT"]),
    ("there are no INT 13h extensions", &["NO_EXTENSIONS"]),
    ("every call spoils all registers and flags", &["TRASH"]),
    ("every other read fails", &["ODD_READS"]),
    ("every other read fails, by cylinder, head and sector", &["ODD_READS", "NO_EXTENSIONS"]),
    ("the A20 gate is closed again and again", &["A20"]),
    ("the drive is told as FFh", &["WRONG_DRIVE=0FFh"]),
    ("the drive is told as a floppy drive", &["WRONG_DRIVE=0"]),
    ("the stack is at an odd address", &["ODD_STACK"]),
    ("the memory map is in pieces, unsorted, overlapping, and short", &["MAP"]),
    ("the memory map ends by the carry", &["MAP", "MAP_ENDS_BY_CARRY"]),
    ("there is no memory map, only the calls before it", &["MAP_NONE"]),
];

const ALL: [&str; 10] = [
    "PARAMETER_BLOCK",
    "WRONG_SEGMENT",
    "NO_EXTENSIONS",
    "TRASH",
    "ODD_READS",
    "A20",
    "WRONG_DRIVE=0FFh",
    "ODD_STACK",
    "MAP",
    "MAP_ENDS_BY_CARRY",
];

/// Each of the faults has acted, the BIOS refuses reads that are too long, and was not asked for any.
#[track_caller]
fn expect_faults(machine: &mut Machine, faults: &[&str]) {
    let names = faults.iter().map(|fault| fault.split_once('=').map_or(*fault, |(name, _)| name));
    for name in names.chain(["READS", "REFUSES_LONG_READS"]) {
        machine.expect_message_where(&format!("fault {name}"), |line| line == format!("fault {name}"));
    }
    assert!(!machine.messages().contains("ASKED_FOR_LONG_READS"), "{}", machine.messages());
}

/// It boots all the same, with all of the memory, and the BIOS was what it was meant to be.
#[track_caller]
fn boots_under(what: &str, faults: &[&str]) {
    println!("{what}");
    let mut machine = boot_to_ready(Machine::raw().hostile(faults));
    has_everything(&machine);
    expect_faults(&mut machine, faults);
}

#[track_caller]
fn has_everything(machine: &Machine) {
    let memory = machine.line("memory: ").unwrap_or_default();
    assert!(memory.contains("127 MiB RAM"), "{memory}");
    assert!(machine.line("module: initramfs, ").is_some(), "{}", machine.serial_log());
}

#[test]
fn each_fault_of_a_bios_is_survived() {
    for (what, faults) in FAULTS {
        boots_under(what, faults);
    }
}

#[test]
fn all_faults_together_are_survived() {
    boots_under("all of it", &ALL);
}

#[test]
fn all_faults_together_are_survived_in_bochs() {
    let mut machine = Machine::bochs().hostile(&ALL).boot();
    expect_ready(&mut machine);
    has_everything(&machine);
    expect_faults(&mut machine, &ALL);
}

#[test]
fn a_memory_map_without_an_end_is_told() {
    let faults = ["MAP", "MAP_ENDLESS"];
    let mut machine = says("E27 memory map too long", Machine::raw().hostile(&faults));
    expect_faults(&mut machine, &faults);
}

#[test]
fn reads_of_the_oldest_kind_of_memory_answer_will_do() {
    let faults = ["MAP_NONE", "MAP_OLDEST"];
    let mut machine = boot_to_ready(Machine::raw().hostile(&faults));
    expect_faults(&mut machine, &faults);
    // INT 15h AH=88h knows of 64 MiB at most, and not of what lies between 640 KiB and 1 MiB.
    assert!(machine.line(" 63 MiB RAM").is_some(), "{}", machine.serial_log());
}

/// Pages of the first MiB that the kernel lies in: the first, one of code, one that is zero at first.
const OF_KERNEL: [&str; 3] = ["0x100000", "0x120000", "0x1a0000"];

#[test]
fn a_kernel_whose_place_is_reserved_is_not_loaded() {
    for page in OF_KERNEL {
        let faults = ["MAP", &format!("MAP_RESERVES_KERNEL={page}")];
        let mut machine = says("E40 the kernel's place is not usable memory", Machine::raw().hostile(&faults));
        expect_faults(&mut machine, &faults);
    }
}

#[test]
fn a_kernel_that_grub_loads_to_reserved_memory_says_so() {
    for page in OF_KERNEL {
        let faults = ["MAP", &format!("MAP_RESERVES_KERNEL={page}")];
        let mut machine = boot_to_ready(Machine::iso().hostile(&faults));
        machine.expect_on_screen(RESERVED);
        assert!(machine.line(RESERVED).is_some_and(|line| line.starts_with("warning: ")), "{}", machine.serial_log());
        assert!(machine.line(GRUB).is_some());
        expect_faults(&mut machine, &faults);
    }
}

const RESERVED: &str = "the kernel or a module was loaded to memory that the firmware does not call usable";

#[track_caller]
fn says(message: &str, setup: Setup) -> Machine {
    let mut machine = setup.boot();
    machine.expect_line(message);
    machine.expect_on_screen(message);
    machine
}
