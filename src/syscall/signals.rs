//! Signals: sigaction(2), sigprocmask(2), kill(2), sigsuspend(2), sigtimedwait(2), sigaltstack(2), sigreturn(2).

use super::arguments::UserPtr;
use super::blocking::deadline_in;
use crate::proc::process::{self, Answer, Current, Sleep, Stop, Task, find_task, with_tree};
use alloc::sync::Arc;
use linux_raw_sys::general;
use logic::errno::Errno;
use logic::process::{ChildPolicy, Pid, Targets};
use logic::signal::action::ACTION_BYTES;
use logic::signal::alternate_stack::STACK_BYTES;
use logic::signal::info::INFO_BYTES;
use logic::signal::{Action, ActionFlags, Restart, Signal, SignalInfo, SignalSet};

/// Bytes of a set, which every call is told.
const SET_BYTES: usize = 8;

fn check_set(bytes: usize) -> Result<(), Errno> {
    if bytes == SET_BYTES { Ok(()) } else { Err(Errno::EINVAL) }
}

fn signal(number: i32) -> Result<Signal, Errno> {
    Signal::from_user(number)?.ok_or(Errno::EINVAL)
}

/// rt_sigaction(2).
pub fn sigaction(
    current: &mut Current,
    number: i32,
    new: UserPtr<[u8; ACTION_BYTES]>,
    old: UserPtr<[u8; ACTION_BYTES]>,
    set_bytes: usize,
) -> Answer {
    check_set(set_bytes)?;
    let task = &current.task;
    let signal = signal(number)?;
    let new = match new.non_null() {
        Some(new) => Some(Action::from_bytes(&new.read(task)?)),
        None => None,
    };
    let (was, ignores) = {
        let mut actions = task.process.actions.lock();
        let was = match new {
            Some(new) => actions.set(signal, new)?,
            None => actions.get(signal),
        };
        (was, actions.ignores(signal))
    };
    if let Some(action) = new {
        if ignores {
            process::forget(task, signal);
        }
        if signal == Signal::SIGCHLD {
            let policy = ChildPolicy {
                discards_ended: action.flags.contains(ActionFlags::NO_CHILD_WAIT)
                    || action.disposition() == logic::signal::Disposition::Ignore,
                silent_about_stops: action.flags.contains(ActionFlags::NO_CHILD_STOP),
            };
            with_tree(|tree| tree.set_child_policy(task.process.id, policy));
        }
    }
    old.write_if_any(task, &was.to_bytes())?;
    Ok(0)
}

/// rt_sigprocmask(2).
pub fn sigprocmask(current: &mut Current, how: u32, new: UserPtr<u64>, old: UserPtr<u64>, set_bytes: usize) -> Answer {
    check_set(set_bytes)?;
    let task = &current.task;
    let mask = task.signal_mask();
    if let Some(new) = new.non_null() {
        let set = SignalSet::from_bits(new.read(task)?);
        let changed = match how {
            general::SIG_BLOCK => mask.union(set),
            general::SIG_UNBLOCK => mask.without(set),
            general::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL.into()),
        };
        task.set_signal_mask(changed);
    }
    old.write_if_any(task, &mask.bits())?;
    Ok(0)
}

/// rt_sigpending(2).
pub fn sigpending(current: &mut Current, target: UserPtr<u64>, set_bytes: usize) -> Answer {
    if set_bytes > SET_BYTES {
        return Err(Errno::EINVAL.into());
    }
    target.write(&current.task, &current.task.pending_signals().bits())?;
    Ok(0)
}

/// rt_sigsuspend(2).
pub fn sigsuspend(current: &mut Current, mask: UserPtr<u64>, set_bytes: usize) -> Answer {
    check_set(set_bytes)?;
    let task = current.task.clone();
    let mask = SignalSet::from_bits(mask.read(&task)?);
    task.lend_signal_mask(mask);
    pause(current)
}

/// pause(2).
pub fn pause(current: &mut Current) -> Answer {
    let task = &current.task;
    let never = logic::sync::WaitQueue::new();
    task.sleep_until(&never, None, || false);
    Err(Stop::Interrupted(Restart::IfNotHandled))
}

/// rt_sigtimedwait(2).
pub fn sigtimedwait(
    current: &mut Current,
    wanted: UserPtr<u64>,
    info: UserPtr<[u8; INFO_BYTES]>,
    timeout: UserPtr<[u8; 16]>,
    set_bytes: usize,
) -> Answer {
    check_set(set_bytes)?;
    let task = &current.task;
    let absolute = SignalSet::of(&[Signal::SIGKILL, Signal::SIGSTOP]);
    let wanted = SignalSet::from_bits(wanted.read(task)?).without(absolute);
    let deadline = deadline_in(task, timeout)?;
    let mut taken = None;
    let sleep = task.sleep_until(&task.process.signalled, deadline, || {
        taken = task.take_signal(wanted);
        taken.is_some()
    });
    match taken {
        Some(taken) => {
            info.write_if_any(task, &taken.to_bytes())?;
            Ok(taken.signal.number().into())
        }
        None if sleep == Sleep::Interrupted => Err(Errno::EINTR.into()),
        None => Err(Errno::EAGAIN.into()),
    }
}

