//! From a device's interrupt to a controller's input: ISA overrides, polarity and trigger, redirection entries, messages.
//!
//! ACPI specification sections 5.2.12.5 (interrupt source overrides) and 5.2.13 (global system interrupts), 82093AA data sheet
//! section 3.2.4 (redirection table), SDM volume 3 section 11.11 (message-signalled interrupts).

use crate::acpi::Platform;

/// ISA interrupts, which are also the inputs of the two 8259s.
pub const ISA_IRQS: u8 = 16;

/// The 8259's input that the second 8259 occupies: no device has it.
pub const CASCADE_IRQ: u8 = 2;

/// How a line says that it wants attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// As long as it has a level, rather than when it changes.
    pub level: bool,
    /// Low rather than high.
    pub active_low: bool,
}

impl Mode {
    /// Of the ISA bus, and of messages: rising edges.
    pub const ISA: Self = Self { level: false, active_low: false };
    /// Of PCI's interrupt pins: a low level, which devices may share.
    pub const PCI: Self = Self { level: true, active_low: true };
}

/// What delivers the interrupts of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// I/O APICs, to local APICs.
    IoApic,
    /// The two 8259s, to the first processor: machines without APICs, or without tables that tell of I/O APICs.
    Pic,
    /// Nothing: only messages and what processors send each other.
    None,
}

impl Controller {
    /// The best there is. `io_apics` answered, as many as that; the processor has a local APIC or not.
    pub fn choose(has_local_apic: bool, io_apics: usize, has_pic: bool) -> Self {
        match (has_local_apic && io_apics > 0, has_pic) {
            (true, _) => Self::IoApic,
            (false, true) => Self::Pic,
            (false, false) => Self::None,
        }
    }
}

/// Whether the machine may have 8259s. Its tables say so; a machine without tables is old enough to have them.
pub fn may_have_pic(platform: &Platform) -> bool {
    platform.has_8259 || platform.cpus.is_empty()
}

/// The global system interrupt of an ISA interrupt. `None` if no such interrupt can come: there are 16, and a number's own input
/// may have been given to another.
pub fn isa_line(platform: &Platform, irq: u8) -> Option<(u32, Mode)> {
    if irq >= ISA_IRQS {
        return None;
    }
    if let Some(found) = platform.overrides.iter().find(|found| found.isa_irq == irq) {
        return Some((found.gsi, Mode { level: found.level, active_low: found.active_low }));
    }
    let gsi = u32::from(irq);
    (irq != CASCADE_IRQ && !platform.overrides.iter().any(|other| other.gsi == gsi)).then_some((gsi, Mode::ISA))
}

/// How global system interrupt `gsi` is wired: as its override says; those of ISA numbers as ISA, all others as PCI.
pub fn gsi_mode(platform: &Platform, gsi: u32) -> Mode {
    match platform.overrides.iter().find(|found| found.gsi == gsi) {
        Some(found) => Mode { level: found.level, active_low: found.active_low },
        None if gsi < u32::from(ISA_IRQS) => Mode::ISA,
        None => Mode::PCI,
    }
}

/// How the 8259s' input `irq` is wired, from the edge/level control registers (EISA; ports 4d0h and 4d1h, the first in the low byte).
/// Inputs 0, 1, 2, 8 and 13 are always edges: registers that deny it are not there, and all is as on the ISA bus.
pub fn pic_mode(edge_level_control: u16, irq: u8) -> Mode {
    const ALWAYS_EDGES: u16 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 8 | 1 << 13;
    let exists = edge_level_control & ALWAYS_EDGES == 0;
    Mode { level: exists && irq < ISA_IRQS && edge_level_control >> irq & 1 != 0, active_low: false }
}

