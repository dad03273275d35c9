//! Flattens the kernel: its ELF64 segments become the one run of bytes that stage 2 copies to one address.
//!
//! Invariants of what is accepted: an x86-64 executable that needs no relocation, every segment between 1 and 16 MiB
//! of physical memory, no two overlapping, the entry inside one, a valid Multiboot2 header in front. Segments go to
//! their physical addresses, as GRUB puts them.

use crate::Result;
use crate::layout::Framebuffer;
use crate::multiboot_header;
use elf::ElfBytes;
use elf::abi::{EM_X86_64, ET_EXEC, PT_LOAD};
use elf::endian::LittleEndian;
use elf::file::Class;

/// Low memory is the loader's and the BIOS's.
const LOWEST: u64 = 1 << 20;
/// The ISA hole may begin here, and it keeps a damaged file from asking for terabytes.
const HIGHEST: u64 = 16 << 20;

/// A kernel as stage 2 wants it.
#[derive(Debug, PartialEq, Eq)]
pub struct FlatKernel {
    pub load_address: u32,
    /// Without the zeros at its end: they are part of .bss.
    pub bytes: Vec<u8>,
    /// Physical address behind .bss.
    pub end: u32,
    /// Physical address.
    pub entry: u32,
    pub framebuffer: Option<Framebuffer>,
}

/// One PT_LOAD segment after the checks: addresses are sane and ends do not overflow.
struct Segment<'a> {
    virtual_start: u64,
    start: u64,
    end: u64,
    bytes: &'a [u8],
}

/// Reads and checks an ELF file.
pub fn flatten(file: &[u8]) -> Result<FlatKernel> {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(file).map_err(|error| format!("not an ELF file: {error}"))?;
    let header = elf.ehdr;
    if header.class != Class::ELF64 || header.e_machine != EM_X86_64 {
        return Err("not an ELF64 file for x86-64".to_string());
    }
    if header.e_type != ET_EXEC {
        return Err("not an executable at fixed addresses (link it with relocation-model=static)".to_string());
    }
    let segments = segments(&elf)?;
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
        return Err("nothing to load".to_string());
    };
    let bytes = flat_bytes(&segments, first.start)?;
    let wishes = multiboot_header::read(&bytes)?;
    let entry = match wishes.entry {
        Some(physical) => physical.into(),
        None => physical_entry(&segments, header.e_entry).ok_or_else(|| outside(header.e_entry))?,
    };
    if !segments.iter().any(|segment| (segment.start..segment.end).contains(&entry)) {
        return Err(outside(entry));
    }
    Ok(FlatKernel {
        load_address: address(first.start)?,
        bytes,
        end: address(last.end)?,
        entry: address(entry)?,
        framebuffer: wishes.framebuffer,
    })
}

/// The segments that take memory, by physical address, checked.
fn segments<'a>(elf: &ElfBytes<'a, LittleEndian>) -> Result<Vec<Segment<'a>>> {
    let table = elf.segments().ok_or("no program headers")?;
    let mut segments = Vec::new();
    for header in table.iter().filter(|header| header.p_type == PT_LOAD && header.p_memsz != 0) {
        let start = header.p_paddr;
        if header.p_filesz > header.p_memsz {
            return Err(format!("the segment at {start:#x} is longer in the file than in memory"));
        }
        let end = start
            .checked_add(header.p_memsz)
            .filter(|&end| start >= LOWEST && end <= HIGHEST)
            .ok_or_else(|| format!("the segment at {start:#x} is not between 1 MiB and 16 MiB"))?;
        let bytes = elf.segment_data(&header).map_err(|error| format!("the segment at {start:#x}: {error}"))?;
        segments.push(Segment { virtual_start: header.p_vaddr, start, end, bytes });
    }
    segments.sort_by_key(|segment| segment.start);
    match segments.windows(2).find(|pair| pair[0].end > pair[1].start) {
        Some(pair) => Err(format!("the segments at {:#x} and {:#x} overlap", pair[0].start, pair[1].start)),
        None => Ok(segments),
    }
}

/// The segments' bytes in their places, and without the zeros at the end.
fn flat_bytes(segments: &[Segment], load_address: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for segment in segments {
        let at = usize::try_from(segment.start - load_address).map_err(|error| error.to_string())?;
        bytes.resize(at, 0);
        bytes.extend(segment.bytes);
    }
    let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(used);
    Ok(bytes)
}

fn outside(entry: u64) -> String {
    format!("the entry {entry:#x} is outside the kernel")
}

/// The physical address of `e_entry`, which as in GRUB is a virtual address in one of the segments.
fn physical_entry(segments: &[Segment], entry: u64) -> Option<u64> {
    segments.iter().find_map(|segment| {
        let offset = entry.checked_sub(segment.virtual_start)?;
        (offset < segment.end - segment.start).then_some(segment.start + offset)
    })
}

