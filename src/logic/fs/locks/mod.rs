//! Advisory locks on files: fcntl(2) by process (POSIX) and by open description (OFD), and flock(2).
//!
//! One [`FileLocks`] knows all locks of the system, because processes may wait for each other in a ring over several files. It never
//! waits: a lock that conflicts is [`Errno::EAGAIN`]. Who wants to wait says so first ([`FileLocks::wait_for`], which finds rings),
//! waits at [`FileLocks::changes`], tries again, and says that it is over by [`FileLocks::stop_waiting`].

mod range;
#[cfg(test)]
mod tests;

use super::attributes::Identity;
use crate::errno::Errno;
use crate::sync::{IrqLock, Rank, WaitQueue};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;
pub use range::{END, LockKind, LockRange};

/// Whose a lock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockOwner {
    /// A process: all its threads, whatever descriptor they use.
    Process(u32),
    /// An open description ([`super::open_file::OpenFile::number`]).
    Description(u64),
}

/// Ranges that one owner may have in one file, because going through them is done with interrupts off.
const MOST_RANGES: usize = 512;
/// Owners that may have locks on one file.
const MOST_OWNERS: usize = 512;
/// Ranges that there may be in all, because they take memory.
const MOST_IN_ALL: usize = 65_536;
/// How long a chain of those who wait for each other is followed.
const MOST_WAITING: usize = 128;

/// Queues that those who wait are spread over, by file.
const QUEUES: usize = 16;

/// A lock that is in somebody's way: F_GETLK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Whose.
    pub owner: LockOwner,
    /// What it forbids.
    pub kind: LockKind,
    /// Where.
    pub range: LockRange,
}

/// All advisory locks.
pub struct FileLocks {
    table: IrqLock<Table>,
    queues: [WaitQueue; QUEUES],
}

struct Table {
    files: BTreeMap<Identity, Locks>,
    /// Ranges in all files.
    ranges: usize,
    /// Whom those who wait wait for.
    waiting: BTreeMap<LockOwner, LockOwner>,
}

/// The locks of one file.
#[derive(Default)]
struct Locks {
    /// fcntl(2)'s, by owner.
    records: BTreeMap<LockOwner, Vec<(LockRange, LockKind)>>,
    /// flock(2)'s, by open description. They do not know of the others.
    whole: BTreeMap<u64, LockKind>,
}

impl FileLocks {
    /// No locks.
    pub const fn new() -> Self {
        let table = Table { files: BTreeMap::new(), ranges: 0, waiting: BTreeMap::new() };
        Self { table: IrqLock::new(Rank::File, table), queues: [const { WaitQueue::new() }; QUEUES] }
    }

    /// Wakes when a lock of `file` may have gone.
    pub fn changes(&self, file: Identity) -> &WaitQueue {
        &self.queues[(file.inode % QUEUES as u64) as usize]
    }

    /// F_SETLK and F_OFD_SETLK: locks a range, changes what the owner had there, or unlocks it.
    ///
    /// # Errors
    /// [`Errno::EAGAIN`] if somebody else's is in the way, [`Errno::ENOLCK`] if there are too many.
    pub fn set_range(
        &self,
        file: Identity,
        owner: LockOwner,
        range: LockRange,
        kind: Option<LockKind>,
    ) -> Result<(), Errno> {
        let mut table = self.table.lock();
        if table.range_conflict(file, owner, range, kind).is_some() {
            return Err(Errno::EAGAIN);
        }
        if kind.is_none() && !table.files.contains_key(&file) {
            return Ok(());
        }
        if kind.is_some() && table.ranges >= MOST_IN_ALL {
            return Err(Errno::ENOLCK);
        }
        let locks = table.files.entry(file).or_default();
        if locks.records.len() >= MOST_OWNERS && !locks.records.contains_key(&owner) {
            return Err(Errno::ENOLCK);
        }
        let ranges = locks.records.entry(owner).or_default();
        let before = ranges.len();
        let result = range::set(ranges, range, kind, MOST_RANGES);
        let after = ranges.len();
        if after == 0 {
            locks.records.remove(&owner);
        }
        table.ranges = (table.ranges + after).saturating_sub(before);
        table.tidy(file);
        drop(table);
        // Something may have been given up, or become a read lock.
        if before > 0 {
            self.changes(file).wake_all();
        }
        result
    }

    /// F_GETLK and F_OFD_GETLK: the first lock that is in the way.
    pub fn range_conflict(
        &self,
        file: Identity,
        owner: LockOwner,
        range: LockRange,
        kind: LockKind,
    ) -> Option<Conflict> {
        self.table.lock().range_conflict(file, owner, range, Some(kind))
    }