/// sigaltstack(2).
pub fn sigaltstack(current: &mut Current, new: UserPtr<[u8; STACK_BYTES]>, old: UserPtr<[u8; STACK_BYTES]>) -> Answer {
    let task = &current.task;
    let pointer = current.context.registers().rsp;
    let was = task.alternate_stack();
    if let Some(new) = new.non_null() {
        task.set_alternate_stack(was.replaced(&new.read(task)?, pointer, 0)?);
    }
    old.write_if_any(task, &was.to_bytes(pointer))?;
    Ok(0)
}

/// rt_sigreturn(2).
pub fn sigreturn(current: &mut Current) -> Answer {
    if process::return_from_handler(current).is_err() {
        process::force(&current.task, SignalInfo::kernel(Signal::SIGSEGV));
    }
    Err(Stop::Elsewhere)
}

/// kill(2).
pub fn kill(current: &mut Current, number: i32, signal: i32) -> Answer {
    let task = &current.task;
    let signal = Signal::from_user(signal)?;
    let (pid, uid) = (task.process.id.number(), task.credentials().users.real);
    send(task, number, signal, |signal| SignalInfo::user(signal, pid, uid))
}

/// Sends a signal, or only asks whether that would be allowed, to whom kill(2) means.
fn send(task: &Arc<Task>, number: i32, signal: Option<Signal>, info: impl Fn(Signal) -> SignalInfo) -> Answer {
    let caller = task.process.id;
    let credentials = task.credentials();
    with_tree(|tree| {
        let targets = tree.targets(caller, number)?;
        let session = tree.session(caller);
        let mut allowed = alloc::vec::Vec::new();
        tree.send_to(caller, targets, &mut |pid, target| {
            let same_session = tree.session(pid) == session;
            credentials.may_signal(&target.credentials(), signal, same_session)?;
            allowed.push(pid);
            Ok(())
        })?;
        let mut result = Ok(0);
        if let Some(signal) = signal {
            for pid in allowed {
                let sent = process::post(tree, pid, info(signal));
                if let (Err(error), Targets::Process(_)) = (sent, targets) {
                    result = Err(Stop::Failed(error));
                }
            }
        }
        result
    })
    .unwrap_or(Err(Errno::ESRCH.into()))
}

/// tkill(2).
pub fn tkill(current: &mut Current, id: i32, signal: i32) -> Answer {
    send_to_thread(current, None, id, signal)
}

/// tgkill(2).
pub fn tgkill(current: &mut Current, process: i32, id: i32, signal: i32) -> Answer {
    let process = Pid::from_user(process).ok_or(Errno::EINVAL)?;
    send_to_thread(current, Some(process), id, signal)
}

fn send_to_thread(current: &Current, process: Option<Pid>, id: i32, signal: i32) -> Answer {
    let task = &current.task;
    let id = Pid::from_user(id).ok_or(Errno::EINVAL)?;
    let signal = Signal::from_user(signal)?;
    let info = |signal| SignalInfo::thread(signal, task.process.id.number(), task.credentials().users.real);
    post_to_thread(task, process, id, signal, info)
}

fn post_to_thread(
    task: &Arc<Task>,
    process: Option<Pid>,
    id: Pid,
    signal: Option<Signal>,
    info: impl Fn(Signal) -> SignalInfo,
) -> Answer {
    let target = find_task(id).ok_or(Errno::ESRCH)?;
    if process.is_some_and(|process| process != target.process.id) {
        return Err(Errno::ESRCH.into());
    }
    task.credentials().may_signal(&target.credentials(), signal, false)?;
    if let Some(signal) = signal {
        with_tree(|tree| process::post_to_task(tree, &target, info(signal))).unwrap_or(Err(Errno::ESRCH))?;
    }
    Ok(0)
}

/// rt_sigqueueinfo(2).
pub fn sigqueueinfo(current: &mut Current, number: i32, signal: i32, info: UserPtr<[u8; INFO_BYTES]>) -> Answer {
    let task = &current.task;
    let signal = self::signal(signal)?;
    let to_itself = i64::from(number) == i64::from(task.process.id.number());
    let info = SignalInfo::from_user(signal, &info.read(task)?, to_itself)?;
    if number <= 0 {
        return Err(Errno::ESRCH.into());
    }
    send(task, number, Some(signal), |_| info)
}

/// rt_tgsigqueueinfo(2).
pub fn tgsigqueueinfo(
    current: &mut Current,
    process: i32,
    id: i32,
    signal: i32,
    info: UserPtr<[u8; INFO_BYTES]>,
) -> Answer {
    let task = &current.task;
    let signal = self::signal(signal)?;
    let (process, id) = Pid::from_user(process).zip(Pid::from_user(id)).ok_or(Errno::EINVAL)?;
    let info = SignalInfo::from_user(signal, &info.read(task)?, process == task.process.id)?;
    post_to_thread(task, Some(process), id, Some(signal), |_| info)
}

/// restart_syscall(2): goes on with a call that a signal interrupted.
pub fn restart(current: &mut Current) -> Answer {
    match current.continuation.take() {
        Some(continuation) => (continuation.call)(current, continuation.arguments),
        None => Err(Errno::EINTR.into()),
    }
}
