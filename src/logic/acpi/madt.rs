//! The multiple APIC description table: processors, interrupt controllers and how they are wired (ACPI 6.5 section 5.2.12).

use super::table::{Fields, Flaw, Table};
use super::walk::Flaws;
use super::{Cpu, IoApic, LocalNmi, NmiSource, Override, Platform};
use acpi::sdt::madt::{
    EntryHeader, InterruptSourceOverrideEntry, IoApicEntry, LocalApicAddressOverrideEntry, LocalApicEntry,
    LocalApicNmiEntry, LocalX2ApicEntry, Madt, NmiSourceEntry, Polarity, TriggerMode, X2ApicNmiEntry,
    parse_mps_inti_flags,
};
use core::mem::{offset_of, size_of};

/// The ISA bus has interrupts 0 to 15.
const ISA_IRQS: u8 = 16;

/// In a processor's flags: it can be started. Bit 1, online capable, only says that it may be enabled later.
const ENABLED: u32 = 1;

/// No processor's identifier, but all processors' (SDM volume 3 section 12.6.2.1); firmware fills unused entries with it. In
/// the shorter kind of entry it is 0xff.
const BROADCAST: u32 = u32::MAX;

/// Adds all that the table says to `platform`. `sci` is the FADT's interrupt number. `None` if the table is too short to say
/// anything.
pub(super) fn read(table: &Table<'_>, sci: Option<u16>, platform: &mut Platform, flaws: Flaws<'_>) -> Option<()> {
    let fields = table.fields();
    let Some(flags) = fields.u32(offset_of!(Madt, flags)) else {
        flaws(table.too_short());
        return None;
    };
    platform.has_8259 = flags & 1 != 0;
    let address = fields.u32(offset_of!(Madt, local_apic_address)).map(u64::from);
    platform.local_apic_address = address.filter(|address| *address != 0);

    let mut rest = table.after(size_of::<Madt>());
    while !rest.is_empty() {
        let Some((entry, after)) = split_entry(rest) else {
            flaws(Flaw::Entry);
            break;
        };
        rest = after;
        understand(&Fields(entry), sci, platform).unwrap_or_else(&mut *flaws);
    }
    Some(())
}

/// The global system interrupt at which the ISA interrupt `irq` arrives.
pub(super) fn gsi_of(irq: u16, overrides: &[Override]) -> u16 {
    let moved = overrides.iter().find(|entry| u16::from(entry.isa_irq) == irq);
    moved.and_then(|entry| u16::try_from(entry.gsi).ok()).unwrap_or(irq)
}

/// The first entry and what follows it. `None` if its length leaves the table, or does not even hold type and length.
fn split_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = Fields(bytes).u8(offset_of!(EntryHeader, length)).map(usize::from)?;
    if length < size_of::<EntryHeader>() { None } else { bytes.split_at_checked(length) }
}

/// Takes one entry into account; kinds that say nothing about a PC are passed over.
fn understand(entry: &Fields<'_>, sci: Option<u16>, platform: &mut Platform) -> Result<(), Flaw> {
    let fits = match entry.u8(offset_of!(EntryHeader, entry_type)) {
        Some(0) => add_cpu(platform, local_apic(entry).ok_or(Flaw::Entry)?),
        Some(9) => add_cpu(platform, local_x2apic(entry).ok_or(Flaw::Entry)?),
        Some(1) => platform.io_apics.try_push(io_apic(entry).ok_or(Flaw::Entry)?).is_ok(),
        Some(2) => add_override(platform, interrupt_override(entry, sci).ok_or(Flaw::Entry)?),
        Some(3) => platform.nmi_sources.try_push(nmi_source(entry).ok_or(Flaw::Entry)?).is_ok(),
        Some(4) => platform.local_nmis.try_push(local_nmi(entry).ok_or(Flaw::Entry)?).is_ok(),
        Some(10) => platform.local_nmis.try_push(x2apic_nmi(entry).ok_or(Flaw::Entry)?).is_ok(),
        Some(5) => {
            let address =
                entry.u64(offset_of!(LocalApicAddressOverrideEntry, local_apic_address)).ok_or(Flaw::Entry)?;
            platform.local_apic_address = Some(address).filter(|address| *address != 0);
            true
        }
        _ => true,
    };
    if fits { Ok(()) } else { Err(Flaw::TooMany) }
}

/// Firmware may list a processor both as local APIC and as x2APIC. Whether or not there is room, the answer is yes: the
/// processors that were left out are counted, not complained of one by one.
fn add_cpu(platform: &mut Platform, cpu: Cpu) -> bool {
    if let Some(known) = platform.cpus.iter_mut().find(|known| known.apic_id == cpu.apic_id) {
        known.usable |= cpu.usable;
    } else if cpu.apic_id != BROADCAST && platform.cpus.try_push(cpu).is_err() {
        // Only processors that may be plugged in some day make room for one that is there.
        match platform.cpus.iter_mut().find(|known| cpu.usable && !known.usable) {
            Some(unusable) => *unusable = cpu,
            None => platform.cpus_left_out = platform.cpus_left_out.saturating_add(1),
        }
    }
    true
}

