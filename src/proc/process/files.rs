//! What a task knows of files: its descriptors, and where it is in the tree of names.

use super::Task;
use alloc::sync::Arc;
use logic::errno::Errno;
use logic::fs::credentials::Credentials;
use logic::fs::descriptors::{Descriptor, DescriptorTable};
use logic::fs::mount::Mount;
use logic::fs::open_file::OpenFile;
use logic::fs::place::Place;
use logic::fs::walk::Caller;
use logic::process::Resource;
use logic::sync::{IrqLock, Rank};

/// The descriptors that tasks share.
pub struct FileTable(IrqLock<DescriptorTable>);

impl Default for FileTable {
    fn default() -> Self {
        Self(IrqLock::new(Rank::FileTable, DescriptorTable::default()))
    }
}

impl FileTable {
    /// A copy: fork(2).
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn copy(&self) -> Result<Arc<Self>, Errno> {
        let copy = self.0.lock().copy()?;
        Ok(Arc::new(Self(IrqLock::new(Rank::FileTable, copy))))
    }

    /// The open file of a descriptor.
    ///
    /// # Errors
    /// [`Errno::EBADF`].
    pub fn get(&self, number: i32) -> Result<Arc<OpenFile>, Errno> {
        let number = u32::try_from(number).map_err(|_| Errno::EBADF)?;
        self.0.lock().get(number).map(|descriptor| descriptor.open.clone())
    }

    /// Calls `edit` with the table. What that drops must not be files.
    pub fn edit<T>(&self, edit: impl FnOnce(&mut DescriptorTable) -> T) -> T {
        edit(&mut self.0.lock())
    }
}

/// Where tasks are in the tree of names.
pub struct FsContext(IrqLock<Names>);

#[derive(Clone)]
struct Names {
    root: Place,
    directory: Place,
    umask: u16,
}

impl FsContext {
    /// At the root of `mount`.
    pub fn at(mount: &Arc<Mount>) -> Arc<Self> {
        let root = mount.root();
        let names = Names { directory: root.clone(), root, umask: 0o022 };
        Arc::new(Self(IrqLock::new(Rank::Process, names)))
    }

    /// A copy: fork(2).
    pub fn copy(&self) -> Arc<Self> {
        let names = self.0.lock().clone();
        Arc::new(Self(IrqLock::new(Rank::Process, names)))
    }

    /// The root.
    pub fn root(&self) -> Place {
        self.0.lock().root.clone()
    }

    /// The working directory.
    pub fn directory(&self) -> Place {
        self.0.lock().directory.clone()
    }

    /// Changes the root: chroot(2).
    pub fn set_root(&self, root: Place) {
        let previous = core::mem::replace(&mut self.0.lock().root, root);
        drop(previous);
    }

    /// Changes the working directory: chdir(2).
    pub fn set_directory(&self, directory: Place) {
        let previous = core::mem::replace(&mut self.0.lock().directory, directory);
        drop(previous);
    }

    /// Changes the umask; answers what it was.
    pub fn set_umask(&self, umask: u16) -> u16 {
        core::mem::replace(&mut self.0.lock().umask, umask & 0o777)
    }

    /// Permissions that new files do not get.
    pub fn umask(&self) -> u16 {
        self.0.lock().umask
    }
}

/// Who walks a path, and from where, for as long as that takes.
pub struct Walker {
    root: Place,
    start: Place,
    credentials: Credentials,
    umask: u16,
}

impl Walker {
    /// For logic.
    pub fn caller(&self) -> Caller<'_> {
        Caller { root: &self.root, start: &self.start, credentials: &self.credentials, umask: self.umask }
    }
}

impl Task {
    /// Who walks a path that begins at `start`, or else at the working directory.
    ///
    /// # Errors
    /// [`Errno::ESRCH`] if the task has ended.
    pub fn walker(&self, start: Option<Place>) -> Result<Walker, Errno> {
        self.walker_as(start, false)
    }

    /// The same, with the real user's rights where access(2) wants these.
    ///
    /// # Errors
    /// As of [`Task::walker`].
    pub fn walker_as(&self, start: Option<Place>, real: bool) -> Result<Walker, Errno> {
        let context = self.context()?;
        let credentials = self.credentials();
        let (user, group) = match real {
            true => (credentials.users.real, credentials.groups.real),
            false => (credentials.users.file_system, credentials.groups.file_system),
        };
        let groups = Arc::from(credentials.supplementary());
        let names = context.0.lock().clone();
        Ok(Walker {
            root: names.root,
            start: start.unwrap_or(names.directory),
            credentials: Credentials { user, group, groups },
            umask: names.umask,
        })
    }

    /// Descriptors that it may have.
    pub fn descriptor_limit(&self) -> u32 {
        u32::try_from(self.process.limit(Resource::Descriptors)).unwrap_or(u32::MAX)
    }

    /// Gives an open file the lowest free descriptor.
    ///
    /// # Errors
    /// [`Errno::EMFILE`], [`Errno::ENOMEM`].
    pub fn add_descriptor(&self, file: Arc<OpenFile>, close_on_exec: bool) -> Result<u64, Errno> {
        let limit = self.descriptor_limit();
        let kept = file.clone();
        let number = self.files().edit(|table| table.insert(Descriptor { open: file, close_on_exec }, 0, limit));
        // Refused, the file is dropped here and not with the table locked.
        drop(kept);
        number.map(u64::from)
    }
}
