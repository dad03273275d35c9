//! Bytes of a terminal to keys: UTF-8, control characters, and the sequences that keys without a character send.
//!
//! Those sequences are ECMA-48's CSI ones and, from keypads in application mode, SS3 ones, with the numbers and modifiers that
//! VT220, xterm and the Linux console give them (console_codes(4); xterm's "PC-Style Function Keys"). What is malformed or not
//! known is swallowed as a whole and never taken for text.

/// A key, or a chord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character, never a control character.
    Character(char),
    /// A letter or `@[\]^_` with Ctrl, the letter small.
    Control(char),
    /// A character with Alt, or after Escape.
    Alt(char),
    /// The end of a line.
    Enter,
    /// Tab.
    Tab,
    /// Rubs out to the left.
    Backspace,
    /// Deletes under the cursor.
    Delete,
    /// Cursor up.
    Up,
    /// Cursor down.
    Down,
    /// Cursor left.
    Left,
    /// Cursor right.
    Right,
    /// Cursor left with Ctrl or Alt.
    WordLeft,
    /// Cursor right with Ctrl or Alt.
    WordRight,
    /// Home.
    Home,
    /// End.
    End,
}

const ESCAPE: u8 = 0x1b;
const RUBOUT: u8 = 0x7f;
/// CAN and SUB end a sequence (VT510 reference, chapter 4).
const CANCEL: [u8; 2] = [0x18, 0x1a];

/// What has been seen of a key that takes several bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// In a character: its bytes so far, and how many are missing.
    Utf8 { bytes: [u8; 4], have: u8, missing: u8 },
    /// Behind ESC.
    Escape,
    /// Behind ESC O.
    Ss3,
    /// Behind ESC [: the first parameter, the last, and whether there was more than one.
    Csi { first: u8, last: u8, several: bool },
    /// In a sequence that is no key's.
    Skip,
}

/// Turns bytes into keys, however they are cut into pieces.
#[derive(Clone, Debug, Default)]
pub struct KeyDecoder {
    state: State,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
}

impl KeyDecoder {
    /// In between keys.
    pub const fn new() -> Self {
        Self { state: State::Ground, after_return: false }
    }

    /// The key that ends with `byte`, if one does.
    pub fn push(&mut self, byte: u8) -> Option<Key> {
        let after_return = core::mem::take(&mut self.after_return);
        if CANCEL.contains(&byte) && !matches!(self.state, State::Ground | State::Utf8 { .. }) {
            self.state = State::Ground;
            return None;
        }
        match core::mem::take(&mut self.state) {
            State::Ground => self.ground(byte, after_return),
            State::Utf8 { bytes, have, missing } => self.continuation(bytes, have, missing, byte),
            State::Escape => self.escape(byte),
            State::Ss3 => self.restart(byte).unwrap_or_else(|| cursor_key(byte, 0)),
            State::Csi { first, last, several } => {
                self.restart(byte).unwrap_or_else(|| self.csi(byte, first, last, several))
            }
            State::Skip => self.restart(byte).unwrap_or_else(|| {
                if !is_final(byte) {
                    self.state = State::Skip;
                }
                None
            }),
        }
    }

    fn ground(&mut self, byte: u8, after_return: bool) -> Option<Key> {
        let missing = match byte {
            b'\r' => {
                self.after_return = true;
                return Some(Key::Enter);
            }
            b'\n' if after_return => return None,
            ESCAPE => {
                self.state = State::Escape;
                return None;
            }
            0..0x20 | RUBOUT => return Some(control(byte)),
            0x20..RUBOUT => return Some(Key::Character(char::from(byte))),
            0xc2..0xe0 => 1,
            0xe0..0xf0 => 2,
            0xf0..0xf5 => 3,
            _ => return None,
        };
        self.state = State::Utf8 { bytes: [byte, 0, 0, 0], have: 1, missing };
        None
    }

    /// Goes on in a character. What cannot go on is dropped, and the byte that showed it begins anew.
    fn continuation(&mut self, mut bytes: [u8; 4], have: u8, missing: u8, byte: u8) -> Option<Key> {
        if byte & 0xc0 != 0x80 {
            return self.ground(byte, false);
        }
        if let Some(place) = bytes.get_mut(usize::from(have)) {
            *place = byte;
        }
        let (have, missing) = (have.saturating_add(1), missing.saturating_sub(1));
        if missing > 0 {
            self.state = State::Utf8 { bytes, have, missing };
            return None;
        }
        let text = core::str::from_utf8(bytes.get(..usize::from(have))?).ok()?;
        text.chars().next().filter(|character| !character.is_control()).map(Key::Character)
    }

