//! Tests of boot information: true structures from the crate's builder, and every kind of lie.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::memory_map::{MAX_ENTRIES, MapBuilder, PAGE_SIZE};
use super::tags::ChainError;
use super::*;
use crate::display::{Display, Framebuffer};
use proptest::prelude::*;
use std::ops::Range;

const INFORMATION: u64 = 0x20_1000;
const KERNEL: Range<u64> = 0x10_0000..0x20_0000;

/// Bytes at an address that is a multiple of eight, as a loader must place them.
struct Aligned(Vec<u64>, usize);

impl Aligned {
    fn new(bytes: &[u8]) -> Self {
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        Self(words.collect(), bytes.len())
    }

    fn parse(&self) -> Result<BootInfo, BootError> {
        self.with_bytes(|bytes| parse(bytes, INFORMATION, KERNEL, 1000))
    }

    fn with_bytes<T>(&self, use_them: impl FnOnce(&[u8]) -> T) -> T {
        let bytes: Vec<u8> = self.0.iter().flat_map(|word| word.to_ne_bytes()).take(self.1).collect();
        // A slice of the right alignment without `unsafe`: search a buffer for it.
        let mut buffer = vec![0_u8; bytes.len() + 8];
        let offset = buffer.as_ptr().align_offset(8);
        buffer[offset..offset + bytes.len()].copy_from_slice(&bytes);
        use_them(&buffer[offset..offset + bytes.len()])
    }
}

