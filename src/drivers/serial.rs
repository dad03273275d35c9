//! The first serial port, 115200 baud, 8N1, through crate `uart_16550`: sending, by polling, so that it works before
//! interrupts do and in a panic. What comes in meanwhile is taken on the way ([`serial_input`]).

use super::serial_input;
use crate::hw::port;
use core::hint;
use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::LSR;
use uart_16550::{BaudRate, Config, Uart16550};

/// Polls before a port is given up: several times what the 16 bytes of its buffer take at 115200 baud (1.4 ms), even
/// where a poll takes no more than 100 ns.
const PATIENCE: u32 = 100_000;

/// A port that was found present.
pub struct Serial {
    uart: Uart16550<PioBackend>,
    /// It stopped taking bytes. There is nobody there, then, and waiting for each further byte would cost seconds.
    dead: bool,
}

impl Serial {
    /// `None` if there is no port, or one whose transmitter never comes to rest (which the crate would wait for for
    /// ever).
    pub fn new() -> Option<Self> {
        let (mut uart, receiver) = port::com1()?;
        if !uart.check_present() || !(0..PATIENCE).any(|_| uart.lsr().contains(LSR::TRANSMITTER_EMPTY)) {
            return None;
        }
        let config = Config { baud_rate: BaudRate::Baud115200, ..Config::DEFAULT };
        uart.init(config).ok()?;
        serial_input::attach(receiver);
        Some(Self { uart, dead: false })
    }

    /// Sends `text` with CR LF for each newline. A port that stops taking bytes loses text; it does not stop the
    /// kernel.
    pub fn write(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(line) => {
                    self.send(line.as_bytes());
                    self.send(b"\r\n");
                }
                None => self.send(line.as_bytes()),
            }
        }
    }

    /// Sends bytes as they are, with the same patience.
    pub fn send(&mut self, mut bytes: &[u8]) {
        let mut patience = if self.dead { 1 } else { PATIENCE };
        while !bytes.is_empty() && patience > 0 {
            let sent = self.uart.send_bytes(bytes);
            bytes = bytes.get(sent..).unwrap_or_default();
            if sent > 0 {
                patience = PATIENCE;
                self.dead = false;
            } else {
                patience -= 1;
                hint::spin_loop();
            }
            // With interrupts off: as fast as bytes leave, others may come, and the port holds 16 of them.
            let status = self.uart.lsr();
            if status.intersects(serial_input::INCOMING) {
                serial_input::take_meanwhile(status);
            }
        }
        self.dead |= patience == 0;
    }
}
