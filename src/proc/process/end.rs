//! How threads and processes end, and which one must when memory runs out.

use super::{Current, Process, Task, signals, with_tree};
use crate::hw::frames;
use crate::proc::wait::{sleep, wait_until};
use crate::proc::{files, futex, space};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use logic::process::{Ended, Pid, Status, Usage};
use logic::signal::{Detail, SignalInfo, SignalSet};
use logic::sync::{IrqLock, Rank, WaitQueue};

/// What a thread that found no memory waits for others to give some back, and how often.
const PAUSE: Duration = Duration::from_millis(5);
const PAUSES: u32 = 400;
/// Frames with which it goes on.
const ENOUGH: u64 = 64;

/// Wakes when a process is gone that had to make room.
static ROOM_MADE: WaitQueue = WaitQueue::new();
/// Somebody is choosing a process to end.
static CHOOSING: AtomicBool = AtomicBool::new(false);
/// The one that was chosen last.
static VICTIM: IrqLock<Option<Weak<Process>>> = IrqLock::new(Rank::Process, None);
/// What was told of last that a fault ended, so that a program that is started again and again does not fill the log.
static TOLD: IrqLock<(u64, u32)> = IrqLock::new(Rank::Process, (0, 0));

/// Has a whole process end, for the first reason that is given. Its tasks end themselves when they are about to go on in their program.
pub fn end_process(task: &Arc<Task>, status: Status) {
    let process = &task.process;
    process.ending.lock().get_or_insert(status);
    with_tree(|tree| {
        process.is_ending.store(true, Ordering::Release);
        let others = tree.living_threads(process.id).filter(|other| !Arc::ptr_eq(other, task));
        others.for_each(|other| other.call_attention());
    });
    process.resumed.wake_all();
}

/// Whether a process is to end.
pub fn is_ending(process: &Process) -> bool {
    process.is_ending.load(Ordering::Acquire)
}

/// The task that runs gives up all that it has, and is no more. What it ran on goes on as a thread of the kernel's.
pub fn end_task(current: Current, status: Status) {
    let Current { task, context, .. } = current;
    drop(context);
    let process = task.process.clone();
    futex::give_up_robust(&task);
    let clear_tid = task.clear_tid.load(Ordering::Relaxed);
    if clear_tid != 0 && process.thread_count() > 1 && task.write(clear_tid, &0u32.to_le_bytes()).is_ok() {
        futex::wake_at(&task, clear_tid);
    }
    task.return_borrowed();
    let (user_ns, total_ns) = task.times_ns();
    process.past_user_ns.fetch_add(user_ns, Ordering::Relaxed);
    process.past_total_ns.fetch_add(total_ns, Ordering::Relaxed);
    close_files(&task);
    task.set_context(None);
    space::leave();
    let is_last = process.threads.fetch_sub(1, Ordering::AcqRel) == 1;
    if is_last {
        files::release_all_locks(process.id);
        process.set_space(None);
        let image = core::mem::take(&mut *process.image.lock());
        drop(image);
    }
    let status = process.ending.lock().unwrap_or(status);
    let mut terminal = None;
    let gone = with_tree(|tree| {
        let (ended, is_last) = tree.exit_thread(task.id()).unwrap_or((None, false));
        signals::forget_pending(&task, is_last);
        if is_last && tree.session(process.id) == Some(process.id) {
            terminal = tree.terminal(process.id);
        }
        let mut events = Vec::new();
        if !is_last {
            signals::leave_to_others(tree, &process);
        }
        if is_last {
            signals::tell_of_parents_death(tree, &task, &mut events);
            let ended = Ended { status, usage: process.usage(), uid: task.credentials.lock().users.real };
            if tree.exit_process(process.id, ended, &mut |event| events.push(event)).is_err() {
                log::error!("init has ended ({status:?}): no program runs any more");
            }
        }
        (ended, signals::settle(tree, &mut events))
    });
    drop(gone);
    if let Some(terminal) = terminal {
        files::release_terminal(process.id, terminal);
    }
    process.threads_changed.wake_all();
    ROOM_MADE.wake_all();
    if is_last && process.id == Pid::INIT {
        super::start::first_has_ended();
    }
}

/// Gives up open files. The last who has the table closes what is in it, one by one, as close(2) does.
fn close_files(task: &Task) {
    let table = task.files();
    task.set_files(None);
    let Some(table) = Arc::into_inner(table) else { return };
    loop {
        let closed = table.edit(|table| table.close_range(0, u32::MAX));
        if closed.is_empty() {
            return;
        }
        closed.into_iter().for_each(|open| files::closed(task, open));
    }
}

