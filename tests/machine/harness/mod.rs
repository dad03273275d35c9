//! Boots an image in QEMU or Bochs and talks to it as a person would: reads the serial line and the screen, types keys.
//!
//! ```ignore
//! let mut machine = Machine::raw().memory_mib(64).boot();
//! machine.expect_line("Eres OS");
//! machine.expect_on_screen("Eres OS");
//! machine.type_text("help\n");
//! ```
//!
//! Invariants:
//! - Every expectation has a time limit, and a failed one tells the whole story: serial log, decoded screen, the
//!   emulator's own messages and its command line.
//! - No emulator outlives its `Machine`, and none outlives `LIFETIME_SECONDS` even when this process is killed.
//! - Images are never written to: disks are attached with throw-away snapshots, damaged images are copies.
//! - At most two emulators run at a time (`slots`), so hold one `Machine` per test at a time.

mod bochs;
mod compose;
mod gdb;
mod keys;
mod machine;
mod picture;
mod qmp;
mod scratch;
mod screen;
mod serial;
mod setup;
mod slots;

pub use compose::ComposedImage;
pub use machine::{Machine, image_path};
pub use scratch::Scratch;
pub use screen::Mode;
pub use setup::{Bus, Cd, ReadError, Setup, Usb};
