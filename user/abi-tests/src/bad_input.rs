//! What no program should pass, for call after call: the answer is an error, and nothing else happens.

use crate::calls::{NOWHERE, create, open, pipe};
use crate::report;
use crate::{fails, is, raw, sys, tests};
use libc::*;

tests![
    bad_addresses_of_names,
    bad_addresses_of_results,
    addresses_of_the_kernel,
    descriptors_that_are_not_open,
    unknown_flags,
    calls_that_there_are_not,
    names_without_an_end,
    lengths_beyond_reason,
];

/// Claims that each call fails with `error`.
macro_rules! all_fail {
    ($error:ident: $($name:ident($($argument:expr),*);)*) => {
        $(report::fails(line!(), stringify!($name), sys!($name $(, $argument)*), libc::$error);)*
    };
}

fn bad_addresses_of_names() {
    let bad = NOWHERE;
    all_fail! { EFAULT:
        SYS_open(bad, O_RDONLY);
        SYS_openat(AT_FDCWD, bad, O_RDONLY);
        SYS_creat(bad, 0o644);
        SYS_stat(bad, &mut raw::zeroed::<stat>());
        SYS_lstat(bad, &mut raw::zeroed::<stat>());
        SYS_access(bad, F_OK);
        SYS_chdir(bad);
        SYS_mkdir(bad, 0o755);
        SYS_rmdir(bad);
        SYS_unlink(bad);
        SYS_link(bad, c"x");
        SYS_link(c".", bad);
        SYS_symlink(bad, c"x");
        SYS_symlink(c"x", bad);
        SYS_readlink(bad, &mut [0_u8; 8], 8);
        SYS_rename(bad, c"x");
        SYS_rename(c".", bad);
        SYS_chmod(bad, 0);
        SYS_chown(bad, 0, 0);
        SYS_lchown(bad, 0, 0);
        SYS_truncate(bad, 0);
        SYS_statfs(bad, &mut raw::zeroed::<statfs>());
        SYS_mknod(bad, S_IFREG, 0);
        SYS_execve(bad, 0, 0);
        SYS_chroot(bad);
        SYS_utimensat(AT_FDCWD, bad, 0, 0);
        SYS_statx(AT_FDCWD, bad, 0, STATX_SIZE, &mut raw::zeroed::<statx>());
        SYS_faccessat(AT_FDCWD, bad, F_OK);
        SYS_renameat2(AT_FDCWD, bad, AT_FDCWD, c"x", 0);
        SYS_unlinkat(AT_FDCWD, bad, 0);
    }
}

fn bad_addresses_of_results() {
    let bad = NOWHERE;
    let file = create("file");
    sys!(SYS_write, file, c"text", 4);
    sys!(SYS_lseek, file, 0, SEEK_SET);
    let (input, output) = pipe(0);
    sys!(SYS_write, output, c"text", 4);
    sys!(SYS_symlink, c"x", c"link");
    let folder = open(".", O_RDONLY);
    all_fail! { EFAULT:
        SYS_read(file, bad, 4);
        SYS_write(file, bad, 4);
        SYS_pread64(file, bad, 4, 0);
        SYS_pwrite64(file, bad, 4, 0);
        SYS_read(input, bad, 4);
        SYS_write(output, bad, 4);
        SYS_readv(file, bad, 1);
        SYS_writev(file, bad, 1);
        SYS_preadv(file, bad, 1, 0, 0);
        SYS_fstat(file, bad);
        SYS_stat(c".", bad);
        SYS_lstat(c".", bad);
        SYS_newfstatat(AT_FDCWD, c".", bad, 0);
        SYS_statx(AT_FDCWD, c".", 0, STATX_SIZE, bad);
        SYS_statfs(c".", bad);
        SYS_fstatfs(file, bad);
        SYS_getdents64(folder, bad, 512);
        SYS_readlink(c"link", bad, 8);
        SYS_getcwd(bad, 4096);
        SYS_pipe(bad);
        SYS_poll(bad, 1, 0);
        SYS_getrlimit(RLIMIT_NOFILE, bad);
        SYS_setrlimit(RLIMIT_NOFILE, bad);
        SYS_getrusage(RUSAGE_SELF, bad);
        SYS_sysinfo(bad);
        SYS_times(bad);
        SYS_uname(bad);
        SYS_gettimeofday(bad, 0);
        SYS_clock_gettime(CLOCK_REALTIME, bad);
        SYS_clock_getres(CLOCK_REALTIME, bad);
        SYS_nanosleep(bad, 0);
        SYS_clock_nanosleep(CLOCK_MONOTONIC, 0, bad, 0);
        SYS_getitimer(ITIMER_REAL, bad);
        SYS_setitimer(ITIMER_REAL, bad, 0);
        SYS_getresuid(bad, bad, bad);
        SYS_getresgid(bad, bad, bad);
        SYS_rt_sigpending(bad, 8);
        SYS_rt_sigaction(SIGUSR1, bad, 0, 8);
        SYS_rt_sigprocmask(SIG_BLOCK, bad, 0, 8);
        SYS_rt_sigtimedwait(bad, 0, 0, 8);
        SYS_rt_sigsuspend(bad, 8);
        SYS_sigaltstack(bad, 0);
        SYS_sched_getaffinity(0, 128, bad);
        SYS_sched_getparam(0, bad);
        SYS_getrandom(bad, 16, 0);
        SYS_ioctl(input, FIONREAD, bad);
        SYS_fcntl(file, F_GETLK, bad);
        SYS_fcntl(file, F_SETLK, bad);
        SYS_utimensat(AT_FDCWD, c"file", bad, 0);
        SYS_mincore(raw::auxiliary(AT_PHDR) as usize & !0xfff, 4096, bad);
        SYS_futex(bad & !3, FUTEX_WAIT, 0, 0);
        SYS_prctl(PR_GET_NAME, bad);
        SYS_select(5, bad, 0, 0, 0);
        SYS_sendfile(file, file, bad, 4);
        SYS_getcpu(bad, 0, 0);
        SYS_time(bad);
        SYS_arch_prctl(0x1003, bad);
        SYS_capget(bad, bad);
    }
    if sys!(SYS_geteuid) == 0 {
        fails!(EFAULT, SYS_setgroups, 2, bad);
        fails!(EFAULT, SYS_sethostname, bad, 4);
    }
    let child = raw::fork(|| 0);
    fails!(EFAULT, SYS_wait4, child, bad, 0, 0);
}

