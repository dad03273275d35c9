//! Initramfs archives: cpio in the format "newc", as Linux's buffer-format.rst describes it, read and unpacked.
//!
//! An archive is believed nothing: names that lead out of the tree, sizes beyond the end, numbers that are none end the unpacking
//! with an error that says where; what came before stays. Several archives may follow each other, with zeros between.

mod unpack;

#[cfg(test)]
mod tests;

pub use unpack::{UnpackError, Unpacked, unpack};

use core::fmt;

/// Bytes of a header: the magic and thirteen numbers of eight hexadecimal digits.
const HEADER_BYTES: usize = 6 + 13 * 8;

/// The name of an archive's end.
const TRAILER: &[u8] = b"TRAILER!!!";

/// What the sizes of entries are rounded up to.
const ALIGNMENT: usize = 4;

/// An object in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where its header begins.
    pub offset: usize,
    /// Its path, without the zero behind it.
    pub name: &'a [u8],
    /// `st_mode`.
    pub mode: u32,
    /// The owner.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// Names that it has in the archive.
    pub links: u32,
    /// Seconds since 1970 at its last change.
    pub modified: u32,
    /// Entries with the same device and inode are names of one object: major and minor number, inode.
    pub identity: (u32, u32, u32),
    /// Which device it stands for.
    pub special: (u32, u32),
    /// Its content, or a symbolic link's text.
    pub content: &'a [u8],
}

/// What is wrong with an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Neither a header nor zeros.
    BadMagic,
    /// Something that should be a hexadecimal digit is none.
    BadNumber,
    /// The archive ends within an entry.
    CutOff,
    /// A name is empty, or does not end with the one zero that it has.
    BadName,
    /// The checksum of the content is another (format "crc").
    BadChecksum,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::BadMagic => "no header where one should be",
            Self::BadNumber => "a number that is none",
            Self::CutOff => "it ends within an entry",
            Self::BadName => "a name that is none",
            Self::BadChecksum => "a wrong checksum",
        })
    }
}

/// What is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where the entry begins that is damaged.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What comes next in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An object.
    Entry(Entry<'a>),
    /// The end of an archive; another may follow, whose objects are others whatever their numbers.
    End,
}

/// Goes through archives. After damage there is nothing more.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Archive<'a> {
    /// The archives in `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    fn read(&mut self) -> Result<Item<'a>, Reason> {
        let start = self.offset;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let header = rest.get(..HEADER_BYTES).ok_or(Reason::CutOff)?;
        let (magic, numbers) = header.split_at_checked(6).ok_or(Reason::CutOff)?;
        let summed = match magic {
            b"070701" => false,
            b"070702" => true,
            _ => return Err(Reason::BadMagic),
        };
        let mut fields = [0; 13];
        for (field, digits) in fields.iter_mut().zip(numbers.chunks_exact(8)) {
            *field = hexadecimal(digits).ok_or(Reason::BadNumber)?;
        }
        let [
            inode,
            mode,
            user,
            group,
            links,
            modified,
            size,
            major,
            minor,
            special_major,
            special_minor,
            name_size,
            sum,
        ] = fields;
        let name_end = HEADER_BYTES.checked_add(name_size as usize).ok_or(Reason::CutOff)?;
        let name = rest.get(HEADER_BYTES..name_end).ok_or(Reason::CutOff)?;
        // Alignment counts from the start of the archives, to which each header is aligned.
        let content_start = name_end.checked_next_multiple_of(ALIGNMENT).ok_or(Reason::CutOff)?;
        let content_end = content_start.checked_add(size as usize).ok_or(Reason::CutOff)?;
        let content = match rest.get(content_start..content_end) {
            Some(content) => content,
            // The padding of a last name without content may be left out.
            None if size == 0 => &[],
            None => return Err(Reason::CutOff),
        };
        let Some((0, name)) = name.split_last() else { return Err(Reason::BadName) };
        if name.is_empty() || name.contains(&0) {
            return Err(Reason::BadName);
        }
        if summed && sum != content.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte))) {
            return Err(Reason::BadChecksum);
        }
        let end = content_end.checked_next_multiple_of(ALIGNMENT).ok_or(Reason::CutOff)?;
        self.offset = start.saturating_add(end).min(self.bytes.len());
        if name == TRAILER {
            return Ok(Item::End);
        }
        Ok(Item::Entry(Entry {
            offset: start,
            name,
            mode,
            user,
            group,
            links,
            modified,
            identity: (major, minor, inode),
            special: (special_major, special_minor),
            content,
        }))
    }
}

impl<'a> Iterator for Archive<'a> {
    type Item = Result<Item<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        // Zeros fill the gap to the next archive, or to the end.
        self.offset += rest.iter().take_while(|byte| **byte == 0).count();
        let offset = self.offset;
        if offset >= self.bytes.len() {
            return None;
        }
        let item = self.read();
        if item.is_err() {
            self.offset = self.bytes.len();
        }
        Some(item.map_err(|reason| Damage { offset, reason }))
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value: u32, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}
