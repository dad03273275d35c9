//! Address spaces of programs, as processors have them: a root of page tables whose lower half is the program's and whose upper
//! half is the kernel's.
//!
//! What is mapped is decided by `logic::mem::space`; here are the memory that its tables and pages lie in, the root that a
//! processor loads, and the ways to make processors forget. A context keeps the root that it runs with. A processor that goes on
//! with a context of the kernel's own keeps the last program's root, which costs nothing, and leaves it when the root is retired.
//!
//! Which root a processor has is noted before it is loaded: who changes tables and then finds a processor with another root noted
//! knows that it will walk the tables only as they are now. So only those that have the root are interrupted.

use super::frames::{self, FRAME_BYTES};
use super::paging::{self, Live};
use super::{direct, ipi, percpu};
use alloc::sync::Arc;
use core::arch::asm;
use core::ops::Range;
use core::sync::atomic::{Ordering, fence};
use logic::mem::OutOfFrames;
use logic::mem::page::Frames;
use logic::mem::page_table::{TableMemory, Tables};
use logic::sched::CpuSet;
use logic::sync::interrupts::InterruptsOff;
use x86_64::VirtAddr;
use x86_64::instructions::tlb;
use x86_64::structures::paging::PhysFrame;
use x86_64::structures::paging::page_table::PageTableEntry;

/// Pages beyond which a processor forgets all of a program's translations at once rather than one by one.
const MANY_PAGES: u64 = 32;

/// A level-4 table that processors may have. Contexts that run with it hold a reference.
pub struct Root(PhysFrame);

impl Root {
    /// The root of tables that stay until it is [retired](Root::retire).
    pub fn new(root: PhysFrame) -> Arc<Self> {
        Arc::new(Self(root))
    }

    pub(super) fn address(&self) -> u64 {
        self.0.start_address().as_u64()
    }

    /// Has all processors that have this root forget how `ranges` were mapped, or everything. No lock may be held.
    pub fn forget(&self, ranges: Option<&[Range<u64>]>) {
        let pages = |range: &Range<u64>| (range.end - range.start) / FRAME_BYTES;
        let few = ranges.filter(|ranges| ranges.iter().map(pages).sum::<u64>() <= MANY_PAGES);
        self.on_all(&|| match few {
            // Of the kernel's pages, which are global, this forgets nothing.
            None => tlb::flush_all(),
            Some(ranges) => {
                let pages = ranges.iter().flat_map(|range| range.clone().step_by(FRAME_BYTES as usize));
                pages.for_each(|page| tlb::flush(VirtAddr::new_truncate(page)));
            }
        });
    }

    /// Has every processor leave the root, so that its tables can be freed. No context may run with it any more, and no lock be
    /// held.
    pub fn retire(self: Arc<Self>) {
        let root = Arc::into_inner(self).expect("contexts give up a root before it is retired");
        let address = root.address();
        root.on_all(&|| {
            // It may have left meanwhile.
            if percpu::current().root.load(Ordering::SeqCst) == address {
                load(0);
            }
        });
    }

    /// Calls `function` on all processors that have this root.
    fn on_all(&self, function: &(dyn Fn() + Sync)) {
        // Moved between the two, this would leave out the processor that it came to.
        let _here = InterruptsOff::new();
        fence(Ordering::SeqCst);
        let mut having = CpuSet::EMPTY;
        for cpu in percpu::all().filter(|cpu| cpu.root.load(Ordering::SeqCst) == self.address()) {
            having.insert(cpu.number());
        }
        if having.contains(percpu::current().number()) {
            function();
        }
        ipi::call_others(|number| having.contains(number), function);
    }
}

/// Loads the root at `address` on this processor; 0 is the kernel's own. Interrupts are off.
pub(super) fn load(address: u64) {
    let cpu = percpu::current();
    if cpu.root.load(Ordering::Relaxed) != address {
        cpu.root.store(address, Ordering::SeqCst);
        paging::load_root(address);
    }
}

/// The kernel's tables, whose upper half all others have.
pub fn kernel_tables() -> Tables {
    paging::kernel_tables()
}

/// The memory that programs' tables lie in.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineTables;

impl TableMemory for MachineTables {
    fn read(&self, table: PhysFrame, index: usize) -> PageTableEntry {
        Live::default().read(table, index)
    }

    fn first_used(&self, table: PhysFrame, first: usize, last: usize) -> Option<usize> {
        Live::default().first_used(table, first, last)
    }

    fn write(&mut self, table: PhysFrame, index: usize, entry: PageTableEntry) {
        Live::default().write(table, index, entry);
    }

    fn allocate(&mut self) -> Result<PhysFrame, OutOfFrames> {
        FRAMES.allocate_zeroed()
    }

    fn free(&mut self, table: PhysFrame) {
        frames::free(table, 0);
    }
}

/// The memory that programs' pages lie in.
pub static FRAMES: MachineFrames = MachineFrames;

/// This machine's frames.
pub struct MachineFrames;

impl Frames for MachineFrames {
    fn allocate_zeroed(&self) -> Result<PhysFrame, OutOfFrames> {
        let frame = frames::allocate_for_program()?;
        frames::zero(frame);
        Ok(frame)
    }

    fn allocate_copy(&self, original: PhysFrame) -> Result<PhysFrame, OutOfFrames> {
        let frame = frames::allocate_for_program()?;
        let (target, source) = (place(frame, 0, FRAME_BYTES as usize), place(original, 0, FRAME_BYTES as usize));
        // SAFETY: both frames are whole in the direct map, and the target is nobody's yet.
        unsafe { copy(target, source, FRAME_BYTES as usize) };
        Ok(frame)
    }

    fn share(&self, frame: PhysFrame) -> Result<(), OutOfFrames> {
        frames::share(frame).map_err(|_| OutOfFrames)
    }

    fn release(&self, frame: PhysFrame) {
        frames::free(frame, 0);
    }

    fn users(&self, frame: PhysFrame) -> u32 {
        frames::users(frame)
    }

    fn read(&self, frame: PhysFrame, offset: usize, bytes: &mut [u8]) {
        let place = place(frame, offset, bytes.len());
        // SAFETY: one side is the caller's, the other lies in one frame that the direct map shows.
        unsafe { copy(bytes.as_mut_ptr(), place, bytes.len()) };
    }

    fn write(&self, frame: PhysFrame, offset: usize, bytes: &[u8]) {
        let place = place(frame, offset, bytes.len());
        // SAFETY: as for `read`; nothing of Rust's refers to what lies in pages.
        unsafe { copy(place, bytes.as_ptr(), bytes.len()) };
    }
}

/// Where the direct map shows a part of a frame.
fn place(frame: PhysFrame, offset: usize, length: usize) -> *mut u8 {
    let is_inside = offset.checked_add(length).is_some_and(|end| end <= FRAME_BYTES as usize);
    assert!(is_inside, "a part of a page lies in the page");
    let start = direct(frame.start_address()).expect("pages are in memory that the direct map shows");
    start.as_mut_ptr::<u8>().wrapping_add(offset)
}

/// Copies bytes that programs may change meanwhile: to the compiler, this is not an access that nobody else may make.
///
/// # Safety
/// Both sides are mapped, and nothing of Rust's refers to the target.
unsafe fn copy(target: *mut u8, source: *const u8, length: usize) {
    // By words as far as possible: not all processors are as fast by bytes.
    // SAFETY: as the caller promises.
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {rest:e}",
            "rep movsb",
            rest = in(reg) length % 8,
            inout("rcx") length / 8 => _,
            inout("rdi") target => _,
            inout("rsi") source => _,
            options(nostack, preserves_flags),
        );
    }
}
