//! The page-table editor: four levels of tables (SDM volume 3, section 5.5) over any memory that tables can lie in.
//!
//! Invariants: an entry that points to a table allows everything (programs only in the lower half), the entry of the page
//! decides; a table without entries does not exist, except for those right below the root in the kernel's half, which stay
//! once they are made, because other roots hold copies of the entries that point to them.
//!
//! The pages of programs are edited one by one ([`Tables::set_page`], [`Tables::edit_pages`]), and what edits ranges of addresses is
//! not for them: their entries note more than the processor reads.
//!
//! The editor flushes nothing. After [`Tables::unmap`] and [`Tables::protect`], whether they fail or not, the caller flushes
//! the range on every processor before anything that was unmapped, frames or tables, is used anew.

pub mod audit;
mod mapping;
mod pages;
#[cfg(test)]
mod tests;
mod walk;

pub use mapping::{Caching, Mapping, PAGE_ATTRIBUTES, PageSize, RIGHTS};
pub use pages::{Edit, ProgramPage};
pub use walk::Run;

use super::OutOfFrames;
use core::ops::Range;
use mapping::LeafEntry;
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{PageTableFlags, PhysFrame};
use x86_64::{PhysAddr, VirtAddr};

const ENTRIES: usize = 512;

/// The root's level.
const ROOT: u8 = 4;

/// First entry of a root that belongs to the kernel.
const KERNEL_HALF: usize = ENTRIES / 2;

/// Bytes in a half of the address space. Positions are addresses without their sign extension: the lower half ends and the
/// upper one starts here.
const HALF: u64 = 1 << 47;

/// The physical address after the last that an entry can hold.
const PHYSICAL_LIMIT: u64 = 1 << 52;

/// Where tables lie.
pub trait TableMemory {
    /// Reads entry `index` (below 512) of a table.
    fn read(&self, table: PhysFrame, index: usize) -> PageTableEntry;

    /// The first entry of a table that is in use, of those from `first` to `last` (below 512).
    fn first_used(&self, table: PhysFrame, first: usize, last: usize) -> Option<usize> {
        (first..=last).find(|index| !self.read(table, *index).is_unused())
    }

    /// Writes entry `index` (below 512) of a table.
    fn write(&mut self, table: PhysFrame, index: usize, entry: PageTableEntry);

    /// Finds a frame for a new table and clears it.
    ///
    /// # Errors
    /// [`OutOfFrames`].
    fn allocate(&mut self) -> Result<PhysFrame, OutOfFrames>;

    /// Takes the frame of a table back. Processors may know the table until they are flushed: it must not be used before.
    fn free(&mut self, table: PhysFrame);
}

/// Why an edit was refused. Nothing is mapped otherwise than before then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// The range is empty, not made of whole pages, reaches over the end of a half of the address space or of what physical
    /// addresses there can be, or lies in the kernel's half and is meant for programs.
    BadRange,
    /// Something is mapped at this address already.
    AlreadyMapped(VirtAddr),
    /// No frame for a table.
    OutOfFrames,
}

impl From<OutOfFrames> for MapError {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfFrames
    }
}

/// A page that has been unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Where it was mapped.
    pub start: VirtAddr,
    /// What was mapped there.
    pub physical: PhysAddr,
    /// How much of it.
    pub page_size: PageSize,
    /// As what.
    pub mapping: Mapping,
}

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The physical address.
    pub address: PhysAddr,
    /// What all levels together allow.
    pub mapping: Mapping,
    /// The size of the page.
    pub page_size: PageSize,
}

/// The page tables of one address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tables {
    /// The level-4 table.
    pub root: PhysFrame,
    /// The largest pages that the processor has.
    pub largest: PageSize,
    /// Whether the processor can forbid execution; otherwise everything is executable.
    pub no_execute: bool,
}

/// What is to be mapped: `physical` at position `start` and so on.
struct Job {
    start: u64,
    physical: u64,
    mapping: Mapping,
}

