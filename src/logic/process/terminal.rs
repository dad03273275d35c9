//! Controlling terminals: which session has which, which group is in the foreground, and what becomes of the others.

use super::exit::Event;
use super::tree::{Chain, Pid, Tree};
use crate::errno::Errno;

/// A terminal, by a number that no other has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal(pub u64);

impl<T> Tree<T> {
    /// The terminal of a process's session.
    pub fn terminal(&self, pid: Pid) -> Option<Terminal> {
        self.session_entry(self.session(pid)?)?.terminal
    }

    fn session_with(&self, terminal: Terminal) -> Option<Pid> {
        let mut sessions = self.numbers.iter().filter_map(|(pid, number)| Some((pid, number.session.as_ref()?)));
        sessions.find(|(_, session)| session.terminal == Some(terminal)).map(|(pid, _)| pid)
    }

    /// `TIOCSCTTY` of ioctl_tty(2), and what open(2) does without `O_NOCTTY`: the caller's session gets the terminal.
    /// `takes` lets root take it from another session.
    ///
    /// # Errors
    /// [`Errno::EPERM`] if the caller does not lead its session, or that has a terminal, or another has this one.
    pub fn set_terminal(&mut self, caller: Pid, terminal: Terminal, takes: bool) -> Result<(), Errno> {
        let session = self.session(caller).ok_or(Errno::EPERM)?;
        let group = self.group(caller);
        let has = self.terminal(caller);
        if session == caller && has == Some(terminal) {
            return Ok(());
        }
        if session != caller || has.is_some() {
            return Err(Errno::EPERM);
        }
        if let Some(other) = self.session_with(terminal) {
            if !takes {
                return Err(Errno::EPERM);
            }
            if let Some(other) = self.session_entry_mut(other) {
                (other.terminal, other.foreground) = (None, None);
            }
        }
        if let Some(session) = self.session_entry_mut(session) {
            (session.terminal, session.foreground) = (Some(terminal), group);
        }
        Ok(())
    }

    /// `TIOCNOTTY`: the caller's session gives its terminal up. Only who leads it can do that; for others nothing
    /// changes here.
    ///
    /// # Errors
    /// [`Errno::ENOTTY`] if it is not the session's terminal.
    pub fn give_up_terminal(
        &mut self,
        caller: Pid,
        terminal: Terminal,
        tell: &mut dyn FnMut(Event<T>),
    ) -> Result<(), Errno> {
        if self.terminal(caller) != Some(terminal) {
            return Err(Errno::ENOTTY);
        }
        if self.session(caller) == Some(caller) {
            self.hang_up(caller, tell);
        }
        Ok(())
    }

    /// A session loses its terminal.
    pub(super) fn hang_up(&mut self, session: Pid, tell: &mut dyn FnMut(Event<T>)) {
        let Some(session) = self.session_entry_mut(session) else { return };
        let had = session.terminal.take();
        let foreground = session.foreground.take().filter(|group| self.group_entry(*group).is_some());
        if let (Some(_), Some(group)) = (had, foreground) {
            tell(Event::HangUp(group));
        }
    }

    /// The group in the foreground of a terminal, whoever asks: who gets what its keys send.
    pub fn foreground(&self, terminal: Terminal) -> Option<Pid> {
        let foreground = self.session_entry(self.session_with(terminal)?)?.foreground?;
        self.group_entry(foreground).map(|_| foreground)
    }

    /// tcsetpgrp(3): puts a group in the foreground. The caller asked [`JobControl::change`](crate::tty::job_control::JobControl::change) before.
    ///
    /// # Errors
    /// As the man page says: [`Errno::ENOTTY`], [`Errno::EINVAL`], [`Errno::ESRCH`], [`Errno::EPERM`].
    pub fn set_foreground(&mut self, caller: Pid, terminal: Terminal, group: i32) -> Result<(), Errno> {
        if self.terminal(caller) != Some(terminal) {
            return Err(Errno::ENOTTY);
        }
        let session = self.session(caller).ok_or(Errno::ENOTTY)?;
        let group = Pid::from_user(group).ok_or(Errno::EINVAL)?;
        if self.group_entry(group).ok_or(Errno::ESRCH)?.session != session {
            return Err(Errno::EPERM);
        }
        if let Some(session) = self.session_entry_mut(session) {
            session.foreground = Some(group);
        }
        Ok(())
    }

    /// The processes of a session, those that ended too.
    pub fn session_members(&self, session: Pid) -> impl Iterator<Item = Pid> {
        let groups = self
            .numbers
            .iter()
            .filter(move |(_, number)| number.group.as_ref().is_some_and(|group| group.session == session));
        groups.flat_map(|(group, _)| self.walk(Chain::Members, group))
    }
}
