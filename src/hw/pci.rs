//! PCI configuration space: by a pair of ports (PCI 3.0 section 3.2.2.3.2), and in memory (PCI Express 4.0 section 7.2.2).
//!
//! The ports reach the first 256 bytes of all functions of segment 0, and are used where they do. All else is reached in memory,
//! where firmware's MCFG table says; each bus is mapped when first asked for, for good: 1 MiB of addresses. Not in interrupt
//! handlers, therefore, but for functions that were reached before.
//!
//! Whoever writes to configuration space moves devices and lets them at memory: `drivers::pci` does, and no other.

use super::mmio::Registers;
use super::{acpi, cpu};
use alloc::boxed::Box;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use logic::acpi::EcamRegion;
use logic::boot::BootInfo;
use logic::bus::pci::{BusRange, CONVENTIONAL_BYTES, ConfigurationSpace, EXTENDED_BYTES, PciAddress, Sweep};
use logic::sync::{IrqLock, Rank};
use spin::Once;
use x86_64::PhysAddr;
use x86_64::instructions::port::Port;

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
/// Of the address: the data port leads to configuration space.
const ENABLE: u32 = 1 << 31;

/// Bytes of a bus in memory.
const BUS_BYTES: u64 = 1 << 20;

const MAX_REGIONS: usize = 32;

/// Between the writes to both ports, and between reading and writing what is changed.
static PORTS: IrqLock<Ports> = IrqLock::new(Rank::PciConfiguration, Ports);

/// The machine's configuration space.
pub struct Space {
    has_ports: bool,
    regions: ArrayVec<Region, MAX_REGIONS>,
}

/// Finds configuration space, the first time. Regions in memory that cannot be are warned of and left out.
pub fn space(info: &BootInfo) -> &'static Space {
    static SPACE: Once<Space> = Once::new();
    SPACE.call_once(|| {
        let has_ports = PORTS.lock().are_there();
        let mut space = Space { has_ports, regions: ArrayVec::new() };
        for ecam in &acpi::platform().ecam {
            match Region::new(*ecam, info).filter(|region| space.agrees(region)) {
                Some(region) => space.regions.extend([region]),
                None => log::warn!("PCI: no configuration space at {:#x}, whatever the MCFG table says", ecam.base),
            }
        }
        space
    })
}

impl Space {
    /// The buses to look for functions on.
    pub fn buses(&self) -> ArrayVec<BusRange, { MAX_REGIONS + 1 }> {
        // In a virtual machine, each access costs microseconds, and more than one host bridge is rare.
        let sweep = if cpu::is_virtual() { Sweep::IfSeveralHosts } else { Sweep::Always };
        let mut buses: ArrayVec<_, _> = self.regions.iter().map(|region| region.buses(self.has_ports, sweep)).collect();
        if self.has_ports && buses.iter().all(|range: &BusRange| range.segment != 0) {
            buses.insert(0, BusRange { segment: 0, first: 0, last: u8::MAX, sweep });
        }
        buses
    }

    /// Whether a function's configuration space goes on after the first 256 bytes, if it is one of PCI Express.
    pub fn is_extended(&self, address: PciAddress) -> bool {
        self.regions.iter().any(|region| region.has(address))
    }

    /// Whether the first function on the region's first bus says the same by ports as in memory. The latter goes wrong where
    /// firmware's tables do (those of some machines are of another board).
    fn agrees(&self, region: &Region) -> bool {
        let (bus, segment) = (region.ecam.first_bus, region.ecam.segment);
        if !self.has_ports || segment != 0 {
            return true;
        }
        let ports = PORTS.lock();
        let mut devices = (0..32).map(|device| PciAddress::new(0, bus, device, 0));
        let Some((address, ids)) = devices.find_map(|address| {
            let ids = ports.read(address, 0);
            (ids != u32::MAX).then_some((address, ids))
        }) else {
            return true;
        };
        drop(ports);
        region.read(address, 0) == ids
    }

    fn region(&self, address: PciAddress) -> Option<&Region> {
        self.regions.iter().find(|region| region.has(address))
    }

    fn is_by_ports(&self, address: PciAddress, offset: u16) -> bool {
        self.has_ports && address.segment() == 0 && offset < CONVENTIONAL_BYTES
    }

    fn read_with(&self, ports: impl FnOnce() -> u32, address: PciAddress, offset: u16) -> u32 {
        if self.is_by_ports(address, offset) {
            return ports();
        }
        self.region(address).map_or(u32::MAX, |region| region.read(address, offset))
    }

    fn write_with(&self, ports: impl FnOnce(), address: PciAddress, offset: u16, value: u32) {
        if self.is_by_ports(address, offset) {
            ports();
        } else if let Some(region) = self.region(address) {
            region.write(address, offset, value);
        }
    }
}

