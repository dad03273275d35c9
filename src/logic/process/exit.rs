//! How threads and processes end, stop and go on, and who hears of it.

use super::status::{Status, Usage};
use super::tree::{Chain, Pid, Process, State, Tree};
use crate::errno::Errno;
use crate::signal::Signal;

/// Something that others are to be told, with a signal each. The tree stays locked meanwhile.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<T> {
    /// A child changed: its parent gets the signal, if any, and may be waiting.
    Child {
        /// Who is told.
        parent: Pid,
        /// Of whom.
        child: Pid,
        /// By what, if the child has a signal for that.
        signal: Option<Signal>,
        /// What became of it.
        status: Status,
    },
    /// Nobody can let a stopped group go on any more: it gets SIGHUP, then SIGCONT.
    Orphaned(Pid),
    /// The session that a group is in the foreground of has lost its terminal: it gets SIGHUP, then SIGCONT.
    HangUp(Pid),
    /// Nothing is left of a process, because its parent does not want to know: what the kernel had for its first
    /// thread, to be dropped when the tree is not locked any more.
    Gone(T),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The reason.
    pub status: Status,
    /// What it used itself.
    pub usage: Usage,
    /// Its real user.
    pub uid: u32,
}

impl<T> Tree<T> {
    /// A thread ends. Answers what the kernel had for it, unless it was the first of its process, and whether it was
    /// the last: then [`Tree::exit_process`] is next.
    ///
    /// # Errors
    /// [`Errno::ESRCH`] if there is no such thread.
    pub fn exit_thread(&mut self, tid: Pid) -> Result<(Option<T>, bool), Errno> {
        let thread = self.numbers.get_mut(tid).and_then(|number| number.thread.as_mut()).ok_or(Errno::ESRCH)?;
        thread.ended = true;
        let process = thread.process;
        let payload = if tid == process { None } else { self.remove_thread(tid) };
        let is_alive = |tid: Pid| {
            self.numbers.get(tid).and_then(|number| number.thread.as_ref()).is_some_and(|thread| !thread.ended)
        };
        let is_last = !self.walk(Chain::Threads, process).any(is_alive);
        Ok((payload, is_last))
    }

    /// Before a thread executes another program, all others of its process ended. If it was not the first, it is so
    /// from now on, and its own number is free. Answers what the kernel had for the first.
    ///
    /// # Errors
    /// [`Errno::ESRCH`] if there is no such thread; [`Errno::EBUSY`] if others are left.
    pub fn become_first(&mut self, tid: Pid) -> Result<Option<T>, Errno> {
        let process = self.process_of(tid).ok_or(Errno::ESRCH)?;
        if tid == process {
            return Ok(None);
        }
        if self.walk(Chain::Threads, process).any(|other| other != tid && other != process) {
            return Err(Errno::EBUSY);
        }
        let first = self.numbers.get(process).and_then(|number| number.thread.as_ref());
        if !first.is_some_and(|first| first.ended) {
            return Err(Errno::EBUSY);
        }
        let payload = self.remove_thread(tid).ok_or(Errno::ESRCH)?;
        let first = self.numbers.get_mut(process).and_then(|number| number.thread.as_mut()).ok_or(Errno::ESRCH)?;
        first.ended = false;
        Ok(Some(core::mem::replace(&mut first.payload, payload)))
    }

    fn remove_thread(&mut self, tid: Pid) -> Option<T> {
        let process = self.process_of(tid)?;
        self.unlink(Chain::Threads, process, tid);
        let thread = self.numbers.get_mut(tid)?.thread.take()?;
        self.release_if_unused(tid);
        Some(thread.payload)
    }

    /// A process ends: its threads have. Its children get another parent, its session loses the terminal if it led it.
    ///
    /// # Errors
    /// [`Errno::ESRCH`] if there is no such process alive; [`Errno::EPERM`] for init, without which there is no tree.
    pub fn exit_process(&mut self, pid: Pid, ended: Ended, tell: &mut dyn FnMut(Event<T>)) -> Result<(), Errno> {
        let process = self.process(pid).filter(|process| process.is_alive()).ok_or(Errno::ESRCH)?;
        let (parent, group, session) = (process.parent.ok_or(Errno::EPERM)?, process.group, process.session);
        if session == pid {
            self.hang_up(session, tell);
        }
        let reaper = self.reaper(parent);
        if let Some(process) = self.process_mut(pid) {
            process.state = State::Zombie(ended);
            process.uid = ended.uid;
        }
        self.give_children_away(pid, reaper, tell);
        // Was this process what connected its group with its session?
        if self.connects(parent, group, session) && self.is_orphaned(group) && self.has_stopped(group) {
            tell(Event::Orphaned(group));
        }
        self.tell_of_end(pid, parent, tell);
        Ok(())
    }

