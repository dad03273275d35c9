//! Compares other processors' time-stamp counters with this one's: roughly with all at once, or closely with one.
//!
//! Closely, the two hand a turn to and fro through one word: this one reads its counter, gives the turn away, and reads again when it is
//! back; the other reads its own in between. Of several rounds the tightest counts, which is as tight as a word's way between
//! the processors' caches; rounds that a hypervisor held up do no harm.

use super::percpu::{self, MAX_CPUS};
use super::{clock, cpu, ipi};
use arrayvec::ArrayVec;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use core::time::Duration;
use logic::sync::interrupts::InterruptsOff;
use logic::time::stability::Exchange;

/// Rounds at most; on a real machine that is some microseconds.
pub const ROUNDS: usize = 16;
/// Where rounds are slow, because emulated processors share few real ones, this is enough time once there is one.
const LONG_ENOUGH: Duration = Duration::from_micros(200);
/// Without any, this is.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whose turn it is.
const OURS: u8 = 0;
const THEIRS: u8 = 1;
/// Nobody's any more.
const DONE: u8 = 2;

/// What the processors' counters were when last asked for by [`exchange_with_all`].
static ANSWERS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// Compares this processor's counter with those of all others for which `wanted` holds, in one interrupt: as roughly as that
/// takes time. Answers the exchange with each of them, by number. No lock may be held.
pub fn exchange_with_all(wanted: impl Fn(usize) -> bool) -> impl Fn(usize) -> Exchange {
    let _here = InterruptsOff::new();
    let before = cpu::tsc();
    ipi::call_others(wanted, &|| ANSWERS[percpu::current().number()].store(cpu::tsc(), Ordering::Relaxed));
    let after = cpu::tsc();
    move |number| Exchange { before, other: ANSWERS[number].load(Ordering::Relaxed), after }
}

/// Compares this processor's counter with `their_counter` as read by processor `number`, whose interrupts must be on. Without
/// an answer there are no exchanges. No lock may be held.
pub fn exchange_with(number: usize, their_counter: &(dyn Fn() -> u64 + Sync)) -> ArrayVec<Exchange, ROUNDS> {
    let turn = AtomicU8::new(OURS);
    let answer = AtomicU64::new(0);
    let theirs = || {
        loop {
            match turn.load(Ordering::Acquire) {
                OURS => spin_loop(),
                THEIRS => {
                    answer.store(their_counter(), Ordering::Relaxed);
                    // Unless it was given up meanwhile.
                    let _ = turn.compare_exchange(THEIRS, OURS, Ordering::Release, Ordering::Relaxed);
                }
                _ => break,
            }
        }
    };
    let mut exchanges = ArrayVec::new();
    let ours = || {
        let started = clock::now();
        let enough = |rounds: usize| {
            let time = clock::now().since(started);
            rounds >= ROUNDS || time >= if rounds > 0 { LONG_ENOUGH } else { PATIENCE }
        };
        'rounds: while !enough(exchanges.len()) {
            let before = cpu::tsc();
            turn.store(THEIRS, Ordering::Release);
            while turn.load(Ordering::Acquire) == THEIRS {
                if enough(exchanges.len()) {
                    break 'rounds;
                }
                spin_loop();
            }
            let after = cpu::tsc();
            exchanges.push(Exchange { before, other: answer.load(Ordering::Relaxed), after });
        }
        turn.store(DONE, Ordering::Release);
    };
    ipi::call_beside(|cpu| cpu == number, &theirs, ours);
    exchanges
}
