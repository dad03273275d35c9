//! One area of an address space: neighbouring pages of a program with the same rights and the same source.

use crate::mem::backing::Backing;
use crate::mem::page::PAGE_BYTES;
use alloc::sync::Arc;
use bitflags::bitflags;
use core::fmt;
use core::ops::Range;
use linux_raw_sys::general;

/// Bytes in a page.
pub const PAGE: u64 = PAGE_BYTES as u64;

/// Pages that stay free below an area that grows down, so that it never runs into its neighbour.
pub const GUARD_BYTES: u64 = 256 * PAGE;

bitflags! {
    /// What a program may do with an area, as mmap(2) numbers it. None: `PROT_NONE`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Protection: u32 {
        /// Read.
        const READ = general::PROT_READ;
        /// Write; the processor lets it read then, too.
        const WRITE = general::PROT_WRITE;
        /// Execute; the processor lets it read then, too.
        const EXECUTE = general::PROT_EXEC;
    }
}

bitflags! {
    /// What else is to be known of an area.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct AreaFlags: u16 {
        /// Writes are seen by all who map it (`MAP_SHARED`).
        const SHARED = 1;
        /// Grows when it is touched below its start (`MAP_GROWSDOWN`).
        const GROWS_DOWN = 1 << 1;
        /// Nothing was set aside for it (`MAP_NORESERVE`).
        const NO_RESERVE = 1 << 2;
        /// Its pages stay in memory, as all do (mlock(2)).
        const LOCKED = 1 << 3;
        /// Children do not get it (`MADV_DONTFORK`).
        const DONT_FORK = 1 << 4;
        /// Children get it empty (`MADV_WIPEONFORK`).
        const WIPE_ON_FORK = 1 << 5;
        /// Not for core dumps (`MADV_DONTDUMP`).
        const DONT_DUMP = 1 << 6;
        /// Its backing is memory, not a file: counted as shared memory.
        const SHARED_MEMORY = 1 << 7;
    }
}

/// The part of a file or device that an area shows.
#[derive(Clone)]
pub struct View {
    /// Whose pages.
    pub backing: Arc<dyn Backing>,
    /// The index of the page that is at the area's start.
    pub index: u64,
}

impl View {
    /// The same backing, `bytes` further on.
    fn advanced(&self, bytes: u64) -> Self {
        Self { backing: self.backing.clone(), index: self.index.wrapping_add(bytes / PAGE) }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "View(page {})", self.index)
    }
}

/// An area: whole pages, never empty.
#[derive(Clone, Debug)]
pub struct Area {
    /// The first address.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
    /// What the program may do with it.
    pub protection: Protection,
    /// What mprotect(2) may let it do.
    pub most: Protection,
    /// What else is to be known.
    pub flags: AreaFlags,
    /// What it shows; `None` for anonymous memory.
    pub view: Option<View>,
    /// What /proc/PID/maps calls it, if it is one of the kernel's own making.
    pub name: Option<&'static str>,
}

/// As what a page that is not the program's own is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file's or a device's.
    File,
    /// Memory that programs share.
    SharedMemory,
}

impl Area {
    /// Its addresses.
    pub fn range(&self) -> Range<u64> {
        self.start..self.end
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// Whether writes are seen by all who map it.
    pub fn is_shared(&self) -> bool {
        self.flags.contains(AreaFlags::SHARED)
    }

    /// Whether it grows down.
    pub fn grows_down(&self) -> bool {
        self.flags.contains(AreaFlags::GROWS_DOWN)
    }

    /// Whether it counts as data: private and writable, but no stack.
    pub fn is_data(&self) -> bool {
        self.protection.contains(Protection::WRITE) && !self.is_shared() && !self.grows_down()
    }

    /// The lowest address that must stay free for it.
    pub fn guarded_start(&self) -> u64 {
        if self.grows_down() { self.start.saturating_sub(GUARD_BYTES) } else { self.start }
    }

    /// As what its pages are counted that are not the program's own.
    pub fn source(&self) -> Source {
        if self.flags.contains(AreaFlags::SHARED_MEMORY) { Source::SharedMemory } else { Source::File }
    }

    /// The index, in its backing, of the page at `address`.
    pub fn index_of(&self, address: u64) -> Option<u64> {
        self.view.as_ref().map(|view| view.index.wrapping_add(address.wrapping_sub(self.start) / PAGE))
    }

    /// The part of it in `part`, which lies within it.
    #[must_use]
    pub fn part(&self, part: Range<u64>) -> Self {
        let view = self.view.as_ref().map(|view| view.advanced(part.start - self.start));
        Self { start: part.start, end: part.end, view, ..*self }
    }

    /// Whether `next` goes on where it ends, in all respects.
    pub fn continues_with(&self, next: &Self) -> bool {
        let same =
            (self.protection, self.most, self.flags, self.name) == (next.protection, next.most, next.flags, next.name);
        let same_view = match (&self.view, &next.view) {
            (None, None) => true,
            (Some(view), Some(other)) => {
                Arc::ptr_eq(&view.backing, &other.backing)
                    && view.index.checked_add(self.bytes() / PAGE) == Some(other.index)
            }
            _ => false,
        };
        same && same_view && self.end == next.start
    }
}
