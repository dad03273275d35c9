//! The open description: what open(2) makes, and dup(2) and fork(2) share.
//!
//! Kinds with positions are read and written by who has the position: [`OpenFile::claim_position`]. POSIX wants read, write and
//! lseek to be one step each for all who share a description; so a claim lasts for a whole call, though the call may go piece by
//! piece, and may even wait. Who does not get it lines up for the [turn](OpenFile::position_turn). No spinning lock is held meanwhile.

use super::attributes::FileKind;
use super::credentials::Access;
use super::file::File;
use super::inode::Entry;
use super::locks::{FileLocks, LockKind, LockOwner, LockRange};
use super::page_cache::{Allocation, Mapping, Writing};
use super::place::Place;
use super::tree;
use crate::errno::Errno;
use crate::mem::backing::{Backing, BackingName, NoPage};
use crate::mem::page::Page;
use crate::sync::turn::Taken;
use crate::sync::{IrqLock, Rank, Turn};
use alloc::string::String;
use alloc::sync::Arc;
use bitflags::bitflags;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use linux_raw_sys::general;

bitflags! {
    /// Status flags of an open description (fcntl(2), F_GETFL), without the access mode.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct StatusFlags: u32 {
        /// Writes go to the end.
        const APPEND = general::O_APPEND;
        /// Nothing waits.
        const NONBLOCK = general::O_NONBLOCK;
        /// Signals when ready.
        const ASYNC = general::FASYNC;
        /// Past the cache.
        const DIRECT = general::O_DIRECT;
        /// Reading leaves no time.
        const NOATIME = general::O_NOATIME;
        /// Data is on the disk when write(2) returns.
        const DSYNC = general::O_DSYNC;
        /// So is all else.
        const SYNC = general::O_SYNC;
        /// Large files; always said, never asked.
        const LARGEFILE = general::O_LARGEFILE;
        /// It was opened as a directory.
        const DIRECTORY = general::O_DIRECTORY;
        /// Only the place is open.
        const PATH = general::O_PATH;
        /// It was not to be a link.
        const NOFOLLOW = general::O_NOFOLLOW;
    }
}

/// What F_SETFL changes.
const CHANGEABLE: StatusFlags = StatusFlags::APPEND
    .union(StatusFlags::NONBLOCK)
    .union(StatusFlags::ASYNC)
    .union(StatusFlags::DIRECT)
    .union(StatusFlags::NOATIME);

/// Where lseek(2) counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// From the start.
    Set(i64),
    /// From the position.
    Current(i64),
    /// From the end.
    End(i64),
    /// To the next data.
    Data(i64),
    /// To the next hole.
    Hole(i64),
}

impl Seek {
    /// As lseek(2) numbers it.
    ///
    /// # Errors
    /// [`Errno::EINVAL`].
    pub const fn new(whence: u32, offset: i64) -> Result<Self, Errno> {
        Ok(match whence {
            general::SEEK_SET => Self::Set(offset),
            general::SEEK_CUR => Self::Current(offset),
            general::SEEK_END => Self::End(offset),
            general::SEEK_DATA => Self::Data(offset),
            general::SEEK_HOLE => Self::Hole(offset),
            _ => return Err(Errno::EINVAL),
        })
    }
}

/// An open description.
pub struct OpenFile {
    number: u64,
    file: Arc<dyn File>,
    place: Place,
    access: Access,
    flags: AtomicU32,
    position: IrqLock<u64>,
    position_turn: Turn,
    /// Where it may have locks, which go with it.
    locks: spin::Once<&'static FileLocks>,
    /// That nobody runs what it may write to. Mappings share it, and may outlive this.
    writing: Option<Arc<Writing>>,
}

impl OpenFile {
    /// `file`, opened at `place` for reading and writing as `access` says.
    pub fn new(file: Arc<dyn File>, place: Place, access: Access, flags: StatusFlags) -> Arc<Self> {
        Self::with_claim(file, place, access, flags, None)
    }

