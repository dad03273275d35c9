//! Foretells that the text goes on as it did where it was the same before.

use super::coder::Probability;
use super::model::Counter;

/// Bytes of text that are remembered.
const BYTES: usize = 1 << 14;
/// Places that are remembered, by the hash of the bytes before them.
const PLACES: usize = 1 << 12;
/// Lengths of what is the same that are told apart.
const LENGTHS: usize = 16;

/// The text so far, and where it is the same as its end. Zeros at first, as [`Model`](super::model::Model).
pub struct Repeat {
    /// A ring, written up to `end`.
    text: [u8; BYTES],
    end: u16,
    places: [u16; PLACES],
    /// Where the next byte is looked for.
    place: u16,
    /// Bytes before it that are the same as the last ones; 0 if the text goes on otherwise.
    length: usize,
    /// For each length, whether the bit that was looked for came.
    trust: [Counter; LENGTHS],
    /// Whether the last bit was foretold, and what as. (`None` of an `Option<bool>` is no zero.)
    is_foretold: bool,
    expected: bool,
}

impl Repeat {
    /// No text.
    pub const fn new() -> Self {
        Self {
            text: [0; BYTES],
            end: 0,
            places: [0; PLACES],
            place: 0,
            length: 0,
            trust: [Counter::UNKNOWN; LENGTHS],
            is_foretold: false,
            expected: false,
        }
    }

    /// Forgets all.
    pub fn reset(&mut self) {
        self.text.fill(0);
        self.places.fill(0);
        self.trust.fill(Counter::UNKNOWN);
        (self.end, self.place, self.length, self.is_foretold) = (0, 0, 0, false);
    }

    /// How probable a 1 is as the next bit of a byte whose bits so far are `partial`, behind a 1; `None` where nothing is the same.
    pub fn foretell(&mut self, partial: u32) -> Option<Probability> {
        self.is_foretold = false;
        if self.length == 0 {
            return None;
        }
        let byte = 0x100 | u32::from(self.at(self.place));
        let bits = partial.max(1).ilog2().min(7);
        if byte >> (8 - bits) != partial {
            self.length = 0;
            return None;
        }
        let expected = byte >> (7 - bits) & 1 != 0;
        (self.is_foretold, self.expected) = (true, expected);
        let trust = self.trust[self.length.min(LENGTHS - 1)].probability();
        Some(if expected { trust } else { 4095 - trust })
    }

    /// Learns the bit that was foretold last.
    pub fn learn(&mut self, bit: bool) {
        if self.is_foretold {
            self.trust[self.length.min(LENGTHS - 1)].learn(bit == self.expected);
        }
    }

    /// Adds a byte to the text; `hash` is of the last few.
    pub fn end_byte(&mut self, byte: u8, hash: u32) {
        let is_same = self.length > 0 && self.at(self.place) == byte;
        self.text[usize::from(self.end) % BYTES] = byte;
        self.end = self.end.wrapping_add(1);
        self.place = self.place.wrapping_add(1);
        self.length = if is_same { self.length + 1 } else { 0 };
        let known = &mut self.places[(hash >> 12) as usize % PLACES];
        if self.length == 0 {
            self.place = *known;
            *known = self.end;
            self.length = self.common(self.place);
        } else {
            *known = self.end;
        }
    }

    /// How many bytes before `place` are the same as the last ones, if they are enough to be believed.
    fn common(&self, place: u16) -> usize {
        let count = (1..=32_u16)
            .take_while(|back| *back <= place && self.at(place - back) == self.at(self.end.wrapping_sub(*back)))
            .count();
        if place != self.end && count >= 4 { count } else { 0 }
    }

    fn at(&self, place: u16) -> u8 {
        self.text[usize::from(place) % BYTES]
    }
}

impl Default for Repeat {
    fn default() -> Self {
        Self::new()
    }
}
