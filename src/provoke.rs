//! Faults on demand, for tests and for whoever wants to see what a failure looks like: `provoke=panic`, `provoke=fault`,
//! `provoke=write-text`, `provoke=run-data`, `provoke=null`, `provoke=stack` on the command line.

use crate::hw;
use logic::boot::BootInfo;

/// Does what `provoke=` asks for.
pub fn as_asked(info: &BootInfo) {
    match info.command_line.value("provoke") {
        None => {}
        Some("panic") => panic!("provoked by the command line"),
        Some("fault") => hw::provoke::invalid_opcode(),
        Some("null") => hw::provoke::read_null(),
        Some("write-text") => hw::provoke::write_text(),
        Some("stack") => hw::provoke::overflow_stack(),
        Some("run-data") => hw::provoke::run_data(),
        Some(other) => log::warn!("provoke={other} is none of panic, fault, null, write-text, run-data, stack"),
    }
}
