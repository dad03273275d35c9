//! When memory runs out, whoever asked is told, everything else goes on, and what is given back can be had again.

use super::{Outcome, Test};
use crate::hw::areas::OutOfMemory;
use crate::hw::frames;
use crate::hw::stacks::{self, KernelStack};
use crate::proc::{self, Priority};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use logic::mem::frames::{MAX_ORDER, Zone};
use x86_64::structures::paging::PhysFrame;

/// Frames that [`Hoard`] leaves: enough for the heap to grow a few times.
const LEFT: usize = 300;
/// Bytes of an allocation of medium size.
const PIECE: usize = 3000;
/// Threads that must fit when memory is there again.
const THREADS: usize = 20;

pub const TESTS: &[Test] = &[
    Test { name: "exhaustion-of-frames", run: frames_run_out },
    Test { name: "exhaustion-of-blocks", run: blocks_run_out },
    Test { name: "exhaustion-by-stacks", run: stacks_run_out },
    Test { name: "exhaustion-by-threads", run: threads_run_out },
    Test { name: "exhaustion-of-heap", run: heap_runs_out },
    Test { name: "exhaustion-by-one-allocation", run: one_allocation_is_too_large },
];

/// Nearly all free frames, until it is dropped.
struct Hoard(Vec<(PhysFrame, u8)>);

impl Hoard {
    /// Takes all but `left` frames, large blocks first.
    fn all_but(left: usize) -> Result<Self, String> {
        let most = frames::free_frames() as usize / (1 << MAX_ORDER) * 2 + 4096;
        let mut hoard = Self(Vec::new());
        hoard.0.try_reserve(most).map_err(|error| error.to_string())?;
        for order in (0..=MAX_ORDER).rev() {
            while hoard.0.len() < hoard.0.capacity()
                && let Ok(first) = frames::allocate(order, Zone::Normal)
            {
                hoard.0.push((first, order));
            }
        }
        check!(frames::free_frames() == 0, "{} frames are free but cannot be had", frames::free_frames());
        // The smallest blocks come back first.
        let mut released = 0;
        while released < left
            && let Some((first, order)) = hoard.0.pop()
        {
            frames::free(first, order);
            released += 1 << order;
        }
        Ok(hoard)
    }
}

impl Drop for Hoard {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|(first, order)| frames::free(first, order));
    }
}

/// Every frame that counts as free can be had, once.
fn frames_run_out() -> Outcome {
    let mut taken = Vec::<PhysFrame>::new();
    taken.try_reserve(frames::free_frames() as usize).map_err(|error| error.to_string())?;
    let free = frames::free_frames();
    while taken.len() < taken.capacity()
        && let Ok(frame) = frames::allocate(0, Zone::Normal)
    {
        taken.push(frame);
    }
    let (count, left) = (taken.len() as u64, frames::free_frames());
    let refused = frames::allocate(0, Zone::Dma32).is_err() && frames::allocate_zeroed().is_err();
    taken.sort_unstable();
    let is_twice = taken.array_windows().any(|[one, next]| one == next);
    if !is_twice {
        taken.drain(..).for_each(|frame| frames::free(frame, 0));
    }
    check!(!is_twice, "a frame was had twice");
    check!(count == free && left == 0, "of {free} free frames {count} could be had, {left} are left");
    check!(refused, "there are more frames than are free");
    check_eq!(frames::free_frames(), free);
    Ok(())
}

fn blocks_run_out() -> Outcome {
    let before = frames::statistics().zones;
    let hoard = Hoard::all_but(0)?;
    check!(frames::allocate(0, Zone::Normal).is_err(), "a frame is left");
    drop(hoard);
    frames::drain_caches();
    let after = frames::statistics().zones;
    for (zone, (before, after)) in before.into_iter().zip(after).enumerate() {
        // Frames in use by others may have changed, but large blocks must be large again.
        let largest = |zone: logic::mem::frames::ZoneStatistics| {
            zone.asleep / (1 << MAX_ORDER) + u64::from(zone.blocks[usize::from(MAX_ORDER)])
        };
        check!(largest(after) + 2 >= largest(before), "zone {zone}: {before:?} became {after:?}");
    }
    Ok(())
}

