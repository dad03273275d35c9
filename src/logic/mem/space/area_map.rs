//! The areas of an address space in the order of their addresses, in chunks of a few dozen: found, cut, inserted and removed in
//! the time of one chunk, however many there are.
//!
//! A `BTreeMap` would do but for two things: a program decides how many areas there are, so room for them must be asked for and
//! may be refused ([`AreaMap::prepare`]); and each chunk knows the largest gap before one of its areas, so that the search for
//! room passes over those that have none.
//!
//! Invariants: areas do not overlap; no chunk but an only one is empty; after `prepare`, [`PREPARED`] insertions need no memory.

use super::area::Area;
use super::usage::Sizes;
use alloc::vec::Vec;
use core::ops::Range;

/// Areas in a chunk at most.
const CHUNK: usize = 64;

/// Insertions that [`AreaMap::prepare`] makes room for.
pub const PREPARED: usize = 4;

/// There is no memory for more areas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

struct Chunk {
    areas: Vec<Area>,
    /// The most bytes before one of its areas that are nobody's.
    largest_gap: u64,
}

impl Chunk {
    fn new() -> Result<Self, NoRoom> {
        let mut areas = Vec::new();
        areas.try_reserve_exact(CHUNK).map_err(|_| NoRoom)?;
        Ok(Self { areas, largest_gap: 0 })
    }

    fn end(&self) -> u64 {
        self.areas.last().map_or(0, |area| area.end)
    }
}

/// Where an area is: chunk, and index in it.
type Place = (usize, usize);

/// Areas in the order of their addresses.
#[derive(Default)]
pub struct AreaMap {
    chunks: Vec<Chunk>,
    spare: Vec<Chunk>,
    count: usize,
    sizes: Sizes,
}

