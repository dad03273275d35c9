//! Text in a linear framebuffer, in the Spleen font: 8x16 pixels a cell, 16x32 on screens too large for that.

use crate::hw::video::VideoMemory;
use logic::display::Framebuffer;
use logic::tty::terminal::{Cell, Cursor};
use logic::tty::{CellDisplay, Font, Painter};
use spleen_font::{FONT_8X16, FONT_16X32};

/// Screens at least this wide get the large font.
const LARGE_WIDTH: u32 = 2560;

/// A framebuffer as a grid of cells.
pub struct FramebufferText {
    memory: VideoMemory,
    painter: Painter,
}

impl FramebufferText {
    /// Maps and blanks the framebuffer. `None` if it cannot be mapped.
    pub fn new(framebuffer: &Framebuffer) -> Option<Self> {
        let font = Font::new(if framebuffer.width >= LARGE_WIDTH { FONT_16X32 } else { FONT_8X16 })?;
        let painter = Painter::new(framebuffer, font)?;
        let mut memory = VideoMemory::framebuffer(framebuffer)?;
        memory.clear();
        Some(Self { memory, painter })
    }

    /// Columns and rows of cells.
    pub fn size(&self) -> (usize, usize) {
        self.painter.size()
    }
}

impl CellDisplay for FramebufferText {
    fn draw(&mut self, column: usize, row: usize, cells: &[Cell]) {
        self.painter.paint(column, row, cells, |offset, bytes| self.memory.write_bytes(offset, bytes));
    }

    fn place_cursor(&mut self, cursor: Option<Cursor>) {
        if let Some(cursor) = cursor {
            self.painter.cursor_shape = cursor.shape;
        }
    }
}
