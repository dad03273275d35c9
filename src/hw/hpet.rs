//! The high precision event timer's main counter (IA-PC HPET Specification 1.0a, section 2.3).
//!
//! Its low 32 bits are all that is used: they take one access, are there on counters of 32 bits too, and wrap after 42 s or
//! more.

use super::mmio::Registers;
use logic::acpi::Platform;
use spin::Once;
use x86_64::PhysAddr;

const BYTES: u64 = 0x400;

/// High half of the capabilities: femtoseconds of a tick.
const PERIOD: usize = 0x04;
const CONFIGURATION: usize = 0x10;
const COUNTER: usize = 0xf0;

/// Of the configuration: the counter counts.
const ENABLE: u32 = 1;
/// Of the configuration: timers 0 and 1 take the interrupts of PIT and RTC over.
const LEGACY_REPLACEMENT: u32 = 1 << 1;

/// Ticks that are believed: the specification allows 100 ns at most; 1 GHz is faster than any that was built.
const PERIODS: core::ops::RangeInclusive<u32> = 1_000_000..=100_000_000;
const FEMTOSECONDS: u64 = 1_000_000_000_000_000;

/// Bits of the counter that are used.
pub const BITS: u32 = 32;

/// A counter that was found and is running.
pub struct Hpet {
    registers: Registers,
    hertz: u64,
}

/// The machine's, set going if need be; `None` if there is none or what its registers say cannot be.
pub fn find(platform: &Platform) -> Option<&'static Hpet> {
    static HPET: Once<Option<Hpet>> = Once::new();
    HPET.call_once(|| Hpet::new(platform.hpet.as_ref()?.address)).as_ref()
}

impl Hpet {
    fn new(address: u64) -> Option<Self> {
        let registers = Registers::map(PhysAddr::try_new(address).ok()?, BYTES)?;
        let period = registers.read_u32(PERIOD);
        if !PERIODS.contains(&period) {
            log::warn!("clock: HPET at {address:#x} claims ticks of {period} fs and is left out");
            return None;
        }
        let configuration = registers.read_u32(CONFIGURATION);
        registers.write_u32(CONFIGURATION, configuration & !LEGACY_REPLACEMENT | ENABLE);
        Some(Self { registers, hertz: FEMTOSECONDS / u64::from(period) })
    }

    /// Ticks a second.
    pub fn hertz(&self) -> u64 {
        self.hertz
    }

    /// The counter's low 32 bits.
    pub fn read(&self) -> u32 {
        self.registers.read_u32(COUNTER)
    }
}
