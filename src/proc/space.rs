//! Address spaces of programs: `logic::mem::space` over this machine's memory and processors, for one thread at a time.
//!
//! A program's memory is copied from and to by [`read`] and [`write`] alone. They go straight at it; only where that faults is the
//! space asked to bring the page.
//!
//! All spaces are known by number, so that pages that a file gives up can be taken away from whoever shows them.

use super::mutex::{Mutex, MutexGuard};
use crate::hw::context;
use crate::hw::space::{FRAMES, MachineTables, Root, kernel_tables};
use crate::hw::user_memory::{self, Unmapped};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use logic::errno::Errno;
use logic::fs::attributes::Identity;
use logic::mem::OutOfFrames;
use logic::mem::backing::Gone;
use logic::mem::page::Page;
use logic::mem::space::layout::Layout;
use logic::mem::space::{Access, AddressSpace, FaultOutcome, Flush, Limits, Processors, Stale, Usage};
use logic::sync::{IrqLock, Rank};
use spin::Once;

/// An address space of this machine.
pub type MachineSpace = AddressSpace<MachineTables>;

/// What an operation on a space gathers.
pub type MachineFlush<'a> = Flush<'a, MachineTables>;

/// All spaces there are, by their numbers.
static SPACES: IrqLock<BTreeMap<u64, Weak<Space>>> = IrqLock::new(Rank::AddressSpace, BTreeMap::new());

/// An address space, and what processors know of it.
pub struct Space {
    /// Grows: a child's is greater than its parent's.
    number: u64,
    /// `None` only while it is dropped.
    root: Option<Arc<Root>>,
    /// Likewise.
    content: Mutex<Option<MachineSpace>>,
}

impl Processors for Root {
    fn forget(&self, stale: &Stale) {
        Root::forget(self, stale.ranges());
    }
}

/// The page of zeros that all programs see until they write.
fn zero_page() -> Result<Page, OutOfFrames> {
    static ZERO: Once<Page> = Once::new();
    ZERO.try_call_once(|| Page::zeroed(&FRAMES))?.share()
}

impl Space {
    /// An empty space.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn new(layout: Layout) -> Result<Arc<Self>, Errno> {
        let space = AddressSpace::new(&kernel_tables(), MachineTables, &FRAMES, zero_page()?, layout)?;
        Ok(Self::of(space))
    }

    fn of(space: MachineSpace) -> Arc<Self> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let made = Arc::new(Self { number, root: Some(Root::new(space.root())), content: Mutex::new(Some(space)) });
        SPACES.lock().insert(number, Arc::downgrade(&made));
        made
    }

    fn root(&self) -> &Arc<Root> {
        self.root.as_ref().expect("a space has its root until it is dropped")
    }

    /// Edits the space, alone; all that processors must forget they have forgotten when this returns. No lock may be held.
    pub fn edit<T>(&self, edit: impl FnOnce(&mut MachineSpace, &mut MachineFlush<'_>) -> T) -> T {
        let mut content: MutexGuard<'_, Option<MachineSpace>> = self.content.lock();
        let space = content.as_mut().expect("a space has its content until it is dropped");
        let mut flush = space.flush(&**self.root());
        edit(space, &mut flush)
        // The flush goes before the lock.
    }

    /// What it uses, if nobody is editing it.
    pub fn try_usage(&self) -> Option<Usage> {
        Some(self.content.try_lock()?.as_ref()?.usage())
    }

    /// The space of a child: fork(2).
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn fork(&self) -> Result<Arc<Self>, Errno> {
        // Known before the parent may be edited again: see `forget_file`.
        self.edit(|space, flush| space.fork(flush).map(Self::of))
    }

    /// What this processor runs goes on in the space.
    pub fn enter(&self) {
        context::set_root(Some(self.root().clone()));
    }

    /// Does what an access needs; how that ended.
    pub fn fault(&self, address: u64, access: Access, limits: &Limits) -> FaultOutcome {
        self.edit(|space, flush| space.fault(address, access, limits, flush))
    }
}

/// Takes the pages `indexes` of a file away from all spaces. The file has given them up already, so that none comes back. No lock may
/// be held.
pub fn forget_file(file: Identity, indexes: Range<u64>, why: Gone) {
    let mut next = 0;
    loop {
        // A child that was made before its parent is reached is there by then, and comes later.
        let found = SPACES.lock().range(next..).find_map(|(_, space)| space.upgrade());
        let Some(space) = found else { break };
        space.edit(|content, flush| content.forget_pages((file.device, file.inode), &indexes, why, flush));
        next = space.number + 1;
    }
}

/// What this processor runs goes on without a program.
pub fn leave() {
    context::set_root(None);
}

impl Drop for Space {
    fn drop(&mut self) {
        let known = SPACES.lock().remove(&self.number);
        drop(known);
        if let Some(root) = self.root.take() {
            root.retire();
        }
        // No processor has it any more: now the rest may go.
        *self.content.lock() = None;
    }
}

/// Brings what a copy stopped at.
pub type Bring<'a> = &'a dyn Fn(u64, Access) -> Result<(), Errno>;

/// Times that a copy may stop at the same byte although its page was brought: another thread may unmap it in between, not for ever.
const PATIENCE: u32 = 100;

/// Copies from the current program's memory at `address`.
///
/// # Errors
/// What `bring` answers for a page that there is not; then some bytes may have been copied.
pub fn read(address: u64, bytes: &mut [u8], bring: Bring<'_>) -> Result<(), Errno> {
    go_on(bring, Access::Read, |done| {
        let rest = bytes.get_mut(done..).unwrap_or_default();
        user_memory::read(address.saturating_add(done as u64), rest)
    })
}

/// Copies to the current program's memory at `address`.
///
/// # Errors
/// As of [`read`].
pub fn write(address: u64, bytes: &[u8], bring: Bring<'_>) -> Result<(), Errno> {
    go_on(bring, Access::Write, |done| {
        let rest = bytes.get(done..).unwrap_or_default();
        user_memory::write(address.saturating_add(done as u64), rest)
    })
}

/// Reads a word that other threads may change, in one piece.
///
/// # Errors
/// As of [`read`].
pub fn load_u32(address: u64, bring: Bring<'_>) -> Result<u32, Errno> {
    let mut word = 0;
    go_on(bring, Access::Read, |_| user_memory::load_u32(address).map(|found| word = found))?;
    Ok(word)
}

/// Puts `new` in the place of `current` if that is there, in one step; answers what was there.
///
/// # Errors
/// As of [`read`].
pub fn compare_exchange_u32(address: u64, current: u32, new: u32, bring: Bring<'_>) -> Result<u32, Errno> {
    let mut word = 0;
    go_on(bring, Access::Write, |_| {
        user_memory::compare_exchange_u32(address, current, new).map(|found| word = found)
    })?;
    Ok(word)
}

/// Copies until all is done, or what is missing cannot be brought. `copy` begins after as many bytes as it is told.
fn go_on(bring: Bring<'_>, access: Access, mut copy: impl FnMut(usize) -> Result<(), Unmapped>) -> Result<(), Errno> {
    let (mut done, mut vain) = (0, 0);
    while let Err(Unmapped { copied, address }) = copy(done) {
        done += copied;
        vain = if copied > 0 { 0 } else { vain + 1 };
        if vain > PATIENCE {
            return Err(Errno::EFAULT);
        }
        bring(address, access)?;
    }
    Ok(())
}
