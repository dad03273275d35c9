//! Who asks, and what that lets them do: the rules of path_resolution(7), unlink(2), chmod(2) and chown(2).

use super::attributes::{Attributes, FileKind};
use crate::errno::Errno;
use alloc::sync::Arc;
use bitflags::bitflags;
use linux_raw_sys::general::{S_ISGID, S_ISVTX, S_IXGRP};

bitflags! {
    /// What somebody wants to do with a file, as access(2) numbers it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Access: u32 {
        /// Run it, or search the directory.
        const EXECUTE = 1;
        /// Write to it.
        const WRITE = 2;
        /// Read it.
        const READ = 4;
    }
}

/// Who asks, as far as files care: credentials(7) calls these the file-system IDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: u32,
    /// The group that new files get.
    pub group: u32,
    /// Further groups.
    pub groups: Arc<[u32]>,
}

impl Credentials {
    /// The superuser.
    pub fn root() -> Self {
        Self { user: 0, group: 0, groups: Arc::from([]) }
    }

    /// Whether rules for others do not hold.
    pub fn is_root(&self) -> bool {
        self.user == 0
    }

    /// Whether this is one of the groups.
    pub fn is_in(&self, group: u32) -> bool {
        self.group == group || self.groups.contains(&group)
    }

    /// Whether somebody may do `wanted` with what has these attributes.
    ///
    /// # Errors
    /// [`Errno::EACCES`].
    pub fn check(&self, attributes: &Attributes, wanted: Access) -> Result<(), Errno> {
        let permissions = u32::from(attributes.permissions);
        if self.is_root() {
            // Root runs only what somebody may run; directories are searched without.
            let runnable = attributes.kind == FileKind::Directory || permissions & 0o111 != 0;
            return if wanted.contains(Access::EXECUTE) && !runnable { Err(Errno::EACCES) } else { Ok(()) };
        }
        let class = match () {
            () if self.user == attributes.user => permissions >> 6,
            () if self.is_in(attributes.group) => permissions >> 3,
            () => permissions,
        };
        if Access::from_bits_truncate(class).contains(wanted) { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// Whether somebody may change what only owners may change.
    ///
    /// # Errors
    /// [`Errno::EPERM`].
    pub fn check_owner(&self, attributes: &Attributes) -> Result<(), Errno> {
        if self.is_root() || self.user == attributes.user { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// Whether somebody may take an entry for `victim` out of `directory`: in sticky ones only one's own.
    ///
    /// # Errors
    /// [`Errno::EACCES`], [`Errno::EPERM`].
    pub fn check_removal(&self, directory: &Attributes, victim: &Attributes) -> Result<(), Errno> {
        self.check(directory, Access::WRITE | Access::EXECUTE)?;
        let sticky = u32::from(directory.permissions) & S_ISVTX != 0;
        if sticky && self.user != directory.user { self.check_owner(victim) } else { Ok(()) }
    }

    /// The permissions that chmod(2) really sets: set-group-ID only for members.
    pub fn settable_permissions(&self, attributes: &Attributes, permissions: u16) -> u16 {
        let permissions = permissions & 0o7777;
        if self.is_root() || self.is_in(attributes.group) { permissions } else { permissions & !(S_ISGID as u16) }
    }

    /// Owner, group and permissions of what somebody makes in `directory`: a set-group-ID directory hands its group down, and
    /// its bit to directories.
    pub fn of_new(&self, directory: &Attributes, kind: FileKind, permissions: u16) -> Ownership {
        let inherits = u32::from(directory.permissions) & S_ISGID != 0;
        let group = if inherits { directory.group } else { self.group };
        let mut permissions = permissions & 0o7777;
        if inherits && kind == FileKind::Directory {
            permissions |= S_ISGID as u16;
        } else if kind != FileKind::Directory
            && u32::from(permissions) & S_IXGRP != 0
            && !self.is_root()
            && !self.is_in(group)
        {
            permissions &= !(S_ISGID as u16);
        }
        Ownership { user: self.user, group, permissions }
    }
}

/// Whose a new object is, and who may do what with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// Its owner.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// Its permissions.
    pub permissions: u16,
}

/// What chown(2) and writing leave of the permissions: nobody gets somebody else's rights by it.
pub fn without_set_id(permissions: u16) -> u16 {
    let bits = u32::from(permissions);
    let group_bit = if bits & S_IXGRP != 0 { S_ISGID as u16 } else { 0 };
    permissions & !(0o4000 | group_bit)
}
