//! Processes: children and how they end, groups and sessions, limits.

use crate::calls::{as_user, exited, in_child, own_number, pause_ms, pipe, read, read_all, status_of, write};
use crate::raw::{info, on_signal};
use crate::{fails, holds, is, ok, raw, sys, tests};
use libc::*;
use std::sync::atomic::{AtomicI32, Ordering};

tests![
    exit_codes_arrive,
    signals_that_kill_are_told,
    waiting_without_waiting,
    waiting_for_some_only,
    waitid_tells_in_full,
    waitid_may_leave_the_child,
    stopped_and_continued_children_are_told,
    zombies_keep_their_number,
    orphans_get_another_parent,
    a_subreaper_takes_orphans,
    ignoring_children_lets_them_go,
    groups_and_sessions,
    sessions_do_not_begin_in_leaders,
    orphaned_groups_are_continued,
    vfork_waits_for_its_child,
    clone_takes_flags,
    clone3_takes_a_structure,
    limits_are_kept_and_inherited,
    the_limit_of_processes_holds,
    many_children_at_once,
    the_parents_death_is_told,
    descriptors_of_a_dead_process_close,
];

fn exit_codes_arrive() {
    for code in [0, 1, 7, 127, 255] {
        is!(in_child(|| code), exited(code));
    }
    is!(in_child(|| 256 + 3), exited(3));
    is!(in_child(|| -1), exited(255));
    is!(
        in_child(|| {
            sys!(SYS_exit, 9);
            0
        }),
        exited(9)
    );
    let child = raw::fork(|| 4);
    is!(sys!(SYS_wait4, -1, 0, 0, 0), i64::from(child));
    fails!(ECHILD, SYS_wait4, -1, 0, 0, 0);
    fails!(ECHILD, SYS_wait4, child, 0, 0, 0);
    fails!(ECHILD, SYS_wait4, 1, 0, 0, 0);
    fails!(EINVAL, SYS_wait4, -1, 0, 0x1000, 0);
    fails!(ESRCH, SYS_wait4, i32::MIN, 0, 0, 0);
}

fn signals_that_kill_are_told() {
    for signal in [SIGHUP, SIGINT, SIGKILL, SIGUSR1, SIGTERM, SIGALRM, SIGIO, SIGPWR, SIGVTALRM] {
        let status = in_child(|| {
            raw::set_action(signal, SIG_DFL, 0, &[]);
            sys!(SYS_kill, own_number(), signal);
            0
        });
        is!(status & 0x7f, signal);
    }
    for signal in [SIGQUIT, SIGABRT, SIGSYS, SIGXCPU, SIGTRAP] {
        is!(
            in_child(|| {
                sys!(SYS_kill, own_number(), signal);
                0
            }) & 0x7f,
            signal
        );
    }
    for signal in [SIGCHLD, SIGURG, SIGWINCH, SIGCONT] {
        is!(
            in_child(|| {
                sys!(SYS_kill, own_number(), signal);
                0
            }),
            0
        );
    }
    is!(
        in_child(|| {
            sys!(SYS_kill, own_number(), 40);
            0
        }),
        40
    );
}

fn waiting_without_waiting() {
    let (input, output) = pipe(0);
    let child = raw::fork(|| {
        read(input, 1);
        0
    });
    is!(sys!(SYS_wait4, child, 0, WNOHANG, 0), 0);
    is!(sys!(SYS_wait4, -1, 0, WNOHANG, 0), 0);
    write(output, b"x");
    is!(status_of(child), 0);
    fails!(ECHILD, SYS_wait4, -1, 0, WNOHANG, 0);
}

fn waiting_for_some_only() {
    let first = raw::fork(|| 1);
    let second = raw::fork(|| {
        sys!(SYS_setpgid, 0, 0);
        2
    });
    sys!(SYS_setpgid, second, second);
    let mut status = 0_i32;
    is!(sys!(SYS_wait4, -second, &mut status, 0, 0), i64::from(second));
    is!(status, exited(2));
    fails!(ECHILD, SYS_wait4, -second, 0, 0, 0);
    is!(sys!(SYS_wait4, 0, &mut status, 0, 0), i64::from(first));
    is!(status, exited(1));
}

