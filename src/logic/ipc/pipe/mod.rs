//! Pipes and FIFOs (pipe(7), fifo(7)): bytes from those who write to those who read.
//!
//! A [`Pipe`] is what the ends share; a FIFO's inode keeps one, and each open(2) makes an [`End`] of it. Up to [`PIPE_BUF`]
//! bytes are written at once or not at all. A write wakes one reader, and who leaves something for others wakes the next; writers
//! are woken only when there is room for [`PIPE_BUF`] bytes again, so that whoever is woken can go on.

mod packets;
pub mod splice;
#[cfg(test)]
mod splice_tests;
#[cfg(test)]
mod tests;

use self::packets::{Packet, Packets};
use super::ByteQueue;
use crate::errno::Errno;
use crate::fs::{File, Readiness, UserBytes};
use crate::sync::{IrqLock, Rank, WaitQueue};
use alloc::sync::Arc;
use linux_raw_sys::{general, ioctl};

/// What a write puts in at once, or not at all; and what is copied with the lock held once.
pub const PIPE_BUF: usize = general::PIPE_BUF as usize;

/// What a pipe holds at first.
pub const USUAL_CAPACITY: usize = 16 * PIPE_BUF;

/// What a pipe may hold at most if who asks has no privilege: Linux' /proc/sys/fs/pipe-max-size.
pub const MOST_CAPACITY: usize = 1 << 20;

/// What a pipe may hold at most.
const LIMIT: usize = 1 << 30;

/// What an end is for: `O_RDONLY`, `O_WRONLY`, `O_RDWR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read.
    Read,
    /// To write.
    Write,
    /// Both, which only a FIFO's ends can be.
    Both,
}

impl Access {
    fn reads(self) -> bool {
        self != Self::Write
    }

    fn writes(self) -> bool {
        self != Self::Read
    }
}

/// What the ends of a pipe share.
pub struct Pipe {
    state: IrqLock<State>,
    /// Ends that read wait here, those that write, and those that do both: for either.
    readable: WaitQueue,
    writable: WaitQueue,
    either: WaitQueue,
    /// Who opens a FIFO waits here for somebody at the other side.
    opened: WaitQueue,
    /// Whether it is a FIFO's.
    is_fifo: bool,
}

struct State {
    bytes: ByteQueue,
    packets: Packets,
    capacity: usize,
    readers: Side,
    writers: Side,
    /// One call has what waits, and no other reads.
    is_claimed: bool,
}

/// The ends of one direction.
#[derive(Clone, Copy, Default)]
struct Side {
    open: usize,
    /// How many there ever were.
    ever: u64,
}

impl Side {
    fn enter(&mut self) {
        self.open = self.open.saturating_add(1);
        self.ever = self.ever.wrapping_add(1);
    }

    fn leave(&mut self) {
        self.open = self.open.saturating_sub(1);
    }
}

impl State {
    fn room(&self) -> usize {
        self.capacity.saturating_sub(self.used())
    }

    fn used(&self) -> usize {
        self.bytes.len().saturating_add(self.packets.padding())
    }

    fn has_room(&self) -> bool {
        self.room() >= PIPE_BUF
    }

    /// Moves the oldest bytes out: plain ones, or those of a packet, of which the rest goes. How many, and whether it was a packet.
    fn pop(&mut self, bytes: &mut [u8]) -> (usize, bool) {
        let (most, gone) = match self.packets.first() {
            None => return (self.bytes.pop(bytes), false),
            Some(Packet { before: 0, length }) => (length, Some(length)),
            Some(Packet { before, .. }) => (before, None),
        };
        let most = most.min(bytes.len());
        let count = self.bytes.pop(bytes.get_mut(..most).unwrap_or_default());
        let rest = gone.map_or(0, |length| length.saturating_sub(count));
        self.bytes.discard(rest);
        self.packets.advance(count.saturating_add(rest));
        (count, gone.is_some())
    }
}

impl Pipe {
    /// A pipe without ends, for a FIFO.
    pub fn new() -> Arc<Self> {
        Self::of_kind(true)
    }

    fn of_kind(is_fifo: bool) -> Arc<Self> {
        Arc::new(Self {
            state: IrqLock::new(
                Rank::File,
                State {
                    bytes: ByteQueue::new(),
                    packets: Packets::default(),
                    capacity: USUAL_CAPACITY,
                    readers: Side::default(),
                    writers: Side::default(),
                    is_claimed: false,
                },
            ),
            readable: WaitQueue::new(),
            writable: WaitQueue::new(),
            either: WaitQueue::new(),
            opened: WaitQueue::new(),
            is_fifo,
        })
    }

