//! What programs switch on and off (ECMA-48 7, and xterm's list of DEC private modes).

/// The modes of a terminal. Defaults are those after a reset, but for the cursor's and wrapping's, see [`Modes::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// IRM: characters push what follows to the right.
    pub insert: bool,
    /// LNM: a line feed goes to the left edge too, and the Enter key sends CR LF.
    pub new_line: bool,
    /// DECCKM: cursor keys send application sequences.
    pub application_cursor_keys: bool,
    /// DECKPAM and DECNKM: the keypad does.
    pub application_keypad: bool,
    /// DECSCNM: default colours change places.
    pub reverse_screen: bool,
    /// DECOM: rows count from the scrolling region's top, and the cursor stays in it.
    pub origin: bool,
    /// DECAWM: text goes on in the next line at the right edge.
    pub autowrap: bool,
    /// DECTCEM: the cursor is shown.
    pub show_cursor: bool,
    /// Pasted text comes in brackets.
    pub bracketed_paste: bool,
    /// Getting and losing the focus is told: kept, and never told, for a console always has it.
    pub focus_events: bool,
    /// Mouse reports (9, 1000, 1002, 1003 and their formats 1005, 1006, 1015): kept, and none are sent.
    pub mouse: [bool; 7],
}

/// The numbers of [`Modes::mouse`].
const MOUSE_MODES: [u16; 7] = [9, 1000, 1002, 1003, 1005, 1006, 1015];

impl Modes {
    /// As after a reset: text wraps and the cursor shows.
    pub const fn new() -> Self {
        Self {
            insert: false,
            new_line: false,
            application_cursor_keys: false,
            application_keypad: false,
            reverse_screen: false,
            origin: false,
            autowrap: true,
            show_cursor: true,
            bracketed_paste: false,
            focus_events: false,
            mouse: [false; 7],
        }
    }

    /// The mode with a number among ECMA-48's.
    pub fn standard(&mut self, number: u16) -> Option<&mut bool> {
        match number {
            4 => Some(&mut self.insert),
            20 => Some(&mut self.new_line),
            _ => None,
        }
    }

    /// The mode with a number among DEC's and xterm's private ones.
    pub fn private(&mut self, number: u16) -> Option<&mut bool> {
        match number {
            1 => Some(&mut self.application_cursor_keys),
            5 => Some(&mut self.reverse_screen),
            6 => Some(&mut self.origin),
            7 => Some(&mut self.autowrap),
            25 => Some(&mut self.show_cursor),
            66 => Some(&mut self.application_keypad),
            1004 => Some(&mut self.focus_events),
            2004 => Some(&mut self.bracketed_paste),
            _ => {
                let index = MOUSE_MODES.iter().position(|mode| *mode == number)?;
                self.mouse.get_mut(index)
            }
        }
    }
}

impl Default for Modes {
    fn default() -> Self {
        Self::new()
    }
}

/// How the cursor looks (DECSCUSR); it does not blink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CursorShape {
    /// The whole cell, inverted.
    #[default]
    Block,
    /// A line below the character.
    Underline,
    /// A bar at its left.
    Bar,
}
