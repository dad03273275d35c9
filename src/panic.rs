//! The end of a kernel that found itself wrong: says where and why on every console, then stops.
//!
//! In debug builds, or asked for by `panic=monitor`, the monitor's prompt follows.
//!
//! It allocates nothing, waits for no lock, and says the most important first, in case that it does not get further; then, from
//! the least to the most important, what a photograph of the screen should show. An 80x25 screen has 24 rows above the cursor:
//! 2 of message, 7 of registers, 15 of backtrace; what is left shows the end of the log. Last of all comes a QR code of the same and
//! of more of the log: beside the words where there is room, else on a page of its own.

use crate::drivers::console;
use crate::drivers::last_words::LastWords;
use crate::drivers::log_code::{self, PanicRecords};
use crate::hw::backtrace::{self, Backtrace};
use crate::hw::lock::{Declared, Panicking};
use crate::hw::{boot, cpu, paging, percpu, trap};
use crate::monitor;
use core::fmt::{self, Write};
use core::iter::Peekable;
use core::panic::PanicInfo;
use logic::backtrace::Frame;

/// Records of the log that are shown again.
const LOG_LINES: usize = 10;
/// Lines of backtrace; one more tells that there is more.
const BACKTRACE_LINES: usize = 14;

/// Where panics without an exception come from: nothing that the reader looks for.
const MACHINERY: [&str; 4] = ["__rustc::", "core::panicking::", "core::option::", "core::result::"];

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match Panicking::declare(info) {
        Declared::First(panicking) => {
            let records = report(&panicking, info);
            if monitor::wants_panics() {
                monitor::after_panic(&panicking);
            }
            if let Some(records) = records.filter(|_| !cfg!(feature = "selftest")) {
                log_code::show_panic(&panicking, records);
                turn_pages(&panicking);
            }
        }
        Declared::Again(panicking) => {
            // The message comes last: showing it may be what is wrong.
            let mut words = LastWords::new(&panicking);
            words.line(format_args!("panic in the panic at {}: {}", Place(info), info.message()));
        }
        Declared::Hopeless => cpu::halt(),
    }
    #[cfg(feature = "selftest")]
    crate::hw::power::leave_emulator(crate::hw::power::Exit::Panicked);
    cpu::halt()
}

#[inline(never)]
fn report(panicking: &Panicking, info: &PanicInfo<'_>) -> Option<PanicRecords> {
    if !paging::installed() {
        console::attach_display_in_panic(panicking, || boot::display_in_panic(panicking));
    }
    let mut words = LastWords::new(panicking);
    if !monitor::wants_panics() {
        words.leave_room_for_code();
    }
    say_message(&mut words, info);
    let (message, first) = words.records();
    words.log_tail(LOG_LINES);
    if let Some(registers) = trap::fatal_frame(panicking) {
        // Writing never fails.
        let _ = write!(words, "{registers}");
    }
    say_backtrace(&mut words, backtrace::of_panic(panicking));
    if words.have_scrolled() {
        say_message(&mut words, info);
    }
    first.map(|first| PanicRecords { first, message })
}

/// Where a QR code has a page of its own, shows that and the text in turns, for as long as somebody presses keys.
fn turn_pages(panicking: &Panicking) {
    let mut shows_code = true;
    while log_code::has_page(panicking) {
        monitor::wait_for_key(panicking);
        shows_code = !shows_code;
        log_code::turn_page(panicking, shows_code);
    }
}

#[inline(never)]
fn say_message(words: &mut LastWords<'_>, info: &PanicInfo<'_>) {
    // Writing never fails; a Display that does has said what it could.
    let _ =
        writeln!(words, "kernel panic at {} on CPU {}\n  {}", Place(info), percpu::current().number(), info.message());
}

/// Tells who called whom. What calls itself again and again takes one line.
#[inline(never)]
fn say_backtrace(words: &mut LastWords<'_>, backtrace: Backtrace) {
    let mut frames = backtrace.skip_while(|frame| is_machinery(*frame)).peekable();
    for _ in 0..BACKTRACE_LINES {
        let Some(frame) = frames.next() else { return };
        let (Frame::Return(address) | Frame::Interrupted(address)) = frame;
        let times = Times(1 + repetitions(&mut frames, frame));
        match backtrace::symbol(frame) {
            Some((name, offset)) => words.line(format_args!("  at {address:016x} {name}+{offset:#x}{times}")),
            None => words.line(format_args!("  at {address:016x}{times}")),
        }
    }
    if frames.next().is_some() {
        words.line(format_args!("  ..."));
    }
}

fn is_machinery(frame: Frame) -> bool {
    let name = match frame {
        Frame::Return(_) => backtrace::symbol(frame),
        Frame::Interrupted(_) => None,
    };
    name.is_some_and(|(name, _)| MACHINERY.iter().any(|prefix| name.starts_with(prefix)))
}

/// Takes the frames that are the same again, and counts them.
fn repetitions(frames: &mut Peekable<impl Iterator<Item = Frame>>, frame: Frame) -> usize {
    let mut count = 0;
    while frames.next_if_eq(&frame).is_some() {
        count += 1;
    }
    count
}

/// Where in the sources a panic is.
struct Place<'a>(&'a PanicInfo<'a>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, output: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.location() {
            Some(place) => write!(output, "{}:{}", place.file(), place.line()),
            None => output.write_str("an unknown place"),
        }
    }
}

/// How often a line would stand there, if more than once.
struct Times(usize);

impl fmt::Display for Times {
    fn fmt(&self, output: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(output, " ({} times)", self.0) } else { Ok(()) }
    }
}
