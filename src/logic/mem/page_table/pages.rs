//! The pages of programs, one by one: what a page fault, fork(2) and mprotect(2) edit. All are small and in the lower half.
//!
//! An entry also notes what the kernel must know of its page, in bits that the processor leaves to it. A page that the program may
//! not touch at all (`PROT_NONE`) stays in its entry, which is not present then. Its address is inverted there, so that a
//! processor that goes on with the address of an absent page before it faults (L1TF) finds no memory.

use super::{
    ENTRIES, OutOfFrames, PageTableEntry, PageTableFlags, ROOT, TableMemory, Tables, child_of, index_at, shift,
    table_entry,
};
use core::ops::Range;
use x86_64::PhysAddr;
use x86_64::structures::paging::PhysFrame;

/// The frame was made for the program alone: not a page of a file.
const OWN: PageTableFlags = PageTableFlags::BIT_9;
/// There is a page, though the entry is not present.
const HIDDEN: PageTableFlags = PageTableFlags::BIT_10;
/// The bits of an entry that hold an address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const BOTTOM: u8 = 1;

/// A page of a program, as its entry has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramPage {
    /// The frame, one of whose users the entry is.
    pub frame: PhysFrame,
    /// Whether the program may touch it at all.
    pub is_reachable: bool,
    /// Whether it may write.
    pub is_writable: bool,
    /// Whether it may execute.
    pub is_executable: bool,
    /// Whether the frame was made for programs' private use, rather than being a page of a file.
    pub is_own: bool,
}

impl ProgramPage {
    fn read(entry: &PageTableEntry) -> Option<Self> {
        let (flags, address) = (entry.flags(), entry.addr().as_u64());
        let is_reachable = flags.contains(PageTableFlags::PRESENT);
        if !is_reachable && !flags.contains(HIDDEN) {
            return None;
        }
        let address = if is_reachable { address } else { address ^ ADDRESS };
        Some(Self {
            frame: PhysFrame::containing_address(PhysAddr::new(address)),
            is_reachable,
            is_writable: flags.contains(PageTableFlags::WRITABLE),
            is_executable: !flags.contains(PageTableFlags::NO_EXECUTE),
            is_own: flags.contains(OWN),
        })
    }

    fn entry(&self, no_execute: bool) -> PageTableEntry {
        let mut flags =
            if self.is_reachable { PageTableFlags::PRESENT | PageTableFlags::USER_ACCESSIBLE } else { HIDDEN };
        flags.set(PageTableFlags::WRITABLE, self.is_writable);
        flags.set(PageTableFlags::NO_EXECUTE, no_execute && !self.is_executable);
        flags.set(OWN, self.is_own);
        let address = self.frame.start_address().as_u64();
        let address = if self.is_reachable { address } else { address ^ ADDRESS };
        let mut entry = PageTableEntry::new();
        entry.set_addr(PhysAddr::new(address), flags);
        entry
    }
}

/// What becomes of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Nothing.
    Keep,
    /// This is there instead.
    Replace(ProgramPage),
    /// Nothing is there any more.
    Clear,
}

/// What an edit has left of a table.
enum Left {
    /// It is empty.
    Nothing,
    /// Less than there was.
    Less,
    /// All.
    All,
}

impl Tables {
    /// The page at an address of the lower half.
    pub fn page(&self, memory: &impl TableMemory, address: u64) -> Option<ProgramPage> {
        let mut table = self.root;
        for level in (BOTTOM + 1..=ROOT).rev() {
            table = child_of(&memory.read(table, index_at(level, address)))?;
        }
        ProgramPage::read(&memory.read(table, index_at(BOTTOM, address)))
    }

    /// Puts a page at an address of the lower half; answers what was there.
    ///
    /// # Errors
    /// [`OutOfFrames`] if there is none for a table; nothing has changed then.
    pub fn set_page(
        &self,
        memory: &mut impl TableMemory,
        address: u64,
        page: ProgramPage,
    ) -> Result<Option<ProgramPage>, OutOfFrames> {
        let mut table = self.root;
        for level in (BOTTOM + 1..=ROOT).rev() {
            let index = index_at(level, address);
            match child_of(&memory.read(table, index)) {
                Some(child) => table = child,
                None => {
                    let child = self.tables_for(memory, level - 1, address, page)?;
                    memory.write(table, index, table_entry(child, address));
                    return Ok(None);
                }
            }
        }
        let index = index_at(BOTTOM, address);
        let before = ProgramPage::read(&memory.read(table, index));
        memory.write(table, index, page.entry(self.no_execute));
        Ok(before)
    }

