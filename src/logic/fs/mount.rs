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
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
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
    /// What it lies on; nothing for the first, and for what was taken away while somebody uses it.
    on: IrqLock<Option<Place>>,
    is_first: bool,
    flags: AtomicU32,
    /// Mounts on directories of this one, by the directories' numbers.
    children: IrqLock<BTreeMap<u64, Arc<Mount>>>,
}

/// Mounts that one mount may have on its directories.
const MOST_CHILDREN: usize = 10_000;

/// Mounts that lie one below the other: dropping the uppermost drops the others by recursion.
const MOST_DEPTH: usize = 100;

/// Held by whoever changes what lies on what: else two that are moved could end up below each other.
static CHANGES: IrqLock<()> = IrqLock::new(Rank::MountChanges, ());

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
            is_first: on.is_none(),
            on: IrqLock::new(Rank::Mount, on),
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
        let mount = Self::new(file_system, root, Some(on.clone()), flags);
        on.while_counted(|| {
            Self::check_depth(on.mount.depth()? + 1)?;
            on.cover_with(&mount)
        })?;
        Ok(mount)
    }

    /// Moves a mount, of which `place` is the root, to another place, with all that lies on it (`MS_MOVE`). All the time it is found at
    /// the one place, or the other, or both.
    ///
    /// # Errors
    /// As [`Mount::add`]; [`Errno::EINVAL`] if `place` is not a mount's root, or is the first mount, or a directory and `to` none, or the
    /// other way round; [`Errno::ELOOP`] if `to` is in it.
    pub fn relocate(place: &Place, to: &Place) -> Result<(), Errno> {
        let Place { mount, dentry } = place;
        if !mount.is_root(dentry) {
            return Err(Errno::EINVAL);
        }
        if dentry.is_directory() != to.dentry.is_directory() {
            return Err(Errno::EINVAL);
        }
        let from = to.while_counted(|| mount.move_to(to))?;
        from.dentry.remove_mount();
        Ok(())
    }

    /// Answers where it was.
    fn move_to(self: &Arc<Self>, to: &Place) -> Result<Place, Errno> {
        let from = self.on().ok_or(Errno::EINVAL)?;
        let depth = to.mount.depth()?;
        if to.mount.down().any(|mount| Arc::ptr_eq(&mount, self)) {
            return Err(Errno::ELOOP);
        }
        Self::check_depth(depth + 1 + self.height())?;
        to.cover_with(self)?;
        *self.on.lock() = Some(to.clone());
        from.mount.children.lock().remove(&from.dentry.number());
        Ok(from)
    }

    /// This mount, what it lies on, and so on down.
    fn down(self: &Arc<Self>) -> impl Iterator<Item = Arc<Self>> {
        core::iter::successors(Some(self.clone()), |mount| mount.on().map(|on| on.mount))
    }

    /// Mounts below this one, down to the first.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if it was taken away, or what it lies on.
    fn depth(self: &Arc<Self>) -> Result<usize, Errno> {
        self.down().position(|mount| mount.is_first).ok_or(Errno::EINVAL)
    }

    /// Mounts on this one, one on the other, at most.
    fn height(self: &Arc<Self>) -> usize {
        let mut height = 0;
        let mut uppermost = self.children(MOST_CHILDREN);
        while !uppermost.is_empty() {
            height += 1;
            uppermost = uppermost.iter().flat_map(|mount| mount.children(MOST_CHILDREN)).collect();
        }
        height
    }

    fn check_depth(depth: usize) -> Result<(), Errno> {
        if depth <= MOST_DEPTH { Ok(()) } else { Err(Errno::ENOSPC) }
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
        if mount.on().is_none() {
            return Err(Errno::EINVAL);
        }
        if !detach {
            mount.file_system.synchronize()?;
        }
        // Dropped where nothing is locked.
        let mut gone = alloc::vec![mount];
        let mut uncovered: Vec<Place> = Vec::new();
        let changes = CHANGES.lock();
        let on = gone[0].on().ok_or(Errno::EINVAL)?;
        {
            let mut children = on.mount.children.lock();
            // One is the parent's, one is ours; nobody gets another while the parent is locked, unless from one that counts.
            if !detach && Arc::strong_count(&gone[0]) > 2 {
                return Err(Errno::EBUSY);
            }
            gone.extend(children.remove(&on.dentry.number()));
        }
        // Below, too: else a parent and its child would keep each other for ever.
        let mut next = 0;
        while let Some(mount) = gone.get(next) {
            uncovered.extend(mount.on.lock().take());
            let children = core::mem::take(&mut *mount.children.lock());
            gone.extend(children.into_values());
            next += 1;
        }
        drop(changes);
        uncovered.iter().for_each(|place| place.dentry.remove_mount());
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

    /// What it lies on; nothing if it is the first or was taken away.
    pub fn on(&self) -> Option<Place> {
        self.on.lock().clone()
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

impl Place {
    /// Makes a change after which a mount lies here; nothing else is changed meanwhile. It counts from before, so that the directory is
    /// not removed.
    ///
    /// # Errors
    /// [`Errno::ENOENT`] if that has happened; what `change` answers.
    fn while_counted<T>(&self, change: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        if self.dentry.is_deleted() {
            return Err(Errno::ENOENT);
        }
        self.dentry.add_mount();
        let changed = {
            let _changes = CHANGES.lock();
            change()
        };
        changed.inspect_err(|_| self.dentry.remove_mount())
    }

    /// Lays a mount here.
    fn cover_with(&self, mount: &Arc<Mount>) -> Result<(), Errno> {
        let mut children = self.mount.children.lock();
        if children.contains_key(&self.dentry.number()) {
            return Err(Errno::EBUSY);
        }
        if children.len() >= MOST_CHILDREN {
            return Err(Errno::ENOSPC);
        }
        children.insert(self.dentry.number(), mount.clone());
        Ok(())
    }
}
