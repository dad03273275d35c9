//! The local APIC's decisions and encodings (SDM volume 3, chapter 11): mode, local inputs, timer, commands, errors.

use super::vectors::SPURIOUS_VECTOR;
use crate::acpi::Platform;
use core::fmt;

/// How a local APIC's registers are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApicMode {
    /// There is none.
    Absent,
    /// In memory; processors have numbers of eight bits.
    XApic,
    /// As model-specific registers; numbers have 32 bits.
    X2Apic,
}

impl ApicMode {
    /// x2APIC wherever there is one: it needs no mapping, no waiting, and reaches every processor. What the firmware has enabled
    /// can be left only through a reset (section 11.12.5) and is kept whatever CPUID says.
    pub fn choose(has_apic: bool, has_x2apic: bool, firmware_chose_x2apic: bool) -> Self {
        match (has_apic, has_x2apic || firmware_chose_x2apic) {
            (false, _) => Self::Absent,
            (true, true) => Self::X2Apic,
            (true, false) => Self::XApic,
        }
    }
}

impl fmt::Display for ApicMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Absent => "no local APIC",
            Self::XApic => "xAPIC",
            Self::X2Apic => "x2APIC",
        })
    }
}

/// Bit 16 of an entry of the local vector table: delivers nothing. Vectors below 16 count as an error even then (section 11.5.1).
pub const LVT_MASKED: u32 = 1 << 16 | SPURIOUS_VECTOR as u32;
const LVT_NMI: u32 = 0b100 << 8;
const LVT_EXTERNAL: u32 = 0b111 << 8;
const LVT_ACTIVE_LOW: u32 = 1 << 13;

/// What the inputs LINT0 and LINT1 of the processor with APIC number `apic_id` deliver: NMIs where the tables say so, the 8259s'
/// interrupts on LINT0 if `has_pic` (the "virtual wire" of the MultiProcessor specification section 3.6.2.2), otherwise nothing.
/// Without tables, LINT1 of every PC carries NMIs.
pub fn local_inputs(platform: &Platform, apic_id: u32, has_pic: bool) -> [u32; 2] {
    let mut inputs = [if has_pic { LVT_EXTERNAL } else { LVT_MASKED }, LVT_MASKED];
    if platform.cpus.is_empty() {
        inputs[1] = LVT_NMI;
    }
    let uid = platform.cpus.iter().find(|cpu| cpu.apic_id == apic_id).map(|cpu| cpu.processor_uid);
    for nmi in platform.local_nmis.iter().filter(|nmi| nmi.processor_uid.is_none() || nmi.processor_uid == uid) {
        if let Some(input) = inputs.get_mut(usize::from(nmi.lint)) {
            // NMIs are edge-triggered whatever the entry says (section 11.5.1).
            *input = LVT_NMI | if nmi.active_low { LVT_ACTIVE_LOW } else { 0 };
        }
    }
    inputs
}

/// The divide configuration register's value for a division by two to the power of `divide_log2`, at most 128
/// (figure 11-10): bits 0, 1 and 3 hold one less than the power, and all ones means undivided.
pub fn timer_divide(divide_log2: u8) -> u32 {
    let code = (u32::from(divide_log2.min(7)) + 7) % 8;
    code & 0b11 | (code & 0b100) << 1
}

/// Whom an interrupt between processors is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The processor with this APIC number.
    One(u32),
    /// All but the sender.
    AllButSelf,
    /// The sender alone.
    SelfOnly,
}

/// What an interrupt between processors does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Raises a vector.
    Interrupt(u8),
    /// Interrupts whatever happens.
    NonMaskable,
    /// Resets the processor, which then waits to be started.
    Init,
    /// Starts the processor in real mode, at the beginning of this 4 KiB page.
    Startup(u8),
}

/// The low and the high half of the interrupt command register (figures 11-12 and 11-28). `None` if the destination cannot be named:
/// in memory the number has eight bits, and all ones always mean everybody.
pub fn interrupt_command(mode: ApicMode, destination: Destination, command: Command) -> Option<(u32, u32)> {
    const ASSERT: u32 = 1 << 14;
    let (shorthand, number) = match destination {
        Destination::One(number) => (0, number),
        Destination::SelfOnly => (0b01 << 18, 0),
        Destination::AllButSelf => (0b11 << 18, 0),
    };
    let high = match mode {
        ApicMode::Absent => return None,
        ApicMode::X2Apic => Some(number).filter(|number| *number != u32::MAX)?,
        ApicMode::XApic => u32::from(u8::try_from(number).ok().filter(|number| *number != u8::MAX)?) << 24,
    };
    let what = match command {
        Command::Interrupt(vector) => u32::from(vector),
        Command::NonMaskable => 0b100 << 8,
        Command::Init => 0b101 << 8,
        Command::Startup(page) => 0b110 << 8 | u32::from(page),
    };
    Some((shorthand | ASSERT | what, high))
}

