//! /dev/pts (pts(4)): a directory with the slave's side of each pseudo-terminal by its number, and `ptmx`, which makes one.
//!
//! There is one for all who mount it. Who owns a slave's side, and who may open it, is the [`Entry`] of the terminal, which goes
//! with it; a terminal whose master is closed is in the directory no more.

use super::{PseudoTerminals, Pty};
use crate::errno::Errno;
use crate::fs::attributes::{
    AttributeChange, Attributes, Clock, DeviceNumber, FileKind, Identity, Statistics, Timestamp,
};
use crate::fs::credentials::Ownership;
use crate::fs::inode::{self, FIRST_COOKIE, FileSystem, Inode};
use crate::fs::name::Name;
use crate::sync::{IrqLock, Rank};
use alloc::format;
use alloc::sync::{Arc, Weak};
use linux_raw_sys::general;

/// What opens a new pseudo-terminal.
pub const MULTIPLEXER: DeviceNumber = DeviceNumber { major: 5, minor: 2 };

/// The major number of slaves; their minor numbers are the terminals' own.
pub const SLAVES: u32 = 136;

/// Inode numbers, as Linux gives them.
const ROOT_INODE: u64 = 1;
const MULTIPLEXER_INODE: u64 = 2;
const FIRST_SLAVE_INODE: u64 = 3;

const MULTIPLEXER_NAME: &[u8] = b"ptmx";

/// Who owns a device, who may open it, and when that changed.
pub(super) struct Entry(IrqLock<Owned>);

#[derive(Clone, Copy)]
struct Owned {
    owner: Ownership,
    accessed: Timestamp,
    modified: Timestamp,
    changed: Timestamp,
    created: Timestamp,
}

impl Entry {
    pub(super) fn new(owner: Ownership, now: Timestamp) -> Self {
        let owned = Owned { owner, accessed: now, modified: now, changed: now, created: now };
        Self(IrqLock::new(Rank::Inode, owned))
    }

    fn attributes(&self, identity: Identity, kind: FileKind, special: DeviceNumber) -> Attributes {
        let Owned { owner, accessed, modified, changed, created } = *self.0.lock();
        Attributes {
            identity,
            kind,
            permissions: owner.permissions,
            links: if kind == FileKind::Directory { 2 } else { 1 },
            user: owner.user,
            group: owner.group,
            special,
            size: 0,
            blocks: 0,
            block_bytes: 1024,
            accessed,
            modified,
            changed,
            created,
        }
    }

    fn change(&self, change: &AttributeChange, now: Timestamp) {
        let mut owned = self.0.lock();
        let Owned { owner, accessed, modified, changed, .. } = &mut *owned;
        owner.permissions = change.permissions.unwrap_or(owner.permissions) & 0o7777;
        owner.user = change.user.unwrap_or(owner.user);
        owner.group = change.group.unwrap_or(owner.group);
        *accessed = change.accessed.unwrap_or(*accessed);
        *modified = change.modified.unwrap_or(*modified);
        *changed = now;
    }
}

/// The file system.
pub struct TerminalFileSystem {
    shared: Arc<Shared>,
}

struct Shared {
    terminals: Arc<PseudoTerminals>,
    device: u64,
    clock: &'static dyn Clock,
    root: Entry,
    multiplexer: Entry,
}

impl TerminalFileSystem {
    /// With these terminals. `device` tells its inodes from others (`st_dev`).
    pub fn new(terminals: Arc<PseudoTerminals>, device: u64, clock: &'static dyn Clock) -> Arc<Self> {
        let entry = |permissions| Entry::new(Ownership { user: 0, group: 0, permissions }, clock.now());
        let (root, multiplexer) = (entry(0o755), entry(0o666));
        Arc::new(Self { shared: Arc::new(Shared { terminals, device, clock, root, multiplexer }) })
    }

