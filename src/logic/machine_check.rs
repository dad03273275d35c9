//! What a bank of the machine-check architecture reports, in words (SDM volume 3, sections 16.3.2 and 16.9).

use core::fmt;

/// Bits of a bank's status.
const VALID: u64 = 1 << 63;
const OVERFLOWED: u64 = 1 << 62;
const UNCORRECTED: u64 = 1 << 61;
const HAS_ADDRESS: u64 = 1 << 58;

/// Of a compound code: corrected errors are counted elsewhere, which changes nothing here.
const FILTERED: u16 = 1 << 12;

/// One bank's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Number of the bank.
    pub bank: u8,
    /// IA32_MCi_STATUS.
    pub status: u64,
    /// IA32_MCi_ADDR, which means something if [`Report::has_address`].
    pub address: u64,
}

impl Report {
    /// Whether there is an error at all.
    pub fn is_valid(self) -> bool {
        self.status & VALID != 0
    }

    /// Whether the hardware could not correct it.
    pub fn is_uncorrected(self) -> bool {
        self.status & UNCORRECTED != 0
    }

    /// Whether the hardware knows an address that it has to do with.
    pub fn has_address(self) -> bool {
        self.status & HAS_ADDRESS != 0
    }

    /// Where the error was. Compound codes are told by their highest set bit (table 16-9), simple ones by number (table 16-8).
    fn place(self) -> &'static str {
        // The code is the status's low half-word.
        match (self.status & 0xffff) as u16 & !FILTERED {
            0 => "unknown",
            2 => "microcode",
            3 => "external",
            4 => "redundancy",
            5 => "internal parity",
            0x400 => "internal timer",
            0x0c..=0x0f => "cache hierarchy",
            0x10..=0x1f => "TLB",
            0x80..=0xff => "memory controller",
            0x100..=0x1ff => "cache",
            0x800..=0xfff => "bus or interconnect",
            _ => "internal",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, output: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_uncorrected() { "uncorrected" } else { "corrected" };
        write!(output, "{kind} {} error", self.place())?;
        if self.has_address() {
            write!(output, " at {:#x}", self.address)?;
        }
        let more = if self.status & OVERFLOWED != 0 { ", and others" } else { "" };
        write!(output, " (bank {}, status {:016x}){more}", self.bank, self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(status: u64) -> String {
        Report { bank: 4, status, address: 0xf00 }.to_string()
    }

    #[test]
    fn an_uncorrected_error_is_told_with_place_and_address() {
        let status = VALID | UNCORRECTED | HAS_ADDRESS | 0x9f;
        assert_eq!(words(status), "uncorrected memory controller error at 0xf00 (bank 4, status a40000000000009f)");
        assert!(words(status | OVERFLOWED).ends_with(", and others"));
    }

    #[test]
    fn a_corrected_error_without_an_address_is_told_so() {
        assert_eq!(words(VALID | 0x134), "corrected cache error (bank 4, status 8000000000000134)");
    }

    #[test]
    fn every_kind_of_code_has_its_place() {
        for (code, place) in [
            (0, "unknown"),
            (5, "internal parity"),
            (0x400, "internal timer"),
            (0x0e, "cache hierarchy"),
            (0x17, "TLB"),
            (0x1017, "TLB"),
            (0x80, "memory controller"),
            (0x0e0b, "bus or interconnect"),
            (0x401, "internal"),
        ] {
            assert_eq!(Report { bank: 0, status: code, address: 0 }.place(), place, "{code:#x}");
        }
    }

    #[test]
    fn a_bank_without_the_valid_bit_reports_nothing() {
        assert!(!Report { bank: 0, status: UNCORRECTED, address: 0 }.is_valid());
        assert!(Report { bank: 0, status: VALID, address: 0 }.is_valid());
    }
}
