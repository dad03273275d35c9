//! The log's end as a QR code on the screen, for whoever has a phone and no serial port.
//!
//! A framebuffer shows it in its lower right corner. Text memory shows it on its second page, with what the matter is beside it,
//! because there is no room for it beside lines of text. Nothing is allocated, so that a panic can show one; whatever is missing,
//! a code is not shown, and the screen stays as it is.

use super::console::{self, CONSOLE, Console};
use super::log_reader::{self, LogRecord};
pub use super::screen::CodePlace;
use crate::hw::lock::Panicking;
use arrayvec::ArrayString;
use core::fmt::{self, Write};
use core::ops::DerefMut;
use logic::log_code::symbol::{self, Memory};
use logic::log_code::{Lines, Packer, Report};
use spin::Mutex;

/// Codes of at least this version have room for all words of a panic; smaller ones get its message, which is on the screen in full,
/// up to some length, and the backtrace's addresses.
const ROOMY_VERSION: u8 = 15;
const MOST_CHARACTERS: usize = 90;
/// Addresses that a smaller code gets.
const MOST_ADDRESSES: usize = 8;
/// Digits of an address that differ between functions.
const ADDRESS_DIGITS: usize = 8;

/// Memory in which a code is made: too much for a stack.
struct Workshop {
    head: Lines<4096>,
    log: Lines<8192>,
    packer: Packer,
    memory: Memory,
}

/// Not to be waited for: if a panic has come while it was in use, there is no code. Interrupts stay on meanwhile.
static WORKSHOP: Mutex<Workshop> =
    Mutex::new(Workshop { head: Lines::new(), log: Lines::new(), packer: Packer::new(), memory: Memory::new() });

/// What a panic has said, as records of the log.
#[derive(Clone, Copy)]
pub struct PanicRecords {
    /// The first one's position.
    pub first: u64,
    /// How many are its message.
    pub message: usize,
}

/// Shows a code of a panic: what it said, and the log before.
#[inline(never)]
pub fn show_panic(panicking: &Panicking, records: PanicRecords) {
    let shown = show(Some(panicking), CodePlace::BesideText, records.first, |head, version| {
        let is_roomy = version >= ROOMY_VERSION;
        for record in said(panicking, records).take(if is_roomy { usize::MAX } else { records.message }) {
            let text = record.text.as_str();
            let end = if is_roomy { text.len() } else { text.floor_char_boundary(MOST_CHARACTERS) };
            head.push(&[text.get(..end).unwrap_or(text)]);
        }
        if !is_roomy {
            head.push(&[&addresses(panicking, records)]);
        }
    });
    if shown {
        // Writing never fails.
        let _ = say_beside_code(panicking, records);
    }
}

/// Shows a code of the log so far; whether there was a screen to show it on. In text mode `words` stand beside it.
#[inline(never)]
pub fn show_log(panicking: Option<&Panicking>, place: CodePlace, words: fmt::Arguments<'_>) -> bool {
    let shown = show(panicking, place, u64::MAX, |_, _| {});
    if shown {
        // Writing never fails.
        let _ = Beside(panicking).write_fmt(words);
    }
    shown
}

/// Brings the text back where a code is.
pub fn hide(panicking: Option<&Panicking>) {
    console(panicking).screen.uncover();
    draw_text(panicking);
}

/// Whether the code is on a page of its own, which can be turned to the text.
pub fn has_page(panicking: &Panicking) -> bool {
    console(Some(panicking)).screen.has_code_page()
}

/// Turns to the code's page, or to the text.
pub fn turn_page(panicking: &Panicking, to_code: bool) {
    console(Some(panicking)).screen.show_page(to_code);
}

/// Makes a code of the head that `add_head` tells for a code of at most some version, and of the log up to `end`, and shows it.
fn show(
    panicking: Option<&Panicking>,
    place: CodePlace,
    end: u64,
    add_head: impl FnOnce(&mut Lines<4096>, u8),
) -> bool {
    let Some(mut workshop) = WORKSHOP.try_lock() else { return false };
    let modules = console(panicking).screen.most_modules(place);
    let Some(version) = symbol::largest_version(modules) else { return false };
    let Workshop { head, log, packer, memory } = &mut *workshop;
    head.clear();
    head.push(&["Eres OS ", env!("CARGO_PKG_VERSION")]);
    add_head(head, version);
    log.clear();
    for record in records_from(0, panicking).take_while(|record| record.next <= end) {
        log.push_newest(&[record.prefix(), &record.text]);
    }
    let report = Report { head: head.iter(), newest_first: log.iter().rev() };
    let text = packer.pack(report, symbol::characters(version));
    let Some(symbol) = memory.make(text, version).filter(|_| !text.is_empty()) else { return false };
    // Nothing is drawn while the code is there.
    draw_text(panicking);
    for row in 0..symbol.size() {
        console(panicking).screen.draw_code_row(&symbol, row, place);
    }
    console(panicking).screen.show_page(true);
    true
}

fn draw_text(panicking: Option<&Panicking>) {
    match panicking {
        Some(panicking) => {
            panicking.seize(&CONSOLE).screen.render(0, usize::MAX);
        }
        None => console::render_now(),
    }
}

/// What a panic has said.
fn said(panicking: &Panicking, records: PanicRecords) -> impl Iterator<Item = LogRecord> {
    records_from(records.first, Some(panicking))
}

fn records_from(mut position: u64, panicking: Option<&Panicking>) -> impl Iterator<Item = LogRecord> {
    core::iter::from_fn(move || {
        let record = log_reader::record_from(position, panicking)?;
        position = record.next;
        Some(record)
    })
}

/// The ends of a backtrace's addresses, in a line.
fn addresses(panicking: &Panicking, records: PanicRecords) -> ArrayString<80> {
    let mut line = ArrayString::new();
    // There is room for so many.
    let _ = line.try_push_str("  at");
    for record in said(panicking, records).filter(|record| frame(&record.text).is_some()).take(MOST_ADDRESSES) {
        let address = frame(&record.text).map(|(address, _)| address).unwrap_or_default();
        let _ = write!(line, " {}", address.get(address.len().saturating_sub(ADDRESS_DIGITS)..).unwrap_or(address));
    }
    line
}

/// Address and function, if that is the line of a backtrace.
fn frame(line: &str) -> Option<(&str, &str)> {
    let frame = line.strip_prefix("  at ")?;
    Some(frame.split_once(' ').unwrap_or((frame, "")))
}

/// The message, and who called whom as far as there is room.
fn say_beside_code(panicking: &Panicking, records: PanicRecords) -> fmt::Result {
    let mut beside = Beside(Some(panicking));
    for record in said(panicking, records).take(records.message) {
        writeln!(beside, "{}", record.text)?;
    }
    writeln!(beside, "\nAny key: registers, and back.\n")?;
    for record in said(panicking, records) {
        if let Some((address, function)) = frame(&record.text) {
            let function = function.strip_prefix("kernel::").unwrap_or(function);
            writeln!(beside, "{}", if function.is_empty() { address } else { function })?;
        }
    }
    Ok(())
}

/// Text beside the code.
struct Beside<'a>(Option<&'a Panicking>);

impl Write for Beside<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        console(self.0).screen.write_beside_code(text);
        Ok(())
    }
}

/// The console, in a panic from whoever has it.
fn console(panicking: Option<&Panicking>) -> impl DerefMut<Target = Console> + use<> {
    match panicking {
        Some(panicking) => panicking.seize(&CONSOLE),
        None => CONSOLE.lock(),
    }
}
