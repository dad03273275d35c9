//! What can be done with an object of a file system: regular file, directory, symbolic link, device, fifo, socket.
//!
//! File systems implement [`Inode`]; who may do what is checked before, in [`super::tree`], by credentials and attributes, and
//! what needs the state of the file system (is there such an entry, is the directory empty) here, at once with the change.
//! Answers are those of the man pages. Methods are called with no lock held.

use super::attributes::{AttributeChange, Attributes, DeviceNumber, FileKind, Identity, Statistics};
use super::credentials::Ownership;
use super::file::File;
use super::name::Name;
use super::page_cache::PageCache;
use super::place::Place;
use crate::errno::Errno;
use crate::sync::{IrqLock, Rank};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use bitflags::bitflags;
use core::any::Any;
use linux_raw_sys::general;

bitflags! {
    /// How rename(2) is to go about it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RenameFlags: u32 {
        /// The new name must not exist.
        const NOREPLACE = general::RENAME_NOREPLACE;
        /// Both exist, and change places.
        const EXCHANGE = general::RENAME_EXCHANGE;
    }
}

/// What is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewInode<'a> {
    /// An empty file.
    Regular,
    /// An empty directory.
    Directory,
    /// A symbolic link with this text.
    Symlink(&'a [u8]),
    /// A fifo.
    Fifo,
    /// A socket's name.
    Socket,
    /// A device of bytes.
    CharacterDevice(DeviceNumber),
    /// A device of blocks.
    BlockDevice(DeviceNumber),
}

impl NewInode<'_> {
    /// Its kind.
    pub const fn kind(&self) -> FileKind {
        match self {
            Self::Regular => FileKind::Regular,
            Self::Directory => FileKind::Directory,
            Self::Symlink(_) => FileKind::Symlink,
            Self::Fifo => FileKind::Fifo,
            Self::Socket => FileKind::Socket,
            Self::CharacterDevice(_) => FileKind::CharacterDevice,
            Self::BlockDevice(_) => FileKind::BlockDevice,
        }
    }
}

/// What a symbolic link leads to.
pub enum LinkTarget {
    /// Wherever this text leads, from the link's directory on.
    Text(Vec<u8>),
    /// This very place, whatever its name is by now: the links of /proc/PID.
    Place(Place),
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where to go on after it: at least [`FIRST_COOKIE`], and below 2^63. Stays the same as long as the entry does.
    pub cookie: u64,
    /// The inode's number.
    pub inode: u64,
    /// Its kind.
    pub kind: FileKind,
    /// Its name.
    pub name: Box<[u8]>,
}

/// The first cookie of a file system; 1 and 2 are `.` and `..`, and 0 is the start.
pub const FIRST_COOKIE: u64 = 3;

/// Where those who are not file systems hang what belongs to one inode, for as long as somebody has it: a fifo's pipe, a bound
/// socket.
pub struct Anchor(IrqLock<Option<Weak<dyn Any + Send + Sync>>>);

impl Anchor {
    /// With nothing on it.
    pub const fn new() -> Self {
        Self(IrqLock::new(Rank::Inode, None))
    }

    /// What hangs there, if it is a `T` that somebody still has.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let held = self.0.lock().as_ref()?.upgrade()?;
        held.downcast().ok()
    }

    /// What hangs there, or else what `make` answers, which hangs there from now on.
    pub fn get_or_set<T: Any + Send + Sync>(&self, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        if let Some(held) = self.get() {
            return held;
        }
        let made = make();
        let mut slot = self.0.lock();
        // Somebody may have been faster.
        let held = slot.as_ref().and_then(Weak::upgrade);
        if held.is_none() {
            let weak: Weak<T> = Arc::downgrade(&made);
            *slot = Some(weak);
        }
        drop(slot);
        held.and_then(|held| held.downcast().ok()).unwrap_or(made)
    }
}

impl Default for Anchor {
    fn default() -> Self {
        Self::new()
    }
}

/// An object of a file system.
pub trait Inode: Send + Sync {
    /// Which one.
    fn identity(&self) -> Identity;

    /// Its kind.
    fn kind(&self) -> FileKind;

    /// All that stat(2) tells.
    ///
    /// # Errors
    /// [`Errno::EIO`]; [`Errno::ESRCH`] if it was about a process that is gone.
    fn attributes(&self) -> Result<Attributes, Errno>;

    /// Changes attributes, and notes when; a size changes the content.
    ///
    /// # Errors
    /// As chmod(2), chown(2), truncate(2).
    fn set_attributes(&self, change: &AttributeChange) -> Result<(), Errno>;

    /// What statfs(2) tells of its file system.
    fn statistics(&self) -> Statistics;