impl ConfigurationSpace for Space {
    fn read(&self, address: PciAddress, offset: u16) -> u32 {
        self.read_with(|| PORTS.lock().read(address, offset), address, offset)
    }

    fn write(&self, address: PciAddress, offset: u16, value: u32) {
        self.write_with(|| PORTS.lock().write(address, offset, value), address, offset, value);
    }

    fn update(&self, address: PciAddress, offset: u16, change: &mut dyn FnMut(u32) -> u32) {
        // A bus is mapped before, and not under the lock.
        if !self.is_by_ports(address, offset) {
            self.read(address, offset);
        }
        let ports = PORTS.lock();
        let value = change(self.read_with(|| ports.read(address, offset), address, offset));
        self.write_with(|| ports.write(address, offset, value), address, offset, value);
    }
}

/// The pair of ports. Its lock is one of configuration space altogether: changes are made under it.
struct Ports;

impl Ports {
    /// Whether they are there: the address can be read back.
    fn are_there(&self) -> bool {
        let before = read(ADDRESS);
        write(ADDRESS, ENABLE);
        let is_kept = read(ADDRESS) == ENABLE;
        write(ADDRESS, before);
        is_kept
    }

    fn read(&self, address: PciAddress, offset: u16) -> u32 {
        self.choose(address, offset);
        read(DATA)
    }

    fn write(&self, address: PciAddress, offset: u16, value: u32) {
        self.choose(address, offset);
        write(DATA, value);
    }

    fn choose(&self, address: PciAddress, offset: u16) {
        let function =
            u32::from(address.bus()) << 16 | u32::from(address.device()) << 11 | u32::from(address.function()) << 8;
        write(ADDRESS, ENABLE | function | u32::from(offset & 0xfc));
    }
}

fn read(port: u16) -> u32 {
    // SAFETY: reading these two ports touches no memory.
    unsafe { Port::new(port).read() }
}

fn write(port: u16, value: u32) {
    // SAFETY: the address port does nothing by itself; for what is written to the data port, see the head of this file.
    unsafe { Port::new(port).write(value) }
}

/// Buses in memory.
struct Region {
    ecam: EcamRegion,
    /// Each bus's registers once they were asked for; `None` if they cannot be mapped.
    buses: Box<[Once<Option<Registers>>]>,
}

impl Region {
    /// `None` if it is where memory is, or there is no memory to note its buses in.
    fn new(ecam: EcamRegion, info: &BootInfo) -> Option<Self> {
        let start = ecam.base + u64::from(ecam.first_bus) * BUS_BYTES;
        let end = ecam.base + (u64::from(ecam.last_bus) + 1) * BUS_BYTES;
        let is_memory = |at: &logic::boot::Region| at.kind.is_ram() && start < at.end && at.start < end;
        if info.memory.regions().iter().any(is_memory) {
            return None;
        }
        let count = usize::from(ecam.last_bus - ecam.first_bus) + 1;
        let mut buses = Vec::new();
        buses.try_reserve_exact(count).ok()?;
        buses.resize_with(count, Once::new);
        Some(Self { ecam, buses: buses.into_boxed_slice() })
    }

    /// Where only memory leads to a segment, trying a bus would map it, so none is.
    fn buses(&self, has_ports: bool, sweep: Sweep) -> BusRange {
        let EcamRegion { segment, first_bus, last_bus, .. } = self.ecam;
        let is_by_ports = has_ports && segment == 0;
        BusRange { segment, first: first_bus, last: last_bus, sweep: if is_by_ports { sweep } else { Sweep::Never } }
    }

    fn has(&self, address: PciAddress) -> bool {
        address.segment() == self.ecam.segment && (self.ecam.first_bus..=self.ecam.last_bus).contains(&address.bus())
    }

    fn read(&self, address: PciAddress, offset: u16) -> u32 {
        let Some((bus, at)) = self.register(address, offset) else { return u32::MAX };
        bus.read_u32(at)
    }

    fn write(&self, address: PciAddress, offset: u16, value: u32) {
        if let Some((bus, at)) = self.register(address, offset) {
            bus.write_u32(at, value);
        }
    }

    /// The registers of the function's bus, and where among them the one at `offset` is.
    fn register(&self, address: PciAddress, offset: u16) -> Option<(&Registers, usize)> {
        let index = address.bus().checked_sub(self.ecam.first_bus)?;
        let bus = self.buses.get(usize::from(index))?.call_once(|| {
            let start = self.ecam.base + u64::from(address.bus()) * BUS_BYTES;
            Registers::map(PhysAddr::try_new(start).ok()?, BUS_BYTES)
        });
        let at = usize::from(address.device()) << 15 | usize::from(address.function()) << 12 | usize::from(offset);
        Some((bus.as_ref()?, at)).filter(|_| offset < EXTENDED_BYTES)
    }
}
