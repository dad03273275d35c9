//! The boot information where the loader left it, handed to `logic::boot` once.

use super::frames;
use super::lock::Panicking;
use super::{EARLY_DIRECT_MAP_SIZE, KERNEL_BASE, direct};
use core::ops::Range;
use core::slice;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use logic::boot::pvh::{self, PhysicalMemory};
use logic::boot::tags::{ALIGNMENT, ChainError};
use logic::boot::{BootError, BootInfo, display_alone, parse};
use logic::display::Display;
use logic::seal::{InitramfsError, check_archive};
use spin::Once;
use x86_64::PhysAddr;

/// How the entry of `asm/entry.asm` was called: its own magic number, or 0 for PVH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Protocol(u32);

impl Protocol {
    const PVH: Self = Self(0);
}

/// The largest information structure that is believed; GRUB's are a few KiB.
const MAX_SIZE: u32 = 1 << 20;

static INFORMATION: Once<BootInfo> = Once::new();
static INITRAMFS: Once<Result<(), InitramfsError>> = Once::new();
/// Somebody has it, or had it.
static IS_INITRAMFS_TAKEN: AtomicBool = AtomicBool::new(false);
/// Where the structure is, if it is of tags; 0 before anybody has asked for it.
static ADDRESS: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" {
    // Of linker.ld: only their addresses mean anything.
    static __boot_start: u8;
    static __kernel_start: u8;
    static __kernel_end: u8;
    static __init_start: u8;
    static __init_end: u8;
    static __bss_end: u8;
}

/// Parses the structure at physical address `address` the first time, answers the same ever after.
///
/// # Errors
/// Those of [`parse`], and of an address at which no structure can be.
pub fn information(protocol: Protocol, address: u32, entry_tsc: u64) -> Result<&'static BootInfo, BootError> {
    if protocol == Protocol::PVH {
        return INFORMATION
            .try_call_once(|| Ok(pvh::parse(&EarlyMemory, address.into(), kernel(), entry_tsc)?.with_log()));
    }
    ADDRESS.store(address, Ordering::Relaxed);
    INFORMATION.try_call_once(|| Ok(parse(structure(address)?, address.into(), kernel(), entry_tsc)?.with_log()))
}

/// What the early page tables show, but the kernel itself.
struct EarlyMemory;

impl PhysicalMemory for EarlyMemory {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let end = address.checked_add(length as u64).filter(|end| *end <= EARLY_DIRECT_MAP_SIZE)?;
        let kernel = kernel();
        if address < kernel.end && kernel.start < end {
            return None;
        }
        let start = direct(PhysAddr::new(address))?.as_ptr::<u8>();
        // SAFETY: the range ends below 4 GiB and so lies in the early direct map; nothing writes there before it has been parsed:
        // it does not overlap the kernel, and no other memory was handed out yet.
        Some(unsafe { slice::from_raw_parts(start, length) })
    }
}

/// What [`information`] has answered, if it has.
pub fn known() -> Option<&'static BootInfo> {
    INFORMATION.get()
}

/// Whether the initramfs, which is the first module, is whole. The final page tables must be there, which show all memory.
///
/// # Errors
/// Why it is not to be used.
pub fn check_initramfs(info: &BootInfo) -> Result<(), InitramfsError> {
    *INITRAMFS.call_once(|| module(info).and_then(|module| check_archive(module.bytes)))
}

/// The initramfs. It is there once: what it takes becomes free memory when this is dropped.
pub struct Initramfs {
    module: Module,
    /// It lies in memory that the firmware calls usable.
    is_usable: bool,
}

/// The initramfs, if it is [whole](check_initramfs), for the first who asks.
pub fn take_initramfs(info: &BootInfo) -> Option<Initramfs> {
    check_initramfs(info).ok()?;
    if IS_INITRAMFS_TAKEN.swap(true, Ordering::AcqRel) {
        return None;
    }
    let is_usable = !info.loaded_outside_usable_memory;
    Some(Initramfs { module: module(info).ok()?, is_usable })
}

