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
pub use plan::{Mapping, Plan, Program, Source};
pub use script::Script;

#[cfg(test)]
mod tests;
