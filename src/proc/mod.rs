//! Threads: what runs, what waits, and how they take turns.

mod cpus;
pub mod mutex;
pub mod scheduler;
pub mod thread;
pub mod timer;
pub mod wait;

pub use thread::{Priority, spawn};
pub use wait::{sleep, wait_until};
#[cfg(feature = "selftest")]
pub use {mutex::Mutex, thread::JoinHandle, wait::Outcome};
