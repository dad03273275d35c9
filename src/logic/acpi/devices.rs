//! Tables of one device each: the HPET (IA-PC HPET 1.0a section 3.2.4) and the MCFG (PCI Firmware 3.3 section 4.1.2).

use super::table::{Fields, Flaw, Table};
use super::walk::Flaws;
use super::{EcamRegion, Hpet};
use acpi::address::AddressSpace;
use acpi::sdt::hpet::HpetTable;
use acpi::sdt::mcfg::{Mcfg, McfgEntry};
use arrayvec::ArrayVec;
use core::mem::{offset_of, size_of};

/// The timer that the table describes; `None` if the table is too short or its registers are not in memory.
pub(super) fn hpet(table: &Table<'_>, flaws: Flaws<'_>) -> Option<Hpet> {
    let fields = table.fields();
    let Some(minimum_tick) = fields.u16(offset_of!(HpetTable, clock_tick_unit)) else {
        flaws(table.too_short());
        return None;
    };
    let registers = fields.generic_address(offset_of!(HpetTable, base_address))?;
    (registers.address_space == AddressSpace::SystemMemory).then_some(Hpet {
        address: registers.address,
        number: fields.u8(offset_of!(HpetTable, hpet_number))?,
        minimum_tick,
    })
}

/// Adds the table's regions; those that cannot be are left out, and so is a piece of one at the end, which real tables have.
pub(super) fn ecam<const N: usize>(
    table: &Table<'_>,
    regions: &mut ArrayVec<EcamRegion, N>,
    flaws: Flaws<'_>,
) -> Option<()> {
    for entry in table.after(size_of::<Mcfg>()).chunks_exact(size_of::<McfgEntry>()) {
        let Some(region) = region(&Fields(entry)) else {
            flaws(Flaw::Entry);
            continue;
        };
        if regions.try_push(region).is_err() {
            flaws(Flaw::TooMany);
            break;
        }
    }
    (!regions.is_empty()).then_some(())
}

fn region(entry: &Fields<'_>) -> Option<EcamRegion> {
    let region = EcamRegion {
        base: entry.u64(offset_of!(McfgEntry, base_address))?,
        segment: entry.u16(offset_of!(McfgEntry, pci_segment_group))?,
        first_bus: entry.u8(offset_of!(McfgEntry, bus_number_start))?,
        last_bus: entry.u8(offset_of!(McfgEntry, bus_number_end))?,
    };
    let end = (u64::from(region.last_bus) + 1).checked_shl(20).and_then(|bytes| region.base.checked_add(bytes));
    (region.base != 0 && region.first_bus <= region.last_bus && end.is_some()).then_some(region)
}
