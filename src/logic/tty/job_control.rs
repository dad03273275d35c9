//! Who may use a terminal: sessions, and the process group in its foreground (setsid(2), tcsetpgrp(3), credentials(7)).
//!
//! A terminal keeps the session that it controls and the group in the foreground; processes are known only by what a
//! [`Caller`] says. What is to be done with them is a return value.

use crate::errno::Errno;

/// A signal of job control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobSignal {
    /// SIGTTIN: a read from the background.
    Input,
    /// SIGTTOU: output or a change of settings from the background.
    Output,
}

/// What the layer above knows of the process that calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// It leads its session.
    pub leads_session: bool,
    /// Its session has a controlling terminal, this or another.
    pub has_terminal: bool,
    /// Its group is orphaned: there is nobody who could continue it.
    pub is_orphaned: bool,
    /// It ignores or blocks SIGTTIN.
    pub ignores_input: bool,
    /// It ignores or blocks SIGTTOU.
    pub ignores_output: bool,
    /// It may take a terminal away from another session (CAP_SYS_ADMIN).
    pub is_privileged: bool,
}

/// Whether a call may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Granted,
    /// The caller's process group gets the signal, and the call is made again when it goes on.
    Stopped(JobSignal),
    /// It fails.
    Refused(Errno),
}

/// Whom a hang-up concerns: the leader of the session, and the group that was in the foreground, get SIGHUP and SIGCONT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HangUp {
    /// The session, which has no controlling terminal any more.
    pub session: u32,
    /// The group.
    pub foreground: Option<u32>,
}

/// The jobs of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobControl {
    session: Option<u32>,
    foreground: Option<u32>,
}

impl JobControl {
    /// A terminal that controls no session.
    pub const fn new() -> Self {
        Self { session: None, foreground: None }
    }

    /// The session that it controls.
    pub fn session(&self) -> Option<u32> {
        self.session
    }

    /// The process group in the foreground.
    pub fn foreground(&self) -> Option<u32> {
        self.foreground
    }

    /// Whether this is the caller's controlling terminal.
    pub fn controls(&self, caller: &Caller) -> bool {
        self.session == Some(caller.session)
    }

    /// Whether the caller may read.
    pub fn read(&self, caller: &Caller) -> Access {
        self.check(caller, JobSignal::Input)
    }

    /// Whether the caller may write, if `TOSTOP` is set, or change settings in any case.
    pub fn change(&self, caller: &Caller) -> Access {
        self.check(caller, JobSignal::Output)
    }

    fn check(&self, caller: &Caller, signal: JobSignal) -> Access {
        let is_background = self.controls(caller) && self.foreground.is_some_and(|group| group != caller.group);
        match signal {
            _ if !is_background => Access::Granted,
            JobSignal::Output if caller.ignores_output => Access::Granted,
            JobSignal::Input if caller.ignores_input => Access::Refused(Errno::EIO),
            _ if caller.is_orphaned => Access::Refused(Errno::EIO),
            _ => Access::Stopped(signal),
        }
    }

    /// `TIOCSCTTY`, and open(2) by a session's leader without a terminal: this becomes the controlling terminal of the caller's
    /// session. `steals` takes it from another, which is told.
    ///
    /// # Errors
    /// [`Errno::EPERM`].
    pub fn acquire(&mut self, caller: &Caller, steals: bool) -> Result<Option<HangUp>, Errno> {
        if caller.leads_session && self.controls(caller) {
            return Ok(None);
        }
        let may_steal = steals && caller.is_privileged;
        if !caller.leads_session || caller.has_terminal || (self.session.is_some() && !may_steal) {
            return Err(Errno::EPERM);
        }
        let lost = self.hang_up();
        *self = Self { session: Some(caller.session), foreground: Some(caller.group) };
        Ok(lost)
    }

    /// `TIOCSPGRP`: puts a group into the foreground. `session_of` tells a group's session.
    ///
    /// # Errors
    /// [`Errno::ENOTTY`] if this is not the caller's controlling terminal; [`Errno::ESRCH`] if there is no such group;
    /// [`Errno::EPERM`] if it is of another session.
    pub fn set_foreground(
        &mut self,
        caller: &Caller,
        group: u32,
        session_of: &dyn Fn(u32) -> Option<u32>,
    ) -> Result<(), Errno> {
        if !self.controls(caller) {
            return Err(Errno::ENOTTY);
        }
        if session_of(group).ok_or(Errno::ESRCH)? != caller.session {
            return Err(Errno::EPERM);
        }
        self.foreground = Some(group);
        Ok(())
    }

