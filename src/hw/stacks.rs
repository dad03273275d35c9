//! Kernel stacks: each in its own stretch of kernel virtual memory above a page that is never mapped.

use super::areas::{self, OutOfMemory};
use arrayvec::ArrayVec;
use logic::mem::areas::{Area, Purpose};
use logic::sync::{IrqLock, Rank};
use x86_64::VirtAddr;

/// Bytes of a kernel stack. Interrupts come on top of what they interrupt, with nesting off; a panic formats on top of both.
pub const STACK_BYTES: u64 = 16 * 1024;

/// Stacks kept for the next thread, so that a thread's coming and going leaves page tables and TLBs alone.
const KEPT: usize = 32;

/// The memory of stacks that nobody uses.
static POOL: IrqLock<ArrayVec<Area, KEPT>> = IrqLock::new(Rank::StackPool, ArrayVec::new_const());

/// A stack, unmapped or kept for later when dropped.
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
        let kept = POOL.lock().pop();
        let area = match kept {
            Some(area) => area,
            None => areas::map_new(STACK_BYTES, 1, Purpose::Stack)?,
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
        let Some(area) = self.area.take() else { return };
        let refused = POOL.lock().try_push(area).err();
        if let Some(refused) = refused {
            areas::unmap(refused.element());
        }
    }
}

/// Frees what the pool keeps.
pub fn drain_pool() {
    loop {
        let kept = POOL.lock().pop();
        let Some(area) = kept else { return };
        areas::unmap(area);
    }
}
