//! The console's terminals: keyboard and serial port on the one side, programs or the monitor on the other, the line
//! discipline between them.
//!
//! There are two, so that neither reads what was typed for the other: one for programs, one for the kernel's monitor. What is
//! typed goes to the one that has the console; while that is the monitor's, what programs write waits.
//!
//! It never blocks: a read or write that can do nothing says so, and [`changes`](Tty::changes) wakes when it may be
//! tried again. The layer above sleeps.

use crate::drivers::{console, input};
use crate::hw::cpu;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use logic::sync::{IrqLock, Rank, WaitQueue};
use logic::tty::discipline::{Discipline, ReadOutcome, ReadPace, Signal, Sink, Termios, WindowSize};

/// Bytes of output that are processed with the lock held once.
const CHUNK: usize = 256;

static CONSOLE: Tty = Tty::new();
static MONITOR: Tty = Tty::new();
/// Until there is a program, what is typed is for the monitor.
static MONITOR_HAS_CONSOLE: AtomicBool = AtomicBool::new(true);
static SIGNALS: IrqLock<Option<fn(Signal)>> = IrqLock::new(Rank::File, None);

/// The time-stamp counter when somebody first waited for what is typed, 0 before.
static FIRST_WAIT: AtomicU64 = AtomicU64::new(0);

/// When the first prompt was there, by the time-stamp counter; 0 if none has been.
pub fn first_wait_tsc() -> u64 {
    FIRST_WAIT.load(Ordering::Relaxed)
}

/// The programs' terminal.
pub fn console() -> &'static Tty {
    &CONSOLE
}

/// The monitor's terminal.
pub fn monitor() -> &'static Tty {
    &MONITOR
}

/// Gives both the settings that their readers expect, and the size of the screen.
pub fn begin() {
    CONSOLE.begin(Termios::cooked());
    // Line feeds stay ends of lines.
    MONITOR.begin(Termios { output: Termios::cooked().output, ..Termios::cooked().raw() });
}

/// What is typed goes to the monitor from now on. What has come in and found no room at the programs' terminal is lost.
pub fn give_to_monitor() {
    MONITOR_HAS_CONSOLE.store(true, Ordering::SeqCst);
    input::wake();
}

/// What is typed goes to programs from now on.
pub fn give_to_programs() {
    MONITOR_HAS_CONSOLE.store(false, Ordering::SeqCst);
    input::wake();
    CONSOLE.changed.wake_all();
}

/// Wakes the monitor, whose prompt a line of the kernel's own may have left behind: see [`console::kernel_lines`].
pub(super) fn note_kernel_line() {
    MONITOR.changed.wake_all();
}

/// The terminal that what is typed goes to.
pub(super) fn typed_at() -> &'static Tty {
    if MONITOR_HAS_CONSOLE.load(Ordering::SeqCst) { &MONITOR } else { &CONSOLE }
}

/// Has `hook` called for signals that are typed at the console, ^C, ^\ and ^Z, in the thread that serves input: until
/// it returns, nothing that is typed gets anywhere. Answers the hook before it.
pub fn set_signal_hook(hook: Option<fn(Signal)>) -> Option<fn(Signal)> {
    core::mem::replace(&mut *SIGNALS.lock(), hook)
}

/// What can be done without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// There is something to be read.
    pub readable: bool,
    /// Output is not stopped, and does not wait for the monitor to be left.
    pub writable: bool,
}

/// A terminal.
pub struct Tty {
    discipline: IrqLock<Discipline>,
    changed: WaitQueue,
    /// Bytes that were typed wait for room.
    is_throttled: AtomicBool,
    /// Who typed last sits at another terminal behind the serial port, which answers for itself what programs ask a terminal.
    is_remote: AtomicBool,
}

/// Where something was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Keyboard,
    SerialPort,
}

impl Tty {
    const fn new() -> Self {
        Self {
            discipline: IrqLock::new(Rank::File, Discipline::new(Termios::UNSET)),
            changed: WaitQueue::new(),
            is_throttled: AtomicBool::new(false),
            is_remote: AtomicBool::new(false),
        }
    }

    fn begin(&self, termios: Termios) {
        let (columns, rows) = console::size();
        let size = WindowSize {
            rows: u16::try_from(rows).unwrap_or(u16::MAX),
            columns: u16::try_from(columns).unwrap_or(u16::MAX),
            ..WindowSize::default()
        };
        let mut output = Output::default();
        let mut discipline = self.discipline.lock();
        discipline.set_termios(termios);
        discipline.set_window_size(size, &mut output);
    }

    /// Reads what was typed.
    pub fn read(&self, buffer: &mut [u8]) -> ReadOutcome {
        let outcome = self.discipline.lock().read(buffer);
        self.look_for_waiting_input();
        outcome
    }

