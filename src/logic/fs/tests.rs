//! Paths, permissions, opening, renaming: what the man pages say, sentence by sentence.

use super::attributes::{Attributes, DeviceNumber, FileKind, Timestamp};
use super::credentials::{Access, Credentials};
use super::fake::{NoSpecials, Tree};
use super::inode::{Anchor, NewInode, RenameFlags};
use super::locks::{FileLocks, LockKind, LockRange};
use super::mount::MountFlags;
use super::open::{Opening, SpecialFiles};
use super::open_file::{OpenFile, Seek, StatusFlags};
use super::page_cache::Running;
use super::place::Place;
use super::tmpfs::Limits;
use super::walk::{Caller, Wanted};
use super::{File, devices};
use crate::errno::Errno;
use linux_raw_sys::general::*;
use std::sync::Arc;

pub(super) const LIMITS: Limits = Limits { pages: 100, inodes: 100 };

fn attributes(place: &Place) -> Attributes {
    place.inode().attributes().unwrap()
}

fn user(tree: &Tree, number: u32) -> (Credentials, Place) {
    (Credentials { user: number, group: number, groups: Arc::from([900]) }, tree.root.clone())
}

/// A tree with /d/e, /d/f, a link /l to d, and a place to walk from.
pub(super) fn tree() -> Tree {
    let tree = Tree::new();
    tree.caller().make_directory(b"/d", 0o755).unwrap();
    tree.caller().make_directory(b"/d/e", 0o755).unwrap();
    tree.write("/d/f", b"text");
    tree.caller().make_symlink(b"d", b"/l").unwrap();
    tree
}

pub(super) fn look(tree: &Tree, path: &str, wanted: Wanted) -> Result<Vec<u8>, Errno> {
    Ok(tree.caller().lookup(path.as_bytes(), wanted)?.path(&tree.root).unwrap().path)
}

#[test]
fn paths_lead_where_the_manual_says() {
    let tree = tree();
    for (path, leads) in [
        ("/", "/"),
        ("//", "/"),
        ("/..", "/"),
        ("/../../d", "/d"),
        ("d//e/", "/d/e"),
        ("/d/./e/../f", "/d/f"),
        ("/l/e", "/d/e"),
        ("/l", "/d"),
        ("/l/", "/d"),
        ("/l/..", "/"),
    ] {
        assert_eq!(look(&tree, path, Wanted::Target), Ok(leads.into()), "{path}");
    }
    assert_eq!(look(&tree, "/l", Wanted::Object), Ok(b"/l".to_vec()));
    assert_eq!(look(&tree, "/l/", Wanted::Object), Ok(b"/d".to_vec()));
    let long_name = format!("/{}", "n".repeat(256));
    let long_path = "/d/..".repeat(820);
    for (path, error) in [
        ("", Errno::ENOENT),
        ("/x", Errno::ENOENT),
        ("/x/y", Errno::ENOENT),
        ("/d/f/", Errno::ENOTDIR),
        ("/d/f/x", Errno::ENOTDIR),
        ("/d/f/..", Errno::ENOTDIR),
        ("/d/f/.", Errno::ENOTDIR),
        (&long_name, Errno::ENAMETOOLONG),
        (&long_path, Errno::ENAMETOOLONG),
        ("/d/\0", Errno::EINVAL),
    ] {
        assert_eq!(look(&tree, path, Wanted::Target), Err(error), "{path}");
    }
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let tree = tree();
    let caller = tree.caller();
    for number in 0..45 {
        let text = if number == 0 { "d".into() } else { format!("/s{}", number - 1) };
        caller.make_symlink(text.as_bytes(), format!("/s{number}").as_bytes()).unwrap();
    }
    assert_eq!(look(&tree, "/s39", Wanted::Target), Ok(b"/d".to_vec()));
    assert_eq!(look(&tree, "/s40", Wanted::Target), Err(Errno::ELOOP));
    assert_eq!(look(&tree, "/s40", Wanted::Object), Ok(b"/s40".to_vec()));
    caller.make_symlink(b"round", b"/round").unwrap();
    assert_eq!(look(&tree, "/round/x", Wanted::Target), Err(Errno::ELOOP));
    let swollen = [&b"swollen/"[..], &[b'x'; 4000]].concat();
    assert_eq!(caller.make_symlink(&[b'x'; 4096], b"/x").err(), Some(Errno::ENAMETOOLONG));
    caller.make_symlink(&swollen, b"/swollen").unwrap();
    assert_eq!(look(&tree, "/swollen", Wanted::Target), Err(Errno::ELOOP));
}

