//! Who may do what: other users, groups, the sticky bit, set-user-ID, root's own powers. For root to run.

use crate::calls::{as_user, create, in_child, open, status, status_of_name, write};
use crate::{fails, holds, is, ok, raw, sys, tests};
use libc::*;

tests![
    modes_bind_other_users,
    groups_count,
    directories_need_search_and_write,
    the_sticky_bit_protects_others_files,
    only_owners_change_modes,
    only_root_gives_files_away,
    writing_clears_set_user_id,
    new_files_take_the_group_of_such_directories,
    times_of_others_files,
    access_asks_for_the_real_user,
    root_needs_one_execute_bit,
    what_only_root_may_do,
    roots_are_changed,
    file_systems_are_mounted_and_unmounted,
    mounts_are_moved,
    a_mount_may_forbid_writing,
    a_full_file_system_says_so,
];

const USER: u32 = 1234;
const OTHER: u32 = 4321;

/// A directory that everybody may reach and write to.
fn open_folder() {
    ok!(SYS_chmod, c".", 0o777);
}

fn modes_bind_other_users() {
    open_folder();
    create("none");
    ok!(SYS_chmod, c"none", 0o600);
    create("readable");
    ok!(SYS_chmod, c"readable", 0o604);
    create("mine");
    ok!(SYS_chown, c"mine", USER, USER);
    ok!(SYS_chmod, c"mine", 0o077);
    let status = as_user(USER, || {
        fails!(EACCES, SYS_open, c"none", O_RDONLY);
        ok!(SYS_open, c"readable", O_RDONLY);
        fails!(EACCES, SYS_open, c"readable", O_RDWR);
        fails!(EACCES, SYS_open, c"readable", O_RDONLY | O_TRUNC);
        // The owner's bits count for the owner, whatever others may.
        fails!(EACCES, SYS_open, c"mine", O_RDONLY);
        fails!(EACCES, SYS_truncate, c"readable", 0);
        fails!(EACCES, SYS_execve, c"readable", 0, 0);
        let file = create("new");
        is!((crate::calls::status(file).st_uid, crate::calls::status(file).st_gid), (USER, USER));
        // Permissions are asked for when a file is opened, not later.
        ok!(SYS_fchmod, file, 0);
        is!(write(file, b"x"), 1);
        fails!(EACCES, SYS_open, c"new", O_RDONLY);
    });
    is!(status, 0);
    is!(status_of_name("none").map(|status| status.st_uid), Some(0));
}

fn groups_count() {
    create("group");
    ok!(SYS_chown, c"group", OTHER, 77);
    ok!(SYS_chmod, c"group", 0o640);
    let status = in_child(|| {
        ok!(SYS_setgroups, 2, &[55_u32, 77]);
        ok!(SYS_setgid, USER);
        ok!(SYS_setuid, USER);
        ok!(SYS_open, c"group", O_RDONLY);
        fails!(EACCES, SYS_open, c"group", O_WRONLY);
        0
    });
    is!(status, 0);
    is!(as_user(USER, || fails!(EACCES, SYS_open, c"group", O_RDONLY)), 0);
    // Whom the group forbids, others' bits do not help.
    ok!(SYS_chmod, c"group", 0o606);
    is!(as_user(77, || fails!(EACCES, SYS_open, c"group", O_RDONLY)), 0);
}

