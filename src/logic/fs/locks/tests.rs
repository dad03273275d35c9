//! Locks against a model that knows each byte.

use super::*;
use proptest::prelude::*;

const FILE: Identity = Identity { device: 1, inode: 2 };
const OTHER: Identity = Identity { device: 1, inode: 3 };
const A: LockOwner = LockOwner::Process(1);
const B: LockOwner = LockOwner::Process(2);
const C: LockOwner = LockOwner::Process(3);

fn range(first: u64, last: u64) -> LockRange {
    LockRange { first, last }
}

#[test]
fn ranges_are_counted_as_fcntl_counts_them() {
    assert_eq!(LockRange::new(0, 0, 0), Ok(LockRange::ALL));
    assert_eq!(LockRange::new(100, 5, 10), Ok(range(105, 114)));
    assert_eq!(LockRange::new(100, 0, -10), Ok(range(90, 99)));
    assert_eq!(LockRange::new(0, -1, 5), Err(Errno::EINVAL));
    assert_eq!(LockRange::new(5, 0, -6), Err(Errno::EINVAL));
    assert_eq!(LockRange::new(0, 0, i64::MIN), Err(Errno::EINVAL));
    assert_eq!(LockRange::new(0, i64::MIN, i64::MIN), Err(Errno::EINVAL));
    assert_eq!(LockRange::new(0, i64::MAX, 2), Err(Errno::EOVERFLOW));
    assert_eq!(LockRange::new(u64::MAX, 0, 0), Err(Errno::EOVERFLOW));
    assert_eq!((LockRange::ALL.length(), range(3, 5).length()), (0, 3));
}

#[test]
fn readers_share_and_writers_do_not() {
    let locks = FileLocks::new();
    assert_eq!(locks.set_range(FILE, A, range(0, 9), Some(LockKind::Shared)), Ok(()));
    assert_eq!(locks.set_range(FILE, B, range(5, 20), Some(LockKind::Shared)), Ok(()));
    assert_eq!(locks.set_range(FILE, B, range(9, 9), Some(LockKind::Exclusive)), Err(Errno::EAGAIN));
    assert_eq!(locks.set_range(OTHER, B, range(9, 9), Some(LockKind::Exclusive)), Ok(()));
    assert_eq!(locks.set_range(FILE, B, range(10, END), Some(LockKind::Exclusive)), Ok(()));
    let conflict = locks.range_conflict(FILE, A, range(0, 100), LockKind::Shared).unwrap();
    assert_eq!(conflict, Conflict { owner: B, kind: LockKind::Exclusive, range: range(10, END) });
    locks.release(FILE, B);
    assert_eq!(locks.range_conflict(FILE, A, LockRange::ALL, LockKind::Exclusive), None);
    locks.release(FILE, A);
    locks.release(OTHER, B);
    assert!(locks.table.lock().files.is_empty(), "nothing is kept for files without locks");
}

#[test]
fn those_who_would_wait_for_each_other_are_told() {
    let locks = FileLocks::new();
    for (owner, byte) in [(A, 0), (B, 1), (C, 2)] {
        locks.set_range(FILE, owner, range(byte, byte), Some(LockKind::Exclusive)).unwrap();
    }
    assert_eq!(locks.wait_for(FILE, A, range(1, 1), LockKind::Shared), Ok(()));
    assert_eq!(locks.wait_for(FILE, B, range(2, 2), LockKind::Shared), Ok(()));
    assert_eq!(locks.wait_for(FILE, C, range(0, 0), LockKind::Shared), Err(Errno::EDEADLK));
    locks.stop_waiting(B);
    assert_eq!(locks.wait_for(FILE, C, range(0, 0), LockKind::Shared), Ok(()));
    let description = LockOwner::Description(9);
    assert_eq!(locks.wait_for(FILE, description, range(0, 0), LockKind::Shared), Ok(()));
}

