//! The console as a file: keyboard and screen, and the serial port, are one terminal.

use super::{special, terminals};
use crate::drivers::tty::{self, Tty};
use alloc::sync::Arc;
use logic::errno::Errno;
use logic::fs::attributes::DeviceNumber;
use logic::fs::{File, Readiness};
use logic::sync::{IrqLock, Rank, Turn, WaitQueue};
use logic::tty::discipline::{self, ReadOutcome, ReadPace, Termios, WindowSize};
use logic::tty::job_control::JobControl;
use logic::tty::requests::TerminalDevice;
use spin::Once;

/// Sessions and the foreground of the console.
static JOBS: IrqLock<JobControl> = IrqLock::new(Rank::File, JobControl::new());

struct Console(&'static Tty);

/// The console as an open file; always the same.
pub fn file() -> Arc<dyn File> {
    static FILE: Once<Arc<Console>> = Once::new();
    FILE.call_once(|| Arc::new(Console(tty::console()))).clone()
}

/// Programs have the console from now on, and its signals.
pub fn begin() {
    tty::set_signal_hook(Some(typed));
    tty::give_to_programs();
}

/// A signal was typed, or the window changed: the foreground gets it.
fn typed(signal: discipline::Signal) {
    let group = JOBS.lock().foreground();
    if let Some(group) = group {
        terminals::signal_group(group, signal);
    }
}

impl File for Console {
    fn read(&self, _: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        match self.0.read(bytes) {
            ReadOutcome::Bytes(count) => Ok(count),
            ReadOutcome::WouldBlock => Err(Errno::EAGAIN),
            ReadOutcome::EndOfFile => Ok(0),
        }
    }

    fn write(&self, _: u64, bytes: &[u8]) -> Result<usize, Errno> {
        match self.0.write(bytes) {
            0 if !bytes.is_empty() => Err(Errno::EAGAIN),
            count => Ok(count),
        }
    }

    fn poll(&self) -> Readiness {
        let ready = self.0.poll();
        let mut readiness = Readiness::empty();
        readiness.set(Readiness::IN | Readiness::RDNORM, ready.readable);
        readiness.set(Readiness::OUT | Readiness::WRNORM, ready.writable);
        readiness
    }

    fn changes(&self) -> Option<&WaitQueue> {
        Some(self.0.changes())
    }

    fn writers(&self) -> Option<&Turn> {
        static WRITERS: Turn = Turn::new();
        Some(&WRITERS)
    }

    fn terminal(&self) -> Option<&dyn TerminalDevice> {
        Some(self)
    }
}

impl TerminalDevice for Console {
    fn device(&self) -> DeviceNumber {
        special::CONSOLE
    }

    fn termios(&self) -> Termios {
        self.0.attributes()
    }

    fn set_termios(&self, termios: Termios) {
        self.0.set_attributes(termios);
    }

    fn window_size(&self) -> WindowSize {
        self.0.window_size()
    }

    fn set_window_size(&self, size: WindowSize) {
        self.0.set_window_size(size);
    }

    fn available(&self) -> usize {
        self.0.available()
    }

    fn pace(&self) -> ReadPace {
        self.0.pace()
    }

    fn flush_input(&self) {
        self.0.flush_input();
    }

    fn flush_output(&self) {
        // It is on its way already.
    }

    fn stop_output(&self, stop: bool) {
        self.0.stop_output(stop);
    }

    fn stop_input(&self, _: bool) {
        // The keyboard cannot be stopped; the serial port stops when its room is full.
    }

    fn jobs(&self) -> &IrqLock<JobControl> {
        &JOBS
    }
}
