//! The frame allocator against sets of frame numbers.

use super::*;
use crate::boot::MemoryKind;
use crate::boot::memory_map::MapBuilder;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicU32;

const PAGE: u64 = PAGE_SIZE;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Record memory out of the host's heap; remembers which frames were given for it.
#[derive(Default)]
struct HostMemory(BTreeSet<u32>);

impl RecordMemory for HostMemory {
    fn records(&mut self, first: PhysFrame, frames: usize, count: usize) -> SectionRecords {
        assert_eq!(frames, record_frames(count));
        let first = first.pfn() as u32;
        for number in first..first + frames as u32 {
            assert!(self.0.insert(number), "records do not overlap");
        }
        let counts: Vec<AtomicU32> = (0..count).map(|_| AtomicU32::new(0)).collect();
        SectionRecords { frames: vec![FrameRecord::default(); count].leak(), counts: counts.leak() }
    }
}

fn map_of(entries: &[(Range<u64>, MemoryKind)]) -> MemoryMap {
    let mut builder = MapBuilder::default();
    for (range, kind) in entries {
        builder.add(range.clone(), *kind).unwrap();
    }
    let mut map = MemoryMap::default();
    builder.build(&mut map).unwrap();
    map
}

fn allocator(map: &MemoryMap) -> (Box<FrameAllocator>, &'static RefCounts) {
    let counts: &'static RefCounts = Box::leak(Box::default());
    let mut allocator = Box::new(FrameAllocator::new());
    allocator.initialise(map, counts);
    (allocator, counts)
}

fn plain(bytes: u64) -> (Box<FrameAllocator>, &'static RefCounts, HostMemory) {
    let (allocator, counts) = allocator(&map_of(&[(0..bytes, MemoryKind::Usable)]));
    (allocator, counts, HostMemory::default())
}

fn blocks_of(free: &BTreeSet<u32>, zone: Zone) -> [u32; ORDERS] {
    let mut blocks = [0; ORDERS];
    let all = |start: u32, order: u32| (start..start + (1 << order)).all(|number| free.contains(&number));
    let mut next = zone.bounds().start;
    for number in free.range(zone.bounds()) {
        if *number >= next {
            let fits = |order: &u32| number.is_multiple_of(1 << order) && all(*number, *order);
            let order = (0..=u32::from(MAX_ORDER)).take_while(fits).last().unwrap();
            blocks[order as usize] += 1;
            next = number + (1 << order);
        }
    }
    blocks
}

#[test]
fn a_terabyte_starts_asleep() {
    let map = map_of(&[(0..3 * GIB, MemoryKind::Usable), (4 * GIB..1025 * GIB, MemoryKind::Usable)]);
    let (mut allocator, _) = allocator(&map);
    let mut memory = HostMemory::default();
    let before = allocator.statistics();
    assert_eq!((before.awake, before.records, before.lost), (0, 0, 0));
    assert!(before.sections <= MAX_SECTIONS && before.section_bytes == 2 * GIB);
    let frame = allocator.allocate(0, Zone::Normal, &mut memory).unwrap();
    assert!(frame.start_address().as_u64() >= 4 * GIB, "memory above 4 GiB goes first");
    assert_eq!(allocator.statistics().awake, 1);
    assert_eq!(allocator.free_frames() + 1, before.zones[0].free + before.zones[1].free);
    assert_eq!(before.zones[1].total, 1021 * GIB / PAGE);
}

#[test]
fn a_small_machine_spends_little_on_records() {
    let (mut allocator, _, mut memory) = plain(8 * MIB);
    allocator.allocate(0, Zone::Normal, &mut memory).unwrap();
    assert_eq!(memory.0.len(), 8);
    assert_eq!(allocator.free_frames(), 2048 - 8 - 1);
}

