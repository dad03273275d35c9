//! /proc/PID/limits: a table with columns of fixed width.

use crate::errno::Errno;
use crate::fs::synthetic::Output;
use crate::process::limits::INFINITE;
use crate::process::{Limits, Resource};
use core::fmt::{self, Write};

/// In the order of their numbers, with names and units.
const ROWS: [(Resource, &str, &str); 16] = [
    (Resource::ProcessorTime, "Max cpu time", "seconds"),
    (Resource::FileSize, "Max file size", "bytes"),
    (Resource::Data, "Max data size", "bytes"),
    (Resource::Stack, "Max stack size", "bytes"),
    (Resource::Core, "Max core file size", "bytes"),
    (Resource::ResidentSet, "Max resident set", "bytes"),
    (Resource::Processes, "Max processes", "processes"),
    (Resource::Descriptors, "Max open files", "files"),
    (Resource::LockedMemory, "Max locked memory", "bytes"),
    (Resource::AddressSpace, "Max address space", "bytes"),
    (Resource::Locks, "Max file locks", "locks"),
    (Resource::PendingSignals, "Max pending signals", "signals"),
    (Resource::MessageQueues, "Max msgqueue size", "bytes"),
    (Resource::Nice, "Max nice priority", ""),
    (Resource::RealTimePriority, "Max realtime priority", ""),
    (Resource::RealTimeTime, "Max realtime timeout", "us"),
];

struct Amount(u64);

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == INFINITE { formatter.pad("unlimited") } else { fmt::Display::fmt(&self.0, formatter) }
    }
}

/// Adds the table.
///
/// # Errors
/// [`Errno::ENOMEM`].
pub fn write(output: &mut Output, limits: &Limits) -> Result<(), Errno> {
    writeln!(output, "{:<25} {:<20} {:<20} {:<10}", "Limit", "Soft Limit", "Hard Limit", "Units")?;
    for (resource, name, unit) in ROWS {
        let limit = limits.get(resource);
        let (current, most) = (Amount(limit.current), Amount(limit.most));
        write!(output, "{name:<25} {current:<20} {most:<20} ")?;
        if unit.is_empty() { writeln!(output)? } else { writeln!(output, "{unit:<10}")? }
    }
    Ok(())
}
