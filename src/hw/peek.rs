//! Looks at memory that may not be there: every read may fault, and is told of then.
//!
//! No lock is taken, so that this serves a panic too, and whatever tables the processor uses are followed, sound or not.
//! Device memory is refused, since reading a register can change it: that is what is not cached as ordinary memory.

use super::fixup::{Fault, attempt};
use super::paging::{self, Caching, Run, Translation};
use super::{cpu, direct};
use core::fmt;
use logic::mem::OutOfFrames;
use logic::mem::page_table::{PageSize, TableMemory, Tables};
use x86_64::registers::control::Cr3;
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{PageTableFlags, PhysFrame};
use x86_64::{PhysAddr, VirtAddr};

/// The bits of a page-table entry that are an address.
const ADDRESS_BITS: u64 = 0x000f_ffff_ffff_f000;

const PAGE: u64 = 4096;

/// Why a byte is not to be had. Holds its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No address has such upper bits (SDM volume 1 section 3.3.7.1).
    NotCanonical(u64),
    /// Nothing is mapped there.
    NotMapped(u64),
    /// A device is.
    Device(u64),
    /// The physical address is no memory.
    NotMemory(u64),
    /// It is mapped, and reading it faults all the same.
    Faulted(u64, Fault),
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCanonical(address) => write!(formatter, "{address:#x} is no address: bits 47 to 63 differ"),
            Self::NotMapped(address) => write!(formatter, "nothing is mapped at {address:#x}"),
            Self::Device(address) => write!(formatter, "{address:#x} is device memory, which reading may change"),
            Self::NotMemory(address) => write!(formatter, "no memory is at physical address {address:#x}"),
            Self::Faulted(address, fault) => {
                write!(formatter, "reading {address:#x} raises exception {}", fault.vector)
            }
        }
    }
}

/// Copies memory from virtual address `address` on into `buffer`; answers how many bytes could be had, at least one.
///
/// # Errors
/// [`Refusal`], of the first byte.
pub fn read(address: u64, buffer: &mut [u8]) -> Result<usize, Refusal> {
    let mut checked_page = None;
    for (count, place) in buffer.iter_mut().enumerate() {
        // Addresses end where 64 bits do.
        let byte = address.checked_add(count as u64).ok_or(Refusal::NotCanonical(address)).and_then(|address| {
            if checked_page != Some(address / PAGE) {
                check(address)?;
                checked_page = Some(address / PAGE);
            }
            read_byte(address).map_err(|fault| Refusal::Faulted(address, fault))
        });
        match byte {
            Ok(byte) => *place = byte,
            Err(refusal) if count == 0 => return Err(refusal),
            Err(_) => return Ok(count),
        }
    }
    Ok(buffer.len())
}

/// The same from physical address `address` on, which must be RAM.
///
/// # Errors
/// [`Refusal`], of the first byte.
pub fn read_physical(address: u64, buffer: &mut [u8]) -> Result<usize, Refusal> {
    let refused = Refusal::NotMemory(address);
    let shown = PhysAddr::try_new(address).ok().filter(|_| paging::installed()).and_then(direct);
    // The direct map shows RAM and nothing else.
    read(shown.ok_or(refused)?.as_u64(), buffer).map_err(|_| refused)
}

/// What `address` is mapped to by the tables that this processor uses.
pub fn translate(address: VirtAddr) -> Option<Translation> {
    tables().translate(&Peeked, address)
}

/// Shows `visit` everything that they map, in rising order from address 0 on.
pub fn walk(visit: impl FnMut(&Run)) {
    tables().walk(&Peeked, visit);
}

fn check(address: u64) -> Result<(), Refusal> {
    let virtual_address = VirtAddr::try_new(address).map_err(|_| Refusal::NotCanonical(address))?;
    match translate(virtual_address) {
        None => Err(Refusal::NotMapped(address)),
        Some(translation) if translation.mapping.caching != Caching::WriteBack => Err(Refusal::Device(address)),
        Some(_) => Ok(()),
    }
}

fn read_byte(address: u64) -> Result<u8, Fault> {
    let byte: u8;
    attempt!("mov {0}, byte ptr [{1}]", out(reg_byte) byte, in(reg) address)?;
    Ok(byte)
}

fn read_word(address: VirtAddr) -> Result<u64, Fault> {
    let word: u64;
    attempt!("mov {0}, qword ptr [{1}]", out(reg) word, in(reg) address.as_u64())?;
    Ok(word)
}

fn tables() -> Tables {
    Tables { root: Cr3::read().0, largest: PageSize::Huge, no_execute: cpu::has_no_execute() }
}

/// Tables to be looked at, sound or not.
struct Peeked;

impl TableMemory for Peeked {
    fn read(&self, table: PhysFrame, index: usize) -> PageTableEntry {
        let mut entry = PageTableEntry::new();
        let place = direct(table.start_address()).map(|start| start + (index as u64 & 0x1ff) * 8);
        // What cannot be read maps nothing.
        if let Some(bits) = place.and_then(|place| read_word(place).ok()) {
            let flags = PageTableFlags::from_bits_retain(bits & !ADDRESS_BITS);
            entry.set_addr(PhysAddr::new(bits & ADDRESS_BITS), flags);
        }
        entry
    }

    fn write(&mut self, _: PhysFrame, _: usize, _: PageTableEntry) {
        unreachable!("who only looks writes nothing")
    }

    fn allocate(&mut self) -> Result<PhysFrame, OutOfFrames> {
        Err(OutOfFrames)
    }

    fn free(&mut self, _: PhysFrame) {
        unreachable!("who only looks frees nothing")
    }
}
