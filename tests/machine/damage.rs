//! Damaged images: each is told apart by its error code, on serial line and screen, and none reboots for ever.

use crate::harness::{Machine, ReadError, Setup, image_path};
use crate::{GRUB, boot_to_ready};
use std::fs;
use std::ops::Range;
use std::process::Command;
use std::time::Duration;

const SECTOR: usize = 512;

/// Where a part of the raw image lies, in bytes, by the host tool's own account.
fn part(name: &str) -> Range<usize> {
    let image = image_path("build/os.img", "scripts/raw.sh");
    let answer = Command::new(env!("CARGO_BIN_EXE_image")).arg("layout").arg(image).output().expect("image runs");
    let text = String::from_utf8_lossy(&answer.stdout);
    let value = |field: &str| -> usize {
        let prefix = format!("{name}.{field}: ");
        let number = text.lines().find_map(|line| line.strip_prefix(&prefix)?.parse().ok());
        number.unwrap_or_else(|| panic!("`image layout` tells no {prefix:?}:\n{text}"))
    };
    let start = value("lba") * SECTOR;
    start..start + value("bytes")
}

/// The machine says `message` on both its outputs and then stands still.
#[track_caller]
fn stops_with(message: &str, setup: Setup) {
    let mut machine = setup.boot();
    let line = machine.expect_line_where(&format!("{message:?}"), |line| line.trim_start().starts_with(message));
    machine.expect_on_screen(line.text.trim());
    machine.expect_silence(Duration::from_millis(500));
    machine.expect_stays_up(Duration::from_millis(500));
    assert_eq!(machine.line("Eres OS "), None, "the kernel ran all the same");
}

/// The raw image with one bit flipped at `offset`.
fn flipped(offset: usize) -> Setup {
    Machine::raw().damaged(move |image| image[offset] ^= 0x10)
}

fn truncated(length: usize) -> Setup {
    Machine::raw().damaged(move |image| image.truncate(length))
}

#[test]
fn a_flipped_bit_anywhere_in_the_kernel_is_found() {
    let kernel = part("kernel");
    for offset in [kernel.start, kernel.start + kernel.len() / 2, kernel.end - 1] {
        stops_with("E22 kernel", flipped(offset));
    }
}

#[test]
fn a_flipped_bit_in_the_initramfs_is_found() {
    stops_with("E23 initramfs", flipped(part("initramfs").end - 1));
}

#[test]
fn a_flipped_bit_in_stage_2_is_found() {
    let stage2 = part("stage2");
    for offset in [stage2.start + stage2.len() / 2, stage2.end - 1] {
        stops_with("E12 loader", flipped(offset));
    }
}

#[test]
fn a_disk_with_something_else_in_place_of_stage_2_is_not_started() {
    stops_with("E11 ", flipped(part("stage2").start));
}

#[test]
fn a_truncated_image_ends_in_a_read_error() {
    let (stage2, kernel, initramfs) = (part("stage2"), part("kernel"), part("initramfs"));
    for length in [SECTOR, stage2.end - SECTOR] {
        stops_with("E10 ", truncated(length));
    }
    // Cut off inside the kernel, before the initramfs, and one sector short.
    for length in [kernel.start, kernel.start + kernel.len() / 2, initramfs.start, initramfs.end - SECTOR] {
        stops_with("E25 ", truncated(length / SECTOR * SECTOR));
    }
}

/// A sector of the loader and one each of what it loads.
fn sectors_of_each_part() -> [usize; 3] {
    ["stage2", "kernel", "initramfs"].map(|name| part(name).start / SECTOR)
}

#[test]
fn a_sector_that_cannot_be_read_at_first_is_tried_again() {
    for sector in sectors_of_each_part() {
        boot_to_ready(Machine::raw().bad_sector(sector, ReadError::Once));
    }
}

#[test]
fn a_sector_that_cannot_ever_be_read_ends_in_a_read_error() {
    let [stage2, kernel, initramfs] = sectors_of_each_part();
    stops_with("E10 ", Machine::raw().bad_sector(stage2, ReadError::Always));
    stops_with("E25 ", Machine::raw().bad_sector(kernel, ReadError::Always));
    stops_with("E25 ", Machine::raw().bad_sector(initramfs, ReadError::Always));
}

#[test]
fn a_bios_that_writes_into_the_parameter_block_does_no_harm() {
    boot_to_ready(Machine::raw().damaged(|image| image[0x03..0x5a].fill(0xff)));
}

#[test]
fn a_disk_without_a_partition_table_boots() {
    boot_to_ready(Machine::raw().damaged(|image| image[446..510].fill(0)));
}

#[test]
fn a_disk_without_a_boot_signature_is_left_alone_by_the_bios() {
    let mut machine = Machine::raw().damaged(|image| image[510..512].fill(0)).boot();
    machine.expect_on_screen("not a bootable disk");
    assert_eq!(machine.serial_log(), "");
}

/// Where the kernel's file lies in the ISO image, and an offset in it that is code or data.
fn in_iso_kernel(image: &[u8], offset: usize) -> usize {
    let kernel = fs::read(image_path("build/kernel.elf", "scripts/iso.sh")).expect("the kernel is there");
    let place = image.windows(4096).step_by(2048).position(|bytes| *bytes == kernel[..4096]);
    place.expect("the ISO image has the kernel as it is") * 2048 + offset
}