fn waitid_tells_in_full() {
    let mut found: siginfo_t = raw::zeroed();
    let child = raw::fork(|| 5);
    ok!(SYS_waitid, P_PID, child, &mut found, WEXITED, 0);
    let told = info(&found);
    is!((found.si_signo, told.code, told.process, told.status), (SIGCHLD, CLD_EXITED, child, 5));
    let child = raw::fork(|| {
        sys!(SYS_kill, own_number(), SIGKILL);
        0
    });
    ok!(SYS_waitid, P_ALL, 0, &mut found, WEXITED, 0);
    let told = info(&found);
    is!((told.code, told.process, told.status), (CLD_KILLED, child, SIGKILL));
    fails!(ECHILD, SYS_waitid, P_ALL, 0, &mut found, WEXITED, 0);
    fails!(EINVAL, SYS_waitid, P_ALL, 0, &mut found, 0, 0);
    fails!(EINVAL, SYS_waitid, 99, 0, &mut found, WEXITED, 0);
    fails!(EINVAL, SYS_waitid, P_PID, -1, &mut found, WEXITED, 0);
    let child = raw::fork(|| {
        pause_ms(10_000);
        0
    });
    found = raw::zeroed();
    ok!(SYS_waitid, P_PID, child, &mut found, WEXITED | WNOHANG, 0);
    is!((found.si_signo, info(&found).process), (0, 0));
    ok!(SYS_kill, child, SIGKILL);
    ok!(SYS_waitid, P_PID, child, 0, WEXITED, 0);
}

fn waitid_may_leave_the_child() {
    let child = raw::fork(|| 5);
    let mut found: siginfo_t = raw::zeroed();
    ok!(SYS_waitid, P_PID, child, &mut found, WEXITED | WNOWAIT, 0);
    is!(info(&found).status, 5);
    ok!(SYS_waitid, P_PID, child, &mut found, WEXITED | WNOWAIT, 0);
    is!(status_of(child), exited(5));
    fails!(ECHILD, SYS_waitid, P_PID, child, &mut found, WEXITED | WNOWAIT, 0);
}

fn stopped_and_continued_children_are_told() {
    let child = raw::fork(|| {
        loop {
            pause_ms(1000);
        }
    });
    let mut status = 0_i32;
    ok!(SYS_kill, child, SIGSTOP);
    is!(sys!(SYS_wait4, child, &mut status, WUNTRACED, 0), i64::from(child));
    is!(status, (SIGSTOP << 8) | 0x7f);
    is!(sys!(SYS_wait4, child, &mut status, WUNTRACED | WNOHANG, 0), 0);
    ok!(SYS_kill, child, SIGCONT);
    is!(sys!(SYS_wait4, child, &mut status, WCONTINUED, 0), i64::from(child));
    is!(status, 0xffff);
    let mut found: siginfo_t = raw::zeroed();
    ok!(SYS_kill, child, SIGTSTP);
    ok!(SYS_waitid, P_PID, child, &mut found, WSTOPPED, 0);
    let told = info(&found);
    is!((told.code, told.status), (CLD_STOPPED, SIGTSTP));
    // Nothing but SIGKILL and SIGCONT reaches it now.
    ok!(SYS_kill, child, SIGTERM);
    pause_ms(20);
    is!(sys!(SYS_wait4, child, &mut status, WNOHANG, 0), 0);
    ok!(SYS_kill, child, SIGCONT);
    is!(status_of(child), SIGTERM);
    let child = raw::fork(|| {
        sys!(SYS_kill, own_number(), SIGSTOP);
        0
    });
    is!(sys!(SYS_wait4, child, &mut status, WUNTRACED, 0), i64::from(child));
    ok!(SYS_kill, child, SIGKILL);
    is!(status_of(child), SIGKILL);
}