impl Process {
    /// What it has used so far, with the threads that it still has.
    pub fn usage(&self) -> Usage {
        let user_ns = self.past_user_ns.load(Ordering::Relaxed);
        let total_ns = self.past_total_ns.load(Ordering::Relaxed);
        Usage {
            user_ns,
            system_ns: total_ns.saturating_sub(user_ns),
            minor_faults: self.faults.load(Ordering::Relaxed),
            ..Usage::default()
        }
    }
}

impl Task {
    /// A child that used its parent's memory needs it no more.
    pub(super) fn return_borrowed(&self) {
        let borrowed = self.borrowed.lock().take();
        if let Some(borrowed) = borrowed {
            borrowed.is_returned.store(true, Ordering::Release);
            borrowed.returned.wake_all();
        }
    }

    /// Dismisses all other threads of the process, and waits until they are gone. False if the process ends meanwhile.
    pub(super) fn dismiss_others(self: &Arc<Self>) -> bool {
        with_tree(|tree| {
            for other in tree.living_threads(self.process.id).filter(|other| !Arc::ptr_eq(other, self)) {
                other.is_dismissed.store(true, Ordering::Release);
                other.call_attention();
            }
        });
        let process = &self.process;
        wait_until(&process.threads_changed, None, || process.thread_count() == 1 || self.must_end());
        !self.must_end()
    }
}

/// Makes room when there is no memory, by the end of the process that has most of it. False if the caller is to do without: there is none
/// to end, or it is the caller's own.
pub fn make_room(task: &Task) -> bool {
    frames::drain_caches();
    for _ in 0..PAUSES {
        if task.must_end() {
            return false;
        }
        if frames::free_for_programs() > ENOUGH {
            return true;
        }
        // One at a time: who has been chosen needs some time to end.
        if !victim_is_ending() && !CHOOSING.swap(true, Ordering::AcqRel) {
            let has_chosen = end_greediest();
            CHOOSING.store(false, Ordering::Release);
            if !has_chosen {
                return false;
            }
            continue;
        }
        sleep(PAUSE);
    }
    // It does not end: the next one is chosen.
    *VICTIM.lock() = None;
    true
}

/// Whether the process that was chosen last still has its memory.
fn victim_is_ending() -> bool {
    let victim = VICTIM.lock().as_ref().and_then(Weak::upgrade);
    victim.is_some_and(|victim| victim.space().is_ok())
}

/// Has the process end that has most memory; false if there is none.
fn end_greediest() -> bool {
    let Some((victim, kib)) = choose() else { return false };
    let name = victim.name.lock().clone();
    log::error!(
        "out of memory: process {} ({}) ends, which has {kib} KiB and the highest oom_score",
        victim.process.id,
        name.escape_ascii()
    );
    *VICTIM.lock() = Some(Arc::downgrade(&victim.process));
    end_process(&victim, Status::Killed { signal: logic::signal::Signal::SIGKILL, core: false });
    // Who has been chosen sees to it like all that are to end, wherever it is.
    victim.call_attention();
    true
}

/// The process that has most memory, but for init, those that end already and those that are protected (`oom_score_adj`), and how
/// many KiB that is.
fn choose() -> Option<(Arc<Task>, u64)> {
    let leaders: Vec<Arc<Task>> =
        with_tree(|tree| tree.processes().filter_map(|id| tree.thread(id).cloned()).collect())?;
    let candidates = leaders.into_iter().filter(|task| task.process.id != Pid::INIT && !is_ending(&task.process));
    let total = frames::total_bytes();
    let sized = candidates.filter_map(|task| {
        let space = task.process.space().ok()?;
        let bytes = space.try_usage()?.greed();
        let rank = task.process.greed.lock().rank(bytes, total)?;
        Some((task, bytes / 1024, rank))
    });
    sized.max_by_key(|(.., rank)| *rank).map(|(task, kib, _)| (task, kib))
}

/// Says in the log which program ended by a fault of its own, and where.
pub(super) fn tell_of_fault(current: &Current, info: &SignalInfo) {
    const MOST: u32 = 10;
    const PERIOD_NS: u64 = 10_000_000_000;
    if !SignalSet::SYNCHRONOUS.contains(info.signal) || info.is_from_user() {
        return;
    }
    let now = crate::hw::clock::now().nanoseconds();
    let may_tell = {
        let mut told = TOLD.lock();
        if now.saturating_sub(told.0) > PERIOD_NS {
            *told = (now, 0);
        }
        told.1 += 1;
        told.1 <= MOST
    };
    if may_tell {
        let name = current.task.name.lock().clone();
        let registers = current.context.registers();
        let address = match info.detail {
            Detail::Fault { address } => address,
            _ => 0,
        };
        log::info!(
            "{}[{}]: {} at {address:#x}, ip {:#x}, sp {:#x}",
            name.escape_ascii(),
            current.task.id(),
            info.signal,
            registers.rip,
            registers.rsp
        );
    }
}
