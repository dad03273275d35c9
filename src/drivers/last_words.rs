//! What a panic says on every console, whoever holds their locks: nothing here allocates or waits for a lock.

use super::console::{self, CONSOLE, Console, LOG, RETAINED};
use crate::hw::lock::Panicking;
use arrayvec::ArrayString;
use core::fmt::{self, Write};
use core::ops::DerefMut;
use log::Level;
use logic::last_log::{Kind, MAX_TEXT};

/// The consoles and the log, taken from whoever had them.
pub struct LastWords<'a> {
    panicking: &'a Panicking,
    /// Where the next character goes: from the screen's left edge, and from the row where the words began.
    column: usize,
    row: usize,
    /// What a row of the screen has no room for is left out there, instead of put into the next.
    cut: bool,
    /// What is said of a line so far, to become a record of the log; `None` while the log itself is said.
    record: Option<ArrayString<MAX_TEXT>>,
    /// Records that were made.
    records: usize,
}

impl<'a> LastWords<'a> {
    /// Begins a new line, apart from what was said before, on a screen that may have been left half changed.
    pub fn new(panicking: &'a Panicking) -> Self {
        let words = Self { panicking, column: 0, row: 0, cut: false, record: Some(ArrayString::new()), records: 0 };
        let mut console = words.console();
        console.say_on_serial("\n");
        console.screen.recover();
        console.screen.begin_line();
        console.screen.render(0, usize::MAX);
        drop(console);
        words
    }

    /// Says a line of which the screen shows what fits into one row; the serial line has all of it.
    pub fn line(&mut self, text: fmt::Arguments<'_>) {
        self.cut = true;
        // Writing never fails; a Display that does has said what it could.
        let _ = self.write_fmt(text);
        self.cut = false;
        self.end_line();
    }

    /// Says the newest `count` records of the log in a line each, those too that were not shown.
    pub fn log_tail(&mut self, count: usize) {
        let log = self.panicking.seize(&LOG);
        let record = self.record.take();
        for (level, text) in log.newest(count + self.records).take(count) {
            self.cut = true;
            self.say("  | ");
            self.say(console::prefix(level));
            console::say_bytes(text, |words| self.say(words));
            self.cut = false;
            self.end_line();
        }
        self.record = record;
    }

    /// Whether the first line has left the screen.
    pub fn have_scrolled(&self) -> bool {
        let (_, rows) = self.console().screen.size();
        rows > 0 && self.row >= rows
    }

    fn console(&self) -> impl DerefMut<Target = Console> + use<'a> {
        self.panicking.seize(&CONSOLE)
    }

    fn end_line(&mut self) {
        self.say("\n");
    }

    /// Notes what is said, for the log. Empty lines are none.
    fn note(&mut self, text: &str) {
        let Some(record) = &mut self.record else { return };
        for character in text.chars() {
            if character != '\n' {
                // What is too long is cut.
                let _ = record.try_push(character);
            } else if !record.is_empty() {
                let mut log = self.panicking.seize(&LOG);
                let position = log.push(Level::Error, format_args!("{record}"));
                console::retain_newest(&log, position, &mut self.panicking.seize(&RETAINED), Kind::Panic);
                drop(log);
                record.clear();
                self.records += 1;
            }
        }
    }

    fn say(&mut self, text: &str) {
        self.note(text);
        let mut console = self.console();
        console.say_on_serial(text);
        let (columns, _) = console.screen.size();
        for character in text.chars() {
            if character == '\n' {
                (self.column, self.row) = (0, self.row + 1);
            } else if self.column < columns {
                self.column += 1;
            } else if self.cut {
                continue;
            } else {
                (self.column, self.row) = (1, self.row + 1);
            }
            console.screen.continue_line(character.encode_utf8(&mut [0; 4]));
        }
        console.screen.render(0, usize::MAX);
    }
}

impl Write for LastWords<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.say(text);
        Ok(())
    }
}
