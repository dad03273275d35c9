//! Advisory locks: flock(2) and those of fcntl(2).

use crate::calls::{close, create, exited, in_child, open, pause_ms, status_of};
use crate::{fails, is, ok, raw, sys, tests};
use libc::*;

tests![
    flock_excludes_other_open_files,
    flock_belongs_to_the_open_file,
    record_locks_exclude_other_processes,
    record_locks_split_and_merge,
    record_locks_end_with_any_close,
    record_locks_are_waited_for,
    deadlocks_of_record_locks_are_found,
    locks_of_open_files_exclude_within_a_process,
];

fn record(kind: i32, start: i64, length: i64) -> flock {
    flock { l_type: kind as i16, l_whence: SEEK_SET as i16, l_start: start, l_len: length, l_pid: 0 }
}

fn flock_excludes_other_open_files() {
    let file = create("file");
    let other = open("file", O_RDONLY);
    ok!(SYS_flock, file, LOCK_EX);
    fails!(EAGAIN, SYS_flock, other, LOCK_EX | LOCK_NB);
    fails!(EAGAIN, SYS_flock, other, LOCK_SH | LOCK_NB);
    ok!(SYS_flock, file, LOCK_SH);
    ok!(SYS_flock, other, LOCK_SH | LOCK_NB);
    fails!(EAGAIN, SYS_flock, file, LOCK_EX | LOCK_NB);
    ok!(SYS_flock, other, LOCK_UN);
    ok!(SYS_flock, other, LOCK_UN);
    fails!(EINVAL, SYS_flock, file, 0);
    fails!(EBADF, SYS_flock, 150, LOCK_EX);
}

fn flock_belongs_to_the_open_file() {
    let file = create("file");
    let twin = ok!(SYS_dup, file) as i32;
    ok!(SYS_flock, file, LOCK_EX);
    ok!(SYS_flock, twin, LOCK_EX | LOCK_NB);
    close(file);
    let other = open("file", O_RDONLY);
    fails!(EAGAIN, SYS_flock, other, LOCK_EX | LOCK_NB);
    close(twin);
    ok!(SYS_flock, other, LOCK_EX | LOCK_NB);
}

fn record_locks_exclude_other_processes() {
    let file = create("file");
    ok!(SYS_fcntl, file, F_SETLK, &record(F_WRLCK, 10, 10));
    // Its own locks are in nobody's way.
    ok!(SYS_fcntl, file, F_SETLK, &record(F_WRLCK, 0, 100));
    ok!(SYS_fcntl, file, F_SETLK, &record(F_UNLCK, 0, 10));
    ok!(SYS_fcntl, file, F_SETLK, &record(F_UNLCK, 20, 0));
    let parent = crate::calls::own_number();
    let status = in_child(|| {
        fails!(EAGAIN, SYS_fcntl, file, F_SETLK, &record(F_RDLCK, 15, 1));
        fails!(EAGAIN, SYS_fcntl, file, F_SETLK, &record(F_WRLCK, 0, 0));
        ok!(SYS_fcntl, file, F_SETLK, &record(F_WRLCK, 0, 10));
        ok!(SYS_fcntl, file, F_SETLK, &record(F_WRLCK, 20, 10));
        let mut found = record(F_RDLCK, 0, 0);
        ok!(SYS_fcntl, file, F_GETLK, &mut found);
        is!((i32::from(found.l_type), found.l_start, found.l_len, found.l_pid), (F_WRLCK, 10, 10, parent));
        0
    });
    is!(status, 0);
    let mut found = record(F_WRLCK, 0, 0);
    ok!(SYS_fcntl, file, F_GETLK, &mut found);
    is!(i32::from(found.l_type), F_UNLCK);
    let reader = open("file", O_RDONLY);
    fails!(EBADF, SYS_fcntl, reader, F_SETLK, &record(F_WRLCK, 0, 1));
    fails!(EINVAL, SYS_fcntl, file, F_SETLK, &record(99, 0, 1));
    fails!(EINVAL, SYS_fcntl, file, F_SETLK, &record(F_RDLCK, -5, 1));
}