    /// Shows `edit` every page of a range of the lower half, in rising order, and does what it says. Tables that become empty are
    /// freed. `edit` may put pages elsewhere.
    ///
    /// # Errors
    /// The first of `edit`, which ends it.
    pub fn edit_pages<M: TableMemory, E>(
        &self,
        memory: &mut M,
        range: Range<u64>,
        mut edit: impl FnMut(&mut M, u64, ProgramPage) -> Result<Edit, E>,
    ) -> Result<(), E> {
        if range.is_empty() { Ok(()) } else { self.edit_table(memory, self.root, ROOT, range, &mut edit).1 }
    }

    /// Edits below one table.
    fn edit_table<M: TableMemory, E>(
        &self,
        memory: &mut M,
        table: PhysFrame,
        level: u8,
        range: Range<u64>,
        edit: &mut impl FnMut(&mut M, u64, ProgramPage) -> Result<Edit, E>,
    ) -> (Left, Result<(), E>) {
        let is_whole = range.end - range.start == (ENTRIES as u64) << shift(level);
        let (mut has_cleared, mut has_kept) = (false, false);
        let mut rest = range;
        let mut done = Ok(());
        while done.is_ok()
            && let Some((index, part)) = next_part(memory, table, level, &mut rest)
        {
            let entry = memory.read(table, index);
            let mut is_kept = true;
            if level > BOTTOM {
                let Some(child) = child_of(&entry) else { continue };
                let (left, done_below) = self.edit_table(memory, child, level - 1, part, edit);
                done = done_below;
                let is_empty = match left {
                    Left::Nothing => true,
                    Left::Less => memory.first_used(child, 0, ENTRIES - 1).is_none(),
                    Left::All => false,
                };
                if is_empty {
                    memory.write(table, index, PageTableEntry::new());
                    memory.free(child);
                    is_kept = false;
                }
            } else if let Some(page) = ProgramPage::read(&entry) {
                match edit(memory, part.start, page) {
                    Ok(Edit::Keep) => (),
                    Ok(Edit::Replace(page)) => memory.write(table, index, page.entry(self.no_execute)),
                    Ok(Edit::Clear) => {
                        memory.write(table, index, PageTableEntry::new());
                        is_kept = false;
                    }
                    Err(error) => done = Err(error),
                }
            }
            has_kept |= is_kept;
            has_cleared |= !is_kept;
        }
        let left = match (has_cleared, has_kept) {
            (true, false) if is_whole && done.is_ok() => Left::Nothing,
            (true, _) => Left::Less,
            (false, _) => Left::All,
        };
        (left, done)
    }

    /// New tables from the lowest level up to `level`, with one page in them. Nothing points to them before that has worked.
    fn tables_for(
        &self,
        memory: &mut impl TableMemory,
        level: u8,
        address: u64,
        page: ProgramPage,
    ) -> Result<PhysFrame, OutOfFrames> {
        let table = memory.allocate()?;
        let entry = if level == BOTTOM {
            page.entry(self.no_execute)
        } else {
            match self.tables_for(memory, level - 1, address, page) {
                Ok(child) => table_entry(child, address),
                Err(error) => {
                    memory.free(table);
                    return Err(error);
                }
            }
        };
        memory.write(table, index_at(level, address), entry);
        Ok(table)
    }
}

/// The first entry of a table that is in use and stands for a part of the range `rest`, with that part: what comes after it is left.
fn next_part(
    memory: &impl TableMemory,
    table: PhysFrame,
    level: u8,
    rest: &mut Range<u64>,
) -> Option<(usize, Range<u64>)> {
    if rest.is_empty() {
        return None;
    }
    let (first, last) = (index_at(level, rest.start), index_at(level, rest.end - 1));
    let index = memory.first_used(table, first, last)?;
    // All that one table stands for differs in its indexes only.
    let entry = (rest.start >> shift(level)) + (index - first) as u64;
    let part = rest.start.max(entry << shift(level))..rest.end.min((entry + 1) << shift(level));
    rest.start = part.end;
    Some((index, part))
}

