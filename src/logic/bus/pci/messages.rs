//! Setting up interrupts by messages: MSI in configuration space, MSI-X in a table.

use super::{ConfigurationSpace, Msi, MsiX};
use crate::irq::routing::MsiMessage;
use pci_types::PciAddress;

/// Of MSI's control register, in the upper half of its four bytes: messages are sent.
const MSI_ENABLE: u32 = 1 << 16;
/// Of the same: how many messages, as a power of two.
const MSI_MESSAGES: u32 = 0b111 << 20;
/// Of MSI-X's control register, likewise: messages are sent; all are held back.
const MSI_X_ENABLE: u32 = 1 << 31;
const MSI_X_MASK: u32 = 1 << 30;

impl Msi {
    /// Has the function send `message`, its only one, to interrupt. `false` if it cannot: the address is too long.
    pub fn enable(&self, space: &impl ConfigurationSpace, address: PciAddress, message: MsiMessage) -> bool {
        let [a, b, c, d, high @ ..] = message.address.to_le_bytes();
        let (low, high) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(high));
        if high != 0 && !self.is_wide {
            return false;
        }
        self.disable(space, address);
        let start = u16::from(self.offset);
        space.write(address, start.saturating_add(4), low);
        if self.is_wide {
            space.write(address, start.saturating_add(8), high);
        }
        space.write(address, self.data_offset(), message.data);
        if self.is_maskable {
            space.update(address, self.mask_offset(), &mut |mask| mask & !1);
        }
        space.update(address, start, &mut |control| control & !MSI_MESSAGES | MSI_ENABLE);
        true
    }

    /// Has the function send nothing.
    pub fn disable(&self, space: &impl ConfigurationSpace, address: PciAddress) {
        space.update(address, self.offset.into(), &mut |control| control & !MSI_ENABLE);
    }

    /// Whether the function sends messages.
    pub fn is_enabled(&self, space: &impl ConfigurationSpace, address: PciAddress) -> bool {
        space.read(address, self.offset.into()) & MSI_ENABLE != 0
    }
}

impl MsiX {
    /// Has the function use its table, but hold all messages back. The table can be written then.
    pub fn enable_masked(&self, space: &impl ConfigurationSpace, address: PciAddress) {
        space.update(address, self.offset.into(), &mut |control| control | MSI_X_ENABLE | MSI_X_MASK);
    }

    /// Lets messages out that their entries do not hold back.
    pub fn unmask(&self, space: &impl ConfigurationSpace, address: PciAddress) {
        space.update(address, self.offset.into(), &mut |control| control & !MSI_X_MASK);
    }

    /// Has the function send nothing.
    pub fn disable(&self, space: &impl ConfigurationSpace, address: PciAddress) {
        space.update(address, self.offset.into(), &mut |control| control & !MSI_X_ENABLE);
    }

    /// Whether the function sends messages.
    pub fn is_enabled(&self, space: &impl ConfigurationSpace, address: PciAddress) -> bool {
        space.read(address, self.offset.into()) & MSI_X_ENABLE != 0
    }

    /// Where in the memory of its base address register entry `index` is; `None` if there is none.
    pub fn entry(&self, index: u16) -> Option<MsiXEntry> {
        let offset = u32::from(index).checked_mul(Self::ENTRY_BYTES.into())?;
        let start = usize::try_from(self.table.checked_add(offset)?).ok()?;
        (index < self.entries).then_some(MsiXEntry(start))
    }
}

/// An entry of MSI-X's table, by its offset in the memory that has the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiXEntry(usize);

impl MsiXEntry {
    /// What to write in order to have the entry hold its message back: offset and value.
    pub fn mask(self) -> (usize, u32) {
        (self.0.saturating_add(12), 1)
    }

    /// What to write in order to let `message` out, in this order. The entry must be masked before.
    pub fn unmask(self, message: MsiMessage) -> [(usize, u32); 4] {
        let [a, b, c, d, high @ ..] = message.address.to_le_bytes();
        [
            (self.0, u32::from_le_bytes([a, b, c, d])),
            (self.0.saturating_add(4), u32::from_le_bytes(high)),
            (self.0.saturating_add(8), message.data),
            (self.0.saturating_add(12), 0),
        ]
    }
}
