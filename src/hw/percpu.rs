//! What each processor has for itself, found through GS.
//!
//! The boot processor's structure is in the image, so that it is there before memory is; the others' come from the heap.
//! All live for ever, so that any processor may look at another's.

use super::context::Context;
use super::gdt::Segments;
use super::startup::EXCEPTION_STACK_BYTES;
use super::trap::TrapFrame;
use super::user;
use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use logic::machine_check::Report;
use logic::mem::frames::FrameCache;
use logic::sync::{HeldRanks, IrqLock, Rank};
use spin::Once;
use x86_64::VirtAddr;
use x86_64::registers::model_specific::GsBase;

/// Processors that the kernel uses at most.
pub const MAX_CPUS: usize = 256;

/// One processor's own data. The processor writes to it, others read.
#[repr(C)]
pub struct PerCpu {
    /// Where this structure is: `gs:0` (see [`current`]).
    this: AtomicPtr<PerCpu>,
    /// Where the stack was left when a program was entered (`asm/user.asm`).
    kernel_rsp: AtomicU64,
    /// The end of that program's frame.
    frame_end: AtomicU64,
    /// The program's stack pointer, for the first instructions of a system call.
    user_rsp: AtomicU64,
    /// Number of the processor, counted from 0 in the order of their start.
    number: AtomicUsize,
    /// Its local APIC's id.
    apic_id: AtomicU32,
    /// The ranks of the locks that it holds, in builds that check.
    held_ranks: UnsafeCell<HeldRanks>,
    /// Free frames that it keeps for itself.
    pub(super) frames: IrqLock<FrameCache>,
    /// Another processor waits for it to call a function (`ipi`).
    pub(super) call_wanted: AtomicBool,
    /// It may run threads: its time-stamp counter has been compared.
    is_admitted: AtomicBool,
    /// Lowest address of the stack that it runs on; the page below is its guard.
    stack_bottom: AtomicU64,
    /// The address after that stack's last byte.
    stack_top: AtomicU64,
    /// The context that it runs; null until it has adopted its first.
    context: AtomicPtr<Context>,
    /// The frame of the exception that it cannot go on after; null as long as there was none.
    pub(super) fatal: AtomicPtr<TrapFrame>,
    /// What its hardware reported by a machine check.
    pub(super) machine_check: Once<Report>,
    /// The physical address of the root of page tables that it has, or is just loading; 0 is the kernel's own (`space`).
    pub(super) root: AtomicU64,
    /// What of a program's is in the processor's own registers.
    pub(super) loaded: user::Loaded,
    segments: Segments,
}

// As `asm/frame.inc.asm` has them.
const _: () = assert!(offset_of!(PerCpu, kernel_rsp) == 8);
const _: () = assert!(offset_of!(PerCpu, frame_end) == 16);
const _: () = assert!(offset_of!(PerCpu, user_rsp) == 24);

// SAFETY: `held_ranks` is touched by its own processor only, through `with_held_ranks`; all else may be shared as it is.
unsafe impl Sync for PerCpu {}

static BOOT_CPU: PerCpu = PerCpu::new();
static ALL: [AtomicPtr<PerCpu>; MAX_CPUS] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_CPUS];
static COUNT: AtomicUsize = AtomicUsize::new(0);

impl PerCpu {
    pub(super) const fn new() -> Self {
        Self {
            this: AtomicPtr::new(ptr::null_mut()),
            kernel_rsp: AtomicU64::new(0),
            frame_end: AtomicU64::new(0),
            user_rsp: AtomicU64::new(0),
            number: AtomicUsize::new(0),
            apic_id: AtomicU32::new(0),
            held_ranks: UnsafeCell::new(HeldRanks::new()),
            frames: IrqLock::new(Rank::FrameCache, FrameCache::new()),
            call_wanted: AtomicBool::new(false),
            is_admitted: AtomicBool::new(false),
            stack_bottom: AtomicU64::new(0),
            stack_top: AtomicU64::new(0),
            context: AtomicPtr::new(ptr::null_mut()),
            fatal: AtomicPtr::new(ptr::null_mut()),
            machine_check: Once::new(),
            root: AtomicU64::new(0),
            loaded: user::Loaded::new(),
            segments: Segments::new(),
        }
    }

    /// Number of the processor: 0 is the one that booted.
    pub fn number(&self) -> usize {
        self.number.load(Ordering::Relaxed)
    }

    /// Its local APIC's id.
    pub fn apic_id(&self) -> u32 {
        self.apic_id.load(Ordering::Relaxed)
    }

