//! Processes without a machine: who is whose parent, who waits for whom, who gets which signal, and who may do what.
//!
//! ```text
//!   clone ─▶ Tree::reserve ─▶ Tree::add_process, Tree::add_thread
//!                                  │
//!            groups, sessions, terminals: job control
//!                                  │
//!   exit_thread ─ the last? ─▶ exit_process ─ events ─▶ signals to parents and groups
//!                                  │
//!                          wait ◀──┘ ─▶ the number is free again
//! ```
//!
//! The [`Tree`] belongs behind one lock, the first in the order of all. It answers at once: who has to wait is told so.

pub mod clone;
pub mod credentials;
pub mod futex;
pub mod greed;
pub mod limits;
pub mod nice;
pub mod processor_timer;
pub mod robust;
pub mod status;
pub mod users;

mod describe;
mod exit;
mod groups;
mod pid_table;
mod terminal;
mod tree;
mod wait;

pub use credentials::{Credentials, Identities};
pub use describe::Description;
pub use exit::{Ended, Event};
pub use greed::Preference;
pub use groups::Targets;
pub use limits::{Limit, Limits, Resource};
pub use status::{Status, Usage};
pub use terminal::Terminal;
pub use tree::{Birth, ChildPolicy, DEFAULT_NUMBERS, MOST_NUMBERS, Pid, Tree};
pub use wait::{Report, WaitOptions, Which};

#[cfg(test)]
mod futex_tests;
#[cfg(test)]
mod job_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tree_tests;
