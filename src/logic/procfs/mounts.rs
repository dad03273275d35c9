//! /proc/PID/mounts and /proc/PID/mountinfo: what is mounted where, as a process with a certain root sees it.

use crate::errno::Errno;
use crate::fs::attributes::DeviceNumber;
use crate::fs::mount::{Mount, MountFlags};
use crate::fs::place::Place;
use crate::fs::synthetic::Output;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;

/// Mounts that are told at most.
const MOST: usize = 4096;

/// What separates fields.
const SEPARATORS: &[u8] = b" \t";

/// A mount, with the path by which it is reached.
pub type Reached = (Arc<Mount>, Vec<u8>);

/// The mounts that can be reached from a root, that root's own first; what lies on another comes after it.
///
/// # Errors
/// [`Errno::ENOMEM`].
pub fn below(root: &Place) -> Result<Vec<Reached>, Errno> {
    let mut found: Vec<Reached> = Vec::new();
    let mut left = alloc::vec![root.mount.clone()];
    while let Some(mount) = left.pop().filter(|_| found.len() < MOST) {
        let children = mount.children(MOST);
        left.try_reserve(children.len()).map_err(|_| Errno::ENOMEM)?;
        left.extend(children.into_iter().rev());
        let path = match mount.on() {
            _ if Arc::ptr_eq(&mount, &root.mount) => b"/".to_vec(),
            None => continue,
            // A path that is too long for anybody is left out, too.
            Some(on) => match on.path(root) {
                Ok(text) if text.reachable => text.path,
                _ => continue,
            },
        };
        found.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        found.push((mount, path));
    }
    Ok(found)
}

/// Adds the lines of /proc/PID/mounts, as fstab(5) has them.
///
/// # Errors
/// [`Errno::ENOMEM`].
pub fn write_mounts(output: &mut Output, root: &Place) -> Result<(), Errno> {
    for (mount, path) in below(root)? {
        output.push_escaped(mount.source(), b" \t#")?;
        output.push(b" ")?;
        output.push_escaped(&path, SEPARATORS)?;
        write!(output, " {} ", mount.file_system().type_name())?;
        write_flags(output, mount.flags())?;
        output.push(b" 0 0\n")?;
    }
    Ok(())
}

/// Adds the lines of /proc/PID/mountinfo.
///
/// # Errors
/// [`Errno::ENOMEM`].
pub fn write_mountinfo(output: &mut Output, root: &Place) -> Result<(), Errno> {
    for (mount, path) in below(root)? {
        let number = mount.number();
        // Whose parent is not seen is its own, almost: proc(5) says not more than that.
        let parent = mount.on().map_or(number, |on| on.mount.number());
        let DeviceNumber { major, minor } = DeviceNumber::decode(mount.root().inode().identity().device);
        write!(output, "{number} {parent} {major}:{minor} ")?;
        output.push_escaped(&mount.shown_path(), SEPARATORS)?;
        output.push(b" ")?;
        output.push_escaped(&path, SEPARATORS)?;
        output.push(b" ")?;
        write_flags(output, mount.flags())?;
        write!(output, " - {} ", mount.file_system().type_name())?;
        output.push_escaped(mount.source(), b" \t#")?;
        output.push(b" rw\n")?;
    }
    Ok(())
}

fn write_flags(output: &mut Output, flags: MountFlags) -> Result<(), Errno> {
    output.push(if flags.contains(MountFlags::RDONLY) { b"ro" } else { b"rw" })?;
    for (flag, name) in
        [(MountFlags::NOSUID, ",nosuid"), (MountFlags::NODEV, ",nodev"), (MountFlags::NOEXEC, ",noexec")]
    {
        if flags.contains(flag) {
            output.push(name.as_bytes())?;
        }
    }
    output.push(b",relatime")
}
