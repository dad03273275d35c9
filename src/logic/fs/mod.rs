//! Files: what programs open, read, write and wait for, and the names that lead there.

pub mod file;

pub use file::{File, Readiness, UserBytes};
