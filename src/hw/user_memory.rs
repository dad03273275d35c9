//! Copies between the kernel and the memory of the program whose address space is in use. Each stops at the first byte that is
//! not mapped for it, says where, and leaves what follows to the caller: what is missing may be brought and the rest copied then.

use super::fixup::attempt;
use super::user::END;
use core::arch::asm;
use x86_64::registers::control::{Cr4, Cr4Flags};

/// A byte of a program that cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmapped {
    /// Bytes that were copied.
    pub copied: usize,
    /// Where the next would have been.
    pub address: u64,
}

/// Copies from the program at `source`.
///
/// # Errors
/// [`Unmapped`].
pub fn read(source: u64, bytes: &mut [u8]) -> Result<(), Unmapped> {
    check(source, bytes.len())?;
    // SAFETY: the target is the caller's, the source is a program's, which may fault and no more.
    unsafe { copy(bytes.as_mut_ptr(), source as *const u8, bytes.len()) }.map_err(|copied| failed(source, copied))
}

/// Copies to the program at `target`.
///
/// # Errors
/// [`Unmapped`].
pub fn write(target: u64, bytes: &[u8]) -> Result<(), Unmapped> {
    check(target, bytes.len())?;
    // SAFETY: the target is a program's, which the kernel has no reference to and which may fault and no more.
    unsafe { copy(target as *mut u8, bytes.as_ptr(), bytes.len()) }.map_err(|copied| failed(target, copied))
}

/// Reads the aligned word at `address` in one piece.
///
/// # Errors
/// [`Unmapped`].
pub fn load_u32(address: u64) -> Result<u32, Unmapped> {
    check(address, 4)?;
    let _open = Open::new();
    let value: u64;
    let outcome = attempt!("mov r9d, [r9]", inout("r9") address => value);
    // The upper half is 0: the move was one of 32 bits.
    outcome.map(|()| value as u32).map_err(|_| failed(address, 0))
}

/// Puts `new` in the place of `current` at `address` if that is there, in one step; answers what was there.
///
/// # Errors
/// [`Unmapped`].
pub fn compare_exchange_u32(address: u64, current: u32, new: u32) -> Result<u32, Unmapped> {
    check(address, 4)?;
    let _open = Open::new();
    let found: u64;
    let outcome = attempt!(
        "mov eax, r10d\n2: lock cmpxchg [r9], r11d\nmov r10d, eax",
        in("r9") address, inout("r10") u64::from(current) => found, in("r11") new
    );
    // The upper half is 0: the last move was one of 32 bits.
    outcome.map(|()| found as u32).map_err(|_| failed(address, 0))
}

/// Whether all of the range is programs'.
fn check(address: u64, length: usize) -> Result<(), Unmapped> {
    match address.checked_add(length as u64) {
        Some(end) if end <= END => Ok(()),
        _ => Err(Unmapped { copied: 0, address }),
    }
}

fn failed(start: u64, copied: usize) -> Unmapped {
    Unmapped { copied, address: start + copied as u64 }
}

/// SMAP is lifted while this lives.
struct Open(bool);

impl Open {
    fn new() -> Self {
        let has_smap = Cr4::read().contains(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION);
        if has_smap {
            // SAFETY: the instruction is there with SMAP, and sets one flag.
            unsafe { asm!("stac", options(nomem, nostack)) };
        }
        Self(has_smap)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0 {
            // SAFETY: the instruction is there with SMAP, and clears one flag.
            unsafe { asm!("clac", options(nomem, nostack)) };
        }
    }
}

/// Copies bytes; after a fault, answers how many there were before it.
///
/// # Safety
/// Either side is the kernel's own or a program's; what is written, nothing refers to.
unsafe fn copy(target: *mut u8, source: *const u8, length: usize) -> Result<(), usize> {
    let _open = Open::new();
    let (mut target_end, mut left) = (target, length);
    // SAFETY: as the caller promises; a fault goes on at label 3 with RCX, RAX and RDX changed as `fixup` says.
    unsafe {
        asm!(
            "2: rep movsb",
            "jmp 4f",
            "3: mov ecx, 1",
            "4:",
            ".pushsection .fixup, \"a\"",
            ".quad 2b, 3b",
            ".popsection",
            inout("rcx") left,
            inout("rdi") target_end,
            inout("rsi") source => _,
            out("rax") _,
            out("rdx") _,
        )
    };
    if left == 0 { Ok(()) } else { Err(target_end.addr() - target.addr()) }
}
