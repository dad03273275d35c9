//! Both sides of a pseudo-terminal, as open files.

use super::{CHUNK, EXPANSION, Pty};
use crate::errno::Errno;
use crate::fs::{File, Readiness, UserBytes};
use crate::sync::{Turn, WaitQueue};
use crate::tty::discipline::{ReadOutcome, Signal};
use crate::tty::requests::{Outcome, TerminalDevice, control, read_number, write_number};
use alloc::sync::Arc;
use linux_raw_sys::{general, ioctl};

/// Bytes that are copied with the lock held once.
const PIECE: usize = 4096;

/// The side of the program that is screen and keyboard.
pub struct Master {
    pty: Arc<Pty>,
}

impl Master {
    pub(super) fn new(pty: Arc<Pty>) -> Arc<Self> {
        Arc::new(Self { pty })
    }

    /// The terminal; `TIOCGPTPEER` opens its slave's side.
    pub fn pty(&self) -> &Arc<Pty> {
        &self.pty
    }

    /// What happened since it was told last, in packet mode; none if nothing did, or nobody wants to know.
    fn take_status(&self) -> Option<u8> {
        let mut state = self.pty.state.lock();
        let status = core::mem::take(&mut state.status);
        u8::try_from(status).ok().filter(|status| state.tells_status && *status != 0)
    }

    /// Does what only a master is asked. None if it is not that.
    fn control_master(&self, request: u32, argument: u64, memory: &mut dyn UserBytes) -> Result<Option<()>, Errno> {
        match request {
            ioctl::TIOCGPTN => memory.write(argument, &self.pty.number.to_ne_bytes())?,
            ioctl::TIOCSPTLCK => {
                let is_locked = read_number(argument, memory)? != 0;
                self.pty.state.lock().is_locked = is_locked;
            }
            ioctl::TIOCGPTLCK => {
                let is_locked = self.pty.state.lock().is_locked;
                write_number(argument, usize::from(is_locked), memory)?;
            }
            ioctl::TIOCPKT => {
                let tells_status = read_number(argument, memory)? != 0;
                let mut state = self.pty.state.lock();
                if tells_status != state.tells_status {
                    (state.tells_status, state.status) = (tells_status, 0);
                }
            }
            ioctl::TIOCGPKT => {
                let tells_status = self.pty.state.lock().tells_status;
                write_number(argument, usize::from(tells_status), memory)?;
            }
            ioctl::TIOCSIG => self.pty.signal(match u32::try_from(argument) {
                Ok(general::SIGINT) => Signal::Interrupt,
                Ok(general::SIGQUIT) => Signal::Quit,
                Ok(general::SIGTSTP) => Signal::Suspend,
                _ => return Err(Errno::EINVAL),
            }),
            ioctl::FIONREAD => {
                let waiting = self.pty.state.lock().output.len();
                write_number(argument, waiting, memory)?;
            }
            _ => return Ok(None),
        }
        Ok(Some(()))
    }
}

impl File for Master {
    fn read(&self, _: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        let tells_status = self.pty.state.lock().tells_status;
        let mut target = bytes;
        let mut done = 0_usize;
        if tells_status {
            // Each read begins with what happened, and that comes alone; else with a zero.
            let Some((first, rest)) = target.split_first_mut() else { return Ok(0) };
            *first = general::TIOCPKT_DATA as u8;
            if let Some(status) = self.take_status() {
                *first = status;
                return Ok(1);
            }
            (target, done) = (rest, 1);
        }
        let (header, wants_bytes) = (done, !target.is_empty());
        for piece in target.chunks_mut(PIECE) {
            let count = self.pty.change_state(|state, _| state.output.pop(piece));
            done = done.saturating_add(count);
            if count < piece.len() {
                break;
            }
        }
        let state = self.pty.state.lock();
        if done > header || (!wants_bytes && (header == 0 || !state.output.is_empty())) {
            return Ok(done);
        }
        Err(if state.was_left && state.output.is_empty() { Errno::EIO } else { Errno::EAGAIN })
    }

