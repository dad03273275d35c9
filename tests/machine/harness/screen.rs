//! What the screen says: turns pixels, or VGA text memory, back into rows of characters.
//!
//! Pixels are decoded by looking each character cell up in the Spleen font that the kernel draws with, so any two
//! colours will do. A cell that shows no glyph of the font becomes U+FFFD.

use super::picture::{Colour, Picture};
use spleen_font::{FONT_8X16, FONT_16X32};
use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::OnceLock;

/// The size of QEMU's picture of the 80x25 text mode: cells of 9x16 pixels.
pub const VGA_TEXT_SIZE: (usize, usize) = (720, 400);
pub const VGA_TEXT_COLUMNS: usize = 80;
pub const VGA_TEXT_ROWS: usize = 25;

/// Where a console font's characters are: Latin, Greek and Cyrillic; punctuation up to box drawing and dingbats.
const TEXT_CHARACTERS: [RangeInclusive<char>; 3] = [' '..='~', '\u{a0}'..='\u{52f}', '\u{2000}'..='\u{27bf}'];

const UNKNOWN: char = char::REPLACEMENT_CHARACTER;

/// How the screen shows its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The machine has no display adapter.
    None,
    VgaText,
    Graphics {
        width: usize,
        height: usize,
    },
}

/// The text on the screen at one moment, without blanks at the ends of rows.
#[derive(Clone, Debug)]
pub struct Screen {
    pub mode: Mode,
    /// How many characters a row has room for.
    pub columns: usize,
    pub rows: Vec<String>,
}

impl Screen {
    pub fn none() -> Self {
        Self { mode: Mode::None, columns: 0, rows: Vec::new() }
    }

    /// Decodes text memory: pairs of a character in code page 437 and its colours.
    pub fn from_vga_text(memory: &[u8]) -> Self {
        let row = |cells: &[u8]| trimmed(cells.as_chunks::<2>().0.iter().map(|&[code, _]| from_code_page_437(code)));
        let rows = memory.chunks(VGA_TEXT_COLUMNS * 2).map(row).collect();
        Self { mode: Mode::VgaText, columns: VGA_TEXT_COLUMNS, rows }
    }

    /// Decodes a picture whose text starts in the top left corner, in whichever size of the font reads more of it. There may be other
    /// things than text.
    pub fn from_picture(picture: &Picture) -> Self {
        let mode = Mode::Graphics { width: picture.width, height: picture.height };
        let [small, large] = Font::all().each_ref().map(|font| Self {
            mode,
            columns: picture.width / font.width,
            rows: font.decode(picture),
        });
        if large.count_of_known() > small.count_of_known() { large } else { small }
    }

    pub fn contains(&self, text: &str) -> bool {
        self.rows.iter().any(|row| row.contains(text))
    }

    /// All rows as one text in which lines that the screen's right edge broke are whole again.
    pub fn unwrapped(&self) -> String {
        let line = |row: &String| if row.chars().count() < self.columns { format!("{row}\n") } else { row.clone() };
        self.rows.iter().map(line).collect()
    }

    fn count_of_known(&self) -> usize {
        let characters = self.rows.iter().flat_map(|row| row.chars());
        characters.filter(|&character| character != UNKNOWN && character != ' ').count()
    }
}

impl fmt::Display for Screen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "[{:?}]", self.mode)?;
        let used = self.rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
        self.rows[..used].iter().try_for_each(|row| writeln!(formatter, "| {row}"))
    }
}

/// The colours in a cell of the small font, the most frequent first.
pub fn cell_colours(picture: &Picture, column: usize, row: usize) -> Vec<Colour> {
    let [Font { width, height, .. }, _] = Font::all();
    let mut counts: Vec<(usize, Colour)> = Vec::new();
    for y in row * height..(row + 1) * height {
        for colour in &picture.pixels[y * picture.width + column * width..][..*width] {
            match counts.iter_mut().find(|(_, known)| known == colour) {
                Some((count, _)) => *count += 1,
                None => counts.push((1, *colour)),
            }
        }
    }
    counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    counts.into_iter().map(|(_, colour)| colour).collect()
}

fn trimmed(characters: impl Iterator<Item = char>) -> String {
    characters.collect::<String>().trim_end().to_string()
}

/// A font turned inside out: from a glyph's lines to its character.
struct Font {
    width: usize,
    height: usize,
    characters: HashMap<Vec<bool>, char>,
}

