//! wait4(2) and waitid(2): a parent hears of its children.

use super::{Stop, Task, with_tree};
use alloc::sync::Arc;
use logic::errno::Errno;
use logic::process::{Report, WaitOptions, Which};
use logic::signal::Restart;

/// Waits until there is something to hear of a child; `None` if there is nothing yet and the caller does not wait.
///
/// # Errors
/// [`Errno::ECHILD`]; [`Stop::Interrupted`].
pub fn wait_for_child(task: &Task, which: Which, options: WaitOptions) -> Result<Option<Report<Arc<Task>>>, Stop> {
    let process = &task.process;
    let look = || with_tree(|tree| tree.wait(process.id, which, options)).unwrap_or(Err(Errno::ECHILD));
    let mut found = look();
    if !options.contains(WaitOptions::NO_HANG) && matches!(found, Ok(None)) {
        task.sleep_until(&process.children_changed, None, || {
            found = look();
            !matches!(found, Ok(None))
        });
        if matches!(found, Ok(None)) {
            return Err(Stop::Interrupted(Restart::IfSaRestart));
        }
    }
    Ok(found?)
}
