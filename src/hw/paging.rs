//! The kernel's own page tables: made and switched to before anything else is set up, changed under one lock ever after.
//!
//! - the direct map shows all RAM, not executable, in the largest pages there are; the kernel's code and constants read-only;
//! - the kernel's virtual addresses hold the heap and the areas (stacks, device memory), page by page as they are wanted;
//! - the image is mapped by section; behind it, and at every address of the lower half, is nothing.
//!
//! The tables of levels 4 and, above the half, 3 stay for ever, so that other address spaces can share them by copying level 4.

use super::frames::{self, FRAME_BYTES};
use super::{AREAS, DIRECT_MAP, HEAP, KERNEL_BASE, cpu, direct, ipi};
use arrayvec::ArrayVec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use logic::boot::BootInfo;
use logic::mem::OutOfFrames;
use logic::mem::frames::Zone;
pub use logic::mem::page_table::{Caching, MapError, Mapping, Run, Translation};
use logic::mem::page_table::{PageSize, TableMemory, Tables};
use logic::sync::{IrqLock, Rank};
use x86_64::instructions::tlb;
use x86_64::registers::control::{Cr3, Cr3Flags, Cr4, Cr4Flags};
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{PageTableFlags, PhysFrame};
use x86_64::{PhysAddr, VirtAddr};

unsafe extern "C" {
    // Of linker.ld: only their addresses mean anything.
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_start: u8;
    static __rodata_end: u8;
    static __data_start: u8;
    static __bss_end: u8;
    static __init_start: u8;
    static __init_end: u8;
    static __boot_start: u8;
    static __boot_end: u8;
    static __boot_stack_bottom: u8;
    static __boot_stack_top: u8;
}

/// Pages that are unmapped before the processors are told to forget them.
const BATCH: usize = 256;
/// Tables that unmapping a batch in one piece, or undoing a mapping, can unlink at most: what lies between two pages of a batch, or
/// below one level-3 entry.
const UNLINKED: usize = 8;

static SPACE: IrqLock<Option<Tables>> = IrqLock::new(Rank::KernelSpace, None);
/// Physical address of the level-4 table; 0 while the early tables of `asm/entry.asm` are in use.
static ROOT: AtomicU64 = AtomicU64::new(0);
/// The final tables are in use.
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Page tables where the direct map shows them.
#[derive(Default)]
pub(super) struct Live {
    /// Tables that are no longer linked. Processors may still remember them, so they are freed after the next flush.
    unlinked: ArrayVec<PhysFrame, UNLINKED>,
}

impl Live {
    fn entry(table: PhysFrame, index: usize) -> *mut PageTableEntry {
        let start = direct(table.start_address()).expect("tables are in memory that the direct map shows");
        start.as_mut_ptr::<PageTableEntry>().wrapping_add(index & 0x1ff)
    }
}

impl TableMemory for Live {
    fn read(&self, table: PhysFrame, index: usize) -> PageTableEntry {
        // SAFETY: the entry lies in a frame that holds a table, which only the holder of the lock changes.
        unsafe { Self::entry(table, index).read_volatile() }
    }

    fn first_used(&self, table: PhysFrame, first: usize, last: usize) -> Option<usize> {
        let start = Self::entry(table, 0).cast::<u64>().cast_const();
        // SAFETY: as for `read`, for each entry; 0 is an unused one.
        (first..=last.min(0x1ff)).find(|index| unsafe { start.wrapping_add(*index).read_volatile() } != 0)
    }

    fn write(&mut self, table: PhysFrame, index: usize, entry: PageTableEntry) {
        // SAFETY: as for `read`; `logic::mem::page_table` keeps what is mapped as its caller wants it.
        unsafe { Self::entry(table, index).write_volatile(entry) };
    }

    fn allocate(&mut self) -> Result<PhysFrame, OutOfFrames> {
        // The early direct map ends at 4 GiB.
        let zone = if installed() { Zone::Normal } else { Zone::Dma32 };
        let frame = frames::allocate(0, zone)?;
        frames::zero(frame);
        Ok(frame)
    }

    fn free(&mut self, frame: PhysFrame) {
        if self.unlinked.try_push(frame).is_err() {
            log::warn!("a page table at {frame:?} is lost: too many were unlinked at once");
        }
    }
}

