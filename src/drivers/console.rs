//! The console: a screen, if there is one, and the serial port, saying the same; and the log that feeds it.
//!
//! Every record goes to the ring, from the first line on, whether or not its level is shown. A display that is attached later is
//! first told all that was said.
//!
//! What is written is drawn at once as a rule. While much is written in a short time, it is drawn from time to time, and what is
//! left in the end by whoever waits in [`flush_queue`]: see [`logic::tty::pace`]. Nothing waits before [`defer_from_now_on`], in a
//! panic, or where interrupts are off, because nobody could be woken there.

use super::screen::Screen;
use super::serial::Serial;
use super::tty;
use crate::hw::clock;
use crate::hw::lock::Panicking;
use crate::hw::power::END_TARGET;
use crate::hw::retained::RetainedLog;
use arrayvec::ArrayVec;
use core::fmt::{self, Write};
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use log::{Level, LevelFilter, Log, Metadata, Record};
use logic::boot::BootInfo;
use logic::display::Display;
use logic::last_log::{End, Kind, MAX_TEXT};
use logic::log_ring::LogRing;
use logic::sync::wait_queue::WaitQueue;
use logic::sync::{IrqLock, Rank};
use logic::time::Instant;
use logic::tty::pace::{Decision, Pace, Source};
use logic::tty::terminal::{Modes, REPLY_BYTES};
use x86_64::instructions::interrupts;

/// Bytes of log that are kept.
pub const LOG_BYTES: usize = 32 * 1024;
/// The least important level that is kept; finer ones are for whoever changes this.
const KEPT: LevelFilter = LevelFilter::Debug;

/// Bytes that a program writes with interrupts off: a serial port takes 87 µs for each.
const PIECE_BYTES: usize = 64;
/// Cells that are drawn with interrupts off, and a row more.
const SLICE_CELLS: usize = 256;

/// What a program that asks is told where there is no screen: that of a VT100, which most serial terminals are at least.
const SIZE_WITHOUT_SCREEN: (usize, usize) = (80, 24);

/// The least important level that is shown, as a number.
static SHOWN: AtomicUsize = AtomicUsize::new(LevelFilter::Info as usize);
pub(super) static CONSOLE: IrqLock<Console> =
    IrqLock::new(Rank::Console, Console { serial: None, screen: Screen::none(), is_in_line: false, pace: Pace::new() });
pub(super) static LOG: IrqLock<LogRing<LOG_BYTES>> = IrqLock::new(Rank::Log, LogRing::new());
/// What of the log outlives a reset. Apart from the log, which is zeros at first and so takes no room in the image.
pub(super) static RETAINED: IrqLock<Option<RetainedLog>> = IrqLock::new(Rank::RetainedLog, None);
static LOGGER: Logger = Logger;

/// Lines of the kernel's own that were shown.
static LINES: AtomicU64 = AtomicU64::new(0);

/// Somebody waits in [`FLUSH_QUEUE`].
static MAY_DEFER: AtomicBool = AtomicBool::new(false);
/// Something is not drawn yet, and when it should be.
static IS_FLUSH_WANTED: AtomicBool = AtomicBool::new(false);
static FLUSH_DUE: AtomicU64 = AtomicU64::new(0);
static FLUSH_QUEUE: WaitQueue = WaitQueue::new();
/// Who reads the log waits here.
static LOG_QUEUE: WaitQueue = WaitQueue::new();

pub(super) struct Console {
    serial: Option<Serial>,
    pub(super) screen: Screen,
    /// The serial line does not stand at its beginning.
    is_in_line: bool,
    pace: Pace,
}

