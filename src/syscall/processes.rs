//! Processes: fork(2), clone(2), execve(2), exit(2), wait4(2), groups and sessions, limits, usage.

use super::arguments::{Fd, UserBuffer, UserPath, UserPtr, string};
use super::directories::{HERE, locate};
use crate::proc::process::{self, Answer, Current, Program, Task, find_task, with_tree};
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general;
use logic::errno::Errno;
use logic::exec::stack::{MAX_STRING_BYTES, limit as argument_limit};
use logic::fs::attributes::FileKind;
use logic::process::clone::CloneRequest;
use logic::process::status::USAGE_BYTES;
use logic::process::{Limit, Pid, Resource, Status, Usage, WaitOptions, Which};
use logic::signal::Signal;
use logic::signal::info::INFO_BYTES;

/// fork(2).
pub fn fork(current: &mut Current) -> Answer {
    process::clone(current, &CloneRequest::fork(), super::run)
}

/// vfork(2).
pub fn vfork(current: &mut Current) -> Answer {
    process::clone(current, &CloneRequest::vfork(), super::run)
}

/// clone(2).
pub fn clone(current: &mut Current, flags: u64, stack: u64, parent_tid: u64, child_tid: u64, tls: u64) -> Answer {
    let request = CloneRequest::clone(flags, stack, parent_tid, child_tid, tls)?;
    process::clone(current, &request, super::run)
}

/// clone3(2).
pub fn clone3(current: &mut Current, arguments: UserBuffer) -> Answer {
    CloneRequest::check_size(arguments.length)?;
    let bytes = arguments.read(&current.task, arguments.length)?;
    let request = CloneRequest::clone3(&bytes)?;
    process::clone(current, &request, super::run)
}

/// execve(2).
pub fn execve(current: &mut Current, path: UserPath, arguments: u64, environment: u64) -> Answer {
    execveat(current, HERE, path, arguments, environment, 0)
}

