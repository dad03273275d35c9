//! Hard and symbolic links, attributes and times of files.

use crate::calls::{create, open, status, status_of_name, write};
use crate::{fails, holds, is, ok, raw, sys, tests};
use libc::*;
use std::ffi::CString;

tests![
    hard_links_are_the_same_file,
    directories_have_no_hard_links,
    symbolic_links_tell_their_text,
    symbolic_links_are_followed_but_not_for_ever,
    symbolic_links_lead_through_directories,
    times_are_set_as_asked,
    times_move_with_use,
    statx_tells_what_stat_tells,
    status_of_an_open_file_by_an_empty_path,
    modes_are_changed,
    a_device_is_what_it_is,
];

fn hard_links_are_the_same_file() {
    write(create("a"), b"text");
    ok!(SYS_link, c"a", c"b");
    let (a, b) = (status_of_name("a"), status_of_name("b"));
    is!(a.map(|status| (status.st_ino, status.st_nlink)), b.map(|status| (status.st_ino, 2)));
    ok!(SYS_unlink, c"a");
    is!(std::fs::read("b").ok(), Some(b"text".to_vec()));
    is!(status_of_name("b").map(|status| status.st_nlink), Some(1));
    create("c");
    fails!(EEXIST, SYS_link, c"b", c"c");
    fails!(ENOENT, SYS_link, c"missing", c"d");
    fails!(ENOENT, SYS_link, c"b", c"no/d");
    ok!(SYS_symlink, c"b", c"link");
    ok!(SYS_linkat, AT_FDCWD, c"link", AT_FDCWD, c"to-link", 0);
    is!(status_of_name("to-link").map(|status| status.st_mode & S_IFMT), Some(S_IFLNK));
    ok!(SYS_linkat, AT_FDCWD, c"link", AT_FDCWD, c"to-file", AT_SYMLINK_FOLLOW);
    is!(status_of_name("to-file").map(|status| status.st_mode & S_IFMT), Some(S_IFREG));
    fails!(EINVAL, SYS_linkat, AT_FDCWD, c"b", AT_FDCWD, c"e", 1);
    let file = open("b", O_RDONLY);
    if sys!(SYS_geteuid) == 0 {
        ok!(SYS_linkat, file, c"", AT_FDCWD, c"by-descriptor", AT_EMPTY_PATH);
    }
    fails!(ENOENT, SYS_linkat, file, c"", AT_FDCWD, c"f", 0);
}

fn directories_have_no_hard_links() {
    ok!(SYS_mkdir, c"folder", 0o755);
    fails!(EPERM, SYS_link, c"folder", c"other");
    fails!(EPERM, SYS_link, c".", c"other");
    fails!(EEXIST, SYS_link, c"folder", c"folder");
}

fn symbolic_links_tell_their_text() {
    ok!(SYS_symlink, c"some/where", c"link");
    let mut buffer = [b'!'; 20];
    is!(sys!(SYS_readlink, c"link", &mut buffer, 20), 10);
    is!(&buffer[..11], b"some/where!"[..].as_ref());
    is!(sys!(SYS_readlink, c"link", &mut buffer, 4), 4);
    fails!(EINVAL, SYS_readlink, c"link", &mut buffer, 0);
    fails!(EINVAL, SYS_readlink, c".", &mut buffer, 20);
    fails!(ENOENT, SYS_readlink, c"missing", &mut buffer, 20);
    fails!(ENOENT, SYS_readlink, c"", &mut buffer, 20);
    let status = status_of_name("link");
    is!(status.map(|status| (status.st_mode, status.st_size)), Some((S_IFLNK | 0o777, 10)));
    fails!(ENOENT, SYS_symlink, c"", c"other");
    fails!(EEXIST, SYS_symlink, c"x", c"link");
    let itself = ok!(SYS_open, c"link", O_PATH | O_NOFOLLOW);
    is!(sys!(SYS_readlinkat, itself, c"", &mut buffer, 20), 10);
}

fn symbolic_links_are_followed_but_not_for_ever() {
    ok!(SYS_symlink, c"loop", c"loop");
    fails!(ELOOP, SYS_open, c"loop", O_RDONLY);
    fails!(ELOOP, SYS_open, c"loop/below", O_RDONLY);
    fails!(ELOOP, SYS_chdir, c"loop");
    fails!(ELOOP, SYS_open, c"loop", O_RDONLY | O_CREAT, 0o644);
    create("link0");
    for number in 1..=41 {
        let (target, name) = (format!("link{}", number - 1), format!("link{number}"));
        let (target, name) = (CString::new(target).unwrap_or_default(), CString::new(name).unwrap_or_default());
        ok!(SYS_symlink, target.as_c_str(), name.as_c_str());
    }
    ok!(SYS_open, c"link40", O_RDONLY);
    fails!(ELOOP, SYS_open, c"link41", O_RDONLY);
    ok!(SYS_unlink, c"loop");
}

