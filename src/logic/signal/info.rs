//! What a signal is about: siginfo_t of sigaction(2), field by field.

use super::Signal;
use crate::errno::Errno;
use core::mem::{offset_of, size_of};
use linux_raw_sys::general::{
    self, __sifields__bindgen_ty_2 as Timer, __sifields__bindgen_ty_3 as Queued, __sifields__bindgen_ty_4 as Child,
    __sifields__bindgen_ty_6 as Poll, __sifields__bindgen_ty_7 as SystemCall,
    siginfo__bindgen_ty_1__bindgen_ty_1 as Layout,
};

/// Bytes of siginfo_t.
pub const INFO_BYTES: usize = size_of::<general::siginfo>();

/// Where what differs from kind to kind begins.
const FIELDS: usize = offset_of!(Layout, _sifields);

/// A signal with what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalInfo {
    /// Which signal.
    pub signal: Signal,
    /// `si_code`: who sent it, or why it came.
    pub code: i32,
    /// More about that.
    pub detail: Detail,
}

/// What is told by the kind of signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing more.
    None,
    /// Who sent it: `SI_USER`, `SI_TKILL`.
    Sender {
        /// The process.
        pid: u32,
        /// Its real user.
        uid: u32,
    },
    /// Who sent it, and what with it: `SI_QUEUE`.
    Queued {
        /// The process.
        pid: u32,
        /// Its real user.
        uid: u32,
        /// The value that was sent.
        value: u64,
    },
    /// A timer: `SI_TIMER`.
    Timer {
        /// Its number.
        id: i32,
        /// How often it expired besides.
        overrun: i32,
        /// The value that it was made with.
        value: u64,
    },
    /// A child, for SIGCHLD.
    Child {
        /// The process.
        pid: u32,
        /// Its real user.
        uid: u32,
        /// Its exit code, or the signal.
        status: i32,
        /// Its time in the program, in clock ticks.
        user_ticks: i64,
        /// Its time in the kernel, in clock ticks.
        system_ticks: i64,
    },
    /// The address that could not be used, or of the instruction.
    Fault {
        /// The address.
        address: u64,
    },
    /// A file, for SIGIO.
    Poll {
        /// What it is ready for.
        band: i64,
        /// Its descriptor.
        descriptor: i32,
    },
    /// A system call, for SIGSYS.
    SystemCall {
        /// Where it was called.
        address: u64,
        /// Its number.
        number: i32,
        /// `AUDIT_ARCH_`, whose numbers these are.
        architecture: u32,
    },
}

impl SignalInfo {
    /// What kill(2) sends.
    pub fn user(signal: Signal, pid: u32, uid: u32) -> Self {
        Self { signal, code: general::SI_USER.cast_signed(), detail: Detail::Sender { pid, uid } }
    }

    /// What tgkill(2) sends.
    pub fn thread(signal: Signal, pid: u32, uid: u32) -> Self {
        Self { signal, code: general::SI_TKILL, detail: Detail::Sender { pid, uid } }
    }

    /// What the kernel sends.
    pub fn kernel(signal: Signal) -> Self {
        Self { signal, code: general::SI_KERNEL.cast_signed(), detail: Detail::Sender { pid: 0, uid: 0 } }
    }

    /// What an instruction caused; `code` is one of `SEGV_`, `BUS_`, `FPE_`, `ILL_`, `TRAP_`.
    pub fn fault(signal: Signal, code: u32, address: u64) -> Self {
        Self { signal, code: code.cast_signed(), detail: Detail::Fault { address } }
    }

