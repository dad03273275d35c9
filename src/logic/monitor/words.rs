//! A line as words, and words as numbers.

use arrayvec::ArrayVec;
use core::fmt;

/// Words that a line can have.
pub const MAX_WORDS: usize = 16;

/// Why a line is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordsError {
    /// A quotation mark has no partner.
    Unclosed(char),
    /// There are more than [`MAX_WORDS`].
    TooMany,
}

impl fmt::Display for WordsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclosed(mark) => write!(formatter, "a quotation mark {mark} is not closed"),
            Self::TooMany => write!(formatter, "a command takes at most {MAX_WORDS} words"),
        }
    }
}

/// Splits at blanks. A word that begins with `"` or `'` ends with the same mark and may hold blanks, or nothing.
///
/// # Errors
/// [`WordsError`].
pub fn split(line: &str) -> Result<ArrayVec<&str, MAX_WORDS>, WordsError> {
    let mut words = ArrayVec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '\'' => {
                let inside = rest.get(1..).unwrap_or_default();
                inside.split_once(first).ok_or(WordsError::Unclosed(first))?
            }
            _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.try_push(word).map_err(|_| WordsError::TooMany)?;
        rest = after.trim_start();
    }
    Ok(words)
}

/// Where the last word of `text` begins, as it is being typed: at the end, if that is a blank.
pub fn last_word(text: &str) -> &str {
    text.rsplit(char::is_whitespace).next().unwrap_or_default()
}

/// Why a word is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// It is something else.
    NotANumber,
    /// It is 2⁶⁴ or more.
    TooLarge,
}

impl fmt::Display for NumberError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotANumber => "is no number (as 4096, 0x1000, 4K)",
            Self::TooLarge => "does not fit into 64 bits",
        })
    }
}

/// A number: decimal, or hexadecimal behind `0x`; `_` may stand between digits; a decimal one may end in K, M or G, for
/// 1024, 1024² and 1024³.
///
/// # Errors
/// [`NumberError`].
pub fn number(word: &str) -> Result<u64, NumberError> {
    if let Some(digits) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        return digits_of(digits, 16);
    }
    let (digits, unit) = match word.chars().next_back().map(|last| last.to_ascii_uppercase()) {
        Some('K') => (word.get(..word.len().saturating_sub(1)), 1 << 10),
        Some('M') => (word.get(..word.len().saturating_sub(1)), 1 << 20),
        Some('G') => (word.get(..word.len().saturating_sub(1)), 1 << 30),
        _ => (Some(word), 1),
    };
    digits_of(digits.unwrap_or_default(), 10)?.checked_mul(unit).ok_or(NumberError::TooLarge)
}

/// An address: a number, or 16 hexadecimal digits as backtraces show them.
///
/// # Errors
/// [`NumberError`].
pub fn address(word: &str) -> Result<u64, NumberError> {
    let is_bare = word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_bare { digits_of(word, 16) } else { number(word) }
}

fn digits_of(digits: &str, radix: u32) -> Result<u64, NumberError> {
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return Err(NumberError::NotANumber);
    }
    let mut value: u64 = 0;
    for character in digits.chars().filter(|character| *character != '_') {
        let digit = character.to_digit(radix).ok_or(NumberError::NotANumber)?;
        let shifted = value.checked_mul(radix.into()).ok_or(NumberError::TooLarge)?;
        value = shifted.checked_add(digit.into()).ok_or(NumberError::TooLarge)?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blanks_separate_and_quotation_marks_hold_together() {
        assert_eq!(split("  x  p:0x10\t 'a b' \"\" c'd ").unwrap().as_slice(), ["x", "p:0x10", "a b", "", "c'd"]);
        assert_eq!(split("   ").unwrap().as_slice(), [""; 0]);
        assert_eq!(split("a 'b"), Err(WordsError::Unclosed('\'')));
        assert_eq!(split(&"a ".repeat(MAX_WORDS + 1)), Err(WordsError::TooMany));
    }

    #[test]
    fn the_word_being_typed_is_the_last() {
        assert_eq!((last_word("log de"), last_word("log "), last_word(""), last_word("lo")), ("de", "", "", "lo"));
    }

    #[test]
    fn numbers_have_bases_and_units() {
        assert_eq!(number("4096"), Ok(4096));
        assert_eq!(number("0xffff_ffff_8010_0000"), Ok(0xffff_ffff_8010_0000));
        assert_eq!(number("0X1f"), Ok(31));
        assert_eq!((number("4k"), number("2M"), number("1G")), (Ok(4 << 10), Ok(2 << 20), Ok(1 << 30)));
        assert_eq!(number("18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for word in ["", "K", "0x", "x", "-1", "1.5", "12a", "0x1G", "_1", "1KK", "é", "1é"] {
            assert_eq!(number(word), Err(NumberError::NotANumber), "{word}");
        }
        for word in ["18446744073709551616", "0x10000000000000000", "18014398509481984K"] {
            assert_eq!(number(word), Err(NumberError::TooLarge), "{word}");
        }
    }

    #[test]
    fn addresses_of_backtraces_need_no_prefix() {
        assert_eq!(address("ffffffff80101234"), Ok(0xffff_ffff_8010_1234));
        assert_eq!(address("1234567890123456"), Ok(0x1234_5678_9012_3456));
        assert_eq!(address("4K"), Ok(4096));
        assert_eq!(address("ffffffff8010123"), Err(NumberError::NotANumber));
    }

    proptest! {
        #[test]
        fn any_line_splits_into_its_own_parts(line in "\\PC{0,80}") {
            if let Ok(words) = split(&line) {
                prop_assert!(words.iter().all(|word| line.contains(word)));
            }
            prop_assert!(line.ends_with(last_word(&line)));
        }

        #[test]
        fn every_number_reads_as_itself(value: u64) {
            prop_assert_eq!(number(&value.to_string()), Ok(value));
            prop_assert_eq!(number(&format!("{value:#x}")), Ok(value));
            prop_assert_eq!(address(&format!("{value:016x}")), Ok(value));
        }

        #[test]
        fn any_word_is_a_number_or_an_error(word in "\\PC{0,30}") {
            let _ = (number(&word), address(&word));
        }
    }
}
