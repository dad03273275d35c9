//! Text on VGA text memory: two bytes a cell, character (code page 437) and attribute; the cursor is the adapter's own.

use crate::hw::port::{self, VgaPorts};
use crate::hw::video::VideoMemory;
use logic::tty::palette::{colours, nearest_named};
use logic::tty::terminal::{Attributes, Cell, Cursor, CursorShape};
use logic::tty::{CellDisplay, REPLACEMENT, code_page_437};

/// Cells that text memory has room for.
const CELLS: usize = 0x4000;

/// CRTC registers (IBM VGA technical reference): the cursor's first and last scan line, its place in cells.
const CURSOR_START: u8 = 0x0a;
const CURSOR_END: u8 = 0x0b;
/// Which cell is shown first.
const START_HIGH: u8 = 0x0c;
const START_LOW: u8 = 0x0d;
const CURSOR_HIGH: u8 = 0x0e;
const CURSOR_LOW: u8 = 0x0f;
/// In [`CURSOR_START`]: there is none.
const CURSOR_OFF: u8 = 1 << 5;
/// The last scan line of a cell of 16.
const LAST_LINE: u8 = 15;

/// Attribute controller: mode control, in which this bit makes attributes blink whose background is bright.
const MODE_CONTROL: u8 = 0x10;
const BLINK: u8 = 1 << 3;

/// VGA text memory of some columns and rows: what the screen shows, and behind it a second page, which it can show instead.
pub struct VgaText {
    memory: VideoMemory,
    ports: VgaPorts,
    columns: usize,
    rows: usize,
}

impl VgaText {
    /// Takes the text memory and blanks its first `columns` by `rows` cells.
    pub fn new(columns: usize, rows: usize) -> Option<Self> {
        let mut display = Self { memory: VideoMemory::text()?, ports: port::vga()?, columns, rows };
        let mode = display.ports.attribute(MODE_CONTROL);
        display.ports.set_attribute(MODE_CONTROL, mode & !BLINK);
        let blank = attribute(Cell::default());
        (0..rows * columns).for_each(|place| display.write(place, b' ', blank));
        display.place_cursor(None);
        Some(display)
    }

    /// Where the second page begins; `None` if there is no room for one.
    fn second_page(&self) -> Option<u16> {
        let cells = self.columns * self.rows;
        let start = cells.next_power_of_two();
        u16::try_from(start).ok().filter(|_| start + cells <= CELLS)
    }

    /// Whether there is a second page.
    pub fn has_second_page(&self) -> bool {
        self.second_page().is_some()
    }

    /// Shows a cell on the second page.
    pub fn draw_on_second_page(&mut self, column: usize, row: usize, cell: Cell) {
        if let Some(start) = self.second_page().filter(|_| column < self.columns && row < self.rows) {
            let code = code_page_437(cell.character()).unwrap_or(REPLACEMENT);
            self.write(usize::from(start) + row * self.columns + column, code, attribute(cell));
        }
    }

    /// Has the screen show the second page, or the first one again.
    pub fn turn_page(&mut self, to_second: bool) {
        let start = if to_second { self.second_page().unwrap_or(0) } else { 0 };
        let [low, high] = start.to_le_bytes();
        self.ports.set_crtc(START_HIGH, high);
        self.ports.set_crtc(START_LOW, low);
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
