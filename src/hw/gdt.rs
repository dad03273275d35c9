//! Segments and task state of a processor: stacks of their own for the exceptions that may come when the current stack is no good.
//!
//! Intel SDM volume 3, section 8.7 (task state segment) and 7.14.5 (interrupt stack table). The segments stand in the order that
//! SYSCALL and SYSRET want (volume 2, SYSRET): code and data of the kernel, data and code of programs.

use core::cell::UnsafeCell;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, DescriptorFlags, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

/// The selectors of programs' code and data (`asm/frame.inc.asm` has them too).
pub const USER_CODE: u16 = 0x20 | 3;
/// See [`USER_CODE`].
pub const USER_DATA: u16 = 0x18 | 3;
/// The selector of the kernel's code; its data's is the next.
pub const KERNEL_CODE: u16 = 0x08;

/// The selector of a segment whose limit is the processor's number, for `LSL` (`asm/vdso.asm` has it too).
const NUMBER: u16 = 0x38 | 3;

/// Which entry of the interrupt stack table double faults, NMIs, machine checks and debug exceptions use, in this order from here.
pub const DOUBLE_FAULT_STACK: u16 = 0;
/// See [`DOUBLE_FAULT_STACK`].
pub const NMI_STACK: u16 = 1;
/// See [`DOUBLE_FAULT_STACK`].
pub const MACHINE_CHECK_STACK: u16 = 2;
/// See [`DOUBLE_FAULT_STACK`]. A program can have one come at the kernel's first instruction, on its own stack.
pub const DEBUG_STACK: u16 = 3;

/// Exceptions with a stack of their own.
pub const EXCEPTION_STACKS: usize = 4;

/// The tables of one processor. `repr(C)` keeps them where they are: the processor holds their addresses.
#[repr(C, align(16))]
pub struct Segments {
    task: UnsafeCell<TaskStateSegment>,
    table: UnsafeCell<GlobalDescriptorTable>,
}

// SAFETY: only the processor that the tables belong to touches them, in `load` and `set_exception_stacks`, whose callers
// promise it.
unsafe impl Sync for Segments {}

impl Segments {
    /// Empty tables.
    pub const fn new() -> Self {
        Self { task: UnsafeCell::new(TaskStateSegment::new()), table: UnsafeCell::new(GlobalDescriptorTable::new()) }
    }

    /// Builds and loads the tables of processor `number`.
    ///
    /// # Safety
    /// Called once for these tables, by the processor that they are for; `tops` are the upper ends of stacks that
    /// nothing else uses.
    pub unsafe fn load(&'static self, number: usize, tops: [VirtAddr; EXCEPTION_STACKS]) {
        // SAFETY: as the caller promises.
        unsafe { self.set_exception_stacks(tops) };
        // SAFETY: nothing else has a reference to the table: this is called once.
        let table = unsafe { &mut *self.table.get() };
        let code = table.append(Descriptor::kernel_code_segment());
        let data = table.append(Descriptor::kernel_data_segment());
        let user_data = table.append(Descriptor::user_data_segment());
        let user_code = table.append(Descriptor::user_code_segment());
        assert!(
            (code.0, user_data.0, user_code.0) == (KERNEL_CODE, USER_DATA, USER_CODE),
            "segments are in their order"
        );
        // SAFETY: the task state lives as long as the table.
        let task = table.append(unsafe { Descriptor::tss_segment_unchecked(self.task.get()) });
        let number = table.append(Descriptor::UserSegment(number_segment(number)));
        assert!(number.0 == NUMBER, "segments are in their order");
        // SAFETY: the table lives for ever, being `'static`, and is not changed any more.
        unsafe { table.load_unsafe() };
        // SAFETY: `code` is a 64-bit code segment of the table just loaded, which lives for ever.
        unsafe { CS::set_reg(code) };
        for set in [SS::set_reg, DS::set_reg, ES::set_reg] {
            // SAFETY: `data` is a writable data segment of that table.
            unsafe { set(data) };
        }
        // SAFETY: `task` is the descriptor of a task state segment that lives for ever.
        unsafe { load_tss(task) };
    }

    /// The upper ends of the stacks that the exceptions use.
    pub fn exception_stacks(&self) -> [u64; EXCEPTION_STACKS] {
        // SAFETY: the structure lives; the field is read through a raw pointer, being unaligned.
        let stacks = unsafe { &raw const (*self.task.get()).interrupt_stack_table };
        // SAFETY: it is written only while its processor starts, and any bits are a value.
        let [first, second, third, fourth, ..] = unsafe { stacks.read_unaligned() };
        [first, second, third, fourth].map(VirtAddr::as_u64)
    }

    /// Has what traps in a program push to below `top`, which is aligned to 16 bytes.
    ///
    /// # Safety
    /// Called by the processor that the tables are for; the memory below `top` is free for a trap's frame for as long as this
    /// processor may run a program.
    pub unsafe fn set_frame_end(&self, top: VirtAddr) {
        // SAFETY: only this processor touches the task state; the field is written through a raw pointer, being unaligned.
        let stacks = unsafe { &raw mut (*self.task.get()).privilege_stack_table };
        // SAFETY: the pointer is to a field of the structure that this processor alone uses.
        unsafe { stacks.write_unaligned([top, VirtAddr::zero(), VirtAddr::zero()]) };
    }

    /// Has the exceptions use other stacks.
    ///
    /// # Safety
    /// Called by the processor that the tables are for; `tops` are the upper ends of stacks that nothing else uses.
    pub unsafe fn set_exception_stacks(&self, tops: [VirtAddr; EXCEPTION_STACKS]) {
        let task = self.task.get();
        // SAFETY: only this processor touches the task state; the field is written through a raw pointer, being unaligned.
        let stacks = unsafe { &raw mut (*task).interrupt_stack_table };
        let mut all = [VirtAddr::zero(); 7];
        all[..EXCEPTION_STACKS].copy_from_slice(&tops);
        // SAFETY: the pointer is to a field of the structure that this processor alone uses.
        unsafe { stacks.write_unaligned(all) };
    }
}

/// Data that programs can read, from 0 to its limit, which is a processor's number (SDM volume 3, section 3.4.5).
fn number_segment(number: usize) -> u64 {
    let flags = DescriptorFlags::USER_SEGMENT | DescriptorFlags::PRESENT | DescriptorFlags::DPL_RING_3;
    // The numbers of processors have fewer bits than the lower part of a limit.
    (flags | DescriptorFlags::ACCESSED).bits() | number as u64 & DescriptorFlags::LIMIT_0_15.bits()
}
