//! What threads and processors share safely: locks with ranks, parking, wait queues, bytes on their way.
//!
//! Spinning locks are for short work and always hold interrupts off; long waits park the thread.

#![allow(unsafe_code, reason = "intrusive lists, and locks taken over by a panic; tests/house.rs has the list")]

pub mod byte_ring;
pub mod interrupts;
pub mod lock;
pub mod park;
pub mod rank;
#[cfg(test)]
mod tests;
pub mod turn;
pub mod wait_queue;

// `tests/interleavings.rs` puts loom's atomics in their place.
use core::sync::atomic;

pub use byte_ring::ByteRing;
pub use lock::{IrqGuard, IrqLock, PairGuard, lock_pair};
pub use park::{AfterSwitch, ParkToken, Wakeup};
pub use rank::{HeldRanks, Rank, install_rank_hook};
pub use turn::Turn;
pub use wait_queue::{WaitQueue, Waiter};
