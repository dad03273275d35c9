//! Drivers: safe code over the handles that `hw` grants.

pub mod console;
mod framebuffer;
pub mod input;
pub mod last_words;
pub mod log_code;
pub mod log_reader;
pub mod pci;
pub mod ps2;
mod screen;
mod serial;
mod serial_input;
pub mod tty;
mod vga;
pub mod virtio;
