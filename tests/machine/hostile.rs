//! A BIOS that does everything wrong that BIOSes were seen to do, each thing alone and all together: `hostile.asm` stands between
//! the raw image and QEMU's.

use crate::boot_to_ready;
use crate::harness::{Machine, Setup};
use serde_json::json;

/// Where the hostile BIOS counts what it does: reads refused, reads made, memory map entries told, A20 gates closed.
const COUNTS: u64 = 0x9_0010;
const COUNTED: usize = 4;
const REFUSED: usize = 0;
const MADE: usize = 1;
const TOLD: usize = 2;
const CLOSED: usize = 3;

/// What can be wrong, and which count shows that it was.
const FAULTS: [(&str, &[&str], usize); 14] = [
    ("nothing is wrong", &[], MADE),
    ("the parameter block is written over", &["PARAMETER_BLOCK"], MADE),
    ("the sector is started at 07C0:0000", &["WRONG_SEGMENT"], MADE),
    ("there are no INT 13h extensions", &["NO_EXTENSIONS"], MADE),
    ("every call spoils all registers and flags", &["TRASH"], MADE),
    ("every other read fails", &["ODD_READS"], REFUSED),
    ("every other read fails, by cylinder, head and sector", &["ODD_READS", "NO_EXTENSIONS"], REFUSED),
    ("the A20 gate is closed again and again", &["A20"], CLOSED),
    ("the drive is told as FFh", &["WRONG_DRIVE=0FFh"], MADE),
    ("the drive is told as a floppy drive", &["WRONG_DRIVE=0"], MADE),
    ("the stack is at an odd address", &["ODD_STACK"], MADE),
    ("the memory map is in pieces, unsorted, overlapping, and short", &["MAP"], TOLD),
    ("the memory map ends by the carry", &["MAP", "MAP_ENDS_BY_CARRY"], TOLD),
    ("there is no memory map, only the calls before it", &["MAP_NONE"], MADE),
];

const ALL: [&str; 8] =
    ["PARAMETER_BLOCK", "WRONG_SEGMENT", "NO_EXTENSIONS", "TRASH", "ODD_READS", "A20", "WRONG_DRIVE=0FFh", "MAP"];

#[track_caller]
fn counts(machine: &mut Machine) -> [u16; COUNTED] {
    let file =
        std::env::temp_dir().join(format!("eres-hostile-{}-{:?}", std::process::id(), std::thread::current().id()));
    machine.qmp("pmemsave", json!({ "val": COUNTS, "size": COUNTED * 2, "filename": file }));
    let bytes = std::fs::read(&file).expect("QEMU has written it");
    let _ = std::fs::remove_file(file);
    std::array::from_fn(|index| u16::from_le_bytes([bytes[2 * index], bytes[2 * index + 1]]))
}

/// It boots all the same, with all of the memory, and the BIOS was what it was meant to be.
#[track_caller]
fn boots_under(what: &str, faults: &[&str], count: usize) {
    println!("{what}");
    let mut machine = boot_to_ready(Machine::hostile(faults));
    let memory = machine.line("memory: ").unwrap_or_default();
    assert!(memory.contains("127 MiB RAM"), "{what}: {memory}");
    assert!(machine.line("module: initramfs, ").is_some(), "{what}");
    let counts = counts(&mut machine);
    assert!(counts[count] > 0 && counts[MADE] > 0, "{what}: the BIOS was not as bad as it should be: {counts:?}");
}

#[test]
fn each_fault_of_a_bios_is_survived() {
    for (what, faults, count) in FAULTS {
        boots_under(what, faults, count);
    }
}

#[test]
fn all_faults_together_are_survived() {
    for count in [REFUSED, TOLD, CLOSED] {
        boots_under("all of it", &ALL, count);
    }
}

#[test]
fn a_memory_map_without_an_end_is_told() {
    says("E27 memory map too long", Machine::hostile(&["MAP", "MAP_ENDLESS"]));
}

#[test]
fn reads_of_the_oldest_kind_of_memory_answer_will_do() {
    let machine = boot_to_ready(Machine::hostile(&["MAP_NONE", "MAP_OLDEST"]));
    // INT 15h AH=88h knows of 64 MiB at most.
    assert!(machine.line("memory: 62 MiB usable").is_some(), "{}", machine.serial_log());
}

#[track_caller]
fn says(message: &str, setup: Setup) {
    let mut machine = setup.boot();
    machine.expect_line(message);
    machine.expect_on_screen(message);
}
