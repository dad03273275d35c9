//! What a handler finds on its stack, and what rt_sigreturn(2) takes from there: Linux's `struct rt_sigframe` for
//! x86-64.
//!
//! ```text
//!   the program's stack pointer
//!          128 bytes that it may use below (System V ABI, 3.2.2)
//!          floating-point registers, on 64 bytes
//!    +312  siginfo_t
//!      +8  ucontext: flags, link, alternate stack, registers (+48), mask (+304)
//!   RSP →  where the handler returns to
//! ```
//!
//! Programs change frames, and make their own: nothing in one is believed that the processor would not accept of any
//! program.

use super::alternate_stack::STACK_BYTES;
use super::info::INFO_BYTES;
use super::{ActionFlags, AlternateStack, Call, SignalSet, fpu};
use crate::errno::Errno;
use crate::mem::space::layout::END;
use alloc::vec::Vec;

/// Bytes of a frame without floating-point registers.
pub const FRAME_BYTES: usize = INFO + INFO_BYTES;

/// Bytes of the handler's return address, which is gone when rt_sigreturn(2) looks.
pub const RETURN_BYTES: u64 = 8;

const RED_ZONE: u64 = 128;

const FLAGS: usize = 8;
const STACK: usize = 24;
const GENERAL: usize = STACK + STACK_BYTES;
/// Segment selectors: CS, GS, FS, SS.
const SELECTORS: usize = GENERAL + 8 * GENERAL_REGISTERS;
const ERROR: usize = SELECTORS + 8;
const OLD_MASK: usize = ERROR + 16;
const FPU: usize = OLD_MASK + 16;
/// Behind eight words that are reserved.
const MASK: usize = FPU + 8 + 64;
const INFO: usize = MASK + 8;

const GENERAL_REGISTERS: usize = 18;

/// The frame has what XSAVE wrote (`UC_FP_XSTATE`).
const EXTENDED: u64 = 1;
/// SS is saved, and restored (`UC_SIGCONTEXT_SS`, `UC_STRICT_RESTORE_SS`).
const STACK_SEGMENT: u64 = 2 | 4;

/// Bits of RFLAGS that handlers start without: RF, DF, TF.
const CLEARED_FLAGS: u64 = 1 << 16 | 1 << 10 | 1 << 8;

/// Bits of RFLAGS that are the program's own: AC, RF, OF, DF, TF, SF, ZF, AF, PF, CF.
const PROGRAM_FLAGS: u64 = 1 << 18 | 1 << 16 | 1 << 11 | 1 << 10 | 1 << 8 | 1 << 7 | 1 << 6 | 1 << 4 | 1 << 2 | 1;

/// A program's registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are the registers of these names")]
pub struct Registers {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
    pub cs: u16,
    pub ss: u16,
}

impl Registers {
    /// In the order of `struct sigcontext`.
    fn to_words(self) -> [u64; GENERAL_REGISTERS] {
        let Self { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, .. } =
            self;
        [r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags]
    }

    fn from_words(words: [u64; GENERAL_REGISTERS], cs: u16, ss: u16) -> Self {
        let [r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags] = words;
        Self { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, cs, ss }
    }
}

/// The exception that the thread had last, as handlers are told of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exception {
    /// Its error code.
    pub error: u64,
    /// Its vector.
    pub vector: u64,
    /// The address that caused a page fault.
    pub address: u64,
}

/// What a thread was doing when the signal arrived.
#[derive(Clone, Copy, Debug)]
pub struct Interrupted<'a> {
    /// Its registers.
    pub registers: &'a Registers,
    /// Its last exception.
    pub exception: Exception,
    /// Its mask, to be put back.
    pub mask: SignalSet,
    /// Its alternate stack.
    pub alternate: AlternateStack,
    /// What FXSAVE or XSAVE wrote, the latter in the standard format.
    pub fpu: &'a [u8],
    /// The state components in it.
    pub fpu_features: u64,
}

/// A frame to be written to the program's stack, and how the handler starts.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where it goes.
    pub address: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The handler's registers.
    pub registers: Registers,
}

/// Bytes of stack that a frame with `fpu_bytes` of floating-point registers takes at most: `AT_MINSIGSTKSZ`.
pub fn most_bytes(fpu_bytes: usize) -> usize {
    FRAME_BYTES + fpu_bytes + fpu::END_BYTES + 64 + 16
}

