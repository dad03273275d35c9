//! `pci`, `acpi`: devices, and what the firmware's tables tell of them.

use super::context::{Complaint, Context, Outcome};
use crate::drivers;
use crate::hw::acpi as firmware;
use core::fmt::{self, Write};
use logic::acpi::{Address, FixedHardware, Platform};

/// Lists the functions on all PCI buses, each by what it is for.
pub fn pci(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    if !arguments.is_empty() {
        return Err(Complaint::Usage);
    }
    let mut count = 0;
    for function in drivers::pci::functions() {
        writeln!(context, "{function}")?;
        count += 1;
    }
    if count == 0 {
        writeln!(context, "there is no PCI bus, or nothing on it")?;
    }
    Ok(())
}

/// Lists the tables and what they told.
pub fn acpi(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    if !arguments.is_empty() {
        return Err(Complaint::Usage);
    }
    let platform = firmware::platform();
    if platform.tables.is_empty() {
        writeln!(context, "the firmware has no ACPI tables")?;
        return Ok(());
    }
    for table in &platform.tables {
        let (signature, oem) = (table.signature.escape_ascii(), table.oem.escape_ascii());
        let (address, length, revision) = (table.address, table.length, table.revision);
        writeln!(context, "{signature}  p:{address:#012x} {length:>8} B  revision {revision:<3} {oem}")?;
    }
    tell(context, platform)?;
    if let Some(fixed) = &platform.fixed {
        tell_fixed(context, fixed)?;
    }
    Ok(())
}

fn tell(context: &mut Context<'_>, platform: &Platform) -> fmt::Result {
    writeln!(context, "{platform}{}", if platform.has_8259 { ", two 8259s" } else { "" })?;
    for io_apic in &platform.io_apics {
        writeln!(context, "I/O APIC {} at p:{:#x}, from GSI {} on", io_apic.id, io_apic.address, io_apic.gsi_base)?;
    }
    for entry in &platform.overrides {
        let level = if entry.active_low { "low" } else { "high" };
        let trigger = if entry.level { "level" } else { "edge" };
        writeln!(context, "ISA interrupt {} arrives at GSI {}, {trigger}, active {level}", entry.isa_irq, entry.gsi)?;
    }
    if let Some(hpet) = &platform.hpet {
        writeln!(context, "HPET at p:{:#x}", hpet.address)?;
    }
    for region in &platform.ecam {
        let (segment, first, last) = (region.segment, region.first_bus, region.last_bus);
        writeln!(context, "PCI Express segment {segment}, buses {first}-{last}, at p:{:#x}", region.base)?;
    }
    Ok(())
}

fn tell_fixed(context: &mut Context<'_>, fixed: &FixedHardware) -> fmt::Result {
    writeln!(context, "ACPI events arrive at GSI {}", fixed.sci_gsi)?;
    if let Some(timer) = &fixed.pm_timer {
        writeln!(context, "PM timer of {} bits at {}", timer.bits, Place(timer.address))?;
    }
    if let (Some(control), Some((a, _))) = (fixed.pm1a_control, fixed.s5) {
        writeln!(context, "sleep type {a} at {} switches the machine off", Place(control))?;
    }
    if let Some(register) = fixed.century_register {
        writeln!(context, "CMOS register {register:#x} holds the century")?;
    }
    Ok(())
}

struct Place(Address);

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Address::Memory(address) => write!(formatter, "p:{address:#x}"),
            Address::Port(port) => write!(formatter, "port {port:#x}"),
        }
    }
}