fn record_locks_split_and_merge() {
    let file = create("file");
    ok!(SYS_fcntl, file, F_SETLK, &record(F_WRLCK, 0, 100));
    ok!(SYS_fcntl, file, F_SETLK, &record(F_UNLCK, 40, 20));
    ok!(SYS_fcntl, file, F_SETLK, &record(F_RDLCK, 70, 10));
    let look = |start| {
        let mut found = record(F_WRLCK, start, 0);
        ok!(SYS_fcntl, file, F_GETLK, &mut found);
        (i32::from(found.l_type), found.l_start, found.l_len)
    };
    let status = in_child(|| {
        is!(look(0), (F_WRLCK, 0, 40));
        is!(look(45), (F_WRLCK, 60, 10));
        is!(look(70), (F_RDLCK, 70, 10));
        is!(look(85), (F_WRLCK, 80, 20));
        is!(look(100).0, F_UNLCK);
        0
    });
    is!(status, 0);
    ok!(SYS_fcntl, file, F_SETLK, &record(F_WRLCK, 40, 45));
    is!(
        in_child(|| {
            is!(look(0), (F_WRLCK, 0, 100));
            0
        }),
        0
    );
}

fn record_locks_end_with_any_close() {
    let file = create("file");
    ok!(SYS_fcntl, file, F_SETLK, &record(F_WRLCK, 0, 0));
    close(open("file", O_RDONLY));
    is!(in_child(|| i32::from(sys!(SYS_fcntl, file, F_SETLK, &record(F_WRLCK, 0, 0)) != 0)), 0);
    // The child's lock ended with the child.
    ok!(SYS_fcntl, file, F_SETLK, &record(F_WRLCK, 0, 0));
}

fn record_locks_are_waited_for() {
    let file = create("file");
    ok!(SYS_fcntl, file, F_SETLK, &record(F_WRLCK, 0, 0));
    let child = raw::fork(|| {
        ok!(SYS_fcntl, file, F_SETLKW, &record(F_WRLCK, 0, 0));
        5
    });
    pause_ms(30);
    is!(sys!(SYS_wait4, child, 0, WNOHANG, 0), 0);
    ok!(SYS_fcntl, file, F_SETLK, &record(F_UNLCK, 0, 0));
    is!(status_of(child), exited(5));
}

fn deadlocks_of_record_locks_are_found() {
    let file = create("file");
    ok!(SYS_fcntl, file, F_SETLK, &record(F_WRLCK, 0, 1));
    let child = raw::fork(|| {
        ok!(SYS_fcntl, file, F_SETLK, &record(F_WRLCK, 1, 1));
        ok!(SYS_fcntl, file, F_SETLKW, &record(F_WRLCK, 0, 1));
        0
    });
    pause_ms(50);
    fails!(EDEADLK, SYS_fcntl, file, F_SETLKW, &record(F_WRLCK, 1, 1));
    ok!(SYS_fcntl, file, F_SETLK, &record(F_UNLCK, 0, 1));
    is!(status_of(child), 0);
}

fn locks_of_open_files_exclude_within_a_process() {
    let file = create("file");
    let other = open("file", O_RDWR);
    ok!(SYS_fcntl, file, F_OFD_SETLK, &record(F_WRLCK, 0, 10));
    fails!(EAGAIN, SYS_fcntl, other, F_OFD_SETLK, &record(F_WRLCK, 5, 1));
    ok!(SYS_fcntl, other, F_OFD_SETLK, &record(F_WRLCK, 10, 1));
    let mut found = record(F_WRLCK, 0, 0);
    ok!(SYS_fcntl, other, F_OFD_GETLK, &mut found);
    is!((i32::from(found.l_type), found.l_pid), (F_WRLCK, -1));
    let mut named = record(F_WRLCK, 0, 10);
    named.l_pid = 1;
    fails!(EINVAL, SYS_fcntl, other, F_OFD_SETLK, &named);
    close(file);
    ok!(SYS_fcntl, other, F_OFD_SETLK, &record(F_WRLCK, 5, 1));
}