/// A structure of tags given as type and contents, with a true total size and end tag.
fn structure(tags: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    for (kind, contents) in tags.iter().chain([&(0, vec![])]) {
        bytes.extend(kind.to_le_bytes());
        bytes.extend((8 + contents.len() as u32).to_le_bytes());
        bytes.extend(contents);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    let total = bytes.len() as u32;
    bytes[..4].copy_from_slice(&total.to_le_bytes());
    bytes
}

fn memory_map(entries: &[(u64, u64, u32)]) -> (u32, Vec<u8>) {
    let mut contents = [24_u32.to_le_bytes(), 0_u32.to_le_bytes()].concat();
    for (base, length, kind) in entries {
        contents.extend(base.to_le_bytes());
        contents.extend(length.to_le_bytes());
        contents.extend(kind.to_le_bytes());
        contents.extend([0; 4]);
    }
    (6, contents)
}

fn plain_memory() -> (u32, Vec<u8>) {
    memory_map(&[(0, 0x9fc00, 1), (0x9fc00, 0x400, 2), (0x10_0000, 0x7e0_0000, 1)])
}

fn parse_tags(tags: &[(u32, Vec<u8>)]) -> Result<BootInfo, BootError> {
    Aligned::new(&structure(tags)).parse()
}

fn framebuffer_tag(kind: u8, colours: &[u8]) -> (u32, Vec<u8>) {
    let mut contents = 0xfd00_0000_u64.to_le_bytes().to_vec();
    for number in [4096_u32, 1024, 768] {
        contents.extend(number.to_le_bytes());
    }
    contents.extend([32, kind, 0, 0]);
    contents.extend(colours);
    (8, contents)
}

#[test]
fn a_structure_of_the_crates_own_builder_is_understood() {
    use multiboot2::{
        BootLoaderNameTag, Builder, CommandLineTag, MaybeDynSized, MemoryArea, MemoryAreaType, MemoryMapTag, ModuleTag,
        RsdpV1Tag,
    };
    let areas = [
        MemoryArea::new(0x10_0000, 0x100_0000, MemoryAreaType::Available),
        MemoryArea::new(0, 0xa0000, MemoryAreaType::Available),
    ];
    let built = Builder::new()
        .bootloader(BootLoaderNameTag::new("GRUB 2.06"))
        .cmdline(CommandLineTag::new("log=debug"))
        .mmap(MemoryMapTag::new(&areas))
        .add_module(ModuleTag::new(0x30_0000, 0x30_1234, "initramfs"))
        .rsdpv1(RsdpV1Tag::new(*b"ERESOS", 0, 0x7fe_0000))
        .build();
    let info = Aligned::new(built.as_bytes()).parse().unwrap();
    assert_eq!(info.loader.as_str(), "GRUB 2.06");
    assert_eq!(info.command_line.value("log"), Some("debug"));
    assert_eq!(info.modules[0].arguments.as_str(), "initramfs");
    assert_eq!(info.modules[0].size(), 0x1234);
    assert_eq!(info.rsdp, Some(Rsdp { revision: 0, root_table: 0x7fe_0000 }));
    assert_eq!(info.tags_left_out, 0);
    assert_eq!(info.display, Display::TEXT_80X25);
    let kinds: Vec<_> = info.memory.regions().iter().map(|region| (region.start, region.end, region.kind)).collect();
    use MemoryKind::*;
    assert_eq!(
        kinds,
        [
            (0, 0xa_0000, LowMemory),
            (0x10_0000, 0x20_0000, Kernel),
            (0x20_0000, 0x20_1000, Usable),
            (0x20_1000, 0x20_2000, BootInformation),
            (0x20_2000, 0x30_0000, Usable),
            (0x30_0000, 0x30_2000, Module),
            (0x30_2000, 0x110_0000, Usable),
        ]
    );
}

#[test]
fn the_framebuffer_is_taken_only_if_it_can_be_drawn_in() {
    let of = |tag| parse_tags(&[plain_memory(), tag]).unwrap();
    let good = of(framebuffer_tag(1, &[16, 8, 8, 8, 0, 8]));
    let expected = Framebuffer::new(0xfd00_0000, (1024, 768), 4096, 32, [(16, 8), (8, 8), (0, 8)]).unwrap();
    assert_eq!(good.display, Display::Framebuffer(expected));
    for bad in [framebuffer_tag(1, &[16, 8, 8]), framebuffer_tag(0, &[255, 255]), framebuffer_tag(7, &[])] {
        let info = of(bad);
        assert_eq!(info.display, Display::None);
        assert_eq!(info.tags_left_out, 1);
    }
    assert_eq!(of((8, vec![0; 10])).display, Display::None);
}

#[test]
fn a_machine_with_efi_tags_has_no_text_memory_unless_the_loader_says_so() {
    let info = parse_tags(&[plain_memory(), (12, vec![0; 8])]).unwrap();
    assert_eq!(info.firmware, Firmware::Uefi);
    assert_eq!(info.display, Display::None);
}

#[test]
fn the_loaders_time_stamp_is_kept_unless_it_is_later_than_ours() {
    let stamp =
        |time: u64| parse_tags(&[plain_memory(), (0x5453_5245, time.to_le_bytes().to_vec())]).unwrap().loader_tsc;
    assert_eq!(stamp(900), Some(900));
    assert_eq!(stamp(1001), None);
    assert_eq!(parse_tags(&[plain_memory(), (0x5453_5245, vec![1])]).unwrap().tags_left_out, 1);
}

#[test]
fn broken_chains_are_named() {
    let good = structure(&[plain_memory()]);
    let broken = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Aligned::new(&bytes).parse().unwrap_err()
    };
    assert_eq!(broken(|bytes| bytes.truncate(4)), BootError::Chain(ChainError::NotAStructure));
    assert_eq!(broken(|bytes| bytes[0] += 8), BootError::Chain(ChainError::WrongTotalSize));
    assert_eq!(broken(|bytes| bytes[12..16].fill(0xff)), BootError::Chain(ChainError::WrongTagSize));
    assert_eq!(broken(|bytes| bytes[12..16].fill(0)), BootError::Chain(ChainError::WrongTagSize));
    assert_eq!(
        broken(|bytes| {
            bytes.truncate(bytes.len() - 8);
            bytes[0] -= 8;
        }),
        BootError::Chain(ChainError::NoEnd)
    );
    assert_eq!(
        broken(|bytes| {
            bytes.truncate(8);
            bytes[0] = 8;
        }),
        BootError::Chain(ChainError::NoEnd)
    );
}

#[test]
fn without_memory_there_is_an_error_and_upper_memory_will_do() {
    assert_eq!(parse_tags(&[]).unwrap_err(), BootError::NoMemoryMap);
    assert_eq!(parse_tags(&[memory_map(&[])]).unwrap_err(), BootError::NoUsableMemory);
    assert_eq!(parse_tags(&[memory_map(&[(0, 0x20_0000, 1)])]).unwrap_err(), BootError::NoUsableMemory);
    let basic = (4, [640_u32.to_le_bytes(), 0x1_0000_u32.to_le_bytes()].concat());
    assert_eq!(
        parse_tags(&[basic]).unwrap().memory.usable_bytes(),
        (63 << 20) - PAGE_SIZE,
        "less the information's page"
    );
    assert_eq!(parse_tags(&[(6, vec![0; 20])]).unwrap_err(), BootError::NoMemoryMap);
    for (entry_bytes, bytes) in [(0, 48), (16, 48), (20, 40), (28, 56), (32, 48), (u32::MAX, 48)] {
        let foreign = [entry_bytes.to_le_bytes(), 0_u32.to_le_bytes()].concat();
        let foreign = parse_tags(&[(6, [foreign, vec![0; bytes]].concat())]);
        assert_eq!(foreign.unwrap_err(), BootError::NoMemoryMap, "entries of {entry_bytes} bytes");
    }
}

