//! Open files: flags, positions, reading and writing, sizes, holes, duplicates.

use crate::calls::{close, create, open, pipe, read, read_all, status, status_of_name, write};
use crate::{fails, holds, is, ok, raw, sys, tests};
use libc::*;

tests![
    opening_obeys_its_flags,
    the_lowest_free_descriptor_is_used,
    appending_goes_to_the_end_always,
    exclusive_creation_does_not_follow_links,
    files_without_a_name_can_get_one,
    truncating_and_growing_make_zeros,
    seeking_knows_holes_and_data,
    positions_move_as_asked,
    reading_at_an_offset_leaves_the_position,
    vectors_are_read_and_written_in_order,
    duplicates_share_the_position,
    close_on_exec_belongs_to_the_descriptor,
    flags_of_open_files_can_be_changed_in_part,
    ranges_of_descriptors_are_closed,
    access_modes_are_enforced,
    path_descriptors_only_name,
    directories_are_not_written,
    allocation_makes_room,
    sending_copies_between_files,
    a_deleted_file_lives_while_open,
    the_limit_of_descriptors_holds,
    a_file_may_not_be_larger_than_the_limit,
    copying_ranges_within_the_kernel,
    synchronisation_is_accepted,
];

fn opening_obeys_its_flags() {
    fails!(ENOENT, SYS_open, c"missing", O_RDONLY);
    let file = create("file");
    is!(write(file, b"hello"), 5);
    close(file);
    let again = ok!(SYS_open, c"file", O_RDONLY) as i32;
    is!(read(again, 10), b"hello");
    is!(read(again, 10), b"");
    close(again);
    let emptied = ok!(SYS_open, c"file", O_WRONLY | O_TRUNC) as i32;
    is!(status(emptied).st_size, 0);
    close(emptied);
    fails!(EEXIST, SYS_open, c"file", O_CREAT | O_EXCL | O_RDWR, 0o644);
    fails!(ENOTDIR, SYS_open, c"file", O_DIRECTORY);
    fails!(ENOTDIR, SYS_open, c"file/below", O_RDONLY);
    fails!(ENOENT, SYS_open, c"", O_RDONLY);
    fails!(ENOENT, SYS_open, c"no/file", O_CREAT | O_RDWR, 0o644);
    fails!(EISDIR, SYS_open, c".", O_RDWR);
    fails!(EISDIR, SYS_open, c".", O_WRONLY);
    let folder = ok!(SYS_open, c".", O_RDONLY | O_DIRECTORY) as i32;
    let inside = ok!(SYS_openat, folder, c"inside", O_CREAT | O_WRONLY, 0o600) as i32;
    is!(status(inside).st_mode, S_IFREG | 0o600);
    fails!(ENOTDIR, SYS_openat, inside, c"below", O_RDONLY);
    // A path from the root needs no directory.
    ok!(SYS_openat, -1, c"/", O_RDONLY);
    ok!(SYS_creat, c"created", 0o666);
    is!(status_of_name("created").map(|status| status.st_mode & 0o777), Some(0o644));
}

fn the_lowest_free_descriptor_is_used() {
    let first = create("a");
    let second = create("b");
    let third = create("c");
    is!((second, third), (first + 1, first + 2));
    close(second);
    is!(open("a", O_RDONLY), second);
    is!(sys!(SYS_dup, first), i64::from(third + 1));
    is!(sys!(SYS_fcntl, first, F_DUPFD, third + 3), i64::from(third + 3));
    is!(sys!(SYS_dup2, first, third + 7), i64::from(third + 7));
    is!(sys!(SYS_dup2, first, first), i64::from(first));
    fails!(EINVAL, SYS_dup3, first, first, 0);
    fails!(EBADF, SYS_dup2, first, -1);
    fails!(EBADF, SYS_dup2, 150, 151);
    fails!(EINVAL, SYS_dup3, first, third, O_APPEND);
    fails!(EINVAL, SYS_fcntl, first, F_DUPFD, -1);
}

