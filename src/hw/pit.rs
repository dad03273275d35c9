//! The 8254 interval timer's channel 2 as a stopwatch beside the time-stamp counter (Intel 8254 data sheet).
//!
//! It runs while the kernel starts, so measuring costs no waiting unless starting took less than a millisecond, or more than the
//! 55 ms after which the count is lost; then it waits for a millisecond.

use super::cpu;
use logic::time::{MIN_PIT_TICKS, TscFrequency};
use x86_64::instructions::port::Port;

const CHANNEL_2: u16 = 0x42;
const COMMAND: u16 = 0x43;
/// Bit 0 lets channel 2 count, bit 1 connects it to the speaker, bit 5 reads its output.
const SYSTEM_CONTROL: u16 = 0x61;

/// Channel 2, low then high byte, mode 0: output rises when the count has run out.
const COUNT_DOWN: u8 = 0b1011_0000;
const LATCH: u8 = 0b1000_0000;
const START: u16 = 0xffff;

/// Looks at the counter before it is taken for dead. Each is four port accesses, about 4 µs on hardware; a millisecond's
/// worth of them even where a port access takes 20 ns is 12,500.
const PATIENCE: u32 = 20_000;

/// A measurement under way.
pub struct Stopwatch {
    tsc: u64,
}

impl Stopwatch {
    /// Starts counting.
    pub fn start() -> Self {
        let gate = read(SYSTEM_CONTROL) & !0b10 | 0b01;
        write(SYSTEM_CONTROL, gate);
        write(COMMAND, COUNT_DOWN);
        let [low, high] = START.to_le_bytes();
        write(CHANNEL_2, low);
        write(CHANNEL_2, high);
        Self { tsc: cpu::tsc() }
    }

    /// The frequency of the time-stamp counter. `None` if the timer does not count, as on machines that gate it off.
    pub fn tsc_frequency(mut self) -> Option<TscFrequency> {
        for _ in 0..PATIENCE {
            let pit_ticks = u64::from(START - count());
            let tsc_ticks = cpu::tsc() - self.tsc;
            // The count goes on past 0 after 55 ms and means nothing then: start again, a millisecond is enough.
            if ran_out() {
                self = Self::start();
            } else if pit_ticks >= MIN_PIT_TICKS {
                return TscFrequency::from_pit(tsc_ticks, pit_ticks);
            }
        }
        None
    }
}

fn ran_out() -> bool {
    read(SYSTEM_CONTROL) & 0b10_0000 != 0
}

fn count() -> u16 {
    write(COMMAND, LATCH);
    u16::from_le_bytes([read(CHANNEL_2), read(CHANNEL_2)])
}

fn read(port: u16) -> u8 {
    // SAFETY: reading the timer and the system control port changes nothing but the timer's own byte order.
    unsafe { Port::new(port).read() }
}

fn write(port: u16, value: u8) {
    // SAFETY: these ports control channel 2 and the speaker, which nothing else in the kernel uses.
    unsafe { Port::new(port).write(value) }
}
