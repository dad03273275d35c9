//! The console: whatever of serial port, VGA text and framebuffer there is, all saying the same; and the log that feeds it.
//!
//! Every record goes to the ring, from the first line on, whether or not its level is shown. A display that is attached later is
//! first told all that was said.

use super::framebuffer::FramebufferText;
use super::serial::Serial;
use super::vga::VgaText;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicUsize, Ordering};
use log::{Level, LevelFilter, Log, Metadata, Record};
use logic::boot::BootInfo;
use logic::display::Display;
use logic::log_ring::LogRing;
use logic::sync::{IrqLock, Rank};
use logic::tty::{CellDisplay, TextGrid};

/// Bytes of log that are kept.
const LOG_BYTES: usize = 32 * 1024;
/// The least important level that is kept; finer ones are for whoever changes this.
const KEPT: LevelFilter = LevelFilter::Debug;

/// The least important level that is shown, as a number.
static SHOWN: AtomicUsize = AtomicUsize::new(LevelFilter::Info as usize);
pub(super) static CONSOLE: IrqLock<Console> =
    IrqLock::new(Rank::Console, Console { serial: None, grid: TextGrid::new(), screen: Screen::None });
pub(super) static LOG: IrqLock<LogRing<LOG_BYTES>> = IrqLock::new(Rank::Log, LogRing::new());
static LOGGER: Logger = Logger;

pub(super) enum Screen {
    None,
    Vga(VgaText),
    Framebuffer(FramebufferText),
}

pub(super) struct Console {
    pub(super) serial: Option<Serial>,
    grid: TextGrid,
    screen: Screen,
}

impl Console {
    pub(super) fn write_on_screen(&mut self, text: &str) {
        let display: &mut dyn CellDisplay = match &mut self.screen {
            Screen::None => return,
            Screen::Vga(display) => display,
            Screen::Framebuffer(display) => display,
        };
        self.grid.write(text, display);
    }

    /// Columns and rows of the screen, 0 without one.
    pub(super) fn size(&self) -> (usize, usize) {
        self.grid.size()
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if let Some(serial) = &mut self.serial {
            serial.write(text);
        }
        self.write_on_screen(text);
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

/// Adds the display that the loader left, and obeys `log=` of the command line: off, error, warn, info, debug or trace.
pub fn attach(info: &BootInfo) {
    attach_display(info.display);
    match info.command_line.value("log").map(str::parse) {
        None => {}
        Some(Ok(level)) => show(level),
        Some(Err(_)) => log::warn!("log= takes off, error, warn, info, debug or trace"),
    }
}

/// Has records up to `level` shown, and all of those kept.
fn show(level: LevelFilter) {
    SHOWN.store(level as usize, Ordering::Relaxed);
    log::set_max_level(level.max(KEPT));
}

fn is_shown(level: Level) -> bool {
    level as usize <= SHOWN.load(Ordering::Relaxed)
}

/// Adds a display, and tells it all that was said so far.
pub fn attach_display(display: Display) {
    let (screen, (columns, rows)) = match display {
        Display::None => (None, (0, 0)),
        Display::Text { columns, rows } => {
            let size = (columns as usize, rows as usize);
            (VgaText::new(size.0, size.1).map(Screen::Vga), size)
        }
        Display::Framebuffer(framebuffer) => match FramebufferText::new(&framebuffer) {
            Some(display) => {
                let size = display.size();
                (Some(Screen::Framebuffer(display)), size)
            }
            None => (None, (0, 0)),
        },
    };
    let Some(screen) = screen else { return };
    let log = LOG.lock();
    let mut console = CONSOLE.lock();
    console.screen = screen;
    console.grid.resize(columns, rows);
    for (level, text) in log.records().filter(|(level, _)| is_shown(*level)) {
        console.write_on_screen(prefix(level));
        for byte in text {
            console.write_on_screen(char::from(byte).encode_utf8(&mut [0; 4]));
        }
        console.write_on_screen("\n");
    }
}

/// Calls `action` while the locks of console and log are held, as they are while a record is written.
pub fn while_locked(action: impl FnOnce()) {
    let (_log, _console) = (LOG.lock(), CONSOLE.lock());
    action();
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        LOG.lock().push(record.level(), *record.args());
        if is_shown(record.level()) {
            let _ = writeln!(CONSOLE.lock(), "{}{}", prefix(record.level()), record.args());
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
