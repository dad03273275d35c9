//! What a processor can do, by CPUID (SDM volume 2 and APM volume 3, CPUID) and by Linux's names, in the order of Linux's
//! /proc/cpuinfo: for that file and for the monitor.

/// Where CPUID tells a word of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// What EAX asks for.
    pub leaf: u32,
    /// What ECX asks for.
    pub part: u32,
    /// Where the answer is.
    pub register: Register,
}

/// A register of CPUID's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// EAX.
    Eax,
    /// EBX.
    Ebx,
    /// ECX.
    Ecx,
    /// EDX.
    Edx,
}

/// What the kernel must have switched on for programs to have a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// Nothing that it can leave out.
    Nothing,
    /// Bits of CR4.
    Control(u64),
    /// Components of the state that XSAVE saves (XCR0).
    State(u64),
}

const NOTHING: Needs = Needs::Nothing;
const FS_GS_BASE: Needs = Needs::Control(1 << 16);
const UMIP: Needs = Needs::Control(1 << 11);
const FIVE_LEVELS: Needs = Needs::Control(1 << 12);
const KEYS: Needs = Needs::Control(1 << 22);
const AVX: Needs = Needs::State(1 << 2);
const AVX_512: Needs = Needs::State(7 << 5 | 1 << 2);

/// A feature: its bit, its name, what it needs.
type Feature = (u8, &'static str, Needs);

/// Words of features that there are.
pub const WORDS: usize = 11;

const fn source(leaf: u32, part: u32, register: Register) -> Source {
    Source { leaf, part, register }
}

/// Where the words are, in the order of their features.
pub const SOURCES: [Source; WORDS] = [
    source(1, 0, Register::Edx),
    source(0x8000_0001, 0, Register::Edx),
    source(0x8000_0007, 0, Register::Edx),
    source(1, 0, Register::Ecx),
    source(0x8000_0001, 0, Register::Ecx),
    source(7, 0, Register::Ebx),
    source(0xd, 1, Register::Eax),
    source(7, 1, Register::Eax),
    source(0x8000_0008, 0, Register::Ebx),
    source(7, 0, Register::Ecx),
    source(7, 0, Register::Edx),
];

/// The features of each word. What only a kernel with more in it could let programs have (AMX, shadow stacks) is left out.
static FEATURES: [&[Feature]; WORDS] = [
    &[
        (0, "fpu", NOTHING),
        (1, "vme", NOTHING),
        (2, "de", NOTHING),
        (3, "pse", NOTHING),
        (4, "tsc", NOTHING),
        (5, "msr", NOTHING),
        (6, "pae", NOTHING),
        (7, "mce", NOTHING),
        (8, "cx8", NOTHING),
        (9, "apic", NOTHING),
        (11, "sep", NOTHING),
        (12, "mtrr", NOTHING),
        (13, "pge", NOTHING),
        (14, "mca", NOTHING),
        (15, "cmov", NOTHING),
        (16, "pat", NOTHING),
        (17, "pse36", NOTHING),
        (19, "clflush", NOTHING),
        (21, "dts", NOTHING),
        (22, "acpi", NOTHING),
        (23, "mmx", NOTHING),
        (24, "fxsr", NOTHING),
        (25, "sse", NOTHING),
        (26, "sse2", NOTHING),
        (27, "ss", NOTHING),
        (28, "ht", NOTHING),
        (29, "tm", NOTHING),
        (31, "pbe", NOTHING),
    ],
    &[
        (11, "syscall", NOTHING),
        (20, "nx", NOTHING),
        (22, "mmxext", NOTHING),
        (25, "fxsr_opt", NOTHING),
        (26, "pdpe1gb", NOTHING),
        (27, "rdtscp", NOTHING),
        (29, "lm", NOTHING),
        (30, "3dnowext", NOTHING),
        (31, "3dnow", NOTHING),
    ],
    // The counter goes on at the same pace whatever the processor does, and Linux has two names for that.
    &[(8, "constant_tsc", NOTHING), (8, "nonstop_tsc", NOTHING)],
    &[
        (0, "pni", NOTHING),
        (1, "pclmulqdq", NOTHING),
        (2, "dtes64", NOTHING),
        (3, "monitor", NOTHING),
        (4, "ds_cpl", NOTHING),
        (5, "vmx", NOTHING),
        (6, "smx", NOTHING),
        (7, "est", NOTHING),
        (8, "tm2", NOTHING),
        (9, "ssse3", NOTHING),
        (12, "fma", AVX),
        (13, "cx16", NOTHING),
        (14, "xtpr", NOTHING),
        (15, "pdcm", NOTHING),
        (17, "pcid", NOTHING),
        (18, "dca", NOTHING),
        (19, "sse4_1", NOTHING),
        (20, "sse4_2", NOTHING),
        (21, "x2apic", NOTHING),
        (22, "movbe", NOTHING),
        (23, "popcnt", NOTHING),
        (24, "tsc_deadline_timer", NOTHING),
        (25, "aes", NOTHING),
        (26, "xsave", NOTHING),
        (28, "avx", AVX),
        (29, "f16c", AVX),
        (30, "rdrand", NOTHING),
        (31, "hypervisor", NOTHING),
    ],
    &[
        (0, "lahf_lm", NOTHING),
        (1, "cmp_legacy", NOTHING),
        (2, "svm", NOTHING),
        (3, "extapic", NOTHING),
        (4, "cr8_legacy", NOTHING),
        (5, "abm", NOTHING),
        (6, "sse4a", NOTHING),
        (7, "misalignsse", NOTHING),
        (8, "3dnowprefetch", NOTHING),
        (9, "osvw", NOTHING),
        (11, "xop", AVX),
        (16, "fma4", AVX),
        (21, "tbm", NOTHING),
        (22, "topoext", NOTHING),
    ],
    &[
        (0, "fsgsbase", FS_GS_BASE),
        (1, "tsc_adjust", NOTHING),
        (3, "bmi1", NOTHING),
        (4, "hle", NOTHING),
        (5, "avx2", AVX),
        (7, "smep", NOTHING),
        (8, "bmi2", NOTHING),
        (9, "erms", NOTHING),
        (10, "invpcid", NOTHING),
        (11, "rtm", NOTHING),
        (16, "avx512f", AVX_512),
        (17, "avx512dq", AVX_512),
        (18, "rdseed", NOTHING),
        (19, "adx", NOTHING),
        (20, "smap", NOTHING),
        (21, "avx512ifma", AVX_512),
        (23, "clflushopt", NOTHING),
        (24, "clwb", NOTHING),
        (28, "avx512cd", AVX_512),
        (29, "sha_ni", NOTHING),
        (30, "avx512bw", AVX_512),
        (31, "avx512vl", AVX_512),
    ],
    &[(0, "xsaveopt", NOTHING), (1, "xsavec", NOTHING), (2, "xgetbv1", NOTHING), (3, "xsaves", NOTHING)],
    &[(4, "avx_vnni", AVX), (5, "avx512_bf16", AVX_512)],
    &[(0, "clzero", NOTHING), (2, "xsaveerptr", NOTHING), (9, "wbnoinvd", NOTHING)],
    &[
        (1, "avx512vbmi", AVX_512),
        (2, "umip", UMIP),
        (3, "pku", KEYS),
        (6, "avx512_vbmi2", AVX_512),
        (8, "gfni", NOTHING),
        (9, "vaes", AVX),
        (10, "vpclmulqdq", AVX),
        (11, "avx512_vnni", AVX_512),
        (12, "avx512_bitalg", AVX_512),
        (14, "avx512_vpopcntdq", AVX_512),
        (16, "la57", FIVE_LEVELS),
        (22, "rdpid", NOTHING),
        (25, "cldemote", NOTHING),
        (27, "movdiri", NOTHING),
        (28, "movdir64b", NOTHING),
    ],
    &[
        (4, "fsrm", NOTHING),
        (8, "avx512_vp2intersect", AVX_512),
        (10, "md_clear", NOTHING),
        (14, "serialize", NOTHING),
        (23, "avx512_fp16", AVX_512),
        (29, "arch_capabilities", NOTHING),
    ],
];

/// What a processor can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// What CPUID says at each of [`SOURCES`]; 0 where it has nothing to say.
    pub words: [u32; WORDS],
    /// CR4, as the kernel has set it.
    pub control: u64,
    /// XCR0, likewise; 0 where there is none.
    pub state: u64,
}

