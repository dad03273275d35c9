//! Who a process is: credentials(7).

use super::arguments::{UserBuffer, UserPtr};
use crate::proc::process::{Answer, Current};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use linux_raw_sys::general;
use logic::errno::Errno;
use logic::process::Credentials;

/// Groups of a process at most.
const MOST_GROUPS: usize = 65_536;

/// getuid(2).
pub fn getuid(current: &mut Current) -> Answer {
    Ok(current.task.credentials().users.real.into())
}

/// geteuid(2).
pub fn geteuid(current: &mut Current) -> Answer {
    Ok(current.task.credentials().users.effective.into())
}

/// getgid(2).
pub fn getgid(current: &mut Current) -> Answer {
    Ok(current.task.credentials().groups.real.into())
}

/// getegid(2).
pub fn getegid(current: &mut Current) -> Answer {
    Ok(current.task.credentials().groups.effective.into())
}

/// Changes the task's credentials.
fn change<T>(current: &Current, change: impl FnOnce(&mut Credentials) -> Result<T, Errno>) -> Result<T, Errno> {
    let old = current.task.credentials();
    let mut new = (*old).clone();
    let result = change(&mut new)?;
    let acts_as = |of: &Credentials| [&of.users, &of.groups].map(|of| (of.effective, of.file_system));
    if acts_as(&new) != acts_as(&old) {
        // Its memory may hold what it could do before.
        current.task.process.is_private.store(true, Ordering::Relaxed);
        // It was asked for by who had other rights (PR_SET_PDEATHSIG(2const)).
        current.task.parent_death_signal.store(0, Ordering::Relaxed);
    }
    *current.task.credentials.lock() = Arc::new(new);
    Ok(result)
}

/// setuid(2).
pub fn setuid(current: &mut Current, user: u32) -> Answer {
    change(current, |credentials| credentials.set_user(user))?;
    Ok(0)
}

/// setgid(2).
pub fn setgid(current: &mut Current, group: u32) -> Answer {
    change(current, |credentials| credentials.set_group(group))?;
    Ok(0)
}

/// setreuid(2).
pub fn setreuid(current: &mut Current, real: u32, effective: u32) -> Answer {
    change(current, |credentials| credentials.set_users(real, effective))?;
    Ok(0)
}

/// setregid(2).
pub fn setregid(current: &mut Current, real: u32, effective: u32) -> Answer {
    change(current, |credentials| credentials.set_groups(real, effective))?;
    Ok(0)
}

/// setresuid(2).
pub fn setresuid(current: &mut Current, real: u32, effective: u32, saved: u32) -> Answer {
    change(current, |credentials| credentials.set_all_users([real, effective, saved]))?;
    Ok(0)
}

/// setresgid(2).
pub fn setresgid(current: &mut Current, real: u32, effective: u32, saved: u32) -> Answer {
    change(current, |credentials| credentials.set_all_groups([real, effective, saved]))?;
    Ok(0)
}

/// getresuid(2).
pub fn getresuid(current: &mut Current, real: UserPtr<u32>, effective: UserPtr<u32>, saved: UserPtr<u32>) -> Answer {
    let users = current.task.credentials().users;
    real.write(&current.task, &users.real)?;
    effective.write(&current.task, &users.effective)?;
    saved.write(&current.task, &users.saved)?;
    Ok(0)
}

/// getresgid(2).
pub fn getresgid(current: &mut Current, real: UserPtr<u32>, effective: UserPtr<u32>, saved: UserPtr<u32>) -> Answer {
    let groups = current.task.credentials().groups;
    real.write(&current.task, &groups.real)?;
    effective.write(&current.task, &groups.effective)?;
    saved.write(&current.task, &groups.saved)?;
    Ok(0)
}

/// setfsuid(2).
pub fn setfsuid(current: &mut Current, user: u32) -> Answer {
    Ok(change(current, |credentials| Ok(credentials.set_file_system_user(user)))?.into())
}

/// setfsgid(2).
pub fn setfsgid(current: &mut Current, group: u32) -> Answer {
    Ok(change(current, |credentials| Ok(credentials.set_file_system_group(group)))?.into())
}

/// getgroups(2).
pub fn getgroups(current: &mut Current, count: i32, target: UserPtr<u32>) -> Answer {
    let credentials = current.task.credentials();
    let groups = credentials.supplementary();
    let room = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    if room == 0 {
        return Ok(groups.len() as u64);
    }
    if room < groups.len() {
        return Err(Errno::EINVAL.into());
    }
    let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_le_bytes()).collect();
    current.task.write(target.address(), &bytes)?;
    Ok(groups.len() as u64)
}

/// setgroups(2).
pub fn setgroups(current: &mut Current, count: usize, source: UserPtr<u32>) -> Answer {
    if !current.task.credentials().is_privileged() {
        return Err(Errno::EPERM.into());
    }
    if count > MOST_GROUPS {
        return Err(Errno::EINVAL.into());
    }
    let buffer = UserBuffer { address: source.address(), length: count * 4 };
    let bytes = buffer.read(&current.task, MOST_GROUPS * 4)?;
    let groups = bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
    change(current, |credentials| credentials.set_supplementary(groups))?;
    Ok(0)
}

/// capget(2): root has all, others none.
pub fn capget(current: &mut Current, header: UserPtr<[u8; 8]>, data: UserPtr<[u8; 24]>) -> Answer {
    let task = &current.task;
    let head = header.read(task)?;
    let version = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    if version != general::_LINUX_CAPABILITY_VERSION_3 {
        let mut answer = head;
        answer[..4].copy_from_slice(&general::_LINUX_CAPABILITY_VERSION_3.to_le_bytes());
        header.write(task, &answer)?;
        return if data.is_null() { Ok(0) } else { Err(Errno::EINVAL.into()) };
    }
    let has_all = task.credentials().is_privileged();
    let mut bytes = [0; 24];
    if has_all {
        // Effective, permitted, inheritable; of the 41 that there are, 9 are in the second half.
        bytes[..8].fill(0xff);
        bytes[12..14].copy_from_slice(&[0xff, 0x01]);
        bytes[16..18].copy_from_slice(&[0xff, 0x01]);
    }
    data.write_if_any(task, &bytes)?;
    Ok(0)
}

/// capset(2): accepted from root, without effect.
pub fn capset(current: &mut Current, _: u64, _: u64) -> Answer {
    if current.task.credentials().is_privileged() { Ok(0) } else { Err(Errno::EPERM.into()) }
}
