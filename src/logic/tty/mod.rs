//! Text on a screen, without the screen, and typed text, without the keyboard.

mod accents;
mod code_page;
pub mod discipline;
mod font;
pub mod job_control;
pub mod keys;
pub mod pace;
mod paint;
pub mod palette;
pub mod pty;
pub mod requests;
mod shown;
pub mod terminal;

pub use code_page::{REPLACEMENT, code_page_437};
pub use font::Font;
pub use paint::Painter;
pub use shown::{CellDisplay, Shown};
