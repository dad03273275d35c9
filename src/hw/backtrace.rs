//! Backtraces of this kernel: `logic::backtrace` over its real stacks, and names from the table that `scripts/link.sh` put in.

use super::context::Context;
use super::lock::Panicking;
use super::percpu;
use super::trap::{self, TrapFrame};
use arrayvec::ArrayVec;
use core::arch::asm;
use core::mem::offset_of;
use core::ops::Range;
use core::slice;
use logic::backtrace::{self, Frame, Layout};
use logic::symbols::{Name, SymbolTable};

unsafe extern "C" {
    // Of linker.ld: only their addresses mean anything.
    static __text_start: u8;
    static __text_end: u8;
    static __symbols_start: u8;
    static __symbols_end: u8;
    /// Behind the call of Rust in `asm/trap.asm`.
    static trap_return: u8;
}

/// What `asm/switch.asm` pushes above the frame pointer: five registers.
const SAVED_BYTES: u64 = 5 * 8;

/// Frames that are told of a context that does not run.
pub const MOST_FRAMES: usize = 24;

/// The frames of a chain of callers, innermost first.
pub type Backtrace = backtrace::Backtrace<Stacks>;

/// What led to the panic: the interrupted code if an exception did, else the code from the caller's caller on. Good for as long as
/// the caller has not returned.
#[inline(never)]
pub fn of_panic(panicking: &Panicking) -> Backtrace {
    match trap::fatal_frame(panicking) {
        Some(frame) => Backtrace::of_interrupted(Stacks(()), layout(), core::ptr::from_ref(frame).addr() as u64),
        None => {
            let mut backtrace = Backtrace::new(Stacks(()), layout(), frame_pointer());
            // This function's frame is gone when it returns; the caller's, to which this moves, is not.
            backtrace.next();
            backtrace
        }
    }
}

/// Who called the function that calls this, and so on. Good for as long as that one has not returned.
#[inline(never)]
pub fn of_caller() -> Backtrace {
    let mut backtrace = Backtrace::new(Stacks(()), layout(), frame_pointer());
    backtrace.next();
    backtrace
}

/// Where a context that does not run will go on, innermost first; `None` if a processor runs it, or has while this looked. What
/// is read is its own stack, which is there as long as it is, so that looking at the wrong moment does no harm.
pub fn of_context(context: &Context) -> Option<ArrayVec<Frame, MOST_FRAMES>> {
    let left_at = context.left_at()?;
    let frames = match context.is_new() {
        true => ArrayVec::new(),
        false => {
            let chain = backtrace::Backtrace::new(StackOf(context), layout(), left_at.saturating_add(SAVED_BYTES));
            chain.take(MOST_FRAMES).collect()
        }
    };
    (context.left_at() == Some(left_at)).then_some(frames)
}

fn layout() -> Layout {
    Layout {
        return_address: (&raw const trap_return).addr() as u64,
        rip: offset_of!(TrapFrame, rip) as u64,
        cs: offset_of!(TrapFrame, cs) as u64,
        rbp: offset_of!(TrapFrame, rbp) as u64,
        rsp: offset_of!(TrapFrame, rsp) as u64,
    }
}

/// The frame pointer of the function that this stands in.
#[inline(always)]
fn frame_pointer() -> u64 {
    let frame_pointer: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame_pointer, options(nomem, nostack, preserves_flags)) };
    frame_pointer
}

/// The function that `frame` is in, and how far behind its start; `None` if no function is there, or no table.
pub fn symbol(frame: Frame) -> Option<(Name, u64)> {
    match frame {
        Frame::Interrupted(address) => symbols()?.lookup(address),
        // The call may be the caller's last instruction, so that what is behind it is another function.
        Frame::Return(address) => {
            let (name, offset) = symbols()?.lookup(address.checked_sub(1)?)?;
            Some((name, offset + 1))
        }
    }
}

fn symbols() -> Option<SymbolTable<'static>> {
    let range = addresses(&raw const __symbols_start, &raw const __symbols_end);
    let length = usize::try_from(range.end - range.start).ok()?;
    // SAFETY: the linker script places the two around one section of constants, which are mapped and never change.
    SymbolTable::new(unsafe { slice::from_raw_parts(&raw const __symbols_start, length) })
}

/// The one place that knows which memory is a stack: the bounds of the one that `address` lies in. No lock is taken.
fn stack_bounds(address: u64) -> Option<Range<u64>> {
    let current = percpu::current();
    core::iter::once(current.stack()).chain(current.exception_stacks()).find(|stack| stack.contains(&address))
}

fn addresses(start: *const u8, end: *const u8) -> Range<u64> {
    start.addr() as u64..end.addr() as u64
}

/// The kernel's stacks and code as they are.
pub struct Stacks(());

impl backtrace::Stacks for Stacks {
    fn bounds(&self, address: u64) -> Option<Range<u64>> {
        stack_bounds(address)
    }

    fn read(&self, address: u64) -> u64 {
        // SAFETY: the trait promises an aligned word inside `stack_bounds`, which is mapped. Whoever owns it may be writing to it:
        // the read is volatile, and any value will do.
        unsafe { (address as *const u64).read_volatile() }
    }

    fn is_code(&self, address: u64) -> bool {
        is_code(address)
    }
}

/// The stack of one context.
struct StackOf<'a>(&'a Context);

impl backtrace::Stacks for StackOf<'_> {
    fn bounds(&self, address: u64) -> Option<Range<u64>> {
        Some(self.0.bounds()).filter(|bounds| bounds.contains(&address))
    }

    fn read(&self, address: u64) -> u64 {
        // SAFETY: the trait promises an aligned word inside the context's stack, which is mapped while the context is borrowed. A
        // processor may have begun to run it: the read is volatile, and any value will do.
        unsafe { (address as *const u64).read_volatile() }
    }

    fn is_code(&self, address: u64) -> bool {
        is_code(address)
    }
}

/// Whether the kernel's code has that address.
pub fn is_code(address: u64) -> bool {
    addresses(&raw const __text_start, &raw const __text_end).contains(&address)
}
