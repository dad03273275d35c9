//! tmpfs(5): a file system in memory.
//!
//! All names of one tmpfs are under one lock ([`names::Names`]), so that a rename is seen at once and whole; attributes of an inode
//! are under its own; bytes of files are in their page caches. `size=` and `nr_inodes=` bound all that users can take.
//!
//! The names own the inodes, and the file system owns the names: what is open outlives its name, and nothing outlives both.

mod file;
mod names;
#[cfg(test)]
mod tests;

use super::attributes::{AttributeChange, Attributes, Clock, DeviceNumber, FileKind, Identity, Statistics, Timestamp};
use super::credentials::Ownership;
use super::file::File;
use super::inode::{Anchor, Entry, FileSystem, Inode, LinkTarget, NewInode, RenameFlags};
use super::name::Name;
use super::page_cache::{Budget, PageCache};
use crate::errno::Errno;
use crate::mem::page::{Frames, PAGE_BYTES};
use crate::sync::{IrqLock, Rank};
use alloc::boxed::Box;
use alloc::sync::Arc;
use linux_raw_sys::general;
use names::Names;

/// What a tmpfs may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pages of content (`size=`).
    pub pages: u64,
    /// Inodes (`nr_inodes=`); each further name counts as one.
    pub inodes: usize,
}

/// A tmpfs. Inodes that are open when it goes stay usable, without names.
pub struct Tmpfs {
    shared: Arc<Shared>,
    root: Arc<TmpInode>,
}

struct Shared {
    type_name: &'static str,
    device: u64,
    frames: &'static dyn Frames,
    clock: &'static dyn Clock,
    budget: Arc<Budget>,
    most_inodes: usize,
    names: IrqLock<Names>,
}

/// An object of a tmpfs.
pub struct TmpInode {
    shared: Arc<Shared>,
    number: u64,
    content: Content,
    state: IrqLock<State>,
    anchor: Anchor,
}

enum Content {
    Regular(Arc<PageCache>),
    Directory,
    Symlink(Box<[u8]>),
    Special(FileKind, DeviceNumber),
}

struct State {
    permissions: u16,
    user: u32,
    group: u32,
    links: u32,
    /// Entries of a directory.
    entries: u64,
    /// Has no name, but may get one (`O_TMPFILE`).
    linkable: bool,
    accessed: Timestamp,
    modified: Timestamp,
    changed: Timestamp,
    created: Timestamp,
}

/// Bytes that a directory is said to have for each entry, as Linux says.
const ENTRY_BYTES: u64 = 20;

impl Tmpfs {
    /// An empty one whose root belongs to `owner`. `type_name` is what mounts of it are told to be: some of its kind have names of
    /// their own. `device` tells it from other file systems (`st_dev`).
    pub fn new(
        type_name: &'static str,
        device: u64,
        frames: &'static dyn Frames,
        clock: &'static dyn Clock,
        limits: Limits,
        owner: Ownership,
    ) -> Arc<Self> {
        let shared = Arc::new(Shared {
            type_name,
            device,
            frames,
            clock,
            budget: Budget::new(limits.pages),
            most_inodes: limits.inodes.max(1),
            names: IrqLock::new(Rank::Mount, Names::default()),
        });
        let root = {
            let mut names = shared.names.lock();
            let root = TmpInode::new(&shared, names.next_number(), Content::Directory, owner);
            names.add_root(root.clone());
            root
        };
        root.state.lock().links = 2;
        Arc::new(Self { shared, root })
    }
}

impl FileSystem for Tmpfs {
    fn type_name(&self) -> &str {
        self.shared.type_name
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Inodes and what they share have each other; without the names they go one by one.
        let names = core::mem::take(&mut *self.shared.names.lock());
        drop(names);
    }
}

impl TmpInode {
    fn new(shared: &Arc<Shared>, number: u64, content: Content, owner: Ownership) -> Arc<Self> {
        let now = shared.clock.now();
        Arc::new(Self {
            shared: shared.clone(),
            number,
            content,
            state: IrqLock::new(
                Rank::Inode,
                State {
                    permissions: owner.permissions,
                    user: owner.user,
                    group: owner.group,
                    links: 0,
                    entries: 0,
                    linkable: false,
                    accessed: now,
                    modified: now,
                    changed: now,
                    created: now,
                },
            ),
            anchor: Anchor::new(),
        })
    }

