//! What is packed comes out again, the newest lines first, whatever the room; and no text does harm.

use super::paint::{half_block, row_to_pixels, scale};
use super::symbol::{MOST_VERSION, Memory, QUIET, characters, largest_version};
use super::*;
use crate::display::Framebuffer;
use proptest::prelude::*;

const HEAD: &str = "Eres OS 0.1.0\nkernel panic at src/provoke.rs:90 on CPU 0\n  provoked by the command line\n";
const LOG: &str = "Eres OS 0.1.0 (x86_64)
debug: ACPI: revision 0, root table at 0x7ffe241a
debug: ACPI: 4 CPUs, 1 I/O APIC, HPET, PM timer, PCIe ECAM
machine: QEMU Standard PC (Q35 + ICH9, 2009)
loader: GRUB 2.06-13+deb12u1, from UEFI; module: initramfs, 512 B
debug:   0x00000009f000-0x0000000a0000 reserved
debug:   0x0001234f0000-0x00013b800000 usable
debug: clock: TSC 2596.1 MHz by HPET, ACPI timer agrees within 2 ppm, PIT within 7 ppm; RTC 2026-11-27 23:02:56 UTC
debug: processor 3: APIC id 2, TSC -261 to 207 ticks ahead
debug:   0000:00:02.0 8086:10d3 Ethernet controller, memory 0xfeb40000 (128 KiB), MSI-X (5), MSI, INTA at 11
processors: 4 running, QEMU TCG CPU version 2.5+
memory: 2997 MiB usable in 2 ranges, 2999 MiB RAM; in use: 2960 KiB beside the kernel's image of 724 KiB
ready
";

fn lines(text: &str) -> impl DoubleEndedIterator<Item = &[u8]> {
    text.as_bytes().split_inclusive(|byte| *byte == b'\n')
}

fn packed(head: &str, log: &str, characters: usize) -> String {
    let report = Report { head: lines(head), newest_first: lines(log).rev() };
    let mut packer = Box::new(Packer::new());
    packer.pack(report, characters).to_owned()
}

