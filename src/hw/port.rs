//! Devices at fixed I/O ports, handed to their drivers.

use uart_16550::Uart16550;
use uart_16550::backend::PioBackend;

/// COM1 of every PC.
const COM1: u16 = 0x3f8;

/// The first serial port, which may be absent: `init` tells.
pub fn com1() -> Uart16550<PioBackend> {
    // SAFETY: a PC has COM1 or nothing at these eight ports; both can be read and written without harm to memory. The
    // only caller is the serial driver, which keeps the one handle behind the console's lock.
    match unsafe { Uart16550::new_port(COM1) } {
        Ok(uart) => uart,
        Err(error) => unreachable!("0x3f8 is a valid base: {error}"),
    }
}
