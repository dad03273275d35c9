//! Switches the machine off and resets it, by every way that `logic::acpi::power` knows, until one works.
//!
//! Firmware's preparations for sleep (`\_PTS`) are AML, which is not run; a machine that insists on them stays on and says so.

use super::lock::Panicking;
use super::paging::Caching;
use super::{acpi, cpu, ipi, window};
use arrayvec::ArrayVec;
use core::ptr::NonNull;
use logic::acpi::Address;
use logic::acpi::power::{self, Attempt, Plan};
use spin::Once;
use x86_64::instructions::interrupts;
use x86_64::instructions::port::Port;
use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;
use x86_64::{PhysAddr, VirtAddr};

/// The keyboard controller's status and command port (8042).
const KEYBOARD_COMMAND: u16 = 0x64;
const INPUT_BUFFER_FULL: u8 = 0b10;
const PULSE_RESET_LINE: u8 = 0xfe;

/// PCI configuration mechanism 1.
const PCI_ADDRESS: u16 = 0xcf8;
const PCI_DATA: u16 = 0xcfc;

/// A port for POST codes: reading it takes about 1 µs on hardware, less in an emulator, and does nothing else.
const DELAY_PORT: u16 = 0x80;

/// Reads of [`DELAY_PORT`] after which an attempt has failed: half a second on hardware.
const PATIENCE: u32 = 500_000;

/// QEMU's device `isa-debug-exit` at this port ends QEMU; without it, nobody is there.
#[cfg(feature = "selftest")]
const EXIT_PORT: u16 = 0xf4;

/// Registers in memory that any plan can name: two to sleep, two of a machine with reduced hardware, one to reset, and room.
const MAX_REGISTERS: usize = 8;
/// The largest has so many bytes.
const REGISTER_BYTES: u64 = 2;
static REGISTERS: Once<ArrayVec<(u64, VirtAddr), MAX_REGISTERS>> = Once::new();

/// The target of log records that tell of an end that somebody wants.
pub const END_TARGET: &str = "end";

/// What a kernel that tests itself ends in. QEMU's exit code is twice the number, plus 1.
#[cfg(feature = "selftest")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All tests passed: exit code 33.
    Passed = 0x10,
    /// A test failed or hung: 35.
    Failed = 0x11,
    /// The kernel panicked: 37.
    Panicked = 0x12,
}

/// Ends the emulator with an exit code if it has the device for it. Comes back if not.
#[cfg(feature = "selftest")]
pub fn leave_emulator(exit: Exit) {
    write_u32(EXIT_PORT, exit as u32);
}

/// Switches the machine off. If that cannot be done, asks for it.
pub fn power_off() -> ! {
    interrupts::disable();
    log::info!(target: END_TARGET, "switching off");
    carry_out(&power::power_off(acpi::platform()), true);
    log::warn!("it is now safe to switch off the machine");
    stand_still()
}

/// Resets the machine.
pub fn reboot() -> ! {
    interrupts::disable();
    log::info!(target: END_TARGET, "rebooting");
    carry_out(&power::reboot(acpi::platform()), true);
    log::warn!("the machine does not reset: please do it");
    stand_still()
}

/// Switches the machine off after a panic, without a word, since the log may be somebody's for ever. Comes back if that cannot be
/// done.
pub fn power_off_in_panic(_: &Panicking) {
    carry_out(&power::power_off(acpi::platform()), false);
}

/// Resets the machine after a panic, as above.
pub fn reboot_in_panic(_: &Panicking) {
    carry_out(&power::reboot(acpi::platform()), false);
}

/// Stops all processors for good: one alone would leave others waiting for its answers.
pub fn stand_still() -> ! {
    interrupts::disable();
    ipi::stop_others();
    cpu::halt()
}

fn carry_out(plan: &Plan, aloud: bool) {
    for attempt in plan {
        if aloud {
            log::info!("trying: {attempt}");
        }
        try_one(*attempt);
        wait_for(|| false);
    }
}

fn try_one(attempt: Attempt) {
    match attempt {
        Attempt::Sleep { a, b, enable } => sleep(a, b, enable),
        Attempt::Register(Address::Port(port), value) => write_u8(port, value),
        Attempt::Register(Address::Memory(address), value) => {
            if let Some(register) = register::<u8>(address) {
                // SAFETY: firmware says that this is the register which resets the machine or puts it to sleep.
                unsafe { register.write_volatile(value) };
            }
        }
        Attempt::PciRegister { device, function, offset, value } => {
            let address = 1 << 31 | u32::from(device) << 11 | u32::from(function) << 8 | u32::from(offset & !0b11);
            write_u32(PCI_ADDRESS, address);
            write_u8(PCI_DATA + u16::from(offset & 0b11), value);
        }
        Attempt::Word(port, value) => write_u16(port, value),
        Attempt::Bytes(port, bytes) => bytes.iter().for_each(|byte| write_u8(port, *byte)),
        Attempt::KeyboardController => {
            wait_for(|| read_u8(KEYBOARD_COMMAND) & INPUT_BUFFER_FULL == 0);
            write_u8(KEYBOARD_COMMAND, PULSE_RESET_LINE);
        }
        Attempt::TripleFault => triple_fault(),
    }
}

