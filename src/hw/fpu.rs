//! The floating-point unit's state, SSE and AVX registers included, saved and restored whole: by XSAVE where the processor has
//! it, else by FXSAVE.

use super::cpu;
use super::fixup::attempt;
use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};
use x86_64::registers::xcontrol::{XCr0, XCr0Flags};

/// Bytes that all components that [`COMPONENTS`] can name take in XSAVE's standard form: x87, SSE, AVX, AVX-512.
const MOST_BYTES: usize = 2688;
/// Bytes of FXSAVE's area, with which XSAVE's begins.
const LEGACY_BYTES: usize = 512;
/// Where XSAVE's header is, and its length.
const HEADER: core::ops::Range<usize> = 512..576;
/// Where MXCSR is, and what it is at first: all exceptions masked (SDM volume 1, section 10.2.3).
const MXCSR_AT: usize = 24;
const MXCSR: u32 = 0x1f80;
/// The x87 control word at first: all exceptions masked, 64 bits of precision.
const CONTROL_WORD: u16 = 0x37f;
/// The bits of MXCSR that every processor with SSE2 has.
pub(super) const MXCSR_BITS: u32 = 0xffff;

/// Components of the state that XSAVE saves (XCR0); 0 where there is only FXSAVE.
static COMPONENTS: AtomicU64 = AtomicU64::new(0);
/// Bytes of an area with those.
static BYTES: AtomicU32 = AtomicU32::new(LEGACY_BYTES as u32);

/// A saved state.
#[repr(C, align(64))]
pub(super) struct FpuState {
    bytes: [u8; MOST_BYTES],
}

/// Switches the unit on, with as much of it as the boot processor has and programs are to have.
pub(super) fn init_this_cpu() {
    let features = cpu::identity().get_feature_info();
    let has_xsave = features.is_some_and(|features| features.has_xsave());
    let mut wanted = Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE;
    wanted.set(Cr4Flags::OSXSAVE, has_xsave);
    // SAFETY: every 64-bit CPU has SSE2; XSAVE is switched on only where it is.
    unsafe { Cr4::update(|flags| flags.insert(wanted)) };
    // SAFETY: the kernel does not use the unit.
    unsafe {
        Cr0::update(|flags| {
            flags.remove(Cr0Flags::EMULATE_COPROCESSOR | Cr0Flags::TASK_SWITCHED);
            flags.insert(Cr0Flags::MONITOR_COPROCESSOR | Cr0Flags::NUMERIC_ERROR);
        })
    };
    if has_xsave {
        let components = components();
        // SAFETY: the processor has them, and they go together as it wants.
        unsafe { XCr0::write(components) };
        COMPONENTS.store(components.bits(), Ordering::Relaxed);
        let bytes = cpu::identity().get_extended_state_info().map_or(0, |info| info.xsave_area_size_enabled_features());
        BYTES.store(bytes.clamp(HEADER.end as u32, MOST_BYTES as u32), Ordering::Relaxed);
    }
}

/// The components that XSAVE saves; 0 where there is only FXSAVE.
pub(super) fn components_in_use() -> u64 {
    COMPONENTS.load(Ordering::Relaxed)
}

/// Bytes of a saved state.
pub(super) fn area_bytes() -> usize {
    BYTES.load(Ordering::Relaxed) as usize
}

/// What of the processor's XSAVE components programs get: all whose place in the standard form [`MOST_BYTES`] has room for.
fn components() -> XCr0Flags {
    let mut components = XCr0Flags::X87 | XCr0Flags::SSE;
    let Some(info) = cpu::identity().get_extended_state_info() else { return components };
    let avx = XCr0Flags::AVX;
    if info.xcr0_supports_avx_256() {
        components |= avx;
        let has_avx_512 = info.xcr0_supports_avx512_opmask()
            && info.xcr0_supports_avx512_zmm_hi256()
            && info.xcr0_supports_avx512_zmm_hi16();
        if has_avx_512 {
            components |= XCr0Flags::OPMASK | XCr0Flags::ZMM_HI256 | XCr0Flags::HI16_ZMM;
        }
    }
    components
}

impl FpuState {
    /// As programs find it when they begin.
    pub(super) fn new() -> Self {
        let mut state = Self { bytes: [0; MOST_BYTES] };
        state.reset();
        state
    }

    pub(super) fn reset(&mut self) {
        self.bytes.fill(0);
        self.bytes[..2].copy_from_slice(&CONTROL_WORD.to_le_bytes());
        self.bytes[MXCSR_AT..MXCSR_AT + 4].copy_from_slice(&MXCSR.to_le_bytes());
    }

    /// Copies another one.
    pub(super) fn copy_from(&mut self, other: &Self) {
        self.bytes.copy_from_slice(&other.bytes);
    }

    /// As the processor lays it out.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..BYTES.load(Ordering::Relaxed) as usize]
    }

    /// Takes a state over that somebody else has laid out; what is missing of it is as at the beginning.
    pub(super) fn set_bytes(&mut self, bytes: &[u8]) {
        self.reset();
        let length = bytes.len().min(self.bytes().len());
        self.bytes[..length].copy_from_slice(&bytes[..length]);
        let mut mxcsr = [0; 4];
        mxcsr.copy_from_slice(&self.bytes[MXCSR_AT..MXCSR_AT + 4]);
        let mxcsr = u32::from_le_bytes(mxcsr) & MXCSR_BITS;
        self.bytes[MXCSR_AT..MXCSR_AT + 4].copy_from_slice(&mxcsr.to_le_bytes());
        // The header says which components are there; all else in it must be 0.
        let mut present = [0; 8];
        present.copy_from_slice(&self.bytes[HEADER][..8]);
        let present = u64::from_le_bytes(present) & COMPONENTS.load(Ordering::Relaxed);
        self.bytes[HEADER].fill(0);
        self.bytes[HEADER][..8].copy_from_slice(&present.to_le_bytes());
    }

    /// Saves what this processor's unit has.
    pub(super) fn save(&mut self) {
        let area = self.bytes.as_mut_ptr();
        if COMPONENTS.load(Ordering::Relaxed) == 0 {
            // SAFETY: the area is aligned and large enough.
            unsafe { asm!("fxsave64 [{}]", in(reg) area, options(nostack, preserves_flags)) };
        } else {
            // SAFETY: the area is aligned and has room for all components that XCR0 has.
            unsafe {
                asm!("xsave64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX, options(nostack, preserves_flags))
            };
        }
    }

    /// Gives this processor's unit what was saved. What it refuses, it is given as at a program's beginning.
    pub(super) fn restore(&mut self) {
        if self.try_restore().is_err() {
            self.reset();
            let _ = self.try_restore();
        }
    }

    fn try_restore(&self) -> Result<(), super::fixup::Fault> {
        let area = self.bytes.as_ptr();
        if COMPONENTS.load(Ordering::Relaxed) == 0 {
            attempt!("fxrstor64 [r9]", inout("r9") area => _)
        } else {
            attempt!("mov eax, -1\nmov edx, -1\n2: xrstor64 [r9]", inout("r9") area => _)
        }
    }
}
