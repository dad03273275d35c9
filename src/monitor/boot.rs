//! `boot`: how the kernel was started.

use super::context::{Complaint, Context, Outcome};
use crate::drivers::tty;
use crate::hw;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering};
use logic::boot::BootInfo;

/// The time-stamp counter when the kernel was ready, 0 before.
static READY: AtomicU64 = AtomicU64::new(0);

/// Notes that the kernel is ready.
pub fn note_ready() {
    READY.store(hw::cpu::tsc(), Ordering::Relaxed);
}

/// Shows what the loader told, and the times.
pub fn boot(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    if !arguments.is_empty() {
        return Err(Complaint::Usage);
    }
    let info = context.info;
    let loader = if info.loader.is_empty() { "an unnamed loader" } else { &info.loader };
    writeln!(context, "kernel    Eres OS {}, {} KiB with its data", version(), hw::boot::image_bytes() / 1024)?;
    match hw::smbios::machine() {
        Some(machine) => writeln!(context, "machine   {machine}")?,
        None => writeln!(context, "machine   unnamed by its firmware")?,
    }
    writeln!(context, "loader    {loader}, from {}", info.firmware)?;
    writeln!(context, "arguments {}", info.command_line.as_str())?;
    writeln!(context, "display   {}", info.display)?;
    for module in &info.modules {
        writeln!(context, "module    {}, {} B at {:#x}", module.arguments, module.size(), module.start)?;
    }
    writeln!(context, "times     {}", Times(info))?;
    Ok(())
}

/// The kernel's version.
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// What firmware, loader and kernel took until the kernel was ready, or until now, and how long after that the first prompt came,
/// the shell's or the monitor's.
/// The time-stamp counter starts with the machine, so that its value at the entry is what firmware and loader took.
pub struct Times<'a>(pub &'a BootInfo);

impl fmt::Display for Times<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.0;
        let Some(frequency) = hw::clock::tsc_frequency() else {
            return write!(formatter, "no timer to measure them with; entered at {} ticks", info.entry_tsc);
        };
        let ready = match READY.load(Ordering::Relaxed) {
            0 => hw::cpu::tsc(),
            ready => ready,
        };
        let kernel = frequency.microseconds(ready.saturating_sub(info.entry_tsc));
        match info.loader_tsc {
            Some(loader_tsc) => write!(
                formatter,
                "firmware {}, loader {}, kernel {kernel}",
                frequency.microseconds(loader_tsc),
                frequency.microseconds(info.entry_tsc.saturating_sub(loader_tsc)),
            ),
            None => {
                write!(formatter, "firmware and loader {}, kernel {kernel}", frequency.microseconds(info.entry_tsc))
            }
        }?;
        match tty::first_wait_tsc() {
            0 => Ok(()),
            prompt => write!(formatter, ", prompt {}", frequency.microseconds(prompt.saturating_sub(ready))),
        }
    }
}
