//! Directories and names: making, removing, renaming, listing, walking.

use crate::calls::{close, create, open, status, status_of_name, write};
use crate::{fails, holds, is, ok, raw, sys, tests};
use libc::*;
use std::ffi::CString;

tests![
    directories_are_made_and_removed,
    a_directory_counts_its_links,
    renaming_replaces_what_may_be_replaced,
    renaming_keeps_to_its_flags,
    renaming_a_directory_into_itself_fails,
    renaming_one_link_to_another_does_nothing,
    trailing_slashes_ask_for_directories,
    dots_are_not_removed,
    long_names_and_paths_are_refused,
    listing_tells_every_entry_once,
    listing_goes_on_where_it_was,
    listing_while_removing_misses_nothing_else,
    the_working_directory_is_told,
    a_removed_working_directory_has_no_name,
    umask_takes_permissions_away,
    nodes_of_each_kind_are_made,
    file_systems_describe_themselves,
    many_files_in_a_directory,
];

fn directories_are_made_and_removed() {
    ok!(SYS_mkdir, c"folder", 0o755);
    fails!(EEXIST, SYS_mkdir, c"folder", 0o755);
    fails!(EEXIST, SYS_mkdir, c".", 0o755);
    fails!(EEXIST, SYS_mkdir, c"/", 0o755);
    fails!(ENOENT, SYS_mkdir, c"no/folder", 0o755);
    fails!(ENOENT, SYS_mkdir, c"", 0o755);
    create("file");
    fails!(EEXIST, SYS_mkdir, c"file", 0o755);
    fails!(ENOTDIR, SYS_mkdir, c"file/folder", 0o755);
    fails!(ENOTDIR, SYS_rmdir, c"file");
    fails!(EISDIR, SYS_unlink, c"folder");
    fails!(ENOENT, SYS_unlink, c"missing");
    fails!(ENOENT, SYS_rmdir, c"missing");
    create("folder/file");
    fails!(ENOTEMPTY, SYS_rmdir, c"folder");
    fails!(ENOTEMPTY, SYS_unlinkat, AT_FDCWD, c"folder", AT_REMOVEDIR);
    fails!(EISDIR, SYS_unlinkat, AT_FDCWD, c"folder", 0);
    fails!(EINVAL, SYS_unlinkat, AT_FDCWD, c"folder", 1);
    ok!(SYS_unlink, c"folder/file");
    let folder = open("folder", O_RDONLY | O_DIRECTORY);
    ok!(SYS_rmdir, c"folder");
    fails!(ENOENT, SYS_openat, folder, c"new", O_CREAT | O_RDWR, 0o644);
    fails!(ENOENT, SYS_mkdirat, folder, c"new", 0o755);
    is!(status(folder).st_nlink, 0);
}

fn a_directory_counts_its_links() {
    ok!(SYS_mkdir, c"folder", 0o755);
    let links = || status_of_name("folder").map_or(0, |status| status.st_nlink);
    is!(links(), 2);
    ok!(SYS_mkdir, c"folder/one", 0o755);
    ok!(SYS_mkdir, c"folder/two", 0o755);
    create("folder/file");
    is!(links(), 4);
    ok!(SYS_rename, c"folder/two", c"two");
    is!(links(), 3);
    ok!(SYS_rmdir, c"folder/one");
    is!(links(), 2);
    is!(status_of_name("folder/..").map(|status| status.st_ino), status_of_name(".").map(|status| status.st_ino));
}

fn renaming_replaces_what_may_be_replaced() {
    write(create("a"), b"a");
    write(create("b"), b"b");
    let old = open("b", O_RDONLY);
    ok!(SYS_rename, c"a", c"b");
    is!(std::fs::read("b").ok(), Some(b"a".to_vec()));
    is!(status(old).st_nlink, 0);
    fails!(ENOENT, SYS_rename, c"a", c"b");
    ok!(SYS_mkdir, c"folder", 0o755);
    ok!(SYS_mkdir, c"other", 0o755);
    fails!(EISDIR, SYS_rename, c"b", c"folder");
    fails!(ENOTDIR, SYS_rename, c"folder", c"b");
    ok!(SYS_rename, c"folder", c"other");
    ok!(SYS_mkdir, c"full", 0o755);
    create("full/file");
    fails!(ENOTEMPTY, SYS_rename, c"other", c"full");
    ok!(SYS_rename, c"full", c"other");
    holds!(status_of_name("other/file").is_some());
    fails!(ENOENT, SYS_rename, c"b", c"no/b");
    fails!(ENOTDIR, SYS_rename, c"b", c"b/c");
    fails!(EBUSY, SYS_rename, c"other/.", c"x");
    fails!(EBUSY, SYS_rename, c"other", c".");
    fails!(EBUSY, SYS_rename, c"other/..", c"x");
}

