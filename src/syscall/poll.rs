//! Waiting for several files: poll(2), ppoll(2), select(2), pselect6(2).

use super::arguments::{UserBuffer, UserPtr};
use super::blocking::{after_ns, deadline_in, left_ns};
use super::time::{timeval, to_timespec};
use crate::proc::process::{Answer, Continuation, Current, Sleep, Stop, Task};
use crate::proc::wait::Deadline;
use alloc::sync::Arc;
use alloc::vec::Vec;
use logic::errno::Errno;
use logic::fs::Readiness;
use logic::ipc::poll::{PollSet, SelectSets};
use logic::process::Resource;
use logic::signal::{Restart, SignalSet};
use logic::sync::WaitQueue;
use logic::time::Instant;

/// Bytes of `struct pollfd`.
const ENTRY: usize = 8;
const MILLISECOND_NS: u64 = 1_000_000;

/// Waits until a file of the set has something to tell; how many have. 0 at the deadline.
fn wait(task: &Task, set: &mut PollSet, deadline: Deadline) -> Result<usize, Stop> {
    let mut ready = set.evaluate();
    if ready > 0 {
        return Ok(ready);
    }
    let waker = task.waker().ok_or(Errno::ESRCH)?;
    // The set's own waiters end the sleep.
    let never = WaitQueue::new();
    let sleep = task.sleep_until(&never, deadline, || {
        set.watch(&waker);
        ready = set.evaluate();
        ready > 0
    });
    if sleep == Sleep::Interrupted { Err(Stop::Interrupted(Restart::IfNotHandled)) } else { Ok(ready) }
}

/// poll(2).
pub fn poll(current: &mut Current, entries: UserPtr<u64>, count: u32, milliseconds: i32) -> Answer {
    let deadline = u64::try_from(milliseconds).ok().map(|time| after_ns(time * MILLISECOND_NS));
    let place = [entries.address(), count.into()];
    match poll_until(&current.task, place, deadline) {
        Err(Stop::Interrupted(_)) if deadline.is_some() => {
            let arguments = [place[0], place[1], deadline.map_or(0, Instant::nanoseconds), 0];
            current.continuation = Some(Continuation { call: poll_on, arguments });
            Err(Stop::Interrupted(Restart::RestartBlock))
        }
        answer => answer,
    }
}

fn poll_on(current: &mut Current, [entries, count, deadline, _]: [u64; 4]) -> Answer {
    poll_until(&current.task, [entries, count], Some(Instant::from_nanoseconds(deadline)))
}

/// ppoll(2).
pub fn ppoll(
    current: &mut Current,
    entries: UserPtr<u64>,
    count: u32,
    timeout: UserPtr<[u8; 16]>,
    mask: UserPtr<u64>,
    mask_bytes: usize,
) -> Answer {
    let task = current.task.clone();
    let deadline = deadline_in(&task, timeout)?;
    let place = [entries.address(), count.into()];
    let answer = with_mask(&task, mask, mask_bytes, || poll_until(&task, place, deadline));
    tell_rest(&task, timeout, deadline);
    answer
}

/// Makes a call with another mask, if the program passed one. A signal that this lets through arrives only if the call was interrupted:
/// one that has an answer leaves it pending.
pub fn with_mask(task: &Task, mask: UserPtr<u64>, bytes: usize, call: impl FnOnce() -> Answer) -> Answer {
    let Some(mask) = mask.non_null() else { return call() };
    if bytes != 8 {
        return Err(Errno::EINVAL.into());
    }
    task.lend_signal_mask(SignalSet::from_bits(mask.read(task)?));
    let answer = call();
    if !matches!(answer, Err(Stop::Interrupted(_))) {
        task.take_back_signal_mask();
    }
    answer
}

/// What was left of the time; who cannot be told is not, as in Linux.
fn tell_rest(task: &Task, timeout: UserPtr<[u8; 16]>, deadline: Deadline) {
    if let Some(deadline) = deadline {
        let left = left_ns(deadline);
        let _ = timeout.write_if_any(task, &to_timespec(left));
    }
}

