//! A QR code on a display: pixels of a framebuffer, or half blocks in cells of text.

use super::symbol::Symbol;
use crate::display::Framebuffer;

/// Pixels that a module takes at most: larger ones make a code no easier to read.
const MOST_SCALE: usize = 16;
/// Pixels that it takes at least.
pub const LEAST_SCALE: usize = 2;
const WHITE: [u8; 3] = [0xff; 3];
const BLACK: [u8; 3] = [0; 3];

/// Pixels that a side of a module takes: as many as fit into `room`, pixels wide and high. `None` if they are too few.
pub fn scale(symbol: &Symbol<'_>, room: (usize, usize)) -> Option<usize> {
    let scale = room.0.min(room.1) / symbol.size().max(1);
    (scale >= LEAST_SCALE).then_some(scale.min(MOST_SCALE))
}

/// Hands the pixels of a row of modules to `write`, each run of them as a byte offset in the framebuffer and bytes: of a code in the
/// lower right corner, each module `scale` pixels wide and high. What the framebuffer has no room for is left out.
pub fn row_to_pixels(
    symbol: &Symbol<'_>,
    row: usize,
    scale: usize,
    framebuffer: &Framebuffer,
    mut write: impl FnMut(usize, &[u8]),
) {
    let size = symbol.size() * scale;
    let (width, height) = (framebuffer.width as usize, framebuffer.height as usize);
    let Some((left, top)) = width.checked_sub(size).zip(height.checked_sub(size)) else { return };
    let pixel_bytes = framebuffer.bytes_per_pixel as usize;
    let [dark, light] = [BLACK, WHITE].map(|colour| {
        let mut run = [0; MOST_SCALE * 4];
        let pixel = framebuffer.pixel(colour).to_le_bytes();
        for place in run.chunks_exact_mut(pixel_bytes) {
            place.copy_from_slice(pixel.get(..place.len()).unwrap_or(&pixel));
        }
        run
    });
    for line in row * scale..(row + 1) * scale {
        for column in 0..symbol.size() {
            let run = if symbol.is_dark(column, row) { &dark } else { &light };
            let offset = (top + line) * framebuffer.pitch as usize + (left + column * scale) * pixel_bytes;
            write(offset, run.get(..scale * pixel_bytes).unwrap_or(run));
        }
    }
}

/// The character that shows two modules, one above the other, in light ink on dark paper.
pub fn half_block(symbol: &Symbol<'_>, column: usize, row: usize) -> char {
    match (symbol.is_dark(column, row * 2), symbol.is_dark(column, row * 2 + 1)) {
        (false, false) => '█',
        (false, true) => '▀',
        (true, false) => '▄',
        (true, true) => ' ',
    }
}
