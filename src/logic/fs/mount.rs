//! Mounts: file systems, each on a directory of another.
//!
//! A mount is busy while anybody but its parent has it: every [`super::place::Place`] counts. Newer mounts on the same directory
//! lie on the root of the older one, because that is what the directory's name leads to.

use super::dentry::Dentry;
use super::inode::FileSystem;
use super::place::Place;
use crate::errno::Errno;
use crate::sync::{IrqLock, Rank};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use linux_raw_sys::general;

bitflags! {
    /// Rules of a mount, as mount(2) numbers them.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MountFlags: u32 {
        /// Nothing is changed.
        const RDONLY = general::MS_RDONLY;
        /// Set-user-ID bits do nothing.
        const NOSUID = general::MS_NOSUID;
        /// Devices are not opened.
        const NODEV = general::MS_NODEV;
        /// Nothing is run.
        const NOEXEC = general::MS_NOEXEC;
    }
}

/// A file system at its place.
pub struct Mount {
    number: u64,
    file_system: Arc<dyn FileSystem>,
    root: Arc<Dentry>,
    /// What was mounted, as whoever mounted it called it.
    source: spin::Once<Box<[u8]>>,
    /// The directory it lies on; none for the first.
    on: Option<Place>,
    /// It was taken away, but somebody still uses it.
    detached: AtomicBool,
    /// Mounts below this one, down to the first.
    depth: usize,
    flags: AtomicU32,
    /// Mounts on directories of this one, by the directories' numbers.
    children: IrqLock<BTreeMap<u64, Arc<Mount>>>,
}

/// Mounts that one mount may have on its directories.
const MOST_CHILDREN: usize = 10_000;

/// Mounts that lie one below the other: dropping the uppermost drops the others by recursion.
const MOST_DEPTH: usize = 100;

impl Mount {
    /// The first mount, on nothing.
    pub fn first(file_system: Arc<dyn FileSystem>, flags: MountFlags) -> Arc<Self> {
        let root = Dentry::root(file_system.root(), b"/");
        Self::new(file_system, root, None, flags)
    }

