//! Address spaces on a machine of the test's own: frames that run out, and a processor that remembers what it is not told to forget.

mod areas;
mod calls;
mod faults;
mod model;

use super::area::AreaFlags;
use super::layout::{LOWEST, Layout};
use super::*;
use crate::mem::backing::{Backing, BackingName, Gone, NoPage};
use crate::mem::page::fake::FakeFrames;
use crate::mem::page_table::{PageSize, ProgramPage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use x86_64::structures::paging::page_table::PageTableEntry;

const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);

/// Frames of which only so many more can be had.
struct Frugal {
    frames: &'static FakeFrames,
    left: AtomicUsize,
}

impl Frugal {
    fn take(&self) -> Result<(), OutOfFrames> {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.map(|_| ()).map_err(|_| OutOfFrames)
    }
}

impl Frames for Frugal {
    fn allocate_zeroed(&self) -> Result<PhysFrame, OutOfFrames> {
        self.take()?;
        self.frames.allocate_zeroed()
    }

    fn share(&self, frame: PhysFrame) -> Result<(), OutOfFrames> {
        self.frames.share(frame)
    }

    fn release(&self, frame: PhysFrame) {
        self.frames.release(frame);
    }

    fn users(&self, frame: PhysFrame) -> u32 {
        self.frames.users(frame)
    }

    fn read(&self, frame: PhysFrame, offset: usize, bytes: &mut [u8]) {
        self.frames.read(frame, offset, bytes);
    }

    fn write(&self, frame: PhysFrame, offset: usize, bytes: &[u8]) {
        self.frames.write(frame, offset, bytes);
    }
}

