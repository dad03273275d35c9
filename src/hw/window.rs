//! Device memory wherever it lies: among the kernel's areas or, while the early page tables are in use, in a window of 1 GiB in
//! 2 MiB pages, given out once and forgotten with them.

use super::paging::Caching;
use super::{DIRECT_MAP, KERNEL_BASE, areas, boot, cpu, paging};
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

/// Maps `bytes` bytes of physical memory at `address`, writable, not executable where the CPU can say so, for good. `None` if
/// there is no room, `bytes` is 0, or the processor has no such addresses: a page-table entry with one of them faults. `None` too
/// for RAM as device memory, whatever firmware's tables or a device say: it is somebody's, and cached elsewhere.
pub(super) fn map(address: PhysAddr, bytes: u64, caching: Caching) -> Option<VirtAddr> {
    if caching != Caching::WriteBack && is_ram(address.as_u64(), bytes) {
        return None;
    }
    if paging::installed() {
        return areas::map_device(address, bytes, caching);
    }
    let cache_flags = match caching {
        Caching::Uncached => PageTableFlags::NO_CACHE | PageTableFlags::WRITE_THROUGH,
        _ => PageTableFlags::empty(),
    };
    let end = address.as_u64().checked_add(bytes)?;
    if end > 1 << cpu::physical_address_bits() {
        return None;
    }
    let offset = address.as_u64() % PAGE;
    let pages = usize::try_from(offset.checked_add(bytes)?.div_ceil(PAGE)).ok().filter(|_| bytes > 0)?;
    let first = USED
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| used.checked_add(pages).filter(|end| *end <= PAGES))
        .ok()?;
    let table = (&raw const pd_window).addr() as u64 - KERNEL_BASE + DIRECT_MAP;
    let table = VirtAddr::new(table).as_mut_ptr::<PageTableEntry>();
    let flags =
        PageTableFlags::PRESENT | PageTableFlags::WRITABLE | PageTableFlags::HUGE_PAGE | no_execute() | cache_flags;
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

/// Whether some of the range is RAM by the memory map.
fn is_ram(start: u64, bytes: u64) -> bool {
    let end = start.saturating_add(bytes);
    let regions = boot::known().into_iter().flat_map(|info| info.memory.regions());
    regions.filter(|region| region.kind.is_ram()).any(|region| region.start < end && start < region.end)
}

/// NX where the entry code has enabled it.
fn no_execute() -> PageTableFlags {
    if cpu::has_no_execute() { PageTableFlags::NO_EXECUTE } else { PageTableFlags::empty() }
}
