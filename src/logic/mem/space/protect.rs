//! mprotect(2), madvise(2), mlock(2) and mincore(2).

use super::area::{Area, AreaFlags, PAGE, Protection};
use super::{Access, AddressSpace, Flush, Limits, pages_in, round_up};
use crate::errno::Errno;
use crate::mem::page_table::TableMemory;
use core::ops::Range;
use linux_raw_sys::general;

impl<M: TableMemory> AddressSpace<M> {
    /// Changes what may be done with a range.
    ///
    /// # Errors
    /// As mprotect(2). What lies before the first hole or refusal has changed.
    pub fn protect(
        &mut self,
        start: u64,
        bytes: u64,
        protection: Protection,
        limits: &Limits,
        flush: &mut Flush<'_, M>,
    ) -> Result<(), Errno> {
        let range = checked(start, bytes, Errno::ENOMEM)?;
        self.change_areas(range, |space, area| {
            if !area.most.contains(protection) {
                return Err(Errno::EACCES);
            }
            let becomes_data = !area.is_data() && Area { protection, ..area.clone() }.is_data();
            if becomes_data && !space.may_have(0, area.bytes(), limits) {
                return Err(Errno::ENOMEM);
            }
            if area.protection != protection {
                space.areas.change(area.start, |area| area.protection = protection);
                space.pages.protect(area.range(), protection, flush);
            }
            Ok(())
        })
    }

    /// Does what the program advises (madvise(2), numbers and all).
    ///
    /// # Errors
    /// As madvise(2). Holes are told with [`Errno::ENOMEM`] when all else has been done.
    pub fn advise(
        &mut self,
        start: u64,
        bytes: u64,
        advice: u32,
        limits: &Limits,
        flush: &mut Flush<'_, M>,
    ) -> Result<(), Errno> {
        use AreaFlags as F;
        let none = F::empty();
        let flags = match advice {
            general::MADV_DONTNEED | general::MADV_DONTNEED_LOCKED | general::MADV_FREE => {
                return self.discard(checked(start, bytes, Errno::EINVAL)?, advice, flush);
            }
            general::MADV_POPULATE_READ => return self.bring_all(start, bytes, Access::Read, limits, flush),
            general::MADV_POPULATE_WRITE => return self.bring_all(start, bytes, Access::Write, limits, flush),
            general::MADV_DONTFORK => (F::DONT_FORK, none),
            general::MADV_DOFORK => (none, F::DONT_FORK),
            general::MADV_DONTDUMP => (F::DONT_DUMP, none),
            general::MADV_DODUMP => (none, F::DONT_DUMP),
            general::MADV_WIPEONFORK => (F::WIPE_ON_FORK, none),
            general::MADV_KEEPONFORK => (none, F::WIPE_ON_FORK),
            general::MADV_NORMAL
            | general::MADV_RANDOM
            | general::MADV_SEQUENTIAL
            | general::MADV_WILLNEED
            | general::MADV_COLD
            | general::MADV_PAGEOUT
            | general::MADV_HUGEPAGE
            | general::MADV_NOHUGEPAGE => (none, none),
            _ => return Err(Errno::EINVAL),
        };
        self.flag(checked(start, bytes, Errno::EINVAL)?, flags, |area| {
            let is_anonymous = area.view.is_none();
            if advice == general::MADV_WIPEONFORK && !is_anonymous { Err(Errno::EINVAL) } else { Ok(()) }
        })
    }

    /// Notes that a range is locked or is not (mlock(2), munlock(2)). [`AddressSpace::populate`] brings the pages.
    ///
    /// # Errors
    /// As mlock(2), but for limits.
    pub fn lock(&mut self, start: u64, bytes: u64, is_locked: bool) -> Result<(), Errno> {
        let range = checked(start, bytes, Errno::EINVAL)?;
        let none = AreaFlags::empty();
        let flags = if is_locked { (AreaFlags::LOCKED, none) } else { (none, AreaFlags::LOCKED) };
        self.flag(range, flags, |_| Ok(()))
    }

