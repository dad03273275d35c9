//! Text on a screen, without the screen.

mod font;
mod grid;

pub use font::Font;
pub use grid::{CellDisplay, TextGrid};
