//! Base address registers: where a function's memory and ports are, and how much of them (PCI 3.0 section 6.2.5.1).
//!
//! A size shows only when a register is overwritten, so that the function would answer wherever that leads: its decoders are off
//! meanwhile. Everything is as it was afterwards.

use super::{COMMAND, Class, CommandRegister, Complaint, ConfigurationSpace, FIRST_BAR, change_command, command};
use arrayvec::ArrayVec;
use core::fmt;
use pci_types::PciAddress;

/// Base address registers of an ordinary function.
pub const MAX_BARS: usize = 6;

/// Of a register: it is for ports.
const PORTS: u32 = 1;
/// Of a register for memory: its address may be anywhere.
const TYPE_64_BITS: u32 = 0b10 << 1;
const TYPE: u32 = 0b11 << 1;
const TYPE_RESERVED: u32 = 0b11 << 1;
const PREFETCHABLE: u32 = 1 << 3;

/// The bits of an address in a register for memory, and in one for ports.
const MEMORY_ADDRESS: u32 = !0xf;
const PORTS_ADDRESS: u32 = !0x3;

/// What a base address register leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// Memory.
    Memory {
        /// The register has 64 bits and takes the place of two.
        is_wide: bool,
        /// Reading has no effects: writes may be combined and reads done ahead.
        is_prefetchable: bool,
    },
    /// I/O ports.
    Ports,
}

/// A range of memory or ports that belongs to a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Number of the register, below 6.
    pub index: u8,
    /// What is there.
    pub kind: BarKind,
    /// Where it begins, as firmware has placed it; 0 if it has not.
    pub address: u64,
    /// Bytes, a power of two.
    pub size: u64,
}

impl Bar {
    /// The address after the last, if the range has a place: aligned to its size, not at 0, not past the end of addresses.
    pub fn end(&self) -> Option<u64> {
        let is_placed = self.address != 0 && self.address.is_multiple_of(self.size);
        self.address.checked_add(self.size).filter(|_| is_placed)
    }

    /// Whether it is memory.
    pub fn is_memory(&self) -> bool {
        self.kind != BarKind::Ports
    }
}

/// What, where and how much: `memory 0xfebc0000 (128 KiB)`.
impl fmt::Display for Bar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_memory() { "memory" } else { "ports" };
        let (size, unit) = match self.size.trailing_zeros() {
            0..10 => (self.size, "B"),
            10..20 => (self.size >> 10, "KiB"),
            20..30 => (self.size >> 20, "MiB"),
            _ => (self.size >> 30, "GiB"),
        };
        write!(formatter, "{what} {:#x} ({size} {unit})", self.address)
    }
}

/// Finds out what the first `count` registers lead to. Those that cannot be are left out and complained of.
pub(super) fn read(
    space: &impl ConfigurationSpace,
    address: PciAddress,
    class: Class,
    count: u8,
    complain: &mut dyn FnMut(Complaint),
) -> ArrayVec<Bar, MAX_BARS> {
    const DECODERS: CommandRegister = CommandRegister::IO_ENABLE.union(CommandRegister::MEMORY_ENABLE);
    let mut probes = ArrayVec::<Probe, MAX_BARS>::new();
    space.while_unused(class, &mut || {
        let before = command(space, address);
        change_command(space, address, DECODERS, CommandRegister::empty());
        probes = (0..count).map(|index| Probe::new(space, address, index)).take(MAX_BARS).collect();
        space.write(address, COMMAND, before.bits().into());
    });
    let mut bars = ArrayVec::new();
    let mut rest = probes.as_slice();
    while let [probe, after @ ..] = rest {
        let (bar, used) = probe.read(after.first());
        match bar {
            Ok(Some(bar)) => bars.extend([bar]),
            Ok(None) => {}
            Err(Impossible) => complain(Complaint::Bar(address, probe.index)),
        }
        rest = rest.get(used..).unwrap_or_default();
    }
    bars
}

/// No function can have such a register.
struct Impossible;

/// A register, and what it says once all of its bits were set.
struct Probe {
    index: u8,
    value: u32,
    changed: u32,
}

impl Probe {
    /// Reads a register, and leaves it as it was.
    fn new(space: &impl ConfigurationSpace, address: PciAddress, index: u8) -> Self {
        let offset = FIRST_BAR.saturating_add(u16::from(index).saturating_mul(4));
        let value = space.read(address, offset);
        space.write(address, offset, u32::MAX);
        let changed = space.read(address, offset);
        space.write(address, offset, value);
        Self { index, value, changed }
    }

    /// What the register leads to, nothing if it is none; and how many registers it takes.
    fn read(&self, next: Option<&Self>) -> (Result<Option<Bar>, Impossible>, usize) {
        if self.value & PORTS != 0 {
            // Whoever decodes 16 bits of a port's number need not have the others.
            let is_short = self.changed >> 16 == 0;
            let width = if is_short { u16::MAX.into() } else { u32::MAX };
            let size = size(self.changed & PORTS_ADDRESS, 0, width, 0);
            return (self.bar(BarKind::Ports, self.value & PORTS_ADDRESS, 0, size), 1);
        }
        let is_prefetchable = self.value & PREFETCHABLE != 0;
        let address = self.value & MEMORY_ADDRESS;
        match (self.value & TYPE, next) {
            (TYPE_RESERVED, _) | (TYPE_64_BITS, None) if self.changed != 0 => (Err(Impossible), 1),
            (TYPE_64_BITS, Some(next)) => {
                let size = size(self.changed & MEMORY_ADDRESS, next.changed, u32::MAX, u32::MAX);
                (self.bar(BarKind::Memory { is_wide: true, is_prefetchable }, address, next.value, size), 2)
            }
            _ => {
                let size = size(self.changed & MEMORY_ADDRESS, 0, u32::MAX, 0);
                (self.bar(BarKind::Memory { is_wide: false, is_prefetchable }, address, 0, size), 1)
            }
        }
    }

    fn bar(&self, kind: BarKind, low: u32, high: u32, size: Option<u64>) -> Result<Option<Bar>, Impossible> {
        match size {
            Some(size) => Ok(Some(Bar { index: self.index, kind, address: join(low, high), size })),
            // A register that is not there is all zeros, whatever is written.
            None if self.value == 0 && self.changed == 0 => Ok(None),
            None => Err(Impossible),
        }
    }
}

/// The size that the bits show which could be set: all from the size's own upward, to those of `low_width` and `high_width`.
/// `None` if none could be set, or there are gaps.
fn size(low: u32, high: u32, low_width: u32, high_width: u32) -> Option<u64> {
    let (settable, width) = (join(low, high), join(low_width, high_width));
    let size = settable & settable.wrapping_neg();
    let is_whole = settable | size.wrapping_sub(1) == width;
    (size != 0 && is_whole).then_some(size)
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}