fn addresses_of_the_kernel() {
    let file = create("file");
    for address in [
        0xffff_8000_0000_0000_usize,
        0xffff_ffff_8000_0000,
        usize::MAX - 15,
        1 << 47,
        (1 << 47) - 1,
        0x8000_0000_0000_0000,
    ] {
        for result in [
            sys!(SYS_write, file, address, 16),
            sys!(SYS_open, address, O_RDONLY),
            sys!(SYS_fstat, file, address),
            sys!(SYS_uname, address),
            sys!(SYS_clock_gettime, CLOCK_REALTIME, address),
            sys!(SYS_rt_sigprocmask, SIG_BLOCK, 0, address, 8),
            sys!(SYS_pipe2, address, 0),
            sys!(SYS_getrandom, address, 16, 0),
        ] {
            is!((address, result), (address, -i64::from(EFAULT)));
        }
    }
}

fn descriptors_that_are_not_open() {
    let mut buffer = [0_u8; 512];
    for bad in [150, -1, i32::MAX, i32::MIN] {
        all_fail! { EBADF:
            SYS_read(bad, &mut buffer, 4);
            SYS_write(bad, &buffer, 4);
            SYS_pread64(bad, &mut buffer, 4, 0);
            SYS_pwrite64(bad, &buffer, 4, 0);
            SYS_readv(bad, &buffer, 0);
            SYS_writev(bad, &buffer, 0);
            SYS_close(bad);
            SYS_fstat(bad, &mut raw::zeroed::<stat>());
            SYS_lseek(bad, 0, SEEK_CUR);
            SYS_dup(bad);
            SYS_dup2(bad, 60);
            SYS_dup3(bad, 60, 0);
            SYS_fcntl(bad, F_GETFD);
            SYS_ioctl(bad, FIONREAD, &mut buffer);
            SYS_ftruncate(bad, 0);
            SYS_fsync(bad);
            SYS_fdatasync(bad);
            SYS_fchmod(bad, 0o644);
            SYS_fchown(bad, -1, -1);
            SYS_fchdir(bad);
            SYS_getdents64(bad, &mut buffer, 512);
            SYS_flock(bad, LOCK_EX);
            SYS_fstatfs(bad, &mut raw::zeroed::<statfs>());
            SYS_sendfile(bad, 0, 0, 1);
            SYS_sendfile(1, bad, 0, 1);
            SYS_fallocate(bad, 0, 0, 1);
            SYS_fadvise64(bad, 0, 0, 0);
        }
    }
    for bad in [150, i32::MAX] {
        all_fail! { EBADF:
            SYS_openat(bad, c"x", O_RDONLY);
            SYS_mkdirat(bad, c"x", 0o755);
            SYS_unlinkat(bad, c"x", 0);
            SYS_renameat(bad, c"x", AT_FDCWD, c"y");
            SYS_symlinkat(c"x", bad, c"y");
            SYS_readlinkat(bad, c"x", &mut buffer, 8);
            SYS_fchmodat(bad, c"x", 0);
            SYS_fchownat(bad, c"x", 0, 0, 0);
            SYS_faccessat(bad, c"x", F_OK);
            SYS_utimensat(bad, c"x", 0, 0);
            SYS_mmap(0, 4096, PROT_READ, MAP_PRIVATE, bad, 0);
            SYS_execveat(bad, c"x", 0, 0, 0);
        }
    }
}

