//! PCI: the functions that there are, and handles for drivers that take one ([`take`]).
//!
//! Firmware's numbering of buses and its placing of memory are kept; what it has not placed cannot be used. Interrupts come by
//! messages wherever there is a local APIC; by pins only where it is known at which line they arrive ([`Line::of_pci_pin`]),
//! since elsewhere that takes AML.
//!
//! [`Line::of_pci_pin`]: crate::hw::irq::Line::of_pci_pin

pub mod device;
pub mod interrupt;

use super::console;
use crate::hw::mmio::Registers;
use crate::hw::pci::{Space, space};
use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use device::Device;
use logic::boot::{BootInfo, MemoryMap};
use logic::bus::pci::{
    Class, ConfigurationSpace, ExtendedCapability, Function, MAX_BARS, PciAddress, enumerate, extended_capabilities,
};
use spin::Once;

/// Complaints that are told one by one.
const MOST_COMPLAINTS: usize = 8;

static FOUND: Once<Found> = Once::new();

/// What [`init`] has found.
struct Found {
    space: QuietSpace,
    memory: &'static MemoryMap,
    entries: Vec<Entry>,
}

/// A function, with what drivers do to it.
struct Entry {
    function: Function,
    is_taken: AtomicBool,
    /// The memory of its base address registers, where it has been mapped.
    memory: [Once<Registers>; MAX_BARS],
}

/// Finds all functions, the first time.
pub fn init(info: &'static BootInfo) {
    FOUND.call_once(|| {
        let space = QuietSpace(space(info));
        let mut complaints = 0;
        let functions = enumerate(&space, &space.0.buses(), &mut |complaint| {
            complaints += 1;
            if complaints <= MOST_COMPLAINTS {
                log::warn!("PCI: {complaint}");
            }
        });
        if complaints > MOST_COMPLAINTS {
            log::warn!("PCI: and {} other things that cannot be", complaints - MOST_COMPLAINTS);
        }
        let entries = functions.and_then(entries).unwrap_or_else(|_| {
            log::warn!("PCI: no memory for the list of functions");
            Vec::new()
        });
        match entries.len() {
            0 => log::debug!("PCI: none"),
            count => log::debug!("PCI: {count} function{}", if count == 1 { "" } else { "s" }),
        }
        entries.iter().for_each(|entry| log::debug!("  {}", entry.function));
        Found { space, memory: &info.memory, entries }
    });
}

/// All functions, sorted by address; none before [`init`].
pub fn functions() -> impl Iterator<Item = &'static Function> {
    FOUND.get().into_iter().flat_map(|found| &found.entries).map(|entry| &entry.function)
}

/// Takes the function at `address`, which sends no interrupts and reaches no memory from now on until the handle makes it do
/// so. `None` if there is none, it is a bridge, which others depend on, or somebody has it: until the handle and all interrupts
/// that came of it are dropped.
pub fn take(address: PciAddress) -> Option<Device> {
    let found = FOUND.get()?;
    let entry = found.entries.iter().find(|entry| entry.function.address == address)?;
    if entry.function.class.is_bridge() {
        return None;
    }
    (!entry.is_taken.swap(true, Ordering::Acquire)).then(|| Device::new(found, entry))
}

/// Whether a function has extended configuration space, and that can be reached.
pub fn is_extended(function: &Function) -> bool {
    function.is_express() && FOUND.get().is_some_and(|found| found.space.0.is_extended(function.address))
}

/// What a function has in extended configuration space; nothing if it has none.
///
/// # Errors
/// There is no memory for the list.
pub fn extended(function: &Function) -> Result<Vec<ExtendedCapability>, TryReserveError> {
    let found = FOUND.get().filter(|_| is_extended(function));
    found.map_or(Ok(Vec::new()), |found| extended_capabilities(&found.space, function.address))
}

fn entries(functions: Vec<Function>) -> Result<Vec<Entry>, TryReserveError> {
    let mut entries = Vec::new();
    entries.try_reserve_exact(functions.len())?;
    let entry = |function| Entry { function, is_taken: AtomicBool::new(false), memory: Default::default() };
    entries.extend(functions.into_iter().map(entry));
    Ok(entries)
}

/// Configuration space, with nothing shown while what shows it does not answer.
struct QuietSpace(&'static Space);

impl ConfigurationSpace for QuietSpace {
    fn read(&self, address: PciAddress, offset: u16) -> u32 {
        self.0.read(address, offset)
    }

    fn write(&self, address: PciAddress, offset: u16, value: u32) {
        self.0.write(address, offset, value);
    }

    fn update(&self, address: PciAddress, offset: u16, change: &mut dyn FnMut(u32) -> u32) {
        self.0.update(address, offset, change);
    }

    fn while_unused(&self, class: Class, action: &mut dyn FnMut()) {
        if class.is_display() { console::while_locked(action) } else { action() }
    }
}
