//! Segments and the task state: a stack of their own for the exceptions that may come when the current stack is no good.
//!
//! Intel SDM volume 3, section 8.7 (task state segment) and 7.14.5 (interrupt stack table).

use core::cell::UnsafeCell;
use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

/// Which entry of the interrupt stack table double faults, NMIs and machine checks use, in this order from here.
pub const DOUBLE_FAULT_STACK: u16 = 0;
/// See [`DOUBLE_FAULT_STACK`].
pub const NMI_STACK: u16 = 1;
/// See [`DOUBLE_FAULT_STACK`].
pub const MACHINE_CHECK_STACK: u16 = 2;

const STACKS: usize = 3;
const STACK_SIZE: usize = 16 * 1024;

/// Memory that only the processor and the code it runs on it use.
#[repr(C, align(16))]
struct Stack(UnsafeCell<[u8; STACK_SIZE]>);

// SAFETY: nothing refers to the bytes; the processor pushes to them while it handles an exception.
unsafe impl Sync for Stack {}

static EXCEPTION_STACKS: [Stack; STACKS] = [const { Stack(UnsafeCell::new([0; STACK_SIZE])) }; STACKS];

/// Builds and loads the tables. Does nothing the second time.
pub fn install() {
    static TASK: Once<TaskStateSegment> = Once::new();
    static TABLE: Once<GlobalDescriptorTable> = Once::new();
    if TABLE.is_completed() {
        return;
    }
    let task = TASK.call_once(|| {
        let mut task = TaskStateSegment::new();
        // The structure is packed: its array can be written as a whole, not lent out.
        let mut stacks = task.interrupt_stack_table;
        for (entry, stack) in stacks.iter_mut().zip(&EXCEPTION_STACKS) {
            *entry = VirtAddr::from_ptr(stack.0.get()) + STACK_SIZE as u64;
        }
        task.interrupt_stack_table = stacks;
        task
    });
    let mut selectors = None;
    let table = TABLE.call_once(|| {
        let mut table = GlobalDescriptorTable::new();
        let code = table.append(Descriptor::kernel_code_segment());
        let data = table.append(Descriptor::kernel_data_segment());
        selectors = Some((code, data, table.append(Descriptor::tss_segment(task))));
        table
    });
    let Some((code, data, task)) = selectors else { return };
    table.load();
    // SAFETY: `code` is a 64-bit code segment of the table just loaded, which lives for ever.
    unsafe { CS::set_reg(code) };
    for set in [SS::set_reg, DS::set_reg, ES::set_reg] {
        // SAFETY: `data` is a writable data segment of that table.
        unsafe { set(data) };
    }
    // SAFETY: `task` is the descriptor of a task state segment that lives for ever.
    unsafe { load_tss(task) };
}
