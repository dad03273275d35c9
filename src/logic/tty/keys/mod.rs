//! A PC keyboard: from scan codes, byte by byte, to what a terminal sends.
//!
//! Crate `pc-keyboard` knows scan codes and layouts. Modifiers are kept here, not in its decoder: it takes a held lock
//! key's repeats for presses, and any right Alt for AltGr.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)]

mod encoding;
mod layout;
mod scan_codes;
#[cfg(test)]
mod tests;

pub use layout::{Keymap, Names};
pub use scan_codes::ScanCodeSet;

use super::accents;
use arrayvec::ArrayVec;
use encoding::{Bytes, Held};
use pc_keyboard::{DecodedKey, HandleControl, KeyCode, KeyState, KeyboardLayout, Modifiers};
use scan_codes::Decoder;

/// What the program that reads the keyboard has asked its terminal for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyModes {
    /// Cursor keys send SS3 instead of CSI (DECCKM).
    pub application_cursor: bool,
}

/// What a key that is not for the program asks of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Shift+PageUp: show what has scrolled off the screen.
    ViewEarlier,
    /// Shift+PageDown: and back.
    ViewLater,
    /// Alt+SysRq, then the key with this character on it.
    SysRq(char),
    /// Ctrl+Alt+Delete.
    ControlAltDelete,
}

/// What came of a byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Nothing yet.
    Nothing,
    /// Bytes for the program.
    Bytes(ArrayVec<u8, MOST_BYTES>),
    /// Something for the kernel.
    Action(Action),
    /// The keyboard was plugged in just now, and has to be told everything again.
    PluggedIn,
}

/// The most that one key sends: two characters with an ESC each, or a sequence such as `CSI 24;8~`.
pub const MOST_BYTES: usize = 16;

/// Bits of the lights, as the keyboard's command takes them.
const NUM_LOCK_LIGHT: u8 = 1 << 1;
const CAPS_LOCK_LIGHT: u8 = 1 << 2;

/// A keyboard with what is held down on it.
pub struct Keyboard {
    decoder: Decoder,
    keymap: Keymap,
    modifiers: Modifiers,
    /// The lock key that is down, and repeats.
    lock_down: Option<KeyCode>,
    /// An accent that waits for its letter.
    accent: Option<char>,
    /// SysRq was pressed and Alt not yet let go of.
    sysrq: bool,
}

impl Keyboard {
    /// A keyboard of which nothing is held down, NumLock and CapsLock off. NumLock is off because it turns letters into
    /// digits on notebooks without a keypad.
    pub fn new(set: ScanCodeSet, keymap: Keymap) -> Self {
        let modifiers = Modifiers::default();
        Self { decoder: Decoder::new(set), keymap, modifiers, lock_down: None, accent: None, sysrq: false }
    }

    /// Bytes come in another set from now on.
    pub fn set_scan_codes(&mut self, set: ScanCodeSet) {
        self.decoder = Decoder::new(set);
    }

    /// Keys mean something else from now on.
    pub fn set_keymap(&mut self, keymap: Keymap) {
        self.keymap = keymap;
        self.accent = None;
    }

    /// Which lights should be on, as the keyboard's command takes them.
    pub fn lights(&self) -> u8 {
        let number = if self.modifiers.numlock { NUM_LOCK_LIGHT } else { 0 };
        let capitals = if self.modifiers.capslock { CAPS_LOCK_LIGHT } else { 0 };
        number | capitals
    }

    /// Takes a byte from the keyboard.
    pub fn receive(&mut self, byte: u8, modes: KeyModes) -> Typed {
        let Some((code, state)) = self.decoder.advance(byte) else { return Typed::Nothing };
        match state {
            KeyState::Down => self.press(code, modes),
            // What a keyboard says when it has power, 0xaa, is in set 1 what letting go of Shift is.
            KeyState::SingleShot if code == KeyCode::PowerOnTestOk => self.plug_in(),
            KeyState::Up if code == KeyCode::LShift && !self.modifiers.lshift => self.plug_in(),
            KeyState::Up => {
                self.release(code);
                Typed::Nothing
            }
            KeyState::SingleShot => Typed::Nothing,
        }
    }

    /// Nothing is held down any more; what is locked stays so.
    fn plug_in(&mut self) -> Typed {
        let Modifiers { numlock, capslock, .. } = self.modifiers;
        self.modifiers = Modifiers { numlock, capslock, ..Modifiers::default() };
        (self.lock_down, self.sysrq) = (None, false);
        Typed::PluggedIn
    }

