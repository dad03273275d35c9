//! Threads: what runs, what waits, and how they take turns.

mod cpus;
pub mod files;
pub mod futex;
pub mod host;
pub mod load;
pub mod mutex;
pub mod process;
pub mod random;
pub mod scheduler;
pub mod space;
pub mod thread;
pub mod timer;
pub mod vdso;
pub mod wait;

pub use thread::{Priority, spawn};
pub use wait::{sleep, wait_until};
#[cfg(feature = "selftest")]
pub use {mutex::Mutex, thread::JoinHandle, wait::Outcome};
