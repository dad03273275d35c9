//! A walk over everything that page tables map, neighbours merged: for audits and dumps.

use super::{
    ENTRIES, LeafEntry, Mapping, PageSize, PageTableFlags, ROOT, TableMemory, Tables, address_of, child_of, shift,
};
use core::fmt;
use x86_64::structures::paging::PhysFrame;
use x86_64::{PhysAddr, VirtAddr};

/// Pages that follow each other in virtual and in physical memory, mapped in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first address.
    pub start: VirtAddr,
    /// How much there is of it; the run may end where the address space does.
    pub bytes: u64,
    /// Where the first address leads.
    pub physical: PhysAddr,
    /// What all levels together allow.
    pub mapping: Mapping,
    /// The size of each page.
    pub page_size: PageSize,
}

impl Run {
    /// The last address.
    pub fn last(&self) -> VirtAddr {
        VirtAddr::new_truncate(self.start.as_u64().wrapping_add(self.bytes.saturating_sub(1)))
    }

    /// Whether `next` goes on where this run ends.
    fn continues_with(&self, next: &Self) -> bool {
        self.start.as_u64().checked_add(self.bytes) == Some(next.start.as_u64())
            && self.physical.as_u64() + self.bytes == next.physical.as_u64()
            && (self.mapping, self.page_size) == (next.mapping, next.page_size)
    }
}

impl fmt::Display for Run {
    /// `first-last -> physical rwxug size caching`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mapping = self.mapping;
        let letter = |holds: bool, letter: char| if holds { letter } else { '-' };
        write!(
            formatter,
            "{:016x}-{:016x} -> {:013x} r{}{}{}{} {} {:?}",
            self.start,
            self.last(),
            self.physical,
            letter(mapping.is_writable(), 'w'),
            letter(mapping.is_executable(), 'x'),
            letter(mapping.is_user(), 'u'),
            letter(mapping.is_global(), 'g'),
            match self.page_size {
                PageSize::Small => "4K",
                PageSize::Large => "2M",
                PageSize::Huge => "1G",
            },
            mapping.caching,
        )
    }
}

/// What the entries above the root allow.
pub(super) const EVERYTHING: PageTableFlags = PageTableFlags::WRITABLE.union(PageTableFlags::USER_ACCESSIBLE);

/// What two levels together allow: writing and programs if both do, execution unless one forbids it. Whether a page is global
/// its own entry says.
pub(super) fn both(above: PageTableFlags, entry: PageTableFlags) -> PageTableFlags {
    (above & entry & EVERYTHING) | ((above | entry) & PageTableFlags::NO_EXECUTE) | (entry & PageTableFlags::GLOBAL)
}

impl Tables {
    /// Shows `visit` everything that is mapped, in rising order from address 0 on.
    pub fn walk(&self, memory: &impl TableMemory, mut visit: impl FnMut(&Run)) {
        let mut pending: Option<Run> = None;
        visit_pages(memory, self.root, ROOT, 0, EVERYTHING, &mut |page| match &mut pending {
            Some(run) if run.continues_with(&page) => run.bytes += page.bytes,
            _ => {
                if let Some(run) = pending.replace(page) {
                    visit(&run);
                }
            }
        });
        if let Some(run) = pending {
            visit(&run);
        }
    }
}

fn visit_pages(
    memory: &impl TableMemory,
    table: PhysFrame,
    level: u8,
    start: u64,
    above: PageTableFlags,
    visit: &mut impl FnMut(Run),
) {
    for index in 0..ENTRIES {
        let entry = memory.read(table, index);
        let position = start + ((index as u64) << shift(level));
        if let Some(leaf) = LeafEntry::read(&entry, level) {
            let mapping = Mapping { flags: both(above, leaf.mapping.flags), ..leaf.mapping };
            visit(Run {
                start: address_of(position),
                bytes: leaf.size.bytes(),
                physical: leaf.physical,
                mapping,
                page_size: leaf.size,
            });
        } else if let Some(child) = child_of(&entry).filter(|_| level > 1) {
            visit_pages(memory, child, level - 1, position, both(above, entry.flags()), visit);
        }
    }
}
