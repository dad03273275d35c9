//! Signals on their way: sent to a process or a task, and acted on by the task that runs, before it goes on in its program.
//!
//! All that is sent goes through [`post`], under the lock of the tree, because stopping, going on and ending are told to parents and
//! groups, which are signals again. All that arrives is acted on in [`act`], and nowhere else.

use super::{Current, Process, Task, TaskSignals, end, with_tree};
use crate::proc::wait::{Deadline, Outcome, wait_until};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use logic::errno::Errno;
use logic::process::{Event, Pid, Resource, Status, Tree, Usage};
use logic::signal::frame::{self, Frame};
use logic::signal::{Added, Call, Delivery, Resume, Signal, SignalInfo, SignalSet, Situation, decide, take_next};
use logic::sync::WaitQueue;

/// Wakes whenever a signal has been sent to anybody: who reads signals from a descriptor (signalfd(2)) reads his own, so the
/// descriptor belongs to no process.
pub static SIGNALS_SENT: WaitQueue = WaitQueue::new();

/// Signals that wait, of all processes together: each process's limit is one for all of them.
static QUEUED: AtomicUsize = AtomicUsize::new(0);

/// The code and the number of restart_syscall(2).
const RESTART_SYSCALL: u64 = 219;
/// Bytes of the SYSCALL instruction.
const SYSCALL_BYTES: u64 = 2;

/// Tasks that are no more, to be dropped where nothing is locked.
pub type Gone = Vec<Arc<Task>>;

/// What a task does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes on in its program.
    GoOn,
    /// It ends.
    End,
}

/// How a task's sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// The condition held.
    Done,
    /// The time came first.
    TimedOut,
    /// A signal came first, or something else that the task has to see to.
    Interrupted,
}

/// Sends a signal to a process, and does all that follows from it.
///
/// # Errors
/// [`Errno::EAGAIN`] if there is no room for a real-time signal; [`Errno::ESRCH`] if there is no such process.
pub fn post(tree: &mut Tree<Arc<Task>>, target: Pid, info: SignalInfo) -> Result<Gone, Errno> {
    let mut events = Vec::new();
    let sent = deliver(tree, target, None, info, &mut events);
    let gone = settle(tree, &mut events);
    sent.map(|()| gone)
}

/// Sends a signal to one task.
///
/// # Errors
/// As of [`post`].
pub fn post_to_task(tree: &mut Tree<Arc<Task>>, task: &Arc<Task>, info: SignalInfo) -> Result<Gone, Errno> {
    let mut events = Vec::new();
    let sent = deliver(tree, task.process.id, Some(task), info, &mut events);
    let gone = settle(tree, &mut events);
    sent.map(|()| gone)
}

/// Sends a signal to a process, from outside of all locks.
///
/// # Errors
/// As of [`post`].
pub fn send(target: Pid, info: SignalInfo) -> Result<(), Errno> {
    with_tree(|tree| post(tree, target, info)).unwrap_or(Err(Errno::ESRCH)).map(drop)
}

/// Sends a signal that a terminal has to one process.
pub fn post_to_terminal_leader(leader: Pid, signal: Signal) {
    // Who has ended in between needs none.
    let _ = send(leader, SignalInfo::kernel(signal));
}

/// Sends a signal that was typed, or that a terminal has, to all of a group.
pub fn post_to_terminal_group(group: Pid, signal: Signal) {
    let gone = with_tree(|tree| {
        let mut events = Vec::new();
        to_group(tree, group, SignalInfo::kernel(signal), &mut events);
        settle(tree, &mut events)
    });
    drop(gone);
}

fn to_group(tree: &mut Tree<Arc<Task>>, group: Pid, info: SignalInfo, events: &mut Vec<Event<Arc<Task>>>) {
    let members: Vec<Pid> = tree.members(group).collect();
    for member in members {
        // Who has ended in between needs none, and what the kernel sends has always room.
        let _ = deliver(tree, member, None, info, events);
    }
}

