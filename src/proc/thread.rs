//! Kernel threads: a stack, a place in the order of turns, and a way to sleep and be woken.
//!
//! A thread ends when its function returns. Whoever spawned it may join it and gets what the function returned.

use super::process::Task;
use super::scheduler;
use super::wait::{Outcome, wait_until};
use crate::hw::areas::OutOfMemory;
use crate::hw::context::Context;
use crate::hw::heap;
use crate::hw::stacks::KernelStack;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use alloc::vec::Vec;
use arrayvec::ArrayString;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::task::Waker;
use core::time::Duration;
use logic::sched::{CpuSet, SchedulingEntity, Timer};
use logic::sync::park::ParkToken;
use logic::sync::wait_queue::{WaitQueue, Waiter};
use logic::sync::{IrqLock, Rank};
use spin::Once;

pub use logic::sched::Priority;

/// Heap that a thread takes at most, beside its stack and what its function holds.
const HEAP_BYTES: usize = 4096;

type Body = Box<dyn FnOnce() + Send>;

/// A thread of the kernel.
pub struct Thread {
    id: u64,
    name: ArrayString<32>,
    /// Its place in the order of turns.
    pub(super) entity: SchedulingEntity,
    /// Its sleep.
    pub(super) park: ParkToken,
    /// Its place in the queue that it waits in, one at a time.
    pub(super) waiter: Arc<Waiter>,
    /// What ends its sleep at a time.
    pub(super) timer: Arc<Timer>,
    pub(super) context: Context,
    /// The processors that it may run on.
    pub(super) allowed: CpuSet,
    waker: Waker,
    body: IrqLock<Option<Body>>,
    /// The task of a program that runs on it.
    pub(super) task: Once<Weak<Task>>,
    finished: AtomicBool,
    joiners: WaitQueue,
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs on this processor.
    Running(usize),
    /// It waits for a processor.
    Ready,
    /// It sleeps.
    Waiting,
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = ArrayString::<20>::new();
        match self {
            Self::Running(cpu) => write!(words, "runs on CPU {cpu}")?,
            Self::Ready => words.push_str("ready"),
            Self::Waiting => words.push_str("waits"),
        }
        formatter.pad(&words)
    }
}

/// Somebody has what is wanted, and may have it for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// All threads that have not finished, by rising id.
static THREADS: IrqLock<Vec<Arc<Thread>>> = IrqLock::new(Rank::ProcessTree, Vec::new());
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Wakes a thread that may be gone.
struct ThreadWaker(Weak<Thread>);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(thread) = self.0.upgrade() {
            scheduler::wake(&thread);
        }
    }
}

/// A thread that can be waited for.
pub struct JoinHandle<T> {
    thread: Arc<Thread>,
    result: Arc<IrqLock<Option<T>>>,
}

/// Starts a thread that runs `function`.
///
/// # Errors
/// [`OutOfMemory`] if there is none for its stack or for the kernel's account of it.
pub fn spawn<T: Send + 'static>(
    name: &str,
    priority: Priority,
    function: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, OutOfMemory> {
    spawn_on(CpuSet::ALL, name, priority, function)
}

/// The same, to run on the processors `allowed` only (on any, if none of them takes part).
///
/// # Errors
/// As of [`spawn`].
pub fn spawn_on<T: Send + 'static>(
    allowed: CpuSet,
    name: &str,
    priority: Priority,
    function: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, OutOfMemory> {
    heap::ensure(HEAP_BYTES + size_of_val(&function))?;
    let stack = KernelStack::new()?;
    let result = Arc::new(IrqLock::new(Rank::File, None));
    let place = result.clone();
    let body: Body = Box::new(move || {
        let value = function();
        *place.lock() = Some(value);
    });
    let thread = Thread::new(name, priority, allowed, Context::new(stack, thread_main, 0), Some(body));
    {
        let mut threads = THREADS.lock();
        threads.try_reserve(1).map_err(|_| OutOfMemory)?;
        // Another processor may have taken its id later and come first.
        let place = threads.partition_point(|other| other.id < thread.id);
        threads.insert(place, thread.clone());
    }
    scheduler::start(&thread);
    Ok(JoinHandle { thread, result })
}

