//! Devices at fixed I/O ports, handed to their drivers.

use super::lock::Panicking;
use core::sync::atomic::{AtomicBool, Ordering};
use logic::ps2::ControllerCommand;
use uart_16550::Uart16550;
use uart_16550::backend::{Backend, PioBackend};
use uart_16550::spec::FIFO_SIZE;
use uart_16550::spec::registers::{IER, ISR, LSR, MCR, offsets};
use x86_64::instructions::port::Port;

/// COM1 of every PC.
const COM1: u16 = 0x3f8;

/// The 8042's ports.
const KEYBOARD_DATA: u16 = 0x60;
const KEYBOARD_COMMAND: u16 = 0x64;

/// The first serial port, in two halves that need not wait for each other: what is sent and what is received have
/// registers of their own. The port may be absent: the crate's `check_present` tells. `None` the second time.
pub fn com1() -> Option<(SerialSender, SerialReceiver)> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: a PC has COM1 or nothing at these eight ports; both can be read and written without harm to memory. This
    // is the only handle there will be to send with.
    let sender = unsafe { Uart16550::new_port(COM1) }.ok()?;
    // SAFETY: the same, and the only one to receive with.
    let receiver = unsafe { Uart16550::new_port(COM1) }.ok()?;
    Some((SerialSender(sender), SerialReceiver(receiver)))
}

/// What goes out at a serial port.
pub struct SerialSender(Uart16550<PioBackend>);

impl SerialSender {
    /// The port as the crate has it, to be initialised.
    pub fn port(&mut self) -> &mut Uart16550<PioBackend> {
        &mut self.0
    }

    /// The line status. Errors and breaks are told once, to this half or to the receiver.
    pub fn line_status(&mut self) -> LSR {
        self.0.lsr()
    }

    /// Hands over bytes, as many as fit into a transmitter that the line status calls empty; how many. The crate's own way asks
    /// for the line status again, and what that tells once would be lost.
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        let room = if self.0.fifo_enabled() { FIFO_SIZE } else { 1 };
        let bytes = bytes.get(..room).unwrap_or(bytes);
        for byte in bytes {
            // SAFETY: writing a byte touches no memory.
            unsafe { self.0.backend_mut().write(offsets::DATA as u8, *byte) };
        }
        bytes.len()
    }
}

/// What comes in at a serial port, once the sender has initialised it.
pub struct SerialReceiver(Uart16550<PioBackend>);

impl SerialReceiver {
    /// The line status. Errors are told once, to this half or to the sender.
    pub fn line_status(&mut self) -> LSR {
        self.0.lsr()
    }

    /// Takes a byte that the line status says is there.
    pub fn receive(&mut self) -> u8 {
        // SAFETY: reading a byte touches no memory.
        unsafe { self.0.backend_mut().read(offsets::DATA as u8) }
    }

    /// Whether the port wants to interrupt for a reason not seen to yet. Asking sees to an empty transmitter.
    pub fn wants_attention(&mut self) -> bool {
        !self.0.isr().contains(ISR::INTERRUPT_STATUS)
    }

    /// Interrupts for these reasons from now on.
    pub fn enable_interrupts(&mut self, reasons: IER) {
        self.0.enable_interrupts(reasons);
    }

    /// And no more for these.
    pub fn disable_interrupts(&mut self, reasons: IER) {
        self.0.disable_interrupts(reasons);
    }

    /// Tells the other side whether to send (RTS).
    pub fn request_to_send(&mut self, ready: bool) {
        let mut lines = self.0.mcr();
        lines.set(MCR::RTS, ready);
        // SAFETY: the modem's lines touch no memory, and only this half changes them.
        unsafe { self.0.backend_mut().write(offsets::MCR as u8, lines.bits()) };
    }
}

/// The keyboard controller, which may be absent: its status reads as all ones then.
#[derive(Debug)]
pub struct KeyboardController(());

/// The keyboard controller. `None` the second time.
pub fn keyboard_controller() -> Option<KeyboardController> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    (!TAKEN.swap(true, Ordering::Relaxed)).then_some(KeyboardController(()))
}

impl KeyboardController {
    /// The status register.
    pub fn status(&self) -> u8 {
        // SAFETY: reading the controller's status touches no memory.
        unsafe { Port::new(KEYBOARD_COMMAND).read() }
    }

    /// Takes the byte that there is to be read.
    pub fn read_data(&self) -> u8 {
        // SAFETY: reading the controller's byte touches no memory.
        unsafe { Port::new(KEYBOARD_DATA).read() }
    }

    /// Tells the controller something harmless.
    pub fn write_command(&self, command: ControllerCommand) {
        // SAFETY: of the commands there are, these neither reset the machine nor change how it addresses memory.
        unsafe { Port::new(KEYBOARD_COMMAND).write(command as u8) }
    }

    /// Writes what belongs to a command, or else what is for the keyboard.
    pub fn write_data(&self, byte: u8) {
        // SAFETY: the configuration and the keyboard have no effect on memory.
        unsafe { Port::new(KEYBOARD_DATA).write(byte) }
    }
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

/// A byte that has arrived at the first serial port, for a panic, which waits for no interrupt. `None` without such a port too.
pub fn poll_serial(_: &Panicking) -> Option<u8> {
    const LINE_STATUS: u16 = 5;
    const DATA_READY: u8 = 1;
    // SAFETY: reading the line status harms no memory, whoever is there.
    let status: u8 = unsafe { Port::new(COM1 + LINE_STATUS).read() };
    if status == u8::MAX || status & DATA_READY == 0 {
        return None;
    }
    // SAFETY: reading takes the byte out of the port, which is wanted.
    Some(unsafe { Port::new(COM1).read() })
}

/// A byte that has arrived from the keyboard, likewise.
pub fn poll_keyboard(_: &Panicking) -> Option<u8> {
    const OUTPUT_FULL: u8 = 1;
    const FROM_MOUSE: u8 = 1 << 5;
    // SAFETY: reading the controller's status touches no memory.
    let status: u8 = unsafe { Port::new(KEYBOARD_COMMAND).read() };
    if status == u8::MAX || status & OUTPUT_FULL == 0 {
        return None;
    }
    // SAFETY: reading the controller's byte touches no memory.
    let byte = unsafe { Port::new(KEYBOARD_DATA).read() };
    (status & FROM_MOUSE == 0).then_some(byte)
}