fn zombies_keep_their_number() {
    let child = raw::fork(|| 0);
    ok!(SYS_waitid, P_PID, child, 0, WEXITED | WNOWAIT, 0);
    ok!(SYS_kill, child, 0);
    ok!(SYS_kill, child, SIGTERM);
    is!(sys!(SYS_getpgid, child), sys!(SYS_getpgid, 0));
    is!(status_of(child), 0);
    fails!(ESRCH, SYS_kill, child, 0);
    fails!(ESRCH, SYS_getpgid, child);
}

fn orphans_get_another_parent() {
    let (input, output) = pipe(0);
    let status = in_child(|| {
        let middle = own_number();
        raw::fork(|| {
            while sys!(SYS_getppid) as i32 == middle {
                pause_ms(2);
            }
            write(output, b"y");
            0
        });
        0
    });
    is!(status, 0);
    is!(read(input, 1), b"y");
}

fn a_subreaper_takes_orphans() {
    ok!(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1);
    let middle = raw::fork(|| {
        raw::fork(|| {
            pause_ms(30);
            6
        });
        0
    });
    is!(status_of(middle), 0);
    let mut status = 0_i32;
    holds!(ok!(SYS_wait4, -1, &mut status, 0, 0) > 0);
    is!(status, exited(6));
    let mut is_reaper = 0_i32;
    ok!(SYS_prctl, PR_GET_CHILD_SUBREAPER, &mut is_reaper);
    is!(is_reaper, 1);
}

fn ignoring_children_lets_them_go() {
    raw::set_action(SIGCHLD, SIG_IGN, 0, &[]);
    let child = raw::fork(|| 0);
    fails!(ECHILD, SYS_wait4, child, 0, 0, 0);
    raw::set_action(SIGCHLD, SIG_DFL, SA_NOCLDWAIT, &[]);
    raw::fork(|| 0);
    fails!(ECHILD, SYS_wait4, -1, 0, 0, 0);
}

fn groups_and_sessions() {
    let own = own_number();
    is!(sys!(SYS_getpgrp), i64::from(own));
    let (input, output) = pipe(0);
    let child = raw::fork(|| {
        read(input, 1);
        0
    });
    is!(sys!(SYS_getpgid, child), i64::from(own));
    ok!(SYS_setpgid, child, child);
    is!(sys!(SYS_getpgid, child), i64::from(child));
    ok!(SYS_setpgid, child, own);
    ok!(SYS_setpgid, child, 0);
    is!(sys!(SYS_getpgid, child), i64::from(child));
    fails!(EPERM, SYS_setpgid, child, 0x3fff_ffff);
    fails!(EINVAL, SYS_setpgid, child, -1);
    fails!(ESRCH, SYS_setpgid, 1, 1);
    fails!(ESRCH, SYS_setpgid, 0x3fff_ffff, 0);
    fails!(ESRCH, SYS_getpgid, 0x3fff_ffff);
    fails!(ESRCH, SYS_getsid, 0x3fff_ffff);
    is!(sys!(SYS_getsid, child), sys!(SYS_getsid, 0));
    write(output, b"x");
    status_of(child);
}

fn sessions_do_not_begin_in_leaders() {
    fails!(EPERM, SYS_setsid);
    let (input, output) = pipe(0);
    let (second_input, second_output) = pipe(0);
    let child = raw::fork(|| {
        let own = own_number();
        is!(sys!(SYS_setsid), i64::from(own));
        is!((sys!(SYS_getsid, 0), sys!(SYS_getpgrp)), (i64::from(own), i64::from(own)));
        fails!(EPERM, SYS_setsid);
        fails!(EPERM, SYS_setpgid, 0, 0);
        write(output, b"x");
        read(second_input, 1);
        0
    });
    read(input, 1);
    // A session's leader, and whoever is in another session, cannot be moved.
    fails!(EPERM, SYS_setpgid, child, child);
    fails!(EPERM, SYS_setpgid, 0, child);
    write(second_output, b"x");
    is!(status_of(child), 0);
}

