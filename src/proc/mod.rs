//! Threads: what runs, what waits, and how they take turns.

mod cpus;
pub mod mutex;
pub mod scheduler;
pub mod thread;
pub mod wait;

pub use mutex::Mutex;
pub use thread::{JoinHandle, Priority, Thread, spawn};
pub use wait::{Deadline, Outcome, sleep, wait_until};
