//! In which column the cursor is after some text.

use unicode_width::UnicodeWidthChar;

/// Columns between tab stops.
pub const TAB: usize = 8;

/// A column, and the part of a character that was not complete yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    column: usize,
    /// The bits of the character so far, and how many bytes are missing.
    bits: u32,
    missing: u8,
}

impl Cursor {
    pub const fn at(column: usize) -> Self {
        Self { column, bits: 0, missing: 0 }
    }

    pub fn column(self) -> usize {
        self.column
    }

    /// Columns to the next tab stop.
    pub fn to_tab_stop(self) -> usize {
        TAB.wrapping_sub(self.column % TAB)
    }

    /// Goes past a byte of text, UTF-8 or not.
    pub fn advance(&mut self, byte: u8) {
        match byte {
            b'\r' | b'\n' => self.column = 0,
            0x08 => self.column = self.column.saturating_sub(1),
            b'\t' => self.column = self.column.saturating_add(self.to_tab_stop()),
            0x20..=0x7e => self.column = self.column.saturating_add(1),
            0x80..=0xbf if self.missing > 0 => {
                self.bits = self.bits << 6 | u32::from(byte & 0x3f);
                self.missing = self.missing.saturating_sub(1);
                if self.missing == 0 {
                    self.column = self.column.saturating_add(width(self.bits));
                }
                return;
            }
            0xc2..=0xdf => return self.begin(byte & 0x1f, 1),
            0xe0..=0xef => return self.begin(byte & 0x0f, 2),
            0xf0..=0xf4 => return self.begin(byte & 0x07, 3),
            _ => {}
        }
        self.missing = 0;
    }

    fn begin(&mut self, bits: u8, missing: u8) {
        (self.bits, self.missing) = (u32::from(bits), missing);
    }
}

/// Columns of a character, as the terminal counts them.
fn width(character: u32) -> usize {
    char::from_u32(character).and_then(UnicodeWidthChar::width).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_a_terminal() {
        let after = |text: &str| {
            let mut cursor = Cursor::default();
            text.bytes().for_each(|byte| cursor.advance(byte));
            cursor.column()
        };
        for (text, column) in [("", 0), ("abc", 3), ("äß€", 3), ("漢字", 4), ("e\u{301}", 1), ("🙂", 2)] {
            assert_eq!(after(text), column, "{text}");
        }
        assert_eq!([after("a\t"), after("abcdefgh\t"), after("ab\r"), after("a\u{8}\u{8}")], [8, 16, 0, 0]);
    }

    #[test]
    fn bytes_that_are_no_text_do_not_count() {
        let mut cursor = Cursor::default();
        b"\xff\x80\xc3a\xe2\x82".iter().for_each(|byte| cursor.advance(*byte));
        assert_eq!(cursor.column(), 1);
    }
}
