//! What fork(2), vfork(2), clone(2) and clone3(2) are asked to share, checked.

use crate::errno::Errno;
use crate::mem::space::layout::END;
use crate::signal::Signal;
use bitflags::bitflags;
use core::mem::offset_of;
use linux_raw_sys::general::{self, CLONE_ARGS_SIZE_VER0, CLONE_ARGS_SIZE_VER2, clone_args as Layout};

/// Bytes that clone3(2) may be given, of which all that we do not know must be 0.
pub const MOST_ARGUMENT_BYTES: usize = 4096;

/// Bytes that we know.
const KNOWN_BYTES: usize = CLONE_ARGS_SIZE_VER2 as usize;

bitflags! {
    /// What is shared and done.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct CloneFlags: u64 {
        /// The address space is shared.
        const VM = general::CLONE_VM as u64;
        /// Root, working directory and umask are shared.
        const FS = general::CLONE_FS as u64;
        /// Descriptors are shared.
        const FILES = general::CLONE_FILES as u64;
        /// Signal actions are shared.
        const SIGHAND = general::CLONE_SIGHAND as u64;
        /// A descriptor of the child is made.
        const PIDFD = general::CLONE_PIDFD as u64;
        /// The parent waits until the child executes or ends.
        const VFORK = general::CLONE_VFORK as u64;
        /// The child becomes a sibling.
        const PARENT = general::CLONE_PARENT as u64;
        /// The child is a thread of the same process.
        const THREAD = general::CLONE_THREAD as u64;
        /// System V semaphore undo lists are shared: there are none.
        const SYSVSEM = general::CLONE_SYSVSEM as u64;
        /// The child gets another FS base.
        const SETTLS = general::CLONE_SETTLS as u64;
        /// The child's number is written to the parent's memory.
        const PARENT_SETTID = general::CLONE_PARENT_SETTID as u64;
        /// When the child ends, its number is cleared, and a futex woken.
        const CHILD_CLEARTID = general::CLONE_CHILD_CLEARTID as u64;
        /// Nothing; accepted.
        const DETACHED = general::CLONE_DETACHED as u64;
        /// Nothing that debuggers could change; accepted.
        const UNTRACED = general::CLONE_UNTRACED as u64;
        /// The child's number is written to the child's memory.
        const CHILD_SETTID = general::CLONE_CHILD_SETTID as u64;
        /// I/O contexts are shared: there are none.
        const IO = general::CLONE_IO as u64;
        /// The child has no signal handlers.
        const CLEAR_SIGHAND = general::CLONE_CLEAR_SIGHAND;
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloneRequest {
    /// What is shared and done.
    pub flags: CloneFlags,
    /// What the parent gets when the child ends.
    pub exit_signal: Option<Signal>,
    /// The child's stack pointer, if it is another.
    pub stack: Option<u64>,
    /// Where the parent gets the child's number.
    pub parent_tid: u64,
    /// Where the child gets, or has cleared, its number.
    pub child_tid: u64,
    /// Where the parent gets the child's descriptor.
    pub pidfd: u64,
    /// The child's FS base.
    pub tls: u64,
}

impl CloneRequest {
    /// fork(2).
    pub fn fork() -> Self {
        Self {
            flags: CloneFlags::empty(),
            exit_signal: Some(Signal::SIGCHLD),
            stack: None,
            parent_tid: 0,
            child_tid: 0,
            pidfd: 0,
            tls: 0,
        }
    }

    /// vfork(2).
    pub fn vfork() -> Self {
        Self { flags: CloneFlags::VFORK | CloneFlags::VM, ..Self::fork() }
    }

    /// clone(2), with its arguments as x86-64 has them.
    ///
    /// # Errors
    /// [`Errno::EINVAL`].
    pub fn clone(flags: u64, stack: u64, parent_tid: u64, child_tid: u64, tls: u64) -> Result<Self, Errno> {
        let signal = flags & u64::from(general::CSIGNAL);
        // The upper half was never looked at, so old programs may have anything there.
        let flags = flags & u64::from(u32::MAX) & !u64::from(general::CSIGNAL);
        let request = Self {
            flags: known(flags)?,
            exit_signal: exit_signal(signal)?,
            stack: Some(stack).filter(|stack| *stack != 0),
            parent_tid,
            child_tid,
            // Both are written to the same address, which the check below forbids.
            pidfd: parent_tid,
            tls,
        };
        if request.flags.contains(CloneFlags::PIDFD | CloneFlags::PARENT_SETTID)
            || request.flags.contains(CloneFlags::PIDFD | CloneFlags::DETACHED)
        {
            return Err(Errno::EINVAL);
        }
        request.check()
    }

    /// Whether clone3(2) may be given a structure of so many bytes.
    ///
    /// # Errors
    /// [`Errno::E2BIG`], [`Errno::EINVAL`].
    pub fn check_size(bytes: usize) -> Result<(), Errno> {
        if bytes > MOST_ARGUMENT_BYTES {
            Err(Errno::E2BIG)
        } else if bytes < CLONE_ARGS_SIZE_VER0 as usize {
            Err(Errno::EINVAL)
        } else {
            Ok(())
        }
    }

    /// clone3(2), with the structure's bytes.
    ///
    /// # Errors
    /// [`Errno::E2BIG`] if it says what we do not know; [`Errno::EINVAL`].
    pub fn clone3(bytes: &[u8]) -> Result<Self, Errno> {
        Self::check_size(bytes.len())?;
        if bytes.iter().skip(KNOWN_BYTES).any(|byte| *byte != 0) {
            return Err(Errno::E2BIG);
        }
        let word = |offset: usize| {
            let word = bytes.get(offset..).and_then(|bytes| bytes.first_chunk());
            word.map_or(0, |word| u64::from_le_bytes(*word))
        };
        let (stack, size) = (word(offset_of!(Layout, stack)), word(offset_of!(Layout, stack_size)));
        let stack = match (stack, size) {
            (0, 0) => None,
            (0, _) | (_, 0) => return Err(Errno::EINVAL),
            _ => Some(stack.checked_add(size).filter(|end| *end <= END).ok_or(Errno::EINVAL)?),
        };
        // Numbers of the caller's choice, and control groups, there are not.
        let unsupported = [offset_of!(Layout, set_tid), offset_of!(Layout, set_tid_size)];
        if unsupported.into_iter().any(|offset| word(offset) != 0) {
            return Err(Errno::EINVAL);
        }
        let flags = known(word(offset_of!(Layout, flags)))?;
        let signal = exit_signal(word(offset_of!(Layout, exit_signal)))?;
        if flags.contains(CloneFlags::DETACHED)
            || flags.contains(CloneFlags::SIGHAND | CloneFlags::CLEAR_SIGHAND)
            || (flags.intersects(CloneFlags::THREAD | CloneFlags::PARENT) && signal.is_some())
        {
            return Err(Errno::EINVAL);
        }
        Self {
            flags,
            exit_signal: signal,
            stack,
            parent_tid: word(offset_of!(Layout, parent_tid)),
            child_tid: word(offset_of!(Layout, child_tid)),
            pidfd: word(offset_of!(Layout, pidfd)),
            tls: word(offset_of!(Layout, tls)),
        }
        .check()
    }

    /// Combinations that make no sense: threads share signal actions, and who shares those shares memory.
    fn check(self) -> Result<Self, Errno> {
        let needs = |flag, other| !self.flags.contains(flag) || self.flags.contains(other);
        let sound = needs(CloneFlags::THREAD, CloneFlags::SIGHAND)
            && needs(CloneFlags::SIGHAND, CloneFlags::VM)
            && !self.flags.contains(CloneFlags::THREAD | CloneFlags::PIDFD);
        let in_reach = !self.flags.contains(CloneFlags::SETTLS) || self.tls < END;
        if !sound {
            return Err(Errno::EINVAL);
        }
        if in_reach { Ok(self) } else { Err(Errno::EPERM) }
    }
}

/// Namespaces, control groups and debuggers are among those that we do not have.
fn known(flags: u64) -> Result<CloneFlags, Errno> {
    CloneFlags::from_bits(flags).ok_or(Errno::EINVAL)
}

fn exit_signal(number: u64) -> Result<Option<Signal>, Errno> {
    Signal::from_user(i32::try_from(number).map_err(|_| Errno::EINVAL)?)
}
