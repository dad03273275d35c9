//! Where the prompt reads and writes: the one seam between it and the drivers.

use crate::drivers::tty::{self, Tty};
use crate::drivers::{console, input, ps2};
use crate::hw::clock;
use crate::hw::lock::Panicking;
use crate::hw::port;
use crate::proc::wait_until;
use arrayvec::ArrayVec;
use core::hint::spin_loop;
use core::time::Duration;
use logic::tty::discipline::ReadOutcome;
use logic::tty::keys::{KeyModes, Keyboard, MOST_BYTES, Typed};

/// How soon a prompt comes back behind a line of the kernel's own at which nobody could be woken.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What comes while somebody types.
pub enum Input {
    /// A byte that was typed.
    Byte(u8),
    /// The kernel has written lines of its own, and left the cursor in a new row.
    KernelLine,
}

/// A terminal.
pub trait Terminal {
    /// Waits for a byte that somebody types.
    fn read(&mut self) -> u8;
    /// The same, but tells of lines that the kernel writes meanwhile, and has written since [`begin_row`](Self::begin_row).
    fn read_in_row(&mut self) -> Input {
        Input::Byte(self.read())
    }
    /// A row begins in which somebody will type.
    fn begin_row(&mut self) {}
    /// Shows text in UTF-8 with control sequences of ECMA-48; a line ends in a line feed.
    fn write(&mut self, bytes: &[u8]);
    /// Columns and rows, 0 where they are not known.
    fn size(&self) -> (usize, usize);
}

/// The monitor's terminal, while the kernel runs: what is typed comes here until this is dropped.
pub struct Console {
    tty: &'static Tty,
    /// Lines of the kernel's own that are known of.
    kernel_lines: u64,
}

impl Console {
    /// Takes the console from programs.
    pub fn open() -> Self {
        tty::give_to_monitor();
        console::begin_line();
        Self { tty: tty::monitor(), kernel_lines: console::kernel_lines() }
    }
}

impl Console {
    fn read_now(&self) -> Option<u8> {
        let mut byte = [0];
        matches!(self.tty.read(&mut byte), ReadOutcome::Bytes(1)).then_some(u8::from_ne_bytes(byte))
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
            if let Some(byte) = self.read_now() {
                return byte;
            }
        }
    }

    fn read_in_row(&mut self) -> Input {
        loop {
            let is_left_behind = || console::kernel_lines() != self.kernel_lines;
            let deadline = clock::now().after(LOOK_AGAIN);
            wait_until(self.tty.changes(), Some(deadline), || self.tty.poll().readable || is_left_behind());
            if is_left_behind() {
                self.begin_row();
                return Input::KernelLine;
            }
            if let Some(byte) = self.read_now() {
                return Input::Byte(byte);
            }
        }
    }

    fn begin_row(&mut self) {
        self.kernel_lines = console::kernel_lines();
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