#[test]
fn dma_memory_never_comes_from_above_4_gib() {
    let map = map_of(&[(MIB..2 * MIB, MemoryKind::Usable), (4 * GIB..4 * GIB + MIB, MemoryKind::Usable)]);
    let (mut allocator, _) = allocator(&map);
    let mut memory = HostMemory::default();
    let low: Vec<_> = core::iter::from_fn(|| allocator.allocate(0, Zone::Dma32, &mut memory).ok()).collect();
    assert!(low.iter().all(|frame| frame.start_address().as_u64() < 4 * GIB));
    assert_eq!(low.len(), 255, "all but the frame with the records");
    assert_eq!(allocator.free_frames(), 255);
}

#[test]
fn normal_memory_falls_back_to_low_memory() {
    let map = map_of(&[(MIB..2 * MIB, MemoryKind::Usable), (4 * GIB..4 * GIB + MIB, MemoryKind::Usable)]);
    let (mut allocator, _) = allocator(&map);
    let mut memory = HostMemory::default();
    assert_eq!(core::iter::from_fn(|| allocator.allocate(0, Zone::Normal, &mut memory).ok()).count(), 510);
}

#[test]
fn memory_past_16_tib_is_left_alone() {
    let map = map_of(&[(0..4 * MIB, MemoryKind::Usable), (20 << 40..21 << 40, MemoryKind::Usable)]);
    let (mut allocator, _) = allocator(&map);
    assert_eq!(allocator.free_frames() + record_frames(1024) as u64, 1024);
    assert_eq!(allocator.add_range(20 << 40..21 << 40), Err(AddError::NotMemory));
    assert_eq!(allocator.add_range((16 << 40) - PAGE..u64::MAX), Err(AddError::NotMemory));
}

#[test]
fn the_last_frames_below_16_tib_work() {
    let map = map_of(&[((16 << 40) - MIB..16 << 40, MemoryKind::Usable)]);
    let (mut allocator, _) = allocator(&map);
    let mut memory = HostMemory::default();
    assert_eq!(core::iter::from_fn(|| allocator.allocate(0, Zone::Normal, &mut memory).ok()).count(), 254);
}

#[test]
fn memory_too_scattered_for_its_records_is_lost_until_more_comes() {
    // Two single frames at the ends of a section, the rest of which another owns.
    let kinds = [
        (0..PAGE, MemoryKind::Usable),
        (PAGE..64 * MIB - PAGE, MemoryKind::Kernel),
        (64 * MIB - PAGE..64 * MIB, MemoryKind::Usable),
    ];
    let (mut allocator, _) = allocator(&map_of(&kinds));
    let mut memory = HostMemory::default();
    assert_eq!((allocator.free_frames(), allocator.statistics().lost), (0, 2));
    assert_eq!(allocator.allocate(0, Zone::Normal, &mut memory), Err(OutOfFrames));
    allocator.add_range(32 * MIB..33 * MIB).unwrap();
    assert_eq!((allocator.free_frames(), allocator.statistics().lost), (256 + 2 - 64, 0));
    assert_eq!(core::iter::from_fn(|| allocator.allocate(0, Zone::Normal, &mut memory).ok()).count(), 194);
}

#[test]
fn blocks_that_come_back_wrongly_are_refused() {
    let (mut allocator, counts, mut memory) = plain(8 * MIB);
    let block = allocator.allocate(3, Zone::Normal, &mut memory).unwrap();
    let before = allocator.statistics();
    assert_eq!(allocator.free(block, 2), Err(FreeError::WrongOrder { allocated: 3 }));
    assert_eq!(allocator.free(block + 1, 0), Err(FreeError::InsideBlock));
    counts.share(block).unwrap();
    assert_eq!(allocator.free(block, 3), Err(FreeError::Shared { users: 2 }));
    assert_eq!(counts.release(block), Ok(false));
    let records = frame_of(*memory.0.first().unwrap());
    assert_eq!(allocator.free(records, 0), Err(FreeError::NotOurs));
    assert_eq!(allocator.free(frame_of(1 << 30), 0), Err(FreeError::NotOurs));
    assert_eq!(allocator.free(PhysFrame::from_pfn((1 << 40) - 1), 0), Err(FreeError::NotOurs));
    assert_eq!(allocator.statistics(), before);
    assert_eq!(allocator.free(block, 3), Ok(()));
    assert_eq!(allocator.free(block, 3), Err(FreeError::AlreadyFree));
    assert_eq!(allocator.free(block + 1, 0), Err(FreeError::AlreadyFree));
}