    fn check_directory(&self) -> Result<(), Errno> {
        if matches!(self.content, Content::Directory) { Ok(()) } else { Err(Errno::ENOTDIR) }
    }

    /// The number of an inode of this file system.
    fn number_of(&self, other: &dyn Inode) -> Result<u64, Errno> {
        let identity = other.identity();
        if identity.device == self.shared.device { Ok(identity.inode) } else { Err(Errno::EXDEV) }
    }

    fn content_of(&self, number: u64, what: NewInode<'_>) -> Content {
        let shared = &self.shared;
        match what {
            NewInode::Regular => {
                let identity = Identity { device: shared.device, inode: number };
                Content::Regular(Arc::new(PageCache::new(identity, shared.frames, Some(shared.budget.clone()))))
            }
            NewInode::Directory => Content::Directory,
            NewInode::Symlink(text) => Content::Symlink(text.into()),
            NewInode::Fifo => Content::Special(FileKind::Fifo, DeviceNumber::default()),
            NewInode::Socket => Content::Special(FileKind::Socket, DeviceNumber::default()),
            NewInode::CharacterDevice(number) => Content::Special(FileKind::CharacterDevice, number),
            NewInode::BlockDevice(number) => Content::Special(FileKind::BlockDevice, number),
        }
    }

    fn size_and_blocks(&self, state: &State) -> (u64, u64) {
        match &self.content {
            Content::Regular(cache) => (cache.size(), cache.resident_pages() * (PAGE_BYTES as u64 / 512)),
            Content::Directory => ((state.entries + 2) * ENTRY_BYTES, 0),
            Content::Symlink(text) => (text.len() as u64, 0),
            Content::Special(..) => (0, 0),
        }
    }
}

impl Inode for TmpInode {
    fn identity(&self) -> Identity {
        Identity { device: self.shared.device, inode: self.number }
    }

    fn kind(&self) -> FileKind {
        match &self.content {
            Content::Regular(_) => FileKind::Regular,
            Content::Directory => FileKind::Directory,
            Content::Symlink(_) => FileKind::Symlink,
            Content::Special(kind, _) => *kind,
        }
    }

    fn attributes(&self) -> Result<Attributes, Errno> {
        let state = self.state.lock();
        let (size, blocks) = self.size_and_blocks(&state);
        Ok(Attributes {
            identity: self.identity(),
            kind: self.kind(),
            permissions: state.permissions,
            links: state.links,
            user: state.user,
            group: state.group,
            special: if let Content::Special(_, number) = self.content { number } else { DeviceNumber::default() },
            size,
            blocks,
            block_bytes: PAGE_BYTES as u32,
            accessed: state.accessed,
            modified: state.modified,
            changed: state.changed,
            created: state.created,
        })
    }

    fn set_attributes(&self, change: &AttributeChange) -> Result<(), Errno> {
        if let Some(size) = change.size {
            match &self.content {
                Content::Regular(cache) => cache.set_size(size)?,
                Content::Directory => return Err(Errno::EISDIR),
                _ => return Err(Errno::EINVAL),
            }
        }
        let now = self.shared.clock.now();
        let mut state = self.state.lock();
        if change.size.is_some() {
            state.modified = now;
        }
        state.permissions = change.permissions.unwrap_or(state.permissions) & 0o7777;
        state.user = change.user.unwrap_or(state.user);
        state.group = change.group.unwrap_or(state.group);
        state.accessed = change.accessed.unwrap_or(state.accessed);
        state.modified = change.modified.unwrap_or(state.modified);
        state.changed = now;
        Ok(())
    }

    fn statistics(&self) -> Statistics {
        let shared = &self.shared;
        let used = shared.names.lock().count();
        Statistics {
            magic: general::TMPFS_MAGIC,
            device: shared.device,
            block_bytes: PAGE_BYTES as u32,
            blocks: shared.budget.limit(),
            free_blocks: shared.budget.limit().saturating_sub(shared.budget.used()),
            inodes: shared.most_inodes as u64,
            free_inodes: shared.most_inodes.saturating_sub(used) as u64,
        }
    }

