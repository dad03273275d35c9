//! Backtraces of this kernel: `logic::backtrace` over its real stacks, and names from the table that `scripts/link.sh` put in.

use super::lock::Panicking;
use super::percpu;
use super::trap::{self, TrapFrame};
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

/// The frames of a chain of callers, innermost first.
pub type Backtrace = backtrace::Backtrace<Stacks>;

/// What led to the panic: the interrupted code if an exception did, else the code from the caller's caller on. Good for as long as
/// the caller has not returned.
#[inline(never)]
pub fn of_panic(panicking: &Panicking) -> Backtrace {
    let layout = Layout {
        return_address: (&raw const trap_return).addr() as u64,
        rip: offset_of!(TrapFrame, rip) as u64,
        cs: offset_of!(TrapFrame, cs) as u64,
        rbp: offset_of!(TrapFrame, rbp) as u64,
        rsp: offset_of!(TrapFrame, rsp) as u64,
    };
    match trap::fatal_frame(panicking) {
        Some(frame) => Backtrace::of_interrupted(Stacks, layout, core::ptr::from_ref(frame).addr() as u64),
        None => {
            let frame_pointer: u64;
            // SAFETY: reads a register.
            unsafe { asm!("mov {}, rbp", out(reg) frame_pointer, options(nomem, nostack, preserves_flags)) };
            let mut backtrace = Backtrace::new(Stacks, layout, frame_pointer);
            // This function's frame is gone when it returns; the caller's, to which this moves, is not.
            backtrace.next();
            backtrace
        }
    }
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
pub struct Stacks;

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
        addresses(&raw const __text_start, &raw const __text_end).contains(&address)
    }
}
