//! /proc/PID/status: what /proc/PID/stat tells, and more, in lines for people.

use super::State;
use crate::errno::Errno;
use crate::fs::synthetic::Output;
use crate::mem::page::PAGE_BYTES;
use crate::mem::space::Usage;
use crate::process::Credentials;
use crate::process::Identities;
use core::fmt::Write;

/// Capabilities that there are: `CAP_LAST_CAP` and one.
const ALL_CAPABILITIES: u64 = (1 << 41) - 1;

/// What the text tells.
#[derive(Clone, Debug)]
pub struct Status<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Permissions that new files do not get; unknown once it has ended.
    pub umask: Option<u16>,
    /// What it does.
    pub state: State,
    /// The process.
    pub process: u32,
    /// The process, or the thread.
    pub id: u32,
    /// The parent; 0 is none.
    pub parent: u32,
    /// Its group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// Who it is.
    pub credentials: &'a Credentials,
    /// Room in the table of descriptors.
    pub descriptors: usize,
    /// What its memory is; none once it has ended.
    pub memory: Option<Usage>,
    /// Threads of the process.
    pub threads: usize,
    /// Signals that are queued for it, and how many may be.
    pub queued: (usize, u64),
    /// Signals that wait for the thread, for the process, are blocked, ignored, caught.
    pub signals: [u64; 5],
    /// Processors that there are.
    pub processors: usize,
}

impl Status<'_> {
    /// Adds the text.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn write(&self, output: &mut Output) -> Result<(), Errno> {
        let Self { state, process, id, parent, group, session, credentials, threads, .. } = self;
        output.push(b"Name:\t")?;
        for byte in self.name {
            match byte {
                b'\n' => output.push(b"\\n")?,
                b'\\' => output.push(b"\\\\")?,
                other => output.push(&[*other])?,
            }
        }
        writeln!(output)?;
        if let Some(umask) = self.umask {
            writeln!(output, "Umask:\t{umask:04o}")?;
        }
        writeln!(output, "State:\t{} ({})", state.letter(), state.word())?;
        writeln!(output, "Tgid:\t{process}\nNgid:\t0\nPid:\t{id}\nPPid:\t{parent}\nTracerPid:\t0")?;
        for (name, of) in [("Uid", &credentials.users), ("Gid", &credentials.groups)] {
            let Identities { real, effective, saved, file_system } = of;
            writeln!(output, "{name}:\t{real}\t{effective}\t{saved}\t{file_system}")?;
        }
        write!(output, "FDSize:\t{}\nGroups:\t", self.descriptors)?;
        for group in credentials.supplementary() {
            write!(output, "{group} ")?;
        }
        // Linux has a blank even where there is no group.
        let blank = if credentials.supplementary().is_empty() { " " } else { "" };
        writeln!(output, "{blank}\nNStgid:\t{process}\nNSpid:\t{id}\nNSpgid:\t{group}\nNSsid:\t{session}")?;
        if let Some(memory) = &self.memory {
            write_memory(output, memory)?;
        }
        writeln!(output, "Threads:\t{threads}\nSigQ:\t{}/{}", self.queued.0, self.queued.1)?;
        for (name, set) in ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"].into_iter().zip(self.signals) {
            writeln!(output, "{name}:\t{set:016x}")?;
        }
        let has = if credentials.is_privileged() { ALL_CAPABILITIES } else { 0 };
        for (name, set) in
            [("CapInh", 0), ("CapPrm", has), ("CapEff", has), ("CapBnd", ALL_CAPABILITIES), ("CapAmb", 0)]
        {
            writeln!(output, "{name}:\t{set:016x}")?;
        }
        let no_new_privileges = u32::from(credentials.no_new_privileges);
        write!(output, "NoNewPrivs:\t{no_new_privileges}\nSeccomp:\t0\nSeccomp_filters:\t0\nCpus_allowed:\t")?;
        write_processor_mask(output, self.processors)?;
        write!(output, "\nCpus_allowed_list:\t")?;
        write_processor_list(output, self.processors)?;
        Ok(writeln!(output, "\nMems_allowed:\t1\nMems_allowed_list:\t0")?)
    }
}

/// Peaks are not kept: they are told as what is now, which they are at least.
fn write_memory(output: &mut Output, usage: &Usage) -> Result<(), Errno> {
    let Usage { sizes, resident, tables } = usage;
    let pages = |pages: u64| pages.saturating_mul(PAGE_BYTES as u64);
    let all = pages(resident.total());
    for (name, bytes) in [
        ("VmPeak", sizes.total),
        ("VmSize", sizes.total),
        ("VmLck", sizes.locked),
        ("VmPin", 0),
        ("VmHWM", all),
        ("VmRSS", all),
        ("RssAnon", pages(resident.anonymous)),
        ("RssFile", pages(resident.file)),
        ("RssShmem", pages(resident.shared)),
        ("VmData", sizes.data),
        ("VmStk", sizes.stack),
        ("VmExe", sizes.code),
        ("VmLib", 0),
        ("VmPTE", pages(*tables)),
        ("VmSwap", 0),
    ] {
        writeln!(output, "{name}:\t{:8} kB", bytes / 1024)?;
    }
    Ok(())
}

/// The first `count` processors as bits, in groups of 32 with commas between.
fn write_processor_mask(output: &mut Output, count: usize) -> Result<(), Errno> {
    let groups = count.div_ceil(32).max(1);
    for group in (0..groups).rev() {
        let bits = count.saturating_sub(32 * group).min(32);
        let mask = (1_u64 << bits) - 1;
        match (group + 1 == groups, group) {
            (true, _) => write!(output, "{mask:x}")?,
            (false, _) => write!(output, "{mask:08x}")?,
        }
        if group > 0 {
            write!(output, ",")?;
        }
    }
    Ok(())
}

/// The first `count` processors as a range: `0-3`.
///
/// # Errors
/// [`Errno::ENOMEM`].
pub fn write_processor_list(output: &mut Output, count: usize) -> Result<(), Errno> {
    write!(output, "0")?;
    if count > 1 {
        write!(output, "-{}", count - 1)?;
    }
    Ok(())
}
