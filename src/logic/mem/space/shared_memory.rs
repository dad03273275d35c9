//! Memory that a mapping shares with the children of its program (`MAP_SHARED | MAP_ANONYMOUS`), or that programs share by a name:
//! a file without a file system. Its pages come when they are touched.
//!
//! They are found by a tree of nodes that are pages themselves, so that all of it is memory that may be refused.

use crate::mem::backing::{Backing, BackingName, NoPage};
use crate::mem::page::{Frames, Page};
use crate::sync::{IrqLock, Rank};
use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering};
use x86_64::PhysAddr;
use x86_64::structures::paging::PhysFrame;

/// Entries in a node, and the logarithm of that.
const ENTRIES: usize = 512;
const ENTRY_BITS: u32 = 9;
const ENTRY_BYTES: usize = 8;
/// Levels of nodes: enough for a whole address space.
const LEVELS: u32 = 4;

/// The number that the next one shows as its inode.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// Pages of zeros until they are written to.
pub struct SharedMemory {
    frames: &'static dyn Frames,
    pages: u64,
    number: u64,
    root: IrqLock<Option<Page>>,
}

impl SharedMemory {
    /// So many pages, none there yet.
    pub fn new(frames: &'static dyn Frames, pages: u64) -> Self {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { frames, pages, number, root: IrqLock::new(Rank::PageCache, None) }
    }

    /// The user that entry `index` of a node is, as a page that must be given back to it.
    fn entry(&self, node: &Page, index: usize) -> Option<Page> {
        let mut bytes = [0; ENTRY_BYTES];
        node.read(index * ENTRY_BYTES, &mut bytes);
        let address = u64::from_le_bytes(bytes);
        (address != 0)
            .then(|| Page::from_frame(PhysFrame::containing_address(PhysAddr::new_truncate(address)), self.frames))
    }

    /// The page that entry `index` of a node is for, made if it is not there.
    fn child(&self, node: &Page, index: usize) -> Result<Page, NoPage> {
        if let Some(child) = self.entry(node, index) {
            let shared = child.share();
            // The entry goes on being a user.
            child.into_frame();
            return shared.map_err(|_| NoPage::OutOfFrames);
        }
        let child = Page::zeroed(self.frames).map_err(|_| NoPage::OutOfFrames)?;
        let shared = child.share().map_err(|_| NoPage::OutOfFrames)?;
        let address = child.into_frame().start_address().as_u64();
        node.write(index * ENTRY_BYTES, &address.to_le_bytes());
        Ok(shared)
    }

    /// Takes everything below a node of `level` apart.
    fn release(&self, node: &Page, level: u32) {
        for child in (0..ENTRIES).filter_map(|index| self.entry(node, index)) {
            if level > 1 {
                self.release(&child, level - 1);
            }
        }
    }
}

impl Backing for SharedMemory {
    fn page(&self, index: u64) -> Result<Page, NoPage> {
        if index >= self.pages || index >> (ENTRY_BITS * LEVELS) != 0 {
            return Err(NoPage::BeyondEnd);
        }
        let mut root = self.root.lock();
        if root.is_none() {
            *root = Some(Page::zeroed(self.frames).map_err(|_| NoPage::OutOfFrames)?);
        }
        let Some(top) = root.as_ref() else { return Err(NoPage::OutOfFrames) };
        let at = |level: u32| (index >> (ENTRY_BITS * level)) as usize % ENTRIES;
        let mut page = self.child(top, at(LEVELS - 1))?;
        for level in (0..LEVELS - 1).rev() {
            page = self.child(&page, at(level))?;
        }
        Ok(page)
    }

    fn will_be_written(&self, _: u64) {}

    fn name(&self) -> BackingName {
        // As Linux has it: an unlinked file on the file system of all such memory.
        BackingName { device: 1, inode: self.number, path: String::from("/dev/zero (deleted)") }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        if let Some(root) = self.root.get_mut().take() {
            self.release(&root, LEVELS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::page::fake::FakeFrames;

    #[test]
    fn pages_are_found_again_and_all_are_given_back() {
        let frames = FakeFrames::new(64);
        let memory = SharedMemory::new(frames, 1 << 36);
        for index in [0, 1, 511, 512, 1 << 27, (1 << 36) - 1] {
            memory.page(index).unwrap().write(7, &[index.trailing_zeros() as u8]);
        }
        let mut byte = [0];
        memory.page(512).unwrap().read(7, &mut byte);
        assert_eq!(byte, [9]);
        assert_eq!(memory.page(1 << 36).err(), Some(NoPage::BeyondEnd));
        drop(memory);
        assert_eq!(frames.in_use(), 0);
    }

    #[test]
    fn no_page_is_lost_when_frames_run_out() {
        for limit in 0..6 {
            let frames = FakeFrames::new(limit);
            let memory = SharedMemory::new(frames, 8);
            let page = memory.page(3);
            assert_eq!(page.is_ok(), limit == 5);
            drop((page, memory));
            assert_eq!(frames.in_use(), 0);
        }
    }
}
