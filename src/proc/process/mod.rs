//! Processes and their threads.
//!
//! A [`Task`] is one thread of a program; it runs on a kernel thread of its own. A [`Process`] is what its tasks share and none can
//! have alone: memory, actions for signals, limits. What clone(2) may or may not share, open files, the place in the tree of names and
//! credentials, each task refers to by itself.
//!
//! Who is whose parent, group and session is in one [tree](with_tree), under the first lock of all. Nothing heavy may be dropped with that
//! lock held, so a task gives everything up itself before it ends.

mod alarm;
mod clone;
mod end;
mod exec;
mod files;
mod processor_timers;
mod signals;
mod start;
mod wait;

pub use clone::clone;
pub use end::{end_process, end_task, make_room};
pub use exec::{Program, execute};
pub use files::{FileTable, FsContext, Walker};
pub use processor_timers::Counted;
pub use signals::{
    Action, SIGNALS_SENT, Sleep, act, force, forget, post, post_to_task, post_to_terminal_group,
    post_to_terminal_leader, return_from_handler,
};
pub use start::{give_reset_keys_to_init, start_first, tell_init_of_reset_keys, wait_for_end};
pub use wait::wait_for_child;

use super::scheduler;
use super::space::{self, Space};
use super::thread::{Priority, Thread};
use crate::hw::clock;
use crate::hw::user::UserContext;
use alloc::sync::Arc;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use core::task::Waker;
use logic::errno::Errno;
use logic::fs::page_cache::Running;
use logic::fs::place::Place;
use logic::mem::space::{Access, FaultOutcome};
use logic::process::{Credentials, Limits, Pid, Preference, Resource, Status, Tree};
use logic::procfs::stat::Places;
use logic::sched::Nice;
use logic::signal::frame::Exception;
use logic::signal::{Actions, AlternateStack, Pending, Restart, SignalSet};
use logic::sync::{IrqLock, Rank, WaitQueue};
use spin::Once;

/// Bytes of a thread's name, as prctl(2) has them, without the NUL.
pub const NAME_BYTES: usize = 15;

/// How often room is made for the same page, which others may take meanwhile.
const FAULT_PATIENCE: u32 = 64;

/// A thread's or program's name.
pub type Name = ArrayVec<u8, NAME_BYTES>;

/// What the threads of a program share.
pub struct Process {
    /// Its number.
    pub id: Pid,
    /// Tells it from all others, ever.
    pub serial: u64,
    /// Its memory; none once it has ended.
    space: IrqLock<Option<Arc<Space>>>,
    /// What it wants done about signals.
    pub actions: IrqLock<Actions>,
    /// Signals that any of its threads may take.
    pub(super) pending: IrqLock<Pending>,
    /// How much it may have.
    pub limits: IrqLock<Limits>,
    /// Whether it is one to end when memory runs out.
    pub greed: IrqLock<Preference>,
    /// Only root may look into it: it has changed who it is, or wants so (`PR_SET_DUMPABLE` of prctl(2)).
    pub is_private: AtomicBool,
    /// Which program it runs.
    pub image: IrqLock<Image>,
    /// Why it ends, once that is decided.
    ending: IrqLock<Option<Status>>,
    is_ending: AtomicBool,
    /// Job control has stopped it.
    is_stopped: AtomicBool,
    /// Wakes when it goes on or ends.
    resumed: WaitQueue,
    /// Wakes when a child has changed.
    children_changed: WaitQueue,
    /// Wakes when a thread has ended.
    threads_changed: WaitQueue,
    /// Wakes when a signal has been sent to it.
    pub signalled: WaitQueue,
    /// Threads that have not ended.
    threads: AtomicUsize,
    /// When it began, in nanoseconds since the kernel did.
    pub started_ns: u64,
    /// Processor time of threads that have ended: in the program, in all.
    past_user_ns: AtomicU64,
    past_total_ns: AtomicU64,
    /// Page faults.
    pub faults: AtomicU64,
    alarm: alarm::Alarm,
    processor_timers: processor_timers::ProcessorTimers,
}

/// The program that a process runs.
#[derive(Clone, Default)]
pub struct Image {
    /// The file.
    pub executable: Option<Place>,
    /// That nobody writes to it.
    pub _running: Option<Arc<Running>>,
    /// Where it is in memory, and its arguments and environment: for ps(1).
    pub places: Places,
    /// The auxiliary vector.
    pub auxiliary: alloc::vec::Vec<u8>,
}

