//! Exceptions and interrupts arrive here. An exception in the kernel ends in a panic that says what the processor saw, never
//! in a silent reset, unless `fixup` expected it.

use super::lock::Panicking;
use super::{areas, cpu, fixup, gdt, irq, machine_check, percpu};
use core::fmt;
use core::ptr;
use core::sync::atomic::Ordering;
use logic::machine_check::Report;
use logic::page_fault::PageFault;
use spin::Once;
use x86_64::PrivilegeLevel;
use x86_64::VirtAddr;
use x86_64::registers::control::Cr2;
use x86_64::structures::idt::InterruptDescriptorTable;

/// What `asm/trap.asm` saved on the stack, lowest address first.
#[derive(Default)]
#[repr(C)]
pub struct TrapFrame {
    pub(super) r15: u64,
    pub(super) r14: u64,
    pub(super) r13: u64,
    pub(super) r12: u64,
    pub(super) r11: u64,
    pub(super) r10: u64,
    pub(super) r9: u64,
    pub(super) r8: u64,
    pub(super) rbp: u64,
    pub(super) rdi: u64,
    pub(super) rsi: u64,
    pub(super) rdx: u64,
    pub(super) rcx: u64,
    pub(super) rbx: u64,
    pub(super) rax: u64,
    pub(super) vector: u64,
    pub(super) error_code: u64,
    pub(super) rip: u64,
    pub(super) cs: u64,
    pub(super) rflags: u64,
    pub(super) rsp: u64,
    pub(super) ss: u64,
}

unsafe extern "C" {
    /// The first stub in `asm/trap.asm`; the others follow, [`STUB_BYTES`] apart.
    static trap_stubs: u8;
}

const STUB_BYTES: u64 = 16;
const PROGRAMS: PrivilegeLevel = PrivilegeLevel::Ring3;
/// Bytes below a kernel stack that are never mapped.
pub(super) const GUARD_BYTES: u64 = 4096;
const NMI: u64 = 2;
const DOUBLE_FAULT: u64 = 8;
const PAGE_FAULT: u64 = 14;
const MACHINE_CHECK: u64 = 18;
const FIRST_INTERRUPT: u64 = 32;

/// Cycles of the time-stamp counter that the others have for reports of a machine check: about a second at most.
const MACHINE_CHECK_CYCLES: u64 = 1 << 31;

/// What an NMI is for, if another processor sent it.
static NMI_HOOK: Once<fn() -> bool> = Once::new();
/// What follows an interrupt, before the interrupted code goes on.
static AFTER_INTERRUPT: Once<fn()> = Once::new();

/// Has `hook` called after each interrupt, with interrupts off, on the stack of what was interrupted. Only the first counts.
pub fn after_interrupts(hook: fn()) {
    AFTER_INTERRUPT.call_once(|| hook);
}

/// Does what is due after an interrupt, which may be a switch to another thread. Interrupts are off.
pub(super) fn finish_interrupt() {
    if let Some(hook) = AFTER_INTERRUPT.get() {
        hook();
    }
}

/// Has `hook` asked about each NMI whether it was meant for it; if not, the hardware reports a fault. Only the first counts.
pub(super) fn on_nmi(hook: fn() -> bool) {
    NMI_HOOK.call_once(|| hook);
}

/// Loads the table on this processor.
pub(super) fn load() {
    static TABLE: Once<InterruptDescriptorTable> = Once::new();
    TABLE.call_once(table).load();
}

fn table() -> InterruptDescriptorTable {
    let mut table = InterruptDescriptorTable::new();
    macro_rules! gates {
        ($($field:ident = $vector:literal $(for $whom:ident)? $(on $stack:expr)?),* $(,)?) => {$(
            // SAFETY: the stub is code that handles this vector, with or without error code as the CPU pushes it.
            let _options = unsafe { table.$field.set_handler_addr(stub($vector)) };
            // SAFETY: `gdt` gives that entry of the interrupt stack table a stack, and no other vector uses it.
            $(unsafe { _options.set_stack_index($stack) };)?
            // These have instructions of their own, which programs may use.
            $(_options.set_privilege_level($whom);)?
        )*};
    }
    gates! {
        divide_error = 0, debug = 1 on gdt::DEBUG_STACK, non_maskable_interrupt = 2 on gdt::NMI_STACK, breakpoint = 3 for PROGRAMS, overflow = 4 for PROGRAMS,
        bound_range_exceeded = 5, invalid_opcode = 6, device_not_available = 7,
        double_fault = 8 on gdt::DOUBLE_FAULT_STACK, invalid_tss = 10, segment_not_present = 11,
        stack_segment_fault = 12, general_protection_fault = 13, page_fault = 14, x87_floating_point = 16,
        alignment_check = 17, machine_check = 18 on gdt::MACHINE_CHECK_STACK, simd_floating_point = 19,
        virtualization = 20, cp_protection_exception = 21, hv_injection_exception = 28,
        vmm_communication_exception = 29, security_exception = 30,
    }
    for vector in 32..=u8::MAX {
        // SAFETY: the stub handles this vector; the processor pushes no error code for it.
        unsafe { table[vector].set_handler_addr(stub(vector)) };
    }
    table
}

fn stub(vector: u8) -> VirtAddr {
    VirtAddr::from_ptr(&raw const trap_stubs) + u64::from(vector) * STUB_BYTES
}

