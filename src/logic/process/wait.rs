//! Which child a parent hears of: wait4(2), waitid(2).

use super::status::{Status, Usage};
use super::tree::{Chain, Pid, Process, State, Tree};
use crate::errno::Errno;
use crate::signal::Signal;
use bitflags::bitflags;
use linux_raw_sys::general;

bitflags! {
    /// What is waited for, and how.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct WaitOptions: u32 {
        /// If there is nothing to tell yet, the call answers at once.
        const NO_HANG = general::WNOHANG;
        /// Children that stopped.
        const STOPPED = general::WSTOPPED;
        /// Children that ended.
        const EXITED = general::WEXITED;
        /// Children that go on.
        const CONTINUED = general::WCONTINUED;
        /// What is told can be told again.
        const NO_WAIT = general::WNOWAIT;
        /// No children of other threads: ours are children of the process.
        const NO_THREAD = general::__WNOTHREAD;
        /// Children with any signal at their end.
        const ALL = general::__WALL;
        /// Only children with another signal than SIGCHLD at their end.
        const CLONE = general::__WCLONE;
    }
}

impl WaitOptions {
    /// Those of wait4(2), which always waits for children that end.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] for others.
    pub fn for_wait4(bits: u32) -> Result<Self, Errno> {
        let taken = Self::NO_HANG | Self::STOPPED | Self::CONTINUED | Self::NO_THREAD | Self::ALL | Self::CLONE;
        let options = Self::from_bits(bits).filter(|options| taken.contains(*options)).ok_or(Errno::EINVAL)?;
        Ok(options | Self::EXITED)
    }

    /// Those of waitid(2), which says what it waits for.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] for others, or none to wait for.
    pub fn for_waitid(bits: u32) -> Result<Self, Errno> {
        let reasons = Self::EXITED | Self::STOPPED | Self::CONTINUED;
        Self::from_bits(bits).filter(|options| options.intersects(reasons)).ok_or(Errno::EINVAL)
    }
}

/// Which children count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All.
    Any,
    /// This one.
    Process(Pid),
    /// Those in this group.
    Group(Pid),
}

impl Which {
    /// As wait4(2) numbers them, for a process in the group `own`.
    ///
    /// # Errors
    /// [`Errno::ESRCH`] for the one number that no group can have.
    pub fn for_wait4(number: i32, own: Pid) -> Result<Self, Errno> {
        match number {
            -1 => Ok(Self::Any),
            0 => Ok(Self::Group(own)),
            1.. => Pid::from_user(number).map(Self::Process).ok_or(Errno::ESRCH),
            _ => number.checked_neg().and_then(Pid::from_user).map(Self::Group).ok_or(Errno::ESRCH),
        }
    }

    /// As waitid(2) numbers them, for a process in the group `own`. Descriptors of processes are the caller's business.
    ///
    /// # Errors
    /// [`Errno::EINVAL`].
    pub fn for_waitid(kind: u32, number: i32, own: Pid) -> Result<Self, Errno> {
        match (kind, number) {
            (general::P_ALL, _) => Ok(Self::Any),
            (general::P_PGID, 0) => Ok(Self::Group(own)),
            (general::P_PID, _) => Pid::from_user(number).map(Self::Process).ok_or(Errno::EINVAL),
            (general::P_PGID, _) => Pid::from_user(number).map(Self::Group).ok_or(Errno::EINVAL),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// What a parent hears.
#[derive(Debug, PartialEq, Eq)]
pub struct Report<T> {
    /// Of whom.
    pub pid: Pid,
    /// Its real user.
    pub uid: u32,
    /// What became of it.
    pub status: Status,
    /// If it ended: what it used, with its children that it waited for.
    pub usage: Usage,
    /// What the kernel had for its first thread, if the process is gone now.
    pub gone: Option<T>,
}

impl<T> Tree<T> {
    /// The next thing that a process hears of its children; `None` if there is nothing yet.
    ///
    /// # Errors
    /// [`Errno::ECHILD`] if there are no such children.
    pub fn wait(&mut self, caller: Pid, which: Which, options: WaitOptions) -> Result<Option<Report<T>>, Errno> {
        let mut has_children = false;
        let mut found = None;
        for (pid, child) in self.walk(Chain::Children, caller).filter_map(|pid| Some((pid, self.process(pid)?))) {
            if !is_meant(pid, child, which, options) {
                continue;
            }
            has_children = true;
            if let Some(status) = news(child, options) {
                // As long as threads other than the first are left, the process has not ended: it is no zombie.
                found = Some((pid, child.uid, status));
                break;
            }
        }
        match found {
            Some((pid, uid, status)) => Ok(Some(self.report(caller, pid, uid, status, options))),
            None if has_children => Ok(None),
            None => Err(Errno::ECHILD),
        }
    }

    fn report(&mut self, caller: Pid, pid: Pid, uid: u32, status: Status, options: WaitOptions) -> Report<T> {
        let keeps = options.contains(WaitOptions::NO_WAIT);
        let mut report = Report { pid, uid, status, usage: Usage::default(), gone: None };
        let Some(child) = self.process_mut(pid) else { return report };
        match &mut child.state {
            State::Zombie(ended) => {
                report.usage = ended.usage.and(&child.children_usage);
                if !keeps {
                    if let Some(caller) = self.process_mut(caller) {
                        caller.children_usage = caller.children_usage.and(&report.usage);
                    }
                    report.gone = self.remove_process(pid);
                }
            }
            State::Stopped { reported, .. } => *reported |= !keeps,
            State::Running => child.continued &= keeps,
        }
        report
    }
}

fn is_meant(pid: Pid, child: &Process, which: Which, options: WaitOptions) -> bool {
    let chosen = match which {
        Which::Any => true,
        Which::Process(wanted) => pid == wanted,
        Which::Group(group) => child.group == group,
    };
    let is_clone = child.exit_signal != Some(Signal::SIGCHLD);
    chosen && (options.contains(WaitOptions::ALL) || is_clone == options.contains(WaitOptions::CLONE))
}

fn news(child: &Process, options: WaitOptions) -> Option<Status> {
    match child.state {
        State::Zombie(ended) => options.contains(WaitOptions::EXITED).then_some(ended.status),
        State::Stopped { signal, reported: false } => {
            options.contains(WaitOptions::STOPPED).then_some(Status::Stopped(signal))
        }
        State::Running if child.continued => options.contains(WaitOptions::CONTINUED).then_some(Status::Continued),
        _ => None,
    }
}