/// Builds the frame for a handler.
///
/// # Errors
/// [`Errno::EFAULT`] if there is no room for it on the stack or nowhere to return to, [`Errno::ENOMEM`] if there is no
/// memory: the thread gets SIGSEGV.
pub fn build(call: &Call, interrupted: &Interrupted<'_>) -> Result<Frame, Errno> {
    let before = interrupted.registers;
    let alternate = interrupted.alternate;
    if !call.action.flags.contains(ActionFlags::RESTORER) {
        return Err(Errno::EFAULT);
    }
    let wants_alternate = call.action.flags.contains(ActionFlags::ON_STACK) && !alternate.is_in_use(before.rsp);
    let switches_to = alternate.top().filter(|_| wants_alternate);
    let stack = match switches_to {
        Some(top) => top,
        None => before.rsp.checked_sub(RED_ZONE).ok_or(Errno::EFAULT)?,
    };

    let below = |address: u64, bytes: usize| address.checked_sub(bytes as u64).ok_or(Errno::EFAULT);
    let fpu_bytes = fpu::frame_bytes(interrupted.fpu);
    // XSAVE's area lies on 64 bytes.
    let fpu_address = below(stack, fpu_bytes)? & !63;
    // As if a call had pushed the return address on an aligned stack: System V ABI, 3.2.2.
    let address = below(below(fpu_address, FRAME_BYTES)? & !15, 8)?;
    let end = fpu_address.checked_add(fpu_bytes as u64).filter(|end| *end <= END).ok_or(Errno::EFAULT)?;
    // A frame that begins on the alternate stack must not run over its lower end.
    let is_on_alternate = switches_to.is_some() || alternate.is_in_use(before.rsp);
    if is_on_alternate && !alternate.contains(address) {
        return Err(Errno::EFAULT);
    }

    let is_extended = fpu_bytes > interrupted.fpu.len();
    let mut bytes = Vec::new();
    let length = usize::try_from(end - address).map_err(|_| Errno::EFAULT)?;
    bytes.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(usize::try_from(fpu_address - address).map_err(|_| Errno::EFAULT)?, 0);
    let mut put = |offset: usize, field: &[u8]| bytes[offset..offset + field.len()].copy_from_slice(field);
    put(0, &call.action.restorer.to_le_bytes());
    let flags = STACK_SEGMENT | if is_extended { EXTENDED } else { 0 };
    put(FLAGS, &flags.to_le_bytes());
    put(STACK, &alternate.to_bytes(before.rsp));
    for (index, word) in before.to_words().iter().enumerate() {
        put(GENERAL + 8 * index, &word.to_le_bytes());
    }
    put(SELECTORS, &before.cs.to_le_bytes());
    put(SELECTORS + 6, &before.ss.to_le_bytes());
    put(ERROR, &interrupted.exception.error.to_le_bytes());
    put(ERROR + 8, &interrupted.exception.vector.to_le_bytes());
    put(OLD_MASK, &interrupted.mask.bits().to_le_bytes());
    put(OLD_MASK + 8, &interrupted.exception.address.to_le_bytes());
    put(FPU, &fpu_address.to_le_bytes());
    put(MASK, &interrupted.mask.bits().to_le_bytes());
    put(INFO, &call.info.to_bytes());
    fpu::append(interrupted.fpu, interrupted.fpu_features, &mut bytes);

    let registers = Registers {
        rip: call.action.handler,
        rsp: address,
        rdi: u64::from(call.info.signal.number()),
        rsi: address + INFO as u64,
        rdx: address + FLAGS as u64,
        rax: 0,
        rflags: before.rflags & !CLEARED_FLAGS,
        ..*before
    };
    Ok(Frame { address, bytes, registers })
}

/// What a frame says the thread was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Its registers. RIP and RSP may be any number.
    pub registers: Registers,
    /// Its mask.
    pub mask: SignalSet,
    /// Its alternate stack, for [`AlternateStack::replaced`], whose errors do not matter here.
    pub alternate: [u8; STACK_BYTES],
    /// Where its floating-point registers are, for [`fpu::inspect`]; `None` if they get their first values.
    pub fpu_address: Option<u64>,
}

/// Reads a frame, which lies [`RETURN_BYTES`] below the stack pointer of who calls rt_sigreturn(2). Segment selectors
/// and those bits of RFLAGS that are not the program's stay as in `current`.
pub fn restore(frame: &[u8; FRAME_BYTES], current: &Registers) -> Restored {
    // Offsets are constants within the frame.
    let word = |offset: usize| u64::from_le_bytes(core::array::from_fn(|index| frame[offset + index]));
    let words = core::array::from_fn(|index| word(GENERAL + 8 * index));
    let saved = Registers::from_words(words, current.cs, current.ss);
    let rflags = saved.rflags & PROGRAM_FLAGS | current.rflags & !PROGRAM_FLAGS;
    Restored {
        registers: Registers { rflags, ..saved },
        mask: SignalSet::from_bits(word(MASK)).as_mask(),
        alternate: core::array::from_fn(|index| frame[STACK + index]),
        fpu_address: Some(word(FPU)).filter(|address| *address != 0),
    }
}
