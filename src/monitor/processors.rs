//! `cpus`, `registers`, `interrupts`: processors, what they can, and what interrupts them.

use super::context::{Complaint, Context, Outcome};
use super::unknown;
use crate::hw::{apic, clock, cpu, irq, percpu, trap};
use crate::proc::scheduler;
use core::fmt::Write;

/// Columns after which names go on in the next row.
const WIDTH: usize = 76;

/// Lists processors, or what this one can.
pub fn cpus(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    match arguments {
        [] => list(context),
        ["features"] => features(context),
        [other] => Err(unknown("word", other, ["features"].into_iter(), "help cpus")),
        _ => Err(Complaint::Usage),
    }
}

fn list(context: &mut Context<'_>) -> Outcome {
    let identity = cpu::identity();
    match identity.get_processor_brand_string() {
        Some(brand) => writeln!(context, "{}", brand.as_str().trim())?,
        None => writeln!(context, "a processor without a name")?,
    }
    if let (Some(vendor), Some(features)) = (identity.get_vendor_info(), identity.get_feature_info()) {
        let (family, model, stepping) = (features.family_id(), features.model_id(), features.stepping_id());
        write!(context, "{}, family {family}, model {model}, stepping {stepping}; ", vendor.as_str())?;
    }
    match clock::tsc_frequency() {
        Some(frequency) => writeln!(context, "time-stamp counter {frequency}")?,
        None => writeln!(context, "time-stamp counter of unknown frequency")?,
    }
    write!(context, "protections in use:")?;
    cpu::protections().try_for_each(|name| write!(context, " {name}"))?;
    writeln!(context)?;
    for processor in percpu::all() {
        let number = processor.number();
        write!(context, "CPU {number:<3} APIC {:<3} ", processor.apic_id())?;
        match scheduler::running_on(number) {
            Some(thread) => writeln!(context, "runs {}", thread.name())?,
            None => writeln!(context, "takes no part, or is changing threads")?,
        }
    }
    Ok(())
}

/// Names what CPUID says, as /proc/cpuinfo does, and what programs cannot use besides.
fn features(context: &mut Context<'_>) -> Outcome {
    let mut column = 0;
    for name in cpu::features().all() {
        let end = if column + name.len() > WIDTH { "\n" } else { "" };
        column = if end.is_empty() { column } else { 0 } + name.len() + 1;
        write!(context, "{end}{name} ")?;
    }
    writeln!(context)?;
    Ok(())
}

/// Shows what steers this processor, and the registers at the exception that made the kernel panic.
pub fn registers(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    if !arguments.is_empty() {
        return Err(Complaint::Usage);
    }
    if let Some(frame) = context.panicking.and_then(trap::fatal_frame) {
        write!(context, "{frame}")?;
    }
    let [cr0, cr2, cr3, cr4, efer] = cpu::control_registers();
    writeln!(context, "  cr0 {cr0:016x}  cr3 {cr3:016x}  cr4  {cr4:016x}")?;
    writeln!(context, "  cr2 {cr2:016x}  {:20}  efer {efer:016x}", "")?;
    Ok(())
}

/// Shows how often each interrupt came.
pub fn interrupts(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    if !arguments.is_empty() {
        return Err(Complaint::Usage);
    }
    writeln!(context, "vector      count  handler")?;
    for (vector, name, count) in irq::counts() {
        writeln!(context, "  {vector:#04x} {count:>10}  {name}")?;
    }
    let unclaimed = irq::unclaimed();
    if unclaimed > 0 {
        writeln!(context, "{unclaimed} interrupts were wanted by no handler")?;
    }
    let errors = apic::errors();
    if errors > 0 {
        writeln!(context, "local APICs have reported {errors} errors")?;
    }
    Ok(())
}
