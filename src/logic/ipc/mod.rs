//! What programs talk to each other with, and how they wait for it: pipes, events, sockets of one machine, poll and epoll.
//!
//! All of it is open files ([`crate::fs::File`]): nothing here sleeps, and nothing wakes with a lock held.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used))]

pub mod byte_queue;
pub mod control_message;
pub mod epoll;
pub mod event_counter;
pub mod pipe;
pub mod poll;
pub mod signal_reader;
#[cfg(test)]
pub(crate) mod testing;
pub mod timer;
pub mod unix;

pub use byte_queue::ByteQueue;
pub use epoll::Epoll;
pub use event_counter::EventCounter;
pub use pipe::Pipe;
pub use poll::{PollSet, Watched};
pub use signal_reader::SignalReader;
pub use timer::Timer;
