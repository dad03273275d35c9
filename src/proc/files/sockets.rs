//! The sockets of this machine.

use super::locks;
use crate::proc::process::Task;
use alloc::sync::Arc;
use logic::fs::open_file::OpenFile;
use logic::ipc::unix::{Domain, Passed};
use spin::Once;

/// What all sockets share.
pub fn domain() -> &'static Arc<Domain> {
    static DOMAIN: Once<Arc<Domain>> = Once::new();
    DOMAIN.call_once(Domain::new)
}

/// A descriptor of `open` was closed by `task`.
pub fn closed(task: &Task, open: Arc<OpenFile>) {
    locks::release_locks(task, &open);
    let is_socket = open.socket().is_some();
    drop(open);
    if is_socket {
        // It may have been the last that could reach what waits in sockets.
        domain().free_lost();
    }
}