impl Console {
    /// A program's output. What the serial port has not taken soon is to be sent by [`send`](Self::send).
    fn write<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let unsent = self.send(bytes);
        if let Some(last) = bytes.last() {
            self.is_in_line = !matches!(last, b'\n' | b'\r');
        }
        self.screen.write(bytes);
        unsent
    }

    /// Goes on sending at the serial port; the bytes that it has not taken soon.
    fn send<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        self.serial.as_mut().map_or(&[], |serial| serial.send(bytes))
    }

    /// The same in one go, however long the serial port is waited for.
    fn write_all(&mut self, bytes: &[u8]) {
        let mut unsent = self.write(bytes);
        while !unsent.is_empty() {
            unsent = self.send(unsent);
        }
    }

    /// Begins a line of the kernel's own, apart from what was written before.
    pub(super) fn begin_line(&mut self) {
        if self.is_in_line {
            self.say_on_serial("\n");
            self.is_in_line = false;
        }
        self.screen.begin_line();
    }

    pub(super) fn end_line(&mut self) {
        self.say_on_serial("\n");
        self.is_in_line = false;
        self.screen.end_line();
    }

    pub(super) fn say_on_serial(&mut self, text: &str) {
        if let Some(serial) = &mut self.serial {
            serial.write(text);
        }
    }
}

/// Adds to the kernel's line.
impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.say_on_serial(text);
        self.screen.continue_line(text);
        Ok(())
    }
}

/// Finds the serial port and starts the log.
pub fn start() {
    CONSOLE.lock().serial = Serial::new();
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(KEPT);
    }
}

/// From now on all that is said outlives a warm reset, and so does what was said before. Tells how the last start ended, if that is
/// known and was not in order.
pub fn retain(info: &BootInfo) {
    let Some(mut retained) = RetainedLog::open(info) else { return };
    let end = retained.end();
    let message = retained.panic_message();
    {
        let log = LOG.lock();
        for (level, text) in log.records() {
            let text: ArrayVec<u8, MAX_TEXT> = text.take(MAX_TEXT).collect();
            retained.push(level, Kind::Ordinary, &text);
        }
        *RETAINED.lock() = Some(retained);
    }
    match end {
        End::Unknown => {}
        End::InOrder => log::debug!("the last start ended in order"),
        End::Panic => log::warn!("the last start ended in a {message}; `log last` tells more"),
        End::Abrupt => log::info!("the last start ended abruptly; `log last` tells what it said"),
    }
}

/// Adds the display that the loader left, and obeys `log=` of the command line: off, error, warn, info, debug or trace. Kernel
/// memory must be there to be taken.
pub fn attach(info: &BootInfo) {
    if let Some(screen) = Screen::new(info.display) {
        let screen = screen.with_terminal();
        attach_screen(LOG.lock(), CONSOLE.lock(), screen);
    }
    match info.command_line.value("log").map(str::parse) {
        None => {}
        Some(Ok(level)) => show(level),
        Some(Err(_)) => log::warn!("log= takes off, error, warn, info, debug or trace"),
    }
}

/// Adds a display where there is no memory, unless there is one already: for a kernel that is about to stop.
#[inline(never)]
pub fn attach_display(display: Display) {
    // To map a display twice would blank it.
    if CONSOLE.lock().screen.is_there() {
        return;
    }
    if let Some(screen) = Screen::new(display) {
        attach_screen(LOG.lock(), CONSOLE.lock(), screen);
    }
}

/// The same for a panic before the kernel has its own page tables, when nobody has looked for a display yet. A screen is large:
/// not in the frame of the panic, which may be deep in a stack.
#[inline(never)]
pub fn attach_display_in_panic(panicking: &Panicking, display: impl FnOnce() -> Display) {
    if panicking.seize(&CONSOLE).screen.is_there() {
        return;
    }
    if let Some(screen) = Screen::new(display()) {
        attach_screen(panicking.seize(&LOG), panicking.seize(&CONSOLE), screen);
    }
}

/// Has records up to `level` shown, and all of those kept.
pub fn show(level: LevelFilter) {
    SHOWN.store(level as usize, Ordering::Relaxed);
    log::set_max_level(level.max(KEPT));
}

/// The least important level that is shown.
pub fn shown() -> LevelFilter {
    let shown = SHOWN.load(Ordering::Relaxed);
    LevelFilter::iter().find(|level| *level as usize == shown).unwrap_or(LevelFilter::Info)
}

/// Wakes when there are new records. Those that were made with interrupts off are told of with the next.
pub fn log_queue() -> &'static WaitQueue {
    &LOG_QUEUE
}

/// Whether the console shows records of that level.
pub fn is_shown(level: Level) -> bool {
    level as usize <= SHOWN.load(Ordering::Relaxed)
}

