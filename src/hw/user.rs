//! Programs run here: [`UserContext::run`] goes to user mode and comes back with the reason why the program cannot go on by
//! itself, be that a system call, a fault or an interrupt. All that follows is done in the thread that called, which may sleep.
//!
//! A program's registers lie in its frame, where the processor and `asm/user.asm` put them. What the frame says is made harmless
//! before each run, whoever wrote it: segments, flags, and an instruction pointer that IRET or SYSRET would refuse.
//!
//! The kernel itself uses neither the floating-point unit nor FS, so these stay the program's until another program runs on the
//! processor, or the thread is left for another: then the unit's state is saved, because the thread may go on elsewhere.

use super::fpu::{self, FpuState};
use super::trap::{self, TrapFrame};
use super::{gdt, irq, percpu};
use alloc::boxed::Box;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
pub use logic::mem::space::layout::END;
pub use logic::signal::frame::Registers;
use logic::sync::interrupts::InterruptsOff;
use x86_64::VirtAddr;
use x86_64::registers::control::{Cr2, Efer, EferFlags};
use x86_64::registers::model_specific::{FsBase, KernelGsBase, LStar, Msr, SFMask};
use x86_64::registers::rflags::RFlags;

/// IA32_STAR (SDM volume 2, SYSCALL).
const STAR: u32 = 0xc000_0081;

/// The vector's number in the frame of a system call (`asm/frame.inc.asm`).
const SYSTEM_CALL: u64 = 256;
const FIRST_INTERRUPT: u64 = 32;
const GENERAL_PROTECTION: u64 = 13;
const PAGE_FAULT: u64 = 14;

/// The flags that a program may set as it likes.
const FREE_FLAGS: RFlags = RFlags::CARRY_FLAG
    .union(RFlags::PARITY_FLAG)
    .union(RFlags::AUXILIARY_CARRY_FLAG)
    .union(RFlags::ZERO_FLAG)
    .union(RFlags::SIGN_FLAG)
    .union(RFlags::TRAP_FLAG)
    .union(RFlags::DIRECTION_FLAG)
    .union(RFlags::OVERFLOW_FLAG)
    .union(RFlags::NESTED_TASK)
    .union(RFlags::RESUME_FLAG)
    .union(RFlags::ALIGNMENT_CHECK)
    .union(RFlags::ID);
const FIXED_FLAGS: u64 = RFlags::INTERRUPT_FLAG.bits() | 1 << 1;

unsafe extern "C" {
    fn enter_user(frame: *mut TrapFrame, by_sysret: u64);
    fn system_call_entry();
}

/// Bytes of the floating-point state.
pub fn fpu_bytes() -> usize {
    fpu::area_bytes()
}

/// Why a program stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It made a system call: the number is in RAX, arguments in RDI, RSI, RDX, R10, R8 and R9.
    SystemCall,
    /// It touched what it may not, or what is not there yet.
    PageFault {
        /// What it touched.
        address: u64,
        /// What it wanted (SDM volume 3, section 5.7).
        error_code: u64,
    },
    /// Another exception.
    Exception {
        /// Its number.
        vector: u64,
        /// The error code that the processor gave, or 0.
        error_code: u64,
    },
    /// An interrupt, which has been seen to.
    Interrupt,
}

/// A thread of a program, as the processor knows it.
pub struct UserContext {
    // Boxed: processors keep its address.
    frame: Box<Frame>,
    fs_base: u64,
    gs_base: u64,
    fpu: Box<FpuState>,
}

/// The frame's end must be a multiple of 16: the processor pushes to such addresses only.
#[repr(C, align(16))]
#[derive(Default)]
struct Frame(TrapFrame);

const _: () = assert!(size_of::<Frame>() == size_of::<TrapFrame>() && size_of::<TrapFrame>() == 22 * 8);

/// What of a program's is in a processor's registers.
pub(super) struct Loaded {
    fs_base: AtomicU64,
    gs_base: AtomicU64,
    /// Whose floating-point state the unit has, if it may be newer than what is saved; null otherwise.
    fpu: AtomicPtr<FpuState>,
}

impl Loaded {
    pub(super) const fn new() -> Self {
        Self { fs_base: AtomicU64::new(0), gs_base: AtomicU64::new(0), fpu: AtomicPtr::new(ptr::null_mut()) }
    }
}

