//! Devices at fixed I/O ports, handed to their drivers.

use core::sync::atomic::{AtomicBool, Ordering};
use uart_16550::Uart16550;
use uart_16550::backend::PioBackend;
use x86_64::instructions::port::Port;

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

/// The registers of a VGA in colour text mode that have to do with text (IBM VGA technical reference).
pub struct VgaPorts {
    crtc_index: Port<u8>,
    crtc_data: Port<u8>,
    attribute_write: Port<u8>,
    attribute_read: Port<u8>,
    input_status: Port<u8>,
}

/// In an attribute index: the screen stays on.
const SCREEN_ON: u8 = 1 << 5;

/// The VGA's registers, to be used only where the display is one in text mode. `None` the second time.
pub fn vga() -> Option<VgaPorts> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let free = !TAKEN.swap(true, Ordering::Relaxed);
    free.then(|| VgaPorts {
        crtc_index: Port::new(0x3d4),
        crtc_data: Port::new(0x3d5),
        attribute_write: Port::new(0x3c0),
        attribute_read: Port::new(0x3c1),
        input_status: Port::new(0x3da),
    })
}

impl VgaPorts {
    /// Sets a register of the CRT controller, which says what is shown where.
    pub fn set_crtc(&mut self, index: u8, value: u8) {
        // SAFETY: the VGA's index register, which touches no memory.
        unsafe { self.crtc_index.write(index) };
        // SAFETY: nothing behind that index touches memory other than the VGA's own.
        unsafe { self.crtc_data.write(value) };
    }

    /// A register of the attribute controller, which says how it looks.
    pub fn attribute(&mut self, index: u8) -> u8 {
        self.select_attribute(index);
        // SAFETY: reads what was selected.
        unsafe { self.attribute_read.read() }
    }

    /// Sets a register of the attribute controller.
    pub fn set_attribute(&mut self, index: u8, value: u8) {
        self.select_attribute(index);
        // SAFETY: after an index comes its value; attributes touch no memory.
        unsafe { self.attribute_write.write(value) };
    }

    fn select_attribute(&mut self, index: u8) {
        // SAFETY: reading the status has the one effect that the next write is an index.
        let _: u8 = unsafe { self.input_status.read() };
        // SAFETY: an index, which leaves the screen on.
        unsafe { self.attribute_write.write(index & (SCREEN_ON - 1) | SCREEN_ON) };
    }
}
