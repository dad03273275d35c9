//! Who has which kernel addresses: areas with guard pages before them, found again by any address in them.
//!
//! The search for room goes on where the last one ended. So addresses are used anew as late as possible: whoever holds on to an
//! area that has been freed meets a page fault, not somebody else's memory. And what is mapped there has been flushed long ago.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use x86_64::VirtAddr;

const PAGE: u64 = 4096;

/// What an area is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The kernel heap.
    Heap,
    /// The stack of a kernel thread.
    Stack,
    /// A stack for the worst exceptions.
    FaultStack,
    /// A processor's own data.
    PerCpu,
    /// Device registers or memory.
    Mmio,
    /// Anything else that is larger than what the heap is for.
    Buffer,
}

impl fmt::Display for Purpose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Heap => "the kernel heap",
            Self::Stack => "a kernel stack",
            Self::FaultStack => "an exception stack",
            Self::PerCpu => "per-CPU data",
            Self::Mmio => "device memory",
            Self::Buffer => "a kernel buffer",
        })
    }
}

/// A range of addresses with its guard pages; whole pages, never empty.
#[derive(Debug, PartialEq, Eq)]
pub struct Area {
    start: u64,
    bytes: u64,
    guard_bytes: u64,
    purpose: Purpose,
}

impl Area {
    /// The first address to use.
    pub fn start(&self) -> VirtAddr {
        VirtAddr::new(self.start)
    }

    /// Bytes to use.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes before [`start`](Self::start) that stay unmapped.
    pub fn guard_bytes(&self) -> u64 {
        self.guard_bytes
    }

    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// All of it, the guard included, as far as the last address: the area may end where the address space does.
    fn extent(&self) -> core::ops::RangeInclusive<u64> {
        self.start - self.guard_bytes..=self.start + (self.bytes - 1)
    }
}

/// No addresses, or no memory to note them in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfSpace;

/// The area is not one that was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownArea;

/// What an address belongs to, in words: `guard page of a kernel stack`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// What the area is for.
    pub purpose: Purpose,
    /// Whether the address lies in the guard before it.
    pub is_guard: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_guard {
            formatter.write_str("guard page of ")?;
        }
        self.purpose.fmt(formatter)
    }
}

/// Gives out the addresses of one range.
pub struct AreaAllocator {
    /// Page-aligned; the end as far as it can be told.
    space: Range<u64>,
    /// Sorted, disjoint.
    areas: Vec<Area>,
    /// Where the next search begins.
    next: u64,
}

impl AreaAllocator {
    /// Gives out the whole pages from `start` to before `end`. The last page of the address space cannot be among them.
    pub const fn new(start: VirtAddr, end: VirtAddr) -> Self {
        let end = end.as_u64() / PAGE * PAGE;
        let start = match start.as_u64().checked_next_multiple_of(PAGE) {
            Some(start) => start,
            None => end,
        };
        Self { space: start..end, areas: Vec::new(), next: start }
    }

    /// Takes `bytes` bytes, rounded up to whole pages, at a multiple of `alignment` (a power of two, at least a page is taken),
    /// after `guard_pages_before` pages that belong to the area too and are never to be mapped.
    ///
    /// # Errors
    /// [`OutOfSpace`]; also for no bytes and for an alignment that is no power of two.
    pub fn allocate(
        &mut self,
        bytes: u64,
        alignment: u64,
        guard_pages_before: u64,
        purpose: Purpose,
    ) -> Result<Area, OutOfSpace> {
        let bytes = bytes.checked_next_multiple_of(PAGE).filter(|bytes| *bytes > 0).ok_or(OutOfSpace)?;
        let guard_bytes = guard_pages_before.checked_mul(PAGE).ok_or(OutOfSpace)?;
        if !alignment.is_power_of_two() {
            return Err(OutOfSpace);
        }
        let wanted = Wanted { bytes, guard_bytes, alignment: alignment.max(PAGE) };
        // Growing may need memory: before anything changes.
        self.areas.try_reserve(1).map_err(|_| OutOfSpace)?;
        let (index, start) =
            self.search(self.next, &wanted).or_else(|| self.search(self.space.start, &wanted)).ok_or(OutOfSpace)?;
        self.next = start + bytes;
        let area = || Area { start, bytes, guard_bytes, purpose };
        self.areas.insert(index, area());
        Ok(area())
    }