/// Makes this processor take system calls and use its floating-point unit.
pub(super) fn init_this_cpu() {
    fpu::init_this_cpu();
    let star = u64::from(gdt::KERNEL_CODE) << 32 | u64::from(gdt::USER_DATA - 8) << 48;
    // SAFETY: every 64-bit CPU has the register; the selectors are those of the table that `gdt` has loaded.
    unsafe { Msr::new(STAR).write(star) };
    // SAFETY: the entry is code that expects just this.
    LStar::write(VirtAddr::new(system_call_entry as *const () as u64));
    // All flags but those that are always set are cleared: interrupts off, no single steps, no SMAP lifted.
    SFMask::write(RFlags::all());
    // SAFETY: the registers above are what SYSCALL needs.
    unsafe { Efer::update(|flags| flags.insert(EferFlags::SYSTEM_CALL_EXTENSIONS)) };
    FsBase::write(VirtAddr::zero());
    KernelGsBase::write(VirtAddr::zero());
}

/// This processor leaves a thread: what the floating-point unit has of a program's is saved. Interrupts are off.
pub(super) fn leave(cpu: &percpu::PerCpu) {
    let fpu = cpu.loaded.fpu.swap(ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: null, or the state of the thread that is left, which lives: who drops a state makes the pointer null before.
    if let Some(fpu) = unsafe { fpu.as_mut() } {
        fpu.save();
    }
}

impl UserContext {
    /// A context with all registers 0, the floating-point unit as processes on Linux find it.
    pub fn new() -> Self {
        Self { frame: Box::default(), fs_base: 0, gs_base: 0, fpu: Box::new(FpuState::new()) }
    }

    /// The same for a new thread of the same program.
    pub fn duplicate(&mut self) -> Self {
        self.save_fpu();
        let mut copy = Self::new();
        copy.set_registers(&self.registers());
        copy.fs_base = self.fs_base;
        copy.gs_base = self.gs_base;
        copy.fpu.copy_from(&self.fpu);
        copy
    }

    /// Runs the program until it cannot go on by itself. Called with interrupts on, by a thread with the program's address space.
    pub fn run(&mut self) -> Exit {
        self.run_unless(|| false)
    }

    /// The same, unless `has_other_work`, which is asked when no interrupt can come any more: then it stops as if by one.
    pub fn run_unless(&mut self, has_other_work: impl FnOnce() -> bool) -> Exit {
        let frame = &mut self.frame.0;
        if frame.rip >= END {
            // IRET would fault in the kernel.
            return Exit::Exception { vector: GENERAL_PROTECTION, error_code: 0 };
        }
        frame.cs = gdt::USER_CODE.into();
        frame.ss = gdt::USER_DATA.into();
        frame.rflags = frame.rflags & FREE_FLAGS.bits() | FIXED_FLAGS;
        let single_step = (RFlags::TRAP_FLAG | RFlags::RESUME_FLAG).bits();
        let by_sysret = frame.vector == SYSTEM_CALL
            && frame.rcx == frame.rip
            && frame.r11 == frame.rflags
            && frame.rflags & single_step == 0;
        let (vector, error_code, address) = {
            let _here = InterruptsOff::new();
            if has_other_work() {
                return Exit::Interrupt;
            }
            self.load();
            // SAFETY: the frame says what a program may have (above); the kernel's half of the address space is no program's.
            unsafe { enter_user(&raw mut self.frame.0, by_sysret.into()) };
            let frame = &self.frame.0;
            if (FIRST_INTERRUPT..SYSTEM_CALL).contains(&frame.vector) {
                // Vectors have eight bits.
                irq::dispatch(frame.vector as u8);
                // A program that only computes is to leave the processor when its turn is over.
                trap::finish_interrupt();
            }
            (frame.vector, frame.error_code, Cr2::read_raw())
        };
        match vector {
            SYSTEM_CALL => Exit::SystemCall,
            PAGE_FAULT => Exit::PageFault { address, error_code },
            FIRST_INTERRUPT.. => Exit::Interrupt,
            vector => Exit::Exception { vector, error_code },
        }
    }

    /// Puts into this processor's registers what is not in the frame. Interrupts are off.
    fn load(&mut self) {
        let cpu = percpu::current();
        let end = VirtAddr::from_ptr(&raw const *self.frame) + size_of::<Frame>() as u64;
        // SAFETY: this is that processor, and the frame stays where it is until it comes back from the program.
        unsafe { cpu.segments().set_frame_end(end) };
        if cpu.loaded.fs_base.swap(self.fs_base, Ordering::Relaxed) != self.fs_base {
            FsBase::write(VirtAddr::new(self.fs_base));
        }
        if cpu.loaded.gs_base.swap(self.gs_base, Ordering::Relaxed) != self.gs_base {
            // SWAPGS makes it GS's.
            KernelGsBase::write(VirtAddr::new(self.gs_base));
        }
        let fpu = &raw mut *self.fpu;
        if cpu.loaded.fpu.load(Ordering::Relaxed) != fpu {
            leave(cpu);
            self.fpu.restore();
            cpu.loaded.fpu.store(fpu, Ordering::Relaxed);
        }
    }

    /// Has the saved floating-point state be the latest.
    fn save_fpu(&mut self) {
        let _here = InterruptsOff::new();
        let cpu = percpu::current();
        // It can be loaded on this processor only, because a thread that moves has been left.
        if cpu.loaded.fpu.load(Ordering::Relaxed) == &raw mut *self.fpu {
            leave(cpu);
        }
    }

    /// The components of that state that programs have (XCR0); 0 without XSAVE.
    pub fn fpu_components(&self) -> u64 {
        fpu::components_in_use()
    }

    /// The bits of MXCSR that there are.
    pub fn mxcsr_mask(&self) -> u32 {
        fpu::MXCSR_BITS
    }

    /// Has the floating-point unit as programs find it when they begin.
    pub fn reset_fpu(&mut self) {
        self.save_fpu();
        self.fpu.reset();
    }

    /// The floating-point state as XSAVE or FXSAVE lays it out (SDM volume 1, section 13.4).
    pub fn fpu_state(&mut self) -> &[u8] {
        self.save_fpu();
        self.fpu.bytes()
    }

    /// Sets the floating-point state. What the processor would refuse leaves it as at a program's start.
    pub fn set_fpu_state(&mut self, bytes: &[u8]) {
        self.save_fpu();
        self.fpu.set_bytes(bytes);
    }

    /// The registers.
    pub fn registers(&self) -> Registers {
        let TrapFrame {
            r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax, rip, rflags, rsp, ..
        } = self.frame.0;
        let (cs, ss) = (gdt::USER_CODE, gdt::USER_DATA);
        Registers { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, cs, ss }
    }

    /// Sets the registers. Segments, and flags that are not the program's to set, are ignored.
    pub fn set_registers(&mut self, registers: &Registers) {
        let Registers {
            rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, ..
        } = *registers;
        self.frame.0 = TrapFrame {
            r15,
            r14,
            r13,
            r12,
            r11,
            r10,
            r9,
            r8,
            rbp,
            rdi,
            rsi,
            rdx,
            rcx,
            rbx,
            rax,
            rip,
            rflags,
            rsp,
            ..TrapFrame::default()
        };
    }

    /// Number and arguments of the system call that it stopped at.
    pub fn system_call(&self) -> (u64, [u64; 6]) {
        let frame = &self.frame.0;
        (frame.rax, [frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9])
    }

    /// Sets what the system call answers.
    pub fn set_result(&mut self, result: u64) {
        self.frame.0.rax = result;
    }

    /// The base of FS, which programs keep their threads' own data at.
    pub fn fs_base(&self) -> u64 {
        self.fs_base
    }

    /// Sets the base of FS; false, and nothing, if that is no address of a program's.
    pub fn set_fs_base(&mut self, base: u64) -> bool {
        let is_possible = base < END;
        if is_possible {
            self.fs_base = base;
        }
        is_possible
    }

    /// The base of GS.
    pub fn gs_base(&self) -> u64 {
        self.gs_base
    }

    /// Sets the base of GS; false, and nothing, if that is no address of a program's.
    pub fn set_gs_base(&mut self, base: u64) -> bool {
        let is_possible = base < END;
        if is_possible {
            self.gs_base = base;
        }
        is_possible
    }
}

impl Drop for UserContext {
    fn drop(&mut self) {
        self.save_fpu();
    }
}
