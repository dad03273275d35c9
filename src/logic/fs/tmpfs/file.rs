//! An open regular file of a tmpfs: its page cache, and the times that reading and writing leave.

use super::TmpInode;
use crate::errno::Errno;
use crate::fs::attributes::notes_access;
use crate::fs::credentials::without_set_id;
use crate::fs::file::File;
use crate::fs::inode::Inode;
use crate::fs::page_cache::PageCache;
use alloc::sync::Arc;

pub(super) struct RegularFile {
    pub(super) inode: Arc<TmpInode>,
    pub(super) cache: Arc<PageCache>,
}

impl RegularFile {
    fn note_written(&self) {
        let now = self.inode.shared.clock.now();
        let mut state = self.inode.state.lock();
        state.modified = now;
        state.changed = now;
        // Who writes to a program does not get the rights of its owner (inode(7)).
        state.permissions = without_set_id(state.permissions);
    }
}

impl File for RegularFile {
    fn read(&self, position: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        let count = self.cache.read(position, bytes)?;
        let now = self.inode.shared.clock.now();
        if notes_access(&self.inode.attributes()?, now) {
            self.inode.state.lock().accessed = now;
        }
        Ok(count)
    }

    fn write(&self, position: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let count = self.cache.write(position, bytes)?;
        if count > 0 {
            self.note_written();
        }
        Ok(count)
    }

    fn append(&self, bytes: &[u8]) -> Result<(usize, u64), Errno> {
        let (count, end) = self.cache.append(bytes)?;
        if count > 0 {
            self.note_written();
        }
        Ok((count, end))
    }

    fn end(&self) -> Result<u64, Errno> {
        Ok(self.cache.size())
    }

    fn seek_data(&self, position: u64) -> Result<u64, Errno> {
        self.cache.seek_data(position)
    }

    fn seek_hole(&self, position: u64) -> Result<u64, Errno> {
        self.cache.seek_hole(position)
    }
}
