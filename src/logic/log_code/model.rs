//! Foretells the next bit of a log from what followed the last few characters before.
//!
//! Context mixing as in Matt Mahoney's lpaq ("Data Compression Explained", section 4.3), cut down: counters for the last 1, 2 and 3
//! bytes and for the word, what came where the text was the same before ([`Repeat`]), and a small network that learns whom of them
//! to believe. All of it is whole numbers, so that the kernel and the host foretell the same. Before a text begins, the model reads
//! [`PHRASES`], so that it knows from the first letter on how the kernel speaks.

use super::coder::Probability;
use super::phrases::PHRASES;
use super::repeat::Repeat;

/// Contexts with counters.
const CONTEXTS: usize = 4;
/// And the repeat.
const OPINIONS: usize = CONTEXTS + 1;
/// Counters for a context. They are found by hashes, so that more are only better.
const COUNTERS: usize = 1 << 13;
/// Weights that the network begins with, in units of 1/65536.
const FIRST_WEIGHT: i32 = (1 << 16) * 4 / 10;
/// How fast the network learns.
const LEARNING: i32 = 14;
/// After that many bits a counter forgets the oldest.
const MOST_COUNTED: u16 = 14;

/// A probability of a 1, learnt from bits. Zero at first, which stands for one half.
///
/// The probability is in the high 12 bits, as its difference to one half; in the low 4 bits is how often the counter has learnt.
#[derive(Clone, Copy)]
pub(super) struct Counter(u16);

impl Counter {
    pub(super) const UNKNOWN: Self = Self(0);

    pub(super) fn probability(self) -> Probability {
        (self.0 ^ 0x8000) >> 4
    }

    /// After one more bit: sure of little at first, it learns fast, and slower later.
    pub(super) fn learn(&mut self, bit: bool) {
        let (probability, count) = (i32::from(self.probability()), self.0 & 0xf);
        let target = if bit { 4095 } else { 0 };
        let change = (target - probability) * 2 / (i32::from(count) * 2 + 3);
        // Between 0 and 4095, as both were.
        let probability = (probability + change).clamp(0, 4095) as u16;
        self.0 = (probability << 4 | (count + 1).min(MOST_COUNTED)) ^ 0x8000;
    }
}

/// What is known so far. Zeros at first, so that it takes no room in the kernel's image.
pub struct Model {
    counters: [[Counter; COUNTERS]; CONTEXTS],
    repeat: Repeat,
    /// The inverse of [`squash`].
    stretched: [i16; 4096],
    weights: [[i32; OPINIONS]; 8],
    /// Hashes of the contexts.
    contexts: [u32; CONTEXTS],
    /// The last eight bytes.
    recent: u64,
    /// A hash of the word so far.
    word: u32,
    /// The bits of this byte so far, behind a 1.
    partial: u32,
    /// For the bit that was foretold last: places of the counters, what they said, and what came of it.
    places: [usize; CONTEXTS],
    opinions: [i32; OPINIONS],
    foretold: i32,
}

impl Model {
    /// To be [`reset`](Self::reset) before use.
    pub const fn new() -> Self {
        Self {
            counters: [[Counter::UNKNOWN; COUNTERS]; CONTEXTS],
            repeat: Repeat::new(),
            stretched: [0; 4096],
            weights: [[0; OPINIONS]; 8],
            contexts: [0; CONTEXTS],
            recent: 0,
            word: 0,
            partial: 0,
            places: [0; CONTEXTS],
            opinions: [0; OPINIONS],
            foretold: 0,
        }
    }

