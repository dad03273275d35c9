//! Who waits for which word of memory: futex(2).
//!
//! A [`FutexTable`] belongs behind a lock. The word is compared while the lock is held, so no change between that and
//! the waiting goes unnoticed; who is taken out is woken after letting go of it.

use crate::errno::Errno;
use alloc::sync::Arc;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use core::task::Waker;
use intrusive_collections::{Bound, KeyAdapter, RBTree, RBTreeAtomicLink, intrusive_adapter};
use linux_raw_sys::general;

/// Waiters taken out at a time, so that the lock is not held for long.
pub const BATCH: usize = 16;

/// All bits: everybody is meant.
pub const EVERYBODY: u32 = general::FUTEX_BITSET_MATCH_ANY;

/// A word of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    is_shared: bool,
    /// An address space, or what is mapped.
    owner: u64,
    /// An address, or an offset.
    place: u64,
}

impl Key {
    /// The word at `address` of an address space, for threads that share that: `FUTEX_PRIVATE_FLAG`.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if it is not aligned.
    pub fn private(space: u64, address: u64) -> Result<Self, Errno> {
        Self::aligned(Self { is_shared: false, owner: space, place: address })
    }

    /// The word at `offset` of what is mapped, for everybody who has it mapped.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if it is not aligned.
    pub fn shared(backing: u64, offset: u64) -> Result<Self, Errno> {
        Self::aligned(Self { is_shared: true, owner: backing, place: offset })
    }

    fn aligned(self) -> Result<Self, Errno> {
        if self.place.is_multiple_of(4) { Ok(self) } else { Err(Errno::EINVAL) }
    }
}

/// A thread's place in the table.
#[derive(Debug)]
pub struct FutexWaiter {
    link: RBTreeAtomicLink,
    // Changed only while this is in no table, under the table's lock.
    is_shared: AtomicBool,
    owner: AtomicU64,
    place: AtomicU64,
    sequence: AtomicU64,
    bits: AtomicU32,
    waits: AtomicBool,
    waker: Waker,
}

intrusive_adapter!(WaiterAdapter = Arc<FutexWaiter>: FutexWaiter { link => RBTreeAtomicLink });

impl<'a> KeyAdapter<'a> for WaiterAdapter {
    type Key = (Key, u64);

    fn get_key(&self, waiter: &'a FutexWaiter) -> (Key, u64) {
        (waiter.key(), waiter.sequence.load(Relaxed))
    }
}

impl FutexWaiter {
    /// One that waits for nothing yet.
    pub fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Self {
            link: RBTreeAtomicLink::new(),
            is_shared: AtomicBool::new(false),
            owner: AtomicU64::new(0),
            place: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            bits: AtomicU32::new(0),
            waits: AtomicBool::new(false),
            waker,
        })
    }

    /// Whether nobody has taken it out yet. The thread that waits looks at this.
    pub fn waits(&self) -> bool {
        self.waits.load(Acquire)
    }

    /// Wakes the thread. Called after it was taken out, without the table's lock.
    pub fn wake(&self) {
        self.waker.wake_by_ref();
    }

    fn key(&self) -> Key {
        Key {
            is_shared: self.is_shared.load(Relaxed),
            owner: self.owner.load(Relaxed),
            place: self.place.load(Relaxed),
        }
    }

    fn set_key(&self, key: Key) {
        self.is_shared.store(key.is_shared, Relaxed);
        self.owner.store(key.owner, Relaxed);
        self.place.store(key.place, Relaxed);
    }
}

/// All waiters, those for one word in the order of coming.
pub struct FutexTable {
    waiters: RBTree<WaiterAdapter>,
    next_sequence: u64,
}

impl FutexTable {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self { waiters: RBTree::new(WaiterAdapter::NEW), next_sequence: 0 }
    }

    /// `FUTEX_WAIT_BITSET`: adds a waiter, if `is_expected` finds in the word what the caller expects. That must not
    /// wait for a page; if it is not there, [`Errno::EFAULT`] comes back, and the caller fetches it and tries again.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if no bit is set; [`Errno::EAGAIN`] if the word is another; what `is_expected` answers.
    pub fn wait(
        &mut self,
        waiter: &Arc<FutexWaiter>,
        key: Key,
        bits: u32,
        is_expected: impl FnOnce() -> Result<bool, Errno>,
    ) -> Result<(), Errno> {
        if bits == 0 {
            return Err(Errno::EINVAL);
        }
        if !is_expected()? {
            return Err(Errno::EAGAIN);
        }
        self.cancel(waiter);
        waiter.bits.store(bits, Relaxed);
        waiter.waits.store(true, Relaxed);
        self.insert(waiter.clone(), key);
        Ok(())
    }

    fn insert(&mut self, waiter: Arc<FutexWaiter>, key: Key) {
        waiter.set_key(key);
        waiter.sequence.store(self.next_sequence, Relaxed);
        self.next_sequence += 1;
        self.waiters.insert(waiter);
    }

    /// Takes a waiter out whose thread leaves with empty hands: time-out, signal. False if it was woken before.
    pub fn cancel(&mut self, waiter: &Arc<FutexWaiter>) -> bool {
        if !waiter.waits() {
            return false;
        }
        let mut cursor = self.waiters.find_mut(&(waiter.key(), waiter.sequence.load(Relaxed)));
        let found = cursor.get().is_some_and(|found| core::ptr::eq(found, &raw const **waiter));
        if found {
            cursor.remove();
            waiter.waits.store(false, Release);
        }
        found
    }

    /// A time that everybody who waits now came before. Who is woken may come back at once, and is not to be woken
    /// again.
    pub fn now(&self) -> u64 {
        self.next_sequence
    }

    /// `FUTEX_WAKE_BITSET`: takes out the first of those who wait for a word since before `since`, at most `most`, that
    /// have any of `bits`. The caller wakes them without the lock, and asks again if it wants more and the batch was
    /// full.
    pub fn take(&mut self, key: Key, bits: u32, since: u64, most: usize) -> ArrayVec<Arc<FutexWaiter>, BATCH> {
        let mut batch = ArrayVec::new();
        let mut cursor = self.waiters.lower_bound_mut(Bound::Included(&(key, 0)));
        while batch.len() < most && !batch.is_full() {
            let Some(waiter) = cursor.get() else { break };
            if waiter.key() != key || waiter.sequence.load(Relaxed) >= since {
                break;
            }
            if waiter.bits.load(Relaxed) & bits == 0 {
                cursor.move_next();
                continue;
            }
            let Some(waiter) = cursor.remove() else { break };
            waiter.waits.store(false, Release);
            batch.push(waiter);
        }
        batch
    }

    /// `FUTEX_REQUEUE`: those who wait for one word wait for another from now on, without being woken. Answers how
    /// many.
    pub fn requeue(&mut self, from: Key, to: Key, most: usize) -> usize {
        if from == to {
            return self.count(from).min(most);
        }
        let mut moved = 0;
        while moved < most {
            let mut cursor = self.waiters.lower_bound_mut(Bound::Included(&(from, 0)));
            if cursor.get().is_none_or(|waiter| waiter.key() != from) {
                break;
            }
            let Some(waiter) = cursor.remove() else { break };
            self.insert(waiter, to);
            moved += 1;
        }
        moved
    }

    fn count(&self, key: Key) -> usize {
        self.waiters.range(Bound::Included(&(key, 0)), Bound::Included(&(key, u64::MAX))).count()
    }
}