    /// pipe(2): the end to read, and the end to write.
    pub fn pair() -> (Arc<End>, Arc<End>) {
        let pipe = Self::of_kind(false);
        (pipe.enter(Access::Read), pipe.enter(Access::Write))
    }

    /// Opens a FIFO. Unless `nonblocking`, who opens it waits on [`Pipe::opened`] until the end [has met](End::has_met) another.
    /// What pipe(2) made is opened through /proc/PID/fd, where nobody waits.
    ///
    /// # Errors
    /// [`Errno::ENXIO`] for a writer that does not wait if nobody reads.
    pub fn open(self: &Arc<Self>, access: Access, nonblocking: bool) -> Result<Arc<End>, Errno> {
        if self.is_fifo && access == Access::Write && nonblocking && self.state.lock().readers.open == 0 {
            return Err(Errno::ENXIO);
        }
        Ok(self.enter(access))
    }

    /// Wakes when an end is opened.
    pub fn opened(&self) -> &WaitQueue {
        &self.opened
    }

    fn enter(self: &Arc<Self>, access: Access) -> Arc<End> {
        let met = {
            let mut state = self.state.lock();
            let others = if access == Access::Read { state.writers } else { state.readers };
            if access.reads() {
                state.readers.enter();
            }
            if access.writes() {
                state.writers.enter();
            }
            // Whoever is there now has been met; of those gone, nothing is left to tell.
            Met { at_once: !self.is_fifo || access == Access::Both || others.open > 0, before: others.ever }
        };
        self.opened.wake_all();
        Arc::new(End { pipe: self.clone(), access, met })
    }

    fn leave(&self, access: Access) {
        {
            let mut state = self.state.lock();
            if access.reads() {
                state.readers.leave();
            }
            if access.writes() {
                state.writers.leave();
            }
            if state.readers.open == 0 && state.writers.open == 0 {
                // What nobody has read is gone, as fifo(7) has it.
                let gone = (core::mem::take(&mut state.bytes), core::mem::take(&mut state.packets));
                drop(state);
                drop(gone);
            }
        }
        // The end of the file, or nobody who reads, concerns all.
        for queue in [&self.readable, &self.writable, &self.either] {
            queue.wake_all();
        }
    }

    fn wake_readers(&self) {
        self.readable.wake_one();
        self.either.wake_all();
    }

    fn wake_writers(&self) {
        self.writable.wake_one();
        self.either.wake_all();
    }

    /// Moves up to [`PIPE_BUF`] bytes out; none if there are none.
    fn take(&self, bytes: &mut [u8]) -> Taken {
        let mut state = self.state.lock();
        if state.is_claimed {
            return splice::CLAIMED;
        }
        let had_room = state.has_room();
        let (count, is_packet) = state.pop(bytes);
        let left = !state.bytes.is_empty();
        let made_room = !had_room && state.has_room();
        Taken { count, is_packet, made_room, left, ended: !left && state.writers.open == 0 }
    }

    /// Moves some of `bytes` in: of what is to stay whole, all or nothing, and of a packet as well.
    fn put(&self, bytes: &[u8], whole: bool, as_packet: bool) -> Result<usize, Errno> {
        let mut state = self.state.lock();
        if state.readers.open == 0 {
            return Err(Errno::EPIPE);
        }
        let room = state.room();
        if room == 0 || (whole && room < bytes.len()) || (as_packet && room < PIPE_BUF) {
            return Err(Errno::EAGAIN);
        }
        let bytes = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
        if as_packet {
            state.packets.reserve()?;
        }
        state.bytes.push(bytes)?;
        if as_packet {
            let total = state.bytes.len();
            state.packets.push(total, bytes.len());
        }
        Ok(bytes.len())
    }
}

/// What taking bytes out gave.
#[derive(Default)]
struct Taken {
    count: usize,
    /// That is all of a packet that a read gets.
    is_packet: bool,
    /// There is the room now that writers wait for.
    made_room: bool,
    /// There is more.
    left: bool,
    /// There is no more, and never will be.
    ended: bool,
}

/// Whom an end has met when it was opened.
struct Met {
    at_once: bool,
    /// How many of the other side there had been.
    before: u64,
}

/// One end of a pipe, as an open file.
pub struct End {
    pipe: Arc<Pipe>,
    access: Access,
    met: Met,
}

impl End {
    /// Whether there was an end of the other side at any time since this was opened: open(2) of a FIFO waits for that.
    pub fn has_met(&self) -> bool {
        let state = self.pipe.state.lock();
        let others = if self.access == Access::Read { state.writers } else { state.readers };
        self.met.at_once || others.ever != self.met.before
    }

