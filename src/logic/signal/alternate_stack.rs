//! The stack that handlers may run on: sigaltstack(2).

use crate::errno::Errno;
use core::mem::{offset_of, size_of};
use linux_raw_sys::general::{MINSIGSTKSZ, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, stack_t};

/// Bytes of stack_t.
pub const STACK_BYTES: usize = size_of::<stack_t>();

/// A thread's alternate stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlternateStack {
    base: u64,
    /// 0 if there is none.
    size: u64,
    disarms: bool,
}

impl AlternateStack {
    /// None.
    pub const NONE: Self = Self { base: 0, size: 0, disarms: false };

    /// Its highest address, where a handler's stack starts, if there is one.
    pub fn top(&self) -> Option<u64> {
        (self.size > 0).then(|| self.base.wrapping_add(self.size))
    }

    /// Whether `stack_pointer` is on it. One that is disarmed when a handler starts is free again at once.
    pub fn is_in_use(&self, stack_pointer: u64) -> bool {
        !self.disarms && self.contains(stack_pointer)
    }

    /// Whether `stack_pointer` lies in it.
    pub fn contains(&self, stack_pointer: u64) -> bool {
        stack_pointer > self.base && stack_pointer - self.base <= self.size
    }

    /// As it is once a handler runs on it.
    #[must_use]
    pub fn after_delivery(self) -> Self {
        if self.disarms { Self::NONE } else { self }
    }

    /// Reads what a program wants in place of this. `least` is the size of the largest frame.
    ///
    /// # Errors
    /// [`Errno::EPERM`] if the program runs on this stack; [`Errno::EINVAL`] for flags that there are not;
    /// [`Errno::ENOMEM`] if no frame fits.
    pub fn replaced(&self, new: &[u8; STACK_BYTES], stack_pointer: u64, least: u64) -> Result<Self, Errno> {
        if self.is_in_use(stack_pointer) {
            return Err(Errno::EPERM);
        }
        let new = Raw::from_bytes(new);
        let disarms = new.flags & SS_AUTODISARM != 0;
        match new.flags & !SS_AUTODISARM {
            SS_DISABLE => Ok(Self { disarms, ..Self::NONE }),
            0 | SS_ONSTACK if new.size < least.max(u64::from(MINSIGSTKSZ)) => Err(Errno::ENOMEM),
            0 | SS_ONSTACK => Ok(Self { base: new.base, size: new.size, disarms }),
            _ => Err(Errno::EINVAL),
        }
    }

    /// What sigaltstack(2) tells a program whose stack pointer this is.
    pub fn to_bytes(&self, stack_pointer: u64) -> [u8; STACK_BYTES] {
        let state = if self.size == 0 {
            SS_DISABLE
        } else if self.is_in_use(stack_pointer) {
            SS_ONSTACK
        } else {
            0
        };
        let flags = state | if self.disarms { SS_AUTODISARM } else { 0 };
        let mut bytes = [0; STACK_BYTES];
        // Offsets are constants within the layout.
        let (base, size) = (offset_of!(stack_t, ss_sp), offset_of!(stack_t, ss_size));
        bytes[base..base + 8].copy_from_slice(&self.base.to_le_bytes());
        bytes[size..size + 8].copy_from_slice(&self.size.to_le_bytes());
        let place = offset_of!(stack_t, ss_flags);
        bytes[place..place + 4].copy_from_slice(&flags.to_le_bytes());
        bytes
    }
}

struct Raw {
    base: u64,
    flags: u32,
    size: u64,
}

impl Raw {
    fn from_bytes(bytes: &[u8; STACK_BYTES]) -> Self {
        // Offsets are constants within the layout.
        let word = |offset: usize| u64::from_le_bytes(core::array::from_fn(|index| bytes[offset + index]));
        let flags = offset_of!(stack_t, ss_flags);
        Self {
            base: word(offset_of!(stack_t, ss_sp)),
            flags: u32::from_le_bytes(core::array::from_fn(|index| bytes[flags + index])),
            size: word(offset_of!(stack_t, ss_size)),
        }
    }
}