#[test]
fn ranges_that_are_not_memory_or_known_are_refused() {
    let map = map_of(&[(MIB..8 * MIB, MemoryKind::Usable), (16 * MIB..17 * MIB, MemoryKind::Reserved)]);
    let (mut allocator, _) = allocator(&map);
    assert_eq!(allocator.add_range(16 * MIB..17 * MIB), Err(AddError::NotMemory));
    assert_eq!(allocator.add_range(0..PAGE), Err(AddError::NotMemory));
    assert_eq!(allocator.add_range(2 * MIB..3 * MIB), Err(AddError::Overlap));
    assert_eq!(allocator.add_range(2 * MIB + 1..2 * MIB + PAGE), Ok(()), "holds no whole page");
    assert_eq!(allocator.add_range(0..u64::MAX), Err(AddError::NotMemory));
}

#[test]
fn every_order_is_aligned_and_none_is_larger_than_the_largest() {
    let (mut allocator, _, mut memory) = plain(64 * MIB);
    for order in 0..=MAX_ORDER {
        let block = allocator.allocate(order, Zone::Normal, &mut memory).unwrap();
        assert!(block.pfn().is_multiple_of(1 << order));
    }
    assert_eq!(allocator.allocate(MAX_ORDER + 1, Zone::Normal, &mut memory), Err(OutOfFrames));
}

#[test]
fn the_last_user_is_told_so_once() {
    let (mut allocator, counts, mut memory) = plain(8 * MIB);
    let frame = allocator.allocate(0, Zone::Normal, &mut memory).unwrap();
    assert_eq!(counts.count(frame), 1);
    counts.share(frame).unwrap();
    assert_eq!(counts.release(frame), Ok(false));
    assert_eq!(counts.release(frame), Ok(true));
    assert_eq!(counts.release(frame), Err(CountError::NotInUse));
    assert_eq!(counts.share(frame), Err(CountError::NotInUse));
    assert_eq!(allocator.free(frame, 0), Ok(()));
    assert_eq!(counts.share(frame_of(1 << 30)), Err(CountError::NotOurs));
    counts.set(frame, u32::MAX).unwrap();
    assert_eq!(counts.share(frame), Err(CountError::Overflow));
    assert_eq!(counts.count(frame), u32::MAX);
}

#[test]
fn many_threads_release_a_frame_exactly_once() {
    let (mut allocator, counts, mut memory) = plain(8 * MIB);
    let frame = allocator.allocate(0, Zone::Normal, &mut memory).unwrap();
    for _ in 0..3 {
        counts.share(frame).unwrap();
    }
    let users: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                for _ in 0..1000 {
                    counts.share(frame).unwrap();
                    assert_eq!(counts.release(frame), Ok(false));
                }
                counts.release(frame).unwrap()
            })
        })
        .collect();
    assert_eq!(users.into_iter().map(|user| user.join().unwrap()).filter(|last| *last).count(), 1);
}

