//! The first serial port, 115200 baud, 8N1, through crate `uart_16550`: sending, by polling, so that it works before
//! interrupts do and in a panic. What comes in meanwhile is taken on the way ([`serial_input`]).

use super::serial_input::{self, INCOMING};
use crate::hw::clock;
use crate::hw::port::{self, SerialSender};
use core::hint;
use core::time::Duration;
use logic::time::Patience;
use uart_16550::spec::registers::LSR;
use uart_16550::{BaudRate, Config};

/// How long a port that takes nothing is waited for before it counts as dead. Its 16 bytes leave in 1.4 ms at 115200 baud, but a
/// virtual port's other side may be busy with something else.
const PATIENCE: Duration = Duration::from_millis(500);
/// Looks at a port in that time, at most, and in one go: some milliseconds.
const MOST_LOOKS: u32 = 5_000_000;
const LOOKS_AT_A_TIME: u32 = 5_000;
/// Looks before a port is not used at all because its transmitter does not come to rest: some 100 ms.
const LOOKS_AT_FIRST: u32 = 100_000;

/// A port that was found present.
pub struct Serial {
    port: SerialSender,
    /// Over while the port is dead. There is nobody there, then, and waiting for each further byte would cost seconds.
    patience: Patience,
}

impl Serial {
    /// `None` if there is no port, or one whose transmitter never comes to rest (which the crate would wait for for
    /// ever).
    pub fn new() -> Option<Self> {
        let (mut port, receiver) = port::com1()?;
        let is_present = port.port().check_present();
        if !is_present || !(0..LOOKS_AT_FIRST).any(|_| port.line_status().contains(LSR::TRANSMITTER_EMPTY)) {
            return None;
        }
        let config = Config { baud_rate: BaudRate::Baud115200, ..Config::DEFAULT };
        port.port().init(config).ok()?;
        serial_input::attach(receiver);
        Some(Self { port, patience: Patience::new(PATIENCE, MOST_LOOKS) })
    }

    /// Sends `text` with CR LF for each newline. A port that stops taking bytes loses text; it does not stop the
    /// kernel.
    pub fn write(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(line) => {
                    self.send_all(line.as_bytes());
                    self.send_all(b"\r\n");
                }
                None => self.send_all(line.as_bytes()),
            }
        }
    }

    /// Sends bytes as they are, as long as patience lasts.
    pub fn send_all(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = self.send(bytes);
        }
    }

    /// The same for a few milliseconds; the bytes to go on with. Those that a dead port does not take are lost.
    pub fn send<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        for _ in 0..LOOKS_AT_A_TIME {
            if bytes.is_empty() {
                break;
            }
            let status = self.port.line_status();
            // With interrupts off: as fast as bytes leave, others may come, and the port holds 16 of them.
            if status.intersects(INCOMING) {
                serial_input::take_meanwhile(status);
            }
            if status.contains(LSR::THR_EMPTY) {
                let sent = self.port.send(bytes);
                bytes = bytes.get(sent..).unwrap_or_default();
                self.patience.renew();
            } else if self.patience.lasts(clock::now()) {
                hint::spin_loop();
            } else {
                return &[];
            }
        }
        bytes
    }
}