    /// Who may open `ptmx`, from now on.
    pub fn set_multiplexer_permissions(&self, permissions: u16) {
        let change = AttributeChange { permissions: Some(permissions), ..AttributeChange::default() };
        self.shared.multiplexer.change(&change, self.shared.clock.now());
    }
}

impl FileSystem for TerminalFileSystem {
    fn type_name(&self) -> &str {
        "devpts"
    }

    fn root(&self) -> Arc<dyn Inode> {
        Arc::new(TerminalInode { shared: self.shared.clone(), node: Node::Root })
    }
}

/// An object of it.
struct TerminalInode {
    shared: Arc<Shared>,
    node: Node,
}

#[derive(Clone)]
enum Node {
    Root,
    Multiplexer,
    Slave { number: u32, terminal: Weak<Pty> },
}

impl TerminalInode {
    fn device(&self) -> DeviceNumber {
        match self.node {
            Node::Root => DeviceNumber::default(),
            Node::Multiplexer => MULTIPLEXER,
            Node::Slave { number, .. } => DeviceNumber { major: SLAVES, minor: number },
        }
    }

    /// Calls `look` with what is known of it.
    fn with_entry<T>(&self, look: impl FnOnce(&Entry) -> T) -> Result<T, Errno> {
        match &self.node {
            Node::Root => Ok(look(&self.shared.root)),
            Node::Multiplexer => Ok(look(&self.shared.multiplexer)),
            // A name that is still held, of a terminal that is gone.
            Node::Slave { terminal, .. } => terminal.upgrade().map(|pty| look(&pty.entry)).ok_or(Errno::EIO),
        }
    }

    fn check_root(&self) -> Result<(), Errno> {
        if matches!(self.node, Node::Root) { Ok(()) } else { Err(Errno::ENOTDIR) }
    }
}

/// The number that a name is, written as the directory shows it.
fn number(name: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(name).ok()?;
    let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_canonical)
}

impl Inode for TerminalInode {
    fn identity(&self) -> Identity {
        let inode = match self.node {
            Node::Root => ROOT_INODE,
            Node::Multiplexer => MULTIPLEXER_INODE,
            Node::Slave { number, .. } => FIRST_SLAVE_INODE.saturating_add(number.into()),
        };
        Identity { device: self.shared.device, inode }
    }

    fn kind(&self) -> FileKind {
        if matches!(self.node, Node::Root) { FileKind::Directory } else { FileKind::CharacterDevice }
    }

    fn attributes(&self) -> Result<Attributes, Errno> {
        self.with_entry(|entry| entry.attributes(self.identity(), self.kind(), self.device()))
    }

    fn set_attributes(&self, change: &AttributeChange) -> Result<(), Errno> {
        let now = self.shared.clock.now();
        self.with_entry(|entry| entry.change(change, now))
    }

    fn statistics(&self) -> Statistics {
        let device = self.shared.device;
        Statistics { magic: general::DEVPTS_SUPER_MAGIC, device, block_bytes: 4096, ..Statistics::default() }
    }

    fn lookup(&self, name: Name<'_>) -> Result<Arc<dyn Inode>, Errno> {
        self.check_root()?;
        let node = if name.bytes() == MULTIPLEXER_NAME {
            Node::Multiplexer
        } else {
            let number = number(name.bytes()).ok_or(Errno::ENOENT)?;
            let terminal = self.shared.terminals.find(number).ok_or(Errno::ENOENT)?;
            Node::Slave { number, terminal: Arc::downgrade(&terminal) }
        };
        Ok(Arc::new(Self { shared: self.shared.clone(), node }))
    }