fn directories_need_search_and_write() {
    ok!(SYS_mkdir, c"closed", 0o700);
    create("closed/file");
    ok!(SYS_mkdir, c"dark", 0o755);
    create("dark/file");
    ok!(SYS_chmod, c"dark", 0o711);
    ok!(SYS_mkdir, c"listed", 0o755);
    create("listed/file");
    ok!(SYS_chmod, c"listed", 0o744);
    let status = as_user(USER, || {
        fails!(EACCES, SYS_open, c"closed/file", O_RDONLY);
        fails!(EACCES, SYS_open, c"closed/missing", O_RDONLY);
        fails!(EACCES, SYS_open, c"closed", O_RDONLY);
        fails!(EACCES, SYS_chdir, c"closed");
        fails!(EACCES, SYS_open, c"dark", O_RDONLY);
        ok!(SYS_open, c"dark/file", O_RDONLY);
        ok!(SYS_open, c"dark", O_PATH);
        let listed = ok!(SYS_open, c"listed", O_RDONLY);
        holds!(ok!(SYS_getdents64, listed, &mut [0_u8; 512], 512) > 0);
        fails!(EACCES, SYS_open, c"listed/file", O_RDONLY);
        fails!(EACCES, SYS_fchdir, listed);
        fails!(EACCES, SYS_unlink, c"dark/file");
        fails!(EACCES, SYS_mkdir, c"dark/new", 0o755);
        fails!(EEXIST, SYS_mkdir, c"dark/file", 0o755);
        fails!(EACCES, SYS_symlink, c"x", c"dark/new");
        fails!(EACCES, SYS_rename, c"dark/file", c"dark/new");
        fails!(ENOENT, SYS_unlink, c"dark/missing");
    });
    is!(status, 0);
}

fn the_sticky_bit_protects_others_files() {
    ok!(SYS_mkdir, c"shared", 0o755);
    ok!(SYS_chmod, c"shared", 0o1777);
    is!(
        as_user(OTHER, || {
            create("shared/theirs");
            ok!(SYS_mkdir, c"shared/their-folder", 0o755);
        }),
        0
    );
    let status = as_user(USER, || {
        create("shared/mine");
        fails!(EPERM, SYS_unlink, c"shared/theirs");
        fails!(EPERM, SYS_rmdir, c"shared/their-folder");
        fails!(EPERM, SYS_rename, c"shared/theirs", c"shared/taken");
        fails!(EPERM, SYS_rename, c"shared/mine", c"shared/theirs");
        ok!(SYS_rename, c"shared/mine", c"shared/mine-still");
        ok!(SYS_unlink, c"shared/mine-still");
    });
    is!(status, 0);
    ok!(SYS_chown, c"shared", USER, USER);
    is!(
        as_user(USER, || {
            ok!(SYS_unlink, c"shared/theirs");
        }),
        0
    );
}

fn only_owners_change_modes() {
    open_folder();
    create("roots");
    create("mine");
    ok!(SYS_chown, c"mine", USER, OTHER);
    let status = as_user(USER, || {
        fails!(EPERM, SYS_chmod, c"roots", 0o777);
        ok!(SYS_chmod, c"mine", 0o755);
        // "If the calling process is not privileged, and the group of the file does not match, the S_ISGID bit will be turned off."
        ok!(SYS_chmod, c"mine", 0o2755);
        is!(status_of_name("mine").map(|status| status.st_mode & 0o7777), Some(0o755));
        let file = create("own");
        ok!(SYS_fchmod, file, 0o6755);
        is!(status(file).st_mode & 0o7777, 0o6755);
    });
    is!(status, 0);
}

fn only_root_gives_files_away() {
    open_folder();
    create("roots");
    ok!(SYS_chmod, c"roots", 0o6755);
    ok!(SYS_chown, c"roots", USER, -1);
    // Set-user-ID does not survive, for root neither.
    is!(
        status_of_name("roots").map(|status| (status.st_uid, status.st_gid, status.st_mode & 0o7777)),
        Some((USER, 0, 0o755))
    );
    let status = in_child(|| {
        ok!(SYS_setgroups, 1, &[88_u32]);
        ok!(SYS_setgid, USER);
        ok!(SYS_setuid, USER);
        let file = create("mine");
        fails!(EPERM, SYS_fchown, file, OTHER, -1);
        fails!(EPERM, SYS_fchown, file, -1, OTHER);
        ok!(SYS_fchown, file, -1, 88);
        ok!(SYS_fchown, file, USER, USER);
        ok!(SYS_fchown, file, -1, -1);
        0
    });
    is!(status, 0);
    ok!(SYS_symlink, c"roots", c"link");
    ok!(SYS_lchown, c"link", 5, 6);
    is!(status_of_name("link").map(|status| (status.st_uid, status.st_gid)), Some((5, 6)));
    ok!(SYS_fchownat, AT_FDCWD, c"link", 7, 8, AT_SYMLINK_NOFOLLOW);
    is!(status_of_name("link").map(|status| (status.st_uid, status.st_gid)), Some((7, 8)));
    ok!(SYS_chown, c"link", 9, 9);
    is!(status_of_name("roots").map(|status| (status.st_uid, status.st_gid)), Some((9, 9)));
}