    /// The pipe that this is an end of.
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }

    /// `F_GETPIPE_SZ`.
    pub fn capacity(&self) -> usize {
        self.pipe.state.lock().capacity
    }

    /// write(2) with `O_DIRECT`: each piece is a packet.
    ///
    /// # Errors
    /// As [`File::write`].
    pub fn write_packets(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.put(bytes, true)
    }

    fn put(&self, bytes: &[u8], as_packets: bool) -> Result<usize, Errno> {
        if !self.access.writes() {
            return Err(Errno::EBADF);
        }
        let whole = bytes.len() <= PIPE_BUF;
        let mut done = 0_usize;
        let mut failure = None;
        for piece in bytes.chunks(PIPE_BUF) {
            match self.pipe.put(piece, whole, as_packets) {
                Ok(count) => {
                    done = done.saturating_add(count);
                    if count < piece.len() {
                        break;
                    }
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        if done > 0 {
            self.pipe.wake_readers();
            if self.pipe.state.lock().has_room() {
                self.pipe.writable.pass_on();
            }
        }
        failure.filter(|_| done == 0).map_or(Ok(done), Err)
    }

    /// `F_SETPIPE_SZ`: lets the pipe hold at least `wanted` bytes, and answers how many it holds.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] for more than there can be; [`Errno::EPERM`] for more than [`MOST_CAPACITY`] without privilege;
    /// [`Errno::EBUSY`] if more than that waits in it.
    pub fn set_capacity(&self, wanted: usize, privileged: bool) -> Result<usize, Errno> {
        if wanted > LIMIT {
            return Err(Errno::EINVAL);
        }
        let capacity = wanted.max(PIPE_BUF).next_power_of_two();
        let gained = {
            let mut state = self.pipe.state.lock();
            if capacity > state.capacity && capacity > MOST_CAPACITY && !privileged {
                return Err(Errno::EPERM);
            }
            if state.used() > capacity {
                return Err(Errno::EBUSY);
            }
            let had_room = state.has_room();
            state.capacity = capacity;
            !had_room && state.has_room()
        };
        if gained {
            self.pipe.wake_writers();
        }
        Ok(capacity)
    }
}

impl File for End {
    fn read(&self, _: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        if !self.access.reads() {
            return Err(Errno::EBADF);
        }
        let (mut done, mut made_room, mut last) = (0_usize, false, Taken::default());
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let length = rest.len().min(PIPE_BUF);
            last = self.pipe.take(rest.get_mut(..length).unwrap_or_default());
            done = done.saturating_add(last.count);
            made_room |= last.made_room;
            // Plain bytes that end before a packet are read together with it.
            if last.is_packet || last.count == 0 || (last.count < length && !last.left) {
                break;
            }
        }
        if made_room {
            self.pipe.wake_writers();
        }
        if last.left {
            self.pipe.readable.pass_on();
        }
        if done == 0 && !last.ended && !bytes.is_empty() { Err(Errno::EAGAIN) } else { Ok(done) }
    }

    fn write(&self, _: u64, bytes: &[u8]) -> Result<usize, Errno> {
        self.put(bytes, false)
    }

    fn poll(&self) -> Readiness {
        let state = self.pipe.state.lock();
        let mut ready = Readiness::empty();
        if self.access.reads() {
            if !state.bytes.is_empty() && !state.is_claimed {
                ready |= Readiness::IN | Readiness::RDNORM;
            }
            // A FIFO that no writer ever opened is not at its end.
            let had_writer = self.access == Access::Read && (self.met.at_once || state.writers.ever != self.met.before);
            if state.writers.open == 0 && had_writer {
                ready |= Readiness::HUP;
            }
        }
        if self.access.writes() {
            if state.has_room() {
                ready |= Readiness::OUT | Readiness::WRNORM;
            }
            if state.readers.open == 0 {
                ready |= Readiness::ERR;
            }
        }
        ready
    }

    fn changes(&self) -> Option<&WaitQueue> {
        Some(match self.access {
            Access::Read => &self.pipe.readable,
            Access::Write => &self.pipe.writable,
            Access::Both => &self.pipe.either,
        })
    }

    fn control(&self, request: u32, argument: u64, memory: &mut dyn UserBytes) -> Result<u64, Errno> {
        if request != ioctl::FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let waiting = i32::try_from(self.pipe.state.lock().bytes.len()).unwrap_or(i32::MAX);
        memory.write(argument, &waiting.to_ne_bytes())?;
        Ok(0)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.pipe.leave(self.access);
    }
}