fn renaming_keeps_to_its_flags() {
    write(create("a"), b"a");
    write(create("b"), b"b");
    fails!(EEXIST, SYS_renameat2, AT_FDCWD, c"a", AT_FDCWD, c"b", RENAME_NOREPLACE);
    ok!(SYS_renameat2, AT_FDCWD, c"a", AT_FDCWD, c"b", RENAME_EXCHANGE);
    is!(std::fs::read("a").ok(), Some(b"b".to_vec()));
    is!(std::fs::read("b").ok(), Some(b"a".to_vec()));
    ok!(SYS_mkdir, c"folder", 0o755);
    create("folder/inside");
    ok!(SYS_renameat2, AT_FDCWD, c"a", AT_FDCWD, c"folder", RENAME_EXCHANGE);
    holds!(status_of_name("a/inside").is_some());
    is!(std::fs::read("folder").ok(), Some(b"b".to_vec()));
    fails!(ENOENT, SYS_renameat2, AT_FDCWD, c"a", AT_FDCWD, c"missing", RENAME_EXCHANGE);
    fails!(EINVAL, SYS_renameat2, AT_FDCWD, c"a", AT_FDCWD, c"c", RENAME_EXCHANGE | RENAME_NOREPLACE);
    fails!(EINVAL, SYS_renameat2, AT_FDCWD, c"a", AT_FDCWD, c"c", 0x100);
    ok!(SYS_renameat2, AT_FDCWD, c"a", AT_FDCWD, c"c", RENAME_NOREPLACE);
}

fn renaming_a_directory_into_itself_fails() {
    ok!(SYS_mkdir, c"a", 0o755);
    ok!(SYS_mkdir, c"a/b", 0o755);
    fails!(EINVAL, SYS_rename, c"a", c"a/b/c");
    fails!(EINVAL, SYS_rename, c"a", c"a/c");
    fails!(ENOTEMPTY, SYS_rename, c"a/b", c"a");
    fails!(EINVAL, SYS_renameat2, AT_FDCWD, c"a", AT_FDCWD, c"a/b", RENAME_EXCHANGE);
    ok!(SYS_rename, c"a", c"a");
}

fn renaming_one_link_to_another_does_nothing() {
    create("a");
    ok!(SYS_link, c"a", c"b");
    ok!(SYS_rename, c"a", c"b");
    holds!(status_of_name("a").is_some());
    is!(status_of_name("b").map(|status| status.st_nlink), Some(2));
    ok!(SYS_rename, c"a", c"a");
}

fn trailing_slashes_ask_for_directories() {
    create("file");
    ok!(SYS_mkdir, c"folder/", 0o755);
    ok!(SYS_mkdir, c"other//", 0o755);
    fails!(ENOTDIR, SYS_open, c"file/", O_RDONLY);
    fails!(ENOTDIR, SYS_unlink, c"file/");
    fails!(ENOTDIR, SYS_newfstatat, AT_FDCWD, c"file/", &mut raw::zeroed::<libc::stat>(), 0);
    fails!(ENOENT, SYS_link, c"file", c"new/");
    fails!(ENOENT, SYS_symlink, c"file", c"new/");
    fails!(ENOTDIR, SYS_rename, c"file", c"new/");
    fails!(ENOTDIR, SYS_rename, c"file/", c"new");
    ok!(SYS_rename, c"folder/", c"renamed/");
    fails!(EISDIR, SYS_unlink, c"renamed/");
    fails!(ENOENT, SYS_mknod, c"node/", S_IFREG | 0o644, 0);
    ok!(SYS_rmdir, c"renamed/");
    ok!(SYS_symlink, c"other", c"link");
    fails!(ENOTDIR, SYS_rmdir, c"link");
    fails!(ENOTDIR, SYS_rmdir, c"link/");
    fails!(ENOTDIR, SYS_unlink, c"link/");
    ok!(SYS_symlink, c"made", c"dangling");
    fails!(EEXIST, SYS_mkdir, c"dangling", 0o755);
    fails!(EEXIST, SYS_mkdir, c"dangling/", 0o755);
}

fn dots_are_not_removed() {
    ok!(SYS_mkdir, c"folder", 0o755);
    fails!(EINVAL, SYS_rmdir, c"folder/.");
    fails!(ENOTEMPTY, SYS_rmdir, c"folder/..");
    fails!(EINVAL, SYS_rmdir, c".");
    fails!(EBUSY, SYS_rmdir, c"/");
    fails!(EISDIR, SYS_unlink, c"folder/.");
    fails!(EISDIR, SYS_unlink, c"folder/..");
    fails!(EISDIR, SYS_unlink, c"/");
    fails!(ENOENT, SYS_rmdir, c"");
}

