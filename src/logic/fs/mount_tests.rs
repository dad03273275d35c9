//! Mounts, laid on each other, moved and taken away: what the man pages say.

use super::fake::tmpfs;
use super::inode::RenameFlags;
use super::mount::{Mount, MountFlags};
use super::place::Place;
use super::tests::{LIMITS, look, tree};
use super::walk::Wanted;
use crate::errno::Errno;
use linux_raw_sys::general::*;

#[test]
fn mounts_are_crossed_both_ways_and_busy_while_in_use() {
    let tree = tree();
    let caller = tree.caller();
    let on = caller.lookup(b"/d/e", Wanted::Target).unwrap();
    let mount = |on: &Place, flags| Mount::add(on, tmpfs(2, tree.frames, LIMITS), flags).map(drop);
    mount(&on, MountFlags::empty()).unwrap();
    assert_eq!(mount(&on, MountFlags::empty()), Err(Errno::EBUSY));
    tree.write("/d/e/inside", b"x");
    let inside = caller.lookup(b"/d/e/inside", Wanted::Target).unwrap();
    assert_eq!(inside.path(&tree.root).unwrap().path, b"/d/e/inside");
    assert_eq!(look(&tree, "/d/e/../f", Wanted::Target), Ok(b"/d/f".to_vec()));
    assert_eq!(caller.remove_directory(b"/d/e"), Err(Errno::EBUSY));
    assert_eq!(caller.rename(b"/d/e", &caller, b"/x", RenameFlags::empty()), Err(Errno::EBUSY));
    assert_eq!(caller.rename(b"/d/f", &caller, b"/d/e/f", RenameFlags::empty()), Err(Errno::EXDEV));
    assert_eq!(caller.link(&inside, b"/x"), Err(Errno::EXDEV));
    let root = || caller.lookup(b"/d/e", Wanted::Target).unwrap();
    assert_eq!(Mount::remove(root(), false), Err(Errno::EBUSY));
    drop(inside);
    // One more on top, and off again.
    mount(&root(), MountFlags::empty()).unwrap();
    assert_eq!(tree.list("/d/e").unwrap(), Vec::<String>::new());
    assert_eq!(Mount::remove(root(), false), Ok(()));
    assert_eq!(tree.list("/d/e").unwrap(), ["inside"]);
    assert_eq!(Mount::remove(caller.lookup(b"/d", Wanted::Target).unwrap(), false), Err(Errno::EINVAL));
    assert_eq!(Mount::remove(root(), false), Ok(()));
    assert_eq!(Mount::remove(tree.root.clone(), false), Err(Errno::EINVAL));
    assert_eq!(caller.remove_directory(b"/d/e"), Ok(()));
    assert_eq!(mount(&on, MountFlags::empty()), Err(Errno::ENOENT));
    assert_eq!(mount(&caller.lookup(b"/d/f", Wanted::Target).unwrap(), MountFlags::empty()), Err(Errno::ENOTDIR));
}

#[test]
fn a_detached_mount_goes_with_all_below_when_nobody_uses_it() {
    let tree = tree();
    let caller = tree.caller();
    let mount = |path: &[u8]| {
        let on = caller.lookup(path, Wanted::Target).unwrap();
        Mount::add(&on, tmpfs(3, tree.frames, LIMITS), MountFlags::empty()).unwrap().root()
    };
    drop(mount(b"/d/e"));
    caller.make_directory(b"/d/e/below", 0o755).unwrap();
    drop(mount(b"/d/e/below"));
    tree.write("/d/e/below/f", b"x");
    let pages = tree.frames.in_use();
    let used = tree.open("/d/e/below/f", O_RDONLY).unwrap();
    assert_eq!(Mount::remove(caller.lookup(b"/d/e", Wanted::Target).unwrap(), true), Ok(()));
    assert_eq!(tree.list("/d/e").unwrap(), Vec::<String>::new());
    let mut byte = [0];
    assert_eq!((used.read_at(0, &mut byte), byte), (Ok(1), *b"x"));
    assert!(!used.place().path(&tree.root).unwrap().reachable);
    drop(used);
    assert_eq!(tree.frames.in_use(), pages - 1);
    assert_eq!(caller.remove_directory(b"/d/e"), Ok(()));
}

#[test]
fn a_mount_is_moved_with_what_lies_on_it() {
    let tree = tree();
    let caller = tree.caller();
    let place = |path: &str| caller.lookup(path.as_bytes(), Wanted::Target).unwrap();
    let mount = |path: &str| Mount::add(&place(path), tmpfs(3, tree.frames, LIMITS), MountFlags::empty()).map(drop);
    let relocate = |from: &str, to: &str| Mount::relocate(&place(from), &place(to));
    caller.make_directory(b"/from", 0o755).unwrap();
    caller.make_directory(b"/to", 0o755).unwrap();
    mount("/from").unwrap();
    caller.make_directory(b"/from/below", 0o755).unwrap();
    mount("/from/below").unwrap();
    tree.write("/from/below/f", b"x");
    // In use all the time.
    let file = place("/from/below/f");
    assert_eq!(relocate("/from", "/to"), Ok(()));
    assert_eq!(tree.list("/from").unwrap(), Vec::<String>::new());
    assert_eq!(file.path(&tree.root).unwrap().path, b"/to/below/f");
    assert_eq!(look(&tree, "/to/below/../../d/f", Wanted::Target), Ok(b"/d/f".to_vec()));
    assert_eq!(caller.remove_directory(b"/to"), Err(Errno::EBUSY));
    assert_eq!(caller.remove_directory(b"/from"), Ok(()));
    // Onto another, and as a file system's own root, over it.
    caller.make_directory(b"/from", 0o755).unwrap();
    mount("/from").unwrap();
    assert_eq!(relocate("/to/below", "/from"), Ok(()));
    assert_eq!(tree.list("/from").unwrap(), ["f"]);
    assert_eq!(Mount::relocate(&place("/to"), &tree.root), Ok(()));
    let over = tree.root.clone().covered();
    assert_eq!(over.mount.on().map(|on| on.is(&tree.root)), Some(true));
}

