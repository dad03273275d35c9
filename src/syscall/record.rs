//! What is noted of system calls: those that a program missed (/proc/eres/syscalls), and all, if `syscall.trace=` asks for it.

use super::table::SystemCall;
use crate::proc::process::{Answer, Current, Name, Stop};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};
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

/// Which programs are traced: all, or those of this name.
static TRACED: Once<String> = Once::new();
static TRACES: AtomicBool = AtomicBool::new(false);

/// Traces what `syscall.trace=` of the command line names: `all`, or a program's name.
pub fn trace(what: &str) {
    TRACED.call_once(|| what.into());
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
        log::info!("{}: call {number} = ENOSYS", current.task.id());
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
    }
}

fn is_traced(current: &Current) -> bool {
    let Some(wanted) = TRACED.get() else { return false };
    wanted == "all" || current.task.name.lock().as_slice() == wanted.as_bytes()
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

/// Adds a line for each program and call: how often, what it was answered.
///
/// # Errors
/// [`Errno::ENOMEM`].
pub fn show(text: &mut Output) -> Result<(), Errno> {
    let missed = MISSED.lock();
    for Missed { program, call, error, count } in missed.iter() {
        let name = super::table::find(*call).map_or("unknown", |entry| entry.name);
        writeln!(text, "{} {call} {name} {error} {count}", program.escape_ascii())?;
    }
    Ok(())
}