    /// flock(2): locks a file for an open description, changes its lock, or unlocks it. As on Linux, a change gives up the old lock
    /// even if it does not get the new one.
    ///
    /// # Errors
    /// [`Errno::EAGAIN`], [`Errno::ENOLCK`].
    pub fn set_whole(&self, file: Identity, description: u64, kind: Option<LockKind>) -> Result<(), Errno> {
        let mut table = self.table.lock();
        let Some(locks) = table.files.get_mut(&file) else {
            if let Some(kind) = kind {
                table.files.entry(file).or_default().whole.insert(description, kind);
            }
            return Ok(());
        };
        if kind.is_some() && locks.whole.get(&description) == kind.as_ref() {
            return Ok(());
        }
        let had = locks.whole.remove(&description).is_some();
        let result = match kind {
            None => Ok(()),
            Some(kind) if locks.whole.values().any(|other| other.excludes(kind)) => Err(Errno::EAGAIN),
            Some(_) if locks.whole.len() >= MOST_OWNERS => Err(Errno::ENOLCK),
            Some(kind) => {
                locks.whole.insert(description, kind);
                Ok(())
            }
        };
        table.tidy(file);
        drop(table);
        if had {
            self.changes(file).wake_all();
        }
        result
    }

    /// `owner` is about to wait for a range (F_SETLKW).
    ///
    /// # Errors
    /// [`Errno::EDEADLK`] if the one in the way waits, for whomever it may be, for `owner`.
    pub fn wait_for(&self, file: Identity, owner: LockOwner, range: LockRange, kind: LockKind) -> Result<(), Errno> {
        let mut table = self.table.lock();
        let Some(conflict) = table.range_conflict(file, owner, range, Some(kind)) else { return Ok(()) };
        // Descriptions are no processes: nobody can say who waits with one (fcntl(2), open file description locks).
        if let (LockOwner::Process(_), LockOwner::Process(_)) = (owner, conflict.owner) {
            let mut at = conflict.owner;
            for _ in 0..MOST_WAITING {
                if at == owner {
                    return Err(Errno::EDEADLK);
                }
                let Some(next) = table.waiting.get(&at) else { break };
                at = *next;
            }
            table.waiting.insert(owner, conflict.owner);
        }
        Ok(())
    }

    /// `owner` does not wait any more.
    pub fn stop_waiting(&self, owner: LockOwner) {
        self.table.lock().waiting.remove(&owner);
    }

    /// Gives up all that `owner` has on `file`: when a process closes any descriptor of the file, or ends, and when the last
    /// descriptor of a description goes.
    pub fn release(&self, file: Identity, owner: LockOwner) {
        let mut table = self.table.lock();
        let Some(locks) = table.files.get_mut(&file) else { return };
        let ranges = locks.records.remove(&owner);
        let whole = if let LockOwner::Description(number) = owner { locks.whole.remove(&number) } else { None };
        table.ranges = table.ranges.saturating_sub(ranges.as_ref().map_or(0, Vec::len));
        table.tidy(file);
        drop(table);
        if ranges.is_some() || whole.is_some() {
            self.changes(file).wake_all();
        }
    }

    /// Gives up all that `owner` has on any file: when a process ends.
    pub fn release_all(&self, owner: LockOwner) {
        let mut from = None;
        // File by file, so that interrupts are not off for long.
        while let Some(file) = self.file_of(owner, from) {
            self.release(file, owner);
            from = Some(file);
        }
    }

    /// The first file after `from` on which `owner` has something.
    fn file_of(&self, owner: LockOwner, from: Option<Identity>) -> Option<Identity> {
        let table = self.table.lock();
        let start = from.map_or(Bound::Unbounded, Bound::Excluded);
        let mut files = table.files.range((start, Bound::Unbounded));
        files.find(|(_, locks)| locks.records.contains_key(&owner)).map(|(file, _)| *file)
    }
}

impl Default for FileLocks {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    fn range_conflict(
        &self,
        file: Identity,
        owner: LockOwner,
        range: LockRange,
        kind: Option<LockKind>,
    ) -> Option<Conflict> {
        let (kind, locks) = (kind?, self.files.get(&file)?);
        let others = locks.records.iter().filter(|(other, _)| **other != owner);
        let mut conflicts = others.flat_map(|(owner, ranges)| {
            // In order: no more of them than reach `range`.
            let first = ranges.partition_point(|(other, _)| other.last < range.first);
            ranges
                .get(first..)
                .unwrap_or_default()
                .iter()
                .take_while(move |(other, _)| other.overlaps(&range))
                .filter_map(move |(range, other)| {
                    other.excludes(kind).then_some(Conflict { owner: *owner, kind: *other, range: *range })
                })
        });
        conflicts.next()
    }

    fn tidy(&mut self, file: Identity) {
        if self.files.get(&file).is_some_and(|locks| locks.records.is_empty() && locks.whole.is_empty()) {
            self.files.remove(&file);
        }
    }
}
