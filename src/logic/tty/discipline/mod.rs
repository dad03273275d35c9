//! The line discipline: what lies between the keys that are pressed and the bytes that a program reads, and between
//! what it writes and what the screen gets. It behaves as termios(3) and Linux' N_TTY do.
//!
//! Nothing here blocks or waits: [`receive`](Discipline::receive) says how much it took, [`read`](Discipline::read)
//! that there is nothing, and [`pace`](Discipline::pace) tells the layer that sleeps how long a read may.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)]

mod columns;
mod editing;
mod output;
mod queue;
pub mod termios;
#[cfg(test)]
mod tests;

pub use queue::CAPACITY;
pub use termios::{InputFlags, LocalFlags, OutputFlags, Special, Termios, WindowSize};

use columns::Cursor;
use core::time::Duration;
use queue::{Entry, Queue};

const BELL: &[u8] = b"\x07";

/// A signal for the foreground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGQUIT.
    Quit,
    /// SIGTSTP.
    Suspend,
    /// SIGWINCH.
    WindowChanged,
}

/// Where things go.
pub trait Sink {
    /// For the screen.
    fn show(&mut self, bytes: &[u8]);
    /// For the foreground processes.
    fn signal(&mut self, signal: Signal);
}

/// What a read has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// So many bytes. None if the settings say that a read does not wait, and there is nothing.
    Bytes(usize),
    /// Nothing is there yet.
    WouldBlock,
    /// The file has ended: a program's read answers 0.
    EndOfFile,
}

/// How long a read that may sleep does (termios(3), "Canonical and noncanonical mode").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPace {
    /// It waits for so many bytes, or for its buffer to be full. When input comes by lines, for a line.
    pub minimum: usize,
    /// It ends after this even without a byte.
    pub total: Option<Duration>,
    /// It ends when this has passed since the last byte.
    pub between_bytes: Option<Duration>,
}

/// A terminal's settings and what was typed at it.
pub struct Discipline {
    termios: Termios,
    window: WindowSize,
    queue: Queue,
    /// VLNEXT was typed.
    literal_next: bool,
    /// VSTOP was typed.
    is_stopped: bool,
    /// Where output has taken the cursor, and where the line that is being edited began.
    cursor: Cursor,
    line_start: usize,
}

impl Discipline {
    /// A terminal that nobody has typed at.
    pub const fn new(termios: Termios) -> Self {
        Self {
            termios,
            window: WindowSize { rows: 0, columns: 0, width: 0, height: 0 },
            queue: Queue::new(),
            literal_next: false,
            is_stopped: false,
            cursor: Cursor::at(0),
            line_start: 0,
        }
    }

    /// The settings.
    pub fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Changes the settings. What was typed stays: an unfinished line can be read once input does not come by lines,
    /// and what is left is a line when it does again.
    pub fn set_termios(&mut self, termios: Termios) {
        let was_canonical = self.termios.is_canonical();
        self.termios = termios;
        if was_canonical != termios.is_canonical() {
            self.queue.end_line();
            self.literal_next = false;
        }
        if !termios.input.contains(InputFlags::IXON) {
            self.is_stopped = false;
        }
    }

    /// The window's size, as it was set last.
    pub fn window_size(&self) -> WindowSize {
        self.window
    }

    /// Sets the window's size, and signals if it has changed.
    pub fn set_window_size(&mut self, window: WindowSize, sink: &mut impl Sink) {
        if self.window != window {
            self.window = window;
            sink.signal(Signal::WindowChanged);
        }
    }

    /// Takes what was typed, and answers how many bytes of it: all, unless complete lines fill the queue, or bytes do
    /// when input does not come by lines; characters that stop, start or signal are obeyed even then. What is too much
    /// for one line is lost, as nobody could ever read it.
    pub fn receive(&mut self, bytes: &[u8], sink: &mut impl Sink) -> usize {
        for (index, byte) in bytes.iter().enumerate() {
            if self.is_full() && !self.needs_no_room(*byte) {
                return index;
            }
            self.receive_byte(*byte, sink);
        }
        bytes.len()
    }

    /// Gives the next bytes: of one line at most, when input comes by lines.
    pub fn read(&mut self, buffer: &mut [u8]) -> ReadOutcome {
        if buffer.is_empty() {
            return ReadOutcome::Bytes(0);
        }
        if self.queue.complete() == 0 {
            let waits = self.termios.is_canonical() || self.termios.minimum() > 0 || self.termios.tenths() > 0;
            return if waits { ReadOutcome::WouldBlock } else { ReadOutcome::Bytes(0) };
        }
        let is_canonical = self.termios.is_canonical();
        let mut count = 0_usize;
        while let Some(slot) = buffer.get_mut(count)
            && let Some(entry) = self.queue.pop()
        {
            if let Some(byte) = entry.value() {
                *slot = byte;
                count = count.saturating_add(1);
            } else if count == 0 && is_canonical {
                return ReadOutcome::EndOfFile;
            }
            if entry.ends_line() && is_canonical {
                return ReadOutcome::Bytes(count);
            }
        }
        // A mark only says that the bytes before it may be read. What comes next is a line of its own.
        if is_canonical && self.queue.peek() == Some(Entry::END_OF_FILE) {
            self.queue.pop();
        }
        if count == 0 { ReadOutcome::WouldBlock } else { ReadOutcome::Bytes(count) }
    }

