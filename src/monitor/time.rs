//! `uptime`, `date`.

use super::context::{Complaint, Context, Outcome};
use crate::hw::clock;
use core::fmt::Write;
use logic::time::Instant;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Tells for how long the kernel has run: `up 2 days 03:04:05.678`.
pub fn uptime(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    if !arguments.is_empty() {
        return Err(Complaint::Usage);
    }
    let up = clock::now().since(Instant::START);
    let seconds = up.as_secs();
    write!(context, "up ")?;
    match seconds / DAY {
        0 => {}
        1 => write!(context, "1 day ")?,
        days => write!(context, "{days} days ")?,
    }
    let (hours, minutes) = (seconds % DAY / HOUR, seconds % HOUR / MINUTE);
    writeln!(context, "{hours:02}:{minutes:02}:{:02}.{:03}", seconds % MINUTE, up.subsec_millis())?;
    Ok(())
}

/// Tells date and time of day.
pub fn date(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    if !arguments.is_empty() {
        return Err(Complaint::Usage);
    }
    writeln!(context, "{} UTC", clock::wall_clock().date_time())?;
    Ok(())
}
