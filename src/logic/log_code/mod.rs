//! The log as a QR code: what a kernel without a serial port says last, in a form that a phone's camera takes off the screen.
//!
//! A [`Report`] is the head, which says what the matter is, and the log. [`Packer`] makes a text of it that begins with [`PREFIX`]:
//! all of the head first, then of the log as many lines as there is room for, the newest first. [`unpack`] reads it. [`symbol`]
//! makes the QR code and [`paint`] the pixels. Nothing is allocated but by [`unpack`], which only the host calls.
//!
//! The text is [`base41`] of the packed bytes and of their checksum. Packed are, by the [`coder`] with the probabilities of the
//! [`model`]: for each line a 1, with a fixed probability, and its bytes up to the newline; behind the head and behind the log a 0.
//! Whoever changes the model or its phrases makes a new format: the checksum begins with that of the phrases, so that a text of
//! another version is known as such.

mod base41;
mod coder;
mod lines;
mod model;
pub mod paint;
mod phrases;
mod repeat;
pub mod symbol;
#[cfg(test)]
mod tests;

pub use lines::Lines;

use alloc::string::String;
use alloc::vec::Vec;
use coder::{Decoder, Encoder, Probability};
use core::fmt;
use model::Model;

/// What the text begins with. With the blank, no phone takes it for an address of the web or of a program.
pub const PREFIX: &str = "ERES1 ";
/// Bytes of packed lines at most; a QR code of [`symbol::MOST_VERSION`] holds less.
const MOST_PACKED: usize = 1280;
/// Characters of text at most.
pub const MOST_CHARACTERS: usize = PREFIX.len() + MOST_PACKED / 2 * 3;
const CHECKSUM_BYTES: usize = 2;
/// That another line follows: a 0 ends the lines, and takes six bits.
const ONE_MORE: Probability = 4096 - 64;
/// Bytes that the two ends may take.
const ENDS: usize = 2;
/// Bytes of a report that are believed.
const MOST_UNPACKED: usize = 64 * 1024;

/// What is packed, with or without the lines' newlines.
pub struct Report<Head, Log> {
    /// Lines that say what the matter is, first to last.
    pub head: Head,
    /// The log, its last line first.
    pub newest_first: Log,
}

/// Packs reports. It is large: for a static, where it takes no room in the image.
pub struct Packer {
    model: Model,
    packed: [u8; MOST_PACKED],
    text: [u8; MOST_CHARACTERS],
}

impl Packer {
    /// Has packed nothing.
    pub const fn new() -> Self {
        Self { model: Model::new(), packed: [0; MOST_PACKED], text: [0; MOST_CHARACTERS] }
    }

    /// The text of `report` in at most `characters`, all of which are of a QR code's alphanumeric mode. Empty if there is no room
    /// for anything.
    #[inline(never)]
    pub fn pack<'a, 'b>(
        &'a mut self,
        report: Report<impl Iterator<Item = &'b [u8]>, impl Iterator<Item = &'b [u8]>>,
        characters: usize,
    ) -> &'a str {
        let room = base41::room(characters.saturating_sub(PREFIX.len())).min(MOST_PACKED);
        let Some(room) = room.checked_sub(CHECKSUM_BYTES + ENDS) else { return "" };
        self.model.reset();
        let mut encoder = Encoder::new(&mut self.packed);
        if pack_lines(&mut self.model, &mut encoder, report.head, room) {
            pack_lines(&mut self.model, &mut encoder, report.newest_first, room);
        } else {
            pack_lines(&mut self.model, &mut encoder, core::iter::empty(), room);
        }
        let length = encoder.finish();
        let Some(packed) = self.packed.get_mut(..length + CHECKSUM_BYTES) else { return "" };
        if let Some((lines, sum)) = packed.split_last_chunk_mut::<CHECKSUM_BYTES>() {
            *sum = checksum(lines).to_le_bytes();
        }
        let mut places = self.text.iter_mut();
        let mut written = 0;
        let mut put = |character| {
            if let Some(place) = places.next() {
                *place = character;
                written += 1;
            }
        };
        PREFIX.bytes().for_each(&mut put);
        base41::encode(packed, put);
        self.text.get(..written).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

impl Default for Packer {
    fn default() -> Self {
        Self::new()
    }
}

/// Packs lines as long as they fit into `room` bytes; whether all did.
fn pack_lines<'a>(
    model: &mut Model,
    encoder: &mut Encoder<'_>,
    lines: impl Iterator<Item = &'a [u8]>,
    room: usize,
) -> bool {
    let mut fit = true;
    for line in lines {
        let before = encoder.mark();
        encoder.encode(true, ONE_MORE);
        let bytes = line.iter().copied().filter(|byte| *byte != b'\n').chain([b'\n']);
        for bit in bytes.flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1 != 0)) {
            let probability = model.foretell();
            encoder.encode(bit, probability);
            model.learn(bit);
        }
        if encoder.length() > room {
            // What the model has learnt of this line does no harm: nothing is foretold any more.
            encoder.return_to(before);
            fit = false;
            break;
        }
    }
    encoder.encode(false, ONE_MORE);
    fit
}

