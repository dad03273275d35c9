//! The processor itself: halting, counting, and the protections that it is told to keep.

use logic::cpu_features::{Features, Register, SOURCES, Source};
use logic::mem::page_table::PAGE_ATTRIBUTES;
use raw_cpuid::{CpuId, CpuIdReaderNative};
use x86_64::instructions::{hlt, interrupts};
use x86_64::registers::control::{Cr0, Cr0Flags, Cr2, Cr3, Cr4, Cr4Flags};
use x86_64::registers::model_specific::{Efer, EferFlags, Msr};

/// IA32_PAT (SDM volume 3 section 13.12).
const PAT: u32 = 0x277;

/// Stops this processor for good.
pub fn halt() -> ! {
    interrupts::disable();
    // The last words on a write-combined screen may still wait in a buffer, which halting need not empty (SDM volume 3
    // section 13.3.1).
    // SAFETY: every 64-bit CPU has SFENCE, which changes nothing.
    unsafe { core::arch::asm!("sfence", options(nostack, preserves_flags)) };
    loop {
        hlt();
    }
}

/// The time-stamp counter, which counts from the machine's start. Read after all that comes before has been (SDM volume 2, RDTSC):
/// who has seen what another processor wrote reads no earlier time than that had.
pub fn tsc() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: every 64-bit CPU has both, nothing sets CR4.TSD, and only the registers named change.
    unsafe { core::arch::asm!("lfence", "rdtsc", out("eax") low, out("edx") high, options(nostack, preserves_flags)) };
    u64::from(high) << 32 | u64::from(low)
}

/// What the processor says of itself.
pub fn identity() -> CpuId<CpuIdReaderNative> {
    CpuId::new()
}

/// What the processor can do, and what of it the kernel has switched on.
pub fn features() -> Features {
    Features { words: SOURCES.map(feature_word), control: Cr4::read_raw(), state: super::fpu::components_in_use() }
}

/// The highest leaf of CPUID that is not of the extended ones.
pub fn highest_leaf() -> u32 {
    core::arch::x86_64::__cpuid(0).eax
}

/// Processors answer for leaves that they do not have as for others.
fn feature_word(Source { leaf, part, register }: Source) -> u32 {
    use core::arch::x86_64::{__cpuid, __cpuid_count};
    if __cpuid(leaf & 0x8000_0000).eax < leaf {
        return 0;
    }
    let answer = __cpuid_count(leaf, part);
    match register {
        Register::Eax => answer.eax,
        Register::Ebx => answer.ebx,
        Register::Ecx => answer.ecx,
        Register::Edx => answer.edx,
    }
}

/// Whether a hypervisor says that the machine is one that it makes up.
pub(super) fn is_virtual() -> bool {
    identity().get_feature_info().is_some_and(|features| features.has_hypervisor())
}

/// Whether pages of 1 GiB exist.
pub(super) fn has_gibibyte_pages() -> bool {
    identity().get_extended_processor_and_feature_identifiers().is_some_and(|features| features.has_1gib_pages())
}

/// SDM volume 2, CPUID leaf 80000008h: bits of a physical address; 36 where the leaf is not there.
pub(super) fn physical_address_bits() -> u32 {
    let capacity = identity().get_processor_capacity_feature_info();
    capacity.map_or(36, |capacity| u32::from(capacity.physical_address_bits()).clamp(32, 52))
}

/// Whether pages can be made not executable: the entry code has enabled it where the CPU has it.
pub(super) fn has_no_execute() -> bool {
    Efer::read().contains(EferFlags::NO_EXECUTE_ENABLE)
}

/// Whether there is a page attribute table. Without one, its bit in a page-table entry is reserved, or means a large page.
pub(super) fn has_page_attributes() -> bool {
    identity().get_feature_info().is_some_and(|features| features.has_pat())
}

/// Switches on every protection that this processor has: write protection for the kernel, global pages, SMEP, SMAP, UMIP, and
/// the page attribute table with write combining.
pub(super) fn protect() {
    let features = identity().get_feature_info();
    let extended = identity().get_extended_feature_info();
    let mut wanted = Cr4Flags::empty();
    if let Some(features) = features {
        wanted.set(Cr4Flags::PAGE_GLOBAL, features.has_pge());
        if features.has_pat() {
            // SAFETY: the MSR is there, the entries that are in use keep their meaning, and no mapping uses the new one yet.
            unsafe { Msr::new(PAT).write(PAGE_ATTRIBUTES) };
        }
    }
    if let Some(extended) = extended {
        wanted.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, extended.has_smep());
        wanted.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, extended.has_smap());
        wanted.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, extended.has_umip());
    }
    // SAFETY: each bit is set only where the CPU has the feature; the kernel neither runs nor touches user pages.
    unsafe { Cr4::update(|flags| flags.insert(wanted)) };
    if wanted.contains(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION) {
        // The loader may have left the flag set that lifts SMAP.
        // SAFETY: the instruction is there with SMAP, and clears that flag alone.
        unsafe { core::arch::asm!("clac", options(nomem, nostack)) };
    }
    // SAFETY: the kernel's page tables say truly what may be written.
    unsafe { Cr0::update(|flags| flags.insert(Cr0Flags::WRITE_PROTECT)) };
}

/// CR0, CR2, CR3, CR4 and EFER.
pub fn control_registers() -> [u64; 5] {
    let (root, flags) = Cr3::read_raw();
    [
        Cr0::read_raw(),
        Cr2::read_raw(),
        root.start_address().as_u64() | u64::from(flags),
        Cr4::read_raw(),
        Efer::read_raw(),
    ]
}

/// The protections that are on, in words.
pub fn protections() -> impl Iterator<Item = &'static str> {
    let (cr0, cr4, efer) = (Cr0::read(), Cr4::read(), Efer::read());
    [
        (efer.contains(EferFlags::NO_EXECUTE_ENABLE), "NX"),
        (cr0.contains(Cr0Flags::WRITE_PROTECT), "WP"),
        (cr4.contains(Cr4Flags::PAGE_GLOBAL), "PGE"),
        (cr4.contains(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION), "SMEP"),
        (cr4.contains(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION), "SMAP"),
        (cr4.contains(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION), "UMIP"),
    ]
    .into_iter()
    .filter_map(|(on, name)| on.then_some(name))
}

/// What programs find as `AT_HWCAP`: EDX of CPUID leaf 1.
pub fn hardware_capabilities() -> u64 {
    core::arch::x86_64::__cpuid(1).edx.into()
}