#[test]
fn a_stock_moves_frames_in_batches_and_keeps_the_warm_ones() {
    let (mut allocator, counts, mut memory) = plain(8 * MIB);
    let mut cache = FrameCache::new();
    assert_eq!(cache.take(counts), None);
    let refilled = cache.refill(counts, || allocator.allocate(0, Zone::Normal, &mut memory).ok());
    assert_eq!((refilled, cache.len()), (Ok(CACHE_BATCH), CACHE_BATCH));
    let frame = cache.take(counts).unwrap();
    assert_eq!(counts.count(frame), 1);
    assert_eq!(counts.release(frame), Ok(true));
    assert_eq!(cache.put(frame), None);
    assert_eq!(cache.take(counts), Some(frame), "the warmest goes first");
    let mut frames: Vec<_> =
        (0..CACHE_FRAMES).map(|_| allocator.allocate(0, Zone::Normal, &mut memory).unwrap()).collect();
    frames.push(frame);
    let mut returned = 0;
    for frame in &frames {
        assert_eq!(counts.release(*frame), Ok(true));
        for cold in cache.put(*frame).into_iter().flatten() {
            allocator.free(cold, 0).unwrap();
            returned += 1;
        }
    }
    assert_eq!((returned, cache.len()), (CACHE_BATCH, CACHE_FRAMES));
    assert_eq!(cache.take(counts), frames.pop());
    let last = frames.pop().unwrap();
    assert_eq!(cache.take(counts), Some(last));
    while let Some(batch) = cache.drain() {
        batch.into_iter().for_each(|frame| allocator.free(frame, 0).unwrap());
    }
    assert_eq!(allocator.free_frames(), 2048 - 8 - 2, "but for the two that are taken");
}

#[derive(Clone, Debug)]
enum Step {
    Allocate(u8, Zone),
    Free(prop::sample::Index),
    Share(prop::sample::Index),
    Add(prop::sample::Index),
}

fn any_step() -> impl Strategy<Value = Step> {
    let zone = prop::sample::select(Zone::ALL.to_vec());
    prop_oneof![
        5 => (prop_oneof![4 => 0..4_u8, 1 => 4..=MAX_ORDER], zone).prop_map(|(order, zone)| Step::Allocate(order, zone)),
        4 => any::<prop::sample::Index>().prop_map(Step::Free),
        1 => any::<prop::sample::Index>().prop_map(Step::Share),
        1 => any::<prop::sample::Index>().prop_map(Step::Add),
    ]
}

/// Clusters of short ranges, each in a section of its own and one across two: usable or to be reclaimed, with holes.
fn any_ranges() -> impl Strategy<Value = Vec<(Range<u64>, bool)>> {
    let bases = [0_u64, 0x3e00, 0x8123, (1 << 20) - 0x400, (1 << 20) + 0x4000];
    let cluster = |base: u64| {
        prop::collection::vec((0..24_u64, 1..400_u64, any::<bool>()), 0..6).prop_map(move |pieces| {
            let mut position = base;
            let mut ranges = Vec::new();
            for (gap, length, usable) in pieces {
                // A gap of 0 makes neighbours.
                position += gap / 8 * 5;
                ranges.push((position * PAGE..(position + length) * PAGE, usable));
                position += length;
            }
            ranges
        })
    };
    bases.map(cluster).prop_map(|clusters| clusters.concat())
}

