//! Free page frames: `logic::mem::frames` behind a lock, with a cache for each processor in front of it.

use super::direct;
use super::percpu;
use core::ops::Range;
use core::slice;
use core::sync::atomic::AtomicU32;
use logic::boot::BootInfo;
use logic::mem::OutOfFrames;
use logic::mem::frames::{
    AddError, Batch, CountError, FrameAllocator, FrameRecord, RecordMemory, RefCounts, SectionRecords, Statistics, Zone,
};
use logic::sync::{IrqLock, Rank};
use x86_64::structures::paging::PhysFrame;

/// Bytes in a frame.
pub const FRAME_BYTES: u64 = 4096;

/// Free frames that programs leave to the kernel, so that it has memory to go on with when theirs has run out.
const KERNEL_FRAMES: u64 = 512;

static COUNTS: RefCounts = RefCounts::new();
static FRAMES: IrqLock<FrameAllocator> = IrqLock::new(Rank::FrameAllocator, FrameAllocator::new());

/// Makes records where the direct map shows the frames.
struct DirectMap;

impl RecordMemory for DirectMap {
    fn records(&mut self, first: PhysFrame, frames: usize, count: usize) -> SectionRecords {
        let start = direct(first.start_address()).expect("free memory is in the direct map").as_mut_ptr::<u8>();
        // SAFETY: the frames are free memory that the allocator gives away for this, and the direct map shows them.
        unsafe { start.write_bytes(0, frames * FRAME_BYTES as usize) };
        // SAFETY: the records lie in those frames, aligned; zeros are valid ones; nothing else refers to them, ever.
        let records = unsafe { slice::from_raw_parts_mut(start.cast::<FrameRecord>(), count) };
        // SAFETY: the counts' words follow the records within the same frames (`record_frames` counts both).
        let counts = unsafe { start.add(count * size_of::<FrameRecord>()) };
        // SAFETY: as for the records; 12-byte records keep the counts' alignment of four.
        let counts = unsafe { slice::from_raw_parts(counts.cast::<AtomicU32>(), count) };
        SectionRecords { frames: records, counts }
    }
}

/// Takes over the free memory of the memory map. Called once, before all else here.
pub(super) fn init(info: &BootInfo) {
    FRAMES.lock().initialise(&info.memory, &COUNTS);
}

/// Takes a block of 2^`order` frames whose contents are what they were.
///
/// # Errors
/// [`OutOfFrames`] if there is no such block, whoever's cache is searched.
pub fn allocate(order: u8, zone: Zone) -> Result<PhysFrame, OutOfFrames> {
    if order == 0 && zone == Zone::Normal {
        return allocate_one(0);
    }
    let first = FRAMES.lock().allocate(order, zone, &mut DirectMap);
    first.or_else(|_| {
        drain_caches();
        FRAMES.lock().allocate(order, zone, &mut DirectMap)
    })
}

/// Takes one frame for what a program decides the amount of; its contents are what they were.
///
/// # Errors
/// [`OutOfFrames`] if there are not more than the kernel needs.
pub(super) fn allocate_for_program() -> Result<PhysFrame, OutOfFrames> {
    allocate_one(KERNEL_FRAMES)
}

/// Takes one frame, by way of this processor's cache, unless no more than `least` would be left, not counting what processors keep.
fn allocate_one(least: u64) -> Result<PhysFrame, OutOfFrames> {
    {
        let mut cache = percpu::current().frames.lock();
        if let Some(frame) = cache.take(&COUNTS) {
            return Ok(frame);
        }
        let mut frames = FRAMES.lock();
        if frames.free_frames() > least {
            cache
                .refill(&COUNTS, || frames.allocate(0, Zone::Normal, &mut DirectMap).ok())
                .expect("the allocator gives its own frames");
        }
        if let Some(frame) = cache.take(&COUNTS) {
            return Ok(frame);
        }
    }
    drain_caches();
    let mut frames = FRAMES.lock();
    if frames.free_frames() > least { frames.allocate(0, Zone::Normal, &mut DirectMap) } else { Err(OutOfFrames) }
}

/// Takes one frame, zeroed.
///
/// # Errors
/// [`OutOfFrames`] if there is none.
pub fn allocate_zeroed() -> Result<PhysFrame, OutOfFrames> {
    let frame = allocate(0, Zone::Normal)?;
    zero(frame);
    Ok(frame)
}

/// Zeroes a frame that the caller has taken and not lent to anybody.
pub(super) fn zero(frame: PhysFrame) {
    let start = direct(frame.start_address()).expect("free memory is in the direct map").as_mut_ptr::<u8>();
    // SAFETY: the frame is the caller's, and the direct map shows it.
    unsafe { start.write_bytes(0, FRAME_BYTES as usize) };
}

/// Gives back a block that came from [`allocate`] with the same order. A frame that has other users stays theirs.
pub fn free(frame: PhysFrame, order: u8) {
    if order > 0 {
        FRAMES.lock().free(frame, order).expect("who frees a block was given it");
        return;
    }
    if !COUNTS.release(frame).expect("who frees a frame uses it") {
        return;
    }
    let mut cache = percpu::current().frames.lock();
    if let Some(batch) = cache.put(frame) {
        give_back(batch);
    }
}

/// Adds a user to a frame, who will [`free`] it too.
///
/// # Errors
/// [`CountError`] if it has as many as can be counted, or none.
pub fn share(frame: PhysFrame) -> Result<(), CountError> {
    COUNTS.share(frame)
}

/// Users of a frame.
pub fn users(frame: PhysFrame) -> u32 {
    COUNTS.count(frame)
}

/// Makes memory that has served its purpose free memory. Part of a page is left alone.
pub(super) fn reclaim(range: Range<u64>) -> Result<(), AddError> {
    FRAMES.lock().add_range(range)
}

/// Gives back what the processors keep for themselves, so that every free frame is the allocator's.
pub fn drain_caches() {
    for cpu in percpu::all() {
        loop {
            let mut cache = cpu.frames.lock();
            let Some(batch) = cache.drain() else { break };
            give_back(batch);
        }
    }
}

/// Bytes of memory that the kernel was given.
pub fn total_bytes() -> u64 {
    let frames: u64 = statistics().zones.iter().map(|zone| zone.total).sum();
    frames * FRAME_BYTES
}

/// Free memory in frames, what the processors keep included.
pub fn free_frames() -> u64 {
    let kept: usize = percpu::all().map(|cpu| cpu.frames.lock().len()).sum();
    FRAMES.lock().free_frames() + kept as u64
}

/// Free memory that programs may have, in frames.
pub fn free_for_programs() -> u64 {
    free_frames().saturating_sub(KERNEL_FRAMES)
}

/// The allocator in numbers; frames that processors keep count as taken.
pub fn statistics() -> Statistics {
    FRAMES.lock().statistics()
}

fn give_back(batch: Batch) {
    let mut frames = FRAMES.lock();
    for frame in batch {
        frames.free(frame, 0).expect("a kept frame is the allocator's");
    }
}
