//! Terminals of all kinds, and the sessions that they control.
//!
//! A terminal knows its session and foreground ([`JobControl`](logic::tty::job_control::JobControl)); the tree of processes knows each
//! session's terminal, by the number of its device. What changes the one changes the other here, or right where it is asked for.

use super::{CLOCK, TERMINALS_DEVICE, console, special};
use crate::proc::process::{Task, post_to_terminal_group, post_to_terminal_leader, with_tree};
use alloc::sync::Arc;
use logic::errno::Errno;
use logic::fs::File;
use logic::fs::attributes::{Clock, DeviceNumber};
use logic::fs::credentials::Ownership;
use logic::process::{Pid, Terminal};
use logic::signal::Signal;
use logic::sync::{IrqLock, Rank};
use logic::tty::discipline;
use logic::tty::job_control::{Caller, HangUp};
use logic::tty::pty::{PseudoTerminals, SLAVES, TerminalFileSystem};
use logic::tty::requests::{SignalSink, TerminalDevice};
use spin::Once;

/// Who gets what is typed at pseudo-terminals.
struct Groups;

impl SignalSink for Groups {
    fn signal(&self, group: u32, signal: discipline::Signal) {
        signal_group(group, signal);
    }

    fn hang_up(&self, whom: HangUp) {
        hang_up(whom);
    }
}

/// Sends a group what was typed at its terminal.
pub(super) fn signal_group(group: u32, signal: discipline::Signal) {
    let signal = match signal {
        discipline::Signal::Interrupt => Signal::SIGINT,
        discipline::Signal::Quit => Signal::SIGQUIT,
        discipline::Signal::Suspend => Signal::SIGTSTP,
        discipline::Signal::WindowChanged => Signal::SIGWINCH,
    };
    if let Some(group) = Pid::new(group) {
        post_to_terminal_group(group, signal);
    }
}

fn pseudo_terminals() -> &'static Arc<PseudoTerminals> {
    static ALL: Once<Arc<PseudoTerminals>> = Once::new();
    ALL.call_once(|| PseudoTerminals::new(Arc::new(Groups)))
}

/// Options of the file system: whose the slaves are, and who may open them. What is not said is as Linux has it.
#[derive(Clone, Copy)]
struct Options {
    user: Option<u32>,
    group: Option<u32>,
    permissions: u16,
}

static OPTIONS: IrqLock<Options> = IrqLock::new(Rank::File, Options { user: None, group: None, permissions: 0o600 });

/// /dev/pts: one for all who mount it, with the options of the last.
///
/// # Errors
/// [`Errno::EINVAL`] if an option makes no sense.
pub(super) fn file_system(options: &[u8]) -> Result<Arc<TerminalFileSystem>, Errno> {
    static FILE_SYSTEM: Once<Arc<TerminalFileSystem>> = Once::new();
    let file_system =
        FILE_SYSTEM.call_once(|| TerminalFileSystem::new(pseudo_terminals().clone(), TERMINALS_DEVICE, &CLOCK));
    let number = |text: &str| text.parse().map(Some).map_err(|_| Errno::EINVAL);
    let octal = |text: &str| u16::from_str_radix(text, 8).map(|mode| mode & 0o777).map_err(|_| Errno::EINVAL);
    let mut wanted = *OPTIONS.lock();
    let text = core::str::from_utf8(options).map_err(|_| Errno::EINVAL)?;
    for option in text.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("uid", user)) => wanted.user = number(user)?,
            Some(("gid", group)) => wanted.group = number(group)?,
            Some(("mode", mode)) => wanted.permissions = octal(mode)?,
            Some(("ptmxmode", mode)) => file_system.set_multiplexer_permissions(octal(mode)?),
            // There are as many as there may be, and all mounts show the same.
            Some(("max", _)) | None => {}
            _ => return Err(Errno::EINVAL),
        }
    }
    *OPTIONS.lock() = wanted;
    Ok(file_system.clone())
}

/// Opens /dev/ptmx.
///
/// # Errors
/// As [`PseudoTerminals::open`].
pub(super) fn open_master(task: &Task) -> Result<Arc<dyn File>, Errno> {
    let Options { user, group, permissions } = *OPTIONS.lock();
    let credentials = task.credentials();
    let owner = Ownership {
        user: user.unwrap_or(credentials.users.file_system),
        group: group.unwrap_or(credentials.groups.file_system),
        permissions,
    };
    Ok(pseudo_terminals().open(owner, CLOCK.now())?)
}

