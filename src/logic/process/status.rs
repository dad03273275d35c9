//! How a process ended or changed, and what it used: the words of wait(2) and getrusage(2).

use crate::signal::{Detail, Signal, SignalInfo};
use core::mem::{offset_of, size_of};
use linux_raw_sys::general::{
    __kernel_old_timeval as Time, CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, rusage,
};

/// Bytes of struct rusage.
pub const USAGE_BYTES: usize = size_of::<rusage>();

const TICK_NS: u64 = 10_000_000;

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It ended by itself.
    Exited(u8),
    /// A signal ended it.
    Killed {
        /// Which.
        signal: Signal,
        /// Whether its memory was left to be looked at.
        core: bool,
    },
    /// A signal stopped it.
    Stopped(Signal),
    /// It goes on.
    Continued,
}

impl Status {
    /// As wait4(2) has it.
    pub fn word(self) -> u32 {
        match self {
            Self::Exited(code) => u32::from(code) << 8,
            Self::Killed { signal, core } => u32::from(signal.number()) | u32::from(core) << 7,
            Self::Stopped(signal) => u32::from(signal.number()) << 8 | 0x7f,
            Self::Continued => 0xffff,
        }
    }

    /// `si_code` and `si_status` as waitid(2) and SIGCHLD have it.
    pub fn code(self) -> (i32, i32) {
        let (code, status) = match self {
            Self::Exited(code) => (CLD_EXITED, code),
            Self::Killed { signal, core: false } => (CLD_KILLED, signal.number()),
            Self::Killed { signal, core: true } => (CLD_DUMPED, signal.number()),
            Self::Stopped(signal) => (CLD_STOPPED, signal.number()),
            Self::Continued => (CLD_CONTINUED, Signal::SIGCONT.number()),
        };
        (code.cast_signed(), i32::from(status))
    }

    /// What a parent is told with `signal`, which is SIGCHLD unless clone(2) was told otherwise.
    pub fn info(self, signal: Signal, pid: u32, uid: u32, usage: &Usage) -> SignalInfo {
        let (code, status) = self.code();
        let ticks = |time_ns: u64| i64::try_from(time_ns / TICK_NS).unwrap_or(i64::MAX);
        let (user_ticks, system_ticks) = (ticks(usage.user_ns), ticks(usage.system_ns));
        SignalInfo { signal, code, detail: Detail::Child { pid, uid, status, user_ticks, system_ticks } }
    }
}

/// What a process used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time in the program.
    pub user_ns: u64,
    /// Time in the kernel for it.
    pub system_ns: u64,
    /// Most memory at a time.
    pub most_kib: u64,
    /// Page faults without I/O.
    pub minor_faults: u64,
    /// Page faults with I/O.
    pub major_faults: u64,
    /// Blocks of 512 bytes that were read.
    pub blocks_in: u64,
    /// Blocks of 512 bytes that were written.
    pub blocks_out: u64,
    /// How often it waited.
    pub voluntary_switches: u64,
    /// How often others had their turn.
    pub involuntary_switches: u64,
}

impl Usage {
    /// What both used: everything added but memory, of which the larger counts.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let sum = u64::saturating_add;
        Self {
            user_ns: sum(self.user_ns, other.user_ns),
            system_ns: sum(self.system_ns, other.system_ns),
            most_kib: self.most_kib.max(other.most_kib),
            minor_faults: sum(self.minor_faults, other.minor_faults),
            major_faults: sum(self.major_faults, other.major_faults),
            blocks_in: sum(self.blocks_in, other.blocks_in),
            blocks_out: sum(self.blocks_out, other.blocks_out),
            voluntary_switches: sum(self.voluntary_switches, other.voluntary_switches),
            involuntary_switches: sum(self.involuntary_switches, other.involuntary_switches),
        }
    }

    /// As programs see it.
    pub fn to_bytes(&self) -> [u8; USAGE_BYTES] {
        let mut bytes = [0; USAGE_BYTES];
        // Offsets are constants within the layout.
        let mut put = |offset: usize, word: u64| bytes[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
        for (offset, time_ns) in
            [(offset_of!(rusage, ru_utime), self.user_ns), (offset_of!(rusage, ru_stime), self.system_ns)]
        {
            put(offset + offset_of!(Time, tv_sec), time_ns / 1_000_000_000);
            put(offset + offset_of!(Time, tv_usec), time_ns % 1_000_000_000 / 1000);
        }
        put(offset_of!(rusage, ru_maxrss), self.most_kib);
        put(offset_of!(rusage, ru_minflt), self.minor_faults);
        put(offset_of!(rusage, ru_majflt), self.major_faults);
        put(offset_of!(rusage, ru_inblock), self.blocks_in);
        put(offset_of!(rusage, ru_oublock), self.blocks_out);
        put(offset_of!(rusage, ru_nvcsw), self.voluntary_switches);
        put(offset_of!(rusage, ru_nivcsw), self.involuntary_switches);
        bytes
    }
}
