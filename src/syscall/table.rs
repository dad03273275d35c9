//! All system calls: number, name, and the handler with the types of its arguments.
//!
//! Numbers and names are Linux's for x86-64; see syscalls(2).

use super::arguments::{Argument, Fd, UserBuffer, UserPath, UserPtr};
use super::time::Clock;
use super::{
    Call, descriptors, directories, epoll, event_files, identity, kernel_log, memory, messages, metadata, poll,
    processes, signals, sockets, splice, system, threads, time, transfer,
};
use spin::Once;

/// A system call.
pub struct SystemCall {
    /// Its number, in RAX.
    pub number: u64,
    /// Its name.
    pub name: &'static str,
    /// How many arguments it takes, a pointer with its length as one or two.
    pub arguments: usize,
    /// Whether `EINVAL` is likely to mean a flag that is not known.
    pub has_flags: bool,
    /// Whether the thread ends with it.
    pub ends: bool,
    /// What does it.
    pub call: Call,
}

/// Numbers below this are looked up.
const NUMBERS: usize = 512;

/// The call of a number, if there is one.
pub fn find(number: u64) -> Option<&'static SystemCall> {
    let index = *BY_NUMBER.call_once(by_number).get(usize::try_from(number).ok()?)?;
    TABLE.get(usize::from(index).checked_sub(1)?)
}

/// For each number its place in the table and one, or 0.
static BY_NUMBER: Once<[u16; NUMBERS]> = Once::new();

fn by_number() -> [u16; NUMBERS] {
    let mut places = [0; NUMBERS];
    for (index, entry) in TABLE.iter().enumerate() {
        let place = usize::try_from(entry.number).ok().and_then(|number| places.get_mut(number));
        let place: &mut u16 = place.expect("numbers are below the limit");
        assert!(*place == 0, "each number is in the table once");
        // The table has fewer entries than there are numbers.
        *place = index as u16 + 1;
    }
    places
}

macro_rules! system_calls {
    ($($number:literal => $name:ident($($argument:ident: $type:ty),*) = $handler:expr;)*) => {
        static TABLE: &[SystemCall] = &[$(SystemCall {
            number: $number,
            name: stringify!($name),
            arguments: 0 $(+ registers_of(stringify!($type)))*,
            has_flags: false $(|| is_flags(stringify!($argument)))*,
            ends: matches!($number, 60 | 231),
            call: |current, _registers| {
                $(let $argument = <$type as Argument>::take(_registers)?;)*
                $handler(current $(, $argument)*)
            },
        },)*];
    };
}