    /// How long a read may sleep.
    pub fn pace(&self) -> ReadPace {
        let time = Some(Duration::from_millis(u64::from(self.termios.tenths()).saturating_mul(100)));
        let time = time.filter(|time| !time.is_zero());
        match self.termios.minimum() {
            _ if self.termios.is_canonical() => ReadPace { minimum: 1, total: None, between_bytes: None },
            0 => ReadPace { minimum: usize::from(time.is_some()), total: time, between_bytes: None },
            minimum => ReadPace { minimum, total: None, between_bytes: time },
        }
    }

    /// Whether a read finds what it wants (poll(2), POLLIN).
    pub fn is_readable(&self) -> bool {
        let raw = !self.termios.is_canonical() && self.termios.tenths() == 0;
        self.queue.complete() >= if raw { self.termios.minimum().max(1) } else { 1 }
    }

    /// Bytes that can be read now (FIONREAD).
    pub fn available(&self) -> usize {
        self.queue.complete()
    }

    /// Whether output goes on; VSTOP stops it.
    pub fn is_writable(&self) -> bool {
        !self.is_stopped
    }

    /// Stops or starts output (tcflow(3)).
    pub fn stop_output(&mut self, stop: bool) {
        self.is_stopped = stop;
    }

    /// Forgets what was typed (tcflush(3)).
    pub fn flush_input(&mut self) {
        self.queue.clear();
        self.literal_next = false;
    }

    /// Whether [`receive`](Self::receive) takes nothing before something is read.
    pub fn is_full(&self) -> bool {
        // As long as there is no line to be read, there must be a way to end one.
        let reserve = usize::from(self.termios.is_canonical());
        self.queue.complete() > 0 && self.queue.length().saturating_add(reserve) >= CAPACITY
    }

    /// Whether `byte` is obeyed at once, so that it gets through to a program that does not read.
    fn needs_no_room(&self, byte: u8) -> bool {
        let is_flow = self.termios.is(byte, Special::Start) || self.termios.is(byte, Special::Stop);
        let acts = (is_flow && self.termios.input.contains(InputFlags::IXON)) || self.signal_of(byte).is_some();
        acts && !self.literal_next
    }

    fn receive_byte(&mut self, byte: u8, sink: &mut impl Sink) {
        let input = self.termios.input;
        let byte = if input.contains(InputFlags::ISTRIP) { byte & 0x7f } else { byte };
        if core::mem::take(&mut self.literal_next) {
            return self.receive_text(byte, sink);
        }
        if input.contains(InputFlags::IXON) {
            if self.termios.is(byte, Special::Start) {
                self.is_stopped = false;
                return;
            }
            if self.termios.is(byte, Special::Stop) {
                self.is_stopped = true;
                return;
            }
        }
        if let Some(signal) = self.signal_of(byte) {
            return self.raise(signal, byte, sink);
        }
        if input.contains(InputFlags::IXON | InputFlags::IXANY) {
            self.is_stopped = false;
        }
        let byte = match byte {
            b'\r' if input.contains(InputFlags::IGNCR) => return,
            b'\r' if input.contains(InputFlags::ICRNL) => b'\n',
            b'\n' if input.contains(InputFlags::INLCR) => b'\r',
            other => other,
        };
        if !self.termios.is_canonical() || !self.edit(byte, sink) {
            self.receive_text(byte, sink);
        }
    }

    fn signal_of(&self, byte: u8) -> Option<Signal> {
        const SIGNALS: [(Special, Signal); 3] = [
            (Special::Interrupt, Signal::Interrupt),
            (Special::Quit, Signal::Quit),
            (Special::Suspend, Signal::Suspend),
        ];
        let raises = self.termios.local.contains(LocalFlags::ISIG);
        SIGNALS.iter().find(|(special, _)| raises && self.termios.is(byte, *special)).map(|(_, signal)| *signal)
    }

    fn raise(&mut self, signal: Signal, byte: u8, sink: &mut impl Sink) {
        if !self.termios.local.contains(LocalFlags::NOFLSH) {
            self.flush_input();
        }
        self.is_stopped = false;
        if self.termios.local.contains(LocalFlags::ECHO) {
            self.echo(byte, sink);
        }
        sink.signal(signal);
    }

    /// Takes a byte that means itself.
    fn receive_text(&mut self, byte: u8, sink: &mut impl Sink) {
        let is_canonical = self.termios.is_canonical();
        // The last place is for what ends the line.
        if is_canonical && self.queue.length().saturating_add(1) >= CAPACITY {
            if self.termios.input.contains(InputFlags::IMAXBEL) {
                sink.show(BELL);
            }
            return;
        }
        self.begin_line();
        if self.termios.local.contains(LocalFlags::ECHO) {
            self.echo(byte, sink);
        }
        self.queue.push(Entry::byte(byte));
        if !is_canonical {
            self.queue.complete_all();
        }
    }

    fn begin_line(&mut self) {
        if !self.queue.is_editing() {
            self.line_start = self.cursor.column();
        }
    }
}
