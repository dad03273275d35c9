//! [`BootInfo`] and how it is made from the tags.

use super::command_line::{CommandLine, truncated};
use super::memory_map::{MapBuilder, Marks, MemoryKind, MemoryMap, PAGE_SIZE, TooManyRegions};
use super::tags::{self, ChainError, Tag};
use crate::display::{Display, Framebuffer};
use crate::last_log;
use arrayvec::{ArrayString, ArrayVec};
use core::fmt;
use core::ops::Range;
use multiboot2::{
    BasicMemoryInfoTag, BootLoaderNameTag, CommandLineTag, FramebufferTag, FramebufferType, ModuleTag, RsdpV1Tag,
    RsdpV2Tag, TagType,
};

/// Modules that are kept.
pub const MAX_MODULES: usize = 16;

/// The first MiB, never handed out: BIOS data, video memory, trampolines.
const LOW_MEMORY: Range<u64> = 0..0x10_0000;

/// Our loader's own tag, which any loader may send: the time-stamp counter when the loader started ("ERST").
const LOADER_TSC_TAG: u32 = 0x5453_5245;

/// Everything the loader told, owned and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootInfo {
    /// The loader's name; empty if it gave none.
    pub loader: ArrayString<64>,
    /// What the kernel is asked to do.
    pub command_line: CommandLine,
    /// All physical memory, with everything that is in use marked.
    pub memory: MemoryMap,
    /// Where text can be shown.
    pub display: Display,
    /// Modules in the loader's order.
    pub modules: ArrayVec<Module, MAX_MODULES>,
    /// Where ACPI begins.
    pub rsdp: Option<Rsdp>,
    /// What started the loader.
    pub firmware: Firmware,
    /// Where UEFI's system table is, of 64 bits.
    pub efi_system_table: Option<u64>,
    /// Time-stamp counter when the loader started, if it told, and at the kernel's entry.
    pub loader_tsc: Option<u64>,
    /// Time-stamp counter at the kernel's entry.
    pub entry_tsc: u64,
    /// Tags that were malformed or one too many, and so left out.
    pub tags_left_out: u32,
    /// The kernel or a module lies in memory that the firmware does not call usable.
    pub loaded_outside_usable_memory: bool,
    /// Memory for the log that outlives a warm reset.
    pub log: Option<Range<u64>>,
}

impl BootInfo {
    /// Of a loader that has told nothing.
    pub(super) fn empty(entry_tsc: u64) -> Self {
        Self {
            loader: ArrayString::new(),
            command_line: CommandLine::default(),
            memory: MemoryMap::default(),
            display: Display::None,
            modules: ArrayVec::new(),
            rsdp: None,
            firmware: Firmware::Bios,
            efi_system_table: None,
            loader_tsc: None,
            entry_tsc,
            tags_left_out: 0,
            loaded_outside_usable_memory: false,
            log: None,
        }
    }

    /// Sets memory aside for the log that outlives a warm reset, where the next start will do so too, by whatever loader. Nobody
    /// may have used free memory yet.
    ///
    /// The places are those that neither firmware nor loaders were seen to write to while they start: SeaBIOS and GRUB take memory
    /// from its top, OVMF some 40 MiB from there and below 24 MiB, our own loader right behind the kernel. Other firmware may clear
    /// or use them, as OVMF does with less than 60 MiB, and then nothing outlives a reset.
    #[must_use]
    pub fn with_log(mut self) -> Self {
        const MIB: u64 = 1 << 20;
        let bytes = u64::try_from(last_log::BYTES).unwrap_or(0);
        // With what there must be of memory, so that they are far from its end.
        let places = [(64 * MIB, 120 * MIB), (32 * MIB, 60 * MIB), (7 * MIB, 0), (3 * MIB, 0)];
        let end = self.memory.top();
        let candidates = places.into_iter().filter(|(_, least)| end >= *least);
        let candidates = candidates.map(|(start, _)| start..start.saturating_add(bytes));
        self.log = self.memory.set_aside(candidates, MemoryKind::Log);
        self
    }
}

/// A file that the loader put in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Physical address of its first byte.
    pub start: u64,
    /// Physical address after its last byte.
    pub end: u64,
    /// The words given with it, cut at 64 bytes.
    pub arguments: ArrayString<64>,
}