fn writing_clears_set_user_id() {
    open_folder();
    let file = create("tool");
    ok!(SYS_fchmod, file, 0o6777);
    is!(
        as_user(USER, || {
            write(open("tool", O_WRONLY), b"x");
        }),
        0
    );
    is!(status(file).st_mode & 0o7777, 0o777);
}

fn new_files_take_the_group_of_such_directories() {
    ok!(SYS_mkdir, c"team", 0o755);
    ok!(SYS_chown, c"team", 0, 77);
    ok!(SYS_chmod, c"team", 0o2777);
    let status = as_user(USER, || {
        is!(status(create("team/file")).st_gid, 77);
        ok!(SYS_mkdir, c"team/folder", 0o755);
    });
    is!(status, 0);
    is!(status_of_name("team/folder").map(|status| (status.st_gid, status.st_mode & 0o7777)), Some((77, 0o2755)));
}

fn times_of_others_files() {
    create("writable");
    ok!(SYS_chmod, c"writable", 0o666);
    create("readable");
    let times = [timespec { tv_sec: 5, tv_nsec: 0 }; 2];
    let status = as_user(USER, || {
        ok!(SYS_utimensat, AT_FDCWD, c"writable", 0, 0);
        fails!(EPERM, SYS_utimensat, AT_FDCWD, c"writable", &times, 0);
        fails!(EACCES, SYS_utimensat, AT_FDCWD, c"readable", 0, 0);
        fails!(EPERM, SYS_utimensat, AT_FDCWD, c"readable", &times, 0);
    });
    is!(status, 0);
}

fn access_asks_for_the_real_user() {
    create("file");
    ok!(SYS_chmod, c"file", 0o600);
    let status = in_child(|| {
        ok!(SYS_setresuid, USER, 0, 0);
        fails!(EACCES, SYS_access, c"file", R_OK);
        ok!(SYS_access, c"file", F_OK);
        ok!(SYS_faccessat2, AT_FDCWD, c"file", R_OK, AT_EACCESS);
        ok!(SYS_open, c"file", O_RDONLY);
        0
    });
    is!(status, 0);
}

fn root_needs_one_execute_bit() {
    create("file");
    ok!(SYS_chmod, c"file", 0o644);
    fails!(EACCES, SYS_access, c"file", X_OK);
    fails!(EACCES, SYS_execve, c"file", 0, 0);
    ok!(SYS_chmod, c"file", 0o001);
    ok!(SYS_access, c"file", R_OK | W_OK | X_OK);
    ok!(SYS_mkdir, c"folder", 0);
    ok!(SYS_access, c"folder", X_OK | R_OK | W_OK);
    fails!(EACCES, SYS_execve, c"folder", 0, 0);
}