/// What a text holds: lines without newlines, in the order in which they were said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// What the matter is.
    pub head: Vec<String>,
    /// The log's end.
    pub log: Vec<String>,
}

/// The report with its two parts apart from each other.
impl fmt::Display for Unpacked {
    fn fmt(&self, output: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head.iter().try_for_each(|line| writeln!(output, "{line}"))?;
        write!(output, "\nThe log's end:")?;
        self.log.iter().try_for_each(|line| write!(output, "\n{line}"))
    }
}

/// Why a text cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It does not begin with [`PREFIX`].
    Prefix,
    /// There is a character that no such text has.
    Character,
    /// It is not as it was packed, or was packed by another version.
    Damaged,
}

impl fmt::Display for Error {
    fn fmt(&self, output: &mut fmt::Formatter<'_>) -> fmt::Result {
        output.write_str(match self {
            Self::Prefix => "the text of a code begins with ERES1",
            Self::Character => "there is a character that no code has",
            Self::Damaged => "the text is not whole, or of another version of Eres",
        })
    }
}

/// Reads what [`Packer::pack`] made. Blanks and ends of lines in it do no harm.
///
/// # Errors
/// If that is no such text.
pub fn unpack(text: &str) -> Result<Unpacked, Error> {
    let text = text.trim_start();
    let prefix = text.get(..PREFIX.trim_end().len()).filter(|start| start.eq_ignore_ascii_case(PREFIX.trim_end()));
    let digits = prefix.and_then(|prefix| text.get(prefix.len()..)).ok_or(Error::Prefix)?;
    let mut packed = Vec::new();
    base41::decode(digits.as_bytes(), |byte| packed.push(byte))?;
    let (packed, sum) = packed.split_last_chunk::<CHECKSUM_BYTES>().ok_or(Error::Damaged)?;
    if checksum(packed) != u16::from_le_bytes(*sum) {
        return Err(Error::Damaged);
    }
    let mut model = alloc::boxed::Box::new(Model::new());
    model.reset();
    let mut decoder = Decoder::new(packed);
    let head = unpack_lines(&mut model, &mut decoder)?;
    let mut log = unpack_lines(&mut model, &mut decoder)?;
    log.reverse();
    Ok(Unpacked { head, log })
}

fn unpack_lines(model: &mut Model, decoder: &mut Decoder<'_>) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    let mut bytes = 0;
    while decoder.decode(ONE_MORE).ok_or(Error::Damaged)? {
        let mut line = Vec::new();
        loop {
            let mut byte = 0;
            for _ in 0..8 {
                let bit = decoder.decode(model.foretell()).ok_or(Error::Damaged)?;
                model.learn(bit);
                byte = byte << 1 | u8::from(bit);
            }
            bytes += 1;
            match byte {
                _ if bytes > MOST_UNPACKED => return Err(Error::Damaged),
                b'\n' => break,
                _ => line.push(byte),
            }
        }
        lines.push(String::from_utf8_lossy(&line).into_owned());
    }
    Ok(lines)
}

/// CRC-16 of the phrases and `bytes` (polynomial 0x1021, as X.25 has it, most significant bit first).
fn checksum(bytes: &[u8]) -> u16 {
    phrases::PHRASES.bytes().chain(bytes.iter().copied()).fold(0xffff, |sum, byte| {
        (0..8).fold(sum ^ u16::from(byte) << 8, |sum, _| if sum & 0x8000 != 0 { sum << 1 ^ 0x1021 } else { sum << 1 })
    })
}