    /// Takes an area back. Nothing may be mapped there any more.
    ///
    /// # Errors
    /// [`UnknownArea`]: a bug of the caller, as when it comes from another allocator.
    pub fn free(&mut self, area: Area) -> Result<(), UnknownArea> {
        let index = self.index_of(area.start).filter(|index| self.areas.get(*index) == Some(&area));
        self.areas.remove(index.ok_or(UnknownArea)?);
        Ok(())
    }

    /// The area to which an address belongs, the guard included.
    pub fn find(&self, address: VirtAddr) -> Option<&Area> {
        self.areas.get(self.index_of(address.as_u64())?)
    }

    /// What an address belongs to, in words.
    pub fn describe(&self, address: VirtAddr) -> Option<Place> {
        self.find(address).map(|area| Place { purpose: area.purpose, is_guard: address < area.start() })
    }

    /// All areas, in rising order.
    pub fn areas(&self) -> &[Area] {
        &self.areas
    }

    fn index_of(&self, address: u64) -> Option<usize> {
        let index = self.areas.partition_point(|area| *area.extent().end() < address);
        self.areas.get(index).filter(|area| area.extent().contains(&address)).map(|_| index)
    }

    /// The first room at or after `from`: the index that the area will have, and its start.
    fn search(&self, from: u64, wanted: &Wanted) -> Option<(usize, u64)> {
        let mut index = self.areas.partition_point(|area| *area.extent().end() < from);
        let mut free_from = from;
        loop {
            let area = self.areas.get(index);
            let free_to = area.map_or(self.space.end, |area| *area.extent().start());
            if let Some(start) = wanted.fit(free_from, free_to) {
                return Some((index, start));
            }
            free_from = *area?.extent().end() + 1;
            index += 1;
        }
    }
}

/// What a search looks for.
struct Wanted {
    bytes: u64,
    guard_bytes: u64,
    alignment: u64,
}