/// Tables that lie in such frames.
#[derive(Clone)]
struct HostTables(&'static Frugal);

impl TableMemory for HostTables {
    fn read(&self, table: PhysFrame, index: usize) -> PageTableEntry {
        let mut bytes = [0; 8];
        self.0.read(table, index * 8, &mut bytes);
        let bits = u64::from_le_bytes(bytes);
        let mut entry = PageTableEntry::new();
        let flags = x86_64::structures::paging::PageTableFlags::from_bits_retain(bits & !0x000f_ffff_ffff_f000);
        entry.set_addr(x86_64::PhysAddr::new(bits & 0x000f_ffff_ffff_f000), flags);
        entry
    }

    fn write(&mut self, table: PhysFrame, index: usize, entry: PageTableEntry) {
        let bits = entry.addr().as_u64() | entry.flags().bits();
        self.0.write(table, index * 8, &bits.to_le_bytes());
    }

    fn allocate(&mut self) -> Result<PhysFrame, OutOfFrames> {
        self.0.allocate_zeroed()
    }

    fn free(&mut self, table: PhysFrame) {
        self.0.release(table);
    }
}

/// What a processor remembers of one space, until it is told to forget it.
struct Processor {
    remembered: Mutex<BTreeMap<u64, ProgramPage>>,
    told: AtomicUsize,
    frames: &'static Frugal,
}

impl Processor {
    fn new(frames: &'static Frugal) -> Self {
        Self { remembered: Mutex::default(), told: AtomicUsize::new(0), frames }
    }
}

impl Processors for Processor {
    fn forget(&self, stale: &Stale) {
        self.told.fetch_add(1, Ordering::Relaxed);
        let mut remembered = self.remembered.lock().unwrap();
        // Until now, a program could have reached all of these.
        assert!(remembered.values().all(|page| self.frames.users(page.frame) > 0), "a page was released too early");
        match stale.ranges() {
            Some(ranges) => remembered.retain(|page, _| !ranges.iter().any(|range| range.contains(page))),
            None => remembered.clear(),
        }
    }
}

/// A space, and a processor that runs its program.
struct Program {
    space: Space,
    processor: Processor,
}

type Space = AddressSpace<HostTables>;

/// Frames, and a kernel's half.
struct Machine {
    frames: &'static Frugal,
    kernel: Tables,
    zero: Page,
    /// What is in use when there is no program.
    idle: usize,
}

impl Machine {
    fn new() -> Self {
        let fake = FakeFrames::new(usize::MAX);
        let frames: &'static Frugal = Box::leak(Box::new(Frugal { frames: fake, left: AtomicUsize::new(usize::MAX) }));
        let root = frames.allocate_zeroed().unwrap();
        let kernel = Tables { root, largest: PageSize::Huge, no_execute: true };
        let zero = Page::zeroed(frames).unwrap();
        Self { frames, kernel, zero, idle: fake.in_use() }
    }

    fn program(&self) -> Program {
        let layout = Layout::new(8 << 20, None);
        let memory = HostTables(self.frames);
        let zero = self.zero.share().unwrap();
        let space = Space::new(&self.kernel, memory, self.frames, zero, layout).unwrap();
        Program { space, processor: Processor::new(self.frames) }
    }

    /// From now on, so many frames can be had.
    fn leave(&self, frames: usize) {
        self.frames.left.store(frames, Ordering::Relaxed);
    }

    fn assert_idle(&self) {
        assert_eq!(self.frames.frames.in_use(), self.idle, "a frame is lost");
    }
}

/// A request for private anonymous memory, anywhere.
fn anonymous(bytes: u64) -> MapRequest {
    MapRequest {
        placement: Placement::Near(0),
        bytes,
        protection: READ_WRITE,
        flags: AreaFlags::empty(),
        content: Content::Anonymous,
        name: None,
    }
}

/// A request for a mapping of a file that is open for reading and writing.
fn backed(backing: &Arc<TestFile>, bytes: u64, flags: AreaFlags) -> MapRequest {
    let content = Content::Backed { backing: backing.clone(), offset: 0, most: Protection::all() };
    MapRequest { content, flags, ..anonymous(bytes) }
}

impl Program {
    fn with_flush<T>(&mut self, operation: impl FnOnce(&mut Space, &mut Flush<'_, HostTables>) -> T) -> T {
        let mut flush = self.space.flush(&self.processor);
        operation(&mut self.space, &mut flush)
    }

    fn map(&mut self, request: MapRequest) -> Result<u64, Errno> {
        self.with_flush(|space, flush| space.map(request, &Limits::NONE, flush))
    }

    fn unmap(&mut self, start: u64, bytes: u64) -> Result<(), Errno> {
        self.with_flush(|space, flush| space.unmap(start, bytes, flush))
    }

    fn protect(&mut self, start: u64, bytes: u64, protection: Protection) -> Result<(), Errno> {
        self.with_flush(|space, flush| space.protect(start, bytes, protection, &Limits::NONE, flush))
    }

    fn advise(&mut self, start: u64, bytes: u64, advice: u32) -> Result<(), Errno> {
        self.with_flush(|space, flush| space.advise(start, bytes, advice, &Limits::NONE, flush))
    }

    fn remap(&mut self, request: RemapRequest) -> Result<u64, Errno> {
        self.with_flush(|space, flush| space.remap(request, &Limits::NONE, flush))
    }

    fn fork(&mut self) -> Result<Self, Errno> {
        let space = self.with_flush(|space, flush| space.fork(flush))?;
        Ok(Self { space, processor: Processor::new(self.processor.frames) })
    }

    /// The frame that an access reaches, as a processor finds it: by what it remembers, by the tables, or after a fault.
    fn access(&mut self, address: u64, access: Access) -> Result<PhysFrame, FaultOutcome> {
        let page = round_down(address);
        let allows = |entry: &ProgramPage| {
            entry.is_reachable
                && match access {
                    Access::Read => true,
                    Access::Write => entry.is_writable,
                    Access::Execute => entry.is_executable,
                }
        };
        for _ in 0..3 {
            let remembered = self.processor.remembered.lock().unwrap().get(&page).copied();
            if let Some(entry) = remembered.or_else(|| self.space.pages.get(page)).filter(&allows) {
                self.processor.remembered.lock().unwrap().insert(page, entry);
                return Ok(entry.frame);
            }
            // A fault makes the processor forget the page (SDM volume 3, section 5.10.4.1).
            self.processor.remembered.lock().unwrap().remove(&page);
            if self.space.pages.get(page).as_ref().is_some_and(&allows) {
                continue;
            }
            match self.with_flush(|space, flush| space.fault(address, access, &Limits::NONE, flush)) {
                FaultOutcome::Resolved => (),
                outcome => return Err(outcome),
            }
        }
        panic!("a fault at {address:#x} comes again and again");
    }

    fn read(&mut self, address: u64) -> Result<u8, FaultOutcome> {
        let frame = self.access(address, Access::Read)?;
        let mut byte = [0];
        self.space.pages.frames().read(frame, (address % PAGE) as usize, &mut byte);
        Ok(byte[0])
    }

    fn write(&mut self, address: u64, byte: u8) -> Result<(), FaultOutcome> {
        let frame = self.access(address, Access::Write)?;
        self.space.pages.frames().write(frame, (address % PAGE) as usize, &[byte]);
        Ok(())
    }

    /// The areas, as text.
    fn shown(&self) -> Vec<String> {
        self.space.maps().map(|line| line.to_string()).collect()
    }

    /// Checks that tables, areas and counts agree, and that processors remember nothing that is not so any more.
    fn audit(&mut self) {
        for (address, remembered) in self.processor.remembered.lock().unwrap().iter() {
            let page = self.space.pages.get(*address).expect("what is remembered is there");
            assert_eq!(page.frame, remembered.frame);
            assert!(page.is_reachable && (page.is_writable || !remembered.is_writable));
            assert!(page.is_executable || !remembered.is_executable);
        }
        let mut sizes = usage::Sizes::default();
        let mut end = 0;
        for area in self.space.areas.iter() {
            assert!(area.start >= end && area.start < area.end && area.end <= END, "{area:?}");
            assert!(area.most.contains(area.protection));
            end = area.end;
            sizes.add(area);
        }
        assert_eq!(self.space.areas.sizes(), sizes);
        assert_eq!(self.space.areas.len(), self.space.areas.iter().count());
        let mut pages = Vec::new();
        self.space.pages.visit(0..END, |address, page| pages.push((address, *page)));
        let mut resident = Resident::default();
        for (address, page) in pages {
            let area = self.space.areas.get(address).expect("each page is in an area");
            assert_eq!(page.is_reachable, !area.protection.is_empty());
            assert!(!page.is_writable || area.protection.contains(Protection::WRITE));
            assert_eq!(page.is_executable, area.protection.contains(Protection::EXECUTE));
            assert!(!(page.is_own && area.is_shared()));
            let users = self.space.pages.frames().users(page.frame);
            assert!(users > 0, "the page is in use");
            assert!(!(page.is_writable && page.is_own && users > 1), "nobody writes to what others see");
            match area.source() {
                _ if page.is_own => resident.anonymous += 1,
                _ if self.space.pages.is_zero(&page) => (),
                area::Source::File => resident.file += 1,
                area::Source::SharedMemory => resident.shared += 1,
            }
        }
        assert_eq!(self.space.pages.resident, resident);
    }
}

/// A file of a few pages, each filled with its number and 100.
struct TestFile {
    pages: Vec<Page>,
    /// The pages that it was told will be written to.
    written: Mutex<BTreeSet<u64>>,
}

impl TestFile {
    fn new(machine: &Machine, pages: u8) -> Arc<Self> {
        let page = |number: u8| {
            let page = Page::zeroed(machine.frames).unwrap();
            page.write(0, &[100 + number; 4096]);
            page
        };
        Arc::new(Self { pages: (0..pages).map(page).collect(), written: Mutex::default() })
    }
}

impl Backing for TestFile {
    fn page(&self, index: u64) -> Result<Page, NoPage> {
        let page = self.pages.get(index as usize).ok_or(NoPage::BeyondEnd)?;
        page.share().map_err(|_| NoPage::OutOfFrames)
    }

    fn will_be_written(&self, index: u64) {
        self.written.lock().unwrap().insert(index);
    }

    fn file(&self) -> Option<(u64, u64)> {
        Some((0x0801, 4711))
    }

    fn name(&self) -> BackingName {
        BackingName { device: 0x0801, inode: 4711, path: "/tmp/a file".to_owned() }
    }
}