/// A thread of a program.
pub struct Task {
    /// Its number. That of the first thread is the process's.
    id: AtomicU64,
    /// Tells it from all others, ever. A process's first has that of its process.
    pub serial: u64,
    /// Its process.
    pub process: Arc<Process>,
    /// The kernel's thread that it runs on, once it does.
    thread: Once<Arc<Thread>>,
    /// Its open files; none once it has ended.
    files: IrqLock<Option<Arc<FileTable>>>,
    /// Its place in the tree of names; likewise.
    context: IrqLock<Option<Arc<FsContext>>>,
    /// Who it is.
    pub credentials: IrqLock<Arc<Credentials>>,
    /// Its signals.
    pub(super) signals: IrqLock<TaskSignals>,
    /// Something is to be done before it goes on in its program.
    attention: AtomicBool,
    /// Another thread of the process executes another program, in which this one does not exist.
    is_dismissed: AtomicBool,
    /// Its name.
    pub name: IrqLock<Name>,
    /// Where to write 0 and wake who waits there when it ends (set_tid_address(2)).
    pub clear_tid: AtomicU64,
    /// Its list of robust futexes.
    pub robust_list: AtomicU64,
    /// Its parent waits until it has executed another program or ended.
    borrowed: IrqLock<Option<Arc<Borrowed>>>,
    /// How nice it is; its kernel thread, once there is one, is scheduled by that.
    nice: AtomicI32,
    /// The signal that it gets when its parent ends (`PR_SET_PDEATHSIG`); 0 is none. Children do not inherit it.
    pub parent_death_signal: AtomicU8,
    /// Time in the program, in ticks of the time-stamp counter.
    pub user_ticks: AtomicU64,
}

/// The task that runs, with what only it may touch.
pub struct Current {
    /// The task.
    pub task: Arc<Task>,
    /// Its program's registers.
    pub context: UserContext,
    /// The system call that a signal interrupted.
    interrupted: Option<Interrupted>,
    /// How that call goes on, if it is by restart_syscall(2).
    pub continuation: Option<Continuation>,
    /// The exception that the program had last.
    pub(super) exception: Exception,
}

/// A system call that a signal interrupted.
#[derive(Clone, Copy)]
struct Interrupted {
    number: u64,
    restart: Restart,
}

/// How a system call goes on later.
#[derive(Clone, Copy)]
pub struct Continuation {
    /// What is called.
    pub call: fn(&mut Current, [u64; 4]) -> Answer,
    /// With what.
    pub arguments: [u64; 4],
}

/// What a system call answers.
pub type Answer = Result<u64, Stop>;

/// Why a system call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It failed.
    Failed(Errno),
    /// A signal came first.
    Interrupted(Restart),
    /// The program goes on elsewhere: its registers have been set.
    Elsewhere,
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Self {
        Self::Failed(error)
    }
}

/// What a task has for itself of its signals.
#[derive(Default)]
pub(super) struct TaskSignals {
    pub mask: SignalSet,
    /// The mask to go back to after a call that had another meanwhile (sigsuspend(2), ppoll(2)).
    pub saved_mask: Option<SignalSet>,
    pub pending: Pending,
    pub alternate: AlternateStack,
}

/// A parent's memory that a child of vfork(2) uses until it has its own.
#[derive(Default)]
pub(super) struct Borrowed {
    is_returned: AtomicBool,
    returned: WaitQueue,
}

/// Numbers that [`new_serial`] has given.
static SERIALS: AtomicU64 = AtomicU64::new(1);

static TREE: IrqLock<Option<Tree<Arc<Task>>>> = IrqLock::new(Rank::ProcessTree, None);

/// Calls `look` with the tree of processes. Nothing that holds memory of programs or files may be dropped in it.
pub fn with_tree<T>(look: impl FnOnce(&mut Tree<Arc<Task>>) -> T) -> Option<T> {
    TREE.lock().as_mut().map(look)
}

/// The task that runs this, if it is not a thread of the kernel's own.
pub fn current_task() -> Option<Arc<Task>> {
    scheduler::current().task.get()?.upgrade()
}

/// Processes and threads that were made so far.
pub fn count_made() -> u64 {
    SERIALS.load(Ordering::Relaxed) - 1
}

/// A number that no other process or task has or had.
fn new_serial() -> u64 {
    SERIALS.fetch_add(1, Ordering::Relaxed)
}

/// The task of this number.
pub fn find_task(id: Pid) -> Option<Arc<Task>> {
    with_tree(|tree| tree.thread(id).cloned()).flatten()
}

impl Current {
    /// A task that is about to run its program for the first time.
    pub(super) fn new(task: Arc<Task>, context: UserContext) -> Self {
        Self { task, context, interrupted: None, continuation: None, exception: Exception::default() }
    }

