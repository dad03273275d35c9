//! Text on VGA text memory: two bytes a cell, character (code page 437) and attribute; the cursor is the adapter's own.

use crate::hw::port::{self, VgaPorts};
use crate::hw::video::VideoMemory;
use logic::tty::palette::{colours, nearest_named};
use logic::tty::terminal::{Attributes, Cell, Cursor, CursorShape};
use logic::tty::{CellDisplay, REPLACEMENT, code_page_437};

/// CRTC registers (IBM VGA technical reference): the cursor's first and last scan line, its place in cells.
const CURSOR_START: u8 = 0x0a;
const CURSOR_END: u8 = 0x0b;
const CURSOR_HIGH: u8 = 0x0e;
const CURSOR_LOW: u8 = 0x0f;
/// In [`CURSOR_START`]: there is none.
const CURSOR_OFF: u8 = 1 << 5;
/// The last scan line of a cell of 16.
const LAST_LINE: u8 = 15;

/// Attribute controller: mode control, in which this bit makes attributes blink whose background is bright.
const MODE_CONTROL: u8 = 0x10;
const BLINK: u8 = 1 << 3;

/// VGA text memory of some columns.
pub struct VgaText {
    memory: VideoMemory,
    ports: VgaPorts,
    columns: usize,
}

impl VgaText {
    /// Takes the text memory and blanks its first `columns` by `rows` cells.
    pub fn new(columns: usize, rows: usize) -> Option<Self> {
        let mut display = Self { memory: VideoMemory::text()?, ports: port::vga()?, columns };
        let mode = display.ports.attribute(MODE_CONTROL);
        display.ports.set_attribute(MODE_CONTROL, mode & !BLINK);
        let blank = attribute(Cell::default());
        (0..rows * columns).for_each(|place| display.write(place, b' ', blank));
        display.place_cursor(None);
        Some(display)
    }

    fn write(&mut self, place: usize, code: u8, attribute: u8) {
        self.memory.write_u16(place * 2, u16::from_le_bytes([code, attribute]));
    }
}

impl CellDisplay for VgaText {
    fn draw(&mut self, column: usize, row: usize, cells: &[Cell]) {
        let start = row * self.columns + column;
        // Neighbours mostly look alike, and to choose among the VGA's colours takes long.
        let look = |cell: &Cell| (cell.style(), cell.character() == ' ');
        let mut last = None;
        for (index, cell) in cells.iter().enumerate() {
            let attribute = match last {
                Some((known, attribute)) if known == look(cell) => attribute,
                _ => attribute(*cell),
            };
            last = Some((look(cell), attribute));
            self.write(start + index, code_page_437(cell.character()).unwrap_or(REPLACEMENT), attribute);
        }
    }

    fn place_cursor(&mut self, cursor: Option<Cursor>) {
        let Some(cursor) = cursor else { return self.ports.set_crtc(CURSOR_START, CURSOR_OFF) };
        let place = u16::try_from(cursor.row * self.columns + cursor.column).unwrap_or(u16::MAX);
        let [low, high] = place.to_le_bytes();
        self.ports.set_crtc(CURSOR_HIGH, high);
        self.ports.set_crtc(CURSOR_LOW, low);
        self.ports.set_crtc(CURSOR_END, LAST_LINE);
        // It has no bar, and one of two lines is what people know.
        let first_line = if cursor.shape == CursorShape::Block { 0 } else { LAST_LINE - 1 };
        self.ports.set_crtc(CURSOR_START, first_line);
    }
}

/// Foreground in the low half, background in the high one; the VGA has blue where SGR has red.
fn attribute(cell: Cell) -> u8 {
    let (foreground, background) = colours(cell);
    let vga = |colour| {
        let named: u8 = nearest_named(colour);
        named & 0b1010 | (named & 0b100) >> 2 | (named & 0b001) << 2
    };
    let (mut foreground, background) = (vga(foreground), vga(background));
    if cell.attributes().has(Attributes::UNDERLINE.with(Attributes::ITALIC)) {
        // It can do neither in colour.
        foreground |= 0b1000;
    }
    let is_hidden = cell.attributes().has(Attributes::HIDDEN);
    if foreground == background && !is_hidden && cell.character() != ' ' {
        // Two colours that the VGA does not tell apart: bright on dark, dark on bright.
        foreground = if background & 0b1000 == 0 { 15 } else { 0 };
    }
    background << 4 | foreground
}
