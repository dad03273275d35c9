//! The QR code itself (ISO/IEC 18004): how large one may be, how much it holds, and which of its modules are dark.

use qrcodegen_no_heap::{QrCode, QrCodeEcc, Version};

/// Modules around a code that must be light.
pub const QUIET: usize = 4;
/// The largest code that is made. Phones read larger ones off a screen only with patience.
pub const MOST_VERSION: u8 = 25;
const BYTES: usize = Version::new(MOST_VERSION).buffer_len();

/// Data codewords by version, at the low level of error correction (ISO/IEC 18004 table 7).
const CODEWORDS: [usize; MOST_VERSION as usize] = [
    19, 34, 55, 80, 108, 136, 156, 194, 232, 274, 324, 370, 428, 461, 523, 589, 647, 721, 795, 861, 932, 1006, 1094,
    1174, 1276,
];

/// The largest version that fits into a square of `modules` by `modules`, with the quiet zone.
pub fn largest_version(modules: usize) -> Option<u8> {
    let version = modules.checked_sub(2 * QUIET + 17)? / 4;
    let version = u8::try_from(version).unwrap_or(u8::MAX).min(MOST_VERSION);
    (version > 0).then_some(version)
}

/// Characters of alphanumeric mode that a code of `version` has room for.
pub fn characters(version: u8) -> usize {
    let Some(codewords) = usize::from(version).checked_sub(1).and_then(|index| CODEWORDS.get(index)) else { return 0 };
    // The mode, and how many characters there are.
    let bits = codewords * 8 - 4 - if version < 10 { 9 } else { 11 };
    bits / 11 * 2 + usize::from(bits % 11 >= 6)
}

/// Memory in which codes are made.
pub struct Memory {
    code: [u8; BYTES],
    scratch: [u8; BYTES],
}

impl Memory {
    /// Empty.
    pub const fn new() -> Self {
        Self { code: [0; BYTES], scratch: [0; BYTES] }
    }

    /// The smallest code of at most `most_version` that holds `text`, with as much error correction as fits into it.
    #[inline(never)]
    pub fn make(&mut self, text: &str, most_version: u8) -> Option<Symbol<'_>> {
        let most_version = Version::new(most_version.clamp(1, MOST_VERSION));
        let (low, first) = (QrCodeEcc::Low, Version::new(1));
        let code =
            QrCode::encode_text(text, &mut self.scratch, &mut self.code, low, first, most_version, None, true).ok()?;
        Some(Symbol(code))
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// A code with its quiet zone.
pub struct Symbol<'a>(QrCode<'a>);

impl Symbol<'_> {
    /// Modules at each side.
    pub fn size(&self) -> usize {
        usize::try_from(self.0.size()).unwrap_or_default() + 2 * QUIET
    }

    /// Whether a module is dark. Those of the quiet zone, and all beyond, are not.
    pub fn is_dark(&self, column: usize, row: usize) -> bool {
        let inside = |place: usize| place.checked_sub(QUIET).and_then(|place| i32::try_from(place).ok());
        // The crate has it that all outside is light.
        inside(column).zip(inside(row)).is_some_and(|(column, row)| self.0.get_module(column, row))
    }
}
