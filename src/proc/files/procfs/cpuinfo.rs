//! /proc/cpuinfo: a paragraph for each processor, all of which are taken to be alike.

use crate::hw::{clock, cpu, percpu};
use core::fmt::Write;
use logic::errno::Errno;
use logic::fs::synthetic::Output;

/// Bits of an address that programs and the kernel can have: four levels of page tables.
const VIRTUAL_ADDRESS_BITS: u32 = 48;

/// Writes the text.
pub fn cpuinfo(output: &mut Output) -> Result<(), Errno> {
    let mut flags = Output::new();
    write_flags(&mut flags)?;
    let count = percpu::count();
    for processor in percpu::all() {
        let (number, apic_id) = (processor.number(), processor.apic_id());
        writeln!(output, "processor\t: {number}")?;
        write_model(output)?;
        writeln!(output, "physical id\t: 0\nsiblings\t: {count}\ncore id\t\t: {number}\ncpu cores\t: {count}")?;
        writeln!(output, "apicid\t\t: {apic_id}\ninitial apicid\t: {apic_id}\nfpu\t\t: yes\nfpu_exception\t: yes")?;
        write!(output, "wp\t\t: yes\nflags\t\t:")?;
        output.push(flags.bytes())?;
        write_sizes(output)?;
    }
    Ok(())
}

fn write_model(output: &mut Output) -> Result<(), Errno> {
    let identity = cpu::identity();
    if let Some(vendor) = identity.get_vendor_info() {
        writeln!(output, "vendor_id\t: {}", vendor.as_str())?;
    }
    if let Some(features) = identity.get_feature_info() {
        let (family, model, stepping) = (features.family_id(), features.model_id(), features.stepping_id());
        write!(output, "cpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: ")?;
        match identity.get_processor_brand_string() {
            Some(brand) => writeln!(output, "{}", brand.as_str().trim())?,
            None => writeln!(output, "unknown")?,
        }
        writeln!(output, "stepping\t: {stepping}")?;
    }
    if let Some(frequency) = clock::tsc_frequency() {
        let kilohertz = frequency.hertz() / 1000;
        writeln!(output, "cpu MHz\t\t: {}.{:03}", kilohertz / 1000, kilohertz % 1000)?;
    }
    Ok(())
}

fn write_sizes(output: &mut Output) -> Result<(), Errno> {
    let identity = cpu::identity();
    let line = identity.get_feature_info().map_or(64, |features| u32::from(features.cflush_cache_line_size()) * 8);
    let physical = identity
        .get_processor_capacity_feature_info()
        .map_or(36, |capacity| u32::from(capacity.physical_address_bits()));
    writeln!(output, "\nclflush size\t: {line}\ncache_alignment\t: {line}")?;
    writeln!(output, "address sizes\t: {physical} bits physical, {VIRTUAL_ADDRESS_BITS} bits virtual")?;
    Ok(writeln!(output, "power management:\n")?)
}

/// What the processor can do, by Linux's names, as far as programs look for it.
fn write_flags(output: &mut Output) -> Result<(), Errno> {
    let identity = cpu::identity();
    macro_rules! flags {
        ($of:expr, $($name:literal = $has:ident),* $(,)?) => {
            if let Some(of) = $of {
                $(if of.$has() { write!(output, " {}", $name)?; })*
            }
        };
    }
    flags!(
        identity.get_feature_info(),
        "fpu" = has_fpu,
        "vme" = has_vme,
        "de" = has_de,
        "pse" = has_pse,
        "tsc" = has_tsc,
        "msr" = has_msr,
        "pae" = has_pae,
        "mce" = has_mce,
        "cx8" = has_cmpxchg8b,
        "apic" = has_apic,
        "sep" = has_sysenter_sysexit,
        "mtrr" = has_mtrr,
        "pge" = has_pge,
        "mca" = has_mca,
        "cmov" = has_cmov,
        "pat" = has_pat,
        "clflush" = has_clflush,
        "mmx" = has_mmx,
        "fxsr" = has_fxsave_fxstor,
        "sse" = has_sse,
        "sse2" = has_sse2,
        "ht" = has_htt,
        "pni" = has_sse3,
        "pclmulqdq" = has_pclmulqdq,
        "ssse3" = has_ssse3,
        "fma" = has_fma,
        "cx16" = has_cmpxchg16b,
        "sse4_1" = has_sse41,
        "sse4_2" = has_sse42,
        "movbe" = has_movbe,
        "popcnt" = has_popcnt,
        "aes" = has_aesni,
        "xsave" = has_xsave,
        "avx" = has_avx,
        "f16c" = has_f16c,
        "rdrand" = has_rdrand,
        "hypervisor" = has_hypervisor,
    );
    flags!(
        identity.get_extended_processor_and_feature_identifiers(),
        "syscall" = has_syscall_sysret,
        "nx" = has_execute_disable,
        "pdpe1gb" = has_1gib_pages,
        "rdtscp" = has_rdtscp,
        "lm" = has_64bit_mode,
        "lahf_lm" = has_lahf_sahf,
        "svm" = has_svm,
        "abm" = has_lzcnt,
        "sse4a" = has_sse4a,
    );
    flags!(identity.get_advanced_power_mgmt_info(), "nonstop_tsc" = has_invariant_tsc);
    flags!(
        identity.get_extended_feature_info(),
        "fsgsbase" = has_fsgsbase,
        "bmi1" = has_bmi1,
        "avx2" = has_avx2,
        "smep" = has_smep,
        "bmi2" = has_bmi2,
        "erms" = has_rep_movsb_stosb,
        "avx512f" = has_avx512f,
        "rdseed" = has_rdseed,
        "adx" = has_adx,
        "smap" = has_smap,
        "clflushopt" = has_clflushopt,
        "sha_ni" = has_sha,
        "umip" = has_umip,
    );
    Ok(())
}
