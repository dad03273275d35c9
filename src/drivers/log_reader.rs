//! The log, read record by record: nothing is locked in between, so that a reader may take its time.

use super::console::{self, LOG, RETAINED};
use crate::hw::lock::Panicking;
use arrayvec::ArrayString;
use log::Level;

/// A record of the log.
pub struct LogRecord {
    /// How important it is.
    pub level: Level,
    /// Its text, cut at 240 bytes.
    pub text: ArrayString<240>,
    /// Where the next one begins.
    pub next: u64,
}

impl LogRecord {
    /// What the console shows before the text to tell the level.
    pub fn prefix(&self) -> &'static str {
        console::prefix(self.level)
    }
}

/// The first record at or behind `position`; 0 is the oldest's, and each record tells the next one's. A panic takes the log from
/// whoever has it.
pub fn record_from(position: u64, panicking: Option<&Panicking>) -> Option<LogRecord> {
    let log = match panicking {
        Some(panicking) => panicking.seize(&LOG),
        None => LOG.lock(),
    };
    let (level, bytes, next) = log.record_from(position)?;
    let mut text = ArrayString::new();
    let mut is_cut = false;
    console::say_bytes(bytes, |words| is_cut = is_cut || text.try_push_str(words).is_err());
    Some(LogRecord { level, text, next })
}

/// The same of the last start's log, as far as its memory has outlived the reset.
pub fn last_record_from(position: u64, panicking: Option<&Panicking>) -> Option<LogRecord> {
    let retained = match panicking {
        Some(panicking) => panicking.seize(&RETAINED),
        None => RETAINED.lock(),
    };
    let record = retained.as_ref()?.last(usize::try_from(position).ok()?)?;
    let mut text = ArrayString::new();
    console::say_bytes(record.text.iter().copied(), |words| {
        // There is room for what is retained.
        let _ = text.try_push_str(words);
    });
    Some(LogRecord { level: record.level, text, next: record.next as u64 })
}