fn stacks_run_out() -> Outcome {
    stacks::drain_pool();
    let hoard = Hoard::all_but(LEFT)?;
    let mut all = Vec::new();
    all.try_reserve(LEFT).map_err(|error| error.to_string())?;
    let error = loop {
        match KernelStack::new() {
            Ok(stack) if all.len() < LEFT => all.push(stack),
            Ok(_) => break None,
            Err(error) => break Some(error),
        }
    };
    let count = all.len();
    drop(all);
    drop(hoard);
    check_eq!(error, Some(OutOfMemory));
    check!(count > 10, "only {count} stacks could be had");
    Ok(())
}

fn threads_run_out() -> Outcome {
    fn short() -> u32 {
        7
    }
    stacks::drain_pool();
    let hoard = Hoard::all_but(LEFT)?;
    let mut all = Vec::new();
    all.try_reserve(LEFT).map_err(|error| error.to_string())?;
    // They wait for the hoard, which is not given back before all is taken.
    static GO: logic::sync::wait_queue::WaitQueue = logic::sync::wait_queue::WaitQueue::new();
    static MAY_GO: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);
    MAY_GO.store(false, core::sync::atomic::Ordering::Release);
    let refused = loop {
        let thread = proc::spawn("one of many", Priority::NORMAL, || {
            proc::wait_until(&GO, None, || MAY_GO.load(core::sync::atomic::Ordering::Acquire));
            short()
        });
        match thread {
            Ok(thread) if all.len() < LEFT => all.push(thread),
            Ok(_) => break false,
            Err(_) => break true,
        }
    };
    MAY_GO.store(true, core::sync::atomic::Ordering::Release);
    GO.wake_all();
    let count = all.len();
    let sum: u32 = all.into_iter().map(proc::JoinHandle::join).sum();
    drop(hoard);
    check!(refused, "more threads could be had than there are frames");
    check!(count > 10 && sum == 7 * count as u32, "{count} threads answered {sum}");
    for _ in 0..THREADS {
        let thread = proc::spawn("afterwards", Priority::NORMAL, short).map_err(|error| error.to_string())?;
        check_eq!(thread.join(), 7);
    }
    Ok(())
}

fn heap_runs_out() -> Outcome {
    let mut all = Vec::<Vec<u8>>::new();
    all.try_reserve(LEFT * 64).map_err(|error| error.to_string())?;
    let hoard = Hoard::all_but(LEFT)?;
    let refused = loop {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(PIECE).is_err() {
            break true;
        }
        piece.resize(PIECE, all.len() as u8);
        if all.len() == all.capacity() {
            break false;
        }
        all.push(piece);
    };
    // Nothing is left for a thread, and this is not the end of anything.
    let thread = proc::spawn("too much", Priority::NORMAL, || ()).map(drop);
    let is_whole = all.iter().enumerate().all(|(index, piece)| piece.iter().all(|byte| *byte == index as u8));
    let count = all.len();
    drop(all);
    drop(hoard);
    check!(refused, "{count} pieces were not enough to fill the heap");
    check!(is_whole, "an allocation was written to by another");
    check!(thread.is_err(), "a thread was started without memory");
    let mut again = Vec::<u8>::new();
    check!(again.try_reserve_exact(PIECE * 10).is_ok(), "what was given back cannot be had");
    Ok(())
}

fn one_allocation_is_too_large() -> Outcome {
    let free = frames::free_frames();
    for bytes in [free as usize * 4096 + (1 << 20), 1 << 36, 1 << 40, isize::MAX as usize] {
        let mut piece = Vec::<u8>::new();
        check!(piece.try_reserve_exact(bytes).is_err(), "{bytes:#x} bytes could be had");
    }
    check!(frames::free_frames() + 1024 >= free, "of {free} free frames {} are left", frames::free_frames());
    let mut piece = Vec::<u8>::new();
    check!(piece.try_reserve_exact(PIECE).is_ok(), "nothing can be had afterwards");
    Ok(())
}
