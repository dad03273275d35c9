//! Memory that devices read and write: in one piece to them, and where the kernel's own memory is to them.
//!
//! A device writes to memory until it is reset or kept from it, whoever has that memory by then: its driver drops the handle to the
//! device first, and the memory after.

use super::frames::{self, FRAME_BYTES};
use super::{DIRECT_MAP, HEAP, direct, paging};
use core::ptr::NonNull;
use logic::mem::OutOfFrames;
use logic::mem::frames::{MAX_ORDER, Zone};
use logic::mem::pieces::start_of_piece;
use x86_64::structures::paging::PhysFrame;
use x86_64::{PhysAddr, VirtAddr};

/// Whole frames, one after the other.
#[derive(Debug)]
pub struct DmaMemory {
    first: PhysFrame,
    order: u8,
}

impl DmaMemory {
    /// At least `bytes` bytes, zeroed.
    ///
    /// # Errors
    /// [`OutOfFrames`] if there are not as many in one piece.
    pub fn new(bytes: usize) -> Result<Self, OutOfFrames> {
        let order = order_of(bytes).ok_or(OutOfFrames)?;
        let memory = Self { first: frames::allocate(order, Zone::Normal)?, order };
        // SAFETY: the frames are the caller's from here on, and the direct map shows them.
        unsafe { memory.start().write_bytes(0, memory.bytes()) };
        Ok(memory)
    }

    /// The memory that [`leak`](Self::leak) answered `address` for, of at least `bytes` bytes.
    ///
    /// # Safety
    /// It did, for memory made with the same number of bytes, and the memory has not been taken back since.
    pub(super) unsafe fn take_back(address: PhysAddr, bytes: usize) -> Self {
        let order = order_of(bytes).expect("as much was allocated");
        Self { first: PhysFrame::containing_address(address), order }
    }

    /// Keeps the memory for whoever takes it back.
    pub(super) fn leak(self) -> PhysAddr {
        let address = self.address();
        core::mem::forget(self);
        address
    }

    /// Where it is, to a device.
    pub fn address(&self) -> PhysAddr {
        self.first.start_address()
    }

    /// Where it is, to the kernel.
    pub(super) fn start(&self) -> NonNull<u8> {
        let start = direct(self.address()).map(VirtAddr::as_mut_ptr);
        start.and_then(NonNull::new).expect("free memory is in the direct map")
    }

    /// How much there is of it.
    pub fn bytes(&self) -> usize {
        (FRAME_BYTES as usize) << self.order
    }
}

impl Drop for DmaMemory {
    fn drop(&mut self) {
        frames::free(self.first, self.order);
    }
}

/// The order of the smallest block of frames that has `bytes` bytes.
fn order_of(bytes: usize) -> Option<u8> {
    let frames = (bytes.max(1) as u64).div_ceil(FRAME_BYTES).checked_next_power_of_two()?;
    u8::try_from(frames.trailing_zeros()).ok().filter(|order| *order <= MAX_ORDER)
}

/// Where `bytes` bytes of the kernel's memory at `start` are to a device, if they are in one piece to it, which the kernel's heap and
/// stacks need not be.
pub(super) fn address_of(start: VirtAddr, bytes: usize) -> Option<PhysAddr> {
    let in_direct_map = start.as_u64().checked_sub(DIRECT_MAP).filter(|_| start.as_u64() < HEAP.start);
    if let Some(address) = in_direct_map {
        return PhysAddr::try_new(address).ok();
    }
    start_of_piece(start, bytes as u64, |page| paging::translate(page).map(|found| found.address))
}
