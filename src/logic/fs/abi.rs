//! What stat(2), statx(2), statfs(2) and getdents(2) write to a program's memory, byte by byte.
//!
//! The offsets are those of Linux's structures, as the tests say; fields that are not named here are zero.

use super::attributes::{Attributes, DeviceNumber, Statistics, Timestamp};
use super::inode::Entry;
use super::mount::MountFlags;
use crate::errno::Errno;
use core::mem::offset_of;
use linux_raw_sys::general::{self, stat, statfs64, statx, statx_timestamp};

/// Bytes of `struct stat`.
pub const STAT_BYTES: usize = size_of::<stat>();
/// Bytes of `struct statx`.
pub const STATX_BYTES: usize = size_of::<statx>();
/// Bytes of `struct statfs`.
pub const STATFS_BYTES: usize = size_of::<statfs64>();

/// Where the name is in `struct linux_dirent64`.
const NAME_OFFSET: usize = offset_of!(general::linux_dirent64, d_name);

/// What stat(2) answers.
pub fn encode_stat(attributes: &Attributes) -> [u8; STAT_BYTES] {
    let mut fields = Fields([0; STAT_BYTES]);
    fields.put(offset_of!(stat, st_dev), attributes.identity.device.to_le_bytes());
    fields.put(offset_of!(stat, st_ino), attributes.identity.inode.to_le_bytes());
    fields.put(offset_of!(stat, st_nlink), u64::from(attributes.links).to_le_bytes());
    fields.put(offset_of!(stat, st_mode), attributes.mode().to_le_bytes());
    fields.put(offset_of!(stat, st_uid), attributes.user.to_le_bytes());
    fields.put(offset_of!(stat, st_gid), attributes.group.to_le_bytes());
    fields.put(offset_of!(stat, st_rdev), attributes.special.encode().to_le_bytes());
    fields.put(offset_of!(stat, st_size), attributes.size.to_le_bytes());
    fields.put(offset_of!(stat, st_blksize), u64::from(attributes.block_bytes).to_le_bytes());
    fields.put(offset_of!(stat, st_blocks), attributes.blocks.to_le_bytes());
    for (seconds, nanoseconds, time) in [
        (offset_of!(stat, st_atime), offset_of!(stat, st_atime_nsec), attributes.accessed),
        (offset_of!(stat, st_mtime), offset_of!(stat, st_mtime_nsec), attributes.modified),
        (offset_of!(stat, st_ctime), offset_of!(stat, st_ctime_nsec), attributes.changed),
    ] {
        fields.put(seconds, time.seconds.to_le_bytes());
        fields.put(nanoseconds, u64::from(time.nanoseconds).to_le_bytes());
    }
    fields.0
}

/// What statx(2) answers: all basic fields, whatever was asked for, time of birth and mount.
pub fn encode_statx(attributes: &Attributes, mount: u64, is_mount_root: bool) -> [u8; STATX_BYTES] {
    let mut fields = Fields([0; STATX_BYTES]);
    let mask = general::STATX_BASIC_STATS | general::STATX_BTIME | general::STATX_MNT_ID;
    let root = if is_mount_root { u64::from(general::STATX_ATTR_MOUNT_ROOT) } else { 0 };
    let device = DeviceNumber::decode(attributes.identity.device);
    fields.put(offset_of!(statx, stx_mask), mask.to_le_bytes());
    fields.put(offset_of!(statx, stx_blksize), attributes.block_bytes.to_le_bytes());
    fields.put(offset_of!(statx, stx_attributes), root.to_le_bytes());
    fields.put(offset_of!(statx, stx_attributes_mask), u64::from(general::STATX_ATTR_MOUNT_ROOT).to_le_bytes());
    fields.put(offset_of!(statx, stx_nlink), attributes.links.to_le_bytes());
    fields.put(offset_of!(statx, stx_uid), attributes.user.to_le_bytes());
    fields.put(offset_of!(statx, stx_gid), attributes.group.to_le_bytes());
    // Kind and permissions are sixteen bits.
    fields.put(offset_of!(statx, stx_mode), (attributes.mode() as u16).to_le_bytes());
    fields.put(offset_of!(statx, stx_ino), attributes.identity.inode.to_le_bytes());
    fields.put(offset_of!(statx, stx_size), attributes.size.to_le_bytes());
    fields.put(offset_of!(statx, stx_blocks), attributes.blocks.to_le_bytes());
    fields.put(offset_of!(statx, stx_rdev_major), attributes.special.major.to_le_bytes());
    fields.put(offset_of!(statx, stx_rdev_minor), attributes.special.minor.to_le_bytes());
    fields.put(offset_of!(statx, stx_dev_major), device.major.to_le_bytes());
    fields.put(offset_of!(statx, stx_dev_minor), device.minor.to_le_bytes());
    fields.put(offset_of!(statx, stx_mnt_id), mount.to_le_bytes());
    for (at, time) in [
        (offset_of!(statx, stx_atime), attributes.accessed),
        (offset_of!(statx, stx_mtime), attributes.modified),
        (offset_of!(statx, stx_ctime), attributes.changed),
        (offset_of!(statx, stx_btime), attributes.created),
    ] {
        fields.put_time(at, time);
    }
    fields.0
}

