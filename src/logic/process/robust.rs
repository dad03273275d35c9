//! Locks that a thread holds when it ends: set_robust_list(2), get_robust_list(2).
//!
//! The list lies in the program's memory, so it may have any form: it may be a ring, or lead anywhere.

use crate::errno::Errno;
use core::mem::{offset_of, size_of};
use linux_raw_sys::general::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, robust_list_head as Layout};

/// Bytes of the head, which set_robust_list(2) is told.
pub const HEAD_BYTES: usize = size_of::<Layout>();

/// Locks that are looked at: Linux's `ROBUST_LIST_LIMIT`.
pub const MOST_LOCKS: usize = 2048;

/// In a pointer to a lock: it is one with priority inheritance.
const PRIORITY: u64 = 1;

/// The memory of the program. All may fail with [`Errno::EFAULT`].
pub trait LockMemory {
    /// Reads a pointer.
    ///
    /// # Errors
    /// [`Errno::EFAULT`].
    fn pointer(&mut self, address: u64) -> Result<u64, Errno>;

    /// Reads a lock.
    ///
    /// # Errors
    /// [`Errno::EFAULT`].
    fn load(&mut self, address: u64) -> Result<u32, Errno>;

    /// Puts `new` in the place of `old`, if that is what is there; answers what was.
    ///
    /// # Errors
    /// [`Errno::EFAULT`].
    fn compare_exchange(&mut self, address: u64, old: u32, new: u32) -> Result<u32, Errno>;

    /// Wakes one thread that waits for the lock.
    fn wake_one(&mut self, address: u64);
}

/// Marks all locks of a list that the thread `tid` holds as left by a dead thread, and wakes one that waits for each.
///
/// # Errors
/// [`Errno::EFAULT`] where the list leads out of the program's memory: what comes after that stays as it is.
pub fn release(head: u64, tid: u32, memory: &mut dyn LockMemory) -> Result<(), Errno> {
    let field = |offset: usize| head.checked_add(offset as u64).ok_or(Errno::EFAULT);
    let mut entry = memory.pointer(field(offset_of!(Layout, list))?)?;
    let offset = memory.pointer(field(offset_of!(Layout, futex_offset))?)?;
    let pending = memory.pointer(field(offset_of!(Layout, list_op_pending))?)?;
    let lock = |entry: u64| (entry & !PRIORITY).wrapping_add(offset);
    for _ in 0..MOST_LOCKS {
        if entry & !PRIORITY == head {
            break;
        }
        // Read before the lock is let go: whoever gets it may free the memory.
        let next = memory.pointer(entry & !PRIORITY);
        // A lock that was being taken or let go is looked at once, below.
        if entry & !PRIORITY != pending & !PRIORITY {
            leave(lock(entry), entry & PRIORITY != 0, false, tid, memory)?;
        }
        entry = next?;
    }
    if pending & !PRIORITY != 0 {
        leave(lock(pending), pending & PRIORITY != 0, true, tid, memory)?;
    }
    Ok(())
}

fn leave(lock: u64, has_priority: bool, is_pending: bool, tid: u32, memory: &mut dyn LockMemory) -> Result<(), Errno> {
    if !lock.is_multiple_of(4) {
        return Err(Errno::EFAULT);
    }
    let mut value = memory.load(lock)?;
    loop {
        // It was let go, but whom to wake had no time to be told.
        if is_pending && !has_priority && value == 0 {
            memory.wake_one(lock);
            return Ok(());
        }
        if value & FUTEX_TID_MASK != tid {
            return Ok(());
        }
        let found = memory.compare_exchange(lock, value, value & FUTEX_WAITERS | FUTEX_OWNER_DIED)?;
        if found == value {
            break;
        }
        value = found;
    }
    if !has_priority && value & FUTEX_WAITERS != 0 {
        memory.wake_one(lock);
    }
    Ok(())
}
