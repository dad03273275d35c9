//! Capabilities: lists of what a function can do beyond the header (PCI 3.0 section 6.7, PCI Express 4.0 section 7.9.3).

use super::{Bar, CONVENTIONAL_BYTES, Complaint, ConfigurationSpace, EXTENDED_BYTES, high};
use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use pci_types::PciAddress;

/// Headers end here: capabilities begin behind.
const HEADER_BYTES: u16 = 0x40;
/// As many as there is room for.
pub const MAX_CAPABILITIES: usize = (CONVENTIONAL_BYTES as usize - HEADER_BYTES as usize) / 4;

const MSI: u8 = 0x05;
const VENDOR_SPECIFIC: u8 = 0x09;
const PCI_EXPRESS: u8 = 0x10;
const MSI_X: u8 = 0x11;
/// What answers for a function that is gone.
const NOBODY: u8 = 0xff;

/// A capability of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// What it is.
    pub id: u8,
    /// Where in configuration space it begins: a multiple of 4, from 40h on.
    pub offset: u8,
}

impl Capability {
    /// Whether it is the maker's own; virtio keeps what its registers are for there.
    pub fn is_vendor_specific(self) -> bool {
        self.id == VENDOR_SPECIFIC
    }

    /// Whether it says that the function is one of PCI Express.
    pub fn is_express(self) -> bool {
        self.id == PCI_EXPRESS
    }

    /// What it is, in words.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.id {
            0x01 => "power management",
            0x02 => "AGP",
            0x03 => "vital product data",
            0x04 => "slot",
            MSI => "MSI",
            0x07 => "PCI-X",
            0x08 => "HyperTransport",
            VENDOR_SPECIFIC => "vendor-specific",
            0x0a => "debug port",
            0x0c => "hot plug",
            0x0d => "subsystem",
            PCI_EXPRESS => "PCI Express",
            MSI_X => "MSI-X",
            0x12 => "SATA",
            0x13 => "advanced features",
            0x14 => "enhanced allocation",
            _ => return None,
        })
    }
}

/// A capability in extended configuration space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedCapability {
    /// What it is.
    pub id: u16,
    /// Version of its registers.
    pub version: u8,
    /// Where it begins: a multiple of 4, from 100h on.
    pub offset: u16,
}

/// Interrupts by messages that configuration space holds (PCI 3.0 section 6.8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msi {
    /// Where the capability begins.
    pub offset: u8,
    /// Messages can go to addresses of 64 bits.
    pub is_wide: bool,
    /// Each message can be held back.
    pub is_maskable: bool,
}

/// Interrupts by messages that a table in the function's memory holds (PCI 3.0 section 6.8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiX {
    /// Where the capability begins.
    pub offset: u8,
    /// Entries of the table, 1 to 2048.
    pub entries: u16,
    /// Number of the base address register that leads to the table.
    pub bar: u8,
    /// Where the table is in that memory; all of it is inside.
    pub table: u32,
}

/// The list that begins where the register at `pointer` says, up to where it goes astray.
pub(super) fn list(
    space: &impl ConfigurationSpace,
    address: PciAddress,
    pointer: u16,
    complain: &mut dyn FnMut(Complaint),
) -> ArrayVec<Capability, MAX_CAPABILITIES> {
    let mut list = ArrayVec::<Capability, MAX_CAPABILITIES>::new();
    let [mut next, ..] = space.read(address, pointer).to_le_bytes();
    loop {
        // The two low bits are reserved, and to be left out.
        let offset = next & !0b11;
        if offset == 0 {
            break;
        }
        // A list that is full has had every place.
        let is_astray = u16::from(offset) < HEADER_BYTES || list.iter().any(|earlier| earlier.offset == offset);
        let [id, after, ..] = space.read(address, offset.into()).to_le_bytes();
        if is_astray || id == NOBODY || list.try_push(Capability { id, offset }).is_err() {
            complain(Complaint::CapabilityList(address, offset.into()));
            break;
        }
        next = after;
    }
    list
}

/// The list in extended configuration space, up to where it goes astray; empty where there is none.
///
/// # Errors
/// There is no memory for it.
pub fn extended_capabilities(
    space: &impl ConfigurationSpace,
    address: PciAddress,
) -> Result<Vec<ExtendedCapability>, TryReserveError> {
    let mut list = Vec::<ExtendedCapability>::new();
    let mut offset = CONVENTIONAL_BYTES;
    // Backwards is allowed, twice is not.
    while (CONVENTIONAL_BYTES..EXTENDED_BYTES).contains(&offset) && list.iter().all(|other| other.offset != offset) {
        let header = space.read(address, offset);
        if header == 0 || header == u32::MAX {
            break;
        }
        let [id_low, id_high, version, _] = header.to_le_bytes();
        list.try_reserve(1)?;
        list.push(ExtendedCapability { id: u16::from_le_bytes([id_low, id_high]), version: version & 0xf, offset });
        offset = high(header) >> 4 & !0b11;
    }
    Ok(list)
}

impl Msi {
    /// The first in the list; complained of if it does not fit.
    pub(super) fn find(
        space: &impl ConfigurationSpace,
        address: PciAddress,
        list: &[Capability],
        complain: &mut dyn FnMut(Complaint),
    ) -> Option<Self> {
        let offset = list.iter().find(|capability| capability.id == MSI)?.offset;
        let control = high(space.read(address, offset.into()));
        let msi = Self { offset, is_wide: control & 1 << 7 != 0, is_maskable: control & 1 << 8 != 0 };
        let end = msi.mask_offset().saturating_add(if msi.is_maskable { 8 } else { 0 });
        let fits = end <= CONVENTIONAL_BYTES;
        if !fits {
            complain(Complaint::Capability(address, offset));
        }
        fits.then_some(msi)
    }

    /// Where the message's data are.
    pub(super) fn data_offset(&self) -> u16 {
        u16::from(self.offset).saturating_add(if self.is_wide { 0x0c } else { 0x08 })
    }

    /// Where the mask is, if there is one.
    pub(super) fn mask_offset(&self) -> u16 {
        self.data_offset().saturating_add(4)
    }
}

impl MsiX {
    /// Bytes of a table's entry.
    pub(super) const ENTRY_BYTES: u16 = 16;

    /// The first in the list; complained of if it does not fit, or its table is not in the function's memory.
    pub(super) fn find(
        space: &impl ConfigurationSpace,
        address: PciAddress,
        list: &[Capability],
        bars: &[Bar],
        complain: &mut dyn FnMut(Complaint),
    ) -> Option<Self> {
        const BAR: u32 = 0b111;
        let offset = list.iter().find(|capability| capability.id == MSI_X)?.offset;
        let at = u16::from(offset);
        let entries = (high(space.read(address, at)) & 0x7ff).saturating_add(1);
        let table = space.read(address, at.saturating_add(4));
        let [bar, ..] = (table & BAR).to_le_bytes();
        let msix = Self { offset, entries, bar, table: table & !BAR };
        let fits = at.saturating_add(12) <= CONVENTIONAL_BYTES;
        let is_inside = bars.iter().any(|bar| bar.index == msix.bar && bar.is_memory() && msix.table_end() <= bar.size);
        if !fits || !is_inside {
            complain(Complaint::Capability(address, offset));
        }
        (fits && is_inside).then_some(msix)
    }

    fn table_end(&self) -> u64 {
        let bytes = u64::from(self.entries).saturating_mul(Self::ENTRY_BYTES.into());
        u64::from(self.table).saturating_add(bytes)
    }
}
