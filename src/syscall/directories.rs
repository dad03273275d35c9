//! Names: mkdir(2), unlink(2), rename(2), link(2), readlink(2), getdents64(2), chdir(2), mount(2).

use super::arguments::{Fd, UserBuffer, UserPath, UserPtr, string, zeroed};
use super::blocking::claim;
use super::descriptors::start;
use crate::proc::files;
use crate::proc::process::{Answer, Current, Task, Walker};
use alloc::vec::Vec;
use linux_raw_sys::general;
use logic::errno::Errno;
use logic::fs::attributes::{DeviceNumber, FileKind};
use logic::fs::credentials::Access;
use logic::fs::inode::{NewInode, RenameFlags};
use logic::fs::mount::{Mount, MountFlags};
use logic::fs::place::Place;
use logic::fs::walk::Wanted;

/// The working directory, in the place of a descriptor.
pub const HERE: Fd = Fd(general::AT_FDCWD);

/// Bytes of directory entries that one call answers at most.
const MOST_ENTRIES: usize = 64 * 1024;
/// Bytes of mount(2)'s options.
const MOST_OPTIONS: usize = 4096;

/// A path and who walks it.
pub fn walk(task: &Task, directory: Fd, path: UserPath) -> Result<(Walker, Vec<u8>), Errno> {
    let path = path.read(task)?;
    if path.is_empty() {
        // Whatever the descriptor is.
        return Err(Errno::ENOENT);
    }
    Ok((task.walker(start(task, directory, &path)?)?, path))
}

/// What a path with flags of the `AT_` kind means; a descriptor's own place if the path is empty and may be.
pub fn locate(task: &Task, directory: Fd, path: UserPath, flags: u32) -> Result<Place, Errno> {
    let may_be_empty = flags & general::AT_EMPTY_PATH != 0;
    let text = if may_be_empty && path.0 == 0 { Vec::new() } else { path.read(task)? };
    if text.is_empty() && may_be_empty {
        return match directory.0 {
            general::AT_FDCWD => Ok(task.context()?.directory()),
            number => Ok(task.files().get(number)?.place().clone()),
        };
    }
    if text.is_empty() {
        return Err(Errno::ENOENT);
    }
    let wanted = if flags & general::AT_SYMLINK_NOFOLLOW != 0 { Wanted::Object } else { Wanted::Target };
    task.walker(start(task, directory, &text)?)?.caller().lookup(&text, wanted)
}

fn permissions(mode: u32) -> u16 {
    u16::try_from(mode & 0o7777).unwrap_or(0)
}

/// mkdir(2).
pub fn mkdir(current: &mut Current, path: UserPath, mode: u32) -> Answer {
    mkdirat(current, HERE, path, mode)
}

/// mkdirat(2).
pub fn mkdirat(current: &mut Current, directory: Fd, path: UserPath, mode: u32) -> Answer {
    let (walker, path) = walk(&current.task, directory, path)?;
    walker.caller().make_directory(&path, permissions(mode))?;
    Ok(0)
}

/// mknod(2).
pub fn mknod(current: &mut Current, path: UserPath, mode: u32, device: u64) -> Answer {
    mknodat(current, HERE, path, mode, device)
}

/// mknodat(2).
pub fn mknodat(current: &mut Current, directory: Fd, path: UserPath, mode: u32, device: u64) -> Answer {
    let number = DeviceNumber::decode(device);
    let what = match mode & general::S_IFMT {
        0 | general::S_IFREG => NewInode::Regular,
        general::S_IFIFO => NewInode::Fifo,
        general::S_IFSOCK => NewInode::Socket,
        general::S_IFCHR => NewInode::CharacterDevice(number),
        general::S_IFBLK => NewInode::BlockDevice(number),
        general::S_IFDIR => return Err(Errno::EPERM.into()),
        _ => return Err(Errno::EINVAL.into()),
    };
    let (walker, path) = walk(&current.task, directory, path)?;
    walker.caller().make_node(&path, what, permissions(mode))?;
    Ok(0)
}

/// symlink(2).
pub fn symlink(current: &mut Current, text: UserPath, path: UserPath) -> Answer {
    symlinkat(current, text, HERE, path)
}

/// symlinkat(2).
pub fn symlinkat(current: &mut Current, text: UserPath, directory: Fd, path: UserPath) -> Answer {
    let text = text.read(&current.task)?;
    let (walker, path) = walk(&current.task, directory, path)?;
    walker.caller().make_symlink(&text, &path)?;
    Ok(0)
}