    /// Forgets all but the kernel's phrases.
    pub fn reset(&mut self) {
        self.counters.as_flattened_mut().fill(Counter::UNKNOWN);
        self.repeat.reset();
        self.weights.as_flattened_mut().fill(FIRST_WEIGHT);
        self.contexts.fill(0);
        (self.recent, self.word, self.partial) = (0, 0, 1);
        let mut next = 0;
        for position in -2047..=2047_i16 {
            let end = squash(position.into());
            while let Some(place) = self.stretched.get_mut(next).filter(|_| next <= usize::from(end)) {
                *place = position;
                next += 1;
            }
        }
        for byte in PHRASES.bytes() {
            for shift in (0..8).rev() {
                self.foretell();
                self.learn(byte >> shift & 1 != 0);
            }
        }
    }

    /// How probable it is that the next bit is a 1.
    pub fn foretell(&mut self) -> Probability {
        for (index, counters) in self.counters.iter().enumerate() {
            let hash = (self.contexts[index] ^ self.partial.wrapping_mul(0x9e37_79b1)).wrapping_mul(0x85eb_ca6b);
            let place = (hash >> 12) as usize % COUNTERS;
            self.places[index] = place;
            self.opinions[index] = self.stretched(counters[place].probability());
        }
        self.opinions[CONTEXTS] = self.repeat.foretell(self.partial).map_or(0, |one| self.stretched(one));
        let weights = self.weights[self.bit_number()];
        let products = self.opinions.iter().zip(weights).map(|(opinion, weight)| opinion.wrapping_mul(weight) >> 8);
        let probability = squash(products.fold(0, i32::wrapping_add) >> 8);
        self.foretold = probability.into();
        probability
    }

    /// Learns the bit that was foretold last.
    pub fn learn(&mut self, bit: bool) {
        let error = ((i32::from(bit) << 12) - self.foretold) * LEARNING;
        let bit_number = self.bit_number();
        for (weight, opinion) in self.weights[bit_number].iter_mut().zip(self.opinions) {
            *weight = weight.wrapping_add(opinion.wrapping_mul(error).wrapping_add(0x4000) >> 15);
        }
        for (counters, place) in self.counters.iter_mut().zip(self.places) {
            counters[place % COUNTERS].learn(bit);
        }
        self.repeat.learn(bit);
        self.partial = self.partial << 1 | u32::from(bit);
        if self.partial >= 0x100 {
            // The bits of a byte, behind the 1.
            self.end_byte((self.partial & 0xff) as u8);
        }
    }

    fn stretched(&self, probability: Probability) -> i32 {
        self.stretched[usize::from(probability) % 4096].into()
    }

    fn bit_number(&self) -> usize {
        self.partial.max(1).ilog2() as usize % 8
    }

    fn end_byte(&mut self, byte: u8) {
        self.partial = 1;
        self.recent = self.recent << 8 | u64::from(byte);
        self.word = if byte.is_ascii_alphabetic() {
            self.word.wrapping_add(byte.into()).wrapping_mul(0x2f0b_4c47)
        } else {
            byte.into()
        };
        let last = |bytes: u32| self.recent & (u64::MAX >> (64 - 8 * bytes));
        self.contexts = [last(1), last(2), last(3), self.word.into()].map(hash);
        self.repeat.end_byte(byte, hash(last(5)));
    }
}

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

/// What a sum of opinions is as a probability: 4096 / (1 + e^(-x / 256)), between known points.
fn squash(sum: i32) -> Probability {
    const POINTS: [u16; 33] = [
        1, 2, 3, 6, 10, 16, 27, 45, 73, 120, 194, 310, 488, 747, 1101, 1546, 2047, 2549, 2994, 3348, 3607, 3785, 3901,
        3975, 4022, 4050, 4068, 4079, 4085, 4089, 4092, 4093, 4094,
    ];
    let place = (sum.clamp(-2047, 2047) + 2048) as usize;
    let (left, right) = (u32::from(POINTS[place / 128]), u32::from(POINTS[place / 128 + 1]));
    let share = (place % 128) as u32;
    // Between two points, which are below 4096.
    ((left * (128 - share) + right * share + 64) / 128) as Probability
}

fn hash(value: u64) -> u32 {
    // The high bits are mixed best.
    (value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}