    /// The object that has `name` in this directory.
    ///
    /// # Errors
    /// [`Errno::ENOENT`], [`Errno::ENOTDIR`].
    fn lookup(&self, name: Name<'_>) -> Result<Arc<dyn Inode>, Errno> {
        let _ = name;
        Err(Errno::ENOTDIR)
    }

    /// Makes an object with a name in this directory: open(2), mkdir(2), mknod(2), symlink(2).
    ///
    /// # Errors
    /// [`Errno::EEXIST`], [`Errno::ENOENT`] if the directory itself was removed, [`Errno::ENOSPC`], [`Errno::EPERM`] if the file
    /// system has no such objects.
    fn create(&self, name: Name<'_>, what: NewInode<'_>, owner: Ownership) -> Result<Arc<dyn Inode>, Errno> {
        let _ = (name, what, owner);
        Err(Errno::EPERM)
    }

    /// Makes a regular file without a name (`O_TMPFILE`), which may get one by link(2) if `linkable`.
    ///
    /// # Errors
    /// [`Errno::EOPNOTSUPP`], [`Errno::ENOSPC`].
    fn create_unnamed(&self, owner: Ownership, linkable: bool) -> Result<Arc<dyn Inode>, Errno> {
        let _ = (owner, linkable);
        Err(Errno::EOPNOTSUPP)
    }

    /// Gives `existing`, of the same file system, a name more, in this directory.
    ///
    /// # Errors
    /// As link(2).
    fn link(&self, name: Name<'_>, existing: &dyn Inode) -> Result<(), Errno> {
        let _ = (name, existing);
        Err(Errno::EPERM)
    }

    /// Takes a name away from what is no directory.
    ///
    /// # Errors
    /// As unlink(2).
    fn unlink(&self, name: Name<'_>) -> Result<(), Errno> {
        let _ = name;
        Err(Errno::EPERM)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// As rmdir(2).
    fn rmdir(&self, name: Name<'_>) -> Result<(), Errno> {
        let _ = name;
        Err(Errno::EPERM)
    }

    /// Moves an entry of this directory to `new_name` in `new_directory`, of the same file system.
    ///
    /// # Errors
    /// As rename(2).
    fn rename(
        &self,
        name: Name<'_>,
        new_directory: &dyn Inode,
        new_name: Name<'_>,
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        let _ = (name, new_directory, new_name, flags);
        Err(Errno::EPERM)
    }

    /// What this symbolic link leads to.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if it is none; as [`Inode::attributes`].
    fn follow(&self) -> Result<LinkTarget, Errno> {
        Err(Errno::EINVAL)
    }

    /// The text of this symbolic link, if it is not that of the place it leads to.
    ///
    /// # Errors
    /// As [`Inode::follow`].
    fn link_text(&self) -> Result<Option<Vec<u8>>, Errno> {
        Ok(match self.follow()? {
            LinkTarget::Text(text) => Some(text),
            LinkTarget::Place(_) => None,
        })
    }

    /// The first entry of this directory that comes after the one with the cookie `after`, without `.` and `..`. An entry that
    /// stays is answered once by who goes through them all, whatever comes and goes meanwhile.
    ///
    /// # Errors
    /// [`Errno::ENOTDIR`], [`Errno::ENOENT`] if the directory was removed.
    fn next_entry(&self, after: u64) -> Result<Option<Entry>, Errno> {
        let _ = after;
        Err(Errno::ENOTDIR)
    }

    /// The object as an open file: of regular files, and of what is not opened by [`super::open::SpecialFiles`].
    ///
    /// # Errors
    /// As open(2); [`Errno::ENXIO`] for what cannot be opened.
    fn open(self: Arc<Self>) -> Result<Arc<dyn File>, Errno> {
        Err(Errno::ENXIO)
    }

    /// The content's pages, if it has any: for mmap(2), exec and fallocate(2).
    fn page_cache(&self) -> Option<Arc<PageCache>> {
        None
    }

    /// Where a fifo's pipe or a bound socket hangs.
    fn anchor(&self) -> Option<&Anchor> {
        None
    }

    /// Writes to the disk what is not there yet: fsync(2).
    ///
    /// # Errors
    /// [`Errno::EIO`], [`Errno::ENOSPC`].
    fn synchronize(&self) -> Result<(), Errno> {
        Ok(())
    }
}

/// A file system that can be mounted.
pub trait FileSystem: Send + Sync {
    /// Its type, as /proc/mounts tells it.
    fn type_name(&self) -> &str;

    /// Its uppermost directory.
    fn root(&self) -> Arc<dyn Inode>;

    /// Writes everything to the disk: sync(2), umount(2).
    ///
    /// # Errors
    /// [`Errno::EIO`], [`Errno::ENOSPC`].
    fn synchronize(&self) -> Result<(), Errno> {
        Ok(())
    }
}
