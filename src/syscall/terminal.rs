//! Terminals: ioctl_tty(2), and what job control lets a process do.

use super::blocking::{Waiting, after_ns};
use super::descriptors::TaskBytes;
use crate::proc::files::{SpecialFor, hang_up_terminal, terminal_caller, terminal_number};
use crate::proc::process::{Answer, Stop, Task, post_to_terminal_group, with_tree};
use alloc::format;
use alloc::sync::Arc;
use core::time::Duration;
use linux_raw_sys::{general, ioctl};
use logic::errno::Errno;
use logic::fs::open_file::OpenFile;
use logic::process::Pid;
use logic::signal::{Restart, Signal};
use logic::tty::discipline::LocalFlags;
use logic::tty::job_control::{Access, JobSignal};
use logic::tty::pty::Master;
use logic::tty::requests::{self, Asker, Outcome, TerminalDevice};

/// ioctl(2) of any file.
pub fn control(task: &Arc<Task>, open: &Arc<OpenFile>, request: u32, argument: u64) -> Answer {
    let mut memory = TaskBytes(task);
    let file: &dyn core::any::Any = &**open.file();
    if let (ioctl::TIOCGPTPEER, Some(master)) = (request, file.downcast_ref::<Master>()) {
        return open_peer(task, master, argument);
    }
    let Some(terminal) = open.file().terminal() else {
        return Ok(open.file().control(request, argument, &mut memory)?);
    };
    let session_of = |group: u32| {
        let group = Pid::new(group)?;
        with_tree(|tree| tree.members(group).next().and_then(|member| tree.session(member))).flatten().map(Pid::number)
    };
    let asker = Asker { caller: terminal_caller(task), session_of: &session_of };
    match requests::control(terminal, Some(&asker), request, argument, &mut memory)? {
        Outcome::Done if request == ioctl::TIOCSPGRP => {
            tell_tree_of_foreground(task, terminal);
            Ok(0)
        }
        Outcome::Done => Ok(0),
        Outcome::Stopped(signal) => stop(asker.caller.group, signal),
        Outcome::Acquired(lost) => {
            lost.into_iter().for_each(hang_up_terminal);
            with_tree(|tree| tree.set_terminal(task.process.id, terminal_number(terminal), true));
            Ok(0)
        }
        Outcome::GaveUp(lost) => {
            with_tree(|tree| {
                let _ = tree.give_up_terminal(task.process.id, terminal_number(terminal), &mut |_| ());
            });
            // The leader knows.
            if let Some(group) = lost.and_then(|lost| lost.foreground).and_then(Pid::new) {
                post_to_terminal_group(group, Signal::SIGHUP);
                post_to_terminal_group(group, Signal::SIGCONT);
            }
            Ok(0)
        }
    }
}

/// `TIOCGPTPEER`: opens the slave's side, with open(2)'s flags, where it is in /dev/pts.
fn open_peer(task: &Task, master: &Master, flags: u64) -> Answer {
    let flags = u32::try_from(flags & u64::from(u32::MAX)).unwrap_or(0);
    let path = format!("/dev/pts/{}", master.pty().number());
    let walker = task.walker(None)?;
    let open = walker.caller().open(path.as_bytes(), flags & !general::O_CREAT, 0, &SpecialFor(task))?;
    Ok(task.add_descriptor(open, flags & general::O_CLOEXEC != 0)?)
}

/// The tree knows who is in the foreground of a session, too, because it is told when the session's leader ends.
fn tell_tree_of_foreground(task: &Task, terminal: &dyn TerminalDevice) {
    let foreground = terminal.jobs().lock().foreground().and_then(|group| i32::try_from(group).ok());
    if let Some(group) = foreground {
        // The group may have gone meanwhile.
        with_tree(|tree| tree.set_foreground(task.process.id, terminal_number(terminal), group));
    }
}

/// Reads from a terminal for as long as its settings say (termios(3), "Canonical and noncanonical mode").
pub fn read(task: &Task, open: &OpenFile, terminal: &dyn TerminalDevice, bytes: &mut [u8]) -> Result<usize, Stop> {
    let pace = terminal.pace();
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let mut deadline = pace.total.map(|time| after_ns(nanoseconds(time)));
    let wanted = pace.minimum.min(bytes.len());
    let mut done = 0;
    loop {
        let rest = bytes.get_mut(done..).unwrap_or_default();
        match (Waiting { deadline, ..Waiting::new(task) }.on(open, false, || open.read(rest))) {
            Ok(count) => {
                done += count;
                // Nothing is the end.
                if count == 0 || done >= wanted {
                    return Ok(done);
                }
            }
            Err(Stop::Failed(Errno::EAGAIN)) if deadline.is_some() => return Ok(done),
            Err(_) if done > 0 => return Ok(done),
            Err(stop) => return Err(stop),
        }
        deadline = pace.between_bytes.map(|time| after_ns(nanoseconds(time)));
    }
}

/// The caller's group gets the signal; the call is made again when it goes on.
fn stop(group: u32, signal: JobSignal) -> Answer {
    let signal = match signal {
        JobSignal::Input => Signal::SIGTTIN,
        JobSignal::Output => Signal::SIGTTOU,
    };
    if let Some(group) = Pid::new(group) {
        post_to_terminal_group(group, signal);
    }
    Err(Stop::Interrupted(Restart::IfSaRestart))
}

/// Whether the task may read from a terminal now.
pub fn check_read(task: &Arc<Task>, open: &OpenFile) -> Result<(), Stop> {
    let Some(terminal) = open.file().terminal() else { return Ok(()) };
    let caller = terminal_caller(task);
    let access = terminal.jobs().lock().read(&caller);
    granted(access, caller.group)
}

/// Whether the task may write to a terminal now: only `TOSTOP` keeps the background from it.
pub fn check_write(task: &Arc<Task>, open: &OpenFile) -> Result<(), Stop> {
    let Some(terminal) = open.file().terminal() else { return Ok(()) };
    if !terminal.termios().local.contains(LocalFlags::TOSTOP) {
        return Ok(());
    }
    let caller = terminal_caller(task);
    let access = terminal.jobs().lock().change(&caller);
    granted(access, caller.group)
}

fn granted(access: Access, group: u32) -> Result<(), Stop> {
    match access {
        Access::Granted => Ok(()),
        Access::Refused(error) => Err(Errno::into(error)),
        Access::Stopped(signal) => stop(group, signal).map(|_| ()),
    }
}
