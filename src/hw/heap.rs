//! The kernel's heap: crate `talc` over a stretch of kernel virtual memory that grows on demand and does not shrink. Objects of whole pages
//! are blocks of frames instead, where there are such.
//!
//! Who can act on a failed allocation uses `try_reserve` and the like and sees it; nobody else may allocate what could be large.
//! Growing takes locks of lower rank than the heap's own, so the heap is not locked while it grows.

use super::areas::OutOfMemory;
use super::frames::{self, FRAME_BYTES};
use super::paging;
use super::{DIRECT_MAP, HEAP, direct};
use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use logic::mem::frames::{MAX_ORDER, Zone};
use logic::sync::{IrqLock, Rank};
use talc::DefaultBinning;
use talc::base::Talc;
use talc::source::Manual;
use x86_64::structures::paging::PhysFrame;
use x86_64::{PhysAddr, VirtAddr};

/// The heap grows by multiples of this, or by what is asked for if that is more.
const STEP: u64 = 128 * 1024;
/// Room for the allocator's own words beside an allocation that makes it grow.
const OVERHEAD: u64 = 4096;
/// Entries of a page table.
const PAGES_OF_A_TABLE: u64 = 512;

#[global_allocator]
static ALLOCATOR: KernelHeap = KernelHeap;

static TALC: IrqLock<Talc<Manual, DefaultBinning>> = IrqLock::new(Rank::Heap, Talc::new(Manual));
static GROWTH: IrqLock<Growth> = IrqLock::new(Rank::HeapGrowth, Growth { talc_end: None });
/// The address after the last that is mapped. Changed by who holds [`GROWTH`].
static END: AtomicU64 = AtomicU64::new(HEAP.start);

/// Bytes in blocks of frames that are objects.
static BLOCK_BYTES: AtomicU64 = AtomicU64::new(0);

/// Pieces of the heap that are set aside: what cannot fail lives on them once there is nothing else, until [`ensure`] says so.
static RESERVE: [AtomicPtr<u8>; 4] = [const { AtomicPtr::new(ptr::null_mut()) }; 4];
const PIECE: Layout = match Layout::from_size_align(32 * 1024, 16) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

struct Growth {
    /// Where `talc` says that the heap ends.
    talc_end: Option<NonNull<u8>>,
}

// SAFETY: the pointer is only handed back to `talc`, which is behind a lock.
unsafe impl Send for Growth {}

struct KernelHeap;

