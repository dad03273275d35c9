//! How handlers run: on which stack, with which mask, and what becomes of the call that they interrupt.

use crate::calls::{in_child, memory, own_number, pause_ms, pipe, read, status_of, write};
use crate::raw::{on_signal, set_action};
use crate::{fails, holds, is, ok, raw, sys, tests};
use libc::*;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

tests![
    a_handler_blocks_its_own_signal,
    nodefer_lets_it_in,
    the_mask_of_an_action_holds_in_its_handler,
    resethand_works_once,
    handlers_nest,
    restarted_reads_go_on,
    other_reads_end,
    writes_that_moved_bytes_say_so,
    waiting_for_children_is_restarted,
    handlers_run_on_the_alternate_stack,
    alternate_stacks_are_checked,
    vector_registers_survive_handlers,
    a_handler_may_not_return,
    a_default_action_of_a_pending_signal,
    a_stack_that_is_no_memory_kills,
    signals_while_running_arrive,
];

static COUNT: AtomicI32 = AtomicI32::new(0);
static DEPTH: AtomicI32 = AtomicI32::new(0);
static DEEPEST: AtomicI32 = AtomicI32::new(0);
static MASK: AtomicU64 = AtomicU64::new(0);
static STACK: AtomicUsize = AtomicUsize::new(0);

fn mask() -> u64 {
    let mut mask = 0_u64;
    sys!(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mut mask, 8);
    mask
}

fn set_of(signals: &[i32]) -> u64 {
    signals.iter().fold(0, |set, signal| set | 1 << (signal - 1))
}

fn send(signal: i32) {
    ok!(SYS_kill, own_number(), signal);
}

extern "C" fn count(_: i32, _: *mut siginfo_t, _: *mut c_void) {
    COUNT.fetch_add(1, Ordering::SeqCst);
    MASK.store(mask(), Ordering::SeqCst);
    let local = 0_u8;
    STACK.store(&raw const local as usize, Ordering::SeqCst);
}

/// Sends itself the same signal again, a few times.
extern "C" fn again(signal: i32, _: *mut siginfo_t, _: *mut c_void) {
    let depth = DEPTH.fetch_add(1, Ordering::SeqCst) + 1;
    DEEPEST.fetch_max(depth, Ordering::SeqCst);
    if COUNT.fetch_add(1, Ordering::SeqCst) < 4 {
        sys!(SYS_kill, own_number(), signal);
    }
    DEPTH.fetch_sub(1, Ordering::SeqCst);
}

fn a_handler_blocks_its_own_signal() {
    on_signal(SIGUSR1, again, 0);
    send(SIGUSR1);
    is!((COUNT.load(Ordering::SeqCst), DEEPEST.load(Ordering::SeqCst)), (5, 1));
    on_signal(SIGUSR2, count, 0);
    send(SIGUSR2);
    is!((MASK.load(Ordering::SeqCst), mask()), (set_of(&[SIGUSR2]), 0));
}

fn nodefer_lets_it_in() {
    on_signal(SIGUSR1, again, SA_NODEFER);
    send(SIGUSR1);
    is!((COUNT.load(Ordering::SeqCst), DEEPEST.load(Ordering::SeqCst)), (5, 5));
}

fn the_mask_of_an_action_holds_in_its_handler() {
    set_action(SIGUSR1, count as *const () as usize, 0, &[SIGHUP, SIGTERM]);
    ok!(SYS_rt_sigprocmask, SIG_BLOCK, &set_of(&[SIGALRM]), 0, 8);
    send(SIGUSR1);
    is!(MASK.load(Ordering::SeqCst), set_of(&[SIGUSR1, SIGHUP, SIGTERM, SIGALRM]));
    is!(mask(), set_of(&[SIGALRM]));
}

fn resethand_works_once() {
    let status = in_child(|| {
        on_signal(SIGUSR1, count, SA_RESETHAND);
        send(SIGUSR1);
        is!(COUNT.load(Ordering::SeqCst), 1);
        let mut found = [9_u64; 4];
        ok!(SYS_rt_sigaction, SIGUSR1, 0, &mut found, 8);
        is!(found[0], 0);
        send(SIGUSR1);
        0
    });
    is!(status, SIGUSR1);
}

