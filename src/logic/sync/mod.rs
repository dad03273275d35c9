//! What threads and processors share safely: locks with ranks.
//!
//! Spinning locks are for short work and always hold interrupts off; long waits park the thread.

#![allow(unsafe_code, reason = "taking a lock over after a panic; tests/house.rs has the list")]

pub mod interrupts;
pub mod lock;
pub mod rank;

pub use lock::{IrqGuard, IrqLock, PairGuard, lock_pair};
pub use rank::{HeldRanks, Rank, install_rank_hook};
