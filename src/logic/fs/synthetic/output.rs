//! A text on its way to a reader. It may grow as far as programs decide, so that each step of growing can fail.

use crate::errno::Errno;
use alloc::vec::Vec;
use core::fmt;

/// Bytes that a text may have. Nothing that programs make legitimately comes near it.
const MOST_BYTES: usize = 16 << 20;

/// A text being made: `write!` it, or [`Output::push`] what is not UTF-8.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
}

impl Output {
    /// An empty text.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.len() > MOST_BYTES - self.bytes.len() {
            return Err(Errno::ENOMEM);
        }
        self.bytes.try_reserve(bytes.len()).map_err(|_| Errno::ENOMEM)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Adds bytes with those that would end a line or look like an escape written as `\ooo`, and all of `special` too.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn push_escaped(&mut self, bytes: &[u8], special: &[u8]) -> Result<(), Errno> {
        for byte in bytes {
            if matches!(byte, b'\n' | b'\\') || special.contains(byte) {
                let digit = |shift: u8| b'0' + (byte >> shift & 7);
                self.push(&[b'\\', digit(6), digit(3), digit(0)])?;
            } else {
                self.push(&[*byte])?;
            }
        }
        Ok(())
    }

    /// The text so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

impl From<fmt::Error> for Errno {
    /// Nothing else keeps a text from being written.
    fn from(_: fmt::Error) -> Self {
        Self::ENOMEM
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn a_text_grows_to_its_limit_and_no_further() {
        let mut output = Output::new();
        output.push(&vec![b'x'; MOST_BYTES - 3]).unwrap();
        assert_eq!(output.push(b"1234"), Err(Errno::ENOMEM));
        assert_eq!(write!(output, "{}", 1234).map_err(Errno::from), Err(Errno::ENOMEM));
        assert!(write!(output, "{}", 123).is_ok());
        assert_eq!(output.bytes().len(), MOST_BYTES);
    }

    #[test]
    fn what_would_mislead_a_reader_is_escaped() {
        let mut output = Output::new();
        output.push_escaped(b"a b\\c\nd\t\xff", b" \t").unwrap();
        assert_eq!(output.bytes(), b"a\\040b\\134c\\012d\\011\xff");
    }
}
