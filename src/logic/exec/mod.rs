//! Loading programs: what execve(2) decides before anything is mapped.
//!
//! ```text
//!   first bytes ── Script::parse ──▶ another program, and its arguments
//!        │
//!   Header::parse ── where the program headers are ──▶ Program::parse ── place ──▶ Plan ──▶ the address space
//!                                                                                   │
//!                                  arguments, environment, credentials ── stack ────┴────▶ the first stack
//! ```
//!
//! Nothing here reads files: it says which bytes it wants to see. Nothing here maps: a [`Plan`] is a list of mappings,
//! which show the file's own pages, so that nothing is copied.

pub mod header;
pub mod plan;
pub mod script;
pub mod stack;

pub use header::Header;
pub use plan::{Mapping, Plan, Program, Protection, Source};
pub use script::Script;

/// The first address that programs cannot have. The page below it stays empty, because SYSRET faults in the kernel if
/// it has to return to a non-canonical address, which a SYSCALL in the last two bytes would need.
pub const USER_END: u64 = (1 << 47) - 4096;

/// The first address that programs can have, so that near null pointers nothing lies: Linux's `vm.mmap_min_addr`.
pub const USER_START: u64 = 65536;

const PAGE: u64 = crate::mem::page::PAGE_BYTES as u64;

/// The start of the page.
const fn page_start(address: u64) -> u64 {
    address & !(PAGE - 1)
}

/// The next start of a page, if there is one.
fn page_end(address: u64) -> Option<u64> {
    address.checked_next_multiple_of(PAGE)
}

#[cfg(test)]
mod tests;
