//! mmap(2) and munmap(2).

use super::area::{Area, AreaFlags, PAGE, Protection, View};
use super::layout::{END, LOWEST};
use super::shared_memory::SharedMemory;
use super::{AddressSpace, Flush, Limits, MOST_AREAS, pages_in, round_down, round_up};
use crate::errno::Errno;
use crate::mem::backing::{Backing, Gone};
use crate::mem::page_table::TableMemory;
use alloc::sync::Arc;
use core::ops::Range;

/// Where a program wants a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Anywhere, here if nothing is here.
    Near(u64),
    /// Anywhere in the lowest 2 GiB (`MAP_32BIT`).
    Low,
    /// Here, in the place of what is here (`MAP_FIXED`).
    Fixed(u64),
    /// Here if nothing is here (`MAP_FIXED_NOREPLACE`).
    FixedIfFree(u64),
}

/// What a mapping shows.
#[derive(Clone)]
pub enum Content {
    /// Memory, zero at first.
    Anonymous,
    /// A file or a device.
    Backed {
        /// Whose pages.
        backing: Arc<dyn Backing>,
        /// Where in it, in bytes.
        offset: u64,
        /// What the open file lets a shared mapping do: writing needs a file that is open for it. Nothing can be mapped of one
        /// that is not open for reading.
        most: Protection,
    },
}

/// What a program wants of mmap(2).
#[derive(Clone)]
pub struct MapRequest {
    /// Where.
    pub placement: Placement,
    /// How much; made whole pages.
    pub bytes: u64,
    /// What may be done with it.
    pub protection: Protection,
    /// What else; [`AreaFlags::SHARED`] among it.
    pub flags: AreaFlags,
    /// What it shows.
    pub content: Content,
    /// A name for /proc/PID/maps, if the kernel makes it for itself.
    pub name: Option<&'static str>,
}

/// Where `MAP_32BIT` has its mappings.
const LOW: Range<u64> = 0x4000_0000..0x8000_0000;

impl<M: TableMemory> AddressSpace<M> {
    /// Maps what is requested; answers where.
    ///
    /// # Errors
    /// As mmap(2). If there is no memory for it, what was at a fixed place may be gone.
    pub fn map(&mut self, request: MapRequest, limits: &Limits, flush: &mut Flush<'_, M>) -> Result<u64, Errno> {
        if request.bytes == 0 {
            return Err(Errno::EINVAL);
        }
        let bytes = round_up(request.bytes).filter(|bytes| *bytes <= END).ok_or(Errno::ENOMEM)?;
        let mut flags = request.flags;
        let is_shared = flags.contains(AreaFlags::SHARED);
        if is_shared && flags.contains(AreaFlags::GROWS_DOWN) {
            return Err(Errno::EINVAL);
        }
        let (view, most) = self.view_of(request.content, bytes, &mut flags)?;
        if !most.contains(request.protection) {
            return Err(Errno::EACCES);
        }
        if self.areas.len() > MOST_AREAS {
            return Err(Errno::ENOMEM);
        }
        let start = self.place(request.placement, bytes)?;
        let range = start..start + bytes;
        let (protection, name) = (request.protection, request.name);
        let area = Area { start, end: range.end, protection, most, flags, view, name };
        let replaced = match request.placement {
            Placement::Fixed(_) => self.mapped_in(range.clone()),
            _ => 0,
        };
        let data = if area.is_data() { bytes } else { 0 };
        if !self.may_have(bytes - replaced, data, limits) {
            return Err(Errno::ENOMEM);
        }
        if replaced > 0 {
            self.unmap_pages(range.clone(), flush)?;
        }
        self.areas.prepare()?;
        self.areas.insert(area);
        self.areas.merge(range.start);
        self.areas.merge(range.end);
        Ok(start)
    }

    /// Unmaps whatever is mapped in a range.
    ///
    /// # Errors
    /// As munmap(2); nothing has changed then.
    pub fn unmap(&mut self, start: u64, bytes: u64, flush: &mut Flush<'_, M>) -> Result<(), Errno> {
        let range = pages_in(start, bytes).filter(|range| !range.is_empty() && start.is_multiple_of(PAGE));
        self.unmap_pages(range.ok_or(Errno::EINVAL)?, flush)
    }

    /// Unmaps whatever is mapped in a range of whole pages.
    pub(super) fn unmap_pages(&mut self, range: Range<u64>, flush: &mut Flush<'_, M>) -> Result<(), Errno> {
        if self.areas.overlapping(range.clone()).next().is_none() {
            return Ok(());
        }
        // What is cut out of the middle of an area makes two of it; anything else makes none.
        let is_hole = self.areas.get(range.start).is_some_and(|area| area.start < range.start && range.end < area.end);
        if is_hole && self.areas.len() >= MOST_AREAS {
            return Err(Errno::ENOMEM);
        }
        self.areas.prepare()?;
        self.take_out(range, flush);
        Ok(())
    }

