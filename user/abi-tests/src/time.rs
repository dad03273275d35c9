//! Clocks, sleeping, timers. Nothing here claims that anything happens soon.

use crate::calls::{own_number, pause_ms, status_of};
use crate::{fails, holds, is, ok, raw, sys, tests};
use libc::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

tests![
    clocks_go_forward,
    clocks_have_a_resolution,
    sleeping_takes_its_time,
    a_signal_ends_sleep_and_tells_the_rest,
    sleeping_until_a_time,
    alarms_arrive_once,
    interval_timers_repeat,
    timers_of_processor_time,
    processor_time_is_counted,
];

static COUNT: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: i32, _: *mut siginfo_t, _: *mut c_void) {
    COUNT.fetch_add(1, Ordering::Relaxed);
}

fn now(clock: i32) -> i128 {
    let mut time: timespec = raw::zeroed();
    ok!(SYS_clock_gettime, clock, &mut time);
    holds!((0..1_000_000_000).contains(&time.tv_nsec));
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

fn clocks_go_forward() {
    for clock in [
        CLOCK_MONOTONIC,
        CLOCK_MONOTONIC_RAW,
        CLOCK_MONOTONIC_COARSE,
        CLOCK_BOOTTIME,
        CLOCK_REALTIME,
        CLOCK_REALTIME_COARSE,
        CLOCK_PROCESS_CPUTIME_ID,
        CLOCK_THREAD_CPUTIME_ID,
        CLOCK_TAI,
    ] {
        let mut last = now(clock);
        for _ in 0..100 {
            let next = now(clock);
            holds!(next >= last);
            last = next;
        }
    }
    fails!(EINVAL, SYS_clock_gettime, 99, &mut [0_u64; 2]);
    fails!(EFAULT, SYS_clock_gettime, CLOCK_MONOTONIC, crate::calls::NOWHERE);
    let mut day = timeval { tv_sec: 0, tv_usec: 0 };
    ok!(SYS_gettimeofday, &mut day, 0);
    let seconds = sys!(SYS_time, 0);
    holds!((seconds - day.tv_sec).abs() <= 1);
    holds!((now(CLOCK_REALTIME) / 1_000_000_000 - i128::from(seconds)).abs() <= 2);
    fails!(EINVAL, SYS_clock_settime, CLOCK_MONOTONIC, &timespec { tv_sec: 1, tv_nsec: 0 });
}

fn clocks_have_a_resolution() {
    let mut step: timespec = raw::zeroed();
    ok!(SYS_clock_getres, CLOCK_MONOTONIC, &mut step);
    is!((step.tv_sec, step.tv_nsec), (0, 1));
    ok!(SYS_clock_getres, CLOCK_REALTIME_COARSE, &mut step);
    holds!(step.tv_nsec > 1);
    ok!(SYS_clock_getres, CLOCK_REALTIME, 0);
    fails!(EINVAL, SYS_clock_getres, 99, &mut step);
}

fn sleeping_takes_its_time() {
    let begun = Instant::now();
    ok!(SYS_nanosleep, &timespec { tv_sec: 0, tv_nsec: 30_000_000 }, 0);
    holds!(begun.elapsed().as_millis() >= 30);
    ok!(SYS_nanosleep, &timespec { tv_sec: 0, tv_nsec: 0 }, 0);
    fails!(EINVAL, SYS_nanosleep, &timespec { tv_sec: 0, tv_nsec: 1_000_000_000 }, 0);
    fails!(EINVAL, SYS_nanosleep, &timespec { tv_sec: -1, tv_nsec: 0 }, 0);
    fails!(EINVAL, SYS_nanosleep, &timespec { tv_sec: 0, tv_nsec: -1 }, 0);
    fails!(EFAULT, SYS_nanosleep, crate::calls::NOWHERE, 0);
    fails!(EINVAL, SYS_clock_nanosleep, 99, 0, &timespec { tv_sec: 0, tv_nsec: 0 }, 0);
    fails!(EOPNOTSUPP, SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &timespec { tv_sec: 0, tv_nsec: 0 }, 0);
}

fn a_signal_ends_sleep_and_tells_the_rest() {
    raw::on_signal(SIGUSR1, count, SA_RESTART);
    let target = own_number();
    let child = raw::fork(|| {
        pause_ms(30);
        sys!(SYS_kill, target, SIGUSR1);
        0
    });
    let mut rest: timespec = raw::zeroed();
    fails!(EINTR, SYS_nanosleep, &timespec { tv_sec: 100, tv_nsec: 0 }, &mut rest);
    holds!((50..100).contains(&rest.tv_sec));
    is!(COUNT.load(Ordering::Relaxed), 1);
    status_of(child);
    // A signal that nobody minds ends nothing.
    let child = raw::fork(|| {
        pause_ms(10);
        sys!(SYS_kill, target, SIGURG);
        0
    });
    ok!(SYS_nanosleep, &timespec { tv_sec: 0, tv_nsec: 50_000_000 }, &mut rest);
    status_of(child);
}

fn sleeping_until_a_time() {
    let target = now(CLOCK_MONOTONIC) + 30_000_000;
    let time = timespec { tv_sec: (target / 1_000_000_000) as i64, tv_nsec: (target % 1_000_000_000) as i64 };
    ok!(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &time, 0);
    holds!(now(CLOCK_MONOTONIC) >= target);
    // In the past already.
    ok!(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &timespec { tv_sec: 0, tv_nsec: 0 }, 0);
    ok!(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &timespec { tv_sec: 1000, tv_nsec: 0 }, 0);
}

fn alarms_arrive_once() {
    raw::on_signal(SIGALRM, count, 0);
    is!(sys!(SYS_alarm, 100), 0);
    let left = sys!(SYS_alarm, 1);
    holds!((90..=100).contains(&left));
    fails!(EINTR, SYS_pause);
    is!(COUNT.load(Ordering::Relaxed), 1);
    is!(sys!(SYS_alarm, 0), 0);
    // A child has none.
    ok!(SYS_alarm, 50);
    is!(crate::calls::in_child(|| i32::from(sys!(SYS_alarm, 0) != 0)), 0);
    holds!(sys!(SYS_alarm, 0) > 0);
}

fn interval_timers_repeat() {
    raw::on_signal(SIGALRM, count, 0);
    let every =
        itimerval { it_interval: timeval { tv_sec: 0, tv_usec: 5000 }, it_value: timeval { tv_sec: 0, tv_usec: 5000 } };
    ok!(SYS_setitimer, ITIMER_REAL, &every, 0);
    while COUNT.load(Ordering::Relaxed) < 3 {
        sys!(SYS_sched_yield);
    }
    let mut found: itimerval = raw::zeroed();
    ok!(SYS_getitimer, ITIMER_REAL, &mut found);
    is!((found.it_interval.tv_sec, found.it_interval.tv_usec), (0, 5000));
    let off: itimerval = raw::zeroed();
    ok!(SYS_setitimer, ITIMER_REAL, &off, &mut found);
    is!(found.it_interval.tv_usec, 5000);
    ok!(SYS_getitimer, ITIMER_REAL, &mut found);
    is!((found.it_value.tv_sec, found.it_value.tv_usec, found.it_interval.tv_usec), (0, 0, 0));
    let wrong = itimerval { it_interval: timeval { tv_sec: 0, tv_usec: 1_000_000 }, ..off };
    fails!(EINVAL, SYS_setitimer, ITIMER_REAL, &wrong, 0);
    fails!(EINVAL, SYS_setitimer, 9, &off, 0);
    fails!(EINVAL, SYS_getitimer, 9, &mut found);
}

fn timers_of_processor_time() {
    raw::on_signal(SIGVTALRM, count, 0);
    let soon = itimerval { it_interval: raw::zeroed(), it_value: timeval { tv_sec: 0, tv_usec: 10_000 } };
    ok!(SYS_setitimer, ITIMER_VIRTUAL, &soon, 0);
    let begun = Instant::now();
    while COUNT.load(Ordering::Relaxed) == 0 && begun.elapsed().as_secs() < 20 {
        std::hint::spin_loop();
    }
    is!(COUNT.load(Ordering::Relaxed), 1);
    let mut left: itimerval = raw::zeroed();
    ok!(SYS_getitimer, ITIMER_VIRTUAL, &mut left);
    is!((left.it_value.tv_sec, left.it_value.tv_usec), (0, 0));
    raw::on_signal(SIGPROF, count, 0);
    let often = timeval { tv_sec: 0, tv_usec: 8000 };
    ok!(SYS_setitimer, ITIMER_PROF, &itimerval { it_interval: often, it_value: often }, 0);
    ok!(SYS_getitimer, ITIMER_PROF, &mut left);
    holds!((1..=16_000).contains(&left.it_value.tv_usec) && left.it_interval.tv_usec == 8000);
    // Time asleep does not count.
    pause_ms(100);
    holds!(COUNT.load(Ordering::Relaxed) <= 2);
    while COUNT.load(Ordering::Relaxed) < 5 && begun.elapsed().as_secs() < 20 {
        std::hint::spin_loop();
    }
    holds!(COUNT.load(Ordering::Relaxed) >= 5);
    ok!(SYS_setitimer, ITIMER_PROF, &raw::zeroed::<itimerval>(), &mut left);
    is!(left.it_interval.tv_usec, 8000);
    fails!(EINVAL, SYS_setitimer, 3, &left, 0);
    fails!(EINVAL, SYS_getitimer, 3, &mut left);
}

fn processor_time_is_counted() {
    let begun = now(CLOCK_PROCESS_CPUTIME_ID);
    while now(CLOCK_PROCESS_CPUTIME_ID) - begun < 20_000_000 {}
    let mut usage: rusage = raw::zeroed();
    ok!(SYS_getrusage, RUSAGE_SELF, &mut usage);
    let total = |usage: &rusage| {
        (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1_000_000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec
    };
    holds!(total(&usage) >= 10_000);
    holds!(usage.ru_maxrss > 0);
    let child = raw::fork(|| {
        let begun = now(CLOCK_PROCESS_CPUTIME_ID);
        while now(CLOCK_PROCESS_CPUTIME_ID) - begun < 20_000_000 {}
        0
    });
    let mut of_child: rusage = raw::zeroed();
    is!(sys!(SYS_wait4, child, 0, 0, &mut of_child), i64::from(child));
    holds!(total(&of_child) >= 10_000);
    ok!(SYS_getrusage, RUSAGE_CHILDREN, &mut usage);
    holds!(total(&usage) >= 10_000);
    fails!(EINVAL, SYS_getrusage, 7, &mut usage);
    let mut ticks: tms = raw::zeroed();
    holds!(sys!(SYS_times, &mut ticks) > 0);
    holds!(ticks.tms_cutime + ticks.tms_cstime >= 1);
    // Time asleep costs no processor.
    let begun = now(CLOCK_THREAD_CPUTIME_ID);
    pause_ms(50);
    holds!(now(CLOCK_THREAD_CPUTIME_ID) - begun < 40_000_000);
}