system_calls! {
    0 => read(descriptor: Fd, buffer: UserBuffer) = transfer::read;
    1 => write(descriptor: Fd, buffer: UserBuffer) = transfer::write;
    2 => open(path: UserPath, flags: u32, mode: u32) = descriptors::open;
    3 => close(descriptor: Fd) = descriptors::close;
    4 => stat(path: UserPath, target: UserPtr<_>) = metadata::stat;
    5 => fstat(descriptor: Fd, target: UserPtr<_>) = metadata::fstat;
    6 => lstat(path: UserPath, target: UserPtr<_>) = metadata::lstat;
    7 => poll(entries: UserPtr<u64>, count: u32, milliseconds: i32) = poll::poll;
    8 => lseek(descriptor: Fd, offset: i64, whence: u32) = transfer::lseek;
    9 => mmap(address: u64, length: u64, protection: u32, flags: u32, descriptor: Fd, offset: u64) = memory::mmap;
    10 => mprotect(address: u64, length: u64, protection: u32) = memory::mprotect;
    11 => munmap(address: u64, length: u64) = memory::munmap;
    12 => brk(wanted: u64) = memory::brk;
    13 => rt_sigaction(signal: i32, new: UserPtr<_>, old: UserPtr<_>, set_bytes: usize) = signals::sigaction;
    14 => rt_sigprocmask(how: u32, new: UserPtr<u64>, old: UserPtr<u64>, set_bytes: usize) = signals::sigprocmask;
    15 => rt_sigreturn() = signals::sigreturn;
    16 => ioctl(descriptor: Fd, request: u32, argument: u64) = descriptors::ioctl;
    17 => pread64(descriptor: Fd, buffer: UserBuffer, offset: i64) = transfer::pread;
    18 => pwrite64(descriptor: Fd, buffer: UserBuffer, offset: i64) = transfer::pwrite;
    19 => readv(descriptor: Fd, buffers: UserPtr<u64>, count: usize) = transfer::readv;
    20 => writev(descriptor: Fd, buffers: UserPtr<u64>, count: usize) = transfer::writev;
    21 => access(path: UserPath, mode: u32) = metadata::access;
    22 => pipe(descriptors: UserPtr<_>) = descriptors::pipe;
    23 => select(count: i32, read: UserPtr<u64>, write: UserPtr<u64>, except: UserPtr<u64>, timeout: UserPtr<_>) = poll::select;
    24 => sched_yield() = threads::sched_yield;
    25 => mremap(start: u64, bytes: u64, new_bytes: u64, flags: u32, new: u64) = memory::mremap;
    26 => msync(start: u64, length: u64, flags: u32) = memory::msync;
    27 => mincore(start: u64, length: u64, target: UserPtr<u64>) = memory::mincore;
    28 => madvise(address: u64, length: u64, advice: u32) = memory::madvise;
    32 => dup(descriptor: Fd) = descriptors::dup;
    33 => dup2(from: Fd, to: Fd) = descriptors::dup2;
    34 => pause() = signals::pause;
    35 => nanosleep(time: UserPtr<_>, rest: UserPtr<_>) = time::nanosleep;
    36 => getitimer(which: u32, target: UserPtr<_>) = time::getitimer;
    37 => alarm(seconds: u32) = time::alarm;
    38 => setitimer(which: u32, new: UserPtr<_>, old: UserPtr<_>) = time::setitimer;
    39 => getpid() = processes::getpid;
    40 => sendfile(to: Fd, from: Fd, offset: UserPtr<u64>, count: usize) = transfer::sendfile;
    41 => socket(family: u32, kind: u32, protocol: u32) = sockets::socket;
    42 => connect(descriptor: Fd, address: u64, length: u32) = sockets::connect;
    43 => accept(descriptor: Fd, address: u64, length: UserPtr<i32>) = sockets::accept;
    44 => sendto(descriptor: Fd, buffer: UserBuffer, flags: u32, address: u64, length: u32) = messages::sendto;
    45 => recvfrom(descriptor: Fd, buffer: UserBuffer, flags: u32, address: u64, length: UserPtr<i32>) = messages::recvfrom;
    46 => sendmsg(descriptor: Fd, message: u64, flags: u32) = messages::sendmsg;
    47 => recvmsg(descriptor: Fd, message: u64, flags: u32) = messages::recvmsg;
    48 => shutdown(descriptor: Fd, how: u32) = sockets::shutdown;
    49 => bind(descriptor: Fd, address: u64, length: u32) = sockets::bind;
    50 => listen(descriptor: Fd, backlog: i32) = sockets::listen;
    51 => getsockname(descriptor: Fd, address: u64, length: UserPtr<i32>) = sockets::getsockname;
    52 => getpeername(descriptor: Fd, address: u64, length: UserPtr<i32>) = sockets::getpeername;
    53 => socketpair(family: u32, kind: u32, protocol: u32, descriptors: UserPtr<_>) = sockets::socketpair;
    54 => setsockopt(descriptor: Fd, level: u32, option: u32, value: u64, length: u32) = sockets::setsockopt;
    55 => getsockopt(descriptor: Fd, level: u32, option: u32, value: u64, length: UserPtr<i32>) = sockets::getsockopt;
    56 => clone(flags: u64, stack: u64, parent_tid: u64, child_tid: u64, tls: u64) = processes::clone;
    57 => fork() = processes::fork;
    58 => vfork() = processes::vfork;
    59 => execve(path: UserPath, arguments: u64, environment: u64) = processes::execve;
    60 => exit(status: u32) = processes::exit;
    61 => wait4(number: i32, status: UserPtr<u32>, options: u32, usage: UserPtr<_>) = processes::wait4;
    62 => kill(number: i32, signal: i32) = signals::kill;
    63 => uname(target: UserPtr<_>) = system::uname;
    72 => fcntl(descriptor: Fd, command: u32, argument: u64) = descriptors::fcntl;
    73 => flock(descriptor: Fd, operation: u32) = descriptors::flock;
    74 => fsync(descriptor: Fd) = metadata::fsync;
    75 => fdatasync(descriptor: Fd) = metadata::fsync;
    76 => truncate(path: UserPath, size: i64) = metadata::truncate;
    77 => ftruncate(descriptor: Fd, size: i64) = metadata::ftruncate;
    79 => getcwd(buffer: UserBuffer) = directories::getcwd;
    80 => chdir(path: UserPath) = directories::chdir;
    81 => fchdir(descriptor: Fd) = directories::fchdir;
    82 => rename(old: UserPath, new: UserPath) = directories::rename;
    83 => mkdir(path: UserPath, mode: u32) = directories::mkdir;
    84 => rmdir(path: UserPath) = directories::rmdir;
    85 => creat(path: UserPath, mode: u32) = descriptors::creat;
    86 => link(old: UserPath, new: UserPath) = directories::link;
    87 => unlink(path: UserPath) = directories::unlink;
    88 => symlink(text: UserPath, path: UserPath) = directories::symlink;
    89 => readlink(path: UserPath, buffer: UserBuffer) = directories::readlink;
    90 => chmod(path: UserPath, mode: u32) = metadata::chmod;
    91 => fchmod(descriptor: Fd, mode: u32) = metadata::fchmod;
    92 => chown(path: UserPath, user: u32, group: u32) = metadata::chown;
    93 => fchown(descriptor: Fd, user: u32, group: u32) = metadata::fchown;
    94 => lchown(path: UserPath, user: u32, group: u32) = metadata::lchown;
    95 => umask(mask: u32) = directories::umask;
    96 => gettimeofday(target: UserPtr<_>, zone: UserPtr<_>) = time::gettimeofday;
    97 => getrlimit(resource: u32, target: UserPtr<_>) = processes::getrlimit;
    98 => getrusage(who: i32, target: UserPtr<_>) = processes::getrusage;
    99 => sysinfo(target: UserPtr<_>) = system::sysinfo;
    100 => times(target: UserPtr<_>) = processes::times;
    102 => getuid() = identity::getuid;
    103 => syslog(command: u32, buffer: UserBuffer) = kernel_log::syslog;
    104 => getgid() = identity::getgid;
    105 => setuid(user: u32) = identity::setuid;
    106 => setgid(group: u32) = identity::setgid;
    107 => geteuid() = identity::geteuid;
    108 => getegid() = identity::getegid;
    109 => setpgid(number: i32, group: i32) = processes::setpgid;
    110 => getppid() = processes::getppid;
    111 => getpgrp() = processes::getpgrp;
    112 => setsid() = processes::setsid;
    113 => setreuid(real: u32, effective: u32) = identity::setreuid;
    114 => setregid(real: u32, effective: u32) = identity::setregid;
    115 => getgroups(count: i32, target: UserPtr<u32>) = identity::getgroups;
    116 => setgroups(count: usize, source: UserPtr<u32>) = identity::setgroups;
    117 => setresuid(real: u32, effective: u32, saved: u32) = identity::setresuid;
    118 => getresuid(real: UserPtr<u32>, effective: UserPtr<u32>, saved: UserPtr<u32>) = identity::getresuid;
    119 => setresgid(real: u32, effective: u32, saved: u32) = identity::setresgid;
    120 => getresgid(real: UserPtr<u32>, effective: UserPtr<u32>, saved: UserPtr<u32>) = identity::getresgid;
    121 => getpgid(number: i32) = processes::getpgid;
    122 => setfsuid(user: u32) = identity::setfsuid;
    123 => setfsgid(group: u32) = identity::setfsgid;
    124 => getsid(number: i32) = processes::getsid;
    125 => capget(header: UserPtr<_>, data: UserPtr<_>) = identity::capget;
    126 => capset(header: u64, data: u64) = identity::capset;
    127 => rt_sigpending(target: UserPtr<u64>, set_bytes: usize) = signals::sigpending;
    128 => rt_sigtimedwait(wanted: UserPtr<u64>, info: UserPtr<_>, timeout: UserPtr<_>, set_bytes: usize) = signals::sigtimedwait;
    129 => rt_sigqueueinfo(number: i32, signal: i32, info: UserPtr<_>) = signals::sigqueueinfo;
    130 => rt_sigsuspend(mask: UserPtr<u64>, set_bytes: usize) = signals::sigsuspend;
    131 => sigaltstack(new: UserPtr<_>, old: UserPtr<_>) = signals::sigaltstack;
    133 => mknod(path: UserPath, mode: u32, device: u64) = directories::mknod;
    135 => personality(wanted: u32) = system::personality;
    137 => statfs(path: UserPath, target: UserPtr<_>) = metadata::statfs;
    138 => fstatfs(descriptor: Fd, target: UserPtr<_>) = metadata::fstatfs;
    140 => getpriority(which: u32, who: i32) = threads::getpriority;
    141 => setpriority(which: u32, who: i32, priority: i32) = threads::setpriority;
    143 => sched_getparam(number: i32, target: UserPtr<u32>) = threads::sched_getparam;
    144 => sched_setscheduler(number: i32, policy: u32, priority: UserPtr<u32>) = threads::sched_setscheduler;
    145 => sched_getscheduler(number: i32) = threads::sched_getscheduler;
    146 => sched_get_priority_max(policy: u32) = threads::sched_priority_range::<true>;
    147 => sched_get_priority_min(policy: u32) = threads::sched_priority_range::<false>;
    149 => mlock(start: u64, length: u64) = memory::mlock;
    150 => munlock(start: u64, length: u64) = memory::munlock;
    151 => mlockall(flags: u32) = memory::mlockall;
    152 => munlockall() = memory::munlockall;
    157 => prctl(option: u32, first: u64, second: u64, third: u64, fourth: u64) = threads::prctl;
    158 => arch_prctl(code: u32, address: u64) = threads::arch_prctl;
    160 => setrlimit(resource: u32, new: UserPtr<_>) = processes::setrlimit;
    161 => chroot(path: UserPath) = directories::chroot;
    162 => sync() = metadata::sync;
    165 => mount(source: UserPtr<u64>, target: UserPath, kind: UserPtr<u64>, flags: u64, options: UserPtr<u64>) = directories::mount;
    166 => umount2(target: UserPath, flags: u32) = directories::umount;
    169 => reboot(first: u32, second: u32, command: u32, argument: u64) = system::reboot;
    170 => sethostname(name: UserBuffer) = system::sethostname;
    171 => setdomainname(name: UserBuffer) = system::setdomainname;
    186 => gettid() = processes::gettid;
    188 => setxattr() = metadata::no_attributes;
    189 => lsetxattr() = metadata::no_attributes;
    190 => fsetxattr() = metadata::no_attributes;
    191 => getxattr() = metadata::no_attributes;
    192 => lgetxattr() = metadata::no_attributes;
    193 => fgetxattr() = metadata::no_attributes;
    194 => listxattr() = metadata::no_attributes;
    195 => llistxattr() = metadata::no_attributes;
    196 => flistxattr() = metadata::no_attributes;
    200 => tkill(id: i32, signal: i32) = signals::tkill;
    201 => time(target: UserPtr<u64>) = time::time;
    202 => futex(address: u64, operation: u32, value: u32, timeout: u64, second: u64, third: u32) = threads::futex;
    203 => sched_setaffinity(number: i32, length: usize, address: u64) = threads::sched_setaffinity;
    204 => sched_getaffinity(number: i32, length: usize, address: u64) = threads::sched_getaffinity;
    213 => epoll_create(size: i32) = epoll::epoll_create;
    217 => getdents64(descriptor: Fd, buffer: UserBuffer) = directories::getdents64;
    218 => set_tid_address(address: u64) = threads::set_tid_address;
    219 => restart_syscall() = signals::restart;
    221 => fadvise64(descriptor: Fd, offset: i64, length: i64, advice: u32) = metadata::fadvise;
    227 => clock_settime(clock: Clock, time: u64) = time::clock_settime;
    228 => clock_gettime(clock: Clock, target: UserPtr<_>) = time::clock_gettime;
    229 => clock_getres(clock: i32, target: UserPtr<_>) = time::clock_getres;
    230 => clock_nanosleep(clock: Clock, flags: u32, time: UserPtr<_>, rest: UserPtr<_>) = time::clock_nanosleep;
    231 => exit_group(status: u32) = processes::exit_group;
    232 => epoll_wait(epoll: Fd, events: UserPtr<u64>, most: i32, milliseconds: i32) = epoll::epoll_wait;
    233 => epoll_ctl(epoll: Fd, operation: u32, descriptor: Fd, event: UserPtr<_>) = epoll::epoll_ctl;
    234 => tgkill(process: i32, id: i32, signal: i32) = signals::tgkill;
    247 => waitid(kind: u32, number: i32, info: UserPtr<_>, options: u32, usage: UserPtr<_>) = processes::waitid;
    257 => openat(directory: Fd, path: UserPath, flags: u32, mode: u32) = descriptors::openat;
    258 => mkdirat(directory: Fd, path: UserPath, mode: u32) = directories::mkdirat;
    259 => mknodat(directory: Fd, path: UserPath, mode: u32, device: u64) = directories::mknodat;
    260 => fchownat(directory: Fd, path: UserPath, user: u32, group: u32, flags: u32) = metadata::fchownat;
    262 => newfstatat(directory: Fd, path: UserPath, target: UserPtr<_>, flags: u32) = metadata::fstatat;
    263 => unlinkat(directory: Fd, path: UserPath, flags: u32) = directories::unlinkat;
    264 => renameat(from: Fd, old: UserPath, to: Fd, new: UserPath) = directories::renameat;
    265 => linkat(from: Fd, old: UserPath, to: Fd, new: UserPath, flags: u32) = directories::linkat;
    266 => symlinkat(text: UserPath, directory: Fd, path: UserPath) = directories::symlinkat;
    267 => readlinkat(directory: Fd, path: UserPath, buffer: UserBuffer) = directories::readlinkat;
    268 => fchmodat(directory: Fd, path: UserPath, mode: u32) = metadata::fchmodat;
    269 => faccessat(directory: Fd, path: UserPath, mode: u32) = metadata::faccessat;
    270 => pselect6(count: i32, read: UserPtr<u64>, write: UserPtr<u64>, except: UserPtr<u64>, timeout: UserPtr<_>, mask: UserPtr<_>) = poll::pselect6;
    271 => ppoll(entries: UserPtr<u64>, count: u32, timeout: UserPtr<_>, mask: UserPtr<u64>, mask_bytes: usize) = poll::ppoll;
    273 => set_robust_list(head: u64, bytes: usize) = threads::set_robust_list;
    274 => get_robust_list(number: i32, head: UserPtr<u64>, bytes: UserPtr<u64>) = threads::get_robust_list;
    275 => splice(from: Fd, offset: UserPtr<u64>, to: Fd, target_offset: UserPtr<u64>, count: usize, flags: u32) = splice::splice;
    276 => tee(from: Fd, to: Fd, count: usize, flags: u32) = splice::tee;
    278 => vmsplice(descriptor: Fd, buffers: UserPtr<u64>, count: usize, flags: u32) = splice::vmsplice;
    280 => utimensat(directory: Fd, path: UserPath, times: UserPtr<_>, flags: u32) = metadata::utimensat;
    281 => epoll_pwait(epoll: Fd, events: UserPtr<u64>, most: i32, milliseconds: i32, mask: UserPtr<u64>, mask_bytes: usize) = epoll::epoll_pwait;
    282 => signalfd(descriptor: Fd, wanted: UserPtr<u64>, set_bytes: usize) = event_files::signalfd;
    283 => timerfd_create(clock: u32, flags: u32) = event_files::timerfd_create;
    284 => eventfd(count: u32) = event_files::eventfd;
    285 => fallocate(descriptor: Fd, mode: u32, offset: i64, length: i64) = metadata::fallocate;
    286 => timerfd_settime(descriptor: Fd, flags: u32, new: UserPtr<_>, old: UserPtr<_>) = event_files::timerfd_settime;
    287 => timerfd_gettime(descriptor: Fd, target: UserPtr<_>) = event_files::timerfd_gettime;
    288 => accept4(descriptor: Fd, address: u64, length: UserPtr<i32>, flags: u32) = sockets::accept4;
    289 => signalfd4(descriptor: Fd, wanted: UserPtr<u64>, set_bytes: usize, flags: u32) = event_files::signalfd4;
    290 => eventfd2(count: u32, flags: u32) = event_files::eventfd2;
    291 => epoll_create1(flags: u32) = epoll::epoll_create1;
    292 => dup3(from: Fd, to: Fd, flags: u32) = descriptors::dup3;
    293 => pipe2(descriptors: UserPtr<_>, flags: u32) = descriptors::pipe2;
    295 => preadv(descriptor: Fd, buffers: UserPtr<u64>, count: usize, offset: i64) = transfer::preadv;
    296 => pwritev(descriptor: Fd, buffers: UserPtr<u64>, count: usize, offset: i64) = transfer::pwritev;
    297 => rt_tgsigqueueinfo(process: i32, id: i32, signal: i32, info: UserPtr<_>) = signals::tgsigqueueinfo;
    299 => recvmmsg(descriptor: Fd, messages: u64, count: u32, flags: u32, timeout: UserPtr<_>) = messages::recvmmsg;
    302 => prlimit64(number: i32, resource: u32, new: UserPtr<_>, old: UserPtr<_>) = processes::prlimit;
    307 => sendmmsg(descriptor: Fd, messages: u64, count: u32, flags: u32) = messages::sendmmsg;
    306 => syncfs(descriptor: Fd) = metadata::syncfs;
    309 => getcpu(cpu: UserPtr<u32>, node: UserPtr<u32>) = threads::getcpu;
    316 => renameat2(from: Fd, old: UserPath, to: Fd, new: UserPath, flags: u32) = directories::renameat2;
    318 => getrandom(buffer: UserBuffer, flags: u32) = system::getrandom;
    319 => memfd_create(name: u64, flags: u32) = event_files::memfd_create;
    322 => execveat(directory: Fd, path: UserPath, arguments: u64, environment: u64, flags: u32) = processes::execveat;
    326 => copy_file_range(from: Fd, offset: UserPtr<u64>, to: Fd, target_offset: UserPtr<u64>, count: usize, flags: u32) = splice::copy_file_range;
    332 => statx(directory: Fd, path: UserPath, flags: u32, mask: u32, target: UserPtr<_>) = metadata::statx;
    435 => clone3(arguments: UserBuffer) = processes::clone3;
    436 => close_range(first: u32, last: u32, flags: u32) = descriptors::close_range;
    441 => epoll_pwait2(epoll: Fd, events: UserPtr<u64>, most: i32, timeout: UserPtr<_>, mask: UserPtr<u64>, mask_bytes: usize) = epoll::epoll_pwait2;
    439 => faccessat2(directory: Fd, path: UserPath, mode: u32, flags: u32) = metadata::faccessat2;
}

/// A buffer is a pointer and a length.
const fn registers_of(kind: &str) -> usize {
    if matches!(kind.as_bytes(), b"UserBuffer") { 2 } else { 1 }
}

const fn is_flags(name: &str) -> bool {
    matches!(name.as_bytes(), b"flags")
}
