//! Boot information: turns what a Multiboot2 loader, or PVH, left in memory, which nobody has vouched for, into an owned [`BootInfo`].
//!
//! Nothing after [`parse`] or [`pvh::parse`] looks at loader memory. Malformed tags that the kernel can do without are counted and left out;
//! what it cannot do without (a memory map with something usable in it) is a [`BootError`].

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

pub mod command_line;
mod info;
pub mod memory_map;
pub mod pvh;
pub mod tags;
#[cfg(test)]
mod tests;

pub use command_line::CommandLine;
pub use info::{BootError, BootInfo, Firmware, Module, Rsdp, display_alone, parse};
pub use memory_map::{MemoryKind, MemoryMap, Region};
