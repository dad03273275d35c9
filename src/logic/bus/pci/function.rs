//! What one function says of itself.

use super::{
    Bar, CLASS, Capability, Class, Complaint, ConfigurationSpace, HEADER_TYPE, IDS, MAX_BARS, MAX_CAPABILITIES, Msi,
    MsiX, StatusRegister, bars, capabilities, high, is_present, low,
};
use arrayvec::ArrayVec;
use core::fmt;
use pci_types::PciAddress;

const STATUS: u16 = 0x04;
const BUSES: u16 = 0x18;
const SUBSYSTEM: u16 = 0x2c;
const INTERRUPT: u16 = 0x3c;

/// Of the header type: the device has several functions.
const MULTIFUNCTION: u8 = 1 << 7;

/// A function of a device: what drivers drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Where it is.
    pub address: PciAddress,
    /// Who made it.
    pub vendor: u16,
    /// Its maker's number for it.
    pub device: u16,
    /// Its maker's version of it.
    pub revision: u8,
    /// What it is for.
    pub class: Class,
    /// What kind of thing it is on the bus.
    pub header: Header,
    /// Maker of the board and the maker's number for it.
    pub subsystem: Option<(u16, u16)>,
    /// Its memory and ports.
    pub bars: ArrayVec<Bar, MAX_BARS>,
    /// What else it can do.
    pub capabilities: ArrayVec<Capability, MAX_CAPABILITIES>,
    /// Interrupts by messages.
    pub msi: Option<Msi>,
    /// Interrupts by messages of a table.
    pub msix: Option<MsiX>,
    /// Interrupts by a wire.
    pub pin: Option<Pin>,
}

/// The layout of a function's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// An ordinary function.
    Ordinary,
    /// A bridge to other buses.
    Bridge(Buses),
    /// A bridge to CardBus slots.
    CardBus,
    /// One that nobody has defined.
    Unknown(u8),
}

/// The buses behind a bridge, as firmware has numbered them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buses {
    /// The bus next to the bridge; 0 if firmware has given it none.
    pub secondary: u8,
    /// The last bus behind the bridge.
    pub subordinate: u8,
}

/// A wire that interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Which: 1 is INTA, 4 INTD.
    pub number: u8,
    /// The input of the 8259s to which firmware has led it.
    pub line: Option<u8>,
}

impl Function {
    /// What is at `address`, and whether its device may have other functions; `None` if nothing is. Its memory and ports do not
    /// answer for a moment. Parts of it that cannot be are left out and complained of.
    pub fn read(
        space: &impl ConfigurationSpace,
        address: PciAddress,
        complain: &mut dyn FnMut(Complaint),
    ) -> Option<(Self, bool)> {
        if !is_present(space, address) {
            return None;
        }
        let ids = space.read(address, IDS);
        let class_register = space.read(address, CLASS);
        let class = Class::from_register(class_register);
        let [revision, ..] = class_register.to_le_bytes();
        let [_, _, header_type, _] = space.read(address, HEADER_TYPE).to_le_bytes();
        let header = Header::read(space, address, header_type & !MULTIFUNCTION);
        let bars = match header.bars() {
            // A host bridge may take the machine's memory with its decoders.
            count if count > 0 && !class.is_host_bridge() => bars::read(space, address, class, count, complain),
            _ => ArrayVec::new(),
        };
        let has_list = StatusRegister::new(high(space.read(address, STATUS))).has_capability_list();
        let capabilities = match header.capability_pointer() {
            Some(pointer) if has_list => capabilities::list(space, address, pointer, complain),
            _ => ArrayVec::new(),
        };
        let subsystem = space.read(address, SUBSYSTEM);
        let function = Self {
            address,
            vendor: low(ids),
            device: high(ids),
            revision,
            class,
            header,
            subsystem: (header == Header::Ordinary && subsystem != 0).then_some((low(subsystem), high(subsystem))),
            msi: Msi::find(space, address, &capabilities, complain),
            msix: MsiX::find(space, address, &capabilities, &bars, complain),
            pin: Pin::read(space, address).filter(|_| header.capability_pointer().is_some()),
            bars,
            capabilities,
        };
        Some((function, header_type & MULTIFUNCTION != 0))
    }

    /// The base address register with number `index`.
    pub fn bar(&self, index: u8) -> Option<&Bar> {
        self.bars.iter().find(|bar| bar.index == index)
    }

    /// Whether it is a bridge through which `other` is reached.
    pub fn leads_to(&self, other: PciAddress) -> bool {
        match self.header {
            Header::Bridge(Buses { secondary, subordinate }) => {
                secondary != 0
                    && self.address.segment() == other.segment()
                    && (secondary..=subordinate).contains(&other.bus())
            }
            _ => false,
        }
    }

    /// Whether it is a function of PCI Express, which has extended configuration space.
    pub fn is_express(&self) -> bool {
        self.capabilities.iter().any(|capability| capability.is_express())
    }
}

/// All that matters, in a line: `0000:00:03.0 8086:10d3 Ethernet controller, memory 0xfebc0000 (128 KiB), MSI-X (5), INTA at 11`.
impl fmt::Display for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:04x}:{:04x} {}", self.address, self.vendor, self.device, self.class)?;
        if let Header::Bridge(buses) = self.header {
            write!(formatter, ", buses {:02x}-{:02x}", buses.secondary, buses.subordinate)?;
        }
        self.bars.iter().try_for_each(|bar| write!(formatter, ", {bar}"))?;
        if let Some(msix) = self.msix {
            write!(formatter, ", MSI-X ({})", msix.entries)?;
        }
        if self.msi.is_some() {
            formatter.write_str(", MSI")?;
        }
        self.pin.map_or(Ok(()), |pin| write!(formatter, ", {pin}"))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = ["A", "B", "C", "D"].get(usize::from(self.number).wrapping_sub(1)).copied().unwrap_or("?");
        write!(formatter, "INT{letter}")?;
        self.line.map_or(Ok(()), |line| write!(formatter, " at {line}"))
    }
}

impl Header {
    fn read(space: &impl ConfigurationSpace, address: PciAddress, kind: u8) -> Self {
        match kind {
            0 => Self::Ordinary,
            1 => {
                let [_, secondary, subordinate, _] = space.read(address, BUSES).to_le_bytes();
                Self::Bridge(Buses { secondary, subordinate })
            }
            2 => Self::CardBus,
            _ => Self::Unknown(kind),
        }
    }

    /// How many base address registers it has.
    fn bars(self) -> u8 {
        match self {
            Self::Ordinary => 6,
            Self::Bridge(_) => 2,
            Self::CardBus | Self::Unknown(_) => 0,
        }
    }

    /// The register that says where capabilities begin.
    fn capability_pointer(self) -> Option<u16> {
        match self {
            Self::Ordinary | Self::Bridge(_) => Some(0x34),
            Self::CardBus => Some(0x14),
            Self::Unknown(_) => None,
        }
    }
}

impl Pin {
    /// PCI 3.0 section 6.2.4: 255 is for no line. 0 is the timer's, and left by firmware that has given none.
    fn read(space: &impl ConfigurationSpace, address: PciAddress) -> Option<Self> {
        let [line, number, ..] = space.read(address, INTERRUPT).to_le_bytes();
        (1..=4).contains(&number).then_some(Self { number, line: Some(line).filter(|line| (1..16).contains(line)) })
    }
}
