//! Text in a linear framebuffer, in the Spleen font: 8x16 pixels a cell, 16x32 on screens too large for that.

use crate::hw::video::VideoMemory;
use logic::display::Framebuffer;
use logic::tty::{CellDisplay, Font};
use spleen_font::{FONT_8X16, FONT_16X32};

/// Screens at least this wide get the large font.
const LARGE_WIDTH: u32 = 2560;

const FOREGROUND: [u8; 3] = [0xd0, 0xd0, 0xd0];

/// A framebuffer as a grid of cells.
pub struct FramebufferText {
    memory: VideoMemory,
    framebuffer: Framebuffer,
    font: Font,
    foreground: u32,
}

impl FramebufferText {
    /// Maps and blanks the framebuffer. `None` if it cannot be mapped.
    pub fn new(framebuffer: &Framebuffer) -> Option<Self> {
        let font = Font::new(if framebuffer.width >= LARGE_WIDTH { FONT_16X32 } else { FONT_8X16 })?;
        let mut memory = VideoMemory::framebuffer(framebuffer)?;
        memory.clear();
        let foreground = framebuffer.pixel(FOREGROUND);
        Some(Self { memory, framebuffer: *framebuffer, font, foreground })
    }

    /// Columns and rows of cells.
    pub fn size(&self) -> (usize, usize) {
        (self.framebuffer.width as usize / self.font.width, self.framebuffer.height as usize / self.font.height)
    }
}

impl CellDisplay for FramebufferText {
    fn draw(&mut self, column: usize, row: usize, character: char) {
        let Some(glyph) = self.font.glyph(character).or_else(|| self.font.glyph('?')) else { return };
        let pixel_bytes = self.framebuffer.bytes_per_pixel as usize;
        let top_left =
            row * self.font.height * self.framebuffer.pitch as usize + column * self.font.width * pixel_bytes;
        for (line, pixels) in glyph.chunks(self.font.width.div_ceil(8)).enumerate() {
            let mut offset = top_left + line * self.framebuffer.pitch as usize;
            for pixel in 0..self.font.width {
                let set = pixels[pixel / 8] & 0x80 >> (pixel % 8) != 0;
                let colour = if set { self.foreground } else { 0 };
                match pixel_bytes {
                    4 => self.memory.write_u32(offset, colour),
                    _ => self.memory.write_u24(offset, colour),
                }
                offset += pixel_bytes;
            }
        }
    }
}
