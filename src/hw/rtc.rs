//! The real-time clock's ports; `logic::time::rtc` knows what the registers mean.

use logic::sync::{IrqLock, Rank};
use logic::time::calendar::DateTime;
use logic::time::rtc::{self, Registers};
use x86_64::instructions::port::Port;

/// Bits 0 to 6 say which register is meant. Bit 7 keeps NMIs from the processor: it cannot be read back on most machines, and
/// this kernel never sets it.
const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
const NMI_OFF: u8 = 0x80;

/// Held from naming a register until it is read.
static PORTS: IrqLock<()> = IrqLock::new(Rank::Timers, ());

/// The date and time that the clock shows, which is UTC by this kernel's convention. `None` if there is no clock, or nothing
/// sensible in it. `century_register` is what the ACPI FADT names. Takes up to 2 ms while the clock is changing.
pub fn read(century_register: Option<u8>) -> Option<DateTime> {
    rtc::read(&mut Ports, century_register)
}

struct Ports;

impl Registers for Ports {
    fn read(&mut self, number: u8) -> u8 {
        let _held = PORTS.lock();
        // SAFETY: this chooses a register and, as bit 7 is 0, lets NMIs through, as they are.
        unsafe { Port::new(INDEX).write(number & !NMI_OFF) };
        // SAFETY: reading a register of the clock harms no memory; those that reading changes are not asked for.
        unsafe { Port::new(DATA).read() }
    }
}
