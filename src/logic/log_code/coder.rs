//! Binary arithmetic coding: bits to bytes and back, each bit at the cost of how unlikely it was said to be.
//!
//! The carry-less coder of Matt Mahoney's "Data Compression Explained" (section 3.2): an interval of 32-bit numbers is divided for
//! each bit; the bytes that its two ends share are output. Behind the last byte, zeros are read.

/// A probability in units of 1/4096, of which 0 and 4096 are none.
pub type Probability = u16;

/// Where an interval is divided: a 1 takes the part up to there.
fn middle(low: u32, high: u32, probability_of_one: Probability) -> u32 {
    let share = (u64::from(high.wrapping_sub(low)) * u64::from(probability_of_one.clamp(1, 4095))) >> 12;
    // Less than the interval, which is of 32 bits.
    low.wrapping_add(share as u32)
}

/// Whether both ends begin with the same byte.
fn share_a_byte(low: u32, high: u32) -> bool {
    (low ^ high) >> 24 == 0
}

/// Writes bits to a buffer.
pub struct Encoder<'a> {
    output: &'a mut [u8],
    state: Mark,
}

/// How far an encoder is. Going back to it forgets what was encoded since.
#[derive(Clone, Copy)]
pub struct Mark {
    length: usize,
    low: u32,
    high: u32,
}

impl<'a> Encoder<'a> {
    /// Nothing is encoded yet.
    pub fn new(output: &'a mut [u8]) -> Self {
        Self { output, state: Mark { length: 0, low: 0, high: u32::MAX } }
    }

    /// Encodes a bit.
    pub fn encode(&mut self, bit: bool, probability_of_one: Probability) {
        let Mark { low, high, .. } = self.state;
        let middle = middle(low, high, probability_of_one);
        if bit {
            self.state.high = middle;
        } else {
            self.state.low = middle.wrapping_add(1);
        }
        while share_a_byte(self.state.low, self.state.high) {
            self.put((self.state.high >> 24) as u8);
            self.state.low <<= 8;
            self.state.high = self.state.high << 8 | 0xff;
        }
    }

    /// Bytes that would be taken if this were the end.
    pub fn length(&self) -> usize {
        self.state.length + self.ending().1
    }

    /// To come back to by [`return_to`](Self::return_to).
    pub fn mark(&self) -> Mark {
        self.state
    }

    /// Forgets what was encoded since.
    pub fn return_to(&mut self, mark: Mark) {
        self.state = mark;
    }

    /// Ends the output; how long it is. More than the buffer has room for if what was encoded does not fit.
    pub fn finish(mut self) -> usize {
        let (ending, bytes) = self.ending();
        for byte in ending.to_be_bytes().into_iter().take(bytes) {
            self.put(byte);
        }
        self.state.length
    }

    /// The number in the interval with the fewest bytes before zeros, and how many those are.
    fn ending(&self) -> (u32, usize) {
        let Mark { low, high, .. } = self.state;
        for bytes in 0..4 {
            let rest = u32::MAX.checked_shr(8 * bytes).unwrap_or(0);
            if let Some(rounded) = low.checked_add(rest)
                && rounded & !rest <= high
            {
                return (rounded & !rest, bytes as usize);
            }
        }
        (low, 4)
    }

    fn put(&mut self, byte: u8) {
        if let Some(place) = self.output.get_mut(self.state.length) {
            *place = byte;
        }
        self.state.length += 1;
    }
}

/// Reads bits that an [`Encoder`] wrote, if it is told the same probabilities.
pub struct Decoder<'a> {
    input: &'a [u8],
    low: u32,
    high: u32,
    value: u32,
    /// Zeros that were read behind the input.
    missing: usize,
}

impl<'a> Decoder<'a> {
    /// Before the first bit.
    pub fn new(input: &'a [u8]) -> Self {
        let mut decoder = Self { input, low: 0, high: u32::MAX, value: 0, missing: 0 };
        (0..4).for_each(|_| decoder.take());
        decoder
    }

    /// The next bit; `None` where there are none any more.
    pub fn decode(&mut self, probability_of_one: Probability) -> Option<bool> {
        // An encoder leaves out at most four zeros.
        if self.missing > 8 {
            return None;
        }
        let middle = middle(self.low, self.high, probability_of_one);
        let bit = self.value <= middle;
        if bit {
            self.high = middle;
        } else {
            self.low = middle.wrapping_add(1);
        }
        while share_a_byte(self.low, self.high) {
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
            self.take();
        }
        Some(bit)
    }

    fn take(&mut self) {
        let byte = match self.input.split_first() {
            Some((byte, rest)) => {
                self.input = rest;
                *byte
            }
            None => {
                self.missing += 1;
                0
            }
        };
        self.value = self.value << 8 | u32::from(byte);
    }
}