fn appending_goes_to_the_end_always() {
    let file = open("file", O_CREAT | O_RDWR | O_APPEND);
    is!(write(file, b"one"), 3);
    ok!(SYS_lseek, file, 0, SEEK_SET);
    is!(write(file, b"two"), 3);
    is!(sys!(SYS_lseek, file, 0, SEEK_CUR), 6);
    let other = open("file", O_WRONLY | O_APPEND);
    is!(write(other, b"six"), 3);
    is!(write(file, b"nine"), 4);
    // "If a file is opened with O_APPEND, on Linux pwrite() appends data to the end of the file, regardless of the value of offset."
    is!(sys!(SYS_pwrite64, file, c"end", 3, 0), 3);
    ok!(SYS_lseek, file, 0, SEEK_SET);
    is!(read(file, 100), b"onetwosixnineend");
    ok!(SYS_fcntl, file, F_SETFL, 0);
    ok!(SYS_lseek, file, 0, SEEK_SET);
    is!(write(file, b"ONE"), 3);
    is!(status(file).st_size, 16);
}

fn exclusive_creation_does_not_follow_links() {
    ok!(SYS_symlink, c"target", c"link");
    fails!(EEXIST, SYS_open, c"link", O_CREAT | O_EXCL | O_RDWR, 0o644);
    fails!(ELOOP, SYS_open, c"link", O_CREAT | O_NOFOLLOW | O_RDWR, 0o644);
    ok!(SYS_open, c"link", O_CREAT | O_RDWR, 0o644);
    holds!(status_of_name("target").is_some());
    fails!(ELOOP, SYS_open, c"link", O_NOFOLLOW);
    let path = ok!(SYS_open, c"link", O_NOFOLLOW | O_PATH) as i32;
    is!(status(path).st_mode & S_IFMT, S_IFLNK);
}

fn files_without_a_name_can_get_one() {
    let file = ok!(SYS_open, c".", O_TMPFILE | O_RDWR, 0o640) as i32;
    is!(status(file).st_nlink, 0);
    is!(status(file).st_mode, S_IFREG | 0o640);
    is!(write(file, b"data"), 4);
    fails!(EINVAL, SYS_open, c".", O_TMPFILE | O_RDONLY, 0o640);
    fails!(ENOENT, SYS_open, c"missing", O_TMPFILE | O_RDWR, 0o640);
    let source = std::ffi::CString::new(format!("/proc/self/fd/{file}")).unwrap_or_default();
    ok!(SYS_linkat, AT_FDCWD, source.as_c_str(), AT_FDCWD, c"named", AT_SYMLINK_FOLLOW);
    is!(status(file).st_nlink, 1);
    is!(std::fs::read("named").ok(), Some(b"data".to_vec()));
}

fn truncating_and_growing_make_zeros() {
    let file = create("file");
    is!(write(file, b"0123456789"), 10);
    ok!(SYS_ftruncate, file, 4);
    is!(status(file).st_size, 4);
    ok!(SYS_ftruncate, file, 8);
    is!(raw_at(file, 0, 20), b"0123\0\0\0\0");
    ok!(SYS_truncate, c"file", 2);
    ok!(SYS_truncate, c"file", 5000);
    let all = raw_at(file, 0, 6000);
    is!(all.len(), 5000);
    is!(&all[..4], b"01\0\0");
    holds!(all[2..].iter().all(|&byte| byte == 0));
    // Behind the end, a write leaves zeros before itself.
    is!(sys!(SYS_pwrite64, file, c"x", 1, 9000), 1);
    is!(status(file).st_size, 9001);
    is!(raw_at(file, 8998, 10), b"\0\0x");
    fails!(EINVAL, SYS_ftruncate, file, -1);
    fails!(EINVAL, SYS_truncate, c"file", -1);
    fails!(ENOENT, SYS_truncate, c"missing", 0);
    fails!(EISDIR, SYS_truncate, c".", 0);
    let reader = open("file", O_RDONLY);
    fails!(EINVAL, SYS_ftruncate, reader, 0);
    let (input, output) = pipe(0);
    fails!(EINVAL, SYS_ftruncate, input, 0);
    fails!(EINVAL, SYS_ftruncate, output, 0);
    // The position stays where it was, and a write there makes a hole.
    is!(sys!(SYS_lseek, file, 0, SEEK_CUR), 10);
    ok!(SYS_ftruncate, file, 0);
    is!(write(file, b"!"), 1);
    is!(raw_at(file, 0, 20), b"\0\0\0\0\0\0\0\0\0\0!");
}

