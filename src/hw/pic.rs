//! The two 8259 interrupt controllers (Intel 8259A data sheet): moved away from the exceptions, masked, and used where there is
//! nothing better.

use logic::irq::routing::{CASCADE_IRQ, ISA_IRQS};
use logic::irq::vectors::PIC_BASE;
use x86_64::instructions::port::Port;

/// Command port and, behind it, data port of the first and the second.
const FIRST: u16 = 0x20;
const SECOND: u16 = 0xa0;
/// Edge/level control, one bit an input, the second's in the port behind it.
const EDGE_LEVEL_CONTROL: u16 = 0x4d0;
/// Nothing listens there: a write takes the microsecond that old controllers need between commands.
const DELAY: u16 = 0x80;

/// Initialisation command word 1: edge-triggered, two controllers, word 4 follows.
const INITIALISE: u8 = 0x11;
/// Initialisation command word 4: 8086 mode.
const MODE_8086: u8 = 0x01;
/// Operation command word 2: ends the service of the input in the low bits.
const END_OF_INTERRUPT: u8 = 0x60;
/// Operation command word 3: the command port's next read answers which inputs are in service.
const READ_IN_SERVICE: u8 = 0x0b;

/// The pair of controllers. There is one handle at most.
pub struct Pic {
    /// Inputs that are held back, one bit each, as the controllers have them.
    mask: u16,
}

impl Pic {
    /// Finds the controllers, moves their vectors to [`PIC_BASE`] and masks all inputs. `None` if there are none.
    pub fn find() -> Option<Self> {
        for (command, vector, wiring) in [(FIRST, PIC_BASE, 1 << CASCADE_IRQ), (SECOND, PIC_BASE + 8, CASCADE_IRQ)] {
            write(command, INITIALISE);
            write(command + 1, vector);
            write(command + 1, wiring);
            write(command + 1, MODE_8086);
        }
        // The mask can be read back. Where nothing is, a read answers something of its own, mostly all ones.
        let mut pic = Self { mask: u16::MAX };
        let answers = [0xa5fb, 0x5aff, u16::MAX].into_iter().all(|mask| {
            pic.set_mask(mask);
            read_u16(FIRST + 1, SECOND + 1) == mask
        });
        pic.set_mask(u16::MAX);
        answers.then_some(pic)
    }

    /// Lets interrupts of input `irq` through; those of the second controller come through the first one's cascade.
    pub fn unmask(&mut self, irq: u8) {
        self.set_mask(self.mask & !(1 << (irq % ISA_IRQS)) & !(1 << CASCADE_IRQ));
    }

    /// Holds interrupts of input `irq` back.
    pub fn mask(&mut self, irq: u8) {
        self.set_mask(self.mask | 1 << (irq % ISA_IRQS));
    }

    fn set_mask(&mut self, mask: u16) {
        self.mask = mask;
        let [first, second] = mask.to_le_bytes();
        write(FIRST + 1, first);
        write(SECOND + 1, second);
    }
}

/// The edge/level control registers; all ones where there are none.
pub fn edge_level_control() -> u16 {
    read_u16(EDGE_LEVEL_CONTROL, EDGE_LEVEL_CONTROL + 1)
}

/// Whether the interrupt of `irq` that has just come is none: an input that went quiet before the processor asked raises the last
/// one of its controller, and puts nothing in service. The first controller still has the second's cascade in service then, which
/// this ends.
pub fn is_spurious(irq: u8) -> bool {
    let controller = match irq {
        7 => FIRST,
        15 => SECOND,
        _ => return false,
    };
    write(controller, READ_IN_SERVICE);
    let is_spurious = read(controller) & 1 << 7 == 0;
    if is_spurious && irq == 15 {
        write(FIRST, END_OF_INTERRUPT | CASCADE_IRQ);
    }
    is_spurious
}

/// Ends the service of input `irq`.
pub fn end_of_interrupt(irq: u8) {
    if irq >= 8 {
        write(SECOND, END_OF_INTERRUPT | (irq % 8));
        write(FIRST, END_OF_INTERRUPT | CASCADE_IRQ);
    } else {
        write(FIRST, END_OF_INTERRUPT | irq);
    }
}

fn read_u16(low: u16, high: u16) -> u16 {
    u16::from_le_bytes([read(low), read(high)])
}

fn read(port: u16) -> u8 {
    // SAFETY: reading the interrupt controllers' ports touches no memory.
    unsafe { Port::new(port).read() }
}

fn write(port: u16, value: u8) {
    // SAFETY: the interrupt controllers are this file's alone; what they raise finds its handler or is counted as unclaimed.
    unsafe { Port::new(port).write(value) };
    // SAFETY: nothing listens at this port but, on some machines, a display of boot codes.
    unsafe { Port::new(DELAY).write(0_u8) };
}
