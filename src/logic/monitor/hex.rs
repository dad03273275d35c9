//! Memory as people read it: address, sixteen bytes, and their characters.

use core::fmt;

/// Bytes of a line.
pub const LINE_BYTES: usize = 16;

/// One line of a dump, at most 75 columns wide.
#[derive(Clone, Copy, Debug)]
pub struct HexLine<'a> {
    /// The address of the first byte.
    pub address: u64,
    /// The bytes, of which [`LINE_BYTES`] are shown.
    pub bytes: &'a [u8],
}

/// `ffffffff80100000  7f45 4c46 0201 0100 0000 0000 0000 0000  .ELF............`
impl fmt::Display for HexLine<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x} ", self.address)?;
        for place in 0..LINE_BYTES {
            if place % 2 == 0 {
                formatter.write_str(" ")?;
            }
            match self.bytes.get(place) {
                Some(byte) => write!(formatter, "{byte:02x}")?,
                None => formatter.write_str("  ")?,
            }
        }
        formatter.write_str("  ")?;
        self.bytes.iter().take(LINE_BYTES).try_for_each(|byte| {
            let shown = if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
            write!(formatter, "{shown}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_has_address_bytes_and_characters() {
        let line = HexLine { address: 0xffff_ffff_8010_0000, bytes: b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0" };
        let wanted = "ffffffff80100000  7f45 4c46 0201 0100 0000 0000 0000 0000  .ELF............";
        assert_eq!(line.to_string(), wanted);
        let line = HexLine { address: 16, bytes: b"abc" };
        assert_eq!(line.to_string(), format!("0000000000000010  6162 63{}  abc", " ".repeat(32)));
    }

    proptest! {
        #[test]
        fn any_line_fits_an_80_column_screen(address: u64, bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let line = HexLine { address, bytes: &bytes }.to_string();
            prop_assert!(line.len() < 80 && line.chars().all(|character| !character.is_control()));
        }
    }
}
