//! What comes in at the first serial port: by interrupt, into a ring, from which a thread takes it. Where no interrupt can come, the
//! thread asks the port ([`poll`]).
//!
//! Nothing is lost as long as the other side waits when asked to. When the ring is nearly full, RTS falls; when it is
//! full, bytes stay in the port, which does not interrupt for them until there is room. A virtual port (QEMU's) takes
//! no more than that; a real one whose other side does not heed RTS overruns, which is told.

use crate::drivers::input;
use crate::hw::irq::{self, IrqError, Line, Registration};
use crate::hw::port::SerialReceiver;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use logic::sync::{ByteRing, IrqLock, Rank};
use uart_16550::spec::registers::{IER, LSR};

/// Bytes that wait for a reader at most.
pub(super) const RING_BYTES: usize = 64 * 1024;
/// The other side is asked to wait at the one, and to go on at the other. Some go on for a while.
const NEARLY_FULL: usize = RING_BYTES - 4096;
const NEARLY_EMPTY: usize = RING_BYTES / 2;

/// COM1's interrupt.
const LINE: Line = Line::Isa(4);
/// Line status that tells of something incoming.
pub(super) const INCOMING: LSR = LSR::DATA_READY
    .union(LSR::OVERRUN_ERROR)
    .union(LSR::PARITY_ERROR)
    .union(LSR::FRAMING_ERROR)
    .union(LSR::BREAK_INTERRUPT);

/// Looks at the port in one interrupt before it is left alone until the next.
const MOST_LOOKS: u32 = 64;

static RECEIVER: IrqLock<Option<Receiver>> = IrqLock::new(Rank::Serial, None);
static RECEIVED: ByteRing<RING_BYTES> = ByteRing::new();
static BREAK: AtomicBool = AtomicBool::new(false);
/// There was a break, which comes as a byte of zeros: right then, or, from QEMU, after what was there before.
static EXPECTS_ZERO: AtomicBool = AtomicBool::new(false);
static OVERRUNS: AtomicU64 = AtomicU64::new(0);

struct Receiver {
    port: SerialReceiver,
    /// Somebody wants what comes in.
    is_started: bool,
    /// The other side was asked to wait.
    is_waiting: bool,
    /// The transmitter interrupts when it is empty, for a sender's sake.
    is_called: bool,
}

/// Keeps the half of the port that receives.
pub(super) fn attach(port: SerialReceiver) {
    *RECEIVER.lock() = Some(Receiver { port, is_started: false, is_waiting: false, is_called: false });
}

/// Takes in what comes from now on, by interrupt. `None` without a port.
///
/// # Errors
/// As of [`irq::register`]: somebody must [`poll`] then.
pub(super) fn start() -> Option<Result<Registration, IrqError>> {
    RECEIVER.lock().as_ref()?;
    let registration = irq::register(LINE, interrupt, "serial port");
    if let Some(receiver) = RECEIVER.lock().as_mut() {
        receiver.is_started = true;
        // Ports that are switched on may see one.
        BREAK.store(false, Ordering::Relaxed);
        if registration.is_ok() {
            receiver.port.enable_interrupts(IER::DATA_READY | IER::RECEIVER_LINE_STATUS);
        }
    }
    Some(registration)
}

/// The oldest byte that has come in. Whoever has taken some calls [`resume`].
pub(super) fn pop() -> Option<u8> {
    RECEIVED.pop()
}

/// Whether bytes have come in.
pub(super) fn has_bytes() -> bool {
    !RECEIVED.is_empty()
}

/// Whether there was a break that nobody has taken note of.
pub(super) fn has_break() -> bool {
    BREAK.load(Ordering::Acquire)
}

/// Asks the other side to go on once there is room again.
pub(super) fn resume() {
    if RECEIVED.len() > NEARLY_EMPTY {
        return;
    }
    if let Some(receiver) = RECEIVER.lock().as_mut().filter(|receiver| receiver.is_waiting) {
        receiver.is_waiting = false;
        receiver.port.request_to_send(true);
        receiver.port.enable_interrupts(IER::DATA_READY);
    }
}

/// Whether there was a break since this was asked last.
pub(super) fn take_break() -> bool {
    BREAK.swap(false, Ordering::AcqRel)
}

/// How often bytes were lost.
pub(super) fn overruns() -> u64 {
    OVERRUNS.load(Ordering::Relaxed)
}

/// Takes what has come in, for a sender that keeps interrupts off and has read `status`. Whoever waits for input cannot
/// be woken with the sender's locks held; the port interrupts for that as soon as it may.
pub(super) fn take_meanwhile(status: LSR) {
    // Whoever holds it takes what there is, and then looks whether there was a break.
    note(status);
    let Some(mut receiver) = RECEIVER.try_lock() else { return };
    let Some(receiver) = receiver.as_mut().filter(|receiver| receiver.is_started) else { return };
    // Another processor may have taken the byte since: an empty port gives a zero that nobody sent.
    let now = receiver.port.line_status();
    note(now);
    if receiver.drain(now.union(status.difference(LSR::DATA_READY))) {
        receiver.is_called = true;
        receiver.port.enable_interrupts(IER::THR_EMPTY);
    }
}

/// Notes what the line status tells once.
fn note(status: LSR) {
    if status.is_all() {
        return;
    }
    if status.contains(LSR::OVERRUN_ERROR) {
        OVERRUNS.fetch_add(1, Ordering::Relaxed);
    }
    if status.contains(LSR::BREAK_INTERRUPT) {
        EXPECTS_ZERO.store(true, Ordering::Relaxed);
        BREAK.store(true, Ordering::SeqCst);
    }
}

fn interrupt() {
    poll();
    if has_bytes() || has_break() {
        input::wake();
    }
}

/// Takes what has come in.
pub(super) fn poll() {
    if let Some(receiver) = RECEIVER.lock().as_mut() {
        if core::mem::take(&mut receiver.is_called) {
            receiver.port.disable_interrupts(IER::THR_EMPTY);
        }
        // The interrupt is an edge: all must be quiet at once, or it was the last.
        for _ in 0..MOST_LOOKS {
            let status = receiver.port.line_status();
            note(status);
            receiver.drain(status);
            if !receiver.port.wants_attention() {
                break;
            }
        }
    }
}

impl Receiver {
    /// Takes what there is, as far as there is room; `status` has been noted. Whether there was anything.
    fn drain(&mut self, mut status: LSR) -> bool {
        let mut something = false;
        // All ones are a port that has gone.
        while status.intersects(INCOMING) && !status.is_all() {
            something = true;
            if status.contains(LSR::DATA_READY) {
                if RECEIVED.is_full() {
                    // Breaks go on to interrupt.
                    self.is_waiting = true;
                    self.port.disable_interrupts(IER::DATA_READY);
                    break;
                }
                let byte = self.port.receive();
                if byte != 0 || !EXPECTS_ZERO.swap(false, Ordering::Relaxed) {
                    // There is room, and nobody else adds.
                    let _ = RECEIVED.push(byte);
                }
            }
            status = self.port.line_status();
            note(status);
        }
        EXPECTS_ZERO.fetch_and(status.contains(LSR::DATA_READY), Ordering::Relaxed);
        if !self.is_waiting && RECEIVED.len() > NEARLY_FULL {
            self.is_waiting = true;
            self.port.request_to_send(false);
        }
        something
    }
}
