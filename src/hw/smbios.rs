//! The machine's name as firmware has it.
//!
//! Invariant: as for `acpi`, the tables are memory that nobody writes while [`init`] runs, before free memory is handed out, and
//! nothing refers to them afterwards. The early direct map shows them; those above 4 GiB are not read.

use super::direct;
use core::slice;
use logic::boot::BootInfo;
use logic::smbios::{self, Machine};
use spin::Once;
use x86_64::PhysAddr;

static MACHINE: Once<Option<Machine>> = Once::new();

/// Reads the tables the first time.
pub fn init(info: &BootInfo) {
    MACHINE.call_once(|| match info.efi_system_table {
        Some(address) => smbios::by_system_table(address, &mut read),
        None => smbios::by_search(&mut read),
    });
}

/// What firmware calls the machine, if it does.
pub fn machine() -> Option<&'static Machine> {
    named().filter(|machine| !machine.manufacturer.is_empty() || !machine.product.is_empty())
}

/// The names that there are, if only of the firmware.
pub fn named() -> Option<&'static Machine> {
    MACHINE.get()?.as_ref()
}

fn read(address: u64, bytes: usize) -> Option<&'static [u8]> {
    let end = address.checked_add(bytes as u64)?;
    let start = direct(PhysAddr::try_new(address).ok()?)?;
    direct(PhysAddr::try_new(end).ok()?)?;
    // SAFETY: both ends lie in the early direct map, which is one piece. Nothing writes to firmware's tables now; a pointer that
    // leads elsewhere leads to bytes that are read, and forgotten.
    Some(unsafe { slice::from_raw_parts(start.as_ptr(), bytes) })
}