impl Module {
    /// Bytes in the module.
    pub fn size(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// The root system description pointer (ACPI 6.5 section 5.2.5), its checksum verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rsdp {
    /// 0 for ACPI 1.0, 2 for all later.
    pub revision: u8,
    /// Physical address of the RSDT (revision 0) or XSDT.
    pub root_table: u64,
}

impl Rsdp {
    /// Of its bytes, 20 or more of which are there; `None` if it is none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        const BYTES_OF_1: usize = 20;
        const BYTES_OF_2: usize = 36;
        let adds_up = |bytes: &[u8]| bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)) == 0;
        if !bytes.starts_with(b"RSD PTR ") || !adds_up(bytes.get(..BYTES_OF_1)?) {
            return None;
        }
        let rsdt = Self { revision: 0, root_table: rsdt_address(bytes)? };
        let revision = *bytes.get(15)?;
        let longer = bytes.get(..BYTES_OF_2).filter(|longer| revision >= 2 && adds_up(longer));
        let xsdt = longer.and_then(|longer| longer.get(24..)?.first_chunk().copied().map(u64::from_le_bytes));
        let root = match xsdt {
            Some(address) if address != 0 => Self { revision, root_table: address },
            _ => rsdt,
        };
        (root.root_table != 0).then_some(root)
    }
}

/// What started the loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// A PC BIOS, as far as one can tell: no EFI tag.
    Bios,
    /// UEFI.
    Uefi,
    /// No firmware: a hypervisor put the kernel where it is.
    Hypervisor,
}

impl fmt::Display for Firmware {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Bios => "BIOS",
            Self::Uefi => "UEFI",
            Self::Hypervisor => "a hypervisor",
        })
    }
}

/// Why the kernel cannot go on with what the loader gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// The tags cannot be walked.
    Chain(ChainError),
    /// Neither a memory map nor the amount of upper memory was given in a form that can be read.
    NoMemoryMap,
    /// The memory map has nothing usable beside what is in use.
    NoUsableMemory,
    /// The memory map is too fragmented.
    TooManyRegions,
}

impl fmt::Display for BootError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Chain(ChainError::NotAStructure) => "E30 the boot information is not where the loader said",
            Self::Chain(ChainError::WrongTotalSize) => "E31 the boot information has a wrong total size",
            Self::Chain(ChainError::WrongTagSize) => "E32 a tag of the boot information has an impossible size",
            Self::Chain(ChainError::NoEnd) => "E33 the boot information does not end",
            Self::NoMemoryMap => "E34 the loader gave no memory map",
            Self::NoUsableMemory => "E35 the memory map has no usable memory",
            Self::TooManyRegions => "E36 the memory map has too many regions",
        })
    }
}

impl From<TooManyRegions> for BootError {
    fn from(_: TooManyRegions) -> Self {
        Self::TooManyRegions
    }
}

