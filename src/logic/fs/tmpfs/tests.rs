//! tmpfs by its own rules: links, times, limits, cookies; and random operations against a model of a tree.

use super::*;
use crate::fs::credentials::Credentials;
use crate::fs::fake::{OWNER, Tree, tmpfs};
use crate::fs::walk::{Caller, Wanted};
use crate::mem::page::fake::FakeFrames;
use linux_raw_sys::general::{O_CREAT, O_EXCL, O_RDWR, O_TMPFILE};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn attributes(tree: &Tree, path: &str) -> Attributes {
    tree.caller().lookup(path.as_bytes(), Wanted::Object).unwrap().inode().attributes().unwrap()
}

#[test]
fn links_are_counted_and_the_last_one_frees_what_nobody_has_open() {
    let tree = Tree::new();
    let caller = tree.caller();
    tree.write("/a", b"content");
    let a = caller.lookup(b"/a", Wanted::Object).unwrap();
    caller.link(&a, b"/b").unwrap();
    assert_eq!(attributes(&tree, "/a").links, 2);
    caller.unlink(b"/a").unwrap();
    let open = tree.open("/b", O_RDWR).unwrap();
    drop(a);
    caller.unlink(b"/b").unwrap();
    assert_eq!(open.place().inode().attributes().unwrap().links, 0);
    let mut bytes = [0; 7];
    assert_eq!((open.read_at(0, &mut bytes), &bytes), (Ok(7), b"content"));
    assert_eq!(caller.link(open.place(), b"/c"), Err(Errno::ENOENT), "what has lost its names gets none");
    assert_eq!(tree.frames.in_use(), 1);
    drop(open);
    assert_eq!(tree.frames.in_use(), 0);
}

#[test]
fn a_directory_has_a_link_for_each_directory_in_it() {
    let tree = Tree::new();
    let caller = tree.caller();
    caller.make_directory(b"/d", 0o755).unwrap();
    caller.make_directory(b"/d/e", 0o755).unwrap();
    caller.make_directory(b"/f", 0o755).unwrap();
    assert_eq!((attributes(&tree, "/").links, attributes(&tree, "/d").links), (4, 3));
    caller.rename(b"/d/e", &caller, b"/f/e", RenameFlags::empty()).unwrap();
    assert_eq!((attributes(&tree, "/d").links, attributes(&tree, "/f").links), (2, 3));
    tree.write("/x", b"");
    caller.rename(b"/f/e", &caller, b"/x", RenameFlags::EXCHANGE).unwrap();
    assert_eq!((attributes(&tree, "/").links, attributes(&tree, "/f").links), (5, 2));
}

#[test]
fn a_file_without_a_name_gets_one_only_if_it_may() {
    let tree = Tree::new();
    let caller = tree.caller();
    let open = tree.open("/", O_TMPFILE | O_RDWR).unwrap();
    open.write_at(0, b"made unseen").unwrap();
    assert_eq!(tree.list("/").unwrap(), Vec::<String>::new());
    let text = open.place().path(&tree.root).unwrap().into_proc();
    assert!(text.starts_with(b"/#") && text.ends_with(b" (deleted)"), "{}", text.escape_ascii());
    caller.link(open.place(), b"/named").unwrap();
    assert_eq!(tree.read("/named").unwrap(), b"made unseen");
    let private = tree.open("/", O_TMPFILE | O_EXCL | O_RDWR).unwrap();
    assert_eq!(caller.link(private.place(), b"/other"), Err(Errno::ENOENT));
    assert_eq!(tree.open("/named", O_TMPFILE | O_RDWR).err(), Some(Errno::ENOTDIR));
    assert_eq!(tree.open("/", O_TMPFILE).err(), Some(Errno::EINVAL));
    let inodes = || tree.root.inode().statistics().free_inodes;
    let before = inodes();
    drop(tree.open("/", O_TMPFILE | O_RDWR).unwrap());
    assert_eq!(inodes(), before);
}