    fn new(file_system: Arc<dyn FileSystem>, root: Arc<Dentry>, on: Option<Place>, flags: MountFlags) -> Arc<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            number: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            file_system,
            root,
            source: spin::Once::new(),
            depth: on.as_ref().map_or(0, |on| on.mount.depth + 1),
            on,
            detached: AtomicBool::new(false),
            flags: AtomicU32::new(flags.bits()),
            children: IrqLock::new(Rank::Mount, BTreeMap::new()),
        })
    }

    /// Lays a file system on a directory.
    ///
    /// # Errors
    /// [`Errno::ENOTDIR`]; [`Errno::EBUSY`] if somebody was faster; [`Errno::ENOENT`] if the directory was removed;
    /// [`Errno::ENOSPC`] if there are too many.
    pub fn add(on: &Place, file_system: Arc<dyn FileSystem>, flags: MountFlags) -> Result<Arc<Self>, Errno> {
        let root = Dentry::root(file_system.root(), b"/");
        Self::put(on, file_system, root, flags)
    }

    /// Shows a directory, or a file on a file, at another place too (`MS_BIND`).
    ///
    /// # Errors
    /// As [`Mount::add`].
    pub fn bind(on: &Place, shown: &Place, flags: MountFlags) -> Result<Arc<Self>, Errno> {
        let mount = Self::put(on, shown.mount.file_system.clone(), shown.dentry.clone(), flags)?;
        mount.set_source(shown.mount.source());
        Ok(mount)
    }

    fn put(
        on: &Place,
        file_system: Arc<dyn FileSystem>,
        root: Arc<Dentry>,
        flags: MountFlags,
    ) -> Result<Arc<Self>, Errno> {
        if root.is_directory() != on.dentry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        if on.dentry.is_deleted() {
            return Err(Errno::ENOENT);
        }
        if on.mount.depth >= MOST_DEPTH {
            return Err(Errno::ENOSPC);
        }
        let mount = Self::new(file_system, root, Some(on.clone()), flags);
        // Counted first: from now on the directory is not removed.
        on.dentry.add_mount();
        let mut children = on.mount.children.lock();
        let refused = if children.contains_key(&on.dentry.number()) {
            Some(Errno::EBUSY)
        } else if children.len() >= MOST_CHILDREN {
            Some(Errno::ENOSPC)
        } else {
            children.insert(on.dentry.number(), mount.clone());
            None
        };
        drop(children);
        match refused {
            None => Ok(mount),
            Some(error) => {
                on.dentry.remove_mount();
                Err(error)
            }
        }
    }

    /// Takes a mount away; `place` is its root.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if `place` is not a mount's root, or is the first mount; [`Errno::EBUSY`] if it is in use, unless `detach`:
    /// then the names go at once, with all mounts below, and the rest when nobody uses it any more.
    pub fn remove(place: Place, detach: bool) -> Result<(), Errno> {
        let Place { mount, dentry } = place;
        if !Arc::ptr_eq(&mount.root, &dentry) {
            return Err(Errno::EINVAL);
        }
        drop(dentry);
        let Some(on) = mount.on().cloned() else { return Err(Errno::EINVAL) };
        if !detach {
            mount.file_system.synchronize()?;
        }
        {
            let mut children = on.mount.children.lock();
            // One is the parent's, one is ours; nobody gets another while the parent is locked, unless from one that counts.
            if !detach && Arc::strong_count(&mount) > 2 {
                return Err(Errno::EBUSY);
            }
            match children.get(&on.dentry.number()) {
                Some(child) if Arc::ptr_eq(child, &mount) => children.remove(&on.dentry.number()),
                _ => return Err(Errno::EINVAL),
            }
        };
        on.dentry.remove_mount();
        mount.detached.store(true, Ordering::Relaxed);
        let mut detached = alloc::vec![mount];
        // Below: else a parent and its child would keep each other for ever.
        while let Some(mount) = detached.pop() {
            let children = core::mem::take(&mut *mount.children.lock());
            for child in children.into_values() {
                if let Some(on) = &child.on {
                    on.dentry.remove_mount();
                }
                child.detached.store(true, Ordering::Relaxed);
                detached.push(child);
            }
        }
        Ok(())
    }

    /// Its number, as /proc/self/mountinfo and statx(2) tell it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The file system.
    pub fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.file_system
    }

    /// What was mounted, as /proc/mounts tells it: what was said to mount(2), or else the type.
    pub fn source(&self) -> &[u8] {
        self.source.get().map_or(self.file_system.type_name().as_bytes(), |source| source)
    }

    /// Notes what mount(2) was told to mount; the first time counts.
    pub fn set_source(&self, source: &[u8]) {
        self.source.call_once(|| source.into());
    }

    /// The path of what is shown here, within its file system: `/` unless it was bound.
    pub fn shown_path(&self) -> Vec<u8> {
        let mut path = Vec::new();
        let mut at = self.root.clone();
        // Built from behind, and turned at the end.
        while let (name, Some(parent)) = at.name_and_parent() {
            path.extend(name.iter().rev());
            path.push(b'/');
            at = parent;
        }
        if path.is_empty() {
            path.push(b'/');
        }
        path.reverse();
        path
    }

    /// Its uppermost directory.
    pub fn root(self: &Arc<Self>) -> Place {
        Place { mount: self.clone(), dentry: self.root.clone() }
    }

    /// Whether `dentry` is its uppermost directory.
    pub fn is_root(&self, dentry: &Arc<Dentry>) -> bool {
        Arc::ptr_eq(&self.root, dentry)
    }

    /// The directory it lies on; none if it was taken away.
    pub fn on(&self) -> Option<&Place> {
        self.on.as_ref().filter(|_| !self.detached.load(Ordering::Relaxed))
    }

    /// What lies on `dentry`.
    pub fn child_on(&self, dentry: &Dentry) -> Option<Arc<Self>> {
        if !dentry.is_mount_point() {
            return None;
        }
        self.children.lock().get(&dentry.number()).cloned()
    }

    /// The mounts on its directories, oldest first, up to `most`: for /proc/mounts.
    pub fn children(&self, most: usize) -> Vec<Arc<Self>> {
        let mut children: Vec<_> = self.children.lock().values().take(most).cloned().collect();
        children.sort_by_key(|mount| mount.number);
        children
    }

    /// Its rules.
    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    /// Gives it other rules (`MS_REMOUNT`).
    pub fn set_flags(&self, flags: MountFlags) {
        self.flags.store(flags.bits(), Ordering::Relaxed);
    }

    /// Whether anything may be changed there.
    ///
    /// # Errors
    /// [`Errno::EROFS`].
    pub fn check_writable(&self) -> Result<(), Errno> {
        if self.flags().contains(MountFlags::RDONLY) { Err(Errno::EROFS) } else { Ok(()) }
    }
}
