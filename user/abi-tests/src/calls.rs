//! What many tests do: short names for frequent steps.

use crate::{raw, sys};
use libc::{AT_FDCWD, O_CREAT, O_RDWR, O_TRUNC};
use std::ffi::CString;
use std::time::Duration;

/// Opens a new, empty file.
pub fn create(name: &str) -> i32 {
    open(name, O_CREAT | O_TRUNC | O_RDWR)
}

/// Opens a file; the mode of a new one is 644.
pub fn open(name: &str, flags: i32) -> i32 {
    let name = CString::new(name).expect("a name without NUL");
    sys!(SYS_openat, AT_FDCWD, name.as_c_str(), flags, 0o644) as i32
}

/// Closes a descriptor.
pub fn close(descriptor: i32) -> i64 {
    sys!(SYS_close, descriptor)
}

/// Writes all of `bytes` at once.
pub fn write(descriptor: i32, bytes: &[u8]) -> i64 {
    sys!(SYS_write, descriptor, bytes.as_ptr(), bytes.len())
}

/// What one read gives, of at most `count` bytes; nothing on errors.
pub fn read(descriptor: i32, count: usize) -> Vec<u8> {
    let mut buffer = vec![0; count];
    let length = sys!(SYS_read, descriptor, buffer.as_mut_ptr(), count);
    buffer.truncate(length.max(0) as usize);
    buffer
}

/// As much as a pipe's other end or an open file has, until its end.
pub fn read_all(descriptor: i32) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let part = read(descriptor, 4096);
        if part.is_empty() {
            return all;
        }
        all.extend(part);
    }
}

/// A pipe: its reading and its writing end.
pub fn pipe(flags: i32) -> (i32, i32) {
    let mut ends = [-1_i32; 2];
    sys!(SYS_pipe2, &mut ends, flags);
    (ends[0], ends[1])
}

/// The attributes of an open file.
pub fn status(descriptor: i32) -> libc::stat {
    let mut status: libc::stat = raw::zeroed();
    sys!(SYS_fstat, descriptor, &mut status);
    status
}

/// The attributes of a name, and of a symbolic link itself.
pub fn status_of_name(name: &str) -> Option<libc::stat> {
    let name = CString::new(name).expect("a name without NUL");
    let mut status: libc::stat = raw::zeroed();
    let result = sys!(SYS_newfstatat, AT_FDCWD, name.as_c_str(), &mut status, libc::AT_SYMLINK_NOFOLLOW);
    (result == 0).then_some(status)
}

/// Waits for a child and answers how it ended, as wait(2) tells.
pub fn status_of(child: i32) -> i32 {
    let mut status = -1_i32;
    while sys!(SYS_wait4, child, &mut status, 0, 0) == -i64::from(libc::EINTR) {}
    status
}

/// Runs something in a child and answers how that ended.
pub fn in_child(child: impl FnOnce() -> i32) -> i32 {
    status_of(raw::fork(child))
}

/// How wait(2) tells an exit code.
pub const fn exited(code: i32) -> i32 {
    code << 8
}

/// Runs something as another user, who has no rights of root, in a child.
pub fn as_user(user: u32, child: impl FnOnce()) -> i32 {
    in_child(|| {
        sys!(SYS_setgroups, 0, 0);
        sys!(SYS_setresgid, user, user, user);
        sys!(SYS_setresuid, user, user, user);
        child();
        0
    })
}

/// Anonymous memory of its own, readable and writable.
pub fn memory(bytes: usize) -> usize {
    sys!(SYS_mmap, 0, bytes, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
        as usize
}

/// Sleeps without regard for signals.
pub fn pause_ms(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// The process's number.
pub fn own_number() -> i32 {
    sys!(SYS_getpid) as i32
}

/// An address at which nothing is, and which no call accepts.
pub const NOWHERE: usize = 8;
