//! open(2): from a path and flags to an open description.

use super::attributes::{DeviceNumber, FileKind};
use super::credentials::Access;
use super::dentry::Dentry;
use super::file::File;
use super::inode::{Anchor, NewInode};
use super::mount::MountFlags;
use super::open_file::{OpenFile, StatusFlags};
use super::page_cache::Writing;
use super::place::Place;
use super::tree;
use super::walk::{Caller, Wanted};
use crate::errno::Errno;
use alloc::format;
use alloc::sync::Arc;
use linux_raw_sys::general;

/// Where files come from that live in no file system.
pub trait SpecialFiles: Sync {
    /// Opens a device, of bytes or of blocks.
    ///
    /// # Errors
    /// [`Errno::ENXIO`] if there is none of that number; what its driver answers.
    fn open_device(&self, kind: FileKind, number: DeviceNumber, opening: Opening) -> Result<Arc<dyn File>, Errno>;

    /// Opens a fifo; its pipe hangs at `anchor`. Who opens one side waits for the other above here, as fifo(7) says.
    ///
    /// # Errors
    /// [`Errno::ENXIO`] if it is opened only to be written, with `O_NONBLOCK`, and nobody reads.
    fn open_fifo(&self, anchor: &Anchor, opening: Opening) -> Result<Arc<dyn File>, Errno>;
}

/// How something is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// For reading, for writing.
    pub access: Access,
    /// With which flags.
    pub flags: StatusFlags,
    /// Whether a terminal must not become the controlling one (`O_NOCTTY`).
    pub no_controlling_terminal: bool,
}

