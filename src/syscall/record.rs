//! What is noted of system calls: those that a program missed (/proc/eres/syscalls), and all, if `syscall.trace=` asks for it.

use super::missing;
use super::table::SystemCall;
use crate::proc::process::{Answer, Current, NAME_BYTES, Name, Stop};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use logic::errno::Errno;
use logic::fs::synthetic::Output;
use logic::sync::{IrqLock, Rank};
use spin::Once;

/// Programs and calls that are told apart.
const MOST: usize = 256;

/// A call that a program could not have.
struct Missed {
    program: Name,
    call: u64,
    error: Errno,
    count: u64,
}

static MISSED: IrqLock<Vec<Missed>> = IrqLock::new(Rank::Process, Vec::new());

/// Calls for which there was no room there.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Which programs are traced: all, or those of this name.
static TRACED: Once<Name> = Once::new();
static TRACES: AtomicBool = AtomicBool::new(false);

/// Traces what `syscall.trace=` of the command line names: `all`, or a program by its name or path.
pub fn trace(what: &str) {
    // As programs are named when they are executed: the last part of the path, cut.
    let name = what.rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
        log::warn!("syscall.trace={what} names no program: `all`, or a program's name, as `sh`");
        return;
    }
    TRACED.call_once(|| name.bytes().take(NAME_BYTES).collect());
    TRACES.store(true, Ordering::Relaxed);
}

/// Notes what a call answered.
pub fn note(current: &Current, entry: &SystemCall, registers: &[u64; 6], answer: &Answer) {
    if let Err(Stop::Failed(error @ (Errno::ENOSYS | Errno::EOPNOTSUPP))) = answer {
        miss(current, entry.number, *error);
    }
    if let Err(Stop::Failed(Errno::EINVAL)) = answer
        && entry.has_flags
    {
        miss(current, entry.number, Errno::EINVAL);
    }
    if TRACES.load(Ordering::Relaxed) {
        tell(current, entry, registers, answer);
    }
}

/// Notes a call that there is not.
pub fn note_unknown(current: &Current, number: u64) {
    miss(current, number, Errno::ENOSYS);
    if TRACES.load(Ordering::Relaxed) && is_traced(current) {
        let name = missing::name(number).unwrap_or("unknown");
        log::info!("{}: {name} (call {number}) = ENOSYS", current.task.id());
    }
}

fn miss(current: &Current, call: u64, error: Errno) {
    let program = current.task.name.lock().clone();
    let mut missed = MISSED.lock();
    let is_same = |other: &Missed| other.call == call && other.error == error && other.program == program;
    if let Some(known) = missed.iter_mut().find(|other| is_same(other)) {
        known.count = known.count.saturating_add(1);
    } else if missed.len() < MOST && missed.try_reserve(1).is_ok() {
        // The first ones tell most.
        missed.push(Missed { program, call, error, count: 1 });
    } else {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

fn is_traced(current: &Current) -> bool {
    let Some(wanted) = TRACED.get() else { return false };
    wanted.as_slice() == b"all" || *current.task.name.lock() == *wanted
}

fn tell(current: &Current, entry: &SystemCall, registers: &[u64; 6], answer: &Answer) {
    if !is_traced(current) {
        return;
    }
    let mut arguments = String::new();
    for (index, register) in registers.iter().take(entry.arguments).enumerate() {
        // Writing to a string does not fail.
        let _ = write!(arguments, "{}{register:#x}", if index > 0 { ", " } else { "" });
    }
    let id = current.task.id();
    match answer {
        Ok(value) => log::info!("{id}: {}({arguments}) = {value:#x}", entry.name),
        Err(Stop::Failed(error)) => log::info!("{id}: {}({arguments}) = {error}", entry.name),
        Err(Stop::Interrupted(_)) => log::info!("{id}: {}({arguments}) is interrupted", entry.name),
        Err(Stop::Elsewhere) => log::info!("{id}: {}({arguments}) goes on elsewhere", entry.name),
    }
}

/// Adds a line for each program and call: the program's name, the call's number and name, what it was answered, how often.
///
/// # Errors
/// [`Errno::ENOMEM`].
pub fn show(text: &mut Output) -> Result<(), Errno> {
    let missed = MISSED.lock();
    for Missed { program, call, error, count } in missed.iter() {
        let name = super::table::find(*call).map(|entry| entry.name).or_else(|| missing::name(*call));
        let name = name.unwrap_or("unknown");
        for part in program.split_inclusive(|byte| *byte == b' ') {
            // A blank would end the name.
            match part {
                [start @ .., b' '] => write!(text, "{}\\x20", start.escape_ascii())?,
                whole => write!(text, "{}", whole.escape_ascii())?,
            }
        }
        writeln!(text, " {call} {name} {error} {count}")?;
    }
    match LOST.load(Ordering::Relaxed) {
        0 => Ok(()),
        lost => Ok(writeln!(text, "and {lost} of more programs or calls")?),
    }
}