    /// Whether a signal has interrupted its system call.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.is_some()
    }

    /// Notes an exception of its program's.
    pub fn note_exception(&mut self, exception: Exception) {
        self.exception = exception;
    }

    /// Notes what the system call `number` answered.
    pub fn answer(&mut self, number: u64, answer: Answer) {
        match answer {
            Ok(value) => self.context.set_result(value),
            Err(Stop::Failed(error)) => self.context.set_result(negated(error)),
            Err(Stop::Interrupted(restart)) => self.interrupted = Some(Interrupted { number, restart }),
            Err(Stop::Elsewhere) => {}
        }
    }
}

/// An error as system calls answer it.
fn negated(error: Errno) -> u64 {
    u64::from(error.number()).wrapping_neg()
}

impl Process {
    pub(super) fn new(id: Pid, space: Arc<Space>, actions: Actions, limits: Limits, image: Image) -> Arc<Self> {
        Arc::new(Self {
            id,
            serial: new_serial(),
            space: IrqLock::new(Rank::Process, Some(space)),
            actions: IrqLock::new(Rank::Process, actions),
            pending: IrqLock::new(Rank::Process, Pending::new()),
            limits: IrqLock::new(Rank::Process, limits),
            greed: IrqLock::new(Rank::Process, Preference::default()),
            is_private: AtomicBool::new(false),
            image: IrqLock::new(Rank::Process, image),
            ending: IrqLock::new(Rank::Process, None),
            is_ending: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            resumed: WaitQueue::new(),
            children_changed: WaitQueue::new(),
            threads_changed: WaitQueue::new(),
            signalled: WaitQueue::new(),
            threads: AtomicUsize::new(1),
            started_ns: clock::now().nanoseconds(),
            past_user_ns: AtomicU64::new(0),
            past_total_ns: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            alarm: alarm::Alarm::new(),
            processor_timers: processor_timers::ProcessorTimers::new(),
        })
    }

    /// Its memory.
    ///
    /// # Errors
    /// [`Errno::ESRCH`] if it has ended.
    pub fn space(&self) -> Result<Arc<Space>, Errno> {
        self.space.lock().clone().ok_or(Errno::ESRCH)
    }

    /// Puts another space in the place of the one that it has.
    pub(super) fn set_space(&self, space: Option<Arc<Space>>) {
        let previous = core::mem::replace(&mut *self.space.lock(), space);
        drop(previous);
    }

    /// What it may have of one resource.
    pub fn limit(&self, resource: Resource) -> u64 {
        self.limits.lock().get(resource).current
    }

    /// What it may have of memory.
    pub fn memory_limits(&self) -> logic::mem::space::Limits {
        let limits = self.limits.lock();
        logic::mem::space::Limits {
            total: limits.get(Resource::AddressSpace).current,
            data: limits.get(Resource::Data).current,
            stack: limits.get(Resource::Stack).current,
        }
    }

    /// Threads that have not ended.
    pub fn thread_count(&self) -> usize {
        self.threads.load(Ordering::Relaxed)
    }

    /// Whether job control has stopped it.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }
}