/// The error status register in words (figure 11-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApicErrors(pub u32);

impl ApicErrors {
    const WORDS: [&str; 8] = [
        "checksum wrong in sending",
        "checksum wrong in receiving",
        "nobody accepted a message",
        "a message was not accepted",
        "lowest priority cannot be sent",
        "illegal vector sent",
        "illegal vector received",
        "illegal register",
    ];
}

impl fmt::Display for ApicErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (_, words) in (0..).zip(Self::WORDS).filter(|(bit, _)| self.0 >> bit & 1 != 0) {
            write!(formatter, "{separator}{words}")?;
            separator = ", ";
        }
        if separator.is_empty() { write!(formatter, "unknown ({:#x})", self.0) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acpi::{Cpu, LocalNmi};

    #[test]
    fn x2apic_is_taken_where_it_is_and_kept_where_it_was() {
        assert_eq!(ApicMode::choose(false, true, false), ApicMode::Absent);
        assert_eq!(ApicMode::choose(true, false, false), ApicMode::XApic);
        assert_eq!(ApicMode::choose(true, true, false), ApicMode::X2Apic);
        assert_eq!(ApicMode::choose(true, false, true), ApicMode::X2Apic);
    }

    #[test]
    fn local_inputs_follow_the_tables() {
        let mut platform = Platform::default();
        assert_eq!(local_inputs(&platform, 0, true), [LVT_EXTERNAL, LVT_NMI], "as every PC without tables");
        for number in 0..2 {
            platform.cpus.push(Cpu { apic_id: number * 4, processor_uid: number, usable: true });
        }
        assert_eq!(local_inputs(&platform, 0, false), [LVT_MASKED; 2]);
        platform.local_nmis.push(LocalNmi { processor_uid: Some(1), lint: 0, active_low: true, level: true });
        assert_eq!(local_inputs(&platform, 0, false), [LVT_MASKED; 2]);
        assert_eq!(local_inputs(&platform, 4, false), [LVT_NMI | LVT_ACTIVE_LOW, LVT_MASKED]);
        platform.local_nmis.push(LocalNmi { processor_uid: None, lint: 1, active_low: false, level: false });
        assert_eq!(local_inputs(&platform, 0, false), [LVT_MASKED, LVT_NMI]);
        platform.local_nmis.push(LocalNmi { processor_uid: None, lint: 77, active_low: false, level: false });
        assert_eq!(local_inputs(&platform, 0, true), [LVT_EXTERNAL, LVT_NMI], "there is no input 77");
    }

    #[test]
    fn timer_divisions_are_encoded_as_the_manual_says() {
        let codes: Vec<u32> = (0..9).map(timer_divide).collect();
        assert_eq!(codes, [0b1011, 0b0000, 0b0001, 0b0010, 0b0011, 0b1000, 0b1001, 0b1010, 0b1010]);
    }

    #[test]
    fn commands_are_encoded_as_the_manual_says() {
        let command = |destination, command| interrupt_command(ApicMode::XApic, destination, command);
        assert_eq!(command(Destination::One(2), Command::Init), Some((0x4500, 0x0200_0000)));
        assert_eq!(command(Destination::One(2), Command::Startup(8)), Some((0x4608, 0x0200_0000)));
        assert_eq!(command(Destination::AllButSelf, Command::NonMaskable), Some((0xc_4400, 0)));
        assert_eq!(command(Destination::SelfOnly, Command::Interrupt(0xf1)), Some((0x4_40f1, 0)));
    }

    #[test]
    fn only_x2apic_reaches_large_numbers_and_nobody_means_everybody_by_accident() {
        let to = |mode, number| interrupt_command(mode, Destination::One(number), Command::Interrupt(0x30));
        assert_eq!(to(ApicMode::XApic, 255), None);
        assert_eq!(to(ApicMode::XApic, 256), None);
        assert_eq!(to(ApicMode::X2Apic, 256), Some((0x4030, 256)));
        assert_eq!(to(ApicMode::X2Apic, u32::MAX), None);
        assert_eq!(to(ApicMode::Absent, 0), None);
    }

    #[test]
    fn errors_are_told_in_words() {
        assert_eq!(ApicErrors(0x60).to_string(), "illegal vector sent, illegal vector received");
        assert_eq!(ApicErrors(0).to_string(), "unknown (0x0)");
        assert_eq!(ApicErrors(0x100).to_string(), "unknown (0x100)");
    }
}