extern "C" fn outer(_: i32, _: *mut siginfo_t, _: *mut c_void) {
    sys!(SYS_kill, own_number(), SIGUSR2);
    DEPTH.store(COUNT.load(Ordering::SeqCst), Ordering::SeqCst);
}

fn handlers_nest() {
    on_signal(SIGUSR1, outer, 0);
    on_signal(SIGUSR2, count, 0);
    send(SIGUSR1);
    // The second signal's handler ran within the first's.
    is!(DEPTH.load(Ordering::SeqCst), 1);
    is!(MASK.load(Ordering::SeqCst), set_of(&[SIGUSR1, SIGUSR2]));
}

/// A child that sends SIGUSR1 to its parent, then writes to a pipe.
fn signal_then_write(output: i32) -> i32 {
    let target = own_number();
    raw::fork(|| {
        pause_ms(30);
        sys!(SYS_kill, target, SIGUSR1);
        pause_ms(30);
        write(output, b"later");
        0
    })
}

fn restarted_reads_go_on() {
    on_signal(SIGUSR1, count, SA_RESTART);
    let (input, output) = pipe(0);
    let child = signal_then_write(output);
    is!(read(input, 10), b"later");
    is!(COUNT.load(Ordering::SeqCst), 1);
    status_of(child);
}

fn other_reads_end() {
    on_signal(SIGUSR1, count, 0);
    let (input, output) = pipe(0);
    let child = signal_then_write(output);
    fails!(EINTR, SYS_read, input, &mut [0_u8; 10], 10);
    is!(COUNT.load(Ordering::SeqCst), 1);
    is!(read(input, 10), b"later");
    status_of(child);
}

fn writes_that_moved_bytes_say_so() {
    on_signal(SIGUSR1, count, 0);
    let (input, output) = pipe(0);
    let target = own_number();
    let child = raw::fork(|| {
        pause_ms(40);
        sys!(SYS_kill, target, SIGUSR1);
        pause_ms(200);
        crate::calls::close(output);
        while !read(input, 65_536).is_empty() {}
        0
    });
    is!(write(output, &[1; 100_000]), 65_536);
    crate::calls::close(output);
    status_of(child);
}

fn waiting_for_children_is_restarted() {
    on_signal(SIGUSR1, count, SA_RESTART);
    let target = own_number();
    let child = raw::fork(|| {
        pause_ms(20);
        sys!(SYS_kill, target, SIGUSR1);
        pause_ms(20);
        4
    });
    let mut status = 0_i32;
    is!(sys!(SYS_wait4, child, &mut status, 0, 0), i64::from(child));
    is!(status, 4 << 8);
    on_signal(SIGUSR1, count, 0);
    let child = raw::fork(|| {
        pause_ms(20);
        sys!(SYS_kill, target, SIGUSR1);
        pause_ms(1000);
        4
    });
    fails!(EINTR, SYS_wait4, child, &mut status, 0, 0);
    sys!(SYS_kill, child, SIGKILL);
    status_of(child);
}

const STACK_BYTES: usize = 65_536;

fn handlers_run_on_the_alternate_stack() {
    let place = memory(STACK_BYTES);
    let stack = stack_t { ss_sp: place as *mut c_void, ss_flags: 0, ss_size: STACK_BYTES };
    let mut old: stack_t = raw::zeroed();
    ok!(SYS_sigaltstack, &stack, &mut old);
    on_signal(SIGUSR1, count, SA_ONSTACK);
    send(SIGUSR1);
    holds!((place..place + STACK_BYTES).contains(&STACK.load(Ordering::SeqCst)));
    on_signal(SIGUSR1, count, 0);
    send(SIGUSR1);
    holds!(!(place..place + STACK_BYTES).contains(&STACK.load(Ordering::SeqCst)));
    ok!(SYS_sigaltstack, 0, &mut old);
    is!((old.ss_sp as usize, old.ss_size, old.ss_flags), (place, STACK_BYTES, 0));
    // A thread has none, a child the same.
    is!(
        in_child(|| {
            let mut found: stack_t = raw::zeroed();
            ok!(SYS_sigaltstack, 0, &mut found);
            i32::from(found.ss_sp as usize != place)
        }),
        0
    );
}

