//! What a program writes, and the echo, on the way to the screen.

use super::{Discipline, OutputFlags, Sink};

const BLANKS: &[u8] = b"        ";

impl Discipline {
    /// Passes on what a program writes, and answers how many bytes of it: none while output is stopped, else all.
    pub fn process_output(&mut self, bytes: &[u8], sink: &mut impl Sink) -> usize {
        if self.is_stopped {
            return 0;
        }
        self.show_output(bytes, sink);
        bytes.len()
    }

    /// Shows `bytes` as the settings for output say.
    pub(super) fn show_output(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        if !self.termios.output.contains(OutputFlags::OPOST) {
            return self.show(bytes, sink);
        }
        // What needs no change goes in one piece.
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r' | b'\t')) {
            match piece.split_last() {
                Some((last @ (b'\n' | b'\r' | b'\t'), text)) => {
                    self.show(text, sink);
                    self.show_control(*last, sink);
                }
                _ => self.show(piece, sink),
            }
        }
    }

    fn show_control(&mut self, byte: u8, sink: &mut impl Sink) {
        let output = self.termios.output;
        match byte {
            b'\n' if output.contains(OutputFlags::ONLCR) => self.show(b"\r\n", sink),
            b'\r' if output.contains(OutputFlags::OCRNL) => self.show_line_feed(sink),
            b'\n' => self.show_line_feed(sink),
            b'\r' if output.contains(OutputFlags::ONOCR) && self.cursor.column() == 0 => {}
            b'\t' if output.contains(OutputFlags::XTABS) => {
                let blanks = BLANKS.get(..self.cursor.to_tab_stop()).unwrap_or(BLANKS);
                self.show(blanks, sink);
            }
            _ => self.show(&[byte], sink),
        }
    }

    /// A newline that stays in its column, unless the screen returns by itself.
    fn show_line_feed(&mut self, sink: &mut impl Sink) {
        let before = self.cursor;
        self.show(b"\n", sink);
        if !self.termios.output.contains(OutputFlags::ONLRET) {
            self.cursor = before;
        }
    }

    /// Echoes a byte that was typed.
    pub(super) fn echo(&mut self, byte: u8, sink: &mut impl Sink) {
        match self.caret(byte) {
            // Newline is shown as one only where it ends the line.
            Some(caret) if byte != b'\n' || self.termios.is_canonical() => self.show(&caret, sink),
            _ => self.show_output(&[byte], sink),
        }
    }

    /// Shows `bytes` as they are.
    pub(super) fn show(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        if !bytes.is_empty() {
            bytes.iter().for_each(|byte| self.cursor.advance(*byte));
            sink.show(bytes);
        }
    }
}
