//! ELF headers as bytes of a file that anybody may have written: elf(5).

use crate::errno::Errno;
use core::mem::{offset_of, size_of};
use core::ops::Range;
use linux_raw_sys::elf::{self, Elf_Ehdr, Elf_Phdr};

/// Bytes of the ELF header.
pub const HEADER_BYTES: usize = size_of::<Elf_Ehdr>();

/// Bytes of a program header.
pub const PROGRAM_HEADER_BYTES: usize = size_of::<Elf_Phdr>();

/// More program headers than this many bytes are refused, as Linux does.
const MAX_TABLE_BYTES: usize = 65536;

const ET_EXEC: u16 = 2;

/// Whether a program can be loaded anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// At its own addresses alone (`ET_EXEC`).
    Fixed,
    /// Anywhere: a shared object, of which position-independent programs are a kind (`ET_DYN`).
    Movable,
}

/// What the ELF header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether it can be loaded anywhere.
    pub kind: Kind,
    /// Where it starts to run, before it is moved.
    pub entry: u64,
    table_offset: u64,
    table_count: u16,
}

impl Header {
    /// Reads the header from the first bytes of a file.
    ///
    /// # Errors
    /// [`Errno::ENOEXEC`] if this is not a program for this machine.
    pub fn parse(file: &[u8]) -> Result<Self, Errno> {
        Self::read(file).ok_or(Errno::ENOEXEC)
    }

    fn read(file: &[u8]) -> Option<Self> {
        let identification = [elf::ELFCLASS, elf::ELFDATA, elf::EV_CURRENT];
        if !file.starts_with(&elf::ELFMAG) || file.get(elf::EI_CLASS..=elf::EI_VERSION)? != identification {
            return None;
        }
        let kind = match u16_at(file, offset_of!(Elf_Ehdr, e_type))? {
            ET_EXEC => Kind::Fixed,
            elf::ET_DYN => Kind::Movable,
            _ => return None,
        };
        let machine = u16_at(file, offset_of!(Elf_Ehdr, e_machine))?;
        let entry_bytes = u16_at(file, offset_of!(Elf_Ehdr, e_phentsize))?;
        let header = Self {
            kind,
            entry: u64_at(file, offset_of!(Elf_Ehdr, e_entry))?,
            table_offset: u64_at(file, offset_of!(Elf_Ehdr, e_phoff))?,
            table_count: u16_at(file, offset_of!(Elf_Ehdr, e_phnum))?,
        };
        header.table_offset.checked_add(header.table_bytes() as u64)?;
        let sound = machine == elf::EM_CURRENT
            && usize::from(entry_bytes) == PROGRAM_HEADER_BYTES
            && header.table_count > 0
            && header.table_bytes() <= MAX_TABLE_BYTES;
        sound.then_some(header)
    }

    /// Where in the file the program headers are: at most 64 KiB.
    pub fn table(&self) -> Range<u64> {
        self.table_offset..self.table_offset.saturating_add(self.table_bytes() as u64)
    }

    /// How many program headers there are.
    pub fn table_count(&self) -> u16 {
        self.table_count
    }

    fn table_bytes(&self) -> usize {
        usize::from(self.table_count) * PROGRAM_HEADER_BYTES
    }
}

/// One program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProgramHeader {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub address: u64,
    pub file_bytes: u64,
    pub memory_bytes: u64,
    pub alignment: u64,
}

impl ProgramHeader {
    fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            kind: u32_at(bytes, offset_of!(Elf_Phdr, p_type))?,
            flags: u32_at(bytes, offset_of!(Elf_Phdr, p_flags))?,
            offset: u64_at(bytes, offset_of!(Elf_Phdr, p_offset))?,
            address: u64_at(bytes, offset_of!(Elf_Phdr, p_vaddr))?,
            file_bytes: u64_at(bytes, offset_of!(Elf_Phdr, p_filesz))?,
            memory_bytes: u64_at(bytes, offset_of!(Elf_Phdr, p_memsz))?,
            alignment: u64_at(bytes, offset_of!(Elf_Phdr, p_align))?,
        })
    }

    /// Where in the file its bytes are.
    pub fn file_range(&self) -> Option<Range<u64>> {
        Some(self.offset..self.offset.checked_add(self.file_bytes)?)
    }
}

/// The program headers of `table`, which holds as many bytes as [`Header::table`] says.
pub(super) fn program_headers(table: &[u8]) -> impl Iterator<Item = ProgramHeader> {
    table.chunks_exact(PROGRAM_HEADER_BYTES).filter_map(ProgramHeader::parse)
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().copied().map(u64::from_le_bytes)
}
