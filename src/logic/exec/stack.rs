//! The stack with which a program starts, as the System V ABI for x86-64 (3.4.1) and Linux have it:
//!
//! ```text
//!   top    eight zero bytes
//!          the path of the program
//!          environment and arguments, as strings; the first argument is the lowest
//!          "x86_64", random bytes
//!          auxiliary vector (getauxval(3)), ended by AT_NULL
//!          pointers to the environment, ended by 0
//!          pointers to the arguments, ended by 0
//!   RSP →  how many arguments
//! ```

use super::Plan;
use super::header::PROGRAM_HEADER_BYTES;
use crate::errno::Errno;
use crate::mem::page::PAGE_BYTES;
use alloc::vec::Vec;
use core::ops::Range;
use linux_raw_sys::auxvec;

/// Bytes that one string may have, with its NUL: Linux's `MAX_ARG_STRLEN`.
pub const MAX_STRING_BYTES: usize = 32 * PAGE_BYTES;

/// Bytes that all may have however small the stack is: Linux's `ARG_MAX`.
const LEAST_LIMIT: u64 = 32 * PAGE_BYTES as u64;

/// Bytes that all may have however large the stack is: three quarters of the 8 MiB that stacks usually have.
const MOST_LIMIT: u64 = 6 << 20;

/// Ticks in a second that times(2) counts in.
const CLOCK_TICKS: u64 = 100;

const PLATFORM: &[u8] = b"x86_64\0";

/// What the top of the stack ends with.
const END: &[u8] = &[0; 8];

/// What the program is to find. `S` are strings without NUL.
pub struct Contents<'a, S> {
    /// The arguments.
    pub arguments: &'a [S],
    /// The environment.
    pub environment: &'a [S],
    /// The path that was executed.
    pub path: &'a [u8],
    /// Fresh random bytes.
    pub random: [u8; 16],
    /// The program itself.
    pub program: &'a Plan,
    /// Where its interpreter was loaded.
    pub interpreter_bias: Option<u64>,
    /// Real user, effective user, real group, effective group.
    pub identities: [u32; 4],
    /// Whether it has rights that its caller has not, so that the environment is not to be trusted.
    pub secure: bool,
    /// EDX of CPUID leaf 1.
    pub hardware: u64,
    /// What else the machine can do.
    pub hardware_2: u64,
    /// Where the vDSO is, if there is one.
    pub vdso: Option<u64>,
    /// Bytes that a signal's frame can take.
    pub least_signal_stack: u64,
}

/// A stack to start with.
#[derive(Debug, PartialEq, Eq)]
pub struct InitialStack {
    /// The stack pointer, a multiple of 16.
    pub pointer: u64,
    /// What is in memory from there up to the top.
    pub bytes: Vec<u8>,
    /// Where the arguments are as strings.
    pub arguments: Range<u64>,
    /// Where the environment is as strings.
    pub environment: Range<u64>,
    /// The auxiliary vector: also in memory, where the program may change it.
    pub auxiliary: Vec<u8>,
}

/// Bytes that arguments and environment may take, pointers included, on a stack that may grow to `stack_limit` bytes.
pub fn limit(stack_limit: u64) -> u64 {
    (stack_limit / 4).clamp(LEAST_LIMIT, MOST_LIMIT)
}

