//! Pseudo-terminals (pty(7), pts(4)): a terminal whose screen and keyboard are a program.
//!
//! What is written to the [`Master`] is typed at the terminal, and what is written to a [`Slave`] can be read from the master,
//! with the line discipline between them. The layer above finds the terminal of a number in [`PseudoTerminals`], and gives
//! sessions to terminals ([`requests`](super::requests)).

mod file_system;
mod numbers;
mod sides;
#[cfg(test)]
mod tests;

pub use file_system::{MULTIPLEXER, SLAVES, TerminalFileSystem};
pub use numbers::PseudoTerminals;
pub use sides::{Master, Slave};

use self::file_system::Entry;
use super::discipline::{Discipline, InputFlags, ReadPace, Signal, Sink, Special, Termios, WindowSize};
use super::job_control::JobControl;
use super::requests::{SignalSink, TerminalDevice, flow_character};
use crate::errno::Errno;
use crate::fs::attributes::DeviceNumber;
use crate::ipc::ByteQueue;
use crate::sync::{IrqLock, Rank, Turn, WaitQueue};
use alloc::sync::{Arc, Weak};
use arrayvec::ArrayVec;
use linux_raw_sys::general;

/// Bytes for the master that are kept. Who writes waits when there is no room; what is echoed beyond that is lost.
const CAPACITY: usize = 16 * 1024;

/// Room for the master's bytes from which on who waits to write is woken.
const ENOUGH: usize = 4096;

/// Bytes that are processed with the lock held once.
const CHUNK: usize = 256;

/// The most that output processing makes of a byte: a tab's blanks.
const EXPANSION: usize = 8;

/// What both sides of a pseudo-terminal share.
pub struct Pty {
    number: u32,
    /// What /dev/pts tells of it.
    entry: Entry,
    numbers: Weak<PseudoTerminals>,
    signals: Arc<dyn SignalSink>,
    state: IrqLock<State>,
    jobs: IrqLock<JobControl>,
    master_changed: WaitQueue,
    slave_changed: WaitQueue,
    master_writers: Turn,
    slave_writers: Turn,
}

struct State {
    discipline: Discipline,
    /// What the master reads.
    output: ByteQueue,
    /// `TIOCSPTLCK`: the slave cannot be opened.
    is_locked: bool,
    has_master: bool,
    slaves: usize,
    /// A slave was open, and none is.
    was_left: bool,
    /// `TIOCPKT`: the master reads what happens, too, and what has happened.
    tells_status: bool,
    status: u32,
}

/// What a change may change.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    available: usize,
    output: usize,
    is_full: bool,
    is_running: bool,
    is_writable: bool,
    status: u32,
}

impl State {
    fn room(&self) -> usize {
        CAPACITY.saturating_sub(self.output.len())
    }

    /// Whether the slave's output goes on.
    fn is_writable(&self) -> bool {
        self.discipline.is_writable() && self.room() >= ENOUGH
    }

    fn look(&self) -> Look {
        Look {
            available: self.discipline.available(),
            output: self.output.len(),
            is_full: self.discipline.is_full(),
            is_running: self.discipline.is_writable(),
            is_writable: self.is_writable(),
            status: self.status,
        }
    }

    /// Notes what the master is told in packet mode.
    fn tell(&mut self, status: u32) {
        if self.tells_status {
            // Of two that contradict, the later holds.
            let contradicted = match status {
                general::TIOCPKT_STOP => general::TIOCPKT_START,
                general::TIOCPKT_START => general::TIOCPKT_STOP,
                general::TIOCPKT_NOSTOP => general::TIOCPKT_DOSTOP,
                general::TIOCPKT_DOSTOP => general::TIOCPKT_NOSTOP,
                _ => 0,
            };
            self.status = self.status & !contradicted | status;
        }
    }
}

/// Where what comes of a change goes: to the master, and to the foreground when the lock is free again.
struct Output<'a> {
    queue: &'a mut ByteQueue,
    signals: &'a mut ArrayVec<Signal, 8>,
    is_lost: bool,
}

impl Sink for Output<'_> {
    fn show(&mut self, bytes: &[u8]) {
        // Who writes has looked for room; the echo has not, and must not grow without bound.
        let has_room = self.queue.len().saturating_add(bytes.len()) <= CAPACITY;
        self.is_lost |= !has_room || self.queue.push(bytes).is_err();
    }

    fn signal(&mut self, signal: Signal) {
        // More within one chunk say nothing new.
        let _ = self.signals.try_push(signal);
    }
}

impl Pty {
    fn new(number: u32, entry: Entry, numbers: Weak<PseudoTerminals>, signals: Arc<dyn SignalSink>) -> Self {
        let mut termios = Termios::cooked();
        // As Linux has it: what is on the other side knows what it shows, and sets these itself.
        termios.input -= InputFlags::IUTF8 | InputFlags::IMAXBEL;
        let state = State {
            discipline: Discipline::new(termios),
            output: ByteQueue::new(),
            is_locked: true,
            has_master: true,
            slaves: 0,
            was_left: false,
            tells_status: false,
            status: 0,
        };
        Self {
            number,
            entry,
            numbers,
            signals,
            state: IrqLock::new(Rank::File, state),
            jobs: IrqLock::new(Rank::File, JobControl::new()),
            master_changed: WaitQueue::new(),
            slave_changed: WaitQueue::new(),
            master_writers: Turn::new(),
            slave_writers: Turn::new(),
        }
    }