/// What is at an offset, by pread(2).
fn raw_at(file: i32, offset: i64, count: usize) -> Vec<u8> {
    let mut buffer = vec![0xff; count];
    let length = ok!(SYS_pread64, file, buffer.as_mut_ptr(), count, offset);
    buffer.truncate(length.max(0) as usize);
    buffer
}

fn seeking_knows_holes_and_data() {
    let file = create("file");
    const HOLE_BYTES: i64 = 1 << 20;
    is!(sys!(SYS_pwrite64, file, c"data", 4, HOLE_BYTES), 4);
    is!(sys!(SYS_lseek, file, 0, SEEK_DATA), HOLE_BYTES);
    is!(sys!(SYS_lseek, file, 0, SEEK_HOLE), 0);
    is!(sys!(SYS_lseek, file, HOLE_BYTES + 1, SEEK_DATA), HOLE_BYTES + 1);
    is!(sys!(SYS_lseek, file, HOLE_BYTES, SEEK_HOLE), HOLE_BYTES + 4);
    fails!(ENXIO, SYS_lseek, file, HOLE_BYTES + 4, SEEK_DATA);
    fails!(ENXIO, SYS_lseek, file, HOLE_BYTES + 4, SEEK_HOLE);
    holds!(status(file).st_blocks * 512 < HOLE_BYTES / 2);
    holds!(status(file).st_blocks > 0);
}

fn positions_move_as_asked() {
    let file = create("file");
    is!(write(file, b"0123456789"), 10);
    is!(sys!(SYS_lseek, file, 3, SEEK_SET), 3);
    is!(sys!(SYS_lseek, file, 2, SEEK_CUR), 5);
    is!(sys!(SYS_lseek, file, -1, SEEK_END), 9);
    is!(read(file, 5), b"9");
    is!(sys!(SYS_lseek, file, 100, SEEK_END), 110);
    is!(read(file, 5), b"");
    fails!(EINVAL, SYS_lseek, file, -1, SEEK_SET);
    fails!(EINVAL, SYS_lseek, file, -200, SEEK_CUR);
    fails!(EINVAL, SYS_lseek, file, 0, 9);
    is!(sys!(SYS_lseek, file, 0, SEEK_CUR), 110);
    let (input, _output) = pipe(0);
    fails!(ESPIPE, SYS_lseek, input, 0, SEEK_CUR);
    fails!(ESPIPE, SYS_pread64, input, &mut [0_u8; 4], 4, 0);
    fails!(EINVAL, SYS_pread64, file, &mut [0_u8; 4], 4, -1);
    fails!(EINVAL, SYS_pwrite64, file, &[0_u8; 4], 4, -1);
}

fn reading_at_an_offset_leaves_the_position() {
    let file = create("file");
    is!(write(file, b"0123456789"), 10);
    ok!(SYS_lseek, file, 2, SEEK_SET);
    is!(raw_at(file, 5, 3), b"567");
    is!(raw_at(file, 10, 3), b"");
    is!(raw_at(file, 1000, 3), b"");
    is!(sys!(SYS_pwrite64, file, c"AB", 2, 7), 2);
    is!(sys!(SYS_lseek, file, 0, SEEK_CUR), 2);
    is!(read(file, 100), b"23456AB9");
}

fn vectors_are_read_and_written_in_order() {
    let file = create("file");
    let (one, two) = (*b"one", *b"three");
    let mut parts = [part(&one), part(&[]), part(&two)];
    is!(sys!(SYS_writev, file, &parts, 3), 8);
    is!(sys!(SYS_pwritev, file, &parts, 3, 2, 0), 8);
    is!(raw_at(file, 0, 100), b"ononethree");
    let (mut first, mut second) = ([0_u8; 4], [0_u8; 20]);
    parts = [into(&mut first), into(&mut second), part(&[])];
    is!(sys!(SYS_preadv, file, &parts, 2, 1, 0), 9);
    is!((&first, &second[..5]), (b"none", &b"three"[..]));
    ok!(SYS_lseek, file, 0, SEEK_SET);
    is!(sys!(SYS_readv, file, &parts, 2), 10);
    is!(&second[..6], b"ethree"[..].as_ref());
    is!(sys!(SYS_readv, file, &parts, 0), 0);
    fails!(EINVAL, SYS_readv, file, &parts, 1025);
    fails!(EINVAL, SYS_readv, file, &parts, -1);
    let too_long = [iovec { iov_base: first.as_mut_ptr().cast(), iov_len: usize::MAX / 2 + 1 }];
    fails!(EINVAL, SYS_readv, file, &too_long, 1);
    fails!(EINVAL, SYS_preadv, file, &parts, 2, -1, -1);
}