    fn lookup(&self, name: Name<'_>) -> Result<Arc<dyn Inode>, Errno> {
        self.check_directory()?;
        Ok(self.shared.names.lock().find(self.number, name)?.clone())
    }

    fn create(&self, name: Name<'_>, what: NewInode<'_>, owner: Ownership) -> Result<Arc<dyn Inode>, Errno> {
        self.check_directory()?;
        let shared = &self.shared;
        let number = {
            let mut names = shared.names.lock();
            names.check_free(self.number, name)?;
            if names.count() >= shared.most_inodes {
                return Err(Errno::ENOSPC);
            }
            names.next_number()
        };
        let inode = TmpInode::new(shared, number, self.content_of(number, what), owner);
        let mut names = shared.names.lock();
        // Asked again: somebody may have been faster.
        names.check_free(self.number, name)?;
        names.add(self.number, name, inode.clone(), shared.clock.now())?;
        drop(names);
        Ok(inode)
    }

    fn create_unnamed(&self, owner: Ownership, linkable: bool) -> Result<Arc<dyn Inode>, Errno> {
        self.check_directory()?;
        let shared = &self.shared;
        let number = {
            let mut names = shared.names.lock();
            if names.count() >= shared.most_inodes {
                return Err(Errno::ENOSPC);
            }
            names.next_number()
        };
        let inode = TmpInode::new(shared, number, self.content_of(number, NewInode::Regular), owner);
        if linkable {
            inode.state.lock().linkable = true;
            shared.names.lock().add_unnamed(&inode);
        }
        Ok(inode)
    }

    fn link(&self, name: Name<'_>, existing: &dyn Inode) -> Result<(), Errno> {
        self.check_directory()?;
        let number = self.number_of(existing)?;
        let (most, now) = (self.shared.most_inodes, self.shared.clock.now());
        self.shared.names.lock().link(self.number, name, number, most, now)
    }

    fn unlink(&self, name: Name<'_>) -> Result<(), Errno> {
        self.check_directory()?;
        let gone = self.shared.names.lock().remove(self.number, name, false, self.shared.clock.now())?;
        // With no lock held: it may be the last of a large file.
        drop(gone);
        Ok(())
    }

    fn rmdir(&self, name: Name<'_>) -> Result<(), Errno> {
        self.check_directory()?;
        let gone = self.shared.names.lock().remove(self.number, name, true, self.shared.clock.now())?;
        drop(gone);
        Ok(())
    }

    fn rename(
        &self,
        name: Name<'_>,
        new_directory: &dyn Inode,
        new_name: Name<'_>,
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        self.check_directory()?;
        let to = (self.number_of(new_directory)?, new_name);
        let now = self.shared.clock.now();
        let gone = self.shared.names.lock().rename((self.number, name), to, flags, now)?;
        drop(gone);
        Ok(())
    }

    fn follow(&self) -> Result<LinkTarget, Errno> {
        match &self.content {
            Content::Symlink(text) => Ok(LinkTarget::Text(text.to_vec())),
            _ => Err(Errno::EINVAL),
        }
    }

    fn next_entry(&self, after: u64) -> Result<Option<Entry>, Errno> {
        self.check_directory()?;
        self.shared.names.lock().next_entry(self.number, after)
    }

    fn open(self: Arc<Self>) -> Result<Arc<dyn File>, Errno> {
        match &self.content {
            Content::Regular(cache) => Ok(Arc::new(file::RegularFile { cache: cache.clone(), inode: self.clone() })),
            _ => Err(Errno::ENXIO),
        }
    }

    fn page_cache(&self) -> Option<Arc<PageCache>> {
        if let Content::Regular(cache) = &self.content { Some(cache.clone()) } else { None }
    }

    fn anchor(&self) -> Option<&Anchor> {
        Some(&self.anchor)
    }
}

impl Drop for TmpInode {
    fn drop(&mut self) {
        if self.state.get_mut().linkable {
            self.shared.names.lock().forget_unnamed(self.number);
        }
    }
}