fn local_apic(entry: &Fields<'_>) -> Option<Cpu> {
    let apic_id = entry.u8(offset_of!(LocalApicEntry, apic_id))?;
    Some(Cpu {
        apic_id: if apic_id == u8::MAX { BROADCAST } else { apic_id.into() },
        processor_uid: entry.u8(offset_of!(LocalApicEntry, processor_id))?.into(),
        usable: entry.u32(offset_of!(LocalApicEntry, flags))? & ENABLED != 0,
    })
}

fn local_x2apic(entry: &Fields<'_>) -> Option<Cpu> {
    Some(Cpu {
        apic_id: entry.u32(offset_of!(LocalX2ApicEntry, x2apic_id))?,
        processor_uid: entry.u32(offset_of!(LocalX2ApicEntry, processor_uid))?,
        usable: entry.u32(offset_of!(LocalX2ApicEntry, flags))? & ENABLED != 0,
    })
}

fn io_apic(entry: &Fields<'_>) -> Option<IoApic> {
    Some(IoApic {
        id: entry.u8(offset_of!(IoApicEntry, io_apic_id))?,
        address: entry.u32(offset_of!(IoApicEntry, io_apic_address)).filter(|address| *address != 0)?.into(),
        gsi_base: entry.u32(offset_of!(IoApicEntry, global_system_interrupt_base))?,
    })
}

/// What "conforms to the bus" means is the bus's business: ISA interrupts are edges, active high; the system control
/// interrupt is level-triggered, active low (ACPI 6.5 section 5.2.9, SCI_INT).
fn interrupt_override(entry: &Fields<'_>, sci: Option<u16>) -> Option<(u8, Override)> {
    let isa_irq = entry.u8(offset_of!(InterruptSourceOverrideEntry, irq))?;
    let is_sci = sci == Some(isa_irq.into());
    let (active_low, level) = wiring(entry.u16(offset_of!(InterruptSourceOverrideEntry, flags))?, is_sci);
    let gsi = entry.u32(offset_of!(InterruptSourceOverrideEntry, global_system_interrupt))?;
    Some((entry.u8(offset_of!(InterruptSourceOverrideEntry, bus))?, Override { isa_irq, gsi, active_low, level }))
}

/// Only the ISA bus, 0, is defined. Of two entries for one interrupt the first counts.
fn add_override(platform: &mut Platform, (bus, entry): (u8, Override)) -> bool {
    let is_new = !platform.overrides.iter().any(|known| known.isa_irq == entry.isa_irq);
    bus != 0 || entry.isa_irq >= ISA_IRQS || !is_new || platform.overrides.try_push(entry).is_ok()
}

fn nmi_source(entry: &Fields<'_>) -> Option<NmiSource> {
    let (active_low, level) = wiring(entry.u16(offset_of!(NmiSourceEntry, flags))?, false);
    Some(NmiSource { gsi: entry.u32(offset_of!(NmiSourceEntry, global_system_interrupt))?, active_low, level })
}

fn local_nmi(entry: &Fields<'_>) -> Option<LocalNmi> {
    let (active_low, level) = wiring(entry.u16(offset_of!(LocalApicNmiEntry, flags))?, false);
    let processor = entry.u8(offset_of!(LocalApicNmiEntry, processor_id))?;
    let processor_uid = (processor != u8::MAX).then_some(processor.into());
    Some(LocalNmi { processor_uid, lint: entry.u8(offset_of!(LocalApicNmiEntry, nmi_line))?, active_low, level })
}

fn x2apic_nmi(entry: &Fields<'_>) -> Option<LocalNmi> {
    let (active_low, level) = wiring(entry.u16(offset_of!(X2ApicNmiEntry, flags))?, false);
    let processor_uid = Some(entry.u32(offset_of!(X2ApicNmiEntry, processor_uid))?).filter(|uid| *uid != u32::MAX);
    Some(LocalNmi { processor_uid, lint: entry.u8(offset_of!(X2ApicNmiEntry, nmi_line))?, active_low, level })
}

/// Active low, and level-triggered; `by_bus` answers for what conforms to the bus, and for reserved values.
fn wiring(flags: u16, by_bus: bool) -> (bool, bool) {
    let (polarity, trigger) = parse_mps_inti_flags(flags).unwrap_or((Polarity::SameAsBus, TriggerMode::SameAsBus));
    let active_low = match polarity {
        Polarity::SameAsBus => by_bus,
        Polarity::ActiveHigh => false,
        Polarity::ActiveLow => true,
    };
    let level = match trigger {
        TriggerMode::SameAsBus => by_bus,
        TriggerMode::Edge => false,
        TriggerMode::Level => true,
    };
    (active_low, level)
}