fn long_names_and_paths_are_refused() {
    let name = |length: usize| CString::new(vec![b'n'; length]).unwrap_or_default();
    ok!(SYS_mkdir, name(255).as_c_str(), 0o755);
    fails!(ENAMETOOLONG, SYS_mkdir, name(256).as_c_str(), 0o755);
    fails!(ENAMETOOLONG, SYS_open, name(256).as_c_str(), O_RDONLY);
    fails!(ENAMETOOLONG, SYS_open, name(256).as_c_str(), O_CREAT | O_RDWR, 0o644);
    let path = |length: usize| {
        let mut path = "./".repeat(length / 2);
        path.truncate(length);
        CString::new(path).unwrap_or_default()
    };
    ok!(SYS_open, path(4095).as_c_str(), O_RDONLY);
    fails!(ENAMETOOLONG, SYS_open, path(4096).as_c_str(), O_RDONLY);
    fails!(ENAMETOOLONG, SYS_symlink, path(4096).as_c_str(), c"link");
    fails!(ENAMETOOLONG, SYS_chdir, path(5000).as_c_str());
}

/// All entries that getdents64(2) tells, with their types.
fn entries(folder: i32, buffer_bytes: usize) -> Vec<(String, u8)> {
    let mut found = Vec::new();
    loop {
        let mut buffer = vec![0_u8; buffer_bytes];
        let count = ok!(SYS_getdents64, folder, buffer.as_mut_ptr(), buffer_bytes);
        if count <= 0 {
            return found;
        }
        let mut rest = &buffer[..count as usize];
        while rest.len() > 19 {
            let length = usize::from(u16::from_le_bytes([rest[16], rest[17]]));
            let name = rest[19..length].split(|&byte| byte == 0).next().unwrap_or_default();
            found.push((String::from_utf8_lossy(name).into_owned(), rest[18]));
            rest = &rest[length..];
        }
    }
}

fn listing_tells_every_entry_once() {
    create("file");
    ok!(SYS_mkdir, c"folder", 0o755);
    ok!(SYS_symlink, c"x", c"link");
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o644, 0);
    let folder = open(".", O_RDONLY);
    let mut found = entries(folder, 1000);
    found.sort();
    let wanted =
        [(".", DT_DIR), ("..", DT_DIR), ("fifo", DT_FIFO), ("file", DT_REG), ("folder", DT_DIR), ("link", DT_LNK)];
    is!(found, wanted.map(|(name, kind)| (name.to_owned(), kind)));
    is!(entries(folder, 1000).len(), 0);
    ok!(SYS_lseek, folder, 0, SEEK_SET);
    is!(entries(folder, 64).len(), 6);
    ok!(SYS_lseek, folder, 0, SEEK_SET);
    fails!(EINVAL, SYS_getdents64, folder, &mut [0_u8; 8], 8);
    fails!(ENOTDIR, SYS_getdents64, create("file"), &mut [0_u8; 512], 512);
    is!(entries(open("folder", O_RDONLY), 512).len(), 2);
}

fn listing_goes_on_where_it_was() {
    for number in 0..20 {
        close(create(&format!("file{number}")));
    }
    let folder = open(".", O_RDONLY);
    let mut buffer = [0_u8; 100];
    let count = ok!(SYS_getdents64, folder, &mut buffer, buffer.len());
    holds!(count > 0);
    let position = ok!(SYS_lseek, folder, 0, SEEK_CUR);
    let rest = entries(folder, 100);
    ok!(SYS_lseek, folder, position, SEEK_SET);
    is!(entries(folder, 4096), rest);
}

fn listing_while_removing_misses_nothing_else() {
    const FILES: usize = 300;
    for number in 0..FILES {
        close(create(&format!("file{number}")));
    }
    let folder = open(".", O_RDONLY);
    let mut removed = 0;
    loop {
        let mut buffer = [0_u8; 256];
        let count = ok!(SYS_getdents64, folder, &mut buffer, buffer.len());
        if count <= 0 {
            break;
        }
        let mut rest = &buffer[..count as usize];
        while rest.len() > 19 {
            let length = usize::from(u16::from_le_bytes([rest[16], rest[17]]));
            if rest[18] == DT_REG {
                let name = rest[19..length].split(|&byte| byte == 0).next().unwrap_or_default();
                let name = CString::new(name).unwrap_or_default();
                ok!(SYS_unlink, name.as_c_str());
                removed += 1;
            }
            rest = &rest[length..];
        }
    }
    is!(removed, FILES);
    is!(entries(open(".", O_RDONLY), 512).len(), 2);
}

/// What getcwd(2) tells.
fn working_directory() -> String {
    let mut buffer = [0_u8; 4096];
    let length = ok!(SYS_getcwd, &mut buffer, buffer.len()).max(1) as usize;
    String::from_utf8_lossy(&buffer[..length - 1]).into_owned()
}

