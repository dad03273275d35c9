//! Threads: futex(2), thread-local storage, processors, priorities.

use super::arguments::{UserBuffer, UserPtr};
use super::blocking::after_ns;
use super::processes::find_process;
use super::time::timespec;
use crate::hw::percpu;
use crate::proc::process::{Answer, Continuation, Current, NAME_BYTES, Stop, Task, with_tree};
use crate::proc::wait::Deadline;
use crate::proc::{futex, scheduler};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use linux_raw_sys::{general, prctl};
use logic::errno::Errno;
use logic::process::futex::{Command, EVERYBODY, WakeOperation};
use logic::process::{Pid, Resource, Tree, nice, robust};
use logic::sched::Nice;
use logic::signal::{Restart, Signal};
use logic::time::Instant;

/// futex(2).
pub fn futex(
    current: &mut Current,
    address: u64,
    operation: u32,
    value: u32,
    timeout_or_count: u64,
    second: u64,
    third: u32,
) -> Answer {
    let (command, is_private, real_time) = Command::from_user(operation)?;
    let task = current.task.clone();
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let most = count(value);
    let second_most = usize::try_from(timeout_or_count & u64::from(u32::MAX)).unwrap_or(usize::MAX);
    match command {
        Command::Wait | Command::WaitBitset => {
            let bits = if command == Command::Wait { EVERYBODY } else { third };
            let deadline = deadline(current, command, real_time, UserPtr::new(timeout_or_count))?;
            let place = [address, u64::from(is_private) | u64::from(bits) << 32, value.into()];
            wait(current, place, deadline)
        }
        Command::Wake => Ok(futex::wake(&task, address, is_private, most, EVERYBODY)? as u64),
        Command::WakeBitset => Ok(futex::wake(&task, address, is_private, most, third)? as u64),
        Command::Requeue | Command::CompareRequeue => {
            let expected = (command == Command::CompareRequeue).then_some(third);
            let most = [most, second_most];
            let (woken, moved) = futex::requeue(&task, [address, second], is_private, most, expected)?;
            // The older of the two counts only whom it woke.
            let moved = if command == Command::CompareRequeue { moved } else { 0 };
            Ok((woken + moved) as u64)
        }
        Command::WakeOperation => {
            let operation = WakeOperation::from_user(third)?;
            let most = [most, second_most];
            Ok(futex::wake_operation(&task, [address, second], is_private, most, operation)? as u64)
        }
    }
}

fn wait(current: &mut Current, [address, how, expected]: [u64; 3], deadline: Deadline) -> Answer {
    let task = current.task.clone();
    let bits = u32::try_from(how >> 32).unwrap_or(0);
    let expected = u32::try_from(expected).unwrap_or(0);
    match futex::wait(&task, address, how & 1 != 0, expected, bits, deadline) {
        Ok(()) => Ok(0),
        Err(stop) => {
            if stop == Stop::Interrupted(Restart::RestartBlock)
                && let Some(deadline) = deadline
            {
                let arguments = [address, how, expected.into(), deadline.nanoseconds()];
                current.continuation = Some(Continuation { call: wait_on, arguments });
            }
            Err(stop)
        }
    }
}

fn wait_on(current: &mut Current, [address, how, expected, deadline]: [u64; 4]) -> Answer {
    wait(current, [address, how, expected], Some(Instant::from_nanoseconds(deadline)))
}

/// `FUTEX_WAIT` has a length of time, `FUTEX_WAIT_BITSET` a time.
fn deadline(
    current: &Current,
    command: Command,
    real_time: bool,
    timeout: UserPtr<[u8; 16]>,
) -> Result<Deadline, Errno> {
    let Some(timeout) = timeout.non_null() else { return Ok(None) };
    let nanoseconds = timespec(&timeout.read(&current.task)?)?;
    Ok(Some(match (command, real_time) {
        (Command::Wait, _) => after_ns(nanoseconds),
        (_, false) => Instant::from_nanoseconds(nanoseconds),
        (_, true) => super::time::at_real_time(nanoseconds),
    }))
}

/// set_tid_address(2).
pub fn set_tid_address(current: &mut Current, address: u64) -> Answer {
    current.task.clear_tid.store(address, Ordering::Relaxed);
    Ok(current.task.id().number().into())
}

/// set_robust_list(2).
pub fn set_robust_list(current: &mut Current, head: u64, bytes: usize) -> Answer {
    if bytes != robust::HEAD_BYTES {
        return Err(Errno::EINVAL.into());
    }
    current.task.robust_list.store(head, Ordering::Relaxed);
    Ok(0)
}

/// get_robust_list(2).
pub fn get_robust_list(current: &mut Current, number: i32, head: UserPtr<u64>, bytes: UserPtr<u64>) -> Answer {
    let target = find_process(&current.task, number)?;
    bytes.write(&current.task, &(robust::HEAD_BYTES as u64))?;
    head.write(&current.task, &target.robust_list.load(Ordering::Relaxed))?;
    Ok(0)
}

