//! PCI and PCI Express without the hardware: what functions there are and what they say of themselves in configuration space.
//!
//! Addresses, the command and status registers, and classes come from crate `pci_types`. Its ways through configuration space
//! are not used: its capability list is followed round a loop for ever and below the header, sizing a BAR leaves the decoders
//! on, shifts out of range where a size is 0 and panics on a reserved type, its command update clears the status register's
//! errors, and MSI's mask is found only in one of its two places. Everything here bears configuration space that lies.
//!
//! Buses are taken as firmware has numbered them, BARs as it has placed them. PCI Local Bus 3.0 chapter 6, PCI-to-PCI Bridge
//! Architecture 1.2, PCI Express Base 4.0 chapter 7.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

mod bars;
mod capabilities;
mod class;
mod complaint;
mod enumerate;
mod function;
mod messages;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

pub use bars::{Bar, BarKind, MAX_BARS};
pub use capabilities::{Capability, ExtendedCapability, MAX_CAPABILITIES, Msi, MsiX, extended_capabilities};
pub use class::Class;
pub use complaint::Complaint;
pub use enumerate::{BusRange, MAX_FUNCTIONS, Sweep, enumerate};
pub use function::{Buses, Function, Header, Pin};
pub use messages::MsiXEntry;
pub use pci_types::{CommandRegister, PciAddress, StatusRegister};

/// Bytes of configuration space that every function has.
pub const CONVENTIONAL_BYTES: u16 = 256;
/// Bytes of configuration space that a PCI Express function has.
pub const EXTENDED_BYTES: u16 = 4096;

/// Devices of a bus, functions of a device.
const DEVICES: u8 = 32;
const FUNCTIONS: u8 = 8;

/// Offsets of registers, each of four bytes, that all headers have.
const IDS: u16 = 0x00;
const COMMAND: u16 = 0x04;
const CLASS: u16 = 0x08;
const HEADER_TYPE: u16 = 0x0c;
const FIRST_BAR: u16 = 0x10;

/// Access to configuration space. Offsets are multiples of 4; where nobody is, reads answer all ones and writes go nowhere.
pub trait ConfigurationSpace {
    /// Reads four bytes.
    fn read(&self, address: PciAddress, offset: u16) -> u32;

    /// Writes four bytes.
    fn write(&self, address: PciAddress, offset: u16, value: u32);

    /// Reads four bytes, changes them and writes them back, with no other change between.
    fn update(&self, address: PciAddress, offset: u16, change: &mut dyn FnMut(u32) -> u32) {
        self.write(address, offset, change(self.read(address, offset)));
    }

    /// Calls `action` while nobody uses a function of that class, whose memory and ports do not answer meanwhile.
    fn while_unused(&self, _class: Class, action: &mut dyn FnMut()) {
        action();
    }
}

/// Whether a function is there (PCI 3.0 section 6.1). No maker has number 0, though some empty slots answer so.
fn is_present(space: &impl ConfigurationSpace, address: PciAddress) -> bool {
    !matches!(low(space.read(address, IDS)), 0 | u16::MAX)
}

/// Clears and sets bits of a function's command register. Its status register, in the same four bytes, loses the errors that
/// are written as ones, and so keeps all.
pub fn change_command(
    space: &impl ConfigurationSpace,
    address: PciAddress,
    clear: CommandRegister,
    set: CommandRegister,
) {
    space.update(address, COMMAND, &mut |value| u32::from(low(value) & !clear.bits() | set.bits()));
}

/// The command register.
pub fn command(space: &impl ConfigurationSpace, address: PciAddress) -> CommandRegister {
    CommandRegister::from_bits_retain(low(space.read(address, COMMAND)))
}

fn low(value: u32) -> u16 {
    let [first, second, _, _] = value.to_le_bytes();
    u16::from_le_bytes([first, second])
}

fn high(value: u32) -> u16 {
    let [_, _, third, fourth] = value.to_le_bytes();
    u16::from_le_bytes([third, fourth])
}
