//! The frame allocator: a buddy system over physical memory that starts as fast with 1 TiB as with 128 MiB.
//!
//! Memory is cut into sections of equal size. A section sleeps until its frames are needed: only then are records made for
//! its frames, in the first of its own frames that have room for them. Until then the allocator knows its free memory as
//! ranges. Frames of sleeping sections count as free, less those that the records will take.
//!
//! Frame numbers are 32 bits wide: memory past 16 TiB is left alone.

mod blocks;
mod cache;
mod counts;
mod ranges;
mod records;
#[cfg(test)]
mod tests;

pub use cache::{Batch, CACHE_BATCH, CACHE_FRAMES, FrameCache};
pub use counts::{CountError, RefCounts};
pub use records::{FrameRecord, RecordMemory, SectionRecords, record_frames};

use super::OutOfFrames;
use crate::boot::MemoryMap;
use crate::boot::memory_map::PAGE_SIZE;
use blocks::Blocks;
use core::ops::Range;
use ranges::{FrameRanges, cut};
use x86_64::structures::paging::PhysFrame;

/// The largest order: blocks of 2^10 frames, 4 MiB.
pub const MAX_ORDER: u8 = 10;

/// Orders that there are.
pub const ORDERS: usize = MAX_ORDER as usize + 1;

/// Zones that there are.
pub const ZONES: usize = 2;

/// Sections that memory is cut into at most.
pub const MAX_SECTIONS: usize = 1024;

/// Logarithm of the frames in the smallest section, 64 MiB.
const MIN_SECTION_SHIFT: u32 = 14;

/// First frame number that is never used: links in lists hold one more than the number.
const NUMBER_LIMIT: u32 = u32::MAX;

/// Where memory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Zone {
    /// Below 4 GiB, for devices with 32 address bits.
    Dma32 = 0,
    /// From 4 GiB on. Asking for it means: anywhere, from here first.
    Normal = 1,
}

impl Zone {
    /// Both zones, lowest first.
    pub const ALL: [Self; ZONES] = [Self::Dma32, Self::Normal];

    /// First frame number above [`Zone::Dma32`].
    const BORDER: u32 = 1 << 20;

    fn of(number: u32) -> Self {
        if number < Self::BORDER { Self::Dma32 } else { Self::Normal }
    }

    fn bounds(self) -> Range<u32> {
        match self {
            Self::Dma32 => 0..Self::BORDER,
            Self::Normal => Self::BORDER..NUMBER_LIMIT,
        }
    }

    /// The zones that may serve a request, in the order in which they are asked.
    fn candidates(self) -> &'static [Self] {
        match self {
            Self::Dma32 => &[Self::Dma32],
            Self::Normal => &[Self::Normal, Self::Dma32],
        }
    }
}

/// What is wrong with a block that was given back: a bug of whoever did that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// Not memory of the allocator, or never given out.
    NotOurs,
    /// The frame is free.
    AlreadyFree,
    /// The frame belongs to a block that was given out, but is not its first.
    InsideBlock,
    /// The block was given out with another order.
    WrongOrder {
        /// The order it was given out with.
        allocated: u8,
    },
    /// The block has more than one user.
    Shared {
        /// Its reference count.
        users: u32,
    },
}

/// Why a range cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// Part of it is not memory by the memory map.
    NotMemory,
    /// Part of it belongs to the allocator already.
    Overlap,
    /// No more ranges can be remembered.
    TooManyRanges,
}

/// The frames of one zone, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneStatistics {
    /// Frames that the allocator was given.
    pub total: u64,
    /// Free frames, those of sleeping sections included.
    pub free: u64,
    /// Free frames of sleeping sections.
    pub asleep: u64,
    /// Free blocks of awake sections, by order.
    pub blocks: [u32; ORDERS],
}

/// The allocator in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Indexed by [`Zone`].
    pub zones: [ZoneStatistics; ZONES],
    /// Frames that hold records.
    pub records: u64,
    /// Frames that the records of sleeping sections will take.
    pub records_to_come: u64,
    /// Frames of sections so full of holes that there is no room for their records: they cannot be used.
    pub lost: u64,
    /// Bytes in a section.
    pub section_bytes: u64,
    /// Sections that hold memory.
    pub sections: usize,
    /// Sections that are awake.
    pub awake: usize,
}

/// A section's place in memory.
struct Section {
    /// From its first frame of RAM to its last, free or not: these have records.
    span: Range<u32>,
    /// Free frames that it would bring if it woke, by zone; 0 once it is awake.
    asleep: [u32; ZONES],
}

/// The frame allocator. Big (some 60 KiB): it belongs in a static. A new one is all zeros.
pub struct FrameAllocator {
    /// There once it is initialised.
    counts: Option<&'static RefCounts>,
    section_shift: u32,
    sections: [Section; MAX_SECTIONS],
    /// All memory that was ever given to the allocator, asleep or awake, used or free.
    ranges: FrameRanges,
    blocks: Blocks,
    /// Sums over all sections.
    asleep: [u64; ZONES],
    records: u64,
}

