//! Things that must end in an exception, tried, and the exception caught. Only kernels that test themselves have this.
//!
//! An exception that the processor reports behind the instruction (a trap) is caught by a label `2:` behind it.

use super::fixup::{Fault, attempt};
use logic::sync::interrupts::InterruptsOff;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{SS, Segment};
use x86_64::instructions::tables::{lgdt, sgdt};
use x86_64::registers::control::{Cr0, Cr0Flags};
use x86_64::structures::DescriptorTablePointer;

/// How an attempt ended.
pub type Attempt = Result<(), Fault>;

/// Entries of the copy of the processor's segment table, the last of them made up.
const DESCRIPTORS: usize = 16;
/// A writable data segment that is not present (SDM volume 3 section 3.4.5).
const ABSENT_DATA: u64 = 0x0000_1200_0000_0000;

unsafe extern "C" {
    // Of linker.ld: the first bytes of code and constants.
    static __text_start: u8;
    static __rodata_start: u8;
}

/// Divides by 0.
pub fn divide_by_zero() -> Attempt {
    attempt!("div {0:e}", in(reg) 0_u32)
}

/// Runs into a breakpoint of the debug registers (SDM volume 3 section 18.2): DR7 enables the one of DR0, an instruction's.
pub fn debug_breakpoint() -> Attempt {
    let _here = InterruptsOff::new();
    let outcome = attempt!(
        "lea r9, [rip + 2f]\nmov dr0, r9\nmov r9d, 0x401\nmov dr7, r9\n2: nop",
        out("r9") _
    );
    // SAFETY: nobody else uses the debug registers; bit 10 is always set.
    unsafe { core::arch::asm!("mov dr7, {0}", in(reg) 0x400_u64, options(nomem, nostack, preserves_flags)) };
    outcome
}

/// INT3.
pub fn breakpoint() -> Attempt {
    attempt!("int3\n2:")
}

/// What INTO would raise, were it there in 64-bit mode.
pub fn overflow() -> Attempt {
    attempt!("int 4\n2:")
}

/// UD2.
pub fn invalid_opcode() -> Attempt {
    attempt!("ud2")
}

/// Uses the floating-point unit while it is switched off.
pub fn floating_point_when_off() -> Attempt {
    let _here = InterruptsOff::new();
    let flags = Cr0::read();
    // SAFETY: the kernel does not use the unit, and what it is set to comes back below.
    unsafe { Cr0::write(flags | Cr0Flags::TASK_SWITCHED) };
    let outcome = attempt!("fnop");
    // SAFETY: this is what was there.
    unsafe { Cr0::write(flags) };
    outcome
}

/// Divides by 0 on the x87 unit, which tells at its next instruction (SDM volume 1 section 8.7).
pub fn floating_point_error() -> Attempt {
    /// The control word after FNINIT, but with division by zero not masked.
    static CONTROL: u16 = 0x037b;
    let _here = InterruptsOff::new();
    let outcome = attempt!("fninit\nfldcw [{0}]\nfld1\nfldz\nfdivp\n2: fwait", in(reg) &raw const CONTROL);
    // SAFETY: the kernel does not use the unit; this forgets the error.
    unsafe { core::arch::asm!("fninit", options(nomem, nostack)) };
    outcome
}

/// Calls an interrupt that has no gate: 15 is reserved.
pub fn call_empty_gate() -> Attempt {
    attempt!("int 15")
}

/// Loads DS with the selector of an entry beyond the segment table.
pub fn load_selector_beyond_table() -> Attempt {
    attempt!("mov ds, {0:e}", in(reg) 0xfff8_u32)
}

/// Loads the task register with the task that is loaded, and so busy. Answers its selector too.
pub fn load_busy_task() -> (Attempt, u16) {
    let selector: u16;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("str {0:x}", out(reg) selector, options(nomem, nostack, preserves_flags)) };
    (attempt!("ltr {0:x}", in(reg) selector), selector)
}