impl Tables {
    /// New tables with an empty lower half and the same kernel half.
    ///
    /// # Errors
    /// [`OutOfFrames`].
    pub fn fork_kernel_half(&self, memory: &mut impl TableMemory) -> Result<Self, OutOfFrames> {
        let root = memory.allocate()?;
        for index in KERNEL_HALF..ENTRIES {
            let entry = memory.read(self.root, index);
            memory.write(root, index, entry);
        }
        Ok(Self { root, ..*self })
    }

    /// Makes the tables right below the root for a range of the kernel's half, so that roots that are forked later see
    /// everything that is ever mapped there.
    ///
    /// # Errors
    /// [`MapError::BadRange`], also for the lower half; [`MapError::OutOfFrames`]: tables made by then stay.
    pub fn prepare(&self, memory: &mut impl TableMemory, start: VirtAddr, bytes: u64) -> Result<(), MapError> {
        let range = positions(start, bytes)?;
        if range.start < HALF {
            return Err(MapError::BadRange);
        }
        for (index, part) in parts(ROOT, range) {
            if !is_present(&memory.read(self.root, index)) {
                let table = memory.allocate()?;
                memory.write(self.root, index, table_entry(table, part.start));
            }
        }
        Ok(())
    }

    /// Maps `bytes` bytes of physical memory from `physical` on at `start`, in the largest pages that fit. No page of the
    /// range may be mapped.
    ///
    /// # Errors
    /// [`MapError`]; tables are as before, but for those that stay once they are made.
    pub fn map(
        &self,
        memory: &mut impl TableMemory,
        start: VirtAddr,
        physical: PhysAddr,
        bytes: u64,
        mapping: Mapping,
    ) -> Result<(), MapError> {
        let range = positions(start, bytes)?;
        let physical = physical.as_u64();
        let fits = physical.checked_add(bytes).is_some_and(|end| end <= PHYSICAL_LIMIT);
        if !fits || !physical.is_multiple_of(PageSize::Small.bytes()) || (mapping.is_user() && range.start >= HALF) {
            return Err(MapError::BadRange);
        }
        if let Some(taken) = first_mapped(memory, self.root, ROOT, range.clone()) {
            return Err(MapError::AlreadyMapped(address_of(taken)));
        }
        self.fill(memory, self.root, ROOT, range.clone(), &Job { start: range.start, physical, mapping })?;
        Ok(())
    }

    /// Unmaps a range, holes in it or not, and tells `unmapped` each page. Large pages that reach out of it are split first.
    ///
    /// # Errors
    /// [`MapError::BadRange`]; [`MapError::OutOfFrames`] if a page cannot be split: nothing is unmapped then.
    pub fn unmap(
        &self,
        memory: &mut impl TableMemory,
        start: VirtAddr,
        bytes: u64,
        mut unmapped: impl FnMut(Leaf),
    ) -> Result<(), MapError> {
        let range = positions(start, bytes)?;
        self.split_at(memory, range.start)?;
        self.split_at(memory, range.end)?;
        clear(memory, self.root, ROOT, range, &mut unmapped);
        Ok(())
    }

    /// Gives the mapped pages of a range other rights (of [`RIGHTS`]); how they are cached stays. Large pages that reach out of
    /// it are split first.
    ///
    /// # Errors
    /// [`MapError::BadRange`]; [`MapError::OutOfFrames`] if a page cannot be split: all rights are as before then.
    pub fn protect(
        &self,
        memory: &mut impl TableMemory,
        start: VirtAddr,
        bytes: u64,
        flags: PageTableFlags,
    ) -> Result<(), MapError> {
        let range = positions(start, bytes)?;
        if flags.contains(PageTableFlags::USER_ACCESSIBLE) && range.start >= HALF {
            return Err(MapError::BadRange);
        }
        self.split_at(memory, range.start)?;
        self.split_at(memory, range.end)?;
        self.change(memory, self.root, ROOT, range, flags);
        Ok(())
    }

