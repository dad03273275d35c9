//! The first serial port, 115200 baud, 8N1, through crate `uart_16550`.

use crate::hw::port;
use core::hint;
use uart_16550::backend::PioBackend;
use uart_16550::{BaudRate, Config, Uart16550};

/// Polls before a byte is given up: several times what a byte takes at 115200 baud, even where a poll takes 100 ns.
const PATIENCE: u32 = 10_000;

/// A port that was found present and working.
pub struct Serial(Uart16550<PioBackend>);

impl Serial {
    /// `None` if there is no port, or one that does not hear itself in its loop-back test.
    pub fn new() -> Option<Self> {
        let mut uart = port::com1();
        let config = Config { baud_rate: BaudRate::Baud115200, ..Config::DEFAULT };
        uart.init(config).ok()?;
        uart.test_loopback().ok()?;
        Some(Self(uart))
    }

    /// Sends `text` with CR LF for each newline. A port that stops taking bytes loses text; it does not stop the kernel.
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

    fn send(&mut self, mut bytes: &[u8]) {
        let mut patience = PATIENCE;
        while !bytes.is_empty() && patience > 0 {
            let sent = self.0.send_bytes(bytes);
            bytes = bytes.get(sent..).unwrap_or_default();
            if sent > 0 {
                patience = PATIENCE;
            } else {
                patience -= 1;
                hint::spin_loop();
            }
        }
    }
}
