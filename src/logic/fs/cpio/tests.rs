//! Archives, whole and hostile: read, unpacked, cut off anywhere, and changed anywhere.

use super::*;
use crate::errno::Errno;
use crate::fs::fake::Tree;
use crate::fs::tmpfs::Limits;
use crate::fs::walk::Wanted;
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Made {
    name: Vec<u8>,
    mode: u32,
    inode: u32,
    links: u32,
    content: Vec<u8>,
}

fn made(name: &str, mode: u32, content: &[u8]) -> Made {
    Made { name: name.into(), mode, inode: 0, links: 1, content: content.into() }
}

fn append(archive: &mut Vec<u8>, entry: &Made, magic: &str) {
    let sum = if magic == "070702" { entry.content.iter().map(|byte| u32::from(*byte)).sum() } else { 0 };
    let (size, name) = (entry.content.len() as u32, entry.name.len() as u32 + 1);
    archive.extend(magic.bytes());
    for field in [entry.inode, entry.mode, 10, 20, entry.links, 99, size, 0, 0, 4, 65, name, sum] {
        archive.extend(format!("{field:08x}").bytes());
    }
    archive.extend(&entry.name);
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend(&entry.content);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

fn archive(entries: &[Made]) -> Vec<u8> {
    let mut bytes = Vec::new();
    entries.iter().for_each(|entry| append(&mut bytes, entry, "070701"));
    append(&mut bytes, &made("TRAILER!!!", 0, b""), "070701");
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn unpacked(bytes: &[u8]) -> (Tree, Unpacked, Result<(), UnpackError>) {
    let tree = Tree::new();
    let (done, result) = unpack(bytes, tree.root.inode());
    (tree, done, result)
}

fn refused(entries: &[Made]) -> Errno {
    match unpacked(&archive(entries)).2 {
        Err(UnpackError::NotMade(_, errno)) => errno,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tree_comes_out_as_it_went_in() {
    let (tree, done, result) = unpacked(&archive(&[
        made(".", 0o040_700, b""),
        made("dev/console", 0o020_600, b""),
        made("bin", 0o040_755, b""),
        made("/bin/init", 0o104_755, b"#!/bin/sh\n"),
        made("./sbin", 0o120_777, b"bin"),
    ]));
    assert_eq!((result, done), (Ok(()), Unpacked { entries: 5, bytes: 10 }));
    let attributes = |path: &[u8]| tree.caller().lookup(path, Wanted::Object).unwrap().inode().attributes().unwrap();
    assert_eq!(tree.read("/sbin/init").unwrap(), b"#!/bin/sh\n");
    assert_eq!(attributes(b"/").permissions, 0o700);
    assert_eq!(attributes(b"/dev").permissions, 0o755, "directories that are missing are made");
    let (init, console) = (attributes(b"/bin/init"), attributes(b"/dev/console"));
    assert_eq!((init.permissions, init.user, init.group, init.modified.seconds), (0o4755, 10, 20, 99));
    assert_eq!((console.special.major, console.special.minor), (4, 65));
}

#[test]
fn names_of_one_object_share_its_content_whichever_has_it() {
    let name = |name: &str, content: &[u8]| Made { inode: 7, links: 2, ..made(name, 0o100_644, content) };
    for (first, second) in [(&b"text"[..], &b""[..]), (b"", b"text")] {
        let mut bytes = archive(&[name("a", first), name("b", second)]);
        // The same number in another archive is another object.
        bytes.extend(archive(&[name("c", b"")]));
        let (tree, _, result) = unpacked(&bytes);
        assert_eq!(result, Ok(()));
        assert_eq!((tree.read("/a").unwrap(), tree.read("/b").unwrap()), (b"text".to_vec(), b"text".to_vec()));
        let links =
            |path: &[u8]| tree.caller().lookup(path, Wanted::Object).unwrap().inode().attributes().unwrap().links;
        assert_eq!((links(b"/a"), links(b"/c")), (2, 1));
    }
}

#[test]
fn later_archives_replace_files_and_keep_directories() {
    let mut bytes = archive(&[made("d/old", 0o100_644, b"old"), made("f", 0o100_644, b"first")]);
    bytes.extend([0; 4096]);
    bytes.extend(archive(&[made("d", 0o040_755, b""), made("f", 0o100_644, b"2nd"), made("d/new", 0o100_644, b"")]));
    let (tree, _, result) = unpacked(&bytes);
    assert_eq!((result, tree.read("/f").unwrap()), (Ok(()), b"2nd".to_vec()));
    assert_eq!(tree.list("/d").unwrap(), ["old", "new"]);
}

#[test]
fn nothing_leaves_the_tree() {
    assert_eq!(refused(&[made("../x", 0o100_644, b"")]), Errno::EINVAL);
    assert_eq!(refused(&[made("a/../../x", 0o100_644, b"")]), Errno::EINVAL);
    assert_eq!(refused(&[made("up", 0o120_777, b".."), made("up/x", 0o100_644, b"")]), Errno::ENOTDIR);
    assert_eq!(refused(&[made("f", 0o100_644, b""), made("f/x", 0o100_644, b"")]), Errno::ENOTDIR);
    assert_eq!(refused(&[made("d", 0o040_755, b""), made("d", 0o100_644, b"")]), Errno::EISDIR);
    assert_eq!(refused(&[made(&"d/".repeat(300), 0o040_755, b"")]), Errno::ENAMETOOLONG);
    assert_eq!(refused(&[made(&"n".repeat(300), 0o040_755, b"")]), Errno::ENAMETOOLONG);
    assert_eq!(refused(&[made("x", 0, b"")]), Errno::EINVAL);
    assert_eq!(refused(&[made("x", 0o120_777, b"")]), Errno::ENOENT);
    assert_eq!(refused(&[made("/", 0o100_644, b"")]), Errno::EISDIR);
}

#[test]
fn damage_is_told_with_its_place_and_what_came_before_stays() {
    let good = archive(&[made("kept", 0o100_644, b"x")]);
    let damaged = |bytes: &[u8]| {
        let (tree, done, result) = unpacked(&[&good[..], bytes].concat());
        assert_eq!((done.entries, tree.read("/kept").unwrap()), (1, b"x".to_vec()));
        match result {
            Err(UnpackError::Damaged(Damage { offset, reason })) => {
                assert_eq!(offset, good.len());
                reason
            }
            other => panic!("{other:?}"),
        }
    };
    let second = archive(&[made("second", 0o100_644, b"content")]);
    let with = |at: usize, text: &str| {
        let mut bytes = second.clone();
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        bytes
    };
    assert_eq!(damaged(&[b'x'; 200]), Reason::BadMagic);
    assert_eq!(damaged(b"070701"), Reason::CutOff);
    assert_eq!(damaged(&with(20, "0000000g")), Reason::BadNumber);
    assert_eq!(damaged(&with(6 + 6 * 8, "ffffffff")), Reason::CutOff);
    assert_eq!(damaged(&with(6 + 11 * 8, "ffffffff")), Reason::CutOff);
    assert_eq!(damaged(&with(6 + 11 * 8, "00000000")), Reason::BadName);
    assert_eq!(damaged(&with(6 + 11 * 8, "00000003")), Reason::BadName);
    assert_eq!(damaged(&with(HEADER_BYTES, "\0")), Reason::BadName);
    let mut summed = Vec::new();
    append(&mut summed, &made("second", 0o100_644, b"content"), "070702");
    assert_eq!(unpacked(&summed).2, Ok(()));
    *summed.last_chunk_mut::<8>().unwrap() = *b"CONTENT\0";
    assert_eq!(damaged(&summed), Reason::BadChecksum);
    let text = UnpackError::Damaged(Damage { offset: 5, reason: Reason::CutOff }).to_string();
    assert_eq!(text, "at byte 5: it ends within an entry");
}

#[test]
fn a_full_file_system_ends_it() {
    let tree = Tree::with_limits(Limits { pages: 1, inodes: 3 });
    let bytes = archive(&[made("a", 0o100_644, &[1; 5000])]);
    assert_eq!(unpack(&bytes, tree.root.inode()).1, Err(UnpackError::NotMade(0, Errno::ENOSPC)));
    let many: Vec<Made> = (0..5).map(|number| made(&number.to_string(), 0o100_644, b"")).collect();
    let (done, result) = unpack(&archive(&many), tree.root.inode());
    assert!(done.entries < 5 && matches!(result, Err(UnpackError::NotMade(_, Errno::ENOSPC))));
}

fn any_entry() -> impl Strategy<Value = Made> {
    let mode =
        prop_oneof![Just(0o100_644), Just(0o040_755), Just(0o120_777), Just(0o010_600), Just(0o020_600), any::<u32>()];
    let name = proptest::string::string_regex("(/|\\./)?[ab.]{1,2}(/[ab.]{1,2}){0,3}").unwrap();
    (name, mode, 0..3_u32, 0..3_u32, proptest::collection::vec(any::<u8>(), 0..30))
        .prop_map(|(name, mode, inode, links, content)| Made { name: name.into_bytes(), mode, inode, links, content })
}

proptest! {
    #[test]
    fn no_archive_does_harm(
        entries in proptest::collection::vec(any_entry(), 0..12),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut: prop::sample::Index,
    ) {
        let mut bytes = archive(&entries);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            let (tree, done, _) = unpacked(bytes);
            prop_assert!(done.bytes <= bytes.len() as u64);
            prop_assert!(Archive::new(bytes).count() <= bytes.len() / HEADER_BYTES + 1);
            tree.list("/").unwrap();
        }
    }
}
