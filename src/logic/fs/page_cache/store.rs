//! Page caches over a store: pages are read when they are missed, written back when they were changed, and given up when memory is
//! short.

use super::{PAGE, PageCache};
use crate::errno::Errno;
use crate::mem::OutOfFrames;
use crate::mem::page::{PAGE_BYTES, Page};

/// Where pages come from and go to. Called with no lock held: it may take its time.
pub trait Store: Send + Sync {
    /// Fills a page of zeros with what the store has for `index`; a hole stays zeros.
    ///
    /// # Errors
    /// [`Errno::EIO`].
    fn read_page(&self, index: u64, page: &Page) -> Result<(), Errno>;

    /// Keeps the first `length` bytes of a page for good.
    ///
    /// # Errors
    /// [`Errno::EIO`], [`Errno::ENOSPC`].
    fn write_page(&self, index: u64, page: &Page, length: usize) -> Result<(), Errno>;

    /// The file has another size now; what lies beyond is to be given up.
    ///
    /// # Errors
    /// [`Errno::EIO`].
    fn set_size(&self, size: u64) -> Result<(), Errno>;
}

impl PageCache {
    /// Writes changed pages to the store. Pages that mappings have are written and stay changed, for nobody says when they are
    /// written to next.
    ///
    /// # Errors
    /// What the store answers first; the others are tried too.
    pub fn write_back(&self) -> Result<(), Errno> {
        let Some(store) = &self.store else { return Ok(()) };
        let mut result = Ok(());
        let mut from = 0;
        loop {
            let mut content = self.content.lock();
            let Some(&index) = content.changed.range(from..).next() else { return result };
            from = index + 1;
            let length =
                usize::try_from(content.size.saturating_sub(index * PAGE)).unwrap_or(PAGE_BYTES).min(PAGE_BYTES);
            let Some(page) = content.pages.get(&index) else {
                content.changed.remove(&index);
                continue;
            };
            let mapped = !page.is_sole_user();
            let Ok(page) = page.share() else { continue };
            if !mapped {
                content.changed.remove(&index);
            }
            drop(content);
            if let Err(error) = store.write_page(index, &page, length) {
                result = result.and(Err(error));
                self.content.lock().changed.insert(index);
            }
        }
    }

    /// Gives up to `most` pages back to memory that the store has as they are and no mapping has. How many.
    pub fn shrink(&self, most: usize) -> usize {
        if self.store.is_none() {
            return 0;
        }
        let (mut freed, mut from) = (0, 0);
        while freed < most {
            const BATCH: usize = 64;
            let mut content = self.content.lock();
            let seen: arrayvec::ArrayVec<(u64, bool), BATCH> = content
                .pages
                .range(from..)
                .take(BATCH)
                .map(|(index, page)| (*index, page.is_sole_user() && !content.changed.contains(index)))
                .collect();
            let Some((last, _)) = seen.last() else { break };
            from = last + 1;
            let spare = seen.iter().filter(|(_, spare)| *spare).take(most - freed);
            let gone: arrayvec::ArrayVec<Page, BATCH> =
                spare.filter_map(|(index, _)| content.pages.remove(index)).collect();
            drop(content);
            freed += gone.len();
        }
        freed
    }

    /// Sees to it that the page at `index` is there if the store has it. While the answer lives, [`PageCache::shrink`] leaves it.
    pub(super) fn fetch(&self, index: u64) -> Result<Option<Page>, Errno> {
        let Some(store) = &self.store else { return Ok(None) };
        let no_memory = |OutOfFrames| Errno::ENOMEM;
        {
            let content = self.content.lock();
            if let Some(page) = content.pages.get(&index) {
                return page.share().map(Some).map_err(no_memory);
            }
            if index >= content.size.div_ceil(PAGE) {
                return Ok(None);
            }
        }
        let page = Page::zeroed(self.frames).map_err(no_memory)?;
        store.read_page(index, &page)?;
        let mut content = self.content.lock();
        // Somebody may have been faster, or cut the file off meanwhile.
        if let Some(page) = content.pages.get(&index) {
            return page.share().map(Some).map_err(no_memory);
        }
        if index < content.size.div_ceil(PAGE) {
            content.pages.insert(index, page.share().map_err(no_memory)?);
        }
        Ok(Some(page))
    }
}
