//! The process or thread that a file of /proc is about.

use crate::proc::process::{Process, Task, current_task, find_task};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use logic::errno::Errno;
use logic::fs::synthetic::Information;
use logic::process::Pid;

/// A process as a whole, or one of its threads.
#[derive(Clone)]
pub struct Subject {
    process: Arc<Process>,
    thread: Option<Arc<Task>>,
}

/// A group of files about a subject: their inodes are numbered each in its own range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What always is there.
    Fixed = 0,
    /// Descriptors.
    Descriptors = 1,
    /// What is to be known of them.
    DescriptorTexts = 2,
}

impl Subject {
    /// The process of this number; the number of a thread means that thread, as if it was one.
    pub fn of_number(pid: Pid) -> Option<Self> {
        let task = find_task(pid)?;
        let thread = (task.process.id != pid).then(|| task.clone());
        Some(Self { process: task.process.clone(), thread })
    }

    /// A thread of the same process.
    pub fn thread(&self, tid: Pid) -> Option<Self> {
        let task = find_task(tid).filter(|task| Arc::ptr_eq(&task.process, &self.process))?;
        Some(Self { process: self.process.clone(), thread: Some(task) })
    }

    /// The process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Whether it is about one thread.
    pub fn is_thread(&self) -> bool {
        self.thread.is_some()
    }

    /// The thread, or the process's first.
    ///
    /// # Errors
    /// [`Errno::ESRCH`] if it is gone; a process is not before its parent has waited for it.
    pub fn task(&self) -> Result<Arc<Task>, Errno> {
        let wanted = self.thread.as_ref().map_or(self.process.id, |task| task.id());
        let found = find_task(wanted).filter(|found| match &self.thread {
            Some(task) => Arc::ptr_eq(found, task),
            None => Arc::ptr_eq(&found.process, &self.process),
        });
        found.ok_or(Errno::ESRCH)
    }

    /// Whether it is the one who asks.
    fn is_own(&self) -> bool {
        current_task().is_some_and(|asker| Arc::ptr_eq(&asker.process, &self.process))
    }

    /// The same as [`Self::task`], for what not everybody may see.
    ///
    /// # Errors
    /// [`Errno::EACCES`] besides, unless whoever asks may look into the process (ptrace(2)).
    pub fn inspected(&self) -> Result<Arc<Task>, Errno> {
        let task = self.task()?;
        let is_allowed = current_task().is_none_or(|asker| {
            let own = asker.credentials();
            let is_allowed = own.is_privileged() || !self.is_private() && own.may_inspect(&task.credentials());
            Arc::ptr_eq(&asker.process, &self.process) || is_allowed
        });
        if is_allowed { Ok(task) } else { Err(Errno::EACCES) }
    }

    fn is_private(&self) -> bool {
        self.process.is_private.load(Ordering::Relaxed)
    }

    /// What a file about it says of itself: it belongs to whoever the process acts as, or, if nobody else is to look into that, to
    /// root.
    pub fn information(&self, section: Section, number: u32, permissions: u16) -> Information {
        let (serial, level) = self.thread.as_ref().map_or((self.process.serial, 0), |task| (task.serial, 4));
        let section = (level | section as u64) << 16;
        let number = serial << 20 | section | u64::from(number & 0xffff);
        let credentials = self.task().map(|task| task.credentials());
        // Whose it was does not matter once it is gone.
        let (user, group) = match credentials {
            Ok(_) if self.is_private() && permissions != 0o555 && !self.is_own() => (0, 0),
            Ok(credentials) => (credentials.users.effective, credentials.groups.effective),
            Err(_) => (0, 0),
        };
        Information { number, permissions, user, group }
    }
}

/// The number that a name stands for, written as only one name does.
pub fn number(name: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(name).ok()?;
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The name of an entry that has a number.
pub fn name(number: u32) -> Box<[u8]> {
    number.to_string().into_bytes().into()
}
