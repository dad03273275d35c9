//! `log`, `qr`: what the kernel has said, and what the last start said.

use super::context::{Complaint, Context, Outcome, complain};
use super::unknown;
use crate::drivers::log_code::CodePlace;
use crate::drivers::{log_code, log_reader};
use core::fmt::Write;
use log::LevelFilter;

const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];
/// What the argument can be.
pub const ARGUMENTS: &[&str] = &["last", "error", "warn", "info", "debug", "trace"];

/// Shows the records up to a level, `debug` unless told otherwise; or the last start's.
pub fn log(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    let level = match arguments {
        ["last"] => return last(context),
        [] => LevelFilter::Debug,
        [word] if LEVELS.contains(word) => word.parse().unwrap_or(LevelFilter::Debug),
        [word] => return Err(unknown("level", word, ARGUMENTS.iter().copied(), "help log")),
        _ => return Err(Complaint::Usage),
    };
    let mut position = 0;
    while let Some(record) = log_reader::record_from(position, context.panicking) {
        position = record.next;
        if record.level <= level {
            writeln!(context, "{}{}", record.prefix(), record.text)?;
        }
    }
    Ok(())
}

/// Shows the log's end as a QR code until a key is pressed.
pub fn code(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    if !arguments.is_empty() {
        return Err(Complaint::Usage);
    }
    writeln!(context, "Any key brings the text back.")?;
    let words =
        format_args!("Eres OS {}\n\nThe log's end.\n\nAny key brings the text back.", env!("CARGO_PKG_VERSION"));
    if !log_code::show_log(context.panicking, CodePlace::Alone, words) {
        complain!("there is no screen that has room for a code");
    }
    context.wait_for_key();
    log_code::hide(context.panicking);
    Ok(())
}

/// Shows what outlived the reset of the last start's log.
fn last(context: &mut Context<'_>) -> Outcome {
    let mut position = 0;
    while let Some(record) = log_reader::last_record_from(position, context.panicking) {
        position = record.next;
        writeln!(context, "{}{}", record.prefix(), record.text)?;
    }
    if position == 0 {
        let why = match context.info.log {
            Some(_) => "nothing of a last start is left: the machine was off, or its memory was used since",
            None => "there is no memory for a log that outlives a reset",
        };
        writeln!(context, "{why}")?;
    }
    Ok(())
}