/// Whether the final tables are in use.
pub fn installed() -> bool {
    INSTALLED.load(Ordering::Acquire)
}

/// Takes over free memory, builds the tables and switches to them.
///
/// # Errors
/// [`OutOfFrames`] if there is not enough memory even for them; the early tables stay in use then.
pub fn install(info: &BootInfo) -> Result<(), OutOfFrames> {
    frames::init(info);
    let root = frames::allocate(0, Zone::Dma32)?;
    frames::zero(root);
    let largest = if cpu::has_gibibyte_pages() { PageSize::Huge } else { PageSize::Large };
    let tables = Tables { root, largest, no_execute: cpu::has_no_execute() };
    build(&tables, info).map_err(|_| OutOfFrames)?;
    ROOT.store(root.start_address().as_u64(), Ordering::Release);
    *SPACE.lock() = Some(tables);
    enter();
    INSTALLED.store(true, Ordering::Release);
    Ok(())
}

fn build(tables: &Tables, info: &BootInfo) -> Result<(), MapError> {
    let mut live = Live::default();
    let mut run = 0..0;
    // What the direct map has no room for, the frame allocator has no numbers for either.
    let reach = HEAP.start - DIRECT_MAP;
    let ram = info.memory.regions().iter().filter(|region| region.kind.is_ram() && region.start < reach);
    let ram = ram.map(|region| region.start..region.end.min(reach));
    // Neighbours of different kinds are one piece here. The end ends the last piece.
    let the_end = core::iter::once(u64::MAX..u64::MAX);
    for region in ram.chain(the_end) {
        if region.start == run.end {
            run.end = region.end;
            continue;
        }
        if !run.is_empty() {
            let start = VirtAddr::new(DIRECT_MAP + run.start);
            tables.map(&mut live, start, PhysAddr::new(run.start), run.end - run.start, Mapping::KERNEL_DATA)?;
        }
        run = region;
    }
    let image = |start: *const u8, end: *const u8| VirtAddr::from_ptr(start)..VirtAddr::from_ptr(end);
    let text = image(&raw const __text_start, &raw const __text_end);
    let rodata = image(&raw const __rodata_start, &raw const __rodata_end);
    for (section, mapping) in [
        (text.clone(), Mapping::KERNEL_CODE),
        (rodata.clone(), Mapping::KERNEL_READ),
        (image(&raw const __data_start, &raw const __bss_end), Mapping::KERNEL_DATA),
        (image(&raw const __boot_stack_bottom, &raw const __boot_stack_top), Mapping::KERNEL_DATA),
    ] {
        let physical = PhysAddr::new(section.start.as_u64() - KERNEL_BASE);
        tables.map(&mut live, section.start, physical, section.end - section.start, mapping)?;
    }
    let unwritable = VirtAddr::new(text.start.as_u64() - KERNEL_BASE + DIRECT_MAP);
    tables.protect(&mut live, unwritable, rodata.end - text.start, Mapping::KERNEL_READ.flags)?;
    tables.prepare(&mut live, VirtAddr::new(HEAP.start), AREAS.end - HEAP.start)
}

/// Loads the final tables on this processor.
pub(super) fn enter() {
    load_root(0);
}

/// The kernel's own tables.
pub(super) fn kernel_tables() -> Tables {
    in_space(|tables| *tables)
}

/// Loads the tables of the root at `address`, which have the kernel's half; 0 is the kernel's own.
pub(super) fn load_root(address: u64) {
    let address = if address == 0 { ROOT.load(Ordering::Acquire) } else { address };
    let root = PhysFrame::containing_address(PhysAddr::new(address));
    // SAFETY: the tables map the kernel's code, data and stacks where they are now.
    unsafe { Cr3::write(root, Cr3Flags::empty()) };
}

/// Page tables for processors that start: the kernel's, and the page at `page` executable at its own address. They stay.
pub(super) fn trampoline_tables(page: PhysAddr) -> Result<PhysFrame, OutOfFrames> {
    let root = frames::allocate(0, Zone::Dma32)?;
    frames::zero(root);
    let mut live = Live::default();
    let kernel = PhysFrame::containing_address(PhysAddr::new(ROOT.load(Ordering::Acquire)));
    for index in 256..512 {
        let entry = live.read(kernel, index);
        live.write(root, index, entry);
    }
    let tables = Tables { root, largest: PageSize::Small, no_execute: cpu::has_no_execute() };
    let code = Mapping::cached(PageTableFlags::empty());
    tables.map(&mut live, VirtAddr::new(page.as_u64()), page, FRAME_BYTES, code).map_err(|_| OutOfFrames)?;
    Ok(root)
}

