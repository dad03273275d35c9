//! What a command is given to work with, and what it answers when it cannot.

use super::terminal::Terminal;
use crate::hw::lock::Panicking;
use arrayvec::ArrayString;
use core::fmt::{self, Write};
use logic::boot::BootInfo;
use logic::monitor::keys::KeyDecoder;
use logic::monitor::pager::{Answer, Pager, QUESTION};
use logic::monitor::words;

/// Bytes of a complaint: it is handed from hand to hand.
const COMPLAINT_BYTES: usize = 116;

/// What a command works with: it writes to this.
pub struct Context<'a> {
    terminal: &'a mut dyn Terminal,
    pager: Pager,
    /// What the kernel was booted with.
    pub info: &'static BootInfo,
    /// The panic that has led here, if one has. Then no lock may be waited for.
    pub panicking: Option<&'a Panicking>,
}

/// How a command ends.
pub type Outcome = Result<(), Complaint>;

/// Why a command does not do what it was asked for.
pub enum Complaint {
    /// Whoever reads has seen enough: nothing is said.
    Stopped,
    /// It takes other words.
    Usage,
    /// One line that helps.
    Line(ArrayString<COMPLAINT_BYTES>),
    /// The prompt is to be left.
    Leave,
}

impl Complaint {
    /// One line, cut where it is too long.
    pub fn line(text: fmt::Arguments<'_>) -> Self {
        let mut cut = Cut(ArrayString::new());
        // A line that is cut says the most important first.
        let _ = cut.write_fmt(text);
        Self::Line(cut.0)
    }
}

/// Writing to a context fails when whoever reads has seen enough.
impl From<fmt::Error> for Complaint {
    fn from(_: fmt::Error) -> Self {
        Self::Stopped
    }
}

/// Ends the command with one line of what is wrong.
macro_rules! complain {
    ($($words:tt)+) => {
        return Err($crate::monitor::context::Complaint::line(format_args!($($words)+)))
    };
}
pub(super) use complain;

struct Cut(ArrayString<COMPLAINT_BYTES>);

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| self.0.try_push(character).map_err(|_| fmt::Error))
    }
}

impl<'a> Context<'a> {
    /// For one command.
    pub fn new(terminal: &'a mut dyn Terminal, info: &'static BootInfo, panicking: Option<&'a Panicking>) -> Self {
        let (columns, rows) = terminal.size();
        // A terminal at a serial port alone does not tell its size; this is what all have.
        let (columns, rows) = if rows == 0 { (80, 24) } else { (columns, rows) };
        Self { terminal, pager: Pager::new(columns, rows), info, panicking }
    }

    /// Empties the screen.
    pub fn clear(&mut self) {
        self.terminal.write(b"\x1b[H\x1b[2J");
    }

    /// Waits until somebody types something.
    pub fn wait_for_key(&mut self) {
        self.terminal.read();
    }

    /// Refuses what takes locks, after a panic.
    pub fn needs_locks(&self) -> Outcome {
        match self.panicking {
            Some(_) => complain!("that needs a lock, which somebody may have had when the kernel panicked"),
            None => Ok(()),
        }
    }

    /// Asks whether output is to go on.
    fn ask(&mut self) -> fmt::Result {
        self.terminal.write(QUESTION.as_bytes());
        let mut keys = KeyDecoder::new();
        let answer = loop {
            let key = keys.push(self.terminal.read());
            match key.map(|key| self.pager.answer(key)) {
                None | Some(Answer::None) => {}
                Some(answer) => break answer,
            }
        };
        self.terminal.write(b"\r\x1b[K");
        if answer == Answer::GoOn { Ok(()) } else { Err(fmt::Error) }
    }
}

impl Write for Context<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        loop {
            let (now, later) = rest.split_at(self.pager.advance(rest));
            self.terminal.write(now.as_bytes());
            if later.is_empty() {
                return Ok(());
            }
            self.ask()?;
            rest = later;
        }
    }
}

/// The number that `word` is.
pub fn number(word: &str) -> Result<u64, Complaint> {
    words::number(word).map_err(|error| Complaint::line(format_args!("`{word}` {error}")))
}

/// An address that somebody typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// As the kernel uses them.
    Virtual(u64),
    /// Behind `p:`.
    Physical(u64),
}

/// The address that `word` is.
pub fn address(word: &str) -> Result<Address, Complaint> {
    let complaint = |error| Complaint::line(format_args!("`{word}` {error}; a physical address begins with `p:`"));
    match word.strip_prefix("p:") {
        Some(physical) => words::address(physical).map(Address::Physical).map_err(complaint),
        None => words::address(word).map(Address::Virtual).map_err(complaint),
    }
}
