//! Faults on demand, for tests and for whoever wants to see what a failure looks like: `provoke=` on the command line, with one
//! of [`FAULTS`].

use crate::drivers::console;
use crate::hw;
use crate::hw::{clock, heap, percpu};
use crate::proc::{Priority, thread, timer};
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use logic::boot::BootInfo;
use logic::sched::CpuSet;

/// What can be provoked, and how.
const FAULTS: [(&str, fn()); 13] = [
    ("panic", panic_alone),
    ("deep", deep::panic),
    ("panic-in-lock", panic_in_lock),
    ("panic-in-heap", panic_in_heap),
    ("panic-in-interrupt", panic_in_interrupt),
    ("panic-beside-lock", panic_beside_lock),
    ("panic-in-panic", panic_in_panic),
    ("fault", hw::provoke::invalid_opcode),
    ("null", hw::provoke::read_null),
    ("write-text", hw::provoke::write_text),
    ("run-data", hw::provoke::run_data),
    ("stack", hw::provoke::overflow_stack),
    ("deep-fault", deep::fault),
];

/// What is asked for by this name comes before there are screens, or memory to be had.
const EARLY: &str = "early";

/// Does what `provoke=` asks for if that is to come first of all.
pub fn early_as_asked(info: &BootInfo) {
    if info.command_line.value("provoke") == Some(EARLY) {
        panic!("provoked before there are screens and page tables");
    }
}

/// Does what `provoke=` asks for.
pub fn as_asked(info: &BootInfo) {
    let Some(wanted) = info.command_line.value("provoke") else { return };
    if !provoke(wanted) {
        log::warn!("provoke={wanted} is none of {EARLY}, {}", Names);
    }
}

/// Provokes the fault of that name; false if there is none.
pub fn provoke(wanted: &str) -> bool {
    let found = FAULTS.iter().find(|(name, _)| *name == wanted);
    if let Some((_, provoke)) = found {
        provoke();
    }
    found.is_some()
}

/// All that can be asked for.
pub fn names() -> impl Iterator<Item = &'static str> {
    FAULTS.iter().map(|(name, _)| *name)
}

/// Offers all that can be asked for.
pub fn offer(offer: &mut dyn FnMut(&str)) {
    names().for_each(offer);
}

/// The same in words.
struct Names;

impl fmt::Display for Names {
    fn fmt(&self, output: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in names().enumerate() {
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

fn panic_in_heap() {
    heap::while_locked(|| panic!("provoked with the lock of the heap held"));
}

fn panic_in_interrupt() {
    let soon = clock::now().after(Duration::from_millis(1));
    let call = timer::call_at(soon, || panic!("provoked in the handler of an interrupt"));
    while call.is_ok() {
        core::hint::spin_loop();
    }
}

/// The last processor holds the locks of console and log for ever, and this one panics.
fn panic_beside_lock() {
    static HELD: AtomicBool = AtomicBool::new(false);
    let hold = || {
        console::while_locked(|| {
            HELD.store(true, Ordering::Release);
            loop {
                core::hint::spin_loop();
            }
        });
    };
    let last = percpu::count() - 1;
    let panic = move || {
        while !HELD.load(Ordering::Acquire) {
            core::hint::spin_loop();
        }
        panic!("provoked while another processor holds the locks of console and log")
    };
    if last == 0 {
        log::warn!("provoke=panic-beside-lock takes two processors");
        return;
    }
    let threads = [
        thread::spawn_on(CpuSet::only(0), "panics", Priority::NORMAL, panic),
        thread::spawn_on(CpuSet::only(last), "holds", Priority::NORMAL, hold),
    ];
    threads.into_iter().flatten().for_each(thread::JoinHandle::join);
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