/// link(2).
pub fn link(current: &mut Current, from: UserPath, to: UserPath) -> Answer {
    linkat(current, HERE, from, HERE, to, 0)
}

/// linkat(2).
pub fn linkat(current: &mut Current, from: Fd, old: UserPath, to: Fd, new: UserPath, flags: u32) -> Answer {
    if flags & !(general::AT_SYMLINK_FOLLOW | general::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let task = &current.task;
    let follow = flags & general::AT_SYMLINK_FOLLOW != 0;
    let how = flags & general::AT_EMPTY_PATH | if follow { 0 } else { general::AT_SYMLINK_NOFOLLOW };
    let existing = locate(task, from, old, how)?;
    let (walker, path) = walk(task, to, new)?;
    walker.caller().link(&existing, &path)?;
    Ok(0)
}

/// unlink(2).
pub fn unlink(current: &mut Current, path: UserPath) -> Answer {
    unlinkat(current, HERE, path, 0)
}

/// rmdir(2).
pub fn rmdir(current: &mut Current, path: UserPath) -> Answer {
    unlinkat(current, HERE, path, general::AT_REMOVEDIR)
}

/// unlinkat(2).
pub fn unlinkat(current: &mut Current, directory: Fd, path: UserPath, flags: u32) -> Answer {
    if flags & !general::AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL.into());
    }
    let (walker, path) = walk(&current.task, directory, path)?;
    match flags {
        0 => walker.caller().unlink(&path)?,
        _ => walker.caller().remove_directory(&path)?,
    }
    Ok(0)
}

/// rename(2).
pub fn rename(current: &mut Current, old: UserPath, new: UserPath) -> Answer {
    renameat2(current, HERE, old, HERE, new, 0)
}

/// renameat(2).
pub fn renameat(current: &mut Current, from: Fd, old: UserPath, to: Fd, new: UserPath) -> Answer {
    renameat2(current, from, old, to, new, 0)
}

/// renameat2(2).
pub fn renameat2(current: &mut Current, from: Fd, old: UserPath, to: Fd, new: UserPath, flags: u32) -> Answer {
    let flags = RenameFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if flags.contains(RenameFlags::NOREPLACE | RenameFlags::EXCHANGE) {
        return Err(Errno::EINVAL.into());
    }
    let (walker, path) = walk(&current.task, from, old)?;
    let (new_walker, new_path) = walk(&current.task, to, new)?;
    walker.caller().rename(&path, &new_walker.caller(), &new_path, flags)?;
    Ok(0)
}

/// readlink(2).
pub fn readlink(current: &mut Current, path: UserPath, buffer: UserBuffer) -> Answer {
    readlinkat(current, HERE, path, buffer)
}

/// readlinkat(2).
pub fn readlinkat(current: &mut Current, directory: Fd, path: UserPath, buffer: UserBuffer) -> Answer {
    if buffer.length == 0 {
        return Err(Errno::EINVAL.into());
    }
    let task = &current.task;
    let path = path.read(task)?;
    // An empty path is the link that the descriptor is open for.
    let (walker, place) = match (path.is_empty(), directory) {
        (true, Fd(number)) if number >= 0 => (task.walker(None)?, task.files().get(number)?.place().clone()),
        _ => {
            let walker = task.walker(start(task, directory, &path)?)?;
            let place = walker.caller().lookup(&path, Wanted::Object)?;
            (walker, place)
        }
    };
    let text = walker.caller().link_text(&place)?;
    Ok(buffer.write(task, &text)? as u64)
}

/// getdents64(2).
pub fn getdents64(current: &mut Current, descriptor: Fd, buffer: UserBuffer) -> Answer {
    let task = &current.task;
    let open = task.files().get(descriptor.0)?;
    let mut claim = claim(task, &open)?;
    let mut entries = zeroed(buffer.length.min(MOST_ENTRIES))?;
    let count = claim.read_entries(&mut entries)?;
    buffer.write(task, entries.get(..count).unwrap_or_default())?;
    Ok(count as u64)
}

/// getcwd(2); with the NUL, as the system call counts.
pub fn getcwd(current: &mut Current, buffer: UserBuffer) -> Answer {
    let context = current.task.context()?;
    let text = context.directory().path(&context.root())?;
    if text.deleted {
        return Err(Errno::ENOENT.into());
    }
    let mut bytes = if text.reachable { Vec::new() } else { b"(unreachable)".to_vec() };
    bytes.extend_from_slice(&text.path);
    bytes.push(0);
    if bytes.len() > buffer.length {
        return Err(Errno::ERANGE.into());
    }
    Ok(buffer.write(&current.task, &bytes)? as u64)
}

