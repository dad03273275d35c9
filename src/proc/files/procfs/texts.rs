//! The texts about a process or thread: facts for `logic::procfs` to write down.

use super::subject::Subject;
use crate::hw::{frames, percpu};
use crate::proc::files::{foreground, terminal_device};
use crate::proc::process::{Process, Task, with_tree};
use crate::proc::thread;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;
use core::ops::Range;
use logic::errno::Errno;
use logic::fs::synthetic::Output;
use logic::mem::space::{self, Reach};
use logic::process::{Credentials, Description, Pid, Resource, Usage};
use logic::procfs::{State, limits as limits_text, mounts as mounts_text, stat as stat_text, status as status_text};
use logic::signal::{Disposition, Signal, SignalSet};

/// Bytes that are read of a process's memory at a time.
const PIECE: usize = 1024;

/// What the tree of processes says, and what comes of it.
struct Facts {
    description: Description,
    living: Vec<Arc<Task>>,
    state: State,
}

impl Facts {
    fn of(task: &Arc<Task>) -> Result<Self, Errno> {
        let id = task.process.id;
        let look = |tree: &mut logic::process::Tree<Arc<Task>>| {
            let description = tree.describe(id)?;
            let living: Vec<Arc<Task>> = tree.living_threads(id).cloned().collect();
            Some((description, living))
        };
        let (description, living) = with_tree(look).flatten().ok_or(Errno::ESRCH)?;
        let is_living = living.iter().any(|living| Arc::ptr_eq(living, task));
        let state = match task.thread().map(|thread| thread.state()) {
            _ if !is_living => State::Zombie,
            _ if description.is_stopped => State::Stopped,
            Some(thread::State::Waiting) => State::Sleeping,
            _ => State::Running,
        };
        Ok(Self { description, living, state })
    }

    /// What the process has used.
    fn usage(&self, process: &Process) -> Usage {
        if let Some(ended) = &self.description.ended {
            return ended.usage;
        }
        self.living.iter().map(thread_usage).fold(process.usage(), |sum, usage| sum.and(&usage))
    }

    /// How many there are; the first counts until the process has been waited for.
    fn threads(&self, process: &Process) -> usize {
        let has_first = self.living.iter().any(|task| task.id() == process.id);
        self.living.len() + usize::from(!has_first)
    }

    fn parent(&self) -> u32 {
        self.description.parent.map_or(0, Pid::number)
    }
}

fn thread_usage(task: &Arc<Task>) -> Usage {
    let (user_ns, total_ns) = task.times_ns();
    Usage { user_ns, system_ns: total_ns - user_ns, ..Usage::default() }
}

/// What its memory is; none once it has ended.
fn memory_usage(process: &Process) -> Option<space::Usage> {
    Some(process.space().ok()?.edit(|space, _| space.usage()))
}

/// Signals that are ignored, and those that have a handler.
fn dispositions(process: &Process) -> (SignalSet, SignalSet) {
    let actions = process.actions.lock();
    let all = SignalSet::from_bits(u64::MAX);
    let those = |wanted: fn(Disposition) -> bool| {
        let signals = all.iter().filter(|signal| wanted(actions.get(*signal).disposition()));
        signals.fold(SignalSet::EMPTY, SignalSet::with)
    };
    (those(|action| action == Disposition::Ignore), those(|action| matches!(action, Disposition::Handler(_))))
}

/// /proc/PID/stat.
pub fn stat(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    let task = subject.task()?;
    let process = &task.process;
    let facts = Facts::of(&task)?;
    let is_inspected = subject.inspected().is_ok();
    let Description { group, session, exit_signal, ended, children_usage, .. } = facts.description;
    let terminal = with_tree(|tree| tree.terminal(process.id)).flatten();
    let memory = memory_usage(process).unwrap_or_default();
    let name = task.name.lock().clone();
    let places = process.image.lock().places.clone();
    let (ignored, caught) = dispositions(process);
    let (pending, shared) = task.pending_sets();
    let (own, children) = match subject.is_thread() {
        true => (thread_usage(&task), Usage::default()),
        false => (facts.usage(process), children_usage),
    };
    stat_text::Stat {
        id: if subject.is_thread() { task.id().number() } else { process.id.number() },
        name: &name,
        state: facts.state,
        parent: facts.parent(),
        group: group.number(),
        session: session.number(),
        terminal: terminal.and_then(terminal_device),
        foreground: terminal.and_then(foreground),
        usage: own,
        children,
        nice: task.nice().value(),
        threads: facts.threads(process),
        started_ns: process.started_ns,
        bytes: memory.sizes.total,
        resident: memory.resident.total(),
        resident_limit: process.limit(Resource::ResidentSet),
        // Where things are helps who attacks.
        places: if is_inspected { places } else { stat_text::Places::hidden() },
        signals: [pending.union(shared), task.signal_mask(), ignored, caught].map(SignalSet::bits),
        exit_signal: exit_signal.map_or(0, Signal::number),
        processor: task.thread().and_then(|thread| thread.last_processor()).unwrap_or(0),
        exit_code: ended.filter(|_| is_inspected).map_or(0, |ended| ended.status.word()),
    }
    .write(output)
}

