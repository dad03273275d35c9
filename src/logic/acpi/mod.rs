//! What the firmware's ACPI tables say of the machine, as plain facts: [`Platform`].
//!
//! Crate `acpi` knows the tables' layouts, signatures, generic addresses and interrupt flags, and they are taken from it. Its
//! own way through the tables is not: it maps what a table points at unseen, looks at no checksum, follows a MADT entry of
//! length 0 for ever, reads MADT entries past their end, and lays its 276-byte FADT over tables of 116 bytes (ACPI 1.0, which
//! QEMU's `pc` has). So every field is read here from bytes whose bounds and checksum were checked, at the offset that the
//! crate's structure has it at (`offset_of!`), without `unsafe`.
//!
//! Specification: ACPI 6.5, chapter 5.2; IA-PC HPET 1.0a; PCI Firmware 3.3 for the MCFG.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

mod devices;
mod fadt;
mod madt;
pub mod power;
mod sleep;
mod table;
mod walk;

#[cfg(test)]
mod tests;

use arrayvec::ArrayVec;
use core::fmt;

pub use table::Flaw;
pub use walk::{Complaint, MAX_TABLE_BYTES, read};

/// Processors that are kept.
pub const MAX_CPUS: usize = 512;

/// The machine as the tables describe it. What they do not mention is absent, empty or `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// Processors that are there or may be plugged in, each local APIC identifier once.
    pub cpus: ArrayVec<Cpu, MAX_CPUS>,
    /// Physical address of every processor's local APIC.
    pub local_apic_address: Option<u64>,
    /// There is a pair of 8259s, to be masked before the I/O APICs are used.
    pub has_8259: bool,
    /// I/O APICs.
    pub io_apics: ArrayVec<IoApic, 32>,
    /// ISA interrupts that arrive elsewhere than at the global system interrupt of their number, or not as edges, active high.
    pub overrides: ArrayVec<Override, 16>,
    /// Local APIC inputs that carry non-maskable interrupts.
    pub local_nmis: ArrayVec<LocalNmi, 64>,
    /// I/O APIC inputs that carry non-maskable interrupts.
    pub nmi_sources: ArrayVec<NmiSource, 16>,
    /// What the FADT says.
    pub fixed: Option<FixedHardware>,
    /// The high-precision event timer.
    pub hpet: Option<Hpet>,
    /// PCI Express configuration space in memory.
    pub ecam: ArrayVec<EcamRegion, 32>,
    /// Processors that were too many to keep.
    pub cpus_left_out: u32,
    /// The tables that the root names, as many as are kept, in its order. Only those that are of use here were checked.
    pub tables: ArrayVec<TableSummary, 48>,
}

/// What a table's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSummary {
    /// What it is.
    pub signature: [u8; 4],
    /// Physical address.
    pub address: u64,
    /// Bytes in it.
    pub length: u32,
    /// Revision of its format.
    pub revision: u8,
    /// Who made it.
    pub oem: [u8; 6],
}

/// A processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Local APIC identifier; more than 254 needs x2APIC mode.
    pub apic_id: u32,
    /// The number by which other tables call it.
    pub processor_uid: u32,
    /// Enabled, so that it can be started now.
    pub usable: bool,
}

/// An I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApic {
    /// Its identifier.
    pub id: u8,
    /// Physical address of its registers.
    pub address: u64,
    /// The global system interrupt of its first input.
    pub gsi_base: u32,
}

/// An ISA interrupt that is wired unlike the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// Its number on the ISA bus, below 16.
    pub isa_irq: u8,
    /// The global system interrupt where it arrives.
    pub gsi: u32,
    /// Active low instead of high.
    pub active_low: bool,
    /// Level-triggered instead of edge-triggered.
    pub level: bool,
}

/// A local APIC input that carries a non-maskable interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalNmi {
    /// The processor, by [`Cpu::processor_uid`]; `None` for all of them.
    pub processor_uid: Option<u32>,
    /// The input: LINT0 or LINT1.
    pub lint: u8,
    /// Active low instead of high.
    pub active_low: bool,
    /// Level-triggered instead of edge-triggered.
    pub level: bool,
}

