//! Bytes on the way from an interrupt handler to a thread: neither ever waits for the other.
//!
//! One side adds, one side takes, at a time. More on either side would lose or repeat bytes, nothing worse.

use super::atomic::{AtomicU8, AtomicUsize, Ordering};

/// A ring of `N` bytes, a power of two. All zeros when empty and new, so that a static one takes no room in the
/// kernel's image.
#[derive(Debug)]
pub struct ByteRing<const N: usize> {
    bytes: [AtomicU8; N],
    /// How many were added and taken since the beginning, wrapping.
    added: AtomicUsize,
    taken: AtomicUsize,
}

impl<const N: usize> ByteRing<N> {
    /// An empty ring.
    pub const fn new() -> Self {
        assert!(N.is_power_of_two(), "places follow each other even where the counts wrap");
        Self { bytes: [const { AtomicU8::new(0) }; N], added: AtomicUsize::new(0), taken: AtomicUsize::new(0) }
    }

    /// How many bytes are in it; a hint for all but the side that asks about its own doing.
    pub fn len(&self) -> usize {
        self.added.load(Ordering::Acquire).wrapping_sub(self.taken.load(Ordering::Acquire)).min(N)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing more fits.
    pub fn is_full(&self) -> bool {
        self.len() == N
    }

    /// Adds a byte. False if it is full.
    #[must_use = "a byte that found no room is lost"]
    pub fn push(&self, byte: u8) -> bool {
        let added = self.added.load(Ordering::Relaxed);
        let fits = added.wrapping_sub(self.taken.load(Ordering::Acquire)) < N;
        if fits {
            self.bytes[added % N].store(byte, Ordering::Relaxed);
            self.added.store(added.wrapping_add(1), Ordering::Release);
        }
        fits
    }

    /// Takes the oldest byte.
    pub fn pop(&self) -> Option<u8> {
        let taken = self.taken.load(Ordering::Relaxed);
        if taken == self.added.load(Ordering::Acquire) {
            return None;
        }
        let byte = self.bytes[taken % N].load(Ordering::Relaxed);
        self.taken.store(taken.wrapping_add(1), Ordering::Release);
        Some(byte)
    }
}

impl<const N: usize> Default for ByteRing<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn bytes_come_out_in_order_and_no_more_than_fit_go_in() {
        let ring = ByteRing::<4>::new();
        for round in 0..10 {
            assert!(ring.is_empty() && ring.pop().is_none());
            assert!((0..4).all(|byte| ring.push(byte + round)));
            assert!(ring.is_full() && !ring.push(9));
            assert!((0..4).all(|byte| ring.pop() == Some(byte + round)));
        }
    }

    #[test]
    fn nothing_is_lost_between_two_threads() {
        static RING: ByteRing<64> = ByteRing::new();
        const COUNT: usize = 100_000;
        let byte_at = |index: usize| (index % 251) as u8;
        let adder = thread::spawn(move || {
            for index in 0..COUNT {
                while !RING.push(byte_at(index)) {
                    thread::yield_now();
                }
            }
        });
        for index in 0..COUNT {
            let byte = loop {
                match RING.pop() {
                    Some(byte) => break byte,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(byte, byte_at(index));
        }
        adder.join().unwrap();
    }
}
