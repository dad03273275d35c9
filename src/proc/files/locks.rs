//! Advisory locks of files: fcntl(2), flock(2).

use crate::proc::process::{Answer, Stop, Task};
use core::mem::offset_of;
use linux_raw_sys::general::{self, flock};
use logic::errno::Errno;
use logic::fs::locks::{FileLocks, LockKind, LockOwner, LockRange};
use logic::fs::open_file::OpenFile;
use logic::process::Pid;
use logic::signal::Restart;

static LOCKS: FileLocks = FileLocks::new();

const BYTES: usize = size_of::<flock>();

/// `F_GETLK`, `F_SETLK`, `F_SETLKW`, and those of open descriptions.
///
/// # Errors
/// As fcntl(2).
pub fn record_lock(task: &Task, open: &OpenFile, command: u32, address: u64) -> Answer {
    let is_own = matches!(command, general::F_GETLK | general::F_SETLK | general::F_SETLKW);
    let asks = matches!(command, general::F_GETLK | general::F_OFD_GETLK);
    let waits = matches!(command, general::F_SETLKW | general::F_OFD_SETLKW);
    let mut bytes = [0; BYTES];
    task.read(address, &mut bytes)?;
    let half = |offset: usize| u16::from_le_bytes([bytes[offset], bytes[offset + 1]]);
    let word = |offset: usize| i64::from_le_bytes(core::array::from_fn(|index| bytes[offset + index]));
    let kind = match u32::from(half(offset_of!(flock, l_type))) {
        general::F_RDLCK => Some(LockKind::Shared),
        general::F_WRLCK => Some(LockKind::Exclusive),
        general::F_UNLCK if !asks => None,
        _ => return Err(Errno::EINVAL.into()),
    };
    if !is_own && bytes[offset_of!(flock, l_pid)..][..4] != [0; 4] {
        return Err(Errno::EINVAL.into());
    }
    let base = match u32::from(half(offset_of!(flock, l_whence))) {
        general::SEEK_SET => 0,
        general::SEEK_CUR => open.claim_position().map_or(0, |claim| claim.value()),
        general::SEEK_END => open.file().end().unwrap_or(0),
        _ => return Err(Errno::EINVAL.into()),
    };
    let range = LockRange::new(base, word(offset_of!(flock, l_start)), word(offset_of!(flock, l_len)))?;
    let owner = match is_own {
        true => LockOwner::Process(task.process.id.number()),
        false => LockOwner::Description(open.number()),
    };
    let file = open.place().inode().identity();
    if asks {
        let kind = kind.ok_or(Errno::EINVAL)?;
        match LOCKS.range_conflict(file, owner, range, kind) {
            None => put(&mut bytes, offset_of!(flock, l_type), &(general::F_UNLCK as u16).to_le_bytes()),
            Some(conflict) => {
                let number = u16::try_from(conflict.kind.number()).unwrap_or(0);
                put(&mut bytes, offset_of!(flock, l_type), &number.to_le_bytes());
                put(&mut bytes, offset_of!(flock, l_whence), &0u16.to_le_bytes());
                put(&mut bytes, offset_of!(flock, l_start), &conflict.range.first.to_le_bytes());
                put(&mut bytes, offset_of!(flock, l_len), &conflict.range.length().to_le_bytes());
                let pid = match conflict.owner {
                    LockOwner::Process(pid) => pid.cast_signed(),
                    LockOwner::Description(_) => -1,
                };
                put(&mut bytes, offset_of!(flock, l_pid), &pid.to_le_bytes());
            }
        }
        task.write(address, &bytes)?;
        return Ok(0);
    }
    let process = is_own.then_some(task.process.id.number());
    let attempt = || open.lock_range(&LOCKS, process, range, kind);
    match (attempt(), kind) {
        (Err(Errno::EAGAIN), Some(kind)) if waits => {
            LOCKS.wait_for(file, owner, range, kind)?;
            let mut result = Err(Errno::EAGAIN);
            task.sleep_until(LOCKS.changes(file), None, || {
                result = attempt();
                result != Err(Errno::EAGAIN)
            });
            LOCKS.stop_waiting(owner);
            match result {
                Err(Errno::EAGAIN) => Err(Stop::Interrupted(Restart::IfSaRestart)),
                result => Ok(result.map(|()| 0)?),
            }
        }
        (result, _) => Ok(result.map(|()| 0)?),
    }
}

fn put(bytes: &mut [u8; BYTES], offset: usize, field: &[u8]) {
    // Offsets are constants within the layout.
    bytes[offset..offset + field.len()].copy_from_slice(field);
}

/// flock(2).
///
/// # Errors
/// As flock(2).
pub fn whole_file_lock(task: &Task, open: &OpenFile, operation: u32) -> Answer {
    let kind = match operation & !general::LOCK_NB {
        general::LOCK_SH => Some(LockKind::Shared),
        general::LOCK_EX => Some(LockKind::Exclusive),
        general::LOCK_UN => None,
        _ => return Err(Errno::EINVAL.into()),
    };
    let file = open.place().inode().identity();
    let attempt = || open.lock_whole(&LOCKS, kind);
    let mut result = attempt();
    if result == Err(Errno::EAGAIN) && operation & general::LOCK_NB == 0 {
        task.sleep_until(LOCKS.changes(file), None, || {
            result = attempt();
            result != Err(Errno::EAGAIN)
        });
        if result == Err(Errno::EAGAIN) {
            return Err(Stop::Interrupted(Restart::IfSaRestart));
        }
    }
    Ok(result.map(|()| 0)?)
}

/// A process has ended: its record locks go.
pub fn release_all_locks(process: Pid) {
    LOCKS.release_all(LockOwner::Process(process.number()));
}

/// A descriptor was closed: the process's record locks of the file go, whatever other descriptors it has.
pub fn release_locks(task: &Task, open: &OpenFile) {
    LOCKS.release(open.place().inode().identity(), LockOwner::Process(task.process.id.number()));
}
