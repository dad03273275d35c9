//! Who a process is: users, groups, names, and what the system says of itself.

use crate::calls::{as_user, in_child};
use crate::{fails, holds, is, ok, raw, sys, tests};
use libc::*;

tests![
    root_becomes_anybody_and_not_root_again,
    users_change_within_what_they_have,
    effective_and_saved_users,
    supplementary_groups,
    file_system_users,
    capabilities_follow_the_user,
    threads_have_names,
    the_system_names_itself,
    the_system_counts_its_memory,
    random_numbers,
    priorities,
    processors_of_a_thread,
    personality_is_linux,
    no_new_privileges,
];

const USER: u32 = 1234;

fn is_root() -> bool {
    sys!(SYS_geteuid) == 0
}

fn users() -> (u32, u32, u32) {
    let mut found = [0_u32; 3];
    ok!(SYS_getresuid, &mut found[0], &mut found[1], &mut found[2]);
    (found[0], found[1], found[2])
}

fn groups() -> (u32, u32, u32) {
    let mut found = [0_u32; 3];
    ok!(SYS_getresgid, &mut found[0], &mut found[1], &mut found[2]);
    (found[0], found[1], found[2])
}

fn root_becomes_anybody_and_not_root_again() {
    let status = as_user(USER, || {
        if users() == (USER, USER, USER) {
            is!(groups(), (USER, USER, USER));
            fails!(EPERM, SYS_setuid, 0);
            fails!(EPERM, SYS_setgid, 0);
            fails!(EPERM, SYS_setresuid, -1, 0, -1);
            ok!(SYS_setuid, USER);
        }
    });
    is!(status, 0);
    is!(i64::from(users().0), sys!(SYS_getuid));
    is!(i64::from(groups().1), sys!(SYS_getegid));
    fails!(EINVAL, SYS_setuid, -1);
    fails!(EINVAL, SYS_setgid, -1);
    ok!(SYS_setresuid, -1, -1, -1);
    ok!(SYS_setreuid, -1, -1);
}

fn users_change_within_what_they_have() {
    if !is_root() {
        return;
    }
    let status = in_child(|| {
        ok!(SYS_setresuid, 10, 20, 30);
        is!(users(), (10, 20, 30));
        ok!(SYS_setresuid, -1, 30, -1);
        ok!(SYS_setresuid, -1, 10, 20 + 10);
        fails!(EPERM, SYS_setresuid, -1, 20, -1);
        ok!(SYS_setuid, 30);
        is!(users(), (10, 30, 30));
        ok!(SYS_setreuid, 30, 10);
        is!(users(), (30, 10, 10));
        0
    });
    is!(status, 0);
}

fn effective_and_saved_users() {
    if !is_root() {
        return;
    }
    let status = in_child(|| {
        ok!(SYS_setresuid, USER, USER, 0);
        fails!(EPERM, SYS_sethostname, c"x", 1);
        ok!(SYS_setresuid, -1, 0, -1);
        is!(users(), (USER, 0, 0));
        ok!(SYS_setuid, USER);
        is!(users(), (USER, USER, USER));
        0
    });
    is!(status, 0);
    let status = in_child(|| {
        ok!(SYS_setreuid, USER, 0);
        is!(users(), (USER, 0, 0));
        ok!(SYS_setregid, 5, 6);
        is!(groups(), (5, 6, 6));
        0
    });
    is!(status, 0);
}

fn supplementary_groups() {
    if !is_root() {
        return;
    }
    let mut found = [0_u32; 8];
    ok!(SYS_setgroups, 3, &[30_u32, 10, 20]);
    is!(sys!(SYS_getgroups, 0, 0), 3);
    is!(sys!(SYS_getgroups, 8, &mut found), 3);
    found[..3].sort_unstable();
    is!(&found[..3], &[10, 20, 30]);
    fails!(EINVAL, SYS_getgroups, 2, &mut found);
    fails!(EINVAL, SYS_getgroups, -1, &mut found);
    fails!(EINVAL, SYS_setgroups, 65_537, &found);
    ok!(SYS_setgroups, 0, 0);
    is!(sys!(SYS_getgroups, 8, &mut found), 0);
}

fn file_system_users() {
    if !is_root() {
        return;
    }
    is!(sys!(SYS_setfsuid, USER), 0);
    is!(sys!(SYS_setfsuid, -1), i64::from(USER));
    is!(sys!(SYS_setfsgid, 7), 0);
    is!(sys!(SYS_setfsgid, -1), 7);
    fails!(EACCES, SYS_open, c"/root-only-missing", O_CREAT | O_RDWR, 0o600);
    is!(sys!(SYS_setfsuid, 0), i64::from(USER));
}

fn capabilities_follow_the_user() {
    let look = || {
        let header = [0x2008_0522_u32, 0];
        let mut sets = [0_u32; 6];
        ok!(SYS_capget, &header, &mut sets);
        sets
    };
    if is_root() {
        holds!(look()[0] & 1 != 0);
    }
    is!(as_user(USER, || is!((look()[0], look()[3]), (0, 0))), 0);
    let mut header = [1_u32, 0];
    fails!(EINVAL, SYS_capget, &mut header, &mut [0_u32; 6]);
    is!(header[0], 0x2008_0522);
}