    fn next_entry(&self, after: u64) -> Result<Option<inode::Entry>, Errno> {
        self.check_root()?;
        let kind = FileKind::CharacterDevice;
        let Some(first) = after.checked_sub(FIRST_COOKIE) else {
            let name = MULTIPLEXER_NAME.into();
            return Ok(Some(inode::Entry { cookie: FIRST_COOKIE, inode: MULTIPLEXER_INODE, kind, name }));
        };
        // After the multiplexer comes 0, and after the cookie of a number the next.
        let next = u32::try_from(first).ok().and_then(|first| self.shared.terminals.next(first));
        Ok(next.map(|number| inode::Entry {
            cookie: FIRST_COOKIE.saturating_add(1).saturating_add(number.into()),
            inode: FIRST_SLAVE_INODE.saturating_add(number.into()),
            kind,
            name: format!("{number}").into_bytes().into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::fake::Counting;
    use crate::tty::job_control::HangUp;
    use crate::tty::requests::SignalSink;

    struct Nobody;

    impl SignalSink for Nobody {
        fn signal(&self, _: u32, _: crate::tty::discipline::Signal) {}

        fn hang_up(&self, _: HangUp) {}
    }

    const OWNER: Ownership = Ownership { user: 7, group: 5, permissions: 0o620 };

    fn set_up() -> (Arc<PseudoTerminals>, Arc<dyn Inode>) {
        let terminals = PseudoTerminals::new(Arc::new(Nobody));
        let file_system = TerminalFileSystem::new(terminals.clone(), 9, Box::leak(Box::<Counting>::default()));
        (terminals, file_system.root())
    }

    fn names(root: &Arc<dyn Inode>) -> Vec<String> {
        let mut after = 0;
        let next = || {
            let entry = root.next_entry(after).unwrap()?;
            after = entry.cookie;
            Some(String::from_utf8(entry.name.into()).unwrap())
        };
        std::iter::from_fn(next).collect()
    }

    fn look_up(root: &Arc<dyn Inode>, name: &str) -> Result<Arc<dyn Inode>, Errno> {
        root.lookup(Name::new(name.as_bytes()).unwrap())
    }

    #[test]
    fn there_is_an_entry_for_each_terminal_whose_master_is_open() {
        let (terminals, root) = set_up();
        let masters: Vec<_> = (0..3).map(|_| terminals.open(OWNER, Timestamp::default()).unwrap()).collect();
        assert_eq!(names(&root), ["ptmx", "0", "1", "2"]);
        let attributes = look_up(&root, "2").unwrap().attributes().unwrap();
        assert_eq!((attributes.user, attributes.group, attributes.mode()), (7, 5, 0o020_620));
        assert_eq!(attributes.special, DeviceNumber { major: 136, minor: 2 });
        drop(masters);
        assert_eq!(names(&root), ["ptmx"]);
        assert_eq!(look_up(&root, "2").err(), Some(Errno::ENOENT));
    }

    #[test]
    fn numbers_are_written_in_one_way() {
        let (terminals, root) = set_up();
        let _master = terminals.open(OWNER, Timestamp::default()).unwrap();
        assert!(look_up(&root, "0").is_ok());
        for name in ["00", "+0", "-0", "0x0", "x", "4294967296", "1"] {
            assert_eq!(look_up(&root, name).err(), Some(Errno::ENOENT), "{name}");
        }
    }

    #[test]
    fn an_owner_goes_with_the_terminal() {
        let (terminals, root) = set_up();
        let master = terminals.open(OWNER, Timestamp::default()).unwrap();
        let entry = look_up(&root, "0").unwrap();
        let change = AttributeChange { user: Some(8), permissions: Some(0o600), ..AttributeChange::default() };
        entry.set_attributes(&change).unwrap();
        let attributes = look_up(&root, "0").unwrap().attributes().unwrap();
        assert_eq!((attributes.user, attributes.group, attributes.permissions), (8, 5, 0o600));
        drop(master);
        assert_eq!(entry.attributes().err(), Some(Errno::EIO));
        let _master = terminals.open(OWNER, Timestamp::default()).unwrap();
        assert_eq!(look_up(&root, "0").unwrap().attributes().unwrap().user, 7);
    }
}