/// What statfs(2) answers.
pub fn encode_statfs(statistics: &Statistics, flags: MountFlags) -> [u8; STATFS_BYTES] {
    let mut fields = Fields([0; STATFS_BYTES]);
    let block_bytes = u64::from(statistics.block_bytes);
    fields.put(offset_of!(statfs64, f_type), u64::from(statistics.magic).to_le_bytes());
    fields.put(offset_of!(statfs64, f_bsize), block_bytes.to_le_bytes());
    fields.put(offset_of!(statfs64, f_blocks), statistics.blocks.to_le_bytes());
    fields.put(offset_of!(statfs64, f_bfree), statistics.free_blocks.to_le_bytes());
    fields.put(offset_of!(statfs64, f_bavail), statistics.free_blocks.to_le_bytes());
    fields.put(offset_of!(statfs64, f_files), statistics.inodes.to_le_bytes());
    fields.put(offset_of!(statfs64, f_ffree), statistics.free_inodes.to_le_bytes());
    fields.put(offset_of!(statfs64, f_fsid), statistics.device.to_le_bytes());
    fields.put(offset_of!(statfs64, f_namelen), u64::from(general::NAME_MAX).to_le_bytes());
    fields.put(offset_of!(statfs64, f_frsize), block_bytes.to_le_bytes());
    // ST_VALID says that the other flags are; ST_RDONLY to ST_NOEXEC have mount(2)'s numbers (statfs(2)).
    const ST_VALID: u32 = 0x20;
    fields.put(offset_of!(statfs64, f_flags), u64::from(flags.bits() | ST_VALID).to_le_bytes());
    fields.0
}

/// Writes an entry where getdents64(2) wants it, at the start of `room`. How many bytes it takes; none if it does not fit.
pub fn encode_entry(entry: &Entry, room: &mut [u8]) -> Option<usize> {
    let length = entry_bytes(entry);
    let record = room.get_mut(..length)?;
    record.fill(0);
    record
        .get_mut(offset_of!(general::linux_dirent64, d_ino)..)?
        .get_mut(..8)?
        .copy_from_slice(&entry.inode.to_le_bytes());
    record
        .get_mut(offset_of!(general::linux_dirent64, d_off)..)?
        .get_mut(..8)?
        .copy_from_slice(&entry.cookie.to_le_bytes());
    let length_field = u16::try_from(length).ok()?.to_le_bytes();
    record.get_mut(offset_of!(general::linux_dirent64, d_reclen)..)?.get_mut(..2)?.copy_from_slice(&length_field);
    *record.get_mut(offset_of!(general::linux_dirent64, d_type))? = entry.kind.entry_type();
    record.get_mut(NAME_OFFSET..)?.get_mut(..entry.name.len())?.copy_from_slice(&entry.name);
    Some(length)
}

/// Bytes that an entry takes: with a zero after the name, and so that the next begins at a multiple of eight.
pub fn entry_bytes(entry: &Entry) -> usize {
    (NAME_OFFSET + entry.name.len() + 1).next_multiple_of(8)
}

impl super::open_file::PositionClaim<'_> {
    /// getdents64(2): as many entries as fit `room`, and goes past them. How many bytes; 0 at the end.
    ///
    /// # Errors
    /// As getdents(2); [`Errno::EINVAL`] if not even one fits.
    pub fn read_entries(&mut self, room: &mut [u8]) -> Result<usize, Errno> {
        let mut used = 0;
        while let Some(entry) = self.next_entry()? {
            match encode_entry(&entry, room.get_mut(used..).unwrap_or_default()) {
                Some(length) => used += length,
                None if used == 0 => return Err(Errno::EINVAL),
                None => break,
            }
            self.take_entry(&entry);
        }
        Ok(used)
    }
}

/// A structure's bytes. Offsets are constants of this file: none is outside.
struct Fields<const LENGTH: usize>([u8; LENGTH]);

impl<const LENGTH: usize> Fields<LENGTH> {
    fn put<const BYTES: usize>(&mut self, offset: usize, value: [u8; BYTES]) {
        self.0[offset..offset + BYTES].copy_from_slice(&value);
    }