impl Thread {
    pub(super) fn new(
        name: &str,
        priority: Priority,
        allowed: CpuSet,
        context: Context,
        body: Option<Body>,
    ) -> Arc<Self> {
        let mut short = ArrayString::new();
        for character in name.chars() {
            if short.try_push(character).is_err() {
                break;
            }
        }
        let entity = SchedulingEntity::new();
        entity.set_priority(priority);
        Arc::new_cyclic(|weak| {
            let waker = Waker::from(Arc::new(ThreadWaker(weak.clone())));
            Self {
                id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
                name: short,
                entity,
                park: ParkToken::new(),
                waiter: Waiter::new(waker.clone()),
                timer: Timer::new(waker.clone()),
                waker,
                context,
                allowed,
                body: IrqLock::new(Rank::File, body),
                task: Once::new(),
                finished: AtomicBool::new(false),
                joiners: WaitQueue::new(),
            }
        })
    }

    /// What wakes it.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Its number, never given twice.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its name, cut at 32 bytes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it competes with others.
    pub fn priority(&self) -> Priority {
        self.entity.priority()
    }

    /// Has it compete otherwise, from the next time on that it waits for its turn.
    pub fn set_priority(&self, priority: Priority) {
        self.entity.set_priority(priority);
    }

    /// Processor time that it has had, up to the last time that somebody counted. What nobody wanted is not counted: an idle
    /// thread has none.
    pub fn run_time(&self) -> Duration {
        Duration::from_nanos(self.entity.run_time_ns())
    }

    /// What it does, at the moment of asking.
    pub fn state(&self) -> State {
        if self.context.is_running() {
            State::Running(self.entity.last_cpu().or_else(|| self.allowed.iter().next()).unwrap_or(0))
        } else if self.entity.is_queued() || self.entity.last_cpu().is_none() {
            // An idle thread is in no queue, ever.
            State::Ready
        } else {
            State::Waiting
        }
    }

    /// The processor that had it last.
    pub fn last_processor(&self) -> Option<usize> {
        self.entity.last_cpu()
    }

    /// Whether it may run on processor `cpu`.
    pub(super) fn may_run_on(&self, cpu: usize) -> bool {
        self.allowed.contains(cpu)
    }

    /// Whether its function has returned.
    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }
}

impl AsRef<Context> for Thread {
    fn as_ref(&self) -> &Context {
        &self.context
    }
}

logic::schedulable!(pub Thread { entity });

impl<T> JoinHandle<T> {
    /// Waits until the thread has finished and answers what its function returned.
    pub fn join(self) -> T {
        let outcome = wait_until(&self.thread.joiners, None, || self.thread.is_finished());
        debug_assert!(matches!(outcome, Outcome::Done), "a wait without deadline ends when its condition holds");
        self.result.lock().take().expect("a finished thread has left its result")
    }

    /// The thread.
    pub fn thread(&self) -> &Arc<Thread> {
        &self.thread
    }
}

/// Calls `visit` for every thread that has not finished, by rising id.
pub fn for_each(mut visit: impl FnMut(&Arc<Thread>)) {
    let mut last = 0;
    loop {
        // One at a time, so that `visit` may take its time and any lock.
        let next = {
            let threads = THREADS.lock();
            threads.get(threads.partition_point(|thread| thread.id <= last)).cloned()
        };
        let Some(thread) = next else { return };
        last = thread.id;
        visit(&thread);
    }
}

/// The same without waiting for the list: for a panic.
///
/// # Errors
/// [`Busy`] if somebody has the list; some threads may have been shown before.
pub fn try_for_each(mut visit: impl FnMut(&Arc<Thread>)) -> Result<(), Busy> {
    let mut last = 0;
    loop {
        let next = {
            let threads = THREADS.try_lock().ok_or(Busy)?;
            threads.get(threads.partition_point(|thread| thread.id <= last)).cloned()
        };
        let Some(thread) = next else { return Ok(()) };
        last = thread.id;
        visit(&thread);
    }
}

/// Threads that have not finished.
pub fn count() -> usize {
    THREADS.lock().len()
}

/// The first function on a thread's stack.
extern "C" fn thread_main(_: usize) -> ! {
    scheduler::begin();
    let this = scheduler::current();
    let body = this.body.lock().take();
    if let Some(body) = body {
        body();
    }
    {
        let mut threads = THREADS.lock();
        if let Ok(place) = threads.binary_search_by_key(&this.id, |thread| thread.id) {
            threads.remove(place);
        }
    }
    this.finished.store(true, Ordering::Release);
    this.joiners.wake_all();
    drop(this);
    scheduler::exit()
}
