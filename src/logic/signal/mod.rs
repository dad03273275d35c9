//! Signals without a machine: signal(7).
//!
//! ```text
//!   sender ─ SignalInfo ─▶ Actions::discards? ─▶ Pending, of a thread or of its whole process
//!                                                   │
//!   on the way back to the program:  take_next ─────┘
//!        │
//!        ▼
//!   decide ─▶ Delivery: Terminate, Stop, Continue, Ignore, or Handler ─▶ frame::build ─▶ the program's stack
//!                                                                                             │
//!                                            rt_sigreturn(2): frame::restore ◀────────────────┘
//! ```
//!
//! A process has [`Actions`] and a [`Pending`] set that its threads share; each thread has a mask, a [`Pending`] set
//! and an
//! [`AlternateStack`] of its own. Who sends and who has which thread is the process tree's business.

pub mod action;
pub mod alternate_stack;
pub mod deliver;
pub mod fpu;
pub mod frame;
pub mod info;
pub mod number;
pub mod pending;
pub mod restart;
pub mod set;

pub use action::{Action, ActionFlags, Actions, Disposition};
pub use alternate_stack::AlternateStack;
pub use deliver::{Call, Delivery, Situation, decide, force, take_next};
pub use info::{Detail, SignalInfo};
pub use number::{DefaultAction, Signal};
pub use pending::{Added, Pending, Taken};
pub use restart::{Restart, Resume};
pub use set::SignalSet;

#[cfg(test)]
mod frame_tests;
#[cfg(test)]
mod tests;
