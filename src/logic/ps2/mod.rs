//! The 8042 keyboard controller and its keyboard, without ports: how the controller is set up, and how the keyboard is
//! talked to.
//!
//! Nothing here waits for long or trusts an answer: controllers are emulated by chips of all makes, and may not be
//! there at all. Reference: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device
//! Controller".

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)]

mod commands;
mod controller;
#[cfg(test)]
mod tests;

pub use commands::Commands;
pub use controller::{Configuration, Controller, Failure, SelfTest, initialise};

use core::time::Duration;

/// What the controller can be told without harm to the machine; there are commands that reset it or cut its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ControllerCommand {
    /// The next byte to be read is the configuration.
    ReadConfiguration = 0x20,
    /// The next byte that is written becomes the configuration.
    WriteConfiguration = 0x60,
    /// Cuts off the second port, the mouse's.
    DisableSecond = 0xa7,
    /// Answers [`SELF_TEST_PASSED`], and may forget its configuration over that.
    SelfTest = 0xaa,
    /// Cuts off the first port, the keyboard's.
    DisableFirst = 0xad,
    /// Lets the first port's bytes through.
    EnableFirst = 0xae,
}

/// What the self-test should answer.
pub const SELF_TEST_PASSED: u8 = 0x55;

/// Bits of the status register.
pub mod status {
    /// There is a byte to be read.
    pub const OUTPUT_FULL: u8 = 1 << 0;
    /// The last byte written was not taken yet.
    pub const INPUT_FULL: u8 = 1 << 1;
    /// The byte to be read is from the second port.
    pub const FROM_SECOND: u8 = 1 << 5;
    /// What is read where there is nothing.
    pub const NOTHING_THERE: u8 = 0xff;
}

/// The controller's two ports, and time.
pub trait Ports {
    /// Reads the status register.
    fn status(&mut self) -> u8;
    /// Takes the byte that there is to be read.
    fn read_data(&mut self) -> u8;
    /// Tells the controller something.
    fn write_command(&mut self, command: ControllerCommand);
    /// Writes what belongs to a command, or else what is for the keyboard.
    fn write_data(&mut self, byte: u8);
    /// The time since some moment.
    fn now(&mut self) -> Duration;
    /// Lets a moment pass, because nothing has changed yet after `waited`.
    fn pause(&mut self, waited: Duration);
}