/// Whether a PCI pin that firmware has led to the 8259s' input `irq` interrupts at ISA interrupt `irq`. Where I/O APICs deliver
/// interrupts, pins mostly have inputs of their own, of which only AML tells; but the tables of some machines (QEMU's) call
/// lines that pins are led to level-triggered. The one of ACPI's own events is so everywhere, and tells nothing.
pub fn is_pin_at_isa_line(platform: &Platform, controller: Controller, irq: u8) -> bool {
    let sci = platform.fixed.map(|fixed| u32::from(fixed.sci_gsi));
    match controller {
        Controller::Pic => irq < ISA_IRQS && irq != CASCADE_IRQ,
        Controller::IoApic => {
            platform.overrides.iter().any(|found| found.isa_irq == irq && found.level && Some(found.gsi) != sci)
        }
        Controller::None => false,
    }
}

/// An entry of an I/O APIC's redirection table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedirectionEntry(u64);

impl RedirectionEntry {
    const ACTIVE_LOW: u64 = 1 << 13;
    const LEVEL: u64 = 1 << 15;
    const MASKED: u64 = 1 << 16;
    const DELIVERY_MODE: u64 = 0b111 << 8;
    const SYSTEM_MANAGEMENT: u64 = 0b010 << 8;

    /// Delivers nothing.
    pub const SILENT: Self = Self(Self::MASKED);

    /// Delivers `vector` to the processor with APIC number `destination`. `None` if the entry cannot name that one: it has eight
    /// bits, of which 255 means all.
    pub fn fixed(vector: u8, destination: u32, mode: Mode) -> Option<Self> {
        let destination = u8::try_from(destination).ok().filter(|destination| *destination != u8::MAX)?;
        let level = if mode.level { Self::LEVEL } else { 0 };
        let polarity = if mode.active_low { Self::ACTIVE_LOW } else { 0 };
        Some(Self(u64::from(destination) << 56 | level | polarity | u64::from(vector)))
    }

    /// The same, held back or not.
    pub fn masked(self, masked: bool) -> Self {
        Self(if masked { self.0 | Self::MASKED } else { self.0 & !Self::MASKED })
    }

    /// Whether it is held back.
    pub fn is_masked(self) -> bool {
        self.0 & Self::MASKED != 0
    }

    /// Whether it is the firmware's: it brings system management interrupts, on which a machine's health may depend.
    pub fn is_firmware(self) -> bool {
        self.0 & Self::DELIVERY_MODE == Self::SYSTEM_MANAGEMENT
    }

    /// From the two registers.
    pub fn from_registers(low: u32, high: u32) -> Self {
        Self(u64::from(high) << 32 | u64::from(low))
    }

    /// As the two registers, low and high.
    pub fn registers(self) -> (u32, u32) {
        ((self.0 & 0xffff_ffff) as u32, (self.0 >> 32) as u32)
    }
}

/// What a device must write, and where, to raise an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiMessage {
    /// Physical address.
    pub address: u64,
    /// The four bytes.
    pub data: u32,
}