#[test]
fn mounts_are_not_moved_where_they_cannot_be() {
    let tree = tree();
    let caller = tree.caller();
    let place = |path: &str| caller.lookup(path.as_bytes(), Wanted::Target).unwrap();
    let mount = |path: &str| Mount::add(&place(path), tmpfs(3, tree.frames, LIMITS), MountFlags::empty()).map(drop);
    let relocate = |from: &str, to: &str| Mount::relocate(&place(from), &place(to));
    for folder in ["/a", "/b"] {
        caller.make_directory(folder.as_bytes(), 0o755).unwrap();
    }
    mount("/a").unwrap();
    caller.make_directory(b"/a/inside", 0o755).unwrap();
    assert_eq!(relocate("/a", "/a/inside"), Err(Errno::ELOOP));
    assert_eq!(relocate("/a", "/a"), Err(Errno::ELOOP));
    assert_eq!(relocate("/d", "/b"), Err(Errno::EINVAL));
    assert_eq!(Mount::relocate(&tree.root, &place("/b")), Err(Errno::EINVAL));
    assert_eq!(relocate("/a", "/d/f"), Err(Errno::EINVAL));
    let removed = caller.make_directory(b"/removed", 0o755).unwrap();
    caller.remove_directory(b"/removed").unwrap();
    assert_eq!(Mount::relocate(&place("/a"), &removed), Err(Errno::ENOENT));
    // Nothing was moved, and no directory is held for nothing.
    assert_eq!(tree.list("/a").unwrap(), ["inside"]);
    assert_eq!(caller.remove_directory(b"/b"), Ok(()));
    // What was taken away is no place to go, and goes nowhere.
    let (gone, inside) = (place("/a"), place("/a/inside"));
    Mount::remove(place("/a"), true).unwrap();
    mount("/a").unwrap();
    assert_eq!(Mount::relocate(&place("/a"), &inside), Err(Errno::EINVAL));
    assert_eq!(Mount::relocate(&gone, &place("/d/e")), Err(Errno::EINVAL));
    assert_eq!(Mount::add(&inside, tmpfs(3, tree.frames, LIMITS), MountFlags::empty()).err(), Some(Errno::EINVAL));
}

#[test]
fn mounts_lie_one_below_the_other_up_to_a_limit_also_when_moved() {
    let tree = tree();
    let caller = tree.caller();
    let place = |path: &str| caller.lookup(path.as_bytes(), Wanted::Target).unwrap();
    let mount = |path: &str| Mount::add(&place(path), tmpfs(3, tree.frames, LIMITS), MountFlags::empty()).map(drop);
    for folder in ["/deep", "/two"] {
        caller.make_directory(folder.as_bytes(), 0o755).unwrap();
    }
    mount("/two").unwrap();
    mount("/two").unwrap();
    for _ in 0..98 {
        mount("/deep").unwrap();
    }
    let lower = Mount::relocate(&place("/two").mount.on().unwrap(), &place("/deep"));
    assert_eq!(lower, Ok(()));
    assert_eq!(mount("/deep"), Err(Errno::ENOSPC));
    mount("/two").unwrap();
    assert_eq!(Mount::relocate(&place("/two"), &place("/deep")), Err(Errno::ENOSPC));
    // As many as there are go again.
    for _ in 0..100 {
        Mount::remove(place("/deep"), false).unwrap();
    }
    assert_eq!(caller.remove_directory(b"/deep"), Ok(()));
}

#[test]
fn a_bind_mount_shows_the_same_with_rules_of_its_own() {
    let tree = tree();
    let caller = tree.caller();
    let place = |path: &[u8]| caller.lookup(path, Wanted::Target).unwrap();
    caller.make_directory(b"/b", 0o755).unwrap();
    Mount::bind(&place(b"/b"), &place(b"/d"), MountFlags::RDONLY).unwrap();
    assert_eq!(tree.read("/b/f").unwrap(), b"text");
    assert_eq!(look(&tree, "/b/f", Wanted::Target), Ok(b"/b/f".to_vec()));
    assert_eq!(tree.open("/b/f", O_RDWR).err(), Some(Errno::EROFS));
    assert_eq!(tree.open("/b/new", O_RDWR | O_CREAT).err(), Some(Errno::EROFS));
    assert_eq!(caller.unlink(b"/b/f"), Err(Errno::EROFS));
    assert_eq!(caller.make_directory(b"/b/e", 0o755).err(), Some(Errno::EEXIST));
    assert_eq!(caller.set_permissions(&place(b"/b/f"), 0o600), Err(Errno::EROFS));
    place(b"/b").mount.set_flags(MountFlags::NOEXEC);
    assert_eq!(caller.check_executable(&place(b"/b/f")), Err(Errno::EACCES));
    tree.write("/b/new", b"seen in both");
    assert_eq!(tree.read("/d/new").unwrap(), b"seen in both");
}