impl AreaMap {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// How large they are together.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Area> {
        self.chunks.iter().flat_map(|chunk| chunk.areas.iter())
    }

    /// Those that have an address of `range`.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &Area> {
        let (chunk, index) = self.place(range.start);
        let chunks = self.chunks.get(chunk..).unwrap_or_default();
        let areas = chunks.iter().flat_map(|chunk| chunk.areas.iter()).skip(index);
        areas.take_while(move |area| area.start < range.end && !range.is_empty())
    }

    /// The first that ends after `address`: the one that has it, or the next.
    pub fn at_or_after(&self, address: u64) -> Option<&Area> {
        let (chunk, index) = self.place(address);
        self.chunks.get(chunk)?.areas.get(index)
    }

    /// The one that has `address`.
    pub fn get(&self, address: u64) -> Option<&Area> {
        self.at_or_after(address).filter(|area| area.start <= address)
    }

    /// Where the last one before `address` ends.
    pub fn end_before(&self, address: u64) -> u64 {
        self.previous_end(self.place(address))
    }

    /// Makes room for the next [`PREPARED`] insertions.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn prepare(&mut self) -> Result<(), NoRoom> {
        if self.chunks.is_empty() {
            self.chunks.try_reserve(1).map_err(|_| NoRoom)?;
            self.chunks.push(Chunk::new()?);
        }
        if let [only] = self.chunks.as_slice()
            && only.areas.len() + PREPARED <= CHUNK
        {
            return Ok(());
        }
        self.chunks.try_reserve(PREPARED).map_err(|_| NoRoom)?;
        self.spare.try_reserve(PREPARED).map_err(|_| NoRoom)?;
        while self.spare.len() < PREPARED {
            self.spare.push(Chunk::new()?);
        }
        Ok(())
    }

    /// Inserts an area where nothing is. [`AreaMap::prepare`] has made room.
    pub fn insert(&mut self, area: Area) {
        self.sizes.add(&area);
        self.insert_part(area);
    }

    fn insert_part(&mut self, area: Area) {
        let (chunk, index) = self.place(area.start);
        debug_assert!(self.at_or_after(area.start).is_none_or(|next| area.end <= next.start), "areas do not overlap");
        let place = self.with_room((chunk, index));
        if let Some(chunk) = self.chunks.get_mut(place.0) {
            chunk.areas.insert(place.1, area);
            self.count += 1;
        }
        self.measure(place.0);
    }

    /// Removes the area that starts at `start`.
    pub fn remove(&mut self, start: u64) -> Option<Area> {
        let place = self.exact(start)?;
        let area = self.remove_at(place);
        self.sizes.subtract(&area);
        Some(area)
    }

    /// Cuts the area that has `address` in two there, if it does not start there. [`AreaMap::prepare`] has made room.
    pub fn cut(&mut self, address: u64) {
        let place = self.place(address);
        let Some(area) = self.area_mut(place).filter(|area| area.start < address) else { return };
        let upper = area.part(address..area.end);
        area.end = address;
        self.insert_part(upper);
    }

    /// Changes the area that starts at `start`, but for its order among the others.
    pub fn change(&mut self, start: u64, change: impl FnOnce(&mut Area)) {
        let Some(place) = self.exact(start) else { return };
        let mut sizes = self.sizes;
        if let Some(area) = self.area_mut(place) {
            sizes.subtract(area);
            change(area);
            sizes.add(area);
        }
        self.sizes = sizes;
        self.measure(place.0);
    }

    /// Makes one area of the two that meet at `address`, if they are alike.
    pub fn merge(&mut self, address: u64) {
        let Some(upper) = self.get(address).filter(|area| area.start == address) else { return };
        let end = upper.end;
        let Some(lower) = address.checked_sub(1).and_then(|last| self.get(last)) else { return };
        if !lower.continues_with(upper) {
            return;
        }
        let start = lower.start;
        self.remove(address);
        self.change(start, |area| area.end = end);
    }

    /// The highest start of `bytes` bytes in `window` that are nobody's.
    pub fn highest_gap(&self, window: Range<u64>, bytes: u64) -> Option<u64> {
        let fit = |low: u64, high: u64| {
            let high = high.min(window.end);
            high.checked_sub(bytes).filter(|start| *start >= low.max(window.start))
        };
        let (mut chunk, index) = self.place(window.end);
        // What follows the window may bound a gap that reaches into it, and so is looked at, too.
        let mut areas = self.chunks.get(chunk).map_or(0, |chunk| (index + 1).min(chunk.areas.len()));
        if chunk == self.chunks.len() {
            let last_end = self.chunks.last().map_or(0, Chunk::end);
            if let Some(start) = fit(last_end, window.end) {
                return Some(start);
            }
        }
        loop {
            if let Some(current) = self.chunks.get(chunk)
                && current.largest_gap >= bytes
            {
                for index in (0..areas).rev() {
                    let area = current.areas.get(index)?;
                    if let Some(start) = fit(self.previous_end((chunk, index)), area.guarded_start()) {
                        return Some(start);
                    }
                    if area.start <= window.start {
                        return None;
                    }
                }
            }
            chunk = chunk.checked_sub(1)?;
            areas = self.chunks.get(chunk)?.areas.len();
        }
    }

    /// Where the first area is that ends after `address`.
    fn place(&self, address: u64) -> Place {
        let chunk = self.chunks.partition_point(|chunk| chunk.end() <= address);
        let index = self.chunks.get(chunk).map_or(0, |chunk| chunk.areas.partition_point(|area| area.end <= address));
        (chunk, index)
    }

    fn exact(&self, start: u64) -> Option<Place> {
        let (chunk, index) = self.place(start);
        (self.chunks.get(chunk)?.areas.get(index)?.start == start).then_some((chunk, index))
    }

    fn area_mut(&mut self, (chunk, index): Place) -> Option<&mut Area> {
        self.chunks.get_mut(chunk)?.areas.get_mut(index)
    }

    fn previous_end(&self, (chunk, index): Place) -> u64 {
        if let Some(before) = index.checked_sub(1) {
            return self.chunks.get(chunk).and_then(|chunk| chunk.areas.get(before)).map_or(0, |area| area.end);
        }
        chunk.checked_sub(1).and_then(|before| self.chunks.get(before)).map_or(0, Chunk::end)
    }

    /// Where an area that belongs at `place` can be inserted, in a chunk that has room.
    fn with_room(&mut self, (chunk, index): Place) -> Place {
        let fullness = |chunk: Option<&Chunk>| chunk.map_or(CHUNK, |chunk| chunk.areas.len());
        if index == 0
            && let Some(before) = chunk.checked_sub(1)
        {
            let end = fullness(self.chunks.get(before));
            if end < CHUNK {
                return (before, end);
            }
        }
        if fullness(self.chunks.get(chunk)) < CHUNK {
            return (chunk, index);
        }
        let mut fresh = self.spare.pop().expect("room was made before areas are inserted");
        let Some(full) = self.chunks.get_mut(chunk) else {
            self.chunks.push(fresh);
            return (chunk, index);
        };
        let half = CHUNK / 2;
        fresh.areas.extend(full.areas.drain(half..));
        self.chunks.insert(chunk + 1, fresh);
        self.measure(chunk);
        if index <= half { (chunk, index) } else { (chunk + 1, index - half) }
    }

    fn remove_at(&mut self, (chunk, index): Place) -> Area {
        let area = self.chunks[chunk].areas.remove(index);
        self.count -= 1;
        let left = self.chunks[chunk].areas.len();
        if left == 0 && self.chunks.len() > 1 {
            self.chunks.remove(chunk);
        } else if let Some(next) = self.chunks.get_mut(chunk + 1)
            && left + next.areas.len() <= CHUNK / 2
        {
            let mut next = self.chunks.remove(chunk + 1);
            self.chunks[chunk].areas.append(&mut next.areas);
        }
        self.measure(chunk);
        area
    }

    /// Measures the gaps of a chunk and of the next one anew, whose first gap starts where this one ends.
    fn measure(&mut self, chunk: usize) {
        for chunk in chunk..=chunk + 1 {
            let mut end = self.previous_end((chunk, 0));
            let Some(chunk) = self.chunks.get_mut(chunk) else { break };
            chunk.largest_gap = 0;
            for area in &chunk.areas {
                chunk.largest_gap = chunk.largest_gap.max(area.guarded_start().saturating_sub(end));
                end = area.end;
            }
        }
    }
}