impl Default for FutexTable {
    fn default() -> Self {
        Self::new()
    }
}

/// What futex(2) is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Waits; the time-out is how long.
    Wait,
    /// Waits; the time-out is until when.
    WaitBitset,
    /// Wakes.
    Wake,
    /// Wakes those with certain bits.
    WakeBitset,
    /// Wakes some and lets others wait for another word.
    Requeue,
    /// The same, if the word is as expected.
    CompareRequeue,
    /// Changes a word, and wakes those of another, and its own by what it was.
    WakeOperation,
}

impl Command {
    /// The command, whether it is for one address space alone, and whether time-outs are told by the real-time clock.
    ///
    /// # Errors
    /// [`Errno::ENOSYS`] if there is no such command, or it has no time-out that the clock could be for.
    pub fn from_user(operation: u32) -> Result<(Self, bool, bool), Errno> {
        let is_private = operation & general::FUTEX_PRIVATE_FLAG != 0;
        let real_time = operation & general::FUTEX_CLOCK_REALTIME != 0;
        let command = match operation & !(general::FUTEX_PRIVATE_FLAG | general::FUTEX_CLOCK_REALTIME) {
            general::FUTEX_WAIT => Self::Wait,
            general::FUTEX_WAIT_BITSET => Self::WaitBitset,
            general::FUTEX_WAKE => Self::Wake,
            general::FUTEX_WAKE_BITSET => Self::WakeBitset,
            general::FUTEX_REQUEUE => Self::Requeue,
            general::FUTEX_CMP_REQUEUE => Self::CompareRequeue,
            general::FUTEX_WAKE_OP => Self::WakeOperation,
            _ => return Err(Errno::ENOSYS),
        };
        if real_time && !matches!(command, Self::Wait | Self::WaitBitset) {
            return Err(Errno::ENOSYS);
        }
        Ok((command, is_private, real_time))
    }
}

/// What `FUTEX_WAKE_OP` does to the second word, and what it asks of the value that was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WakeOperation {
    change: u32,
    operand: u32,
    comparison: u32,
    compared: i32,
}

impl WakeOperation {
    /// Reads the operation's bits.
    ///
    /// # Errors
    /// [`Errno::ENOSYS`] if there is no such operation.
    pub fn from_user(bits: u32) -> Result<Self, Errno> {
        // Twelve bits with a sign each.
        let signed = |bits: u32| (bits << 20).cast_signed() >> 20;
        let operand = signed(bits >> 12);
        let is_shift = bits >> 28 & general::FUTEX_OP_OPARG_SHIFT != 0;
        let operation = Self {
            change: bits >> 28 & 7,
            operand: if is_shift { 1 << (operand & 31) } else { operand.cast_unsigned() },
            comparison: bits >> 24 & 15,
            compared: signed(bits),
        };
        let known = operation.change <= general::FUTEX_OP_XOR && operation.comparison <= general::FUTEX_OP_CMP_GE;
        if known { Ok(operation) } else { Err(Errno::ENOSYS) }
    }

    /// What takes the place of `old`.
    pub fn apply(&self, old: u32) -> u32 {
        match self.change {
            general::FUTEX_OP_SET => self.operand,
            general::FUTEX_OP_ADD => old.wrapping_add(self.operand),
            general::FUTEX_OP_OR => old | self.operand,
            general::FUTEX_OP_ANDN => old & !self.operand,
            _ => old ^ self.operand,
        }
    }

    /// Whether those who wait for the second word are woken too.
    pub fn wakes_second(&self, old: u32) -> bool {
        let (old, compared) = (old.cast_signed(), self.compared);
        match self.comparison {
            general::FUTEX_OP_CMP_EQ => old == compared,
            general::FUTEX_OP_CMP_NE => old != compared,
            general::FUTEX_OP_CMP_LT => old < compared,
            general::FUTEX_OP_CMP_LE => old <= compared,
            general::FUTEX_OP_CMP_GT => old > compared,
            _ => old >= compared,
        }
    }
}
