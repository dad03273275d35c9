//! Who runs where, and what happens when: decisions without a machine.
//!
//! Nothing here locks or allocates: every queue belongs behind a lock of its owner's, and its members bring their own links.
//! Times are nanoseconds since boot, from a clock that never goes back.

pub mod balance;
pub mod cpu_set;
pub mod entity;
pub mod run_queue;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
pub mod timer_queue;

pub use balance::Load;
pub use cpu_set::{CpuId, CpuSet, MAX_CPUS};
pub use entity::{Nice, Priority, Schedulable, SchedulingEntity};
pub use run_queue::{Outgoing, Reason, RunQueue};
pub use timer_queue::{Timer, TimerQueue};

/// What the macro `schedulable!` needs wherever it is used.
#[doc(hidden)]
pub mod macro_support {
    pub use alloc::sync::Arc;
    pub use intrusive_collections::{KeyAdapter, RBTreeAtomicLink, intrusive_adapter};
}
