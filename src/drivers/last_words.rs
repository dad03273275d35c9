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
    /// Columns of the screen that are left to a code.
    columns_left: usize,
    /// What a row of the screen has no room for is left out there, instead of put into the next.
    cut: bool,
    /// What is said of a line so far, to become a record of the log; `None` while the log itself is said.
    record: Option<ArrayString<MAX_TEXT>>,
    /// Records that were made, and the first one's position.
    records: usize,
    first_record: Option<u64>,
}

impl<'a> LastWords<'a> {
    /// Begins a new line, apart from what was said before, on a screen that may have been left half changed.
    pub fn new(panicking: &'a Panicking) -> Self {
        let record = Some(ArrayString::new());
        let words =
            Self { panicking, column: 0, row: 0, columns_left: 0, cut: false, record, records: 0, first_record: None };
        let mut console = words.console();
        console.say_on_serial("\n");
        console.screen.recover();
        console.screen.begin_line();
        console.screen.render(0, usize::MAX);
        drop(console);
        words
    }

    /// Leaves the screen's right to a QR code.
    pub fn leave_room_for_code(&mut self) {
        let screen = &self.console().screen;
        let (columns, _) = screen.size();
        self.columns_left = columns - screen.columns_beside_code();
    }

    /// How many records of the log were made of what was said, and the first one's position.
    pub fn records(&self) -> (usize, Option<u64>) {
        (self.records, self.first_record)
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
                self.first_record.get_or_insert(position);
            }
        }
    }

    fn say(&mut self, text: &str) {
        self.note(text);
        let mut console = self.console();
        console.say_on_serial(text);
        let (columns, _) = console.screen.size();
        let columns = columns.saturating_sub(self.columns_left);
        for character in text.chars() {
            if character == '\n' {
                (self.column, self.row) = (0, self.row + 1);
            } else if self.column < columns {
                self.column += 1;
            } else if self.cut {
                continue;
            } else {
                (self.column, self.row) = (1, self.row + 1);
                if self.columns_left > 0 {
                    console.screen.continue_line("\n");
                }
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
