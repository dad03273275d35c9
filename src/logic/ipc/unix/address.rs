//! Names of sockets: `struct sockaddr_un` (unix(7), "Address format").

use crate::errno::Errno;
use arrayvec::ArrayVec;
use linux_raw_sys::net;

/// Bytes of `sun_path`.
const PATH: usize = net::UNIX_PATH_MAX as usize;

/// Bytes of `sun_family`.
const FAMILY: usize = size_of::<net::__kernel_sa_family_t>();

/// The most bytes that an address is told in: a path that fills its field is followed by a zero all the same.
pub const MOST_BYTES: usize = FAMILY + PATH + 1;

/// What a socket is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Address {
    /// Nothing.
    #[default]
    Unnamed,
    /// As a file in a file system. Never empty, and without zeros.
    Path(ArrayVec<u8, PATH>),
    /// As nothing but these bytes, all of which count.
    Abstract(ArrayVec<u8, PATH>),
}

impl Address {
    /// Reads what a program passes.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if it is too short or too long, or of another family.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Errno> {
        let (family, path) = bytes.split_first_chunk::<FAMILY>().ok_or(Errno::EINVAL)?;
        if u32::from(u16::from_ne_bytes(*family)) != net::AF_UNIX {
            return Err(Errno::EINVAL);
        }
        let bounded = |bytes: &[u8]| ArrayVec::try_from(bytes).map_err(|_| Errno::EINVAL);
        if path.len() > PATH {
            return Err(Errno::EINVAL);
        }
        match path {
            [] => Ok(Self::Unnamed),
            [0, name @ ..] => Ok(Self::Abstract(bounded(name)?)),
            _ => Ok(Self::Path(bounded(path.split(|byte| *byte == 0).next().unwrap_or(path))?)),
        }
    }

    /// As programs are told it.
    pub fn to_bytes(&self) -> ArrayVec<u8, MOST_BYTES> {
        let [low, high] = (net::AF_UNIX as u16).to_ne_bytes();
        let mut bytes = ArrayVec::new();
        bytes.extend([low, high]);
        match self {
            Self::Unnamed => {}
            Self::Path(path) => {
                bytes.extend(path.iter().copied());
                bytes.push(0);
            }
            Self::Abstract(name) => {
                bytes.push(0);
                // One less than a path's bytes when it came from a program; a longer one cannot be made.
                bytes.extend(name.iter().copied().take(PATH));
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(path: &[u8]) -> Result<Address, Errno> {
        Address::from_bytes(&[&[1, 0], path].concat())
    }

    #[test]
    fn a_path_ends_at_a_zero_or_with_its_field() {
        let path = |bytes: &[u8]| Ok(Address::Path(bytes.iter().copied().collect()));
        assert_eq!(read(b"/run/x\0junk"), path(b"/run/x"));
        assert_eq!(read(b"/run/x"), path(b"/run/x"));
        assert_eq!(read(&[b'a'; 108]), path(&[b'a'; 108]));
        assert_eq!(read(&[b'a'; 109]), Err(Errno::EINVAL));
        assert_eq!(read(&[b'a'; 108]).unwrap().to_bytes().len(), 111);
        assert_eq!(read(b"ab").unwrap().to_bytes().as_slice(), b"\x01\0ab\0");
    }

    #[test]
    fn all_bytes_of_an_abstract_name_count() {
        let name = Address::Abstract(b"x\0y\0".iter().copied().collect());
        assert_eq!(read(b"\0x\0y\0"), Ok(name.clone()));
        assert_eq!(name.to_bytes().as_slice(), b"\x01\0\0x\0y\0");
        assert_eq!(read(b"\0"), Ok(Address::Abstract(ArrayVec::new())));
    }

    #[test]
    fn an_address_of_nothing_is_no_name_and_of_another_family_no_address() {
        assert_eq!(read(b""), Ok(Address::Unnamed));
        assert_eq!(Address::Unnamed.to_bytes().as_slice(), [1, 0]);
        for bytes in [&[] as &[u8], &[1], &[2, 0, b'x']] {
            assert_eq!(Address::from_bytes(bytes), Err(Errno::EINVAL));
        }
    }

    proptest! {
        #[test]
        fn what_is_told_is_what_was_passed(bytes in prop::collection::vec(any::<u8>(), 0..115)) {
            if let Ok(address) = read(&bytes) {
                prop_assert_eq!(Address::from_bytes(&address.to_bytes()[..address.to_bytes().len().min(110)]), Ok(address));
            }
        }
    }
}
