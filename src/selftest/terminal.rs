//! Tests of the console's terminal: settings take effect, and signals reach who asked for them.

use super::{Outcome, Test};
use crate::drivers::tty;
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use logic::tty::discipline::{ReadOutcome, Signal, Termios, WindowSize};

/// All of them.
pub const TESTS: &[Test] = &[
    Test { name: "terminal-settings", run: settings_say_how_a_read_ends },
    Test { name: "terminal-window", run: a_new_size_is_a_signal },
];

fn settings_say_how_a_read_ends() -> Outcome {
    let tty = tty::console();
    let cooked = tty.attributes();
    check_eq!(cooked, Termios::cooked());
    tty.flush_input();
    check_eq!((tty.available(), tty.poll().readable), (0, false));
    let mut buffer = [0; 4];
    check_eq!(tty.read(&mut buffer), ReadOutcome::WouldBlock);
    let mut impatient = cooked.raw();
    impatient.set_pace(0, 0);
    tty.set_attributes(impatient);
    let (pace, outcome) = (tty.pace(), tty.read(&mut buffer));
    tty.set_attributes(cooked);
    check_eq!((pace.minimum, outcome), (0, ReadOutcome::Bytes(0)));
    check_eq!(tty.pace().minimum, 1);
    Ok(())
}

fn a_new_size_is_a_signal() -> Outcome {
    static CHANGES: AtomicUsize = AtomicUsize::new(0);
    let hook = tty::set_signal_hook(Some(|signal| {
        if signal == Signal::WindowChanged {
            CHANGES.fetch_add(1, SeqCst);
        }
    }));
    CHANGES.store(0, SeqCst);
    let tty = tty::console();
    let before = tty.window_size();
    let other = WindowSize { rows: before.rows + 1, ..before };
    tty.set_window_size(other);
    let changed = tty.window_size();
    tty.set_window_size(other);
    tty.set_window_size(before);
    tty::set_signal_hook(hook);
    check_eq!((changed, tty.window_size(), CHANGES.load(SeqCst)), (other, before, 2));
    Ok(())
}