#[test]
fn limits_hold_and_are_told() {
    let tree = Tree::with_limits(Limits { pages: 2, inodes: 3 });
    tree.write("/a", &[1; 8192]);
    assert_eq!(tree.open("/a", O_RDWR).unwrap().write_at(8192, b"x"), Err(Errno::ENOSPC));
    tree.write("/b", b"");
    assert_eq!(tree.open("/c", O_CREAT | O_RDWR).err(), Some(Errno::ENOSPC));
    let told = tree.root.inode().statistics();
    assert_eq!((told.blocks, told.free_blocks, told.inodes, told.free_inodes), (2, 0, 3, 0));
    let a = tree.caller().lookup(b"/a", Wanted::Object).unwrap();
    assert_eq!(tree.caller().link(&a, b"/c"), Err(Errno::ENOSPC), "names take room too");
    drop(a);
    tree.caller().unlink(b"/a").unwrap();
    assert_eq!(tree.root.inode().statistics().free_blocks, 2);
}

#[test]
fn times_say_what_happened() {
    let tree = Tree::new();
    tree.write("/f", b"x");
    let made = attributes(&tree, "/f");
    tree.read("/f").unwrap();
    let read = attributes(&tree, "/f");
    assert!(read.accessed > made.accessed && read.modified == made.modified);
    tree.caller().set_permissions(&tree.caller().lookup(b"/f", Wanted::Object).unwrap(), 0o600).unwrap();
    let changed = attributes(&tree, "/f");
    assert!(changed.changed > read.changed && changed.modified == read.modified);
    let before = attributes(&tree, "/");
    tree.caller().unlink(b"/f").unwrap();
    assert!(attributes(&tree, "/").modified > before.modified);
}

#[test]
fn writing_takes_the_rights_of_the_owner_away() {
    let tree = Tree::new();
    tree.write("/program", b"x");
    let place = tree.caller().lookup(b"/program", Wanted::Object).unwrap();
    tree.caller().set_permissions(&place, 0o6755).unwrap();
    assert_eq!(attributes(&tree, "/program").permissions, 0o6755);
    tree.open("/program", O_RDWR).unwrap().write_at(0, b"y").unwrap();
    assert_eq!(attributes(&tree, "/program").permissions, 0o755);
}

#[test]
fn who_reads_a_directory_sees_each_entry_that_stays_once() {
    let tree = Tree::new();
    let names: Vec<String> = (0..50).map(|number| format!("/stays{number}")).collect();
    names.iter().for_each(|name| tree.write(name, b""));
    let open = tree.open("/", 0).unwrap();
    let mut seen = BTreeMap::<Vec<u8>, usize>::new();
    let mut position = open.claim_position().unwrap();
    let mut count = 0;
    while let Some(entry) = position.next_entry().unwrap() {
        position.take_entry(&entry);
        *seen.entry(entry.name.to_vec()).or_default() += 1;
        count += 1;
        assert!(count < 1000, "new names keep no reader for ever");
        if count % 2 == 0 && count < 300 {
            let name = format!("/comes{count}");
            tree.write(&name, b"");
            if count % 4 == 0 {
                tree.caller().unlink(name.as_bytes()).unwrap();
            }
        }
    }
    for name in names {
        assert_eq!(seen.get(&name.as_bytes()[1..]), Some(&1), "{name}");
    }
    assert!(seen.values().all(|times| *times == 1));
}

#[test]
fn inodes_outlive_their_file_system_and_nothing_outlives_both() {
    let frames = FakeFrames::new(10);
    let file_system = tmpfs(5, frames, Limits { pages: 10, inodes: 10 });
    let inode = file_system.root().create(Name::new(b"f").unwrap(), NewInode::Regular, OWNER).unwrap();
    inode.clone().open().unwrap().write(0, b"x").unwrap();
    drop(file_system);
    assert_eq!(frames.in_use(), 1);
    drop(inode);
    assert_eq!(frames.in_use(), 0);
}