    /// Unmaps whatever is mapped in a range of whole pages. Room for two areas has been made.
    pub(super) fn take_out(&mut self, range: Range<u64>, flush: &mut Flush<'_, M>) {
        self.areas.cut(range.start);
        self.areas.cut(range.end);
        loop {
            let next = self.areas.overlapping(range.clone()).next().map(|area| area.start);
            let Some(area) = next.and_then(|start| self.areas.remove(start)) else { break };
            self.pages.release(&area, area.range(), flush);
        }
    }

    /// Takes the pages `indexes` of a file (device and inode's number) away, which are not part of it any more. Whoever touches them
    /// next asks the file again: it has fresh ones, or they lie beyond its end (SIGBUS).
    pub fn forget_pages(&mut self, file: (u64, u64), indexes: &Range<u64>, why: Gone, flush: &mut Flush<'_, M>) {
        for area in self.areas.iter() {
            let Some(view) = area.view.as_ref().filter(|view| view.backing.file() == Some(file)) else { continue };
            let address_of =
                |index: u64| area.start + index.saturating_sub(view.index).saturating_mul(PAGE).min(area.bytes());
            let range = address_of(indexes.start)..address_of(indexes.end);
            match why {
                Gone::CutOff => self.pages.release(area, range, flush),
                Gone::Hole => self.pages.release_shown(area, range, flush),
            }
        }
    }

    /// What a mapping shows, and what may be done with it at most.
    fn view_of(
        &self,
        content: Content,
        bytes: u64,
        flags: &mut AreaFlags,
    ) -> Result<(Option<View>, Protection), Errno> {
        match content {
            Content::Anonymous if flags.contains(AreaFlags::SHARED) => {
                flags.insert(AreaFlags::SHARED_MEMORY);
                let backing = Arc::new(SharedMemory::new(self.pages.frames(), bytes / PAGE));
                Ok((Some(View { backing, index: 0 }), Protection::all()))
            }
            Content::Anonymous => Ok((None, Protection::all())),
            Content::Backed { backing, offset, most } => {
                if !offset.is_multiple_of(PAGE) {
                    return Err(Errno::EINVAL);
                }
                offset.checked_add(bytes).ok_or(Errno::EOVERFLOW)?;
                if !most.contains(Protection::READ) {
                    return Err(Errno::EACCES);
                }
                // A private mapping is written to in copies.
                let private = if flags.contains(AreaFlags::SHARED) { Protection::empty() } else { Protection::WRITE };
                flags.remove(AreaFlags::GROWS_DOWN);
                Ok((Some(View { backing, index: offset / PAGE }), most | private))
            }
        }
    }

    /// Where a mapping of so many bytes goes.
    fn place(&self, placement: Placement, bytes: u64) -> Result<u64, Errno> {
        match placement {
            Placement::Near(hint) => {
                let hint = round_down(hint);
                let hint = if hint == 0 { 0 } else { hint.max(LOWEST) };
                if hint != 0 && self.is_free(hint, bytes) { Ok(hint) } else { self.find_room(bytes) }
            }
            Placement::Low => self.areas.highest_gap(LOW, bytes).ok_or(Errno::ENOMEM),
            Placement::Fixed(start) => fixed(start, bytes),
            Placement::FixedIfFree(start) => {
                let start = fixed(start, bytes)?;
                let taken = self.areas.overlapping(start..start + bytes).next().is_some();
                if taken { Err(Errno::EEXIST) } else { Ok(start) }
            }
        }
    }

    /// The highest room below where mappings start; anywhere, if there is none.
    pub(super) fn find_room(&self, bytes: u64) -> Result<u64, Errno> {
        let below = self.areas.highest_gap(LOWEST..self.layout.mapping_top, bytes);
        below.or_else(|| self.areas.highest_gap(LOWEST..END, bytes)).ok_or(Errno::ENOMEM)
    }

    /// Whether nothing is in the way of a mapping.
    fn is_free(&self, start: u64, bytes: u64) -> bool {
        pages_in(start, bytes).is_some_and(|range| {
            let next = self.areas.at_or_after(start);
            next.is_none_or(|next| range.end <= next.guarded_start())
        })
    }

    /// Bytes of a range that are mapped.
    pub(super) fn mapped_in(&self, range: Range<u64>) -> u64 {
        let areas = self.areas.overlapping(range.clone());
        areas.map(|area| area.end.min(range.end) - area.start.max(range.start)).sum()
    }
}

/// The place of a mapping that is wanted there and nowhere else.
pub(super) fn fixed(start: u64, bytes: u64) -> Result<u64, Errno> {
    pages_in(start, bytes).ok_or(Errno::ENOMEM)?;
    if !start.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    if start < LOWEST { Err(Errno::EPERM) } else { Ok(start) }
}