fn the_working_directory_is_told() {
    let here = working_directory();
    ok!(SYS_mkdir, c"folder", 0o755);
    ok!(SYS_symlink, c"folder", c"link");
    ok!(SYS_chdir, c"link");
    is!(working_directory(), format!("{here}/folder"));
    ok!(SYS_rename, c"../folder", c"../renamed");
    is!(working_directory(), format!("{here}/renamed"));
    let mut buffer = [0_u8; 4096];
    is!(sys!(SYS_getcwd, &mut buffer, buffer.len()), here.len() as i64 + 9);
    fails!(ERANGE, SYS_getcwd, &mut buffer, here.len());
    fails!(ERANGE, SYS_getcwd, &mut buffer, 0);
    ok!(SYS_chdir, c"..");
    is!(working_directory(), here);
    create("file");
    fails!(ENOTDIR, SYS_chdir, c"file");
    fails!(ENOENT, SYS_chdir, c"missing");
    fails!(ENOTDIR, SYS_fchdir, open("file", O_RDONLY));
    ok!(SYS_chdir, c"/");
    is!(working_directory(), "/");
    ok!(SYS_chdir, c"/..");
    is!(working_directory(), "/");
}

fn a_removed_working_directory_has_no_name() {
    ok!(SYS_mkdir, c"folder", 0o755);
    ok!(SYS_chdir, c"folder");
    ok!(SYS_rmdir, c"../folder");
    fails!(ENOENT, SYS_getcwd, &mut [0_u8; 4096], 4096);
    fails!(ENOENT, SYS_open, c"file", O_CREAT | O_RDWR, 0o644);
    ok!(SYS_open, c".", O_RDONLY);
    ok!(SYS_chdir, c"..");
}

fn umask_takes_permissions_away() {
    is!(sys!(SYS_umask, 0o077), 0o022);
    is!(sys!(SYS_umask, 0o7027), 0o077);
    is!(sys!(SYS_umask, 0o027), 0o027);
    ok!(SYS_open, c"file", O_CREAT | O_RDWR, 0o666);
    ok!(SYS_mkdir, c"folder", 0o777);
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o666, 0);
    let mode = |name: &str| status_of_name(name).map(|status| status.st_mode & 0o7777);
    is!((mode("file"), mode("folder"), mode("fifo")), (Some(0o640), Some(0o750), Some(0o640)));
    ok!(SYS_chmod, c"file", 0o666);
    is!(mode("file"), Some(0o666));
    ok!(SYS_mkdir, c"sticky", 0o1777);
    is!(mode("sticky"), Some(0o1750));
}

fn nodes_of_each_kind_are_made() {
    ok!(SYS_mknod, c"plain", 0o644, 0);
    is!(status_of_name("plain").map(|status| status.st_mode), Some(S_IFREG | 0o644));
    ok!(SYS_mknod, c"file", S_IFREG | 0o600, 0);
    is!(status_of_name("file").map(|status| status.st_mode), Some(S_IFREG | 0o600));
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o600, 0);
    is!(status_of_name("fifo").map(|status| status.st_mode), Some(S_IFIFO | 0o600));
    ok!(SYS_mknod, c"socket", S_IFSOCK | 0o600, 0);
    is!(status_of_name("socket").map(|status| status.st_mode), Some(S_IFSOCK | 0o600));
    fails!(EEXIST, SYS_mknod, c"file", S_IFREG | 0o600, 0);
    fails!(EPERM, SYS_mknod, c"folder", S_IFDIR | 0o755, 0);
    fails!(EINVAL, SYS_mknod, c"odd", 0o170_644, 0);
    fails!(ENXIO, SYS_open, c"socket", O_RDONLY);
}

fn file_systems_describe_themselves() {
    let mut here: statfs = raw::zeroed();
    ok!(SYS_statfs, c".", &mut here);
    holds!(here.f_bsize >= 512 && here.f_namelen == 255);
    let mut open_one: statfs = raw::zeroed();
    ok!(SYS_fstatfs, open(".", O_RDONLY), &mut open_one);
    is!(open_one.f_type, here.f_type);
    fails!(ENOENT, SYS_statfs, c"missing", &mut here);
    fails!(EBADF, SYS_fstatfs, 150, &mut here);
}

fn many_files_in_a_directory() {
    const FILES: usize = 1000;
    for number in 0..FILES {
        close(create(&format!("{number}")));
    }
    is!(entries(open(".", O_RDONLY), 8192).len(), FILES + 2);
    for number in (0..FILES).step_by(2) {
        ok!(SYS_unlink, CString::new(number.to_string()).unwrap_or_default().as_c_str());
    }
    let mut names: Vec<usize> =
        entries(open(".", O_RDONLY), 8192).iter().filter_map(|entry| entry.0.parse().ok()).collect();
    names.sort_unstable();
    holds!(names.iter().copied().eq((0..FILES).skip(1).step_by(2)));
}
