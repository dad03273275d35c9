//! The start information of PVH (Xen's docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h): what QEMU's `-kernel` and
//! hypervisors without firmware give in place of a loader's tags. It is scattered over memory, so it is read through a trait.

use super::command_line::{CommandLine, truncated};
use super::info::{BootError, BootInfo, Firmware, MAX_MODULES, Module, Rsdp, carve, kind_of};
use super::memory_map::{MAX_ENTRIES, MapBuilder};
use super::tags::ChainError;
use crate::display::Display;
use arrayvec::ArrayVec;
use core::ops::Range;

/// What the structure begins with.
const MAGIC: u32 = 0x336e_c578;
/// Bytes of the structure in versions 0 and 1.
const BYTES_0: usize = 40;
const BYTES_1: usize = 56;
const MODULE_BYTES: usize = 32;
const ENTRY_BYTES: usize = 24;

/// Pieces that the information can lie in: the structure, command line, two tables, a line for each module.
const MAX_PIECES: usize = 4 + MAX_MODULES;
/// Bytes of a line that are looked at.
const MAX_LINE: usize = 4096;

/// Where a BIOS keeps the video mode and the columns of text (IBM's BIOS data area, 40:49 and 40:4A).
const VIDEO_MODE: u64 = 0x449;
const COLOUR_TEXT_80X25: [u8; 3] = [3, 80, 0];

/// Where a BIOS keeps the segment of its extended data area (40:0E), of which ACPI may have the first KiB, and the memory that it
/// looks like itself (ACPI 6.5 section 5.2.5.1).
const EXTENDED_DATA_SEGMENT: u64 = 0x40e;
const EXTENDED_DATA: Range<u64> = 0x8_0000..0xa_0000;
const BIOS_MEMORY: Range<u64> = 0xe_0000..0x10_0000;
const RSDP_ALIGNMENT: usize = 16;

/// Physical memory to read from.
pub trait PhysicalMemory {
    /// The bytes at `address`; `None` if they cannot be read or are the kernel's own.
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]>;
}

/// The information, as far as it could be followed, and where it lies.
struct Reader<'a, M> {
    memory: &'a M,
    pieces: ArrayVec<Range<u64>, MAX_PIECES>,
}

impl<'a, M: PhysicalMemory> Reader<'a, M> {
    fn bytes(&mut self, address: u64, length: usize) -> Option<&'a [u8]> {
        let bytes = self.memory.bytes(address, length)?;
        // There is room for as many as are asked for.
        let _ = self.pieces.try_push(address..address.saturating_add(u64::try_from(length).ok()?));
        Some(bytes)
    }

    /// A line that ends with a NUL, without it; of a longer one, what is looked at. Address 0 stands for none.
    fn line(&mut self, address: u64) -> Option<&'a str> {
        if address == 0 {
            return Some("");
        }
        let (bytes, may_be_cut) = match self.memory.bytes(address, MAX_LINE) {
            Some(bytes) => (bytes, true),
            None => {
                // It may end just before what cannot be read.
                let page_end = address.checked_add(1)?.checked_next_multiple_of(4096)?;
                (self.memory.bytes(address, usize::try_from(page_end.saturating_sub(address)).ok()?)?, false)
            }
        };
        let end = bytes.iter().position(|byte| *byte == 0);
        let length = end.or(may_be_cut.then_some(MAX_LINE))?;
        self.bytes(address, length.saturating_add(1).min(MAX_LINE))?;
        let line = bytes.get(..length)?;
        match core::str::from_utf8(line) {
            // The cut may go through a character.
            Err(error) if end.is_none() && error.error_len().is_none() => {
                core::str::from_utf8(line.get(..error.valid_up_to())?).ok()
            }
            result => result.ok(),
        }
    }

    /// A table of `count` entries.
    fn table(&mut self, address: u64, count: usize, entry: usize) -> Option<core::slice::ChunksExact<'a, u8>> {
        Some(self.bytes(address, count.checked_mul(entry)?)?.chunks_exact(entry))
    }
}

