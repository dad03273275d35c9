//! The kernel's random numbers, for programs and for itself.
//!
//! Seeded when first asked: from the processor's own generator, which is trusted for all that is needed, and else from the time that
//! a little work takes, of which many measurements count as one bit each eight of them. Whatever happens at unforeseeable times
//! is [noted](note) besides.

use crate::hw::{clock, cpu, entropy};
use logic::random::{Generator, KEY_BYTES};
use logic::sync::{IrqLock, Rank};

static GENERATOR: IrqLock<Generator> = IrqLock::new(Rank::File, Generator::new());

/// Measurements of time that count as one bit.
const MEASUREMENTS_PER_BIT: u32 = 8;
/// Bytes drawn with the lock held once.
const CHUNK: usize = 256;

/// Fills `bytes` with random numbers.
pub fn fill(bytes: &mut [u8]) {
    if !GENERATOR.lock().is_ready() {
        seed();
    }
    for chunk in bytes.chunks_mut(CHUNK) {
        GENERATOR.lock().fill(chunk);
    }
}

/// Some random numbers: all at once, because the first is what costs.
pub fn numbers<const COUNT: usize>() -> [u64; COUNT] {
    let mut bytes = [[0; 8]; COUNT];
    fill(bytes.as_flattened_mut());
    bytes.map(u64::from_le_bytes)
}

/// Something happened that nobody could foretell the exact time of.
pub fn note() {
    GENERATOR.lock().mix(&cpu::tsc().to_le_bytes(), 1);
}

/// Mixes in what a program gives, which counts for nothing.
pub fn mix(bytes: &[u8]) {
    for chunk in bytes.chunks(CHUNK) {
        GENERATOR.lock().mix(chunk, 0);
    }
}

fn seed() {
    for word in [cpu::tsc(), clock::now().nanoseconds()] {
        mix(&word.to_le_bytes());
    }
    for _ in 0..KEY_BYTES / 8 {
        if let Some(word) = entropy::hardware() {
            GENERATOR.lock().mix(&word.to_le_bytes(), u64::BITS);
        }
    }
    let mut work = [0; 64];
    while !GENERATOR.lock().is_ready() {
        for _ in 0..MEASUREMENTS_PER_BIT {
            mix(&entropy::jitter(&mut work).to_le_bytes());
        }
        GENERATOR.lock().mix(&[], 1);
    }
}
