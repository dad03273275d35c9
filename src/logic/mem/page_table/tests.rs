//! The page-table editor over tables on the host, against a list of intervals.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const KIB4: u64 = 1 << 12;
const MIB2: u64 = 1 << 21;
const GIB: u64 = 1 << 30;
const KERNEL: u64 = 0xffff_8000_0000_0000;

/// Tables in a map. Frames come numbered, and run out when `budget` does.
pub(super) struct HostTables {
    pub(super) tables: BTreeMap<u64, Vec<PageTableEntry>>,
    next: u64,
    pub(super) budget: usize,
}

impl TableMemory for HostTables {
    fn read(&self, table: PhysFrame, index: usize) -> PageTableEntry {
        self.tables[&table.pfn()][index].clone()
    }

    fn write(&mut self, table: PhysFrame, index: usize, entry: PageTableEntry) {
        self.tables.get_mut(&table.pfn()).unwrap()[index] = entry;
    }

    fn allocate(&mut self) -> Result<PhysFrame, OutOfFrames> {
        self.budget = self.budget.checked_sub(1).ok_or(OutOfFrames)?;
        self.next += 1;
        self.tables.insert(self.next, vec![PageTableEntry::new(); ENTRIES]);
        Ok(PhysFrame::from_pfn(self.next))
    }

    fn free(&mut self, table: PhysFrame) {
        assert!(self.tables.remove(&table.pfn()).is_some(), "tables are freed once");
    }
}

impl HostTables {
    /// Tables reached from `root`; all are in use but for those right below the root in the kernel's half.
    pub(super) fn reached(&self, root: PhysFrame) -> BTreeSet<u64> {
        fn visit(memory: &HostTables, table: PhysFrame, level: u8, stays: bool, reached: &mut BTreeSet<u64>) {
            assert!(reached.insert(table.pfn()), "no table is used twice");
            let mut used = level == ROOT || stays;
            for index in 0..ENTRIES {
                let entry = memory.read(table, index);
                used |= !entry.is_unused();
                if let Some(child) = child_of(&entry).filter(|_| LeafEntry::read(&entry, level).is_none()) {
                    visit(memory, child, level - 1, level == ROOT && index >= KERNEL_HALF, reached);
                }
            }
            assert!(used, "an empty table is left");
        }
        let mut reached = BTreeSet::new();
        visit(self, root, ROOT, true, &mut reached);
        reached
    }
}

pub(super) fn fresh(largest: PageSize) -> (Tables, HostTables) {
    let mut memory = HostTables { tables: BTreeMap::new(), next: 0x1234, budget: usize::MAX };
    let root = memory.allocate().unwrap();
    (Tables { root, largest, no_execute: true }, memory)
}

fn at(address: u64) -> VirtAddr {
    VirtAddr::new(address)
}

fn runs(tables: &Tables, memory: &HostTables) -> Vec<Run> {
    let mut runs = Vec::new();
    tables.walk(memory, |run| runs.push(*run));
    runs
}

#[test]
fn the_largest_pages_that_fit_are_used() {
    for (largest, expected) in [
        (PageSize::Small, vec![PageSize::Small]),
        (PageSize::Large, vec![PageSize::Small, PageSize::Large]),
        (PageSize::Huge, vec![PageSize::Small, PageSize::Large, PageSize::Huge, PageSize::Large]),
    ] {
        let (tables, mut memory) = fresh(largest);
        let offset = GIB - MIB2 - KIB4;
        let bytes = if largest == PageSize::Small { 2 * KIB4 } else { GIB + 2 * MIB2 + KIB4 };
        tables.map(&mut memory, at(KERNEL + offset), PhysAddr::new(offset), bytes, Mapping::KERNEL_DATA).unwrap();
        let sizes: Vec<_> = runs(&tables, &memory).iter().map(|run| run.page_size).collect();
        assert_eq!(sizes, expected);
        let last = KERNEL + offset + bytes - 1;
        let translation = tables.translate(&memory, at(last)).unwrap();
        assert_eq!(translation.address.as_u64(), offset + bytes - 1);
        assert_eq!(translation.mapping, Mapping::KERNEL_DATA);
        assert_eq!(tables.translate(&memory, at(last + 1)), None);
    }
}