impl MsiMessage {
    /// Raises `vector` on the processor with APIC number `destination`. `None` if a message cannot name that one: it has eight
    /// bits, of which 255 means all.
    pub fn new(vector: u8, destination: u32) -> Option<Self> {
        let destination = u8::try_from(destination).ok().filter(|destination| *destination != u8::MAX)?;
        Some(Self { address: 0xfee0_0000 | u64::from(destination) << 12, data: vector.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acpi::{Cpu, Override};
    use proptest::prelude::*;

    /// The overrides of QEMU's `pc`.
    fn qemu() -> Platform {
        let mut platform = Platform::default();
        platform.overrides.push(Override { isa_irq: 0, gsi: 2, active_low: false, level: false });
        for irq in [5, 9, 10, 11] {
            platform.overrides.push(Override { isa_irq: irq, gsi: irq.into(), active_low: false, level: true });
        }
        platform
    }

    #[test]
    fn isa_interrupts_follow_their_overrides() {
        let high_level = Mode { level: true, active_low: false };
        assert_eq!(isa_line(&qemu(), 0), Some((2, Mode::ISA)));
        assert_eq!(isa_line(&qemu(), 1), Some((1, Mode::ISA)));
        assert_eq!(isa_line(&qemu(), 9), Some((9, high_level)));
        assert_eq!(gsi_mode(&qemu(), 11), high_level);
        assert_eq!(gsi_mode(&qemu(), 12), Mode::ISA);
        assert_eq!(gsi_mode(&qemu(), 16), Mode::PCI);
    }

    #[test]
    fn pins_arrive_at_isa_lines_where_that_is_known() {
        let at = |controller, irq| is_pin_at_isa_line(&qemu(), controller, irq);
        assert!(at(Controller::IoApic, 11) && !at(Controller::IoApic, 12) && !at(Controller::IoApic, 16));
        assert!(at(Controller::Pic, 12) && !at(Controller::Pic, 2) && !at(Controller::Pic, 16));
        assert!(!at(Controller::None, 11));
    }

    #[test]
    fn lines_that_cannot_be_are_refused() {
        assert_eq!(isa_line(&qemu(), 2), None);
        assert_eq!(isa_line(&qemu(), 16), None);
        assert_eq!(isa_line(&qemu(), 255), None);
        let mut taken = Platform::default();
        taken.overrides.push(Override { isa_irq: 9, gsi: 5, active_low: true, level: true });
        assert_eq!(isa_line(&taken, 5), None, "its input is another's");
    }

    #[test]
    fn the_controller_is_the_best_there_is() {
        assert_eq!(Controller::choose(true, 1, true), Controller::IoApic);
        assert_eq!(Controller::choose(true, 0, true), Controller::Pic);
        assert_eq!(Controller::choose(false, 1, true), Controller::Pic, "an I/O APIC has nobody to tell");
        assert_eq!(Controller::choose(true, 0, false), Controller::None);
    }

    #[test]
    fn only_tables_can_deny_the_8259s() {
        let mut platform = Platform::default();
        assert!(may_have_pic(&platform));
        platform.cpus.push(Cpu { apic_id: 0, processor_uid: 0, usable: true });
        assert!(!may_have_pic(&platform));
        platform.has_8259 = true;
        assert!(may_have_pic(&platform));
    }

    #[test]
    fn the_8259s_inputs_are_edges_unless_sound_registers_say_otherwise() {
        assert!(pic_mode(0x0e00, 11).level);
        assert!(!pic_mode(0x0e00, 4).level);
        assert_eq!(pic_mode(0xffff, 11), Mode::ISA, "nothing answers at these ports");
        assert_eq!(pic_mode(0x0e00, 200), Mode::ISA);
    }

    #[test]
    fn entries_look_as_the_data_sheet_says() {
        let entry = RedirectionEntry::fixed(0x31, 3, Mode::PCI).unwrap();
        assert_eq!(entry.registers(), (0x0000_a031, 0x0300_0000));
        assert_eq!(entry.masked(true).registers(), (0x0001_a031, 0x0300_0000));
        assert!(RedirectionEntry::SILENT.is_masked() && !entry.is_masked());
        assert!(RedirectionEntry::from_registers(0x0000_0200, 0).is_firmware());
        assert!(!entry.is_firmware());
    }

    #[test]
    fn processors_beyond_eight_bits_are_out_of_reach() {
        assert_eq!(RedirectionEntry::fixed(0x31, 255, Mode::ISA), None);
        assert_eq!(MsiMessage::new(0x31, 256), None);
        assert_eq!(MsiMessage::new(0x41, 2), Some(MsiMessage { address: 0xfee0_2000, data: 0x41 }));
    }

    proptest! {
        #[test]
        fn entries_survive_their_registers(low: u32, high: u32, masked: bool) {
            let entry = RedirectionEntry::from_registers(low, high);
            prop_assert_eq!(entry.registers(), (low, high));
            prop_assert_eq!(entry.masked(masked).is_masked(), masked);
        }
    }
}