#[test]
fn trees_deeper_than_any_stack_come_and_go() {
    let tree = Tree::with_limits(Limits { pages: 1, inodes: 60_000 });
    let mut at = tree.root.clone();
    for _ in 0..50_000 {
        let caller = Caller { start: &at, ..tree.caller() };
        at = caller.make_directory(b"d", 0o755).unwrap();
    }
    assert_eq!(at.path(&tree.root), Err(Errno::ENAMETOOLONG));
    drop(at);
    let caller = tree.caller();
    caller.make_directory(b"/e", 0o755).unwrap();
    caller.rename(b"/d/d/d", &caller, b"/e/d", RenameFlags::empty()).unwrap();
}

/// A tree as simple as can be: files have a text, directories have names.
#[derive(Clone, Debug)]
enum Model {
    File(Vec<u8>),
    Directory(BTreeMap<String, Model>),
}

impl Model {
    fn at(&mut self, path: &[String]) -> Result<&mut Self, Errno> {
        let Some((first, rest)) = path.split_first() else { return Ok(self) };
        match self {
            Self::File(_) => Err(Errno::ENOTDIR),
            Self::Directory(entries) => entries.get_mut(first).ok_or(Errno::ENOENT)?.at(rest),
        }
    }

    fn entries(&mut self, path: &[String]) -> Result<&mut BTreeMap<String, Self>, Errno> {
        match self.at(path)? {
            Self::File(_) => Err(Errno::ENOTDIR),
            Self::Directory(entries) => Ok(entries),
        }
    }

    fn is_directory(&self) -> bool {
        matches!(self, Self::Directory(_))
    }

