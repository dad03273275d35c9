//! The machine: the kernel's only room for `unsafe`. What it hands out is safe to use.

#![allow(unsafe_code, reason = "this is the room for it; tests/house.rs has the list")]

pub mod acpi;
pub mod apic;
pub mod areas;
#[cfg(feature = "selftest")]
pub mod attempts;
pub mod backtrace;
pub mod boot;
pub mod clock;
pub mod context;
pub mod cpu;
pub mod dma;
pub mod entropy;
pub mod fixup;
mod fpu;
pub mod frames;
mod gdt;
pub mod heap;
mod hpet;
#[cfg(feature = "selftest")]
pub mod inspect;
mod ioapic;
pub mod ipi;
pub mod irq;
pub mod lock;
mod machine_check;
pub mod mmio;
pub mod paging;
pub mod pci;
pub mod peek;
pub mod percpu;
mod pic;
mod pit;
mod pmtimer;
pub mod port;
pub mod power;
#[cfg(feature = "selftest")]
pub mod program_page;
pub mod provoke;
mod reference;
pub mod retained;
mod rtc;
pub mod shared_clock;
pub mod smbios;
pub mod smp;
pub mod space;
pub mod stacks;
pub mod startup;
pub mod timer;
pub mod trap;
pub mod tsc_sync;
pub mod user;
pub mod user_memory;
pub mod video;
pub mod virtio;
mod window;

use core::ops::Range;
use x86_64::{PhysAddr, VirtAddr};

/// Where RAM is mapped, at its physical address from here on: not executable, and writable but for the kernel's code and
/// constants.
const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;

/// The addresses of the heap, and those of areas: stacks, device memory. They share one entry of the level-4 table.
const HEAP: Range<u64> = 0xffff_c000_0000_0000..0xffff_c020_0000_0000;
const AREAS: Range<u64> = HEAP.end..0xffff_c080_0000_0000;

/// Where the kernel image is mapped: physical 0 and up.
const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;

/// What the early direct map of `asm/entry.asm` covers.
const EARLY_DIRECT_MAP_SIZE: u64 = 1 << 32;

/// The direct map's address of physical address `address`, which must be RAM once the final page tables are in use; `None` if it
/// does not reach so far.
fn direct(address: PhysAddr) -> Option<VirtAddr> {
    let reaches = if paging::installed() {
        address.as_u64() < HEAP.start - DIRECT_MAP
    } else {
        address.as_u64() < EARLY_DIRECT_MAP_SIZE
    };
    reaches.then(|| VirtAddr::new(DIRECT_MAP + address.as_u64()))
}

/// What the kernel uses the part of the address space for that `address` lies in.
pub fn purpose(address: u64) -> &'static str {
    const LOWER_END: u64 = 1 << 47;
    match address {
        0..LOWER_END => "programs' half",
        DIRECT_MAP.. if address < HEAP.start => "direct map of memory",
        _ if HEAP.contains(&address) => "kernel heap",
        _ if AREAS.contains(&address) => "kernel areas (stacks, devices)",
        KERNEL_BASE.. => "kernel image",
        _ => "unused",
    }
}