/// Maps fresh memory at `start`, `bytes` bytes in whole pages, writable. Its contents are what they were. No lock may be held.
///
/// # Errors
/// [`OutOfFrames`]; nothing is mapped then.
pub(super) fn map_new(start: VirtAddr, bytes: u64) -> Result<(), OutOfFrames> {
    let mapped = map_some(start, bytes);
    if mapped < bytes {
        unmap_and_free([start..start + mapped]);
        return Err(OutOfFrames);
    }
    Ok(())
}

/// As [`map_new`], but keeps what could be mapped when memory runs out; answers how many bytes that is. Nothing is unmapped, so
/// that no processor need forget anything, and locks may be held.
pub(super) fn map_some(start: VirtAddr, bytes: u64) -> u64 {
    let mut mapped = 0;
    while mapped < bytes {
        let Ok(frame) = frames::allocate(0, Zone::Normal) else { break };
        if map_frame(start + mapped, frame).is_err() {
            frames::free(frame, 0);
            break;
        }
        mapped += FRAME_BYTES;
    }
    mapped
}

/// Maps one frame, writable.
fn map_frame(start: VirtAddr, frame: PhysFrame) -> Result<(), MapError> {
    let mut live = Live::default();
    let result =
        in_space(|tables| tables.map(&mut live, start, frame.start_address(), FRAME_BYTES, Mapping::KERNEL_DATA));
    // Unlike those of larger mappings, tables for a single page are linked last: if it fails, no processor has seen them.
    live.unlinked.into_iter().for_each(|table| frames::free(table, 0));
    result
}

/// Maps `bytes` bytes of physical memory from `physical` on, in whole pages, writable. No lock may be held.
///
/// # Errors
/// [`MapError`]; nothing is mapped then.
pub(super) fn map_device(start: VirtAddr, physical: PhysAddr, bytes: u64, caching: Caching) -> Result<(), MapError> {
    let is_possible = caching != Caching::WriteCombining || cpu::has_page_attributes();
    let caching = if is_possible { caching } else { Caching::Uncached };
    let mapping = Mapping::KERNEL_DATA.with_caching(caching);
    with_tables(|tables, live| tables.map(live, start, physical, bytes, mapping))
}

/// Maps one frame at `start`, among the programs' addresses, with `flags` beside what every page of a program has.
///
/// # Errors
/// [`MapError`]; nothing is mapped then.
#[cfg(feature = "selftest")]
pub(super) fn map_for_programs(start: VirtAddr, frame: PhysFrame, flags: PageTableFlags) -> Result<(), MapError> {
    let mapping = Mapping::cached(flags | PageTableFlags::USER_ACCESSIBLE);
    with_tables(|tables, live| tables.map(live, start, frame.start_address(), FRAME_BYTES, mapping))
}

/// Unmaps `range`, whose frames are somebody else's, on every processor. No lock may be held.
pub(super) fn unmap(range: Range<VirtAddr>) {
    let mut unmapped = Unmapped::default();
    unmapped.unmap(range, false);
    unmapped.forget();
}

/// Unmaps `ranges` on every processor, and gives their frames back. No lock may be held.
pub(super) fn unmap_and_free(ranges: impl IntoIterator<Item = Range<VirtAddr>>) {
    let mut unmapped = Unmapped::default();
    ranges.into_iter().for_each(|range| unmapped.unmap(range, true));
    unmapped.forget();
}

/// What has been unmapped, but processors may still remember: it is freed when all have been told to forget it, in large batches,
/// since to tell them takes longer than all else.
#[derive(Default)]
struct Unmapped {
    frames: ArrayVec<PhysFrame, BATCH>,
    tables: ArrayVec<PhysFrame, { 2 * UNLINKED }>,
    /// From the lowest to the highest address.
    extent: Option<Range<VirtAddr>>,
}