#[test]
fn each_way_of_caching_has_its_bits_at_each_size() {
    for (caching, small, large) in [
        (Caching::WriteBack, 0x1003, 0x4000_0083_u64),
        (Caching::WriteThrough, 0x100b, 0x4000_008b),
        (Caching::Uncached, 0x101b, 0x4000_009b),
        (Caching::WriteCombining, 0x108b, 0x4000_108b),
    ] {
        let mapping = Mapping { flags: PageTableFlags::WRITABLE, caching };
        for (size, physical, bits) in
            [(PageSize::Small, 0x1000, small), (PageSize::Large, GIB, large), (PageSize::Huge, GIB, large)]
        {
            let entry = LeafEntry::new(PhysAddr::new(physical), mapping, size).entry(true);
            assert_eq!(entry.addr().as_u64() | entry.flags().bits(), bits, "{size:?} {caching:?}");
            let read = LeafEntry::read(&entry, size.level()).unwrap();
            assert_eq!((read.physical.as_u64(), read.mapping, read.size), (physical, mapping, size));
            // The page-attribute table is what tells the processor.
            let kind = match caching {
                Caching::WriteBack => 6,
                Caching::WriteThrough => 4,
                Caching::Uncached => 0,
                Caching::WriteCombining => 1,
            };
            let attribute = if size == PageSize::Small { bits >> 7 & 1 } else { bits >> 12 & 1 };
            let index = attribute << 2 | (bits >> 3 & 3);
            assert_eq!(PAGE_ATTRIBUTES >> (8 * index) & 0xff, kind);
        }
    }
}

#[test]
fn a_processor_without_nx_gets_no_such_flag() {
    let (tables, mut memory) = fresh(PageSize::Large);
    let tables = Tables { no_execute: false, ..tables };
    tables.map(&mut memory, at(KERNEL), PhysAddr::new(0), MIB2, Mapping::KERNEL_DATA).unwrap();
    tables.protect(&mut memory, at(KERNEL), KIB4, Mapping::KERNEL_READ.flags).unwrap();
    assert!(runs(&tables, &memory).iter().all(|run| run.mapping.is_executable()));
}

#[test]
fn ranges_that_cannot_be_are_refused() {
    let (tables, mut memory) = fresh(PageSize::Huge);
    let user = Mapping::cached(PageTableFlags::USER_ACCESSIBLE);
    for (start, physical, bytes, mapping) in [
        (0x1000, 0x1000, 0, user),
        (0x1001, 0x1000, 0x1000, user),
        (0x1000, 0x1001, 0x1000, user),
        (0x1000, 0x1000, 0x1001, user),
        (0x7fff_ffff_f000, 0, 0x2000, user),
        (0xffff_ffff_ffff_f000, 0, 0x2000, Mapping::KERNEL_DATA),
        (0xffff_ffff_ffff_f000, 0, u64::MAX - 0xfff, Mapping::KERNEL_DATA),
        (0x1000, 0xf_ffff_ffff_f000, 0x2000, user),
        (KERNEL, 0, 0x1000, user),
    ] {
        let refused = tables.map(&mut memory, at(start), PhysAddr::new(physical), bytes, mapping);
        assert_eq!(refused, Err(MapError::BadRange), "{start:#x} {physical:#x} {bytes:#x}");
    }
    assert_eq!(tables.prepare(&mut memory, at(0), GIB), Err(MapError::BadRange));
    assert_eq!(memory.tables.len(), 1);
}

#[test]
fn the_last_page_of_each_half_works() {
    let (tables, mut memory) = fresh(PageSize::Huge);
    for last in [0x7fff_ffff_f000_u64, 0xffff_ffff_ffff_f000] {
        tables.map(&mut memory, at(last), PhysAddr::new(0xf_ffff_ffff_f000), KIB4, Mapping::KERNEL_READ).unwrap();
        assert_eq!(tables.translate(&memory, at(last | 0xfff)).unwrap().address.as_u64(), (1 << 52) - 1);
    }
    let ends: Vec<_> = runs(&tables, &memory).iter().map(|run| run.last().as_u64()).collect();
    assert_eq!(ends, [0x7fff_ffff_ffff, u64::MAX]);
    tables.unmap(&mut memory, at(KERNEL), 1 << 47, |_| ()).unwrap();
    tables.unmap(&mut memory, at(0), 1 << 47, |_| ()).unwrap();
    assert_eq!(memory.tables.len(), 2, "the root and the kernel's level-3 table stay");
}

