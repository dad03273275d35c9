//! What there is to know of a file-system object besides its content: inode(7).

use linux_raw_sys::general;

/// A moment, counted from 1970 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds on top, below a thousand million.
    pub nanoseconds: u32,
}

/// Who knows what time it is.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// What kind of object an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A file with content.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A pipe with a name.
    Fifo,
    /// A bound socket.
    Socket,
    /// A device of bytes.
    CharacterDevice,
    /// A device of blocks.
    BlockDevice,
}

impl FileKind {
    /// The bits of `st_mode` that tell the kind.
    pub const fn mode_bits(self) -> u32 {
        match self {
            Self::Regular => general::S_IFREG,
            Self::Directory => general::S_IFDIR,
            Self::Symlink => general::S_IFLNK,
            Self::Fifo => general::S_IFIFO,
            Self::Socket => general::S_IFSOCK,
            Self::CharacterDevice => general::S_IFCHR,
            Self::BlockDevice => general::S_IFBLK,
        }
    }

    /// The kind that `mode` tells, if there is such a kind.
    pub const fn of_mode(mode: u32) -> Option<Self> {
        Some(match mode & general::S_IFMT {
            general::S_IFREG => Self::Regular,
            general::S_IFDIR => Self::Directory,
            general::S_IFLNK => Self::Symlink,
            general::S_IFIFO => Self::Fifo,
            general::S_IFSOCK => Self::Socket,
            general::S_IFCHR => Self::CharacterDevice,
            general::S_IFBLK => Self::BlockDevice,
            _ => return None,
        })
    }

    /// `d_type` of getdents(2).
    pub const fn entry_type(self) -> u8 {
        // The DT_ numbers are the S_IF bits moved down (readdir(3), IFTODT).
        (self.mode_bits() >> 12) as u8
    }
}

/// A device's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceNumber {
    /// The driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

impl DeviceNumber {
    /// As `st_rdev` and makedev(3) have it.
    pub const fn encode(self) -> u64 {
        let (major, minor) = (self.major as u64, self.minor as u64);
        (major & 0xffff_f000) << 32 | (major & 0xfff) << 8 | (minor & 0xffff_ff00) << 12 | (minor & 0xff)
    }

    /// The way back.
    pub const fn decode(number: u64) -> Self {
        Self {
            major: ((number >> 32 & 0xffff_f000) | (number >> 8 & 0xfff)) as u32,
            minor: ((number >> 12 & 0xffff_ff00) | (number & 0xff)) as u32,
        }
    }
}

/// Which object it is: file system and number in it. No two that exist at the same time have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The file system, as `st_dev` has it.
    pub device: u64,
    /// The inode's number there.
    pub inode: u64,
}

/// All that stat(2) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Which object.
    pub identity: Identity,
    /// Its kind.
    pub kind: FileKind,
    /// Permissions: set-user-ID, set-group-ID, sticky, and three times rwx.
    pub permissions: u16,
    /// Names that it has.
    pub links: u32,
    /// Its owner.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// Which device it stands for, if it is one.
    pub special: DeviceNumber,
    /// Bytes of content.
    pub size: u64,
    /// Units of 512 bytes that it takes.
    pub blocks: u64,
    /// What is best read or written at a time.
    pub block_bytes: u32,
    /// Last read.
    pub accessed: Timestamp,
    /// Content last changed.
    pub modified: Timestamp,
    /// Content or attributes last changed.
    pub changed: Timestamp,
    /// Made.
    pub created: Timestamp,
}

impl Attributes {
    /// `st_mode`.
    pub const fn mode(&self) -> u32 {
        self.kind.mode_bits() | self.permissions as u32
    }
}

/// What is to be changed; the rest stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributeChange {
    /// Permissions, all twelve bits.
    pub permissions: Option<u16>,
    /// The owner.
    pub user: Option<u32>,
    /// The group.
    pub group: Option<u32>,
    /// Bytes of content: the rest is cut off, or zeros come.
    pub size: Option<u64>,
    /// Last read.
    pub accessed: Option<Timestamp>,
    /// Content last changed.
    pub modified: Option<Timestamp>,
}

/// What statfs(2) tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The type's number.
    pub magic: u32,
    /// `st_dev` of its inodes.
    pub device: u64,
    /// Bytes in a block.
    pub block_bytes: u32,
    /// Blocks in all.
    pub blocks: u64,
    /// Blocks that are free.
    pub free_blocks: u64,
    /// Inodes that there can be.
    pub inodes: u64,
    /// Inodes that there can be more.
    pub free_inodes: u64,
}

/// The rule of `relatime` (mount(8)): reading is noted once after each change, and once a day.
pub fn notes_access(attributes: &Attributes, now: Timestamp) -> bool {
    const DAY: i64 = 24 * 60 * 60;
    let last = attributes.accessed;
    last <= attributes.modified || last <= attributes.changed || now.seconds.saturating_sub(last.seconds) >= DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_as_makedev_has_them() {
        assert_eq!(DeviceNumber { major: 4, minor: 64 }.encode(), 0x440);
        assert_eq!(DeviceNumber { major: 0x12345, minor: 0x6789a }.encode(), 0x0001_2000_6783_459a);
        for number in [DeviceNumber { major: 1, minor: 3 }, DeviceNumber { major: u32::MAX, minor: u32::MAX }] {
            assert_eq!(DeviceNumber::decode(number.encode()), number);
        }
    }

    #[test]
    fn kinds_are_told_by_mode_and_by_entry() {
        assert_eq!(u32::from(FileKind::Directory.entry_type()), general::DT_DIR);
        assert_eq!(u32::from(FileKind::Socket.entry_type()), general::DT_SOCK);
        assert_eq!(FileKind::of_mode(0o020_666), Some(FileKind::CharacterDevice));
        assert_eq!(FileKind::of_mode(0o755), None);
        for kind in [FileKind::Regular, FileKind::Symlink, FileKind::Fifo, FileKind::BlockDevice] {
            assert_eq!(FileKind::of_mode(kind.mode_bits() | 0o7777), Some(kind));
        }
    }
}