    /// The terminal is gone, or its session's leader is, or gives it up: it controls nobody any more.
    pub fn hang_up(&mut self) -> Option<HangUp> {
        let Self { session, foreground } = core::mem::take(self);
        session.map(|session| HangUp { session, foreground })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEADER: Caller = Caller {
        group: 1,
        session: 1,
        leads_session: true,
        has_terminal: false,
        is_orphaned: false,
        ignores_input: false,
        ignores_output: false,
        is_privileged: false,
    };

    fn terminal() -> JobControl {
        let mut jobs = JobControl::new();
        assert_eq!(jobs.acquire(&LEADER, false), Ok(None));
        jobs
    }

    #[test]
    fn the_foreground_may_do_everything_and_the_background_is_stopped() {
        let mut jobs = terminal();
        assert_eq!((jobs.read(&LEADER), jobs.change(&LEADER)), (Access::Granted, Access::Granted));
        jobs.set_foreground(&LEADER, 2, &|_| Some(1)).expect("of the session");
        assert_eq!(jobs.read(&LEADER), Access::Stopped(JobSignal::Input));
        assert_eq!(jobs.change(&LEADER), Access::Stopped(JobSignal::Output));
        assert_eq!(jobs.read(&Caller { group: 2, ..LEADER }), Access::Granted);
        assert_eq!(jobs.read(&Caller { session: 9, ..LEADER }), Access::Granted, "it is not its terminal");
    }

    #[test]
    fn who_cannot_be_stopped_fails_to_read_but_not_to_write() {
        let mut jobs = terminal();
        jobs.set_foreground(&LEADER, 2, &|_| Some(1)).expect("of the session");
        let ignoring = Caller { ignores_input: true, ignores_output: true, ..LEADER };
        assert_eq!((jobs.read(&ignoring), jobs.change(&ignoring)), (Access::Refused(Errno::EIO), Access::Granted));
        let orphan = Caller { is_orphaned: true, ..LEADER };
        assert_eq!([jobs.read(&orphan), jobs.change(&orphan)], [Access::Refused(Errno::EIO); 2]);
    }

    #[test]
    fn a_terminal_is_acquired_by_a_leader_without_one_if_it_is_free() {
        let mut jobs = JobControl::new();
        for caller in [Caller { leads_session: false, ..LEADER }, Caller { has_terminal: true, ..LEADER }] {
            assert_eq!(jobs.acquire(&caller, true), Err(Errno::EPERM));
        }
        assert_eq!(jobs.acquire(&LEADER, false), Ok(None));
        assert_eq!(jobs.acquire(&Caller { has_terminal: true, ..LEADER }, false), Ok(None), "it has it already");
        let other = Caller { group: 5, session: 5, ..LEADER };
        assert_eq!([false, true].map(|steals| jobs.acquire(&other, steals)), [Err(Errno::EPERM); 2]);
        let mighty = Caller { is_privileged: true, ..other };
        assert_eq!(jobs.acquire(&mighty, false), Err(Errno::EPERM));
        assert_eq!(jobs.acquire(&mighty, true), Ok(Some(HangUp { session: 1, foreground: Some(1) })));
        assert_eq!((jobs.session(), jobs.foreground()), (Some(5), Some(5)));
    }

    #[test]
    fn only_groups_of_the_session_come_to_the_foreground() {
        let mut jobs = terminal();
        let session_of = |group| (group < 4).then_some(if group == 3 { 7 } else { 1 });
        assert_eq!(jobs.set_foreground(&LEADER, 2, &session_of), Ok(()));
        assert_eq!(jobs.set_foreground(&LEADER, 3, &session_of), Err(Errno::EPERM));
        assert_eq!(jobs.set_foreground(&LEADER, 4, &session_of), Err(Errno::ESRCH));
        assert_eq!(jobs.set_foreground(&Caller { session: 7, ..LEADER }, 3, &session_of), Err(Errno::ENOTTY));
        assert_eq!(jobs.hang_up(), Some(HangUp { session: 1, foreground: Some(2) }));
        assert_eq!((jobs.hang_up(), jobs.session()), (None, None));
    }
}
