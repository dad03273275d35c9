//! A table as bytes: checked as a whole, and read field by field within its bounds.

use super::Address;
use acpi::address::{AddressSpace, GenericAddress, RawGenericAddress};
use acpi::sdt::SdtHeader;
use core::fmt;
use core::mem::{offset_of, size_of};

/// Bytes of the header that every table begins with.
pub(super) const HEADER_BYTES: usize = size_of::<SdtHeader>();

/// Why a table, or part of it, is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// There is no memory at its address.
    Unreachable,
    /// Its length is less than what must be there, or more than is believed.
    Length(u32),
    /// Its bytes do not add up to 0.
    Checksum,
    /// It is another table than the one that was pointed at.
    Signature,
    /// An entry is of an impossible length, which ends the list, or says what cannot be. Other entries count.
    Entry,
    /// More of something than there is room for.
    TooMany,
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => formatter.write_str("lies where no memory is"),
            Self::Length(length) => write!(formatter, "cannot have a length of {length} bytes"),
            Self::Checksum => formatter.write_str("has a wrong checksum"),
            Self::Signature => formatter.write_str("is another table than it should be"),
            Self::Entry => formatter.write_str("has an impossible entry"),
            Self::TooMany => formatter.write_str("has more entries than there is room for"),
        }
    }
}

/// A table of the length that its header says, and with the right checksum.
#[derive(Clone, Copy)]
pub(super) struct Table<'a>(Fields<'a>);

impl<'a> Table<'a> {
    /// Checks `bytes`, which must be as many as the header says.
    pub fn check(bytes: &'a [u8]) -> Result<Self, Flaw> {
        let fields = Fields(bytes);
        let length = fields.u32(offset_of!(SdtHeader, length)).unwrap_or(0);
        if bytes.len() < HEADER_BYTES || length as usize != bytes.len() {
            return Err(Flaw::Length(length));
        }
        let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        if sum == 0 { Ok(Self(fields)) } else { Err(Flaw::Checksum) }
    }

    /// The revision of the table's format.
    pub fn revision(&self) -> u8 {
        self.0.u8(offset_of!(SdtHeader, revision)).unwrap_or(0)
    }

    /// The whole table, to read fields from.
    pub fn fields(&self) -> Fields<'a> {
        self.0
    }

    /// Everything from byte `offset` on; empty if the table ends before.
    pub fn after(&self, offset: usize) -> &'a [u8] {
        self.0.0.get(offset..).unwrap_or_default()
    }

    /// [`Flaw::Length`], of this table.
    pub fn too_short(&self) -> Flaw {
        Flaw::Length(u32::try_from(self.0.0.len()).unwrap_or(u32::MAX))
    }
}

/// Bytes that fields are read from, lowest byte first; `None` outside.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.0.get(offset..)?.first_chunk().copied()
    }

    pub fn u8(&self, offset: usize) -> Option<u8> {
        self.array(offset).map(u8::from_le_bytes)
    }

    pub fn u16(&self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    pub fn u32(&self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    pub fn u64(&self, offset: usize) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    /// The generic address structure at `offset` (ACPI 6.5 section 5.2.3.2); `None` too if it is empty or of an unknown kind.
    pub fn generic_address(&self, offset: usize) -> Option<GenericAddress> {
        let part = Fields(self.0.get(offset..)?.get(..size_of::<RawGenericAddress>())?);
        let raw = RawGenericAddress {
            address_space: part.u8(offset_of!(RawGenericAddress, address_space))?,
            bit_width: part.u8(offset_of!(RawGenericAddress, bit_width))?,
            bit_offset: part.u8(offset_of!(RawGenericAddress, bit_offset))?,
            access_size: part.u8(offset_of!(RawGenericAddress, access_size))?,
            address: part.u64(offset_of!(RawGenericAddress, address)).filter(|address| *address != 0)?,
        };
        GenericAddress::from_raw(raw).ok()
    }
}

/// A generic address in memory or I/O space.
pub(super) fn plain_address(generic: &GenericAddress) -> Option<Address> {
    match generic.address_space {
        AddressSpace::SystemMemory => Some(Address::Memory(generic.address)),
        AddressSpace::SystemIo => u16::try_from(generic.address).ok().map(Address::Port),
        _ => None,
    }
}
