//! Kernel stacks: each in its own stretch of kernel virtual memory above a page that is never mapped.
//!
//! A stack that is dropped goes into a pool for the next thread, so that a thread's coming and going leaves page tables and TLBs
//! alone. That takes neither memory nor another processor's answer, wherever it happens: the last to let go of a thread may be an
//! interrupt's handler. What the pool has too much of is unmapped by who is idle ([`trim_pool`]).

use super::areas::{self, OutOfMemory};
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicBool, Ordering};
use logic::mem::areas::{Area, Purpose};
use logic::sync::{IrqLock, Rank};
use x86_64::VirtAddr;

/// Bytes of a kernel stack. Interrupts come on top of what they interrupt, with nesting off; a panic formats on top of both.
pub const STACK_BYTES: u64 = 16 * 1024;

/// Stacks that the pool keeps for good, and those that it keeps until they are worth while unmapping.
const KEPT: usize = 16;
const BATCH: usize = 64;
const SURPLUS: usize = 32;

static POOL: IrqLock<Pool> = IrqLock::new(Rank::StackPool, Pool { kept: Vec::new(), in_use: 0 });

/// Stacks that nobody uses. There is always room for those that somebody does.
struct Pool {
    kept: Vec<Area>,
    in_use: usize,
}

impl Pool {
    /// Counts one stack more as in use, one from the pool if there is any.
    fn lend(&mut self) -> Result<Option<Area>, OutOfMemory> {
        let kept = self.kept.pop();
        if kept.is_none() {
            self.kept.try_reserve(self.in_use + 1).map_err(|_| OutOfMemory)?;
        }
        self.in_use += 1;
        Ok(kept)
    }

    fn take_back(&mut self, area: Area) {
        self.in_use -= 1;
        debug_assert!(self.kept.len() < self.kept.capacity(), "room was made when the stack was lent");
        self.kept.push(area);
    }
}

/// A stack, kept for later when dropped.
pub struct KernelStack {
    /// `None` once it is given away.
    area: Option<Area>,
    bottom: VirtAddr,
}

impl KernelStack {
    /// A stack, from the pool or new.
    ///
    /// # Errors
    /// [`OutOfMemory`] if there are no frames or no addresses for one.
    pub fn new() -> Result<Self, OutOfMemory> {
        let kept = POOL.lock().lend()?;
        let area = match kept {
            Some(area) => area,
            None => areas::map_new(STACK_BYTES, 1, Purpose::Stack).inspect_err(|_| POOL.lock().in_use -= 1)?,
        };
        Ok(Self { bottom: area.start(), area: Some(area) })
    }

    /// Its lowest address; the page below is not mapped.
    pub fn bottom(&self) -> VirtAddr {
        self.bottom
    }

    /// The address after its last byte.
    pub fn top(&self) -> VirtAddr {
        self.bottom + STACK_BYTES
    }

    /// Keeps the memory for good, for stacks of processors; answers its top.
    pub fn leak(mut self) -> VirtAddr {
        // The area stays noted as taken.
        self.area = None;
        self.top()
    }
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        if let Some(area) = self.area.take() {
            POOL.lock().take_back(area);
        }
    }
}

/// Unmaps stacks that the pool has too many of. Whether there were some. One processor at a time does that: many would wait for
/// each other's translations to be forgotten more than they would help. No lock may be held.
pub fn trim_pool() -> bool {
    static TRIMMING: AtomicBool = AtomicBool::new(false);
    if TRIMMING.swap(true, Ordering::Acquire) {
        return false;
    }
    let is_worth_while = POOL.lock().kept.len() >= KEPT + SURPLUS;
    let were_there = is_worth_while && unmap_some(KEPT);
    TRIMMING.store(false, Ordering::Release);
    were_there
}

/// Frees all that the pool keeps. No lock may be held.
pub fn drain_pool() {
    while unmap_some(0) {}
}

/// Unmaps a batch of the pool's stacks if it keeps more than `least`. Whether it did.
#[inline(never)]
fn unmap_some(least: usize) -> bool {
    let batch: ArrayVec<Area, BATCH> = {
        let mut pool = POOL.lock();
        let surplus = pool.kept.len().saturating_sub(least).min(BATCH);
        let rest = pool.kept.len() - surplus;
        pool.kept.drain(rest..).collect()
    };
    let were_there = !batch.is_empty();
    areas::unmap(batch);
    were_there
}