#[test]
fn nobody_leaves_his_root_and_what_lies_outside_is_said_to() {
    let tree = tree();
    let jail = tree.caller().lookup(b"/d", Wanted::Target).unwrap();
    let caller = Caller { root: &jail, start: &jail, ..tree.caller() };
    tree.caller().make_symlink(b"/../..", b"/d/out").unwrap();
    for path in [&b"/.."[..], b"../../..", b"out", b"e/../.."] {
        assert!(caller.lookup(path, Wanted::Target).unwrap().is(&jail), "{}", path.escape_ascii());
    }
    let outside = tree.root.path(&jail).unwrap();
    assert_eq!((outside.path, outside.reachable), (b"/".to_vec(), false));
}

#[test]
fn names_of_what_is_open_follow_it_about() {
    let tree = tree();
    let caller = tree.caller();
    let file = caller.lookup(b"/d/f", Wanted::Target).unwrap();
    let text = |place: &Place| String::from_utf8(place.path(&tree.root).unwrap().into_proc()).unwrap();
    caller.rename(b"/d", &caller, b"/moved", RenameFlags::empty()).unwrap();
    assert_eq!(text(&file), "/moved/f");
    caller.unlink(b"/moved/f").unwrap();
    assert_eq!(text(&file), "/moved/f (deleted)");
    tree.write("/moved/f", b"another");
    assert_eq!(text(&file), "/moved/f (deleted)");
    let directory = caller.lookup(b"/moved/e", Wanted::Target).unwrap();
    caller.remove_directory(b"/moved/e").unwrap();
    let inside = Caller { start: &directory, ..caller };
    assert_eq!(inside.lookup(b"x", Wanted::Target).err(), Some(Errno::ENOENT));
    assert_eq!(inside.make_directory(b"x", 0o755).err(), Some(Errno::ENOENT));
    assert_eq!(text(&inside.lookup(b"..", Wanted::Target).unwrap()), "/moved");
    let (one, other) =
        (caller.make_directory(b"/one", 0o755).unwrap(), caller.make_directory(b"/other", 0o755).unwrap());
    caller.rename(b"/one", &caller, b"/other", RenameFlags::EXCHANGE).unwrap();
    assert_eq!((text(&one), text(&other)), ("/other".into(), "/one".into()));
    caller.rename(b"/other", &caller, b"/one", RenameFlags::empty()).unwrap();
    assert_eq!((text(&one), text(&other)), ("/one".into(), "/one (deleted)".into()));
}

