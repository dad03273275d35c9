//! The 8254 interval timer (Intel 8254 data sheet): channel 2 as a stopwatch, channel 0 as the last resort among timers.
//!
//! Counts go down; the stopwatch turns them around, to a counter of 16 bits that wraps every 55 ms.

use logic::time::PIT_HZ;
use x86_64::instructions::port::Port;

const CHANNEL_0: u16 = 0x40;
const CHANNEL_2: u16 = 0x42;
const COMMAND: u16 = 0x43;
/// Bit 0 lets channel 2 count, bit 1 connects it to the speaker, bit 5 reads its output.
const SYSTEM_CONTROL: u16 = 0x61;

/// Low then high byte, mode 0: the output rises when the count has run out, and counting goes on from 0xffff.
const COUNT_DOWN_0: u8 = 0b0011_0000;
/// The same of channel 2.
const COUNT_DOWN_2: u8 = 0b1011_0000;
const LATCH_2: u8 = 0b1000_0000;
const START: u16 = 0xffff;

/// Bits of the stopwatch.
pub const STOPWATCH_BITS: u32 = 16;

/// Starts the stopwatch from 0.
pub fn start_stopwatch() {
    let gate = read(SYSTEM_CONTROL) & !0b10 | 0b01;
    write(SYSTEM_CONTROL, gate);
    write(COMMAND, COUNT_DOWN_2);
    write_count(CHANNEL_2, START);
}

/// Ticks at [`PIT_HZ`] since the stopwatch was started, modulo 2^16. One processor at a time may ask.
pub fn stopwatch() -> u16 {
    write(COMMAND, LATCH_2);
    START.wrapping_sub(u16::from_le_bytes([read(CHANNEL_2), read(CHANNEL_2)]))
}

/// Whether the stopwatch has gone past its 55 ms since it was started.
pub fn stopwatch_has_wrapped() -> bool {
    read(SYSTEM_CONTROL) & 0b10_0000 != 0
}

/// The longest wait of [`one_shot`], in nanoseconds.
pub const LONGEST_ONE_SHOT: u64 = u16::MAX as u64 * 1_000_000_000 / PIT_HZ;

/// Raises ISA interrupt 0 once, after `ticks` at [`PIT_HZ`] and one more. Forgets what was asked for before.
pub fn one_shot(ticks: u16) {
    write(COMMAND, COUNT_DOWN_0);
    write_count(CHANNEL_0, ticks.max(1));
}

/// Raises no interrupt any more: the channel waits for a count that does not come.
pub fn stop() {
    write(COMMAND, COUNT_DOWN_0);
}

fn write_count(port: u16, count: u16) {
    for byte in count.to_le_bytes() {
        write(port, byte);
    }
}

fn read(port: u16) -> u8 {
    // SAFETY: reading the timer and the system control port changes nothing but the timer's own byte order.
    unsafe { Port::new(port).read() }
}

fn write(port: u16, value: u8) {
    // SAFETY: these ports control the timer and the speaker, which are this module's alone.
    unsafe { Port::new(port).write(value) }
}
