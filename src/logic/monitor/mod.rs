//! The kernel's own prompt without a machine: keys, a line that is edited, words and numbers, pages, guesses at what was meant.
//!
//! Text goes out as UTF-8 with a few control sequences of ECMA-48, which a terminal at the serial port and the kernel's console
//! both know: carriage return, cursor forward (CUF), erase in line and in display (EL, ED), cursor position (CUP).

#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)
)]

pub mod hex;
pub mod history;
pub mod keys;
pub mod line_editor;
pub mod pager;
pub mod suggest;
pub mod words;

#[cfg(test)]
mod tests;