impl Unmapped {
    fn unmap(&mut self, range: Range<VirtAddr>, free: bool) {
        let mut start = range.start;
        while start < range.end {
            if self.frames.is_full() || self.tables.len() > UNLINKED {
                self.forget();
            }
            let end = (start + self.frames.remaining_capacity() as u64 * FRAME_BYTES).min(range.end);
            let extent = self.extent.take().unwrap_or(start..end);
            self.extent = Some(extent.start.min(start)..extent.end.max(end));
            in_space(|tables| {
                let mut live = Live::default();
                tables.unmap(&mut live, start, end - start, |leaf| {
                    if free {
                        // There is room for as many as are between `start` and `end`.
                        let _ = self.frames.try_push(PhysFrame::containing_address(leaf.physical));
                    }
                })?;
                self.tables.extend(live.unlinked);
                Ok::<_, MapError>(())
            })
            .expect("what is unmapped is whole small pages of the kernel's own");
            start = end;
        }
    }

    fn forget(&mut self) {
        if let Some(extent) = self.extent.take() {
            ipi::shoot_down(extent);
        }
        self.frames.drain(..).chain(self.tables.drain(..)).for_each(|frame| frames::free(frame, 0));
    }
}

/// What `address` is mapped to.
pub fn translate(address: VirtAddr) -> Option<Translation> {
    SPACE.lock().as_ref()?.translate(&Live::default(), address)
}

/// Walks the live tables of the kernel, in the order of addresses.
pub fn walk(visit: impl FnMut(&Run)) {
    if let Some(tables) = SPACE.lock().as_ref() {
        tables.walk(&Live::default(), visit);
    }
}

/// Makes this processor forget how the pages in `range` were mapped; everything, if they are more than `many`.
pub(super) fn forget(range: &Range<VirtAddr>, many: u64) {
    let pages = (range.end - range.start).div_ceil(FRAME_BYTES);
    if pages <= many {
        (0..pages).for_each(|page| tlb::flush(range.start + page * FRAME_BYTES));
        return;
    }
    let flags = Cr4::read();
    // SAFETY: clearing and setting PGE only flushes (SDM volume 3 section 4.10.4.1); the tables stay as they are.
    unsafe { Cr4::write(flags - Cr4Flags::PAGE_GLOBAL) };
    // SAFETY: as above.
    unsafe { Cr4::write(flags) };
    tlb::flush_all();
}

/// Unmaps what only starting needed, the early page tables and stacks and the 32-bit entry, and answers where in physical memory
/// that is.
pub(super) fn give_up_start_up_memory() -> [Range<u64>; 2] {
    let init = VirtAddr::from_ptr(&raw const __init_start)..VirtAddr::from_ptr(&raw const __init_end);
    unmap(init.clone());
    // The entry's addresses are physical: it ran before the kernel's were mapped.
    let entry = (&raw const __boot_start).addr() as u64..(&raw const __boot_end).addr() as u64;
    [init.start.as_u64() - KERNEL_BASE..init.end.as_u64() - KERNEL_BASE, entry]
}

/// Unmaps the stack that the kernel began on, and answers where in physical memory it is, the page below it included.
pub(super) fn give_up_boot_stack() -> Range<u64> {
    let stack = VirtAddr::from_ptr(&raw const __boot_stack_bottom)..VirtAddr::from_ptr(&raw const __boot_stack_top);
    unmap(stack.clone());
    (&raw const __bss_end).addr() as u64 - KERNEL_BASE..stack.end.as_u64() - KERNEL_BASE
}

/// Changes the tables. What a failed change had linked and unlinked again, a processor may have seen, so all forget everything
/// before those tables are freed.
fn with_tables<T>(change: impl FnOnce(&Tables, &mut Live) -> Result<T, MapError>) -> Result<T, MapError> {
    let mut live = Live::default();
    let result = in_space(|tables| change(tables, &mut live));
    if !live.unlinked.is_empty() {
        ipi::shoot_down(VirtAddr::new(HEAP.start)..VirtAddr::new(AREAS.end));
        live.unlinked.into_iter().for_each(|frame| frames::free(frame, 0));
    }
    result
}

/// Calls `change` with the final tables, under their lock.
fn in_space<T>(change: impl FnOnce(&Tables) -> T) -> T {
    let space = SPACE.lock();
    change(space.as_ref().expect("the final tables are there before anything is mapped"))
}
