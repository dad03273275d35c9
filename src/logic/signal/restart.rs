//! What becomes of a system call that a signal interrupted: signal(7), "Interruption of system calls".

use super::{ActionFlags, Call};

/// What kind of call was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// It is made again if no handler was called: pause(2), sigsuspend(2), poll(2), select(2).
    IfNotHandled,
    /// It is made again, after a handler if that has `SA_RESTART`: read(2), write(2), wait4(2), open(2), futex(2),
    /// flock(2).
    IfSaRestart,
    /// It is always made again: what the program must not notice, as fork(2).
    Always,
    /// It fails: sockets with a time-out, sigtimedwait(2), epoll_wait(2), sleeps that told how much is left.
    Never,
    /// It goes on by restart_syscall(2) with the time that is left, if no handler was called: nanosleep(2), futex(2)
    /// with a time-out.
    RestartBlock,
}

/// How the program goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The call answers `EINTR`.
    Interrupted,
    /// The same call is made again.
    Again,
    /// restart_syscall(2) is called.
    RestartBlock,
}

impl Restart {
    /// How the program goes on. `handler` is the first that is called before it does, if any: the call is made again
    /// after it.
    pub fn resume(self, handler: Option<&Call>) -> Resume {
        match (self, handler) {
            (Self::Never, _) => Resume::Interrupted,
            (Self::Always, _) | (Self::IfNotHandled | Self::IfSaRestart, None) => Resume::Again,
            (Self::RestartBlock, None) => Resume::RestartBlock,
            (Self::IfSaRestart, Some(call)) if call.action.flags.contains(ActionFlags::RESTART) => Resume::Again,
            (_, Some(_)) => Resume::Interrupted,
        }
    }
}
