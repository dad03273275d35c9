//! Damaged images: each is told apart by its error code, on serial line and screen, and none reboots for ever.

use crate::harness::{Machine, ReadError, Setup, image_path};
use crate::{GRUB, boot_to_ready};
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