/// An I/O APIC input that carries a non-maskable interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NmiSource {
    /// The global system interrupt.
    pub gsi: u32,
    /// Active low instead of high.
    pub active_low: bool,
    /// Level-triggered instead of edge-triggered.
    pub level: bool,
}

/// Where a register is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// Physical address.
    Memory(u64),
    /// I/O port.
    Port(u16),
}

/// The fixed hardware of the FADT (ACPI 6.5 section 5.2.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedHardware {
    /// PM1a control register, 16 bits.
    pub pm1a_control: Option<Address>,
    /// PM1b control register, 16 bits, which mirrors the first on some machines.
    pub pm1b_control: Option<Address>,
    /// Port at which firmware takes commands. `None` without system management mode: ACPI is always on.
    pub smi_command: Option<u16>,
    /// What to write there to switch ACPI on.
    pub acpi_enable: u8,
    /// The 3.579545 MHz counter.
    pub pm_timer: Option<PmTimer>,
    /// The register that resets the machine.
    pub reset: Option<Reset>,
    /// The global system interrupt of ACPI's own events.
    pub sci_gsi: u16,
    /// The CMOS register that holds the century.
    pub century_register: Option<u8>,
    /// Whether there is a keyboard controller. `None` before ACPI 2.0, which did not say.
    pub has_8042: Option<bool>,
    /// Whether VGA registers may be probed; `None` as above.
    pub has_vga: Option<bool>,
    /// Whether there is a clock at the CMOS ports; `None` as above.
    pub has_cmos_clock: Option<bool>,
    /// None of the fixed registers exist; [`FixedHardware::sleep_control`] takes their place.
    pub hardware_reduced: bool,
    /// The sleep control register of hardware-reduced machines, 8 bits.
    pub sleep_control: Option<Address>,
    /// Sleep types that mean "off", for PM1a and PM1b: the object `\_S5` of the DSDT or an SSDT.
    pub s5: Option<(u8, u8)>,
}

/// The power management timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PmTimer {
    /// Its register, 32 bits wide.
    pub address: Address,
    /// How many of them count: 24 or 32.
    pub bits: u8,
}

/// How firmware wants the machine reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The register, 8 bits.
    pub register: ResetRegister,
    /// What to write to it.
    pub value: u8,
}

/// Where the reset register is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetRegister {
    /// In memory or I/O space.
    At(Address),
    /// In the configuration space of a device on PCI bus 0.
    Pci {
        /// Device number, below 32.
        device: u8,
        /// Function number, below 8.
        function: u8,
        /// Byte offset, below 256.
        offset: u8,
    },
}

/// The high-precision event timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hpet {
    /// Physical address of its registers.
    pub address: u64,
    /// Its number among several.
    pub number: u8,
    /// The fewest ticks between two periodic interrupts.
    pub minimum_tick: u16,
}

/// Memory-mapped configuration space of a range of PCI buses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EcamRegion {
    /// Physical address at which bus 0 of the segment is or would be: bus `n` is 2²⁰ · `n` bytes on.
    pub base: u64,
    /// PCI segment group.
    pub segment: u16,
    /// First bus.
    pub first_bus: u8,
    /// Last bus, not below the first.
    pub last_bus: u8,
}

impl Platform {
    /// A machine whose firmware has no ACPI: a PC of old, with 8259s.
    pub fn without_acpi() -> Self {
        Self { has_8259: true, ..Self::default() }
    }
}

/// What there is, in a few words: `4 CPUs, 1 I/O APIC, HPET, PM timer, PCIe ECAM`.
impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usable = self.cpus.iter().filter(|cpu| cpu.usable).count();
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        write!(
            formatter,
            "{usable} CPU{}, {} I/O APIC{}",
            plural(usable),
            self.io_apics.len(),
            plural(self.io_apics.len())
        )?;
        let has = [
            (self.hpet.is_some(), "HPET"),
            (self.fixed.is_some_and(|fixed| fixed.pm_timer.is_some()), "PM timer"),
            (!self.ecam.is_empty(), "PCIe ECAM"),
            (self.fixed.is_some_and(|fixed| fixed.hardware_reduced), "hardware-reduced"),
        ];
        has.iter().filter(|(there, _)| *there).try_for_each(|(_, name)| write!(formatter, ", {name}"))
    }
}