    fn remove(&mut self, path: &[String], directory: bool) -> Result<(), Errno> {
        let (name, parent) = path.split_last().unwrap();
        let entries = self.entries(parent)?;
        match entries.get(name).ok_or(Errno::ENOENT)? {
            Self::Directory(_) if !directory => return Err(Errno::EISDIR),
            Self::File(_) if directory => return Err(Errno::ENOTDIR),
            Self::Directory(inner) if !inner.is_empty() => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        entries.remove(name);
        Ok(())
    }

    fn rename(&mut self, from: &[String], to: &[String], flags: RenameFlags) -> Result<(), Errno> {
        let ((name, parent), (new_name, new_parent)) = (from.split_last().unwrap(), to.split_last().unwrap());
        self.entries(parent)?;
        self.entries(new_parent)?;
        let source = self.at(from)?.clone();
        let target = self.at(to).ok().cloned();
        if flags == RenameFlags::NOREPLACE && target.is_some() {
            return Err(Errno::EEXIST);
        }
        if flags == RenameFlags::EXCHANGE && target.is_none() {
            return Err(Errno::ENOENT);
        }
        if from == to {
            return Ok(());
        }
        if to.starts_with(from) {
            return Err(Errno::EINVAL);
        }
        if flags == RenameFlags::EXCHANGE {
            if from.starts_with(to) {
                return Err(Errno::EINVAL);
            }
            self.entries(parent)?.insert(name.clone(), target.unwrap());
            self.entries(new_parent)?.insert(new_name.clone(), source);
            return Ok(());
        }
        if let Some(target) = target {
            match (source.is_directory(), target) {
                (true, Self::File(_)) => return Err(Errno::ENOTDIR),
                (false, Self::Directory(_)) => return Err(Errno::EISDIR),
                (true, Self::Directory(inner)) if !inner.is_empty() => return Err(Errno::ENOTEMPTY),
                _ => {}
            }
        }
        self.entries(new_parent)?.insert(new_name.clone(), source);
        self.entries(parent)?.remove(name);
        Ok(())
    }

    fn count(&self) -> u64 {
        match self {
            Self::File(_) => 1,
            Self::Directory(entries) => 1 + entries.values().map(Self::count).sum::<u64>(),
        }
    }

    fn compare(&self, tree: &Tree, path: &str) {
        match self {
            Self::File(text) => assert_eq!(&tree.read(path).unwrap(), text, "{path}"),
            Self::Directory(entries) => {
                let mut names = tree.list(path).unwrap();
                names.sort();
                assert_eq!(names, entries.keys().cloned().collect::<Vec<_>>(), "{path}");
                let directories = entries.values().filter(|entry| entry.is_directory()).count();
                assert_eq!(attributes(tree, path).links as usize, 2 + directories, "{path}");
                entries.iter().for_each(|(name, entry)| entry.compare(tree, &format!("{path}/{name}")));
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<String>, Vec<u8>),
    MakeDirectory(Vec<String>),
    Unlink(Vec<String>),
    RemoveDirectory(Vec<String>),
    Rename(Vec<String>, Vec<String>, RenameFlags),
}

fn step() -> impl Strategy<Value = Step> {
    let path = || proptest::collection::vec("[abc]", 1..4);
    let flags = prop_oneof![3 => Just(RenameFlags::empty()), 1 => Just(RenameFlags::NOREPLACE), 1 => Just(RenameFlags::EXCHANGE)];
    prop_oneof![
        (path(), proptest::collection::vec(any::<u8>(), 0..20)).prop_map(|(path, text)| Step::Write(path, text)),
        path().prop_map(Step::MakeDirectory),
        path().prop_map(Step::MakeDirectory),
        path().prop_map(Step::Unlink),
        path().prop_map(Step::RemoveDirectory),
        (path(), path(), flags).prop_map(|(from, to, flags)| Step::Rename(from, to, flags)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn it_is_the_tree_that_the_model_is(steps in proptest::collection::vec(step(), 0..60)) {
        let tree = Tree::new();
        let mut model = Model::Directory(BTreeMap::new());
        let mut held = Vec::new();
        for step in steps {
            let text = |path: &[String]| format!("/{}", path.join("/"));
            let caller = tree.caller();
            match &step {
                Step::Write(path, content) => {
                    let opened = tree.open(&text(path), O_CREAT | O_RDWR | linux_raw_sys::general::O_TRUNC);
                    let (name, parent) = path.split_last().unwrap();
                    let expected = model.entries(parent).and_then(|entries| match entries.get(name) {
                        Some(Model::Directory(_)) => Err(Errno::EISDIR),
                        _ => {
                            entries.insert(name.clone(), Model::File(content.clone()));
                            Ok(())
                        }
                    });
                    if let Ok(open) = &opened {
                        open.write_at(0, content).unwrap();
                    }
                    prop_assert_eq!(opened.map(drop), expected);
                }
                Step::MakeDirectory(path) => {
                    let (name, parent) = path.split_last().unwrap();
                    let expected = model.entries(parent).and_then(|entries| {
                        if entries.contains_key(name) {
                            return Err(Errno::EEXIST);
                        }
                        entries.insert(name.clone(), Model::Directory(BTreeMap::new()));
                        Ok(())
                    });
                    let made = caller.make_directory(text(path).as_bytes(), 0o755);
                    prop_assert_eq!(made.as_ref().map(drop).map_err(|error| *error), expected);
                    // Places that are kept follow their directories about.
                    held.extend(made);
                }
                Step::Unlink(path) => {
                    prop_assert_eq!(caller.unlink(text(path).as_bytes()), model.remove(path, false));
                }
                Step::RemoveDirectory(path) => {
                    prop_assert_eq!(caller.remove_directory(text(path).as_bytes()), model.remove(path, true));
                }
                Step::Rename(from, to, flags) => {
                    let done = caller.rename(text(from).as_bytes(), &caller, text(to).as_bytes(), *flags);
                    prop_assert_eq!(done, model.rename(from, to, *flags), "{:?}", step);
                }
            }
        }
        model.compare(&tree, "/");
        let told = tree.root.inode().statistics();
        prop_assert_eq!(told.inodes - told.free_inodes, model.count());
        for place in held {
            let path = place.path(&tree.root).unwrap();
            let gone = place.inode().attributes().unwrap().links == 0;
            prop_assert_eq!(path.deleted, gone);
            if !gone {
                let found = tree.caller().lookup(&path.path, Wanted::Object).unwrap();
                prop_assert!(found.is(&place));
            }
        }
    }
}

#[test]
fn somebody_elses_directory_is_not_written_to() {
    let tree = Tree::new();
    let user = Credentials { user: 1000, group: 1000, groups: Arc::from([50]) };
    let caller = Caller { credentials: &user, ..tree.caller() };
    assert_eq!(caller.make_directory(b"/d", 0o755).err(), Some(Errno::EACCES));
}
