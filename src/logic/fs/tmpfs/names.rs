//! The names of a tmpfs: directories with their entries, and the inodes that have names.
//!
//! Everything here is done with the names locked, so that rename(2) and rmdir(2) see no state between. Inodes that lost their last
//! name are handed out, to be dropped without the lock.
//!
//! Cookies of entries count up and are never given twice in a directory, so that who reads it is led neither astray nor in a circle.

use super::{State, TmpInode};
use crate::errno::Errno;
use crate::fs::attributes::{FileKind, Timestamp};
use crate::fs::inode::{Entry, FIRST_COOKIE, Inode, RenameFlags};
use crate::fs::name::Name;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};

/// More names than this an inode cannot have.
const MOST_LINKS: u32 = i32::MAX as u32;

/// Directories that are looked at on the way up from one; deeper trees are not turned over.
const MOST_DEPTH: usize = 8192;

#[derive(Default)]
pub(super) struct Names {
    last_number: u64,
    /// Entries of all directories.
    entries: usize,
    inodes: BTreeMap<u64, Arc<TmpInode>>,
    directories: BTreeMap<u64, Directory>,
    /// Inodes without a name that may get one.
    unnamed: BTreeMap<u64, Weak<TmpInode>>,
}

/// A directory's entries by name and in the order of their making. The root is its own parent.
struct Directory {
    parent: u64,
    last_cookie: u64,
    by_name: BTreeMap<Box<[u8]>, Named>,
    by_cookie: BTreeMap<u64, Box<[u8]>>,
}

#[derive(Clone, Copy)]
struct Named {
    cookie: u64,
    inode: u64,
}

impl Directory {
    fn new(parent: u64) -> Self {
        Self { parent, last_cookie: FIRST_COOKIE - 1, by_name: BTreeMap::new(), by_cookie: BTreeMap::new() }
    }

    fn insert(&mut self, name: Name<'_>, inode: u64) {
        self.last_cookie += 1;
        let cookie = self.last_cookie;
        self.by_cookie.insert(cookie, name.bytes().into());
        if let Some(replaced) = self.by_name.insert(name.bytes().into(), Named { cookie, inode }) {
            self.by_cookie.remove(&replaced.cookie);
        }
    }

    fn remove(&mut self, name: Name<'_>) {
        if let Some(removed) = self.by_name.remove(name.bytes()) {
            self.by_cookie.remove(&removed.cookie);
        }
    }
}

impl Names {
    /// Names that inodes have, or may get, which is what inodes are counted by: a second name takes memory as a second inode does.
    pub(super) fn count(&self) -> usize {
        // The root has no entry.
        self.entries + self.unnamed.len() + 1
    }

