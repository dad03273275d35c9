//! Text in a linear framebuffer, in the Spleen font: 8x16 pixels a cell, 16x32 on screens too large for that.

use crate::hw::video::VideoMemory;
use logic::display::Framebuffer;
use logic::log_code::paint::row_to_pixels;
use logic::log_code::symbol::Symbol;
use logic::tty::terminal::{Cell, Cursor};
use logic::tty::{CellDisplay, Font, Painter};
use spleen_font::{FONT_8X16, FONT_16X32};

/// Screens at least this wide get the large font.
const LARGE_WIDTH: u32 = 2560;

/// A framebuffer as a grid of cells.
pub struct FramebufferText {
    memory: VideoMemory,
    painter: Painter,
    framebuffer: Framebuffer,
}

impl FramebufferText {
    /// Maps and blanks the framebuffer. `None` if it cannot be mapped.
    pub fn new(framebuffer: &Framebuffer) -> Option<Self> {
        let font = Font::new(if framebuffer.width >= LARGE_WIDTH { FONT_16X32 } else { FONT_8X16 })?;
        let painter = Painter::new(framebuffer, font)?;
        let mut memory = VideoMemory::framebuffer(framebuffer)?;
        memory.clear();
        Some(Self { memory, painter, framebuffer: *framebuffer })
    }

    /// Columns and rows of cells.
    pub fn size(&self) -> (usize, usize) {
        self.painter.size()
    }

    /// Pixels from the column `text_columns` on to the right edge, and from the top to the bottom.
    pub fn room_beside(&self, text_columns: usize) -> (usize, usize) {
        let (width, height) = (self.framebuffer.width as usize, self.framebuffer.height as usize);
        (width.saturating_sub(text_columns * self.painter.cell_width()), height)
    }

    /// Draws a row of a QR code's modules.
    pub fn draw_code_row(&mut self, symbol: &Symbol<'_>, row: usize, scale: usize) {
        let write = |offset, bytes: &[u8]| self.memory.write_bytes(offset, bytes);
        row_to_pixels(symbol, row, scale, &self.framebuffer, write);
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
