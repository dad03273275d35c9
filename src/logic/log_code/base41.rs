//! Bytes as characters of a QR code's alphanumeric mode: two bytes are three digits of base 41, the lowest first.
//!
//! As Base45 (RFC 9285), without the four characters of that mode which text loses on its way or which a shell takes for its own:
//! the blank, `$`, `%` and `*`. With 41 characters left, three of them still hold two bytes.

use super::Error;

const DIGITS: &[u8; 41] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ+-./:";

/// Bytes that `characters` have room for.
pub fn room(characters: usize) -> usize {
    characters / 3 * 2 + usize::from(characters % 3 == 2)
}

/// Hands the digits of `bytes` to `put`.
pub fn encode(bytes: &[u8], mut put: impl FnMut(u8)) {
    for pair in bytes.chunks(2) {
        let (mut value, digits) = match *pair {
            [low, high] => (usize::from(u16::from_le_bytes([low, high])), 3),
            [low] => (usize::from(low), 2),
            _ => return,
        };
        for _ in 0..digits {
            put(DIGITS[value % DIGITS.len()]);
            value /= DIGITS.len();
        }
    }
}

/// Hands the bytes that `characters` stand for to `put`. Blanks and ends of lines may be anywhere, and small letters are as good.
pub fn decode(characters: &[u8], mut put: impl FnMut(u8)) -> Result<(), Error> {
    let (mut value, mut weight, mut count) = (0, 1, 0);
    for character in characters.iter().filter(|character| !character.is_ascii_whitespace()) {
        let digit = DIGITS.iter().position(|known| *known == character.to_ascii_uppercase()).ok_or(Error::Character)?;
        value += digit * weight;
        (weight, count) = (weight * DIGITS.len(), count + 1);
        if count == 3 {
            let [low, high] = u16::try_from(value).map_err(|_| Error::Damaged)?.to_le_bytes();
            put(low);
            put(high);
            (value, weight, count) = (0, 1, 0);
        }
    }
    match count {
        0 => Ok(()),
        2 => u8::try_from(value).map(put).map_err(|_| Error::Damaged),
        _ => Err(Error::Damaged),
    }
}