impl Wanted {
    /// Where the area would start if it can lie between two addresses.
    fn fit(&self, free_from: u64, free_to: u64) -> Option<u64> {
        let start = free_from.checked_add(self.guard_bytes)?.checked_next_multiple_of(self.alignment)?;
        start.checked_add(self.bytes).filter(|end| *end <= free_to).map(|_| start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: u64 = 0xffff_c000_0000_0000;

    fn allocator(pages: u64) -> AreaAllocator {
        AreaAllocator::new(VirtAddr::new(START), VirtAddr::new(START + pages * PAGE))
    }

    fn at(page: u64) -> VirtAddr {
        VirtAddr::new(START + page * PAGE)
    }

    #[test]
    fn an_address_is_named_by_the_area_around_it() {
        let mut areas = allocator(16);
        let stack = areas.allocate(4 * PAGE, 1, 1, Purpose::Stack).unwrap();
        areas.allocate(1, PAGE, 0, Purpose::Mmio).unwrap();
        assert_eq!((stack.start(), stack.bytes(), stack.guard_bytes()), (at(1), 4 * PAGE, PAGE));
        let describe = |address| areas.describe(address).map(|place| place.to_string());
        assert_eq!(describe(at(0)).unwrap(), "guard page of a kernel stack");
        assert_eq!(describe(at(1)).unwrap(), "a kernel stack");
        assert_eq!(describe(at(5) - 1).unwrap(), "a kernel stack");
        assert_eq!(describe(at(5)).unwrap(), "device memory");
        assert_eq!(describe(at(6)), None);
        assert_eq!(areas.find(at(3)), Some(&stack));
    }

    #[test]
    fn freed_addresses_are_used_last() {
        let mut areas = allocator(4);
        let first = areas.allocate(PAGE, PAGE, 0, Purpose::Buffer).unwrap();
        areas.free(first).unwrap();
        for page in [1, 2, 3, 0] {
            assert_eq!(areas.allocate(PAGE, PAGE, 0, Purpose::Buffer).unwrap().start(), at(page));
        }
        assert_eq!(areas.allocate(PAGE, PAGE, 0, Purpose::Buffer), Err(OutOfSpace));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut areas = allocator(8);
        let requests = [(0, 1, 0), (u64::MAX, 1, 0), (PAGE, 3, 0), (PAGE, 0, 0), (PAGE, 1, u64::MAX), (PAGE, 1, 8)];
        for (bytes, alignment, guard) in requests {
            assert_eq!(areas.allocate(bytes, alignment, guard, Purpose::Heap), Err(OutOfSpace), "{bytes} {alignment}");
        }
        assert_eq!(areas.allocate(9 * PAGE, 1, 0, Purpose::Heap), Err(OutOfSpace));
        let mut others = allocator(8);
        let foreign = others.allocate(PAGE, 1, 0, Purpose::Heap).unwrap();
        assert_eq!(areas.free(foreign), Err(UnknownArea));
    }

    #[test]
    fn the_end_of_the_address_space_is_not_passed() {
        let mut areas = AreaAllocator::new(VirtAddr::new(0xffff_ffff_ffff_d001), VirtAddr::new(u64::MAX));
        let last = areas.allocate(PAGE, 1, 0, Purpose::Mmio).unwrap();
        assert_eq!(last.start().as_u64(), 0xffff_ffff_ffff_e000);
        assert_eq!(areas.allocate(PAGE, 1, 0, Purpose::Mmio), Err(OutOfSpace));
        assert_eq!(areas.find(VirtAddr::new(u64::MAX)), None);
    }

    proptest! {
        /// The model: who owns each page.
        #[test]
        fn it_agrees_with_looking_at_every_page(
            steps in prop::collection::vec((1..9_u64, 0..4_u32, 0..3_u64, any::<prop::sample::Index>(), 0..3_u8), 0..80),
        ) {
            const PAGES: u64 = 64;
            let mut areas = allocator(PAGES);
            let mut owners: Vec<Option<u64>> = vec![None; PAGES as usize];
            let mut held: Vec<Area> = Vec::new();
            let pages = |area: &Area| {
                let start = (area.start().as_u64() - START - area.guard_bytes()) / PAGE;
                start as usize..(start + (area.guard_bytes() + area.bytes()) / PAGE) as usize
            };
            for (count, alignment, guard, index, kind) in steps {
                if kind == 0 && !held.is_empty() {
                    let area = held.swap_remove(index.index(held.len()));
                    owners[pages(&area)].fill(None);
                    prop_assert_eq!(areas.free(area), Ok(()));
                    continue;
                }
                match areas.allocate(count * PAGE, PAGE << alignment, guard, Purpose::Buffer) {
                    Ok(area) => {
                        prop_assert!(area.start().is_aligned(PAGE << alignment));
                        prop_assert_eq!((area.bytes(), area.guard_bytes()), (count * PAGE, guard * PAGE));
                        prop_assert!(owners[pages(&area)].iter().all(Option::is_none));
                        owners[pages(&area)].fill(Some(area.start().as_u64()));
                        held.push(area);
                    }
                    Err(OutOfSpace) => {
                        let is_room = |start: u64| {
                            start >= guard
                                && (START + start * PAGE).is_multiple_of(PAGE << alignment)
                                && (start - guard..start + count)
                                    .all(|page| owners.get(page as usize) == Some(&None))
                        };
                        prop_assert!(!(0..PAGES).any(is_room));
                    }
                }
                for (page, owner) in owners.iter().enumerate() {
                    let found = areas.find(at(page as u64) + 7).map(|area| area.start().as_u64());
                    prop_assert_eq!(found, *owner);
                }
            }
        }
    }
}
