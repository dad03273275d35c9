//! mremap(2): areas grow, shrink and move, with their pages.

use super::area::{Area, PAGE};
use super::map::fixed;
use super::{AddressSpace, Flush, Limits, MOST_AREAS, pages_in, round_up};
use crate::errno::Errno;
use crate::mem::page_table::TableMemory;
use core::ops::Range;

/// Where the area may be after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Where it is.
    Stay,
    /// Where it is if there is room, otherwise anywhere (`MREMAP_MAYMOVE`).
    MayMove,
    /// Here, in the place of what is here (`MREMAP_FIXED`).
    Fixed(u64),
}

/// What a program wants of mremap(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemapRequest {
    /// Where it is.
    pub start: u64,
    /// How much of it; nothing of a shared mapping is another mapping of the same.
    pub bytes: u64,
    /// How much it is to be.
    pub new_bytes: u64,
    /// Where.
    pub destination: Destination,
    /// It moves, but an empty area stays where it was (`MREMAP_DONTUNMAP`).
    pub leave_area: bool,
}

impl<M: TableMemory> AddressSpace<M> {
    /// Resizes or moves a mapping; answers where it is then.
    ///
    /// # Errors
    /// As mremap(2). If there is no memory for it, what was at a fixed place may be gone, and nothing else has changed.
    pub fn remap(&mut self, request: RemapRequest, limits: &Limits, flush: &mut Flush<'_, M>) -> Result<u64, Errno> {
        let RemapRequest { start, destination, leave_area, .. } = request;
        let new_bytes = round_up(request.new_bytes).filter(|bytes| *bytes > 0).ok_or(Errno::EINVAL)?;
        let bytes = round_up(request.bytes).ok_or(Errno::EINVAL)?;
        let moves = destination != Destination::Stay;
        if !start.is_multiple_of(PAGE) || (leave_area && (!moves || bytes != new_bytes)) {
            return Err(Errno::EINVAL);
        }
        let old = pages_in(start, bytes).ok_or(Errno::EFAULT)?;
        if let Destination::Fixed(new) = destination {
            let new = pages_in(new, new_bytes).filter(|_| new.is_multiple_of(PAGE)).ok_or(Errno::EINVAL)?;
            if new.start < old.end && old.start < new.end {
                return Err(Errno::EINVAL);
            }
            fixed(new.start, new_bytes)?;
        } else if new_bytes <= bytes && !leave_area {
            return self.shrink(old, new_bytes, flush);
        }
        let area = self.areas.get(start).ok_or(Errno::EFAULT)?;
        if bytes == 0 && !area.is_shared() {
            return Err(Errno::EINVAL);
        }
        if old.end > area.end {
            return Err(Errno::EFAULT);
        }
        let is_overflow = area.index_of(start).is_some_and(|index| index.checked_add(new_bytes / PAGE).is_none());
        if is_overflow {
            return Err(Errno::EINVAL);
        }
        let stays = if leave_area { bytes } else { 0 };
        let more = (new_bytes + stays).saturating_sub(bytes);
        if !self.may_have(more, if area.is_data() { more } else { 0 }, limits) {
            return Err(Errno::ENOMEM);
        }
        let is_at_end = old.end == area.end && bytes > 0 && !leave_area;
        if is_at_end && !matches!(destination, Destination::Fixed(_)) && self.grow_up(start, old.start + new_bytes) {
            return Ok(start);
        }
        match destination {
            Destination::Stay => Err(Errno::ENOMEM),
            Destination::MayMove | Destination::Fixed(_) => {
                self.relocate(old, destination, new_bytes, leave_area, flush)
            }
        }
    }

    /// Unmaps what is after the new end.
    fn shrink(&mut self, old: Range<u64>, new_bytes: u64, flush: &mut Flush<'_, M>) -> Result<u64, Errno> {
        self.areas.get(old.start).ok_or(Errno::EFAULT)?;
        if old.start + new_bytes < old.end {
            self.unmap_pages(old.start + new_bytes..old.end, flush)?;
        }
        Ok(old.start)
    }

    /// Extends the area that has `address` to `new_end`, if nothing is in the way.
    fn grow_up(&mut self, address: u64, new_end: u64) -> bool {
        let Some(area) = self.areas.get(address) else { return false };
        let (start, end) = (area.start, area.end);
        let Some(more) = new_end.checked_sub(end) else { return false };
        let is_free = pages_in(end, more).is_some()
            && self.areas.at_or_after(end).is_none_or(|next| new_end <= next.guarded_start());
        if is_free {
            self.areas.change(start, |area| area.end = new_end);
            self.areas.merge(new_end);
        }
        is_free
    }

    /// Moves a part of an area, and makes it larger or smaller.
    fn relocate(
        &mut self,
        old: Range<u64>,
        destination: Destination,
        new_bytes: u64,
        leave_area: bool,
        flush: &mut Flush<'_, M>,
    ) -> Result<u64, Errno> {
        // Two cuts where it was, one or two where it will be.
        if self.areas.len() + 4 > MOST_AREAS {
            return Err(Errno::ENOMEM);
        }
        let start = match destination {
            Destination::Fixed(start) => {
                self.unmap_pages(start..start + new_bytes, flush)?;
                start
            }
            _ => self.find_room(new_bytes)?,
        };
        let moved = old.start..old.end.min(old.start + new_bytes);
        // For all three areas: once the pages have moved, nothing may fail.
        self.areas.prepare()?;
        let Some(area) = self.areas.get(old.start) else { return Err(Errno::EFAULT) };
        let target = Area { start, end: start + new_bytes, ..area.part(old.start..area.end) };
        self.pages.relocate(moved, start, flush)?;
        if !leave_area && !old.is_empty() {
            self.take_out(old, flush);
        }
        let end = target.end;
        self.areas.insert(target);
        self.areas.merge(start);
        self.areas.merge(end);
        Ok(start)
    }
}
