//! How much of everything a process may have: getrlimit(2).

use crate::errno::Errno;
use linux_raw_sys::general;

/// No limit.
pub const INFINITE: u64 = u64::MAX;

/// Descriptors that nobody may have more of: Linux's `fs.nr_open`.
pub const MOST_DESCRIPTORS: u64 = 1 << 20;

const COUNT: usize = general::RLIM_NLIMITS as usize;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Resource {
    /// Seconds of processor time.
    ProcessorTime = general::RLIMIT_CPU,
    /// Bytes of a file.
    FileSize = general::RLIMIT_FSIZE,
    /// Bytes of data.
    Data = general::RLIMIT_DATA,
    /// Bytes of stack.
    Stack = general::RLIMIT_STACK,
    /// Bytes of a core dump.
    Core = general::RLIMIT_CORE,
    /// Bytes of memory in use: without effect.
    ResidentSet = general::RLIMIT_RSS,
    /// Threads of a user.
    Processes = general::RLIMIT_NPROC,
    /// The highest descriptor, and one.
    Descriptors = general::RLIMIT_NOFILE,
    /// Bytes of locked memory.
    LockedMemory = general::RLIMIT_MEMLOCK,
    /// Bytes of addresses.
    AddressSpace = general::RLIMIT_AS,
    /// File locks: without effect.
    Locks = general::RLIMIT_LOCKS,
    /// Queued signals of a user.
    PendingSignals = general::RLIMIT_SIGPENDING,
    /// Bytes of message queues of a user.
    MessageQueues = general::RLIMIT_MSGQUEUE,
    /// 20 less the lowest nice value.
    Nice = general::RLIMIT_NICE,
    /// The highest real-time priority.
    RealTimePriority = general::RLIMIT_RTPRIO,
    /// Microseconds of real-time work without a wait.
    RealTimeTime = general::RLIMIT_RTTIME,
}

const ALL: [Resource; COUNT] = [
    Resource::ProcessorTime,
    Resource::FileSize,
    Resource::Data,
    Resource::Stack,
    Resource::Core,
    Resource::ResidentSet,
    Resource::Processes,
    Resource::Descriptors,
    Resource::LockedMemory,
    Resource::AddressSpace,
    Resource::Locks,
    Resource::PendingSignals,
    Resource::MessageQueues,
    Resource::Nice,
    Resource::RealTimePriority,
    Resource::RealTimeTime,
];

impl Resource {
    /// The resource that a program means.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if there is none.
    pub fn from_user(number: u32) -> Result<Self, Errno> {
        usize::try_from(number).ok().and_then(|index| ALL.get(index)).copied().ok_or(Errno::EINVAL)
    }
}

/// A limit, and how far it may be raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What counts: the soft limit.
    pub current: u64,
    /// The hard limit.
    pub most: u64,
}

/// All limits of a process. Threads share them, fork(2) copies them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits([Limit; COUNT]);

impl Limits {
    /// Those that init starts with on Linux, on a machine that can have so many threads.
    pub fn new(most_threads: u64) -> Self {
        let mut limits = Self([Limit { current: INFINITE, most: INFINITE }; COUNT]);
        let same = |limit| Limit { current: limit, most: limit };
        for (resource, limit) in [
            (Resource::Stack, Limit { current: 8 << 20, most: INFINITE }),
            (Resource::Core, Limit { current: 0, most: INFINITE }),
            (Resource::Processes, same(most_threads / 2)),
            (Resource::Descriptors, Limit { current: 1024, most: 4096 }),
            (Resource::LockedMemory, same(8 << 20)),
            (Resource::PendingSignals, same(most_threads / 2)),
            (Resource::MessageQueues, same(819_200)),
            (Resource::Nice, same(0)),
            (Resource::RealTimePriority, same(0)),
        ] {
            limits.0[resource as usize] = limit;
        }
        limits
    }

    /// One limit.
    pub fn get(&self, resource: Resource) -> Limit {
        self.0[resource as usize]
    }

    /// Changes one; answers what was. Only root raises a hard limit.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if it is contradictory; [`Errno::EPERM`].
    pub fn set(&mut self, resource: Resource, new: Limit, privileged: bool) -> Result<Limit, Errno> {
        if new.current > new.most {
            return Err(Errno::EINVAL);
        }
        let old = self.get(resource);
        if (resource == Resource::Descriptors && new.most > MOST_DESCRIPTORS) || (new.most > old.most && !privileged) {
            return Err(Errno::EPERM);
        }
        self.0[resource as usize] = new;
        Ok(old)
    }
}
