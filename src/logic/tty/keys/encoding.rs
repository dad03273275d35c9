//! What a terminal sends for a key: as xterm does (Xterm Control Sequences, "PC-Style Function Keys"), on which
//! programs rely under `TERM=xterm`.

use super::{KeyModes, MOST_BYTES};
use arrayvec::ArrayVec;
use core::fmt::{self, Write};
use pc_keyboard::KeyCode;

pub type Bytes = ArrayVec<u8, MOST_BYTES>;

const ESCAPE: char = '\u{1b}';

/// The modifiers that change what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub shift: bool,
    pub control: bool,
    pub alt: bool,
}

impl Held {
    /// As a parameter of a control sequence: one more than the sum of Shift 1, Alt 2, Control 4.
    fn parameter(self) -> u8 {
        1 + u8::from(self.shift) + 2 * u8::from(self.alt) + 4 * u8::from(self.control)
    }
}

/// How the sequence of a key is made up.
enum Sequence {
    /// `CSI A`, or `SS3 A` for programs that asked for it.
    Cursor(char),
    /// `SS3 P`.
    Function(char),
    /// `CSI 3 ~`.
    Number(u8),
}

/// Adds what a key without a character sends; nothing for most.
pub fn key(code: KeyCode, held: Held, modes: KeyModes, bytes: &mut Bytes) {
    use Sequence::{Cursor, Function, Number};
    let sequence = match code {
        KeyCode::Return | KeyCode::NumpadEnter => return control_key('\r', held, bytes),
        KeyCode::Escape => return control_key(ESCAPE, held, bytes),
        KeyCode::Backspace => return control_key(if held.control { '\u{8}' } else { '\u{7f}' }, held, bytes),
        KeyCode::Tab if held.shift => return push(bytes, format_args!("{ESCAPE}[Z")),
        KeyCode::Tab => return control_key('\t', held, bytes),
        KeyCode::ArrowUp => Cursor('A'),
        KeyCode::ArrowDown => Cursor('B'),
        KeyCode::ArrowRight => Cursor('C'),
        KeyCode::ArrowLeft => Cursor('D'),
        KeyCode::Home => Cursor('H'),
        KeyCode::End => Cursor('F'),
        KeyCode::Insert => Number(2),
        KeyCode::Delete | KeyCode::NumpadPeriod => Number(3),
        KeyCode::PageUp => Number(5),
        KeyCode::PageDown => Number(6),
        KeyCode::F1 => Function('P'),
        KeyCode::F2 => Function('Q'),
        KeyCode::F3 => Function('R'),
        KeyCode::F4 => Function('S'),
        KeyCode::F5 => Number(15),
        KeyCode::F6 => Number(17),
        KeyCode::F7 => Number(18),
        KeyCode::F8 => Number(19),
        KeyCode::F9 => Number(20),
        KeyCode::F10 => Number(21),
        KeyCode::F11 => Number(23),
        KeyCode::F12 => Number(24),
        _ => return,
    };
    let modifiers = held.parameter();
    match sequence {
        Cursor(letter) | Function(letter) if modifiers > 1 => {
            push(bytes, format_args!("{ESCAPE}[1;{modifiers}{letter}"))
        }
        Cursor(letter) if !modes.application_cursor => push(bytes, format_args!("{ESCAPE}[{letter}")),
        Cursor(letter) | Function(letter) => push(bytes, format_args!("{ESCAPE}O{letter}")),
        Number(number) if modifiers > 1 => push(bytes, format_args!("{ESCAPE}[{number};{modifiers}~")),
        Number(number) => push(bytes, format_args!("{ESCAPE}[{number}~")),
    }
}

/// Adds a character, as UTF-8, changed by Control and with ESC before it for Alt.
pub fn character(character: char, held: Held, bytes: &mut Bytes) {
    let sent = if held.control { controlled(character) } else { character };
    control_key(sent, held, bytes);
}

fn control_key(character: char, held: Held, bytes: &mut Bytes) {
    if held.alt {
        push(bytes, format_args!("{ESCAPE}{character}"));
    } else {
        push(bytes, format_args!("{character}"));
    }
}

/// What Control makes of a character: of letters and their neighbours in ASCII the control characters, of digits and
/// some others what a VT220 did, of others nothing.
fn controlled(character: char) -> char {
    match character {
        '@'..='_' | 'a'..='z' => char::from(u8::try_from(character).unwrap_or_default() & 0x1f),
        ' ' | '2' | '`' => '\0',
        '3' => ESCAPE,
        '4' => '\u{1c}',
        '5' => '\u{1d}',
        '6' | '~' => '\u{1e}',
        '7' | '/' => '\u{1f}',
        '8' | '?' => '\u{7f}',
        other => other,
    }
}

fn push(bytes: &mut Bytes, text: fmt::Arguments<'_>) {
    struct Target<'a>(&'a mut Bytes);
    impl Write for Target<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.try_extend_from_slice(text.as_bytes()).map_err(|_| fmt::Error)
        }
    }
    // No key sends more than there is room for.
    let _ = Target(bytes).write_fmt(text);
}
