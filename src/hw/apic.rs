//! The local APIC of each processor (SDM volume 3, chapter 11): takes interrupts, sends them to other processors, and has a timer.
//!
//! In memory (xAPIC) or as model-specific registers (x2APIC), the same for all processors. Where there is none, [`id`] still
//! answers, and all else does nothing.

use super::mmio::Registers;
use core::arch::asm;
use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use logic::acpi::Platform;
use logic::irq::local::{ApicErrors, Command, LVT_MASKED, interrupt_command, local_inputs, timer_divide};
use logic::irq::vectors::{ERROR_VECTOR, SPURIOUS_VECTOR, TIMER_VECTOR};
use spin::Once;
use x86_64::PhysAddr;
use x86_64::instructions::interrupts::without_interrupts;
use x86_64::registers::model_specific::Msr;

pub use logic::irq::local::{ApicMode, Destination};

/// Offsets of the registers in memory; table 11-1.
const ID: usize = 0x20;
const VERSION: usize = 0x30;
const TASK_PRIORITY: usize = 0x80;
const END_OF_INTERRUPT: usize = 0xb0;
const SPURIOUS: usize = 0xf0;
const IN_SERVICE: usize = 0x100;
const ERROR_STATUS: usize = 0x280;
const COMMAND: usize = 0x300;
const COMMAND_DESTINATION: usize = 0x310;
const LVT_TIMER: usize = 0x320;
const LVT_PERFORMANCE: usize = 0x340;
const LVT_INPUTS: [usize; 2] = [0x350, 0x360];
const LVT_ERROR: usize = 0x370;
const TIMER_INITIAL: usize = 0x380;
const TIMER_CURRENT: usize = 0x390;
const TIMER_DIVIDE: usize = 0x3e0;

const BYTES: u64 = 4096;

/// Bit 8 of [`SPURIOUS`]: the APIC is on.
const SOFTWARE_ENABLE: u32 = 1 << 8;
/// Bit 12 of [`COMMAND`]: the last one is still on its way.
const DELIVERY_PENDING: u32 = 1 << 12;
/// Bits 17 and 18 of [`LVT_TIMER`].
const TSC_DEADLINE_MODE: u32 = 0b10 << 17;

/// IA32_APIC_BASE (section 11.4.4): the address in bits 12 and up, and two switches.
const BASE: Msr = Msr::new(0x1b);
const BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const BASE_ENABLE: u64 = 1 << 11;
const BASE_X2APIC: u64 = 1 << 10;
const TSC_DEADLINE: Msr = Msr::new(0x6e0);
/// The model-specific register of the register at offset 0; each 16 bytes of offset are one more.
const X2APIC_REGISTERS: u32 = 0x800;

/// Looks at the command register before a command counts as stuck. A look takes 20 ns or more, a delivery a few microseconds.
const PATIENCE: u32 = 100_000;

/// What [`find`] has found. Nothing before that.
static ACCESS: Once<Access> = Once::new();
static ERRORS: AtomicU64 = AtomicU64::new(0);
/// Kinds of errors that were told.
static ERRORS_TOLD: AtomicU32 = AtomicU32::new(0);

enum Access {
    Absent,
    Memory { registers: Registers, address: u64 },
    ModelSpecific,
}

/// Finds this machine's local APICs. Called once, on the first processor.
pub fn find() -> ApicMode {
    ACCESS.call_once(|| {
        let leaf = __cpuid(1);
        let has_apic = leaf.edx & 1 << 9 != 0;
        let base = if has_apic { read_msr(BASE) } else { 0 };
        let on_as_x2apic = base & (BASE_ENABLE | BASE_X2APIC) == BASE_ENABLE | BASE_X2APIC;
        match ApicMode::choose(has_apic, leaf.ecx & 1 << 21 != 0, on_as_x2apic) {
            ApicMode::Absent => Access::Absent,
            ApicMode::X2Apic => Access::ModelSpecific,
            ApicMode::XApic => in_memory(base).unwrap_or_else(|| {
                log::warn!("interrupts: no local APIC answers at {:#x}", base & BASE_ADDRESS);
                Access::Absent
            }),
        }
    });
    mode()
}