#[test]
fn whole_files_are_locked_by_description_and_apart_from_ranges() {
    let locks = FileLocks::new();
    locks.set_range(FILE, A, LockRange::ALL, Some(LockKind::Exclusive)).unwrap();
    assert_eq!(locks.set_whole(FILE, 1, Some(LockKind::Shared)), Ok(()));
    assert_eq!(locks.set_whole(FILE, 2, Some(LockKind::Shared)), Ok(()));
    assert_eq!(locks.set_whole(FILE, 1, Some(LockKind::Exclusive)), Err(Errno::EAGAIN));
    assert_eq!(locks.set_whole(FILE, 2, Some(LockKind::Exclusive)), Ok(()), "the other gave its own up");
    locks.release(FILE, LockOwner::Description(2));
    assert_eq!(locks.set_whole(FILE, 3, Some(LockKind::Exclusive)), Ok(()));
    assert_eq!(locks.set_whole(FILE, 3, None), Ok(()));
    assert_eq!(locks.set_whole(OTHER, 3, None), Ok(()));
}

#[test]
fn nobody_has_locks_without_end() {
    let locks = FileLocks::new();
    for byte in 0..MOST_RANGES as u64 {
        locks.set_range(FILE, A, range(2 * byte, 2 * byte), Some(LockKind::Shared)).unwrap();
    }
    assert_eq!(locks.set_range(FILE, A, range(5000, 5000), Some(LockKind::Shared)), Err(Errno::ENOLCK));
    assert_eq!(locks.set_range(FILE, A, LockRange::ALL, Some(LockKind::Shared)), Ok(()));
    for owner in 0..2 * MOST_OWNERS as u64 {
        let result = locks.set_range(FILE, LockOwner::Description(owner), range(0, 0), Some(LockKind::Shared));
        assert_eq!(result.is_ok(), owner < MOST_OWNERS as u64 - 1, "{owner}");
    }
}

proptest! {
    #[test]
    fn it_agrees_with_a_model_that_knows_each_byte(
        steps in proptest::collection::vec((0..3_usize, 0..20_u64, 0..20_u64, 0..4_u8), 0..60)
    ) {
        let locks = FileLocks::new();
        let mut model = [[None; 20]; 3];
        for (who, one, other, what) in steps {
            let bytes = one.min(other)..=one.max(other);
            let kind = match what {
                0 => None,
                1 => Some(LockKind::Exclusive),
                _ => Some(LockKind::Shared),
            };
            let owner = [A, B, LockOwner::Description(1)][who];
            let done = locks.set_range(FILE, owner, range(*bytes.start(), *bytes.end()), kind);
            let in_the_way = |byte: u64| {
                let others = model.iter().enumerate().filter(|(owner, _)| *owner != who);
                kind.is_some_and(|kind| others.filter_map(|(_, locks)| locks[byte as usize]).any(|other: LockKind| other.excludes(kind)))
            };
            prop_assert_eq!(done.is_err(), bytes.clone().any(in_the_way));
            if done.is_ok() {
                bytes.for_each(|byte| model[who][byte as usize] = kind);
            }
            let table = locks.table.lock();
            let counted: usize = table.files.values().flat_map(|locks| locks.records.values()).map(Vec::len).sum();
            prop_assert_eq!(table.ranges, counted);
            for (owner, bytes) in [A, B, LockOwner::Description(1)].iter().zip(&model) {
                let ranges = table.files.get(&FILE).and_then(|locks| locks.records.get(owner));
                let kept = ranges.map_or(&[][..], |ranges| ranges);
                for (byte, kind) in bytes.iter().enumerate() {
                    let found = kept.iter().find(|(kept, _)| (kept.first..=kept.last).contains(&(byte as u64)));
                    prop_assert_eq!(found.map(|(_, kind)| *kind), *kind);
                }
                let merged = kept.windows(2).all(|pair| pair[0].0.last + 1 < pair[1].0.first || pair[0].1 != pair[1].1);
                prop_assert!(merged, "{:?}", kept);
            }
        }
    }
}

#[test]
fn a_process_that_ends_gives_up_what_it_has_on_all_files() {
    let locks = FileLocks::new();
    let files = [1, 2, 3].map(|inode| Identity { inode, ..FILE });
    for file in files {
        assert_eq!(locks.set_range(file, A, range(0, 9), Some(LockKind::Shared)), Ok(()));
        assert_eq!(locks.set_range(file, B, range(20, 29), Some(LockKind::Exclusive)), Ok(()));
    }
    locks.release_all(A);
    for file in files {
        assert_eq!(locks.set_range(file, B, range(0, 9), Some(LockKind::Exclusive)), Ok(()));
        assert_eq!(locks.set_range(file, A, range(20, 29), Some(LockKind::Shared)), Err(Errno::EAGAIN));
    }
    assert_eq!(locks.table.lock().ranges, 6);
}
