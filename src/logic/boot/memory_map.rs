//! The physical memory map: what each range of addresses holds, sorted, disjoint, merged and rounded to pages.
//!
//! Firmware's maps overlap, repeat and contradict themselves. They are swept once over the sorted bounds of all entries: at
//! each address the entry whose kind ranks highest decides ([`MemoryKind`]'s order), so that reserved wins over usable.
//! A page is usable, boot information or low memory only if all of it is.

use arrayvec::ArrayVec;
use core::fmt;
use core::ops::Range;

/// Bytes in a page frame.
pub const PAGE_SIZE: u64 = 4096;

/// Regions that a map can hold.
pub const MAX_REGIONS: usize = 512;

/// Entries that can go into a map. EFI firmware was seen to hand over 127, BIOSes no more than 128.
pub const MAX_ENTRIES: usize = 512;

/// Physical addresses have at most 52 bits (AMD APM volume 2, section 5.3).
pub const ADDRESS_LIMIT: u64 = 1 << 52;

/// What a range of physical addresses holds; where entries overlap, the later kind in this list wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryKind {
    /// Free memory.
    Usable,
    /// The loader's information structure, free once it has been parsed.
    BootInformation,
    /// ACPI tables; memory once they have been read.
    AcpiReclaimable,
    /// The first MiB: BIOS data, and where other processors start. Never free, the loader's structure in it or not.
    LowMemory,
    /// A boot module.
    Module,
    /// The log that outlives a warm reset.
    Log,
    /// The kernel's image, .bss and boot stack.
    Kernel,
    /// ACPI non-volatile storage: firmware's.
    AcpiNvs,
    /// Anything that is not memory, or not ours.
    Reserved,
    /// Memory known to be bad.
    Bad,
}

const KINDS: [MemoryKind; 10] = [
    MemoryKind::Usable,
    MemoryKind::BootInformation,
    MemoryKind::AcpiReclaimable,
    MemoryKind::LowMemory,
    MemoryKind::Module,
    MemoryKind::Log,
    MemoryKind::Kernel,
    MemoryKind::AcpiNvs,
    MemoryKind::Reserved,
    MemoryKind::Bad,
];

impl MemoryKind {
    /// Whether part of a page of this kind makes no page of it.
    fn shrinks(self) -> bool {
        matches!(self, Self::Usable | Self::BootInformation | Self::LowMemory)
    }

    /// Whether this is ordinary memory, in use or not.
    pub fn is_ram(self) -> bool {
        self <= Self::Kernel
    }
}

impl fmt::Display for MemoryKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Usable => "usable",
            Self::AcpiReclaimable => "ACPI tables",
            Self::LowMemory => "low memory",
            Self::BootInformation => "boot information",
            Self::Module => "module",
            Self::Kernel => "kernel",
            Self::Log => "log",
            Self::AcpiNvs => "ACPI storage",
            Self::Reserved => "reserved",
            Self::Bad => "bad",
        })
    }
}

/// A page-aligned range of physical addresses of one kind; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
    /// What is there.
    pub kind: MemoryKind,
}

