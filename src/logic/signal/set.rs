//! Sets of signals: sigsetops(3). A set is eight bytes, signal 1 in the lowest bit.

use super::Signal;
use crate::errno::Errno;
use core::fmt;
use linux_raw_sys::general;

/// A set of signals.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SignalSet(u64);

impl SignalSet {
    /// No signal.
    pub const EMPTY: Self = Self(0);

    /// SIGKILL and SIGSTOP, which nobody blocks, catches or ignores.
    pub const ABSOLUTE: Self = Self::of(&[Signal::SIGKILL, Signal::SIGSTOP]);

    /// What stops a process.
    pub const STOPPING: Self = Self::of(&[Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU]);

    /// What the instruction that a thread just tried may have caused.
    pub const SYNCHRONOUS: Self =
        Self::of(&[Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGTRAP, Signal::SIGFPE, Signal::SIGSYS]);

    /// The set of these signals.
    pub const fn of(signals: &[Signal]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < signals.len() {
            bits |= Self::bit(signals[index]);
            index += 1;
        }
        Self(bits)
    }

    /// The set of these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    const fn bit(signal: Signal) -> u64 {
        1 << (signal.number() - 1)
    }

    /// Whether a signal is in it.
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & Self::bit(signal) != 0
    }

    /// Whether none is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// This set and one signal more.
    pub const fn with(self, signal: Signal) -> Self {
        Self(self.0 | Self::bit(signal))
    }

    /// What is in either.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set alone.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// As a mask: what cannot be blocked is not in it.
    pub const fn as_mask(self) -> Self {
        self.without(Self::ABSOLUTE)
    }

    /// What rt_sigprocmask(2) makes of this mask.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if it is not told how.
    pub fn changed(self, how: u32, set: Self) -> Result<Self, Errno> {
        let mask = match how {
            general::SIG_BLOCK => self.union(set),
            general::SIG_UNBLOCK => self.without(set),
            general::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        Ok(mask.as_mask())
    }

    /// The lowest signal in it.
    pub fn lowest(self) -> Option<Signal> {
        u8::try_from(self.0.trailing_zeros() + 1).ok().and_then(Signal::new)
    }

    /// All signals in it, lowest first.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        (1..=Signal::LAST).filter_map(Signal::new).filter(move |signal| self.contains(*signal))
    }
}

impl fmt::Debug for SignalSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}