fn poll_until(task: &Arc<Task>, [address, count]: [u64; 2], deadline: Deadline) -> Answer {
    if count > task.process.limit(Resource::Descriptors) {
        return Err(Errno::EINVAL.into());
    }
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let buffer = UserBuffer { address, length: count * ENTRY };
    let mut bytes = buffer.read(task, usize::MAX)?;
    let mut set = PollSet::new();
    let files = task.files();
    for entry in bytes.as_chunks::<ENTRY>().0 {
        let descriptor = i32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
        let asked = Readiness::from_bits_truncate(u16::from_le_bytes([entry[4], entry[5]]).into());
        match files.get(descriptor) {
            _ if descriptor < 0 => set.add_ignored()?,
            Ok(open) => set.add(open, asked)?,
            Err(_) => set.add_missing()?,
        }
    }
    let ready = wait(task, &mut set, deadline)?;
    for (entry, found) in bytes.as_chunks_mut::<ENTRY>().0.iter_mut().zip(set.found()) {
        let bits = u16::try_from(found.bits()).unwrap_or(0).to_le_bytes();
        entry[6..8].copy_from_slice(&bits);
    }
    buffer.write(task, &bytes)?;
    Ok(ready as u64)
}

/// The three sets of select(2), where the program has them.
#[derive(Clone, Copy)]
struct SetPointers([UserPtr<u64>; 3]);

impl SetPointers {
    fn read(self, task: &Task, words: usize) -> Result<SelectSets, Errno> {
        let set = |pointer: UserPtr<u64>| -> Result<Vec<u64>, Errno> {
            if pointer.is_null() {
                return Ok(Vec::new());
            }
            let bytes = UserBuffer { address: pointer.address(), length: words * 8 }.read(task, usize::MAX)?;
            Ok(bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect())
        };
        let [read, write, except] = self.0;
        Ok(SelectSets { read: set(read)?, write: set(write)?, except: set(except)? })
    }

    fn write(self, task: &Task, sets: &SelectSets) -> Result<(), Errno> {
        for (pointer, set) in self.0.into_iter().zip([&sets.read, &sets.write, &sets.except]) {
            if !pointer.is_null() {
                let bytes: Vec<u8> = set.iter().flat_map(|word| word.to_le_bytes()).collect();
                task.write(pointer.address(), &bytes)?;
            }
        }
        Ok(())
    }
}

fn select_until(task: &Arc<Task>, count: i32, pointers: SetPointers, deadline: Deadline) -> Answer {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let count = count.min(usize::try_from(task.process.limit(Resource::Descriptors)).unwrap_or(usize::MAX));
    let mut sets = pointers.read(task, SelectSets::words(count))?;
    let files = task.files();
    let mut polled = PollSet::new();
    for (descriptor, asked) in sets.asked(count) {
        let open = files.get(i32::try_from(descriptor).unwrap_or(-1))?;
        polled.add(open, asked)?;
    }
    wait(task, &mut polled, deadline)?;
    let kept = sets.keep(count, polled.found());
    pointers.write(task, &sets)?;
    Ok(kept as u64)
}

/// select(2).
pub fn select(
    current: &mut Current,
    count: i32,
    read: UserPtr<u64>,
    write: UserPtr<u64>,
    except: UserPtr<u64>,
    timeout: UserPtr<[u8; 16]>,
) -> Answer {
    let task = current.task.clone();
    let deadline = match timeout.non_null() {
        Some(timeout) => Some(after_ns(timeval(&timeout.read(&task)?)?)),
        None => None,
    };
    let answer = select_until(&task, count, SetPointers([read, write, except]), deadline);
    if let Some(deadline) = deadline {
        let left = left_ns(deadline);
        let rest = super::time::pair(left / 1_000_000_000, left % 1_000_000_000 / 1000);
        let _ = timeout.write_if_any(&task, &rest);
    }
    answer
}

/// pselect6(2).
pub fn pselect6(
    current: &mut Current,
    count: i32,
    read: UserPtr<u64>,
    write: UserPtr<u64>,
    except: UserPtr<u64>,
    timeout: UserPtr<[u8; 16]>,
    mask: UserPtr<[u8; 16]>,
) -> Answer {
    let task = current.task.clone();
    let deadline = deadline_in(&task, timeout)?;
    let [pointer, bytes] = match mask.non_null() {
        Some(mask) => super::processes::halves(&mask.read(&task)?),
        None => [0, 0],
    };
    let sets = SetPointers([read, write, except]);
    let answer = with_mask(&task, UserPtr::new(pointer), usize::try_from(bytes).unwrap_or(0), || {
        select_until(&task, count, sets, deadline)
    });
    tell_rest(&task, timeout, deadline);
    answer
}
