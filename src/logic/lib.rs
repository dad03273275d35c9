//! Everything in Eres that can be wrong without a machine: pure, safe, and tested on the host.

#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod acpi;
pub mod backtrace;
pub mod boot;
pub mod bus;
pub mod cpu_features;
pub mod display;
pub mod errno;
pub mod exec;
pub mod fs;
pub mod ipc;
pub mod irq;
pub mod kernel_log;
pub mod last_log;
pub mod log_code;
pub mod log_ring;
pub mod machine_check;
pub mod mem;
pub mod monitor;
pub mod page_fault;
pub mod process;
pub mod procfs;
pub mod ps2;
pub mod random;
pub mod sched;
pub mod seal;
pub mod signal;
pub mod smbios;
pub mod symbols;
pub mod sync;
pub mod time;
pub mod tty;