/// Tells the children of a process that ends, those of their threads that want to know (`PR_SET_PDEATHSIG`).
pub(super) fn tell_of_parents_death(tree: &mut Tree<Arc<Task>>, parent: &Task, events: &mut Vec<Event<Arc<Task>>>) {
    let parent_number = parent.process.id;
    let uid = parent.credentials.lock().users.real;
    let children: Vec<Pid> = tree.children(parent_number).collect();
    for child in children {
        let tasks: Vec<Arc<Task>> = tree.threads(child).filter_map(|id| tree.thread(id).cloned()).collect();
        for task in tasks {
            if let Some(signal) = Signal::new(task.parent_death_signal.load(Ordering::Relaxed)) {
                let info = SignalInfo::user(signal, parent_number.number(), uid);
                // Who has ended in between needs none.
                let _ = deliver(tree, child, None, info, events);
            }
        }
    }
}

/// Does what events ask for, until no more come of it.
///
/// Answers what is to be dropped where nothing is locked.
#[must_use]
pub(super) fn settle(tree: &mut Tree<Arc<Task>>, events: &mut Vec<Event<Arc<Task>>>) -> Gone {
    let mut gone = Gone::new();
    while !events.is_empty() {
        match events.remove(0) {
            Event::Child { parent, child, signal, status } => {
                let uid = tree.thread(child).map_or(0, |task| task.credentials.lock().users.real);
                if let Some(signal) = signal {
                    let info = status.info(signal, child.number(), uid, &Usage::default());
                    let _ = deliver(tree, parent, None, info, events);
                }
                if let Some(parent) = tree.thread(parent) {
                    parent.process.children_changed.wake_all();
                }
            }
            // Dropped where nothing is locked.
            Event::Gone(task) => gone.push(task),
            Event::Orphaned(group) | Event::HangUp(group) => {
                for signal in [Signal::SIGHUP, Signal::SIGCONT] {
                    to_group(tree, group, SignalInfo::kernel(signal), events);
                }
            }
        }
    }
    gone
}

/// Makes a signal pending, for `only` or any task of the process, and calls the attention of who will take it.
fn deliver(
    tree: &mut Tree<Arc<Task>>,
    target: Pid,
    only: Option<&Arc<Task>>,
    info: SignalInfo,
    events: &mut Vec<Event<Arc<Task>>>,
) -> Result<(), Errno> {
    if tree.is_zombie(target) {
        return Ok(());
    }
    let process = tree.thread(target).ok_or(Errno::ESRCH)?.process.clone();
    // Not the first, which is still there when it has ended before others.
    let tasks: Vec<Arc<Task>> = tree.living_threads(target).cloned().collect();
    if only.is_some_and(|only| !tasks.iter().any(|task| Arc::ptr_eq(task, only))) {
        return Ok(());
    }
    let signal = info.signal;
    // Stopping and going on cancel each other, even where they are ignored.
    let cancelled = signal.cancels();
    discard(&process, &tasks, cancelled);
    let added = add(&process, &tasks, only, info);
    if signal == Signal::SIGCONT || signal == Signal::SIGKILL {
        // Not before the signal is there: who is killed while stopped runs no more of its program.
        go_on(tree, &process, events);
    }
    if !added? {
        return Ok(());
    }
    let takers = tasks.iter().filter(|task| only.is_none_or(|only| Arc::ptr_eq(only, task)));
    if signal == Signal::SIGKILL {
        tasks.iter().for_each(|task| task.call_attention());
    } else if let Some(task) = takers.into_iter().find(|task| !task.blocks(signal)) {
        task.call_attention();
    }
    // Who reads signals from a descriptor, or waits for them with sigtimedwait(2), may have them blocked.
    process.signalled.wake_all();
    SIGNALS_SENT.wake_all();
    Ok(())
}