// SAFETY: `talc` hands out memory as the trait demands, each call behind the lock, from addresses that are mapped for good.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(block) = order_of(layout).and_then(allocate_block) {
            return block;
        }
        loop {
            // SAFETY: the caller vouches that the layout's size is not zero.
            let found = unsafe { allocate(layout) };
            if let Some(found) = found {
                return found.as_ptr();
            }
            if layout.size() > PIECE.size() || !spend_piece() {
                return ptr::null_mut();
            }
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match (block_at(pointer), order_of(layout)) {
            (Some(first), Some(order)) => {
                BLOCK_BYTES.fetch_sub(FRAME_BYTES << order, Ordering::Relaxed);
                frames::free(first, order);
            }
            // SAFETY: the caller vouches that `pointer` came from `alloc` with this layout, and it is no block.
            _ => unsafe { TALC.lock().deallocate(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else { return ptr::null_mut() };
        let stays = match block_at(pointer) {
            Some(_) => order_of(layout) == order_of(new_layout),
            // SAFETY: the caller vouches for pointer, layout and a new size that is not zero.
            None => unsafe { TALC.lock().try_realloc_in_place(pointer, layout, new_size) },
        };
        if stays {
            return pointer;
        }
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

/// The order of a block of frames that is about as large as an object is to be: such objects are blocks, if there are any, so that their
/// memory is anybody's again when they are gone.
fn order_of(layout: Layout) -> Option<u8> {
    let size = layout.size() as u64;
    if size < FRAME_BYTES || layout.align() as u64 > FRAME_BYTES {
        return None;
    }
    let frames = size.div_ceil(FRAME_BYTES).checked_next_power_of_two()?;
    let order = u8::try_from(frames.trailing_zeros()).ok().filter(|order| *order <= MAX_ORDER)?;
    (frames * FRAME_BYTES - size <= size / 4).then_some(order)
}

/// A block of frames, where the direct map shows it.
fn allocate_block(order: u8) -> Option<*mut u8> {
    if !paging::installed() {
        return None;
    }
    let first = frames::allocate(order, Zone::Normal).ok()?;
    BLOCK_BYTES.fetch_add(FRAME_BYTES << order, Ordering::Relaxed);
    direct(first.start_address()).map(VirtAddr::as_mut_ptr)
}

/// The first frame of the block that is an object; `None` if it lies in the heap's own addresses.
fn block_at(pointer: *mut u8) -> Option<PhysFrame> {
    let address = pointer.addr() as u64;
    (address < HEAP.start).then(|| PhysFrame::containing_address(PhysAddr::new(address - DIRECT_MAP)))
}

/// Allocates, and makes the heap grow for that.
///
/// # Safety
/// The layout's size is not zero.
unsafe fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    loop {
        let before = END.load(Ordering::Acquire);
        // SAFETY: as the caller promises.
        let found = unsafe { TALC.lock().allocate(layout) };
        if found.is_some() || grow(layout, before).is_err() {
            return found;
        }
    }
}

/// Makes a piece of the reserve free memory; false if none is left.
fn spend_piece() -> bool {
    let pieces = RESERVE.iter().map(|place| place.swap(ptr::null_mut(), Ordering::AcqRel));
    let Some(piece) = pieces.filter_map(NonNull::new).next() else { return false };
    // SAFETY: the piece came from `allocate` with this layout, and its place has it no more.
    unsafe { TALC.lock().deallocate(piece.as_ptr(), PIECE) };
    true
}

/// Sets a piece aside, if that is missing; false if it cannot be had.
fn set_aside(place: &AtomicPtr<u8>) -> bool {
    if !place.load(Ordering::Acquire).is_null() {
        return true;
    }
    // SAFETY: a piece's size is not zero.
    let Some(piece) = (unsafe { allocate(PIECE) }) else { return false };
    let placed = place.compare_exchange(ptr::null_mut(), piece.as_ptr(), Ordering::AcqRel, Ordering::Acquire);
    if placed.is_err() {
        // SAFETY: the piece came from `allocate` with this layout; another processor has set one aside meanwhile.
        unsafe { TALC.lock().deallocate(piece.as_ptr(), PIECE) };
    }
    true
}

/// Makes the heap large enough for `layout`, unless another processor has made it grow since it ended at `before`.
fn grow(layout: Layout, before: u64) -> Result<(), Full> {
    let wanted = (layout.size() as u64).checked_add(layout.align() as u64).and_then(|sum| sum.checked_add(OVERHEAD));
    let wanted = wanted.and_then(|wanted| wanted.checked_next_multiple_of(STEP)).ok_or(Full)?;
    let mut growth = GROWTH.lock();
    let end = END.load(Ordering::Acquire);
    if end != before {
        return Ok(());
    }
    // A little is better than nothing when memory is short: only what is asked for, in whole pages.
    let least = (layout.size() as u64).max(OVERHEAD).checked_add(layout.align() as u64 + OVERHEAD).ok_or(Full)?;
    let least = least.checked_next_multiple_of(OVERHEAD).ok_or(Full)?;
    let bytes = [wanted, least].into_iter().find(|bytes| is_room(end, *bytes)).ok_or(Full)?;
    // What has been mapped stays, even if it is less because another processor was faster: to take it back, the others would have
    // to answer, who may be waiting for this lock.
    let bytes = paging::map_some(VirtAddr::new(end), bytes);
    if bytes == 0 {
        return Err(Full);
    }
    let start = VirtAddr::new(end).as_mut_ptr::<u8>();
    let end = end + bytes;
    END.store(end, Ordering::Release);
    let end = VirtAddr::new(end).as_mut_ptr::<u8>();
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
    mapped() + BLOCK_BYTES.load(Ordering::Relaxed)
}

/// Bytes of its own addresses at which the heap has memory.
pub fn mapped() -> u64 {
    END.load(Ordering::Acquire) - HEAP.start
}

/// Calls `action` while the heap is locked, as it is while it is changed.
pub fn while_locked(action: impl FnOnce()) {
    let _talc = TALC.lock();
    action();
}

/// Makes sure that the heap has room for what the caller makes by functions that cannot fail, `bytes` bytes of it: more than that are
/// set aside for such callers. Other processors may take them at the same time, so this is as good as certain, not certain.
///
/// # Errors
/// [`OutOfMemory`] if there is no such room.
pub fn ensure(bytes: usize) -> Result<(), OutOfMemory> {
    if !RESERVE.iter().all(set_aside) {
        return Err(OutOfMemory);
    }
    if bytes <= PIECE.size() {
        return Ok(());
    }
    let mut probe = Vec::<u8>::new();
    probe.try_reserve_exact(bytes).map_err(|_| OutOfMemory)
}