/// /proc/PID/status.
pub fn status(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    let task = subject.task()?;
    let process = &task.process;
    let facts = Facts::of(&task)?;
    let credentials: Arc<Credentials> = task.credentials();
    let name = task.name.lock().clone();
    let (ignored, caught) = dispositions(process);
    let (pending, shared) = task.pending_sets();
    let queued = [pending, shared].map(|set| set.iter().count()).iter().sum();
    status_text::Status {
        name: &name,
        umask: task.context().ok().map(|context| context.umask()),
        state: facts.state,
        process: process.id.number(),
        id: if subject.is_thread() { task.id().number() } else { process.id.number() },
        parent: facts.parent(),
        group: facts.description.group.number(),
        session: facts.description.session.number(),
        credentials: &credentials,
        descriptors: task.files().edit(|table| table.len()).next_multiple_of(64),
        memory: memory_usage(process),
        threads: facts.threads(process),
        queued: (queued, process.limit(Resource::PendingSignals)),
        signals: [pending, shared, task.signal_mask(), ignored, caught].map(SignalSet::bits),
        processors: percpu::count(),
    }
    .write(output)
}

/// /proc/PID/statm.
pub fn memory(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    let usage = memory_usage(&subject.task()?.process).unwrap_or_default();
    stat_text::write_memory(output, &usage)
}

/// /proc/PID/comm.
pub fn name(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    let name = subject.task()?.name.lock().clone();
    output.push(&name)?;
    output.push(b"\n")
}

/// /proc/PID/cmdline.
pub fn arguments(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    let task = subject.task()?;
    let places = task.process.image.lock().places.clone();
    copy(&task.process, places.arguments, output)?;
    // Who writes over the arguments to show something longer goes on in the environment behind them.
    if output.bytes().last().is_some_and(|last| *last != 0) {
        let mut more = Output::new();
        copy(&task.process, places.environment, &mut more)?;
        let text = more.bytes().split(|byte| *byte == 0).next().unwrap_or_default();
        output.push(text)?;
    }
    Ok(())
}

/// /proc/PID/environ.
pub fn environment(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    let task = subject.inspected()?;
    let environment = task.process.image.lock().places.environment.clone();
    copy(&task.process, environment, output)
}

/// Copies memory of a process; nothing of one that has ended.
fn copy(process: &Process, range: Range<u64>, output: &mut Output) -> Result<(), Errno> {
    let Ok(space) = process.space() else { return Ok(()) };
    let mut at = range.start;
    let mut piece = [0; PIECE];
    while at < range.end {
        let wanted = usize::try_from(range.end - at).unwrap_or(PIECE).min(PIECE);
        let room = piece.get_mut(..wanted).unwrap_or_default();
        let limits = space::Limits::NONE;
        // What the program has unmapped is not told.
        let Ok(count) = space.edit(|space, flush| space.peek(at, room, Reach::Forced, &limits, flush)) else { break };
        output.push(room.get(..count).unwrap_or_default())?;
        if count < wanted {
            break;
        }
        at = at.saturating_add(count as u64);
    }
    Ok(())
}

/// /proc/PID/auxv.
pub fn auxiliary(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    let vector = subject.inspected()?.process.image.lock().auxiliary.clone();
    output.push(&vector)
}

/// /proc/PID/maps.
pub fn maps(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    let Ok(space) = subject.inspected()?.process.space() else { return Ok(()) };
    space.edit(|space, _| {
        for line in space.maps() {
            writeln!(output, "{line}")?;
        }
        Ok(())
    })
}

/// /proc/PID/limits.
pub fn limits(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    let limits = subject.task()?.process.limits.lock().clone();
    limits_text::write(output, &limits)
}

/// /proc/PID/mounts.
pub fn mounts(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    mounts_text::write_mounts(output, &subject.task()?.context()?.root())
}

/// /proc/PID/mountinfo.
pub fn mountinfo(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    mounts_text::write_mountinfo(output, &subject.task()?.context()?.root())
}

/// /proc/PID/wchan: where in the kernel it waits is not told, as Linux does not tell those who may not know.
pub fn waits_in(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    subject.task()?;
    output.push(b"0")
}

/// /proc/PID/oom_score: how much of the memory it has or is said to have, in thousandths.
pub fn greed(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    let process = &subject.task()?.process;
    let bytes = memory_usage(process).unwrap_or_default().greed();
    let preference = *process.greed.lock();
    Ok(writeln!(output, "{}", preference.score(bytes, frames::total_bytes()))?)
}

/// /proc/PID/oom_score_adj: what is added to that.
pub fn preference(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    let preference = *subject.task()?.process.greed.lock();
    Ok(writeln!(output, "{}", preference.value())?)
}

/// /proc/PID/cgroup: all are in the one that there is.
pub fn control_group(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    subject.task()?;
    output.push(b"0::/\n")
}

/// /proc/PID/loginuid, sessionid: nobody has noted who logged in.
pub fn login(subject: &Subject, output: &mut Output) -> Result<(), Errno> {
    subject.task()?;
    Ok(write!(output, "{}", u32::MAX)?)
}