    fn press(&mut self, code: KeyCode, modes: KeyModes) -> Typed {
        if self.press_modifier(code) {
            return Typed::Nothing;
        }
        let held = self.held();
        match code {
            KeyCode::SysRq | KeyCode::PrintScreen if held.alt => self.sysrq = true,
            KeyCode::Delete | KeyCode::NumpadPeriod if held.control && held.alt => {
                return Typed::Action(Action::ControlAltDelete);
            }
            KeyCode::PageUp if held.shift && !held.control && !held.alt => return Typed::Action(Action::ViewEarlier),
            KeyCode::PageDown if held.shift && !held.control && !held.alt => return Typed::Action(Action::ViewLater),
            _ if self.sysrq => {
                return self.name(code).map_or(Typed::Nothing, |name| Typed::Action(Action::SysRq(name)));
            }
            _ => return self.send(code, held, modes),
        }
        Typed::Nothing
    }

    /// Whether `code` is a modifier or a lock.
    fn press_modifier(&mut self, code: KeyCode) -> bool {
        if let Some(key) = self.modifier(code) {
            *key = true;
            return true;
        }
        let repeats = self.lock_down == Some(code);
        let lock = match code {
            KeyCode::CapsLock => &mut self.modifiers.capslock,
            // The Pause key sends a hidden Control, then this.
            KeyCode::NumpadLock if self.modifiers.rctrl2 => return true,
            KeyCode::NumpadLock => &mut self.modifiers.numlock,
            _ => return false,
        };
        *lock ^= !repeats;
        self.lock_down = Some(code);
        true
    }

    fn release(&mut self, code: KeyCode) {
        if let Some(key) = self.modifier(code) {
            *key = false;
        }
        if self.lock_down == Some(code) {
            self.lock_down = None;
        }
        self.sysrq &= self.held().alt;
    }

    fn modifier(&mut self, code: KeyCode) -> Option<&mut bool> {
        Some(match code {
            KeyCode::LShift => &mut self.modifiers.lshift,
            KeyCode::RShift => &mut self.modifiers.rshift,
            KeyCode::LControl => &mut self.modifiers.lctrl,
            KeyCode::RControl => &mut self.modifiers.rctrl,
            KeyCode::RControl2 => &mut self.modifiers.rctrl2,
            KeyCode::LAlt => &mut self.modifiers.lalt,
            KeyCode::RAltGr => &mut self.modifiers.ralt,
            _ => return None,
        })
    }

    /// Right Alt chooses characters where the layout has some for it, and is a second Alt where it has none.
    fn held(&self) -> Held {
        let modifiers = &self.modifiers;
        Held {
            shift: modifiers.is_shifted(),
            control: modifiers.is_ctrl(),
            alt: modifiers.lalt || (modifiers.ralt && !self.keymap.has_altgr()),
        }
    }

    fn send(&mut self, code: KeyCode, held: Held, modes: KeyModes) -> Typed {
        // Control and Alt do not choose the character here; they change what is sent for it.
        let chosen_by = Modifiers {
            lctrl: false,
            rctrl: false,
            lalt: false,
            ralt: self.modifiers.ralt && self.keymap.has_altgr(),
            ..self.modifiers.clone()
        };
        let mut bytes = Bytes::new();
        match self.keymap.layout().map_keycode(code, &chosen_by, HandleControl::Ignore) {
            // These are keys, whatever character the crate has for them.
            DecodedKey::Unicode('\u{8}' | '\t' | '\n' | '\u{1b}' | '\u{7f}') => {
                let accent = self.accent.take();
                if accent.is_none() || code != KeyCode::Backspace {
                    encoding::key(code, held, modes, &mut bytes);
                }
            }
            DecodedKey::Unicode(character) => self.send_character(code, character, held, &mut bytes),
            DecodedKey::RawKey(key) => {
                self.accent = None;
                encoding::key(key, held, modes, &mut bytes);
            }
        }
        if bytes.is_empty() { Typed::Nothing } else { Typed::Bytes(bytes) }
    }

    fn send_character(&mut self, code: KeyCode, character: char, held: Held, bytes: &mut Bytes) {
        let plain = !held.control && !held.alt;
        let is_accent = plain && self.keymap.is_accent(code, character);
        match self.accent.take() {
            None if is_accent => self.accent = Some(character),
            // An accent by itself: twice its key, or its key and the space bar.
            Some(accent) if plain && (character == accent || character == ' ') => {
                encoding::character(accent, held, bytes);
            }
            Some(accent) if is_accent => {
                self.accent = Some(character);
                encoding::character(accent, held, bytes);
            }
            Some(accent) if plain => match accents::after_dead_key(accent, character) {
                Some(composed) => encoding::character(composed, held, bytes),
                None => {
                    encoding::character(accent, held, bytes);
                    encoding::character(character, held, bytes);
                }
            },
            _ => encoding::character(character, held, bytes),
        }
    }

    /// The character on a key, nothing else held.
    fn name(&self, code: KeyCode) -> Option<char> {
        match self.keymap.layout().map_keycode(code, &Modifiers::default(), HandleControl::Ignore) {
            DecodedKey::Unicode(name) => Some(name),
            DecodedKey::RawKey(_) => None,
        }
    }
}
