//! What a process wants done about signals: sigaction(2).

use super::{DefaultAction, Signal, SignalSet};
use crate::errno::Errno;
use bitflags::bitflags;
use core::mem::{offset_of, size_of};
use linux_raw_sys::general::{self, kernel_sigaction};

/// Bytes of what rt_sigaction(2) takes and gives.
pub const ACTION_BYTES: usize = size_of::<kernel_sigaction>();

/// `SIG_DFL`.
const DEFAULT: u64 = 0;
/// `SIG_IGN`.
const IGNORE: u64 = 1;

bitflags! {
    /// How a handler is called.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ActionFlags: u64 {
        /// Children that stop or go on are not told of.
        const NO_CHILD_STOP = general::SA_NOCLDSTOP as u64;
        /// Children that end leave nothing to be waited for.
        const NO_CHILD_WAIT = general::SA_NOCLDWAIT as u64;
        /// The handler takes three arguments.
        const SIGNAL_INFO = general::SA_SIGINFO as u64;
        /// Tags of addresses are told: there are none.
        const EXPOSE_TAGBITS = general::SA_EXPOSE_TAGBITS as u64;
        /// Who calls the handler is told where to return to.
        const RESTORER = general::SA_RESTORER as u64;
        /// The handler runs on the alternate stack.
        const ON_STACK = general::SA_ONSTACK as u64;
        /// Interrupted calls are made again.
        const RESTART = general::SA_RESTART as u64;
        /// The handler can be interrupted by its own signal.
        const NO_DEFER = general::SA_NODEFER as u64;
        /// The handler is called once.
        const RESET_HANDLER = general::SA_RESETHAND as u64;
    }
}

/// What is done about one signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// The handler's address, `SIG_DFL` or `SIG_IGN`.
    pub handler: u64,
    /// How it is called.
    pub flags: ActionFlags,
    /// Where it returns to.
    pub restorer: u64,
    /// What is blocked meanwhile.
    pub mask: SignalSet,
}

/// The same, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// What is usual.
    Default,
    /// Nothing.
    Ignore,
    /// A call to this address.
    Handler(u64),
}

impl Action {
    /// What is to be done.
    pub fn disposition(&self) -> Disposition {
        match self.handler {
            DEFAULT => Disposition::Default,
            IGNORE => Disposition::Ignore,
            address => Disposition::Handler(address),
        }
    }

    /// Reads what rt_sigaction(2) takes. Flags that are not known are not kept, so that programs can find out.
    pub fn from_bytes(bytes: &[u8; ACTION_BYTES]) -> Self {
        // Offsets are constants within the layout.
        let word = |offset: usize| u64::from_le_bytes(core::array::from_fn(|index| bytes[offset + index]));
        Self {
            handler: word(offset_of!(kernel_sigaction, sa_handler_kernel)),
            flags: ActionFlags::from_bits_truncate(word(offset_of!(kernel_sigaction, sa_flags))),
            restorer: word(offset_of!(kernel_sigaction, sa_restorer)),
            mask: SignalSet::from_bits(word(offset_of!(kernel_sigaction, sa_mask))).as_mask(),
        }
    }

    /// What rt_sigaction(2) gives.
    pub fn to_bytes(&self) -> [u8; ACTION_BYTES] {
        let mut bytes = [0; ACTION_BYTES];
        for (offset, word) in [
            (offset_of!(kernel_sigaction, sa_handler_kernel), self.handler),
            (offset_of!(kernel_sigaction, sa_flags), self.flags.bits()),
            (offset_of!(kernel_sigaction, sa_restorer), self.restorer),
            (offset_of!(kernel_sigaction, sa_mask), self.mask.bits()),
        ] {
            bytes[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// What a process wants done about all signals. fork(2) copies it, threads share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actions([Action; Signal::LAST as usize]);

impl Actions {
    /// What is usual, for all.
    pub fn new() -> Self {
        Self([Action::default(); Signal::LAST as usize])
    }

    /// What is done about a signal.
    pub fn get(&self, signal: Signal) -> Action {
        self.0[usize::from(signal.number() - 1)]
    }

    fn get_mut(&mut self, signal: Signal) -> &mut Action {
        &mut self.0[usize::from(signal.number() - 1)]
    }

    /// Changes what is done about a signal; answers what was. If the signal is now [ignored](Self::ignores), what is
    /// pending of it is to be [discarded](super::Pending::discard), blocked or not.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] for SIGKILL and SIGSTOP.
    pub fn set(&mut self, signal: Signal, action: Action) -> Result<Action, Errno> {
        if signal.is_absolute() {
            return Err(Errno::EINVAL);
        }
        Ok(core::mem::replace(self.get_mut(signal), action))
    }

    /// After a handler that is called once.
    pub(super) fn reset(&mut self, signal: Signal) {
        self.get_mut(signal).handler = DEFAULT;
    }

    /// Whether nothing would be done about a signal.
    pub fn ignores(&self, signal: Signal) -> bool {
        match self.get(signal).disposition() {
            Disposition::Ignore => true,
            Disposition::Default => signal.default_action() == DefaultAction::Ignore,
            Disposition::Handler(_) => false,
        }
    }

    /// Whether a signal that is sent now need not even be pending. What is blocked must: it may be waited for, or get a
    /// handler before it is unblocked.
    pub fn discards(&self, signal: Signal, blocked: bool) -> bool {
        !blocked && self.ignores(signal)
    }

    /// As execve(2) leaves it: the handlers are gone with the program. What was ignored stays so.
    pub fn after_exec(&self) -> Self {
        let mut new = Self::new();
        for (new, old) in new.0.iter_mut().zip(&self.0) {
            if old.disposition() == Disposition::Ignore {
                new.handler = IGNORE;
            }
        }
        new
    }
}

impl Default for Actions {
    fn default() -> Self {
        Self::new()
    }
}
