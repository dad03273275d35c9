//! What a page fault was, in words: its error code and address, read as SDM volume 3 section 5.7 has them.

use core::fmt;

/// The page that the null pointer, and small offsets from it, point to. It is never mapped.
const NULL_PAGE: u64 = 4096;
/// The first address of the upper half, which is the kernel's.
const UPPER_HALF: u64 = 1 << 63;

/// Bits of the error code.
const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const BY_PROGRAM: u64 = 1 << 2;
const RESERVED: u64 = 1 << 3;
const FETCH: u64 = 1 << 4;
const PROTECTION_KEY: u64 = 1 << 5;
const SHADOW_STACK: u64 = 1 << 6;

/// A page fault as the processor reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// The address that was accessed: CR2.
    pub address: u64,
    /// The error code that was pushed.
    pub error_code: u64,
}

impl PageFault {
    fn has(self, bits: u64) -> bool {
        self.error_code & bits != 0
    }

    fn access(self) -> &'static str {
        if self.has(FETCH) {
            "executed"
        } else if self.has(WRITE) {
            "wrote to"
        } else {
            "read"
        }
    }

    /// Why the access was refused. A kernel's page can always be read, so that a refused read, or anything refused among the
    /// programs' pages, is for SMAP or SMEP.
    fn reason(self) -> &'static str {
        let is_kernels = !self.has(BY_PROGRAM);
        if self.has(RESERVED) {
            "whose page-table entry has reserved bits set"
        } else if !self.has(PRESENT) {
            "where nothing is mapped"
        } else if self.has(PROTECTION_KEY) {
            "which its protection key forbids"
        } else if self.has(SHADOW_STACK) {
            "as a shadow stack"
        } else if is_kernels && self.address < UPPER_HALF {
            "which is a program's"
        } else if !is_kernels && self.address >= UPPER_HALF {
            "which is the kernel's"
        } else if self.has(FETCH) {
            "which is not executable"
        } else if self.has(WRITE) {
            "which is read-only"
        } else {
            "which is protected"
        }
    }
}

impl fmt::Display for PageFault {
    /// One clause, such as `wrote to 0x1234, where nothing is mapped`.
    fn fmt(&self, output: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = if self.has(BY_PROGRAM) { "a program " } else { "" };
        write!(output, "{by}{} {:#x}, {}", self.access(), self.address, self.reason())?;
        if self.address < NULL_PAGE { output.write_str(" (a null pointer)") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNELS: u64 = 0xffff_ffff_8010_0000;

    fn words(address: u64, error_code: u64) -> String {
        PageFault { address, error_code }.to_string()
    }

    #[test]
    fn the_kernels_faults_are_told_by_access_and_reason() {
        assert_eq!(words(KERNELS, 0), "read 0xffffffff80100000, where nothing is mapped");
        assert_eq!(words(KERNELS, WRITE), "wrote to 0xffffffff80100000, where nothing is mapped");
        assert_eq!(words(KERNELS, FETCH), "executed 0xffffffff80100000, where nothing is mapped");
        assert_eq!(words(KERNELS, PRESENT), "read 0xffffffff80100000, which is protected");
        assert_eq!(words(KERNELS, PRESENT | WRITE), "wrote to 0xffffffff80100000, which is read-only");
        assert_eq!(words(KERNELS, PRESENT | FETCH), "executed 0xffffffff80100000, which is not executable");
    }

    #[test]
    fn what_smap_and_smep_forbid_is_told_as_a_programs() {
        assert_eq!(words(0x40_0000, PRESENT), "read 0x400000, which is a program's");
        assert_eq!(words(0x40_0000, PRESENT | WRITE), "wrote to 0x400000, which is a program's");
        assert_eq!(words(0x40_0000, PRESENT | FETCH), "executed 0x400000, which is a program's");
    }

    #[test]
    fn programs_are_named_as_such() {
        assert_eq!(words(0x40_0000, BY_PROGRAM), "a program read 0x400000, where nothing is mapped");
        assert_eq!(words(0x40_0000, BY_PROGRAM | PRESENT | WRITE), "a program wrote to 0x400000, which is read-only");
        assert_eq!(words(KERNELS, BY_PROGRAM | PRESENT), "a program read 0xffffffff80100000, which is the kernel's");
    }

    #[test]
    fn null_pointers_and_rarer_reasons_are_told() {
        assert_eq!(words(8, 0), "read 0x8, where nothing is mapped (a null pointer)");
        assert_eq!(words(4096, 0), "read 0x1000, where nothing is mapped");
        for (bits, reason) in [
            (PRESENT | RESERVED, "whose page-table entry has reserved bits set"),
            (PRESENT | PROTECTION_KEY, "which its protection key forbids"),
            (PRESENT | SHADOW_STACK, "as a shadow stack"),
        ] {
            assert_eq!(words(KERNELS, bits), format!("read 0xffffffff80100000, {reason}"));
        }
    }
}
