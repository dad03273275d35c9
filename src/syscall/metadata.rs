//! Attributes of files: stat(2), chmod(2), chown(2), utimensat(2), truncate(2), access(2), statfs(2), and writing back.

use super::arguments::{Fd, UserPath, UserPtr};
use super::directories::{HERE, locate};
use super::transfer::check_file_size;
use crate::hw::clock;
use crate::proc::process::{Answer, Current, Task};
use linux_raw_sys::general;
use logic::errno::Errno;
use logic::fs::abi::{STAT_BYTES, STATFS_BYTES, STATX_BYTES, encode_stat, encode_statfs, encode_statx};
use logic::fs::attributes::{FileKind, Timestamp};
use logic::fs::credentials::Access;
use logic::fs::place::Place;

fn stat_place(task: &Task, place: &Place, target: UserPtr<[u8; STAT_BYTES]>) -> Answer {
    target.write(task, &encode_stat(&place.inode().attributes()?))?;
    Ok(0)
}

/// stat(2).
pub fn stat(current: &mut Current, path: UserPath, target: UserPtr<[u8; STAT_BYTES]>) -> Answer {
    let place = locate(&current.task, HERE, path, 0)?;
    stat_place(&current.task, &place, target)
}

/// lstat(2).
pub fn lstat(current: &mut Current, path: UserPath, target: UserPtr<[u8; STAT_BYTES]>) -> Answer {
    let place = locate(&current.task, HERE, path, general::AT_SYMLINK_NOFOLLOW)?;
    stat_place(&current.task, &place, target)
}

/// fstat(2).
pub fn fstat(current: &mut Current, descriptor: Fd, target: UserPtr<[u8; STAT_BYTES]>) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    stat_place(&current.task, open.place(), target)
}

/// newfstatat(2).
pub fn fstatat(
    current: &mut Current,
    directory: Fd,
    path: UserPath,
    target: UserPtr<[u8; STAT_BYTES]>,
    flags: u32,
) -> Answer {
    if flags & !(general::AT_SYMLINK_NOFOLLOW | general::AT_EMPTY_PATH | general::AT_NO_AUTOMOUNT) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let place = locate(&current.task, directory, path, flags)?;
    stat_place(&current.task, &place, target)
}

/// statx(2): everything that is known, whatever is asked for.
pub fn statx(
    current: &mut Current,
    directory: Fd,
    path: UserPath,
    flags: u32,
    mask: u32,
    target: UserPtr<[u8; STATX_BYTES]>,
) -> Answer {
    const KNOWN: u32 = general::AT_SYMLINK_NOFOLLOW
        | general::AT_EMPTY_PATH
        | general::AT_NO_AUTOMOUNT
        | general::AT_STATX_FORCE_SYNC
        | general::AT_STATX_DONT_SYNC;
    let both = general::AT_STATX_FORCE_SYNC | general::AT_STATX_DONT_SYNC;
    if flags & !KNOWN != 0 || flags & both == both || mask & general::STATX__RESERVED != 0 {
        return Err(Errno::EINVAL.into());
    }
    let place = locate(&current.task, directory, path, flags)?;
    let is_mount_root = place.mount.is_root(&place.dentry);
    let bytes = encode_statx(&place.inode().attributes()?, place.mount.number(), is_mount_root);
    target.write(&current.task, &bytes)?;
    Ok(0)
}

/// statfs(2).
pub fn statfs(current: &mut Current, path: UserPath, target: UserPtr<[u8; STATFS_BYTES]>) -> Answer {
    let place = locate(&current.task, HERE, path, 0)?;
    statfs_place(&current.task, &place, target)
}

/// fstatfs(2).
pub fn fstatfs(current: &mut Current, descriptor: Fd, target: UserPtr<[u8; STATFS_BYTES]>) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    statfs_place(&current.task, open.place(), target)
}

