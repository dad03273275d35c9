//! The page by which programs tell the time themselves, without a system call: `asm/vdso.asm` reads it, and has its layout.
//!
//! Whoever changes the clock has it [updated](update). It is written under a sequence number, odd meanwhile, so that no program
//! puts old and new together.

use super::clock;
use super::direct;
use super::space::FRAMES;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use logic::mem::OutOfFrames;
use logic::mem::page::Page;
use logic::sync::{IrqLock, Rank};
use spin::Once;

/// What the time is made of, as long as it is by the time-stamp counter.
pub(super) struct Content {
    /// The time of day at the kernel's entry, in nanoseconds since 1970.
    pub day_start_ns: u64,
    /// The line that the clock follows (`Line::words`).
    pub first: [u64; 4],
    /// The one that it follows from that one's start on.
    pub later: [u64; 4],
}

/// The start of the page.
#[repr(C)]
#[derive(Default)]
struct Data {
    sequence: AtomicU32,
    /// Whether the rest means anything; if not, programs ask the kernel.
    by_counter: AtomicU32,
    /// What [`Content`] has, in its order.
    words: [AtomicU64; 9],
}

static PAGE: Once<Page> = Once::new();
/// Who writes.
static WRITER: IrqLock<()> = IrqLock::new(Rank::SharedClock, ());

/// The page, as one user more of it.
///
/// # Errors
/// [`OutOfFrames`].
pub fn page() -> Result<Page, OutOfFrames> {
    let is_new = !PAGE.is_completed();
    let page = PAGE.try_call_once(|| Page::zeroed(&FRAMES))?;
    if is_new {
        update();
    }
    page.share()
}

/// Tells programs how the clock runs now.
pub(super) fn update() {
    let Some(data) = PAGE.get().and_then(data) else { return };
    let _writer = WRITER.lock();
    // What is written last is read last.
    let content = clock::shared();
    let sequence = data.sequence.load(Ordering::Relaxed);
    data.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
    fence(Ordering::Release);
    data.by_counter.store(content.is_some().into(), Ordering::Relaxed);
    if let Some(Content { day_start_ns, first, later }) = content {
        let words = [day_start_ns].into_iter().chain(first).chain(later);
        data.words.iter().zip(words).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
    }
    data.sequence.store(sequence.wrapping_add(2), Ordering::Release);
}

/// What lies in the page.
fn data(page: &'static Page) -> Option<&'static Data> {
    let start = direct(page.frame().start_address())?.as_ptr::<Data>();
    // SAFETY: the direct map shows the frame, which is `PAGE`'s for ever; programs only read it, and here it is written by atomic
    // stores alone; any bits are a value.
    Some(unsafe { &*start })
}
