//! Fuzz target: whatever bytes an initramfs has, unpacking them ends, makes no more than they hold, and says where they are damaged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::fs::attributes::{Clock, Timestamp};
use logic::fs::cpio::{Archive, Item, UnpackError, unpack};
use logic::fs::credentials::Ownership;
use logic::fs::inode::FileSystem;
use logic::fs::tmpfs::{Limits, Tmpfs};
use logic::mem::OutOfFrames;
use logic::mem::page::Frames;
use std::collections::HashMap;
use std::sync::Mutex;
use x86_64::PhysAddr;
use x86_64::structures::paging::PhysFrame;

/// Frames on the heap, as many as are asked for.
#[derive(Default)]
struct Heap(Mutex<(u64, HashMap<u64, (u32, Vec<u8>)>)>);

impl Heap {
    fn with<T>(&self, frame: PhysFrame, act: impl FnOnce(&mut (u32, Vec<u8>)) -> T) -> T {
        act(self.0.lock().unwrap().1.get_mut(&frame.start_address().as_u64()).expect("a frame in use"))
    }
}

impl Frames for Heap {
    fn allocate_zeroed(&self) -> Result<PhysFrame, OutOfFrames> {
        let mut heap = self.0.lock().unwrap();
        heap.0 += 4096;
        let address = heap.0;
        heap.1.insert(address, (1, vec![0; 4096]));
        Ok(PhysFrame::containing_address(PhysAddr::new(address)))
    }

    fn share(&self, frame: PhysFrame) -> Result<(), OutOfFrames> {
        self.with(frame, |frame| frame.0 += 1);
        Ok(())
    }

    fn release(&self, frame: PhysFrame) {
        if self.with(frame, |frame| {
            frame.0 -= 1;
            frame.0 == 0
        }) {
            self.0.lock().unwrap().1.remove(&frame.start_address().as_u64());
        }
    }

    fn users(&self, frame: PhysFrame) -> u32 {
        self.with(frame, |frame| frame.0)
    }

    fn read(&self, frame: PhysFrame, offset: usize, bytes: &mut [u8]) {
        self.with(frame, |frame| bytes.copy_from_slice(&frame.1[offset..offset + bytes.len()]));
    }

    fn write(&self, frame: PhysFrame, offset: usize, bytes: &[u8]) {
        self.with(frame, |frame| frame.1[offset..offset + bytes.len()].copy_from_slice(bytes));
    }
}

struct Midnight;

impl Clock for Midnight {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
}

fuzz_target!(|data: &[u8]| {
    static HEAP: std::sync::LazyLock<Heap> = std::sync::LazyLock::new(Heap::default);
    let owner = Ownership { user: 0, group: 0, permissions: 0o755 };
    let file_system = Tmpfs::new("tmpfs", 1, &*HEAP, &Midnight, Limits { pages: 1000, inodes: 1000 }, owner);
    let (done, result) = unpack(data, &file_system.root());
    assert!(done.bytes <= data.len() as u64);
    if let Err(UnpackError::Damaged(damage)) = result {
        assert!(damage.offset < data.len());
    }
    let entries = Archive::new(data).filter(|item| matches!(item, Ok(Item::Entry(_)))).count();
    assert!(done.entries <= entries);
    drop(file_system);
    assert!(HEAP.0.lock().unwrap().1.is_empty(), "pages are left behind");
});