#[test]
fn a_fork_sees_what_is_mapped_later_below_prepared_tables() {
    let (tables, mut memory) = fresh(PageSize::Huge);
    let window = 0xffff_c000_0000_0000;
    tables.prepare(&mut memory, at(window), 2 << 39).unwrap();
    tables.map(&mut memory, at(0x40_0000), PhysAddr::new(0), KIB4, Mapping::KERNEL_READ).unwrap();
    let fork = tables.fork_kernel_half(&mut memory).unwrap();
    tables.map(&mut memory, at(window + (1 << 39)), PhysAddr::new(GIB), KIB4, Mapping::KERNEL_DATA).unwrap();
    assert_eq!(fork.translate(&memory, at(window + (1 << 39))).unwrap().address.as_u64(), GIB);
    assert_eq!(fork.translate(&memory, at(0x40_0000)), None);
    tables.unmap(&mut memory, at(window), 2 << 39, |_| ()).unwrap();
    assert!(runs(&fork, &memory).is_empty());
}

#[test]
fn what_the_processor_set_survives_a_split() {
    let (tables, mut memory) = fresh(PageSize::Huge);
    tables.map(&mut memory, at(KERNEL), PhysAddr::new(0), GIB, Mapping::KERNEL_DATA).unwrap();
    let level_3 = child_of(&memory.read(tables.root, KERNEL_HALF)).unwrap();
    let mut entry = memory.read(level_3, 0);
    entry.set_flags(entry.flags() | PageTableFlags::ACCESSED | PageTableFlags::DIRTY);
    memory.write(level_3, 0, entry);
    tables.protect(&mut memory, at(KERNEL + KIB4), KIB4, Mapping::KERNEL_READ.flags).unwrap();
    assert_eq!(memory.tables.len(), 4, "a level-2 and a level-1 table are new");
    let level_2 = child_of(&memory.read(level_3, 0)).unwrap();
    let level_1 = child_of(&memory.read(level_2, 0)).unwrap();
    for entry in [memory.read(level_1, 0), memory.read(level_1, 1), memory.read(level_2, 511)] {
        assert!(entry.flags().contains(PageTableFlags::ACCESSED | PageTableFlags::DIRTY));
    }
}

#[test]
fn rights_hold_only_if_all_levels_grant_them() {
    let (tables, mut memory) = fresh(PageSize::Large);
    let all = Mapping::cached(PageTableFlags::WRITABLE | PageTableFlags::USER_ACCESSIBLE);
    tables.map(&mut memory, at(0), PhysAddr::new(0), KIB4, all).unwrap();
    let mut entry = memory.read(tables.root, 0);
    entry.set_flags(PageTableFlags::PRESENT | PageTableFlags::NO_EXECUTE);
    memory.write(tables.root, 0, entry);
    let expected = Mapping::cached(PageTableFlags::NO_EXECUTE);
    assert_eq!(tables.translate(&memory, at(0)).unwrap().mapping, expected);
    assert_eq!(runs(&tables, &memory)[0].mapping, expected);
}

#[test]
fn the_audit_finds_what_is_writable_and_executable() {
    let (tables, mut memory) = fresh(PageSize::Large);
    tables.map(&mut memory, at(KERNEL), PhysAddr::new(0), GIB, Mapping::KERNEL_DATA).unwrap();
    tables.map(&mut memory, at(KERNEL + GIB), PhysAddr::new(0), MIB2, Mapping::KERNEL_CODE).unwrap();
    assert_eq!(audit::writable_and_executable(&tables, &memory), audit::Findings::default());
    for page in 0..10 {
        let start = at(KERNEL + 2 * page * KIB4);
        tables.protect(&mut memory, start, KIB4, PageTableFlags::WRITABLE | PageTableFlags::GLOBAL).unwrap();
    }
    let findings = audit::writable_and_executable(&tables, &memory);
    assert_eq!((findings.runs.len(), findings.count), (audit::SHOWN, 10));
    assert_eq!(findings.runs[1].to_string(), "ffff800000002000-ffff800000002fff -> 0000000002000 rwx-g 4K WriteBack");
}

