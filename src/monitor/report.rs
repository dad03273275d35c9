//! `report`: the machine on a page, for whoever is to find out what is wrong on it.

use super::boot::{Times, version};
use super::context::{Complaint, Context, Outcome};
use crate::drivers::{log_reader, pci};
use crate::hw::{self, acpi, clock, cpu, percpu};
use core::fmt::Write;
use log::Level;

const MIB: u64 = 1 << 20;
/// Devices in a row: 80 columns have room for them behind the row's name.
const DEVICES_IN_ROW: usize = 5;
/// Warnings that are shown; the log has them all.
const WARNINGS: usize = 6;

/// Tells it all, at most 80 columns wide but for warnings.
pub fn report(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    if !arguments.is_empty() {
        return Err(Complaint::Usage);
    }
    let info = context.info;
    writeln!(context, "kernel     Eres OS {}", version())?;
    writeln!(context, "loader     {}; arguments: {}", info.loader, info.command_line.as_str())?;
    write!(context, "firmware   {}", info.firmware)?;
    for name in hw::smbios::named().iter().flat_map(|machine| &machine.firmware).filter(|name| !name.is_empty()) {
        write!(context, ", {name}")?;
    }
    writeln!(context)?;
    match hw::smbios::machine() {
        Some(machine) => writeln!(context, "machine    {machine}")?,
        None => writeln!(context, "machine    unnamed by its firmware")?,
    }
    processors(context)?;
    let memory = &info.memory;
    let (ram, usable) = (memory.ram_bytes() / MIB, memory.usable_bytes() / MIB);
    writeln!(context, "memory     {ram} MiB, {usable} of them usable in {} ranges", memory.usable_pieces())?;
    writeln!(context, "display    {}", info.display)?;
    writeln!(context, "ACPI       {}", acpi::platform())?;
    match clock::tsc_frequency() {
        Some(frequency) => writeln!(context, "clock      time-stamp counter {frequency}")?,
        None => writeln!(context, "clock      nothing to measure the time-stamp counter with")?,
    }
    devices(context)?;
    writeln!(context, "times      {}", Times(info))?;
    warnings(context)
}

fn processors(context: &mut Context<'_>) -> Outcome {
    let identity = cpu::identity();
    write!(context, "processor  ")?;
    if let Some(brand) = identity.get_processor_brand_string() {
        write!(context, "{}, ", brand.as_str().trim())?;
    }
    writeln!(context, "{} running", percpu::count())?;
    if let (Some(vendor), Some(features)) = (identity.get_vendor_info(), identity.get_feature_info()) {
        let (family, model, stepping) = (features.family_id(), features.model_id(), features.stepping_id());
        write!(context, "           {} {family:x}-{model:x}-{stepping:x};", vendor.as_str())?;
        cpu::protections().try_for_each(|name| write!(context, " {name}"))?;
        writeln!(context)?;
    }
    Ok(())
}

/// By vendor, device and class.
fn devices(context: &mut Context<'_>) -> Outcome {
    for (index, function) in pci::functions().enumerate() {
        match index {
            0 => write!(context, "devices    ")?,
            _ if index.is_multiple_of(DEVICES_IN_ROW) => write!(context, "\n           ")?,
            _ => write!(context, "  ")?,
        }
        write!(context, "{:04x}:{:04x}", function.vendor, function.device)?;
    }
    if pci::functions().next().is_none() {
        write!(context, "devices    no PCI bus, or nothing on it")?;
    }
    writeln!(context)?;
    Ok(())
}

/// The first ones: what follows is often their doing.
fn warnings(context: &mut Context<'_>) -> Outcome {
    let mut count = 0;
    let mut position = 0;
    while let Some(record) = log_reader::record_from(position, context.panicking) {
        position = record.next;
        if record.level <= Level::Warn {
            count += 1;
            if count <= WARNINGS {
                writeln!(context, "{}{}", if count == 1 { "warnings   " } else { "           " }, record.text)?;
            }
        }
    }
    match count {
        0 => writeln!(context, "warnings   none")?,
        1..=WARNINGS => {}
        _ => writeln!(context, "           and {} more: `log warn`", count - WARNINGS)?,
    }
    Ok(())
}
