//! The map of areas against a sorted list.

use super::*;
use crate::mem::space::area::GUARD_BYTES;
use proptest::prelude::*;

fn area(start: u64, end: u64, protection: Protection, flags: AreaFlags) -> Area {
    Area { start, end, protection, most: Protection::all(), flags, view: None, name: None }
}

fn plain(pages: Range<u64>) -> Area {
    area(pages.start * PAGE, pages.end * PAGE, READ_WRITE, AreaFlags::empty())
}

/// The highest room, by looking at every page.
fn highest_gap_by_list(areas: &[(u64, u64)], window: Range<u64>, bytes: u64) -> Option<u64> {
    let fits = |start: u64| {
        start >= window.start
            && start + bytes <= window.end
            && areas.iter().all(|(guarded, end)| start + bytes <= *guarded || start >= *end)
    };
    let ends = areas.iter().map(|(guarded, _)| *guarded).chain([window.end]);
    ends.filter_map(|end| end.checked_sub(bytes)).filter(|start| fits(*start)).max()
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u64, bool),
    Remove(usize),
    Cut(u64),
    Merge(usize),
    Shrink(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..4000_u64, 1..4_u64, any::<bool>()).prop_map(|(page, pages, grows)| Step::Insert(page, pages, grows)),
        2 => any::<usize>().prop_map(Step::Remove),
        3 => (0..4000_u64).prop_map(Step::Cut),
        1 => any::<usize>().prop_map(Step::Merge),
        1 => any::<usize>().prop_map(Step::Shrink),
    ];
    prop::collection::vec(step, 0..500)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_map_is_as_a_sorted_list(steps in steps(), windows in prop::collection::vec((0..4000_u64, 0..4000_u64, 1..600_u64), 8)) {
        let mut map = AreaMap::default();
        // Start and end of each area, in pages, and whether it grows down.
        let mut list: BTreeMap<u64, (u64, bool)> = BTreeMap::new();
        let nth = |list: &BTreeMap<u64, (u64, bool)>, index: usize| list.keys().nth(index % list.len().max(1)).copied();
        for step in steps {
            map.prepare().unwrap();
            match step {
                Step::Insert(start, pages, grows) => {
                    let before = list.range(..start + pages).next_back();
                    if before.is_none_or(|(_, (end, _))| *end <= start) {
                        let flags = if grows { AreaFlags::GROWS_DOWN } else { AreaFlags::empty() };
                        map.insert(area(start * PAGE, (start + pages) * PAGE, READ_WRITE, flags));
                        list.insert(start, (start + pages, grows));
                    }
                }
                Step::Remove(index) => if let Some(start) = nth(&list, index) {
                    let (end, _) = list.remove(&start).unwrap();
                    prop_assert_eq!(map.remove(start * PAGE).unwrap().end, end * PAGE);
                }
                Step::Cut(page) => {
                    map.cut(page * PAGE);
                    if let Some((start, (end, grows))) = list.range(..page).next_back().map(|(s, e)| (*s, *e)) && page < end {
                        list.insert(start, (page, grows));
                        list.insert(page, (end, grows));
                    }
                }
                Step::Merge(index) => if let Some(start) = nth(&list, index) {
                    map.merge(start * PAGE);
                    let below = list.range(..start).next_back().map(|(s, e)| (*s, *e));
                    let (end, grows) = list[&start];
                    if let Some((lower, (lower_end, lower_grows))) = below && lower_end == start && lower_grows == grows {
                        list.remove(&start);
                        list.insert(lower, (end, grows));
                    }
                }
                Step::Shrink(index) => if let Some(start) = nth(&list, index) {
                    let (end, grows) = list[&start];
                    map.change(start * PAGE, |area| area.end = (start + 1) * PAGE);
                    list.insert(start, (end.min(start + 1), grows));
                }
            }
            prop_assert_eq!(map.len(), list.len());
        }
        let shown: Vec<_> = map.iter().map(|area| (area.start / PAGE, (area.end / PAGE, area.grows_down()))).collect();
        prop_assert_eq!(&shown, &list.clone().into_iter().collect::<Vec<_>>());
        // A guard ends where another area does.
        let mut previous_end = 0;
        let guarded: Vec<_> = map
            .iter()
            .map(|area| {
                let guarded = area.guarded_start().max(previous_end);
                previous_end = area.end;
                (guarded, area.end)
            })
            .collect();
        for (start, pages, wanted) in windows {
            let window = start * PAGE..(start + pages) * PAGE;
            prop_assert_eq!(
                map.highest_gap(window.clone(), wanted * PAGE),
                highest_gap_by_list(&guarded, window.clone(), wanted * PAGE)
            );
            let overlapping: Vec<_> = map.overlapping(window.clone()).map(|area| area.start).collect();
            let expected: Vec<_> = map.iter()
                .filter(|area| area.start < window.end && window.start < area.end && !window.is_empty())
                .map(|area| area.start)
                .collect();
            prop_assert_eq!(overlapping, expected);
            let before = map.iter().filter(|area| area.start < window.start && area.end <= window.start);
            prop_assert_eq!(map.end_before(window.start), before.last().map_or(0, |area| area.end));
        }
    }
}

#[test]
fn alike_neighbours_become_one_and_others_do_not() {
    let mut map = AreaMap::default();
    map.prepare().unwrap();
    map.insert(plain(1..3));
    map.insert(plain(3..5));
    map.insert(area(5 * PAGE, 6 * PAGE, Protection::READ, AreaFlags::empty()));
    map.merge(3 * PAGE);
    map.merge(5 * PAGE);
    let ranges: Vec<_> = map.iter().map(|area| area.start / PAGE..area.end / PAGE).collect();
    assert_eq!(ranges, [1..5, 5..6]);
}

#[test]
fn room_is_found_below_the_guard_of_what_grows_down() {
    let mut map = AreaMap::default();
    map.prepare().unwrap();
    map.insert(area(1 << 30, (1 << 30) + PAGE, READ_WRITE, AreaFlags::GROWS_DOWN));
    assert_eq!(map.highest_gap(0..1 << 30, PAGE), Some((1 << 30) - GUARD_BYTES - PAGE));
}

#[test]
fn sixty_thousand_areas_are_no_trouble() {
    let mut map = AreaMap::default();
    for number in 0..60_000 {
        map.prepare().unwrap();
        // In an order that is none.
        let page = number * 7919 % 60_000;
        map.insert(plain(2 * page..2 * page + 1));
    }
    assert_eq!(map.len(), 60_000);
    let window = 0..200_000 * PAGE;
    for page in (0..60_000).step_by(10) {
        assert_eq!(map.highest_gap(0..119_999 * PAGE, 2 * PAGE), None);
        assert_eq!(map.highest_gap(window.clone(), 2 * PAGE), Some(199_998 * PAGE));
        assert_eq!(map.get(2 * page * PAGE).map(|area| area.start), Some(2 * page * PAGE));
    }
    for page in 0..60_000 {
        assert!(map.remove(2 * page * PAGE).is_some());
    }
    assert_eq!((map.len(), map.sizes()), (0, usage::Sizes::default()));
}
