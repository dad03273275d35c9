//! Damaged images: each is told apart by its error code, on serial line and screen, and none reboots for ever.

use crate::harness::{Bus, Machine, ReadError, Setup, image_path};
use crate::{GRUB, boot_to_ready};
use std::fs;
use std::ops::Range;
use std::process::Command;
use std::time::{Duration, Instant};

const SECTOR: usize = 512;

/// Where a part of the raw image lies, in bytes, by the host tool's own account.
fn part(name: &str) -> Range<usize> {
    let image = image_path("build/monitor.img", "scripts/monitor.sh");
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

/// Places all over a part, the first and the last byte among them.
fn places(part: &Range<usize>, count: usize) -> Vec<usize> {
    (0..count).map(|index| part.start + (part.len() - 1) * index / (count - 1)).collect()
}

#[test]
fn a_flipped_bit_anywhere_in_the_kernel_is_found() {
    for offset in places(&part("kernel"), 7) {
        stops_with("E22 kernel", flipped(offset));
    }
}

#[test]
fn a_flipped_bit_anywhere_in_the_initramfs_is_found() {
    for offset in places(&part("initramfs"), 4) {
        stops_with("E23 initramfs", flipped(offset));
    }
}

#[test]
fn a_flipped_bit_anywhere_in_stage_2_is_found() {
    // Behind its first four bytes, by which it is known.
    let stage2 = part("stage2");
    for offset in places(&(stage2.start + 4..stage2.end), 7) {
        stops_with("E12 loader", flipped(offset));
    }
}

#[test]
fn a_flipped_bit_behind_all_parts_is_nobodys_business() {
    for offset in [SECTOR * 2047, part("initramfs").end.next_multiple_of(SECTOR)] {
        boot_to_ready(flipped(offset));
    }
}

/// What may become of a damaged image. Whatever it is, the machine does not reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Ready,
    /// A sentence of ours with a code, or of somebody else that begins with `error: `.
    Said,
    /// Nothing at all for a while.
    StandsStill,
}

const A_WHILE: Duration = Duration::from_secs(5);

/// Whether `line` says with a code, or in GRUB's words, why there is no more to come.
fn is_reason(line: &str) -> bool {
    let text = line.trim_start();
    let has_code =
        matches!(text.as_bytes(), [b'E', tens, ones, b' ', ..] if tens.is_ascii_digit() && ones.is_ascii_digit());
    has_code || text.starts_with("error: ")
}

#[track_caller]
fn outcome(setup: Setup) -> Outcome {
    let mut machine = setup.boot();
    let mut quiet_since = Instant::now();
    let mut seen = (0, String::new());
    let outcome = loop {
        let lines = machine.lines();
        let screen = machine.screen();
        if lines.iter().any(|line| line.text == "ready") {
            break Outcome::Ready;
        }
        if lines.iter().any(|line| is_reason(&line.text)) || screen.rows.iter().any(|row| is_reason(row)) {
            break Outcome::Said;
        }
        let now = (lines.len(), screen.to_string());
        if now != seen {
            (seen, quiet_since) = (now, Instant::now());
        }
        if quiet_since.elapsed() > A_WHILE {
            break Outcome::StandsStill;
        }
        machine.expect_stays_up(Duration::from_millis(100));
    };
    machine.expect_stays_up(Duration::from_millis(300));
    outcome
}

