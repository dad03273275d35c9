//! Video memory as bounds-checked cells: VGA text memory and linear framebuffers.

use super::paging::Caching;
use super::window;
use core::ptr;
use logic::display::{Framebuffer, TEXT_MEMORY};
use x86_64::PhysAddr;

/// Bytes at [`TEXT_MEMORY`] that belong to the display adapter.
const TEXT_MEMORY_SIZE: usize = 0x8000;

/// Mapped video memory. Writes outside it are ignored.
pub struct VideoMemory {
    start: *mut u8,
    length: usize,
}

// SAFETY: the memory belongs to the device, is mapped for good, and takes writes from any processor.
unsafe impl Send for VideoMemory {}

impl VideoMemory {
    /// VGA text memory, 32 KiB.
    pub fn text() -> Option<Self> {
        let (address, length) = (TEXT_MEMORY, TEXT_MEMORY_SIZE);
        let start = window::map(PhysAddr::try_new(address).ok()?, length as u64, Caching::WriteCombining)?.as_mut_ptr();
        Some(Self { start, length })
    }

    /// A framebuffer that `logic::display` found to be possible; `None` if it cannot be mapped.
    pub fn framebuffer(framebuffer: &Framebuffer) -> Option<Self> {
        let address = PhysAddr::try_new(framebuffer.address).ok()?;
        let start = window::map(address, framebuffer.bytes(), Caching::WriteCombining)?.as_mut_ptr();
        Some(Self { start, length: usize::try_from(framebuffer.bytes()).ok()? })
    }

    /// Zeroes all of it.
    pub fn clear(&mut self) {
        // SAFETY: `start` and `length` describe mapped memory that is the display's: text memory, or a framebuffer of which
        // `logic::boot` made sure that it overlaps neither memory nor the kernel.
        unsafe { ptr::write_bytes(self.start, 0, self.length) };
    }

    /// Writes two bytes at byte `offset`.
    pub fn write_u16(&mut self, offset: usize, value: u16) {
        self.write_bytes(offset, &value.to_le_bytes());
    }

    /// Writes `bytes` from byte `offset` on: all of them or, if they do not fit, none.
    pub fn write_bytes(&mut self, offset: usize, bytes: &[u8]) {
        if offset.checked_add(bytes.len()).is_none_or(|end| end > self.length) {
            return;
        }
        // SAFETY: the offset lies inside.
        let target = unsafe { self.start.add(offset) };
        // SAFETY: all of `bytes` lies inside, by the check above; they are not in video memory, which has no reference to it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
    }
}
