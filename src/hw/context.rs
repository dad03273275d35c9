//! Contexts: kernel stacks with what ran on them, between which a processor switches.
//!
//! Each processor runs one context at a time. A context that runs can be neither switched to nor dropped: both are checked, so
//! that switching is safe to use. What a context's code holds across a switch it holds until it is switched to again.

use super::space::Root;
use super::stacks::KernelStack;
use super::{percpu, space, user};
use alloc::sync::Arc;
use core::mem::offset_of;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use logic::sync::interrupts::InterruptsOff;
use logic::sync::{IrqLock, Rank};
use x86_64::VirtAddr;
use x86_64::instructions::interrupts;

/// A kernel stack and where it was left.
pub struct Context {
    saved: Saved,
    /// `None` for what a processor runs on from its start: those stacks stay.
    stack: Option<KernelStack>,
    /// The addresses of the stack.
    bounds: Range<VirtAddr>,
    /// The program's address space, if it has one.
    root: IrqLock<Option<Arc<Root>>>,
    /// That root's number (`space`).
    root_number: AtomicU64,
}

/// What `asm/switch.asm` reads and writes.
#[repr(C)]
struct Saved {
    /// Written by the processor that leaves the context, before it clears `running`.
    rsp: AtomicU64,
    running: AtomicU32,
}

const _: () = assert!(offset_of!(Saved, running) == 8);

/// As `switch_stacks` pops them.
#[repr(C)]
struct InitialFrame {
    r15: u64,
    r14: u64,
    argument: usize,
    entry: extern "C" fn(usize) -> !,
    rbx: u64,
    rbp: u64,
    start: unsafe extern "C" fn(),
}

unsafe extern "C" {
    fn switch_stacks(from: *const Saved, to: *const Saved);
    fn context_start();
}

impl Context {
    /// A context that will call `entry(argument)` on `stack` when it is first switched to, with interrupts off.
    pub fn new(stack: KernelStack, entry: extern "C" fn(usize) -> !, argument: usize) -> Self {
        let frame = InitialFrame { r15: 0, r14: 0, argument, entry, rbx: 0, rbp: 0, start: context_start };
        // Functions expect the stack to be 8 bytes off a multiple of 16 when they begin: `context_start` calls from a multiple.
        let place = stack.top() - size_of::<InitialFrame>() as u64;
        // SAFETY: the stack is ours, mapped, and larger than this; its top is aligned to pages.
        unsafe { place.as_mut_ptr::<InitialFrame>().write(frame) };
        Self {
            saved: Saved { rsp: AtomicU64::new(place.as_u64()), running: AtomicU32::new(0) },
            bounds: stack.bottom()..stack.top(),
            stack: Some(stack),
            root: IrqLock::new(Rank::File, None),
            root_number: AtomicU64::new(0),
        }
    }

    /// The context of what this processor runs on since its start.
    pub fn of_this_processor() -> Self {
        let stack = percpu::current().stack();
        Self {
            saved: Saved { rsp: AtomicU64::new(0), running: AtomicU32::new(1) },
            stack: None,
            bounds: VirtAddr::new(stack.start)..VirtAddr::new(stack.end),
            root: IrqLock::new(Rank::File, None),
            root_number: AtomicU64::new(0),
        }
    }

    /// Makes this the context that the processor knows itself to run. It must be its own, from [`Self::of_this_processor`].
    pub fn adopt(&'static self) {
        let cpu = percpu::current();
        assert!(cpu.context().is_null() && self.stack.is_none(), "a processor adopts its first context once");
        cpu.set_context(self);
    }

    /// Whether a processor runs it, or has not quite left it.
    pub fn is_running(&self) -> bool {
        self.saved.running.load(Ordering::Acquire) != 0
    }

    /// Where its stack was left, which `asm/switch.asm` tells the shape of; `None` while it runs.
    pub(super) fn left_at(&self) -> Option<u64> {
        (!self.is_running()).then(|| self.saved.rsp.load(Ordering::Acquire))
    }

    /// The addresses of its stack, which stays mapped for as long as the context lives.
    pub(super) fn bounds(&self) -> Range<u64> {
        self.bounds.start.as_u64()..self.bounds.end.as_u64()
    }

    /// Whether it has never run.
    pub(super) fn is_new(&self) -> bool {
        let start = self.bounds.end.as_u64().saturating_sub(size_of::<InitialFrame>() as u64);
        self.stack.is_some() && self.left_at() == Some(start)
    }
}

/// Leaves what this processor runs and goes on with the context of `next`. Returns when something switches back, perhaps on
/// another processor. Interrupts must be off, and are when it returns. The stack that is left keeps no reference to `next`, since
/// it may never run again; whoever calls this has another one elsewhere.
pub fn switch_to<T: AsRef<Context>>(next: Arc<T>) {
    assert!(!interrupts::are_enabled(), "contexts are switched with interrupts off");
    let cpu = percpu::current();
    let from = cpu.context();
    assert!(!from.is_null(), "the processor has a context to leave");
    let context: &Context = (*next).as_ref();
    let was_running = context.saved.running.swap(1, Ordering::Acquire);
    assert!(was_running == 0, "a context runs on one processor at a time");
    cpu.set_context(context);
    cpu.set_stack(context.bounds.start, context.bounds.end);
    user::leave(cpu);
    let root_number = context.root_number.load(Ordering::Relaxed);
    if root_number != 0 {
        space::load(root_number);
    }
    let to = &raw const context.saved;
    // Were this the last reference, dropping the context would panic, since it counts as running.
    drop(next);
    // SAFETY: `from` is what runs here: it cannot have been dropped, as dropping checks that it does not run.
    let from = unsafe { &raw const (*from).saved };
    // SAFETY: `to` was left by `switch_stacks` or made by `new`, no other processor runs it, and it is not dropped while it
    // counts as running.
    unsafe { switch_stacks(from, to) };
}

/// What this processor runs goes on with the address space of `root`, or with none; it gives up the one before.
pub fn set_root(root: Option<Arc<Root>>) {
    let previous = {
        let _here = InterruptsOff::new();
        let context = percpu::current().context();
        // SAFETY: null, or what runs here: it is not dropped before it has been left.
        let context = unsafe { context.as_ref() }.expect("the processor has a context");
        let number = root.as_ref().map_or(0, |root| root.address());
        context.root_number.store(number, Ordering::Relaxed);
        let previous = core::mem::replace(&mut *context.root.lock(), root);
        space::load(number);
        previous
    };
    drop(previous);
}

impl Drop for Context {
    fn drop(&mut self) {
        assert!(!self.is_running(), "a context that runs is not dropped");
    }
}
