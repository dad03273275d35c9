//! The machine: the kernel's only room for `unsafe`. What it hands out is safe to use.

#![allow(unsafe_code, reason = "this is the room for it; tests/house.rs has the list")]

pub mod apic;
pub mod acpi;
pub mod boot;
pub mod cpu;
mod gdt;
mod ioapic;
pub mod irq;
pub mod lock;
pub mod mmio;
mod pic;
pub mod pit;
pub mod port;
pub mod power;
pub mod provoke;
pub mod trap;
pub mod video;
mod window;

use x86_64::{PhysAddr, VirtAddr};

/// Where the first 4 GiB of physical memory are mapped: not executable, and writable but for the kernel's code and
/// constants (`asm/entry.asm`).
const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;

/// Where the kernel image is mapped: physical 0 and up.
const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;

/// What the direct map covers.
const DIRECT_MAP_SIZE: u64 = 1 << 32;

/// The direct map's address of physical address `address`; `None` if it does not reach so far.
fn direct(address: PhysAddr) -> Option<VirtAddr> {
    (address.as_u64() < DIRECT_MAP_SIZE).then(|| VirtAddr::new(DIRECT_MAP + address.as_u64()))
}