    /// The same, of a file that may be written to.
    pub(super) fn with_claim(
        file: Arc<dyn File>,
        place: Place,
        access: Access,
        flags: StatusFlags,
        writing: Option<Writing>,
    ) -> Arc<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            number: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            file,
            place,
            access,
            flags: AtomicU32::new(flags.bits()),
            position: IrqLock::new(Rank::File, 0),
            position_turn: Turn::new(),
            locks: spin::Once::new(),
            writing: writing.map(Arc::new),
        })
    }

    /// Tells it from all others, ever: for locks, and for epoll(7).
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The file, as its kind has it.
    pub fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What it is open for.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Its status flags.
    pub fn flags(&self) -> StatusFlags {
        StatusFlags::from_bits_truncate(self.flags.load(Ordering::Relaxed))
    }

    /// F_GETFL: status flags and access mode as open(2) numbers them.
    pub fn status(&self) -> u32 {
        let mode = match (self.access.contains(Access::READ), self.access.contains(Access::WRITE)) {
            (true, true) => general::O_RDWR,
            (false, true) => general::O_WRONLY,
            _ => general::O_RDONLY,
        };
        self.flags().bits() | mode
    }

    /// F_SETFL: changes what can be changed; the rest of `bits` does not count.
    pub fn set_status(&self, bits: u32) {
        let wanted = StatusFlags::from_bits_truncate(bits) & CHANGEABLE;
        let change = |flags: u32| Some(flags & !CHANGEABLE.bits() | wanted.bits());
        // It always has an answer.
        let _ = self.flags.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    /// Whether only its place is open (`O_PATH`).
    pub fn is_path_only(&self) -> bool {
        self.flags().contains(StatusFlags::PATH)
    }

    /// Whether it has a position, so that reading and writing need [`OpenFile::claim_position`].
    pub fn has_position(&self) -> bool {
        self.is_directory() || self.file.end().is_ok()
    }

    fn is_directory(&self) -> bool {
        self.place.inode().kind() == FileKind::Directory
    }

    fn check(&self, wanted: Access) -> Result<(), Errno> {
        if self.is_path_only() || !self.access.contains(wanted) { Err(Errno::EBADF) } else { Ok(()) }
    }

    /// The position, for one call. None if another call has it: line up for the [turn](OpenFile::position_turn).
    pub fn claim_position(&self) -> Option<PositionClaim<'_>> {
        self.position_turn.try_take().map(|turn| self.claim_in_turn(turn))
    }

    /// The position, for who has the [turn](OpenFile::position_turn).
    pub fn claim_in_turn<'a>(&'a self, turn: Taken<'a>) -> PositionClaim<'a> {
        PositionClaim { open: self, value: self.position(), _turn: turn }
    }

    /// Where the position is; a call that has it meanwhile has not moved it yet.
    pub fn position(&self) -> u64 {
        *self.position.lock()
    }

    /// Whose turn it is to have the position.
    pub fn position_turn(&self) -> &Turn {
        &self.position_turn
    }

    /// Reads what has no position.
    ///
    /// # Errors
    /// [`Errno::EBADF`], as [`File::read`].
    pub fn read(&self, bytes: &mut [u8]) -> Result<usize, Errno> {
        self.check(Access::READ)?;
        self.file.read(0, bytes)
    }

    /// Writes to what has no position. With `O_DIRECT`, packets go into a pipe.
    ///
    /// # Errors
    /// [`Errno::EBADF`], as [`File::write`].
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.check(Access::WRITE)?;
        let file: &dyn core::any::Any = &*self.file;
        if self.flags().contains(StatusFlags::DIRECT)
            && let Some(end) = file.downcast_ref::<crate::ipc::pipe::End>()
        {
            return end.write_packets(bytes);
        }
        self.file.write(0, bytes)
    }

    /// pread(2).
    ///
    /// # Errors
    /// As pread(2).
    pub fn read_at(&self, position: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        self.check(Access::READ)?;
        self.check_offset(position)?;
        self.file.read(position, bytes)
    }

    /// pwrite(2); with `O_APPEND` it writes to the end all the same, as Linux does.
    ///
    /// # Errors
    /// As pwrite(2).
    pub fn write_at(&self, position: u64, bytes: &[u8]) -> Result<usize, Errno> {
        self.check(Access::WRITE)?;
        self.check_offset(position)?;
        if self.flags().contains(StatusFlags::APPEND) {
            return Ok(self.file.append(bytes)?.0);
        }
        self.file.write(position, bytes)
    }

    fn check_offset(&self, position: u64) -> Result<(), Errno> {
        if self.is_directory() {
            return Err(Errno::EISDIR);
        }
        self.file.end()?;
        if i64::try_from(position).is_ok() { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// ftruncate(2).
    ///
    /// # Errors
    /// As ftruncate(2).
    pub fn truncate(&self, size: u64) -> Result<(), Errno> {
        if self.is_path_only() {
            return Err(Errno::EBADF);
        }
        if !self.access.contains(Access::WRITE) || self.place.inode().kind() != FileKind::Regular {
            return Err(Errno::EINVAL);
        }
        tree::resize(&self.place, &self.place.inode().attributes()?, size)
    }

    /// fallocate(2), with its mode bits.
    ///
    /// # Errors
    /// As fallocate(2).
    pub fn allocate(&self, mode: u32, offset: u64, length: u64) -> Result<(), Errno> {
        self.check(Access::WRITE)?;
        const PUNCH: u32 = general::FALLOC_FL_PUNCH_HOLE | general::FALLOC_FL_KEEP_SIZE;
        const ZERO_KEEP: u32 = general::FALLOC_FL_ZERO_RANGE | general::FALLOC_FL_KEEP_SIZE;
        let what = match mode {
            0 => Allocation::Extend,
            general::FALLOC_FL_KEEP_SIZE => Allocation::KeepSize,
            PUNCH => Allocation::PunchHole,
            general::FALLOC_FL_ZERO_RANGE => Allocation::Zero,
            ZERO_KEEP => Allocation::ZeroKeepSize,
            _ => return Err(Errno::EOPNOTSUPP),
        };
        let end = offset.checked_add(length).ok_or(Errno::EFBIG)?;
        if length == 0 {
            return Err(Errno::EINVAL);
        }
        match self.place.inode().kind() {
            FileKind::Regular => {}
            FileKind::Directory => return Err(Errno::EISDIR),
            FileKind::Fifo => return Err(Errno::ESPIPE),
            _ => return Err(Errno::ENODEV),
        }
        self.place.inode().page_cache().ok_or(Errno::EOPNOTSUPP)?.allocate(offset..end, what)
    }

    /// flock(2), in the system's `locks`; the lock goes with the description.
    ///
    /// # Errors
    /// As [`FileLocks::set_whole`]; [`Errno::EBADF`].
    pub fn lock_whole(&self, locks: &'static FileLocks, kind: Option<LockKind>) -> Result<(), Errno> {
        if self.is_path_only() {
            return Err(Errno::EBADF);
        }
        self.locks.call_once(|| locks).set_whole(self.place.inode().identity(), self.number, kind)
    }

    /// fcntl(2), F_SETLK of `process` or, without one, F_OFD_SETLK, in the system's `locks`. The description's own locks go with it.
    ///
    /// # Errors
    /// As [`FileLocks::set_range`]; [`Errno::EBADF`] if it is not open for what the lock is about.
    pub fn lock_range(
        &self,
        locks: &'static FileLocks,
        process: Option<u32>,
        range: LockRange,
        kind: Option<LockKind>,
    ) -> Result<(), Errno> {
        self.check(match kind {
            Some(LockKind::Shared) => Access::READ,
            Some(LockKind::Exclusive) => Access::WRITE,
            None => Access::empty(),
        })?;
        let owner = process.map_or(LockOwner::Description(self.number), LockOwner::Process);
        self.locks.call_once(|| locks).set_range(self.place.inode().identity(), owner, range, kind)
    }

    /// What a mapping of it shows.
    ///
    /// # Errors
    /// [`Errno::ENODEV`] if it cannot be mapped; rights are the caller's to check, by [`OpenFile::access`].
    pub fn backing(&self) -> Result<Arc<dyn Backing>, Errno> {
        match self.place.inode().page_cache() {
            Some(cache) => Ok(Arc::new(FileMapping {
                cache: Mapping::new(cache),
                place: self.place.clone(),
                _writing: self.writing.clone(),
            })),
            None => self.file.backing(),
        }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if let Some(locks) = self.locks.get() {
            locks.release(self.place.inode().identity(), LockOwner::Description(self.number));
        }
    }
}

/// The position of an open description, in the hands of one call. Dropping it sets the position free.
pub struct PositionClaim<'a> {
    open: &'a OpenFile,
    value: u64,
    _turn: Taken<'a>,
}

