//! What a processor does before anything else: its own data, segments, exceptions, protections.

use super::areas::OutOfMemory;
use super::gdt::EXCEPTION_STACKS;
use super::percpu::PerCpu;
use super::stacks::KernelStack;
use super::{cpu, frames, machine_check, paging, percpu, trap, user};
use core::arch::asm;
use core::cell::UnsafeCell;
use core::ops::Range;
use logic::boot::BootInfo;
use logic::boot::memory_map::MemoryKind;
use logic::machine_check::Report;
use logic::sync::install_rank_hook;
use x86_64::VirtAddr;

const EARLY_STACK_BYTES: usize = 8 * 1024;
/// What every exception stack has at least, early or not.
pub(super) const EXCEPTION_STACK_BYTES: u64 = EARLY_STACK_BYTES as u64;

/// Memory that only the processor and the code it runs on it use.
#[repr(C, align(16))]
struct Stack(UnsafeCell<[u8; EARLY_STACK_BYTES]>);

// SAFETY: nothing refers to the bytes; the processor pushes to them while it handles an exception.
unsafe impl Sync for Stack {}

impl Stack {
    fn top(&self) -> VirtAddr {
        VirtAddr::from_ptr(self.0.get()) + EARLY_STACK_BYTES as u64
    }
}

/// The boot processor's exception stacks until there is memory for guarded ones.
#[unsafe(link_section = ".bss.init")]
static EARLY_STACKS: [Stack; EXCEPTION_STACKS] =
    [const { Stack(UnsafeCell::new([0; EARLY_STACK_BYTES])) }; EXCEPTION_STACKS];

unsafe extern "C" {
    // Of linker.ld: bounds of the stack that `kernel_main` begins on.
    static __boot_stack_bottom: u8;
    static __boot_stack_top: u8;
}

/// Called by the boot processor first thing. Does nothing the second time.
pub fn boot_cpu() {
    let this = percpu::boot();
    if percpu::get(0).is_some() || percpu::install(this).is_none() {
        return;
    }
    percpu::publish(this);
    this.set_stack(VirtAddr::from_ptr(&raw const __boot_stack_bottom), VirtAddr::from_ptr(&raw const __boot_stack_top));
    // SAFETY: the check above lets this happen once, on the processor that boots; the stacks are used for nothing else.
    unsafe { this.segments().load(this.number(), EARLY_STACKS.each_ref().map(Stack::top)) };
    trap::load();
    cpu::protect();
    user::init_this_cpu();
    install_rank_hook(percpu::with_held_ranks);
}

/// What is left to do once memory is managed: exception stacks with guard pages, and memory that only starting needed, the
/// loader's included, becomes free.
pub fn finish(info: &BootInfo) {
    machine_check::init_this_cpu(tell_earlier_error);
    if guard_exception_stacks().is_err() {
        log::warn!("no memory for guarded exception stacks");
        return;
    }
    let information = info.memory.regions().iter().filter(|region| region.kind == MemoryKind::BootInformation);
    let information = information.map(|region| region.start..region.end);
    information.for_each(reclaim);
    paging::give_up_start_up_memory().into_iter().for_each(|range| reclaim_image(info, range));
}

/// Goes on with `next(info)` on a stack like any thread's, so that the larger one that only starting needed becomes free. Called by
/// the boot processor once memory is managed. Without memory for a stack, it goes on where it is.
pub fn leave_boot_stack(info: &'static BootInfo, next: extern "C" fn(&'static BootInfo) -> !) -> ! {
    let Ok(stack) = KernelStack::new() else { next(info) };
    let bottom = stack.bottom();
    let top = stack.leak();
    percpu::current().set_stack(bottom, top);
    // SAFETY: the new stack is mapped, this processor's alone and stays; nothing on the old one is used any more, since neither
    // `next` nor this returns. Pushing the return address leaves the stack as functions expect it.
    unsafe {
        asm!("mov rsp, {}", "xor ebp, ebp", "call {}", "ud2", in(reg) top.as_u64(), in(reg) next, in("rdi") info,
            options(noreturn))
    }
}

/// Makes the boot stack free memory if [`leave_boot_stack`] has left it.
pub fn give_up_boot_stack(info: &BootInfo) {
    let bottom = VirtAddr::from_ptr(&raw const __boot_stack_bottom).as_u64();
    if percpu::current().stack().start != bottom {
        reclaim_image(info, paging::give_up_boot_stack());
    }
}

/// Makes a part of the kernel's image free memory, if that is memory: a loader may have put the kernel where the firmware keeps
/// something, and then it is not the kernel's to give.
fn reclaim_image(info: &BootInfo, range: Range<u64>) {
    if info.memory.is_all(&range, MemoryKind::Kernel) {
        reclaim(range);
    }
}

fn reclaim(range: Range<u64>) {
    if let Err(error) = frames::reclaim(range.clone()) {
        log::warn!("memory at {:#x} cannot be reclaimed: {error:?}", range.start);
    }
}

/// Gives the boot processor's exceptions stacks with guard pages in place of the early ones.
///
/// # Errors
/// [`OutOfMemory`]; the early ones stay then.
fn guard_exception_stacks() -> Result<(), OutOfMemory> {
    let stacks = [KernelStack::new()?, KernelStack::new()?, KernelStack::new()?, KernelStack::new()?];
    // SAFETY: this is the boot processor, and the stacks are new.
    unsafe { percpu::boot().segments().set_exception_stacks(stacks.map(KernelStack::leak)) };
    Ok(())
}

/// Called by each further processor first thing, once, with what is its own.
pub(super) fn further_cpu(this: &'static PerCpu, stack: Range<VirtAddr>, exceptions: [VirtAddr; EXCEPTION_STACKS]) {
    if percpu::install(this).is_none() {
        cpu::halt();
    }
    this.set_stack(stack.start, stack.end);
    // SAFETY: the structure and the stacks were made for this processor, which comes here once.
    unsafe { this.segments().load(this.number(), exceptions) };
    trap::load();
    cpu::protect();
    user::init_this_cpu();
    machine_check::init_this_cpu(tell_earlier_error);
}

/// A bank keeps what it reported over a reset.
fn tell_earlier_error(report: Report) {
    log::warn!("machine check before this start: {report}");
}
