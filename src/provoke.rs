//! Faults on demand, for tests and for whoever wants to see what a failure looks like: `provoke=` on the command line, with one
//! of [`FAULTS`].

use crate::drivers::console;
use crate::hw;
use core::fmt;
use logic::boot::BootInfo;

/// What can be provoked, and how.
const FAULTS: [(&str, fn()); 10] = [
    ("panic", panic_alone),
    ("deep", deep::panic),
    ("panic-in-lock", panic_in_lock),
    ("panic-in-panic", panic_in_panic),
    ("fault", hw::provoke::invalid_opcode),
    ("null", hw::provoke::read_null),
    ("write-text", hw::provoke::write_text),
    ("run-data", hw::provoke::run_data),
    ("stack", hw::provoke::overflow_stack),
    ("deep-fault", deep::fault),
];

/// Does what `provoke=` asks for.
pub fn as_asked(info: &BootInfo) {
    let Some(wanted) = info.command_line.value("provoke") else { return };
    match FAULTS.iter().find(|(name, _)| *name == wanted) {
        Some((_, provoke)) => provoke(),
        None => log::warn!("provoke={wanted} is none of {}", Names),
    }
}

/// All that can be asked for.
struct Names;

impl fmt::Display for Names {
    fn fmt(&self, output: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, _)) in FAULTS.iter().enumerate() {
            write!(output, "{}{name}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

fn panic_alone() {
    panic!("provoked by the command line")
}

fn panic_in_lock() {
    console::while_locked(|| panic!("provoked with the locks of console and log held"));
}

fn panic_in_panic() {
    panic!("provoked with a message that panics: {}", Bomb)
}

/// Cannot be shown.
struct Bomb;

impl fmt::Display for Bomb {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("provoked in the message")
    }
}

/// Five calls deep. `black_box` keeps each call from becoming its caller's end, and so from hiding it.
mod deep {
    use crate::hw;
    use core::hint::black_box;

    pub fn panic() {
        black_box(first(|| panic!("provoked five calls deep")));
    }

    pub fn fault() {
        black_box(first(hw::provoke::invalid_opcode));
    }

    #[inline(never)]
    fn first(end: fn()) -> u32 {
        black_box(second(end)) + 1
    }

    #[inline(never)]
    fn second(end: fn()) -> u32 {
        black_box(third(end)) + 1
    }

    #[inline(never)]
    fn third(end: fn()) -> u32 {
        black_box(fourth(end)) + 1
    }

    #[inline(never)]
    fn fourth(end: fn()) -> u32 {
        black_box(fifth(end)) + 1
    }

    #[inline(never)]
    fn fifth(end: fn()) -> u32 {
        black_box(end)();
        1
    }
}