/// What a task was told that may be another's to do, when it ends or blocks signals: others look whether it is theirs.
pub(super) fn leave_to_others(tree: &Tree<Arc<Task>>, process: &Process) {
    let pending = process.pending.lock().set();
    if !pending.is_empty() || process.has_due_timer() {
        tree.living_threads(process.id).for_each(|task| task.call_attention());
    }
}

/// Makes a signal pending unless nobody wants it; whether it is.
fn add(process: &Process, tasks: &[Arc<Task>], only: Option<&Arc<Task>>, info: SignalInfo) -> Result<bool, Errno> {
    let is_blocked = match only {
        Some(task) => task.blocks(info.signal),
        None => tasks.iter().all(|task| task.blocks(info.signal)),
    };
    if process.actions.lock().discards(info.signal, is_blocked) {
        return Ok(false);
    }
    let has_room = (QUEUED.load(Ordering::Relaxed) as u64) < process.limit(Resource::PendingSignals);
    let added = match only {
        Some(task) => task.signals.lock().pending.add(info, has_room)?,
        None => process.pending.lock().add(info, has_room)?,
    };
    if added == Added::Queued {
        QUEUED.fetch_add(1, Ordering::Relaxed);
    }
    Ok(true)
}

/// Forgets what is pending for a thread that ends, and for its process with the last: it counts for the limit no more. Once the tree
/// knows that they have ended, nothing is added.
pub(super) fn forget_pending(task: &Task, is_last: bool) {
    let mut count = task.signals.lock().pending.discard_all();
    if is_last {
        count += task.process.pending.lock().discard_all();
    }
    QUEUED.fetch_sub(count, Ordering::Relaxed);
}

/// Forgets what is pending of `signals`.
fn discard(process: &Process, tasks: &[Arc<Task>], signals: SignalSet) {
    let mut count = process.pending.lock().discard(signals);
    count += tasks.iter().map(|task| task.signals.lock().pending.discard(signals)).sum::<usize>();
    QUEUED.fetch_sub(count, Ordering::Relaxed);
}

/// Forgets what is pending of a signal that a process ignores now.
pub fn forget(task: &Task, signal: Signal) {
    with_tree(|tree| {
        let ids = tree.threads(task.process.id);
        let tasks: Vec<Arc<Task>> = ids.filter_map(|id| tree.thread(id).cloned()).collect();
        discard(&task.process, &tasks, SignalSet::of(&[signal]));
    });
}

fn go_on(tree: &mut Tree<Arc<Task>>, process: &Process, events: &mut Vec<Event<Arc<Task>>>) {
    let uid = tree.thread(process.id).map_or(0, |task| task.credentials.lock().users.real);
    tree.go_on(process.id, uid, &mut |event| events.push(event));
    if process.is_stopped.swap(false, Ordering::AcqRel) {
        process.resumed.wake_all();
    }
}

/// Stops all tasks of the process.
fn stop(task: &Arc<Task>, signal: Signal) {
    let process = &task.process;
    let gone = with_tree(|tree| {
        if process.is_ending.load(Ordering::Acquire) {
            return Gone::new();
        }
        process.is_stopped.store(true, Ordering::Release);
        tree.living_threads(process.id).for_each(|task| task.call_attention());
        let uid = task.credentials.lock().users.real;
        let mut events = Vec::new();
        tree.stop(process.id, signal, uid, &mut |event| events.push(event));
        settle(tree, &mut events)
    });
    drop(gone);
}

/// A signal that the task's own instruction caused: it arrives whatever the program wants.
pub fn force(task: &Arc<Task>, info: SignalInfo) {
    {
        let mut actions = task.process.actions.lock();
        let mut signals = task.signals.lock();
        signals.mask = logic::signal::force(info.signal, &mut actions, signals.mask);
        // What it is about must not be lost, so limits do not count.
        if signals.pending.add(info, true) == Ok(Added::Queued) {
            QUEUED.fetch_add(1, Ordering::Relaxed);
        }
    }
    task.attention.store(true, Ordering::Release);
}

