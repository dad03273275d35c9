//! From an archive to a tree: each entry is made, with all directories above it that are missing.
//!
//! Paths are taken from the root of the tree, with a slash in front or without. Symbolic links on the way are not followed, and
//! `..` is refused, so that nothing is made elsewhere.

use super::{Archive, Damage, Entry, Item};
use crate::errno::Errno;
use crate::fs::attributes::{AttributeChange, DeviceNumber, FileKind, Timestamp};
use crate::fs::credentials::Ownership;
use crate::fs::inode::{Inode, NewInode};
use crate::fs::name::Name;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::fmt;

/// The deepest directory that is made.
const MOST_DEPTH: usize = 256;

/// What was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Entries.
    pub entries: usize,
    /// Bytes of content.
    pub bytes: u64,
}

/// Why the unpacking ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnpackError {
    /// The archive is damaged.
    Damaged(Damage),
    /// The entry whose header is at this offset could not be made.
    NotMade(usize, Errno),
}

impl fmt::Display for UnpackError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(Damage { offset, reason }) => write!(formatter, "at byte {offset}: {reason}"),
            Self::NotMade(offset, errno) => write!(formatter, "the entry at byte {offset} cannot be made: {errno}"),
        }
    }
}

/// Unpacks archives into the directory `root`. What was made is told even if the end is an error.
pub fn unpack(bytes: &[u8], root: &Arc<dyn Inode>) -> (Unpacked, Result<(), UnpackError>) {
    let mut done = Unpacked::default();
    let mut linked = BTreeMap::new();
    for item in Archive::new(bytes) {
        let made = match item {
            Ok(Item::Entry(entry)) => {
                make(&entry, root, &mut linked).map_err(|errno| UnpackError::NotMade(entry.offset, errno))
            }
            Ok(Item::End) => {
                linked.clear();
                continue;
            }
            Err(damage) => Err(UnpackError::Damaged(damage)),
        };
        match made {
            Ok(bytes) => done = Unpacked { entries: done.entries + 1, bytes: done.bytes + bytes },
            Err(error) => return (done, Err(error)),
        }
    }
    (done, Ok(()))
}

type Linked = BTreeMap<(u32, u32, u32), Arc<dyn Inode>>;

/// Makes an entry; answers the bytes of its content.
fn make(entry: &Entry<'_>, root: &Arc<dyn Inode>, linked: &mut Linked) -> Result<u64, Errno> {
    let kind = FileKind::of_mode(entry.mode).ok_or(Errno::EINVAL)?;
    let mut directory = root.clone();
    let mut last = None;
    let components = entry.name.split(|byte| *byte == b'/').filter(|component| !matches!(*component, b"" | b"."));
    for (depth, component) in components.enumerate() {
        if depth >= MOST_DEPTH {
            return Err(Errno::ENAMETOOLONG);
        }
        let name = Name::new(component)?;
        if let Some(above) = last.replace(name) {
            directory = directory_in(&directory, above)?;
        }
    }
    let permissions = (entry.mode & 0o7777) as u16;
    let owner = Ownership { user: entry.user, group: entry.group, permissions };
    let Some(name) = last else {
        // "." and "/": the root itself.
        return if kind == FileKind::Directory { finish(&**root, entry).map(|()| 0) } else { Err(Errno::EISDIR) };
    };
    let what = match kind {
        FileKind::Regular => NewInode::Regular,
        FileKind::Directory => NewInode::Directory,
        FileKind::Symlink => NewInode::Symlink(link_text(entry.content)?),
        FileKind::Fifo => NewInode::Fifo,
        FileKind::Socket => NewInode::Socket,
        FileKind::CharacterDevice => NewInode::CharacterDevice(device(entry)),
        FileKind::BlockDevice => NewInode::BlockDevice(device(entry)),
    };
    let shared = entry.links > 1 && kind != FileKind::Directory;
    let known = if shared { linked.get(&entry.identity).cloned() } else { None };
    let inode = match known {
        Some(known) if known.kind() != kind => return Err(Errno::EINVAL),
        Some(known) => {
            give_name(&directory, name, &known)?;
            known
        }
        None => {
            let made = make_new(&directory, name, what, owner)?;
            if shared {
                linked.insert(entry.identity, made.clone());
            }
            made
        }
    };
    // Of several names, one has the content; which one differs from tool to tool.
    if kind == FileKind::Regular && !entry.content.is_empty() {
        write(&inode, entry.content)?;
    }
    finish(&*inode, entry)?;
    Ok(if kind == FileKind::Regular { entry.content.len() as u64 } else { 0 })
}

