//! The pages that an address space has: its page tables, and how many of which kind are in them.
//!
//! Each entry is one user of its frame. Whatever takes an entry away hands that user to a [`Flush`].

use super::area::{Area, Protection, Source};
use super::flush::Flush;
use crate::mem::OutOfFrames;
use crate::mem::page::{Frames, Page};
use crate::mem::page_table::{Edit, ProgramPage, TableMemory, Tables};
use core::convert::Infallible;
use core::ops::Range;
use x86_64::structures::paging::PhysFrame;
use x86_64::structures::paging::page_table::PageTableEntry;

/// Pages in memory, by kind. The page of zeros that all share counts as none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// Private ones.
    pub anonymous: u64,
    /// Those of files and devices.
    pub file: u64,
    /// Those of shared memory.
    pub shared: u64,
}

impl Resident {
    /// All.
    pub fn total(self) -> u64 {
        self.anonymous + self.file + self.shared
    }
}

/// Page tables with what is in them.
pub struct Pages<M: TableMemory> {
    tables: Tables,
    memory: M,
    frames: &'static dyn Frames,
    /// The page of zeros.
    zero: Page,
    pub(super) resident: Resident,
    table_count: u64,
}

/// The tables' memory during an edit: what is freed waits for the flush.
struct Editor<'a, 'f, M: TableMemory> {
    memory: &'a mut M,
    flush: &'a mut Flush<'f, M>,
    count: &'a mut u64,
}

impl<M: TableMemory> TableMemory for Editor<'_, '_, M> {
    fn read(&self, table: PhysFrame, index: usize) -> PageTableEntry {
        self.memory.read(table, index)
    }

    fn first_used(&self, table: PhysFrame, first: usize, last: usize) -> Option<usize> {
        self.memory.first_used(table, first, last)
    }

    fn write(&mut self, table: PhysFrame, index: usize, entry: PageTableEntry) {
        self.memory.write(table, index, entry);
    }

    fn allocate(&mut self) -> Result<PhysFrame, OutOfFrames> {
        let table = self.memory.allocate()?;
        *self.count += 1;
        Ok(table)
    }

    fn free(&mut self, table: PhysFrame) {
        *self.count -= 1;
        self.flush.free_table(table);
    }
}

impl<M: TableMemory + Clone> Pages<M> {
    /// No pages, beside the kernel's half of `kernel`.
    pub fn new(kernel: &Tables, mut memory: M, frames: &'static dyn Frames, zero: Page) -> Result<Self, OutOfFrames> {
        let tables = kernel.fork_kernel_half(&mut memory)?;
        Ok(Self { tables, memory, frames, zero, resident: Resident::default(), table_count: 1 })
    }

    /// No pages, beside the same kernel's half.
    pub fn sibling(&self) -> Result<Self, OutOfFrames> {
        Self::new(&self.tables, self.memory.clone(), self.frames, self.zero.share()?)
    }

    /// A flush for these pages.
    pub fn flush<'a>(&self, processors: &'a dyn super::Processors) -> Flush<'a, M> {
        Flush::new(processors, self.frames, self.memory.clone())
    }
}

impl<M: TableMemory> Pages<M> {
    /// The level-4 table.
    pub fn root(&self) -> PhysFrame {
        self.tables.root
    }

