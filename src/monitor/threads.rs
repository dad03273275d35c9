//! `threads`, `backtrace`: who there is, what they do, and who called whom.

use super::context::{Complaint, Context, Outcome, complain};
use crate::hw::backtrace;
use crate::proc::scheduler;
use crate::proc::thread::{self, Priority, Thread};
use alloc::sync::Arc;
use arrayvec::ArrayString;
use core::fmt::{self, Write};
use logic::backtrace::Frame;
use logic::monitor::words;

/// Lines of a backtrace.
const MOST_LINES: usize = 40;

/// Lists threads, or shows where one or all will go on.
pub fn threads(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    match arguments {
        [] => visit(context, |context, thread| tell(context, thread)),
        ["all"] => visit(context, |context, thread| {
            tell(context, thread)?;
            tell_frames(context, thread)
        }),
        [word] => {
            let Ok(id) = words::number(word) else { complain!("`{word}` is no thread: `threads` lists their numbers") };
            let mut found = false;
            visit(context, |context, thread| {
                if thread.id() != id {
                    return Ok(());
                }
                found = true;
                tell(context, thread)?;
                tell_frames(context, thread)
            })?;
            if !found {
                complain!("there is no thread {id}: `threads` lists their numbers");
            }
            Ok(())
        }
        _ => Err(Complaint::Usage),
    }
}

/// Calls `show` for all threads, the idle ones first, until it fails.
fn visit(context: &mut Context<'_>, mut show: impl FnMut(&mut Context<'_>, &Arc<Thread>) -> fmt::Result) -> Outcome {
    let mut outcome = Ok(());
    let is_panic = context.panicking.is_some();
    let mut step = |thread: &Arc<Thread>| outcome = outcome.and_then(|()| show(context, thread));
    scheduler::idle_threads().for_each(|thread| step(&thread));
    let listed = if is_panic {
        thread::try_for_each(step)
    } else {
        thread::for_each(step);
        Ok(())
    };
    outcome?;
    if listed.is_err() {
        complain!("the list of threads was being changed when the kernel panicked");
    }
    Ok(())
}

fn tell(context: &mut Context<'_>, thread: &Thread) -> fmt::Result {
    let mut priority = ArrayString::<12>::new();
    match thread.priority() {
        Priority::Urgent => priority.push_str("urgent"),
        Priority::Idle => priority.push_str("idle"),
        // Two digits and a sign.
        Priority::Fair(nice) => write!(priority, "nice {}", nice.value())?,
    }
    let milliseconds = thread.run_time().as_millis();
    writeln!(
        context,
        "{:>5}  {:<16} {priority:<8} {:<14} {milliseconds:>8} ms",
        thread.id(),
        thread.name(),
        thread.state()
    )
}

fn tell_frames(context: &mut Context<'_>, thread: &Thread) -> fmt::Result {
    match backtrace::of_context(thread.as_ref()) {
        Some(frames) if frames.is_empty() => writeln!(context, "         has not run yet"),
        Some(frames) => frames.into_iter().try_for_each(|frame| tell_frame(context, frame)),
        None => writeln!(context, "         runs, so that its stack changes while one looks"),
    }
}

fn tell_frame(context: &mut Context<'_>, frame: Frame) -> fmt::Result {
    let (Frame::Return(address) | Frame::Interrupted(address)) = frame;
    match backtrace::symbol(frame) {
        Some((name, offset)) => writeln!(context, "         {address:016x} {name}+{offset:#x}"),
        None => writeln!(context, "         {address:016x}"),
    }
}

/// Shows who called whom: up to the panic, or to this.
pub fn backtrace(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    if !arguments.is_empty() {
        return Err(Complaint::Usage);
    }
    let frames = match context.panicking {
        Some(panicking) => backtrace::of_panic(panicking),
        None => backtrace::of_caller(),
    };
    Ok(frames.take(MOST_LINES).try_for_each(|frame| tell_frame(context, frame))?)
}
