//! Threads, futexes, lists of locks, numbers of threads.

use crate::calls::{in_child, memory, own_number, pause_ms, status_of};
use crate::raw::{on_signal, read_byte, write_byte};
use crate::{fails, holds, is, ok, raw, sys, tests};
use libc::*;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Instant;

tests![
    threads_share_memory_and_number,
    many_threads_count_right,
    threads_talk_through_channels,
    conditions_and_barriers,
    a_futex_waits_only_for_the_value,
    a_futex_wakes_so_many,
    a_futex_wait_ends_in_time,
    futexes_are_requeued,
    futexes_between_processes,
    futex_bits_select_waiters,
    futexes_refuse_what_is_wrong,
    a_futex_wait_is_interrupted,
    signals_reach_the_thread_that_is_meant,
    masks_belong_to_threads,
    a_thread_that_exits_leaves_the_process,
    the_process_ends_for_all_threads,
    the_first_thread_may_end_first,
    robust_locks_are_released,
    forking_takes_one_thread,
    thread_local_storage,
    affinity_and_yielding,
];

fn futex(word: &AtomicU32, operation: i32, value: u32, timeout: *const timespec) -> i64 {
    sys!(SYS_futex, word.as_ptr(), operation, value, timeout)
}

fn threads_share_memory_and_number() {
    let own = own_number();
    let first = sys!(SYS_gettid);
    is!(first, i64::from(own));
    let other = thread::spawn(|| (own_number(), sys!(SYS_gettid), sys!(SYS_getppid))).join();
    let (process, number, parent) = other.unwrap_or_default();
    is!(process, own);
    holds!(number != first);
    is!(parent, sys!(SYS_getppid));
}

