//! What to do once the kernel is ready, for tests and for whoever measures: `then=` on the command line, with one of `halt`,
//! `poweroff`, `reboot`, `card` and `scroll`.

use crate::drivers::console;
use crate::{hw, show};
use logic::boot::BootInfo;

/// Does what `then=` asks for.
pub fn as_asked(info: &BootInfo) {
    // Nobody may be left to draw what waits.
    console::render_now();
    match info.command_line.value("then") {
        None => {}
        Some("poweroff") => hw::power::power_off(),
        Some("reboot") => hw::power::reboot(),
        Some("halt") => hw::cpu::halt(),
        Some("card") => show::card(),
        Some("scroll") => show::scroll(),
        Some(other) => log::warn!("then={other} is none of halt, poweroff, reboot, card, scroll"),
    }
}