impl From<ChainError> for BootError {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

/// Parses the information structure `bytes`, which lies at physical address `address`, for a kernel that occupies the
/// physical addresses `kernel` and whose entry ran at `entry_tsc`.
///
/// # Errors
/// [`BootError`] if the chain of tags is broken or there is no memory to work with.
pub fn parse(bytes: &[u8], address: u64, kernel: Range<u64>, entry_tsc: u64) -> Result<BootInfo, BootError> {
    let mut info = BootInfo::empty(entry_tsc);
    let mut memory = MapBuilder::default();
    let mut upper_memory = None;
    let mut framebuffer_seen = false;
    let mut memory_map_seen = false;

    for tag in tags::walk(bytes) {
        let tag = tag?;
        let understood = match TagType::from(multiboot2::TagTypeRaw::new(tag.kind)) {
            TagType::BootLoaderName => loader_name(&tag).map(|name| info.loader = truncated(name)),
            TagType::Cmdline => command_line(&tag).map(|line| info.command_line = CommandLine::new(line)),
            TagType::Module => module(&tag).and_then(|module| info.modules.try_push(module).ok()),
            TagType::BasicMeminfo => {
                tag.view_fixed::<BasicMemoryInfoTag>().map(|tag| upper_memory = Some(tag.memory_upper()))
            }
            TagType::Mmap => match memory_areas(&tag) {
                Some(areas) => {
                    memory_map_seen = true;
                    for area in areas {
                        memory.add(area.start..area.start.saturating_add(area.bytes), area.kind)?;
                    }
                    Some(())
                }
                None => None,
            },
            TagType::Framebuffer => {
                framebuffer_seen = true;
                display(&tag).map(|display| info.display = display)
            }
            TagType::AcpiV1 => rsdp_v1(&tag).map(|rsdp| info.rsdp = info.rsdp.or(Some(rsdp))),
            TagType::AcpiV2 => rsdp_v2(&tag).map(|rsdp| info.rsdp = Some(rsdp)),
            TagType::Efi64 => {
                info.firmware = Firmware::Uefi;
                tag.contents().first_chunk().map(|address| info.efi_system_table = Some(u64::from_le_bytes(*address)))
            }
            TagType::Efi32 | TagType::EfiMmap | TagType::EfiBs | TagType::Efi32Ih | TagType::Efi64Ih => {
                info.firmware = Firmware::Uefi;
                Some(())
            }
            TagType::Custom(LOADER_TSC_TAG) => tag.contents().first_chunk().map(|counter| {
                info.loader_tsc = Some(u64::from_le_bytes(*counter)).filter(|counter| *counter <= entry_tsc);
            }),
            _ => Some(()),
        };
        if understood.is_none() {
            info.tags_left_out = info.tags_left_out.saturating_add(1);
        }
    }

    if !framebuffer_seen && info.firmware == Firmware::Bios {
        info.display = Display::TEXT_80X25;
    }
    if !memory_map_seen {
        // The specification's older, coarser answer: KiB of memory from 1 MiB up to the first hole.
        let kibibytes = upper_memory.ok_or(BootError::NoMemoryMap)?;
        let end = LOW_MEMORY.end.saturating_add(u64::from(kibibytes).saturating_mul(1024));
        memory.add(LOW_MEMORY.start..end, MemoryKind::Usable)?;
    }
    let information = address..address.saturating_add(bytes.len() as u64);
    carve(&mut memory, &mut info, core::slice::from_ref(&information), kernel)?;
    Ok(info)
}

/// Marks what is in use, and leaves out what cannot be where the loader says it is.
pub(super) fn carve(
    memory: &mut MapBuilder,
    info: &mut BootInfo,
    information: &[Range<u64>],
    kernel: Range<u64>,
) -> Result<(), BootError> {
    memory.add(LOW_MEMORY, MemoryKind::LowMemory)?;
    // In whole pages: of those that it shares with free memory nothing is lost, and those shared with firmware stay firmware's.
    let page_mask = PAGE_SIZE.saturating_sub(1);
    for piece in information {
        let pages = piece.start & !page_mask..piece.end.saturating_add(page_mask) & !page_mask;
        memory.add(pages, MemoryKind::BootInformation)?;
    }
    memory.add(kernel.clone(), MemoryKind::Kernel)?;
    for module in &info.modules {
        memory.add(module.start..module.end, MemoryKind::Module)?;
    }
    info.loaded_outside_usable_memory = memory.build(&mut info.memory)? == Marks::ElsewhereToo;
    if info.memory.usable().next().is_none() {
        return Err(BootError::NoUsableMemory);
    }
    // A module that shares memory with the kernel or with firmware is not what the loader put there any more.
    let BootInfo { modules, memory, tags_left_out, display, .. } = info;
    let before = modules.len();
    modules.retain(|module| memory.is_all(&(module.start..module.end), MemoryKind::Module));
    let mut dropped = u32::try_from(before.saturating_sub(modules.len())).unwrap_or(u32::MAX);
    // Clearing a framebuffer that lies in memory would wipe out what is there.
    if let Display::Framebuffer(framebuffer) = display
        && memory
            .regions()
            .iter()
            .any(|region| region.kind.is_ram() && framebuffer.overlaps(&(region.start..region.end)))
    {
        *display = Display::None;
        dropped = dropped.saturating_add(1);
    }
    *tags_left_out = tags_left_out.saturating_add(dropped);
    Ok(())
}

/// Where text can be shown, out of a structure that [`parse`] refused: the display that a tag before the damage describes, or
/// the text mode that every BIOS leaves. `kernel` is what the kernel occupies.
pub fn display_alone(bytes: &[u8], kernel: &Range<u64>) -> Display {
    let mut found = Display::TEXT_80X25;
    for tag in tags::walk(bytes).map_while(Result::ok) {
        match TagType::from(multiboot2::TagTypeRaw::new(tag.kind)) {
            TagType::Framebuffer => {
                return display(&tag).filter(|display| is_clear_of(display, kernel)).unwrap_or(Display::None);
            }
            kind if is_efi(kind) => found = Display::None,
            _ => {}
        }
    }
    found
}

fn is_clear_of(display: &Display, kernel: &Range<u64>) -> bool {
    !matches!(display, Display::Framebuffer(framebuffer) if framebuffer.overlaps(kernel))
}

fn is_efi(kind: TagType) -> bool {
    matches!(
        kind,
        TagType::Efi32 | TagType::Efi64 | TagType::EfiMmap | TagType::EfiBs | TagType::Efi32Ih | TagType::Efi64Ih
    )
}

fn loader_name<'a>(tag: &Tag<'a>) -> Option<&'a str> {
    tag.view::<BootLoaderNameTag>(1)?.name().ok()
}