/// Builds the stack below `top`, which is a multiple of 16.
///
/// # Errors
/// [`Errno::E2BIG`] if a string or all together are too long; [`Errno::ENOMEM`].
pub fn build<S: AsRef<[u8]>>(top: u64, stack_limit: u64, contents: &Contents<'_, S>) -> Result<InitialStack, Errno> {
    // A program that is given no arguments at all gets an empty one, because many take their name for granted.
    let no_arguments = contents.arguments.is_empty();
    let unnamed: &[&[u8]] = if no_arguments { &[b""] } else { &[] };
    let arguments = || unnamed.iter().copied().chain(contents.arguments.iter().map(AsRef::as_ref));
    let environment = || contents.environment.iter().map(AsRef::as_ref);
    let argument_bytes = string_bytes(arguments())?;
    let environment_bytes = string_bytes(environment())?;
    let path_bytes = string_bytes([contents.path].into_iter())?;
    let argument_count = contents.arguments.len() + unnamed.len();
    let pointers = argument_count.checked_add(contents.environment.len()).ok_or(Errno::E2BIG)?;

    let strings = argument_bytes + environment_bytes + path_bytes;
    let total = pointers.checked_mul(8).and_then(|bytes| bytes.checked_add(strings)).ok_or(Errno::E2BIG)?;
    if total as u64 > limit(stack_limit) {
        return Err(Errno::E2BIG);
    }

    // All of the following are far below 2^32: the limit is.
    let below = |address: u64, bytes: usize| address.checked_sub(bytes as u64).ok_or(Errno::ENOMEM);
    let path = below(top, path_bytes + END.len())?;
    let environment_start = below(path, environment_bytes)?;
    let argument_start = below(environment_start, argument_bytes)?;
    let platform = below(argument_start & !15, PLATFORM.len())?;
    let random = below(platform, contents.random.len())?;
    let vector = auxiliary_vector(contents, random, platform, path);
    // The count, two null pointers at the ends.
    let words = 1 + pointers + 2 + 2 * vector.len();
    let pointer = below(random, 8 * words)? & !15;

    let length = usize::try_from(top - pointer).map_err(|_| Errno::ENOMEM)?;
    let mut writer = Writer { bytes: Vec::new(), start: pointer };
    writer.bytes.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
    writer.word(argument_count as u64);
    writer.pointers(arguments(), argument_start);
    writer.pointers(environment(), environment_start);
    let vector_start = writer.bytes.len();
    for (kind, value) in vector {
        writer.word(u64::from(kind));
        writer.word(value);
    }
    let auxiliary = writer.bytes.get(vector_start..).unwrap_or_default().to_vec();
    writer.skip_to(random);
    writer.bytes.extend_from_slice(&contents.random);
    writer.bytes.extend_from_slice(PLATFORM);
    writer.skip_to(argument_start);
    arguments().chain(environment()).chain([contents.path]).for_each(|string| writer.string(string));
    writer.bytes.extend_from_slice(END);
    Ok(InitialStack {
        pointer,
        bytes: writer.bytes,
        arguments: argument_start..environment_start,
        environment: environment_start..path,
        auxiliary,
    })
}

fn auxiliary_vector<S>(contents: &Contents<'_, S>, random: u64, platform: u64, path: u64) -> [(u32, u64); 21] {
    let [user, effective_user, group, effective_group] = contents.identities.map(u64::from);
    let program = contents.program;
    // A vector without a vDSO has an entry that everybody skips.
    let vdso = contents.vdso.map_or((auxvec::AT_IGNORE, 0), |address| (auxvec::AT_SYSINFO_EHDR, address));
    [
        vdso,
        (auxvec::AT_MINSIGSTKSZ, contents.least_signal_stack),
        (auxvec::AT_HWCAP, contents.hardware),
        (auxvec::AT_PAGESZ, PAGE_BYTES as u64),
        (auxvec::AT_CLKTCK, CLOCK_TICKS),
        (auxvec::AT_PHDR, program.program_headers),
        (auxvec::AT_PHENT, PROGRAM_HEADER_BYTES as u64),
        (auxvec::AT_PHNUM, u64::from(program.program_header_count)),
        (auxvec::AT_BASE, contents.interpreter_bias.unwrap_or(0)),
        (auxvec::AT_FLAGS, 0),
        (auxvec::AT_ENTRY, program.entry),
        (auxvec::AT_UID, user),
        (auxvec::AT_EUID, effective_user),
        (auxvec::AT_GID, group),
        (auxvec::AT_EGID, effective_group),
        (auxvec::AT_SECURE, u64::from(contents.secure)),
        (auxvec::AT_RANDOM, random),
        (auxvec::AT_HWCAP2, contents.hardware_2),
        (auxvec::AT_EXECFN, path),
        (auxvec::AT_PLATFORM, platform),
        (auxvec::AT_NULL, 0),
    ]
}

/// Bytes of strings with their NULs, at most [`MOST_LIMIT`].
fn string_bytes<'a>(mut strings: impl Iterator<Item = &'a [u8]>) -> Result<usize, Errno> {
    strings.try_fold(0_usize, |sum, string| {
        let bytes = string.len().checked_add(1).filter(|bytes| *bytes <= MAX_STRING_BYTES).ok_or(Errno::E2BIG)?;
        sum.checked_add(bytes).filter(|sum| *sum as u64 <= MOST_LIMIT).ok_or(Errno::E2BIG)
    })
}

struct Writer {
    bytes: Vec<u8>,
    start: u64,
}

impl Writer {
    fn word(&mut self, word: u64) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    fn string(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.bytes.push(0);
    }

    /// Pointers to strings that lie one after the other from `first` on, and a null pointer.
    fn pointers<'a>(&mut self, strings: impl Iterator<Item = &'a [u8]>, first: u64) {
        let mut address = first;
        for string in strings {
            self.word(address);
            address += string.len() as u64 + 1;
        }
        self.word(0);
    }

    /// Zeros up to an address.
    fn skip_to(&mut self, address: u64) {
        let length = usize::try_from(address - self.start).unwrap_or(0).max(self.bytes.len());
        self.bytes.resize(length, 0);
    }
}