#[test]
fn a_flipped_bit_in_the_boot_sectors_code_may_stop_it_but_never_resets_the_machine() {
    // Its code ends before the fields that other tests damage.
    for offset in places(&(0x5a..434), 8) {
        println!("byte {offset:#x}: {:?}", outcome(flipped(offset)));
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
        boot_to_ready(Machine::raw().bad_sector(sector, ReadError::Times(1)));
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

/// Where a file of the ISO image lies in it.
fn in_iso(image: &[u8], name: &str) -> Range<usize> {
    const BLOCK: usize = 2048;
    let file = fs::read(image_path(name, "scripts/iso.sh")).expect("the file is there");
    let head = &file[..file.len().min(BLOCK)];
    let place = image.chunks(BLOCK).position(|bytes| bytes.starts_with(head));
    let start = place.unwrap_or_else(|| panic!("the ISO image has no {name} as it is")) * BLOCK;
    start..start + file.len()
}

const KERNEL_FILE: &str = "build/kernel.elf";
const INITRAMFS_FILE: &str = "build/files.cpio";

/// The ISO image with one bit flipped in the file `name`.
fn flipped_in_iso(name: &'static str, offset: usize) -> Setup {
    Machine::iso().damaged(move |image| {
        let at = in_iso(image, name).start + offset;
        image[at] ^= 0x10;
    })
}

fn file_length(name: &str) -> usize {
    fs::metadata(image_path(name, "scripts/iso.sh")).expect("the file is there").len() as usize
}

/// The same, and GRUB does not look.
fn flipped_unseen(name: &'static str, offset: usize) -> Setup {
    Machine::iso().damaged(move |image| {
        let at = in_iso(image, name).start + offset;
        image[at] ^= 0x10;
        let check = b"set damaged=yes";
        let at = image.windows(check.len()).position(|bytes| bytes == check);
        let at = at.expect("the ISO image has a legible grub.cfg");
        image[at..at + check.len()].copy_from_slice(b"set damaged=no ");
    })
}

#[test]
fn grub_finds_damage_anywhere_in_the_kernels_file() {
    const MESSAGE: &str = "E04 kernel damaged";
    let length = file_length(KERNEL_FILE);
    // Much of its headers, in which damage may lead anywhere, and all over the rest.
    for offset in [0, 0x18, 0x20, 0x40, 0x50, 0x1010].into_iter().chain(places(&(0..length), 3)) {
        let mut machine = flipped_in_iso(KERNEL_FILE, offset).boot();
        machine.expect_line(MESSAGE);
        machine.expect_on_screen(MESSAGE);
        machine.expect_stays_up(Duration::from_secs(1));
        assert_eq!(machine.serial_log().trim(), MESSAGE, "something else runs all the same");
    }
}

#[test]
fn a_damaged_kernel_that_grub_does_not_look_at_finds_that_itself() {
    let length = file_length(KERNEL_FILE);
    // Code, constants, data, by where they are in the file; behind the last are section headers, which nobody loads.
    for offset in [0x2000, 0x2_0000, length / 2, length - 0x3000] {
        stops_with("E03 kernel damaged", flipped_unseen(KERNEL_FILE, offset));
    }
}

/// The machine becomes ready, and says `warning` on both its outputs.
#[track_caller]
fn warns(warning: &str, setup: Setup) -> Machine {
    let mut machine = boot_to_ready(setup);
    machine.expect_on_screen(warning);
    assert!(machine.line(warning).is_some(), "{}", machine.serial_log());
    machine
}

const DAMAGED_INITRAMFS: &str = "warning: E42 initramfs damaged";
const NO_ARCHIVE: &str = "warning: E43 the initramfs is no cpio archive";
const NO_INITRAMFS: &str = "warning: E44 the loader has loaded no initramfs";

#[test]
fn the_kernel_finds_that_its_initramfs_is_damaged_where_the_loader_does_not_look() {
    let length = file_length(INITRAMFS_FILE);
    for offset in places(&(6..length), 5) {
        warns(DAMAGED_INITRAMFS, flipped_in_iso(INITRAMFS_FILE, offset));
    }
    warns(NO_ARCHIVE, flipped_in_iso(INITRAMFS_FILE, 0));
}

#[test]
fn an_initramfs_that_others_have_made_is_taken_without_a_seal() {
    let machine = boot_to_ready(Machine::iso().damaged(|image| {
        let place = in_iso(image, INITRAMFS_FILE);
        // The checksum's field is 0 in an archive that is not sealed.
        image[place.start + 102..place.start + 110].fill(b'0');
    }));
    assert!(!machine.serial_log().contains("warning: "), "{}", machine.serial_log());
}

#[test]
fn without_a_loader_too_the_initramfs_is_looked_at() {
    let sealed = fs::read(image_path(INITRAMFS_FILE, "scripts/monitor.sh")).expect("the initramfs is there");
    let mut damaged = sealed.clone();
    damaged[300] ^= 1;
    warns(DAMAGED_INITRAMFS, Machine::kernel_with(&damaged));
    warns(DAMAGED_INITRAMFS, Machine::kernel_with(&sealed[..sealed.len() - 4]));
    warns(NO_ARCHIVE, Machine::kernel_with(b"something else"));
    warns(NO_INITRAMFS, Machine::kernel_alone());
    let two = [&sealed[..], &sealed].concat();
    let machine = boot_to_ready(Machine::kernel_with(&two));
    assert!(!machine.serial_log().contains("warning: "), "{}", machine.serial_log());
}

#[test]
fn an_iso_image_that_is_cut_off_ends_in_words_or_without_its_initramfs() {
    let image = fs::read(image_path("build/monitor.iso", "scripts/monitor.sh")).expect("the image is there");
    let (kernel, initramfs) = (in_iso(&image, KERNEL_FILE), in_iso(&image, INITRAMFS_FILE));
    let cut = |length: usize| Machine::iso().damaged(move |image| image.truncate(length));
    assert_eq!(outcome(cut((kernel.start + kernel.len() / 2).next_multiple_of(2048))), Outcome::Said);
    if initramfs.start > kernel.start {
        warns(NO_INITRAMFS, cut(initramfs.start));
    }
}

#[test]
fn a_sector_of_an_iso_image_that_cannot_be_read_ends_in_words_or_without_its_initramfs() {
    let image = fs::read(image_path("build/monitor.iso", "scripts/monitor.sh")).expect("the image is there");
    let kernel = in_iso(&image, KERNEL_FILE);
    let sector = |place: usize, error| Machine::iso().disk(Bus::Ide).bad_sector(place / SECTOR, error);
    assert_eq!(outcome(sector(kernel.start + kernel.len() / 2, ReadError::Always)), Outcome::Said);
    boot_to_ready(sector(kernel.start + kernel.len() / 2, ReadError::Times(1)));
    // It goes from LBA to CHS when a read fails, gives up when that fails too, and is made to try again by its configuration.
    for name in [KERNEL_FILE, INITRAMFS_FILE] {
        let file = in_iso(&image, name);
        for place in [file.start, file.end - 1] {
            let machine = boot_to_ready(sector(place, ReadError::Times(2)));
            assert!(!machine.serial_log().contains("warning: "), "{name}: {}", machine.serial_log());
            assert_eq!(machine.serial_log().matches("; module: ").count(), 1, "{name}: {}", machine.serial_log());
        }
    }
    // GRUB reads many sectors at a time, so that it may be the kernel that it cannot read.
    assert_ne!(outcome(sector(in_iso(&image, INITRAMFS_FILE).start, ReadError::Always)), Outcome::StandsStill);
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
        (vec![(ENTRY, 0x40_0000)], impossible),
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
    let machine = warns(NO_INITRAMFS, setup);
    assert!(machine.line(GRUB).is_some());
    assert_eq!(machine.line("module: "), None);
}
