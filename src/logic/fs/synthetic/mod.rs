//! File systems whose content is made when somebody looks: /proc, and what resembles it.
//!
//! Whoever has something to tell gives a tree of [`Node`]s: directories, texts, symbolic links, each a trait of a few methods. Names
//! that always are the same come in a [`Listing`]. Nodes are asked with no lock held, each time anew, and may be made for the
//! occasion; their numbers, which the makers give, tell which are the same.

mod file;
mod output;
#[cfg(test)]
mod tests;

pub use output::Output;

use super::attributes::{AttributeChange, Attributes, Clock, DeviceNumber, FileKind, Identity, Statistics};
use super::file::File;
use super::inode::{Entry, FIRST_COOKIE, FileSystem, Inode, LinkTarget};
use super::name::Name;
use crate::errno::Errno;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What a node says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Information {
    /// Tells it from all others of the file system that exist at the same time.
    pub number: u64,
    /// Who may do what with it.
    pub permissions: u16,
    /// The owner.
    pub user: u32,
    /// The group.
    pub group: u32,
}

impl Information {
    /// Of root's: directories and links are for all, texts to be read by all.
    pub const fn of_root(number: u64, permissions: u16) -> Self {
        Self { number, permissions, user: 0, group: 0 }
    }
}

/// An object of such a file system.
#[derive(Clone)]
pub enum Node {
    /// A directory.
    Directory(Arc<dyn Directory>),
    /// A file with a text.
    Text(Arc<dyn Text>),
    /// A symbolic link.
    Link(Arc<dyn Link>),
}

impl Node {
    fn information(&self) -> Information {
        match self {
            Self::Directory(node) => node.information(),
            Self::Text(node) => node.information(),
            Self::Link(node) => node.information(),
        }
    }

    fn kind(&self) -> FileKind {
        match self {
            Self::Directory(_) => FileKind::Directory,
            Self::Text(_) => FileKind::Regular,
            Self::Link(_) => FileKind::Symlink,
        }
    }
}

/// A directory's entries.
pub trait Directory: Send + Sync {
    /// What it says of itself.
    fn information(&self) -> Information;

    /// Whether whoever asks may look into it now.
    ///
    /// # Errors
    /// [`Errno::ESRCH`] if what it was about is gone; [`Errno::EACCES`] if not.
    fn check(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// The entry `name`.
    fn find(&self, name: &[u8]) -> Option<Node>;

    /// The first entry whose position is at least `position`, with its position: any numbers that stay the same, below 2^62.
    fn next(&self, position: u64) -> Option<(u64, Box<[u8]>, Node)>;
}

/// A file whose text is made when it is first read, and again when it is read from the start.
pub trait Text: Send + Sync {
    /// What it says of itself.
    fn information(&self) -> Information;

    /// Whether it may be opened by the one who is about to, beside what permissions say.
    ///
    /// # Errors
    /// [`Errno::EACCES`] if not.
    fn check_open(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// Adds the text to `text`.
    ///
    /// # Errors
    /// [`Errno::ESRCH`] if what it was about is gone; what reading is to answer.
    fn text(&self, text: &mut Output) -> Result<(), Errno>;

    /// Takes what somebody wrote.
    ///
    /// # Errors
    /// [`Errno::EACCES`] if nothing can be written; [`Errno::EINVAL`] if it makes no sense.
    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let _ = bytes;
        Err(Errno::EACCES)
    }
}

/// A symbolic link.
pub trait Link: Send + Sync {
    /// What it says of itself.
    fn information(&self) -> Information;

    /// Bytes that its text is said to have.
    fn size(&self) -> u64 {
        0
    }

    /// Where it leads.
    ///
    /// # Errors
    /// [`Errno::ENOENT`] if nowhere, [`Errno::EACCES`].
    fn target(&self) -> Result<LinkTarget, Errno>;

    /// Its text, if it is not that of the place it leads to.
    ///
    /// # Errors
    /// As [`Link::target`].
    fn text(&self) -> Result<Option<Vec<u8>>, Errno> {
        Ok(match self.target()? {
            LinkTarget::Text(text) => Some(text),
            LinkTarget::Place(_) => None,
        })
    }
}

/// A directory whose entries are always the same.
pub struct Listing {
    information: Information,
    entries: Vec<(&'static str, Node)>,
}

impl Listing {
    /// A directory with these entries.
    pub fn new(information: Information, entries: Vec<(&'static str, Node)>) -> Arc<Self> {
        Arc::new(Self { information, entries })
    }
}

impl Directory for Listing {
    fn information(&self) -> Information {
        self.information
    }

    fn find(&self, name: &[u8]) -> Option<Node> {
        let (_, node) = self.entries.iter().find(|(known, _)| known.as_bytes() == name)?;
        Some(node.clone())
    }