/// What is mapped: intervals of positions, each with what its first byte leads to.
#[derive(Clone, Debug, PartialEq)]
struct Interval {
    range: Range<u64>,
    physical: u64,
    mapping: Mapping,
}

#[derive(Clone, Default)]
struct Model(Vec<Interval>);

impl Model {
    /// Cuts the intervals at the ends of `range` and takes out those inside it.
    fn take(&mut self, range: &Range<u64>) -> Vec<Interval> {
        for position in [range.start, range.end] {
            let (mut whole, cut): (Vec<_>, Vec<_>) =
                self.0.drain(..).partition(|it| position <= it.range.start || position >= it.range.end);
            for it in cut {
                let physical = it.physical + (position - it.range.start);
                whole.push(Interval { range: it.range.start..position, ..it.clone() });
                whole.push(Interval { range: position..it.range.end, physical, ..it });
            }
            self.0 = whole;
        }
        let (inside, outside) =
            self.0.drain(..).partition(|it| it.range.start >= range.start && it.range.end <= range.end);
        self.0 = outside;
        inside
    }

    fn is_free(&self, range: &Range<u64>) -> bool {
        self.0.iter().all(|it| it.range.end <= range.start || range.end <= it.range.start)
    }
}

/// Sorted, and neighbours that continue each other joined.
fn merged(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_by_key(|it| it.range.start);
    intervals.into_iter().fold(Vec::new(), |mut merged: Vec<Interval>, next| {
        match merged.last_mut() {
            Some(last)
                if last.range.end == next.range.start
                    && last.range.end != HALF
                    && last.physical + (last.range.end - last.range.start) == next.physical
                    && last.mapping == next.mapping =>
            {
                last.range.end = next.range.end;
            }
            _ => merged.push(next),
        }
        merged
    })
}

fn walked(tables: &Tables, memory: &HostTables) -> Vec<Interval> {
    let interval = |run: Run| {
        let start = position_of(run.start);
        Interval { range: start..start + run.bytes, physical: run.physical.as_u64(), mapping: run.mapping }
    };
    merged(runs(tables, memory).into_iter().map(interval).collect())
}

#[derive(Clone, Debug)]
enum Edit {
    Map(Mapping),
    Unmap,
    Protect(PageTableFlags),
}

#[derive(Clone, Debug)]
struct Step {
    edit: Edit,
    start: u64,
    bytes: u64,
    physical: u64,
    budget: usize,
}

fn any_flags() -> impl Strategy<Value = PageTableFlags> {
    any::<[bool; 3]>().prop_map(|[writable, global, no_execute]| {
        let mut flags = PageTableFlags::empty();
        flags.set(PageTableFlags::WRITABLE, writable);
        flags.set(PageTableFlags::GLOBAL, global);
        flags.set(PageTableFlags::NO_EXECUTE, no_execute);
        flags
    })
}

fn any_edit() -> impl Strategy<Value = Edit> {
    use Caching::{Uncached, WriteBack, WriteCombining, WriteThrough};
    let caching = prop::sample::select(vec![WriteBack, WriteBack, WriteThrough, Uncached, WriteCombining]);
    prop_oneof![
        3 => (any_flags(), caching).prop_map(|(flags, caching)| Edit::Map(Mapping { flags, caching })),
        2 => Just(Edit::Unmap),
        1 => any_flags().prop_map(Edit::Protect),
    ]
}

