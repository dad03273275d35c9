//! The kernel's heap: crate `talc` over a stretch of kernel virtual memory that grows on demand and does not shrink.
//!
//! Who can act on a failed allocation uses `try_reserve` and the like and sees it; nobody else may allocate what could be large.
//! Growing takes locks of lower rank than the heap's own, so the heap is not locked while it grows.

use super::HEAP;
use super::areas::OutOfMemory;
use super::frames::{self, FRAME_BYTES};
use super::paging;
use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use logic::sync::{IrqLock, Rank};
use talc::DefaultBinning;
use talc::base::Talc;
use talc::source::Manual;
use x86_64::VirtAddr;

/// The heap grows by multiples of this, or by what is asked for if that is more.
const STEP: u64 = 128 * 1024;
/// Room for the allocator's own words beside an allocation that makes it grow.
const OVERHEAD: u64 = 4096;
/// Entries of a page table.
const PAGES_OF_A_TABLE: u64 = 512;

#[global_allocator]
static ALLOCATOR: KernelHeap = KernelHeap;

static TALC: IrqLock<Talc<Manual, DefaultBinning>> = IrqLock::new(Rank::Heap, Talc::new(Manual));
static GROWTH: IrqLock<Growth> = IrqLock::new(Rank::HeapGrowth, Growth { end: HEAP.start, talc_end: None });

struct Growth {
    /// The address after the last that is mapped.
    end: u64,
    /// Where `talc` says that the heap ends.
    talc_end: Option<NonNull<u8>>,
}

// SAFETY: the pointer is only handed back to `talc`, which is behind a lock.
unsafe impl Send for Growth {}

struct KernelHeap;

// SAFETY: `talc` hands out memory as the trait demands, each call behind the lock, from addresses that are mapped for good.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        loop {
            let before = paging_end();
            // SAFETY: the caller vouches that the layout's size is not zero.
            if let Some(found) = unsafe { TALC.lock().allocate(layout) } {
                return found.as_ptr();
            }
            if grow(layout, before).is_err() {
                return ptr::null_mut();
            }
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller vouches that `pointer` came from `alloc` with this layout.
        unsafe { TALC.lock().deallocate(pointer, layout) };
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller vouches for pointer, layout and a new size that is not zero.
        if unsafe { TALC.lock().try_realloc_in_place(pointer, layout, new_size) } {
            return pointer;
        }
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else { return ptr::null_mut() };
        // SAFETY: the new size is not zero.
        let new = unsafe { self.alloc(new_layout) };
        if !new.is_null() {
            // SAFETY: both are valid for the smaller of the two sizes, and the new one is fresh.
            unsafe { ptr::copy_nonoverlapping(pointer, new, layout.size().min(new_size)) };
            // SAFETY: `pointer` came from here with this layout, and is not used any more.
            unsafe { self.dealloc(pointer, layout) };
        }
        new
    }
}

/// There is no memory, or no address space, for more heap.
struct Full;

fn paging_end() -> u64 {
    GROWTH.lock().end
}

/// Makes the heap large enough for `layout`, unless another processor has made it grow since it ended at `before`.
fn grow(layout: Layout, before: u64) -> Result<(), Full> {
    let wanted = (layout.size() as u64).checked_add(layout.align() as u64).and_then(|sum| sum.checked_add(OVERHEAD));
    let wanted = wanted.and_then(|wanted| wanted.checked_next_multiple_of(STEP)).ok_or(Full)?;
    let mut growth = GROWTH.lock();
    if growth.end != before {
        return Ok(());
    }
    // A little is better than nothing when memory is short: only what is asked for, in whole pages.
    let least = (layout.size() as u64).max(OVERHEAD).checked_add(layout.align() as u64 + OVERHEAD).ok_or(Full)?;
    let least = least.checked_next_multiple_of(OVERHEAD).ok_or(Full)?;
    let bytes = [wanted, least].into_iter().find(|bytes| is_room(growth.end, *bytes)).ok_or(Full)?;
    // What has been mapped stays, even if it is less because another processor was faster: to take it back, the others would have
    // to answer, who may be waiting for this lock.
    let bytes = paging::map_some(VirtAddr::new(growth.end), bytes);
    if bytes == 0 {
        return Err(Full);
    }
    let start = VirtAddr::new(growth.end).as_mut_ptr::<u8>();
    growth.end += bytes;
    let end = VirtAddr::new(growth.end).as_mut_ptr::<u8>();
    let mut talc = TALC.lock();
    growth.talc_end = match growth.talc_end {
        // SAFETY: the memory from the old end to the new is freshly mapped, for nobody else.
        Some(old) => Some(unsafe { talc.extend(old, end) }),
        // SAFETY: the memory is freshly mapped, for nobody else.
        None => unsafe { talc.claim(start, bytes as usize) },
    };
    if bytes < least { Err(Full) } else { Ok(()) }
}

/// Whether the heap can grow by `bytes` bytes from `end` on: in addresses, and in frames for the pages and their tables.
fn is_room(end: u64, bytes: u64) -> bool {
    let pages = bytes / FRAME_BYTES;
    let tables = pages.div_ceil(PAGES_OF_A_TABLE) + pages.div_ceil(PAGES_OF_A_TABLE * PAGES_OF_A_TABLE) + 2;
    bytes <= HEAP.end - end && pages + tables <= frames::free_frames()
}

/// Bytes of memory that the heap has taken.
pub fn size() -> u64 {
    paging_end() - HEAP.start
}

/// Calls `action` while the heap is locked, as it is while it is changed.
pub fn while_locked(action: impl FnOnce()) {
    let _talc = TALC.lock();
    action();
}

/// Makes sure that the heap has room for one more object of `bytes` bytes: for callers whose objects are made by functions that
/// cannot fail. Another processor may take the room first, so this is as good as certain, not certain.
///
/// # Errors
/// [`OutOfMemory`] if there is no such room.
pub fn ensure(bytes: usize) -> Result<(), OutOfMemory> {
    let mut probe = Vec::<u8>::new();
    probe.try_reserve_exact(bytes).map_err(|_| OutOfMemory)
}