/// arch_prctl(2).
pub fn arch_prctl(current: &mut Current, code: u32, address: u64) -> Answer {
    const SET_GS: u32 = 0x1001;
    const SET_FS: u32 = 0x1002;
    const GET_FS: u32 = 0x1003;
    const GET_GS: u32 = 0x1004;
    let target = UserPtr::<u64>::new(address);
    let is_set = match code {
        SET_FS => current.context.set_fs_base(address),
        SET_GS => current.context.set_gs_base(address),
        GET_FS => return Ok(target.write(&current.task, &current.context.fs_base()).map(|()| 0)?),
        GET_GS => return Ok(target.write(&current.task, &current.context.gs_base()).map(|()| 0)?),
        _ => return Err(Errno::EINVAL.into()),
    };
    if is_set { Ok(0) } else { Err(Errno::EPERM.into()) }
}

/// sched_yield(2).
pub fn sched_yield(_: &mut Current) -> Answer {
    scheduler::yield_now();
    Ok(0)
}

/// sched_getaffinity(2): a thread may run everywhere.
pub fn sched_getaffinity(current: &mut Current, number: i32, length: usize, address: u64) -> Answer {
    let buffer = UserBuffer { address, length };
    find_process(&current.task, number)?;
    let count = percpu::count();
    let bytes = count.div_ceil(64) * 8;
    if buffer.length < bytes || !buffer.length.is_multiple_of(8) {
        return Err(Errno::EINVAL.into());
    }
    let mut mask = [0u8; 32];
    for cpu in 0..count {
        if let Some(byte) = mask.get_mut(cpu / 8) {
            *byte |= 1 << (cpu % 8);
        }
    }
    buffer.write(&current.task, mask.get(..bytes).unwrap_or(&mask))?;
    Ok(bytes as u64)
}

/// sched_setaffinity(2): accepted if it names a processor that there is; the scheduler places threads as it sees fit.
pub fn sched_setaffinity(current: &mut Current, number: i32, length: usize, address: u64) -> Answer {
    let buffer = UserBuffer { address, length };
    find_process(&current.task, number)?;
    let bytes = buffer.part(0, buffer.length.min(32)).read(&current.task, 32)?;
    let names_one = (0..percpu::count()).any(|cpu| bytes.get(cpu / 8).is_some_and(|byte| byte & 1 << (cpu % 8) != 0));
    if names_one { Ok(0) } else { Err(Errno::EINVAL.into()) }
}

/// getcpu(2).
pub fn getcpu(current: &mut Current, cpu: UserPtr<u32>, node: UserPtr<u32>) -> Answer {
    let number = u32::try_from(percpu::current().number()).unwrap_or(0);
    cpu.write_if_any(&current.task, &number)?;
    node.write_if_any(&current.task, &0)?;
    Ok(0)
}