    /// Who gets the children of `pid`'s children: the nearest living subreaper from `pid` upwards, else init.
    fn reaper(&self, pid: Pid) -> Pid {
        let mut ancestors = core::iter::successors(Some(pid), |pid| self.parent(*pid));
        let is_reaper =
            |pid: &Pid| self.process(*pid).is_some_and(|process| process.is_subreaper && process.is_alive());
        ancestors.find(is_reaper).unwrap_or(Pid::INIT)
    }

    fn give_children_away(&mut self, pid: Pid, reaper: Pid, tell: &mut dyn FnMut(Event<T>)) {
        let Some((old_group, old_session)) = self.process(pid).map(|process| (process.group, process.session)) else {
            return;
        };
        loop {
            let Some(child) = self.walk(Chain::Children, pid).next() else { return };
            self.unlink(Chain::Children, pid, child);
            let Some(process) = self.process_mut(child) else { return };
            process.parent = Some(reaper);
            // The new parent knows nothing of what had been agreed on.
            process.exit_signal = Some(Signal::SIGCHLD);
            let (group, session, is_alive) = (process.group, process.session, process.is_alive());
            self.append(Chain::Children, reaper, child);
            if !is_alive {
                self.tell_of_end(child, reaper, tell);
            }
            let connected = old_group != group && old_session == session;
            if connected && self.is_orphaned(group) && self.has_stopped(group) {
                tell(Event::Orphaned(group));
            }
        }
    }

    /// Tells a parent of a child that ended. If the parent does not want to know, the child is gone.
    fn tell_of_end(&mut self, pid: Pid, parent: Pid, tell: &mut dyn FnMut(Event<T>)) {
        let Some(Process { state: State::Zombie(ended), exit_signal: signal, .. }) = self.process(pid) else { return };
        let (status, signal) = (ended.status, *signal);
        tell(Event::Child { parent, child: pid, signal, status });
        let discards = self.process(parent).is_some_and(|parent| parent.child_policy.discards_ended);
        if discards
            && signal == Some(Signal::SIGCHLD)
            && let Some(payload) = self.remove_process(pid)
        {
            tell(Event::Gone(payload));
        }
    }

    /// Takes a process that ended out of the tree.
    pub(super) fn remove_process(&mut self, pid: Pid) -> Option<T> {
        let parent = self.parent(pid)?;
        self.unlink(Chain::Children, parent, pid);
        self.leave_group(pid);
        let number = self.numbers.get_mut(pid)?;
        number.process = None;
        let thread = number.thread.take();
        self.release_if_unused(pid);
        thread.map(|thread| thread.payload)
    }

    /// A signal stopped a process.
    pub fn stop(&mut self, pid: Pid, signal: Signal, uid: u32, tell: &mut dyn FnMut(Event<T>)) {
        let Some(process) = self.process_mut(pid).filter(|process| process.is_alive()) else { return };
        process.state = State::Stopped { signal, reported: false };
        (process.continued, process.uid) = (false, uid);
        self.tell_of_stop(pid, Status::Stopped(signal), tell);
    }

    /// SIGCONT was sent to a process. True if it had been stopped.
    pub fn go_on(&mut self, pid: Pid, uid: u32, tell: &mut dyn FnMut(Event<T>)) -> bool {
        let Some(process) = self.process_mut(pid) else { return false };
        if !matches!(process.state, State::Stopped { .. }) {
            return false;
        }
        process.state = State::Running;
        (process.continued, process.uid) = (true, uid);
        self.tell_of_stop(pid, Status::Continued, tell);
        true
    }

    /// The parent is woken whatever it wants to know, because it may be waiting.
    fn tell_of_stop(&self, pid: Pid, status: Status, tell: &mut dyn FnMut(Event<T>)) {
        let Some(parent) = self.parent(pid) else { return };
        let silent = self.process(parent).is_none_or(|parent| parent.child_policy.silent_about_stops);
        let signal = if silent { None } else { Some(Signal::SIGCHLD) };
        tell(Event::Child { parent, child: pid, signal, status });
    }

    /// Whether SIGKILL must let a process go on first: it is stopped.
    pub fn is_stopped(&self, pid: Pid) -> bool {
        self.process(pid).is_some_and(|process| matches!(process.state, State::Stopped { .. }))
    }

    fn has_stopped(&self, group: Pid) -> bool {
        self.walk(Chain::Members, group).any(|pid| self.is_stopped(pid))
    }

    /// Whether nobody with a parent in another group of the same session is in a group: POSIX's orphaned process group.
    /// Who only has init as its parent has nobody who would let it go on.
    pub fn is_orphaned(&self, group: Pid) -> bool {
        !self.walk(Chain::Members, group).filter_map(|pid| self.process(pid)).any(|process| {
            process.is_alive()
                && process
                    .parent
                    .is_some_and(|parent| parent != Pid::INIT && self.connects(parent, process.group, process.session))
        })
    }

    fn connects(&self, parent: Pid, group: Pid, session: Pid) -> bool {
        self.process(parent).is_some_and(|parent| parent.group != group && parent.session == session)
    }
}
