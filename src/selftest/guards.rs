//! Below every stack is a page that is never mapped, and a stack that grows into it is told as such.

use super::{Fatal, Outcome, Test};
use crate::hw::{areas, attempts, inspect, paging, percpu, provoke};
use crate::proc::{Priority, thread};
use alloc::string::ToString;
use alloc::vec::Vec;
use logic::sched::CpuSet;
use x86_64::VirtAddr;

const PAGE: u64 = 4096;
/// Areas that are looked at.
const MOST: usize = 4096;

pub const TESTS: &[Test] = &[
    Test { name: "guards-below-stacks", run: below_stacks },
    Test { name: "guards-of-processors", run: of_processors },
    Test { name: "guards-have-names", run: names },
];

pub const FATAL: &[Fatal] = &[
    Fatal { name: "guards-full-stack", expect: "exception 8, double fault: the stack is full", run: || fill_stack(0) },
    Fatal {
        name: "guards-full-stack-on-last-cpu",
        expect: "exception 8, double fault: the stack is full",
        run: || fill_stack(percpu::count() - 1),
    },
];

fn fill_stack(cpu: usize) {
    if let Ok(thread) =
        thread::spawn_on(CpuSet::only(cpu), "fills its stack", Priority::NORMAL, provoke::overflow_stack)
    {
        thread.join();
    }
}

/// All stacks among the areas. Some may go while they are looked at, but not while only this test runs.
fn stacks() -> Vec<inspect::Area> {
    let mut stacks = Vec::with_capacity(MOST);
    inspect::areas(|area| {
        if area.is_stack && stacks.len() < MOST {
            stacks.push(area);
        }
    });
    stacks
}

fn below_stacks() -> Outcome {
    let stacks = stacks();
    check!(stacks.len() >= 2, "there are {} stacks", stacks.len());
    for inspect::Area { range, guard, .. } in stacks {
        check!(guard >= PAGE, "the stack at {:#x} has a guard of {guard} bytes", range.start);
        for address in (range.start - guard..range.start).step_by(PAGE as usize) {
            check!(paging::translate(VirtAddr::new(address)).is_none(), "the guard at {address:#x} is mapped");
        }
        for address in range.clone().step_by(PAGE as usize) {
            let found = paging::translate(VirtAddr::new(address));
            check!(found.is_some_and(|found| found.mapping.is_writable()), "the stack's {address:#x} is {found:?}");
        }
        check!(attempts::write(range.start).is_ok(), "the stack at {:#x} cannot be written to", range.start);
        check!(attempts::write(range.start - 1).is_err(), "the guard below {:#x} can be written to", range.start);
    }
    Ok(())
}

/// Every stack of a processor, and of this thread, is among the areas.
fn of_processors() -> Outcome {
    let stacks = stacks();
    let is_guarded = |address: u64| stacks.iter().any(|stack| stack.range.contains(&address));
    let here = 0_u8;
    let here = (&raw const here).addr() as u64;
    check!(is_guarded(here), "this thread's stack at {here:#x} is not among the areas");
    for stack in inspect::cpu_stacks() {
        check!(is_guarded(stack.last), "CPU {}: {} at {:#x} has no guard", stack.cpu, stack.what, stack.last);
    }
    Ok(())
}

fn names() -> Outcome {
    for stack in stacks() {
        let name = |address| areas::describe(VirtAddr::new(address)).map(|place| place.to_string());
        check_eq!(name(stack.range.start - 1).as_deref(), Some("guard page of a kernel stack"));
        check_eq!(name(stack.range.start).as_deref(), Some("a kernel stack"));
        check_eq!(name(stack.range.end - 1).as_deref(), Some("a kernel stack"));
    }
    Ok(())
}