fn strings(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_report_comes_out_as_it_went_in() {
    let text = packed(HEAD, LOG, MOST_CHARACTERS);
    assert_eq!(unpack(&text), Ok(Unpacked { head: strings(HEAD), log: strings(LOG) }));
    assert!(text.len() < (HEAD.len() + LOG.len()) / 2, "{} characters", text.len());
}

#[test]
fn a_packer_forgets_what_it_packed_before() {
    let mut packer = Box::new(Packer::new());
    let mut pack = |log| packer.pack(Report { head: lines(HEAD), newest_first: lines(log).rev() }, 500).to_owned();
    let first = pack(LOG);
    assert_ne!(pack("another log\n"), first);
    assert_eq!(pack(LOG), first);
}

#[test]
fn the_head_goes_before_the_log_and_the_newest_lines_before_older_ones() {
    let mut last = 0;
    for characters in (0..20).chain((20..400).step_by(19)) {
        let text = packed(HEAD, LOG, characters);
        assert!(text.len() <= characters);
        let Ok(Unpacked { head, log }) = unpack(&text) else {
            assert!(text.is_empty() && characters < 15, "{characters}: {text}");
            continue;
        };
        assert!(strings(HEAD).starts_with(&head) && strings(LOG).ends_with(&log));
        assert!(head.len() == strings(HEAD).len() || log.is_empty());
        assert!(head.len() + log.len() >= last, "{characters} hold less than one fewer");
        last = head.len() + log.len();
    }
    assert!(last > 6, "{last} lines");
}

#[test]
fn a_line_without_its_newline_is_a_line() {
    let text = packed("one\ntwo", "three\n\nfour", 200);
    let expected = Unpacked { head: strings("one\ntwo"), log: strings("three\n\nfour") };
    assert_eq!(unpack(&text), Ok(expected));
}

#[test]
fn the_text_survives_mail_and_shells() {
    let text = packed(HEAD, LOG, 600);
    let safe = |character: char| character.is_ascii_alphanumeric() || "+-./:".contains(character);
    assert!(text.strip_prefix("ERES1 ").is_some_and(|digits| digits.chars().all(safe)), "{text}");
    let whole = unpack(&text);
    let folded: Vec<String> = text.as_bytes().chunks(40).map(|line| String::from_utf8_lossy(line).into()).collect();
    assert_eq!(unpack(&format!("\n {} \r\n", folded.join("\r\n  "))), whole);
    assert_eq!(unpack(&text.to_lowercase()), whole);
    assert_eq!(unpack(&text.replace(' ', "")), whole);
}

#[test]
fn what_is_no_such_text_is_told_why() {
    let text = packed(HEAD, LOG, 300);
    assert_eq!(unpack(""), Err(Error::Prefix));
    assert_eq!(unpack("ERES"), Err(Error::Prefix));
    assert_eq!(unpack("äöüäöü"), Err(Error::Prefix));
    assert_eq!(unpack("ERES1 "), Err(Error::Damaged));
    assert_eq!(unpack(&format!("{text}!")), Err(Error::Character));
    assert_eq!(unpack(&text[..text.len() - 3]), Err(Error::Damaged));
    let swapped = text.replacen(&text[20..22], &text[20..22].chars().rev().collect::<String>(), 1);
    assert_eq!(unpack(&swapped), Err(Error::Damaged));
}

#[test]
fn lines_keep_the_first_or_the_last_that_fit() {
    let texts = |lines: &Lines<16>| -> Vec<String> {
        lines.iter().map(|line| String::from_utf8_lossy(line).trim_end_matches('\n').to_owned()).collect()
    };
    let mut kept = Lines::<16>::new();
    assert!(kept.iter().next().is_none());
    assert!(kept.push(&["debug: ", "one"]) && !kept.push(&["more!"]) && kept.push(&["2\n3"]));
    assert_eq!(texts(&kept), ["debug: one", "2 3"]);
    kept.push_newest(&["four"]);
    assert_eq!(texts(&kept), ["2 3", "four"]);
    kept.push_newest(&["longer than all of it"]);
    assert!(kept.iter().next().is_none());
    kept.push_newest(&["exactly sixteen"]);
    assert_eq!(texts(&kept), ["exactly sixteen"]);
    kept.clear();
    assert!(kept.iter().next().is_none());
}

#[test]
fn each_version_holds_as_much_as_the_standard_says() {
    let mut memory = Memory::new();
    for version in 1..=MOST_VERSION {
        let full = "A".repeat(characters(version));
        let size = 17 + 4 * usize::from(version) + 2 * QUIET;
        assert_eq!(memory.make(&full, version).map(|symbol| symbol.size()), Some(size), "version {version}");
        assert!(memory.make(&format!("{full}A"), version).is_none(), "version {version}");
        assert_eq!((largest_version(size), largest_version(size + 3)), (Some(version), Some(version)));
    }
    assert_eq!(characters(MOST_VERSION), 1853);
    assert_eq!((characters(0), characters(MOST_VERSION + 1)), (0, 0));
    assert_eq!((largest_version(28), largest_version(29), largest_version(5000)), (None, Some(1), Some(MOST_VERSION)));
    assert!(MOST_CHARACTERS >= characters(MOST_VERSION));
}

/// What a camera and a phone make of `dark`, a square of `side` pixels.
fn photographed(side: usize, dark: impl Fn(usize, usize) -> bool) -> Option<String> {
    let grey = |x, y| if dark(x, y) { 0 } else { 255 };
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(side, side, grey);
    let grids = image.detect_grids();
    Some(grids.first()?.decode().ok()?.1)
}

#[test]
fn a_code_in_pixels_is_read_back_and_stays_in_its_corner() {
    let text = packed(HEAD, LOG, 600);
    let mut memory = Memory::new();
    let symbol = memory.make(&text, MOST_VERSION).unwrap();
    let fields = [(16, 8), (8, 8), (0, 8)];
    for (bits, room) in [(32, (384, 300)), (24, (200, 400)), (32, (640, 400))] {
        let (width, height, pitch) = (640_usize, 400_usize, 640 * usize::from(bits) / 8 + 20);
        let framebuffer = Framebuffer::new(0x1000, (width as u32, height as u32), pitch as u32, bits, fields).unwrap();
        let mut pixels = vec![7; framebuffer.bytes() as usize];
        let scale = scale(&symbol, room).unwrap();
        for row in 0..symbol.size() {
            row_to_pixels(&symbol, row, scale, &framebuffer, |offset, bytes| {
                pixels[offset..offset + bytes.len()].copy_from_slice(bytes);
            });
        }
        let side = symbol.size() * scale;
        let at = |x: usize, y: usize| pixels[y * pitch + x * usize::from(bits) / 8];
        let (left, top) = (width - side, height - side);
        assert_eq!(photographed(side, |x, y| at(left + x, top + y) == 0).as_deref(), Some(text.as_str()));
        let outside = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).filter(|(x, y)| *x < left || *y < top);
        assert!(outside.into_iter().all(|(x, y)| at(x, y) == 7));
        assert!(super::paint::scale(&symbol, (room.0, symbol.size() * 2 - 1)).is_none());
    }
}

#[test]
fn a_code_in_half_blocks_is_read_back() {
    let text = packed("E37\n", "", characters(6));
    let mut memory = Memory::new();
    let symbol = memory.make(&text, 6).unwrap();
    // A cell of eight by sixteen pixels.
    let dark = |x: usize, y: usize| match (half_block(&symbol, x / 8, y / 16), y % 16 < 8) {
        (' ', _) | ('▀', false) | ('▄', true) => true,
        ('█', _) | ('▀', true) | ('▄', false) => false,
        (other, _) => panic!("{other}"),
    };
    assert_eq!(photographed(symbol.size() * 8, dark).as_deref(), Some(text.as_str()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_lines_come_out_as_far_as_there_is_room(
        head in prop::collection::vec("\\PC{0,60}", 0..6),
        log in prop::collection::vec("(debug: |warning: |)[ -~]{0,80}", 0..20),
        characters in 15..MOST_CHARACTERS,
    ) {
        let text = packed(&(head.join("\n") + "\n"), &(log.join("\n") + "\n"), characters);
        prop_assert!(text.len() <= characters);
        let unpacked = unpack(&text).unwrap();
        let all = |lines: Vec<String>| if lines.is_empty() { vec![String::new()] } else { lines };
        let (head, log) = (all(head), all(log));
        prop_assert!(head.starts_with(&unpacked.head) && log.ends_with(&unpacked.log));
        prop_assert!(unpacked.log.is_empty() || unpacked.head.len() == head.len());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(ERES1)?[0-9A-Z+./: -]{0,200}|\\PC{0,50}") {
        let _ = unpack(&text);
    }

    /// Whoever knows how to make a checksum.
    #[test]
    fn any_bytes_are_unpacked_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut text = PREFIX.to_owned();
        let whole = [bytes.as_slice(), &checksum(&bytes).to_le_bytes()].concat();
        base41::encode(&whole, |digit| text.push(digit.into()));
        let _ = unpack(&text);
    }
}
