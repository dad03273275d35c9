//! fork(2): a child's space is its parent's, page for page, until one of them writes.

use super::area::AreaFlags;
use super::area_map::AreaMap;
use super::{AddressSpace, Flush};
use crate::errno::Errno;
use crate::mem::page_table::TableMemory;

impl<M: TableMemory + Clone> AddressSpace<M> {
    /// A child's space. No thread of the parent may write before the flush is dropped, or the child would see it.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`]; the parent is as before, but for faults that it takes to find out.
    pub fn fork(&mut self, flush: &mut Flush<'_, M>) -> Result<Self, Errno> {
        let mut child = Self {
            areas: AreaMap::default(),
            pages: self.pages.sibling()?,
            layout: self.layout,
            heap: self.heap.clone(),
            stack: self.stack,
        };
        for area in self.areas.iter().filter(|area| !area.flags.contains(AreaFlags::DONT_FORK)) {
            let mut copy = area.clone();
            // mlock(2): locks are not inherited.
            copy.flags.remove(AreaFlags::LOCKED);
            child.areas.prepare()?;
            child.areas.insert(copy);
            if !area.is_shared() && !area.flags.contains(AreaFlags::WIPE_ON_FORK) {
                self.pages.share_with(area, &mut child.pages, flush)?;
            }
        }
        Ok(child)
    }
}
