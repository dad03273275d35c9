//! `log`: what the kernel has said.

use super::context::{Complaint, Context, Outcome};
use super::unknown;
use crate::drivers::log_reader;
use core::fmt::Write;
use log::LevelFilter;

/// What the level can be.
pub const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];

/// Shows the records up to a level, `debug` unless told otherwise.
pub fn log(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    let level = match arguments {
        [] => LevelFilter::Debug,
        [word] if LEVELS.contains(word) => word.parse().unwrap_or(LevelFilter::Debug),
        [word] => return Err(unknown("level", word, LEVELS.iter().copied(), "help log")),
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