    fn put_time(&mut self, offset: usize, time: Timestamp) {
        self.put(offset + offset_of!(statx_timestamp, tv_sec), time.seconds.to_le_bytes());
        self.put(offset + offset_of!(statx_timestamp, tv_nsec), time.nanoseconds.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::attributes::{FileKind, Identity};
    use crate::fs::fake::Tree;

    fn number(bytes: &[u8], offset: usize, length: usize) -> u64 {
        bytes[offset..offset + length].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    fn sample() -> Attributes {
        let time = |seconds| Timestamp { seconds, nanoseconds: 999_999_999 };
        Attributes {
            identity: Identity { device: 0x1_2345, inode: 77 },
            kind: FileKind::BlockDevice,
            permissions: 0o4751,
            links: 3,
            user: 1000,
            group: 1001,
            special: DeviceNumber { major: 8, minor: 300 },
            size: 1 << 40,
            blocks: 9,
            block_bytes: 4096,
            accessed: time(-1),
            modified: time(2),
            changed: time(3),
            created: time(4),
        }
    }

    #[test]
    fn fields_of_stat_are_where_the_abi_has_them() {
        let bytes = encode_stat(&sample());
        // As arch/x86/include/uapi/asm/stat.h has them, in numbers.
        assert_eq!(bytes.len(), 144);
        for (offset, length, value) in
            [(0, 8, 0x1_2345), (8, 8, 77), (16, 8, 3), (24, 4, 0o064_751), (28, 4, 1000), (32, 4, 1001), (36, 4, 0)]
        {
            assert_eq!(number(&bytes, offset, length), value, "at {offset}");
        }
        for (offset, value) in
            [(40, 0x10_082c), (48, 1 << 40), (56, 4096), (64, 9), (72, u64::MAX), (80, 999_999_999), (88, 2)]
        {
            assert_eq!(number(&bytes, offset, 8), value, "at {offset}");
        }
        assert_eq!((number(&bytes, 104, 8), number(&bytes, 120, 8)), (3, 0));
    }

    #[test]
    fn fields_of_statx_and_statfs_are_where_the_abi_has_them() {
        let bytes = encode_statx(&sample(), 5, true);
        assert_eq!(bytes.len(), 256);
        // As the man page of statx(2) orders them.
        for (offset, length, value) in
            [(0, 4, 0x1fff), (4, 4, 4096), (8, 8, 0x2000), (16, 4, 3), (28, 2, 0o064_751), (32, 8, 77)]
        {
            assert_eq!(number(&bytes, offset, length), value, "at {offset}");
        }
        for (offset, length, value) in
            [(40, 8, 1 << 40), (64, 8, u64::MAX), (72, 4, 999_999_999), (80, 8, 4), (112, 8, 2)]
        {
            assert_eq!(number(&bytes, offset, length), value, "at {offset}");
        }
        assert_eq!((number(&bytes, 128, 4), number(&bytes, 132, 4), number(&bytes, 144, 8)), (8, 300, 5));

        let told = Statistics {
            magic: general::TMPFS_MAGIC,
            block_bytes: 4096,
            blocks: 7,
            free_blocks: 6,
            inodes: 5,
            ..Default::default()
        };
        let bytes = encode_statfs(&told, MountFlags::NODEV);
        assert_eq!(bytes.len(), 120);
        for (offset, value) in
            [(0, 0x0102_1994), (8, 4096), (16, 7), (24, 6), (32, 6), (40, 5), (64, 255), (72, 4096), (80, 0x24)]
        {
            assert_eq!(number(&bytes, offset, 8), value, "at {offset}");
        }
    }

    #[test]
    fn entries_fill_a_buffer_and_go_on_in_the_next() {
        let tree = Tree::new();
        ["/a", "/longer name", "/b"].iter().for_each(|path| tree.write(path, b""));
        let open = tree.open("/", 0).unwrap();
        let mut position = open.claim_position().unwrap();
        assert_eq!(position.read_entries(&mut [0; 23]), Err(Errno::EINVAL));
        let mut names = Vec::new();
        let mut room = [0xff; 50];
        loop {
            let length = position.read_entries(&mut room).unwrap();
            if length == 0 {
                break;
            }
            let mut at = 0;
            while at < length {
                let record = number(&room, at + 16, 2) as usize;
                assert!(record.is_multiple_of(8) && record > 19);
                let name = room[at + 19..at + record].split(|byte| *byte == 0).next().unwrap();
                names.push((String::from_utf8(name.to_vec()).unwrap(), room[at + 18]));
                at += record;
            }
        }
        let expected = [(".", 4), ("..", 4), ("a", 8), ("longer name", 8), ("b", 8)];
        assert_eq!(names, expected.map(|(name, kind)| (name.to_string(), kind)));
    }
}