fn what_only_root_may_do() {
    open_folder();
    let status = as_user(USER, || {
        fails!(EPERM, SYS_chroot, c".");
        fails!(EPERM, SYS_mount, c"none", c".", c"tmpfs", 0, 0);
        fails!(EPERM, SYS_umount2, c"/", 0);
        fails!(EPERM, SYS_mknod, c"device", S_IFCHR | 0o600, makedev(1, 3));
        fails!(EPERM, SYS_sethostname, c"name", 4);
        fails!(EPERM, SYS_setdomainname, c"name", 4);
        fails!(EPERM, SYS_setuid, 0);
        fails!(EPERM, SYS_setgroups, 0, 0);
        fails!(EPERM, SYS_reboot, 0xfee1_dead_u32, 672_274_793, 0, 0);
        fails!(EPERM, SYS_clock_settime, CLOCK_REALTIME, &timespec { tv_sec: 1, tv_nsec: 0 });
        fails!(EPERM, SYS_kill, 1, SIGTERM);
        fails!(EPERM, SYS_kill, 1, 0);
        let mut limit: rlimit = raw::zeroed();
        ok!(SYS_getrlimit, RLIMIT_CORE, &mut limit);
        ok!(SYS_setrlimit, RLIMIT_CORE, &rlimit { rlim_cur: 0, rlim_max: 0 });
        fails!(EPERM, SYS_setrlimit, RLIMIT_CORE, &rlimit { rlim_cur: 0, rlim_max: 1 });
        fails!(EPERM, SYS_prlimit64, 1, RLIMIT_CORE, 0, &mut limit);
        ok!(SYS_setpriority, PRIO_PROCESS, 0, 5);
        fails!(EACCES, SYS_setpriority, PRIO_PROCESS, 0, 0);
    });
    is!(status, 0);
}

fn roots_are_changed() {
    ok!(SYS_mkdir, c"jail", 0o755);
    create("jail/inside");
    create("outside");
    let status = in_child(|| {
        ok!(SYS_chroot, c"jail");
        ok!(SYS_chdir, c"/");
        ok!(SYS_access, c"/inside", F_OK);
        fails!(ENOENT, SYS_access, c"/outside", F_OK);
        fails!(ENOENT, SYS_access, c"/../outside", F_OK);
        fails!(ENOENT, SYS_access, c"../outside", F_OK);
        let mut buffer = [0_u8; 100];
        is!(sys!(SYS_getcwd, &mut buffer, 100), 2);
        0
    });
    is!(status, 0);
    ok!(SYS_access, c"outside", F_OK);
    is!(
        in_child(|| {
            ok!(SYS_chroot, c"jail");
            // Whoever is outside sees that by the mark.
            let mut buffer = [0_u8; 4096];
            holds!(sys!(SYS_getcwd, &mut buffer, 4096) > 0);
            holds!(buffer.starts_with(b"(unreachable)"));
            0
        }),
        0
    );
    fails!(ENOTDIR, SYS_chroot, c"outside");
    fails!(ENOENT, SYS_chroot, c"missing");
}

/// Mounts a tmpfs on the folder `mounted`; false where this process may not.
fn mount_here(flags: u64, options: &std::ffi::CStr) -> bool {
    sys!(SYS_mkdir, c"mounted", 0o755);
    sys!(SYS_mount, c"none", c"mounted", c"tmpfs", flags, options) == 0
}

fn file_systems_are_mounted_and_unmounted() {
    ok!(SYS_mkdir, c"mounted", 0o755);
    create("mounted/below");
    if !mount_here(0, c"mode=750") {
        return;
    }
    fails!(ENOENT, SYS_access, c"mounted/below", F_OK);
    is!(status_of_name("mounted").map(|status| status.st_mode & 0o7777), Some(0o750));
    let file = create("mounted/file");
    holds!(status(file).st_dev != status_of_name(".").map_or(0, |status| status.st_dev));
    create("here");
    fails!(EXDEV, SYS_rename, c"here", c"mounted/here");
    fails!(EXDEV, SYS_link, c"here", c"mounted/here");
    fails!(EBUSY, SYS_rmdir, c"mounted");
    fails!(EBUSY, SYS_rename, c"mounted", c"elsewhere");
    fails!(EBUSY, SYS_umount2, c"mounted", 0);
    is!(status_of_name("mounted/..").map(|status| status.st_ino), status_of_name(".").map(|status| status.st_ino));
    crate::calls::close(file);
    ok!(SYS_umount2, c"mounted", 0);
    ok!(SYS_access, c"mounted/below", F_OK);
    fails!(EINVAL, SYS_umount2, c"mounted", 0);
    fails!(ENODEV, SYS_mount, c"none", c"mounted", c"no-such-kind", 0, 0);
    fails!(ENOENT, SYS_mount, c"none", c"missing", c"tmpfs", 0, 0);
    fails!(ENOTDIR, SYS_mount, c"none", c"here", c"tmpfs", 0, 0);
    if mount_here(0, c"") {
        let held = open("mounted", O_RDONLY);
        fails!(EBUSY, SYS_umount2, c"mounted", 0);
        ok!(SYS_umount2, c"mounted", MNT_DETACH);
        ok!(SYS_openat, held, c"still", O_CREAT | O_RDWR, 0o644);
    }
}