fn statfs_place(task: &Task, place: &Place, target: UserPtr<[u8; STATFS_BYTES]>) -> Answer {
    target.write(task, &encode_statfs(&place.inode().statistics(), place.mount.flags()))?;
    Ok(0)
}

/// access(2).
pub fn access(current: &mut Current, path: UserPath, mode: u32) -> Answer {
    faccessat2(current, HERE, path, mode, 0)
}

/// faccessat(2), which has no flags.
pub fn faccessat(current: &mut Current, directory: Fd, path: UserPath, mode: u32) -> Answer {
    faccessat2(current, directory, path, mode, 0)
}

/// faccessat2(2).
pub fn faccessat2(current: &mut Current, directory: Fd, path: UserPath, mode: u32, flags: u32) -> Answer {
    let wanted = Access::from_bits(mode).ok_or(Errno::EINVAL)?;
    if flags & !(general::AT_EACCESS | general::AT_SYMLINK_NOFOLLOW | general::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let task = &current.task;
    let place = locate(task, directory, path, flags)?;
    let walker = task.walker_as(None, flags & general::AT_EACCESS == 0)?;
    walker.caller().check_access(&place, wanted)?;
    if wanted.contains(Access::WRITE) && !is_device(&place) {
        place.mount.check_writable()?;
    }
    Ok(0)
}

fn is_device(place: &Place) -> bool {
    matches!(
        place.inode().kind(),
        FileKind::CharacterDevice | FileKind::BlockDevice | FileKind::Fifo | FileKind::Socket
    )
}

fn set_permissions(task: &Task, place: &Place, mode: u32) -> Answer {
    let permissions = u16::try_from(mode & 0o7777).unwrap_or(0);
    task.walker(None)?.caller().set_permissions(place, permissions)?;
    Ok(0)
}

/// chmod(2).
pub fn chmod(current: &mut Current, path: UserPath, mode: u32) -> Answer {
    fchmodat(current, HERE, path, mode)
}

/// fchmodat(2), which has no flags.
pub fn fchmodat(current: &mut Current, directory: Fd, path: UserPath, mode: u32) -> Answer {
    let place = locate(&current.task, directory, path, 0)?;
    set_permissions(&current.task, &place, mode)
}

/// fchmod(2).
pub fn fchmod(current: &mut Current, descriptor: Fd, mode: u32) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    if open.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    set_permissions(&current.task, open.place(), mode)
}

fn set_owner(task: &Task, place: &Place, user: u32, group: u32) -> Answer {
    let given = |id: u32| (id != u32::MAX).then_some(id);
    task.walker(None)?.caller().set_owner(place, given(user), given(group))?;
    Ok(0)
}

/// chown(2).
pub fn chown(current: &mut Current, path: UserPath, user: u32, group: u32) -> Answer {
    fchownat(current, HERE, path, user, group, 0)
}

/// lchown(2).
pub fn lchown(current: &mut Current, path: UserPath, user: u32, group: u32) -> Answer {
    fchownat(current, HERE, path, user, group, general::AT_SYMLINK_NOFOLLOW)
}

/// fchownat(2).
pub fn fchownat(current: &mut Current, directory: Fd, path: UserPath, user: u32, group: u32, flags: u32) -> Answer {
    if flags & !(general::AT_SYMLINK_NOFOLLOW | general::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let place = locate(&current.task, directory, path, flags)?;
    set_owner(&current.task, &place, user, group)
}

/// fchown(2).
pub fn fchown(current: &mut Current, descriptor: Fd, user: u32, group: u32) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    if open.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    set_owner(&current.task, open.place(), user, group)
}

/// truncate(2).
pub fn truncate(current: &mut Current, path: UserPath, size: i64) -> Answer {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    check_file_size(&current.task, size)?;
    let place = locate(&current.task, HERE, path, 0)?;
    current.task.walker(None)?.caller().truncate(&place, size)?;
    Ok(0)
}

