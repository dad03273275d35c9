//! Places for what is open but in no directory: pipes, sockets, events. /proc/PID/fd shows them as `pipe:[7]`.

use super::attributes::{AttributeChange, Attributes, Clock, DeviceNumber, FileKind, Identity, Statistics, Timestamp};
use super::dentry::Dentry;
use super::inode::{Anchor, FileSystem, Inode};
use super::mount::{Mount, MountFlags};
use super::place::Place;
use crate::errno::Errno;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use linux_raw_sys::general;

/// Makes such places. There is one for the whole system.
pub struct Anonymous {
    mount: Arc<Mount>,
    device: u64,
    clock: &'static dyn Clock,
    last_number: AtomicU64,
}

impl Anonymous {
    /// `device` tells these inodes from others (`st_dev`).
    pub fn new(device: u64, clock: &'static dyn Clock) -> Self {
        let root = Arc::new(AnonymousInode::new(Identity { device, inode: 1 }, FileKind::Directory, 0, clock.now()));
        let mount = Mount::first(Arc::new(Nowhere { root }), MountFlags::empty());
        Self { mount, device, clock, last_number: AtomicU64::new(1) }
    }

    /// A place for a device that was opened before anybody could by its name, which is `path`.
    pub fn device(&self, path: &str, number: DeviceNumber) -> Place {
        let inode = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        let identity = Identity { device: self.device, inode };
        let mut made = AnonymousInode::new(identity, FileKind::CharacterDevice, 0, self.clock.now());
        made.special = number;
        Place { mount: self.mount.clone(), dentry: Dentry::root(Arc::new(made), path.as_bytes()) }
    }

    /// A place for one object of `kind`, made by `user`; `label` is what it is, as `pipe` or `socket`.
    pub fn place(&self, label: &str, kind: FileKind, user: u32) -> Place {
        self.make(kind, user, |inode| format!("{label}:[{inode}]"))
    }

    /// A place for what has no kind in the sense of stat(2): `anon_inode:[eventpoll]`. It is told as a regular file.
    pub fn event_place(&self, label: &str, user: u32) -> Place {
        self.make(FileKind::Regular, user, |_| format!("anon_inode:[{label}]"))
    }

    fn make(&self, kind: FileKind, user: u32, name: impl FnOnce(u64) -> String) -> Place {
        let inode = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        let name = name(inode);
        let made = AnonymousInode::new(Identity { device: self.device, inode }, kind, user, self.clock.now());
        Place { mount: self.mount.clone(), dentry: Dentry::root(Arc::new(made), name.as_bytes()) }
    }
}

/// A file system that is never seen.
struct Nowhere {
    root: Arc<AnonymousInode>,
}

impl FileSystem for Nowhere {
    fn type_name(&self) -> &str {
        "anon_inodefs"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }
}

/// An object without a directory. Whoever opens it finds at its anchor what it is.
struct AnonymousInode {
    identity: Identity,
    kind: FileKind,
    user: u32,
    special: DeviceNumber,
    made: Timestamp,
    anchor: Anchor,
}

impl AnonymousInode {
    fn new(identity: Identity, kind: FileKind, user: u32, made: Timestamp) -> Self {
        Self { identity, kind, user, special: DeviceNumber::default(), made, anchor: Anchor::new() }
    }
}

impl Inode for AnonymousInode {
    fn identity(&self) -> Identity {
        self.identity
    }

    fn kind(&self) -> FileKind {
        self.kind
    }

    fn attributes(&self) -> Result<Attributes, Errno> {
        Ok(Attributes {
            identity: self.identity,
            kind: self.kind,
            permissions: if self.kind == FileKind::Socket { 0o777 } else { 0o600 },
            links: 1,
            user: self.user,
            group: 0,
            special: self.special,
            size: 0,
            blocks: 0,
            block_bytes: general::PATH_MAX,
            accessed: self.made,
            modified: self.made,
            changed: self.made,
            created: self.made,
        })
    }

    fn set_attributes(&self, _change: &AttributeChange) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            magic: general::ANON_INODE_FS_MAGIC,
            device: self.identity.device,
            block_bytes: 4096,
            ..Default::default()
        }
    }

    fn anchor(&self) -> Option<&Anchor> {
        Some(&self.anchor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::fake::{Counting, Tree};

    #[test]
    fn they_are_named_by_what_they_are_and_never_deleted() {
        let anonymous = Anonymous::new(9, Box::leak(Box::<Counting>::default()));
        let tree = Tree::new();
        let pipe = anonymous.place("pipe", FileKind::Fifo, 1000);
        let other = anonymous.place("pipe", FileKind::Fifo, 1000);
        let name = pipe.path(&tree.root).unwrap().into_proc();
        assert_eq!(name, format!("pipe:[{}]", pipe.inode().identity().inode).into_bytes());
        let events = anonymous.event_place("eventpoll", 0).path(&tree.root).unwrap().into_proc();
        assert_eq!(events, b"anon_inode:[eventpoll]");
        assert_ne!(pipe.inode().identity(), other.inode().identity());
        let held = pipe.inode().anchor().unwrap().get_or_set(|| Arc::new(5_u32));
        assert_eq!(pipe.inode().anchor().unwrap().get::<u32>().as_deref(), Some(&5));
        let console = anonymous.device("/dev/console", DeviceNumber { major: 5, minor: 1 });
        assert_eq!(console.path(&tree.root).unwrap().into_proc(), b"/dev/console");
        assert_eq!(console.inode().attributes().unwrap().special.minor, 1);
        drop(held);
        assert_eq!(pipe.inode().anchor().unwrap().get::<u32>(), None);
    }
}