impl Task {
    pub(super) fn new(
        id: Pid,
        process: Arc<Process>,
        files: Arc<FileTable>,
        context: Arc<FsContext>,
        credentials: Arc<Credentials>,
        name: Name,
        mask: SignalSet,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: AtomicU64::new(id.number().into()),
            serial: if id == process.id { process.serial } else { new_serial() },
            process,
            thread: Once::new(),
            files: IrqLock::new(Rank::Process, Some(files)),
            context: IrqLock::new(Rank::Process, Some(context)),
            credentials: IrqLock::new(Rank::Process, credentials),
            signals: IrqLock::new(Rank::Thread, TaskSignals { mask, ..TaskSignals::default() }),
            attention: AtomicBool::new(false),
            is_dismissed: AtomicBool::new(false),
            name: IrqLock::new(Rank::Process, name),
            clear_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            borrowed: IrqLock::new(Rank::Process, None),
            nice: AtomicI32::new(0),
            parent_death_signal: AtomicU8::new(0),
            user_ticks: AtomicU64::new(0),
        })
    }

    /// Its number.
    pub fn id(&self) -> Pid {
        u32::try_from(self.id.load(Ordering::Relaxed)).ok().and_then(Pid::new).unwrap_or(Pid::INIT)
    }

    /// Its kernel thread notes itself.
    pub fn adopt_thread(self: &Arc<Self>) {
        let thread = self.thread.call_once(scheduler::current);
        thread.task.call_once(|| Arc::downgrade(self));
        thread.set_priority(Priority::Fair(self.nice()));
    }

    /// How nice it is to others.
    pub fn nice(&self) -> Nice {
        Nice::new(self.nice.load(Ordering::SeqCst))
    }

    /// Makes it so nice, from its next turn on.
    pub fn set_nice(&self, nice: Nice) {
        self.nice.store(nice.value(), Ordering::SeqCst);
        if let Some(thread) = self.thread() {
            // Of two who change it at once, both schedule it by what is there in the end.
            thread.set_priority(Priority::Fair(self.nice()));
        }
    }

    /// The kernel thread that it runs on.
    pub fn thread(&self) -> Option<&Arc<Thread>> {
        self.thread.get()
    }

    /// What wakes it from a sleep.
    pub fn waker(&self) -> Option<Waker> {
        self.thread().map(|thread| thread.waker().clone())
    }

    /// Its alternate stack for signals.
    pub fn alternate_stack(&self) -> AlternateStack {
        self.signals.lock().alternate
    }

    /// Gives it another one.
    pub fn set_alternate_stack(&self, stack: AlternateStack) {
        self.signals.lock().alternate = stack;
    }

    /// Gives it descriptors of its own.
    pub fn replace_files(&self, files: Arc<FileTable>) {
        self.set_files(Some(files));
    }

    /// Its open files.
    pub fn files(&self) -> Arc<FileTable> {
        self.files.lock().clone().unwrap_or_default()
    }

    /// Has it use other files.
    pub(super) fn set_files(&self, files: Option<Arc<FileTable>>) {
        let previous = core::mem::replace(&mut *self.files.lock(), files);
        drop(previous);
    }

    /// Its place in the tree of names.
    ///
    /// # Errors
    /// [`Errno::ESRCH`] if it has ended.
    pub fn context(&self) -> Result<Arc<FsContext>, Errno> {
        self.context.lock().clone().ok_or(Errno::ESRCH)
    }

    /// Gives it another place in the tree of names.
    pub(super) fn set_context(&self, context: Option<Arc<FsContext>>) {
        let previous = core::mem::replace(&mut *self.context.lock(), context);
        drop(previous);
    }

    /// Who it is.
    pub fn credentials(&self) -> Arc<Credentials> {
        self.credentials.lock().clone()
    }

    /// Whether it is to end, rather than go on in its program.
    pub(super) fn must_end(&self) -> bool {
        self.is_dismissed.load(Ordering::Acquire) || self.process.is_ending.load(Ordering::Acquire)
    }

    /// Whether something is to be done before it goes on in its program: a sleep for it ends.
    pub fn wants_attention(&self) -> bool {
        self.attention.load(Ordering::Acquire)
    }

    /// Has it look after itself as soon as possible, wherever it is.
    pub(super) fn call_attention(&self) {
        self.attention.store(true, Ordering::Release);
        if let Some(thread) = self.thread() {
            scheduler::nudge(thread);
        }
    }

    /// Processor time: in its program, in all.
    pub fn times_ns(&self) -> (u64, u64) {
        scheduler::count_run_time();
        let total = self.thread().map_or(0, |thread| thread.run_time().as_nanos());
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        (clock::nanoseconds_of(self.user_ticks.load(Ordering::Relaxed)).min(total), total)
    }

    /// Brings a page of its memory for an access by the kernel. It must be the task that runs.
    ///
    /// # Errors
    /// [`Errno::EFAULT`], [`Errno::ENOMEM`].
    pub fn bring(&self, address: u64, access: Access) -> Result<(), Errno> {
        match self.fault(address, access) {
            FaultOutcome::Resolved => Ok(()),
            FaultOutcome::Signal(_) => Err(Errno::EFAULT),
            FaultOutcome::OutOfMemory => Err(Errno::ENOMEM),
        }
    }

    /// Does what an access to its memory needs, and frees memory first if there is none.
    pub fn fault(&self, address: u64, access: Access) -> FaultOutcome {
        self.process.faults.fetch_add(1, Ordering::Relaxed);
        let limits = self.process.memory_limits();
        for _ in 0..FAULT_PATIENCE {
            let Ok(space) = self.process.space() else { break };
            match space.fault(address, access, &limits) {
                FaultOutcome::OutOfMemory if end::make_room(self) => {}
                outcome => return outcome,
            }
        }
        FaultOutcome::OutOfMemory
    }

    /// Reads its memory. It must be the task that runs.
    ///
    /// # Errors
    /// [`Errno::EFAULT`], [`Errno::ENOMEM`].
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        space::read(address, bytes, &|address, access| self.bring(address, access))
    }

    /// Writes to its memory. It must be the task that runs.
    ///
    /// # Errors
    /// [`Errno::EFAULT`], [`Errno::ENOMEM`].
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        space::write(address, bytes, &|address, access| self.bring(address, access))
    }
}
