//! Page faults: what [`decide`](super::decide) decides is carried out here, for the program and for the kernel in its name.

use super::area::{Area, GUARD_BYTES, PAGE, Protection};
use super::decide::{Access, Decision, PageState, Signal, decide, supply};
use super::layout::{END, LOWEST};
use super::pages::Pages;
use super::{AddressSpace, Flush, Limits, pages_in, round_down};
use crate::errno::Errno;
use crate::mem::OutOfFrames;
use crate::mem::backing::NoPage;
use crate::mem::page_table::TableMemory;

/// How a page fault ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOutcome {
    /// The program can try again.
    Resolved,
    /// It gets a signal.
    Signal(Signal),
    /// There is no memory for it.
    OutOfMemory,
}

impl FaultOutcome {
    /// The error of a system call that needed the page.
    ///
    /// # Errors
    /// [`Errno::EFAULT`] or [`Errno::ENOMEM`].
    pub fn into_result(self) -> Result<(), Errno> {
        match self {
            Self::Resolved => Ok(()),
            Self::Signal(_) => Err(Errno::EFAULT),
            Self::OutOfMemory => Err(Errno::ENOMEM),
        }
    }
}

impl From<Result<(), NoPage>> for FaultOutcome {
    fn from(done: Result<(), NoPage>) -> Self {
        match done {
            Ok(()) => Self::Resolved,
            Err(NoPage::BeyondEnd) => Self::Signal(Signal::BeyondEnd),
            Err(NoPage::OutOfFrames) => Self::OutOfMemory,
        }
    }
}

impl From<OutOfFrames> for NoPage {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfFrames
    }
}

impl<M: TableMemory> AddressSpace<M> {
    /// Does what an access at `address` needs.
    pub fn fault(&mut self, address: u64, access: Access, limits: &Limits, flush: &mut Flush<'_, M>) -> FaultOutcome {
        if address >= END {
            return FaultOutcome::Signal(Signal::NotMapped);
        }
        let page = round_down(address);
        let decision = decide(self.areas.at_or_after(page), page, state_of(&self.pages, page), access);
        match decision {
            Decision::Signal(signal) => FaultOutcome::Signal(signal),
            Decision::Grow if !self.grow_down(page, limits) => FaultOutcome::Signal(Signal::NotMapped),
            _ => match self.areas.get(page) {
                Some(area) => bring(&mut self.pages, area, page, access, flush).into(),
                None => FaultOutcome::Signal(Signal::NotMapped),
            },
        }
    }

    /// Brings the pages of a range for an access: for copies by the kernel.
    ///
    /// # Errors
    /// [`Errno::EFAULT`] at the first page that the program may not access so, [`Errno::ENOMEM`]: pages before it are there.
    pub fn bring(
        &mut self,
        start: u64,
        bytes: u64,
        access: Access,
        limits: &Limits,
        flush: &mut Flush<'_, M>,
    ) -> Result<(), Errno> {
        let first = round_down(start);
        let end = start.checked_add(bytes).filter(|end| *end <= END).ok_or(Errno::EFAULT)?;
        for page in (first..end).step_by(PAGE as usize) {
            self.fault(page, access, limits, flush).into_result()?;
        }
        Ok(())
    }

    /// Brings all pages of a range, private ones for writing where that is allowed (`MAP_POPULATE`, mlock(2)).
    ///
    /// # Errors
    /// [`Errno::ENOMEM`] also where nothing is mapped; [`Errno::EFAULT`] for a page that a file does not have, or that the program
    /// may not touch.
    pub fn populate(&mut self, start: u64, bytes: u64, flush: &mut Flush<'_, M>) -> Result<(), Errno> {
        let range = pages_in(start, bytes).ok_or(Errno::ENOMEM)?;
        if !start.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        for page in range.step_by(PAGE as usize) {
            let area = self.areas.get(page).ok_or(Errno::ENOMEM)?;
            if area.protection.is_empty() {
                return Err(Errno::EFAULT);
            }
            let is_copied = area.protection.contains(Protection::WRITE) && !area.is_shared();
            let access = if is_copied { Access::Write } else { Access::Read };
            FaultOutcome::from(bring(&mut self.pages, area, page, access, flush)).into_result()?;
        }
        Ok(())
    }

    /// Extends the area above `page`, which grows down, to it, if that is within limits and not too near to the area below.
    fn grow_down(&mut self, page: u64, limits: &Limits) -> bool {
        let Some(area) = self.areas.at_or_after(page) else { return false };
        let (start, end) = (area.start, area.end);
        let room_from = self.areas.end_before(page);
        let below = room_from.checked_sub(1).and_then(|last| self.areas.get(last));
        // What cannot be touched, or grows itself, needs no guard.
        let needs_guard = below.is_some_and(|below| !below.protection.is_empty() && !below.grows_down());
        let guard = if needs_guard { GUARD_BYTES } else { 0 };
        let fits = page >= LOWEST
            && page.saturating_sub(room_from) >= guard
            && end - page <= limits.stack
            && self.may_have(start - page, 0, limits);
        if fits {
            self.areas.change(start, |area| area.start = page);
        }
        fits
    }
}

/// Does what an access to a page of an area needs that is allowed, or that the kernel forces.
pub(super) fn bring<M: TableMemory>(
    pages: &mut Pages<M>,
    area: &Area,
    page: u64,
    access: Access,
    flush: &mut Flush<'_, M>,
) -> Result<(), NoPage> {
    // Where only the kernel writes, the program does not get to.
    let may_write = area.protection.contains(Protection::WRITE);
    let view = || area.view.as_ref().zip(area.index_of(page)).ok_or(NoPage::BeyondEnd);
    match supply(area, state_of(pages, page), access) {
        Decision::MapZero => {
            let (zeros, is_own) = pages.zeros()?;
            pages.put(area, page, zeros, is_own, false, flush)?;
        }
        Decision::MapFresh => {
            let fresh = pages.fresh()?;
            pages.put(area, page, fresh, true, may_write, flush)?;
        }
        Decision::MapCached { writable } => {
            let (view, index) = view()?;
            let cached = view.backing.page(index)?;
            if writable {
                view.backing.will_be_written(index);
            }
            pages.put(area, page, cached, false, writable && may_write, flush)?;
        }
        Decision::CopyCached => {
            let (view, index) = view()?;
            let copy = view.backing.page(index)?.copy()?;
            pages.put(area, page, copy, true, may_write, flush)?;
        }
        Decision::CopyThenMap => {
            if let Some(there) = pages.get(page) {
                let copy = if pages.is_zero(&there) { pages.fresh()? } else { pages.share(&there)?.copy()? };
                pages.put(area, page, copy, true, may_write, flush)?;
            }
        }
        Decision::MakeWritable { tell } => {
            if tell {
                let (view, index) = view()?;
                view.backing.will_be_written(index);
            }
            if may_write {
                pages.make_writable(page);
            }
        }
        Decision::Spurious | Decision::Grow | Decision::Signal(_) => (),
    }
    Ok(())
}

/// The state of the page at `page`.
fn state_of<M: TableMemory>(pages: &Pages<M>, page: u64) -> PageState {
    match pages.get(page) {
        None => PageState::Absent,
        Some(page) => PageState::Present {
            is_writable: page.is_writable,
            is_own: page.is_own,
            is_sole: page.is_own && !page.is_writable && pages.is_sole(&page),
        },
    }
}