#[test]
fn entries_of_the_memory_map_may_be_longer_than_today() {
    let (kind, today) = plain_memory();
    let entries: Vec<u8> = today[8..].chunks(24).flat_map(|entry| [entry, &[0xff; 8]].concat()).collect();
    let longer = (kind, [32_u32.to_le_bytes().to_vec(), vec![0; 4], entries].concat());
    let map = |tag| parse_tags(&[tag]).unwrap().memory;
    assert_eq!(map(longer).regions(), map((kind, today)).regions());
}

#[test]
fn a_kernel_outside_usable_memory_is_noticed() {
    let outside =
        |entries: &[(u64, u64, u32)]| parse_tags(&[memory_map(entries)]).unwrap().loaded_outside_usable_memory;
    assert!(!outside(&[(0, 0x800_0000, 1)]));
    assert!(outside(&[(0, 0x800_0000, 1), (0x1f_f000, 0x1000, 4)]), "in ACPI storage");
    assert!(outside(&[(0, 0x800_0000, 1), (0x1f_f000, 0x1000, 3)]), "in ACPI tables");
    assert!(outside(&[(0x18_0000, 0x800_0000, 1)]), "where there is nothing");
}

#[test]
fn a_module_that_shares_memory_is_left_out() {
    let with_module = |start: u32, end: u32| {
        let module = (3, [start.to_le_bytes(), end.to_le_bytes()].concat());
        let memory = memory_map(&[(0, 0x800_0000, 1), (0x40_0000, 0x1000, 2)]);
        let info = parse_tags(&[memory, module]).unwrap();
        (info.modules.len(), info.tags_left_out)
    };
    assert_eq!(with_module(0x30_0000, 0x31_0000), (1, 0));
    assert_eq!(with_module(0x30_0000, 0x30_0000), (1, 0), "an empty one");
    assert_eq!(with_module(0x1f_0000, 0x21_0000), (0, 1), "with the kernel");
    assert_eq!(with_module(0x3f_0000, 0x41_0000), (0, 1), "with reserved memory");
}

#[test]
fn a_framebuffer_in_memory_is_not_used() {
    let mut tag = framebuffer_tag(1, &[16, 8, 8, 8, 0, 8]);
    tag.1[..8].copy_from_slice(&0x10_0000_u64.to_le_bytes());
    let info = parse_tags(&[plain_memory(), tag.clone()]).unwrap();
    assert_eq!((info.display, info.tags_left_out), (Display::None, 1));
    let aligned = Aligned::new(&structure(&[tag]));
    assert_eq!(aligned.with_bytes(|bytes| display_alone(bytes, &KERNEL)), Display::None);
}

#[test]
fn a_display_is_found_even_where_the_rest_is_of_no_use() {
    let alone =
        |tags: &[(u32, Vec<u8>)]| Aligned::new(&structure(tags)).with_bytes(|bytes| display_alone(bytes, &KERNEL));
    assert_eq!(alone(&[]), Display::TEXT_80X25);
    assert_eq!(alone(&[(12, vec![0; 8])]), Display::None);
    assert!(matches!(alone(&[framebuffer_tag(1, &[16, 8, 8, 8, 0, 8])]), Display::Framebuffer(_)));
}

#[test]
fn a_page_that_two_kinds_share_goes_to_the_one_that_is_never_freed() {
    let mut builder = MapBuilder::default();
    let mut map = MemoryMap::default();
    builder.add(0x3000..0x3500, MemoryKind::AcpiReclaimable).unwrap();
    builder.add(0x3500..0x5000, MemoryKind::Module).unwrap();
    builder.build(&mut map).unwrap();
    assert_eq!(map.regions(), [Region { start: 0x3000, end: 0x5000, kind: MemoryKind::Module }]);
}

/// The regions of the kind that is given back once everything is parsed.
fn boot_information(tags: &[(u32, Vec<u8>)], address: u64) -> Vec<(u64, u64)> {
    let info = Aligned::new(&structure(tags)).with_bytes(|bytes| parse(bytes, address, KERNEL, 1000)).unwrap();
    let regions = info.memory.regions().iter().filter(|region| region.kind == MemoryKind::BootInformation);
    regions.map(|region| (region.start, region.end)).collect()
}

