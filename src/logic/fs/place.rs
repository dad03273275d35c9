//! Where something is: a name in a mount, and the way up from there.

use super::dentry::Dentry;
use super::inode::Inode;
use super::mount::Mount;
use crate::errno::Errno;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general::PATH_MAX;

/// A place in the tree of names. Whoever has one keeps its mount busy.
#[derive(Clone)]
pub struct Place {
    /// The mount.
    pub mount: Arc<Mount>,
    /// The name, with what it stands for.
    pub dentry: Arc<Dentry>,
}

/// A place as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathText {
    /// The path from the root that was asked for; a name without slash for what is in no directory (`pipe:[7]`).
    pub path: Vec<u8>,
    /// Whether the name has been taken away.
    pub deleted: bool,
    /// Whether the root that was asked for was met on the way up.
    pub reachable: bool,
}

impl PathText {
    /// As /proc tells it, in proc(5): ` (deleted)` after names that are gone.
    pub fn into_proc(mut self) -> Vec<u8> {
        if self.deleted {
            self.path.extend_from_slice(b" (deleted)");
        }
        self.path
    }
}

impl Place {
    /// The object.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        self.dentry.inode()
    }

    /// Whether it is the same place.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && Arc::ptr_eq(&self.dentry, &other.dentry)
    }

    /// What lies uppermost here.
    pub fn covered(mut self) -> Self {
        while let Some(mount) = self.mount.child_on(&self.dentry) {
            self = mount.root();
        }
        self
    }

    /// The directory above (`..`), not beyond `root`.
    pub fn above(&self, root: &Self) -> Self {
        let mut at = self.clone();
        loop {
            if at.is(root) {
                return at;
            }
            if at.mount.is_root(&at.dentry) {
                let Some(on) = at.mount.on() else { return at };
                at = on;
                continue;
            }
            let Some(parent) = at.dentry.parent() else { return at };
            return Self { mount: at.mount, dentry: parent }.covered();
        }
    }

    /// The path from `root` down to here.
    ///
    /// # Errors
    /// [`Errno::ENAMETOOLONG`] if it would not fit a path.
    pub fn path(&self, root: &Self) -> Result<PathText, Errno> {
        let deleted = self.dentry.is_deleted();
        let (mut path, mut reachable) = (Vec::new(), true);
        let mut at = self.clone();
        // Built from behind, and turned at the end.
        while !at.is(root) {
            if at.mount.is_root(&at.dentry) {
                match at.mount.on() {
                    Some(on) => at = on,
                    None => {
                        reachable = false;
                        let (name, _) = at.dentry.name_and_parent();
                        if path.is_empty() && *name != *b"/" {
                            return Ok(PathText { path: name.into_vec(), deleted, reachable });
                        }
                        break;
                    }
                }
                continue;
            }
            let (name, parent) = at.dentry.name_and_parent();
            if path.len() + name.len() + 1 >= PATH_MAX as usize {
                return Err(Errno::ENAMETOOLONG);
            }
            let Some(parent) = parent else {
                return Ok(PathText { path: name.into_vec(), deleted, reachable: false });
            };
            path.extend(name.iter().rev());
            path.push(b'/');
            at.dentry = parent;
        }
        if path.is_empty() {
            path.push(b'/');
        }
        path.reverse();
        Ok(PathText { path, deleted, reachable })
    }
}