/// A directory on the way; made if it is missing.
fn directory_in(directory: &Arc<dyn Inode>, name: Name<'_>) -> Result<Arc<dyn Inode>, Errno> {
    let found = match directory.lookup(name) {
        Err(Errno::ENOENT) => {
            directory.create(name, NewInode::Directory, Ownership { user: 0, group: 0, permissions: 0o755 })?
        }
        found => found?,
    };
    if found.kind() == FileKind::Directory { Ok(found) } else { Err(Errno::ENOTDIR) }
}

/// Makes an object, in the place of one that an archive before brought; a directory that is there stays.
fn make_new(
    directory: &Arc<dyn Inode>,
    name: Name<'_>,
    what: NewInode<'_>,
    owner: Ownership,
) -> Result<Arc<dyn Inode>, Errno> {
    match directory.lookup(name) {
        Ok(there) if there.kind() == FileKind::Directory => {
            return if what == NewInode::Directory { Ok(there) } else { Err(Errno::EISDIR) };
        }
        Ok(_) => directory.unlink(name)?,
        Err(Errno::ENOENT) => {}
        Err(error) => return Err(error),
    }
    directory.create(name, what, owner)
}

fn give_name(directory: &Arc<dyn Inode>, name: Name<'_>, inode: &Arc<dyn Inode>) -> Result<(), Errno> {
    match directory.lookup(name) {
        Ok(there) if there.identity() == inode.identity() => return Ok(()),
        Ok(there) if there.kind() == FileKind::Directory => return Err(Errno::EISDIR),
        Ok(_) => directory.unlink(name)?,
        Err(Errno::ENOENT) => {}
        Err(error) => return Err(error),
    }
    directory.link(name, &**inode)
}

fn write(inode: &Arc<dyn Inode>, content: &[u8]) -> Result<(), Errno> {
    inode.set_attributes(&AttributeChange { size: Some(0), ..AttributeChange::default() })?;
    let file = inode.clone().open()?;
    let mut written = 0;
    while let Some(rest @ [_, ..]) = content.get(written..) {
        match file.write(written as u64, rest)? {
            0 => return Err(Errno::ENOSPC),
            count => written += count,
        }
    }
    Ok(())
}

/// Owner, permissions and time, which making and writing changed.
fn finish(inode: &dyn Inode, entry: &Entry<'_>) -> Result<(), Errno> {
    let modified = Timestamp { seconds: i64::from(entry.modified), nanoseconds: 0 };
    inode.set_attributes(&AttributeChange {
        permissions: Some((entry.mode & 0o7777) as u16),
        user: Some(entry.user),
        group: Some(entry.group),
        modified: Some(modified),
        ..AttributeChange::default()
    })
}

fn link_text(content: &[u8]) -> Result<&[u8], Errno> {
    // Some tools count the zero behind the text.
    let text = content.strip_suffix(&[0]).unwrap_or(content);
    match text.len() {
        0 => Err(Errno::ENOENT),
        length if length >= linux_raw_sys::general::PATH_MAX as usize => Err(Errno::ENAMETOOLONG),
        _ if text.contains(&0) => Err(Errno::EINVAL),
        _ => Ok(text),
    }
}

fn device(entry: &Entry<'_>) -> DeviceNumber {
    DeviceNumber { major: entry.special.0, minor: entry.special.1 }
}