fn symbolic_links_lead_through_directories() {
    ok!(SYS_mkdir, c"a", 0o755);
    ok!(SYS_mkdir, c"a/b", 0o755);
    write(create("a/file"), b"one");
    ok!(SYS_symlink, c"../file", c"a/b/up");
    ok!(SYS_symlink, c"a/b", c"down");
    is!(std::fs::read("down/up").ok(), Some(b"one".to_vec()));
    is!(std::fs::read("down/../file").ok(), Some(b"one".to_vec()));
    ok!(SYS_symlink, c"/", c"root");
    is!(status_of_name("root/").map(|status| status.st_ino), status_of_name("/").map(|status| status.st_ino));
    ok!(SYS_symlink, c"a/file", c"to-file");
    fails!(ENOTDIR, SYS_open, c"to-file/", O_RDONLY);
    ok!(SYS_symlink, c"a/new", c"to-new");
    ok!(SYS_open, c"to-new", O_CREAT | O_RDWR, 0o644);
    holds!(status_of_name("a/new").is_some());
    fails!(ENOTDIR, SYS_open, c"down", O_NOFOLLOW | O_DIRECTORY);
    ok!(SYS_open, c"down/", O_NOFOLLOW | O_DIRECTORY);
}

fn times_are_set_as_asked() {
    let file = create("file");
    let at = |seconds, nanoseconds| timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    ok!(SYS_utimensat, AT_FDCWD, c"file", &[at(1000, 5), at(2000, 999_999_999)], 0);
    let found = status(file);
    is!((found.st_atime, found.st_atime_nsec, found.st_mtime, found.st_mtime_nsec), (1000, 5, 2000, 999_999_999));
    ok!(SYS_utimensat, file, 0, &[at(0, UTIME_OMIT), at(3000, 0)], 0);
    is!((status(file).st_atime, status(file).st_mtime), (1000, 3000));
    ok!(SYS_utimensat, file, 0, &[at(0, UTIME_NOW), at(0, UTIME_OMIT)], 0);
    holds!(status(file).st_atime > 3000);
    is!(status(file).st_mtime, 3000);
    ok!(SYS_utimensat, file, 0, 0, 0);
    holds!(status(file).st_mtime > 3000);
    ok!(SYS_symlink, c"file", c"link");
    ok!(SYS_utimensat, AT_FDCWD, c"link", &[at(7, 0), at(7, 0)], AT_SYMLINK_NOFOLLOW);
    is!(status_of_name("link").map(|status| status.st_mtime), Some(7));
    holds!(status(file).st_mtime > 3000);
    fails!(EINVAL, SYS_utimensat, AT_FDCWD, c"file", &[at(0, 1_000_000_000), at(0, 0)], 0);
    fails!(EINVAL, SYS_utimensat, AT_FDCWD, c"file", &[at(0, -1), at(0, 0)], 0);
    fails!(ENOENT, SYS_utimensat, AT_FDCWD, c"missing", 0, 0);
    fails!(EINVAL, SYS_utimensat, AT_FDCWD, c"file", 0, 1);
    fails!(EBADF, SYS_utimensat, 150, 0, 0, 0);
}

fn times_move_with_use() {
    let file = create("file");
    let old = [timespec { tv_sec: 1000, tv_nsec: 0 }; 2];
    ok!(SYS_utimensat, file, 0, &old, 0);
    write(file, b"x");
    holds!(status(file).st_mtime > 1000 && status(file).st_ctime > 1000);
    ok!(SYS_utimensat, file, 0, &old, 0);
    ok!(SYS_ftruncate, file, 1);
    holds!(status(file).st_mtime > 1000);
    ok!(SYS_utimensat, file, 0, &old, 0);
    ok!(SYS_fchmod, file, 0o600);
    is!(status(file).st_mtime, 1000);
    let folder = open(".", O_RDONLY);
    ok!(SYS_utimensat, folder, 0, &old, 0);
    create("other");
    holds!(status(folder).st_mtime > 1000);
    ok!(SYS_utimensat, folder, 0, &old, 0);
    write(file, b"x");
    is!(status(folder).st_mtime, 1000);
    ok!(SYS_unlink, c"other");
    holds!(status(folder).st_mtime > 1000);
}