impl Features {
    /// The names of all that the processor has.
    pub fn all(&self) -> impl Iterator<Item = &'static str> {
        self.features().map(|(_, name, _)| *name)
    }

    /// The names of what programs can use: what the kernel must take part in only if it does.
    pub fn usable(&self) -> impl Iterator<Item = &'static str> {
        let Self { control, state, .. } = *self;
        let is_usable = move |needs: Needs| match needs {
            Needs::Nothing => true,
            Needs::Control(bits) => control & bits == bits,
            Needs::State(bits) => state & bits == bits,
        };
        self.features().filter(move |(_, _, needs)| is_usable(*needs)).map(|(_, name, _)| *name)
    }

    fn features(&self) -> impl Iterator<Item = &'static Feature> {
        let by_word = self.words.into_iter().zip(FEATURES);
        by_word.flat_map(|(word, features)| features.iter().filter(move |(bit, ..)| word >> bit & 1 != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYTHING: Features = Features { words: [u32::MAX; WORDS], control: u64::MAX, state: u64::MAX };

    #[test]
    fn names_are_told_once_each_and_bits_rise() {
        let names: Vec<&str> = EVERYTHING.all().collect();
        let distinct: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(distinct.len(), names.len());
        assert!(names.iter().all(|name| !name.is_empty() && !name.contains(char::is_whitespace)));
        for features in FEATURES {
            assert!(features.is_sorted_by_key(|(bit, ..)| *bit) && features.iter().all(|(bit, ..)| *bit < 32));
        }
        assert_eq!(EVERYTHING.usable().collect::<Vec<_>>(), names);
    }

    #[test]
    fn a_qemu64_is_what_linux_says_of_it() {
        let mut features = Features { control: 1 << 11, ..Features::default() };
        // Of `qemu-system-x86_64 -cpu qemu64`, emulated.
        features.words[0] = 0x078b_fbfd;
        features.words[1] = 0x2010_0800;
        features.words[3] = 0x8000_2001;
        features.words[4] = 0x5;
        let linux = "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 \
            syscall nx lm pni cx16 hypervisor lahf_lm svm";
        let words = linux.split_whitespace();
        assert_eq!(features.usable().collect::<Vec<_>>(), words.collect::<Vec<_>>());
    }

    #[test]
    fn what_the_kernel_has_not_switched_on_is_not_usable() {
        let plain = Features { control: 0, state: 3, ..EVERYTHING };
        for name in ["avx", "avx2", "fma", "avx512f", "fsgsbase", "pku", "umip", "la57", "vaes"] {
            assert!(
                EVERYTHING.all().any(|known| known == name) && !plain.usable().any(|known| known == name),
                "{name}"
            );
        }
        assert!(plain.usable().any(|name| name == "xsave"));
        let avx = Features { state: 7, ..plain };
        assert!(avx.usable().any(|name| name == "avx2") && !avx.usable().any(|name| name == "avx512f"));
        let avx_512 = Features { state: 0xe7, ..plain };
        assert!(avx_512.usable().any(|name| name == "avx512f"));
    }
}