    /// Tells of each page from `start` on whether it is in memory (mincore(2)).
    ///
    /// # Errors
    /// As mincore(2).
    pub fn resident(&mut self, start: u64, pages: &mut [u8]) -> Result<(), Errno> {
        if !start.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let bytes = (pages.len() as u64).checked_mul(PAGE).ok_or(Errno::ENOMEM)?;
        let range = pages_in(start, bytes).ok_or(Errno::ENOMEM)?;
        if self.mapped_in(range.clone()) != bytes {
            return Err(Errno::ENOMEM);
        }
        pages.fill(0);
        self.pages.visit(range, |address, _| {
            if let Some(page) = pages.get_mut(((address - start) / PAGE) as usize) {
                *page = 1;
            }
        });
        Ok(())
    }

    /// Does `change` with each area of a range, cut out of it. A hole ends it.
    fn change_areas(
        &mut self,
        range: Range<u64>,
        mut change: impl FnMut(&mut Self, &Area) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        if range.is_empty() {
            return Ok(());
        }
        self.cut_out(&range)?;
        let mut address = range.start;
        let mut done = Ok(());
        while address < range.end && done.is_ok() {
            done = match self.areas.get(address).cloned() {
                Some(area) => {
                    address = area.end;
                    let done = change(self, &area);
                    self.areas.merge(area.start);
                    done
                }
                None => Err(Errno::ENOMEM),
            };
        }
        self.areas.merge(address);
        self.areas.merge(range.end);
        done
    }

    /// Sets and clears flags of all areas of a range, if `check` lets it.
    fn flag(
        &mut self,
        range: Range<u64>,
        (set, cleared): (AreaFlags, AreaFlags),
        check: impl Fn(&Area) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        if (set | cleared).is_empty() {
            let is_whole = self.mapped_in(range.clone()) == range.end - range.start;
            return if is_whole { Ok(()) } else { Err(Errno::ENOMEM) };
        }
        self.change_areas(range, |space, area| {
            check(area)?;
            space.areas.change(area.start, |area| area.flags = (area.flags | set) - cleared);
            Ok(())
        })
    }

    /// Gives the pages of a range up: what is private starts anew. Linux may free pages of `MADV_FREE` later; this is sooner.
    fn discard(&mut self, range: Range<u64>, advice: u32, flush: &mut Flush<'_, M>) -> Result<(), Errno> {
        for area in self.areas.overlapping(range.clone()) {
            let is_locked = area.flags.contains(AreaFlags::LOCKED) && advice != general::MADV_DONTNEED_LOCKED;
            if is_locked || (advice == general::MADV_FREE && area.view.is_some()) {
                return Err(Errno::EINVAL);
            }
            let part = area.start.max(range.start)..area.end.min(range.end);
            self.pages.release(area, part, flush);
        }
        let is_whole = self.mapped_in(range.clone()) == range.end - range.start;
        if is_whole { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// Brings all pages of a range for an access, as `MADV_POPULATE_READ` and `MADV_POPULATE_WRITE` do.
    fn bring_all(
        &mut self,
        start: u64,
        bytes: u64,
        access: Access,
        limits: &Limits,
        flush: &mut Flush<'_, M>,
    ) -> Result<(), Errno> {
        let range = checked(start, bytes, Errno::EINVAL)?;
        if self.mapped_in(range.clone()) != range.end - range.start {
            return Err(Errno::ENOMEM);
        }
        let is_allowed = |area: &Area| super::decide::allows(area.protection, access);
        if !self.areas.overlapping(range.clone()).all(is_allowed) {
            return Err(Errno::EINVAL);
        }
        self.bring(range.start, range.end - range.start, access, limits, flush)
    }
}

/// The range that a program means, which must start with a page; `wraps` if it ends where numbers do.
fn checked(start: u64, bytes: u64, wraps: Errno) -> Result<Range<u64>, Errno> {
    if !start.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    round_up(bytes).and_then(|bytes| start.checked_add(bytes)).ok_or(wraps)?;
    pages_in(start, bytes).ok_or(Errno::ENOMEM)
}
