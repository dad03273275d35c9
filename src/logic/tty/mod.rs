//! Text on a screen, without the screen.

mod font;
mod grid;
pub mod terminal;

pub use font::Font;
pub use grid::{CellDisplay, TextGrid};