/// A part of a vector to write.
fn part(bytes: &[u8]) -> iovec {
    iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

/// A part of a vector to read into.
fn into(bytes: &mut [u8]) -> iovec {
    iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() }
}

fn duplicates_share_the_position() {
    let file = create("file");
    write(file, b"0123456789");
    let twin = ok!(SYS_dup, file) as i32;
    ok!(SYS_lseek, file, 4, SEEK_SET);
    is!(read(twin, 2), b"45");
    is!(sys!(SYS_lseek, file, 0, SEEK_CUR), 6);
    ok!(SYS_fcntl, twin, F_SETFL, O_APPEND | O_NONBLOCK);
    is!(sys!(SYS_fcntl, file, F_GETFL) as i32 & (O_APPEND | O_NONBLOCK), O_APPEND | O_NONBLOCK);
    // A child has the same open files, with the same position.
    let child = raw::fork(|| i32::from(read(twin, 2) != b"67"));
    is!(crate::calls::status_of(child), 0);
    is!(sys!(SYS_lseek, file, 0, SEEK_CUR), 8);
    close(file);
    is!(read(twin, 2), b"89");
}

fn close_on_exec_belongs_to_the_descriptor() {
    let file = open("file", O_CREAT | O_RDWR | O_CLOEXEC);
    is!(sys!(SYS_fcntl, file, F_GETFD), i64::from(FD_CLOEXEC));
    let twin = ok!(SYS_dup, file);
    is!(sys!(SYS_fcntl, twin, F_GETFD), 0);
    ok!(SYS_fcntl, twin, F_SETFD, FD_CLOEXEC);
    is!(sys!(SYS_fcntl, twin, F_GETFD), i64::from(FD_CLOEXEC));
    let third = ok!(SYS_fcntl, file, F_DUPFD_CLOEXEC, 10);
    is!(sys!(SYS_fcntl, third, F_GETFD), i64::from(FD_CLOEXEC));
    let fourth = ok!(SYS_dup3, file, 20, O_CLOEXEC);
    is!(sys!(SYS_fcntl, fourth, F_GETFD), i64::from(FD_CLOEXEC));
    ok!(SYS_dup2, file, 20);
    is!(sys!(SYS_fcntl, 20, F_GETFD), 0);
    fails!(EINVAL, SYS_fcntl, file, 9999);
}

fn flags_of_open_files_can_be_changed_in_part() {
    let file = open("file", O_CREAT | O_RDWR | O_EXCL | O_NONBLOCK);
    let flags = ok!(SYS_fcntl, file, F_GETFL) as i32;
    is!(flags & O_ACCMODE, O_RDWR);
    is!(flags & (O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC), 0);
    is!(flags & O_NONBLOCK, O_NONBLOCK);
    // The access mode is not what can be changed.
    ok!(SYS_fcntl, file, F_SETFL, O_WRONLY | O_APPEND);
    let flags = ok!(SYS_fcntl, file, F_GETFL) as i32;
    is!(flags & (O_ACCMODE | O_APPEND | O_NONBLOCK), O_RDWR | O_APPEND);
    let path = open(".", O_PATH);
    is!(sys!(SYS_fcntl, path, F_GETFL) as i32 & O_PATH, O_PATH);
}

fn ranges_of_descriptors_are_closed() {
    let file = create("file");
    for descriptor in 30..40 {
        ok!(SYS_dup2, file, descriptor);
    }
    ok!(SYS_close_range, 32, 35, 0);
    for (descriptor, is_open) in [(31, true), (32, false), (35, false), (36, true)] {
        is!(sys!(SYS_fcntl, descriptor, F_GETFD) >= 0, is_open);
    }
    ok!(SYS_close_range, 36, 37, CLOSE_RANGE_CLOEXEC);
    is!(sys!(SYS_fcntl, 36, F_GETFD), i64::from(FD_CLOEXEC));
    is!(sys!(SYS_fcntl, 38, F_GETFD), 0);
    fails!(EINVAL, SYS_close_range, 40, 30, 0);
    fails!(EINVAL, SYS_close_range, 40, 41, 0x100);
    ok!(SYS_close_range, 1000, 2000, 0);
}