    /// What rt_sigqueueinfo(2) sends: `bytes` are the program's siginfo_t. Of the fields that its kinds differ in,
    /// those of sigqueue(3) are kept.
    ///
    /// # Errors
    /// [`Errno::EPERM`] if it says that it is from the kernel, from kill(2) or from tgkill(2), and is for another
    /// process.
    pub fn from_user(signal: Signal, bytes: &[u8; INFO_BYTES], to_itself: bool) -> Result<Self, Errno> {
        let code = word(bytes, offset_of!(Layout, si_code)).cast_signed();
        if !to_itself && (code >= 0 || code == general::SI_TKILL) {
            return Err(Errno::EPERM);
        }
        let value = FIELDS + offset_of!(Queued, _sigval);
        let detail = Detail::Queued {
            pid: word(bytes, FIELDS + offset_of!(Queued, _pid)),
            uid: word(bytes, FIELDS + offset_of!(Queued, _uid)),
            value: u64::from(word(bytes, value)) | u64::from(word(bytes, value + 4)) << 32,
        };
        Ok(Self { signal, code, detail })
    }

    /// Whether a program chose the code, rather than the kernel.
    pub fn is_from_user(&self) -> bool {
        self.code <= 0
    }

    /// As programs see it.
    pub fn to_bytes(&self) -> [u8; INFO_BYTES] {
        let mut writer = Writer([0; INFO_BYTES]);
        writer.put(offset_of!(Layout, si_signo), u32::from(self.signal.number()).to_le_bytes());
        writer.put(offset_of!(Layout, si_code), self.code.to_le_bytes());
        match self.detail {
            Detail::None => {}
            Detail::Sender { pid, uid } => {
                writer.field(offset_of!(Queued, _pid), pid.to_le_bytes());
                writer.field(offset_of!(Queued, _uid), uid.to_le_bytes());
            }
            Detail::Queued { pid, uid, value } => {
                writer.field(offset_of!(Queued, _pid), pid.to_le_bytes());
                writer.field(offset_of!(Queued, _uid), uid.to_le_bytes());
                writer.field(offset_of!(Queued, _sigval), value.to_le_bytes());
            }
            Detail::Timer { id, overrun, value } => {
                writer.field(offset_of!(Timer, _tid), id.to_le_bytes());
                writer.field(offset_of!(Timer, _overrun), overrun.to_le_bytes());
                writer.field(offset_of!(Timer, _sigval), value.to_le_bytes());
            }
            Detail::Child { pid, uid, status, user_ticks, system_ticks } => {
                writer.field(offset_of!(Child, _pid), pid.to_le_bytes());
                writer.field(offset_of!(Child, _uid), uid.to_le_bytes());
                writer.field(offset_of!(Child, _status), status.to_le_bytes());
                writer.field(offset_of!(Child, _utime), user_ticks.to_le_bytes());
                writer.field(offset_of!(Child, _stime), system_ticks.to_le_bytes());
            }
            Detail::Fault { address } => writer.field(0, address.to_le_bytes()),
            Detail::Poll { band, descriptor } => {
                writer.field(offset_of!(Poll, _band), band.to_le_bytes());
                writer.field(offset_of!(Poll, _fd), descriptor.to_le_bytes());
            }
            Detail::SystemCall { address, number, architecture } => {
                writer.field(offset_of!(SystemCall, _call_addr), address.to_le_bytes());
                writer.field(offset_of!(SystemCall, _syscall), number.to_le_bytes());
                writer.field(offset_of!(SystemCall, _arch), architecture.to_le_bytes());
            }
        }
        writer.0
    }
}

struct Writer([u8; INFO_BYTES]);

impl Writer {
    /// Offsets are constants within the layout.
    fn put<const N: usize>(&mut self, offset: usize, bytes: [u8; N]) {
        self.0[offset..offset + N].copy_from_slice(&bytes);
    }

    fn field<const N: usize>(&mut self, offset: usize, bytes: [u8; N]) {
        self.put(FIELDS + offset, bytes);
    }
}

/// Offsets are constants within the layout.
fn word(bytes: &[u8; INFO_BYTES], offset: usize) -> u32 {
    u32::from_le_bytes(core::array::from_fn(|index| bytes[offset + index]))
}
