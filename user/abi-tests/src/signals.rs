//! Signals: actions, masks, queues, who may send what to whom.

use crate::calls::{NOWHERE, as_user, in_child, own_number, pause_ms, status_of};
use crate::raw::{info, on_signal};
use crate::{fails, holds, is, ok, raw, sys, tests};
use libc::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};

tests![
    handlers_are_told_who_sent,
    masked_signals_wait,
    plain_signals_are_not_counted,
    real_time_signals_queue_in_order,
    queued_signals_bring_a_value,
    lower_signals_come_first,
    kill_and_stop_cannot_be_caught,
    actions_are_told_and_checked,
    ignoring_drops_what_is_pending,
    children_inherit_masks_but_not_pending_signals,
    groups_get_signals_together,
    sending_needs_permission,
    waiting_for_signals_takes_them,
    waiting_for_signals_ends_in_time,
    sigsuspend_opens_its_mask,
    stopping_and_continuing_cancel_each_other,
    children_are_told_of,
    stopped_children_may_be_left_out,
    a_full_queue_refuses,
    numbers_are_checked,
];

/// A real-time signal that the C library does not use itself.
const RT: i32 = 40;

static TAKEN: Mutex<Vec<(i32, i32, usize)>> = Mutex::new(Vec::new());
static LAST_PROCESS: AtomicI32 = AtomicI32::new(0);
static LAST_STATUS: AtomicI32 = AtomicI32::new(0);
static LAST_USER: AtomicI32 = AtomicI32::new(-1);

/// Remembers signal, code and value. One thread only, which is never inside of it when a signal comes: they are blocked.
extern "C" fn take(signal: i32, information: *mut siginfo_t, _: *mut c_void) {
    let told = info(information);
    LAST_PROCESS.store(told.process, Ordering::SeqCst);
    LAST_STATUS.store(told.status, Ordering::SeqCst);
    LAST_USER.store(told.user as i32, Ordering::SeqCst);
    if let Ok(mut taken) = TAKEN.try_lock() {
        taken.push((signal, told.code, told.value));
    }
}

fn taken() -> Vec<(i32, i32, usize)> {
    std::mem::take(&mut *TAKEN.lock().unwrap_or_else(|error| error.into_inner()))
}

fn set_of(signals: &[i32]) -> u64 {
    signals.iter().fold(0, |set, signal| set | 1 << (signal - 1))
}

fn block(signals: &[i32]) {
    ok!(SYS_rt_sigprocmask, SIG_BLOCK, &set_of(signals), 0, 8);
}

fn unblock(signals: &[i32]) {
    ok!(SYS_rt_sigprocmask, SIG_UNBLOCK, &set_of(signals), 0, 8);
}

fn mask() -> u64 {
    let mut mask = 0_u64;
    ok!(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mut mask, 8);
    mask
}

fn pending() -> u64 {
    let mut set = 0_u64;
    ok!(SYS_rt_sigpending, &mut set, 8);
    set
}

fn send(signal: i32) {
    ok!(SYS_kill, own_number(), signal);
}

/// Sends a signal with a value, as sigqueue(3).
fn queue(signal: i32, value: u64) -> i64 {
    let mut message = [0_u64; 16];
    message[0] = signal as u64;
    message[1] = u64::from(SI_QUEUE as u32);
    message[2] = own_number() as u64 | (sys!(SYS_getuid) as u64) << 32;
    message[3] = value;
    sys!(SYS_rt_sigqueueinfo, own_number(), signal, &message)
}

fn handlers_are_told_who_sent() {
    on_signal(SIGUSR1, take, 0);
    send(SIGUSR1);
    is!(taken().iter().map(|told| (told.0, told.1)).collect::<Vec<_>>(), [(SIGUSR1, SI_USER)]);
    is!(LAST_PROCESS.load(Ordering::SeqCst), own_number());
    is!(i64::from(LAST_USER.load(Ordering::SeqCst)), sys!(SYS_getuid));
    ok!(SYS_tgkill, own_number(), own_number(), SIGUSR1);
    is!(taken().iter().map(|told| (told.0, told.1)).collect::<Vec<_>>(), [(SIGUSR1, SI_TKILL)]);
    let own = own_number();
    let child = raw::fork(|| {
        sys!(SYS_kill, own, SIGUSR1);
        0
    });
    status_of(child);
    is!(LAST_PROCESS.load(Ordering::SeqCst), child);
}