    /// Notes the local APIC's id.
    pub(super) fn set_apic_id(&self, id: u32) {
        self.apic_id.store(id, Ordering::Relaxed);
    }

    /// Whether it may run threads.
    pub(super) fn is_admitted(&self) -> bool {
        self.is_admitted.load(Ordering::Acquire)
    }

    /// Lets it run threads.
    pub(super) fn admit(&self) {
        self.is_admitted.store(true, Ordering::Release);
    }

    /// Its segments and task state.
    pub(super) fn segments(&'static self) -> &'static Segments {
        &self.segments
    }

    /// Notes which stack it runs on.
    pub(super) fn set_stack(&self, bottom: VirtAddr, top: VirtAddr) {
        self.stack_bottom.store(bottom.as_u64(), Ordering::Relaxed);
        self.stack_top.store(top.as_u64(), Ordering::Relaxed);
    }

    /// The addresses of its exception stacks, as far as they are certain to be stack.
    pub(super) fn exception_stacks(&self) -> impl Iterator<Item = core::ops::Range<u64>> {
        let tops = self.segments.exception_stacks().into_iter();
        tops.map(|top| top.saturating_sub(EXCEPTION_STACK_BYTES)..top)
    }

    /// The context that it runs, or null.
    pub(super) fn context(&self) -> *const Context {
        self.context.load(Ordering::Relaxed)
    }

    /// Notes which context it runs.
    pub(super) fn set_context(&self, context: &Context) {
        self.context.store(ptr::from_ref(context).cast_mut(), Ordering::Relaxed);
    }

    /// The addresses of the stack it runs on.
    pub(super) fn stack(&self) -> core::ops::Range<u64> {
        self.stack_bottom.load(Ordering::Relaxed)..self.stack_top.load(Ordering::Relaxed)
    }
}

/// The structure of the processor that runs this. A thread that may be moved should not keep it.
pub fn current() -> &'static PerCpu {
    let this: *const PerCpu;
    // SAFETY: `install` made GS point to a `PerCpu` before anything asks, and its first field holds its address.
    unsafe { asm!("mov {}, gs:[0]", out(reg) this, options(nostack, readonly, preserves_flags, pure)) };
    // SAFETY: that structure lives for ever and is only lent out shared.
    unsafe { &*this }
}

/// The boot processor's structure, before and after it is installed.
pub(super) fn boot() -> &'static PerCpu {
    &BOOT_CPU
}

/// Makes `cpu` the structure of the processor that runs this, as one more processor. `None` if there are
/// [`MAX_CPUS`] already.
pub(super) fn install(cpu: &'static PerCpu) -> Option<usize> {
    let number =
        COUNT.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |count| (count < MAX_CPUS).then_some(count + 1));
    let number = number.ok()?;
    cpu.number.store(number, Ordering::Relaxed);
    cpu.this.store(ptr::from_ref(cpu).cast_mut(), Ordering::Relaxed);
    GsBase::write(VirtAddr::from_ptr(cpu));
    Some(number)
}

/// Lets the other processors know of `cpu`, which has been installed, has its APIC's id noted, and will answer interrupts.
pub(super) fn publish(cpu: &'static PerCpu) {
    ALL[cpu.number()].store(ptr::from_ref(cpu).cast_mut(), Ordering::Release);
}

/// Processor `number`, if it has been started.
pub fn get(number: usize) -> Option<&'static PerCpu> {
    let cpu = ALL.get(number)?.load(Ordering::Acquire);
    // SAFETY: null, or what `install` put there: a structure that lives for ever.
    unsafe { cpu.as_ref() }
}

/// All processors that have been started.
pub fn all() -> impl Iterator<Item = &'static PerCpu> {
    (0..COUNT.load(Ordering::Acquire)).filter_map(get)
}

/// The numbers that processors have had so far end before this. One that came only half way has one too.
pub fn numbers() -> usize {
    COUNT.load(Ordering::Acquire)
}

/// How many processors have been started.
pub fn count() -> usize {
    all().count()
}

/// The hook of `logic::sync`: calls `change` with the ranks that this processor holds. Interrupts are off.
pub(super) fn with_held_ranks(change: &mut dyn FnMut(&mut HeldRanks)) {
    let held = current().held_ranks.get();
    // SAFETY: only this processor touches its list, with interrupts off, and `change` takes no lock, so that this is not
    // entered again meanwhile.
    change(unsafe { &mut *held });
}