#[test]
fn grub_checks_nothing_but_the_kernel_finds_that_it_is_damaged() {
    let length = fs::metadata(image_path("build/kernel.elf", "scripts/iso.sh")).expect("the kernel is there").len();
    // Code, constants, data, by where they are in the file; behind the last are section headers, which nobody loads.
    for offset in [0x2000, 0x2_0000, length as usize / 2, length as usize - 0x3000] {
        let setup = Machine::iso().damaged(move |image| {
            let at = in_iso_kernel(image, offset);
            image[at] ^= 0x10;
        });
        stops_with("E03 kernel damaged", setup);
    }
}

#[test]
fn a_kernel_that_is_cut_off_is_told_by_grub() {
    let setup = Machine::iso().damaged(|image| {
        let at = in_iso_kernel(image, 0);
        image[at..at + 4].fill(0);
    });
    let mut machine = setup.boot();
    machine.expect_on_screen("error: ");
    machine.expect_stays_up(Duration::from_millis(500));
}

/// Changes fields of stage 2's payload table, and makes the checksum of stage 2 right again.
fn with_table_fields(fields: Vec<(usize, u32)>) -> Setup {
    let stage2 = part("stage2");
    Machine::raw().damaged(move |image| {
        for (at, value) in fields {
            image[stage2.start + at..stage2.start + at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let checksum = crc32fast::hash(&image[stage2.clone()]);
        image[436..440].copy_from_slice(&checksum.to_le_bytes());
    })
}

// The payload table, by `asm/loader/stage2.asm`: where the fields of kernel and initramfs begin, and the fields.
const KERNEL: usize = 8;
const INITRAMFS: usize = 32;
const ENTRY: usize = 56;
const LBA: usize = 0;
const BYTES: usize = 4;
const UNPACKED: usize = 12;
const ADDRESS: usize = 16;
const ROOM: usize = 20;

#[test]
fn a_payload_table_that_cannot_be_is_refused_though_its_checksum_is_right() {
    for (field, value, message) in [
        (KERNEL + LBA, u32::MAX, "E25 "),
        (KERNEL + LBA, 3, "E22 kernel"),
        (KERNEL + BYTES, 1, "E22 kernel"),
        (KERNEL + BYTES, u32::MAX, "E22 kernel"),
        (KERNEL + UNPACKED, 0x1_0000, "E22 kernel"),
        (KERNEL + ROOM, 1, "E22 kernel"),
        (INITRAMFS + LBA, u32::MAX, "E25 "),
        (INITRAMFS + BYTES, 1, "E23 initramfs"),
        (INITRAMFS + BYTES, u32::MAX, "E23 initramfs"),
        (INITRAMFS + UNPACKED, 7, "E23 initramfs"),
        (INITRAMFS + ROOM, u32::MAX, "E24 "),
        (INITRAMFS + ROOM, 1, "E23 initramfs"),
    ] {
        println!("field at {field} is {value:#x}");
        stops_with(message, with_table_fields(vec![(field, value)]));
    }
}

#[test]
fn a_kernel_whose_place_or_entry_cannot_be_is_refused() {
    let impossible = "E41 the kernel has an impossible place or entry";
    let beyond = "E40 the kernel's place is not usable memory";
    for (fields, message) in [
        (vec![(KERNEL + ADDRESS, 0xf_0000)], impossible),
        (vec![(KERNEL + ADDRESS, 0x7c00), (ENTRY, 0x8000)], impossible),
        (vec![(KERNEL + ADDRESS, u32::MAX), (ENTRY, u32::MAX)], impossible),
        (vec![(KERNEL + ROOM, u32::MAX)], impossible),
        (vec![(KERNEL + ROOM, 0x1000_0000)], "E24 "),
        (vec![(KERNEL + ADDRESS, 0x4000_0000), (ENTRY, 0x4000_1000)], beyond),
        (vec![(KERNEL + UNPACKED, 1)], impossible),
        (vec![(KERNEL + BYTES, 0), (KERNEL + UNPACKED, 0)], impossible),
        (vec![(ENTRY, 0)], impossible),
        (vec![(ENTRY, 0xf_ffff)], impossible),
        (vec![(ENTRY, 0x20_0000)], impossible),
        (vec![(ENTRY, u32::MAX)], impossible),
    ] {
        println!("{fields:x?}");
        stops_with(message, with_table_fields(fields));
    }
}

#[test]
fn damage_to_what_the_boot_sector_is_told_is_found() {
    // The number of stage 2's sectors, and its checksum.
    stops_with("E12 loader", flipped(436));
    for (value, message) in [(0_u16, "E12 loader"), (1, "E12 loader"), (17, "E12 loader"), (u16::MAX, "E12 loader")] {
        stops_with(message, Machine::raw().damaged(move |image| image[434..436].copy_from_slice(&value.to_le_bytes())));
    }
    // The disk's signature is nobody's business.
    boot_to_ready(flipped(440));
}

#[test]
fn grub_boots_the_kernel_without_its_module_when_the_module_is_missing() {
    let setup = Machine::iso().damaged(|image| {
        let wanted = b"module2 /boot/initramfs.cpio";
        let at = image.windows(wanted.len()).position(|bytes| bytes == wanted);
        let at = at.expect("the ISO image has a legible grub.cfg");
        image[at + wanted.len() - 1] = b'?';
    });
    let machine = boot_to_ready(setup);
    assert!(machine.line(GRUB).is_some());
    assert_eq!(machine.line("module: "), None);
}