fn many_threads_count_right() {
    const THREADS: usize = 32;
    const ROUNDS: usize = 200;
    let total = Arc::new(Mutex::new(0_usize));
    let handles: Vec<_> = (0..THREADS)
        .map(|_| {
            let total = Arc::clone(&total);
            thread::spawn(move || (0..ROUNDS).for_each(|_| *total.lock().expect("no thread panics") += 1))
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.join().expect("no thread panics"));
    is!(*total.lock().expect("no thread panics"), THREADS * ROUNDS);
    for _ in 0..100 {
        thread::spawn(|| ()).join().expect("no thread panics");
    }
}

fn threads_talk_through_channels() {
    let (sender, receiver) = mpsc::channel();
    let handles: Vec<_> = (0..4_u32)
        .map(|number| {
            let sender = sender.clone();
            thread::spawn(move || {
                (0..100).for_each(|value| sender.send(number * 1000 + value).expect("it is received"))
            })
        })
        .collect();
    drop(sender);
    is!(receiver.iter().sum::<u32>(), (0..4).map(|number| number * 100_000 + 4950).sum::<u32>());
    handles.into_iter().for_each(|handle| handle.join().expect("no thread panics"));
}

fn conditions_and_barriers() {
    let barrier = Arc::new(Barrier::new(8));
    let state = Arc::new((Mutex::new(0), Condvar::new()));
    let handles: Vec<_> = (0..8)
        .map(|number| {
            let (barrier, state) = (Arc::clone(&barrier), Arc::clone(&state));
            thread::spawn(move || {
                barrier.wait();
                let mut turn = state.0.lock().expect("no thread panics");
                while *turn != number {
                    turn = state.1.wait(turn).expect("no thread panics");
                }
                *turn += 1;
                state.1.notify_all();
            })
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.join().expect("no thread panics"));
    is!(*state.0.lock().expect("no thread panics"), 8);
}

fn a_futex_waits_only_for_the_value() {
    let word = AtomicU32::new(5);
    is!(futex(&word, FUTEX_WAIT, 4, std::ptr::null()), -i64::from(EAGAIN));
    is!(futex(&word, FUTEX_WAKE, 1, std::ptr::null()), 0);
    is!(futex(&word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 6, std::ptr::null()), -i64::from(EAGAIN));
}

static WORDS: [AtomicU32; 2] = [AtomicU32::new(0), AtomicU32::new(0)];
static WOKEN: AtomicUsize = AtomicUsize::new(0);

/// Threads that wait for the first word; each counts when it has been woken.
fn waiters(count: usize, wait: fn() -> i64) -> Vec<thread::JoinHandle<()>> {
    let handles = (0..count)
        .map(|_| {
            thread::spawn(move || {
                is!(wait(), 0);
                WOKEN.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    pause_ms(60);
    handles
}

fn wait_for_woken(count: usize) {
    let begun = Instant::now();
    while WOKEN.load(Ordering::SeqCst) < count && begun.elapsed().as_secs() < 10 {
        thread::yield_now();
    }
    is!(WOKEN.load(Ordering::SeqCst), count);
}

/// Wakes all until nobody is left.
fn wake_all(handles: Vec<thread::JoinHandle<()>>) {
    while handles.iter().any(|handle| !handle.is_finished()) {
        for word in &WORDS {
            futex(word, FUTEX_WAKE_PRIVATE, u32::MAX >> 1, std::ptr::null());
        }
        thread::yield_now();
    }
}

const FUTEX_WAIT_PRIVATE: i32 = FUTEX_WAIT | FUTEX_PRIVATE_FLAG;
const FUTEX_WAKE_PRIVATE: i32 = FUTEX_WAKE | FUTEX_PRIVATE_FLAG;

fn a_futex_wakes_so_many() {
    let handles = waiters(5, || futex(&WORDS[0], FUTEX_WAIT_PRIVATE, 0, std::ptr::null()));
    is!(futex(&WORDS[0], FUTEX_WAKE_PRIVATE, 2, std::ptr::null()), 2);
    wait_for_woken(2);
    is!(futex(&WORDS[1], FUTEX_WAKE_PRIVATE, 100, std::ptr::null()), 0);
    is!(futex(&WORDS[0], FUTEX_WAKE_PRIVATE, 100, std::ptr::null()), 3);
    wait_for_woken(5);
    wake_all(handles);
}

fn a_futex_wait_ends_in_time() {
    let word = AtomicU32::new(0);
    let begun = Instant::now();
    let time = timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    is!(futex(&word, FUTEX_WAIT, 0, &raw const time), -i64::from(ETIMEDOUT));
    holds!(begun.elapsed().as_millis() >= 20);
    // FUTEX_WAIT_BITSET has a time of the clock instead.
    let past = timespec { tv_sec: 0, tv_nsec: 1 };
    is!(sys!(SYS_futex, word.as_ptr(), FUTEX_WAIT_BITSET, 0, &past, 0, u32::MAX), -i64::from(ETIMEDOUT));
    is!(
        sys!(SYS_futex, word.as_ptr(), FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &past, 0, u32::MAX),
        -i64::from(ETIMEDOUT)
    );
    fails!(EINVAL, SYS_futex, word.as_ptr(), FUTEX_WAIT, 0, &timespec { tv_sec: 0, tv_nsec: 1_000_000_000 });
    fails!(EINVAL, SYS_futex, word.as_ptr(), FUTEX_WAIT, 0, &timespec { tv_sec: -1, tv_nsec: 0 });
}

fn futexes_are_requeued() {
    let handles = waiters(4, || futex(&WORDS[0], FUTEX_WAIT_PRIVATE, 0, std::ptr::null()));
    let requeue = |operation: i32, expected: u32| {
        sys!(SYS_futex, WORDS[0].as_ptr(), operation | FUTEX_PRIVATE_FLAG, 1, 2, WORDS[1].as_ptr(), expected)
    };
    is!(requeue(FUTEX_CMP_REQUEUE, 7), -i64::from(EAGAIN));
    is!(requeue(FUTEX_CMP_REQUEUE, 0), 3);
    wait_for_woken(1);
    is!(futex(&WORDS[1], FUTEX_WAKE_PRIVATE, 100, std::ptr::null()), 2);
    wait_for_woken(3);
    is!(futex(&WORDS[0], FUTEX_WAKE_PRIVATE, 100, std::ptr::null()), 1);
    wait_for_woken(4);
    wake_all(handles);
}

fn futexes_between_processes() {
    let place = sys!(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) as usize;
    let child = raw::fork(|| {
        while read_byte(place) == 0 {
            sys!(SYS_futex, place, FUTEX_WAIT, 0, 0);
        }
        3
    });
    pause_ms(30);
    write_byte(place, 1);
    sys!(SYS_futex, place, FUTEX_WAKE, 1);
    is!(status_of(child), 3 << 8);
    // The same place of a file, mapped twice, is the same word.
    let file = crate::calls::create("file");
    ok!(SYS_ftruncate, file, 4096);
    let map = || sys!(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) as usize;
    let (first, second) = (map(), map());
    let child = raw::fork(|| {
        while read_byte(first) == 0 {
            sys!(SYS_futex, first, FUTEX_WAIT, 0, 0);
        }
        0
    });
    pause_ms(30);
    write_byte(second, 1);
    sys!(SYS_futex, second, FUTEX_WAKE, 1);
    is!(status_of(child), 0);
}

fn futex_bits_select_waiters() {
    let handles = waiters(2, || sys!(SYS_futex, WORDS[0].as_ptr(), FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0, 0, 0, 2));
    is!(sys!(SYS_futex, WORDS[0].as_ptr(), FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, 10, 0, 0, 5), 0);
    is!(sys!(SYS_futex, WORDS[0].as_ptr(), FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, 10, 0, 0, 6), 2);
    wait_for_woken(2);
    wake_all(handles);
    fails!(EINVAL, SYS_futex, WORDS[0].as_ptr(), FUTEX_WAIT_BITSET, 0, 0, 0, 0);
    fails!(EINVAL, SYS_futex, WORDS[0].as_ptr(), FUTEX_WAKE_BITSET, 1, 0, 0, 0);
}

fn futexes_refuse_what_is_wrong() {
    fails!(EINVAL, SYS_futex, WORDS[0].as_ptr() as usize + 1, FUTEX_WAIT, 0, 0);
    fails!(EINVAL, SYS_futex, WORDS[0].as_ptr() as usize + 2, FUTEX_WAKE, 1, 0);
    fails!(EFAULT, SYS_futex, 0, FUTEX_WAIT, 0, 0);
    fails!(EFAULT, SYS_futex, 0xffff_8000_0000_0000_usize, FUTEX_WAIT, 0, 0);
    fails!(ENOSYS, SYS_futex, WORDS[0].as_ptr(), 99, 0, 0);
    let place = memory(4096);
    ok!(SYS_munmap, place, 4096);
    fails!(EFAULT, SYS_futex, place, FUTEX_WAIT, 0, 0);
}

static HANDLED: AtomicI32 = AtomicI32::new(0);

extern "C" fn note_thread(_: i32, _: *mut siginfo_t, _: *mut c_void) {
    HANDLED.store(sys!(SYS_gettid) as i32, Ordering::SeqCst);
}

fn a_futex_wait_is_interrupted() {
    on_signal(SIGUSR1, note_thread, 0);
    let own = own_number();
    let child = raw::fork(|| {
        pause_ms(30);
        sys!(SYS_kill, own, SIGUSR1);
        0
    });
    let word = AtomicU32::new(0);
    is!(futex(&word, FUTEX_WAIT, 0, std::ptr::null()), -i64::from(EINTR));
    status_of(child);
}

fn signals_reach_the_thread_that_is_meant() {
    on_signal(SIGUSR1, note_thread, SA_RESTART);
    let (sender, receiver) = mpsc::channel();
    let handle = thread::spawn(move || {
        sender.send(sys!(SYS_gettid) as i32).expect("it is received");
        let begun = Instant::now();
        while HANDLED.load(Ordering::SeqCst) == 0 && begun.elapsed().as_secs() < 10 {
            pause_ms(1);
        }
    });
    let number = receiver.recv().unwrap_or_default();
    ok!(SYS_tgkill, own_number(), number, SIGUSR1);
    let _ = handle.join();
    is!(HANDLED.load(Ordering::SeqCst), number);
    fails!(ESRCH, SYS_tgkill, own_number(), 0x3fff_ffff, 0);
    fails!(ESRCH, SYS_tgkill, 1, number, 0);
    fails!(EINVAL, SYS_tgkill, own_number(), -1, 0);
    fails!(EINVAL, SYS_tgkill, own_number(), own_number(), 65);
    fails!(EINVAL, SYS_tkill, 0, SIGUSR1);
    ok!(SYS_tkill, own_number(), 0);
}

fn masks_belong_to_threads() {
    on_signal(SIGUSR1, note_thread, 0);
    let set = 1_u64 << (SIGUSR1 - 1);
    let (go, wait) = mpsc::channel::<()>();
    let handle = thread::spawn(move || {
        // Inherited from the first thread, which blocks it only later.
        let mut mask = 1_u64;
        ok!(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mut mask, 8);
        is!(mask & (1_u64 << (SIGUSR1 - 1)), 0);
        let _ = wait.recv();
        let begun = Instant::now();
        while HANDLED.load(Ordering::SeqCst) == 0 && begun.elapsed().as_secs() < 10 {
            pause_ms(1);
        }
        sys!(SYS_gettid) as i32
    });
    ok!(SYS_rt_sigprocmask, SIG_BLOCK, &set, 0, 8);
    ok!(SYS_kill, own_number(), SIGUSR1);
    let _ = go.send(());
    let number = handle.join().unwrap_or_default();
    is!(HANDLED.load(Ordering::SeqCst), number);
}

fn a_thread_that_exits_leaves_the_process() {
    let (sender, receiver) = mpsc::channel::<i32>();
    thread::spawn(move || {
        let _ = sender.send(sys!(SYS_gettid) as i32);
        sys!(SYS_exit, 3);
    });
    let number = receiver.recv().unwrap_or_default();
    let begun = Instant::now();
    while sys!(SYS_tgkill, own_number(), number, 0) == 0 && begun.elapsed().as_secs() < 10 {
        thread::yield_now();
    }
    fails!(ESRCH, SYS_tgkill, own_number(), number, 0);
}

fn the_process_ends_for_all_threads() {
    let status = in_child(|| {
        for _ in 0..8 {
            thread::spawn(|| {
                loop {
                    pause_ms(1000);
                }
            });
        }
        thread::spawn(|| {
            loop {
                std::hint::spin_loop();
            }
        });
        thread::spawn(|| raw::exit(21));
        loop {
            pause_ms(1000);
        }
    });
    is!(status, 21 << 8);
}

fn the_first_thread_may_end_first() {
    let status = in_child(|| {
        thread::spawn(|| {
            pause_ms(40);
            raw::exit(22)
        });
        sys!(SYS_exit, 1);
        0
    });
    is!(status, 22 << 8);
}

fn robust_locks_are_released() {
    // struct robust_list_head: next, offset of the word, the lock about to be taken; here one lock, whose word follows its list entry.
    const WORD: usize = 64;
    let place = sys!(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) as usize;
    let put = |address: usize, value: u64| {
        value.to_le_bytes().iter().enumerate().for_each(|(index, &byte)| write_byte(address + index, byte))
    };
    let entry = place + 32;
    let child = raw::fork(|| {
        put(place, entry as u64);
        put(place + 8, (WORD - 32) as u64);
        put(entry, place as u64);
        put(place + WORD, sys!(SYS_gettid) as u64);
        ok!(SYS_set_robust_list, place, 24);
        raw::exit(0)
    });
    is!(status_of(child), 0);
    let word = u32::from_le_bytes(raw::bytes_at(place + WORD, 4).try_into().unwrap_or_default());
    is!(word, FUTEX_OWNER_DIED);
    fails!(EINVAL, SYS_set_robust_list, place, 23);
    let (mut head, mut length) = (0_u64, 0_u64);
    ok!(SYS_get_robust_list, 0, &mut head, &mut length);
    is!(length, 24);
}

fn forking_takes_one_thread() {
    let counter = Arc::new(AtomicU32::new(0));
    let in_thread = Arc::clone(&counter);
    thread::spawn(move || {
        loop {
            in_thread.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
        }
    });
    while counter.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    let status = in_child(|| {
        let before = counter.load(Ordering::SeqCst);
        pause_ms(20);
        is!(counter.load(Ordering::SeqCst), before);
        i32::from(sys!(SYS_gettid) as i32 != own_number())
    });
    is!(status, 0);
}

thread_local! {
    static OWN: std::cell::Cell<i64> = const { std::cell::Cell::new(0) };
}

fn thread_local_storage() {
    let handles: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(|| {
                OWN.set(sys!(SYS_gettid));
                (0..50).for_each(|_| {
                    thread::yield_now();
                    is!(OWN.get(), sys!(SYS_gettid));
                });
            })
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.join().expect("no thread panics"));
    is!(OWN.get(), 0);
    let mut base = 0_u64;
    ok!(SYS_arch_prctl, 0x1003, &mut base);
    holds!(base != 0);
    fails!(EPERM, SYS_arch_prctl, 0x1002, 0xffff_8000_0000_0000_usize);
    fails!(EINVAL, SYS_arch_prctl, 0x9999, 0);
}

fn affinity_and_yielding() {
    ok!(SYS_sched_yield);
    let mut word = 7_i32;
    is!(sys!(SYS_set_tid_address, &mut word), sys!(SYS_gettid));
    sys!(SYS_set_tid_address, 0);
}