impl Task {
    fn blocks(&self, signal: Signal) -> bool {
        self.signals.lock().mask.contains(signal)
    }

    /// The signals that it does not want now.
    pub fn signal_mask(&self) -> SignalSet {
        self.signals.lock().mask
    }

    /// Changes the mask; what was pending and is wanted now arrives before the program goes on.
    pub fn set_signal_mask(&self, mask: SignalSet) {
        let new = mask.as_mask();
        let old = core::mem::replace(&mut self.signals.lock().mask, new);
        self.look_for_signals();
        self.leave_blocked(old, new);
    }

    /// Of signals that the process has and this task blocks from now on, it may be the one who was told.
    fn leave_blocked(&self, old: SignalSet, new: SignalSet) {
        let blocked = SignalSet::from_bits(new.bits() & !old.bits());
        if self.process.thread_count() > 1 && !self.process.pending.lock().set().intersection(blocked).is_empty() {
            with_tree(|tree| leave_to_others(tree, &self.process));
        }
    }

    /// Has another mask until the system call that runs has answered. If a signal interrupts that, the old one comes back after any
    /// handler; else the call [takes it back](Self::take_back_signal_mask).
    pub fn lend_signal_mask(&self, mask: SignalSet) {
        let new = mask.as_mask();
        let old = {
            let mut signals = self.signals.lock();
            let TaskSignals { mask: current, saved_mask, .. } = &mut *signals;
            saved_mask.get_or_insert(*current);
            core::mem::replace(current, new)
        };
        self.look_for_signals();
        self.leave_blocked(old, new);
    }

    /// Has its own mask again.
    pub fn take_back_signal_mask(&self) {
        let (old, new) = {
            let mut signals = self.signals.lock();
            let old = signals.mask;
            let new = signals.saved_mask.take().unwrap_or(old);
            signals.mask = new;
            (old, new)
        };
        if old != new {
            self.look_for_signals();
            self.leave_blocked(old, new);
        }
    }

    /// Sleeps until `condition` holds, as [`wait_until`] does, or something has come that is to be seen to before it goes on in its
    /// program: a signal, a stop, its end. The task must be the one that runs.
    pub fn sleep_until(&self, queue: &WaitQueue, deadline: Deadline, mut condition: impl FnMut() -> bool) -> Sleep {
        loop {
            let mut holds = false;
            let outcome = wait_until(queue, deadline, || {
                holds = condition();
                holds || self.wants_attention()
            });
            if holds {
                return Sleep::Done;
            }
            if outcome == Outcome::TimedOut {
                return Sleep::TimedOut;
            }
            if self.has_to_act() {
                return Sleep::Interrupted;
            }
        }
    }

    /// Whether anything is to be seen to, once due timers have sent their signals. Not every tick of a timer does, and what it does
    /// send may be for another task, or be blocked.
    fn has_to_act(&self) -> bool {
        self.attention.store(false, Ordering::Release);
        self.send_due_timers();
        self.look_for_signals();
        if self.must_end() || self.process.is_stopped() {
            self.attention.store(true, Ordering::Release);
        }
        self.wants_attention()
    }

    /// Sends the signals of timers that are due; whether there are any.
    fn send_due_timers(&self) -> bool {
        let alarm = self.take_alarm().then_some(Signal::SIGALRM);
        let others = core::iter::from_fn(|| self.take_processor_timer());
        // Who has ended in between needs none.
        let sent = alarm.into_iter().chain(others).map(|signal| send(self.process.id, SignalInfo::kernel(signal)));
        sent.count() > 0
    }

    /// Signals that are pending and blocked: sigpending(2).
    pub fn pending_signals(&self) -> SignalSet {
        let shared = self.process.pending.lock().set();
        let signals = self.signals.lock();
        signals.pending.set().union(shared).intersection(signals.mask)
    }