    /// Where an address leads, if anywhere.
    pub fn translate(&self, memory: &impl TableMemory, address: VirtAddr) -> Option<Translation> {
        let position = position_of(address);
        let (mut table, mut level, mut above) = (self.root, ROOT, walk::EVERYTHING);
        loop {
            let entry = memory.read(table, index_at(level, position));
            if let Some(leaf) = LeafEntry::read(&entry, level) {
                let mapping = Mapping { flags: walk::both(above, leaf.mapping.flags), ..leaf.mapping };
                let address = leaf.physical + position % leaf.size.bytes();
                return Some(Translation { address, mapping, page_size: leaf.size });
            }
            table = child_of(&entry)?;
            above = walk::both(above, entry.flags());
            level -= 1;
        }
    }

    /// Maps a range of a table that has nothing mapped in it, or leaves everything as it was.
    fn fill(
        &self,
        memory: &mut impl TableMemory,
        table: PhysFrame,
        level: u8,
        range: Range<u64>,
        job: &Job,
    ) -> Result<(), OutOfFrames> {
        for (index, part) in parts(level, range.clone()) {
            let entry = memory.read(table, index);
            let physical = PhysAddr::new(job.physical + (part.start - job.start));
            let done = if let Some(child) = child_of(&entry) {
                self.fill(memory, child, level - 1, part.clone(), job)
            } else if let Some(size) = self.page_size(level, &part, physical) {
                memory.write(table, index, LeafEntry::new(physical, job.mapping, size).entry(self.no_execute));
                Ok(())
            } else {
                self.fill_new(memory, level - 1, part.clone(), job)
                    .map(|child| memory.write(table, index, table_entry(child, part.start)))
            };
            if let Err(error) = done {
                if range.start < part.start {
                    clear(memory, table, level, range.start..part.start, &mut |_| ());
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Makes a table and maps a range of it. Nothing points to it before that has worked.
    fn fill_new(
        &self,
        memory: &mut impl TableMemory,
        level: u8,
        range: Range<u64>,
        job: &Job,
    ) -> Result<PhysFrame, OutOfFrames> {
        let table = memory.allocate()?;
        match self.fill(memory, table, level, range, job) {
            Ok(()) => Ok(table),
            Err(error) => {
                memory.free(table);
                Err(error)
            }
        }
    }

    /// The size of page that one entry of a table of `level` maps, if it can map all of `part` in one.
    fn page_size(&self, level: u8, part: &Range<u64>, physical: PhysAddr) -> Option<PageSize> {
        PageSize::of_level(level).filter(|size| {
            *size <= self.largest
                && part.end - part.start == size.bytes()
                && physical.as_u64().is_multiple_of(size.bytes())
        })
    }

    /// Splits pages until none reaches over `position`.
    fn split_at(&self, memory: &mut impl TableMemory, position: u64) -> Result<(), OutOfFrames> {
        let (mut table, mut level) = (self.root, ROOT);
        // What starts here at this level, starts here at all lower ones.
        while !position.is_multiple_of(1 << shift(level)) {
            let index = index_at(level, position);
            let entry = memory.read(table, index);
            let child = match LeafEntry::read(&entry, level) {
                Some(leaf) => {
                    let child = memory.allocate()?;
                    for (piece, leaf) in (0..ENTRIES).filter_map(|piece| Some((piece, leaf.piece(piece)?))) {
                        memory.write(child, piece, leaf.entry(self.no_execute));
                    }
                    memory.write(table, index, table_entry(child, position));
                    child
                }
                None => match child_of(&entry) {
                    Some(child) => child,
                    None => break,
                },
            };
            table = child;
            level -= 1;
        }
        Ok(())
    }

    fn change(
        &self,
        memory: &mut impl TableMemory,
        table: PhysFrame,
        level: u8,
        range: Range<u64>,
        flags: PageTableFlags,
    ) {
        for (index, part) in parts(level, range) {
            let entry = memory.read(table, index);
            if let Some(mut leaf) = LeafEntry::read(&entry, level) {
                leaf.mapping.flags = flags;
                memory.write(table, index, leaf.entry(self.no_execute));
            } else if let Some(child) = child_of(&entry) {
                self.change(memory, child, level - 1, part, flags);
            }
        }
    }
}

/// Clears a range of a table over whose ends no page reaches, and frees the tables that become empty.
fn clear(
    memory: &mut impl TableMemory,
    table: PhysFrame,
    level: u8,
    range: Range<u64>,
    unmapped: &mut impl FnMut(Leaf),
) {
    for (index, part) in parts(level, range) {
        let entry = memory.read(table, index);
        if let Some(leaf) = LeafEntry::read(&entry, level) {
            memory.write(table, index, PageTableEntry::new());
            let LeafEntry { physical, mapping, size, .. } = leaf;
            unmapped(Leaf { start: address_of(part.start), physical, page_size: size, mapping });
        } else if let Some(child) = child_of(&entry) {
            clear(memory, child, level - 1, part, unmapped);
            let stays = level == ROOT && index >= KERNEL_HALF;
            if !stays && (0..ENTRIES).all(|index| memory.read(child, index).is_unused()) {
                memory.write(table, index, PageTableEntry::new());
                memory.free(child);
            }
        }
    }
}

/// The first position of a range that is mapped.
fn first_mapped(memory: &impl TableMemory, table: PhysFrame, level: u8, range: Range<u64>) -> Option<u64> {
    parts(level, range).find_map(|(index, part)| {
        let entry = memory.read(table, index);
        match child_of(&entry).filter(|_| LeafEntry::read(&entry, level).is_none()) {
            Some(child) => first_mapped(memory, child, level - 1, part),
            None => is_present(&entry).then_some(part.start),
        }
    })
}

/// The parts of a range of positions that the entries of one table of `level` stand for, with the entries' indexes.
fn parts(level: u8, range: Range<u64>) -> impl Iterator<Item = (usize, Range<u64>)> {
    let shift = shift(level);
    (range.start >> shift..=(range.end - 1) >> shift).map(move |entry| {
        let part = range.start.max(entry << shift)..range.end.min((entry + 1) << shift);
        ((entry % ENTRIES as u64) as usize, part)
    })
}

/// The positions of a range of addresses.
fn positions(start: VirtAddr, bytes: u64) -> Result<Range<u64>, MapError> {
    let page = PageSize::Small.bytes();
    let start = position_of(start);
    let half_end = if start < HALF { HALF } else { 2 * HALF };
    let end = start.checked_add(bytes).filter(|end| *end <= half_end).ok_or(MapError::BadRange)?;
    if bytes == 0 || !start.is_multiple_of(page) || !end.is_multiple_of(page) {
        return Err(MapError::BadRange);
    }
    Ok(start..end)
}

fn position_of(address: VirtAddr) -> u64 {
    address.as_u64() % (2 * HALF)
}

fn address_of(position: u64) -> VirtAddr {
    VirtAddr::new_truncate(position)
}

/// Logarithm of the bytes that one entry of a table of `level` stands for.
const fn shift(level: u8) -> u32 {
    12 + 9 * (level as u32 - 1)
}

fn index_at(level: u8, position: u64) -> usize {
    ((position >> shift(level)) % ENTRIES as u64) as usize
}

fn is_present(entry: &PageTableEntry) -> bool {
    entry.flags().contains(PageTableFlags::PRESENT)
}

/// The table that an entry points to; that it maps no page is known.
fn child_of(entry: &PageTableEntry) -> Option<PhysFrame> {
    is_present(entry).then(|| PhysFrame::containing_address(entry.addr()))
}

/// An entry that points to a table for `position`.
fn table_entry(table: PhysFrame, position: u64) -> PageTableEntry {
    let mut flags = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
    flags.set(PageTableFlags::USER_ACCESSIBLE, position < HALF);
    let mut entry = PageTableEntry::new();
    entry.set_frame(table, flags);
    entry
}