extern "C" fn note(signal: i32, _: *mut siginfo_t, _: *mut c_void) {
    NOTED.store(NOTED.load(Ordering::Relaxed) * 100 + signal, Ordering::Relaxed);
}

static NOTED: AtomicI32 = AtomicI32::new(0);

fn orphaned_groups_are_continued() {
    let (input, output) = pipe(0);
    let child = raw::fork(|| {
        let grandchild = raw::fork(|| {
            sys!(SYS_setpgid, 0, 0);
            on_signal(SIGHUP, note, 0);
            sys!(SYS_kill, own_number(), SIGSTOP);
            write(output, format!("{}", NOTED.load(Ordering::Relaxed)).as_bytes());
            0
        });
        let mut status = 0_i32;
        sys!(SYS_wait4, grandchild, &mut status, WUNTRACED, 0);
        0
    });
    crate::calls::close(output);
    is!(status_of(child), 0);
    is!(read_all(input), SIGHUP.to_string().as_bytes());
}

fn vfork_waits_for_its_child() {
    let (input, output) = pipe(O_NONBLOCK);
    // The child has memory and stack of its own here; what counts is that the parent waits.
    let child = sys!(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) as i32;
    if child == 0 {
        pause_ms(30);
        write(output, b"x");
        raw::exit(3);
    }
    is!(read(input, 1), b"x");
    is!(status_of(child), exited(3));
}

fn clone_takes_flags() {
    fails!(EINVAL, SYS_clone, CLONE_THREAD, 0, 0, 0, 0);
    fails!(EINVAL, SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0);
    fails!(EINVAL, SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0);
    fails!(EINVAL, SYS_clone, CLONE_FS | CLONE_NEWNS, 0, 0, 0, 0);
    // A child that ends without a signal is waited for with __WCLONE or __WALL only.
    let child = sys!(SYS_clone, 0, 0, 0, 0, 0) as i32;
    if child == 0 {
        raw::exit(2);
    }
    fails!(ECHILD, SYS_wait4, child, 0, 0, 0);
    let mut status = 0_i32;
    is!(sys!(SYS_wait4, child, &mut status, __WALL, 0), i64::from(child));
    is!(status, exited(2));
    let (mut parent_tid, mut child_tid) = (0_i32, 0_i32);
    let flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD;
    let child = sys!(SYS_clone, flags, 0, &mut parent_tid, &mut child_tid, 0) as i32;
    if child == 0 {
        raw::exit(i32::from(i64::from(child_tid_of(&raw const child_tid as usize)) != sys!(SYS_gettid)));
    }
    is!(status_of(child), 0);
    is!((parent_tid, child_tid), (child, 0));
    // Descriptors and working directory can be shared.
    let child = sys!(SYS_clone, CLONE_FILES | CLONE_FS | SIGCHLD, 0, 0, 0, 0) as i32;
    if child == 0 {
        sys!(SYS_dup2, 1, 77);
        sys!(SYS_umask, 0o011);
        raw::exit(0);
    }
    is!(status_of(child), 0);
    holds!(sys!(SYS_fcntl, 77, F_GETFD) >= 0);
    is!(sys!(SYS_umask, 0), 0o011);
}