fn command_line<'a>(tag: &Tag<'a>) -> Option<&'a str> {
    tag.view::<CommandLineTag>(1)?.cmdline().ok()
}

fn module(tag: &Tag<'_>) -> Option<Module> {
    let tag = tag.view::<ModuleTag>(1)?;
    let (start, end) = (u64::from(tag.start_address()), u64::from(tag.end_address()));
    // A module's words are a comfort; one without them is a module all the same.
    let arguments = truncated(tag.cmdline().unwrap_or_default());
    (start <= end).then_some(Module { start, end, arguments })
}

/// An entry of the memory map.
struct MemoryArea {
    start: u64,
    bytes: u64,
    kind: MemoryKind,
}

/// The entries of the memory map. Later versions of the specification may make them longer (section 3.6.8); the crate knows those
/// of today alone.
fn memory_areas<'a>(tag: &Tag<'a>) -> Option<impl Iterator<Item = MemoryArea> + use<'a>> {
    const HEADER: usize = 8;
    const ENTRY: usize = 24;
    let contents = tag.contents();
    let entry_bytes = u32::from_le_bytes(contents.get(..4)?.try_into().ok()?) as usize;
    let entries = contents.get(HEADER..)?;
    if entry_bytes < ENTRY || !entry_bytes.is_multiple_of(8) || !entries.len().is_multiple_of(entry_bytes) {
        return None;
    }
    Some(entries.chunks_exact(entry_bytes).filter_map(|entry| {
        let (start, rest) = entry.split_first_chunk::<8>()?;
        let (bytes, rest) = rest.split_first_chunk::<8>()?;
        let kind = kind_of(u32::from_le_bytes(*rest.first_chunk::<4>()?));
        Some(MemoryArea { start: u64::from_le_bytes(*start), bytes: u64::from_le_bytes(*bytes), kind })
    }))
}

/// Types of the memory map's entries.
pub(super) fn kind_of(kind: u32) -> MemoryKind {
    match kind {
        1 => MemoryKind::Usable,
        3 => MemoryKind::AcpiReclaimable,
        4 => MemoryKind::AcpiNvs,
        5 => MemoryKind::Bad,
        _ => MemoryKind::Reserved,
    }
}

/// `None` for what cannot be shown on: palettes, odd depths, impossible sizes.
fn display(tag: &Tag<'_>) -> Option<Display> {
    /// The six bytes of a direct-colour tag, which the crate reads without asking whether they are there.
    const COLOUR_FIELDS: usize = 6;
    let kind = *tag.contents().get(21)?;
    let tag_view = tag.view::<FramebufferTag>(1)?;
    match kind {
        1 if tag.contents().len() >= 24_usize.checked_add(COLOUR_FIELDS)? => {
            let Ok(FramebufferType::RGB { red, green, blue }) = tag_view.buffer_type() else { return None };
            let field = |field: multiboot2::FramebufferField| (field.position, field.size);
            Framebuffer::new(
                tag_view.address(),
                (tag_view.width(), tag_view.height()),
                tag_view.pitch(),
                tag_view.bpp(),
                [field(red), field(green), field(blue)],
            )
            .map(Display::Framebuffer)
        }
        2 => Display::text(tag_view.address(), tag_view.width(), tag_view.height(), tag_view.pitch()),
        _ => None,
    }
}

fn rsdp_v1(tag: &Tag<'_>) -> Option<Rsdp> {
    let tag = tag.view_fixed::<RsdpV1Tag>()?;
    let valid = tag.signature() == Ok("RSD PTR ") && tag.checksum_is_valid();
    valid.then(|| Rsdp { revision: 0, root_table: tag.rsdt_address() as u64 })
}

fn rsdp_v2(tag: &Tag<'_>) -> Option<Rsdp> {
    let bytes = tag.contents();
    let tag = tag.view_fixed::<RsdpV2Tag>()?;
    let valid = tag.signature() == Ok("RSD PTR ") && tag.checksum_is_valid();
    // Some firmware fills in the older table's address alone (ACPI 6.5 section 5.2.5.3).
    let xsdt = Rsdp { revision: tag.revision(), root_table: tag.xsdt_address() as u64 };
    let rsdt = Rsdp { revision: 0, root_table: rsdt_address(bytes)? };
    let root = if xsdt.revision >= 2 && xsdt.root_table != 0 { xsdt } else { rsdt };
    (valid && root.root_table != 0).then_some(root)
}

/// The address of the older table in an RSDP of either version.
fn rsdt_address(rsdp: &[u8]) -> Option<u64> {
    let bytes = rsdp.get(16..20)?.try_into().ok()?;
    Some(u32::from_le_bytes(bytes).into())
}