fn access_modes_are_enforced() {
    let file = create("file");
    write(file, b"text");
    let reader = open("file", O_RDONLY);
    let writer = open("file", O_WRONLY);
    fails!(EBADF, SYS_write, reader, c"x", 1);
    fails!(EBADF, SYS_read, writer, &mut [0_u8; 4], 4);
    fails!(EBADF, SYS_pwrite64, reader, c"x", 1, 0);
    fails!(EBADF, SYS_pread64, writer, &mut [0_u8; 4], 4, 0);
    is!(sys!(SYS_read, reader, &mut [0_u8; 4], 0), 0);
    is!(sys!(SYS_write, writer, c"", 0), 0);
    fails!(EISDIR, SYS_read, open(".", O_RDONLY), &mut [0_u8; 4], 4);
}

fn path_descriptors_only_name() {
    create("file");
    let path = ok!(SYS_open, c"file", O_PATH) as i32;
    fails!(EBADF, SYS_read, path, &mut [0_u8; 4], 4);
    fails!(EBADF, SYS_write, path, c"x", 1);
    fails!(EBADF, SYS_lseek, path, 0, SEEK_SET);
    fails!(EBADF, SYS_fchmod, path, 0o600);
    fails!(EBADF, SYS_fchown, path, -1, -1);
    fails!(EBADF, SYS_ftruncate, path, 0);
    fails!(EBADF, SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, path, 0);
    fails!(EBADF, SYS_ioctl, path, FIONREAD, 0);
    fails!(EBADF, SYS_flock, path, LOCK_EX);
    is!(status(path).st_mode & S_IFMT, S_IFREG);
    ok!(SYS_dup, path);
    let folder = ok!(SYS_open, c".", O_PATH | O_DIRECTORY);
    ok!(SYS_openat, folder, c"file", O_RDWR);
    fails!(EBADF, SYS_getdents64, folder, &mut [0_u8; 512], 512);
    ok!(SYS_fchdir, folder);
}

fn directories_are_not_written() {
    let folder = open(".", O_RDONLY);
    fails!(EBADF, SYS_write, folder, c"x", 1);
    fails!(EINVAL, SYS_ftruncate, folder, 0);
    fails!(ENODEV, SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, folder, 0);
    fails!(EISDIR, SYS_open, c".", O_CREAT | O_RDONLY, 0o644);
    fails!(EISDIR, SYS_open, c"new/", O_CREAT | O_RDWR, 0o644);
}