impl Font {
    fn all() -> &'static [Font; 2] {
        static FONTS: OnceLock<[Font; 2]> = OnceLock::new();
        FONTS.get_or_init(|| [FONT_8X16, FONT_16X32].map(|bytes| Font::invert(bytes).expect("a PSF font")))
    }

    fn invert(psf: &'static [u8]) -> Option<Self> {
        let font = logic::tty::Font::new(psf)?;
        let bytes_per_line = font.width.div_ceil(8);
        let mut characters = HashMap::new();
        // Of characters that look alike, the lowest wins: ASCII before Latin-1 before everything else.
        for character in TEXT_CHARACTERS.into_iter().flatten() {
            if let Some(glyph) = font.glyph(character) {
                let line = |line: &'static [u8]| (0..font.width).map(|x| line[x / 8] & (0x80 >> (x % 8)) != 0);
                characters.entry(glyph.chunks(bytes_per_line).flat_map(line).collect()).or_insert(character);
            }
        }
        Some(Self { width: font.width, height: font.height, characters })
    }

    fn decode(&self, picture: &Picture) -> Vec<String> {
        let columns = picture.width / self.width;
        let row = |row: usize| trimmed((0..columns).map(|column| self.decode_cell(picture, column, row)));
        (0..picture.height / self.height).map(row).collect()
    }

    fn decode_cell(&self, picture: &Picture, column: usize, row: usize) -> char {
        let (left, top) = (column * self.width, row * self.height);
        let lines = (top..top + self.height).map(|y| &picture.pixels[y * picture.width + left..][..self.width]);
        let cell: Vec<Colour> = lines.flatten().copied().collect();
        let first = cell[0];
        let Some(&second) = cell.iter().find(|&&colour| colour != first) else {
            return ' ';
        };
        if cell.iter().any(|&colour| colour != first && colour != second) {
            return UNKNOWN;
        }
        // Most glyphs leave most of their cell to the background; a cell that reads as nothing so may be inverted.
        let count_of_first = cell.iter().filter(|&&colour| colour == first).count();
        let (background, foreground) = if count_of_first * 2 >= cell.len() { (first, second) } else { (second, first) };
        let with_ink = |ink: Colour| -> Vec<bool> { cell.iter().map(|&colour| colour == ink).collect() };
        let found = self.characters.get(&with_ink(foreground)).or_else(|| self.characters.get(&with_ink(background)));
        found.copied().unwrap_or(UNKNOWN)
    }
}

/// IBM's code page 437 with its pictures for the control codes, as the VGA draws it.
fn from_code_page_437(code: u8) -> char {
    const LOW: &str = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
    const HIGH: &str = concat!(
        "⌂ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
        "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
    );
    match code {
        0x00..=0x1f => LOW.chars().nth(code.into()),
        0x20..=0x7e => Some(char::from(code)),
        0x7f..=0xff => HIGH.chars().nth(usize::from(code) - 0x7f),
    }
    .unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: [&str; 3] = ["Eres OS 0.1.0 (x86_64)", "~ é Ä ß ┌─┐ │ └─┘ ~", ""];

    /// Draws `rows` as the kernel does.
    fn draw(font: &Font, rows: &[&str], ink: Colour, paper: Colour, size: (usize, usize)) -> Picture {
        let (width, height) = size;
        let mut picture = Picture { width, height, pixels: vec![paper; width * height] };
        let bits_of: HashMap<char, &Vec<bool>> = font.characters.iter().map(|(bits, &known)| (known, bits)).collect();
        for (row, text) in rows.iter().enumerate() {
            for (column, character) in text.chars().enumerate() {
                for (index, _) in bits_of[&character].iter().enumerate().filter(|&(_, &bit)| bit) {
                    let x = column * font.width + index % font.width;
                    let y = row * font.height + index / font.width;
                    picture.pixels[y * width + x] = ink;
                }
            }
        }
        picture
    }

    #[test]
    fn text_drawn_in_either_size_and_any_colours_is_read_back() {
        for font in Font::all() {
            for (ink, paper) in [([255; 3], [0; 3]), ([0; 3], [170; 3]), ([1, 2, 3], [1, 2, 4])] {
                let screen = Screen::from_picture(&draw(font, &TEXT, ink, paper, (800, 600)));
                assert_eq!(screen.rows[..3], TEXT, "{}x{} {ink:?} on {paper:?}", font.width, font.height);
                assert_eq!(screen.mode, Mode::Graphics { width: 800, height: 600 });
            }
        }
    }

    #[test]
    fn every_glyph_is_read_back_as_a_character_that_looks_the_same() {
        for font in Font::all() {
            for &character in font.characters.values() {
                let text = format!("|{character}|");
                let screen = font.decode(&draw(font, &[&text], [255; 3], [0; 3], (64, 32)));
                // A glyph that fills its cell, or is the negative of another, cannot be told from it.
                let read = screen[0].chars().nth(1);
                let negative = "█▀▄▌▐◘◙▓░▒".contains(character) || character == '\u{a0}';
                assert!(read == Some(character) || negative, "{character:?} read as {read:?}");
            }
        }
    }

    #[test]
    fn a_picture_without_text_has_unknown_cells_and_blanks_only() {
        let mut picture = draw(&Font::all()[0], &[], [0; 3], [0; 3], (24, 32));
        picture.pixels[9] = [255; 3];
        let screen = Screen::from_picture(&picture);
        assert_eq!(screen.rows, [" \u{fffd}", ""]);
    }

    #[test]
    fn vga_text_is_read_as_code_page_437() {
        let mut memory = vec![0; VGA_TEXT_COLUMNS * VGA_TEXT_ROWS * 2];
        for (index, code) in [b'E', 0xda, 0xfe, 0x82, 0x01, 0x7f].into_iter().enumerate() {
            memory[index * 2] = code;
            memory[index * 2 + 1] = 0x07;
        }
        let screen = Screen::from_vga_text(&memory);
        assert_eq!(screen.rows.len(), VGA_TEXT_ROWS);
        assert_eq!(screen.rows[0], "E┌■é☺⌂");
        assert!(screen.contains("┌■") && !screen.contains("Eres"));
        assert_eq!(from_code_page_437(0xff), '\u{a0}');
    }

    #[test]
    fn a_line_broken_by_the_right_edge_is_whole_when_unwrapped() {
        let rows = vec!["x".repeat(VGA_TEXT_COLUMNS), "y".to_string(), "z".to_string()];
        let screen = Screen { mode: Mode::VgaText, columns: VGA_TEXT_COLUMNS, rows };
        assert!(screen.unwrapped().contains("xy\nz\n"));
    }
}
