//! A small tree of names for tests: one tmpfs, a clock that only counts, and special files that say what they were asked for.

use super::attributes::{Clock, DeviceNumber, FileKind, Timestamp};
use super::credentials::{Credentials, Ownership};
use super::file::File;
use super::inode::Anchor;
use super::mount::{Mount, MountFlags};
use super::open::{Opening, SpecialFiles};
use super::open_file::OpenFile;
use super::place::Place;
use super::tmpfs::{Limits, Tmpfs};
use super::walk::Caller;
use crate::errno::Errno;
use crate::mem::page::fake::FakeFrames;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Each look is a second later.
#[derive(Default)]
pub struct Counting(AtomicI64);

impl Clock for Counting {
    fn now(&self) -> Timestamp {
        Timestamp { seconds: self.0.fetch_add(1, Ordering::Relaxed), nanoseconds: 0 }
    }
}

/// Opens nothing.
pub struct NoSpecials;

impl SpecialFiles for NoSpecials {
    fn open_device(&self, _kind: FileKind, _number: DeviceNumber, _how: Opening) -> Result<Arc<dyn File>, Errno> {
        Err(Errno::ENXIO)
    }

    fn open_fifo(&self, _anchor: &Anchor, _how: Opening) -> Result<Arc<dyn File>, Errno> {
        Err(Errno::ENXIO)
    }
}

pub struct Tree {
    pub frames: &'static FakeFrames,
    pub root: Place,
    pub credentials: Credentials,
}

pub const OWNER: Ownership = Ownership { user: 0, group: 0, permissions: 0o755 };

/// An empty tmpfs of its own.
pub fn tmpfs(device: u64, frames: &'static FakeFrames, limits: Limits) -> Arc<Tmpfs> {
    let clock: &'static Counting = Box::leak(Box::default());
    Tmpfs::new("tmpfs", device, frames, clock, limits, OWNER)
}

impl Tree {
    pub fn new() -> Self {
        Self::with_limits(Limits { pages: 1000, inodes: 1000 })
    }

    pub fn with_limits(limits: Limits) -> Self {
        let frames = FakeFrames::new(10_000);
        let mount = Mount::first(tmpfs(1, frames, limits), MountFlags::empty());
        Self { frames, root: mount.root(), credentials: Credentials::root() }
    }

    /// Root, at the root.
    pub fn caller(&self) -> Caller<'_> {
        Caller { root: &self.root, start: &self.root, credentials: &self.credentials, umask: 0o022 }
    }

    /// Opens as root.
    pub fn open(&self, path: &str, flags: u32) -> Result<Arc<OpenFile>, Errno> {
        self.caller().open(path.as_bytes(), flags, 0o666, &NoSpecials)
    }

    /// Makes a file with this content.
    pub fn write(&self, path: &str, content: &[u8]) {
        use linux_raw_sys::general::{O_CREAT, O_TRUNC, O_WRONLY};
        let open = self.open(path, O_CREAT | O_WRONLY | O_TRUNC).unwrap();
        assert_eq!(open.claim_position().unwrap().write(content), Ok(content.len()));
    }

    /// A file's content.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Errno> {
        let open = self.open(path, 0)?;
        let mut content = vec![0; open.file().end()? as usize];
        let count = open.read_at(0, &mut content)?;
        content.truncate(count);
        Ok(content)
    }

    /// The entries of a directory, without `.` and `..`.
    pub fn list(&self, path: &str) -> Result<Vec<String>, Errno> {
        let open = self.open(path, 0)?;
        let mut position = open.claim_position().unwrap();
        let mut names = Vec::new();
        while let Some(entry) = position.next_entry()? {
            position.take_entry(&entry);
            names.push(String::from_utf8_lossy(&entry.name).into_owned());
        }
        Ok(names.split_off(2))
    }
}