/// Parses the structure at physical address `address`, for a kernel that occupies the physical addresses `kernel` and whose entry
/// ran at `entry_tsc`.
///
/// # Errors
/// [`BootError`] if there is no such structure, or no memory map with memory to work with.
pub fn parse(
    memory: &impl PhysicalMemory,
    address: u64,
    kernel: Range<u64>,
    entry_tsc: u64,
) -> Result<BootInfo, BootError> {
    const NOTHING: BootError = BootError::Chain(ChainError::NotAStructure);
    let mut reader = Reader { memory, pieces: ArrayVec::new() };
    let start = reader.bytes(address, BYTES_0).ok_or(NOTHING)?;
    if word(start, 0) != Some(MAGIC) {
        return Err(NOTHING);
    }
    let mut info = BootInfo::empty(entry_tsc);
    info.firmware = Firmware::Hypervisor;
    info.loader.push_str("PVH");
    if word(start, 4).is_none_or(|version| version == 0) {
        return Err(BootError::NoMemoryMap);
    }
    let start = reader.bytes(address, BYTES_1).ok_or(NOTHING)?;
    let mut left_out = 0_u32;

    match long(start, 24).and_then(|address| reader.line(address)) {
        Some(line) => info.command_line = CommandLine::new(line),
        None => left_out = left_out.saturating_add(1),
    }
    let count = word(start, 12).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let kept = count.min(MAX_MODULES);
    left_out = left_out.saturating_add(u32::try_from(count.saturating_sub(kept)).unwrap_or(u32::MAX));
    if kept > 0 {
        match long(start, 16).and_then(|address| reader.table(address, kept, MODULE_BYTES)) {
            Some(entries) => {
                for entry in entries {
                    match module(entry, &mut reader, info.modules.is_empty()) {
                        Some(module) => info.modules.push(module),
                        None => left_out = left_out.saturating_add(1),
                    }
                }
            }
            None => left_out = left_out.saturating_add(1),
        }
    }
    info.rsdp = match long(start, 32) {
        None | Some(0) => rsdp_of_bios(memory),
        Some(address) => rsdp(memory, address).or_else(|| {
            left_out = left_out.saturating_add(1);
            None
        }),
    };

    let mut map = MapBuilder::default();
    let count = word(start, 48).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    if count > MAX_ENTRIES {
        return Err(BootError::TooManyRegions);
    }
    let entries = long(start, 40).filter(|address| *address != 0 && count > 0);
    let entries =
        entries.and_then(|address| reader.table(address, count, ENTRY_BYTES)).ok_or(BootError::NoMemoryMap)?;
    for entry in entries {
        let (Some(start), Some(bytes), Some(kind)) = (long(entry, 0), long(entry, 8), word(entry, 16)) else {
            continue;
        };
        map.add(start..start.saturating_add(bytes), kind_of(kind))?;
    }
    info.display = display(memory);
    if info.display != Display::None {
        info.firmware = Firmware::Bios;
    }
    info.tags_left_out = left_out;
    carve(&mut map, &mut info, &reader.pieces, kernel)?;
    Ok(info)
}

/// Where text can be shown, which PVH does not tell: where a BIOS has left the screen as it is on every PC.
pub fn display(memory: &impl PhysicalMemory) -> Display {
    match memory.bytes(VIDEO_MODE, COLOUR_TEXT_80X25.len()) {
        Some(mode) if mode == COLOUR_TEXT_80X25 => Display::TEXT_80X25,
        _ => Display::None,
    }
}

/// The first module needs no words to say that it is the initramfs: QEMU's `-initrd` has none.
fn module(entry: &[u8], reader: &mut Reader<'_, impl PhysicalMemory>, is_first: bool) -> Option<Module> {
    let start = long(entry, 0)?;
    let end = start.checked_add(long(entry, 8)?)?;
    let words = reader.line(long(entry, 16)?).unwrap_or_default();
    let arguments = if words.is_empty() && is_first { "initramfs" } else { words };
    Some(Module { start, end, arguments: truncated(arguments) })
}

fn rsdp(memory: &impl PhysicalMemory, address: u64) -> Option<Rsdp> {
    const BYTES_OF_1: usize = 20;
    const BYTES_OF_2: usize = 36;
    let longer = memory.bytes(address, BYTES_OF_2).and_then(Rsdp::read);
    longer.or_else(|| memory.bytes(address, BYTES_OF_1).and_then(Rsdp::read))
}

