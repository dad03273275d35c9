//! Events and memory as files: eventfd(2), timerfd_create(2), signalfd(2), memfd_create(2).

use super::arguments::{Fd, UserPtr, string};
use crate::proc::files::{self, ProgramTimer, SignalSource, TimerClock};
use crate::proc::process::{Answer, Current, Task};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use linux_raw_sys::general;
use logic::errno::Errno;
use logic::fs::File;
use logic::fs::credentials::Access;
use logic::fs::open_file::{OpenFile, StatusFlags};
use logic::ipc::timer::{How, Setting};
use logic::ipc::{EventCounter, SignalReader};
use logic::signal::SignalSet;

/// All of these calls number their flags as open(2) does (`EFD_CLOEXEC`, `TFD_NONBLOCK`, and so on).
const CLOSE_ON_EXEC: u32 = general::O_CLOEXEC;
const NONBLOCK: u32 = general::O_NONBLOCK;

/// The longest name of a file in memory, with its prefix: that of any file.
const MOST_NAME: usize = 249;

/// Gives a file that tells of events a descriptor.
fn add(task: &Task, file: Arc<dyn File>, label: &str, flags: u32) -> Answer {
    let place = files::event_place(task, label);
    let status = StatusFlags::from_bits_truncate(flags & NONBLOCK);
    let open = OpenFile::new(file, place, Access::READ | Access::WRITE, status);
    Ok(task.add_descriptor(open, flags & CLOSE_ON_EXEC != 0)?)
}

fn check(flags: u32, known: u32) -> Result<(), Errno> {
    if flags & !known == 0 { Ok(()) } else { Err(Errno::EINVAL) }
}

/// The file of a descriptor, if it is a `T`.
fn with<T: File, R>(task: &Task, descriptor: Fd, call: impl FnOnce(&T) -> Result<R, Errno>) -> Result<R, Errno> {
    let open = task.files().get(descriptor.0)?;
    let file: &dyn Any = &**open.file();
    call(file.downcast_ref().ok_or(Errno::EINVAL)?)
}

/// eventfd(2) without flags.
pub fn eventfd(current: &mut Current, count: u32) -> Answer {
    eventfd2(current, count, 0)
}

/// eventfd(2).
pub fn eventfd2(current: &mut Current, count: u32, flags: u32) -> Answer {
    check(flags, CLOSE_ON_EXEC | NONBLOCK | general::EFD_SEMAPHORE)?;
    let counter = EventCounter::new(count, flags & general::EFD_SEMAPHORE != 0);
    add(&current.task, counter, "eventfd", flags)
}

/// timerfd_create(2).
pub fn timerfd_create(current: &mut Current, clock: u32, flags: u32) -> Answer {
    check(flags, CLOSE_ON_EXEC | NONBLOCK)?;
    let clock = match clock {
        general::CLOCK_REALTIME | general::CLOCK_REALTIME_ALARM => TimerClock::RealTime,
        // This machine does not sleep, so that the two are one.
        general::CLOCK_MONOTONIC | general::CLOCK_BOOTTIME | general::CLOCK_BOOTTIME_ALARM => TimerClock::Monotonic,
        _ => return Err(Errno::EINVAL.into()),
    };
    add(&current.task, ProgramTimer::new(clock), "timerfd", flags)
}

/// timerfd_settime(2).
pub fn timerfd_settime(
    current: &mut Current,
    descriptor: Fd,
    flags: u32,
    new: UserPtr<[u8; Setting::SIZE]>,
    old: UserPtr<[u8; Setting::SIZE]>,
) -> Answer {
    const ABSOLUTE: u32 = general::TFD_TIMER_ABSTIME;
    const CANCEL_ON_SET: u32 = general::TFD_TIMER_CANCEL_ON_SET;
    check(flags, ABSOLUTE | CANCEL_ON_SET)?;
    let task = &current.task;
    let setting = Setting::from_bytes(&new.read(task)?)?;
    let how = How { absolute: flags & ABSOLUTE != 0, cancel_on_set: flags & CANCEL_ON_SET != 0 };
    let before = with(task, descriptor, |timer: &ProgramTimer| timer.set(setting, how))?;
    old.write_if_any(task, &before.to_bytes())?;
    Ok(0)
}

/// timerfd_gettime(2).
pub fn timerfd_gettime(current: &mut Current, descriptor: Fd, target: UserPtr<[u8; Setting::SIZE]>) -> Answer {
    let task = &current.task;
    let setting = with(task, descriptor, |timer: &ProgramTimer| Ok(timer.get()))?;
    target.write(task, &setting.to_bytes())?;
    Ok(0)
}

/// signalfd(2) without flags.
pub fn signalfd(current: &mut Current, descriptor: Fd, wanted: UserPtr<u64>, set_bytes: usize) -> Answer {
    signalfd4(current, descriptor, wanted, set_bytes, 0)
}

/// signalfd(2).
pub fn signalfd4(current: &mut Current, descriptor: Fd, wanted: UserPtr<u64>, set_bytes: usize, flags: u32) -> Answer {
    check(flags, CLOSE_ON_EXEC | NONBLOCK)?;
    if set_bytes != size_of::<u64>() {
        return Err(Errno::EINVAL.into());
    }
    let task = &current.task;
    let wanted = SignalSet::from_bits(wanted.read(task)?);
    if descriptor.0 == -1 {
        return add(task, SignalReader::new(Arc::new(SignalSource), wanted), "signalfd", flags);
    }
    with(task, descriptor, |reader: &SignalReader| {
        reader.set_wanted(wanted);
        Ok(())
    })?;
    Ok(u64::from(descriptor.0.cast_unsigned()))
}

/// memfd_create(2).
pub fn memfd_create(current: &mut Current, name: u64, flags: u32) -> Answer {
    use general::{MFD_ALLOW_SEALING, MFD_CLOEXEC, MFD_EXEC, MFD_NOEXEC_SEAL};
    check(flags, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC | MFD_NOEXEC_SEAL)?;
    if flags & MFD_EXEC != 0 && flags & MFD_NOEXEC_SEAL != 0 {
        return Err(Errno::EINVAL.into());
    }
    let task = &current.task;
    let name = string(task, name, MOST_NAME + 1)?.ok_or(Errno::EINVAL)?;
    let mut label = Vec::new();
    let prefix = b"memfd:";
    label.try_reserve_exact(prefix.len() + name.len()).map_err(|_| Errno::ENOMEM)?;
    label.extend_from_slice(prefix);
    label.extend_from_slice(&name);
    let permissions = if flags & MFD_NOEXEC_SEAL != 0 { 0o666 } else { 0o777 };
    let open = files::make_nameless(task, &label, permissions)?;
    Ok(task.add_descriptor(open, flags & MFD_CLOEXEC != 0)?)
}