/// Tells a screen all that was said so far.
fn attach_screen(
    log: impl Deref<Target = LogRing<LOG_BYTES>>,
    mut console: impl DerefMut<Target = Console>,
    mut screen: Screen,
) {
    for (level, text) in log.records().filter(|(level, _)| is_shown(*level)) {
        screen.continue_line(prefix(level));
        say_bytes(text, |words| screen.continue_line(words));
        screen.end_line();
    }
    screen.render(0, usize::MAX);
    console.screen = screen;
}

/// Hands on a record's text, as strings.
pub(super) fn say_bytes(bytes: impl Iterator<Item = u8>, mut say: impl FnMut(&str)) {
    // A record whose beginning was dropped may begin within a character.
    let mut decoder = Utf8::default();
    bytes.for_each(|byte| decoder.push(byte, &mut say));
}

/// Bytes of a character that is not complete yet.
#[derive(Default)]
struct Utf8(ArrayVec<u8, 4>);

impl Utf8 {
    fn push(&mut self, byte: u8, say: &mut impl FnMut(&str)) {
        if self.0.try_push(byte).is_err() {
            self.0.clear();
        }
        if let Ok(character) = core::str::from_utf8(&self.0) {
            say(character);
            self.0.clear();
        }
    }
}

/// Shows a program's output, escape sequences and all, on the screen and on the serial line. No lock may be held.
pub fn write(bytes: &[u8]) {
    for piece in bytes.chunks(PIECE_BYTES) {
        let mut unsent = CONSOLE.lock().write(piece);
        while !unsent.is_empty() {
            // The other side pauses. Interrupts are let in between, and who else has something to say.
            unsent = CONSOLE.lock().send(unsent);
        }
        draw(Source::Program);
    }
}

/// The same from a panic, whoever has the console; line feeds begin lines.
pub fn write_in_panic(panicking: &Panicking, bytes: &[u8]) {
    let mut console = panicking.seize(&CONSOLE);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match line.split_last() {
            Some((b'\n', line)) => {
                console.write_all(line);
                console.write_all(b"\r\n");
            }
            _ => console.write_all(line),
        }
    }
    console.screen.render(0, usize::MAX);
}

/// Begins a line, if what was written last has not ended its own. No lock may be held.
pub fn begin_line() {
    CONSOLE.lock().begin_line();
}

/// How many lines of its own the kernel has shown. Each begins a row and leaves the cursor in the next, whatever was written there.
pub fn kernel_lines() -> u64 {
    LINES.load(Ordering::Acquire)
}

/// The size of the screen, from a panic.
pub fn size_in_panic(panicking: &Panicking) -> (usize, usize) {
    panicking.seize(&CONSOLE).screen.size()
}

/// Columns and rows.
pub fn size() -> (usize, usize) {
    match CONSOLE.lock().screen.size() {
        (0, _) | (_, 0) => SIZE_WITHOUT_SCREEN,
        size => size,
    }
}

/// What keys must be sent as, and other modes that programs have set.
pub fn modes() -> Modes {
    CONSOLE.lock().screen.terminal().map(|terminal| *terminal.modes()).unwrap_or_default()
}

/// The screen's answers to what programs asked it, to be taken as typed.
pub fn take_reply() -> ArrayVec<u8, REPLY_BYTES> {
    CONSOLE.lock().screen.terminal().map(|terminal| terminal.take_reply()).unwrap_or_default()
}

/// Scrolls the screen's view: back by positive `rows`, forward by negative ones.
pub fn scroll_view(rows: isize) {
    let changed = CONSOLE.lock().screen.terminal().is_some_and(|terminal| terminal.scroll_view(rows));
    if changed {
        render_now();
    }
}

/// Makes room for all of the past that can be scrolled back to, of which the kernel's start has only made some. No lock may be held.
pub fn extend_past() {
    let (columns, rows) = CONSOLE.lock().screen.size();
    let mut memory = Screen::memory(columns, rows);
    if let Some(terminal) = CONSOLE.lock().screen.terminal() {
        memory = memory.take().map(|memory| terminal.move_to(memory));
    }
    // Freed with no lock held: the heap's comes before the console's.
    drop(memory);
}