impl FrameAllocator {
    /// An allocator without memory.
    pub const fn new() -> Self {
        Self {
            counts: None,
            section_shift: 0,
            sections: [const { Section { span: 0..0, asleep: [0; ZONES] } }; MAX_SECTIONS],
            ranges: FrameRanges::new(),
            blocks: Blocks::new(),
            asleep: [0; ZONES],
            records: 0,
        }
    }

    /// Takes over the usable memory of `map`, whose users are counted in `counts`. To be called once, before all else.
    ///
    /// # Panics
    /// If it is called again.
    pub fn initialise(&mut self, map: &MemoryMap, counts: &'static RefCounts) {
        assert!(self.counts.is_none(), "the frame allocator is initialised once");
        self.counts = Some(counts);
        let bits = u32::BITS - frames_of(0..map.top()).end.saturating_sub(1).leading_zeros();
        self.section_shift = bits.saturating_sub(MAX_SECTIONS.ilog2()).max(MIN_SECTION_SHIFT);
        self.blocks.set_section_shift(self.section_shift);
        counts.set_section_shift(self.section_shift);
        for region in map.regions().iter().filter(|region| region.kind.is_ram()) {
            for (index, part) in self.parts(frames_of(region.start..region.end)) {
                let span = &mut self.sections[index].span;
                // Regions rise, so that only the first one sets the start.
                let start = if span.end == 0 { part.start } else { span.start };
                *span = start..part.end;
            }
        }
        for region in map.usable() {
            // A map's regions are disjoint, and no more than there is room for.
            let _ = self.ranges.insert(frames_of(region.start..region.end));
        }
        for index in 0..MAX_SECTIONS {
            self.recount(index);
        }
    }

    /// Adds memory that has become free, by its addresses; pages that are not wholly in `range` are left out. The caller vouches
    /// that it is RAM by the memory map (of whatever kind); what is checked is that it lies between pieces that are, and is not the
    /// allocator's already.
    ///
    /// # Errors
    /// [`AddError`]; nothing has changed then.
    pub fn add_range(&mut self, range: Range<u64>) -> Result<(), AddError> {
        let beyond = range.end > u64::from(NUMBER_LIMIT) * PAGE_SIZE;
        let frames = frames_of(range);
        if frames.is_empty() && !beyond {
            return Ok(());
        }
        let is_ram = |(index, part): (usize, Range<u32>)| {
            let span = self.sections.get(index).map_or(0..0, |section: &Section| section.span.clone());
            span.start <= part.start && part.end <= span.end
        };
        if beyond || !self.parts(frames.clone()).all(is_ram) {
            return Err(AddError::NotMemory);
        }
        self.ranges.insert(frames.clone())?;
        for (index, part) in self.parts(frames) {
            if self.blocks.is_awake(index) {
                self.blocks.add(part);
            } else {
                self.recount(index);
            }
        }
        Ok(())
    }

    /// Takes a block of 2^`order` frames that starts at a multiple of its size, with a reference count of 1. Its contents are
    /// what they were. [`Zone::Normal`] falls back to [`Zone::Dma32`]. `memory` is for the records of sections that wake.
    ///
    /// # Errors
    /// [`OutOfFrames`]: no free block is that large.
    pub fn allocate(
        &mut self,
        order: u8,
        zone: Zone,
        memory: &mut impl RecordMemory,
    ) -> Result<PhysFrame, OutOfFrames> {
        let counts = self.counts.ok_or(OutOfFrames)?;
        for zone in zone.candidates() {
            loop {
                if let Some(number) = self.blocks.take(*zone, order) {
                    let frame = frame_of(number);
                    counts.set(frame, 1).map_err(|_| OutOfFrames)?;
                    return Ok(frame);
                }
                if order > MAX_ORDER || !self.wake_one(*zone, counts, memory) {
                    break;
                }
            }
        }
        Err(OutOfFrames)
    }

    /// Takes a block back that nobody or only the caller uses, with the order it was given out with.
    ///
    /// # Errors
    /// [`FreeError`]: a bug of the caller. Nothing has changed then.
    pub fn free(&mut self, frame: PhysFrame, order: u8) -> Result<(), FreeError> {
        let number = u32::try_from(frame.pfn()).map_err(|_| FreeError::NotOurs)?;
        let counts = self.counts.ok_or(FreeError::NotOurs)?;
        let users = counts.count(frame);
        if users > 1 {
            return Err(FreeError::Shared { users });
        }
        self.blocks.give_back(number, order)?;
        counts.set(frame, 0).map_err(|_| FreeError::NotOurs)
    }

    /// Free frames in both zones, those of sleeping sections included.
    pub fn free_frames(&self) -> u64 {
        Zone::ALL.into_iter().map(|zone| self.blocks.free_frames(zone) + self.asleep[zone as usize]).sum()
    }

