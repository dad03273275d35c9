//! The buddy system proper: free blocks of frames in lists by zone and order, over the records of the sections that are awake.
//!
//! Invariants: a record's state is `Free` exactly if it is the first frame of a block in the list of its zone and order; two
//! free buddies of one order never exist side by side below the top order (they are one block of the next order); frames
//! that are not ours are never `Free`, so that no block reaches over a hole.

use super::records::{FrameRecord, FrameState, Link};
use super::{FreeError, MAX_ORDER, MAX_SECTIONS, ORDERS, ZONES, Zone};
use core::ops::Range;

/// The free blocks of one order in one zone.
#[derive(Clone, Copy)]
struct List {
    first: Link,
    blocks: u32,
}

/// The records of one section, once it is awake.
struct Awake {
    first: u32,
    records: &'static mut [FrameRecord],
}

/// All free blocks, and the records of all frames in awake sections.
pub(super) struct Blocks {
    section_shift: u32,
    sections: [Option<Awake>; MAX_SECTIONS],
    lists: [[List; ORDERS]; ZONES],
    free: [u64; ZONES],
}

impl Blocks {
    pub(super) const fn new() -> Self {
        Self {
            section_shift: 0,
            sections: [const { None }; MAX_SECTIONS],
            lists: [[List { first: Link::NONE, blocks: 0 }; ORDERS]; ZONES],
            free: [0; ZONES],
        }
    }

    pub(super) fn set_section_shift(&mut self, shift: u32) {
        self.section_shift = shift;
    }

    /// Takes a section's records, the first being that of frame `first`.
    pub(super) fn wake(&mut self, section: usize, first: u32, records: &'static mut [FrameRecord]) {
        self.sections[section] = Some(Awake { first, records });
    }

    pub(super) fn is_awake(&self, section: usize) -> bool {
        self.sections[section].is_some()
    }

    pub(super) fn awake_sections(&self) -> usize {
        self.sections.iter().flatten().count()
    }

    /// Free frames of a zone.
    pub(super) fn free_frames(&self, zone: Zone) -> u64 {
        self.free[zone as usize]
    }

    /// Free blocks of a zone, by order.
    pub(super) fn free_blocks(&self, zone: Zone) -> [u32; ORDERS] {
        self.lists[zone as usize].map(|list| list.blocks)
    }

    /// The frames of `range` hold records from now on.
    pub(super) fn set_aside(&mut self, range: Range<u32>) {
        self.mark(range, FrameState::Records);
    }

    /// Takes in free frames that were not ours, all in one awake section.
    pub(super) fn add(&mut self, range: Range<u32>) {
        self.mark(range.clone(), FrameState::Inside);
        let mut start = range.start;
        while start < range.end {
            let fits = (range.end - start).ilog2();
            let order = start.trailing_zeros().min(fits).min(u32::from(MAX_ORDER)) as u8;
            self.insert(start, order);
            start += 1 << order;
        }
    }

    /// Takes a block out, splitting a larger one if it must.
    pub(super) fn take(&mut self, zone: Zone, order: u8) -> Option<u32> {
        let lists = &self.lists[zone as usize];
        let first = |order: u8| Some((order, lists[usize::from(order)].first.number()?));
        let (mut found, number) = (order..=MAX_ORDER).find_map(first)?;
        self.unlink(number);
        while found > order {
            found -= 1;
            self.link(number + (1 << found), found);
        }
        let record = self.record_mut(number);
        record.state = FrameState::Allocated;
        record.order = order;
        Some(number)
    }

    /// Takes a block back that [`take`](Self::take) gave.
    pub(super) fn give_back(&mut self, number: u32, order: u8) -> Result<(), FreeError> {
        let record = self.record(number).ok_or(FreeError::NotOurs)?;
        match record.state {
            FrameState::Allocated if record.order == order => {
                self.insert(number, order);
                Ok(())
            }
            FrameState::Allocated => Err(FreeError::WrongOrder { allocated: record.order }),
            FrameState::Free => Err(FreeError::AlreadyFree),
            FrameState::Inside if self.is_in_free_block(number) => Err(FreeError::AlreadyFree),
            FrameState::Inside => Err(FreeError::InsideBlock),
            FrameState::NotOurs | FrameState::Records => Err(FreeError::NotOurs),
        }
    }

    /// Whether the block around a frame that is not its first is free: that block starts at a multiple of its size.
    fn is_in_free_block(&self, number: u32) -> bool {
        (1..=MAX_ORDER).any(|order| {
            let first = number >> order << order;
            self.record(first).is_some_and(|record| record.state == FrameState::Free && record.order >= order)
        })
    }

    /// Puts a block into its list, joined with its buddy as often as that is free.
    fn insert(&mut self, mut number: u32, mut order: u8) {
        while order < MAX_ORDER {
            let buddy = number ^ (1 << order);
            if !self.record(buddy).is_some_and(|record| record.state == FrameState::Free && record.order == order) {
                break;
            }
            self.unlink(buddy);
            self.record_mut(number.max(buddy)).state = FrameState::Inside;
            number = number.min(buddy);
            order += 1;
        }
        self.link(number, order);
    }

    fn link(&mut self, number: u32, order: u8) {
        let zone = Zone::of(number) as usize;
        let list = &mut self.lists[zone][usize::from(order)];
        let next = core::mem::replace(&mut list.first, Link::to(number));
        list.blocks += 1;
        self.free[zone] += 1 << order;
        *self.record_mut(number) = FrameRecord { previous: Link::NONE, next, order, state: FrameState::Free };
        if let Some(next) = next.number() {
            self.record_mut(next).previous = Link::to(number);
        }
    }

    /// Takes a free block out of its list. What its record says next is the caller's to set.
    fn unlink(&mut self, number: u32) {
        let FrameRecord { previous, next, order, .. } = *self.record_mut(number);
        let zone = Zone::of(number) as usize;
        let list = &mut self.lists[zone][usize::from(order)];
        list.blocks -= 1;
        self.free[zone] -= 1 << order;
        match previous.number() {
            None => list.first = next,
            Some(previous) => self.record_mut(previous).next = next,
        }
        if let Some(next) = next.number() {
            self.record_mut(next).previous = previous;
        }
    }

    /// Gives all frames of a range in one awake section a state: a loop as tight as can be, since a section has many frames.
    ///
    /// # Panics
    /// If one of them has no record.
    fn mark(&mut self, range: Range<u32>, state: FrameState) {
        let Awake { first, records } = self.sections[(range.start >> self.section_shift) as usize]
            .as_mut()
            .expect("frames are marked once their section is awake");
        let indexes = (range.start - *first) as usize..(range.end - *first) as usize;
        records[indexes].iter_mut().for_each(|record| record.state = state);
    }

    fn record(&self, number: u32) -> Option<&FrameRecord> {
        let section = self.sections.get((number >> self.section_shift) as usize)?.as_ref()?;
        section.records.get(number.checked_sub(section.first)? as usize)
    }

    /// The record of a frame of an awake section.
    ///
    /// # Panics
    /// If there is none: lists and ranges name only frames that have records.
    fn record_mut(&mut self, number: u32) -> &mut FrameRecord {
        self.sections[(number >> self.section_shift) as usize]
            .as_mut()
            .and_then(|section| section.records.get_mut((number - section.first) as usize))
            .expect("free lists name only frames that have records")
    }
}