/// Loads the local table with the selector of a data segment. Answers the selector too.
pub fn load_local_table_of_data() -> (Attempt, u16) {
    let selector = SS::get_reg().0;
    (attempt!("lldt {0:x}", in(reg) selector), selector)
}

/// Loads DS with a segment that is not present. Answers its selector too.
pub fn load_absent_segment() -> (Attempt, u16) {
    with_absent_segment(|selector| attempt!("mov ds, {0:e}", in(reg) u32::from(selector)))
}

/// Loads SS with a segment that is not present. Answers its selector too.
pub fn load_absent_stack_segment() -> (Attempt, u16) {
    with_absent_segment(|selector| attempt!("mov ss, {0:e}", in(reg) u32::from(selector)))
}

/// Calls `load` while the processor uses a copy of its segment table that has one more entry.
fn with_absent_segment(load: impl FnOnce(u16) -> Attempt) -> (Attempt, u16) {
    let _here = InterruptsOff::new();
    let table = sgdt();
    let mut copy = [0_u64; DESCRIPTORS];
    let bytes = (usize::from(table.limit) + 1).min(size_of_val(&copy) - size_of::<u64>());
    // SAFETY: the processor's table is that long and never changes; the copy has room for it.
    unsafe { core::ptr::copy_nonoverlapping(table.base.as_ptr::<u8>(), copy.as_mut_ptr().cast(), bytes) };
    copy[DESCRIPTORS - 1] = ABSENT_DATA;
    let pointer =
        DescriptorTablePointer { limit: size_of_val(&copy) as u16 - 1, base: VirtAddr::from_ptr(&raw const copy) };
    // SAFETY: all entries that are in use are as before, and the copy outlives its use; with interrupts off, nothing else
    // runs here meanwhile.
    unsafe { lgdt(&pointer) };
    let selector = (DESCRIPTORS as u16 - 1) * size_of::<u64>() as u16;
    let outcome = load(selector);
    // SAFETY: this is the table that was there.
    unsafe { lgdt(&table) };
    (outcome, selector)
}

/// Reads a byte.
pub fn read(address: u64) -> Attempt {
    attempt!("mov {1:l}, byte ptr [{0}]", in(reg) address, out(reg) _)
}

/// Writes what is there: a byte in one step, so that nothing changes even if others write. Where nothing is mapped, the processor
/// tells of a write; QEMU with one processor tells of a read.
pub fn write(address: u64) -> Attempt {
    attempt!("lock or byte ptr [{0}], 0", in(reg) address)
}

/// Writes at address 0, where nothing is mapped.
pub fn write_null() -> Attempt {
    attempt!("mov byte ptr [0], 0")
}

/// Writes to the kernel's code. Answers the address too.
pub fn write_code() -> (Attempt, u64) {
    let address = (&raw const __text_start).addr() as u64;
    (write(address), address)
}

/// Writes to the kernel's constants. Answers the address too.
pub fn write_constant() -> (Attempt, u64) {
    let address = (&raw const __rodata_start).addr() as u64;
    (write(address), address)
}

/// Jumps to address 0.
pub fn run_null() -> Attempt {
    attempt!(
        "xor r9d, r9d\njmp r9\n.pushsection .fixup, \"a\"\n.quad 0, 3f\n.popsection\n2:",
        out("r9") _
    )
}

/// Runs data. Answers its address too. Where the processor lets it run, it jumps back.
pub fn run_data() -> (Attempt, u64) {
    /// `jmp r9`. Not constant, so that it lies among what is written to.
    static JUMP: core::sync::atomic::AtomicU32 =
        core::sync::atomic::AtomicU32::new(u32::from_le_bytes([0x41, 0xff, 0xe1, 0x90]));
    let outcome = attempt!(
        "lea r9, [rip + 2f]\njmp {0}\n.pushsection .fixup, \"a\"\n.quad {0}, 3f\n.popsection\n2:",
        sym JUMP, out("r9") _
    );
    (outcome, (&raw const JUMP).addr() as u64)
}