    fn escape(&mut self, byte: u8) -> Option<Key> {
        self.state = match byte {
            b'[' => State::Csi { first: 0, last: 0, several: false },
            b'O' => State::Ss3,
            ESCAPE => State::Escape,
            0x20..RUBOUT => return Some(Key::Alt(char::from(byte))),
            RUBOUT => return Some(Key::Control('w')),
            _ => return self.ground(byte, false),
        };
        None
    }

    fn csi(&mut self, byte: u8, first: u8, last: u8, several: bool) -> Option<Key> {
        match byte {
            b'0'..=b'9' => {
                let last = last.saturating_mul(10).saturating_add(byte & 0xf);
                let first = if several { first } else { last };
                self.state = State::Csi { first, last, several };
                None
            }
            b';' => {
                self.state = State::Csi { first, last: 0, several: true };
                None
            }
            b'~' => match first {
                1 | 7 => Some(Key::Home),
                3 => Some(Key::Delete),
                4 | 8 => Some(Key::End),
                _ => None,
            },
            // The Linux console's function keys F1 to F5 are ESC [ [ and a letter.
            b'[' => {
                self.state = State::Skip;
                None
            }
            _ if is_final(byte) => cursor_key(byte, if several { last } else { 0 }),
            _ => {
                self.state = State::Skip;
                None
            }
        }
    }

    /// An escape in the middle of a sequence begins the next one.
    fn restart(&mut self, byte: u8) -> Option<Option<Key>> {
        if byte != ESCAPE {
            return None;
        }
        self.state = State::Escape;
        Some(None)
    }
}

fn is_final(byte: u8) -> bool {
    (0x40..0x7f).contains(&byte)
}

fn control(byte: u8) -> Key {
    match byte {
        b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        0x08 | RUBOUT => Key::Backspace,
        _ => Key::Control(char::from(byte | 0x40).to_ascii_lowercase()),
    }
}

/// What ends in a letter. xterm's modifiers are 1 and a bit each for Shift, Alt and Ctrl.
fn cursor_key(letter: u8, modifiers: u8) -> Option<Key> {
    let by_word = modifiers.saturating_sub(1) & 0b110 != 0;
    Some(match letter {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' if by_word => Key::WordRight,
        b'D' if by_word => Key::WordLeft,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'M' => Key::Enter,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = KeyDecoder::new();
        bytes.iter().filter_map(|byte| decoder.push(*byte)).collect()
    }

    #[test]
    fn characters_come_whole_in_utf8() {
        assert_eq!(keys("aé漢😀".as_bytes()), ['a', 'é', '漢', '😀'].map(Key::Character));
    }

    #[test]
    fn malformed_utf8_is_dropped_and_what_follows_is_kept() {
        assert_eq!(keys(b"\xc3a\xe6\xbcb\xff\xc0c"), ['a', 'b', 'c'].map(Key::Character));
        assert_eq!(keys(b"\xed\xa0\x80\xf4\x90\x80\x80\xe0\x80\x80d"), [Key::Character('d')]);
    }

    #[test]
    fn cursor_keys_come_in_both_forms() {
        for (bytes, key) in [
            (&b"\x1b[A"[..], Key::Up),
            (b"\x1bOB", Key::Down),
            (b"\x1b[C", Key::Right),
            (b"\x1bOD", Key::Left),
            (b"\x1b[H", Key::Home),
            (b"\x1b[1~", Key::Home),
            (b"\x1b[7~", Key::Home),
            (b"\x1bOF", Key::End),
            (b"\x1b[4~", Key::End),
            (b"\x1b[3~", Key::Delete),
            (b"\x1b[1;5C", Key::WordRight),
            (b"\x1b[1;3D", Key::WordLeft),
            (b"\x1b[1;2D", Key::Left),
            (b"\x1bf", Key::Alt('f')),
        ] {
            assert_eq!(keys(bytes), [key], "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn sequences_that_are_no_keys_leave_no_text() {
        assert_eq!(keys(b"\x1b[15~\x1b[[A\x1b[?25h\x1b[200;1;3~\x1b[\x1b[Bx"), [Key::Down, Key::Character('x')]);
        assert_eq!(keys(b"\x1b[12\x18y"), [Key::Character('y')]);
    }

    #[test]
    fn a_line_ends_once_however_it_ends() {
        assert_eq!(keys(b"\r\n\n\r\r"), [Key::Enter; 4]);
    }

    proptest! {
        #[test]
        fn any_bytes_make_no_control_character(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for key in keys(&bytes) {
                if let Key::Character(character) = key {
                    prop_assert!(!character.is_control());
                }
            }
        }

        #[test]
        fn after_a_cancel_text_is_text_again(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let mut all = bytes;
            all.extend(b"\x18Z");
            prop_assert_eq!(keys(&all).pop(), Some(Key::Character('Z')));
        }
    }
}