#[test]
fn permissions_are_the_owners_then_the_groups_then_the_others() {
    let tree = tree();
    let root = tree.caller();
    let (credentials, start) = user(&tree, 7);
    let seven = Caller { credentials: &credentials, start: &start, umask: 0, ..root };
    let file = root.lookup(b"/d/f", Wanted::Target).unwrap();
    for (user, group, permissions, allowed) in [
        (7, 1, 0o077, Access::empty()),
        (7, 1, 0o700, Access::all()),
        (1, 7, 0o707, Access::empty()),
        (1, 900, 0o060, Access::READ | Access::WRITE),
        (1, 1, 0o774, Access::READ),
    ] {
        root.set_owner(&file, Some(user), Some(group)).unwrap();
        root.set_permissions(&file, permissions).unwrap();
        for access in [Access::READ, Access::WRITE, Access::EXECUTE] {
            assert_eq!(
                seven.check_access(&file, access).is_ok(),
                allowed.contains(access),
                "{permissions:o} {access:?}"
            );
        }
    }
    root.set_permissions(&file, 0o600).unwrap();
    assert_eq!(root.check_access(&file, Access::READ | Access::WRITE), Ok(()));
    assert_eq!(root.check_executable(&file), Err(Errno::EACCES), "not even root runs what nobody may run");
    let directory = root.lookup(b"/d", Wanted::Target).unwrap();
    root.set_permissions(&directory, 0o644).unwrap();
    assert_eq!(seven.lookup(b"/d/f", Wanted::Target).err(), Some(Errno::EACCES));
    assert_eq!(seven.lookup(b"/d/nothing", Wanted::Target).err(), Some(Errno::EACCES));
    assert!(root.lookup(b"/d/f", Wanted::Target).is_ok());
    assert_eq!(seven.set_permissions(&file, 0o777), Err(Errno::EPERM));
    assert_eq!(seven.truncate(&file, 0), Err(Errno::EACCES));
}

#[test]
fn in_a_sticky_directory_one_removes_only_ones_own() {
    let tree = tree();
    let root = tree.caller();
    let temporary = root.make_directory(b"/tmp", 0o755).unwrap();
    root.set_permissions(&temporary, 0o1777).unwrap();
    let ((one, start), (two, _)) = (user(&tree, 1), user(&tree, 2));
    let one = Caller { credentials: &one, start: &start, ..root };
    let two = Caller { credentials: &two, start: &start, ..root };
    one.make_directory(b"/tmp/d", 0o755).unwrap();
    assert_eq!(two.remove_directory(b"/tmp/d"), Err(Errno::EPERM));
    assert_eq!(two.rename(b"/tmp/d", &two, b"/tmp/x", RenameFlags::empty()), Err(Errno::EPERM));
    two.make_directory(b"/tmp/mine", 0o755).unwrap();
    assert_eq!(two.rename(b"/tmp/mine", &two, b"/tmp/d", RenameFlags::empty()), Err(Errno::EPERM));
    assert_eq!(one.remove_directory(b"/tmp/d"), Ok(()));
    assert_eq!(root.remove_directory(b"/tmp/mine"), Ok(()));
}

#[test]
fn new_objects_belong_to_their_maker_less_the_umask_or_to_the_directorys_group() {
    let tree = tree();
    let root = tree.caller();
    let directory = root.lookup(b"/d", Wanted::Target).unwrap();
    root.set_owner(&directory, None, Some(55)).unwrap();
    root.set_permissions(&directory, 0o2777).unwrap();
    let (credentials, start) = user(&tree, 7);
    let seven = Caller { credentials: &credentials, start: &start, umask: 0o027, ..root };
    let made = attributes(&seven.make_directory(b"/d/sub", 0o777).unwrap());
    assert_eq!((made.user, made.group, made.permissions), (7, 55, 0o2750));
    seven.open(b"/d/file", O_CREAT | O_RDWR, 0o2777, &NoSpecials).unwrap();
    let made = attributes(&seven.lookup(b"/d/file", Wanted::Target).unwrap());
    assert_eq!((made.group, made.permissions), (55, 0o750), "no rights of a group that one is not in");
    let file = seven.lookup(b"/d/file", Wanted::Target).unwrap();
    assert_eq!(seven.set_owner(&file, Some(8), None), Err(Errno::EPERM));
    assert_eq!(seven.set_owner(&file, None, Some(1234)), Err(Errno::EPERM));
    assert_eq!(seven.set_owner(&file, Some(7), Some(900)), Ok(()));
    root.set_permissions(&file, 0o6755).unwrap();
    root.set_owner(&file, Some(8), None).unwrap();
    assert_eq!(attributes(&file).permissions, 0o755);
    let time = |seconds| Some(Timestamp { seconds, nanoseconds: 5 });
    assert_eq!(seven.set_times(&file, time(1), time(2), false), Err(Errno::EPERM));
    assert_eq!(seven.set_times(&file, time(1), time(2), true), Err(Errno::EACCES));
    assert_eq!(root.set_times(&file, None, time(2), false), Ok(()));
    assert_eq!(Some(attributes(&file).modified), time(2));
}

