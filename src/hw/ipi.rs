//! What processors ask of each other: to call a function, to forget translations, to stop for good.
//!
//! One request is under way at a time. Who waits, for its turn or for answers, serves others' requests meanwhile, so that two
//! with interrupts off cannot wait for each other. Nobody may hold a lock while asking: another processor might spin on it with
//! interrupts off and never answer.

use super::apic::{self, Destination};
use super::{cpu, irq, paging, percpu, trap};
use core::cell::UnsafeCell;
use core::hint::spin_loop;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use logic::sync::interrupts::InterruptsOff;
use logic::sync::rank::assert_none_held;
use x86_64::VirtAddr;

/// Rounds that a stopping processor is waited for: some milliseconds.
const PATIENCE_TO_STOP: u32 = 1_000_000;

/// Pages beyond which a processor forgets all translations at once rather than one by one.
const MANY_PAGES: u64 = 32;
const PAGE: u64 = 4096;

/// Somebody's request is under way.
static BUSY: AtomicBool = AtomicBool::new(false);
/// Processors that have not answered yet.
static WAITED_FOR: AtomicUsize = AtomicUsize::new(0);
static REQUEST: Request = Request(UnsafeCell::new(None));

/// The processor that wants every other to stand still, for its panic.
static STOPPER: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;
static STOPPED: AtomicUsize = AtomicUsize::new(0);
/// Translations forgotten at another's request, all processors together.
static SHOT_DOWN: AtomicU64 = AtomicU64::new(0);

/// The function to call. Written by who holds [`BUSY`] while nobody is asked, read by who has been asked.
struct Request(UnsafeCell<Option<*const (dyn Fn() + Sync)>>);

// SAFETY: see above: writing and reading never happen at once.
unsafe impl Sync for Request {}

/// Makes this processor, and those that start later, answer.
pub fn init() {
    irq::set_fixed_handler(irq::CALL_VECTOR, serve);
    trap::on_nmi(stop_if_asked);
}

/// Has every processor for which `wanted` holds, but this one, call `function` in an interrupt handler, and waits until
/// all have done so. No lock may be held.
pub fn call_others(wanted: impl Fn(usize) -> bool, function: &(dyn Fn() + Sync)) {
    call_beside(wanted, function, || {});
}

/// The same, and runs `meanwhile` itself once all have been asked, with interrupts off; not if there is nobody to ask.
pub fn call_beside(wanted: impl Fn(usize) -> bool, function: &(dyn Fn() + Sync), meanwhile: impl FnOnce()) {
    assert_none_held();
    let _interrupts = InterruptsOff::new();
    let this = percpu::current().number();
    if !percpu::all().any(|cpu| cpu.number() != this && wanted(cpu.number())) {
        return;
    }
    while BUSY.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        serve();
        spin_loop();
    }
    let function: *const (dyn Fn() + Sync + '_) = function;
    // SAFETY: only the lifetime differs, and nobody calls the function after the last answer, for which this waits.
    let function = unsafe { core::mem::transmute::<*const (dyn Fn() + Sync + '_), *const (dyn Fn() + Sync)>(function) };
    // SAFETY: we hold BUSY, and nobody is asked yet.
    unsafe { *REQUEST.0.get() = Some(function) };
    let mut asked = 0;
    for cpu in percpu::all().filter(|cpu| cpu.number() != this && wanted(cpu.number())) {
        asked += 1;
        // Counted before the processor can answer.
        WAITED_FOR.fetch_add(1, Ordering::AcqRel);
        // Before its APIC id is read: see `joined`.
        cpu.call_wanted.store(true, Ordering::SeqCst);
        // To go on without it would leave it with what all others have forgotten.
        while !apic::send(Destination::One(cpu.apic_id()), irq::CALL_VECTOR) {
            spin_loop();
        }
    }
    debug_assert!(asked > 0, "somebody was wanted a moment ago, and processors never go");
    meanwhile();
    while WAITED_FOR.load(Ordering::Acquire) != 0 {
        spin_loop();
    }
    BUSY.store(false, Ordering::Release);
}

/// To be called by a processor that has been counted among the others and has just told its APIC id: what it was asked before
/// went to nobody, and what was forgotten before it was counted may still be in its TLB.
pub(super) fn joined() {
    fence(Ordering::SeqCst);
    serve();
    paging::forget(&(VirtAddr::zero()..VirtAddr::zero() + PAGE), 0);
}

/// Answers the request under way if it is for this processor.
fn serve() {
    if !percpu::current().call_wanted.swap(false, Ordering::AcqRel) {
        return;
    }
    // SAFETY: we were asked, so the request stands until we have answered.
    if let Some(function) = unsafe { *REQUEST.0.get() } {
        // SAFETY: who asked keeps the function alive until the last answer.
        unsafe { (*function)() };
    }
    WAITED_FOR.fetch_sub(1, Ordering::AcqRel);
}

/// Has every processor forget how the pages in `range` were mapped. No lock may be held.
pub fn shoot_down(range: Range<VirtAddr>) {
    // Moved between the two, this would leave out the processor that it came to.
    let _here = InterruptsOff::new();
    paging::forget(&range, MANY_PAGES);
    call_others(|_| true, &|| {
        SHOT_DOWN.fetch_add((range.end - range.start) / PAGE, Ordering::Relaxed);
        paging::forget(&range, MANY_PAGES);
    });
}

/// Pages forgotten so far at another processor's request.
pub fn pages_shot_down() -> u64 {
    SHOT_DOWN.load(Ordering::Relaxed)
}

/// Stops all other processors for good, by NMI, since they may have interrupts off. Tells how many have stopped in time. Only
/// those that are known are asked: one that came too late to be used could not take an NMI.
pub fn stop_others() -> usize {
    let this = percpu::current().number();
    STOPPER.store(this, Ordering::Release);
    let mut others = 0;
    for cpu in percpu::all().filter(|cpu| cpu.number() != this) {
        apic::send_nmi(Destination::One(cpu.apic_id()));
        others += 1;
    }
    for _ in 0..PATIENCE_TO_STOP {
        if STOPPED.load(Ordering::Acquire) >= others {
            break;
        }
        spin_loop();
    }
    STOPPED.load(Ordering::Acquire)
}

/// The NMI's answer to [`stop_others`].
fn stop_if_asked() -> bool {
    let stopper = STOPPER.load(Ordering::Acquire);
    if stopper != NOBODY && stopper != percpu::current().number() {
        STOPPED.fetch_add(1, Ordering::AcqRel);
        cpu::halt();
    }
    false
}