#[cfg(test)]
mod tests {
    use super::super::PageSize;
    use super::super::tests::fresh;
    use super::*;
    use core::convert::Infallible;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn page(number: u64, bits: u8) -> ProgramPage {
        ProgramPage {
            frame: PhysFrame::from_pfn(number),
            is_reachable: bits & 1 != 0,
            is_writable: bits & 2 != 0,
            is_executable: bits & 4 != 0,
            is_own: bits & 8 != 0,
        }
    }

    #[test]
    fn an_entry_says_all_of_a_page_and_hides_where_it_is_if_it_is_absent() {
        for bits in 0..16 {
            let page = page(0x12345, bits);
            let entry = page.entry(true);
            assert_eq!(ProgramPage::read(&entry), Some(page));
            assert_eq!(entry.flags().contains(PageTableFlags::PRESENT), page.is_reachable);
            assert_eq!(entry.addr().as_u64() == 0x1234_5000, page.is_reachable);
            assert_eq!(ProgramPage::read(&page.entry(false)).map(|page| page.is_executable), Some(true));
        }
        assert_eq!(ProgramPage::read(&PageTableEntry::new()), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pages_are_as_a_map_of_them_has_them_and_no_table_is_lost(
            steps in prop::collection::vec((0..2000_u64, 0..300_u64, 0..16_u8, 0..4_u8, 0..8_usize), 1..60),
        ) {
            let (tables, mut memory) = fresh(PageSize::Huge);
            let mut model = BTreeMap::new();
            // Around where tables of the two lowest levels end.
            let at = |page: u64| (1 << 30) - (1000 << 12) + (page << 12);
            for (first, count, bits, kind, budget) in steps {
                let page = page(first + 1, bits);
                let range = at(first)..at(first + count);
                if kind < 2 {
                    memory.budget = budget;
                    match tables.set_page(&mut memory, at(first), page) {
                        Ok(before) => prop_assert_eq!(before, model.insert(at(first), page)),
                        Err(OutOfFrames) => prop_assert!(budget < 3 && !model.contains_key(&at(first))),
                    }
                } else {
                    let edit = if kind == 2 { Edit::Clear } else { Edit::Replace(page) };
                    let mut seen = Vec::new();
                    let _: Result<(), Infallible> =
                        tables.edit_pages(&mut memory, range.clone(), |_, address, page| {
                            seen.push((address, page));
                            Ok(edit)
                        });
                    prop_assert_eq!(seen, model.range(range.clone()).map(|(at, page)| (*at, *page)).collect::<Vec<_>>());
                    match edit {
                        Edit::Replace(page) => model.range_mut(range).for_each(|(_, there)| *there = page),
                        _ => model.retain(|address, _| !range.contains(address)),
                    }
                }
                let reached = memory.reached(tables.root);
                prop_assert_eq!(reached, memory.tables.keys().copied().collect::<BTreeSet<_>>());
                prop_assert_eq!(tables.page(&memory, at(first)), model.get(&at(first)).copied());
                let mut all = BTreeMap::new();
                let _: Result<(), Infallible> = tables.edit_pages(&mut memory, 0..1 << 47, |_, address, page| {
                    all.insert(address, page);
                    Ok(Edit::Keep)
                });
                prop_assert_eq!(&all, &model);
            }
        }
    }

    #[test]
    fn an_edit_ends_at_its_first_error() {
        let (tables, mut memory) = fresh(PageSize::Huge);
        for number in 1..4 {
            tables.set_page(&mut memory, number << 12, page(number, 1)).unwrap();
        }
        let done =
            tables.edit_pages(
                &mut memory,
                0..1 << 30,
                |_, address, _| {
                    if address == 2 << 12 { Err(address) } else { Ok(Edit::Clear) }
                },
            );
        assert_eq!(done, Err(2 << 12));
        assert_eq!(tables.page(&memory, 1 << 12), None);
        assert!(tables.page(&memory, 3 << 12).is_some());
    }
}
