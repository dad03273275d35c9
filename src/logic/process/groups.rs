//! Process groups and sessions: setpgid(2), setsid(2), and whom kill(2) means.

use super::tree::{Chain, Pid, Tree};
use crate::errno::Errno;

/// Whom a number that kill(2) takes means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// One process.
    Process(Pid),
    /// All of a group.
    Group(Pid),
    /// All but init and the caller.
    Everybody,
}

impl<T> Tree<T> {
    /// The group of a process.
    pub fn group(&self, pid: Pid) -> Option<Pid> {
        self.process(pid).map(|process| process.group)
    }

    /// The session of a process.
    pub fn session(&self, pid: Pid) -> Option<Pid> {
        self.process(pid).map(|process| process.session)
    }

    /// The processes of a group, those that ended too.
    pub fn members(&self, group: Pid) -> impl Iterator<Item = Pid> {
        self.walk(Chain::Members, group)
    }

    /// setpgid(2): puts `pid`, or the caller if that is 0, into `group`, or one of its own if that is 0.
    ///
    /// # Errors
    /// As the man page says: [`Errno::EINVAL`], [`Errno::ESRCH`], [`Errno::EPERM`], [`Errno::EACCES`].
    pub fn set_group(&mut self, caller: Pid, pid: i32, group: i32) -> Result<(), Errno> {
        if group < 0 {
            return Err(Errno::EINVAL);
        }
        let pid = if pid == 0 { caller } else { Pid::from_user(pid).ok_or(Errno::ESRCH)? };
        let group = Pid::from_user(group).unwrap_or(pid);
        let session = self.session(caller).ok_or(Errno::ESRCH)?;
        let target = self.process(pid).ok_or(Errno::ESRCH)?;
        if pid != caller {
            if target.parent != Some(caller) {
                return Err(Errno::ESRCH);
            }
            if target.session != session {
                return Err(Errno::EPERM);
            }
            if target.has_executed {
                return Err(Errno::EACCES);
            }
        }
        if target.session == pid {
            return Err(Errno::EPERM);
        }
        let is_there = self.group_entry(group).is_some_and(|group| group.session == session);
        // A number that is a group of another session is not the process's own either.
        if !is_there && (group != pid || self.group_entry(group).is_some()) {
            return Err(Errno::EPERM);
        }
        if target.group != group {
            self.leave_group(pid);
            self.join_group(pid, group, session);
        }
        Ok(())
    }

    /// setsid(2): the caller gets a session and a group of its own, without a terminal. Answers the session's number.
    ///
    /// # Errors
    /// [`Errno::EPERM`] if a group has its number: it may lead it, or others may have stayed there.
    pub fn set_session(&mut self, caller: Pid) -> Result<Pid, Errno> {
        self.process(caller).ok_or(Errno::ESRCH)?;
        if self.group_entry(caller).is_some() {
            return Err(Errno::EPERM);
        }
        self.leave_group(caller);
        self.open_session(caller);
        self.join_group(caller, caller, caller);
        Ok(caller)
    }

    /// Whom kill(2) means.
    ///
    /// # Errors
    /// [`Errno::ESRCH`] if that is nobody.
    pub fn targets(&self, caller: Pid, number: i32) -> Result<Targets, Errno> {
        match number {
            -1 => Ok(Targets::Everybody),
            0 => self.group(caller).map(Targets::Group).ok_or(Errno::ESRCH),
            // The number of any thread means its process.
            1.. => {
                let pid = Pid::from_user(number).and_then(|tid| self.process_of(tid)).ok_or(Errno::ESRCH)?;
                Ok(Targets::Process(pid))
            }
            _ => {
                let group = number.checked_neg().and_then(Pid::from_user).ok_or(Errno::ESRCH)?;
                self.group_entry(group).map(|_| Targets::Group(group)).ok_or(Errno::ESRCH)
            }
        }
    }

    /// Calls `send` for everybody who is meant, and sums up what it answers: it worked if it did for one.
    ///
    /// # Errors
    /// [`Errno::ESRCH`] if nobody was there, else what `send` answered last.
    pub fn send_to(
        &self,
        caller: Pid,
        targets: Targets,
        send: &mut dyn FnMut(Pid, &T) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let mut result = Err(Errno::ESRCH);
        let mut one = |pid: Pid| {
            let Some(payload) = self.thread(pid) else { return };
            let sent = send(pid, payload);
            if result.is_err() {
                result = sent;
            }
        };
        match targets {
            Targets::Process(pid) => one(pid),
            Targets::Group(group) => self.members(group).for_each(one),
            Targets::Everybody => {
                self.processes().filter(|pid| *pid != Pid::INIT && *pid != caller).for_each(one);
            }
        }
        result
    }
}