#[test]
fn open_answers_as_the_manual_says() {
    let tree = tree();
    let caller = tree.caller();
    caller.make_symlink(b"/made", b"/dangling").unwrap();
    caller.make_node(b"/fifo", NewInode::Fifo, 0o666).unwrap();
    caller.make_node(b"/socket", NewInode::Socket, 0o666).unwrap();
    for (path, flags, error) in [
        ("/x", O_RDONLY, Errno::ENOENT),
        ("/x/", O_CREAT, Errno::EISDIR),
        ("/d/f", O_CREAT | O_EXCL, Errno::EEXIST),
        ("/dangling", O_CREAT | O_EXCL, Errno::EEXIST),
        ("/dangling", O_RDONLY, Errno::ENOENT),
        ("/l", O_NOFOLLOW, Errno::ELOOP),
        ("/dangling", O_CREAT | O_NOFOLLOW, Errno::ELOOP),
        ("/d", O_WRONLY, Errno::EISDIR),
        ("/d", O_CREAT, Errno::EISDIR),
        ("/", O_CREAT, Errno::EISDIR),
        ("/d", O_TRUNC, Errno::EISDIR),
        ("/d/f", O_DIRECTORY, Errno::ENOTDIR),
        ("/d/f/", O_RDONLY, Errno::ENOTDIR),
        ("/socket", O_RDWR, Errno::ENXIO),
        ("", O_CREAT, Errno::ENOENT),
    ] {
        assert_eq!(tree.open(path, flags).err(), Some(error), "{path} {flags:o}");
    }
    // Bits that mean nothing do not count.
    assert!(tree.open("/d/f", 0x8000_0000 | O_NOCTTY).is_ok());
    drop(tree.open("/dangling", O_CREAT | O_RDWR).unwrap());
    assert_eq!(tree.list("/").unwrap(), ["d", "l", "dangling", "fifo", "socket", "made"]);
    tree.open("/d/f", O_RDONLY | O_TRUNC).unwrap();
    assert_eq!(tree.read("/d/f").unwrap(), b"");
    let (credentials, _) = user(&tree, 7);
    let seven = Caller { credentials: &credentials, ..caller };
    assert_eq!(seven.open(b"/d/f", O_TRUNC, 0, &NoSpecials).err(), Some(Errno::EACCES));
    assert_eq!(seven.open(b"/d/f", O_NOATIME, 0, &NoSpecials).err(), Some(Errno::EPERM));
    assert_eq!(seven.open(b"/d/new", O_CREAT, 0, &NoSpecials).err(), Some(Errno::EACCES));
    let directory = caller.lookup(b"/d", Wanted::Target).unwrap();
    caller.set_permissions(&directory, 0o777).unwrap();
    let unreadable = seven.open(b"/d/new", O_CREAT | O_RDWR, 0, &NoSpecials).unwrap();
    assert_eq!(unreadable.write_at(0, b"x"), Ok(1), "the maker opens whatever the permissions");
}

#[test]
fn a_path_only_description_is_a_place_and_nothing_else() {
    let tree = tree();
    let open = tree.open("/l", O_PATH | O_NOFOLLOW | O_RDWR | O_CREAT).unwrap();
    assert_eq!(open.place().inode().kind(), FileKind::Symlink);
    assert_eq!(open.status(), O_PATH | O_NOFOLLOW);
    assert_eq!(open.read_at(0, &mut [0]), Err(Errno::EBADF));
    assert_eq!(open.truncate(0), Err(Errno::EBADF));
    let mut position = open.claim_position().unwrap();
    assert_eq!((position.read(&mut [0]), position.seek(Seek::Set(0))), (Err(Errno::EBADF), Err(Errno::EBADF)));
    assert_eq!(tree.open("/d/f", O_PATH | O_DIRECTORY).err(), Some(Errno::ENOTDIR));
}

