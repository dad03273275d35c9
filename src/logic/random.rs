//! Random numbers that nobody can foretell: ChaCha20, keyed anew after each request, so that whoever gets to see the key learns
//! nothing of what was drawn before ("fast key erasure", D. J. Bernstein, 2017).
//!
//! What is mixed in may be worth little, or be chosen by an enemy: it changes the key together with the generator's own output, so
//! that it never makes things worse.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Bits of randomness from which on nobody tries all keys.
const ENOUGH_BITS: u32 = 256;

/// A source of random numbers.
pub struct Generator {
    key: [u8; KEY_BYTES],
    /// Bits of randomness mixed in so far, as far as is known.
    bits: u32,
}

impl Generator {
    /// A generator that nothing has been mixed into.
    pub const fn new() -> Self {
        Self { key: [0; KEY_BYTES], bits: 0 }
    }

    /// Mixes bytes in that are worth `bits` bits of randomness at least.
    pub fn mix(&mut self, bytes: &[u8], bits: u32) {
        for block in bytes.chunks(KEY_BYTES) {
            self.key.iter_mut().zip(block).for_each(|(key, byte)| *key ^= byte);
            self.key = ChaCha20Rng::from_seed(self.key).next_key();
        }
        self.bits = self.bits.saturating_add(bits);
    }

    /// Whether enough has been mixed in for keys and the like.
    pub fn is_ready(&self) -> bool {
        self.bits >= ENOUGH_BITS
    }

    /// Fills `bytes` with random numbers.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        let mut stream = ChaCha20Rng::from_seed(self.key);
        self.key = stream.next_key();
        stream.fill_bytes(bytes);
    }
}

impl Default for Generator {
    fn default() -> Self {
        Self::new()
    }
}

trait NextKey {
    fn next_key(&mut self) -> [u8; KEY_BYTES];
}

impl NextKey for ChaCha20Rng {
    fn next_key(&mut self) -> [u8; KEY_BYTES] {
        let mut key = [0; KEY_BYTES];
        self.fill_bytes(&mut key);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(generator: &mut Generator) -> [u8; 64] {
        let mut bytes = [0; 64];
        generator.fill(&mut bytes);
        bytes
    }

    #[test]
    fn the_same_is_never_drawn_twice() {
        let mut generator = Generator::new();
        let draws: Vec<_> = (0..100).map(|_| draw(&mut generator)).collect();
        assert!((0..100).all(|later| (0..later).all(|earlier| draws[later] != draws[earlier])));
    }

    #[test]
    fn every_bit_mixed_in_counts() {
        let mut all = Vec::new();
        for bit in 0..512 {
            let mut bytes = [0; 64];
            bytes[bit / 8] = 1 << (bit % 8);
            let mut generator = Generator::new();
            generator.mix(&bytes, 0);
            all.push(draw(&mut generator));
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 512);
    }

    #[test]
    fn the_stream_is_that_of_chacha20() {
        // Key and nonce 0 (draft-agl-tls-chacha20poly1305, section 7): the first 32 bytes become the next key.
        let mut generator = Generator::new();
        let drawn = draw(&mut generator);
        assert_eq!(generator.key[..8], [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]);
        assert_eq!(drawn[..8], [0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48, 0x8d]);
    }

    #[test]
    fn it_is_ready_when_enough_is_known_to_be_random() {
        let mut generator = Generator::new();
        generator.mix(&[1; 100], 255);
        assert!(!generator.is_ready());
        generator.mix(&[1], 1);
        assert!(generator.is_ready());
        generator.mix(&[], u32::MAX);
        assert!(generator.is_ready());
    }
}
