//! The numbers that programs pass to mmap(2), mprotect(2) and mremap(2), read.

use super::area::{AreaFlags, Protection};
use super::map::Placement;
use super::remap::{Destination, RemapRequest};
use crate::errno::Errno;
use linux_raw_sys::general as linux;

/// Flags of mmap(2) that are understood or, as on Linux, mean nothing any more.
const KNOWN: u32 = linux::MAP_TYPE
    | linux::MAP_FIXED
    | linux::MAP_ANONYMOUS
    | linux::MAP_32BIT
    | linux::MAP_GROWSDOWN
    | linux::MAP_DENYWRITE
    | linux::MAP_EXECUTABLE
    | linux::MAP_LOCKED
    | linux::MAP_NORESERVE
    | linux::MAP_POPULATE
    | linux::MAP_NONBLOCK
    | linux::MAP_STACK
    | linux::MAP_FIXED_NOREPLACE
    | linux::MAP_UNINITIALIZED;

/// What the flags of mmap(2) say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapFlags {
    /// Where.
    pub placement: Placement,
    /// How.
    pub flags: AreaFlags,
    /// Memory, rather than a file.
    pub is_anonymous: bool,
    /// All pages are to be brought at once.
    pub populate: bool,
}

impl Protection {
    /// Reads the protection that mmap(2) is passed, which takes no notice of bits that it does not know.
    pub fn of_mapping(bits: u32) -> Self {
        Self::from_bits_truncate(bits)
    }

    /// Reads the protection that mprotect(2) is passed.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] for what it does not know, growing areas among it.
    pub fn of_change(bits: u32) -> Result<Self, Errno> {
        Self::from_bits(bits & !linux::PROT_SEM).ok_or(Errno::EINVAL)
    }
}

impl MapFlags {
    /// Reads the flags that mmap(2) is passed, with its address.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if it is neither shared nor private, or for huge pages; [`Errno::EOPNOTSUPP`] for unknown flags of those
    /// who want to be told (`MAP_SHARED_VALIDATE`).
    pub fn read(address: u64, bits: u32) -> Result<Self, Errno> {
        let has = |flag: u32| bits & flag == flag;
        let is_anonymous = has(linux::MAP_ANONYMOUS);
        let is_shared = match bits & linux::MAP_TYPE {
            linux::MAP_PRIVATE => false,
            linux::MAP_SHARED => true,
            // Only files can be asked so.
            linux::MAP_SHARED_VALIDATE if !is_anonymous && bits & !KNOWN == 0 => true,
            linux::MAP_SHARED_VALIDATE if !is_anonymous => return Err(Errno::EOPNOTSUPP),
            _ => return Err(Errno::EINVAL),
        };
        if has(linux::MAP_HUGETLB) {
            return Err(Errno::EINVAL);
        }
        let placement = if has(linux::MAP_FIXED_NOREPLACE) {
            Placement::FixedIfFree(address)
        } else if has(linux::MAP_FIXED) {
            Placement::Fixed(address)
        } else if has(linux::MAP_32BIT) {
            Placement::Low
        } else {
            Placement::Near(address)
        };
        let mut flags = AreaFlags::empty();
        flags.set(AreaFlags::SHARED, is_shared);
        flags.set(AreaFlags::GROWS_DOWN, has(linux::MAP_GROWSDOWN));
        flags.set(AreaFlags::NO_RESERVE, has(linux::MAP_NORESERVE));
        flags.set(AreaFlags::LOCKED, has(linux::MAP_LOCKED));
        let populate = has(linux::MAP_LOCKED) || (has(linux::MAP_POPULATE) && !has(linux::MAP_NONBLOCK));
        Ok(Self { placement, flags, is_anonymous, populate })
    }
}

impl RemapRequest {
    /// Reads what mremap(2) is passed.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] for unknown flags, and for those that need `MREMAP_MAYMOVE` without it.
    pub fn read(start: u64, bytes: u64, new_bytes: u64, bits: u32, new_start: u64) -> Result<Self, Errno> {
        let has = |flag: u32| bits & flag != 0;
        let leave_area = has(linux::MREMAP_DONTUNMAP);
        let destination = match (has(linux::MREMAP_MAYMOVE), has(linux::MREMAP_FIXED)) {
            (true, true) => Destination::Fixed(new_start),
            (true, false) => Destination::MayMove,
            (false, false) if !leave_area => Destination::Stay,
            _ => return Err(Errno::EINVAL),
        };
        if bits & !(linux::MREMAP_MAYMOVE | linux::MREMAP_FIXED | linux::MREMAP_DONTUNMAP) != 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Self { start, bytes, new_bytes, destination, leave_area })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_mmap_are_read_as_linux_reads_them() {
        let read = |bits| MapFlags::read(0x5000, bits);
        let (private, shared) = (linux::MAP_PRIVATE, linux::MAP_SHARED);
        assert_eq!(
            read(private | linux::MAP_ANONYMOUS | linux::MAP_STACK | linux::MAP_NORESERVE | linux::MAP_POPULATE),
            Ok(MapFlags {
                placement: Placement::Near(0x5000),
                flags: AreaFlags::NO_RESERVE,
                is_anonymous: true,
                populate: true
            })
        );
        let placement = |bits| read(bits).map(|flags| flags.placement);
        assert_eq!(placement(shared | linux::MAP_FIXED), Ok(Placement::Fixed(0x5000)));
        assert_eq!(placement(shared | linux::MAP_FIXED_NOREPLACE), Ok(Placement::FixedIfFree(0x5000)));
        assert_eq!(placement(private | linux::MAP_32BIT), Ok(Placement::Low));
        assert_eq!(read(shared | 1 << 30).map(|flags| flags.flags), Ok(AreaFlags::SHARED), "unknown flags are nothing");
        assert_eq!(read(linux::MAP_SHARED_VALIDATE | linux::MAP_SYNC), Err(Errno::EOPNOTSUPP));
        assert!(read(linux::MAP_SHARED_VALIDATE).is_ok());
        for bits in [0, linux::MAP_ANONYMOUS, 4, private | linux::MAP_HUGETLB, 3 | linux::MAP_ANONYMOUS] {
            assert_eq!(read(bits), Err(Errno::EINVAL));
        }
    }

    #[test]
    fn protections_are_checked_where_linux_checks_them() {
        assert_eq!(Protection::of_mapping(0xff05), Protection::READ | Protection::EXECUTE);
        assert_eq!(Protection::of_change(linux::PROT_SEM | linux::PROT_WRITE), Ok(Protection::WRITE));
        assert_eq!(Protection::of_change(16), Err(Errno::EINVAL));
    }

    #[test]
    fn flags_of_mremap_need_each_other() {
        let destination = |bits| RemapRequest::read(1, 2, 3, bits, 4).map(|request| request.destination);
        assert_eq!(destination(0), Ok(Destination::Stay));
        assert_eq!(destination(linux::MREMAP_MAYMOVE), Ok(Destination::MayMove));
        assert_eq!(destination(linux::MREMAP_MAYMOVE | linux::MREMAP_FIXED), Ok(Destination::Fixed(4)));
        for bits in [linux::MREMAP_FIXED, linux::MREMAP_DONTUNMAP, linux::MREMAP_MAYMOVE | 8] {
            assert_eq!(destination(bits), Err(Errno::EINVAL));
        }
    }
}
