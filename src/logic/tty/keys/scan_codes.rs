//! Scan codes, of the two sets that keyboards speak.

use pc_keyboard::{Error, KeyCode, KeyEvent, KeyState, ScancodeSet, ScancodeSet1, ScancodeSet2};

/// What the bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanCodeSet {
    /// That of the PC/XT, to which the controller of every PC since translates.
    One,
    /// That of the AT, which keyboards themselves send.
    Two,
}

/// Begins a code of two bytes.
const EXTENDED: u8 = 0xe0;
/// Begins the code of the Pause key.
const PAUSE: u8 = 0xe1;
const RELEASED: u8 = 0x80;
/// The keys that only Japanese keyboards have. In set 1 they have codes of one byte; the crate (0.9.0) expects
/// [`EXTENDED`] first.
const JAPANESE: [u8; 5] = [0x70, 0x73, 0x79, 0x7b, 0x7d];

/// Puts codes together.
pub struct Decoder {
    codes: Codes,
    /// The byte before began a code.
    is_within: bool,
}

enum Codes {
    One(ScancodeSet1),
    Two(ScancodeSet2),
}

impl Decoder {
    pub fn new(set: ScanCodeSet) -> Self {
        let codes = match set {
            ScanCodeSet::One => Codes::One(ScancodeSet1::new()),
            ScanCodeSet::Two => Codes::Two(ScancodeSet2::new()),
        };
        Self { codes, is_within: false }
    }

    /// What has happened to which key, once a code is complete. Unknown codes are none.
    pub fn advance(&mut self, byte: u8) -> Option<(KeyCode, KeyState)> {
        let is_first = !self.is_within;
        self.is_within = matches!(byte, EXTENDED | PAUSE);
        let event: Result<Option<KeyEvent>, Error> = match &mut self.codes {
            Codes::One(set) => {
                if is_first && JAPANESE.contains(&(byte & !RELEASED)) {
                    // It answers nothing until the code is complete.
                    let _ = set.advance_state(EXTENDED);
                }
                set.advance_state(byte)
            }
            Codes::Two(set) => set.advance_state(byte),
        };
        event.ok().flatten().map(|event| (event.code, event.state))
    }
}
