//! Things that no kernel should do, each of which must end in an exception. Only `provoke=` calls them.

use core::arch::asm;
use core::hint::black_box;

/// Executes an instruction that does not exist.
pub fn invalid_opcode() {
    // SAFETY: UD2 does nothing but raise an exception, which does not return.
    unsafe { asm!("ud2", options(noreturn)) }
}

/// Reads at address 0.
pub fn read_null() {
    // SAFETY: nothing is mapped at 0: the read faults, and the fault does not return.
    unsafe { asm!("mov {0}, [{1}]", out(reg) _, in(reg) 0_u64, options(nostack, readonly)) }
}

/// Writes to the kernel's own code.
pub fn write_text() {
    // SAFETY: code is mapped read-only: the write faults. Were it not, it would put back the byte that is there.
    unsafe { asm!("mov al, [{0}]", "mov [{0}], al", in(reg) write_text as fn(), out("al") _, options(nostack)) }
}

/// Calls itself until the stack is full.
pub fn overflow_stack() {
    #[inline(never)]
    fn deeper(depth: u64) -> u64 {
        let frame = black_box([depth; 32]);
        if depth == u64::MAX { 0 } else { deeper(depth + 1) + frame[0] }
    }
    black_box(deeper(0));
}

/// Calls into data.
pub fn run_data() {
    static RETURN: u8 = 0xc3;
    // SAFETY: data is mapped not executable: the call faults. On a CPU without NX, the byte is a RET and it returns.
    unsafe { asm!("call {0}", in(reg) &raw const RETURN) }
}
