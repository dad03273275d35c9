//! A window for device memory wherever it lies: 1 GiB of address space in 2 MiB pages, given out once and never taken back.

use super::{DIRECT_MAP, KERNEL_BASE};
use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicUsize, Ordering};
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{PageTable, PageTableFlags};
use x86_64::{PhysAddr, VirtAddr};

/// Where the window is mapped (`asm/entry.asm`).
const WINDOW: u64 = 0xffff_c000_0000_0000;

const PAGE: u64 = 2 << 20;
const PAGES: usize = 512;

unsafe extern "C" {
    /// The window's page directory in `asm/entry.asm`.
    static pd_window: PageTable;
}

/// Entries of the page directory that are in use.
static USED: AtomicUsize = AtomicUsize::new(0);

/// Maps `bytes` bytes of physical memory at `address`, writable, not executable where the CPU can say so. `None` if the
/// window is full, `bytes` is 0, or the processor has no such addresses: a page-table entry with one of them faults.
pub(super) fn map(address: PhysAddr, bytes: u64) -> Option<VirtAddr> {
    map_with(address, bytes, PageTableFlags::empty())
}

/// The same, never cached: for registers.
pub(super) fn map_uncached(address: PhysAddr, bytes: u64) -> Option<VirtAddr> {
    map_with(address, bytes, PageTableFlags::NO_CACHE | PageTableFlags::WRITE_THROUGH)
}

fn map_with(address: PhysAddr, bytes: u64, caching: PageTableFlags) -> Option<VirtAddr> {
    let end = address.as_u64().checked_add(bytes)?;
    if end > 1 << physical_address_bits() {
        return None;
    }
    let offset = address.as_u64() % PAGE;
    let pages = usize::try_from(offset.checked_add(bytes)?.div_ceil(PAGE)).ok().filter(|_| bytes > 0)?;
    let first = USED
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| used.checked_add(pages).filter(|end| *end <= PAGES))
        .ok()?;
    let table = (&raw const pd_window).addr() as u64 - KERNEL_BASE + DIRECT_MAP;
    let table = VirtAddr::new(table).as_mut_ptr::<PageTableEntry>();
    let flags = PageTableFlags::PRESENT | PageTableFlags::WRITABLE | PageTableFlags::HUGE_PAGE | no_execute() | caching;
    for page in 0..pages {
        let mut entry = PageTableEntry::new();
        entry.set_addr(address - offset + page as u64 * PAGE, flags);
        // SAFETY: `fetch_update` gave the entries from `first` on to this call alone; there are 512 and none is passed.
        let slot = unsafe { table.add(first + page) };
        // SAFETY: the slot lies in the page directory, which the direct map makes writable. It was not present, so that
        // the processor cannot hold it in its buffers.
        unsafe { slot.write_volatile(entry) };
    }
    Some(VirtAddr::new(WINDOW + first as u64 * PAGE + offset))
}

/// SDM volume 2, CPUID leaf 80000008h: bits of a physical address; 36 where the leaf is not there.
fn physical_address_bits() -> u32 {
    const LEAF: u32 = 0x8000_0008;
    if __cpuid(0x8000_0000).eax >= LEAF { (__cpuid(LEAF).eax & 0xff).clamp(32, 52) } else { 36 }
}

/// NX where the entry code has enabled it.
fn no_execute() -> PageTableFlags {
    use x86_64::registers::model_specific::{Efer, EferFlags};
    if Efer::read().contains(EferFlags::NO_EXECUTE_ENABLE) {
        PageTableFlags::NO_EXECUTE
    } else {
        PageTableFlags::empty()
    }
}