#[test]
fn boot_information_becomes_free_in_whole_pages_of_usable_memory_alone() {
    let memory = |second| memory_map(&[(0, 0xa_0000, 1), (0x10_0000, 0x100_0000, 1), second]);
    let nothing_more = (0x200_0000, 0x1000, 1);
    assert_eq!(boot_information(&[memory(nothing_more)], 0x30_0ff8), [(0x30_0000, 0x30_2000)]);
    let tables_in_the_second_page = (0x30_1800, 0x800, 3);
    assert_eq!(boot_information(&[memory(tables_in_the_second_page)], 0x30_0ff8), [(0x30_0000, 0x30_1000)]);
    assert_eq!(boot_information(&[memory(nothing_more)], 0x1_8000), [], "the first MiB is never free");
    assert_eq!(boot_information(&[memory(nothing_more)], 0x300_0000), [], "nobody said that there is memory");
}

#[test]
fn a_module_that_ends_before_it_starts_is_left_out() {
    let backwards = (3, [0x30_0000_u32.to_le_bytes(), 0x20_0000_u32.to_le_bytes()].concat());
    let info = parse_tags(&[plain_memory(), backwards]).unwrap();
    assert_eq!((info.modules.len(), info.tags_left_out), (0, 1));
}

#[test]
fn a_damaged_rsdp_is_left_out() {
    let info = parse_tags(&[plain_memory(), (14, b"RSD PTR \x01ERESOS\x00\x00\x00\x00\x00".to_vec())]).unwrap();
    assert_eq!((info.rsdp, info.tags_left_out), (None, 1));
}

/// An RSDP of the second version, with true checksums.
fn rsdp_v2(revision: u8, rsdt: u32, xsdt: u64) -> (u32, Vec<u8>) {
    let sum = |bytes: &[u8]| bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let mut rsdp = b"RSD PTR \0ERESOS".to_vec();
    rsdp.push(revision);
    rsdp.extend(rsdt.to_le_bytes());
    rsdp[8] = 0_u8.wrapping_sub(sum(&rsdp));
    rsdp.extend(36_u32.to_le_bytes());
    rsdp.extend(xsdt.to_le_bytes());
    rsdp.extend([0; 4]);
    rsdp[32] = 0_u8.wrapping_sub(sum(&rsdp));
    (15, rsdp)
}

#[test]
fn an_rsdp_leads_to_the_table_that_it_has() {
    let root = |revision, rsdt, xsdt| {
        let info = parse_tags(&[plain_memory(), rsdp_v2(revision, rsdt, xsdt)]).unwrap();
        info.rsdp.map(|rsdp| (rsdp.revision, rsdp.root_table))
    };
    assert_eq!(root(2, 0x7fe_0000, 0x7fe_1000), Some((2, 0x7fe_1000)));
    assert_eq!(root(2, 0, 0x1_0000_0000), Some((2, 0x1_0000_0000)));
    assert_eq!(root(2, 0x7fe_0000, 0), Some((0, 0x7fe_0000)), "no XSDT");
    assert_eq!(root(0, 0x7fe_0000, 0x7fe_1000), Some((0, 0x7fe_0000)), "the XSDT is not of this version");
    assert_eq!(root(2, 0, 0), None);
}

#[test]
fn too_many_entries_are_an_error() {
    let entries: Vec<_> = (0..=MAX_ENTRIES as u64).map(|index| (index * 0x4000, 0x1000, 1)).collect();
    assert_eq!(parse_tags(&[memory_map(&entries)]).unwrap_err(), BootError::TooManyRegions);
}

fn any_kind() -> impl Strategy<Value = MemoryKind> {
    use MemoryKind::*;
    prop::sample::select(vec![
        Usable,
        AcpiReclaimable,
        LowMemory,
        BootInformation,
        Module,
        Kernel,
        AcpiNvs,
        Reserved,
        Bad,
    ])
}