    /// Signals that are pending for the task alone, and for its process.
    pub fn pending_sets(&self) -> (SignalSet, SignalSet) {
        let shared = self.process.pending.lock().set();
        (self.signals.lock().pending.set(), shared)
    }

    /// Whether one of `wanted` is pending.
    pub fn has_pending_signal(&self, wanted: SignalSet) -> bool {
        let shared = self.process.pending.lock().set();
        let signals = self.signals.lock();
        !signals.pending.set().union(shared).intersection(wanted).is_empty()
    }

    /// Takes one of `wanted` that is pending: sigtimedwait(2), signalfd(2).
    pub fn take_signal(&self, wanted: SignalSet) -> Option<SignalInfo> {
        let mut shared = self.process.pending.lock();
        let taken = self.signals.lock().pending.take(wanted).or_else(|| shared.take(wanted))?;
        note_taken(taken.counted);
        Some(taken.info)
    }

    /// Notes whether a signal waits that the mask lets through.
    fn look_for_signals(&self) {
        let shared = self.process.pending.lock().set();
        let signals = self.signals.lock();
        let wanted = SignalSet::from_bits(!signals.mask.bits());
        if !signals.pending.set().union(shared).intersection(wanted).is_empty() {
            self.attention.store(true, Ordering::Release);
        }
    }
}

