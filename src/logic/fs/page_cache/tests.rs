//! The page cache against a vector of bytes, and over a store that keeps what it is given.

use super::*;
use crate::mem::page::fake::FakeFrames;
use proptest::prelude::*;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

const WHOSE: Identity = Identity { device: 1, inode: 2 };

fn cache(pages: u64) -> (&'static FakeFrames, Arc<Budget>, PageCache) {
    let frames = FakeFrames::new(1000);
    let budget = Budget::new(pages);
    (frames, budget.clone(), PageCache::new(WHOSE, frames, Some(budget)))
}

fn all(cache: &PageCache) -> Vec<u8> {
    let mut bytes = vec![0xee; cache.size() as usize + 10];
    let count = cache.read(0, &mut bytes).unwrap();
    bytes.truncate(count);
    bytes
}

#[test]
fn holes_read_as_zeros_and_take_nothing() {
    let (frames, budget, cache) = cache(10);
    cache.write(1 << 40, b"end").unwrap();
    assert_eq!((cache.size(), frames.in_use(), budget.used()), ((1 << 40) + 3, 1, 1));
    let mut bytes = [1; 5000];
    assert_eq!(cache.read(12345, &mut bytes), Ok(5000));
    assert_eq!(bytes, [0; 5000]);
    assert_eq!((cache.seek_data(5), cache.seek_hole(5)), (Ok(1 << 40), Ok(5)));
    assert_eq!(cache.seek_hole(1 << 40), Ok((1 << 40) + 3));
    assert_eq!(cache.seek_data((1 << 40) + 3), Err(Errno::ENXIO));
    drop(cache);
    assert_eq!((frames.in_use(), budget.used()), (0, 0));
}

#[test]
fn a_full_budget_or_memory_writes_what_fits_and_then_nothing() {
    let (_, _, cache) = cache(2);
    assert_eq!(cache.write(0, &[1; 3 * PAGE_BYTES]), Ok(2 * PAGE_BYTES));
    assert_eq!(cache.write(2 * PAGE, b"x"), Err(Errno::ENOSPC));
    assert_eq!(cache.size(), 2 * PAGE);
    assert_eq!(cache.allocate(0..3 * PAGE, Allocation::Extend), Err(Errno::ENOSPC));
    assert_eq!(cache.size(), 2 * PAGE);
    let little = PageCache::new(WHOSE, FakeFrames::new(1), None);
    assert_eq!(little.write(PAGE - 1, b"xyz"), Ok(1));
    assert_eq!(little.write(PAGE, b"xyz"), Err(Errno::ENOSPC));
    assert_eq!(little.page(0).map(drop), Ok(()));
}

#[test]
fn positions_beyond_the_largest_file_are_refused() {
    let (_, _, cache) = cache(2);
    assert_eq!(cache.write(MAX_BYTES, b"x"), Err(Errno::EFBIG));
    assert_eq!(cache.write(MAX_BYTES - 1, b"xy"), Ok(1));
    assert_eq!(cache.append(b"z"), Err(Errno::EFBIG));
    assert_eq!(cache.set_size(MAX_BYTES + 1), Err(Errno::EFBIG));
    assert_eq!(cache.read(u64::MAX, &mut [0; 4]), Ok(0));
}

