//! The chain of Multiboot2 tags, checked before crate `multiboot2` sees it.
//!
//! The crate gives the tags their types and asserts that sizes fit; those assertions must never meet bytes from outside, so
//! [`Tag::view`] asks the same questions first and answers `None`. Specification: Multiboot2 2.0, section 3.6.1.

use core::mem::size_of;
use multiboot2::{DynSizedStructure, MaybeDynSized, TagHeader};

/// Alignment of the information structure and of each tag in it.
pub const ALIGNMENT: usize = 8;

const HEADER_SIZE: usize = size_of::<TagHeader>();

/// One tag: its type, and its bytes with the padding that follows them.
#[derive(Clone, Copy, Debug)]
pub struct Tag<'a> {
    /// The type number, of [`multiboot2::TagType`] or anybody's own.
    pub kind: u32,
    /// Bytes in the tag: header and contents, no padding.
    pub size: usize,
    padded: &'a [u8],
}

impl<'a> Tag<'a> {
    /// What follows the eight bytes of header.
    pub fn contents(&self) -> &'a [u8] {
        self.padded.get(HEADER_SIZE..self.size).unwrap_or_default()
    }

    /// The tag as the crate's type for a tag of fixed size. `None` if its size is another.
    pub fn view_fixed<T>(&self) -> Option<&'a T>
    where
        T: MaybeDynSized<Header = TagHeader, Metadata = ()>,
    {
        (self.size >= T::BASE_SIZE && self.padded.len() == size_of::<T>()).then(|| self.cast())
    }

    /// The tag as the crate's type for a tag that ends in a row of elements of `element` bytes. `None` if it is too short
    /// or does not end with an element.
    pub fn view<T>(&self, element: usize) -> Option<&'a T>
    where
        T: MaybeDynSized<Header = TagHeader, Metadata = usize> + ?Sized,
    {
        let row = self.size.checked_sub(T::BASE_SIZE)?;
        (row.checked_rem(element)? == 0).then(|| self.cast())
    }

    fn cast<T>(&self) -> &'a T
    where
        T: MaybeDynSized<Header = TagHeader> + ?Sized,
        T::Metadata: Default,
    {
        match DynSizedStructure::<TagHeader>::ref_from_slice(self.padded) {
            Ok(structure) => structure.cast::<T>(),
            Err(error) => panic!("a tag of the walk is aligned, padded and as long as it says: {error}"),
        }
    }
}

/// Why a chain of tags cannot be walked further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainError {
    /// The structure is not aligned to eight bytes, or shorter than its own header.
    NotAStructure,
    /// The total size in the header is not what is there.
    WrongTotalSize,
    /// A tag is shorter than its header, or reaches past the end.
    WrongTagSize,
    /// The end came without an end tag.
    NoEnd,
}

/// Walks the tags of the structure `bytes`, whose length must be the total size that its header states. After an error
/// or the end tag, the walk is over; the end tag is not among the answers.
pub fn walk(bytes: &[u8]) -> impl Iterator<Item = Result<Tag<'_>, ChainError>> {
    let mut rest = start(bytes);
    core::iter::from_fn(move || match rest {
        Err(error) => {
            rest = Ok(&[]);
            Some(Err(error))
        }
        Ok([]) => None,
        Ok(bytes) => match next(bytes) {
            Ok((tag, _)) if tag.kind == 0 => {
                rest = Ok(&[]);
                None
            }
            Ok((tag, remainder)) => {
                rest = if remainder.is_empty() { Err(ChainError::NoEnd) } else { Ok(remainder) };
                Some(Ok(tag))
            }
            Err(error) => {
                rest = Ok(&[]);
                Some(Err(error))
            }
        },
    })
}

fn start(bytes: &[u8]) -> Result<&[u8], ChainError> {
    if bytes.as_ptr().align_offset(ALIGNMENT) != 0 {
        return Err(ChainError::NotAStructure);
    }
    let (total, after) = read_u32(bytes).ok_or(ChainError::NotAStructure)?;
    let (_reserved, tags) = read_u32(after).ok_or(ChainError::NotAStructure)?;
    if total as usize != bytes.len() {
        return Err(ChainError::WrongTotalSize);
    }
    if tags.is_empty() { Err(ChainError::NoEnd) } else { Ok(tags) }
}

fn next(bytes: &[u8]) -> Result<(Tag<'_>, &[u8]), ChainError> {
    let (kind, after) = read_u32(bytes).ok_or(ChainError::NoEnd)?;
    let (size, _) = read_u32(after).ok_or(ChainError::NoEnd)?;
    let size = size as usize;
    let padded = size.checked_next_multiple_of(ALIGNMENT).ok_or(ChainError::WrongTagSize)?;
    if size < HEADER_SIZE {
        return Err(ChainError::WrongTagSize);
    }
    let (padded, rest) = bytes.split_at_checked(padded).ok_or(ChainError::WrongTagSize)?;
    Ok((Tag { kind, size, padded }, rest))
}

/// A little-endian number at the start of `bytes`, and what follows it.
pub(super) fn read_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number), rest))
}