/// The tasks that getpriority(2) and setpriority(2) are about: a thread, a group's, or a user's.
fn tasks_of(current: &Current, which: u32, who: i32) -> Result<Vec<Arc<Task>>, Errno> {
    let task = &current.task;
    let all = |tree: &Tree<Arc<Task>>, processes: &mut dyn Iterator<Item = Pid>| {
        let mut tasks = Vec::new();
        for living in processes.flat_map(|process| tree.living_threads(process)) {
            tasks.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            tasks.push(living.clone());
        }
        Ok(tasks)
    };
    match which {
        general::PRIO_PROCESS => {
            let task = find_process(task, who)?;
            let mut tasks = Vec::new();
            tasks.try_reserve_exact(1).map_err(|_| Errno::ENOMEM)?;
            tasks.push(task);
            Ok(tasks)
        }
        general::PRIO_PGRP => with_tree(|tree| {
            let group = if who == 0 { tree.group(task.process.id) } else { Pid::from_user(who) };
            all(tree, &mut tree.members(group.ok_or(Errno::ESRCH)?))
        })
        .unwrap_or(Err(Errno::ESRCH)),
        general::PRIO_USER => {
            let user = if who == 0 { task.credentials().users.real } else { who.cast_unsigned() };
            let mut tasks = with_tree(|tree| all(tree, &mut tree.processes())).unwrap_or(Err(Errno::ESRCH))?;
            tasks.retain(|task| task.credentials().users.real == user);
            Ok(tasks)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// getpriority(2): 20 less the nice value of who is the least nice.
pub fn getpriority(current: &mut Current, which: u32, who: i32) -> Answer {
    let ranks = tasks_of(current, which, who)?.into_iter().map(|task| nice::rank(task.nice()));
    Ok(ranks.max().ok_or(Errno::ESRCH)?.into())
}

/// setpriority(2).
pub fn setpriority(current: &mut Current, which: u32, who: i32, value: i32) -> Answer {
    let new = Nice::new(value);
    let own = current.task.credentials();
    let tasks = tasks_of(current, which, who)?;
    nice::answer(tasks.iter().map(|task| {
        let limit = task.process.limit(Resource::Nice);
        nice::may_change(&own, &task.credentials(), task.nice(), new, limit)?;
        task.set_nice(new);
        Ok(())
    }))?;
    Ok(0)
}

/// sched_getscheduler(2): the ordinary policy.
pub fn sched_getscheduler(current: &mut Current, number: i32) -> Answer {
    find_process(&current.task, number)?;
    Ok(general::SCHED_NORMAL.into())
}

/// sched_getparam(2).
pub fn sched_getparam(current: &mut Current, number: i32, target: UserPtr<u32>) -> Answer {
    find_process(&current.task, number)?;
    target.write(&current.task, &0)?;
    Ok(0)
}

/// sched_setscheduler(2): only the ordinary policy.
pub fn sched_setscheduler(current: &mut Current, number: i32, policy: u32, priority: UserPtr<u32>) -> Answer {
    find_process(&current.task, number)?;
    match (policy, priority.read(&current.task)?) {
        (general::SCHED_NORMAL | general::SCHED_BATCH | general::SCHED_IDLE, 0) => Ok(0),
        (general::SCHED_FIFO | general::SCHED_RR, 1..=99) => Err(Errno::EPERM.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// sched_get_priority_min(2), sched_get_priority_max(2).
pub fn sched_priority_range<const MAX: bool>(_: &mut Current, policy: u32) -> Answer {
    match policy {
        general::SCHED_FIFO | general::SCHED_RR => Ok(if MAX { 99 } else { 1 }),
        general::SCHED_NORMAL | general::SCHED_BATCH | general::SCHED_IDLE => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// prctl(2).
pub fn prctl(current: &mut Current, option: u32, first: u64, second: u64, third: u64, fourth: u64) -> Answer {
    let task = &current.task;
    let pid = task.process.id;
    match option {
        prctl::PR_SET_NAME => {
            let mut name = super::arguments::string(task, first, NAME_BYTES + 1)?;
            if name.is_none() {
                // Longer ones are cut.
                let bytes = UserPtr::<[u8; NAME_BYTES]>::new(first).read(task)?;
                name = Some(bytes.to_vec());
            }
            *task.name.lock() = name.unwrap_or_default().into_iter().take(NAME_BYTES).collect();
            Ok(0)
        }
        prctl::PR_GET_NAME => {
            let mut bytes = [0; NAME_BYTES + 1];
            let name = task.name.lock().clone();
            bytes.iter_mut().zip(name).for_each(|(place, byte)| *place = byte);
            UserPtr::new(first).write(task, &bytes)?;
            Ok(0)
        }
        prctl::PR_SET_CHILD_SUBREAPER => {
            crate::proc::process::with_tree(|tree| tree.set_subreaper(pid, first != 0));
            Ok(0)
        }
        prctl::PR_GET_CHILD_SUBREAPER => {
            let is = crate::proc::process::with_tree(|tree| tree.is_subreaper(pid)).unwrap_or(false);
            UserPtr::new(first).write(task, &u32::from(is))?;
            Ok(0)
        }
        prctl::PR_GET_DUMPABLE => Ok((!task.process.is_private.load(Ordering::Relaxed)).into()),
        prctl::PR_SET_DUMPABLE if first <= 1 => {
            task.process.is_private.store(first == 0, Ordering::Relaxed);
            Ok(0)
        }
        prctl::PR_SET_NO_NEW_PRIVS if [first, second, third, fourth] == [1, 0, 0, 0] => {
            let mut new = (*task.credentials()).clone();
            new.no_new_privileges = true;
            *task.credentials.lock() = Arc::new(new);
            Ok(0)
        }
        prctl::PR_GET_NO_NEW_PRIVS if [first, second, third, fourth] == [0; 4] => {
            Ok(task.credentials().no_new_privileges.into())
        }
        prctl::PR_SET_PDEATHSIG => {
            let signal = u8::try_from(first).map_err(|_| Errno::EINVAL)?;
            if signal != 0 {
                Signal::new(signal).ok_or(Errno::EINVAL)?;
            }
            task.parent_death_signal.store(signal, Ordering::Relaxed);
            Ok(0)
        }
        prctl::PR_GET_PDEATHSIG => {
            UserPtr::new(first).write(task, &i32::from(task.parent_death_signal.load(Ordering::Relaxed)))?;
            Ok(0)
        }
        prctl::PR_CAPBSET_READ if first <= 40 => Ok(1),
        prctl::PR_SET_VMA => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}