/// Edits near the ends of the halves and where tables of each level meet.
fn any_step() -> impl Strategy<Value = Step> {
    let base = prop::sample::select(vec![
        0,
        GIB - MIB2,
        (1 << 39) - GIB,
        HALF - 2 * GIB,
        HALF,
        HALF + (1 << 39) - MIB2,
        2 * HALF - GIB,
        2 * HALF - 3 * MIB2,
    ]);
    let unit = || prop::sample::select(vec![KIB4, KIB4, MIB2, MIB2, GIB]);
    let budget = prop_oneof![3 => Just(usize::MAX), 1 => 0..6_usize];
    let physical = (unit(), 0..4_u64).prop_map(|(unit, count)| unit * count);
    (any_edit(), base, (unit(), 0..4_u64), (unit(), 1..4_u64), any::<bool>(), physical, budget).prop_map(
        |(edit, base, (skip, skips), (unit, units), identical, physical, budget)| {
            let start = base + skip * skips;
            let physical = if identical { start } else { physical };
            // Much in 4 KiB pages takes long and shows nothing new.
            let whole = if unit == GIB { MIB2 } else { KIB4 };
            Step { edit, start: start / whole * whole, bytes: unit * units, physical: physical / whole * whole, budget }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn edits_agree_with_a_list_of_intervals(
        steps in prop::collection::vec(any_step(), 1..24),
        largest in prop::sample::select(vec![PageSize::Large, PageSize::Huge]),
    ) {
        let (tables, mut memory) = fresh(largest);
        let mut model = Model::default();
        for Step { edit, start, bytes, physical, budget } in steps {
            let range = start..start + bytes;
            let start = address_of(start % (2 * HALF));
            let possible = range.start < 2 * HALF && range.end <= if range.start < HALF { HALF } else { 2 * HALF };
            memory.budget = budget;
            let before = memory.tables.len();
            let kept = |memory: &HostTables| {
                (KERNEL_HALF..ENTRIES).filter(|index| is_present(&memory.read(tables.root, *index))).count()
            };
            let kept_before = kept(&memory);
            let mut leaves = Vec::new();
            // A position past the end stands for a range that wraps around to address 0: that would be allowed.
            prop_assume!(range.start < 2 * HALF);
            let result = match edit {
                Edit::Map(mapping) => tables.map(&mut memory, start, PhysAddr::new(physical), bytes, mapping),
                Edit::Unmap => tables.unmap(&mut memory, start, bytes, |leaf| leaves.push(leaf)),
                Edit::Protect(flags) => tables.protect(&mut memory, start, bytes, flags),
            };
            match result {
                Err(MapError::BadRange) => prop_assert!(!possible),
                Err(MapError::OutOfFrames) => {
                    prop_assert!(budget < usize::MAX && leaves.is_empty());
                    if matches!(edit, Edit::Map(_)) {
                        prop_assert_eq!(memory.tables.len(), before + kept(&memory) - kept_before);
                    }
                }
                Err(MapError::AlreadyMapped(address)) => {
                    prop_assert!(possible && matches!(edit, Edit::Map(_)));
                    let position = position_of(address);
                    prop_assert!(range.contains(&position) && !model.is_free(&(position..position + KIB4)));
                    prop_assert!(position == range.start || model.is_free(&(range.start..position)), "it is the first");
                    prop_assert_eq!(memory.tables.len(), before);
                }
                Ok(()) => {
                    prop_assert!(possible);
                    match edit {
                        Edit::Map(mapping) => {
                            prop_assert!(model.is_free(&range));
                            model.0.push(Interval { range, physical, mapping });
                        }
                        Edit::Unmap => {
                            let interval = |leaf: Leaf| {
                                let start = position_of(leaf.start);
                                let range = start..start + leaf.page_size.bytes();
                                Interval { range, physical: leaf.physical.as_u64(), mapping: leaf.mapping }
                            };
                            let unmapped = leaves.into_iter().map(interval).collect();
                            prop_assert_eq!(merged(unmapped), merged(model.take(&range)));
                        }
                        Edit::Protect(flags) => {
                            let changed = model.take(&range).into_iter().map(|mut it| {
                                it.mapping.flags = flags;
                                it
                            });
                            model.0.extend(changed.collect::<Vec<_>>());
                        }
                    }
                }
            }
            prop_assert_eq!(walked(&tables, &memory), merged(model.0.clone()));
            prop_assert_eq!(memory.reached(tables.root), memory.tables.keys().copied().collect::<BTreeSet<_>>());
            for it in &model.0 {
                for position in [it.range.start, it.range.end - 1] {
                    let found = tables.translate(&memory, address_of(position)).unwrap();
                    prop_assert_eq!(found.address.as_u64(), it.physical + (position - it.range.start));
                    prop_assert_eq!(found.mapping, it.mapping);
                }
            }
        }
        memory.budget = usize::MAX;
        for half in [0, HALF] {
            tables.unmap(&mut memory, address_of(half), HALF, |_| ()).unwrap();
        }
        prop_assert!(runs(&tables, &memory).is_empty());
        let stay = (KERNEL_HALF..ENTRIES).filter(|index| is_present(&memory.read(tables.root, *index))).count();
        prop_assert_eq!(memory.tables.len(), 1 + stay);
    }
}