    /// Writes, and answers how many bytes: fewer than there are, while output is stopped or waits.
    pub fn write(&self, bytes: &[u8]) -> usize {
        if self.waits() {
            return 0;
        }
        let mut written = 0;
        for chunk in bytes.chunks(CHUNK) {
            let taken = self.with(|discipline, output| discipline.process_output(chunk, output));
            written += taken;
            if taken < chunk.len() {
                break;
            }
        }
        written
    }

    /// What can be done now.
    pub fn poll(&self) -> Readiness {
        let discipline = self.discipline.lock();
        if !discipline.is_readable() && FIRST_WAIT.load(Ordering::Relaxed) == 0 {
            // Another processor may have been first, which is no failure.
            let _ = FIRST_WAIT.compare_exchange(0, cpu::tsc(), Ordering::Relaxed, Ordering::Relaxed);
        }
        Readiness { readable: discipline.is_readable(), writable: discipline.is_writable() && !self.waits() }
    }

    /// Wakes when there may be something to read, or output may go on.
    pub fn changes(&self) -> &WaitQueue {
        &self.changed
    }

    /// How long a read that may sleep does.
    pub fn pace(&self) -> ReadPace {
        self.discipline.lock().pace()
    }

    /// Bytes that can be read now.
    pub fn available(&self) -> usize {
        self.discipline.lock().available()
    }

    /// The settings.
    pub fn attributes(&self) -> Termios {
        *self.discipline.lock().termios()
    }

    /// Changes the settings. There is no output under way that could be waited for.
    pub fn set_attributes(&self, termios: Termios) {
        self.discipline.lock().set_termios(termios);
        self.look_for_waiting_input();
        self.changed.wake_all();
    }

    /// Forgets what was typed and not read.
    pub fn flush_input(&self) {
        self.discipline.lock().flush_input();
        self.look_for_waiting_input();
    }

    /// Stops or starts output, as ^S and ^Q do.
    pub fn stop_output(&self, stop: bool) {
        self.discipline.lock().stop_output(stop);
        self.changed.wake_all();
    }

    /// Rows and columns.
    pub fn window_size(&self) -> WindowSize {
        self.discipline.lock().window_size()
    }

    /// Sets rows and columns.
    pub fn set_window_size(&self, size: WindowSize) {
        self.with(|discipline, output| discipline.set_window_size(size, output));
    }

    /// Takes what was typed, echoes it, and answers how many bytes found room. Called by one thread.
    pub(super) fn type_in(&self, bytes: &[u8], place: Place) -> usize {
        self.is_remote.store(place == Place::SerialPort, Ordering::Relaxed);
        let taken = self.with(|discipline, output| discipline.receive(bytes, output));
        self.changed.wake_all();
        taken
    }

    /// Whether bytes that were refused would be taken now. If not, who asks is woken when they may be.
    pub(super) fn has_room(&self) -> bool {
        // Before looking, and each time: who has read already may only now take the mark away, for room that is used up again.
        self.is_throttled.store(true, Ordering::SeqCst);
        !self.discipline.lock().is_full()
    }

    /// Whether another terminal has the console.
    fn waits(&self) -> bool {
        !core::ptr::eq(self, typed_at()) && core::ptr::eq(self, &CONSOLE)
    }

    /// Changes the terminal, and shows and signals what comes of it when its lock is free again.
    fn with<T>(&self, change: impl FnOnce(&mut Discipline, &mut Output) -> T) -> T {
        let mut output = Output::default();
        let result = change(&mut self.discipline.lock(), &mut output);
        console::write(&output.shown);
        if !output.signals.is_empty() {
            // The hook may do what needs the lock.
            let hook = *SIGNALS.lock();
            output.signals.iter().for_each(|signal| hook.into_iter().for_each(|hook| hook(*signal)));
        }
        self.take_reply();
        result
    }

    /// What the screen answers to a program that asks it something is typed in. What finds no room is lost.
    fn take_reply(&self) {
        let reply = console::take_reply();
        if reply.is_empty() || self.is_remote.load(Ordering::Relaxed) {
            return;
        }
        let mut output = Output::default();
        self.discipline.lock().receive(&reply, &mut output);
        console::write(&output.shown);
        self.changed.wake_all();
    }

    fn look_for_waiting_input(&self) {
        if self.is_throttled.swap(false, Ordering::SeqCst) {
            input::wake();
        }
    }
}

/// What comes of a change, in order.
#[derive(Default)]
struct Output {
    shown: ArrayVec<u8, { 2 * CHUNK }>,
    signals: ArrayVec<Signal, 8>,
}

impl Sink for Output {
    fn show(&mut self, bytes: &[u8]) {
        if self.shown.try_extend_from_slice(bytes).is_err() {
            // Rare: a long line is taken back, or tabs become blanks.
            console::write(&self.shown);
            self.shown.clear();
            console::write(bytes);
        }
    }

    fn signal(&mut self, signal: Signal) {
        // More within one chunk say nothing new.
        let _ = self.signals.try_push(signal);
    }
}