fn allocation_makes_room() {
    let file = create("file");
    ok!(SYS_fallocate, file, 0, 0, 10_000);
    is!(status(file).st_size, 10_000);
    holds!(status(file).st_blocks * 512 >= 10_000);
    ok!(SYS_fallocate, file, FALLOC_FL_KEEP_SIZE, 0, 20_000);
    is!(status(file).st_size, 10_000);
    write(file, &[1; 9000]);
    ok!(SYS_fallocate, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096);
    let all = raw_at(file, 0, 9000);
    is!((all[4095], all[4096], all[8191], all[8192]), (1, 0, 0, 1));
    fails!(EINVAL, SYS_fallocate, file, 0, -1, 10);
    fails!(EINVAL, SYS_fallocate, file, 0, 0, 0);
    fails!(EOPNOTSUPP, SYS_fallocate, file, FALLOC_FL_PUNCH_HOLE, 0, 4096);
    fails!(EBADF, SYS_fallocate, open("file", O_RDONLY), 0, 0, 10);
    fails!(ESPIPE, SYS_fallocate, pipe(0).1, 0, 0, 10);
    is!(sys!(SYS_fadvise64, file, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
    fails!(EINVAL, SYS_fadvise64, file, 0, 0, 99);
    fails!(ESPIPE, SYS_fadvise64, pipe(0).0, 0, 0, 0);
}

fn sending_copies_between_files() {
    let from = create("from");
    write(from, b"0123456789");
    let to = create("to");
    let mut offset = 2_i64;
    is!(sys!(SYS_sendfile, to, from, &mut offset, 5), 5);
    is!(offset, 7);
    is!(sys!(SYS_lseek, from, 0, SEEK_CUR), 10);
    ok!(SYS_lseek, from, 8, SEEK_SET);
    is!(sys!(SYS_sendfile, to, from, 0, 100), 2);
    is!(raw_at(to, 0, 100), b"2345689");
    let (input, output) = pipe(0);
    offset = 0;
    is!(sys!(SYS_sendfile, output, from, &mut offset, 3), 3);
    is!(read(input, 10), b"012");
    fails!(EBADF, SYS_sendfile, open("to", O_RDONLY), from, 0, 1);
    fails!(EBADF, SYS_sendfile, to, open("from", O_WRONLY), 0, 1);
}

fn a_deleted_file_lives_while_open() {
    let file = create("file");
    write(file, b"text");
    ok!(SYS_unlink, c"file");
    is!(status(file).st_nlink, 0);
    is!(raw_at(file, 0, 10), b"text");
    fails!(ENOENT, SYS_open, c"file", O_RDONLY);
    is!(write(file, b" more"), 5);
    ok!(SYS_lseek, file, 0, SEEK_SET);
    is!(read_all(file), b"text more");
    let new = create("file");
    holds!(status(new).st_ino != status(file).st_ino);
}

fn the_limit_of_descriptors_holds() {
    let file = create("file");
    let limit = rlimit { rlim_cur: 40, rlim_max: 40 };
    ok!(SYS_setrlimit, RLIMIT_NOFILE, &limit);
    while sys!(SYS_dup, file) >= 0 {}
    fails!(EMFILE, SYS_dup, file);
    fails!(EMFILE, SYS_open, c"file", O_RDONLY);
    fails!(EMFILE, SYS_pipe, &mut [0_i32; 2]);
    fails!(EINVAL, SYS_fcntl, file, F_DUPFD, 40);
    fails!(EBADF, SYS_dup2, file, 40);
    ok!(SYS_dup2, file, 39);
}

fn a_file_may_not_be_larger_than_the_limit() {
    raw::set_action(SIGXFSZ, SIG_IGN, 0, &[]);
    let file = create("file");
    ok!(SYS_setrlimit, RLIMIT_FSIZE, &rlimit { rlim_cur: 100, rlim_max: 100 });
    is!(write(file, &[1; 90]), 90);
    is!(write(file, &[1; 90]), 10);
    fails!(EFBIG, SYS_write, file, c"x", 1);
    fails!(EFBIG, SYS_ftruncate, file, 101);
    ok!(SYS_ftruncate, file, 100);
    let status = crate::calls::in_child(|| {
        raw::set_action(SIGXFSZ, SIG_DFL, 0, &[]);
        write(file, b"x");
        0
    });
    is!(status & 0x7f, SIGXFSZ);
}

fn copying_ranges_within_the_kernel() {
    let from = create("from");
    write(from, b"0123456789");
    let to = create("to");
    let (mut source, mut target) = (3_i64, 1_i64);
    is!(sys!(SYS_copy_file_range, from, &mut source, to, &mut target, 4, 0), 4);
    is!((source, target), (7, 5));
    is!(raw_at(to, 0, 100), b"\x003456");
    ok!(SYS_lseek, from, 0, SEEK_SET);
    is!(sys!(SYS_copy_file_range, from, 0, to, 0, 100, 0), 10);
    is!(raw_at(to, 0, 100), b"0123456789");
    fails!(EINVAL, SYS_copy_file_range, from, 0, to, 0, 1, 1);
    let (mut source, mut target) = (0_i64, 3_i64);
    fails!(EINVAL, SYS_copy_file_range, from, &mut source, from, &mut target, 4, 0);
    is!(sys!(SYS_copy_file_range, from, &mut source, from, &mut target, 3, 0), 3);
    is!(raw_at(from, 0, 100), b"0120126789");
    fails!(EBADF, SYS_copy_file_range, 150, 0, to, 0, 1, 0);
    fails!(EINVAL, SYS_copy_file_range, from, 0, pipe(0).1, 0, 1, 0);
}

fn synchronisation_is_accepted() {
    let file = create("file");
    ok!(SYS_fsync, file);
    ok!(SYS_fdatasync, file);
    ok!(SYS_sync);
    ok!(SYS_syncfs, file);
    let (input, _output) = pipe(0);
    fails!(EINVAL, SYS_fsync, input);
    fails!(EBADF, SYS_fsync, 150);
    fails!(EBADF, SYS_syncfs, 150);
}
