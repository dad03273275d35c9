//! /proc/sys: settings of the kernel, most of which only tell how things are.

use super::{Numbers, Take};
use crate::proc::{host, random};
use alloc::vec::Vec;
use core::fmt::Write;
use logic::errno::Errno;
use logic::fs::synthetic::{Node, Output};
use logic::ipc::pipe;
use logic::ipc::unix::MOST_BACKLOG;
use logic::mem::space::{MOST_AREAS, layout};
use logic::process::limits::MOST_DESCRIPTORS;
use logic::process::{DEFAULT_NUMBERS, credentials};
use logic::procfs::machine::Uuid;
use spin::Once;

/// The last capability that there is: `CAP_CHECKPOINT_RESTORE` (capabilities(7)).
const LAST_CAPABILITY: u32 = 40;

/// Who owns what belongs to somebody whose number does not fit into 16 bits.
const NOBODY: u32 = 65_534;

/// Bits of randomness: as many as there can be, because nothing is given out before there are.
const RANDOM_BITS: u32 = 256;

/// The tree of settings.
pub fn directory(numbers: &mut Numbers) -> Node {
    let random = [
        tells(numbers, "boot_id", |output| {
            static BOOT: Once<[u8; 16]> = Once::new();
            Ok(writeln!(output, "{}", Uuid::new(*BOOT.call_once(random_bytes)))?)
        }),
        tells(numbers, "uuid", |output| Ok(writeln!(output, "{}", Uuid::new(random_bytes()))?)),
        tells(numbers, "entropy_avail", |output| line(output, RANDOM_BITS)),
        tells(numbers, "poolsize", |output| line(output, RANDOM_BITS)),
    ];
    let random = numbers.directory(random.into());
    let kernel = [
        changes(numbers, "hostname", |output| named(output, &host::HOST), |name| rename(&host::HOST, name)),
        changes(numbers, "domainname", |output| named(output, &host::DOMAIN), |name| rename(&host::DOMAIN, name)),
        tells(numbers, "ostype", |output| line(output, host::SYSTEM)),
        tells(numbers, "osrelease", |output| line(output, host::RELEASE)),
        tells(numbers, "version", |output| line(output, host::VERSION)),
        tells(numbers, "arch", |output| line(output, host::MACHINE)),
        tells(numbers, "pid_max", |output| line(output, DEFAULT_NUMBERS)),
        // Each thread has a number of its own.
        tells(numbers, "threads-max", |output| line(output, DEFAULT_NUMBERS)),
        tells(numbers, "overflowuid", |output| line(output, NOBODY)),
        tells(numbers, "overflowgid", |output| line(output, NOBODY)),
        tells(numbers, "tainted", |output| line(output, 0)),
        tells(numbers, "ngroups_max", |output| line(output, credentials::MOST_GROUPS)),
        tells(numbers, "cap_last_cap", |output| line(output, LAST_CAPABILITY)),
        // Stack, mappings, program and heap are each at a random place.
        tells(numbers, "randomize_va_space", |output| line(output, 2)),
        ("random", random),
    ];
    let memory = [
        // Memory is promised to everybody, and had when it is touched.
        tells(numbers, "overcommit_memory", |output| line(output, 1)),
        tells(numbers, "max_map_count", |output| line(output, MOST_AREAS)),
        tells(numbers, "mmap_min_addr", |output| line(output, layout::LOWEST)),
    ];
    let files = [
        tells(numbers, "file-max", |output| line(output, i64::MAX)),
        tells(numbers, "nr_open", |output| line(output, MOST_DESCRIPTORS)),
        tells(numbers, "pipe-max-size", |output| line(output, pipe::MOST_CAPACITY)),
    ];
    let core = [tells(numbers, "somaxconn", |output| line(output, MOST_BACKLOG))];
    let core = numbers.directory(core.into());
    let entries: Vec<(&'static str, Node)> = [
        ("kernel", numbers.directory(kernel.into())),
        ("vm", numbers.directory(memory.into())),
        ("fs", numbers.directory(files.into())),
        ("net", numbers.directory([("core", core)].into())),
    ]
    .into();
    numbers.directory(entries)
}

/// A setting that only tells.
fn tells(numbers: &mut Numbers, name: &'static str, make: super::Make) -> (&'static str, Node) {
    (name, numbers.text(0o444, make, None))
}

/// A setting that root may change.
fn changes(numbers: &mut Numbers, name: &'static str, make: super::Make, take: Take) -> (&'static str, Node) {
    (name, numbers.text(0o644, make, Some(take)))
}

fn line(output: &mut Output, value: impl core::fmt::Display) -> Result<(), Errno> {
    Ok(writeln!(output, "{value}")?)
}

fn named(output: &mut Output, name: &host::Changeable) -> Result<(), Errno> {
    output.push(&name.get())?;
    output.push(b"\n")
}

/// What is written up to the end of a line becomes the name.
fn rename(name: &host::Changeable, text: &[u8]) -> Result<(), Errno> {
    let text = text.split(|byte| matches!(byte, b'\n' | 0)).next().unwrap_or_default();
    name.set(text);
    Ok(())
}

fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    random::fill(&mut bytes);
    bytes
}