/// Opens the slave's side of a pseudo-terminal.
///
/// # Errors
/// [`Errno::EIO`] if there is none, or it is locked.
pub(super) fn open_slave(number: u32) -> Result<Arc<dyn File>, Errno> {
    Ok(pseudo_terminals().find(number).ok_or(Errno::EIO)?.open_slave()?)
}

/// Opens /dev/tty: the terminal of the task's session.
///
/// # Errors
/// [`Errno::ENXIO`] if it has none; [`Errno::EIO`] if that is gone.
pub(super) fn own(task: &Task) -> Result<Arc<dyn File>, Errno> {
    let Terminal(number) = with_tree(|tree| tree.terminal(task.process.id)).flatten().ok_or(Errno::ENXIO)?;
    match DeviceNumber::decode(number) {
        special::CONSOLE => Ok(console::file()),
        DeviceNumber { major: SLAVES, minor } => open_slave(minor),
        _ => Err(Errno::ENXIO),
    }
}

/// The number by which the tree knows a terminal.
pub fn number(terminal: &dyn TerminalDevice) -> Terminal {
    Terminal(terminal.device().encode())
}

/// What is known of a task, for job control.
pub fn caller(task: &Task) -> Caller {
    let pid = task.process.id;
    let is_deaf = |signal| {
        let mask = task.signal_mask();
        mask.contains(signal) || task.process.actions.lock().ignores(signal)
    };
    let (ignores_input, ignores_output) = (is_deaf(Signal::SIGTTIN), is_deaf(Signal::SIGTTOU));
    let is_privileged = task.credentials().is_privileged();
    with_tree(|tree| {
        let (group, session) = (tree.group(pid), tree.session(pid));
        Caller {
            group: group.map_or(0, Pid::number),
            session: session.map_or(0, Pid::number),
            leads_session: session == Some(pid),
            has_terminal: tree.terminal(pid).is_some(),
            is_orphaned: group.is_some_and(|group| tree.is_orphaned(group)),
            ignores_input,
            ignores_output,
            is_privileged,
        }
    })
    .unwrap_or_default()
}

/// open(2) by the leader of a session without a terminal makes `file` its terminal.
pub(super) fn become_controlling(task: &Task, file: &dyn File) {
    let Some(terminal) = file.terminal() else { return };
    let caller = caller(task);
    let acquired =
        caller.leads_session && !caller.has_terminal && terminal.jobs().lock().acquire(&caller, false).is_ok();
    if acquired {
        with_tree(|tree| tree.set_terminal(task.process.id, number(terminal), false));
    }
}

/// A session has lost its terminal, because that is gone or another session has it: its leader and who was in the foreground are
/// told.
pub fn hang_up(HangUp { session, foreground }: HangUp) {
    if let Some(leader) = Pid::new(session) {
        with_tree(|tree| {
            // The terminal knows better who was in the foreground. Another session's new terminal stays.
            if let Some(terminal) = tree.terminal(leader) {
                let _ = tree.give_up_terminal(leader, terminal, &mut |_| ());
            }
        });
        post_to_terminal_leader(leader, Signal::SIGHUP);
        post_to_terminal_leader(leader, Signal::SIGCONT);
    }
    if let Some(group) = foreground.and_then(Pid::new) {
        post_to_terminal_group(group, Signal::SIGHUP);
        post_to_terminal_group(group, Signal::SIGCONT);
    }
}

/// The leader of a session has ended, and so the terminal that it had is free. Who was in the foreground has been told.
pub fn release(session: Pid, Terminal(number): Terminal) {
    let free = |terminal: &dyn TerminalDevice| {
        let mut jobs = terminal.jobs().lock();
        if jobs.session() == Some(session.number()) {
            jobs.hang_up();
        }
    };
    match DeviceNumber::decode(number) {
        special::CONSOLE => console::file().terminal().into_iter().for_each(free),
        DeviceNumber { major: SLAVES, minor } => {
            if let Some(terminal) = pseudo_terminals().find(minor) {
                free(&*terminal);
            }
        }
        _ => {}
    }
}
