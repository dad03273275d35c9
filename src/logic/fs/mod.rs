//! Files: what programs open, read, write and wait for, and the names that lead there.
//!
//! ```text
//!   descriptors ── OpenFile ── File          what is open: position, flags; reading, writing, waiting
//!                     │
//!   walk ─────────▶ Place = Mount + Dentry   where it is: names, seen through mounts
//!                             │
//!                           Inode            what it is: a file system's object
//!                             │
//!                         PageCache          its bytes, for read(2), write(2) and mmap(2) alike
//! ```

pub mod abi;
pub mod anonymous;
pub mod attributes;
pub mod copy_range;
pub mod cpio;
pub mod credentials;
#[cfg(test)]
mod crowd;
pub mod dentry;
pub mod descriptors;
pub mod devices;
#[cfg(test)]
pub(crate) mod fake;
pub mod file;
pub mod inode;
pub mod locks;
pub mod mount;
#[cfg(test)]
mod mount_tests;
pub mod name;
pub mod open;
pub mod open_file;
pub mod page_cache;
pub mod place;
pub mod synthetic;
#[cfg(test)]
mod tests;
pub mod tmpfs;
pub mod tree;
pub mod walk;

pub use file::{File, Readiness, UserBytes};
