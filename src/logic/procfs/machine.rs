//! What /proc tells of the machine as a whole: meminfo, stat, uptime, version numbers of random identities.

use super::TICK_NS;
use crate::errno::Errno;
use crate::fs::synthetic::Output;
use core::fmt::{self, Write};

/// What one processor did, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// In programs.
    pub user_ns: u64,
    /// In the kernel.
    pub system_ns: u64,
    /// Nothing.
    pub idle_ns: u64,
}

impl Times {
    fn and(self, other: Self) -> Self {
        Self {
            user_ns: self.user_ns.saturating_add(other.user_ns),
            system_ns: self.system_ns.saturating_add(other.system_ns),
            idle_ns: self.idle_ns.saturating_add(other.idle_ns),
        }
    }

    fn write(&self, output: &mut Output) -> Result<(), Errno> {
        let [user, system, idle] = [self.user_ns, self.system_ns, self.idle_ns].map(|time_ns| time_ns / TICK_NS);
        Ok(writeln!(output, " {user} 0 {system} {idle} 0 0 0 0 0 0")?)
    }
}

/// What /proc/stat tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity<'a> {
    /// What each processor did.
    pub processors: &'a [Times],
    /// Interrupts.
    pub interrupts: u64,
    /// How often a processor went on with another thread.
    pub switches: u64,
    /// When the machine started, in seconds since 1970.
    pub boot_seconds: i64,
    /// Processes and threads that were made.
    pub made: u64,
    /// Threads that run or want to.
    pub running: u64,
}

impl Activity<'_> {
    /// Adds the text.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn write(&self, output: &mut Output) -> Result<(), Errno> {
        output.push(b"cpu ")?;
        self.processors.iter().copied().fold(Times::default(), Times::and).write(output)?;
        for (number, times) in self.processors.iter().enumerate() {
            write!(output, "cpu{number}")?;
            times.write(output)?;
        }
        let Self { interrupts, switches, boot_seconds, made, running, .. } = self;
        writeln!(output, "intr {interrupts}\nctxt {switches}\nbtime {boot_seconds}\nprocesses {made}")?;
        Ok(writeln!(output, "procs_running {running}\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0")?)
    }
}

/// What /proc/meminfo tells, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All that the kernel was given.
    pub total: u64,
    /// What nobody has.
    pub free: u64,
    /// What could be had without hurting anybody.
    pub available: u64,
    /// What page caches have.
    pub cached: u64,
    /// What of that has no disk behind it.
    pub shared: u64,
    /// What programs have for themselves.
    pub anonymous: u64,
    /// Page tables of programs.
    pub tables: u64,
    /// The kernel's heap.
    pub heap: u64,
    /// Stacks of threads.
    pub stacks: u64,
}

impl Memory {
    /// Adds the text.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn write(&self, output: &mut Output) -> Result<(), Errno> {
        let Self { total, free, available, cached, shared, anonymous, tables, heap, stacks } = *self;
        for (name, bytes) in [
            ("MemTotal", total),
            ("MemFree", free),
            ("MemAvailable", available),
            ("Buffers", 0),
            ("Cached", cached),
            ("SwapCached", 0),
            ("Active", anonymous),
            ("Inactive", cached),
            ("SwapTotal", 0),
            ("SwapFree", 0),
            ("Dirty", 0),
            ("Writeback", 0),
            ("AnonPages", anonymous),
            ("Mapped", 0),
            ("Shmem", shared),
            ("Slab", heap),
            ("SReclaimable", 0),
            ("SUnreclaim", heap),
            ("KernelStack", stacks),
            ("PageTables", tables),
            ("CommitLimit", total),
            ("Committed_AS", anonymous.saturating_add(shared)),
        ] {
            // The colon comes at once, the number ends in column 25.
            let width = 23_usize.saturating_sub(name.len());
            writeln!(output, "{name}:{:>width$} kB", bytes / 1024)?;
        }
        Ok(())
    }
}

/// Seconds with two digits behind the point, cut.
pub struct Seconds(pub u64);

impl fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = self.0 / TICK_NS;
        write!(formatter, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

/// A random identity (RFC 9562, section 5.4), of random bytes.
pub struct Uuid([u8; 16]);

impl Uuid {
    /// The one that these bytes make.
    pub fn new(mut random: [u8; 16]) -> Self {
        random[6] = random[6] & 0x0f | 0x40;
        random[8] = random[8] & 0x3f | 0x80;
        Self(random)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(formatter, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}
