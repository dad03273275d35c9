//! What splice(2), tee(2) and vmsplice(2) do with pipes.
//!
//! Bytes are copied out before it is known how many the other side takes. So one call at a time has a [`Claim`] to what waits in a
//! pipe: meanwhile others read nothing, and only what was taken goes.

use super::{End, PIPE_BUF, Taken};
use crate::errno::Errno;
use linux_raw_sys::general;

/// All flags that the three calls have.
const FLAGS: u32 =
    general::SPLICE_F_MOVE | general::SPLICE_F_NONBLOCK | general::SPLICE_F_MORE | general::SPLICE_F_GIFT;

/// Whether a call with these flags may wait for a pipe.
///
/// # Errors
/// [`Errno::EINVAL`] for flags that there are not.
pub const fn may_wait(flags: u32) -> Result<bool, Errno> {
    if flags & !FLAGS != 0 { Err(Errno::EINVAL) } else { Ok(flags & general::SPLICE_F_NONBLOCK == 0) }
}

/// What waits in a pipe, for one call. Dropping it lets others read again.
pub struct Claim<'a>(&'a End);

impl End {
    /// Claims what waits; nothing does if nobody writes any more.
    ///
    /// # Errors
    /// [`Errno::EAGAIN`] if nothing waits yet, or another call has a claim; [`Errno::EBADF`].
    pub fn claim(&self) -> Result<Claim<'_>, Errno> {
        if !self.access.reads() {
            return Err(Errno::EBADF);
        }
        let mut state = self.pipe.state.lock();
        if state.is_claimed || (state.bytes.is_empty() && state.writers.open > 0) {
            return Err(Errno::EAGAIN);
        }
        state.is_claimed = true;
        Ok(Claim(self))
    }

    /// How many bytes can be written at once; never 0.
    ///
    /// # Errors
    /// [`Errno::EAGAIN`] if none can; [`Errno::EPIPE`] if nobody reads; [`Errno::EBADF`].
    pub fn room(&self) -> Result<usize, Errno> {
        if !self.access.writes() {
            return Err(Errno::EBADF);
        }
        let state = self.pipe.state.lock();
        if state.readers.open == 0 {
            return Err(Errno::EPIPE);
        }
        if state.room() == 0 { Err(Errno::EAGAIN) } else { Ok(state.room()) }
    }

    /// Writes all of `bytes`, for which there was room, though others may have written meanwhile.
    ///
    /// # Errors
    /// [`Errno::EPIPE`], [`Errno::ENOMEM`]; how many were written before does not matter then.
    pub fn write_all(&self, bytes: &[u8]) -> Result<(), Errno> {
        for piece in bytes.chunks(PIPE_BUF) {
            let mut state = self.pipe.state.lock();
            if state.readers.open == 0 {
                return Err(Errno::EPIPE);
            }
            state.bytes.push(piece)?;
        }
        self.pipe.wake_readers();
        Ok(())
    }
}

impl Claim<'_> {
    /// Copies the oldest bytes, as many as there are and `buffer` holds. They stay.
    pub fn peek(&self, buffer: &mut [u8]) -> usize {
        let mut done = 0_usize;
        for piece in buffer.chunks_mut(PIPE_BUF) {
            let count = self.0.pipe.state.lock().bytes.peek(done, piece);
            done = done.saturating_add(count);
            if count < piece.len() {
                break;
            }
        }
        done
    }

    /// Takes the oldest `count` bytes away.
    pub fn take(self, count: usize) {
        let made_room = {
            let mut state = self.0.pipe.state.lock();
            let had_room = state.has_room();
            state.bytes.discard(count);
            state.packets.advance(count);
            !had_room && state.has_room()
        };
        if made_room {
            self.0.pipe.wake_writers();
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let pipe = &self.0.pipe;
        pipe.state.lock().is_claimed = false;
        // Whoever came meanwhile found nothing, even at the end.
        pipe.readable.wake_all();
        pipe.either.wake_all();
    }
}

/// What others find meanwhile.
pub(super) const CLAIMED: Taken = Taken { count: 0, is_packet: false, made_room: false, left: false, ended: false };
