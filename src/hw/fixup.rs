//! Instructions that may fault: a table of where to go on when one of them does.
//!
//! Such an instruction stands in an `asm!` block that also puts an entry into section `.fixup`: its address and its landing's.
//! When it faults, the landing runs with the vector in RAX, the error code in RDX and the address of a page fault in RCX.

use core::slice;

/// One entry of the table.
#[repr(C)]
struct Fixup {
    /// Address of the instruction that may fault.
    instruction: u64,
    /// Where to go on.
    landing: u64,
}

/// An exception that a fix-up caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Number of the exception.
    pub vector: u64,
    /// The error code that the processor gave, or 0.
    pub error_code: u64,
    /// For a page fault, the address that was touched.
    pub address: u64,
}

unsafe extern "C" {
    // Of linker.ld: the table's bounds.
    static __fixup_start: Fixup;
    static __fixup_end: Fixup;
}

/// Where to go on after a fault of the instruction at `rip`. `None` if it was not expected to fault.
pub(super) fn landing(rip: u64) -> Option<u64> {
    let (start, end) = (&raw const __fixup_start, &raw const __fixup_end);
    let length = (end.addr() - start.addr()) / size_of::<Fixup>();
    // SAFETY: the linker put whole entries between the two symbols, and nothing writes to them.
    let table = unsafe { slice::from_raw_parts(start, length) };
    table.iter().find(|entry| entry.instruction == rip).map(|entry| entry.landing)
}

/// Wraps one instruction that may fault: `attempt!("mov {0}, [{1}]", operands…)` answers `Result<(), Fault>`.
macro_rules! attempt {
    ($instruction:literal $(, $($operand:tt)*)?) => {{
        let (caught, vector, error_code, address): (u64, u64, u64, u64);
        // SAFETY: the caller of the macro vouches for the instruction; a fault of it goes on at label 3, where the registers
        // named below hold what `hw::fixup` says.
        unsafe {
            core::arch::asm!(
                concat!("2: ", $instruction),
                "xor r8d, r8d",
                "jmp 4f",
                "3: mov r8d, 1",
                "4:",
                ".pushsection .fixup, \"a\"",
                ".quad 2b, 3b",
                ".popsection",
                $($($operand)*,)?
                out("r8") caught,
                out("rax") vector,
                out("rdx") error_code,
                out("rcx") address,
            )
        };
        if caught == 0 { Ok(()) } else { Err($crate::hw::fixup::Fault { vector, error_code, address }) }
    }};
}
pub(super) use attempt;