impl Region {
    /// Bytes in the region.
    pub fn size(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// More entries or regions than there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyRegions;

/// A bound of an entry: from `address` on, there is one entry of `kind` more (or fewer).
#[derive(Clone, Copy)]
struct Bound {
    address: u64,
    kind: MemoryKind,
    opens: bool,
}

/// Entries on their way into a [`MemoryMap`].
#[derive(Default)]
pub struct MapBuilder {
    bounds: ArrayVec<Bound, { 2 * MAX_ENTRIES }>,
}

impl MapBuilder {
    /// Adds an entry. Empty ones count for nothing; addresses past [`ADDRESS_LIMIT`] are cut off. An entry that continues
    /// the one before it is joined to it, since EFI's maps consist of hundreds of such pieces.
    ///
    /// # Errors
    /// [`TooManyRegions`] past [`MAX_ENTRIES`].
    pub fn add(&mut self, range: Range<u64>, kind: MemoryKind) -> Result<(), TooManyRegions> {
        let range = range.start.min(ADDRESS_LIMIT)..range.end.min(ADDRESS_LIMIT);
        if range.is_empty() {
            return Ok(());
        }
        if let Some(last) = self.bounds.last_mut()
            && last.address == range.start
            && last.kind == kind
        {
            last.address = range.end;
            return Ok(());
        }
        for (address, opens) in [(range.start, true), (range.end, false)] {
            self.bounds.try_push(Bound { address, kind, opens }).map_err(|_| TooManyRegions)?;
        }
        Ok(())
    }

    /// Sweeps over the entries and puts the result into `map`, in place: a map takes 12 KiB, and the boot stack is small.
    /// Answers whether kernel and modules lie in usable memory alone.
    ///
    /// # Errors
    /// [`TooManyRegions`] if the result is more than [`MAX_REGIONS`] regions.
    pub fn build(&mut self, map: &mut MemoryMap) -> Result<Marks, TooManyRegions> {
        self.bounds.sort_unstable_by_key(|bound| bound.address);
        map.regions.clear();
        let mut open = Open::default();
        let mut position = 0;
        let mut marks = Marks::InUsableMemory;
        for bound in &self.bounds {
            if bound.address > position {
                if let Some(kind) = open.highest() {
                    map.append(Region { start: position, end: bound.address, kind })?;
                }
                if open.has_misplaced_mark() {
                    marks = Marks::ElsewhereToo;
                }
            }
            position = bound.address;
            open.count(bound);
        }
        map.round_to_pages();
        Ok(marks)
    }
}

/// Where kernel and modules lie, by the firmware's own entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    /// Wholly in memory that is usable and nothing else.
    InUsableMemory,
    /// At least in part in memory that is of another kind too, or of none.
    ElsewhereToo,
}

/// How many entries of each kind cover the sweep's position.
#[derive(Default)]
struct Open([u32; KINDS.len()]);

impl Open {
    fn count(&mut self, bound: &Bound) {
        if let Some(count) = self.0.get_mut(bound.kind as usize) {
            *count = if bound.opens { count.saturating_add(1) } else { count.saturating_sub(1) };
        }
    }

    fn has(&self, kind: MemoryKind) -> bool {
        self.0.get(kind as usize).is_some_and(|count| *count > 0)
    }

    /// The kind that wins. Low memory and boot information are marks on usable memory: where there is none, they mean nothing.
    fn highest(&self) -> Option<MemoryKind> {
        let is_mark = |kind: &MemoryKind| matches!(kind, MemoryKind::BootInformation | MemoryKind::LowMemory);
        let counts = |kind: &MemoryKind| !is_mark(kind) || self.has(MemoryKind::Usable);
        KINDS.into_iter().rev().find(|kind| self.has(*kind) && counts(kind))
    }

    fn has_misplaced_mark(&self) -> bool {
        use MemoryKind::{AcpiNvs, AcpiReclaimable, Bad, Kernel, Module, Reserved, Usable};
        (self.has(Kernel) || self.has(Module))
            && (!self.has(Usable) || [AcpiReclaimable, AcpiNvs, Reserved, Bad].into_iter().any(|kind| self.has(kind)))
    }
}

/// The finished map: regions in rising order, none overlapping, neighbours of one kind merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryMap {
    regions: ArrayVec<Region, MAX_REGIONS>,
}

impl MemoryMap {
    /// The regions, in rising order.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The regions of free memory, in rising order.
    pub fn usable(&self) -> impl Iterator<Item = &Region> {
        self.regions.iter().filter(|region| region.kind == MemoryKind::Usable)
    }

