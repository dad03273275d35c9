//! Reads the firmware's ACPI tables where they lie, once.
//!
//! Invariant: tables are memory that nobody writes while [`init`] runs; it must run before free memory is handed out, since some
//! firmware leaves tables in what it calls free. Nothing refers to them afterwards.

use super::paging::Caching;
use super::{direct, window};
use arrayvec::ArrayVec;
use core::slice;
use logic::acpi::{MAX_TABLE_BYTES, Platform};
use logic::boot::{BootInfo, MemoryKind};
use spin::Once;
use x86_64::{PhysAddr, VirtAddr};

static PLATFORM: Once<Platform> = Once::new();

/// Reads the tables the first time; says what was found, and warns of tables that are no good.
pub fn init(info: &BootInfo) -> &'static Platform {
    PLATFORM.call_once(|| {
        let Some(rsdp) = info.rsdp else {
            log::debug!("ACPI: none");
            return Platform::without_acpi();
        };
        log::debug!("ACPI: revision {}, root table at {:#x}", rsdp.revision, rsdp.root_table);
        let mut windows = Windows::default();
        let platform =
            logic::acpi::read(rsdp, &mut |address, bytes| windows.memory(info, address, bytes), &mut |complaint| {
                log::warn!("ACPI: {complaint}");
            });
        if platform.cpus_left_out > 0 {
            log::warn!("ACPI: {} processors are too many to use", platform.cpus_left_out);
        }
        log::debug!("ACPI: {platform}");
        platform
    })
}

/// What [`init`] found; before it has run, what a machine without ACPI has.
pub fn platform() -> &'static Platform {
    static NONE: Once<Platform> = Once::new();
    PLATFORM.get().unwrap_or_else(|| NONE.call_once(Platform::without_acpi))
}

/// Memory beyond the direct map that has been mapped for reading tables. Tables lie close together, so a mapping is made larger
/// than asked for, and serves the next tables too: mappings are never taken back.
#[derive(Default)]
struct Windows(ArrayVec<Window, 16>);

struct Window {
    start: u64,
    end: u64,
    mapped: VirtAddr,
}

/// What a mapping is rounded to, down and up.
const WINDOW_GRANULE: u64 = 2 << 20;

impl Windows {
    /// `bytes` bytes of memory at physical address `address`; `None` where none can be, or where the kernel itself is.
    fn memory(&mut self, info: &BootInfo, address: u64, bytes: usize) -> Option<&'static [u8]> {
        let end = address.checked_add(bytes as u64).filter(|_| bytes <= MAX_TABLE_BYTES)?;
        let mut kernel = info.memory.regions().iter().filter(|region| region.kind == MemoryKind::Kernel);
        if kernel.any(|region| address < region.end && region.start < end) {
            return None;
        }
        let start = self.map(address, end)?;
        // SAFETY: `map` answers where all of the range is mapped. It is not the kernel's own, and nothing else is written to
        // while tables are read.
        Some(unsafe { slice::from_raw_parts(start.as_ptr(), bytes) })
    }

    /// Where the range of physical addresses is mapped.
    fn map(&mut self, address: u64, end: u64) -> Option<VirtAddr> {
        // The direct map is one piece: with both ends in it, so is all between them.
        if let (Some(start), Some(_)) = (direct(PhysAddr::try_new(address).ok()?), direct(PhysAddr::try_new(end).ok()?))
        {
            return Some(start);
        }
        let holds = |window: &&Window| window.start <= address && end <= window.end;
        if let Some(window) = self.0.iter().find(holds) {
            return Some(window.mapped + (address - window.start));
        }
        let start = address / WINDOW_GRANULE * WINDOW_GRANULE;
        let end = end.checked_next_multiple_of(WINDOW_GRANULE)?;
        let mapped = window::map(PhysAddr::try_new(start).ok()?, end - start, Caching::WriteBack)?;
        self.0.try_push(Window { start, end, mapped }).ok()?;
        Some(mapped + (address - start))
    }
}
