//! Seals: sums by which the kernel knows that itself and its initramfs are as they were built. Most loaders check nothing of what
//! they load.
//!
//! The kernel's own seal is checked by `asm/entry.asm`. An initramfs, an archive of cpio's "newc" format (Linux,
//! buffer-format.rst), has its seal in the header of its first entry, the root directory, in two fields that mean nothing there:
//! the sum in the checksum, which is of another format, and in the minor number of the device that the entry stands for how many
//! bytes are summed up. An archive with 0 for a checksum has no seal, as any that is made by other tools; what follows a sealed
//! archive, such as another one, is not looked at.

use core::fmt;

/// What an archive begins with: the format's magic number, and that of the same format with checksums of its own.
const MAGIC: &[u8] = b"070701";
const MAGIC_WITH_CHECKSUMS: &[u8] = b"070702";
/// Fields have eight hexadecimal digits.
const LENGTH_AT: usize = 86;
const SUM_AT: usize = 102;
const DIGITS: usize = 8;
const UNSEALED: &[u8] = b"00000000";
/// The header and the beginning of the name, in whole words.
const HEAD: usize = 112;

/// Why there is no initramfs to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitramfsError {
    /// The loader has loaded none.
    Missing,
    /// It is not as it was sealed.
    Damaged,
    /// It does not begin as an archive does.
    NoArchive,
}

impl fmt::Display for InitramfsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Damaged => "E42 initramfs damaged",
            Self::NoArchive => "E43 the initramfs is no cpio archive",
            Self::Missing => "E44 the loader has loaded no initramfs",
        })
    }
}

/// The sum of words, the last filled up with zeros, turned by a bit for each: whatever happens to one word shows.
pub fn sum(bytes: &[u8]) -> u32 {
    continued(0, bytes)
}

/// The sum of `bytes` behind what has the sum `before`, which are whole words.
fn continued(before: u32, bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks();
    let add = |sum: u32, word: u32| sum.rotate_left(1).wrapping_add(word);
    let sum = words.iter().fold(before, |sum, word| add(sum, u32::from_le_bytes(*word)));
    let last = rest.iter().rev().fold(0, |word: u32, byte| word << 8 | u32::from(*byte));
    if rest.is_empty() { sum } else { add(sum, last) }
}

/// The sum of an archive as if it had none; never 0, which stands for that.
fn archive_sum(archive: &[u8]) -> Option<u32> {
    let (head, rest) = archive.split_first_chunk::<HEAD>()?;
    let mut head = *head;
    head.get_mut(SUM_AT..)?.first_chunk_mut::<DIGITS>()?.copy_from_slice(UNSEALED);
    Some(continued(sum(&head), rest).max(1))
}

/// Seals an archive whose first entry is a directory. `None`, if it is too short or too long for one.
pub fn seal_archive(archive: &mut [u8]) -> Option<()> {
    put(archive, LENGTH_AT, u32::try_from(archive.len()).ok()?)?;
    put(archive, SUM_AT, archive_sum(archive)?)
}

/// Whether what was loaded as initramfs is an archive, and as it was sealed if it was.
///
/// # Errors
/// What is wrong.
pub fn check_archive(module: &[u8]) -> Result<(), InitramfsError> {
    if module.starts_with(MAGIC_WITH_CHECKSUMS) {
        return Ok(());
    }
    if !module.starts_with(MAGIC) {
        return Err(InitramfsError::NoArchive);
    }
    let digits = field(module, SUM_AT).ok_or(InitramfsError::NoArchive)?;
    if digits == UNSEALED {
        return Ok(());
    }
    let length = field(module, LENGTH_AT).and_then(number).and_then(|length| usize::try_from(length).ok());
    let archive = length.and_then(|length| module.get(..length)).ok_or(InitramfsError::Damaged)?;
    let is_whole = number(digits).is_some_and(|sum| archive_sum(archive) == Some(sum));
    if is_whole { Ok(()) } else { Err(InitramfsError::Damaged) }
}

fn field(archive: &[u8], at: usize) -> Option<&[u8; DIGITS]> {
    archive.get(at..)?.first_chunk()
}

fn number(digits: &[u8; DIGITS]) -> Option<u32> {
    let text = core::str::from_utf8(digits).ok()?;
    u32::from_str_radix(text, 16).ok()
}

fn put(archive: &mut [u8], at: usize, mut value: u32) -> Option<()> {
    for digit in archive.get_mut(at..)?.first_chunk_mut::<DIGITS>()?.iter_mut().rev() {
        *digit = *b"0123456789ABCDEF".get(usize::try_from(value & 15).ok()?)?;
        value >>= 4;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The head of an archive as tools make it, and bytes behind.
    fn archive(rest: &[u8]) -> Vec<u8> {
        [b"070701", [b'0'; 104].as_slice(), b".\0", rest].concat()
    }

    fn sealed(rest: &[u8]) -> Vec<u8> {
        let mut archive = archive(rest);
        seal_archive(&mut archive).unwrap();
        archive
    }

    #[test]
    fn any_changed_word_changes_the_sum() {
        let bytes: Vec<u8> = (0..4096_u32).flat_map(u32::to_le_bytes).collect();
        let whole = sum(&bytes);
        for at in (0..bytes.len()).step_by(97) {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert_ne!(sum(&damaged), whole, "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn an_archive_without_a_seal_is_taken_and_what_is_no_archive_is_not() {
        assert_eq!(check_archive(&archive(b"whatever")), Ok(()));
        let mut with_checksums = archive(b"");
        with_checksums[5] = b'2';
        assert_eq!(check_archive(&with_checksums), Ok(()));
        for bytes in [&b""[..], b"07070", b"070701", b"\x1f\x8b gzip", &[0; 512]] {
            assert_eq!(check_archive(bytes), Err(InitramfsError::NoArchive), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_too_short_for_a_seal_gets_none() {
        assert_eq!(seal_archive(&mut [b'0'; HEAD - 1]), None);
    }

    proptest! {
        #[test]
        fn a_sealed_archive_is_whole_until_a_bit_changes_or_its_end_is_cut_off(
            rest in prop::collection::vec(any::<u8>(), 0..300),
            bit in any::<prop::sample::Index>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let archive = sealed(&rest);
            prop_assert_eq!(check_archive(&archive), Ok(()));
            prop_assert_eq!(check_archive(&[archive.clone(), rest.clone()].concat()), Ok(()));
            let mut damaged = archive.clone();
            let bit = bit.index(archive.len() * 8);
            damaged[bit / 8] ^= 1 << (bit % 8);
            let is_letters_case = bit % 8 == 5 && archive[bit / 8].is_ascii_alphabetic() && (LENGTH_AT..HEAD).contains(&(bit / 8));
            prop_assert!(check_archive(&damaged).is_err() || is_letters_case, "bit {}", bit);
            prop_assert!(check_archive(&archive[..cut.index(archive.len())]).is_err());
        }

        #[test]
        fn no_bytes_whatever_do_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..200), is_archive: bool) {
            if is_archive && bytes.len() > MAGIC.len() {
                bytes[..MAGIC.len()].copy_from_slice(MAGIC);
            }
            let _ = check_archive(&bytes);
        }
    }
}