    /// How many pieces free memory is in, the log counted as free: where that lies is the kernel's own choice.
    pub fn usable_pieces(&self) -> usize {
        let pieces = self.regions.iter().filter(|region| matches!(region.kind, MemoryKind::Usable | MemoryKind::Log));
        let (count, _) = pieces.fold((0_usize, None), |(count, end), region| {
            (count.saturating_add(usize::from(end != Some(region.start))), Some(region.end))
        });
        count
    }

    /// Bytes of free memory.
    pub fn usable_bytes(&self) -> u64 {
        self.usable().map(Region::size).sum()
    }

    /// Bytes of memory, free or in use.
    pub fn ram_bytes(&self) -> u64 {
        self.regions.iter().filter(|region| region.kind.is_ram()).map(Region::size).sum()
    }

    /// The address after the last byte of memory, 0 if there is none. Never size a mapping by reserved regions: QEMU
    /// reports one just below 1 TiB.
    pub fn top(&self) -> u64 {
        self.regions.iter().rev().find(|region| region.kind.is_ram()).map_or(0, |region| region.end)
    }

    /// Makes the first of `candidates` that is free memory, and nothing else, memory of `kind`; answers which one that is. They are
    /// whole pages.
    pub fn set_aside(
        &mut self,
        candidates: impl IntoIterator<Item = Range<u64>>,
        kind: MemoryKind,
    ) -> Option<Range<u64>> {
        for range in candidates {
            let holds = |region: &Region| region.start <= range.start && range.end <= region.end;
            let is_usable = |region: &Region| region.kind == MemoryKind::Usable;
            let Some(index) = self.regions.iter().position(|region| is_usable(region) && holds(region)) else {
                continue;
            };
            // Two regions more at most.
            if self.regions.remaining_capacity() < 2 {
                return None;
            }
            let region = self.regions.remove(index);
            let pieces = [
                Region { end: range.start, ..region },
                Region { start: range.start, end: range.end, kind },
                Region { start: range.end, ..region },
            ];
            for piece in pieces.into_iter().rev().filter(|piece| piece.size() > 0) {
                self.regions.insert(index, piece);
            }
            return Some(range);
        }
        None
    }

    /// Whether every page of `range` is of `kind`. An empty range is.
    pub fn is_all(&self, range: &Range<u64>, kind: MemoryKind) -> bool {
        let mut position = range.start;
        for region in self.regions.iter().filter(|region| region.kind == kind) {
            if (region.start..region.end).contains(&position) {
                position = region.end;
            }
        }
        position >= range.end
    }

    fn append(&mut self, region: Region) -> Result<(), TooManyRegions> {
        if region.start >= region.end {
            return Ok(());
        }
        if let Some(last) = self.regions.last_mut()
            && last.end == region.start
            && last.kind == region.kind
        {
            last.end = region.end;
            return Ok(());
        }
        self.regions.try_push(region).map_err(|_| TooManyRegions)
    }

    /// What is usable by the firmware's word, if not always for us, shrinks to whole pages, all else grows; a page that two others
    /// share goes to the higher kind.
    fn round_to_pages(&mut self) {
        let mut rounded = MemoryMap::default();
        for region in &self.regions {
            let (start, end) = if region.kind.shrinks() {
                (round_up(region.start), round_down(region.end))
            } else {
                (round_down(region.start), round_up(region.end))
            };
            let mut region = Region { start, end, kind: region.kind };
            while let Some(last) = rounded.regions.last_mut().filter(|last| last.end > region.start) {
                if last.kind >= region.kind {
                    region.start = last.end;
                } else {
                    last.end = region.start;
                    if last.start >= last.end {
                        rounded.regions.pop();
                    }
                }
            }
            // There are never more regions after rounding than before.
            let _ = rounded.append(region);
        }
        *self = rounded;
    }
}

fn round_up(address: u64) -> u64 {
    address.checked_next_multiple_of(PAGE_SIZE).unwrap_or(ADDRESS_LIMIT)
}

fn round_down(address: u64) -> u64 {
    address & !(PAGE_SIZE.saturating_sub(1))
}
