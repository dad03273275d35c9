//! syslog(2), which the C library calls klogctl(3): the kernel's log, as dmesg(1) and klogd(8) read it.
//!
//! Records are told as [`kernel_log`] has them, without the time, which the log does not keep. What was cleared is only
//! hidden from those who ask for all: it is still there for who reads on, and for the monitor.

use super::arguments::UserBuffer;
use super::blocking::Waiting;
use crate::drivers::console;
use crate::drivers::log_reader::{self, LogRecord};
use crate::proc::process::{Answer, Current};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use log::LevelFilter;
use logic::errno::Errno;
use logic::kernel_log;

// The commands, which have no names in the headers that programs see.
const CLOSE: u32 = 0;
const OPEN: u32 = 1;
const READ: u32 = 2;
const READ_ALL: u32 = 3;
const READ_CLEAR: u32 = 4;
const CLEAR: u32 = 5;
const CONSOLE_OFF: u32 = 6;
const CONSOLE_ON: u32 = 7;
const CONSOLE_LEVEL: u32 = 8;
const SIZE_UNREAD: u32 = 9;
const SIZE_BUFFER: u32 = 10;

/// Room for all that the log can hold: of each record that has any text it keeps at least two bytes besides, of four that are told.
const ENOUGH_BYTES: u64 = 2 * console::LOG_BYTES as u64;

/// How far everything was hidden.
static CLEARED: AtomicU64 = AtomicU64::new(0);
/// How far everything was read by [`READ`].
static READ_UP_TO: AtomicU64 = AtomicU64::new(0);
/// What the console showed before [`CONSOLE_OFF`].
static SHOWN_BEFORE: AtomicUsize = AtomicUsize::new(NOTHING);
const NOTHING: usize = usize::MAX;

/// syslog(2).
pub fn syslog(current: &mut Current, command: u32, buffer: UserBuffer) -> Answer {
    if !current.task.credentials().is_privileged() && !matches!(command, READ_ALL | SIZE_BUFFER) {
        return Err(Errno::EPERM.into());
    }
    match command {
        CLOSE | OPEN => Ok(0),
        READ => read(current, buffer),
        READ_ALL => read_all(current, buffer),
        READ_CLEAR => {
            let end = end();
            let count = read_all(current, buffer)?;
            // What has come since then is told next time too.
            CLEARED.fetch_max(end, Ordering::Relaxed);
            Ok(count)
        }
        CLEAR => {
            CLEARED.fetch_max(end(), Ordering::Relaxed);
            Ok(0)
        }
        CONSOLE_OFF => {
            // Told twice, it still knows what was before the first time.
            let shown = console::shown() as usize;
            let _ = SHOWN_BEFORE.compare_exchange(NOTHING, shown, Ordering::Relaxed, Ordering::Relaxed);
            console::show(LevelFilter::Off);
            Ok(0)
        }
        CONSOLE_ON => {
            let before = SHOWN_BEFORE.swap(NOTHING, Ordering::Relaxed);
            if let Some(level) = LevelFilter::iter().find(|level| *level as usize == before) {
                console::show(level);
            }
            Ok(0)
        }
        CONSOLE_LEVEL => {
            SHOWN_BEFORE.store(NOTHING, Ordering::Relaxed);
            console::show(kernel_log::shown_below(low_half(buffer.length))?);
            Ok(0)
        }
        SIZE_UNREAD => {
            let unread = records(READ_UP_TO.load(Ordering::Relaxed));
            Ok(unread.map(|record| line(&record).len()).sum::<usize>() as u64)
        }
        SIZE_BUFFER => Ok(ENOUGH_BYTES),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// An `int`, which has half a register.
fn low_half(length: usize) -> i32 {
    i32::from_ne_bytes((length as u32).to_ne_bytes())
}

/// Bytes that there is room for.
fn room(buffer: &UserBuffer) -> Result<usize, Errno> {
    if buffer.address == 0 {
        return Err(Errno::EINVAL);
    }
    usize::try_from(low_half(buffer.length)).map_err(|_| Errno::EINVAL)
}

fn records(from: u64) -> impl Iterator<Item = LogRecord> {
    let mut position = from;
    core::iter::from_fn(move || {
        let record = log_reader::record_from(position, None)?;
        position = record.next;
        Some(record)
    })
}

fn line(record: &LogRecord) -> Vec<u8> {
    kernel_log::line(record.level, record.text.as_bytes())
}

/// Where the log ends.
fn end() -> u64 {
    records(CLEARED.load(Ordering::Relaxed)).last().map_or(0, |record| record.next)
}

/// The newest records that fit, of those that were not cleared.
fn read_all(current: &Current, buffer: UserBuffer) -> Answer {
    let room = room(&buffer)?;
    let text = kernel_log::newest_that_fit(records(CLEARED.load(Ordering::Relaxed)).map(|record| line(&record)), room);
    Ok(buffer.part(0, text.len()).write(&current.task, &text)? as u64)
}

/// Waits for records that nobody has read so far, and takes them: whoever comes next gets the next ones. There must be room for one.
fn read(current: &Current, buffer: UserBuffer) -> Answer {
    let room = room(&buffer)?;
    let text = Waiting::new(&current.task).until(console::log_queue(), || {
        loop {
            let begin = READ_UP_TO.load(Ordering::Relaxed);
            let (text, end) =
                kernel_log::oldest_that_fit(records(begin).map(|record| (line(&record), record.next)), room)?;
            // Who else reads may have been faster.
            if READ_UP_TO.compare_exchange(begin, end, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return Ok(text);
            }
        }
    })?;
    Ok(buffer.part(0, text.len()).write(&current.task, &text)? as u64)
}
