//! Tests of the log: what is not shown takes next to no time.

use super::{Outcome, Test};
use crate::drivers::console;
use crate::hw::clock;
use core::time::Duration;
use log::Level;

/// All of them.
pub const TESTS: &[Test] = &[Test { name: "log-cost", run: a_record_costs_little_however_full_the_log }];

/// What a record may take that is not shown: many times what it does in an emulator on a busy host, and much less than looking
/// through the log would.
const MOST: Duration = Duration::from_micros(50);
/// Records to fill the log with, and then to measure together.
const MANY: u32 = 700;
const FEW: u32 = 10;
const ATTEMPTS: u32 = 50;

fn a_record_costs_little_however_full_the_log() -> Outcome {
    if console::is_shown(Level::Debug) {
        log::info!("skipped: log-cost, for all is shown");
        return Ok(());
    }
    let say =
        |count| (0..count).for_each(|number| log::debug!("a record of ordinary length for the log, number {number}"));
    say(MANY);
    let measured = (0..ATTEMPTS).map(|_| {
        let begun = clock::now();
        say(FEW);
        clock::now().since(begun) / FEW
    });
    // The host may be busy with others, but not every time.
    let least = measured.min().unwrap_or_default();
    check!(least <= MOST, "a record takes {least:?}");
    Ok(())
}