/// execveat(2).
pub fn execveat(
    current: &mut Current,
    directory: Fd,
    path: UserPath,
    arguments: u64,
    environment: u64,
    flags: u32,
) -> Answer {
    if flags & !(general::AT_EMPTY_PATH | general::AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let task = current.task.clone();
    let text = path.read(&task)?;
    let place = locate(&task, directory, path, flags)?;
    if place.inode().kind() == FileKind::Symlink {
        return Err(Errno::ELOOP.into());
    }
    let most = argument_limit(task.process.limit(Resource::Stack));
    let mut left = usize::try_from(most).unwrap_or(usize::MAX);
    let program = Program {
        place,
        path: text,
        arguments: strings(&task, arguments, &mut left)?,
        environment: strings(&task, environment, &mut left)?,
    };
    process::execute(current, program)?;
    Ok(0)
}

/// The strings that an array of pointers at `address` leads to, within as many bytes as are left.
fn strings(task: &Task, address: u64, left: &mut usize) -> Result<Vec<Vec<u8>>, Errno> {
    let mut strings = Vec::new();
    if address == 0 {
        return Ok(strings);
    }
    for index in 0u64.. {
        let pointer = UserPtr::<u64>::new(address.wrapping_add(index.wrapping_mul(8))).read(task)?;
        if pointer == 0 {
            break;
        }
        let text = string(task, pointer, MAX_STRING_BYTES)?.ok_or(Errno::E2BIG)?;
        *left = left.checked_sub(text.len() + 9).ok_or(Errno::E2BIG)?;
        strings.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        strings.push(text);
    }
    Ok(strings)
}

/// exit(2): the thread ends.
pub fn exit(_: &mut Current, _status: u32) -> Answer {
    Ok(0)
}

/// exit_group(2): the process ends.
pub fn exit_group(current: &mut Current, status: u32) -> Answer {
    process::end_process(&current.task, Status::Exited((status & 0xff) as u8));
    Ok(0)
}

/// wait4(2).
pub fn wait4(
    current: &mut Current,
    number: i32,
    status: UserPtr<u32>,
    options: u32,
    usage: UserPtr<[u8; USAGE_BYTES]>,
) -> Answer {
    let task = &current.task;
    let options = WaitOptions::for_wait4(options)?;
    let which = Which::for_wait4(number, own_group(task)?)?;
    let Some(report) = process::wait_for_child(task, which, options)? else { return Ok(0) };
    status.write_if_any(task, &report.status.word())?;
    usage.write_if_any(task, &report.usage.to_bytes())?;
    Ok(report.pid.number().into())
}

/// waitid(2).
pub fn waitid(
    current: &mut Current,
    kind: u32,
    number: i32,
    info: UserPtr<[u8; INFO_BYTES]>,
    options: u32,
    usage: UserPtr<[u8; USAGE_BYTES]>,
) -> Answer {
    let task = &current.task;
    let options = WaitOptions::for_waitid(options)?;
    let which = Which::for_waitid(kind, number, own_group(task)?)?;
    let Some(report) = process::wait_for_child(task, which, options)? else {
        // Told by a number that no process has.
        info.write_if_any(task, &[0; INFO_BYTES])?;
        return Ok(0);
    };
    let told = report.status.info(Signal::SIGCHLD, report.pid.number(), report.uid, &report.usage);
    info.write_if_any(task, &told.to_bytes())?;
    usage.write_if_any(task, &report.usage.to_bytes())?;
    Ok(0)
}

fn own_group(task: &Task) -> Result<Pid, Errno> {
    with_tree(|tree| tree.group(task.process.id)).flatten().ok_or(Errno::ESRCH)
}

/// getpid(2).
pub fn getpid(current: &mut Current) -> Answer {
    Ok(current.task.process.id.number().into())
}

/// gettid(2).
pub fn gettid(current: &mut Current) -> Answer {
    Ok(current.task.id().number().into())
}

/// getppid(2).
pub fn getppid(current: &mut Current) -> Answer {
    let parent = with_tree(|tree| tree.parent(current.task.process.id)).flatten();
    Ok(parent.map_or(0, |parent| parent.number().into()))
}

/// The process of a number, or the caller's if it is 0.
fn process_of(current: &Current, number: i32) -> Result<Pid, Errno> {
    if number == 0 { Ok(current.task.process.id) } else { Pid::from_user(number).ok_or(Errno::ESRCH) }
}

/// getpgid(2).
pub fn getpgid(current: &mut Current, number: i32) -> Answer {
    let pid = process_of(current, number)?;
    let group = with_tree(|tree| tree.group(pid)).flatten().ok_or(Errno::ESRCH)?;
    Ok(group.number().into())
}

/// getpgrp(2).
pub fn getpgrp(current: &mut Current) -> Answer {
    getpgid(current, 0)
}

/// setpgid(2).
pub fn setpgid(current: &mut Current, number: i32, group: i32) -> Answer {
    let caller = current.task.process.id;
    with_tree(|tree| tree.set_group(caller, number, group)).unwrap_or(Err(Errno::ESRCH))?;
    Ok(0)
}

/// getsid(2).
pub fn getsid(current: &mut Current, number: i32) -> Answer {
    let pid = process_of(current, number)?;
    let session = with_tree(|tree| tree.session(pid)).flatten().ok_or(Errno::ESRCH)?;
    Ok(session.number().into())
}

/// setsid(2).
pub fn setsid(current: &mut Current) -> Answer {
    let caller = current.task.process.id;
    let session = with_tree(|tree| tree.set_session(caller)).unwrap_or(Err(Errno::ESRCH))?;
    Ok(session.number().into())
}

/// getrlimit(2).
pub fn getrlimit(current: &mut Current, resource: u32, target: UserPtr<[u8; 16]>) -> Answer {
    prlimit(current, 0, resource, UserPtr::new(0), target)
}

/// setrlimit(2).
pub fn setrlimit(current: &mut Current, resource: u32, new: UserPtr<[u8; 16]>) -> Answer {
    prlimit(current, 0, resource, new, UserPtr::new(0))
}

/// prlimit64(2).
pub fn prlimit(
    current: &mut Current,
    number: i32,
    resource: u32,
    new: UserPtr<[u8; 16]>,
    old: UserPtr<[u8; 16]>,
) -> Answer {
    let task = &current.task;
    let resource = Resource::from_user(resource)?;
    let new = match new.non_null() {
        None => None,
        Some(new) => {
            let [current, most] = halves(&new.read(task)?);
            Some(Limit { current, most })
        }
    };
    let target = find_process(task, number)?;
    let credentials = task.credentials();
    let theirs = target.credentials();
    let is_same = credentials.users.real == theirs.users.real && credentials.users.real == theirs.users.effective;
    if number != 0 && !is_same && !credentials.is_privileged() {
        return Err(Errno::EPERM.into());
    }
    let was = {
        let mut limits = target.process.limits.lock();
        match new {
            Some(new) => limits.set(resource, new, credentials.is_privileged())?,
            None => limits.get(resource),
        }
    };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&was.current.to_le_bytes());
    bytes[8..].copy_from_slice(&was.most.to_le_bytes());
    old.write_if_any(task, &bytes)?;
    Ok(0)
}

