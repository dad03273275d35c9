//! One name in a directory, checked.

use crate::errno::Errno;
use core::fmt;
use linux_raw_sys::general::NAME_MAX;

/// A name that an entry of a directory may have: 1 to 255 bytes, no slash, no zero, neither `.` nor `..`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// Checks a name.
    ///
    /// # Errors
    /// [`Errno::ENOENT`] for the empty name, [`Errno::ENAMETOOLONG`], [`Errno::EINVAL`] for what cannot be a name.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Errno> {
        match bytes {
            [] => Err(Errno::ENOENT),
            _ if bytes.len() > NAME_MAX as usize => Err(Errno::ENAMETOOLONG),
            b"." | b".." => Err(Errno::EINVAL),
            _ if bytes.iter().any(|byte| matches!(byte, 0 | b'/')) => Err(Errno::EINVAL),
            _ => Ok(Self(bytes)),
        }
    }

    /// Its bytes.
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.0.escape_ascii())
    }
}
