//! The ACPI power management timer (ACPI specification, section 4.8.2.1): 24 or 32 bits at 3.58 MHz.

use super::mmio::Registers;
use logic::acpi::{Address, Platform};
use logic::time::counter::elapsed;
use spin::Once;
use x86_64::PhysAddr;
use x86_64::instructions::port::Port;

/// Ticks a second: three times the PIT's.
pub const HERTZ: u64 = 3_579_545;

/// Two readings in a row further apart than this (18 µs) are taken again: some chip sets let a reading slip while the counter
/// carries (Intel PIIX4 specification update, "ACPI timer errata").
const MAX_APART: u64 = 64;
const ATTEMPTS: u32 = 3;

/// A timer that the firmware describes.
pub struct PmTimer {
    register: Register,
    bits: u32,
}

enum Register {
    Port(u16),
    Memory(Registers),
}

/// The machine's; `None` if there is none.
pub fn find(platform: &Platform) -> Option<&'static PmTimer> {
    static TIMER: Once<Option<PmTimer>> = Once::new();
    TIMER
        .call_once(|| {
            let timer = platform.fixed.as_ref()?.pm_timer.as_ref()?;
            let register = match timer.address {
                Address::Port(port) => Register::Port(port),
                Address::Memory(address) => {
                    Register::Memory(Registers::map(PhysAddr::try_new(address).ok()?, size_of::<u32>() as u64)?)
                }
            };
            Some(PmTimer { register, bits: if timer.bits == 32 { 32 } else { 24 } })
        })
        .as_ref()
}

impl PmTimer {
    /// Bits of the counter, 24 or 32.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The counter; bits above [`Self::bits`] mean nothing.
    pub fn read(&self) -> u32 {
        let mut last = self.read_once();
        for _ in 0..ATTEMPTS {
            let next = self.read_once();
            if elapsed(last.into(), next.into(), self.bits) <= MAX_APART {
                return next;
            }
            last = next;
        }
        last
    }

    fn read_once(&self) -> u32 {
        match &self.register {
            // SAFETY: the firmware's table says that this port is the timer's; reading it changes nothing.
            Register::Port(port) => unsafe { Port::new(*port).read() },
            Register::Memory(registers) => registers.read_u32(0),
        }
    }
}