/// Two words.
pub fn halves(bytes: &[u8; 16]) -> [u64; 2] {
    [0, 8].map(|start| u64::from_le_bytes(core::array::from_fn(|index| bytes[start + index])))
}

/// The task of a number, or the caller if it is 0.
pub fn find_process(task: &Arc<Task>, number: i32) -> Result<Arc<Task>, Errno> {
    match number {
        0 => Ok(task.clone()),
        number => Pid::from_user(number).and_then(find_task).ok_or(Errno::ESRCH),
    }
}

/// The time of threads that have ended, and of those that have not.
fn own_usage(task: &Task) -> Usage {
    let mut usage = task.process.usage();
    let tasks: Vec<Arc<Task>> =
        with_tree(|tree| tree.living_threads(task.process.id).cloned().collect()).unwrap_or_default();
    for other in tasks {
        let (user_ns, total_ns) = other.times_ns();
        usage.user_ns += user_ns;
        usage.system_ns += total_ns - user_ns;
    }
    let resident = task.process.space().map_or(0, |space| space.edit(|space, _| space.usage().resident.total()));
    usage.most_kib = resident * 4;
    usage
}

/// getrusage(2).
pub fn getrusage(current: &mut Current, who: i32, target: UserPtr<[u8; USAGE_BYTES]>) -> Answer {
    const CHILDREN: i32 = general::RUSAGE_CHILDREN;
    const THREAD: i32 = general::RUSAGE_THREAD as i32;
    let task = &current.task;
    let usage = match who {
        0 => own_usage(task),
        CHILDREN => with_tree(|tree| tree.children_usage(task.process.id)).unwrap_or_default(),
        THREAD => {
            let (user_ns, total_ns) = task.times_ns();
            Usage { user_ns, system_ns: total_ns - user_ns, ..Usage::default() }
        }
        _ => return Err(Errno::EINVAL.into()),
    };
    target.write(task, &usage.to_bytes())?;
    Ok(0)
}

/// times(2), in hundredths of a second.
pub fn times(current: &mut Current, target: UserPtr<[u8; 32]>) -> Answer {
    const TICK_NS: u64 = 10_000_000;
    let task = &current.task;
    let own = own_usage(task);
    let children = with_tree(|tree| tree.children_usage(task.process.id)).unwrap_or_default();
    let mut bytes = [0; 32];
    let words = [own.user_ns, own.system_ns, children.user_ns, children.system_ns];
    for (place, nanoseconds) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *place = (nanoseconds / TICK_NS).to_le_bytes();
    }
    target.write_if_any(task, &bytes)?;
    Ok(crate::hw::clock::now().nanoseconds() / TICK_NS)
}
