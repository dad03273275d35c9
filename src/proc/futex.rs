//! futex(2): threads of programs wait for words of their memory to change.
//!
//! The word is compared with the table locked, when its page cannot be brought; so a page that is missing is brought outside, and
//! the comparison made again.

use super::process::{Sleep, Stop, Task};
use super::space::Space;
use super::wait::Deadline;
use crate::hw::user_memory;
use alloc::sync::Arc;
use logic::errno::Errno;
use logic::mem::space::Access;
use logic::process::futex::{BATCH, EVERYBODY, FutexTable, FutexWaiter, Key, WakeOperation};
use logic::process::robust::{self, LockMemory};
use logic::signal::Restart;
use logic::sync::{IrqLock, Rank, WaitQueue};

static TABLE: IrqLock<FutexTable> = IrqLock::new(Rank::File, FutexTable::new());

/// The word at `address` of the task's memory. Private ones are told apart by address alone; else the file counts that is mapped there.
fn key(task: &Task, address: u64, is_private: bool) -> Result<Key, Errno> {
    let space = task.process.space()?;
    let own = Arc::as_ptr(&space).addr() as u64;
    if is_private {
        return Key::private(own, address);
    }
    // So that there is a mapping, if there can be.
    task.bring(address & !3, Access::Read)?;
    match shared_place(&space, address) {
        Some((backing, offset)) => Key::shared(backing, offset),
        None => Key::private(own, address),
    }
}

fn shared_place(space: &Space, address: u64) -> Option<(u64, u64)> {
    space.edit(|space, _| {
        let area = space.area(address).filter(|area| area.is_shared())?;
        let view = area.view.as_ref()?;
        // Which file it is, whoever mapped it.
        let name = view.backing.name();
        Some((name.device << 32 ^ name.inode, area.index_of(address)?.wrapping_mul(4096) + address % 4096))
    })
}

/// Waits until somebody wakes one of `bits` at the word, which has `expected` in it now.
///
/// # Errors
/// As futex(2): [`Errno::EAGAIN`], [`Errno::ETIMEDOUT`], or [`Stop::Interrupted`].
pub fn wait(
    task: &Arc<Task>,
    address: u64,
    is_private: bool,
    expected: u32,
    bits: u32,
    deadline: Deadline,
) -> Result<(), Stop> {
    let key = key(task, address, is_private)?;
    let waiter = FutexWaiter::new(task.waker().ok_or(Errno::ESRCH)?);
    loop {
        let begun = TABLE.lock().wait(&waiter, key, bits, || {
            user_memory::load_u32(address).map(|word| word == expected).map_err(|_| Errno::EFAULT)
        });
        match begun {
            Ok(()) => break,
            Err(Errno::EFAULT) => task.bring(address, Access::Read)?,
            Err(error) => return Err(error.into()),
        }
    }
    // The waiter's own waker ends the sleep.
    let never = WaitQueue::new();
    let outcome = task.sleep_until(&never, deadline, || !waiter.waits());
    if !TABLE.lock().cancel(&waiter) {
        return Ok(());
    }
    Err(match outcome {
        Sleep::TimedOut => Errno::ETIMEDOUT.into(),
        _ if deadline.is_some() => Stop::Interrupted(Restart::RestartBlock),
        _ => Stop::Interrupted(Restart::IfSaRestart),
    })
}

/// Wakes at most `most` of those that wait for any of `bits` at the word; how many these were.
///
/// # Errors
/// As futex(2).
pub fn wake(task: &Task, address: u64, is_private: bool, most: usize, bits: u32) -> Result<usize, Errno> {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    Ok(wake_key(key(task, address, is_private)?, most, bits))
}

fn wake_key(key: Key, most: usize, bits: u32) -> usize {
    let since = TABLE.lock().now();
    let mut woken = 0;
    while woken < most {
        let batch = TABLE.lock().take(key, bits, since, (most - woken).min(BATCH));
        if batch.is_empty() {
            break;
        }
        woken += batch.len();
        batch.iter().for_each(|waiter| waiter.wake());
    }
    woken
}

/// Wakes one that waits for a word, however it waits: a thread has ended.
pub fn wake_at(task: &Task, address: u64) {
    for is_private in [true, false] {
        if let Ok(key) = key(task, address, is_private) {
            wake_key(key, 1, EVERYBODY);
        }
    }
}

/// Wakes some that wait at one word, and moves others to another word. With `expected`, only if that is in the word.
///
/// # Errors
/// As futex(2).
pub fn requeue(
    task: &Task,
    [from, to]: [u64; 2],
    is_private: bool,
    [most_woken, most_moved]: [usize; 2],
    expected: Option<u32>,
) -> Result<(usize, usize), Errno> {
    let (from_key, to_key) = (key(task, from, is_private)?, key(task, to, is_private)?);
    if let Some(expected) = expected {
        let word = super::space::load_u32(from, &|address, access| task.bring(address, access))?;
        if word != expected {
            return Err(Errno::EAGAIN);
        }
    }
    let woken = wake_key(from_key, most_woken, EVERYBODY);
    let moved = TABLE.lock().requeue(from_key, to_key, most_moved);
    Ok((woken, moved))
}

/// Changes the second word, wakes at the first, and perhaps at the second.
///
/// # Errors
/// As futex(2).
pub fn wake_operation(
    task: &Task,
    [first, second]: [u64; 2],
    is_private: bool,
    [most_first, most_second]: [usize; 2],
    operation: WakeOperation,
) -> Result<usize, Errno> {
    let (first_key, second_key) = (key(task, first, is_private)?, key(task, second, is_private)?);
    let bring = |address, access| task.bring(address, access);
    let mut old = super::space::load_u32(second, &bring)?;
    loop {
        let found = super::space::compare_exchange_u32(second, old, operation.apply(old), &bring)?;
        if found == old {
            break;
        }
        old = found;
    }
    let mut woken = wake_key(first_key, most_first, EVERYBODY);
    if operation.wakes_second(old) {
        woken += wake_key(second_key, most_second, EVERYBODY);
    }
    Ok(woken)
}

/// The memory of a thread that ends.
struct Locks<'a>(&'a Task);

impl LockMemory for Locks<'_> {
    fn pointer(&mut self, address: u64) -> Result<u64, Errno> {
        let mut bytes = [0; 8];
        self.0.read(address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn load(&mut self, address: u64) -> Result<u32, Errno> {
        super::space::load_u32(address, &|address, access| self.0.bring(address, access))
    }

    fn compare_exchange(&mut self, address: u64, old: u32, new: u32) -> Result<u32, Errno> {
        super::space::compare_exchange_u32(address, old, new, &|address, access| self.0.bring(address, access))
    }

    fn wake_one(&mut self, address: u64) {
        wake_at(self.0, address);
    }
}

/// The locks that a task still holds when it ends are left to others.
pub fn give_up_robust(task: &Task) {
    let head = task.robust_list.load(core::sync::atomic::Ordering::Relaxed);
    if head != 0 {
        // A list that leads nowhere is the program's own affair.
        let _ = robust::release(head, task.id().number(), &mut Locks(task));
    }
}
