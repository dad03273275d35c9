//! Waiting for many files: epoll_create(2), epoll_ctl(2), epoll_wait(2).

use super::arguments::{Fd, UserPtr};
use super::blocking::{Waiting, after_ns, deadline_in, left_ns};
use super::poll::with_mask;
use crate::proc::files;
use crate::proc::process::{Answer, Current, Stop, Task};
use crate::proc::wait::Deadline;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general;
use logic::errno::Errno;
use logic::fs::credentials::Access;
use logic::fs::open_file::{OpenFile, StatusFlags};
use logic::ipc::Watched;
use logic::ipc::epoll::{Epoll, EpollEvent};
use logic::signal::Restart;

/// Events that one call tells at most. Who asks for more gets them the next time.
const MOST_EVENTS: usize = 1024;

const MILLISECOND_NS: u64 = 1_000_000;

/// epoll_create(2): for how many files means nothing any more.
pub fn epoll_create(current: &mut Current, size: i32) -> Answer {
    if size <= 0 {
        return Err(Errno::EINVAL.into());
    }
    epoll_create1(current, 0)
}

/// epoll_create1(2).
pub fn epoll_create1(current: &mut Current, flags: u32) -> Answer {
    if flags & !general::EPOLL_CLOEXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    let task = &current.task;
    let place = files::event_place(task, "eventpoll");
    let open = OpenFile::new(Epoll::new(), place, Access::READ | Access::WRITE, StatusFlags::empty());
    Ok(task.add_descriptor(open, flags & general::EPOLL_CLOEXEC != 0)?)
}

/// The epoll that a descriptor is.
fn epoll_of(open: &OpenFile) -> Result<&Epoll, Errno> {
    let file: &dyn core::any::Any = &**open.file();
    file.downcast_ref().ok_or(Errno::EINVAL)
}

/// epoll_ctl(2).
pub fn epoll_ctl(
    current: &mut Current,
    epoll: Fd,
    operation: u32,
    descriptor: Fd,
    event: UserPtr<[u8; EpollEvent::SIZE]>,
) -> Answer {
    let task = &current.task;
    let event = match operation {
        general::EPOLL_CTL_DEL => EpollEvent::default(),
        _ => EpollEvent::from_bytes(&event.read(task)?),
    };
    let (open, target) = (task.files().get(epoll.0)?, task.files().get(descriptor.0)?);
    if target.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    if target.file().changes().is_none() {
        return Err(Errno::EPERM.into());
    }
    if Arc::ptr_eq(&open, &target) {
        return Err(Errno::EINVAL.into());
    }
    let epoll = epoll_of(&open)?;
    let target: Arc<dyn Watched> = target;
    match operation {
        general::EPOLL_CTL_ADD => epoll.add(descriptor.0, &target, event)?,
        general::EPOLL_CTL_MOD => epoll.modify(descriptor.0, &target, event)?,
        general::EPOLL_CTL_DEL => epoll.remove(descriptor.0, &target)?,
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

/// epoll_wait(2).
pub fn epoll_wait(current: &mut Current, epoll: Fd, events: UserPtr<u64>, most: i32, milliseconds: i32) -> Answer {
    let deadline = u64::try_from(milliseconds).ok().map(|time| after_ns(time * MILLISECOND_NS));
    wait(&current.task, epoll, events, most, deadline)
}

/// epoll_pwait(2).
pub fn epoll_pwait(
    current: &mut Current,
    epoll: Fd,
    events: UserPtr<u64>,
    most: i32,
    milliseconds: i32,
    mask: UserPtr<u64>,
    mask_bytes: usize,
) -> Answer {
    let task = current.task.clone();
    with_mask(&task, mask, mask_bytes, || epoll_wait(current, epoll, events, most, milliseconds))
}

/// epoll_pwait2(2).
pub fn epoll_pwait2(
    current: &mut Current,
    epoll: Fd,
    events: UserPtr<u64>,
    most: i32,
    timeout: UserPtr<[u8; 16]>,
    mask: UserPtr<u64>,
    mask_bytes: usize,
) -> Answer {
    let task = current.task.clone();
    let deadline = deadline_in(&task, timeout)?;
    with_mask(&task, mask, mask_bytes, || wait(&task, epoll, events, most, deadline))
}

fn wait(task: &Task, epoll: Fd, target: UserPtr<u64>, most: i32, deadline: Deadline) -> Answer {
    let most = usize::try_from(most).ok().filter(|most| *most > 0).ok_or(Errno::EINVAL)?.min(MOST_EVENTS);
    let open = task.files().get(epoll.0)?;
    let epoll = epoll_of(&open)?;
    let mut events = Vec::new();
    events.try_reserve_exact(most).map_err(|_| Errno::ENOMEM)?;
    events.resize(most, EpollEvent::default());
    // It fails by any signal, and by a stop, even without a handler (signal(7), "... by stop signals").
    let waiting = Waiting { task, deadline, restart: Restart::Never };
    let outcome = match deadline {
        // A signal does not come before what takes no time.
        Some(deadline) if left_ns(deadline) == 0 => epoll.wait(&mut events).map_err(Stop::from),
        _ => waiting.until(epoll.waiters(), || epoll.wait(&mut events)),
    };
    let count = match outcome {
        Err(Stop::Failed(Errno::EAGAIN)) => 0,
        outcome => outcome?,
    };
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(count * EpollEvent::SIZE).map_err(|_| Errno::ENOMEM)?;
    events.iter().take(count).for_each(|event| bytes.extend(event.to_bytes()));
    task.write(target.address(), &bytes)?;
    Ok(count as u64)
}