fn note_taken(counted: bool) {
    if counted {
        QUEUED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Does what has come for the task, and sees to the system call that it interrupted.
pub fn act(current: &mut Current) -> Action {
    let task = current.task.clone();
    let process = &task.process;
    loop {
        task.attention.store(false, Ordering::Release);
        if task.must_end() {
            return Action::End;
        }
        if task.send_due_timers() {
            continue;
        }
        if process.is_stopped() {
            wait_until(&process.resumed, None, || !process.is_stopped() || task.must_end());
            continue;
        }
        let taken = {
            let mut shared = process.pending.lock();
            let mut signals = task.signals.lock();
            let mask = signals.mask;
            take_next(mask, &mut signals.pending, &mut shared)
        };
        let Some(taken) = taken else { break };
        note_taken(taken.counted);
        if !arrive(current, &task, taken.info) {
            return Action::End;
        }
    }
    if let Some(interrupted) = current.interrupted.take() {
        resume(current, interrupted.restart.resume(None), interrupted.number);
    }
    task.take_back_signal_mask();
    Action::GoOn
}

/// One signal arrives; whether the task goes on.
fn arrive(current: &mut Current, task: &Arc<Task>, info: SignalInfo) -> bool {
    let process = &task.process;
    let orphaned = with_tree(|tree| tree.group(process.id).is_some_and(|group| tree.is_orphaned(group)));
    let situation = Situation { orphaned: orphaned.unwrap_or(false), is_init: process.id == Pid::INIT };
    let mask = task.signal_mask();
    let delivery = decide(info, &mut process.actions.lock(), mask, situation);
    match delivery {
        Delivery::Ignore | Delivery::Continue => {}
        Delivery::Stop => stop(task, info.signal),
        Delivery::Terminate { core } => {
            end::tell_of_fault(current, &info);
            end::end_process(task, Status::Killed { signal: info.signal, core });
            return false;
        }
        Delivery::Handler(call) => {
            if let Some(interrupted) = current.interrupted.take() {
                resume(current, interrupted.restart.resume(Some(&call)), interrupted.number);
            }
            if enter_handler(current, task, &call).is_err() {
                if info.signal == Signal::SIGSEGV {
                    // It cannot be told even that.
                    end::end_process(task, Status::Killed { signal: info.signal, core: true });
                    return false;
                }
                force(task, SignalInfo::kernel(Signal::SIGSEGV));
            }
        }
    }
    true
}

/// Has the program go on with a handler.
fn enter_handler(current: &mut Current, task: &Arc<Task>, call: &Call) -> Result<(), Errno> {
    let registers = current.context.registers();
    let (mask, alternate) = {
        let signals = task.signals.lock();
        (signals.saved_mask.unwrap_or(signals.mask), signals.alternate)
    };
    let fpu_features = current.context.fpu_components();
    let exception = current.exception;
    let fpu = current.context.fpu_state();
    let Frame { address, bytes, registers } = frame::build(
        call,
        &frame::Interrupted { registers: &registers, exception, mask, alternate, fpu, fpu_features },
    )?;
    task.write(address, &bytes)?;
    current.context.set_registers(&registers);
    current.context.reset_fpu();
    let old = {
        let mut signals = task.signals.lock();
        signals.saved_mask = None;
        signals.alternate = alternate.after_delivery();
        core::mem::replace(&mut signals.mask, call.mask)
    };
    task.leave_blocked(old, call.mask);
    Ok(())
}

/// Sees to it that an interrupted system call answers, or is made again.
fn resume(current: &mut Current, how: Resume, number: u64) {
    let number = match how {
        Resume::Interrupted => return current.context.set_result(super::negated(Errno::EINTR)),
        Resume::Again => number,
        Resume::RestartBlock => RESTART_SYSCALL,
    };
    let mut registers = current.context.registers();
    registers.rax = number;
    registers.rip = registers.rip.wrapping_sub(SYSCALL_BYTES);
    current.context.set_registers(&registers);
}

/// rt_sigreturn(2): goes on where a handler's frame says.
///
/// # Errors
/// [`Errno::EFAULT`] if there is no frame.
pub fn return_from_handler(current: &mut Current) -> Result<(), Errno> {
    use logic::signal::fpu;
    let task = current.task.clone();
    let registers = current.context.registers();
    let mut bytes = [0; frame::FRAME_BYTES];
    task.read(registers.rsp.wrapping_sub(frame::RETURN_BYTES), &mut bytes)?;
    let restored = frame::restore(&bytes, &registers);
    match restored.fpu_address {
        None => current.context.reset_fpu(),
        Some(address) => {
            let most = current.context.fpu_state().len();
            let mut first = [0; fpu::LEGACY_BYTES];
            task.read(address, &mut first)?;
            let mut saved = fpu::inspect(&first, if most > fpu::LEGACY_BYTES { most } else { 0 });
            let mut area = Vec::new();
            area.try_reserve_exact(most).map_err(|_| Errno::ENOMEM)?;
            if let fpu::Saved::Extended { bytes, .. } = saved {
                let mut end = [0; fpu::END_BYTES];
                area.resize(bytes, 0);
                task.read(address, &mut area)?;
                task.read(address.saturating_add(bytes as u64), &mut end)?;
                if !fpu::is_whole(end) {
                    saved = fpu::Saved::Legacy;
                }
            }
            if saved == fpu::Saved::Legacy {
                area.clear();
                area.extend_from_slice(&first);
            }
            let features = current.context.fpu_components();
            if !fpu::make_fit(&mut area, saved, features, current.context.mxcsr_mask()) {
                return Err(Errno::EFAULT);
            }
            if saved == fpu::Saved::Legacy && most > fpu::LEGACY_BYTES {
                area.resize(fpu::LEGACY_BYTES + fpu::HEADER_BYTES, 0);
                if let Some(present) = area.get_mut(fpu::LEGACY_BYTES) {
                    *present = fpu::LEGACY_FEATURES as u8;
                }
            }
            current.context.set_fpu_state(&area);
        }
    }
    current.context.set_registers(&restored.registers);
    {
        let mut signals = task.signals.lock();
        // What makes no sense leaves the stack as it is.
        if let Ok(alternate) = signals.alternate.replaced(&restored.alternate, restored.registers.rsp, 0) {
            signals.alternate = alternate;
        }
    }
    task.set_signal_mask(restored.mask);
    Ok(())
}