fn statx_tells_what_stat_tells() {
    let file = create("file");
    write(file, b"text");
    let plain = status(file);
    let mut full: statx = raw::zeroed();
    ok!(SYS_statx, AT_FDCWD, c"file", 0, STATX_BASIC_STATS, &mut full);
    is!(full.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    is!((u64::from(full.stx_nlink), full.stx_size, full.stx_ino), (plain.st_nlink, 4, plain.st_ino));
    is!(u32::from(full.stx_mode), plain.st_mode);
    is!(makedev(full.stx_dev_major, full.stx_dev_minor), plain.st_dev);
    is!(full.stx_mtime.tv_sec, plain.st_mtime);
    fails!(EINVAL, SYS_statx, AT_FDCWD, c"file", 0x4000_0000, STATX_BASIC_STATS, &mut full);
    fails!(EINVAL, SYS_statx, AT_FDCWD, c"file", 0, 1_u32 << 31, &mut full);
    fails!(EINVAL, SYS_statx, AT_FDCWD, c"file", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_SIZE, &mut full);
    fails!(ENOENT, SYS_statx, AT_FDCWD, c"missing", 0, STATX_SIZE, &mut full);
    fails!(ENOENT, SYS_statx, file, c"", 0, STATX_SIZE, &mut full);
    ok!(SYS_statx, file, c"", AT_EMPTY_PATH, STATX_SIZE, &mut full);
}

fn status_of_an_open_file_by_an_empty_path() {
    let file = create("file");
    let mut found: libc::stat = raw::zeroed();
    ok!(SYS_newfstatat, file, c"", &mut found, AT_EMPTY_PATH);
    is!(found.st_ino, status(file).st_ino);
    fails!(ENOENT, SYS_newfstatat, file, c"", &mut found, 0);
    fails!(EBADF, SYS_newfstatat, 150, c"", &mut found, AT_EMPTY_PATH);
    ok!(SYS_newfstatat, AT_FDCWD, c"", &mut found, AT_EMPTY_PATH);
    is!(found.st_mode & S_IFMT, S_IFDIR);
    fails!(ENOTDIR, SYS_newfstatat, file, c"below", &mut found, 0);
    fails!(EBADF, SYS_newfstatat, 150, c"below", &mut found, 0);
    ok!(SYS_newfstatat, 150, c"/", &mut found, 0);
    fails!(EINVAL, SYS_newfstatat, AT_FDCWD, c"file", &mut found, 0x4000_0000);
}

fn modes_are_changed() {
    let file = create("file");
    ok!(SYS_fchmod, file, 0o4751);
    is!(status(file).st_mode, S_IFREG | 0o4751);
    ok!(SYS_chmod, c"file", 0o100_600);
    is!(status(file).st_mode, S_IFREG | 0o600);
    ok!(SYS_symlink, c"file", c"link");
    ok!(SYS_chmod, c"link", 0o640);
    is!(status(file).st_mode & 0o7777, 0o640);
    fails!(ENOENT, SYS_chmod, c"missing", 0o600);
    fails!(EBADF, SYS_fchmod, 150, 0o600);
    ok!(SYS_faccessat, AT_FDCWD, c"file", R_OK | W_OK);
    fails!(EACCES, SYS_faccessat, AT_FDCWD, c"file", X_OK);
    fails!(ENOENT, SYS_access, c"missing", F_OK);
    fails!(EINVAL, SYS_access, c"file", 8);
    ok!(SYS_faccessat2, AT_FDCWD, c"file", R_OK, AT_EACCESS);
    fails!(EINVAL, SYS_faccessat2, AT_FDCWD, c"file", R_OK, 1);
}

fn a_device_is_what_it_is() {
    let null = open("/dev/null", O_RDWR);
    is!(status(null).st_mode & S_IFMT, S_IFCHR);
    is!(status(null).st_rdev, makedev(1, 3));
    is!(write(null, b"lost"), 4);
    is!(crate::calls::read(null, 10), b"");
    let zero = open("/dev/zero", O_RDWR);
    is!(crate::calls::read(zero, 10), [0; 10]);
    let full = open("/dev/full", O_RDWR);
    fails!(ENOSPC, SYS_write, full, c"x", 1);
    is!(crate::calls::read(full, 3), [0; 3]);
    let random = open("/dev/urandom", O_RDONLY);
    holds!(crate::calls::read(random, 32) != crate::calls::read(random, 32));
}