fn threads_have_names() {
    let name = |text: &std::ffi::CStr| {
        ok!(SYS_prctl, PR_SET_NAME, text);
        let mut found = [0xff_u8; 16];
        ok!(SYS_prctl, PR_GET_NAME, &mut found);
        found
    };
    is!(&name(c"short")[..6], b"short\0");
    is!(&name(c"a name that is much too long"), b"a name that is \0");
    fails!(EINVAL, SYS_prctl, 9999);
    fails!(EFAULT, SYS_prctl, PR_SET_NAME, crate::calls::NOWHERE);
    is!(sys!(SYS_prctl, PR_GET_DUMPABLE), 1);
    ok!(SYS_prctl, PR_SET_PDEATHSIG, SIGUSR1);
    let mut signal = 0_i32;
    ok!(SYS_prctl, PR_GET_PDEATHSIG, &mut signal);
    is!(signal, SIGUSR1);
    fails!(EINVAL, SYS_prctl, PR_SET_PDEATHSIG, 100);
}

fn the_system_names_itself() {
    let mut names: utsname = raw::zeroed();
    ok!(SYS_uname, &mut names);
    let text =
        |field: &[c_char]| field.iter().take_while(|&&byte| byte != 0).map(|&byte| byte as u8).collect::<Vec<u8>>();
    is!(text(&names.sysname), b"Linux");
    is!(text(&names.machine), b"x86_64");
    holds!(text(&names.release).first().is_some_and(u8::is_ascii_digit));
    fails!(EFAULT, SYS_uname, crate::calls::NOWHERE);
    if is_root() {
        fails!(EINVAL, SYS_sethostname, c"x", -1);
        fails!(EINVAL, SYS_sethostname, c"x", 65);
    }
}

fn the_system_counts_its_memory() {
    let mut found: sysinfo = raw::zeroed();
    ok!(SYS_sysinfo, &mut found);
    holds!(found.totalram > 0 && found.freeram > 0 && found.freeram <= found.totalram && found.mem_unit > 0);
    holds!(found.procs > 0);
    fails!(EFAULT, SYS_sysinfo, crate::calls::NOWHERE);
}

fn random_numbers() {
    let (mut first, mut second) = ([0_u8; 32], [0_u8; 32]);
    is!(sys!(SYS_getrandom, &mut first, 32, 0), 32);
    is!(sys!(SYS_getrandom, &mut second, 32, GRND_NONBLOCK), 32);
    holds!(first != second);
    let mut large = vec![0_u8; 10_000];
    is!(sys!(SYS_getrandom, large.as_mut_ptr(), 10_000, 0), 10_000);
    holds!(large.iter().filter(|&&byte| byte == 0).count() < 200);
    fails!(EINVAL, SYS_getrandom, &mut first, 32, 0x100);
    fails!(EFAULT, SYS_getrandom, crate::calls::NOWHERE, 32, 0);
    let stack = raw::auxiliary(AT_RANDOM) as usize;
    holds!(raw::bytes_at(stack, 16) != [0; 16]);
}

fn priorities() {
    holds!((1..=40).contains(&sys!(SYS_getpriority, PRIO_PROCESS, 0)));
    ok!(SYS_setpriority, PRIO_PROCESS, 0, 10);
    is!(sys!(SYS_getpriority, PRIO_PROCESS, 0), 10);
    ok!(SYS_setpriority, PRIO_PROCESS, 0, 100);
    is!(sys!(SYS_getpriority, PRIO_PROCESS, 0), 1);
    is!(in_child(|| i32::from(sys!(SYS_getpriority, PRIO_PROCESS, 0) != 1)), 0);
    fails!(EINVAL, SYS_getpriority, 9, 0);
    fails!(ESRCH, SYS_getpriority, PRIO_PROCESS, 0x3fff_ffff);
    is!(sys!(SYS_sched_getscheduler, 0), i64::from(SCHED_OTHER));
    is!(sys!(SYS_sched_get_priority_max, SCHED_FIFO), 99);
    is!(sys!(SYS_sched_get_priority_min, SCHED_OTHER), 0);
    fails!(EINVAL, SYS_sched_get_priority_max, 99);
    fails!(ESRCH, SYS_sched_getscheduler, 0x3fff_ffff);
}

fn processors_of_a_thread() {
    let mut set = [0_u8; 128];
    let bytes = ok!(SYS_sched_getaffinity, 0, 128, &mut set);
    holds!(bytes >= 8 && bytes % 8 == 0);
    holds!(set.iter().any(|&byte| byte != 0));
    fails!(EINVAL, SYS_sched_getaffinity, 0, 1, &mut set);
    ok!(SYS_sched_setaffinity, 0, 128, &set);
    fails!(EINVAL, SYS_sched_setaffinity, 0, 128, &[0_u8; 128]);
    fails!(ESRCH, SYS_sched_getaffinity, 0x3fff_ffff, 128, &mut set);
    let mut number = u32::MAX;
    ok!(SYS_getcpu, &mut number, 0, 0);
    holds!(set.get(number as usize / 8).is_some_and(|byte| byte & (1 << (number % 8)) != 0));
}

fn personality_is_linux() {
    is!(sys!(SYS_personality, 0xffff_ffff_u32), 0);
}

fn no_new_privileges() {
    is!(sys!(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
    ok!(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    is!(sys!(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    fails!(EINVAL, SYS_prctl, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
}