    /// A number for one inode more. None is given twice.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn add_root(&mut self, root: Arc<TmpInode>) {
        self.directories.insert(root.number, Directory::new(root.number));
        self.inodes.insert(root.number, root);
    }

    fn directory(&self, number: u64) -> Result<&Directory, Errno> {
        self.directories.get(&number).ok_or(Errno::ENOENT)
    }

    fn directory_mut(&mut self, number: u64) -> Result<&mut Directory, Errno> {
        self.directories.get_mut(&number).ok_or(Errno::ENOENT)
    }

    fn inode(&self, number: u64) -> Result<&Arc<TmpInode>, Errno> {
        self.inodes.get(&number).ok_or(Errno::ENOENT)
    }

    fn is_directory(&self, number: u64) -> bool {
        self.directories.contains_key(&number)
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut State)) {
        if let Some(inode) = self.inodes.get(&number) {
            change(&mut inode.state.lock());
        }
    }

    /// An entry has come to a directory, or gone; `subdirectory` if it is one, whose `..` is a link.
    fn count_entry(&mut self, directory: u64, subdirectory: bool, came: bool, now: Timestamp) {
        self.entries = if came { self.entries + 1 } else { self.entries.saturating_sub(1) };
        self.change(directory, |state| {
            let links = u32::from(subdirectory);
            if came {
                state.entries += 1;
                state.links = state.links.saturating_add(links);
            } else {
                state.entries = state.entries.saturating_sub(1);
                state.links = state.links.saturating_sub(links);
            }
            state.modified = now;
            state.changed = now;
        });
    }

    pub(super) fn find(&self, directory: u64, name: Name<'_>) -> Result<&Arc<TmpInode>, Errno> {
        self.inode(self.number(directory, name)?)
    }

    fn number(&self, directory: u64, name: Name<'_>) -> Result<u64, Errno> {
        self.directory(directory)?.by_name.get(name.bytes()).map(|named| named.inode).ok_or(Errno::ENOENT)
    }

    pub(super) fn check_free(&self, directory: u64, name: Name<'_>) -> Result<(), Errno> {
        if self.directory(directory)?.by_name.contains_key(name.bytes()) { Err(Errno::EEXIST) } else { Ok(()) }
    }

    pub(super) fn add(
        &mut self,
        directory: u64,
        name: Name<'_>,
        inode: Arc<TmpInode>,
        now: Timestamp,
    ) -> Result<(), Errno> {
        let is_directory = inode.kind() == FileKind::Directory;
        self.directory_mut(directory)?.insert(name, inode.number);
        inode.state.lock().links = if is_directory { 2 } else { 1 };
        if is_directory {
            self.directories.insert(inode.number, Directory::new(directory));
        }
        self.inodes.insert(inode.number, inode);
        self.count_entry(directory, is_directory, true, now);
        Ok(())
    }

    pub(super) fn add_unnamed(&mut self, inode: &Arc<TmpInode>) {
        self.unnamed.insert(inode.number, Arc::downgrade(inode));
    }

    pub(super) fn forget_unnamed(&mut self, number: u64) {
        self.unnamed.remove(&number);
    }

    pub(super) fn link(
        &mut self,
        directory: u64,
        name: Name<'_>,
        number: u64,
        most: usize,
        now: Timestamp,
    ) -> Result<(), Errno> {
        self.check_free(directory, name)?;
        // What may get a name is counted already.
        if self.count() >= most && !self.unnamed.contains_key(&number) {
            return Err(Errno::ENOSPC);
        }
        if self.is_directory(number) {
            return Err(Errno::EPERM);
        }
        if !self.inodes.contains_key(&number) {
            // No name left: only what never had one may get one (open(2), O_TMPFILE).
            let inode = self.unnamed.get(&number).and_then(Weak::upgrade).ok_or(Errno::ENOENT)?;
            self.unnamed.remove(&number);
            inode.state.lock().linkable = false;
            self.inodes.insert(number, inode);
        }
        let inode = self.inode(number)?;
        {
            let mut state = inode.state.lock();
            if state.links >= MOST_LINKS {
                return Err(Errno::EMLINK);
            }
            state.links += 1;
            state.changed = now;
        }
        self.directory_mut(directory)?.insert(name, number);
        self.count_entry(directory, false, true, now);
        Ok(())
    }

    /// Takes an entry away, of an empty directory if `directories`. What had no other name is handed out.
    pub(super) fn remove(
        &mut self,
        directory: u64,
        name: Name<'_>,
        directories: bool,
        now: Timestamp,
    ) -> Result<Option<Arc<TmpInode>>, Errno> {
        let number = self.number(directory, name)?;
        match self.directories.get(&number) {
            Some(_) if !directories => return Err(Errno::EISDIR),
            None if directories => return Err(Errno::ENOTDIR),
            Some(victim) if !victim.by_name.is_empty() => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        self.directory_mut(directory)?.remove(name);
        self.count_entry(directory, directories, false, now);
        Ok(self.unlinked(number, now))
    }

    /// An inode has a name less.
    fn unlinked(&mut self, number: u64, now: Timestamp) -> Option<Arc<TmpInode>> {
        let is_directory = self.directories.remove(&number).is_some();
        let mut last = true;
        self.change(number, |state| {
            state.links = if is_directory { 0 } else { state.links.saturating_sub(1) };
            state.changed = now;
            last = state.links == 0;
        });
        if last { self.inodes.remove(&number) } else { None }
    }

    /// Whether `directory` is `above`, or somewhere below it.
    fn is_within(&self, directory: u64, above: u64) -> Result<bool, Errno> {
        let mut at = directory;
        for _ in 0..MOST_DEPTH {
            if at == above {
                return Ok(true);
            }
            let parent = self.directory(at)?.parent;
            if parent == at {
                return Ok(false);
            }
            at = parent;
        }
        Err(Errno::ELOOP)
    }

    /// rename(2). What had no other name than the one that was replaced is handed out.
    pub(super) fn rename(
        &mut self,
        (from, name): (u64, Name<'_>),
        (to, new_name): (u64, Name<'_>),
        flags: RenameFlags,
        now: Timestamp,
    ) -> Result<Option<Arc<TmpInode>>, Errno> {
        let source = self.number(from, name)?;
        let target = match self.number(to, new_name) {
            Ok(_) if flags.contains(RenameFlags::NOREPLACE) => return Err(Errno::EEXIST),
            Ok(target) => Some(target),
            Err(Errno::ENOENT) if self.is_directory(to) && !flags.contains(RenameFlags::EXCHANGE) => None,
            Err(error) => return Err(error),
        };
        if target == Some(source) {
            return Ok(None);
        }
        let source_is_directory = self.is_directory(source);
        if source_is_directory && self.is_within(to, source)? {
            return Err(Errno::EINVAL);
        }
        let target_is_directory = target.is_some_and(|target| self.is_directory(target));
        if let Some(target) = target
            && flags.contains(RenameFlags::EXCHANGE)
        {
            if target_is_directory && self.is_within(from, target)? {
                return Err(Errno::EINVAL);
            }
            self.place((from, name), target, target_is_directory, now)?;
            self.place((to, new_name), source, source_is_directory, now)?;
            self.count_entry(from, source_is_directory, false, now);
            self.count_entry(to, target_is_directory, false, now);
            return Ok(None);
        }
        if let Some(target) = target {
            match (source_is_directory, target_is_directory) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                _ if self.directories.get(&target).is_some_and(|target| !target.by_name.is_empty()) => {
                    return Err(Errno::ENOTEMPTY);
                }
                _ => {}
            }
        }
        self.directory_mut(from)?.remove(name);
        self.count_entry(from, source_is_directory, false, now);
        self.place((to, new_name), source, source_is_directory, now)?;
        let Some(target) = target else { return Ok(None) };
        self.count_entry(to, target_is_directory, false, now);
        Ok(self.unlinked(target, now))
    }

    /// Puts an inode under a name, in place of what was there; the entry that this replaces is still counted.
    fn place(
        &mut self,
        (directory, name): (u64, Name<'_>),
        inode: u64,
        is_directory: bool,
        now: Timestamp,
    ) -> Result<(), Errno> {
        self.directory_mut(directory)?.insert(name, inode);
        self.count_entry(directory, is_directory, true, now);
        if let Some(moved) = self.directories.get_mut(&inode) {
            moved.parent = directory;
        }
        self.change(inode, |state| state.changed = now);
        Ok(())
    }

    pub(super) fn next_entry(&self, directory: u64, after: u64) -> Result<Option<Entry>, Errno> {
        let directory = self.directory(directory)?;
        let Some(from) = after.checked_add(1) else { return Ok(None) };
        let Some((&cookie, name)) = directory.by_cookie.range(from..).next() else { return Ok(None) };
        let inode = self.inode(directory.by_name.get(name).ok_or(Errno::ENOENT)?.inode)?;
        Ok(Some(Entry { cookie, inode: inode.number, kind: inode.kind(), name: name.clone() }))
    }
}