/// The registers where IA32_APIC_BASE says; the firmware may have moved them, or switched them off.
fn in_memory(base: u64) -> Option<Access> {
    let address = base & BASE_ADDRESS;
    let registers = Registers::map(PhysAddr::try_new(address).ok()?, BYTES)?;
    write_msr(BASE, base | BASE_ENABLE);
    let version = registers.read_u32(VERSION);
    (version != u32::MAX && version != 0).then_some(Access::Memory { registers, address })
}

/// How the registers are reached.
pub fn mode() -> ApicMode {
    match ACCESS.get() {
        None | Some(Access::Absent) => ApicMode::Absent,
        Some(Access::Memory { .. }) => ApicMode::XApic,
        Some(Access::ModelSpecific) => ApicMode::X2Apic,
    }
}

/// Makes this processor's APIC ready: all vectors are let through, inputs are as the tables say, the timer is off. `has_pic`: the
/// 8259s interrupt this processor.
pub fn init_this_cpu(platform: &Platform, has_pic: bool) {
    switch_on();
    write(SPURIOUS, SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR));
    write(TASK_PRIORITY, 0);
    timer_stop();
    // Bits 16 to 23 of the version: the last entry of the local vector table.
    if read(VERSION) >> 16 & 0xff >= 4 {
        write(LVT_PERFORMANCE, LVT_MASKED);
    }
    for (register, input) in LVT_INPUTS.into_iter().zip(local_inputs(platform, id(), has_pic)) {
        write(register, input);
    }
    write(ERROR_STATUS, 0);
    write(LVT_ERROR, ERROR_VECTOR.into());
    // What the firmware left in service would hold back every interrupt of its priority; there are at most 256.
    for _ in 0..256 {
        if (0..8).all(|word| read(IN_SERVICE + word * 0x10) == 0) {
            break;
        }
        end_of_interrupt();
    }
}

/// All processors use the first one's mode and address. From off to x2APIC there is no way but through xAPIC (section 11.12.5).
fn switch_on() {
    match ACCESS.get() {
        None | Some(Access::Absent) => {}
        Some(Access::Memory { address, .. }) => write_msr(BASE, read_msr(BASE) & !BASE_ADDRESS | address | BASE_ENABLE),
        Some(Access::ModelSpecific) => {
            for switch in [BASE_ENABLE, BASE_X2APIC] {
                let base = read_msr(BASE);
                if base & switch == 0 {
                    write_msr(BASE, base | switch);
                }
            }
        }
    }
}

/// This processor's APIC number.
pub fn id() -> u32 {
    match mode() {
        ApicMode::Absent => __cpuid(1).ebx >> 24,
        ApicMode::XApic => read(ID) >> 24,
        ApicMode::X2Apic => read(ID),
    }
}

/// Tells the APIC that the interrupt in service is done, so that others of its priority may come.
pub fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// Interrupts `destination` with `vector`. `false` if it cannot be named, or the APIC did not get rid of the message.
pub fn send(destination: Destination, vector: u8) -> bool {
    command(destination, Command::Interrupt(vector))
}

/// Interrupts `destination` whatever it does. Answers as [`send`].
pub fn send_nmi(destination: Destination) -> bool {
    command(destination, Command::NonMaskable)
}

/// Resets the processor with APIC number `id`, which then waits for [`send_startup`]. Answers as [`send`].
pub fn send_init(id: u32) -> bool {
    command(Destination::One(id), Command::Init)
}

/// Starts the processor with APIC number `id` in real mode at physical address `page` * 4096. Answers as [`send`].
pub fn send_startup(id: u32, page: u8) -> bool {
    command(Destination::One(id), Command::Startup(page))
}