fn masked_signals_wait() {
    on_signal(SIGUSR1, take, 0);
    block(&[SIGUSR1, SIGUSR2]);
    is!(mask(), set_of(&[SIGUSR1, SIGUSR2]));
    send(SIGUSR1);
    is!(taken().len(), 0);
    is!(pending(), set_of(&[SIGUSR1]));
    unblock(&[SIGUSR1]);
    is!(taken().len(), 1);
    is!(pending(), 0);
    is!(mask(), set_of(&[SIGUSR2]));
    let old = 0_u64;
    let mut found = 0_u64;
    ok!(SYS_rt_sigprocmask, SIG_SETMASK, &old, &mut found, 8);
    is!((found, mask()), (set_of(&[SIGUSR2]), 0));
    ok!(SYS_rt_sigprocmask, SIG_SETMASK, &u64::MAX, 0, 8);
    is!(mask(), !set_of(&[SIGKILL, SIGSTOP]));
    fails!(EINVAL, SYS_rt_sigprocmask, 9, &old, 0, 8);
    ok!(SYS_rt_sigprocmask, 9, 0, &mut found, 8);
    fails!(EINVAL, SYS_rt_sigprocmask, SIG_BLOCK, &old, 0, 4);
    fails!(EFAULT, SYS_rt_sigprocmask, SIG_BLOCK, NOWHERE, 0, 8);
}

fn plain_signals_are_not_counted() {
    on_signal(SIGUSR1, take, 0);
    block(&[SIGUSR1]);
    (0..5).for_each(|_| send(SIGUSR1));
    unblock(&[SIGUSR1]);
    is!(taken().len(), 1);
}

fn real_time_signals_queue_in_order() {
    on_signal(RT, take, 0);
    block(&[RT]);
    for value in 0..10 {
        is!(queue(RT, value), 0);
    }
    unblock(&[RT]);
    is!(taken(), (0..10).map(|value| (RT, SI_QUEUE, value)).collect::<Vec<_>>());
}

fn queued_signals_bring_a_value() {
    on_signal(SIGUSR1, take, 0);
    is!(queue(SIGUSR1, 0x1234_5678_9abc), 0);
    is!(taken(), [(SIGUSR1, SI_QUEUE, 0x1234_5678_9abc)]);
    // To others, nobody may pretend to be the kernel.
    let child = raw::fork(|| {
        pause_ms(1000);
        0
    });
    let mut message = [0_u64; 16];
    fails!(EPERM, SYS_rt_sigqueueinfo, child, SIGUSR1, &message);
    message[1] = u64::from(SI_TKILL as u32);
    fails!(EPERM, SYS_rt_sigqueueinfo, child, SIGUSR1, &message);
    ok!(SYS_kill, child, SIGKILL);
    status_of(child);
    fails!(ESRCH, SYS_rt_sigqueueinfo, child, SIGUSR1, &{
        let mut message = [0_u64; 16];
        message[1] = u64::from(SI_QUEUE as u32);
        message
    });
    fails!(EFAULT, SYS_rt_sigqueueinfo, own_number(), SIGUSR1, NOWHERE);
}

fn lower_signals_come_first() {
    let signals = [RT + 5, SIGUSR2, RT, SIGUSR1, SIGTERM];
    for signal in signals {
        raw::set_action(signal, take as *const () as usize, 0, &signals);
    }
    block(&signals);
    signals.into_iter().for_each(send);
    unblock(&signals);
    is!(taken().iter().map(|told| told.0).collect::<Vec<_>>(), [SIGUSR1, SIGUSR2, SIGTERM, RT, RT + 5]);
}

fn kill_and_stop_cannot_be_caught() {
    let action = [1_u64, 0, 0, 0];
    for signal in [SIGKILL, SIGSTOP] {
        fails!(EINVAL, SYS_rt_sigaction, signal, &action, 0, 8);
        let mut found = [9_u64; 4];
        ok!(SYS_rt_sigaction, signal, 0, &mut found, 8);
        is!(found[0], 0);
    }
    block(&[SIGKILL]);
    is!(
        in_child(|| {
            send(SIGKILL);
            0
        }),
        SIGKILL
    );
}

