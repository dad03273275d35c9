//! Signals that were sent and have not arrived: of a standard signal one, of a real-time signal as many as were sent.

use super::{Signal, SignalInfo, SignalSet};
use crate::errno::Errno;
use alloc::collections::VecDeque;

/// What became of a signal that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It waits: one more for `RLIMIT_SIGPENDING`.
    Queued,
    /// It waits, but what it is about is lost, because there was no room.
    Bare,
    /// It was pending already.
    Merged,
}

/// A signal taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What it is about.
    pub info: SignalInfo,
    /// Whether it counted for `RLIMIT_SIGPENDING`, and now does so no more.
    pub counted: bool,
}

/// Pending signals of a thread or of a process. fork(2) starts with none.
#[derive(Debug, Default)]
pub struct Pending {
    set: SignalSet,
    /// In the order of sending. A signal may be in the set and not here, but not the other way round.
    queue: VecDeque<SignalInfo>,
}

impl Pending {
    /// None.
    pub const fn new() -> Self {
        Self { set: SignalSet::EMPTY, queue: VecDeque::new() }
    }

    /// Which signals are pending.
    pub fn set(&self) -> SignalSet {
        self.set
    }

    /// Adds a signal. `has_room` says whether the user has fewer than `RLIMIT_SIGPENDING` queued.
    ///
    /// # Errors
    /// [`Errno::EAGAIN`] if there is no room for a real-time signal that carries a value. All others come through.
    pub fn add(&mut self, info: SignalInfo, has_room: bool) -> Result<Added, Errno> {
        let signal = info.signal;
        if !signal.is_real_time() && self.set.contains(signal) {
            return Ok(Added::Merged);
        }
        if has_room && self.queue.try_reserve(1).is_ok() {
            self.queue.push_back(info);
            self.set = self.set.with(signal);
            return Ok(Added::Queued);
        }
        // kill(2) and the kernel itself do not fail for want of room; who passes a value must not lose it.
        if signal.is_real_time() && info.code < 0 {
            return Err(Errno::EAGAIN);
        }
        let added = if self.set.contains(signal) { Added::Merged } else { Added::Bare };
        self.set = self.set.with(signal);
        Ok(added)
    }

    /// Takes the signal that comes next among those in `wanted`: what an instruction caused, then the lowest.
    pub fn take(&mut self, wanted: SignalSet) -> Option<Taken> {
        let ready = self.set.intersection(wanted);
        let signal = ready.intersection(SignalSet::SYNCHRONOUS).lowest().or_else(|| ready.lowest())?;
        Some(self.take_signal(signal))
    }

    fn take_signal(&mut self, signal: Signal) -> Taken {
        let place = self.queue.iter().position(|info| info.signal == signal);
        let queued = place.and_then(|place| self.queue.remove(place));
        if !self.queue.iter().any(|info| info.signal == signal) {
            self.set = self.set.without(SignalSet::of(&[signal]));
        }
        // Nobody knows any more who sent it.
        Taken { info: queued.unwrap_or(SignalInfo::user(signal, 0, 0)), counted: queued.is_some() }
    }

    /// Forgets all that is pending; answers how many counted for `RLIMIT_SIGPENDING`.
    pub fn discard_all(&mut self) -> usize {
        core::mem::take(self).queue.len()
    }

    /// Forgets all that is pending of some signals; answers how many counted for `RLIMIT_SIGPENDING`.
    pub fn discard(&mut self, signals: SignalSet) -> usize {
        if self.set.intersection(signals).is_empty() {
            return 0;
        }
        let before = self.queue.len();
        self.queue.retain(|info| !signals.contains(info.signal));
        self.set = self.set.without(signals);
        before - self.queue.len()
    }
}
