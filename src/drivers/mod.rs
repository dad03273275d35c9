//! Drivers: safe code over the handles that `hw` grants.

pub mod console;
mod framebuffer;
pub mod last_words;
pub mod pci;
mod screen;
mod serial;
mod vga;