/// What was written to memory before this is seen by whom it interrupts: writes to registers in memory wait for that, those to
/// model-specific ones do not (section 11.12.3).
fn command(destination: Destination, command: Command) -> bool {
    let Some((low, high)) = interrupt_command(mode(), destination, command) else { return false };
    match ACCESS.get() {
        None | Some(Access::Absent) => false,
        Some(Access::ModelSpecific) => {
            fence();
            write_msr(register_of(COMMAND), u64::from(high) << 32 | u64::from(low));
            true
        }
        // An interrupt between the two halves might send something itself.
        Some(Access::Memory { registers, .. }) => without_interrupts(|| {
            let idle = || (0..PATIENCE).any(|_| registers.read_u32(COMMAND) & DELIVERY_PENDING == 0);
            if !idle() {
                return false;
            }
            registers.write_u32(COMMAND_DESTINATION, high);
            registers.write_u32(COMMAND, low);
            idle()
        }),
    }
}

/// Reads and clears what went wrong. Called for [`ERROR_VECTOR`]; each kind of error is told once.
pub fn take_errors() {
    write(ERROR_STATUS, 0);
    let errors = read(ERROR_STATUS);
    ERRORS.fetch_add(1, Ordering::Relaxed);
    if errors & !ERRORS_TOLD.fetch_or(errors, Ordering::Relaxed) != 0 {
        log::warn!("interrupts: local APIC {}: {}", id(), ApicErrors(errors));
    }
}

/// How many errors all local APICs have reported.
pub fn errors() -> u64 {
    ERRORS.load(Ordering::Relaxed)
}

/// Whether the timer can fire at a value of the time-stamp counter.
pub fn has_tsc_deadline() -> bool {
    mode() != ApicMode::Absent && __cpuid(1).ecx & 1 << 24 != 0
}

/// Makes this processor's timer fire once, when `initial_count` has run out at the timer's clock divided by two to the power of
/// `divide_log2`, at most 7. A count of 0 never fires.
pub fn timer_one_shot(initial_count: u32, divide_log2: u8) {
    write(LVT_TIMER, TIMER_VECTOR.into());
    write(TIMER_DIVIDE, timer_divide(divide_log2));
    write(TIMER_INITIAL, initial_count);
}

/// What is left of the count.
pub fn timer_current() -> u32 {
    read(TIMER_CURRENT)
}

/// Makes this processor's timer fire once, when its time-stamp counter reaches `tsc`, at once if it has. 0 never fires. Only
/// where [`has_tsc_deadline`].
pub fn timer_tsc_deadline(tsc: u64) {
    write(LVT_TIMER, TSC_DEADLINE_MODE | u32::from(TIMER_VECTOR));
    // The mode must have arrived before the deadline (section 11.5.4.1).
    fence();
    write_msr(TSC_DEADLINE, tsc);
}

/// Switches this processor's timer off; leaving the deadline's mode forgets the deadline (section 11.5.4.1). It may still fire
/// once if it had run out.
pub fn timer_stop() {
    write(LVT_TIMER, LVT_MASKED);
    write(TIMER_INITIAL, 0);
}

fn read(register: usize) -> u32 {
    match ACCESS.get() {
        None | Some(Access::Absent) => 0,
        Some(Access::Memory { registers, .. }) => registers.read_u32(register),
        Some(Access::ModelSpecific) => (read_msr(register_of(register)) & 0xffff_ffff) as u32,
    }
}

fn write(register: usize, value: u32) {
    match ACCESS.get() {
        None | Some(Access::Absent) => {}
        Some(Access::Memory { registers, .. }) => registers.write_u32(register, value),
        Some(Access::ModelSpecific) => write_msr(register_of(register), value.into()),
    }
}

fn register_of(offset: usize) -> Msr {
    Msr::new(X2APIC_REGISTERS + (offset >> 4) as u32)
}

fn read_msr(register: Msr) -> u64 {
    // SAFETY: only registers of a local APIC that CPUID has told of are read, which has no effect.
    unsafe { register.read() }
}

fn write_msr(mut register: Msr, value: u64) {
    // SAFETY: only registers of a local APIC that CPUID has told of are written, with values that the manual allows. They reach no
    // memory, and the interrupts they raise find their handlers.
    unsafe { register.write(value) }
}

/// Waits until all before it has happened.
fn fence() {
    // SAFETY: both instructions only wait; every 64-bit CPU has them.
    unsafe { asm!("mfence", "lfence", options(nostack, preserves_flags)) }
}