fn enter(task: &Task, place: Place) -> Answer {
    if !place.dentry.is_directory() {
        return Err(Errno::ENOTDIR.into());
    }
    task.walker(None)?.caller().check_access(&place, Access::EXECUTE)?;
    task.context()?.set_directory(place);
    Ok(0)
}

/// chdir(2).
pub fn chdir(current: &mut Current, path: UserPath) -> Answer {
    let place = locate(&current.task, HERE, path, 0)?;
    enter(&current.task, place)
}

/// fchdir(2).
pub fn fchdir(current: &mut Current, descriptor: Fd) -> Answer {
    let place = current.task.files().get(descriptor.0)?.place().clone();
    enter(&current.task, place)
}

/// chroot(2).
pub fn chroot(current: &mut Current, path: UserPath) -> Answer {
    let task = &current.task;
    let place = locate(task, HERE, path, 0)?;
    if !place.dentry.is_directory() {
        return Err(Errno::ENOTDIR.into());
    }
    if !task.credentials().is_privileged() {
        return Err(Errno::EPERM.into());
    }
    task.context()?.set_root(place);
    Ok(0)
}

/// umask(2).
pub fn umask(current: &mut Current, mask: u32) -> Answer {
    Ok(current.task.context()?.set_umask(permissions(mask)).into())
}

/// mount(2).
pub fn mount(
    current: &mut Current,
    source: UserPtr<u64>,
    target: UserPath,
    kind: UserPtr<u64>,
    flags: u64,
    options: UserPtr<u64>,
) -> Answer {
    let task = &current.task;
    if !task.credentials().is_privileged() {
        return Err(Errno::EPERM.into());
    }
    let text = |pointer: UserPtr<u64>| match pointer.non_null() {
        Some(pointer) => string(task, pointer.address(), MOST_OPTIONS)?.ok_or(Errno::EINVAL),
        None => Ok(Vec::new()),
    };
    let bits = u32::try_from(flags & u64::from(u32::MAX)).unwrap_or(0);
    let place = locate(task, HERE, target, 0)?;
    let mount_flags = MountFlags::from_bits_truncate(bits);
    if bits & general::MS_REMOUNT != 0 {
        if !place.mount.is_root(&place.dentry) {
            return Err(Errno::EINVAL.into());
        }
        place.mount.set_flags(mount_flags);
        return Ok(0);
    }
    if bits & (general::MS_SHARED | general::MS_PRIVATE | general::MS_SLAVE | general::MS_UNBINDABLE) != 0 {
        // There is one namespace: whom mounts are shared with makes no difference.
        return Ok(0);
    }
    if bits & general::MS_MOVE != 0 {
        let moved = locate(task, HERE, UserPath(source.address()), 0)?;
        Mount::relocate(&moved, &place)?;
        return Ok(0);
    }
    if bits & general::MS_BIND != 0 {
        let shown = locate(task, HERE, UserPath(source.address()), 0)?;
        Mount::bind(&place, &shown, mount_flags)?;
        return Ok(0);
    }
    if place.inode().kind() != FileKind::Directory {
        return Err(Errno::ENOTDIR.into());
    }
    let source = text(source)?;
    let file_system = files::file_system(&text(kind)?, &text(options)?)?;
    let mount = Mount::add(&place, file_system, mount_flags)?;
    if !source.is_empty() {
        mount.set_source(&source);
    }
    Ok(0)
}

/// umount2(2).
pub fn umount(current: &mut Current, target: UserPath, flags: u32) -> Answer {
    const KNOWN: u32 = general::MNT_FORCE | general::MNT_DETACH | general::MNT_EXPIRE | general::UMOUNT_NOFOLLOW;
    let task = &current.task;
    if !task.credentials().is_privileged() {
        return Err(Errno::EPERM.into());
    }
    if flags & !KNOWN != 0 || flags & general::MNT_EXPIRE != 0 {
        return Err(Errno::EINVAL.into());
    }
    let how = if flags & general::UMOUNT_NOFOLLOW != 0 { general::AT_SYMLINK_NOFOLLOW } else { 0 };
    let place = locate(task, HERE, target, how)?;
    Mount::remove(place, flags & general::MNT_DETACH != 0)?;
    Ok(0)
}