/// Where a BIOS has it. QEMU's option ROM for PVH looks at a small part of this.
fn rsdp_of_bios(memory: &impl PhysicalMemory) -> Option<Rsdp> {
    const EXTENDED_DATA_BYTES: u64 = 1024;
    let segment = memory.bytes(EXTENDED_DATA_SEGMENT, 2).and_then(|bytes| bytes.first_chunk().copied());
    let start = u64::from(u16::from_le_bytes(segment.unwrap_or_default())) << 4;
    let extended_data = start..start.saturating_add(EXTENDED_DATA_BYTES);
    let has_extended_data = EXTENDED_DATA.start <= start && extended_data.end <= EXTENDED_DATA.end;
    let places = has_extended_data.then_some(extended_data).into_iter().chain([BIOS_MEMORY]);
    places.flat_map(|place| place.step_by(RSDP_ALIGNMENT)).find_map(|address| rsdp(memory, address))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

    use super::*;
    use crate::boot::MemoryKind;
    use proptest::prelude::*;

    const KERNEL: Range<u64> = 0x10_0000..0x20_0000;
    const START: u64 = 0x1000;

    /// The first MiB of a machine.
    struct LowMiB(Vec<u8>);

    impl PhysicalMemory for LowMiB {
        fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
            let start = usize::try_from(address).ok()?;
            self.0.get(start..start.checked_add(length)?)
        }
    }

    impl LowMiB {
        fn put(&mut self, at: u64, bytes: &[u8]) {
            self.0[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        }

        fn parse(&self) -> Result<BootInfo, BootError> {
            parse(self, START, KERNEL, 1000)
        }
    }

    fn longs(numbers: &[u64]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    /// A start information as QEMU gives it for a machine of 128 MiB with an initrd.
    fn machine() -> LowMiB {
        let mut memory = LowMiB(vec![0; 1 << 20]);
        memory.put(START, &[MAGIC, 1, 0, 1].map(u32::to_le_bytes).concat());
        memory.put(START + 16, &longs(&[0x2000, 0x3000, 0xf_0000, 0x4000, 2]));
        memory.put(0x2000, &longs(&[0x700_0000, 0x1234, 0, 0]));
        memory.put(0x3000, b"log=debug then=halt\0");
        memory.put(0x4000, &longs(&[0, 0x9_fc00, 1, 0x10_0000, 0x7ee_0000, 1]));
        let mut root = *b"RSD PTR \0ERESOS\0\0\0\xfe\x07";
        root[8] = 0_u8.wrapping_sub(root.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
        memory.put(0xf_0000, &root);
        memory.put(VIDEO_MODE, &COLOUR_TEXT_80X25);
        memory
    }

    #[test]
    fn what_qemu_gives_is_understood() {
        let info = machine().parse().unwrap();
        assert_eq!((info.loader.as_str(), info.firmware), ("PVH", Firmware::Bios));
        assert_eq!(info.command_line.as_str(), "log=debug then=halt");
        assert_eq!(info.display, Display::TEXT_80X25);
        assert_eq!(info.rsdp, Some(Rsdp { revision: 0, root_table: 0x7fe_0000 }));
        assert_eq!(info.tags_left_out, 0);
        assert_eq!((info.modules[0].arguments.as_str(), info.modules[0].size()), ("initramfs", 0x1234));
        let kinds: Vec<_> = info.memory.regions().iter().map(|region| (region.start, region.kind)).collect();
        use MemoryKind::{Kernel, LowMemory, Module, Usable};
        let expected =
            [(0, LowMemory), (0x10_0000, Kernel), (0x20_0000, Usable), (0x700_0000, Module), (0x700_2000, Usable)];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn a_hypervisor_without_firmware_has_no_screen() {
        for mode in [[0; 3], [0x12, 80, 0], [3, 40, 0], [3, 80, 1], [0xff; 3]] {
            let mut memory = machine();
            memory.put(VIDEO_MODE, &mode);
            let info = memory.parse().unwrap();
            assert_eq!((info.display, info.firmware), (Display::None, Firmware::Hypervisor));
        }
    }

    #[test]
    fn acpi_that_was_not_told_of_is_found_where_a_bios_has_it() {
        let found = Some(Rsdp { revision: 0, root_table: 0x7fe_0000 });
        for address in [0xe_0000, 0xf_0000, 0xf_ffd0, 0x9_fc00, 0x9_fff0 - 16] {
            let mut memory = machine();
            memory.put(START + 32, &longs(&[0]));
            let root = memory.0[0xf_0000..0xf_0014].to_vec();
            memory.put(0xf_0000, &[0; 20]);
            assert_eq!(memory.parse().unwrap().rsdp, None);
            memory.put(EXTENDED_DATA_SEGMENT, &0x9fc0_u16.to_le_bytes());
            memory.put(address, &root);
            assert_eq!(memory.parse().unwrap().rsdp, found, "{address:#x}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_at_a_character() {
        let mut memory = machine();
        memory.put(0x8000, b"log=debug ");
        memory.put(0x800a, "\u{e4}".repeat(MAX_LINE).as_bytes());
        memory.put(START + 24, &longs(&[0x8000]));
        memory.put(0x2000 + 16, &longs(&[0x8001]));
        let info = memory.parse().unwrap();
        assert!(info.command_line.as_str().starts_with("log=debug \u{e4}"));
        assert!(info.modules[0].arguments.starts_with("og=debug \u{e4}"));
        assert_eq!(info.tags_left_out, 0);
        // Bytes that are no text are left out, long or not.
        memory.put(0x8000, &[0xe4]);
        let info = memory.parse().unwrap();
        assert_eq!((info.command_line.as_str(), info.tags_left_out), ("", 1));
    }

    #[test]
    fn a_line_may_end_just_before_what_cannot_be_read_and_no_later() {
        let mut memory = machine();
        memory.put(0xf_fff0, b"log=debug\0");
        memory.put(START + 24, &longs(&[0xf_fff0]));
        assert_eq!(memory.parse().unwrap().command_line.as_str(), "log=debug");
        memory.put(0xf_fff0, &[b'a'; 16]);
        let info = memory.parse().unwrap();
        assert_eq!((info.command_line.as_str(), info.tags_left_out), ("", 1));
    }

    #[test]
    fn what_the_kernel_cannot_do_without_is_an_error() {
        let mut memory = machine();
        memory.put(START, &[0]);
        assert_eq!(memory.parse().unwrap_err(), BootError::Chain(ChainError::NotAStructure));
        assert_eq!(parse(&memory, u64::MAX, KERNEL, 0).unwrap_err(), BootError::Chain(ChainError::NotAStructure));
        let mut old = machine();
        old.put(START + 4, &[0; 4]);
        assert_eq!(old.parse().unwrap_err(), BootError::NoMemoryMap);
        for (at, number) in [(START + 40, 0), (START + 40, 1 << 30), (START + 48, 0)] {
            let mut memory = machine();
            memory.put(at, &longs(&[number]));
            assert_eq!(memory.parse().unwrap_err(), BootError::NoMemoryMap);
        }
        let mut long = machine();
        long.put(START + 48, &u32::MAX.to_le_bytes());
        assert_eq!(long.parse().unwrap_err(), BootError::TooManyRegions);
    }

    #[test]
    fn what_it_can_do_without_is_left_out() {
        for (at, number) in [(START + 16, u64::MAX), (START + 24, 1 << 40), (0x2000, u64::MAX - 1)] {
            let mut memory = machine();
            memory.put(at, &longs(&[number]));
            assert_eq!(memory.parse().unwrap().tags_left_out, 1, "{at:#x}");
        }
        let mut memory = machine();
        memory.put(START + 32, &longs(&[0xf_0001]));
        let info = memory.parse().unwrap();
        assert_eq!((info.rsdp, info.tags_left_out), (None, 1));
        memory.put(START + 12, &u32::MAX.to_le_bytes());
        assert!(memory.parse().unwrap().modules.len() <= MAX_MODULES);
    }

    #[test]
    fn information_above_the_first_mib_is_marked_as_in_use() {
        /// The structure at 2 MiB and on.
        struct High(LowMiB);
        impl PhysicalMemory for High {
            fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
                self.0.bytes(address.checked_sub(0x20_0000)?, length)
            }
        }
        let mut memory = machine();
        memory.put(START + 16, &longs(&[0x20_2000, 0x20_3000, 0, 0x20_4000]));
        let info = parse(&High(memory), 0x20_0000 + START, KERNEL, 0).unwrap();
        for address in [0x20_1000, 0x20_2000, 0x20_3000, 0x20_4000] {
            assert!(info.memory.is_all(&(address..address + 0x1000), MemoryKind::BootInformation), "{address:#x}");
        }
    }

    proptest! {
        #[test]
        fn no_start_information_is_a_panic(changes in prop::collection::vec((0..0x5000_usize, any::<u8>()), 0..40)) {
            let mut memory = machine();
            for (at, byte) in changes {
                memory.0[at] = byte;
            }
            if let Ok(info) = memory.parse() {
                prop_assert!(info.memory.usable().all(|region| region.start >= KERNEL.end));
            }
        }
    }
}