fn mounts_are_moved() {
    if !mount_here(0, c"") {
        return;
    }
    // Linux moves nothing from where others see it too.
    ok!(SYS_mount, c"none", c"mounted", 0, MS_PRIVATE, 0);
    for folder in [c"mounted/from", c"mounted/to"] {
        ok!(SYS_mkdir, folder, 0o755);
    }
    ok!(SYS_mount, c"none", c"mounted/from", c"tmpfs", 0, 0);
    ok!(SYS_mkdir, c"mounted/from/inside", 0o755);
    let held = open("mounted/from/inside", O_RDONLY);
    fails!(ELOOP, SYS_mount, c"mounted/from", c"mounted/from/inside", 0, MS_MOVE, 0);
    fails!(EINVAL, SYS_mount, c"mounted/to", c"mounted/from", 0, MS_MOVE, 0);
    fails!(ENOENT, SYS_mount, c"mounted/missing", c"mounted/from", 0, MS_MOVE, 0);
    fails!(EFAULT, SYS_mount, 8, c"mounted/from", 0, MS_MOVE, 0);
    crate::calls::close(create("mounted/file"));
    fails!(EINVAL, SYS_mount, c"mounted/from", c"mounted/file", 0, MS_MOVE, 0);
    ok!(SYS_mount, c"mounted/from", c"mounted/to", 0, MS_MOVE, 0);
    ok!(SYS_access, c"mounted/to/inside", F_OK);
    fails!(ENOENT, SYS_access, c"mounted/from/inside", F_OK);
    ok!(SYS_rmdir, c"mounted/from");
    fails!(EBUSY, SYS_rmdir, c"mounted/to");
    is!(status(held).st_ino, status_of_name("mounted/to/inside").map_or(0, |status| status.st_ino));
    crate::calls::close(held);
    ok!(SYS_umount2, c"mounted/to", 0);
    ok!(SYS_umount2, c"mounted", 0);
}

fn a_mount_may_forbid_writing() {
    if !mount_here(0, c"") {
        return;
    }
    crate::calls::close(create("mounted/file"));
    ok!(SYS_mount, c"none", c"mounted", c"tmpfs", MS_REMOUNT | MS_RDONLY, 0);
    fails!(EROFS, SYS_open, c"mounted/file", O_WRONLY);
    fails!(EROFS, SYS_open, c"mounted/new", O_CREAT | O_WRONLY, 0o644);
    fails!(EROFS, SYS_mkdir, c"mounted/new", 0o755);
    fails!(EROFS, SYS_unlink, c"mounted/file");
    fails!(EROFS, SYS_chmod, c"mounted/file", 0o600);
    fails!(EROFS, SYS_access, c"mounted/file", W_OK);
    ok!(SYS_open, c"mounted/file", O_RDONLY);
    ok!(SYS_umount2, c"mounted", MNT_DETACH);
}

fn a_full_file_system_says_so() {
    if !mount_here(0, c"size=64k") {
        return;
    }
    let file = create("mounted/file");
    let mut written = 0;
    loop {
        let count = write(file, &[7; 4096]);
        if count <= 0 {
            is!(count, -i64::from(ENOSPC));
            break;
        }
        written += count;
    }
    is!(written, 65_536);
    ok!(SYS_ftruncate, file, 0);
    is!(write(file, &[7; 4096]), 4096);
    let mut found: statfs = raw::zeroed();
    ok!(SYS_statfs, c"mounted", &mut found);
    is!(found.f_blocks as i64 * found.f_bsize as i64, 65_536);
    crate::calls::close(file);
    ok!(SYS_umount2, c"mounted", 0);
}
