//! What to do once the kernel is ready, for tests and for whoever measures: `then=poweroff`, `then=reboot` or `then=halt` on
//! the command line.

use crate::hw;
use logic::boot::BootInfo;

/// Does what `then=` asks for.
pub fn as_asked(info: &BootInfo) {
    match info.command_line.value("then") {
        None => {}
        Some("poweroff") => hw::power::power_off(),
        Some("reboot") => hw::power::reboot(),
        Some("halt") => hw::cpu::halt(),
        Some(other) => log::warn!("then={other} is none of poweroff, reboot, halt"),
    }
}
