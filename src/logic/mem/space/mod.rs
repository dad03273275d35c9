//! Address spaces of programs: which addresses mean what ([`area`]s), and the page tables that say so to the processor.
//!
//! ```text
//!   mmap munmap mprotect mremap madvise brk fork        a page fault
//!        │ map, protect, remap, heap, fork                  │ fault
//!        ▼                                                  ▼
//!   area_map::AreaMap ──── the area of an address ───▶ decide::decide
//!        │ which pages of which area                        │ what to do
//!        ▼                                                  ▼
//!   pages::Pages ─── page_table::Tables        backing::Backing, page::Page
//!        │ what processors must forget
//!        ▼
//!   flush::Flush
//! ```
//!
//! Pages come when they are touched. Until a program writes, it sees a page that others see as well: the page of zeros, a file's,
//! or what it shares with its parent or child.
//!
//! Every operation needs the space for itself, under a lock whose holder may wait; and a [`Flush`], which must be dropped before
//! that lock is let go. Amounts are the program's to decide, so whatever needs memory can be refused it, and then nothing has
//! changed unless an operation says so.

pub mod area;
mod area_map;
pub mod decide;
mod fault;
mod flush;
mod fork;
mod heap;
pub mod layout;
mod map;
pub mod maps;
mod pages;
mod peek;
mod protect;
mod remap;
pub mod request;
pub mod shared_memory;
#[cfg(test)]
mod tests;
mod usage;

pub use area::{Area, AreaFlags, Protection, View};
pub use decide::{Access, Signal};
pub use fault::FaultOutcome;
pub use flush::{Flush, Processors, Stale};
pub use map::{Content, MapRequest, Placement};
pub use pages::Resident;
pub use peek::Reach;
pub use remap::{Destination, RemapRequest};
pub use request::MapFlags;
pub use usage::Usage;

use super::OutOfFrames;
use super::page::{Frames, Page};
use super::page_table::{TableMemory, Tables};
use crate::errno::Errno;
use area::PAGE;
use area_map::{AreaMap, NoRoom};
use core::ops::Range;
use layout::{END, Layout};
use pages::Pages;
use x86_64::structures::paging::PhysFrame;

/// Areas that a space can have (`vm.max_map_count`).
pub const MOST_AREAS: usize = 65_530;

/// How much a program may have, in bytes (getrlimit(2)); `u64::MAX` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `RLIMIT_AS`: all of it.
    pub total: u64,
    /// `RLIMIT_DATA`: what is private and writable.
    pub data: u64,
    /// `RLIMIT_STACK`: an area that grows down.
    pub stack: u64,
}

impl Limits {
    /// No limits.
    pub const NONE: Self = Self { total: u64::MAX, data: u64::MAX, stack: u64::MAX };
}

/// The address space of a program. When it is dropped, no processor may use its page tables any more, nor remember them.
pub struct AddressSpace<M: TableMemory> {
    areas: AreaMap,
    pages: Pages<M>,
    layout: Layout,
    /// From where the program break was first to where it is: any addresses, not whole pages.
    heap: Range<u64>,
    /// An address in the area that /proc/PID/maps calls the stack.
    stack: u64,
}

impl<M: TableMemory + Clone> AddressSpace<M> {
    /// An empty space beside the kernel's half of `kernel`. Its tables lie in `memory`, whose `free` is called only when no
    /// processor remembers the table. `zero` is a user of the page of zeros that all spaces show.
    ///
    /// # Errors
    /// [`OutOfFrames`].
    pub fn new(
        kernel: &Tables,
        memory: M,
        frames: &'static dyn Frames,
        zero: Page,
        layout: Layout,
    ) -> Result<Self, OutOfFrames> {
        let pages = Pages::new(kernel, memory, frames, zero)?;
        Ok(Self { areas: AreaMap::default(), pages, layout, heap: 0..0, stack: 0 })
    }

    /// Gathers what `processors` must forget, for this space's operations.
    pub fn flush<'a>(&self, processors: &'a dyn Processors) -> Flush<'a, M> {
        self.pages.flush(processors)
    }
}

impl<M: TableMemory> AddressSpace<M> {
    /// The level-4 table, for CR3.
    pub fn root(&self) -> PhysFrame {
        self.pages.root()
    }

    /// Where things are put.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Says which address is in the stack, for /proc/PID/maps.
    pub fn set_stack(&mut self, address: u64) {
        self.stack = address;
    }

    /// The area that has `address`.
    pub fn area(&self, address: u64) -> Option<&Area> {
        self.areas.get(address)
    }

    /// All areas, in the order of their addresses.
    pub fn areas(&self) -> impl Iterator<Item = &Area> {
        self.areas.iter()
    }

    /// Whether so many bytes more, of which so many are private and writable, are within the limits.
    fn may_have(&self, bytes: u64, data: u64, limits: &Limits) -> bool {
        let sizes = self.areas.sizes();
        let total = sizes.total.checked_add(bytes).is_some_and(|total| total <= limits.total);
        total && (data == 0 || sizes.data.checked_add(data).is_some_and(|data| data <= limits.data))
    }

    /// Refuses to cut areas at the ends of a range if there would be too many of them.
    fn may_cut(&self, range: &Range<u64>) -> Result<(), Errno> {
        let is_cut = |address: u64| self.areas.get(address).is_some_and(|area| area.start < address);
        let more = usize::from(is_cut(range.start)) + usize::from(is_cut(range.end));
        if self.areas.len() + more > MOST_AREAS { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Cuts areas at the ends of a range.
    fn cut_out(&mut self, range: &Range<u64>) -> Result<(), Errno> {
        self.may_cut(range)?;
        self.areas.prepare()?;
        self.areas.cut(range.start);
        self.areas.cut(range.end);
        Ok(())
    }
}

impl From<NoRoom> for Errno {
    fn from(_: NoRoom) -> Self {
        Self::ENOMEM
    }
}

impl From<OutOfFrames> for Errno {
    fn from(_: OutOfFrames) -> Self {
        Self::ENOMEM
    }
}

/// The address rounded up to a page, if there is such.
pub(crate) fn round_up(address: u64) -> Option<u64> {
    address.checked_next_multiple_of(PAGE)
}

/// The address of the page that has `address`.
pub(crate) fn round_down(address: u64) -> u64 {
    address - address % PAGE
}

/// The pages of a program's `bytes` bytes at `start`; `None` if they reach beyond its addresses. Nobody has aligned them.
fn pages_in(start: u64, bytes: u64) -> Option<Range<u64>> {
    let end = start.checked_add(round_up(bytes)?)?;
    (end <= END).then_some(start..end)
}