fn child_tid_of(address: usize) -> i32 {
    let bytes = raw::bytes_at(address, 4);
    i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn clone3_takes_a_structure() {
    let mut arguments = [0_u64; 11];
    arguments[4] = SIGCHLD as u64;
    let child = sys!(SYS_clone3, &arguments, 64) as i32;
    if child == 0 {
        raw::exit(8);
    }
    is!(status_of(child), exited(8));
    fails!(EINVAL, SYS_clone3, &arguments, 63);
    fails!(E2BIG, SYS_clone3, &arguments, 5000);
    fails!(EFAULT, SYS_clone3, crate::calls::NOWHERE, 64);
    arguments[0] = SIGCHLD as u64;
    fails!(EINVAL, SYS_clone3, &arguments, 64);
    arguments[0] = 0;
    arguments[4] = 100;
    fails!(EINVAL, SYS_clone3, &arguments, 64);
}

fn limits_are_kept_and_inherited() {
    let mut found: rlimit = raw::zeroed();
    ok!(SYS_getrlimit, RLIMIT_NOFILE, &mut found);
    holds!(found.rlim_cur >= 100);
    ok!(SYS_setrlimit, RLIMIT_NOFILE, &rlimit { rlim_cur: 300, rlim_max: 301 });
    let status = in_child(|| {
        let mut found: rlimit = raw::zeroed();
        ok!(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &mut found);
        is!((found.rlim_cur, found.rlim_max), (300, 301));
        0
    });
    is!(status, 0);
    ok!(SYS_prlimit64, 0, RLIMIT_NOFILE, &rlimit { rlim_cur: 250, rlim_max: 301 }, &mut found);
    is!(found.rlim_cur, 300);
    fails!(EINVAL, SYS_setrlimit, RLIMIT_NOFILE, &rlimit { rlim_cur: 302, rlim_max: 301 });
    fails!(EINVAL, SYS_getrlimit, 99, &mut found);
    fails!(EINVAL, SYS_setrlimit, 99, &found);
    fails!(ESRCH, SYS_prlimit64, 0x3fff_ffff, RLIMIT_NOFILE, 0, &mut found);
    fails!(EFAULT, SYS_getrlimit, RLIMIT_NOFILE, crate::calls::NOWHERE);
    for resource in 0..16 {
        ok!(SYS_getrlimit, resource, &mut found);
    }
}

fn the_limit_of_processes_holds() {
    if sys!(SYS_geteuid) != 0 {
        return;
    }
    let status = as_user(54_321, || {
        ok!(SYS_setrlimit, RLIMIT_NPROC, &rlimit { rlim_cur: 1, rlim_max: 1 });
        fails!(EAGAIN, SYS_clone, SIGCHLD, 0, 0, 0, 0);
    });
    is!(status, 0);
}

fn many_children_at_once() {
    const CHILDREN: i32 = 100;
    let children: Vec<i32> = (0..CHILDREN).map(|number| raw::fork(|| number)).collect();
    let mut codes: Vec<i32> = children.iter().map(|&child| status_of(child) >> 8).collect();
    is!(codes, (0..CHILDREN).collect::<Vec<_>>());
    codes = (0..CHILDREN).map(|number| in_child(|| number)).collect();
    is!(codes.len(), 100);
}

fn the_parents_death_is_told() {
    let (input, output) = pipe(0);
    let status = in_child(|| {
        let (ready_input, ready_output) = pipe(0);
        raw::fork(|| {
            ok!(SYS_prctl, PR_SET_PDEATHSIG, SIGUSR1);
            sys!(SYS_rt_sigprocmask, SIG_BLOCK, &(1_u64 << (SIGUSR1 - 1)), 0, 8);
            write(ready_output, b"x");
            let patience = timespec { tv_sec: 10, tv_nsec: 0 };
            let signal = sys!(SYS_rt_sigtimedwait, &(1_u64 << (SIGUSR1 - 1)), 0, &patience, 8);
            write(output, format!("{signal}").as_bytes());
            0
        });
        read(ready_input, 1);
        0
    });
    is!(status, 0);
    is!(read(input, 10), SIGUSR1.to_string().as_bytes());
}

fn descriptors_of_a_dead_process_close() {
    let (input, output) = pipe(0);
    let child = raw::fork(|| {
        loop {
            pause_ms(1000);
        }
    });
    crate::calls::close(output);
    ok!(SYS_kill, child, SIGKILL);
    is!(read_all(input), b"");
    is!(status_of(child), SIGKILL);
}