/// Devices of memory, and fifos that are not there.
struct Memory(&'static crate::mem::page::fake::FakeFrames);

impl SpecialFiles for Memory {
    fn open_device(&self, _kind: FileKind, number: DeviceNumber, opening: Opening) -> Result<Arc<dyn File>, Errno> {
        assert_eq!(opening.access, Access::READ | Access::WRITE);
        devices::open(number, self.0).ok_or(Errno::ENXIO)
    }

    fn open_fifo(&self, anchor: &Anchor, _opening: Opening) -> Result<Arc<dyn File>, Errno> {
        anchor.get_or_set(|| Arc::new(()));
        Err(Errno::ENXIO)
    }
}

#[test]
fn devices_are_opened_by_their_numbers_where_the_mount_lets_them() {
    let tree = tree();
    let caller = tree.caller();
    let open = |path: &[u8]| caller.open(path, O_RDWR, 0, &Memory(tree.frames));
    for (name, number) in devices::DEVICES {
        caller.make_node(format!("/{name}").as_bytes(), NewInode::CharacterDevice(number), 0o666).unwrap();
    }
    let zero = open(b"/zero").unwrap();
    let mut byte = [1];
    assert!(zero.has_position());
    assert_eq!((zero.claim_position().unwrap().read(&mut byte), byte), (Ok(1), [0]));
    assert_eq!(open(b"/full").unwrap().write_at(0, b"x"), Err(Errno::ENOSPC));
    let unknown = DeviceNumber { major: 99, minor: 0 };
    caller.make_node(b"/unknown", NewInode::BlockDevice(unknown), 0o666).unwrap();
    assert_eq!(open(b"/unknown").err(), Some(Errno::ENXIO));
    let (credentials, _) = user(&tree, 7);
    let seven = Caller { credentials: &credentials, ..caller };
    assert_eq!(seven.make_node(b"/n", NewInode::CharacterDevice(unknown), 0o666).err(), Some(Errno::EPERM));
    tree.root.mount.set_flags(MountFlags::NODEV);
    assert_eq!(open(b"/null").err(), Some(Errno::EACCES));
}

fn position(open: &OpenFile) -> super::open_file::PositionClaim<'_> {
    open.claim_position().expect("free")
}

#[test]
fn one_call_at_a_time_has_the_position() {
    let tree = tree();
    let open = tree.open("/d/f", O_RDWR).unwrap();
    let mut claim = position(&open);
    assert!(open.claim_position().is_none());
    claim.read(&mut [0; 3]).unwrap();
    drop(claim);
    let mut claim = position(&open);
    assert_eq!(claim.value(), 3);
    for (seek, answer) in [
        (Seek::End(2), Ok(6)),
        (Seek::Current(-1), Ok(5)),
        (Seek::Set(-1), Err(Errno::EINVAL)),
        (Seek::End(i64::MAX), Err(Errno::EINVAL)),
        (Seek::Current(-6), Err(Errno::EINVAL)),
        (Seek::Data(1), Ok(1)),
        (Seek::Hole(1), Ok(4)),
        (Seek::Data(4), Err(Errno::ENXIO)),
        (Seek::Hole(-1), Err(Errno::ENXIO)),
    ] {
        assert_eq!(claim.seek(seek), answer, "{seek:?}");
    }
    assert_eq!(Seek::new(9, 0), Err(Errno::EINVAL));
}

