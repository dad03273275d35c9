//! Text on VGA text memory: two bytes a cell, character (code page 437) and attribute.

use crate::hw::video::VideoMemory;
use logic::tty::CellDisplay;

/// Light grey on black.
const ATTRIBUTE: u16 = 0x07;

/// VGA text memory of some columns.
pub struct VgaText {
    memory: VideoMemory,
    columns: usize,
}

impl VgaText {
    /// Takes the text memory and blanks its first `columns` by `rows` cells.
    pub fn new(columns: usize, rows: usize) -> Option<Self> {
        let mut display = Self { memory: VideoMemory::text()?, columns };
        for row in 0..rows {
            for column in 0..columns {
                display.draw(column, row, ' ');
            }
        }
        Some(display)
    }
}

impl CellDisplay for VgaText {
    fn draw(&mut self, column: usize, row: usize, character: char) {
        let code = if matches!(character, ' '..='~') { character as u16 } else { u16::from(b'?') };
        self.memory.write_u16((row * self.columns + column) * 2, ATTRIBUTE << 8 | code);
    }
}