impl Caller<'_> {
    /// open(2). Bits of `flags` that mean nothing do not count; `O_CLOEXEC` is the descriptor's, so the caller's.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(
        &self,
        path: &[u8],
        flags: u32,
        permissions: u16,
        special: &dyn SpecialFiles,
    ) -> Result<Arc<OpenFile>, Errno> {
        let has = |flag: u32| flags & flag == flag;
        if has(general::O_PATH) {
            let wanted = if has(general::O_NOFOLLOW) { Wanted::Object } else { Wanted::Target };
            return open_path(self.lookup(path, wanted)?, flags);
        }
        if has(general::O_TMPFILE) {
            return self.open_unnamed(path, flags, permissions, special);
        }
        if !has(general::O_CREAT) {
            let wanted = if has(general::O_NOFOLLOW) { Wanted::Object } else { Wanted::Target };
            return self.open_place(self.lookup(path, wanted)?, flags, special);
        }
        if has(general::O_DIRECTORY) {
            return Err(Errno::EINVAL);
        }
        let wanted = match () {
            () if has(general::O_EXCL) => Wanted::Entry,
            () if has(general::O_NOFOLLOW) => Wanted::Object,
            () => Wanted::Target,
        };
        // Once more if somebody made it between looking and making; not for ever.
        for _ in 0..16 {
            let found = self.walk(path, wanted)?;
            match &found.place {
                Some(_) if has(general::O_EXCL) => return Err(Errno::EEXIST),
                Some(place) if place.dentry.is_directory() => return Err(Errno::EISDIR),
                Some(place) => return self.open_place(place.clone(), flags, special),
                None if found.trailing_slash => return Err(Errno::EISDIR),
                None => {}
            }
            let name = found.name(Errno::EISDIR)?;
            match self.make_at(&found.parent, name, NewInode::Regular, permissions) {
                // Who makes a file may open it as he likes, whatever its permissions.
                Ok(place) => return self.open_checked(place, flags, special),
                Err(Errno::EEXIST) if !has(general::O_EXCL) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Opens what is at a place: a path that is walked already, or a descriptor's with `AT_EMPTY_PATH`.
    ///
    /// # Errors
    /// As open(2).
    pub fn open_place(&self, place: Place, flags: u32, special: &dyn SpecialFiles) -> Result<Arc<OpenFile>, Errno> {
        let attributes = place.inode().attributes()?;
        let truncates = flags & general::O_TRUNC != 0;
        let mut wanted = access_of(flags);
        if flags & general::O_ACCMODE == general::O_ACCMODE {
            wanted = Access::READ | Access::WRITE;
        }
        if truncates && attributes.kind == FileKind::Regular {
            wanted |= Access::WRITE;
        }
        match attributes.kind {
            FileKind::Symlink if flags & general::O_DIRECTORY != 0 => return Err(Errno::ENOTDIR),
            FileKind::Symlink => return Err(Errno::ELOOP),
            FileKind::Directory if truncates || wanted.contains(Access::WRITE) => return Err(Errno::EISDIR),
            FileKind::Directory => {}
            _ if flags & general::O_DIRECTORY != 0 => return Err(Errno::ENOTDIR),
            FileKind::CharacterDevice | FileKind::BlockDevice if place.mount.flags().contains(MountFlags::NODEV) => {
                return Err(Errno::EACCES);
            }
            _ => {}
        }
        self.check_access(&place, wanted)?;
        if flags & general::O_NOATIME != 0 {
            self.credentials.check_owner(&attributes)?;
        }
        if truncates && attributes.kind == FileKind::Regular {
            let open = self.open_checked(place, flags, special)?;
            tree::resize(open.place(), &attributes, 0)?;
            return Ok(open);
        }
        self.open_checked(place, flags, special)
    }

    fn open_unnamed(
        &self,
        path: &[u8],
        flags: u32,
        permissions: u16,
        special: &dyn SpecialFiles,
    ) -> Result<Arc<OpenFile>, Errno> {
        if !access_of(flags).contains(Access::WRITE) {
            return Err(Errno::EINVAL);
        }
        let directory = self.lookup(path, Wanted::Target)?;
        if !directory.dentry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let attributes = self.writable_directory(&directory)?;
        let owner = self.credentials.of_new(&attributes, FileKind::Regular, permissions & !self.umask);
        let linkable = flags & general::O_EXCL == 0;
        let inode = directory.inode().create_unnamed(owner, linkable)?;
        // The name that Linux shows in /proc/self/fd.
        let name = format!("#{}", inode.identity().inode);
        let dentry = Dentry::unnamed(inode, &directory.dentry, name.as_bytes());
        self.open_checked(Place { mount: directory.mount, dentry }, flags, special)
    }

    /// Opens without asking for permission.
    fn open_checked(&self, place: Place, flags: u32, special: &dyn SpecialFiles) -> Result<Arc<OpenFile>, Errno> {
        let opening = Opening {
            access: access_of(flags),
            flags: kept_flags(flags),
            no_controlling_terminal: flags & general::O_NOCTTY != 0,
        };
        let inode = place.inode();
        let is_written = opening.access.contains(Access::WRITE);
        let written = inode.page_cache().filter(|_| is_written);
        let writing = written.map(Writing::begin).transpose()?;
        let file: Arc<dyn File> = match inode.kind() {
            FileKind::Directory => Arc::new(DirectoryFile),
            kind @ (FileKind::CharacterDevice | FileKind::BlockDevice) => {
                special.open_device(kind, inode.attributes()?.special, opening)?
            }
            FileKind::Fifo => special.open_fifo(inode.anchor().ok_or(Errno::ENXIO)?, opening)?,
            FileKind::Socket => return Err(Errno::ENXIO),
            FileKind::Regular | FileKind::Symlink => inode.clone().open()?,
        };
        Ok(OpenFile::with_claim(file, place, opening.access, opening.flags, writing))
    }
}

/// Opens a place as such: `O_PATH`.
fn open_path(place: Place, flags: u32) -> Result<Arc<OpenFile>, Errno> {
    if flags & general::O_DIRECTORY != 0 && !place.dentry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    let kept =
        StatusFlags::PATH | StatusFlags::from_bits_truncate(flags) & (StatusFlags::DIRECTORY | StatusFlags::NOFOLLOW);
    Ok(OpenFile::new(Arc::new(DirectoryFile), place, Access::empty(), kept))
}

fn access_of(flags: u32) -> Access {
    match flags & general::O_ACCMODE {
        general::O_RDONLY => Access::READ,
        general::O_WRONLY => Access::WRITE,
        general::O_RDWR => Access::READ | Access::WRITE,
        // For ioctl(2) alone: open(2), notes.
        _ => Access::empty(),
    }
}

fn kept_flags(flags: u32) -> StatusFlags {
    StatusFlags::from_bits_truncate(flags).difference(StatusFlags::PATH).union(StatusFlags::LARGEFILE)
}

/// An open directory, and what `O_PATH` opens: neither is read or written as bytes.
struct DirectoryFile;

impl File for DirectoryFile {
    fn read(&self, _position: u64, _bytes: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn write(&self, _position: u64, _bytes: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }
}
