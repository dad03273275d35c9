//! The fixed ACPI description table (ACPI 6.5 section 5.2.9), of any revision and length: 116 bytes in ACPI 1.0, 276 today. A
//! field past the table's end is a field of 0, and 0 means absent.

use super::table::{Fields, Table, plain_address};
use super::walk::Flaws;
use super::{Address, FixedHardware, PmTimer, Reset, ResetRegister};
use acpi::address::AddressSpace;
use acpi::sdt::fadt::Fadt;
use core::mem::offset_of;

/// The revision that ACPI 2.0 brought: before it, the boot flags were reserved bytes.
const ACPI_2: u8 = 3;

/// Bits of the flags.
const TIMER_HAS_32_BITS: u32 = 1 << 8;
const HAS_RESET_REGISTER: u32 = 1 << 10;
const HARDWARE_REDUCED: u32 = 1 << 20;

/// Bits of the boot flags.
const HAS_8042: u16 = 1 << 1;
const NO_VGA: u16 = 1 << 2;
const NO_CMOS_CLOCK: u16 = 1 << 5;

/// What the table says, `\_S5` left open and the interrupt not yet mapped by the MADT, and where the DSDT is: 0 for nowhere.
/// `None` if the table is shorter than any revision of it.
pub(super) fn read(table: &Table<'_>, flaws: Flaws<'_>) -> Option<(FixedHardware, u64)> {
    let fields = table.fields();
    let Some(flags) = fields.u32(offset_of!(Fadt, flags)) else {
        flaws(table.too_short());
        return None;
    };
    let hardware_reduced = flags & HARDWARE_REDUCED != 0;
    // A hardware-reduced machine has none of the fixed registers, whatever stands in their fields.
    let register = |extended: usize, legacy: usize| {
        if hardware_reduced { None } else { block(&fields, extended, legacy) }
    };
    let has_timer = fields.u8(offset_of!(Fadt, pm_timer_length)) == Some(4);
    let timer = register(offset_of!(Fadt, x_pm_timer_block), offset_of!(Fadt, pm_timer_block));
    let boot = fields.u16(offset_of!(Fadt, iapc_boot_arch)).filter(|_| table.revision() >= ACPI_2);
    let hardware = FixedHardware {
        pm1a_control: register(offset_of!(Fadt, x_pm1a_control_block), offset_of!(Fadt, pm1a_control_block)),
        pm1b_control: register(offset_of!(Fadt, x_pm1b_control_block), offset_of!(Fadt, pm1b_control_block)),
        smi_command: if hardware_reduced { None } else { port(&fields, offset_of!(Fadt, smi_cmd_port)) },
        acpi_enable: fields.u8(offset_of!(Fadt, acpi_enable)).unwrap_or(0),
        pm_timer: timer
            .filter(|_| has_timer)
            .map(|address| PmTimer { address, bits: if flags & TIMER_HAS_32_BITS != 0 { 32 } else { 24 } }),
        reset: reset(&fields).filter(|_| flags & HAS_RESET_REGISTER != 0),
        sci_gsi: fields.u16(offset_of!(Fadt, sci_interrupt)).unwrap_or(0),
        century_register: fields.u8(offset_of!(Fadt, century)).filter(|register| *register != 0),
        has_8042: boot.map(|flags| flags & HAS_8042 != 0),
        has_vga: boot.map(|flags| flags & NO_VGA == 0),
        has_cmos_clock: boot.map(|flags| flags & NO_CMOS_CLOCK == 0),
        hardware_reduced,
        sleep_control: fields
            .generic_address(offset_of!(Fadt, sleep_control_reg))
            .filter(|_| hardware_reduced)
            .and_then(|generic| plain_address(&generic)),
        s5: None,
    };
    Some((hardware, dsdt(&fields)))
}

/// A register block: the extended field if it names a place that can be reached, or else the port of ACPI 1.0.
fn block(fields: &Fields<'_>, extended: usize, legacy: usize) -> Option<Address> {
    let extended = fields.generic_address(extended).and_then(|generic| plain_address(&generic));
    extended.or_else(|| port(fields, legacy).map(Address::Port))
}

fn port(fields: &Fields<'_>, offset: usize) -> Option<u16> {
    u16::try_from(fields.u32(offset)?).ok().filter(|port| *port != 0)
}

/// ACPI 6.5 section 4.8.3.6: in memory, I/O space, or the configuration space of a device on PCI bus 0.
fn reset(fields: &Fields<'_>) -> Option<Reset> {
    let generic = fields.generic_address(offset_of!(Fadt, reset_reg))?;
    let value = fields.u8(offset_of!(Fadt, reset_value))?;
    let register = if generic.address_space == AddressSpace::PciConfigSpace {
        let [offset, offset_high, function, function_high, device, device_high, ..] = generic.address.to_le_bytes();
        let possible = device < 32 && function < 8 && [offset_high, function_high, device_high] == [0; 3];
        possible.then_some(ResetRegister::Pci { device, function, offset })?
    } else {
        ResetRegister::At(plain_address(&generic)?)
    };
    Some(Reset { register, value })
}

fn dsdt(fields: &Fields<'_>) -> u64 {
    let extended = fields.u64(offset_of!(Fadt, x_dsdt_address)).filter(|address| *address != 0);
    extended.or_else(|| fields.u32(offset_of!(Fadt, dsdt_address)).map(u64::from)).unwrap_or(0)
}
