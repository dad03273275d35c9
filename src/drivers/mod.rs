//! Drivers: safe code over the handles that `hw` grants.

pub mod console;
mod framebuffer;
pub mod last_words;
mod serial;
mod vga;