fn actions_are_told_and_checked() {
    let action = [0x1234_u64, (SA_RESTART | SA_SIGINFO) as u64, 0, 0b101];
    let mut found = [0_u64; 4];
    ok!(SYS_rt_sigaction, SIGUSR2, &action, 0, 8);
    ok!(SYS_rt_sigaction, SIGUSR2, &[0_u64; 4], &mut found, 8);
    is!(found, action);
    fails!(EINVAL, SYS_rt_sigaction, 0, 0, &mut found, 8);
    fails!(EINVAL, SYS_rt_sigaction, 65, 0, &mut found, 8);
    fails!(EINVAL, SYS_rt_sigaction, SIGUSR1, 0, &mut found, 4);
    fails!(EFAULT, SYS_rt_sigaction, SIGUSR1, NOWHERE, 0, 8);
    fails!(EFAULT, SYS_rt_sigaction, SIGUSR1, 0, NOWHERE, 8);
}

fn ignoring_drops_what_is_pending() {
    on_signal(SIGUSR1, take, 0);
    block(&[SIGUSR1, SIGCHLD]);
    send(SIGUSR1);
    is!(pending(), set_of(&[SIGUSR1]));
    raw::set_action(SIGUSR1, SIG_IGN, 0, &[]);
    is!(pending(), 0);
    on_signal(SIGUSR1, take, 0);
    unblock(&[SIGUSR1]);
    is!(taken().len(), 0);
}

fn children_inherit_masks_but_not_pending_signals() {
    block(&[SIGUSR1]);
    send(SIGUSR1);
    let status = in_child(|| {
        is!((mask(), pending()), (set_of(&[SIGUSR1]), 0));
        0
    });
    is!(status, 0);
    is!(pending(), set_of(&[SIGUSR1]));
}

fn groups_get_signals_together() {
    let leader = raw::fork(|| {
        sys!(SYS_setpgid, 0, 0);
        loop {
            pause_ms(1000);
        }
    });
    sys!(SYS_setpgid, leader, leader);
    let second = raw::fork(|| {
        loop {
            pause_ms(1000);
        }
    });
    ok!(SYS_setpgid, second, leader);
    ok!(SYS_kill, -leader, SIGTERM);
    is!((status_of(leader), status_of(second)), (SIGTERM, SIGTERM));
    fails!(ESRCH, SYS_kill, -leader, 0);
    on_signal(SIGUSR1, take, 0);
    ok!(SYS_kill, 0, SIGUSR1);
    is!(taken().len(), 1);
}

fn sending_needs_permission() {
    if sys!(SYS_geteuid) != 0 {
        return;
    }
    let own = own_number();
    is!(
        as_user(1234, || {
            fails!(EPERM, SYS_kill, own, SIGUSR1);
            fails!(EPERM, SYS_kill, own, 0);
            fails!(EPERM, SYS_tgkill, own, own, SIGUSR1);
            // Its own session's processes can be continued by anybody.
            ok!(SYS_kill, own, SIGCONT);
            let child = raw::fork(|| {
                pause_ms(1000);
                0
            });
            ok!(SYS_kill, child, SIGKILL);
            is!(status_of(child), SIGKILL);
        }),
        0
    );
}

fn waiting_for_signals_takes_them() {
    block(&[SIGUSR1, RT]);
    send(SIGUSR1);
    queue(RT, 77);
    let mut found: siginfo_t = raw::zeroed();
    let set = set_of(&[SIGUSR1, RT]);
    is!(sys!(SYS_rt_sigtimedwait, &set, &mut found, 0, 8), i64::from(SIGUSR1));
    is!((found.si_signo, info(&found).code, info(&found).process), (SIGUSR1, SI_USER, own_number()));
    is!(sys!(SYS_rt_sigtimedwait, &set, &mut found, 0, 8), i64::from(RT));
    is!((info(&found).code, info(&found).value), (SI_QUEUE, 77));
    let own = own_number();
    let child = raw::fork(|| {
        pause_ms(20);
        sys!(SYS_kill, own, SIGUSR1);
        0
    });
    is!(sys!(SYS_rt_sigtimedwait, &set, 0, 0, 8), i64::from(SIGUSR1));
    status_of(child);
}

