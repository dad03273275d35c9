//! Where the prompt reads and writes: the one seam between it and the drivers.

use crate::drivers::tty::{self, Tty};
use crate::drivers::{console, input, ps2};
use crate::hw::lock::Panicking;
use crate::hw::port;
use crate::proc::wait_until;
use arrayvec::ArrayVec;
use core::hint::spin_loop;
use logic::tty::discipline::ReadOutcome;
use logic::tty::keys::{KeyModes, Keyboard, MOST_BYTES, Typed};

/// A terminal.
pub trait Terminal {
    /// Waits for a byte that somebody types.
    fn read(&mut self) -> u8;
    /// Shows text in UTF-8 with control sequences of ECMA-48; a line ends in a line feed.
    fn write(&mut self, bytes: &[u8]);
    /// Columns and rows, 0 where they are not known.
    fn size(&self) -> (usize, usize);
}

/// The monitor's terminal, while the kernel runs: what is typed comes here until this is dropped.
pub struct Console {
    tty: &'static Tty,
}

impl Console {
    /// Takes the console from programs.
    pub fn open() -> Self {
        tty::give_to_monitor();
        console::begin_line();
        Self { tty: tty::monitor() }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        tty::give_to_programs();
    }
}

impl Terminal for Console {
    fn read(&mut self) -> u8 {
        loop {
            wait_until(self.tty.changes(), None, || self.tty.poll().readable);
            let mut byte = [0];
            if let ReadOutcome::Bytes(1) = self.tty.read(&mut byte) {
                return u8::from_ne_bytes(byte);
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            wait_until(self.tty.changes(), None, || self.tty.poll().writable);
            let written = self.tty.write(bytes);
            bytes = bytes.get(written..).unwrap_or_default();
        }
    }

    fn size(&self) -> (usize, usize) {
        console::size()
    }
}

/// Keyboard, serial port and screen after a panic, when nothing else runs any more and no interrupt comes.
pub struct PolledConsole<'a> {
    panicking: &'a Panicking,
    keyboard: Keyboard,
    /// What a key has sent and was not read yet.
    typed: ArrayVec<u8, MOST_BYTES>,
}

impl<'a> PolledConsole<'a> {
    /// Takes them from whoever had them.
    pub fn new(panicking: &'a Panicking) -> Self {
        Self { panicking, keyboard: ps2::decoder(), typed: ArrayVec::new() }
    }
}

impl Terminal for PolledConsole<'_> {
    fn read(&mut self) -> u8 {
        loop {
            if let Some(byte) = self.typed.pop_at(0).or_else(|| input::poll_serial(self.panicking)) {
                return byte;
            }
            match port::poll_keyboard(self.panicking) {
                Some(byte) => {
                    if let Typed::Bytes(bytes) = self.keyboard.receive(byte, KeyModes::default()) {
                        self.typed = bytes.iter().copied().collect();
                    }
                }
                None => spin_loop(),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        console::write_in_panic(self.panicking, bytes);
    }

    fn size(&self) -> (usize, usize) {
        console::size_in_panic(self.panicking)
    }
}
