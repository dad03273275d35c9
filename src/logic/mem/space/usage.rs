//! What an address space uses, as /proc/PID/statm and status tell it.

use super::area::{Area, AreaFlags, PAGE, Protection};
use super::{AddressSpace, Resident};
use crate::mem::page_table::TableMemory;

/// Bytes of addresses, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// All.
    pub total: u64,
    /// Private and writable, but for stacks.
    pub data: u64,
    /// What grows down.
    pub stack: u64,
    /// Executable and not writable.
    pub code: u64,
    /// Locked (mlock(2)).
    pub locked: u64,
}

impl Sizes {
    /// With one area more.
    pub fn add(&mut self, area: &Area) {
        self.change(area, u64::wrapping_add);
    }

    /// With one area less.
    pub fn subtract(&mut self, area: &Area) {
        self.change(area, u64::wrapping_sub);
    }

    fn change(&mut self, area: &Area, change: fn(u64, u64) -> u64) {
        let bytes = area.bytes();
        let is_code = area.protection.contains(Protection::EXECUTE)
            && !area.protection.contains(Protection::WRITE)
            && !area.grows_down();
        let is_locked = area.flags.contains(AreaFlags::LOCKED);
        for (size, counts) in [
            (&mut self.total, true),
            (&mut self.data, area.is_data()),
            (&mut self.stack, area.grows_down()),
            (&mut self.code, is_code),
            (&mut self.locked, is_locked),
        ] {
            if counts {
                *size = change(*size, bytes);
            }
        }
    }
}

/// What an address space uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of addresses.
    pub sizes: Sizes,
    /// Pages in memory. A page that several programs have is counted for each.
    pub resident: Resident,
    /// Frames that hold page tables.
    pub tables: u64,
}

impl Usage {
    /// Bytes of memory that would be free without it, at most: what to compare programs by when one must go.
    pub fn greed(&self) -> u64 {
        (self.resident.total() + self.tables).saturating_mul(PAGE)
    }
}

impl<M: TableMemory> AddressSpace<M> {
    /// What it uses.
    pub fn usage(&self) -> Usage {
        Usage { sizes: self.areas.sizes(), resident: self.pages.resident, tables: self.pages.table_count() }
    }
}
