//! What can be done with an open file of any kind: regular file, directory, pipe, terminal, socket, event.
//!
//! Nothing here waits. What cannot go on answers [`Errno::EAGAIN`]; [`File::poll`] says what is ready, and the queue of
//! [`File::changes`] wakes whenever that may have become more. The layer above sleeps, once for all kinds, and knows `O_NONBLOCK`,
//! time-outs and signals; so poll(2), select(2), epoll(7) and every call that blocks are made of these few lines.
//!
//! Bytes come and go through buffers of the kernel, because nothing may touch a program's memory with a lock held.

use crate::errno::Errno;
use crate::mem::backing::Backing;
use crate::sync::{Turn, WaitQueue};
use crate::tty::requests::TerminalDevice;
use alloc::sync::Arc;
use bitflags::bitflags;
use core::any::Any;
use linux_raw_sys::general;

bitflags! {
    /// What a file is ready for, as poll(2) and epoll_ctl(2) number it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Readiness: u32 {
        /// A read would not wait.
        const IN = general::POLLIN;
        /// Something exceptional.
        const PRI = general::POLLPRI;
        /// A write would not wait.
        const OUT = general::POLLOUT;
        /// The file failed, or nobody reads what would be written. Told unasked.
        const ERR = general::POLLERR;
        /// The other side is gone. Told unasked.
        const HUP = general::POLLHUP;
        /// There is no such open file. Told unasked, by poll(2) alone.
        const NVAL = general::POLLNVAL;
        /// The same as `IN`.
        const RDNORM = general::POLLRDNORM;
        /// The same as `OUT`.
        const WRNORM = general::POLLWRNORM;
        /// The other side writes no more.
        const RDHUP = general::POLLRDHUP;
    }
}

impl Readiness {
    /// What kinds are ready for that never wait.
    pub const ALWAYS: Self = Self::IN.union(Self::OUT).union(Self::RDNORM).union(Self::WRNORM);
}

/// An open file, as its kind has it. Positions and `O_APPEND` are the open description's; who has a position passes it.
///
/// All answers of bytes are counts that may be smaller than what was asked for, and 0 of a read is the end. What a kind can do
/// beyond this is found by its type, through [`Any`].
pub trait File: Any + Send + Sync {
    /// Reads from `position` on, where the kind has positions.
    ///
    /// # Errors
    /// As read(2); [`Errno::EAGAIN`] if it would have to wait; [`Errno::EINVAL`] if the kind cannot be read.
    fn read(&self, position: u64, bytes: &mut [u8]) -> Result<usize, Errno>;

    /// Writes from `position` on, where the kind has positions.
    ///
    /// # Errors
    /// As write(2); [`Errno::EAGAIN`] if it would have to wait; [`Errno::EINVAL`] if the kind cannot be written;
    /// [`Errno::EPIPE`] if nobody reads: the layer above sends the signal.
    fn write(&self, position: u64, bytes: &[u8]) -> Result<usize, Errno>;

    /// What it is ready for now. Kinds that never wait leave this, and [`File::changes`], as they are.
    fn poll(&self) -> Readiness {
        Readiness::ALWAYS
    }

    /// Wakes when [`File::poll`] may answer more than before: always the same queue. `None` for kinds that are always ready.
    fn changes(&self) -> Option<&WaitQueue> {
        None
    }

    /// The turn of writing to it, of kinds where what one call writes stays together though it may have to wait in between: of
    /// terminals, at which several programs would else mix their lines.
    fn writers(&self) -> Option<&Turn> {
        None
    }

    /// Writes at the end (`O_APPEND`), wherever that is; answers how much and the position after it. Kinds whose content grows do
    /// both at once.
    ///
    /// # Errors
    /// As [`File::write`].
    fn append(&self, bytes: &[u8]) -> Result<(usize, u64), Errno> {
        let end = self.end().unwrap_or(0);
        let count = self.write(end, bytes)?;
        Ok((count, end.saturating_add(count as u64)))
    }

    /// Where it ends, for lseek(2).
    ///
    /// # Errors
    /// [`Errno::ESPIPE`] of kinds that have no positions.
    fn end(&self) -> Result<u64, Errno> {
        Err(Errno::ESPIPE)
    }

    /// Where the next data is from `position` on.
    ///
    /// # Errors
    /// [`Errno::ENXIO`] if there is none.
    fn seek_data(&self, position: u64) -> Result<u64, Errno> {
        if position < self.end()? { Ok(position) } else { Err(Errno::ENXIO) }
    }

    /// Where the next hole is from `position` on; the end counts as one.
    ///
    /// # Errors
    /// [`Errno::ENXIO`] beyond the end.
    fn seek_hole(&self, position: u64) -> Result<u64, Errno> {
        let end = self.end()?;
        if position < end { Ok(end) } else { Err(Errno::ENXIO) }
    }

    /// What a mapping of it shows, if it is a kind that is mapped but has no page cache.
    ///
    /// # Errors
    /// [`Errno::ENODEV`], as mmap(2).
    fn backing(&self) -> Result<Arc<dyn Backing>, Errno> {
        Err(Errno::ENODEV)
    }

    /// ioctl(2): does what `request` asks with `argument`, an address or a number, by the kind's own rules.
    ///
    /// # Errors
    /// [`Errno::ENOTTY`] for requests that the kind does not know.
    fn control(&self, request: u32, argument: u64, memory: &mut dyn UserBytes) -> Result<u64, Errno> {
        let _ = (request, argument, memory);
        Err(Errno::ENOTTY)
    }

    /// The terminal that this is. It is asked through [`requests::control`](crate::tty::requests::control) instead of
    /// [`File::control`], because who asks matters; and who reads and writes is [looked at](crate::tty::job_control) before.
    fn terminal(&self) -> Option<&dyn TerminalDevice> {
        None
    }
}

/// The memory of the program that calls. Asked with no lock held: it may wait for pages.
pub trait UserBytes {
    /// Copies from the program at `address`.
    ///
    /// # Errors
    /// [`Errno::EFAULT`].
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), Errno>;

    /// Copies to the program at `address`.
    ///
    /// # Errors
    /// [`Errno::EFAULT`].
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno>;
}