    fn next(&self, position: u64) -> Option<(u64, Box<[u8]>, Node)> {
        let (name, node) = self.entries.get(usize::try_from(position).ok()?)?;
        Some((position, name.as_bytes().into(), node.clone()))
    }
}

/// A text that a function makes.
pub struct TextFrom<Make> {
    information: Information,
    make: Make,
}

impl<Make: Fn(&mut Output) -> Result<(), Errno> + Send + Sync + 'static> TextFrom<Make> {
    /// A file with the text that `make` adds.
    pub fn node(information: Information, make: Make) -> Node {
        Node::Text(Arc::new(Self { information, make }))
    }
}

impl<Make: Fn(&mut Output) -> Result<(), Errno> + Send + Sync> Text for TextFrom<Make> {
    fn information(&self) -> Information {
        self.information
    }

    fn text(&self, text: &mut Output) -> Result<(), Errno> {
        (self.make)(text)
    }
}

/// A file system of such nodes.
pub struct Synthetic {
    type_name: &'static str,
    shared: Shared,
    root: Node,
}

/// What all inodes of one file system have in common.
#[derive(Clone, Copy)]
struct Shared {
    device: u64,
    magic: u32,
    clock: &'static dyn Clock,
}

impl Synthetic {
    /// A file system with this root. `magic` is what statfs(2) tells of its type; `device` tells it from others (`st_dev`).
    pub fn new(
        type_name: &'static str,
        magic: u32,
        device: u64,
        clock: &'static dyn Clock,
        root: Arc<dyn Directory>,
    ) -> Arc<Self> {
        Arc::new(Self { type_name, shared: Shared { device, magic, clock }, root: Node::Directory(root) })
    }
}

impl FileSystem for Synthetic {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn root(&self) -> Arc<dyn Inode> {
        Arc::new(SyntheticInode { shared: self.shared, node: self.root.clone() })
    }
}

/// A node, as the tree of names sees it.
struct SyntheticInode {
    shared: Shared,
    node: Node,
}

impl Inode for SyntheticInode {
    fn identity(&self) -> Identity {
        Identity { device: self.shared.device, inode: self.node.information().number }
    }

    fn kind(&self) -> FileKind {
        self.node.kind()
    }

    fn attributes(&self) -> Result<Attributes, Errno> {
        let information = self.node.information();
        let now = self.shared.clock.now();
        Ok(Attributes {
            identity: self.identity(),
            kind: self.kind(),
            permissions: information.permissions,
            // One means of a directory: nobody has counted (find(1) relies on that).
            links: 1,
            user: information.user,
            group: information.group,
            special: DeviceNumber::default(),
            size: if let Node::Link(link) = &self.node { link.size() } else { 0 },
            blocks: 0,
            block_bytes: 1024,
            accessed: now,
            modified: now,
            changed: now,
            created: now,
        })
    }

    fn set_attributes(&self, change: &AttributeChange) -> Result<(), Errno> {
        // Shells open what they write to with O_TRUNC.
        if *change == (AttributeChange { size: change.size, ..AttributeChange::default() }) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }

    fn statistics(&self) -> Statistics {
        let Shared { device, magic, .. } = self.shared;
        Statistics { magic, device, block_bytes: 4096, ..Statistics::default() }
    }

    fn lookup(&self, name: Name<'_>) -> Result<Arc<dyn Inode>, Errno> {
        let Node::Directory(directory) = &self.node else { return Err(Errno::ENOTDIR) };
        directory.check()?;
        let node = directory.find(name.bytes()).ok_or(Errno::ENOENT)?;
        Ok(Arc::new(Self { shared: self.shared, node }))
    }

    fn follow(&self) -> Result<LinkTarget, Errno> {
        let Node::Link(link) = &self.node else { return Err(Errno::EINVAL) };
        link.target()
    }

    fn link_text(&self) -> Result<Option<Vec<u8>>, Errno> {
        let Node::Link(link) = &self.node else { return Err(Errno::EINVAL) };
        link.text()
    }

    fn next_entry(&self, after: u64) -> Result<Option<Entry>, Errno> {
        let Node::Directory(directory) = &self.node else { return Err(Errno::ENOTDIR) };
        directory.check().map_err(|error| if error == Errno::ESRCH { Errno::ENOENT } else { error })?;
        let position = after.saturating_sub(FIRST_COOKIE - 1);
        let Some((position, name, node)) = directory.next(position) else { return Ok(None) };
        let Some(cookie) = position.checked_add(FIRST_COOKIE) else { return Ok(None) };
        Ok(Some(Entry { cookie, inode: node.information().number, kind: node.kind(), name }))
    }

    fn open(self: Arc<Self>) -> Result<Arc<dyn File>, Errno> {
        match &self.node {
            Node::Text(text) => {
                text.check_open()?;
                Ok(Arc::new(file::TextFile::open(text.clone())))
            }
            _ => Err(Errno::ENXIO),
        }
    }
}