#[test]
fn appending_goes_to_the_end_whatever_the_position() {
    let tree = tree();
    let open = tree.open("/d/f", O_RDWR | O_APPEND).unwrap();
    let mut claim = position(&open);
    assert_eq!((claim.write(b"1"), claim.value()), (Ok(1), 5));
    claim.seek(Seek::Set(0)).unwrap();
    assert_eq!((claim.write(b"2"), claim.value()), (Ok(1), 6));
    drop(claim);
    assert_eq!(open.write_at(0, b"3"), Ok(1));
    assert_eq!(open.status(), O_RDWR | O_APPEND | O_LARGEFILE);
    open.set_status(O_NONBLOCK | O_RDONLY | O_CREAT | O_SYNC);
    assert_eq!(
        (open.status(), open.flags()),
        (O_RDWR | O_NONBLOCK | O_LARGEFILE, StatusFlags::NONBLOCK | StatusFlags::LARGEFILE)
    );
    assert_eq!(open.write_at(0, b"T"), Ok(1));
    assert_eq!(tree.read("/d/f").unwrap(), b"Text123");
}

#[test]
fn descriptions_do_only_what_they_were_opened_for() {
    let tree = tree();
    let (reading, writing) = (tree.open("/d/f", O_RDONLY).unwrap(), tree.open("/d/f", O_WRONLY).unwrap());
    assert_eq!(reading.write_at(0, b"x"), Err(Errno::EBADF));
    assert_eq!(writing.read_at(0, &mut [0]), Err(Errno::EBADF));
    assert_eq!(reading.truncate(0), Err(Errno::EINVAL));
    assert_eq!(writing.read_at(u64::MAX, &mut [0]), Err(Errno::EBADF));
    assert_eq!(reading.read_at(u64::MAX, &mut [0]), Err(Errno::EINVAL));
    assert_eq!(reading.allocate(0, 0, 1), Err(Errno::EBADF));
    assert_eq!(writing.allocate(0, 0, 0), Err(Errno::EINVAL));
    assert_eq!(writing.allocate(0, u64::MAX, 1), Err(Errno::EFBIG));
    assert_eq!(writing.allocate(FALLOC_FL_COLLAPSE_RANGE, 0, 1), Err(Errno::EOPNOTSUPP));
    assert_eq!(writing.allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1, 2), Ok(()));
    assert_eq!(tree.read("/d/f").unwrap(), b"t\0\0t");
    assert_eq!(writing.allocate(0, 0, 6), Ok(()));
    assert_eq!(writing.truncate(5), Ok(()));
    assert_eq!(tree.read("/d/f").unwrap(), b"t\0\0t\0");
    let directory = tree.open("/d", O_RDONLY).unwrap();
    assert_eq!(directory.read_at(0, &mut [0]), Err(Errno::EISDIR));
    assert_eq!(position(&directory).read(&mut [0]), Err(Errno::EISDIR));
    assert_eq!(position(&reading).next_entry(), Err(Errno::ENOTDIR));
    let backing = writing.backing().unwrap();
    assert_eq!(backing.name().path, "/d/f");
    backing.page(0).unwrap().write(0, b"M");
    assert_eq!(tree.read("/d/f").unwrap(), b"M\0\0t\0");
    assert_eq!(directory.backing().err(), Some(Errno::ENODEV));
}

#[test]
fn a_mapping_of_what_was_open_for_writing_keeps_it_from_being_run() {
    let tree = tree();
    let writing = tree.open("/d/f", O_RDWR).unwrap();
    let cache = writing.place().inode().page_cache().unwrap();
    let run = || Running::begin(cache.clone());
    let backing = writing.backing().unwrap();
    let again = backing.clone();
    drop((writing, backing));
    assert_eq!(run().err(), Some(Errno::ETXTBSY));
    drop(again);
    let reading = tree.open("/d/f", O_RDONLY).unwrap().backing().unwrap();
    assert!(run().is_ok());
    drop(reading);
}

