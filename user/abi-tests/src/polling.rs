//! Waiting for several files: poll, ppoll, select, pselect.

use crate::calls::{create, own_number, pause_ms, pipe, status_of, write};
use crate::{fails, holds, is, ok, raw, sys, tests};
use libc::*;
use std::time::Instant;

tests![
    poll_tells_which_are_ready,
    poll_waits_until_something_happens,
    poll_ends_in_time,
    poll_is_interrupted,
    ppoll_opens_its_mask,
    select_changes_its_sets,
    select_tells_the_time_that_is_left,
    select_refuses_what_is_not_open,
    pselect_opens_its_mask,
];

extern "C" fn nothing(_: i32, _: *mut siginfo_t, _: *mut c_void) {}

fn entry(descriptor: i32, events: i16) -> pollfd {
    pollfd { fd: descriptor, events, revents: 0x7fff }
}

fn poll_tells_which_are_ready() {
    let (input, output) = pipe(0);
    let file = create("file");
    let mut entries = [
        entry(input, POLLIN),
        entry(output, POLLOUT),
        entry(-1, POLLIN),
        entry(150, POLLIN),
        entry(file, POLLIN | POLLOUT),
    ];
    is!(sys!(SYS_poll, &mut entries, 5, -1), 3);
    is!(entries.map(|entry| entry.revents), [0, POLLOUT, 0, POLLNVAL, POLLIN | POLLOUT]);
    is!(sys!(SYS_poll, 0, 0, 0), 0);
    fails!(EINVAL, SYS_poll, &mut entries, 1 << 30, 0);
    fails!(EFAULT, SYS_poll, crate::calls::NOWHERE, 1, 0);
}

fn poll_waits_until_something_happens() {
    let (input, output) = pipe(0);
    let child = raw::fork(|| {
        pause_ms(20);
        write(output, b"x");
        0
    });
    let mut entries = [entry(input, POLLIN)];
    is!(sys!(SYS_poll, &mut entries, 1, -1), 1);
    is!(entries[0].revents, POLLIN);
    is!(status_of(child), 0);
}

fn poll_ends_in_time() {
    let (input, _output) = pipe(0);
    let begun = Instant::now();
    is!(sys!(SYS_poll, &mut [entry(input, POLLIN)], 1, 30), 0);
    holds!(begun.elapsed().as_millis() >= 30);
    let begun = Instant::now();
    is!(sys!(SYS_ppoll, &mut [entry(input, POLLIN)], 1, &timespec { tv_sec: 0, tv_nsec: 20_000_000 }, 0, 8), 0);
    holds!(begun.elapsed().as_millis() >= 20);
    fails!(EINVAL, SYS_ppoll, &mut [entry(input, POLLIN)], 1, &timespec { tv_sec: 0, tv_nsec: 1_000_000_000 }, 0, 8);
    fails!(EINVAL, SYS_ppoll, &mut [entry(input, POLLIN)], 1, &timespec { tv_sec: -1, tv_nsec: 0 }, 0, 8);
    fails!(EINVAL, SYS_ppoll, &mut [entry(input, POLLIN)], 1, 0, &0_u64, 4);
}

/// Sends SIGUSR1 to the caller, soon.
fn signal_soon() -> i32 {
    let target = own_number();
    raw::fork(|| {
        pause_ms(30);
        sys!(SYS_kill, target, SIGUSR1);
        0
    })
}

fn poll_is_interrupted() {
    raw::on_signal(SIGUSR1, nothing, SA_RESTART);
    let (input, _output) = pipe(0);
    let child = signal_soon();
    // Never restarted, whatever the flags: signal(7).
    fails!(EINTR, SYS_poll, &mut [entry(input, POLLIN)], 1, 20_000);
    status_of(child);
}

/// A set of one signal.
fn set_of(signal: i32) -> u64 {
    1 << (signal - 1)
}

fn ppoll_opens_its_mask() {
    raw::on_signal(SIGUSR1, nothing, 0);
    let (input, _output) = pipe(0);
    ok!(SYS_rt_sigprocmask, SIG_BLOCK, &set_of(SIGUSR1), 0, 8);
    ok!(SYS_kill, own_number(), SIGUSR1);
    is!(sys!(SYS_poll, &mut [entry(input, POLLIN)], 1, 5), 0);
    fails!(EINTR, SYS_ppoll, &mut [entry(input, POLLIN)], 1, 0, &0_u64, 8);
    let mut mask = 0_u64;
    ok!(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mut mask, 8);
    is!(mask, set_of(SIGUSR1));
}

fn select_changes_its_sets() {
    let (input, output) = pipe(0);
    let mut reading = [1_u64 << input, 0];
    let mut writing = [1_u64 << output, 0];
    is!(sys!(SYS_select, output + 1, &mut reading, &mut writing, 0, 0), 1);
    is!((reading[0], writing[0]), (0, 1 << output));
    write(output, b"x");
    reading[0] = 1 << input;
    is!(sys!(SYS_select, output + 1, &mut reading, &mut writing, 0, 0), 2);
    is!((reading[0], writing[0]), (1 << input, 1 << output));
    // Descriptors at the count and above do not count.
    reading[0] = 1 << input;
    is!(sys!(SYS_select, input, &mut reading, 0, 0, &mut [0_i64; 2]), 0);
    fails!(EINVAL, SYS_select, -1, 0, 0, 0, 0);
    fails!(EINVAL, SYS_select, 0, 0, 0, 0, &[0_i64, -1]);
}

fn select_tells_the_time_that_is_left() {
    let (input, output) = pipe(0);
    write(output, b"x");
    let mut time = timeval { tv_sec: 100, tv_usec: 0 };
    is!(sys!(SYS_select, input + 1, &mut [1_u64 << input], 0, 0, &mut time), 1);
    holds!(time.tv_sec >= 99);
    let mut time = timeval { tv_sec: 0, tv_usec: 20_000 };
    let begun = Instant::now();
    is!(sys!(SYS_select, 0, 0, 0, 0, &mut time), 0);
    holds!(begun.elapsed().as_millis() >= 20);
    is!((time.tv_sec, time.tv_usec), (0, 0));
}

fn select_refuses_what_is_not_open() {
    let mut set = [0_u64, 0, 1 << 22];
    fails!(EBADF, SYS_select, 151, &mut set, 0, 0, 0);
    fails!(EFAULT, SYS_select, 10, crate::calls::NOWHERE, 0, 0, 0);
}

fn pselect_opens_its_mask() {
    raw::on_signal(SIGUSR1, nothing, SA_RESTART);
    ok!(SYS_rt_sigprocmask, SIG_BLOCK, &set_of(SIGUSR1), 0, 8);
    ok!(SYS_kill, own_number(), SIGUSR1);
    let none = 0_u64;
    let mask = [&raw const none as usize, 8];
    fails!(EINTR, SYS_pselect6, 0, 0, 0, 0, 0, &mask);
    is!(sys!(SYS_pselect6, 0, 0, 0, 0, &timespec { tv_sec: 0, tv_nsec: 1000 }, 0), 0);
}
