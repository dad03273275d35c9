//! The bytes of a regular file, by page: what read(2), write(2), mmap(2) and exec all see.
//!
//! The cache is sparse. A page that was never written is a hole: it reads as zeros and takes nothing. Below a cache there may be a
//! [`Store`], a file system on a disk; then a missing page is read from it, and changed pages are written back by
//! [`PageCache::write_back`]. Without one (tmpfs) the cache is all there is.
//!
//! Invariants: no page lies wholly beyond the size; bytes of the last page beyond the size are zero unless a mapping wrote there,
//! and become zero before they can be read. The lock is held for one page's copy at most; pages are freed without it.

use super::attributes::Identity;
use crate::errno::Errno;
use crate::mem::OutOfFrames;
use crate::mem::backing::{Gone, NoPage};
use crate::mem::page::{Frames, PAGE_BYTES, Page};
use crate::sync::{IrqLock, Rank};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};
use spin::Once;

mod budget;
mod store;
#[cfg(test)]
mod tests;
mod uses;

pub use budget::Budget;
pub use store::Store;
pub use uses::{Running, Writing};

const PAGE: u64 = PAGE_BYTES as u64;

/// The largest size of a file, because positions are signed (lseek(2)).
pub const MAX_BYTES: u64 = i64::MAX as u64;

/// Takes the pages `indexes` of a file away from all address spaces that show them.
pub type Unmap = fn(file: Identity, indexes: Range<u64>, why: Gone);

static UNMAP: Once<Unmap> = Once::new();

/// Says who takes mapped pages away that a file gives up. He is asked with no lock held, when the cache has them no more, and only
/// where there are mappings. The first counts.
pub fn set_unmap(unmap: Unmap) {
    UNMAP.call_once(|| unmap);
}

/// A file's bytes.
pub struct PageCache {
    identity: Identity,
    frames: &'static dyn Frames,
    budget: Option<Arc<Budget>>,
    store: Option<Arc<dyn Store>>,
    content: IrqLock<Content>,
    /// How many [`Mapping`]s there are.
    mappings: AtomicUsize,
    uses: uses::Uses,
}

/// That address spaces may show pages of a file, as long as this is there.
pub struct Mapping(Arc<PageCache>);

impl Mapping {
    /// One mapping more.
    pub fn new(cache: Arc<PageCache>) -> Self {
        // Whoever then asks for a page takes the lock of the content, which orders this before what others see under it.
        cache.mappings.fetch_add(1, Ordering::Relaxed);
        Self(cache)
    }
}

impl core::ops::Deref for Mapping {
    type Target = PageCache;

    fn deref(&self) -> &PageCache {
        &self.0
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.0.mappings.fetch_sub(1, Ordering::Release);
    }
}

#[derive(Default)]
struct Content {
    size: u64,
    pages: BTreeMap<u64, Page>,
    /// Pages that the store does not have as they are here. Empty without a store.
    changed: BTreeSet<u64>,
}

/// What fallocate(2) is to do with a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// Pages for all of it; a file that ends before its end grows.
    Extend,
    /// Pages for the part below the size.
    KeepSize,
    /// No pages: zeros.
    PunchHole,
    /// Zeros; a file that ends before its end grows.
    Zero,
    /// Zeros; the size stays.
    ZeroKeepSize,
}

impl PageCache {
    /// The empty file. `budget` limits what it may take.
    pub fn new(identity: Identity, frames: &'static dyn Frames, budget: Option<Arc<Budget>>) -> Self {
        Self {
            identity,
            frames,
            budget,
            store: None,
            content: Self::content(0),
            mappings: AtomicUsize::new(0),
            uses: uses::Uses::new(),
        }
    }

    /// A file of `size` bytes that lie in `store`.
    pub fn over(identity: Identity, frames: &'static dyn Frames, store: Arc<dyn Store>, size: u64) -> Self {
        let content = Self::content(size.min(MAX_BYTES));
        Self {
            identity,
            frames,
            budget: None,
            store: Some(store),
            content,
            mappings: AtomicUsize::new(0),
            uses: uses::Uses::new(),
        }
    }

    fn content(size: u64) -> IrqLock<Content> {
        IrqLock::new(Rank::PageCache, Content { size, ..Content::default() })
    }

    /// Whose bytes.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Bytes in the file.
    pub fn size(&self) -> u64 {
        self.content.lock().size
    }

