//! The kernel's random numbers, for programs and for itself.
//!
//! Seeded when first asked: from the processor's own generator and the host's, if it is a virtual machine that is given one, each of
//! which is trusted for all that is needed, and else from the time that a little work takes, of which many measurements count as
//! one bit each eight of them. Whatever happens at unforeseeable times is [noted](note) besides.
//!
//! Who doubts the host has lost: it sees the generator's key in the machine's memory.

use super::mutex::Mutex;
use super::wait::sleep;
use crate::drivers::virtio;
use crate::hw::{clock, cpu, entropy};
use arrayvec::ArrayVec;
use core::fmt;
use logic::random::{Generator, KEY_BYTES};
use logic::sync::{IrqLock, Rank};

static GENERATOR: IrqLock<Generator> = IrqLock::new(Rank::File, Generator::new());

/// Somebody seeds it, which may wait for devices.
static SEEDING: Mutex<()> = Mutex::new(());

/// Measurements of time that count as one bit.
const MEASUREMENTS_PER_BIT: u32 = 8;
/// Bytes that the host is asked for: twice a key.
const HOST_BYTES: usize = 2 * KEY_BYTES;
/// Bytes drawn with the lock held once.
const CHUNK: usize = 256;

/// Fills `bytes` with random numbers.
pub fn fill(bytes: &mut [u8]) {
    if !GENERATOR.lock().is_ready() {
        let _alone = SEEDING.lock();
        if !GENERATOR.lock().is_ready() {
            seed();
        }
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

/// Waits for the host, if it has to, which only a thread without locks may: it is the first program's that comes here.
fn seed() {
    let mut sources = ArrayVec::<&str, 4>::new();
    for word in [cpu::tsc(), clock::now().nanoseconds()] {
        mix(&word.to_le_bytes());
    }
    for (word, source) in (0..KEY_BYTES / 8).filter_map(|_| entropy::hardware()) {
        GENERATOR.lock().mix(&word.to_le_bytes(), u64::BITS);
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    let mut bytes = [0; HOST_BYTES];
    let count = virtio::rng::read(&mut bytes, sleep);
    if let Some(given) = bytes.get(..count).filter(|given| !given.is_empty()) {
        GENERATOR.lock().mix(given, 8 * given.len() as u32);
        sources.push("virtio-rng");
    }
    if !GENERATOR.lock().is_ready() {
        measure_time();
        sources.push("timing");
    }
    log::debug!("random: seeded by {}", Listed(&sources));
}

/// Mixes in the time that work takes until that is enough.
fn measure_time() {
    let mut work = [0; 64];
    while !GENERATOR.lock().is_ready() {
        for _ in 0..MEASUREMENTS_PER_BIT {
            mix(&entropy::jitter(&mut work).to_le_bytes());
        }
        GENERATOR.lock().mix(&[], 1);
    }
}

/// Words with commas between.
struct Listed<'a>(&'a [&'a str]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(index, word)| {
            formatter.write_str(if index > 0 { ", " } else { "" })?;
            formatter.write_str(word)
        })
    }
}