proptest! {
    /// The model: for each byte (of a small space with pages of 4096), the highest kind of all entries that cover it.
    #[test]
    fn the_sweep_agrees_with_looking_at_every_address(
        entries in prop::collection::vec((0_u64..0x20000, 0_u64..0x8000, any_kind()), 0..24),
    ) {
        use MemoryKind::*;
        let mut builder = MapBuilder::default();
        for (start, length, kind) in &entries {
            builder.add(*start..start + length, *kind).unwrap();
        }
        let mut map = MemoryMap::default();
        builder.build(&mut map).unwrap();
        for pair in map.regions().windows(2) {
            prop_assert!(pair[0].end <= pair[1].start);
            prop_assert!(pair[0].end < pair[1].start || pair[0].kind != pair[1].kind, "neighbours are merged");
        }
        for region in map.regions() {
            prop_assert!(region.start < region.end && region.start % PAGE_SIZE == 0 && region.end % PAGE_SIZE == 0);
        }
        let kind_at = |address: u64| {
            let covering = |kind| entries.iter().any(|(start, length, of)| of == kind && (*start..start + length).contains(&address));
            let counts = |kind: &&MemoryKind| !matches!(kind, LowMemory | BootInformation) || covering(&Usable);
            [Bad, Reserved, AcpiNvs, Kernel, Module, LowMemory, AcpiReclaimable, BootInformation, Usable]
                .iter().filter(counts).find(|kind| covering(kind)).copied()
        };
        for page in (0..0x30000).step_by(PAGE_SIZE as usize) {
            let said = map.regions().iter().find(|region| (region.start..region.end).contains(&page)).map(|region| region.kind);
            // Kinds change only at entries' bounds, so those addresses and the page's own stand for all of its bytes.
            let bounds = entries.iter().flat_map(|(start, length, _)| [*start, start + length]).chain([page]);
            let kinds: Vec<_> = bounds.filter(|address| address / PAGE_SIZE == page / PAGE_SIZE).map(kind_at).collect();
            let expected = if kinds.iter().all(|kind| *kind == kinds[0]) {
                kinds[0]
            } else {
                kinds.into_iter().flatten().filter(|kind| !matches!(kind, Usable | BootInformation | LowMemory)).max()
            };
            prop_assert_eq!(said, expected, "page {:#x}", page);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..512), true_size: bool) {
        if true_size && bytes.len() >= 4 {
            let size = bytes.len() as u32;
            bytes[..4].copy_from_slice(&size.to_le_bytes());
        }
        let _ = Aligned::new(&bytes).parse();
    }

    /// Every known type of tag with contents of any length: a sane answer or an error.
    #[test]
    fn tags_of_any_size_make_no_panic(tags in prop::collection::vec((0_u32..24, prop::collection::vec(any::<u8>(), 0..80)), 0..12)) {
        let tags: Vec<_> = [plain_memory()].into_iter().chain(tags).collect();
        if let Ok(info) = parse_tags(&tags) {
            prop_assert!(info.memory.usable_bytes() > 0);
        }
    }

    /// A true structure with a few bytes changed.
    #[test]
    fn flipped_bytes_make_no_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = structure(&[plain_memory(), framebuffer_tag(1, &[16, 8, 8, 8, 0, 8]), (1, b"log=debug\0".to_vec())]);
        for (index, value) in flips {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        let _ = Aligned::new(&bytes).parse();
    }

    /// Entries of a memory map with any addresses: never a region past the limit, never overlap.
    #[test]
    fn huge_and_wrapping_entries_stay_sane(entries in prop::collection::vec((any::<u64>(), any::<u64>(), 0_u32..8), 0..40)) {
        if let Ok(info) = parse_tags(&[memory_map(&entries)]) {
            for pair in info.memory.regions().windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
            prop_assert!(info.memory.top() <= memory_map::ADDRESS_LIMIT);
        }
    }
}

#[test]
fn memory_for_the_log_is_set_aside_where_it_is_free() {
    let bytes = crate::last_log::BYTES as u64;
    for (memory_mib, start_mib) in
        [(128, Some(64)), (96, Some(32)), (64, Some(32)), (48, Some(7)), (16, Some(7)), (4, Some(3)), (3, None)]
    {
        let memory = memory_map(&[(0, 0x9fc00, 1), (0x10_0000, (memory_mib - 1) << 20, 1)]);
        let info = parse_tags(&[memory]).unwrap();
        let (before, pieces) = (info.memory.usable_bytes(), info.memory.usable_pieces());
        let info = info.with_log();
        assert_eq!(info.log, start_mib.map(|start| start << 20..(start << 20) + bytes), "{memory_mib} MiB");
        let taken = if let Some(log) = &info.log { log.end - log.start } else { 0 };
        assert_eq!(info.memory.usable_bytes(), before - taken);
        assert!(info.log.is_none_or(|log| info.memory.is_all(&log, MemoryKind::Log)));
        assert!(info.memory.regions().windows(2).all(|pair| pair[0].end <= pair[1].start));
        assert_eq!(info.memory.usable_pieces(), pieces);
    }
}
