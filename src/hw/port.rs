//! Devices at fixed I/O ports, handed to their drivers.

use core::sync::atomic::{AtomicBool, Ordering};
use uart_16550::Uart16550;
use uart_16550::backend::PioBackend;

/// COM1 of every PC.
const COM1: u16 = 0x3f8;

/// The first serial port, which may be absent: the crate's `check_present` tells. `None` the second time.
pub fn com1() -> Option<Uart16550<PioBackend>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: a PC has COM1 or nothing at these eight ports; both can be read and written without harm to memory. This is
    // the only handle there will be.
    unsafe { Uart16550::new_port(COM1) }.ok()
}