/// ACPI 6.5 section 16.1.5: the sleep types first, then the enable bits, so that both halves fall asleep at once.
fn sleep(a: (Address, u8), b: Option<(Address, u8)>, enable: Option<(u16, u8)>) {
    let is_enabled = || read_control(a.0).is_some_and(|control| control & power::SCI_ENABLE != 0);
    if let Some((port, value)) = enable.filter(|_| !is_enabled()) {
        write_u8(port, value);
        if !wait_for(is_enabled) {
            log::warn!("firmware does not hand over ACPI");
        }
    }
    for extra in [0, power::SLEEP_ENABLE] {
        for (control, sleep_type) in [Some(a), b].into_iter().flatten() {
            if let Some(current) = read_control(control) {
                write_control(control, power::with_sleep_type(current, sleep_type) | extra);
            }
        }
    }
}

/// Raises an exception while there is no table of handlers.
fn triple_fault() {
    let nothing = DescriptorTablePointer { limit: 0, base: VirtAddr::zero() };
    // SAFETY: no exception can be handled from here on, which is the purpose: the next one shuts the processor down.
    unsafe { lidt(&nothing) };
    interrupts::int3();
}

/// Waits until `done`, for a bounded time; whether it came.
fn wait_for(done: impl Fn() -> bool) -> bool {
    (0..PATIENCE).any(|_| {
        read_u8(DELAY_PORT);
        done()
    })
}

/// A PM1 control register; `None` if it cannot be reached.
fn read_control(address: Address) -> Option<u16> {
    match address {
        // SAFETY: reading a PM1 control register changes nothing.
        Address::Port(port) => Some(unsafe { Port::new(port).read() }),
        Address::Memory(address) => {
            let register = register::<u16>(address)?;
            // SAFETY: firmware says that this is the register, and `register` that it is mapped and aligned.
            Some(unsafe { register.read_volatile() })
        }
    }
}

fn write_control(address: Address, value: u16) {
    match address {
        Address::Port(port) => write_u16(port, value),
        Address::Memory(address) => {
            let Some(register) = register::<u16>(address) else { return };
            // SAFETY: as in `read_control`; what it does is wanted.
            unsafe { register.write_volatile(value) };
        }
    }
}

/// A register in memory, aligned and mapped by [`init`].
fn register<T>(address: u64) -> Option<NonNull<T>> {
    let (_, start) = REGISTERS.get()?.iter().find(|(mapped, _)| *mapped == address)?;
    NonNull::new(start.as_mut_ptr()).filter(|register| register.is_aligned())
}

/// Maps the registers in memory that switch the machine off or reset it, so that a panic can do that too: it must take no lock.
pub fn init() {
    REGISTERS.call_once(|| {
        let platform = acpi::platform();
        let mut registers = ArrayVec::<_, MAX_REGISTERS>::new();
        for attempt in power::power_off(platform).iter().chain(&power::reboot(platform)) {
            let addresses = match *attempt {
                Attempt::Sleep { a, b, .. } => [Some(a.0), b.map(|(address, _)| address)],
                Attempt::Register(address, _) => [Some(address), None],
                _ => [None, None],
            };
            for address in addresses.into_iter().flatten() {
                let Address::Memory(address) = address else { continue };
                let mapped = PhysAddr::try_new(address).ok();
                let mapped = mapped.and_then(|start| window::map(start, REGISTER_BYTES, Caching::Uncached));
                if let Some(start) = mapped {
                    // What has no room is not tried.
                    let _ = registers.try_push((address, start));
                }
            }
        }
        registers
    });
}

fn read_u8(port: u16) -> u8 {
    // SAFETY: only ports are read here whose reading has no effect on memory.
    unsafe { Port::new(port).read() }
}

fn write_u8(port: u16, value: u8) {
    // SAFETY: the port ends the machine, or nobody is there; nothing of the kernel runs on.
    unsafe { Port::new(port).write(value) }
}

fn write_u16(port: u16, value: u16) {
    // SAFETY: as in `write_u8`.
    unsafe { Port::new(port).write(value) }
}

fn write_u32(port: u16, value: u32) {
    // SAFETY: as in `write_u8`.
    unsafe { Port::new(port).write(value) }
}
