//! /proc/PID/stat: one line of 52 fields, which proc(5) numbers.

use super::{State, TICK_NS};
use crate::errno::Errno;
use crate::fs::attributes::DeviceNumber;
use crate::fs::synthetic::Output;
use crate::mem::page::PAGE_BYTES;
use crate::process::Usage;
use core::fmt::Write;
use core::ops::Range;

/// Flag `PF_RANDOMIZE`: addresses are random.
const RANDOMIZED: u32 = 0x0040_0000;

/// Signals that fit the fields for them.
const SHOWN_SIGNALS: u64 = 0x7fff_ffff;

/// What the line tells.
#[derive(Clone, Debug)]
pub struct Stat<'a> {
    /// The process, or the thread.
    pub id: u32,
    /// Its name.
    pub name: &'a [u8],
    /// What it does.
    pub state: State,
    /// Its parent; 0 is none.
    pub parent: u32,
    /// Its group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// The terminal of its session.
    pub terminal: Option<DeviceNumber>,
    /// The group in the foreground there.
    pub foreground: Option<u32>,
    /// What it used.
    pub usage: Usage,
    /// What its children used that were waited for.
    pub children: Usage,
    /// How nice it is.
    pub nice: i32,
    /// Threads of the process.
    pub threads: usize,
    /// When it began, since the machine did.
    pub started_ns: u64,
    /// Bytes of addresses.
    pub bytes: u64,
    /// Pages in memory.
    pub resident: u64,
    /// How many bytes of those it may have.
    pub resident_limit: u64,
    /// Where its memory is.
    pub places: Places,
    /// Signals that wait, are blocked, ignored, caught.
    pub signals: [u64; 4],
    /// What its parent gets when it ends.
    pub exit_signal: u8,
    /// The processor that had it last.
    pub processor: usize,
    /// How it ended, as wait4(2) has it.
    pub exit_code: u32,
}

/// Where a program is in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Its code.
    pub code: Range<u64>,
    /// Its data.
    pub data: Range<u64>,
    /// Where its heap starts.
    pub heap: u64,
    /// Where its stack starts.
    pub stack: u64,
    /// Its arguments, as strings.
    pub arguments: Range<u64>,
    /// Its environment, as strings.
    pub environment: Range<u64>,
}

impl Places {
    /// What those are told who may not know: as Linux tells it.
    pub fn hidden() -> Self {
        Self { code: 1..1, ..Self::default() }
    }
}

impl Stat<'_> {
    /// Adds the line.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn write(&self, output: &mut Output) -> Result<(), Errno> {
        let Self { id, name, state, parent, group, session, usage, children, places, .. } = self;
        write!(output, "{id} (")?;
        // As it is: who reads the line looks for the last `)`.
        output.push(name)?;
        let terminal = self.terminal.map_or(0, DeviceNumber::encode);
        let foreground = self.foreground.map_or(-1, i64::from);
        write!(output, ") {} {parent} {group} {session} {terminal} {foreground} {RANDOMIZED}", state.letter())?;
        // Fields 10 to 17.
        for (own, of_children) in
            [(usage.minor_faults, children.minor_faults), (usage.major_faults, children.major_faults)]
        {
            write!(output, " {own} {of_children}")?;
        }
        for time_ns in [usage.user_ns, usage.system_ns, children.user_ns, children.system_ns] {
            write!(output, " {}", time_ns / TICK_NS)?;
        }
        let Self { nice, threads, bytes, resident, resident_limit, .. } = self;
        let started = self.started_ns / TICK_NS;
        write!(output, " {} {nice} {threads} 0 {started} {bytes} {resident} {resident_limit}", 20 + nice)?;
        // The registers are not told.
        write!(output, " {} {} {} 0 0", places.code.start, places.code.end, places.stack)?;
        for signals in self.signals {
            write!(output, " {}", signals & SHOWN_SIGNALS)?;
        }
        write!(output, " 0 0 0 {} {} 0 0 0 0 0", self.exit_signal, self.processor)?;
        write!(output, " {} {} {}", places.data.start, places.data.end, places.heap)?;
        for range in [&places.arguments, &places.environment] {
            write!(output, " {} {}", range.start, range.end)?;
        }
        Ok(writeln!(output, " {}", self.exit_code)?)
    }
}

/// Adds the line of /proc/PID/statm, all in pages.
///
/// # Errors
/// [`Errno::ENOMEM`].
pub fn write_memory(output: &mut Output, usage: &crate::mem::space::Usage) -> Result<(), Errno> {
    let pages = |bytes: u64| bytes / PAGE_BYTES as u64;
    let resident = usage.resident;
    let shared = resident.file + resident.shared;
    let sizes = usage.sizes;
    let data = pages(sizes.data + sizes.stack);
    let (total, code) = (pages(sizes.total), pages(sizes.code));
    Ok(writeln!(output, "{total} {} {shared} {code} 0 {data} 0", resident.total())?)
}