    fn write(&self, _: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let mut done = 0_usize;
        for chunk in bytes.chunks(CHUNK) {
            let taken = self.pty.change(|discipline, output| discipline.receive(chunk, output));
            done = done.saturating_add(taken);
            if taken < chunk.len() {
                break;
            }
        }
        if done == 0 && !bytes.is_empty() { Err(Errno::EAGAIN) } else { Ok(done) }
    }

    fn poll(&self) -> Readiness {
        let state = self.pty.state.lock();
        let has_status = state.tells_status && state.status != 0;
        let mut ready = Readiness::empty();
        ready.set(Readiness::IN | Readiness::RDNORM, !state.output.is_empty() || has_status);
        ready.set(Readiness::PRI, has_status);
        ready.set(Readiness::OUT | Readiness::WRNORM, !state.discipline.is_full());
        ready.set(Readiness::HUP, state.was_left);
        ready
    }

    fn changes(&self) -> Option<&WaitQueue> {
        Some(&self.pty.master_changed)
    }

    fn writers(&self) -> Option<&Turn> {
        Some(&self.pty.master_writers)
    }

    /// What a terminal is asked at this side concerns the slave's; job control does not apply.
    fn control(&self, request: u32, argument: u64, memory: &mut dyn UserBytes) -> Result<u64, Errno> {
        if self.control_master(request, argument, memory)?.is_some() {
            return Ok(0);
        }
        match control(&*self.pty, None, request, argument, memory)? {
            Outcome::Done => Ok(0),
            _ => Err(Errno::ENOTTY),
        }
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.pty.hang_up();
    }
}

/// The side of the programs that have a terminal. Each time it is opened makes one.
pub struct Slave {
    pty: Arc<Pty>,
}

impl Slave {
    pub(super) fn new(pty: Arc<Pty>) -> Arc<Self> {
        Arc::new(Self { pty })
    }

    /// The terminal.
    pub fn pty(&self) -> &Arc<Pty> {
        &self.pty
    }
}

impl File for Slave {
    /// After the master has gone, the file has ended, as of any terminal that hung up.
    fn read(&self, _: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        let (outcome, has_master) = self.pty.change_state(|state, _| {
            if state.has_master { (state.discipline.read(bytes), true) } else { (ReadOutcome::EndOfFile, false) }
        });
        match outcome {
            ReadOutcome::Bytes(count) => Ok(count),
            ReadOutcome::EndOfFile => Ok(0),
            ReadOutcome::WouldBlock if has_master => Err(Errno::EAGAIN),
            ReadOutcome::WouldBlock => Ok(0),
        }
    }

    fn write(&self, _: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let outcome = self.pty.change_state(|state, signals| {
                if !state.has_master {
                    return Err(Errno::EIO);
                }
                let size = rest.len().min(CHUNK).min(state.room() / EXPANSION);
                let chunk = rest.get(..size).filter(|chunk| !chunk.is_empty()).ok_or(Errno::EAGAIN)?;
                let mut output = super::Output { queue: &mut state.output, signals, is_lost: false };
                match state.discipline.process_output(chunk, &mut output) {
                    0 => Err(Errno::EAGAIN),
                    _ if output.is_lost => Err(Errno::ENOMEM),
                    taken => Ok(taken),
                }
            });
            match outcome {
                Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
                Err(error) if rest.len() == bytes.len() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(bytes.len().saturating_sub(rest.len()))
    }

    fn poll(&self) -> Readiness {
        let state = self.pty.state.lock();
        let is_gone = !state.has_master;
        let mut ready = Readiness::empty();
        ready.set(Readiness::IN | Readiness::RDNORM, is_gone || state.discipline.is_readable());
        ready.set(Readiness::OUT | Readiness::WRNORM, is_gone || state.is_writable());
        ready.set(Readiness::HUP | Readiness::ERR, is_gone);
        ready
    }

    fn changes(&self) -> Option<&WaitQueue> {
        Some(&self.pty.slave_changed)
    }

    fn writers(&self) -> Option<&Turn> {
        Some(&self.pty.slave_writers)
    }

    fn terminal(&self) -> Option<&dyn TerminalDevice> {
        Some(&*self.pty)
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        self.pty.close_slave();
    }
}
