//! Initramfs archives: the "newc" format of cpio, as the Linux kernel documents it (buffer-format.rst).
//!
//! Invariants: the same tree gives the same bytes: entries sorted with each directory before what it holds, inode
//! numbers counted, owner and time 0, modes 0755 or 0644 by the owner's execute bit; the whole is a multiple of 512
//! bytes. The first entry is the root directory, and has the seal: see `logic::seal`.

use crate::Result;
use logic::seal::seal_archive;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const DIRECTORY_MODE: u32 = 0o040_755;

/// A file-system object to archive, named from the archive's root without a leading slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: Vec<u8>,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File { content: Vec<u8>, executable: bool },
    Link { target: Vec<u8> },
}

/// Everything under `directory`, in the archive's order.
pub fn collect(directory: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    collect_under(directory, b"", &mut entries)?;
    Ok(entries)
}

/// The archive's bytes.
pub fn archive(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    append(&mut archive, 1, DIRECTORY_MODE, 2, b".", &[])?;
    for (index, Entry { name, kind }) in entries.iter().enumerate() {
        let (mode, links, content) = match kind {
            Kind::Directory => (DIRECTORY_MODE, 2, &[][..]),
            Kind::File { content, executable: true } => (0o100_755, 1, &content[..]),
            Kind::File { content, executable: false } => (0o100_644, 1, &content[..]),
            Kind::Link { target } => (0o120_777, 1, &target[..]),
        };
        append(&mut archive, index + 2, mode, links, name, content)?;
    }
    append(&mut archive, 0, 0, 1, b"TRAILER!!!", &[])?;
    archive.resize(archive.len().next_multiple_of(512), 0);
    seal_archive(&mut archive).ok_or("the initramfs is too long for a seal")?;
    Ok(archive)
}

fn collect_under(directory: &Path, prefix: &[u8], entries: &mut Vec<Entry>) -> Result<()> {
    let failed = |path: &Path, error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut children = fs::read_dir(directory)
        .and_then(|children| children.collect::<std::io::Result<Vec<_>>>())
        .map_err(|error| failed(directory, error))?;
    children.sort_by_key(fs::DirEntry::file_name);
    for child in children {
        let path = child.path();
        let metadata = fs::symlink_metadata(&path).map_err(|error| failed(&path, error))?;
        let name = [prefix, child.file_name().as_bytes()].concat();
        let kind = if metadata.is_dir() {
            Kind::Directory
        } else if metadata.is_symlink() {
            let target = fs::read_link(&path).map_err(|error| failed(&path, error))?;
            Kind::Link { target: target.into_os_string().into_vec() }
        } else if metadata.is_file() {
            let content = fs::read(&path).map_err(|error| failed(&path, error))?;
            Kind::File { content, executable: metadata.permissions().mode() & 0o100 != 0 }
        } else {
            return Err(format!("{} is neither file nor directory nor symbolic link", path.display()));
        };
        entries.push(Entry { name: name.clone(), kind });
        if metadata.is_dir() {
            collect_under(&path, &[&name[..], b"/"].concat(), entries)?;
        }
    }
    Ok(())
}

