//! Waiting, once for all kinds of files: what answers `EAGAIN` is tried again whenever the file has changed.

use super::arguments::UserPtr;
use super::time::timespec;
use crate::hw::clock;
use crate::proc::process::{Sleep, Stop, Task};
use crate::proc::wait::Deadline;
use logic::errno::Errno;
use logic::fs::open_file::{OpenFile, PositionClaim, StatusFlags};
use logic::ipc::unix::{Passed, Socket};
use logic::signal::Restart;
use logic::sync::turn::Taken;
use logic::sync::{Turn, WaitQueue};
use logic::time::Instant;

/// What is waited for.
pub struct Waiting<'a> {
    /// Who waits.
    pub task: &'a Task,
    /// Until when; `None` is for ever.
    pub deadline: Deadline,
    /// What becomes of the call if a signal comes first.
    pub restart: Restart,
}

impl<'a> Waiting<'a> {
    /// For ever, as read(2) does.
    pub fn new(task: &'a Task) -> Self {
        Self { task, deadline: None, restart: Restart::IfSaRestart }
    }

    /// To read from a file, or receive: so long as a socket's `SO_RCVTIMEO` says.
    pub fn to_read(task: &'a Task, open: &OpenFile) -> Self {
        Self::patient(task, open.socket().and_then(Socket::receive_patience_ns))
    }

    /// To write to a file, or send: so long as a socket's `SO_SNDTIMEO` says.
    pub fn to_write(task: &'a Task, open: &OpenFile) -> Self {
        Self::patient(task, open.socket().and_then(Socket::send_patience_ns))
    }

    /// A call with a time-out is not made again: that would begin anew (signal(7)).
    fn patient(task: &'a Task, patience_ns: Option<u64>) -> Self {
        match patience_ns {
            None => Self::new(task),
            Some(time) => Self { task, deadline: Some(after_ns(time)), restart: Restart::Never },
        }
    }

    /// Tries until the answer is another than `EAGAIN`, each time that `queue` wakes.
    ///
    /// # Errors
    /// What `attempt` answers; `EAGAIN` at the deadline; [`Stop::Interrupted`].
    pub fn until<T>(&self, queue: &WaitQueue, mut attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Stop> {
        let mut result = attempt();
        if !matches!(result, Err(Errno::EAGAIN)) {
            return Ok(result?);
        }
        let sleep = self.task.sleep_until(queue, self.deadline, || {
            result = attempt();
            !matches!(result, Err(Errno::EAGAIN))
        });
        match result {
            Err(Errno::EAGAIN) if sleep == Sleep::Interrupted => Err(Stop::Interrupted(self.restart)),
            result => Ok(result?),
        }
    }

    /// Tries something with an open file: once if that has `O_NONBLOCK`, or never waits, else as [`Self::until`].
    ///
    /// # Errors
    /// As of [`Self::until`].
    pub fn on<T>(
        &self,
        open: &OpenFile,
        never_waits: bool,
        mut attempt: impl FnMut() -> Result<T, Errno>,
    ) -> Result<T, Stop> {
        match open.file().changes() {
            Some(queue) if !never_waits && !open.flags().contains(StatusFlags::NONBLOCK) => self.until(queue, attempt),
            _ => Ok(attempt()?),
        }
    }
}

/// The position of an open file, when nobody else has it.
///
/// # Errors
/// [`Stop::Interrupted`].
pub fn claim<'a>(task: &Task, open: &'a OpenFile) -> Result<PositionClaim<'a>, Stop> {
    Ok(open.claim_in_turn(take(task, open.position_turn())?))
}

/// A turn, when it is one's own.
fn take<'a>(task: &Task, turn: &'a Turn) -> Result<Taken<'a>, Stop> {
    if let Some(taken) = turn.try_take() {
        return Ok(taken);
    }
    let place = turn.line_up().map_err(|_| Errno::ENOMEM)?;
    Waiting::new(task).until(place.called(), || place.try_take().ok_or(Errno::EAGAIN))
}

/// The turn of writing to a file that several write to in turns ([`File::writers`](logic::fs::File::writers)); none for others.
///
/// # Errors
/// `EAGAIN` if it is somebody else's and the file has `O_NONBLOCK`; [`Stop::Interrupted`].
pub fn turn_to_write<'a>(task: &Task, open: &'a OpenFile) -> Result<Option<Taken<'a>>, Stop> {
    let Some(writers) = open.file().writers() else { return Ok(None) };
    if open.flags().contains(StatusFlags::NONBLOCK) {
        return Ok(Some(writers.try_take().ok_or(Errno::EAGAIN)?));
    }
    take(task, writers).map(Some)
}

/// The positions of two open files, when nobody else has them. One that is both has one position, which comes first. Two calls that copy
/// in opposite directions do not wait for each other.
///
/// # Errors
/// [`Stop::Interrupted`].
pub fn claim_both<'a>(
    task: &Task,
    one: &'a OpenFile,
    other: &'a OpenFile,
) -> Result<(PositionClaim<'a>, Option<PositionClaim<'a>>), Stop> {
    if one.number() == other.number() {
        return Ok((claim(task, one)?, None));
    }
    if one.number() < other.number() {
        let first = claim(task, one)?;
        return Ok((first, Some(claim(task, other)?)));
    }
    let second = claim(task, other)?;
    Ok((claim(task, one)?, Some(second)))
}

/// When a time-out that the program passed, a `struct timespec`, is over; never if it passed none.
///
/// # Errors
/// [`Errno::EFAULT`], [`Errno::EINVAL`].
pub fn deadline_in(task: &Task, timeout: UserPtr<[u8; 16]>) -> Result<Deadline, Errno> {
    match timeout.non_null() {
        Some(timeout) => Ok(Some(after_ns(timespec(&timeout.read(task)?)?))),
        None => Ok(None),
    }
}

/// Nanoseconds until then; 0 if it is past.
pub fn left_ns(deadline: Instant) -> u64 {
    deadline.nanoseconds().saturating_sub(clock::now().nanoseconds())
}

/// The time that is so many nanoseconds from now.
pub fn after_ns(nanoseconds: u64) -> Instant {
    Instant::from_nanoseconds(clock::now().nanoseconds().saturating_add(nanoseconds))
}
