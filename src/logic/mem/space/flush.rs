//! What processors must forget after an edit of page tables, and what may be used anew only then.
//!
//! A [`Flush`] gathers while an operation edits, and has it all forgotten at once: at the latest when it is dropped, earlier if it
//! is full. So it needs no memory, and nothing is released that a processor may still reach. It must be dropped before the lock of
//! the address space is let go: until then another processor may still write to a page that has been shared or given up. That lock
//! has to be one whose holder may wait for other processors.

use super::area::PAGE;
use crate::mem::page::Frames;
use crate::mem::page_table::TableMemory;
use arrayvec::ArrayVec;
use core::ops::Range;
use x86_64::structures::paging::PhysFrame;

/// Ranges that are told apart; more are everything.
const RANGES: usize = 8;
/// Pages and tables that are kept until all processors have forgotten them.
const KEPT: usize = 128;

/// What is to be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stale {
    ranges: ArrayVec<Range<u64>, RANGES>,
    is_everything: bool,
}

impl Stale {
    /// The ranges of addresses; `None` for all addresses of the space.
    pub fn ranges(&self) -> Option<&[Range<u64>]> {
        (!self.is_everything).then_some(self.ranges.as_slice())
    }

    fn is_nothing(&self) -> bool {
        self.ranges.is_empty() && !self.is_everything
    }

    fn add(&mut self, page: u64) {
        let end = page.saturating_add(PAGE);
        if let Some(last) = self.ranges.last_mut()
            && last.start <= page
            && page <= last.end
        {
            last.end = last.end.max(end);
        } else if self.ranges.try_push(page..end).is_err() {
            self.is_everything = true;
        }
    }
}

/// The processors that may use the address space.
pub trait Processors {
    /// Has all of them forget what they know of `stale`, entries and tables, and comes back when they have.
    fn forget(&self, stale: &Stale);
}

/// Gathers what an operation makes stale.
pub struct Flush<'a, M: TableMemory> {
    processors: &'a dyn Processors,
    frames: &'static dyn Frames,
    memory: M,
    stale: Stale,
    /// Each with the user that its entry was.
    pages: ArrayVec<PhysFrame, KEPT>,
    tables: ArrayVec<PhysFrame, KEPT>,
}

impl<'a, M: TableMemory> Flush<'a, M> {
    /// Nothing yet.
    pub(super) fn new(processors: &'a dyn Processors, frames: &'static dyn Frames, memory: M) -> Self {
        let (pages, tables) = (ArrayVec::new(), ArrayVec::new());
        Self { processors, frames, memory, stale: Stale::default(), pages, tables }
    }

    /// The entry of the page at `address` allows less than before, or something else.
    pub(super) fn stale(&mut self, address: u64) {
        self.stale.add(address);
    }

    /// The page at `address` is not mapped there any more, or will not be when the editor goes on; its entry was a user of `frame`.
    pub(super) fn release(&mut self, address: u64, frame: PhysFrame) {
        // First, because this page's entry may still be there.
        if self.pages.is_full() {
            self.carry_out();
        }
        self.pages.push(frame);
        self.stale.add(address);
    }

    /// No entry points to a table any more.
    pub(super) fn free_table(&mut self, table: PhysFrame) {
        if self.tables.is_full() {
            self.carry_out();
        }
        self.tables.push(table);
        // Whatever is forgotten, pointers to tables are forgotten with it (SDM volume 3, section 5.10.4.1); but it must be something.
        self.stale.is_everything |= self.stale.ranges.is_empty();
    }

    /// Has everything forgotten that was gathered, and releases it.
    pub fn carry_out(&mut self) {
        if !self.stale.is_nothing() {
            self.processors.forget(&self.stale);
        }
        self.stale = Stale::default();
        self.pages.drain(..).for_each(|frame| self.frames.release(frame));
        self.tables.drain(..).for_each(|table| self.memory.free(table));
    }
}

impl<M: TableMemory> Drop for Flush<'_, M> {
    fn drop(&mut self) {
        self.carry_out();
    }
}