impl Initramfs {
    /// The archive.
    pub fn bytes(&self) -> &[u8] {
        self.module.bytes
    }
}

impl Drop for Initramfs {
    fn drop(&mut self) {
        let Range { start, end } = self.module.range;
        if !self.is_usable {
            log::debug!("initramfs: the archive stays where it is, in memory that is not known to be usable");
            return;
        }
        match frames::reclaim(start..end) {
            Ok(()) => log::debug!("initramfs: {} KiB of the archive are free memory", (end - start) >> 10),
            Err(error) => log::warn!("initramfs: the archive's memory cannot be reclaimed: {error:?}"),
        }
    }
}

struct Module {
    range: Range<u64>,
    bytes: &'static [u8],
}

/// The first module. Nobody but those two may ask, who see to it that it is not asked for when its memory is free.
fn module(info: &BootInfo) -> Result<Module, InitramfsError> {
    let module = info.modules.first().ok_or(InitramfsError::Missing)?;
    let start = PhysAddr::try_new(module.start).ok().and_then(direct).ok_or(InitramfsError::Missing)?.as_ptr::<u8>();
    // SAFETY: modules that are kept lie in memory that is theirs alone, whose kind is given out by nobody but `Initramfs`, which
    // keeps the bytes to itself till then; the direct map has all of it in one piece.
    let bytes = unsafe { slice::from_raw_parts(start, module.size() as usize) };
    Ok(Module { range: module.start..module.start + module.size(), bytes })
}

/// Where text can be shown when [`information`] is of no use.
pub fn display(protocol: Protocol, address: u32) -> Display {
    if protocol == Protocol::PVH { pvh::display(&EarlyMemory) } else { display_by_tags(address) }
}

fn display_by_tags(address: u32) -> Display {
    structure(address).map_or(Display::TEXT_80X25, |bytes| display_alone(bytes, &kernel()))
}

/// Where a panic can show text before there are page tables of the kernel's own.
pub fn display_in_panic(_: &Panicking) -> Display {
    match known() {
        Some(info) => info.display,
        None => display_by_tags(ADDRESS.load(Ordering::Relaxed)),
    }
}

/// The bytes at `address`, as many as the structure's header says.
fn structure(address: u32) -> Result<&'static [u8], BootError> {
    const NOTHING: BootError = BootError::Chain(ChainError::NotAStructure);
    let start = direct(PhysAddr::new(address.into())).ok_or(NOTHING)?.as_ptr::<u8>();
    if address == 0 || !(address as usize).is_multiple_of(ALIGNMENT) {
        return Err(NOTHING);
    }
    // SAFETY: the direct map covers all of the first 4 GiB, so eight-aligned four bytes of it can be read.
    let size = unsafe { start.cast::<u32>().read_volatile() };
    if size > MAX_SIZE || address.checked_add(size).is_none() {
        return Err(BootError::Chain(ChainError::WrongTotalSize));
    }
    let (start_address, kernel) = (u64::from(address), kernel());
    if start_address < kernel.end && kernel.start < start_address + u64::from(size) {
        return Err(NOTHING);
    }
    // SAFETY: the range ends below 4 GiB and so lies in the direct map; nothing writes there before it has been parsed:
    // it does not overlap the kernel, and no other memory was handed out yet.
    Ok(unsafe { slice::from_raw_parts(start, size as usize) })
}

/// Bytes of memory that the kernel's image takes for good: what only starting needs is not counted.
pub fn image_bytes() -> u64 {
    let bytes = |start: *const u8, end: *const u8| end.addr() as u64 - start.addr() as u64;
    bytes(&raw const __kernel_start, &raw const __bss_end) - bytes(&raw const __init_start, &raw const __init_end)
}

/// Physical addresses of the kernel with its .bss and boot stack.
fn kernel() -> Range<u64> {
    let start = (&raw const __boot_start).addr() as u64;
    let end = (&raw const __kernel_end).addr() as u64;
    start..end - KERNEL_BASE
}