/// ftruncate(2).
pub fn ftruncate(current: &mut Current, descriptor: Fd, size: i64) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    check_file_size(&current.task, size)?;
    open.truncate(size)?;
    Ok(0)
}

/// fallocate(2).
pub fn fallocate(current: &mut Current, descriptor: Fd, mode: u32, offset: i64, length: i64) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    let unsigned = |number: i64| u64::try_from(number).map_err(|_| Errno::EINVAL);
    open.allocate(mode, unsigned(offset)?, unsigned(length)?)?;
    Ok(0)
}

/// utimensat(2); futimens(3) passes no path.
pub fn utimensat(current: &mut Current, directory: Fd, path: UserPath, times: UserPtr<[u8; 32]>, flags: u32) -> Answer {
    if flags & !(general::AT_SYMLINK_NOFOLLOW | general::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let task = &current.task;
    let now = now();
    let (accessed, modified, only_now) = match times.non_null() {
        None => (Some(now), Some(now), true),
        Some(times) => {
            let bytes = times.read(task)?;
            let word = |index: usize| i64::from_le_bytes(core::array::from_fn(|byte| bytes[index * 8 + byte]));
            let both = [(word(0), word(1)), (word(2), word(3))];
            let is = |constant: u32| move |(_, nanoseconds): (i64, i64)| nanoseconds == i64::from(constant);
            if both.into_iter().all(is(general::UTIME_OMIT)) {
                return Ok(0);
            }
            let [accessed, modified] = both.map(|time| timestamp(time, now));
            (accessed?, modified?, both.into_iter().all(is(general::UTIME_NOW)))
        }
    };
    let place = if path.0 == 0 && directory != HERE {
        task.files().get(directory.0)?.place().clone()
    } else {
        locate(task, directory, path, flags)?
    };
    task.walker(None)?.caller().set_times(&place, accessed, modified, only_now)?;
    Ok(0)
}

fn timestamp((seconds, nanoseconds): (i64, i64), now: Timestamp) -> Result<Option<Timestamp>, Errno> {
    const SECOND: u32 = 1_000_000_000;
    match u32::try_from(nanoseconds) {
        Ok(general::UTIME_NOW) => Ok(Some(now)),
        Ok(general::UTIME_OMIT) => Ok(None),
        Ok(nanoseconds) if nanoseconds < SECOND => Ok(Some(Timestamp { seconds, nanoseconds })),
        _ => Err(Errno::EINVAL),
    }
}

/// The time of day.
pub fn now() -> Timestamp {
    let logic::time::calendar::UnixTime { seconds, nanoseconds } = clock::wall_clock();
    Timestamp { seconds, nanoseconds }
}

/// sync(2): all files are in memory, and nothing is behind it.
pub fn sync(_: &mut Current) -> Answer {
    Ok(0)
}

/// fsync(2), fdatasync(2).
pub fn fsync(current: &mut Current, descriptor: Fd) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    match open.place().inode().kind() {
        FileKind::Regular | FileKind::Directory | FileKind::BlockDevice => {
            open.place().inode().synchronize()?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

/// syncfs(2).
pub fn syncfs(current: &mut Current, descriptor: Fd) -> Answer {
    current.task.files().get(descriptor.0)?;
    sync(current)
}

/// fadvise64(2): advice that changes nothing.
pub fn fadvise(current: &mut Current, descriptor: Fd, _offset: i64, _length: i64, advice: u32) -> Answer {
    let open = current.task.files().get(descriptor.0)?;
    match open.place().inode().kind() {
        FileKind::Fifo => Err(Errno::ESPIPE.into()),
        _ if advice > general::POSIX_FADV_NOREUSE => Err(Errno::EINVAL.into()),
        _ => Ok(0),
    }
}

/// getxattr(2), listxattr(2) and their kin: there are no such attributes.
pub fn no_attributes(_: &mut Current) -> Answer {
    Err(Errno::EOPNOTSUPP.into())
}