fn waiting_for_signals_ends_in_time() {
    block(&[SIGUSR1]);
    let set = set_of(&[SIGUSR1]);
    fails!(EAGAIN, SYS_rt_sigtimedwait, &set, 0, &timespec { tv_sec: 0, tv_nsec: 10_000_000 }, 8);
    fails!(EAGAIN, SYS_rt_sigtimedwait, &set, 0, &timespec { tv_sec: 0, tv_nsec: 0 }, 8);
    fails!(EINVAL, SYS_rt_sigtimedwait, &set, 0, &timespec { tv_sec: -1, tv_nsec: 0 }, 8);
    fails!(EINVAL, SYS_rt_sigtimedwait, &set, 0, 0, 4);
    // Another signal's handler ends it.
    on_signal(SIGUSR2, take, SA_RESTART);
    let own = own_number();
    let child = raw::fork(|| {
        pause_ms(20);
        sys!(SYS_kill, own, SIGUSR2);
        0
    });
    fails!(EINTR, SYS_rt_sigtimedwait, &set, 0, &timespec { tv_sec: 20, tv_nsec: 0 }, 8);
    status_of(child);
}

fn sigsuspend_opens_its_mask() {
    on_signal(SIGUSR1, take, SA_RESTART);
    block(&[SIGUSR1]);
    send(SIGUSR1);
    fails!(EINTR, SYS_rt_sigsuspend, &0_u64, 8);
    is!(taken().len(), 1);
    is!(mask(), set_of(&[SIGUSR1]));
    fails!(EINVAL, SYS_rt_sigsuspend, &0_u64, 4);
    fails!(EFAULT, SYS_rt_sigsuspend, NOWHERE, 8);
}

fn stopping_and_continuing_cancel_each_other() {
    block(&[SIGTSTP, SIGCONT]);
    send(SIGTSTP);
    is!(pending(), set_of(&[SIGTSTP]));
    send(SIGCONT);
    is!(pending(), set_of(&[SIGCONT]));
    send(SIGTSTP);
    is!(pending(), set_of(&[SIGTSTP]));
}

fn children_are_told_of() {
    on_signal(SIGCHLD, take, 0);
    let child = raw::fork(|| 5);
    status_of(child);
    is!(taken().iter().map(|told| (told.0, told.1)).collect::<Vec<_>>(), [(SIGCHLD, CLD_EXITED)]);
    is!((LAST_PROCESS.load(Ordering::SeqCst), LAST_STATUS.load(Ordering::SeqCst)), (child, 5));
    let child = raw::fork(|| {
        send(SIGKILL);
        0
    });
    status_of(child);
    is!(taken().first().map(|told| told.1), Some(CLD_KILLED));
    is!(LAST_STATUS.load(Ordering::SeqCst), SIGKILL);
    let child = raw::fork(|| {
        send(SIGSTOP);
        0
    });
    sys!(SYS_wait4, child, 0, WUNTRACED, 0);
    is!(taken().first().map(|told| told.1), Some(CLD_STOPPED));
    ok!(SYS_kill, child, SIGCONT);
    status_of(child);
    holds!(taken().iter().any(|told| told.1 == CLD_CONTINUED || told.1 == CLD_EXITED));
}

fn stopped_children_may_be_left_out() {
    on_signal(SIGCHLD, take, SA_NOCLDSTOP);
    let child = raw::fork(|| {
        send(SIGSTOP);
        0
    });
    sys!(SYS_wait4, child, 0, WUNTRACED, 0);
    is!(taken().len(), 0);
    ok!(SYS_kill, child, SIGKILL);
    status_of(child);
    is!(taken().first().map(|told| told.1), Some(CLD_KILLED));
}

fn a_full_queue_refuses() {
    ok!(SYS_setrlimit, RLIMIT_SIGPENDING, &rlimit { rlim_cur: 5, rlim_max: 5 });
    on_signal(RT, take, 0);
    block(&[RT, SIGUSR1]);
    let accepted = (0..20).take_while(|&value| queue(RT, value) == 0).count();
    holds!(accepted <= 5);
    is!(queue(RT, 1), -i64::from(EAGAIN));
    // kill(2) never fails for that.
    send(SIGUSR1);
    holds!(pending() & set_of(&[SIGUSR1]) != 0);
}

fn numbers_are_checked() {
    fails!(EINVAL, SYS_kill, own_number(), 65);
    fails!(EINVAL, SYS_kill, own_number(), -1);
    fails!(ESRCH, SYS_kill, 0x3fff_ffff, 0);
    ok!(SYS_kill, own_number(), 0);
    fails!(ESRCH, SYS_kill, i32::MIN, 0);
    fails!(EINVAL, SYS_rt_sigpending, &mut 0_u64, 9);
}
