//! Drivers: safe code over the handles that `hw` grants.

pub mod console;
mod framebuffer;
mod serial;
mod vga;
