//! Which ways of switching a machine off or resetting it to try, in which order. `hw::power` carries them out.

use super::{Address, Platform, Reset, ResetRegister};
use arrayvec::ArrayVec;
use core::fmt;

/// Bit 0 of PM1 control: ACPI is on, and its events come as interrupts (ACPI 6.5 section 4.8.3.2.1).
pub const SCI_ENABLE: u16 = 1;

/// Bit 13 of PM1 control: go to sleep now.
pub const SLEEP_ENABLE: u16 = 1 << 13;

/// Bits 10 to 12 of PM1 control: how deep.
const SLEEP_TYPE_SHIFT: u16 = 10;
const SLEEP_TYPE_MASK: u16 = 0b111 << SLEEP_TYPE_SHIFT;

/// In the sleep control register of hardware-reduced machines, the same are bits 2 to 4, and 5 (ACPI 6.5 section 4.8.3.7).
const REDUCED_SLEEP_TYPE_SHIFT: u8 = 2;
const REDUCED_SLEEP_ENABLE: u8 = 1 << 5;

/// Attempts that a plan may have.
pub const MAX_ATTEMPTS: usize = 6;

/// Attempts in the order to make them. A machine that is still there after one goes on to the next.
pub type Plan = ArrayVec<Attempt, MAX_ATTEMPTS>;

/// One way to switch a machine off or to reset it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Sets a sleep type and then the sleep-enable bit in the PM1 control registers.
    Sleep {
        /// PM1a control, and its sleep type.
        a: (Address, u8),
        /// PM1b control, and its sleep type.
        b: Option<(Address, u8)>,
        /// Port and value that switch ACPI on first if [`SCI_ENABLE`] is clear.
        enable: Option<(u16, u8)>,
    },
    /// Writes a byte to a register.
    Register(Address, u8),
    /// Writes a byte to the configuration space of a device on PCI bus 0.
    PciRegister {
        /// Device number, below 32.
        device: u8,
        /// Function number, below 8.
        function: u8,
        /// Byte offset.
        offset: u8,
        /// What to write.
        value: u8,
    },
    /// Writes a word to a port.
    Word(u16, u16),
    /// Writes bytes to a port, one after the other.
    Bytes(u16, &'static [u8]),
    /// Has the keyboard controller pulse the processor's reset line.
    KeyboardController,
    /// Raises an exception that cannot be delivered: the processor shuts down, and the board resets it (SDM volume 3
    /// section 7.15, double fault).
    TripleFault,
}

impl fmt::Display for Attempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sleep { .. } => formatter.write_str("ACPI sleep registers"),
            Self::Register(Address::Memory(address), _) => write!(formatter, "ACPI register at {address:#x}"),
            Self::Register(Address::Port(port), _) => write!(formatter, "ACPI register at port {port:#x}"),
            Self::PciRegister { device, function, offset, .. } => {
                write!(formatter, "ACPI register of PCI device {device:02x}.{function}, offset {offset:#x}")
            }
            Self::Word(port, _) | Self::Bytes(port, _) => write!(formatter, "port {port:#x}"),
            Self::KeyboardController => formatter.write_str("keyboard controller"),
            Self::TripleFault => formatter.write_str("triple fault"),
        }
    }
}

/// How to switch the machine off: as ACPI says, then as emulators have it. When all is in vain, a person must do it.
pub fn power_off(platform: &Platform) -> Plan {
    let mut plan = Plan::new();
    if let Some(fixed) = platform.fixed
        && let Some((type_a, type_b)) = fixed.s5
    {
        if let Some(register) = fixed.sleep_control {
            plan.push(Attempt::Register(register, type_a << REDUCED_SLEEP_TYPE_SHIFT | REDUCED_SLEEP_ENABLE));
        }
        if let Some(a) = fixed.pm1a_control {
            plan.push(Attempt::Sleep {
                a: (a, type_a),
                b: fixed.pm1b_control.map(|b| (b, type_b)),
                enable: fixed.smi_command.filter(|_| fixed.acpi_enable != 0).map(|port| (port, fixed.acpi_enable)),
            });
        }
    }
    // PM1a control where SeaBIOS puts it and where OVMF and old BIOSes do on QEMU's `pc`, and Bochs' own port.
    plan.extend([Attempt::Word(0x604, SLEEP_ENABLE), Attempt::Word(0xb004, SLEEP_ENABLE)]);
    plan.push(Attempt::Bytes(0x8900, b"Shutdown"));
    plan
}

/// How to reset the machine: as ACPI says, then as PCs have always done it. The last cannot fail.
pub fn reboot(platform: &Platform) -> Plan {
    let mut plan = Plan::new();
    if let Some(Reset { register, value }) = platform.fixed.and_then(|fixed| fixed.reset) {
        plan.push(match register {
            ResetRegister::At(address) => Attempt::Register(address, value),
            ResetRegister::Pci { device, function, offset } => Attempt::PciRegister { device, function, offset, value },
        });
    }
    // The reset control register of chip sets since the PIIX3: choose a hard reset, then start it.
    plan.push(Attempt::Bytes(0xcf9, &[0x02, 0x06]));
    if platform.fixed.and_then(|fixed| fixed.has_8042) != Some(false) {
        plan.push(Attempt::KeyboardController);
    }
    plan.push(Attempt::TripleFault);
    plan
}

/// PM1 control `current` with another sleep type, sleep not yet enabled.
pub fn with_sleep_type(current: u16, sleep_type: u8) -> u16 {
    current & !(SLEEP_TYPE_MASK | SLEEP_ENABLE) | u16::from(sleep_type) << SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK
}