    /// Who has the frames.
    pub fn frames(&self) -> &'static dyn Frames {
        self.frames
    }

    /// Frames that hold tables.
    pub fn table_count(&self) -> u64 {
        self.table_count
    }

    /// The page at `address`.
    pub fn get(&self, address: u64) -> Option<ProgramPage> {
        self.tables.page(&self.memory, address)
    }

    /// Whether nobody else uses the frame of a page.
    pub fn is_sole(&self, page: &ProgramPage) -> bool {
        self.frames.users(page.frame) == 1
    }

    /// Whether it is the page of zeros that all share.
    pub fn is_zero(&self, page: &ProgramPage) -> bool {
        page.frame == self.zero.frame()
    }

    /// Another user of the page of zeros; a fresh one if it has as many as can be counted, and whether it is that.
    pub fn zeros(&self) -> Result<(Page, bool), OutOfFrames> {
        match self.zero.share() {
            Ok(page) => Ok((page, false)),
            Err(OutOfFrames) => Ok((Page::zeroed(self.frames)?, true)),
        }
    }

    /// A fresh page of zeros.
    pub fn fresh(&self) -> Result<Page, OutOfFrames> {
        Page::zeroed(self.frames)
    }

    /// The page of an entry, as one user more.
    pub fn share(&self, page: &ProgramPage) -> Result<Page, OutOfFrames> {
        self.frames.share(page.frame)?;
        Ok(Page::from_frame(page.frame, self.frames))
    }

    /// Maps a page at `address` of an area, in the place of what is there.
    pub fn put(
        &mut self,
        area: &Area,
        address: u64,
        page: Page,
        is_own: bool,
        is_writable: bool,
        flush: &mut Flush<'_, M>,
    ) -> Result<(), OutOfFrames> {
        let entry = ProgramPage {
            frame: page.frame(),
            is_reachable: !area.protection.is_empty(),
            is_writable,
            is_executable: area.protection.contains(Protection::EXECUTE),
            is_own,
        };
        let mut editor = Editor { memory: &mut self.memory, flush, count: &mut self.table_count };
        let before = self.tables.set_page(&mut editor, address, entry)?;
        page.into_frame();
        self.count(area.source(), &entry, 1);
        if let Some(before) = before {
            self.count(area.source(), &before, -1);
            flush.release(address, before.frame);
        }
        Ok(())
    }

    /// Allows writing to the page at `address`.
    pub fn make_writable(&mut self, address: u64) {
        if let Some(page) = self.get(address) {
            // A table is there, so that this cannot fail.
            let _ = self.tables.set_page(&mut self.memory, address, ProgramPage { is_writable: true, ..page });
        }
    }

    /// Takes pages of a range of an area away.
    pub fn release(&mut self, area: &Area, range: Range<u64>, flush: &mut Flush<'_, M>) {
        self.release_if(area, range, |_| true, flush);
    }

    /// Takes pages of a range of an area away that are not the program's own.
    pub fn release_shown(&mut self, area: &Area, range: Range<u64>, flush: &mut Flush<'_, M>) {
        self.release_if(area, range, |page| !page.is_own, flush);
    }

    fn release_if(
        &mut self,
        area: &Area,
        range: Range<u64>,
        goes: impl Fn(&ProgramPage) -> bool,
        flush: &mut Flush<'_, M>,
    ) {
        let mut gone = Resident::default();
        let zero = self.zero.frame();
        let mut editor = Editor { memory: &mut self.memory, flush, count: &mut self.table_count };
        let _: Result<(), Infallible> = self.tables.edit_pages(&mut editor, range, |editor, address, page| {
            if !goes(&page) {
                return Ok(Edit::Keep);
            }
            count(&mut gone, zero, area.source(), &page, 1);
            editor.flush.release(address, page.frame);
            Ok(Edit::Clear)
        });
        self.resident.anonymous -= gone.anonymous;
        self.resident.file -= gone.file;
        self.resident.shared -= gone.shared;
    }

    /// Gives the pages of a range what `protection` allows. Writing comes back at the next fault, where it is decided, but for
    /// pages that nobody else uses.
    pub fn protect(&mut self, range: Range<u64>, protection: Protection, flush: &mut Flush<'_, M>) {
        let frames = self.frames;
        let mut editor = Editor { memory: &mut self.memory, flush, count: &mut self.table_count };
        let _: Result<(), Infallible> = self.tables.edit_pages(&mut editor, range, |editor, address, page| {
            let is_kept_writable = page.is_writable || (page.is_own && frames.users(page.frame) == 1);
            let changed = ProgramPage {
                is_reachable: !protection.is_empty(),
                is_writable: protection.contains(Protection::WRITE) && is_kept_writable,
                is_executable: protection.contains(Protection::EXECUTE),
                ..page
            };
            if changed == page {
                return Ok(Edit::Keep);
            }
            editor.flush.stale(address);
            Ok(Edit::Replace(changed))
        });
    }

    /// Shares the private pages of an area with `child`, where the area is, too: neither may write to them from now on.
    ///
    /// # Errors
    /// [`OutOfFrames`]: the child has some of them then.
    pub fn share_with(&mut self, area: &Area, child: &mut Self, flush: &mut Flush<'_, M>) -> Result<(), OutOfFrames> {
        let frames = self.frames;
        let zero = self.zero.frame();
        let mut editor = Editor { memory: &mut self.memory, flush, count: &mut self.table_count };
        self.tables.edit_pages(&mut editor, area.range(), |editor, address, page| {
            // The child finds the others where the parent did.
            if !page.is_own {
                return Ok(Edit::Keep);
            }
            let shared = ProgramPage { is_writable: false, ..page };
            frames.share(page.frame)?;
            let mut tables = Editor { memory: &mut child.memory, flush: editor.flush, count: &mut child.table_count };
            if let Err(error) = child.tables.set_page(&mut tables, address, shared) {
                frames.release(page.frame);
                return Err(error);
            }
            count(&mut child.resident, zero, area.source(), &shared, 1);
            if !page.is_writable {
                return Ok(Edit::Keep);
            }
            editor.flush.stale(address);
            Ok(Edit::Replace(shared))
        })
    }

    /// Moves the pages of `from` to `to` and on, where nothing is mapped.
    ///
    /// # Errors
    /// [`OutOfFrames`] if there is none for a table; nothing has moved then.
    pub fn relocate(&mut self, from: Range<u64>, to: u64, flush: &mut Flush<'_, M>) -> Result<(), OutOfFrames> {
        let tables = self.tables;
        let mut editor = Editor { memory: &mut self.memory, flush, count: &mut self.table_count };
        // Both places have the entries until it is clear that there are enough tables.
        let placed = tables.edit_pages(&mut editor, from.clone(), |editor, address, page| {
            tables.set_page(editor, to + (address - from.start), page)?;
            Ok(Edit::Keep)
        });
        let gone = if placed.is_ok() { from } else { to..to + (from.end - from.start) };
        let _: Result<(), Infallible> = tables.edit_pages(&mut editor, gone, |editor, address, _| {
            editor.flush.stale(address);
            Ok(Edit::Clear)
        });
        placed
    }

    /// Shows `visit` the page at each address of a range that has one.
    pub fn visit(&mut self, range: Range<u64>, mut visit: impl FnMut(u64, &ProgramPage)) {
        let _: Result<(), Infallible> = self.tables.edit_pages(&mut self.memory, range, |_, address, page| {
            visit(address, &page);
            Ok(Edit::Keep)
        });
    }

    fn count(&mut self, source: Source, page: &ProgramPage, change: i64) {
        count(&mut self.resident, self.zero.frame(), source, page, change);
    }
}

/// Counts one page more or less.
fn count(resident: &mut Resident, zero: PhysFrame, source: Source, page: &ProgramPage, change: i64) {
    let kind = match source {
        _ if page.is_own => &mut resident.anonymous,
        _ if page.frame == zero => return,
        Source::File => &mut resident.file,
        Source::SharedMemory => &mut resident.shared,
    };
    *kind = kind.wrapping_add_signed(change);
}

impl<M: TableMemory> Drop for Pages<M> {
    /// No processor uses the tables any more: nothing need be forgotten.
    fn drop(&mut self) {
        let frames = self.frames;
        let everything = 0..super::layout::END;
        let _: Result<(), Infallible> = self.tables.edit_pages(&mut self.memory, everything, |_, _, page| {
            frames.release(page.frame);
            Ok(Edit::Clear)
        });
        self.memory.free(self.tables.root);
    }
}
