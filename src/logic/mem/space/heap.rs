//! brk(2): the program break, and the area below it.

use super::area::{Area, AreaFlags, PAGE, Protection};
use super::layout::{END, LOWEST};
use super::{AddressSpace, Flush, Limits, MOST_AREAS, round_up};
use crate::mem::page_table::TableMemory;

impl<M: TableMemory> AddressSpace<M> {
    /// Says where the heap starts: after the program that was loaded.
    pub fn start_heap(&mut self, address: u64) {
        self.heap = address..address;
    }

    /// Moves the program break to `wanted` if that is possible; answers where it is then. As the system call, which never fails.
    pub fn set_break(&mut self, wanted: u64, limits: &Limits, flush: &mut Flush<'_, M>) -> u64 {
        if self.try_break(wanted, limits, flush).is_some() {
            self.heap.end = wanted;
        }
        self.heap.end
    }

    /// Maps or unmaps what is between the break and where it is wanted.
    fn try_break(&mut self, wanted: u64, limits: &Limits, flush: &mut Flush<'_, M>) -> Option<()> {
        let bytes = wanted.checked_sub(self.heap.start)?;
        let (end, new_end) = (round_up(self.heap.end)?, round_up(wanted)?);
        if new_end <= end {
            return if new_end < end { self.unmap_pages(new_end..end, flush).ok() } else { Some(()) };
        }
        let more = new_end - end;
        // One page stays free above.
        let next = self.areas.at_or_after(end).map_or(END, Area::guarded_start);
        let is_free = new_end.checked_add(PAGE)? <= next && self.heap.start >= LOWEST;
        if !is_free || bytes > limits.data || !self.may_have(more, more, limits) || self.areas.len() > MOST_AREAS {
            return None;
        }
        self.areas.prepare().ok()?;
        self.areas.insert(Area {
            start: end,
            end: new_end,
            protection: Protection::READ | Protection::WRITE,
            most: Protection::all(),
            flags: AreaFlags::empty(),
            view: None,
            name: None,
        });
        self.areas.merge(end);
        Some(())
    }
}