    /// Its name in /dev/pts.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Opens the slave's side.
    ///
    /// # Errors
    /// [`Errno::EIO`] while it is locked, and when the master is closed.
    pub fn open_slave(self: &Arc<Self>) -> Result<Arc<Slave>, Errno> {
        {
            let mut state = self.state.lock();
            if state.is_locked || !state.has_master {
                return Err(Errno::EIO);
            }
            state.slaves = state.slaves.saturating_add(1);
            state.was_left = false;
        }
        Ok(Slave::new(self.clone()))
    }

    /// Changes the terminal, wakes whom that concerns, and signals what comes of it when its lock is free again.
    fn change<T>(&self, change: impl FnOnce(&mut Discipline, &mut Output<'_>) -> T) -> T {
        self.change_state(|state, signals| {
            let mut output = Output { queue: &mut state.output, signals, is_lost: false };
            change(&mut state.discipline, &mut output)
        })
    }

    fn change_state<T>(&self, change: impl FnOnce(&mut State, &mut ArrayVec<Signal, 8>) -> T) -> T {
        let mut signals = ArrayVec::new();
        let (result, before, after) = {
            let mut state = self.state.lock();
            let before = state.look();
            let result = change(&mut state, &mut signals);
            match (before.is_running, state.look().is_running) {
                (true, false) => state.tell(general::TIOCPKT_STOP),
                (false, true) => state.tell(general::TIOCPKT_START),
                _ => {}
            }
            (result, before, state.look())
        };
        let has_more_to_read = after.output > before.output || after.status & !before.status != 0;
        if has_more_to_read || (before.is_full && !after.is_full) {
            self.master_changed.wake_all();
        }
        if after.available > before.available || (!before.is_writable && after.is_writable) {
            self.slave_changed.wake_all();
        }
        for signal in signals {
            self.signal(signal);
        }
        result
    }

    fn signal(&self, signal: Signal) {
        let foreground = self.jobs.lock().foreground();
        if let Some(group) = foreground {
            self.signals.signal(group, signal);
        }
    }

    /// The master is closed.
    fn hang_up(&self) {
        self.state.lock().has_master = false;
        let lost = self.jobs.lock().hang_up();
        if let Some(whom) = lost {
            self.signals.hang_up(whom);
        }
        // After the signals: whom they end reads no end of the file before.
        self.slave_changed.wake_all();
    }

    fn close_slave(&self) {
        {
            let mut state = self.state.lock();
            state.slaves = state.slaves.saturating_sub(1);
            state.was_left = state.slaves == 0;
        }
        self.master_changed.wake_all();
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if let Some(numbers) = self.numbers.upgrade() {
            numbers.release(self.number);
        }
    }
}

impl TerminalDevice for Pty {
    fn device(&self) -> DeviceNumber {
        DeviceNumber { major: SLAVES, minor: self.number }
    }

    fn is_gone(&self) -> bool {
        !self.state.lock().has_master
    }

    fn termios(&self) -> Termios {
        *self.state.lock().discipline.termios()
    }

    fn set_termios(&self, termios: Termios) {
        self.change_state(|state, _| {
            let before = stops_by_usual_characters(state.discipline.termios());
            state.discipline.set_termios(termios);
            match (before, stops_by_usual_characters(&termios)) {
                (false, true) => state.tell(general::TIOCPKT_DOSTOP),
                (true, false) => state.tell(general::TIOCPKT_NOSTOP),
                _ => {}
            }
        });
        // What was no line may be readable now.
        self.slave_changed.wake_all();
    }

    fn window_size(&self) -> WindowSize {
        self.state.lock().discipline.window_size()
    }

    fn set_window_size(&self, size: WindowSize) {
        self.change(|discipline, output| discipline.set_window_size(size, output));
    }

    fn available(&self) -> usize {
        self.state.lock().discipline.available()
    }

    fn pace(&self) -> ReadPace {
        self.state.lock().discipline.pace()
    }

    fn flush_input(&self) {
        self.change_state(|state, _| {
            state.discipline.flush_input();
            state.tell(general::TIOCPKT_FLUSHREAD);
        });
    }

    fn flush_output(&self) {
        let flushed = self.change_state(|state, _| {
            state.tell(general::TIOCPKT_FLUSHWRITE);
            core::mem::take(&mut state.output)
        });
        drop(flushed);
    }

    fn stop_output(&self, stop: bool) {
        self.change(|discipline, _| discipline.stop_output(stop));
    }

    fn stop_input(&self, stop: bool) {
        if let Some(character) = flow_character(&self.termios(), stop) {
            self.change(|_, output| output.show(&[character]));
        }
    }

    fn jobs(&self) -> &IrqLock<JobControl> {
        &self.jobs
    }
}

/// Whether output is stopped and started by ^S and ^Q (ioctl_tty(2), TIOCPKT_DOSTOP).
fn stops_by_usual_characters(termios: &Termios) -> bool {
    let (stop, start) = (0x13, 0x11);
    termios.input.contains(InputFlags::IXON) && termios.is(stop, Special::Stop) && termios.is(start, Special::Start)
}