fn unknown_flags() {
    let file = create("file");
    all_fail! { EINVAL:
        SYS_pipe2(&mut [0_i32; 2], 1);
        SYS_dup3(file, 60, 1);
        SYS_unlinkat(AT_FDCWD, c"x", 1);
        SYS_linkat(AT_FDCWD, c"file", AT_FDCWD, c"y", 1);
        SYS_renameat2(AT_FDCWD, c"file", AT_FDCWD, c"y", 0x80);
        SYS_fchownat(AT_FDCWD, c"file", -1, -1, 1);
        SYS_faccessat2(AT_FDCWD, c"file", F_OK, 1);
        SYS_utimensat(AT_FDCWD, c"file", 0, 1);
        SYS_statx(AT_FDCWD, c"file", 1, STATX_SIZE, &mut raw::zeroed::<statx>());
        SYS_newfstatat(AT_FDCWD, c"file", &mut raw::zeroed::<stat>(), 1);
        SYS_msync(0, 4096, 0x80);
        SYS_mremap(0x10000, 4096, 4096, 0x80);
        SYS_getrandom(&mut [0_u8; 8], 8, 0x80);
        SYS_close_range(100, 101, 1);
        SYS_wait4(-1, 0, 0x100, 0);
        SYS_madvise(0x10000, 4096, 77);
        SYS_fadvise64(file, 0, 0, 77);
        SYS_flock(file, 77);
        SYS_access(c"file", 0o10);
        SYS_lseek(file, 0, 77);
        SYS_umount2(c".", 0x100);
        SYS_mlockall(0x80);
        SYS_sched_setscheduler(0, 77, &0);
        SYS_setpriority(77, 0, 0);
    }
    fails!(EINVAL, SYS_execveat, AT_FDCWD, c"file", 0, 0, 1);
    fails!(ENOTTY, SYS_ioctl, file, 0x7777, 0);
    fails!(ENOTTY, SYS_ioctl, file, TCGETS, &mut [0_u8; 64]);
}

fn calls_that_there_are_not() {
    for number in [1000, 5000, -1, i64::from(u32::MAX), 400] {
        is!((number, raw::call(number, &[])), (number, -i64::from(ENOSYS)));
    }
}

fn names_without_an_end() {
    // A name that runs into memory that is not there is no name, unless it is too long before that.
    let place = crate::calls::memory(3 * 4096);
    sys!(SYS_munmap, place + 2 * 4096, 4096);
    (place..place + 2 * 4096).for_each(|address| raw::write_byte(address, b'n'));
    fails!(EFAULT, SYS_open, place + 2 * 4096 - 10, O_RDONLY);
    fails!(ENAMETOOLONG, SYS_open, place, O_RDONLY);
    raw::write_byte(place + 2 * 4096 - 1, 0);
    fails!(ENOENT, SYS_open, place + 2 * 4096 - 10, O_RDONLY);
}

fn lengths_beyond_reason() {
    let file = create("file");
    fails!(EFAULT, SYS_write, file, NOWHERE, usize::MAX);
    fails!(EFAULT, SYS_write, file, NOWHERE, i64::MAX);
    fails!(EFAULT, SYS_getrandom, 1_usize << 47, i32::MAX, 0);
    fails!(EINVAL, SYS_munmap, 0x1000, usize::MAX);
    fails!(EINVAL, SYS_pwrite64, file, c"x", 1, i64::MAX);
    fails!(EINVAL, SYS_lseek, file, i64::MIN, SEEK_CUR);
    fails!(EINVAL, SYS_readlink, c".", &mut [0_u8; 8], -1);
    fails!(EINVAL, SYS_fallocate, file, 0, 0, -1);
    fails!(EFBIG, SYS_fallocate, file, 0, i64::MAX - 1, 100);
    fails!(EINVAL, SYS_poll, 0x1000, u32::MAX, 0);
    fails!(EINVAL, SYS_madvise, 0x1000, usize::MAX, MADV_DONTNEED);
}
