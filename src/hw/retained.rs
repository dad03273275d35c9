//! The memory of the log that outlives a warm reset (`logic::last_log`).

use super::direct;
use arrayvec::ArrayString;
use core::arch::asm;
use core::slice;
use core::sync::atomic::{AtomicBool, Ordering};
use log::Level;
use logic::boot::BootInfo;
use logic::boot::memory_map::MemoryKind;
use logic::last_log::{End, Kind, LastLog, Record};
use x86_64::PhysAddr;

/// Bytes in a line of every 64-bit processor's caches.
const CACHE_LINE: usize = 64;

/// The log. What is written to it is in memory at once, not in a cache that a reset may empty.
pub struct RetainedLog(LastLog<'static>);

impl RetainedLog {
    /// Takes the memory over. `None` if none was set aside, and the second time.
    pub fn open(info: &BootInfo) -> Option<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let range = info.log.clone()?;
        let is_ours = info.memory.is_all(&range, MemoryKind::Log);
        let start = direct(PhysAddr::try_new(range.start).ok()?)?.as_mut_ptr::<u8>();
        if !is_ours || TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        let bytes = usize::try_from(range.end - range.start).ok()?;
        // SAFETY: the direct map, the early one too, shows the memory at this address for good; it was set aside for this and
        // is no part of free memory; this is the only reference to it.
        let memory = unsafe { slice::from_raw_parts_mut(start, bytes) };
        LastLog::open(memory).map(Self)
    }

    /// Adds a record.
    pub fn push(&mut self, level: Level, kind: Kind, text: &[u8]) {
        for changed in self.0.push(level, kind, text) {
            self.0.bytes(changed).chunks(CACHE_LINE).for_each(|line| flush(line.as_ptr_range().start, line.len()));
        }
    }

    /// The record of the last start at `position`; the first is at 0.
    pub fn last(&self, position: usize) -> Option<Record<'_>> {
        self.0.record(position)
    }

    /// How the last start ended.
    pub fn end(&self) -> End {
        self.0.end()
    }

    /// What its panic said first; empty if there was none.
    pub fn panic_message(&self) -> ArrayString<160> {
        self.0.panic_message()
    }
}

/// Writes the lines that these bytes are in back to memory.
fn flush(start: *const u8, bytes: usize) {
    for address in [start, start.wrapping_add(bytes.saturating_sub(1))] {
        // SAFETY: the address is mapped, and CLFLUSH, which every 64-bit CPU has, changes nothing that can be read.
        unsafe { asm!("clflush [{}]", in(reg) address, options(nostack, preserves_flags)) };
    }
}
