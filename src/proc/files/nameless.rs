//! Files in memory without a name: memfd_create(2).
//!
//! They are in a file system of their own that nobody can mount. None can be sealed: each is as if `F_SEAL_SEAL` had been added.

use super::{NAMELESS_DEVICE, memory_file_system};
use crate::proc::process::Task;
use alloc::sync::Arc;
use logic::errno::Errno;
use logic::fs::credentials::{Access, Ownership};
use logic::fs::dentry::Dentry;
use logic::fs::mount::{Mount, MountFlags};
use logic::fs::open_file::{OpenFile, StatusFlags};
use logic::fs::place::Place;
use spin::Once;

/// Makes one, open for everything. /proc/PID/fd shows it by `name`.
///
/// # Errors
/// [`Errno::ENOSPC`], [`Errno::ENOMEM`].
pub fn make(task: &Task, name: &[u8], permissions: u16) -> Result<Arc<OpenFile>, Errno> {
    static MOUNT: Once<Arc<Mount>> = Once::new();
    let mount = MOUNT
        .call_once(|| Mount::first(memory_file_system("tmpfs", NAMELESS_DEVICE, 0o700, None), MountFlags::empty()));
    let credentials = task.credentials();
    let owner = Ownership { user: credentials.users.file_system, group: credentials.groups.file_system, permissions };
    let root = mount.root();
    let inode = root.inode().create_unnamed(owner, false)?;
    let file = inode.clone().open()?;
    let dentry = Dentry::unnamed(inode, &root.dentry, name);
    let place = Place { mount: mount.clone(), dentry };
    Ok(OpenFile::new(file, place, Access::READ | Access::WRITE, StatusFlags::LARGEFILE))
}

/// Whether an open file is one of these.
pub fn is_nameless(open: &OpenFile) -> bool {
    open.place().inode().identity().device == NAMELESS_DEVICE
}