fn address(value: u64) -> Result<u32> {
    u32::try_from(value).map_err(|_| format!("the address {value:#x} is above 4 GiB"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multiboot_header::tests::{header, words};
    use proptest::prelude::*;

    /// A segment of a made-up file: virtual and physical address, bytes, size in memory.
    struct Load(u64, u64, Vec<u8>, u64);

    fn elf_file(entry: u64, loads: &[Load]) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        file.extend([entry, 64, 0].iter().flat_map(|number| number.to_le_bytes()));
        file.extend([0, 0, 0, 0, 64, 0, 56, 0, loads.len() as u8, 0, 64, 0, 0, 0, 0, 0]);
        let mut offset = file.len() + 56 * loads.len();
        for Load(virtual_address, physical, bytes, memory) in loads {
            file.extend([1, 0, 0, 0, 7, 0, 0, 0]);
            let numbers = [offset as u64, *virtual_address, *physical, bytes.len() as u64, *memory, 1];
            file.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            offset += bytes.len();
        }
        loads.iter().for_each(|load| file.extend(&load.2));
        file
    }

    const HIGH_HALF: u64 = 0xffff_ffff_8000_0000;

    fn good_loads() -> Vec<Load> {
        let boot = [header(&[(5, 1, &words(&[1024, 768, 32]))]), vec![0x90; 100]].concat();
        vec![
            Load(HIGH_HALF + 0x20_0000, 0x20_0000, vec![7, 8, 9, 0, 0], 0x3000),
            Load(0x10_0000, 0x10_0000, boot, 0x1000),
        ]
    }

    #[test]
    fn segments_go_to_their_physical_addresses_and_zeros_at_the_end_to_bss() {
        let kernel = flatten(&elf_file(0x10_0050, &good_loads())).unwrap();
        assert_eq!((kernel.load_address, kernel.end, kernel.entry), (0x10_0000, 0x20_3000, 0x10_0050));
        assert_eq!(kernel.bytes.len(), 0x10_0003);
        assert_eq!(kernel.bytes[0x10_0000..], [7, 8, 9]);
        assert_eq!(kernel.framebuffer, Some(Framebuffer { width: 1024, height: 768, depth: 32 }));
    }

    #[test]
    fn the_entry_is_translated_from_virtual_to_physical() {
        let entry = |address| flatten(&elf_file(address, &good_loads())).map(|kernel| kernel.entry);
        assert_eq!(entry(HIGH_HALF + 0x20_0002), Ok(0x20_0002));
        assert!(entry(0x20_0002).unwrap_err().contains("outside"), "physical where the segment is not");
        assert!(entry(HIGH_HALF).unwrap_err().contains("outside"));
        assert!(entry(0x10_1000).unwrap_err().contains("outside"));
        let mut loads = good_loads();
        loads[1].2 = [header(&[(3, 0, &words(&[0x20_0001]))]), vec![1]].concat();
        assert_eq!(flatten(&elf_file(0, &loads)).unwrap().entry, 0x20_0001);
    }

    #[test]
    fn files_that_cannot_be_loaded_are_refused_with_the_reason() {
        let refused = |change: &dyn Fn(&mut Vec<Load>)| {
            let mut loads = good_loads();
            change(&mut loads);
            flatten(&elf_file(0x10_0050, &loads)).unwrap_err()
        };
        assert!(refused(&|loads| loads[0].1 = 0xf_f000).contains("between"));
        assert!(refused(&|loads| loads[0].1 = 0xff_e000).contains("between"));
        assert!(refused(&|loads| loads[0].3 = u64::MAX).contains("between"));
        assert!(refused(&|loads| loads[0].1 = 0x10_0800).contains("overlap"));
        assert!(refused(&|loads| loads[0].3 = 2).contains("longer"));
        assert!(refused(&|loads| loads[1].2[0] ^= 1).contains("Multiboot2"));
        assert!(flatten(&elf_file(0x10_0050, &[])).is_err());
        let mut file = elf_file(0x10_0050, &good_loads());
        file[18] = 3;
        assert!(flatten(&file).unwrap_err().contains("x86-64"));
        file[18] = 62;
        file[16] = 3;
        assert!(flatten(&file).unwrap_err().contains("relocation-model"));
        assert!(flatten(b"").is_err());
        assert!(flatten(&elf_file(0x10_0050, &good_loads())[..300]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1024)) {
            prop_assert!(flatten(&bytes).is_err());
        }

        #[test]
        fn a_damaged_file_never_panics_and_never_gives_an_impossible_kernel(
            damage in proptest::collection::vec((0usize..500, any::<u8>()), 1..8),
            length in 0usize..600,
        ) {
            let mut file = elf_file(0x10_0050, &good_loads());
            for (at, value) in damage {
                if let Some(byte) = file.get_mut(at) {
                    *byte = value;
                }
            }
            file.truncate(length.max(200));
            if let Ok(kernel) = flatten(&file) {
                prop_assert!(kernel.load_address >= 1 << 20 && kernel.end <= 16 << 20);
                prop_assert!((kernel.load_address..kernel.end).contains(&kernel.entry));
                prop_assert!(kernel.bytes.len() as u64 <= u64::from(kernel.end - kernel.load_address));
            }
        }
    }
}
