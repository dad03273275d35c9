//! Frames come and go as they should, and what is unmapped is gone on every processor.

use super::{Outcome, Test, on_all_cpus, on_each_cpu};
use crate::hw::fixup::Fault;
use crate::hw::stacks::{self, KernelStack};
use crate::hw::{attempts, frames, ipi, percpu};
use crate::proc::{self, Priority, thread};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use logic::mem::frames::{MAX_ORDER, Zone};
use logic::sched::CpuSet;
use logic::sync::{IrqLock, Rank};
use x86_64::structures::paging::PhysFrame;

const FOUR_GIB: u64 = 1 << 32;
/// Rounds of each processor, and the frames it holds at most.
const ROUNDS: usize = 300;
const HELD: usize = 100;

pub const TESTS: &[Test] = &[
    Test { name: "memory-zones-and-orders", run: zones_and_orders },
    Test { name: "memory-users-of-frames", run: users },
    Test { name: "memory-frames-on-all-cpus", run: frames_on_all_cpus },
    Test { name: "memory-no-frame-twice", run: no_frame_twice },
    Test { name: "memory-frames-freed-elsewhere", run: freed_elsewhere },
    Test { name: "memory-stacks-come-and-go", run: stacks_come_and_go },
    Test { name: "memory-unmapped-is-gone", run: unmapped_is_gone },
    Test { name: "memory-unmapped-is-gone-elsewhere", run: unmapped_is_gone_elsewhere },
];

fn frame(zone: Zone) -> Result<PhysFrame, alloc::string::String> {
    frames::allocate(0, zone).map_err(|_| "no frame is left".into())
}

fn zones_and_orders() -> Outcome {
    for zone in Zone::ALL {
        for order in 0..=MAX_ORDER {
            let before = frames::free_frames();
            let Ok(first) = frames::allocate(order, zone) else {
                // A small machine may have no such block.
                check!(order >= 9, "no block of order {order} in {zone:?}");
                continue;
            };
            let (start, bytes) = (first.start_address().as_u64(), frames::FRAME_BYTES << order);
            check_eq!(before - frames::free_frames(), 1 << order);
            frames::free(first, order);
            check_eq!(frames::free_frames(), before);
            check!(start % bytes == 0, "a block of order {order} is at {start:#x}");
            check!(zone == Zone::Normal || start + bytes <= FOUR_GIB, "{start:#x} is not below 4 GiB");
        }
    }
    Ok(())
}

fn users() -> Outcome {
    let before = frames::free_frames();
    let frame = frame(Zone::Normal)?;
    check_eq!(frames::users(frame), 1);
    check_eq!(frames::share(frame), Ok(()));
    check_eq!(frames::users(frame), 2);
    frames::free(frame, 0);
    check_eq!(frames::users(frame), 1);
    check_eq!(frames::free_frames(), before - 1);
    frames::free(frame, 0);
    check_eq!(frames::free_frames(), before);
    Ok(())
}

fn frames_on_all_cpus() -> Outcome {
    on_all_cpus(|| {
        let mut held = Vec::with_capacity(HELD);
        for round in 0..ROUNDS {
            for _ in 0..1 + round % HELD {
                held.push(frame(Zone::Normal)?);
            }
            if round % 50 == 0 {
                frames::drain_caches();
            }
            held.drain(..).for_each(|frame| frames::free(frame, 0));
        }
        Ok(())
    })
}

/// All processors take frames at once; of all that they hold, no two are the same.
fn no_frame_twice() -> Outcome {
    static ALL: IrqLock<Vec<PhysFrame>> = IrqLock::new(Rank::File, Vec::new());
    *ALL.lock() = Vec::with_capacity(HELD * percpu::count());
    let outcome = on_all_cpus(|| {
        for _ in 0..HELD {
            let frame = frame(Zone::Normal)?;
            ALL.lock().push(frame);
        }
        Ok(())
    });
    let mut all = core::mem::take(&mut *ALL.lock());
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    let different = all.len();
    if different == count {
        all.into_iter().for_each(|frame| frames::free(frame, 0));
    }
    check!(different == count, "of {count} frames {different} are different");
    outcome
}

fn freed_elsewhere() -> Outcome {
    for _ in 0..20 {
        let taken = (0..HELD).map(|_| frame(Zone::Normal)).collect::<Result<Vec<_>, _>>()?;
        let last = CpuSet::only(percpu::count() - 1);
        let thread = thread::spawn_on(last, "frees", Priority::NORMAL, move || {
            taken.into_iter().for_each(|frame| frames::free(frame, 0));
        });
        thread.map_err(|error| error.to_string())?.join();
    }
    Ok(())
}

fn stacks_come_and_go() -> Outcome {
    for _ in 0..50 {
        let many =
            (0..40).map(|_| KernelStack::new()).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        for stack in &many {
            check!(attempts::write(stack.bottom().as_u64()).is_ok(), "a new stack cannot be written to");
        }
    }
    Ok(())
}

fn expect_gone(address: u64) -> Outcome {
    check_eq!(attempts::read(address), Err(Fault { vector: 14, error_code: 0, address }));
    check!(attempts::write(address).is_err_and(|fault| fault.vector == 14), "{address:#x} can be written to");
    Ok(())
}

fn unmapped_is_gone() -> Outcome {
    let stack = KernelStack::new().map_err(|error| error.to_string())?;
    let (bottom, last) = (stack.bottom().as_u64(), stack.top().as_u64() - 1);
    for address in [bottom, last] {
        check_eq!(attempts::write(address), Ok(()));
    }
    stacks::drain_pool();
    drop(stack);
    stacks::drain_pool();
    expect_gone(bottom)?;
    expect_gone(last)
}

/// Each processor reads a page until told that it is unmapped, so that it remembers where it was; the next read must fault.
fn unmapped_is_gone_elsewhere() -> Outcome {
    for _ in 0..5 {
        let stack = KernelStack::new().map_err(|error| error.to_string())?;
        let address = stack.bottom().as_u64();
        let (reading, is_gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let readers: Vec<_> = (0..percpu::count())
            .map(|number| {
                let (reading, is_gone) = (reading.clone(), is_gone.clone());
                thread::spawn_on(CpuSet::only(number), "reads", Priority::NORMAL, move || {
                    check_eq!(attempts::write(address), Ok(()));
                    reading.fetch_add(1, Ordering::AcqRel);
                    while !is_gone.load(Ordering::Acquire) {
                        core::hint::spin_loop();
                    }
                    expect_gone(address)
                })
            })
            .collect();
        while reading.load(Ordering::Acquire) < percpu::count() {
            proc::sleep(Duration::from_millis(1));
        }
        let before = ipi::pages_shot_down();
        stacks::drain_pool();
        drop(stack);
        stacks::drain_pool();
        let asked = ipi::pages_shot_down() - before;
        is_gone.store(true, Ordering::Release);
        for reader in readers {
            reader.map_err(|error| error.to_string())?.join()?;
        }
        let wanted = stacks::STACK_BYTES / frames::FRAME_BYTES * (percpu::count() as u64 - 1);
        check!(asked >= wanted, "{asked} pages were forgotten by other processors, not {wanted}");
        on_each_cpu(move || expect_gone(address))?;
    }
    Ok(())
}