/// One entry: thirteen numbers of eight hexadecimal digits after the magic, the name, the content, each padded to 4.
fn append(archive: &mut Vec<u8>, inode: usize, mode: u32, links: u32, name: &[u8], content: &[u8]) -> Result<()> {
    let number = |value: usize| u32::try_from(value).map_err(|_| "an initramfs entry exceeds 4 GiB".to_string());
    let fields = [
        number(inode)?,
        mode,
        0, // user
        0, // group
        links,
        0, // modification time
        number(content.len())?,
        0, // device, major and minor
        0,
        0, // device the entry stands for, major and minor
        0,
        number(name.len() + 1)?,
        0, // checksum: of another format
    ];
    archive.extend(b"070701");
    fields.iter().for_each(|field| archive.extend(format!("{field:08X}").bytes()));
    archive.extend(name);
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(4), 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads an archive by the format's own description: what was put in, with the inode numbers, and the root directory before.
    fn parse(archive: &[u8]) -> Vec<(usize, Entry)> {
        let mut unsealed = archive.to_vec();
        assert_eq!(logic::seal::check_archive(archive), Ok(()));
        // The numbers that are the seal.
        assert_ne!(unsealed[102..110], *b"00000000");
        unsealed[86..94].fill(b'0');
        unsealed[102..110].fill(b'0');
        let mut entries = parse_unsealed(&unsealed);
        assert_eq!(entries.remove(0), (1, Entry { name: b".".into(), kind: Kind::Directory }));
        entries
    }

    fn parse_unsealed(mut archive: &[u8]) -> Vec<(usize, Entry)> {
        assert_eq!(archive.len() % 512, 0);
        let mut entries = Vec::new();
        loop {
            assert_eq!(&archive[..6], b"070701");
            let field = |index: usize| {
                let digits = std::str::from_utf8(&archive[6 + 8 * index..14 + 8 * index]).unwrap();
                usize::from_str_radix(digits, 16).unwrap()
            };
            let (inode, mode, links) = (field(0), field(1), field(4));
            let zeros = [2, 3, 5, 7, 8, 9, 10, 12];
            assert!(zeros.iter().all(|&index| field(index) == 0), "owner, time and devices are zero");
            let (size, name_size) = (field(6), field(11));
            let name = archive[110..110 + name_size - 1].to_vec();
            assert_eq!(archive[110 + name_size - 1], 0);
            let content_at = (110 + name_size).next_multiple_of(4);
            let content = archive[content_at..content_at + size].to_vec();
            archive = &archive[(content_at + size).next_multiple_of(4)..];
            let kind = match mode {
                0o040755 => Kind::Directory,
                0o100755 => Kind::File { content, executable: true },
                0o100644 => Kind::File { content, executable: false },
                0o120777 => Kind::Link { target: content },
                0 => {
                    assert_eq!((&name[..], size), (&b"TRAILER!!!"[..], 0));
                    assert!(archive.iter().all(|&byte| byte == 0));
                    return entries;
                }
                other => panic!("mode {other:o}"),
            };
            assert_eq!(links, if kind == Kind::Directory { 2 } else { 1 });
            entries.push((inode, Entry { name, kind }));
        }
    }

    #[test]
    fn a_tree_is_archived_in_order_with_plain_modes() {
        let root = std::env::temp_dir().join(format!("eres-cpio-{}", std::process::id()));
        fs::create_dir_all(root.join("bin/deep")).unwrap();
        fs::write(root.join("bin-data"), b"x").unwrap();
        fs::write(root.join("bin/init"), b"#!").unwrap();
        fs::write(root.join("bin/deep/empty"), b"").unwrap();
        fs::set_permissions(root.join("bin/init"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(root.join("bin-data"), fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("bin/init", root.join("init")).unwrap();
        let entries = collect(&root).unwrap();
        fs::remove_dir_all(&root).unwrap();

        let file = |content: &[u8], executable| Kind::File { content: content.to_vec(), executable };
        let expected = [
            ("bin", Kind::Directory),
            ("bin/deep", Kind::Directory),
            ("bin/deep/empty", file(b"", false)),
            ("bin/init", file(b"#!", true)),
            ("bin-data", file(b"x", false)),
            ("init", Kind::Link { target: b"bin/init".to_vec() }),
        ];
        let expected = expected.map(|(name, kind)| Entry { name: name.into(), kind });
        assert_eq!(entries, expected);
        assert_eq!(parse(&archive(&entries).unwrap()), (2..).zip(expected).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let root = std::env::temp_dir().join(format!("eres-cpio-socket-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        assert!(collect(&root).unwrap_err().contains("socket is neither"));
        drop(socket);
        fs::remove_dir_all(&root).unwrap();
        assert!(collect(&root).is_err());
    }

    fn any_kind() -> impl Strategy<Value = Kind> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..70);
        prop_oneof![
            Just(Kind::Directory),
            (bytes(), any::<bool>()).prop_map(|(content, executable)| Kind::File { content, executable }),
            bytes().prop_map(|target| Kind::Link { target }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_archived_parses_back(
            entries in proptest::collection::vec((proptest::collection::vec(1u8.., 1..40), any_kind()), 0..12)
        ) {
            let entries: Vec<Entry> = entries.into_iter().map(|(name, kind)| Entry { name, kind }).collect();
            let parsed = parse(&archive(&entries).unwrap());
            prop_assert_eq!(parsed, (2..).zip(entries).collect::<Vec<_>>());
        }
    }
}