#[test]
fn a_mapping_and_the_file_see_the_same_page_and_nothing_after_the_end_comes_back() {
    let (_, _, cache) = cache(10);
    cache.set_size(10).unwrap();
    let page = cache.page(0).unwrap();
    page.write(0, b"mapped bytes, and more after the end");
    assert_eq!(all(&cache), b"mapped byt");
    cache.set_size(20).unwrap();
    assert_eq!(all(&cache), b"mapped byt\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(cache.page(1).err(), Some(NoPage::BeyondEnd));
    cache.set_size(0).unwrap();
    assert!(page.is_sole_user());
}

/// Pages by index; fails when told to.
#[derive(Default)]
struct Disk {
    pages: Mutex<BTreeMap<u64, Vec<u8>>>,
    broken: std::sync::atomic::AtomicBool,
}

impl Disk {
    fn check(&self) -> Result<(), Errno> {
        if self.broken.load(Ordering::Relaxed) { Err(Errno::EIO) } else { Ok(()) }
    }
}

impl Store for Disk {
    fn read_page(&self, index: u64, page: &Page) -> Result<(), Errno> {
        self.check()?;
        if let Some(bytes) = self.pages.lock().unwrap().get(&index) {
            page.write(0, bytes);
        }
        Ok(())
    }

    fn write_page(&self, index: u64, page: &Page, length: usize) -> Result<(), Errno> {
        self.check()?;
        let mut bytes = vec![0; length];
        page.read(0, &mut bytes);
        self.pages.lock().unwrap().insert(index, bytes);
        Ok(())
    }

    fn set_size(&self, size: u64) -> Result<(), Errno> {
        let mut pages = self.pages.lock().unwrap();
        pages.retain(|index, _| index * PAGE < size);
        if let Some(bytes) = pages.get_mut(&(size / PAGE)) {
            bytes.truncate((size % PAGE) as usize);
        }
        Ok(())
    }
}

#[test]
fn over_a_store_changes_are_written_back_and_the_rest_can_be_read_again() {
    let disk = Arc::new(Disk::default());
    disk.pages.lock().unwrap().insert(0, b"from the disk".to_vec());
    let frames = FakeFrames::new(100);
    let cache = PageCache::over(WHOSE, frames, disk.clone(), 13);
    assert_eq!(all(&cache), b"from the disk");
    cache.write(5, b"THE").unwrap();
    cache.write(PAGE, b"second").unwrap();
    assert_eq!(cache.shrink(10), 0, "what is changed stays");
    disk.broken.store(true, Ordering::Relaxed);
    assert_eq!(cache.write_back(), Err(Errno::EIO));
    disk.broken.store(false, Ordering::Relaxed);
    assert_eq!(cache.write_back(), Ok(()));
    assert_eq!(cache.shrink(10), 2);
    assert_eq!(frames.in_use(), 0);
    assert_eq!(&all(&cache)[..13], b"from THE disk");
    assert_eq!(&all(&cache)[PAGE_BYTES..], b"second");
    cache.shrink(10);
    disk.broken.store(true, Ordering::Relaxed);
    assert_eq!(cache.read(0, &mut [0; 4]), Err(Errno::EIO));
    assert_eq!(cache.page(0).err(), Some(NoPage::BeyondEnd));
}

#[test]
fn what_a_mapping_may_write_to_stays_changed() {
    let disk = Arc::new(Disk::default());
    let cache = PageCache::over(WHOSE, FakeFrames::new(100), disk.clone(), 4);
    let page = cache.page(0).unwrap();
    cache.will_be_written(0);
    page.write(0, b"one!");
    cache.write_back().unwrap();
    page.write(0, b"two!");
    cache.write_back().unwrap();
    assert_eq!(disk.pages.lock().unwrap()[&0], b"two!");
    assert_eq!(cache.shrink(10), 0, "a mapping has it");
    drop(page);
    cache.write_back().unwrap();
    assert_eq!(cache.shrink(10), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, usize, u8),
    Append(usize, u8),
    SetSize(usize),
    Allocate(usize, usize, Allocation),
    Shrink,
    WriteBack,
}

fn step() -> impl Strategy<Value = Step> {
    let place = || 0..5 * PAGE_BYTES;
    let length = || prop_oneof![0..50_usize, 0..2 * PAGE_BYTES, Just(PAGE_BYTES)];
    let what = prop_oneof![
        Just(Allocation::Extend),
        Just(Allocation::KeepSize),
        Just(Allocation::PunchHole),
        Just(Allocation::Zero),
        Just(Allocation::ZeroKeepSize)
    ];
    prop_oneof![
        (place(), length(), 1..=255_u8).prop_map(|(at, length, byte)| Step::Write(at, length, byte)),
        (length(), 1..=255_u8).prop_map(|(length, byte)| Step::Append(length, byte)),
        prop_oneof![place(), (0..6_usize).prop_map(|pages| pages * PAGE_BYTES)].prop_map(Step::SetSize),
        (place(), 1..3 * PAGE_BYTES, what).prop_map(|(at, length, what)| Step::Allocate(at, length, what)),
        Just(Step::Shrink),
        Just(Step::WriteBack),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn it_holds_the_bytes_that_a_vector_would_hold(steps in proptest::collection::vec(step(), 0..24), on_disk: bool) {
        let frames = FakeFrames::new(1000);
        let budget = Budget::new(1000);
        let cache = if on_disk {
            PageCache::over(WHOSE, frames, Arc::new(Disk::default()), 0)
        } else {
            PageCache::new(WHOSE, frames, Some(budget.clone()))
        };
        let mut model: Vec<u8> = Vec::new();
        let grow = |model: &mut Vec<u8>, size: usize| model.resize(model.len().max(size), 0);
        for step in steps {
            match step {
                Step::Write(at, length, byte) => {
                    prop_assert_eq!(cache.write(at as u64, &vec![byte; length]), Ok(length));
                    if length > 0 {
                        grow(&mut model, at + length);
                        model[at..at + length].fill(byte);
                    }
                }
                Step::Append(length, byte) => {
                    prop_assert_eq!(cache.append(&vec![byte; length]), Ok((length, (model.len() + length) as u64)));
                    model.resize(model.len() + length, byte);
                }
                Step::SetSize(size) => {
                    cache.set_size(size as u64).unwrap();
                    model.resize(size, 0);
                }
                Step::Allocate(at, length, what) => {
                    cache.allocate(at as u64..(at + length) as u64, what).unwrap();
                    if matches!(what, Allocation::Extend | Allocation::Zero) {
                        grow(&mut model, at + length);
                    }
                    if !matches!(what, Allocation::Extend | Allocation::KeepSize) {
                        let end = (at + length).min(model.len());
                        model[at.min(end)..end].fill(0);
                    }
                }
                Step::Shrink => {
                    cache.shrink(3);
                }
                Step::WriteBack => cache.write_back().unwrap(),
            }
            prop_assert_eq!(all(&cache), &model[..]);
            prop_assert!(cache.resident_pages() <= (model.len() as u64).div_ceil(PAGE));
            if !on_disk {
                prop_assert_eq!(budget.used(), cache.resident_pages());
            }
            prop_assert_eq!(frames.in_use() as u64, cache.resident_pages());
        }
        // What is said to be a hole is zeros, and data and holes cover the file in turns.
        let mut at = 0;
        while let Ok(data) = cache.seek_data(at) {
            prop_assert!(model[at as usize..data as usize].iter().all(|byte| *byte == 0));
            at = cache.seek_hole(data).unwrap();
            prop_assert!(at > data);
        }
        drop(cache);
        prop_assert_eq!((frames.in_use(), budget.used()), (0, 0));
    }
}

#[test]
fn mapped_pages_are_taken_away_when_a_file_gives_them_up() {
    type Taken = (Range<u64>, Gone, u64);
    static TAKEN: Mutex<Vec<Taken>> = Mutex::new(Vec::new());
    static CACHE: Mutex<Option<Arc<PageCache>>> = Mutex::new(None);
    const FILE: Identity = Identity { device: 77, inode: 78 };
    set_unmap(|file, indexes, why| {
        if file == FILE {
            let resident = CACHE.lock().unwrap().as_ref().unwrap().resident_pages();
            TAKEN.lock().unwrap().push((indexes, why, resident));
        }
    });
    let taken = || core::mem::take(&mut *TAKEN.lock().unwrap());
    let budget = Budget::new(8);
    let frames = FakeFrames::new(8);
    let cache = Arc::new(PageCache::new(FILE, frames, Some(budget.clone())));
    *CACHE.lock().unwrap() = Some(cache.clone());
    cache.write(0, &[1; 3 * PAGE_BYTES]).unwrap();
    cache.set_size(3 * PAGE - 1).unwrap();
    assert_eq!(taken(), [], "nobody maps it");
    let mapping = Mapping::new(cache.clone());
    cache.set_size(PAGE + 1).unwrap();
    cache.set_size(4 * PAGE).unwrap();
    assert_eq!(taken(), [(2..u64::MAX, Gone::CutOff, 2)], "it grew afterwards");
    cache.write(0, &[1; 4 * PAGE_BYTES]).unwrap();
    let page = mapping.page(1).unwrap();
    cache.allocate(PAGE - 1..3 * PAGE + 1, Allocation::PunchHole).unwrap();
    assert_eq!(taken(), [(1..3, Gone::Hole, 2)], "they are out of the cache before");
    // Whoever has one keeps it; the file has another.
    let byte = |page: &Page, offset| {
        let mut byte = [5];
        page.read(offset, &mut byte);
        byte[0]
    };
    assert_eq!((byte(&page, 0), budget.used(), frames.in_use()), (1, 2, 3));
    assert_eq!(byte(&mapping.page(1).unwrap(), 0), 0);
    let ends = [(0, 0), (0, PAGE_BYTES - 2), (0, PAGE_BYTES - 1), (3, 0), (3, 1)];
    assert_eq!(ends.map(|(index, at)| byte(&mapping.page(index).unwrap(), at)), [1, 1, 0, 0, 1]);
    assert_eq!((cache.resident_pages(), budget.used()), (3, 3));
    drop((page, mapping));
    cache.allocate(0..4 * PAGE, Allocation::PunchHole).unwrap();
    cache.set_size(0).unwrap();
    assert_eq!((taken(), cache.resident_pages(), frames.in_use()), (vec![], 0, 0));
}

#[test]
fn what_runs_is_not_written_and_what_is_written_does_not_run() {
    let cache = Arc::new(PageCache::new(WHOSE, FakeFrames::new(8), None));
    let writers = [Writing::begin(cache.clone()).unwrap(), Writing::begin(cache.clone()).unwrap()];
    assert_eq!(Running::begin(cache.clone()).err(), Some(Errno::ETXTBSY));
    drop(writers);
    let runners = [Running::begin(cache.clone()).unwrap(), Running::begin(cache.clone()).unwrap()];
    assert_eq!(Writing::begin(cache.clone()).err(), Some(Errno::ETXTBSY));
    drop(runners);
    assert!(Writing::begin(cache).is_ok());
}