/// Returns the view to the present, as output does by itself.
pub fn reset_view() {
    scroll_view(isize::MIN);
}

/// Lets drawing wait while much is written: called by the one who from now on waits in [`flush_queue`] until
/// [`is_flush_wanted`], then until [`flush_due`], then calls [`flush`], again and again.
pub fn defer_from_now_on() {
    MAY_DEFER.store(true, Ordering::Release);
}

/// Who draws what was left undrawn waits here.
pub fn flush_queue() -> &'static WaitQueue {
    &FLUSH_QUEUE
}

/// Whether something was left undrawn.
pub fn is_flush_wanted() -> bool {
    IS_FLUSH_WANTED.load(Ordering::Acquire)
}

/// When it should be drawn.
pub fn flush_due() -> Instant {
    Instant::from_nanoseconds(FLUSH_DUE.load(Ordering::Relaxed))
}

/// Draws what was left undrawn.
pub fn flush() {
    IS_FLUSH_WANTED.store(false, Ordering::Release);
    render_now();
}

/// Draws now, or has it done later.
fn draw(source: Source) {
    // Where interrupts are on no spinning lock is held, so that waking can wait for none.
    if MAY_DEFER.load(Ordering::Acquire) && interrupts::are_enabled() {
        let now = clock::now();
        let decision = CONSOLE.lock().pace.decide(now, source);
        if let Decision::At(due) = decision {
            if !IS_FLUSH_WANTED.load(Ordering::Relaxed) {
                FLUSH_DUE.store(due.nanoseconds(), Ordering::Relaxed);
                IS_FLUSH_WANTED.store(true, Ordering::Release);
                FLUSH_QUEUE.wake_all();
            }
            return;
        }
    }
    render_now();
}

/// Draws all that is not shown yet, in slices between which others get the console.
pub fn render_now() {
    let began = clock::now();
    let mut row = Some(0);
    while let Some(next) = row {
        row = CONSOLE.lock().screen.render(next, SLICE_CELLS);
    }
    CONSOLE.lock().pace.note(began, clock::now());
}

/// Calls `action` while the locks of console and log are held, as they are while a record is written.
pub fn while_locked(action: impl FnOnce()) {
    let (_log, _console) = (LOG.lock(), CONSOLE.lock());
    action();
}

/// Has the newest record, which is at `position`, outlive a reset.
pub(super) fn retain_newest(log: &LogRing<LOG_BYTES>, position: u64, retained: &mut Option<RetainedLog>, kind: Kind) {
    if let Some(retained) = retained
        && let Some((level, pieces)) = log.newest_at(position)
    {
        let mut text = ArrayVec::<u8, MAX_TEXT>::new();
        for piece in pieces {
            // As much as there is room for.
            let _ = text.try_extend_from_slice(piece.get(..text.remaining_capacity()).unwrap_or(piece));
        }
        retained.push(level, kind, &text);
    }
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let kind = if record.target() == END_TARGET { Kind::End } else { Kind::Ordinary };
        let mut log = LOG.lock();
        let position = log.push(record.level(), *record.args());
        retain_newest(&log, position, &mut RETAINED.lock(), kind);
        drop(log);
        // Elsewhere nobody can be woken.
        if interrupts::are_enabled() {
            LOG_QUEUE.wake_all();
        }
        if is_shown(record.level()) {
            {
                let mut console = CONSOLE.lock();
                console.begin_line();
                // Writing never fails; a Display that does has said what it could.
                let _ = write!(console, "{}{}", prefix(record.level()), record.args());
                console.end_line();
                LINES.fetch_add(1, Ordering::Release);
            }
            draw(Source::Kernel);
            if interrupts::are_enabled() {
                tty::note_kernel_line();
            }
        }
    }

    fn flush(&self) {}
}

/// What tells a level on the console: nothing for the ordinary.
pub(super) fn prefix(level: Level) -> &'static str {
    match level {
        Level::Error => "error: ",
        Level::Warn => "warning: ",
        Level::Info => "",
        Level::Debug | Level::Trace => "debug: ",
    }
}