    /// Everything in numbers. Looks at every section: not for hot paths.
    pub fn statistics(&self) -> Statistics {
        let zone_statistics = |zone: Zone| {
            let asleep = self.asleep[zone as usize];
            ZoneStatistics {
                total: lengths(self.ranges.within(zone.bounds())),
                free: self.blocks.free_frames(zone) + asleep,
                asleep,
                blocks: self.blocks.free_blocks(zone),
            }
        };
        let spans = || self.sections.iter().enumerate().filter(|(_, section)| !section.span.is_empty());
        // Records would take all there is, or there is no room for them.
        let lost = spans().filter(|(index, section)| !self.blocks.is_awake(*index) && section.asleep == [0; ZONES]);
        let sleeping = spans().filter(|(index, section)| !self.blocks.is_awake(*index) && section.asleep != [0; ZONES]);
        Statistics {
            zones: Zone::ALL.map(zone_statistics),
            records: self.records,
            records_to_come: sleeping.map(|(_, section)| record_frames(section.span.len()) as u64).sum(),
            lost: lost.map(|(_, section)| lengths(self.ranges.within(section.span.clone()))).sum(),
            section_bytes: PAGE_SIZE << self.section_shift,
            sections: spans().count(),
            awake: self.blocks.awake_sections(),
        }
    }

    /// Wakes the lowest section that has memory of `zone`. Answers whether there was one.
    fn wake_one(&mut self, zone: Zone, counts: &RefCounts, memory: &mut impl RecordMemory) -> bool {
        if self.asleep[zone as usize] == 0 {
            return false;
        }
        let Some(index) = self.sections.iter().position(|section| section.asleep[zone as usize] > 0) else {
            return false;
        };
        let section = &self.sections[index];
        let span = section.span.clone();
        let place = self.place(section).expect("a section without room for its records counts as having no memory");
        let made = memory.records(frame_of(place.start), place.len(), span.len());
        assert!(
            made.frames.len() == span.len() && made.counts.len() == span.len(),
            "as many records as were asked for"
        );
        counts.publish(index, span.start, made.counts);
        self.blocks.wake(index, span.start, made.frames);
        self.blocks.set_aside(place.clone());
        self.records += place.len() as u64;
        for run in self.ranges.within(span) {
            for part in [run.start..run.end.min(place.start), run.start.max(place.end)..run.end] {
                if !part.is_empty() {
                    self.blocks.add(part);
                }
            }
        }
        self.recount(index);
        true
    }

    /// Where a section's records go: into its first run of free frames that has room for them.
    fn place(&self, section: &Section) -> Option<Range<u32>> {
        let needed = u32::try_from(record_frames(section.span.len())).ok().filter(|needed| *needed > 0)?;
        let run = self.ranges.within(section.span.clone()).find(|run| run.len() >= needed as usize)?;
        Some(run.start..run.start + needed)
    }

    /// Counts what a section would bring if it woke.
    fn recount(&mut self, index: usize) {
        let section = &self.sections[index];
        let mut asleep = [0; ZONES];
        if let Some(place) = self.place(section).filter(|_| !self.blocks.is_awake(index)) {
            for zone in Zone::ALL {
                let all = lengths(self.ranges.within(cut(&section.span, &zone.bounds())));
                let records = cut(&place, &zone.bounds()).len() as u64;
                asleep[zone as usize] = (all - records) as u32;
            }
        }
        let before = core::mem::replace(&mut self.sections[index].asleep, asleep);
        for ((sum, before), now) in self.asleep.iter_mut().zip(before).zip(asleep) {
            *sum = *sum - u64::from(before) + u64::from(now);
        }
    }

    /// The parts of a range by section, with the sections' indexes.
    fn parts(&self, range: Range<u32>) -> impl Iterator<Item = (usize, Range<u32>)> + use<> {
        let shift = self.section_shift;
        let sections = if range.is_empty() { 0..0 } else { range.start >> shift..((range.end - 1) >> shift) + 1 };
        sections.map(move |index| {
            let start = index << shift;
            (index as usize, cut(&range, &(start..start.saturating_add(1 << shift))))
        })
    }
}

impl Default for FrameAllocator {
    fn default() -> Self {
        Self::new()
    }
}

/// The whole frames in a range of addresses, as far as they have numbers.
fn frames_of(range: Range<u64>) -> Range<u32> {
    let number = |frame: u64| u32::try_from(frame).unwrap_or(NUMBER_LIMIT);
    number(range.start.div_ceil(PAGE_SIZE))..number(range.end / PAGE_SIZE)
}

fn frame_of(number: u32) -> PhysFrame {
    PhysFrame::from_pfn(u64::from(number))
}

fn lengths(ranges: impl Iterator<Item = Range<u32>>) -> u64 {
    ranges.map(|range| range.len() as u64).sum()
}