    /// Pages that are in memory.
    pub fn resident_pages(&self) -> u64 {
        self.content.lock().pages.len() as u64
    }

    /// Copies bytes from `position` on, fewer at the end.
    ///
    /// # Errors
    /// What the store answers; [`Errno::ENOMEM`] if it has the page and memory has no room.
    pub fn read(&self, position: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < bytes.len() {
            let Some(at) = position.checked_add(done as u64) else { break };
            match self.read_piece(at, &mut bytes[done..]) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// As far as one page goes.
    fn read_piece(&self, position: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        let (index, offset) = (position / PAGE, (position % PAGE) as usize);
        let _kept = self.fetch(index)?;
        let content = self.content.lock();
        let left = usize::try_from(content.size.saturating_sub(position)).unwrap_or(usize::MAX);
        let length = bytes.len().min(PAGE_BYTES - offset).min(left);
        match content.pages.get(&index) {
            Some(page) => page.read(offset, &mut bytes[..length]),
            None => bytes[..length].fill(0),
        }
        Ok(length)
    }

    /// Changes bytes from `position` on; the file grows if it has to.
    ///
    /// # Errors
    /// [`Errno::EFBIG`], [`Errno::ENOSPC`], what the store answers; all that only if not one byte was written.
    pub fn write(&self, position: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let room = MAX_BYTES.saturating_sub(position);
        if room == 0 && !bytes.is_empty() {
            return Err(Errno::EFBIG);
        }
        let bytes = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        let mut done = 0;
        while done < bytes.len() {
            match self.write_piece(position + done as u64, &bytes[done..]) {
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// As far as one page goes.
    fn write_piece(&self, position: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let _kept = self.fetch(position / PAGE)?;
        let mut content = self.content.lock();
        self.write_locked(&mut content, position, bytes)
    }

    fn write_locked(&self, content: &mut Content, position: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let (index, offset) = (position / PAGE, (position % PAGE) as usize);
        let length = bytes.len().min(PAGE_BYTES - offset);
        self.page_or_new(content, index).map_err(|NoRoom| Errno::ENOSPC)?;
        content.grow(position + length as u64);
        if let Some(page) = content.pages.get(&index) {
            page.write(offset, &bytes[..length]);
        }
        self.note_changed(content, index);
        Ok(length)
    }

    /// Writes at the end, wherever that is by then: no two appends that fit one page get the same place. Answers the position after.
    ///
    /// # Errors
    /// As [`PageCache::write`].
    pub fn append(&self, bytes: &[u8]) -> Result<(usize, u64), Errno> {
        let mut done = 0;
        let mut end = self.size();
        while done < bytes.len() {
            let fetched = self.fetch(end / PAGE);
            let written = fetched.and_then(|_kept| {
                let mut content = self.content.lock();
                if content.size / PAGE != end / PAGE {
                    // Somebody else appended: another page has to be there first.
                    end = content.size;
                    return Ok(0);
                }
                let position = content.size;
                if position >= MAX_BYTES {
                    return Err(Errno::EFBIG);
                }
                let room = usize::try_from(MAX_BYTES - position).unwrap_or(usize::MAX);
                let rest = &bytes[done..];
                let length = self.write_locked(&mut content, position, &rest[..rest.len().min(room)])?;
                end = position + length as u64;
                Ok(length)
            });
            match written {
                Ok(length) => done += length,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok((done, end))
    }

    /// Cuts the file off, or lets it grow by a hole.
    ///
    /// # Errors
    /// [`Errno::EFBIG`], what the store answers.
    pub fn set_size(&self, size: u64) -> Result<(), Errno> {
        if size > MAX_BYTES {
            return Err(Errno::EFBIG);
        }
        let _kept = if size.is_multiple_of(PAGE) { None } else { self.fetch(size / PAGE)? };
        let mut content = self.content.lock();
        let is_cut = size < content.size;
        if size > content.size {
            content.grow(size);
        } else {
            content.size = size;
            content.clear_after_end();
        }
        let first_gone = size.div_ceil(PAGE);
        // Few nodes of the tree are touched by splitting it; what was cut off is freed below, without the lock.
        let gone = content.pages.split_off(&first_gone);
        content.changed.split_off(&first_gone);
        if !size.is_multiple_of(PAGE) && content.pages.contains_key(&(size / PAGE)) {
            self.note_changed(&mut content, size / PAGE);
        }
        drop(content);
        // Who asks for a page from now on is told that the file ends before it: none comes back.
        if is_cut {
            self.unmap(first_gone..u64::MAX, Gone::CutOff);
        }
        self.give_back(gone.len());
        drop(gone);
        self.store.as_ref().map_or(Ok(()), |store| store.set_size(size))
    }

    /// fallocate(2) for the bytes of `range`.
    ///
    /// # Errors
    /// [`Errno::EFBIG`], [`Errno::ENOSPC`], what the store answers.
    pub fn allocate(&self, range: Range<u64>, what: Allocation) -> Result<(), Errno> {
        if range.end > MAX_BYTES {
            return Err(Errno::EFBIG);
        }
        match what {
            Allocation::PunchHole | Allocation::ZeroKeepSize => self.clear(range),
            Allocation::Zero => {
                self.clear(range.clone())?;
                if self.size() < range.end { self.set_size(range.end) } else { Ok(()) }
            }
            Allocation::Extend | Allocation::KeepSize => {
                let end = if what == Allocation::Extend { range.end } else { range.end.min(self.size()) };
                // Before there are pages: none may lie beyond the size.
                let before = self.size();
                if end > before {
                    self.set_size(end)?;
                }
                for index in range.start / PAGE..end.div_ceil(PAGE) {
                    let made = self.fetch(index).and_then(|_kept| {
                        let mut content = self.content.lock();
                        if index >= content.size.div_ceil(PAGE) {
                            return Ok(());
                        }
                        self.page_or_new(&mut content, index).map_err(|NoRoom| Errno::ENOSPC)
                    });
                    if let Err(error) = made {
                        // As if nothing had been asked for; pages below the old size do no harm.
                        if end > before && self.size() == end {
                            self.set_size(before)?;
                        }
                        return Err(error);
                    }
                }
                Ok(())
            }
        }
    }

    fn is_mapped(&self) -> bool {
        self.mappings.load(Ordering::Acquire) > 0
    }

    /// Takes pages that the cache has given up away from mappings. Whoever got one of them from here had a mapping before.
    fn unmap(&self, indexes: Range<u64>, why: Gone) {
        if self.is_mapped()
            && let Some(unmap) = UNMAP.get()
        {
            unmap(self.identity, indexes, why);
        }
    }

    /// Makes the bytes of `range` zeros, and whole pages holes where there is no store.
    fn clear(&self, range: Range<u64>) -> Result<(), Errno> {
        let range = range.start..range.end.min(self.size().next_multiple_of(PAGE));
        let whole = range.start.div_ceil(PAGE)..range.end / PAGE;
        if self.store.is_some() || whole.is_empty() {
            return self.clear_bytes(range);
        }
        self.clear_bytes(range.start..whole.start * PAGE)?;
        self.make_hole(whole.clone());
        self.clear_bytes(whole.end * PAGE..range.end)
    }

    /// Gives the pages `indexes` up. Whoever asks for one meanwhile gets a fresh one.
    fn make_hole(&self, indexes: Range<u64>) {
        // Pages at a time that the lock is held for.
        const BATCH: usize = 32;
        let (mut next, mut count) = (indexes.start, 0);
        loop {
            let mut content = self.content.lock();
            let found: arrayvec::ArrayVec<u64, BATCH> =
                content.pages.range(next..indexes.end).map(|(index, _)| *index).take(BATCH).collect();
            let gone: arrayvec::ArrayVec<Page, BATCH> =
                found.iter().filter_map(|index| content.pages.remove(index)).collect();
            drop(content);
            // Frames that mappings show stay theirs until they are taken away from them.
            count += gone.len();
            match found.last() {
                Some(last) if found.is_full() => next = last + 1,
                _ => break,
            }
        }
        // Even if there was none: another call may have taken them out, and not have come here yet.
        self.unmap(indexes, Gone::Hole);
        self.give_back(count);
    }

    /// Makes the bytes of `range` zeros.
    fn clear_bytes(&self, range: Range<u64>) -> Result<(), Errno> {
        let mut position = range.start;
        while position < range.end {
            let index = position / PAGE;
            let end = ((index + 1) * PAGE).min(range.end);
            let _kept = self.fetch(index)?;
            let mut content = self.content.lock();
            if let Some(page) = content.pages.get(&index) {
                write_zeros(page, (position % PAGE) as usize..(position % PAGE) as usize + (end - position) as usize);
                self.note_changed(&mut content, index);
            }
            position = end;
        }
        Ok(())
    }

    /// Where the next data is from `position` on (lseek(2), SEEK_DATA). Of a store, all is said to be data.
    ///
    /// # Errors
    /// [`Errno::ENXIO`] if there is none.
    pub fn seek_data(&self, position: u64) -> Result<u64, Errno> {
        let content = self.content.lock();
        if position >= content.size {
            return Err(Errno::ENXIO);
        }
        if self.store.is_some() {
            return Ok(position);
        }
        let next = content.pages.range(position / PAGE..).next().map(|(index, _)| (index * PAGE).max(position));
        next.filter(|next| *next < content.size).ok_or(Errno::ENXIO)
    }

    /// Where the next hole is from `position` on (lseek(2), SEEK_HOLE); the end counts as one.
    ///
    /// # Errors
    /// [`Errno::ENXIO`] beyond the end.
    pub fn seek_hole(&self, position: u64) -> Result<u64, Errno> {
        let mut index = position / PAGE;
        loop {
            // Some pages at a time, because the lock holds interrupts off.
            const BATCH: u64 = 256;
            let content = self.content.lock();
            if position >= content.size {
                return Err(Errno::ENXIO);
            }
            if self.store.is_some() {
                return Ok(content.size);
            }
            let start = index;
            for (found, _) in content.pages.range(start..start.saturating_add(BATCH)) {
                if *found != index {
                    break;
                }
                index += 1;
            }
            if index < start + BATCH {
                return Ok((index * PAGE).clamp(position, content.size));
            }
        }
    }

    /// The page at `index` for a mapping, as one user more of it. A hole becomes a page of zeros, so that all mappings and files
    /// see what is written there.
    ///
    /// # Errors
    /// [`NoPage`].
    pub fn page(&self, index: u64) -> Result<Page, NoPage> {
        let failed = |error| if error == Errno::ENOMEM { NoPage::OutOfFrames } else { NoPage::BeyondEnd };
        let _kept = self.fetch(index).map_err(failed)?;
        let mut content = self.content.lock();
        if index >= content.size.div_ceil(PAGE) {
            return Err(NoPage::BeyondEnd);
        }
        self.page_or_new(&mut content, index).map_err(|NoRoom| NoPage::OutOfFrames)?;
        let page = content.pages.get(&index).ok_or(NoPage::OutOfFrames)?;
        page.share().map_err(|OutOfFrames| NoPage::OutOfFrames)
    }

    /// A mapping may write to the page at `index` from now on.
    pub fn will_be_written(&self, index: u64) {
        let mut content = self.content.lock();
        if content.pages.contains_key(&index) {
            self.note_changed(&mut content, index);
        }
    }

    fn page_or_new(&self, content: &mut Content, index: u64) -> Result<(), NoRoom> {
        if content.pages.contains_key(&index) {
            return Ok(());
        }
        if let Some(budget) = &self.budget {
            budget.take().map_err(|_| NoRoom)?;
        }
        match Page::zeroed(self.frames) {
            Ok(page) => {
                content.pages.insert(index, page);
                Ok(())
            }
            Err(OutOfFrames) => {
                self.give_back(1);
                Err(NoRoom)
            }
        }
    }

    fn note_changed(&self, content: &mut Content, index: u64) {
        if self.store.is_some() {
            content.changed.insert(index);
        }
    }

    fn give_back(&self, pages: usize) {
        if let Some(budget) = &self.budget {
            budget.give_back(pages as u64);
        }
    }
}

impl Drop for PageCache {
    fn drop(&mut self) {
        let pages = self.content.get_mut().pages.len();
        self.give_back(pages);
    }
}

/// Neither budget nor memory has a page more.
struct NoRoom;

impl Content {
    /// Makes the size at least `size`.
    fn grow(&mut self, size: u64) {
        if size > self.size {
            self.clear_after_end();
            self.size = size;
        }
    }

    /// Zeros for what a mapping may have written after the end, in the last page.
    fn clear_after_end(&mut self) {
        let offset = (self.size % PAGE) as usize;
        if offset != 0
            && let Some(page) = self.pages.get(&(self.size / PAGE))
        {
            write_zeros(page, offset..PAGE_BYTES);
        }
    }
}

fn write_zeros(page: &Page, range: Range<usize>) {
    const ZEROS: [u8; 512] = [0; 512];
    for offset in range.clone().step_by(ZEROS.len()) {
        page.write(offset, &ZEROS[..ZEROS.len().min(range.end - offset)]);
    }
}
