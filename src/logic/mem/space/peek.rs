//! The kernel reads and writes a space that need not be the current one: arguments at exec, ptrace(2), /proc/PID/mem.

use super::area::{PAGE, Protection};
use super::decide::{Access, Signal};
use super::fault::{FaultOutcome, bring};
use super::{AddressSpace, Flush, Limits, round_down};
use crate::errno::Errno;
use crate::mem::page::Page;
use crate::mem::page_table::TableMemory;

/// What the kernel may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// What the program itself may.
    Allowed,
    /// As debuggers do: what can be made readable, and private pages even if the program must not write to them.
    Forced,
}

impl<M: TableMemory> AddressSpace<M> {
    /// Reads from `address` on; answers how many bytes, fewer than asked for if something is not to be read.
    ///
    /// # Errors
    /// [`Errno::EFAULT`] or [`Errno::ENOMEM`] if there is not even one.
    pub fn peek(
        &mut self,
        address: u64,
        bytes: &mut [u8],
        reach: Reach,
        limits: &Limits,
        flush: &mut Flush<'_, M>,
    ) -> Result<usize, Errno> {
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let (page, offset, count) =
                match self.reach(address.saturating_add(done as u64), rest.len(), Access::Read, reach, limits, flush) {
                    Ok(piece) => piece,
                    Err(error) => return partial(done, error),
                };
            if let Some(piece) = rest.get_mut(..count) {
                page.read(offset, piece);
            }
            done += count;
        }
        Ok(done)
    }

    /// Writes from `address` on; answers how many bytes, fewer than asked for if something is not to be written.
    ///
    /// # Errors
    /// [`Errno::EFAULT`] or [`Errno::ENOMEM`] if there is not even one.
    pub fn poke(
        &mut self,
        address: u64,
        bytes: &[u8],
        reach: Reach,
        limits: &Limits,
        flush: &mut Flush<'_, M>,
    ) -> Result<usize, Errno> {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let (page, offset, count) = match self.reach(
                address.saturating_add(done as u64),
                rest.len(),
                Access::Write,
                reach,
                limits,
                flush,
            ) {
                Ok(piece) => piece,
                Err(error) => return partial(done, error),
            };
            if let Some(piece) = rest.get(..count) {
                page.write(offset, piece);
            }
            done += count;
        }
        Ok(done)
    }

    /// The page that has `address`, where in it that is, and how many of `wanted` bytes are in it.
    fn reach(
        &mut self,
        address: u64,
        wanted: usize,
        access: Access,
        reach: Reach,
        limits: &Limits,
        flush: &mut Flush<'_, M>,
    ) -> Result<(Page, usize, usize), Errno> {
        let page = round_down(address);
        let outcome = match reach {
            Reach::Allowed => self.fault(address, access, limits, flush),
            Reach::Forced => self.force(page, access, flush),
        };
        outcome.into_result()?;
        let there = self.pages.get(page).ok_or(Errno::EFAULT)?;
        let offset = (address % PAGE) as usize;
        Ok((self.pages.share(&there)?, offset, wanted.min(PAGE as usize - offset)))
    }

    /// Brings a page for an access that the program may not be allowed.
    fn force(&mut self, page: u64, access: Access, flush: &mut Flush<'_, M>) -> FaultOutcome {
        let Some(area) = self.areas.get(page) else { return FaultOutcome::Signal(Signal::NotMapped) };
        let is_allowed = match access {
            Access::Write if area.is_shared() => area.protection.contains(Protection::WRITE),
            Access::Write => area.most.contains(Protection::WRITE),
            Access::Read | Access::Execute => area.most.contains(Protection::READ),
        };
        if !is_allowed {
            return FaultOutcome::Signal(Signal::NotAllowed);
        }
        bring(&mut self.pages, area, page, access, flush).into()
    }
}

/// What has been done counts, if anything has.
fn partial(done: usize, error: Errno) -> Result<usize, Errno> {
    if done == 0 { Err(error) } else { Ok(done) }
}
