//! Bitmap fonts of the Linux console, PSF version 1 and 2, as crate `spleen-font` carries them.
//!
//! The crate's own reader takes PSF 1's mode for its glyph size (in 0.2.0), so the two formats are read here: psf-tools'
//! description of PSF, and `linux/Documentation/admin-guide/unicode.rst` for the tables' order.

/// A font of 512 glyphs or so, all of one size.
#[derive(Clone, Copy, Debug)]
pub struct Font {
    /// Pixels in a glyph's line.
    pub width: usize,
    /// Lines in a glyph.
    pub height: usize,
    glyphs: &'static [u8],
    table: Table,
}

/// Which characters the glyphs show, in the glyphs' order.
#[derive(Clone, Copy, Debug)]
enum Table {
    /// PSF 1: 16-bit code points, little-endian; FFFE starts a sequence, FFFF ends a glyph.
    Utf16(&'static [u8]),
    /// PSF 2: UTF-8; FE starts a sequence, FF ends a glyph.
    Utf8(&'static [u8]),
}

impl Font {
    /// Reads a font; `None` if it is not one, or has no table of characters.
    pub fn new(bytes: &'static [u8]) -> Option<Self> {
        match bytes {
            [0x36, 0x04, mode, height, rest @ ..] if mode & 0b10 != 0 => {
                let count = if mode & 1 != 0 { 512 } else { 256 };
                let height = usize::from(*height);
                let (glyphs, table) = rest.split_at_checked(count * height)?;
                Some(Self { width: 8, height, glyphs, table: Table::Utf16(table) })
            }
            [0x72, 0xb5, 0x4a, 0x86, ..] => {
                let field = |index: usize| {
                    let bytes = bytes.get(index * 4..index * 4 + 4)?.try_into().ok()?;
                    usize::try_from(u32::from_le_bytes(bytes)).ok()
                };
                let (header, flags, count, size) = (field(2)?, field(3)?, field(4)?, field(5)?);
                let (height, width) = (field(6)?, field(7)?);
                let (glyphs, table) = bytes.get(header..)?.split_at_checked(count.checked_mul(size)?)?;
                let consistent = flags & 1 != 0 && size == width.div_ceil(8).checked_mul(height)?;
                consistent.then_some(Self { width, height, glyphs, table: Table::Utf8(table) })
            }
            _ => None,
        }
    }

    /// The lines of a character's glyph, each as `width` bits rounded up to bytes, leftmost pixel in the highest bit.
    pub fn glyph(&self, character: char) -> Option<&'static [u8]> {
        // In all Spleen fonts, as in code page 437, printable ASCII stands at its own code.
        let index = if matches!(character, ' '..='~') { character as usize } else { self.index(character)? };
        let size = self.width.div_ceil(8) * self.height;
        self.glyphs.get(index * size..(index + 1) * size)
    }

    fn index(&self, wanted: char) -> Option<usize> {
        match self.table {
            Table::Utf16(table) => {
                let mut index = 0;
                for code in table.as_chunks::<2>().0 {
                    match u16::from_le_bytes(*code) {
                        0xffff => index += 1,
                        code if u32::from(code) == u32::from(wanted) => return Some(index),
                        _ => {}
                    }
                }
                None
            }
            Table::Utf8(table) => {
                let mut encoded = [0; 4];
                let wanted = wanted.encode_utf8(&mut encoded).as_bytes();
                table.split(|byte| *byte == 0xff).position(|characters| {
                    let single = characters.split(|byte| *byte == 0xfe).next().unwrap_or_default();
                    core::str::from_utf8(single).is_ok_and(|single| {
                        let mut buffer = [0; 4];
                        single.chars().any(|character| character.encode_utf8(&mut buffer).as_bytes() == wanted)
                    })
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spleen_font::{FONT_8X16, FONT_16X32};

    /// Ink of a glyph by line, as a person would draw it.
    fn drawn(font: &Font, character: char) -> Vec<String> {
        let glyph = font.glyph(character).unwrap();
        let line = |bytes: &[u8]| -> String {
            let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
            bits.take(font.width).map(|bit| if bit == 1 { '#' } else { '.' }).collect()
        };
        glyph.chunks(font.width.div_ceil(8)).map(line).collect()
    }

    #[test]
    fn both_formats_have_their_sizes_and_letters() {
        for (bytes, width, height) in [(FONT_8X16, 8, 16), (FONT_16X32, 16, 32)] {
            let font = Font::new(bytes).unwrap();
            assert_eq!((font.width, font.height), (width, height));
            for character in ('!'..='~').chain("äéñß│─┌█".chars()) {
                assert!(drawn(&font, character).concat().contains('#'), "{character} has ink");
            }
            assert!(!drawn(&font, ' ').concat().contains('#'));
            assert!(font.glyph('漢').is_none());
        }
    }

    #[test]
    fn an_l_looks_like_one() {
        let lines = drawn(&Font::new(FONT_8X16).unwrap(), 'L');
        let inked: Vec<&String> = lines.iter().filter(|line| line.contains('#')).collect();
        assert!(inked.last().unwrap().matches('#').count() > inked[0].matches('#').count(), "{lines:#?}");
    }

    #[test]
    fn the_table_finds_ascii_where_it_is_taken_from() {
        for bytes in [FONT_8X16, FONT_16X32] {
            let font = Font::new(bytes).unwrap();
            for character in '!'..='~' {
                assert_eq!(font.index(character), Some(character as usize), "{character}");
            }
        }
    }

    #[test]
    fn what_is_no_font_is_refused() {
        for bytes in [&b""[..], b"\x36\x04", b"\x36\x04\x03\x10short", b"\x72\xb5\x4a\x86\0\0\0\0", b"PSF"] {
            assert!(Font::new(bytes).is_none());
        }
    }
}
