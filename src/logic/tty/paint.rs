//! Cells to pixels: for each line of pixels the part of it that a run of cells covers, to be written to video memory in one piece,
//! as write combining wants it.
//!
//! Nothing is allocated: a panic paints too.

use super::font::Font;
use super::palette::{Rgb, colours};
use super::terminal::{Attributes, Cell, CursorShape};
use crate::display::Framebuffer;

/// Cells that are painted at a time.
const MOST_CELLS: usize = 16;
/// Bytes of a line of their pixels: 16 pixels a cell, 4 bytes a pixel.
const LINE_BYTES: usize = MOST_CELLS * 16 * 4;

/// Glyphs whose place in the font is remembered. Finding the place takes a walk through the font's table.
const REMEMBERED: usize = 64;

/// Paints cells for one framebuffer.
pub struct Painter {
    framebuffer: Framebuffer,
    font: Font,
    /// How a cursor looks.
    pub cursor_shape: CursorShape,
    /// Characters that are not ASCII with their glyphs, each at its code modulo the size.
    remembered: [(char, &'static [u8]); REMEMBERED],
}

/// A cell ready to be painted.
#[derive(Clone, Copy, Default)]
struct Stamp {
    /// Empty if the font has none.
    glyph: &'static [u8],
    /// Pixels for a clear and a set bit.
    pixels: [u32; 2],
    attributes: Attributes,
}

impl Painter {
    /// A painter with a font of 8 to 16 pixels' width, and no less height, for `framebuffer`.
    pub fn new(framebuffer: &Framebuffer, font: Font) -> Option<Self> {
        let fits = (8..=16).contains(&font.width) && font.height >= font.width;
        fits.then_some(Self {
            framebuffer: *framebuffer,
            font,
            cursor_shape: CursorShape::default(),
            remembered: [('\0', &[]); REMEMBERED],
        })
    }

    /// Columns and rows of cells that fit.
    pub fn size(&self) -> (usize, usize) {
        (self.framebuffer.width as usize / self.font.width, self.framebuffer.height as usize / self.font.height)
    }

    /// Pixels in a cell's line.
    pub fn cell_width(&self) -> usize {
        self.font.width
    }

    /// Hands the pixels of `cells`, which stand from `column` of `row` on, to `write`: a byte offset in the framebuffer and the
    /// bytes that go there, for each line of pixels.
    pub fn paint(&mut self, column: usize, row: usize, cells: &[Cell], mut write: impl FnMut(usize, &[u8])) {
        for (number, cells) in cells.chunks(MOST_CELLS).enumerate() {
            self.paint_some(column + number * MOST_CELLS, row, cells, &mut write);
        }
    }

    fn paint_some(&mut self, column: usize, row: usize, cells: &[Cell], write: &mut impl FnMut(usize, &[u8])) {
        let mut stamps = [Stamp::default(); MOST_CELLS];
        for (stamp, cell) in stamps.iter_mut().zip(cells) {
            *stamp = self.stamp(*cell);
        }
        let stamps = stamps.get(..cells.len()).unwrap_or_default();
        let pixel_bytes = self.framebuffer.bytes_per_pixel as usize;
        let pitch = self.framebuffer.pitch as usize;
        let start = row * self.font.height * pitch + column * self.font.width * pixel_bytes;
        let mut bytes = [0; LINE_BYTES];
        for line in 0..self.font.height {
            let end = stamps.len() * self.font.width * pixel_bytes;
            let Some(bytes) = bytes.get_mut(..end) else { return };
            for (stamp, target) in stamps.iter().zip(bytes.chunks_exact_mut(self.font.width * pixel_bytes)) {
                let bits = self.bits(stamp, line);
                match pixel_bytes {
                    4 => spread_4(bits, stamp.pixels, target),
                    _ => spread_3(bits, stamp.pixels, target),
                }
            }
            write(start + line * pitch, bytes);
        }
    }

    fn stamp(&mut self, cell: Cell) -> Stamp {
        let attributes = cell.attributes();
        let (mut foreground, mut background) = colours(cell);
        if attributes.has(Attributes::CURSOR) && self.cursor_shape == CursorShape::Block {
            (foreground, background) = visibly_inverted(foreground, background);
        }
        let pixels = [self.framebuffer.pixel(background), self.framebuffer.pixel(foreground)];
        Stamp { glyph: self.glyph(cell.character()), pixels, attributes }
    }

    fn glyph(&mut self, character: char) -> &'static [u8] {
        if character.is_ascii() {
            return self.font.glyph(character).unwrap_or_default();
        }
        let font = self.font;
        let Some(place) = self.remembered.get_mut(character as usize % REMEMBERED) else { return &[] };
        if place.0 != character {
            *place = (character, font.glyph(character).unwrap_or_default());
        }
        place.1
    }

    /// A line of a cell as bits, the leftmost pixel the highest of 16.
    fn bits(&self, stamp: &Stamp, line: usize) -> u16 {
        let (width, height) = (self.font.width, self.font.height);
        let bytes = width.div_ceil(8);
        let byte = |index: usize| stamp.glyph.get(line * bytes + index).copied().unwrap_or_default();
        // Lines are a sixteenth of the cell thick.
        let thickness = height.div_ceil(16);
        let mut bits = match stamp.glyph {
            [] => box_line(width, height, thickness, line),
            _ => u16::from_be_bytes([byte(0), if bytes > 1 { byte(1) } else { 0 }]),
        };
        let attributes = stamp.attributes;
        if attributes == Attributes::NONE {
            return bits;
        }
        let at = |from: usize| (from..from + thickness).contains(&line);
        if attributes.has(Attributes::ITALIC) {
            // The upper part leans to the right, the lower to the left.
            bits = if line < height * 5 / 16 {
                bits >> thickness
            } else if line >= height * 10 / 16 {
                bits << thickness
            } else {
                bits
            };
        }
        let has_line = (attributes.has(Attributes::UNDERLINE) && at(height - 2 * thickness))
            || (attributes.has(Attributes::STRIKE) && at(height / 2));
        if has_line {
            bits = !0;
        }
        if attributes.has(Attributes::CURSOR) {
            bits = match self.cursor_shape {
                CursorShape::Block => bits,
                CursorShape::Underline if line >= height - 2 * thickness => !0,
                CursorShape::Bar => bits | !(!0 >> (2 * thickness)),
                CursorShape::Underline => bits,
            };
        }
        bits
    }
}

/// A line of the hollow box that stands for characters without a glyph.
fn box_line(width: usize, height: usize, thickness: usize, line: usize) -> u16 {
    let (top, bottom) = (3 * thickness, height - 3 * thickness);
    // The cell's bits but for a margin at both sides, and the same but for margin and line.
    let within = |margin: usize| (!0_u16 >> margin) & (!0_u16 << (16 - width + margin));
    match line {
        _ if !(top..bottom).contains(&line) => 0,
        _ if line < top + thickness || line >= bottom - thickness => within(thickness),
        _ => within(thickness) & !within(2 * thickness),
    }
}

/// The two swapped, or, if they are the same, what can be told from them.
fn visibly_inverted(foreground: Rgb, background: Rgb) -> (Rgb, Rgb) {
    if foreground != background { (background, foreground) } else { (foreground, background.map(|level| !level)) }
}

/// Writes a pixel of four bytes for each bit, two at a time.
fn spread_4(bits: u16, pixels: [u32; 2], target: &mut [u8]) {
    let pair = |left: u32, right: u32| u64::from(left) | u64::from(right) << 32;
    let [clear, set] = pixels;
    let pairs = [pair(clear, clear), pair(clear, set), pair(set, clear), pair(set, set)];
    let mut shift = 16_u32;
    for place in target.as_chunks_mut::<8>().0 {
        shift = shift.saturating_sub(2);
        *place = pairs[usize::from(bits >> shift & 3)].to_le_bytes();
    }
}

fn spread_3(bits: u16, pixels: [u32; 2], target: &mut [u8]) {
    let mut shift = 16_u32;
    for place in target.as_chunks_mut::<3>().0 {
        shift = shift.saturating_sub(1);
        let [low, middle, high, _] = pixels[usize::from(bits >> shift & 1)].to_le_bytes();
        *place = [low, middle, high];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tty::palette::{BACKGROUND, FOREGROUND};
    use crate::tty::terminal::{Colour, Style};
    use spleen_font::{FONT_8X16, FONT_16X32};

    const RGB: [(u8, u8); 3] = [(16, 8), (8, 8), (0, 8)];
    const BGR: [(u8, u8); 3] = [(0, 8), (8, 8), (16, 8)];

    /// A framebuffer of 4 by 2 cells with some bytes behind each line.
    struct Screen {
        painter: Painter,
        memory: Vec<u8>,
    }

    impl Screen {
        fn new(font: &'static [u8], bits: u8, fields: [(u8, u8); 3]) -> Self {
            let font = Font::new(font).unwrap();
            let size = (font.width as u32 * 4, font.height as u32 * 2);
            let pitch = size.0 * u32::from(bits / 8) + 20;
            let framebuffer = Framebuffer::new(0x1000, size, pitch, bits, fields).unwrap();
            let memory = vec![0; framebuffer.bytes() as usize];
            Self { painter: Painter::new(&framebuffer, font).unwrap(), memory }
        }

        fn paint(&mut self, column: usize, row: usize, cells: &[Cell]) {
            let memory = &mut self.memory;
            self.painter.paint(column, row, cells, |offset, bytes| {
                memory[offset..offset + bytes.len()].copy_from_slice(bytes);
            });
        }

        fn pixel(&self, x: usize, y: usize) -> u32 {
            let framebuffer = &self.painter.framebuffer;
            let bytes = framebuffer.bytes_per_pixel as usize;
            let offset = y * framebuffer.pitch as usize + x * bytes;
            let mut pixel = [0; 4];
            pixel[..bytes].copy_from_slice(&self.memory[offset..offset + bytes]);
            u32::from_le_bytes(pixel)
        }

        /// The cell at a place, a `#` for each pixel that is not as its background.
        fn lines(&self, column: usize, row: usize, background: u32) -> Vec<String> {
            let font = &self.painter.font;
            let ink =
                |x, y| if self.pixel(column * font.width + x, row * font.height + y) == background { '.' } else { '#' };
            (0..font.height).map(|y| (0..font.width).map(|x| ink(x, y)).collect()).collect()
        }
    }

    fn cell(character: char, attributes: Attributes) -> Cell {
        Cell::new(character, Style { attributes, ..Style::default() })
    }

    fn glyph(font: &Font, character: char) -> Vec<String> {
        let line = |bytes: &[u8]| -> String {
            let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
            bits.take(font.width).map(|bit| if bit == 1 { '#' } else { '.' }).collect()
        };
        font.glyph(character).unwrap().chunks(font.width.div_ceil(8)).map(line).collect()
    }

    #[test]
    fn glyphs_come_out_in_every_format_and_size() {
        for (font, bits, fields) in
            [(FONT_8X16, 32, RGB), (FONT_8X16, 24, BGR), (FONT_16X32, 24, RGB), (FONT_16X32, 32, BGR)]
        {
            let mut screen = Screen::new(font, bits, fields);
            assert_eq!(screen.painter.size(), (4, 2));
            let style =
                Style { background: Colour::Rgb(1, 2, 3), foreground: Colour::Rgb(4, 5, 6), ..Style::default() };
            screen.paint(1, 1, &['K', '┼', 'ß'].map(|character| Cell::new(character, style)));
            let background = screen.painter.framebuffer.pixel([1, 2, 3]);
            for (column, character) in [(1, 'K'), (2, '┼'), (3, 'ß')] {
                assert_eq!(screen.lines(column, 1, background), glyph(&screen.painter.font, character), "{character}");
            }
            assert_eq!(screen.lines(0, 0, 0).concat().find('#'), None, "nothing else is touched");
            let ink = (0..screen.painter.font.width * 4).map(|x| screen.pixel(x, screen.painter.font.height + 5));
            let foreground = screen.painter.framebuffer.pixel([4, 5, 6]);
            assert!(ink.skip(screen.painter.font.width).all(|pixel| pixel == background || pixel == foreground));
        }
    }

    #[test]
    fn a_missing_glyph_is_a_box() {
        let mut screen = Screen::new(FONT_8X16, 32, RGB);
        screen.paint(0, 0, &[cell('漢', Attributes::NONE)]);
        let expected =
            [["........"; 3].as_slice(), &[".######."], &[".#....#."; 8], &[".######."], &["........"; 3]].concat();
        assert_eq!(screen.lines(0, 0, 0), expected);
    }

    #[test]
    fn cursors_and_lines_are_seen() {
        let mut screen = Screen::new(FONT_8X16, 32, RGB);
        let pixel = |colour| screen.painter.framebuffer.pixel(colour);
        let (ink, paper) = (pixel(FOREGROUND), pixel(BACKGROUND));
        screen.paint(0, 0, &[cell(' ', Attributes::CURSOR), cell(' ', Attributes::CURSOR.with(Attributes::HIDDEN))]);
        assert!(!screen.lines(0, 0, ink).concat().contains('#'), "a block");
        assert!(!screen.lines(1, 0, paper).concat().contains('.'), "seen even where ink and paper are alike");
        screen.painter.cursor_shape = CursorShape::Bar;
        screen.paint(0, 0, &[cell(' ', Attributes::CURSOR), cell(' ', Attributes::UNDERLINE)]);
        assert!(screen.lines(0, 0, paper).iter().all(|line| line == "##......"));
        assert_eq!(screen.lines(1, 0, paper).iter().filter(|line| *line == "########").count(), 1);
        screen.painter.cursor_shape = CursorShape::Underline;
        screen.paint(0, 0, &[cell('x', Attributes::CURSOR)]);
        assert_eq!(screen.lines(0, 0, paper).iter().filter(|line| *line == "########").count(), 2);
    }
}