/// Called by `asm/trap.asm` with the frame it has built, interrupts off; the interrupted code goes on as the frame then says.
#[unsafe(no_mangle)]
extern "C" fn trap(frame: &mut TrapFrame) {
    match frame.vector {
        vector @ FIRST_INTERRUPT.. => {
            // Vectors have eight bits.
            irq::dispatch(vector as u8);
            finish_interrupt();
        }
        NMI if NMI_HOOK.get().is_some_and(|hook| hook()) => {}
        vector => match fixup::landing(frame.rip).filter(|_| is_of_the_instruction(vector)) {
            Some(landing) => {
                frame.rip = landing;
                frame.rax = frame.vector;
                frame.rdx = frame.error_code;
                frame.rcx = Cr2::read_raw();
            }
            None => fatal(frame),
        },
    }
}

/// Whether the instruction at which an exception came is what it is about. Non-maskable interrupts and machine checks come
/// anywhere, and after a double fault nothing goes on.
fn is_of_the_instruction(vector: u64) -> bool {
    !matches!(vector, NMI | DOUBLE_FAULT | MACHINE_CHECK)
}

/// The registers at the exception that made this processor panic, if one did.
pub fn fatal_frame(_: &Panicking) -> Option<&'static TrapFrame> {
    let frame = percpu::current().fatal.load(Ordering::Relaxed);
    // SAFETY: null, or a frame on a stack that is never unwound: `fatal` panics with it, and a panic does not return.
    unsafe { frame.as_ref() }
}

/// Ends in the panic that tells what the processor saw.
fn fatal(frame: &TrapFrame) -> ! {
    let this = percpu::current();
    let vector = frame.vector;
    // Many processors may come here at once, of which one will speak for all: each leaves first what its own banks say.
    if vector == MACHINE_CHECK
        && let Some(report) = machine_check::worst()
    {
        this.machine_check.call_once(|| report);
        wait_for_machine_checks();
    }
    // The first counts: others may come while it is reported.
    let first = ptr::from_ref(frame).cast_mut();
    let _ = this.fatal.compare_exchange(ptr::null_mut(), first, Ordering::Relaxed, Ordering::Relaxed);
    panic!(
        "exception {vector}, {}{}",
        name(vector),
        Why { vector, error_code: frame.error_code, address: Cr2::read_raw() }
    )
}

/// Lets the processors that a machine check was told to as well leave their reports, unless the one that says where is there
/// already. Some hardware tells one processor alone, so that this must end.
fn wait_for_machine_checks() {
    let start = cpu::tsc();
    let is_whole = || {
        percpu::all().all(|cpu| cpu.machine_check.get().is_some())
            || worst_machine_check().is_some_and(|(_, report)| report.is_uncorrected() && report.has_address())
    };
    while !is_whole() && cpu::tsc().wrapping_sub(start) < MACHINE_CHECK_CYCLES {
        core::hint::spin_loop();
    }
}

/// The worst that any processor's hardware has reported, and whose it is.
fn worst_machine_check() -> Option<(usize, Report)> {
    let reports = percpu::all().filter_map(|cpu| Some((cpu.number(), *cpu.machine_check.get()?)));
    reports.min_by_key(|(_, report)| (!report.is_uncorrected(), !report.has_address()))
}

/// What is known of an exception beside its name, with a colon before it.
struct Why {
    vector: u64,
    error_code: u64,
    /// CR2.
    address: u64,
}

impl fmt::Display for Why {
    fn fmt(&self, output: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vector, error_code, address } = *self;
        match vector {
            DOUBLE_FAULT | PAGE_FAULT if in_guard_page(address) => output.write_str(": the stack is full"),
            PAGE_FAULT => {
                write!(output, ": {}", PageFault { address, error_code })?;
                // Whoever has the list of areas may be what was interrupted.
                match areas::try_describe(VirtAddr::new_truncate(address)) {
                    Some(place) => write!(output, ", {place}"),
                    None => Ok(()),
                }
            }
            MACHINE_CHECK => match worst_machine_check() {
                Some((cpu, report)) => write!(output, ": {report} of CPU {cpu}"),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl fmt::Display for TrapFrame {
    /// Seven lines of at most 79 columns, each with its end.
    fn fmt(&self, output: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = [
            ("rax", self.rax),
            ("rbx", self.rbx),
            ("rcx", self.rcx),
            ("rdx", self.rdx),
            ("rsi", self.rsi),
            ("rdi", self.rdi),
            ("r8 ", self.r8),
            ("r9 ", self.r9),
            ("r10", self.r10),
            ("r11", self.r11),
            ("r12", self.r12),
            ("r13", self.r13),
            ("r14", self.r14),
            ("r15", self.r15),
            ("cr2", Cr2::read_raw()),
            ("rbp", self.rbp),
            ("rsp", self.rsp),
            ("rip", self.rip),
        ];
        for [left, middle, right] in wide.as_chunks().0 {
            for (name, value) in [left, middle, right] {
                write!(output, "  {name} {value:016x}")?;
            }
            writeln!(output)?;
        }
        let Self { cs, ss, rflags, error_code, .. } = self;
        writeln!(output, "  rflags {rflags:08x}  cs {cs:04x}  ss {ss:04x}  error code {error_code:x}")
    }
}

/// Whether the page under this processor's stack was touched, which happens when the stack grows out of its memory.
fn in_guard_page(address: u64) -> bool {
    let bottom = percpu::current().stack().start;
    (bottom.saturating_sub(GUARD_BYTES)..bottom).contains(&address)
}

/// SDM volume 3 table 7-1 and AMD APM volume 2 table 8-1.
fn name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack-segment fault",
        13 => "general protection fault",
        14 => "page fault",
        16 => "x87 floating-point error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD floating-point exception",
        20 => "virtualization exception",
        21 => "control protection exception",
        28 => "hypervisor injection exception",
        29 => "VMM communication exception",
        30 => "security exception",
        _ => "reserved",
    }
}
