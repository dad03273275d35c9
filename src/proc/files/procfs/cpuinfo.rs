//! /proc/cpuinfo: a paragraph for each processor, all of which are taken to be alike.

use crate::hw::{clock, cpu, percpu};
use core::fmt::Write;
use logic::errno::Errno;
use logic::fs::synthetic::Output;

/// Bits of an address that programs and the kernel can have: four levels of page tables.
const VIRTUAL_ADDRESS_BITS: u32 = 48;

/// Writes the text.
pub fn cpuinfo(output: &mut Output) -> Result<(), Errno> {
    let mut flags = Output::new();
    cpu::features().usable().try_for_each(|name| write!(flags, " {name}"))?;
    let count = percpu::count();
    for processor in percpu::all() {
        let (number, apic_id) = (processor.number(), processor.apic_id());
        writeln!(output, "processor\t: {number}")?;
        write_model(output)?;
        writeln!(output, "physical id\t: 0\nsiblings\t: {count}\ncore id\t\t: {number}\ncpu cores\t: {count}")?;
        writeln!(output, "apicid\t\t: {apic_id}\ninitial apicid\t: {apic_id}\nfpu\t\t: yes\nfpu_exception\t: yes")?;
        write!(output, "cpuid level\t: {}\nwp\t\t: yes\nflags\t\t:", cpu::highest_leaf())?;
        output.push(flags.bytes())?;
        write_sizes(output)?;
    }
    Ok(())
}

fn write_model(output: &mut Output) -> Result<(), Errno> {
    let identity = cpu::identity();
    if let Some(vendor) = identity.get_vendor_info() {
        writeln!(output, "vendor_id\t: {}", vendor.as_str())?;
    }
    if let Some(features) = identity.get_feature_info() {
        let (family, model, stepping) = (features.family_id(), features.model_id(), features.stepping_id());
        write!(output, "cpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: ")?;
        match identity.get_processor_brand_string() {
            Some(brand) => writeln!(output, "{}", brand.as_str().trim())?,
            None => writeln!(output, "unknown")?,
        }
        writeln!(output, "stepping\t: {stepping}")?;
    }
    if let Some(frequency) = clock::tsc_frequency() {
        let kilohertz = frequency.hertz() / 1000;
        writeln!(output, "cpu MHz\t\t: {}.{:03}", kilohertz / 1000, kilohertz % 1000)?;
    }
    Ok(())
}

fn write_sizes(output: &mut Output) -> Result<(), Errno> {
    let identity = cpu::identity();
    let line = identity.get_feature_info().map_or(64, |features| u32::from(features.cflush_cache_line_size()) * 8);
    let physical = identity
        .get_processor_capacity_feature_info()
        .map_or(36, |capacity| u32::from(capacity.physical_address_bits()));
    writeln!(output)?;
    if let Some(frequency) = clock::tsc_frequency() {
        // Linux counts its loop by the time-stamp counter: two to a tick.
        let hundredths = frequency.hertz() / 5000;
        writeln!(output, "bogomips\t: {}.{:02}", hundredths / 100, hundredths % 100)?;
    }
    writeln!(output, "clflush size\t: {line}\ncache_alignment\t: {line}")?;
    writeln!(output, "address sizes\t: {physical} bits physical, {VIRTUAL_ADDRESS_BITS} bits virtual")?;
    Ok(writeln!(output, "power management:\n")?)
}
