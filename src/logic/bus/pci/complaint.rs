//! What is wrong with a configuration space, in words.

use core::fmt;
use pci_types::PciAddress;

/// Something that cannot be, and was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// A bridge leads to a bus that something else has led to, maybe its own.
    BusTwice(PciAddress, u8),
    /// A bridge leads to a bus that the machine does not have.
    NoSuchBus(PciAddress, u8),
    /// A base address register has a size or type that cannot be.
    Bar(PciAddress, u8),
    /// The capability list comes back to where it was, or points into the header.
    CapabilityList(PciAddress, u16),
    /// The capability that begins there does not fit or points outside of the function.
    Capability(PciAddress, u8),
    /// There are more functions than are kept.
    TooManyFunctions,
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BusTwice(bridge, bus) => {
                write!(formatter, "bridge {bridge} leads to bus {bus:02x}, which is reached")
            }
            Self::NoSuchBus(bridge, bus) => {
                write!(formatter, "bridge {bridge} leads to bus {bus:02x}, which cannot be")
            }
            Self::Bar(function, index) => write!(formatter, "{function}: base address register {index} cannot be"),
            Self::CapabilityList(function, offset) => {
                write!(formatter, "{function}: capability list goes astray to {offset:#04x}")
            }
            Self::Capability(function, offset) => {
                write!(formatter, "{function}: capability at {offset:#04x} cannot be")
            }
            Self::TooManyFunctions => formatter.write_str("there are too many functions"),
        }
    }
}