#[test]
fn entries_are_removed_and_renamed_by_the_manuals_rules() {
    let tree = tree();
    let caller = tree.caller();
    for (path, directory, error) in [
        ("/", false, Errno::EISDIR),
        ("/d/.", false, Errno::EISDIR),
        ("/d", false, Errno::EISDIR),
        ("/l/", false, Errno::ENOTDIR),
        ("/x", false, Errno::ENOENT),
        ("/", true, Errno::EBUSY),
        ("/d/.", true, Errno::EINVAL),
        ("/d/e/..", true, Errno::ENOTEMPTY),
        ("/d", true, Errno::ENOTEMPTY),
        ("/l", true, Errno::ENOTDIR),
        ("/d/f", true, Errno::ENOTDIR),
        ("/x", true, Errno::ENOENT),
    ] {
        let path = path.as_bytes();
        let result = if directory { caller.remove_directory(path) } else { caller.unlink(path) };
        assert_eq!(result, Err(error), "{} {directory}", path.escape_ascii());
    }
    let none = RenameFlags::empty();
    for (from, to, flags, error) in [
        ("/d", "/d/e/x", none, Errno::EINVAL),
        ("/d/e/.", "/x", none, Errno::EBUSY),
        ("/d/e", "/d/..", none, Errno::EBUSY),
        ("/d/e", "/d/.", RenameFlags::NOREPLACE, Errno::EEXIST),
        ("/d/f", "/x/", none, Errno::ENOTDIR),
        ("/l/", "/x", none, Errno::ENOTDIR),
        ("/d/f", "/d/e", none, Errno::EISDIR),
        ("/d/e", "/d/f", none, Errno::ENOTDIR),
        ("/d/e", "/d", none, Errno::ENOTEMPTY),
        ("/x", "/y", none, Errno::ENOENT),
        ("/l", "/d/f", RenameFlags::NOREPLACE, Errno::EEXIST),
        ("/l", "/x", RenameFlags::EXCHANGE, Errno::ENOENT),
        ("/d/e", "/d", RenameFlags::EXCHANGE, Errno::EINVAL),
        ("/l", "/x", RenameFlags::all(), Errno::EINVAL),
    ] {
        assert_eq!(caller.rename(from.as_bytes(), &caller, to.as_bytes(), flags), Err(error), "{from} {to}");
    }
    let f = caller.lookup(b"/d/f", Wanted::Object).unwrap();
    caller.link(&f, b"/g").unwrap();
    assert_eq!(caller.rename(b"/d/f", &caller, b"/g", none), Ok(()), "two names of one file stay two");
    assert_eq!(attributes(&f).links, 2);
    assert_eq!(caller.rename(b"/d/e", &caller, b"/new/", none), Ok(()));
    assert_eq!(caller.link(&tree.root, b"/r"), Err(Errno::EPERM));
    assert_eq!(caller.link(&f, b"/g"), Err(Errno::EEXIST));
    assert_eq!(caller.make_directory(b"/made/", 0o755).map(drop), Ok(()));
    assert_eq!(caller.make_symlink(b"", b"/s").err(), Some(Errno::ENOENT));
    assert_eq!(caller.make_symlink(b"x", b"/s/").err(), Some(Errno::ENOENT));
}

#[test]
fn locks_go_with_the_description_that_has_them() {
    static LOCKS: FileLocks = FileLocks::new();
    let tree = tree();
    let (one, other) = (tree.open("/d/f", O_RDWR).unwrap(), tree.open("/d/f", O_RDONLY).unwrap());
    let exclusive = Some(LockKind::Exclusive);
    assert_eq!(one.lock_whole(&LOCKS, exclusive), Ok(()));
    assert_eq!(one.lock_range(&LOCKS, None, LockRange::ALL, exclusive), Ok(()));
    assert_eq!(one.lock_range(&LOCKS, Some(1), LockRange::ALL, exclusive), Err(Errno::EAGAIN));
    assert_eq!(other.lock_whole(&LOCKS, exclusive), Err(Errno::EAGAIN));
    assert_eq!(other.lock_range(&LOCKS, None, LockRange::ALL, exclusive), Err(Errno::EBADF));
    assert_eq!(other.lock_range(&LOCKS, None, LockRange::ALL, Some(LockKind::Shared)), Err(Errno::EAGAIN));
    drop(one);
    assert_eq!(other.lock_whole(&LOCKS, exclusive), Ok(()));
    assert_eq!(other.lock_range(&LOCKS, None, LockRange::ALL, Some(LockKind::Shared)), Ok(()));
}