fn numbers(range: &Range<u64>) -> Range<u32> {
    (range.start / PAGE) as u32..(range.end / PAGE) as u32
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn it_agrees_with_sets_of_frames(ranges in any_ranges(), steps in prop::collection::vec(any_step(), 0..120)) {
        let kind = |usable: bool| if usable { MemoryKind::Usable } else { MemoryKind::Module };
        let entries: Vec<_> = ranges.iter().map(|(range, usable)| (range.clone(), kind(*usable))).collect();
        let (mut allocator, counts) = allocator(&map_of(&entries));
        let mut memory = HostMemory::default();
        let mut ours: BTreeSet<u32> =
            ranges.iter().filter(|(_, usable)| *usable).flat_map(|(range, _)| numbers(range)).collect();
        let mut later: Vec<_> = ranges.iter().filter(|(_, usable)| !usable).map(|(range, _)| range.clone()).collect();
        let mut used: BTreeSet<u32> = BTreeSet::new();
        let mut held: Vec<(PhysFrame, u8)> = Vec::new();
        let claim = |frame: PhysFrame, order: u8, ours: &BTreeSet<u32>, records: &BTreeSet<u32>, used: &mut BTreeSet<u32>| {
            let first = frame.pfn() as u32;
            assert!(first.is_multiple_of(1 << order));
            for number in first..first + (1 << order) {
                assert!(ours.contains(&number) && !records.contains(&number) && used.insert(number), "{number:#x}");
            }
        };
        for step in steps {
            match step {
                Step::Allocate(order, zone) => {
                    let before = allocator.free_frames();
                    if let Ok(frame) = allocator.allocate(order, zone, &mut memory) {
                        prop_assert!(zone == Zone::Normal || Zone::of(frame.pfn() as u32) == Zone::Dma32);
                        prop_assert_eq!(counts.count(frame), 1);
                        claim(frame, order, &ours, &memory.0, &mut used);
                        held.push((frame, order));
                        prop_assert_eq!(allocator.free_frames() + (1 << order), before);
                    } else {
                        prop_assert_eq!(allocator.free_frames(), before);
                        let zones = allocator.statistics().zones;
                        for zone in zone.candidates() {
                            prop_assert_eq!(zones[*zone as usize].asleep, 0, "all was woken before giving up");
                            let blocks = zones[*zone as usize].blocks;
                            prop_assert!(blocks[usize::from(order)..].iter().all(|count| *count == 0));
                        }
                    }
                }
                Step::Free(index) if !held.is_empty() => {
                    let (frame, order) = held.swap_remove(index.index(held.len()));
                    allocator.free(frame, order).unwrap();
                    prop_assert_eq!(counts.count(frame), 0);
                    (frame.pfn() as u32..frame.pfn() as u32 + (1 << order)).for_each(|number| assert!(used.remove(&number)));
                    prop_assert_eq!(allocator.free(frame, order), Err(FreeError::AlreadyFree));
                }
                Step::Share(index) if !held.is_empty() => {
                    let (frame, order) = held[index.index(held.len())];
                    counts.share(frame).unwrap();
                    prop_assert_eq!(allocator.free(frame, order), Err(FreeError::Shared { users: 2 }));
                    prop_assert_eq!(counts.release(frame), Ok(false));
                }
                Step::Add(index) if !later.is_empty() => {
                    let range = later.swap_remove(index.index(later.len()));
                    allocator.add_range(range.clone()).unwrap();
                    prop_assert_eq!(allocator.add_range(range.clone()), Err(AddError::Overlap));
                    ours.extend(numbers(&range));
                }
                _ => {}
            }
            let statistics = allocator.statistics();
            let total: u64 = statistics.zones.iter().map(|zone| zone.total).sum();
            prop_assert_eq!(total, ours.len() as u64);
            prop_assert_eq!(statistics.records, memory.0.len() as u64);
        }
        for (frame, order) in held.drain(..) {
            allocator.free(frame, order).unwrap();
        }
        used.clear();
        // Wakes what still sleeps: nothing is asleep once nothing of the largest order is left.
        let mut large = Vec::new();
        while let Ok(frame) = allocator.allocate(MAX_ORDER, Zone::Normal, &mut memory) {
            large.push(frame);
        }
        large.into_iter().for_each(|frame| allocator.free(frame, MAX_ORDER).unwrap());
        // Everything has grown together again, as if it had never been taken apart.
        let statistics = allocator.statistics();
        prop_assert_eq!(statistics.records, memory.0.len() as u64);
        let section = |number: u32| number >> 14;
        let awake: BTreeSet<u32> = memory.0.iter().map(|number| section(*number)).collect();
        let free: BTreeSet<u32> =
            ours.iter().filter(|it| awake.contains(&section(**it)) && !memory.0.contains(it)).copied().collect();
        prop_assert_eq!(statistics.lost, ours.iter().filter(|it| !awake.contains(&section(**it))).count() as u64);
        for zone in Zone::ALL {
            prop_assert_eq!(statistics.zones[zone as usize].blocks, blocks_of(&free, zone));
        }
        // Every frame can be had, once.
        while let Ok(frame) = allocator.allocate(0, Zone::Normal, &mut memory) {
            claim(frame, 0, &ours, &memory.0, &mut used);
        }
        prop_assert_eq!(used, free);
        prop_assert_eq!(allocator.free_frames(), 0);
    }
}
