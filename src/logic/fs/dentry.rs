//! Names under which objects were reached, as a chain up to the root of their file system: what getcwd(2) and /proc/self/fd tell.
//!
//! The file system is always asked what a name stands for; a [`Dentry`] only says by which names somebody came. As long as one is
//! in use, all who come by the same name get the same one, so that a rename is seen by everybody below, and mounts can lie on it.
//!
//! Invariants: a child has its parent, the parent knows its child weakly; no two locks of dentries are held at a time; none is
//! dropped with one held. Chains may be longer than stacks are deep: they are taken apart in a loop.

use super::attributes::{FileKind, Identity};
use super::inode::Inode;
use super::name::Name;
use crate::errno::Errno;
use crate::sync::{IrqLock, Rank};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A name with the object it stands for.
pub struct Dentry {
    number: u64,
    inode: Arc<dyn Inode>,
    /// Mounts that lie on it.
    mounts: AtomicU32,
    links: IrqLock<Links>,
}

struct Links {
    name: Box<[u8]>,
    /// None for the root of a file system, and for what never had a name.
    parent: Option<Arc<Dentry>>,
    deleted: bool,
    children: BTreeMap<Box<[u8]>, Weak<Dentry>>,
}

impl Dentry {
    /// The root of a file system, or, by `name`, what has none: `pipe:[7]`.
    pub fn root(inode: Arc<dyn Inode>, name: &[u8]) -> Arc<Self> {
        Self::new(inode, name, None)
    }

    /// Something that was made in `parent` without a name there.
    pub fn unnamed(inode: Arc<dyn Inode>, parent: &Arc<Self>, name: &[u8]) -> Arc<Self> {
        let dentry = Self::new(inode, name, Some(parent.clone()));
        dentry.links.lock().deleted = true;
        dentry
    }

    fn new(inode: Arc<dyn Inode>, name: &[u8], parent: Option<Arc<Self>>) -> Arc<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            number: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            inode,
            mounts: AtomicU32::new(0),
            links: IrqLock::new(
                Rank::Mount,
                Links { name: name.into(), parent, deleted: false, children: BTreeMap::new() },
            ),
        })
    }

    /// Tells it from all others, ever.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The object.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        &self.inode
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.inode.kind() == FileKind::Directory
    }

    /// The directory it is in.
    pub fn parent(&self) -> Option<Arc<Self>> {
        self.links.lock().parent.clone()
    }

    /// Its name, and the directory that has it under that name.
    pub fn name_and_parent(&self) -> (Box<[u8]>, Option<Arc<Self>>) {
        let links = self.links.lock();
        (links.name.clone(), links.parent.clone())
    }

    /// Whether the name has been taken away.
    pub fn is_deleted(&self) -> bool {
        self.links.lock().deleted
    }

    /// Whether something is mounted on it.
    pub fn is_mount_point(&self) -> bool {
        self.mounts.load(Ordering::Relaxed) > 0
    }

    /// A mount more lies on it.
    pub(super) fn add_mount(&self) {
        self.mounts.fetch_add(1, Ordering::Relaxed);
    }

    /// A mount less.
    pub(super) fn remove_mount(&self) {
        self.mounts.fetch_sub(1, Ordering::Relaxed);
    }

    /// What `name` stands for in this directory.
    ///
    /// # Errors
    /// As [`Inode::lookup`].
    pub fn lookup(self: &Arc<Self>, name: Name<'_>) -> Result<Arc<Self>, Errno> {
        Ok(self.child(name, self.inode.lookup(name)?))
    }

    /// The dentry by which everybody reaches `inode`, which the file system has under `name` here.
    pub fn child(self: &Arc<Self>, name: Name<'_>, inode: Arc<dyn Inode>) -> Arc<Self> {
        if let Some(known) = self.known(name, inode.identity()) {
            return known;
        }
        let made = Self::new(inode, name.bytes(), Some(self.clone()));
        let mut links = self.links.lock();
        let stale = links.children.get(name.bytes()).and_then(Weak::upgrade);
        if let Some(known) = &stale
            && known.inode.identity() == made.inode.identity()
        {
            let known = known.clone();
            drop(links);
            return known;
        }
        links.children.insert(name.bytes().into(), Arc::downgrade(&made));
        drop(links);
        if let Some(stale) = stale {
            stale.links.lock().deleted = true;
        }
        made
    }

    /// The dentry that somebody uses already.
    fn known(&self, name: Name<'_>, identity: Identity) -> Option<Arc<Self>> {
        let known = self.used(name)?;
        (known.inode.identity() == identity).then_some(known)
    }

    /// Whoever uses `name` here.
    fn used(&self, name: Name<'_>) -> Option<Arc<Self>> {
        self.links.lock().children.get(name.bytes()).and_then(Weak::upgrade)
    }

    /// Whether something is mounted on the entry `name`.
    pub fn has_mount_on(&self, name: Name<'_>) -> bool {
        self.used(name).is_some_and(|child| child.is_mount_point())
    }

    /// The file system has taken `name` away from this directory.
    pub fn forget(&self, name: Name<'_>) {
        let Some(gone) = self.take_child(name) else { return };
        gone.links.lock().deleted = true;
    }

    fn take_child(&self, name: Name<'_>) -> Option<Arc<Self>> {
        self.links.lock().children.remove(name.bytes()).as_ref().and_then(Weak::upgrade)
    }

    /// The file system has moved an entry, or made two change places.
    pub fn moved(self: &Arc<Self>, name: Name<'_>, new_parent: &Arc<Self>, new_name: Name<'_>, exchange: bool) {
        let source = self.take_child(name);
        let target = new_parent.take_child(new_name);
        if let Some(source) = source {
            source.settle(new_parent, new_name);
        }
        match target {
            Some(target) if exchange => target.settle(self, name),
            Some(target) => target.links.lock().deleted = true,
            None => {}
        }
    }

    fn settle(self: Arc<Self>, parent: &Arc<Self>, name: Name<'_>) {
        let previous = {
            let mut links = self.links.lock();
            links.name = name.bytes().into();
            links.parent.replace(parent.clone())
        };
        let replaced = {
            let mut links = parent.links.lock();
            links.children.insert(name.bytes().into(), Arc::downgrade(&self))
        };
        drop((previous, replaced));
    }
}

impl Drop for Dentry {
    fn drop(&mut self) {
        let own = core::ptr::from_ref(self);
        let links = self.links.get_mut();
        let mut next = links.parent.take().map(|parent| (parent, core::mem::take(&mut links.name), own));
        while let Some((parent, name, child)) = next {
            {
                let mut links = parent.links.lock();
                // Under the same name there may be another by now.
                if links.children.get(&name).is_some_and(|known| core::ptr::eq(known.as_ptr(), child)) {
                    links.children.remove(&name);
                }
            }
            // Its parent is taken out of it, so that its own drop finds none.
            let address = Arc::as_ptr(&parent);
            next = Arc::into_inner(parent).and_then(|mut parent| {
                let links = parent.links.get_mut();
                links.parent.take().map(|above| (above, core::mem::take(&mut links.name), address))
            });
        }
    }
}
