//! Editing a line: the characters that end it, take it back or show it again.

use super::columns::Cursor;
use super::queue::Entry;
use super::{Discipline, InputFlags, LocalFlags, Sink, Special};

/// How much is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amount {
    Character,
    Word,
    Line,
}

impl Discipline {
    /// Whether `byte` means something to a line. If so, that is done.
    pub(super) fn edit(&mut self, byte: u8, sink: &mut impl Sink) -> bool {
        let is = |special| self.termios.is(byte, special);
        let is_extended = self.termios.local.contains(LocalFlags::IEXTEN);
        let echoes = self.termios.local.contains(LocalFlags::ECHO);
        if is(Special::Erase) {
            self.take_back(Amount::Character, sink);
        } else if is(Special::Kill) {
            self.take_back(Amount::Line, sink);
        } else if is_extended && is(Special::WordErase) {
            self.take_back(Amount::Word, sink);
        } else if is_extended && is(Special::LiteralNext) {
            self.literal_next = true;
            if echoes && self.termios.local.contains(LocalFlags::ECHOCTL) {
                // The next character's echo comes in its place.
                self.show(b"^\x08", sink);
            }
        } else if is_extended && echoes && is(Special::Reprint) {
            self.echo(byte, sink);
            self.show_output(b"\n", sink);
            self.line_start = self.cursor.column();
            self.show_line(sink);
        } else if byte == b'\n' {
            if echoes || self.termios.local.contains(LocalFlags::ECHONL) {
                self.show_output(b"\n", sink);
            }
            self.end_line(Entry::last(byte));
        } else if is(Special::EndOfFile) {
            self.end_line(Entry::END_OF_FILE);
        } else if is(Special::EndOfLine) || (is_extended && is(Special::EndOfLine2)) {
            if echoes {
                self.echo(byte, sink);
            }
            self.end_line(Entry::last(byte));
        } else {
            return false;
        }
        true
    }

    fn end_line(&mut self, end: Entry) {
        // There is a place for it: `receive_text` leaves one.
        self.queue.push(end);
        self.queue.complete_all();
    }

    fn take_back(&mut self, amount: Amount, sink: &mut impl Sink) {
        if !self.queue.is_editing() {
            return;
        }
        let before = self.line_end();
        match amount {
            Amount::Character => {
                self.take_character_back();
            }
            Amount::Word => self.take_word_back(),
            Amount::Line => while self.take_character_back().is_some() {},
        }
        let local = self.termios.local;
        if !local.contains(LocalFlags::ECHO) {
            return;
        }
        let special = match amount {
            Amount::Line if local.contains(LocalFlags::ECHOE | LocalFlags::ECHOK | LocalFlags::ECHOKE) => None,
            Amount::Line => Some(Special::Kill),
            _ if local.contains(LocalFlags::ECHOE) => None,
            Amount::Word => Some(Special::WordErase),
            Amount::Character => Some(Special::Erase),
        };
        match special.and_then(|special| self.termios.characters.get(special as usize).copied()) {
            Some(character) => self.echo(character, sink),
            None => {
                // Columns, not characters: of a tab or a wide character there are several.
                for _ in self.line_end()..before {
                    self.show(b"\x08 \x08", sink);
                }
            }
        }
        if special == Some(Special::Kill) && local.contains(LocalFlags::ECHOK) {
            self.show_output(b"\n", sink);
        }
    }

    /// The character's first byte.
    fn take_character_back(&mut self) -> Option<u8> {
        let mut byte = self.queue.take_back()?;
        if self.termios.input.contains(InputFlags::IUTF8) {
            while is_continuation(byte) {
                match self.queue.take_back() {
                    Some(earlier) => byte = earlier,
                    None => break,
                }
            }
        }
        Some(byte)
    }

    /// What is no word, then a word.
    fn take_word_back(&mut self) {
        let mut is_within = false;
        while let Some(last) = self.queue.last() {
            let is_word = last.is_ascii_alphanumeric() || last == b'_' || !last.is_ascii();
            if is_within && !is_word {
                break;
            }
            is_within |= is_word;
            self.take_character_back();
        }
    }

    /// The column behind the line, as it was echoed.
    fn line_end(&self) -> usize {
        let mut cursor = Cursor::at(self.line_start);
        self.queue.line().for_each(|byte| match self.caret(byte) {
            Some(caret) => caret.iter().for_each(|byte| cursor.advance(*byte)),
            // A new line or a carriage return that was typed literally, and is echoed as itself.
            None if matches!(byte, b'\n' | b'\r' | 8) => {}
            None => cursor.advance(byte),
        });
        cursor.column()
    }

    fn show_line(&mut self, sink: &mut impl Sink) {
        let mut index = 0_usize;
        while let Some(byte) = self.queue.line_byte(index) {
            self.echo(byte, sink);
            index = index.saturating_add(1);
        }
    }

    /// How a control character is echoed, if not as itself.
    pub(super) fn caret(&self, byte: u8) -> Option<[u8; 2]> {
        let shows = self.termios.local.contains(LocalFlags::ECHOCTL) && byte.is_ascii_control() && byte != b'\t';
        shows.then_some([b'^', byte ^ 0x40])
    }
}

/// Whether it is a byte of a UTF-8 character, but not the first.
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}
