//! clone(2), fork(2), vfork(2): a task makes another, and the flags say what the two share.

use super::{Answer, Borrowed, Current, Process, Task, end, with_tree};
use crate::hw::user::UserContext;
use crate::hw::{frames, heap};
use crate::proc::wait::wait_until;
use crate::proc::{Priority, thread};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use logic::errno::Errno;
use logic::process::clone::{CloneFlags, CloneRequest};
use logic::process::{Birth, Pid, Resource};
use logic::sync::WaitQueue;

/// Heap that a new process may take by functions that cannot fail.
const HEAP_BYTES: usize = 32 * 1024;

/// What a task's kernel thread runs.
pub type Run = fn(Current);

/// Tasks that there are, of all users together: `RLIMIT_NPROC` is one for all of them.
static TASKS: AtomicUsize = AtomicUsize::new(0);

/// One of those tasks.
struct Counted;

impl Counted {
    /// One more; none if there are `limit` already.
    fn new(limit: u64) -> Option<Self> {
        let more = |tasks: usize| ((tasks as u64) < limit).then_some(tasks + 1);
        TASKS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        TASKS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Holds a new task's thread back until its maker has put it into the tree, or has not.
#[derive(Default)]
struct Gate {
    state: AtomicU8,
    opened: WaitQueue,
}

const CLOSED: u8 = 0;
const GO: u8 = 1;

impl Gate {
    fn open(&self, go: bool) {
        self.state.store(if go { GO } else { GO + 1 }, Ordering::Release);
        self.opened.wake_all();
    }

    fn may_go(&self) -> bool {
        wait_until(&self.opened, None, || self.state.load(Ordering::Acquire) != CLOSED);
        self.state.load(Ordering::Acquire) == GO
    }
}

/// Makes another task, which begins where the current one is, with 0 as its answer. `run` is what kernel threads of tasks run.
///
/// # Errors
/// As clone(2).
pub fn clone(current: &mut Current, request: &CloneRequest, run: Run) -> Answer {
    let task = current.task.clone();
    let flags = request.flags;
    heap::ensure(HEAP_BYTES).map_err(|_| Errno::ENOMEM)?;
    // What tasks take of the kernel is memory that their program decides the amount of.
    if frames::free_for_programs() == 0 && !end::make_room(&task) {
        return Err(Errno::ENOMEM.into());
    }
    let counted = Counted::new(task.process.limit(Resource::Processes)).ok_or(Errno::EAGAIN)?;
    let id = with_tree(|tree| tree.reserve()).ok_or(Errno::EAGAIN)??;
    let borrowed = flags.contains(CloneFlags::VFORK).then(|| Arc::new(Borrowed::default()));
    let made = make(current, &task, id, request, borrowed.clone())
        .and_then(|(child, user)| begin(&task, child, user, request, run, counted));
    if let Err(error) = made {
        with_tree(|tree| tree.cancel(id));
        return Err(error.into());
    }
    if let Some(borrowed) = borrowed {
        // Only its own end makes a parent go on before its child has given the memory back.
        wait_until(&borrowed.returned, None, || borrowed.is_returned.load(Ordering::Acquire) || task.must_end());
    }
    Ok(id.number().into())
}

/// The new task and its registers.
fn make(
    current: &mut Current,
    task: &Arc<Task>,
    id: Pid,
    request: &CloneRequest,
    borrowed: Option<Arc<Borrowed>>,
) -> Result<(Arc<Task>, UserContext), Errno> {
    let flags = request.flags;
    let is_thread = flags.contains(CloneFlags::THREAD);
    let process = if is_thread { task.process.clone() } else { new_process(task, id, flags)? };
    let files = if flags.contains(CloneFlags::FILES) { task.files() } else { task.files().copy()? };
    let context = if flags.contains(CloneFlags::FS) { task.context()? } else { task.context()?.copy() };
    let name = task.name.lock().clone();
    let child = Task::new(id, process, files, context, task.credentials(), name, task.signal_mask());
    child.set_nice(task.nice());
    if flags.contains(CloneFlags::CHILD_CLEARTID) {
        child.clear_tid.store(request.child_tid, Ordering::Relaxed);
    }
    // Who runs in the memory of others must not use their alternate stack.
    if !flags.contains(CloneFlags::VM) || flags.contains(CloneFlags::VFORK) {
        let alternate = task.signals.lock().alternate;
        child.signals.lock().alternate = alternate;
    }
    *child.borrowed.lock() = borrowed;
    let mut user = current.context.duplicate();
    let mut registers = user.registers();
    registers.rax = 0;
    registers.rsp = request.stack.unwrap_or(registers.rsp);
    user.set_registers(&registers);
    if flags.contains(CloneFlags::SETTLS) && !user.set_fs_base(request.tls) {
        return Err(Errno::EPERM);
    }
    Ok((child, user))
}

fn new_process(task: &Arc<Task>, id: Pid, flags: CloneFlags) -> Result<Arc<Process>, Errno> {
    let parent = &task.process;
    let space = parent.space()?;
    let space = if flags.contains(CloneFlags::VM) { space } else { space.fork()? };
    let actions = parent.actions.lock().clone();
    let actions = if flags.contains(CloneFlags::CLEAR_SIGHAND) { actions.after_exec() } else { actions };
    let limits = parent.limits.lock().clone();
    let image = parent.image.lock().clone();
    let process = Process::new(id, space, actions, limits, image);
    let greed = *parent.greed.lock();
    *process.greed.lock() = greed;
    process.is_private.store(parent.is_private.load(Ordering::Relaxed), Ordering::Relaxed);
    Ok(process)
}

/// Puts the task into the tree and starts it.
fn begin(
    maker: &Arc<Task>,
    child: Arc<Task>,
    user: UserContext,
    request: &CloneRequest,
    run: Run,
    counted: Counted,
) -> Result<(), Errno> {
    let flags = request.flags;
    let sets_tid = flags.contains(CloneFlags::CHILD_SETTID).then_some(request.child_tid);
    let gate = spawn(child.clone(), user, sets_tid, run, counted)?;
    let added = with_tree(|tree| {
        if flags.contains(CloneFlags::THREAD) {
            child.process.threads.fetch_add(1, Ordering::AcqRel);
            tree.add_thread(child.id(), child.process.id, child.clone())
        } else {
            let as_sibling = flags.contains(CloneFlags::PARENT);
            let birth = Birth { maker: maker.process.id, exit_signal: request.exit_signal, as_sibling };
            tree.add_process(child.id(), birth, child.clone())
        }
    });
    let added = added.unwrap_or(Err(Errno::ESRCH));
    if added.is_err() && flags.contains(CloneFlags::THREAD) {
        child.process.threads.fetch_sub(1, Ordering::AcqRel);
    }
    if added.is_ok() && flags.contains(CloneFlags::PARENT_SETTID) {
        // Before it runs: the word may be the same that it clears when it ends. As in Linux, an address that cannot be written to is the
        // program's own affair by now.
        let _ = maker.write(request.parent_tid, &child.id().number().to_le_bytes());
    }
    if child.must_end() {
        // It was decided while the new one was on its way.
        child.call_attention();
    }
    gate.open(added.is_ok());
    added
}

/// Starts the kernel thread that a task runs on; it waits at a gate.
fn spawn(
    task: Arc<Task>,
    user: UserContext,
    sets_tid: Option<u64>,
    run: Run,
    counted: Counted,
) -> Result<Arc<Gate>, Errno> {
    let gate = Arc::new(Gate::default());
    let at_gate = gate.clone();
    let name = task.name.lock().clone();
    let name = core::str::from_utf8(&name).unwrap_or("program");
    thread::spawn(name, Priority::Fair(task.nice()), move || {
        if !at_gate.may_go() {
            return;
        }
        start(task, user, sets_tid, run);
        drop(counted);
    })
    .map_err(|_| Errno::ENOMEM)?;
    Ok(gate)
}

/// What a task's kernel thread does first.
pub(super) fn start(task: Arc<Task>, user: UserContext, sets_tid: Option<u64>, run: Run) {
    task.adopt_thread();
    if let Ok(space) = task.process.space() {
        space.enter();
    }
    if let Some(address) = sets_tid {
        // As for the parent's copy.
        let _ = task.write(address, &task.id().number().to_le_bytes());
    }
    run(Current::new(task, user));
}