impl PositionClaim<'_> {
    /// The position.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// read(2).
    ///
    /// # Errors
    /// As read(2).
    pub fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Errno> {
        self.open.check(Access::READ)?;
        if self.open.is_directory() {
            return Err(Errno::EISDIR);
        }
        let count = self.open.file.read(self.value, bytes)?;
        self.value = self.value.saturating_add(count as u64);
        Ok(count)
    }

    /// write(2), to the end with `O_APPEND`.
    ///
    /// # Errors
    /// As write(2).
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        self.open.check(Access::WRITE)?;
        if self.open.flags().contains(StatusFlags::APPEND) {
            let (count, end) = self.open.file.append(bytes)?;
            self.value = end;
            return Ok(count);
        }
        let count = self.open.file.write(self.value, bytes)?;
        self.value = self.value.saturating_add(count as u64);
        Ok(count)
    }

    /// lseek(2). Of a directory, positions are what [`PositionClaim::next_entry`] left.
    ///
    /// # Errors
    /// As lseek(2).
    pub fn seek(&mut self, seek: Seek) -> Result<u64, Errno> {
        if self.open.is_path_only() {
            return Err(Errno::EBADF);
        }
        let file = &self.open.file;
        let end = || if self.open.is_directory() { Err(Errno::EINVAL) } else { file.end() };
        let unsigned = |offset: i64| u64::try_from(offset).map_err(|_| Errno::ENXIO);
        let moved = |base: u64, offset: i64| base.checked_add_signed(offset).ok_or(Errno::EINVAL);
        let value = match seek {
            Seek::Set(offset) => moved(0, offset)?,
            Seek::Current(offset) => moved(self.value, offset)?,
            Seek::End(offset) => moved(end()?, offset)?,
            Seek::Data(offset) => file.seek_data(unsigned(offset)?)?,
            Seek::Hole(offset) => file.seek_hole(unsigned(offset)?)?,
        };
        if i64::try_from(value).is_err() {
            return Err(Errno::EINVAL);
        }
        self.value = value;
        Ok(value)
    }

    /// The next entry of a directory, `.` and `..` first: getdents(2). [`PositionClaim::take_entry`] goes past it.
    ///
    /// # Errors
    /// [`Errno::EBADF`], [`Errno::ENOTDIR`], as [`super::inode::Inode::next_entry`].
    pub fn next_entry(&self) -> Result<Option<Entry>, Errno> {
        self.open.check(Access::READ)?;
        let place = &self.open.place;
        if !self.open.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let itself = |cookie, inode: u64, name: &[u8]| {
            Ok(Some(Entry { cookie, inode, kind: FileKind::Directory, name: name.into() }))
        };
        let number = place.inode().identity().inode;
        match self.value {
            0 => itself(1, number, b"."),
            1 => itself(2, place.dentry.parent().map_or(number, |parent| parent.inode().identity().inode), b".."),
            after => place.inode().next_entry(after),
        }
    }

    /// Goes on after `entry`.
    pub fn take_entry(&mut self, entry: &Entry) {
        self.value = entry.cookie;
    }
}

impl Drop for PositionClaim<'_> {
    fn drop(&mut self) {
        *self.open.position.lock() = self.value;
    }
}

/// A mapped file: its page cache, and the name by which it was opened.
struct FileMapping {
    cache: Mapping,
    place: Place,
    /// As the description has it: even a private mapping of what was open for writing keeps others from running it, as on Linux.
    _writing: Option<Arc<Writing>>,
}

impl Backing for FileMapping {
    fn page(&self, index: u64) -> Result<Page, NoPage> {
        self.cache.page(index)
    }

    fn will_be_written(&self, index: u64) {
        self.cache.will_be_written(index);
    }

    fn file(&self) -> Option<(u64, u64)> {
        let identity = self.cache.identity();
        Some((identity.device, identity.inode))
    }

    fn name(&self) -> BackingName {
        let identity = self.cache.identity();
        let mut top = self.place.clone();
        while let Some(on) = top.mount.on() {
            top = on;
        }
        let path = self.place.path(&top.mount.root()).map(super::place::PathText::into_proc).unwrap_or_default();
        let path = String::from_utf8_lossy(&path).into_owned();
        BackingName { device: identity.device, inode: identity.inode, path }
    }
}
