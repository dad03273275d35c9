//! How the machine is set up, as it is: for kernels that test themselves, which alone have this.

use super::areas;
use super::percpu::{self, PerCpu};
use super::{AREAS, DIRECT_MAP, HEAP, cpu, pit};
use core::ops::Range;
use logic::mem::areas::Purpose;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};
use x86_64::registers::model_specific::{Efer, EferFlags};

unsafe extern "C" {
    // Of linker.ld: only their addresses mean anything.
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_start: u8;
    static __rodata_end: u8;
    static __data_start: u8;
    static __init_start: u8;
    static __init_end: u8;
    static __bss_end: u8;
    static __boot_stack_top: u8;
}

/// A piece of the kernel's image and what it should be mapped as.
pub struct Section {
    /// As in linker.ld.
    pub name: &'static str,
    /// Its addresses.
    pub range: Range<u64>,
    /// Whether it may be written to.
    pub writable: bool,
    /// Whether it may run, on processors that can tell.
    pub executable: bool,
}

/// The kernel's image, piece by piece. Where memory was only for starting is nothing.
pub fn sections() -> [Section; 4] {
    let range = |start: *const u8, end: *const u8| start.addr() as u64..end.addr() as u64;
    let data = |name, range| Section { name, range, writable: true, executable: false };
    [
        Section {
            name: ".text",
            range: range(&raw const __text_start, &raw const __text_end),
            writable: false,
            executable: true,
        },
        Section {
            name: ".rodata",
            range: range(&raw const __rodata_start, &raw const __rodata_end),
            writable: false,
            executable: false,
        },
        data(".data", range(&raw const __data_start, &raw const __init_start)),
        data(".bss", range(&raw const __init_end, &raw const __bss_end)),
    ]
}

/// What only starting needed: tables and stacks, and the stack that the kernel began on with the page below it.
pub fn start_up_memory() -> [Range<u64>; 2] {
    let range = |start: *const u8, end: *const u8| start.addr() as u64..end.addr() as u64;
    [range(&raw const __init_start, &raw const __init_end), range(&raw const __bss_end, &raw const __boot_stack_top)]
}

/// The direct map's address of a physical address, mapped or not.
pub fn direct(physical: u64) -> u64 {
    DIRECT_MAP + physical
}

/// What the kernel's addresses are for: direct map, heap, areas.
pub const REGIONS: [Range<u64>; 3] = [DIRECT_MAP..HEAP.start, HEAP, AREAS];

/// A stack of a processor.
pub struct CpuStack {
    /// The processor's number.
    pub cpu: usize,
    /// Whose stack it is.
    pub what: &'static str,
    /// Its highest address.
    pub last: u64,
}

/// The stack that each processor runs on, and those of its exceptions.
pub fn cpu_stacks() -> impl Iterator<Item = CpuStack> {
    percpu::all().flat_map(|cpu| {
        let stack = |what, range: Range<u64>| CpuStack { cpu: cpu.number(), what, last: range.end - 1 };
        let exceptions = cpu.exception_stacks().map(move |range| stack("an exception's stack", range));
        core::iter::once(stack("what it runs on", PerCpu::stack(cpu))).chain(exceptions)
    })
}

/// A stretch of the kernel's virtual addresses.
pub struct Area {
    /// The addresses that may be used.
    pub range: Range<u64>,
    /// Bytes below that stay unmapped.
    pub guard: u64,
    /// Whether it is a stack.
    pub is_stack: bool,
}

/// Calls `visit` for each area that is in use. It must not allocate.
pub fn areas(mut visit: impl FnMut(Area)) {
    areas::visit(|area| {
        let start = area.start().as_u64();
        visit(Area {
            range: start..start + area.bytes(),
            guard: area.guard_bytes(),
            is_stack: area.purpose() == Purpose::Stack,
        });
    });
}

/// A protection: its name, whether this processor has it, whether it is on.
pub type Protection = (&'static str, bool, bool);

/// The protections of this processor.
pub fn protections() -> [Protection; 7] {
    let identity = cpu::identity();
    let extended = identity.get_extended_feature_info();
    let has = |bit: fn(&raw_cpuid::ExtendedFeatures) -> bool| extended.as_ref().is_some_and(bit);
    let features = identity.get_feature_info();
    let identifiers = identity.get_extended_processor_and_feature_identifiers();
    let (cr0, cr4, efer) = (Cr0::read(), Cr4::read(), Efer::read());
    [
        ("WP", true, cr0.contains(Cr0Flags::WRITE_PROTECT)),
        (
            "NX",
            identifiers.is_some_and(|identifiers| identifiers.has_execute_disable()),
            efer.contains(EferFlags::NO_EXECUTE_ENABLE),
        ),
        ("PGE", features.is_some_and(|features| features.has_pge()), cr4.contains(Cr4Flags::PAGE_GLOBAL)),
        (
            "SMEP",
            has(raw_cpuid::ExtendedFeatures::has_smep),
            cr4.contains(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION),
        ),
        ("SMAP", has(raw_cpuid::ExtendedFeatures::has_smap), cr4.contains(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION)),
        ("UMIP", has(raw_cpuid::ExtendedFeatures::has_umip), cr4.contains(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION)),
        ("caches", true, !cr0.intersects(Cr0Flags::CACHE_DISABLE | Cr0Flags::NOT_WRITE_THROUGH)),
    ]
}

/// Has the interval timer raise ISA interrupt 0, soon and once. Only where it is not the kernel's timer.
pub fn raise_isa_0() {
    pit::one_shot(1000);
}

/// This processor's page attribute table.
pub fn page_attributes() -> Option<u64> {
    let has = cpu::identity().get_feature_info().is_some_and(|features| features.has_pat());
    // SAFETY: the MSR is there, and reading it changes nothing.
    has.then(|| unsafe { x86_64::registers::model_specific::Msr::new(0x277).read() })
}
