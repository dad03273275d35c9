//! Changes to the tree of names and to attributes, by who may make them: mkdir(2), link(2), unlink(2), rename(2), chmod(2) and
//! their like.
//!
//! Each walks to an entry, checks mount and permissions, has the file system do it, and tells the names in use.

use super::attributes::{AttributeChange, Attributes, FileKind, Timestamp};
use super::credentials::{Access, without_set_id};
use super::inode::{LinkTarget, NewInode, RenameFlags};
use super::mount::MountFlags;
use super::name::Name;
use super::page_cache::Writing;
use super::place::Place;
use super::walk::{Caller, Found, Last, Wanted};
use crate::errno::Errno;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general::PATH_MAX;

impl Caller<'_> {
    /// mkdir(2). `permissions` are lessened by the umask.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn make_directory(&self, path: &[u8], permissions: u16) -> Result<Place, Errno> {
        self.make(path, NewInode::Directory, permissions & 0o1777)
    }

    /// mknod(2), and bind(2) of a socket to a path. Devices are root's to make.
    ///
    /// # Errors
    /// As mknod(2).
    pub fn make_node(&self, path: &[u8], what: NewInode<'_>, permissions: u16) -> Result<Place, Errno> {
        match what {
            NewInode::Directory | NewInode::Symlink(_) => Err(Errno::EPERM),
            NewInode::CharacterDevice(_) | NewInode::BlockDevice(_) if !self.credentials.is_root() => Err(Errno::EPERM),
            _ => self.make(path, what, permissions),
        }
    }

    /// symlink(2).
    ///
    /// # Errors
    /// As symlink(2).
    pub fn make_symlink(&self, text: &[u8], path: &[u8]) -> Result<Place, Errno> {
        match text.len() {
            0 => Err(Errno::ENOENT),
            length if length >= PATH_MAX as usize => Err(Errno::ENAMETOOLONG),
            _ => {
                let unmasked = Caller { umask: 0, ..*self };
                unmasked.make(path, NewInode::Symlink(text), 0o777)
            }
        }
    }

    fn make(&self, path: &[u8], what: NewInode<'_>, permissions: u16) -> Result<Place, Errno> {
        let found = self.walk(path, Wanted::Entry)?;
        let name = found.name(Errno::EEXIST)?;
        if found.place.is_some() {
            return Err(Errno::EEXIST);
        }
        if found.trailing_slash && what.kind() != FileKind::Directory {
            return Err(Errno::ENOENT);
        }
        self.make_at(&found.parent, name, what, permissions)
    }

    /// Makes an object that is not there yet.
    pub(super) fn make_at(
        &self,
        parent: &Place,
        name: Name<'_>,
        what: NewInode<'_>,
        permissions: u16,
    ) -> Result<Place, Errno> {
        let directory = self.writable_directory(parent)?;
        let owner = self.credentials.of_new(&directory, what.kind(), permissions & !self.umask);
        let inode = parent.inode().create(name, what, owner)?;
        Ok(Place { mount: parent.mount.clone(), dentry: parent.dentry.child(name, inode) })
    }

    /// The attributes of a directory in which somebody may make entries.
    pub(super) fn writable_directory(&self, directory: &Place) -> Result<Attributes, Errno> {
        directory.mount.check_writable()?;
        let attributes = directory.inode().attributes()?;
        self.credentials.check(&attributes, Access::WRITE | Access::EXECUTE)?;
        Ok(attributes)
    }

    /// link(2): gives what is at `existing` a name more.
    ///
    /// # Errors
    /// As link(2).
    pub fn link(&self, existing: &Place, path: &[u8]) -> Result<(), Errno> {
        let found = self.walk(path, Wanted::Entry)?;
        let name = found.name(Errno::EEXIST)?;
        if found.place.is_some() {
            return Err(Errno::EEXIST);
        }
        if found.trailing_slash {
            return Err(Errno::ENOENT);
        }
        if !Arc::ptr_eq(&existing.mount, &found.parent.mount) {
            return Err(Errno::EXDEV);
        }
        self.writable_directory(&found.parent)?;
        if existing.dentry.is_directory() {
            return Err(Errno::EPERM);
        }
        found.parent.inode().link(name, &**existing.inode())
    }

    /// unlink(2).
    ///
    /// # Errors
    /// As unlink(2).
    pub fn unlink(&self, path: &[u8]) -> Result<(), Errno> {
        let found = self.walk(path, Wanted::Entry)?;
        let name = found.name(Errno::EISDIR)?;
        let victim = found.place.as_ref().ok_or(Errno::ENOENT)?;
        if found.trailing_slash {
            return Err(if victim.dentry.is_directory() { Errno::EISDIR } else { Errno::ENOTDIR });
        }
        self.check_removable(&found.parent, victim)?;
        if victim.dentry.is_directory() {
            return Err(Errno::EISDIR);
        }
        found.parent.inode().unlink(name)?;
        found.parent.dentry.forget(name);
        Ok(())
    }

    /// rmdir(2).
    ///
    /// # Errors
    /// As rmdir(2).
    pub fn remove_directory(&self, path: &[u8]) -> Result<(), Errno> {
        let found = self.walk(path, Wanted::Entry)?;
        let name = found.name(match found.last {
            Last::Dot => Errno::EINVAL,
            Last::DotDot => Errno::ENOTEMPTY,
            _ => Errno::EBUSY,
        })?;
        let victim = found.place.as_ref().ok_or(Errno::ENOENT)?;
        self.check_removable(&found.parent, victim)?;
        if !victim.dentry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        found.parent.inode().rmdir(name)?;
        found.parent.dentry.forget(name);
        Ok(())
    }

    fn check_removable(&self, directory: &Place, victim: &Place) -> Result<(), Errno> {
        directory.mount.check_writable()?;
        self.credentials.check_removal(&directory.inode().attributes()?, &victim.inode().attributes()?)?;
        if victim.dentry.is_mount_point() { Err(Errno::EBUSY) } else { Ok(()) }
    }

    /// rename(2): moves `path` to `new_path`, which begins where `to` does.
    ///
    /// # Errors
    /// As rename(2).
    pub fn rename(&self, path: &[u8], to: &Caller<'_>, new_path: &[u8], flags: RenameFlags) -> Result<(), Errno> {
        if flags.contains(RenameFlags::NOREPLACE | RenameFlags::EXCHANGE) {
            return Err(Errno::EINVAL);
        }
        let source = self.walk(path, Wanted::Entry)?;
        let target = to.walk(new_path, Wanted::Entry)?;
        if !Arc::ptr_eq(&source.parent.mount, &target.parent.mount) {
            return Err(Errno::EXDEV);
        }
        let name = source.name(Errno::EBUSY)?;
        let exists = if flags.contains(RenameFlags::NOREPLACE) { Errno::EEXIST } else { Errno::EBUSY };
        let new_name = target.name(exists)?;
        let moved = source.place.as_ref().ok_or(Errno::ENOENT)?;
        let exchange = flags.contains(RenameFlags::EXCHANGE);
        match &target.place {
            Some(_) if flags.contains(RenameFlags::NOREPLACE) => return Err(Errno::EEXIST),
            None if exchange => return Err(Errno::ENOENT),
            _ => {}
        }
        check_slashes(&source, &target, exchange)?;
        self.check_moves(&source, &target, moved)?;
        if let Some(replaced) = &target.place {
            if replaced.inode().identity() == moved.inode().identity() {
                return Ok(());
            }
            self.check_moves(&target, &source, replaced)?;
        } else {
            self.writable_directory(&target.parent)?;
        }
        source.parent.inode().rename(name, &**target.parent.inode(), new_name, flags)?;
        source.parent.dentry.moved(name, &target.parent.dentry, new_name, exchange);
        Ok(())
    }

    /// Whether `moved` may leave `from`; a directory that gets another parent is changed itself, because of its `..`.
    fn check_moves(&self, from: &Found, to: &Found, moved: &Place) -> Result<(), Errno> {
        self.check_removable(&from.parent, moved)?;
        let same_parent = from.parent.inode().identity() == to.parent.inode().identity();
        if moved.dentry.is_directory() && !same_parent {
            self.credentials.check(&moved.inode().attributes()?, Access::WRITE)?;
        }
        Ok(())
    }

    /// The text of a symbolic link: readlink(2).
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if it is none.
    pub fn link_text(&self, place: &Place) -> Result<Vec<u8>, Errno> {
        if let Some(text) = place.inode().link_text()? {
            return Ok(text);
        }
        match place.inode().follow()? {
            LinkTarget::Text(text) => Ok(text),
            LinkTarget::Place(place) => Ok(place.path(self.root)?.into_proc()),
        }
    }

    /// access(2): whether the credentials allow this.
    ///
    /// # Errors
    /// [`Errno::EACCES`], [`Errno::EROFS`].
    pub fn check_access(&self, place: &Place, wanted: Access) -> Result<(), Errno> {
        let attributes = place.inode().attributes()?;
        let has_content = matches!(attributes.kind, FileKind::Regular | FileKind::Directory | FileKind::Symlink);
        if wanted.contains(Access::WRITE) && has_content {
            place.mount.check_writable()?;
        }
        let runs = wanted.contains(Access::EXECUTE) && attributes.kind == FileKind::Regular;
        if runs && place.mount.flags().contains(MountFlags::NOEXEC) {
            return Err(Errno::EACCES);
        }
        self.credentials.check(&attributes, wanted)
    }

    /// Whether somebody may run this file: execve(2).
    ///
    /// # Errors
    /// [`Errno::EACCES`].
    pub fn check_executable(&self, place: &Place) -> Result<(), Errno> {
        if place.inode().kind() != FileKind::Regular {
            return Err(Errno::EACCES);
        }
        self.check_access(place, Access::EXECUTE)
    }

    /// chmod(2).
    ///
    /// # Errors
    /// As chmod(2).
    pub fn set_permissions(&self, place: &Place, permissions: u16) -> Result<(), Errno> {
        place.mount.check_writable()?;
        let attributes = place.inode().attributes()?;
        self.credentials.check_owner(&attributes)?;
        if attributes.kind == FileKind::Symlink {
            return Err(Errno::EOPNOTSUPP);
        }
        let permissions = self.credentials.settable_permissions(&attributes, permissions);
        place.inode().set_attributes(&AttributeChange { permissions: Some(permissions), ..AttributeChange::default() })
    }

    /// chown(2): root may all; owners may give a file to a group they are in.
    ///
    /// # Errors
    /// As chown(2).
    pub fn set_owner(&self, place: &Place, user: Option<u32>, group: Option<u32>) -> Result<(), Errno> {
        place.mount.check_writable()?;
        let attributes = place.inode().attributes()?;
        let credentials = self.credentials;
        if !credentials.is_root() {
            let owns = credentials.user == attributes.user;
            let keeps_user = user.is_none_or(|user| owns && user == attributes.user);
            let group_is_own =
                group.is_none_or(|group| owns && (group == attributes.group || credentials.is_in(group)));
            if !keeps_user || !group_is_own {
                return Err(Errno::EPERM);
            }
        }
        let kept = without_set_id(attributes.permissions);
        let loses_rights = attributes.kind != FileKind::Directory && kept != attributes.permissions;
        let permissions = loses_rights.then_some(kept);
        place.inode().set_attributes(&AttributeChange { user, group, permissions, ..AttributeChange::default() })
    }

    /// utimensat(2). `now` says that both times are to be the present one, which everybody may who may write.
    ///
    /// # Errors
    /// As utimensat(2).
    pub fn set_times(
        &self,
        place: &Place,
        accessed: Option<Timestamp>,
        modified: Option<Timestamp>,
        now: bool,
    ) -> Result<(), Errno> {
        place.mount.check_writable()?;
        if accessed.is_none() && modified.is_none() {
            return Ok(());
        }
        let attributes = place.inode().attributes()?;
        let owns = self.credentials.check_owner(&attributes);
        if now && owns.is_err() {
            self.credentials.check(&attributes, Access::WRITE)?;
        } else {
            owns?;
        }
        place.inode().set_attributes(&AttributeChange { accessed, modified, ..AttributeChange::default() })
    }

    /// truncate(2).
    ///
    /// # Errors
    /// As truncate(2).
    pub fn truncate(&self, place: &Place, size: u64) -> Result<(), Errno> {
        match place.inode().kind() {
            FileKind::Regular => {}
            FileKind::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
        place.mount.check_writable()?;
        let attributes = place.inode().attributes()?;
        self.credentials.check(&attributes, Access::WRITE)?;
        resize(place, &attributes, size)
    }
}

/// Gives a file another size. Who changes a program's content does not get the rights of its owner.
pub(super) fn resize(place: &Place, attributes: &Attributes, size: u64) -> Result<(), Errno> {
    let _writing = place.inode().page_cache().map(Writing::begin).transpose()?;
    let kept = without_set_id(attributes.permissions);
    let permissions = (kept != attributes.permissions).then_some(kept);
    place.inode().set_attributes(&AttributeChange { size: Some(size), permissions, ..AttributeChange::default() })
}

/// A name with a slash behind it has to be a directory's, or to become one.
fn check_slashes(source: &Found, target: &Found, exchange: bool) -> Result<(), Errno> {
    let is_directory = |found: &Found| found.place.as_ref().is_some_and(|place| place.dentry.is_directory());
    let slash_behind_target = target.trailing_slash && !exchange;
    if !is_directory(source) && (source.trailing_slash || slash_behind_target) {
        return Err(Errno::ENOTDIR);
    }
    if exchange && target.trailing_slash && !is_directory(target) {
        return Err(Errno::ENOTDIR);
    }
    Ok(())
}