extern "C" fn change_stack(_: i32, _: *mut siginfo_t, _: *mut c_void) {
    let mut found: stack_t = raw::zeroed();
    ok!(SYS_sigaltstack, 0, &mut found);
    is!(found.ss_flags, SS_ONSTACK);
    let off = stack_t { ss_sp: std::ptr::null_mut(), ss_flags: SS_DISABLE, ss_size: 0 };
    fails!(EPERM, SYS_sigaltstack, &off, 0);
}

fn alternate_stacks_are_checked() {
    let place = memory(STACK_BYTES);
    let stack = |flags, bytes| stack_t { ss_sp: place as *mut c_void, ss_flags: flags, ss_size: bytes };
    fails!(ENOMEM, SYS_sigaltstack, &stack(0, 100), 0);
    fails!(EINVAL, SYS_sigaltstack, &stack(0x100, STACK_BYTES), 0);
    fails!(EFAULT, SYS_sigaltstack, crate::calls::NOWHERE, 0);
    ok!(SYS_sigaltstack, &stack(0, STACK_BYTES), 0);
    on_signal(SIGUSR1, change_stack, SA_ONSTACK);
    send(SIGUSR1);
    ok!(SYS_sigaltstack, &stack(SS_DISABLE, 0), 0);
    send(SIGURG);
}

extern "C" fn spoil(_: i32, _: *mut siginfo_t, _: *mut c_void) {
    raw::spoil_vector_register();
}

fn vector_registers_survive_handlers() {
    on_signal(SIGUSR1, spoil, 0);
    for value in [0x0123_4567_89ab_cdef, u64::MAX, 1] {
        is!(raw::through_vector_register(value, own_number(), SIGUSR1), value);
    }
}

extern "C" fn leave(_: i32, _: *mut siginfo_t, _: *mut c_void) {
    raw::exit(44);
}

fn a_handler_may_not_return() {
    on_signal(SIGUSR1, leave, 0);
    is!(
        in_child(|| {
            send(SIGUSR1);
            0
        }),
        44 << 8
    );
}

fn a_default_action_of_a_pending_signal() {
    let status = in_child(|| {
        ok!(SYS_rt_sigprocmask, SIG_BLOCK, &set_of(&[SIGTERM]), 0, 8);
        send(SIGTERM);
        ok!(SYS_rt_sigprocmask, SIG_UNBLOCK, &set_of(&[SIGTERM]), 0, 8);
        0
    });
    is!(status, SIGTERM);
}

fn a_stack_that_is_no_memory_kills() {
    let status = in_child(|| {
        let place = memory(STACK_BYTES);
        ok!(SYS_sigaltstack, &stack_t { ss_sp: place as *mut c_void, ss_flags: 0, ss_size: STACK_BYTES }, 0);
        ok!(SYS_munmap, place, STACK_BYTES);
        on_signal(SIGUSR1, count, SA_ONSTACK);
        send(SIGUSR1);
        0
    });
    is!(status & 0x7f, SIGSEGV);
}

fn signals_while_running_arrive() {
    on_signal(SIGUSR1, count, 0);
    let target = own_number();
    let child = raw::fork(|| {
        (0..20).for_each(|_| {
            sys!(SYS_kill, target, SIGUSR1);
            pause_ms(1);
        });
        0
    });
    // Without a single system call.
    while COUNT.load(Ordering::SeqCst) < 3 {
        std::hint::spin_loop();
    }
    let mut status = 0_i32;
    while sys!(SYS_wait4, child, &mut status, 0, 0) == -i64::from(EINTR) {}
    is!(status, 0);
}
