//! virtio's queues, which crate `virtio-drivers` keeps: the memory that they take, and one that a device fills.

use super::dma::{self, DmaMemory};
use core::ptr::{self, NonNull};
use core::slice;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;
use virtio_drivers::{BufferDirection, Error, Hal, PAGE_SIZE, PhysAddr as DeviceAddress};
use x86_64::{PhysAddr, VirtAddr};

/// An address where no machine has memory: a device that is sent there fails.
const NOWHERE: DeviceAddress = !0xfff;

/// This machine, as the crate's drivers want to know it. Devices see physical addresses as they are.
#[derive(Debug)]
pub struct Machine;

// SAFETY: memory for devices is zeroed, aligned to pages and of whom it was given to; what is shared is where the page tables show
// it, or a copy that nobody else has.
unsafe impl Hal for Machine {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (DeviceAddress, NonNull<u8>) {
        // 0 says that there is none.
        let Some(memory) = pages.checked_mul(PAGE_SIZE).and_then(|bytes| DmaMemory::new(bytes).ok()) else {
            return (0, NonNull::dangling());
        };
        let start = memory.start();
        (memory.leak().as_u64(), start)
    }

    unsafe fn dma_dealloc(address: DeviceAddress, _: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: the caller vouches that the memory came from `dma_alloc` with as many pages.
        drop(unsafe { DmaMemory::take_back(PhysAddr::new(address), pages * PAGE_SIZE) });
        0
    }

    unsafe fn mmio_phys_to_virt(_: DeviceAddress, _: usize) -> NonNull<u8> {
        panic!("the crate's own ways to registers are not used: see drivers::virtio::transport");
    }

    unsafe fn share(buffer: NonNull<[u8]>, direction: BufferDirection) -> DeviceAddress {
        if let Some(address) = address_of(buffer) {
            return address;
        }
        // In pieces to the device: it is given a copy.
        let Ok(copy) = DmaMemory::new(buffer.len()) else { return NOWHERE };
        if direction != BufferDirection::DeviceToDriver {
            let from = buffer.cast::<u8>().as_ptr();
            // SAFETY: the caller vouches for the buffer; the copy is as large, and fresh.
            unsafe { ptr::copy_nonoverlapping(from, copy.start().as_ptr(), buffer.len()) };
        }
        copy.leak().as_u64()
    }

    unsafe fn unshare(address: DeviceAddress, buffer: NonNull<[u8]>, direction: BufferDirection) {
        if address == NOWHERE || address_of(buffer) == Some(address) {
            return;
        }
        // SAFETY: the caller vouches that `share` answered this for the buffer: with a copy, since it is not the buffer's own.
        let copy = unsafe { DmaMemory::take_back(PhysAddr::new(address), buffer.len()) };
        if direction != BufferDirection::DriverToDevice {
            let to = buffer.cast::<u8>().as_ptr();
            // SAFETY: the caller vouches for the buffer; the copy is as large.
            unsafe { ptr::copy_nonoverlapping(copy.start().as_ptr(), to, buffer.len()) };
        }
    }
}

fn address_of(buffer: NonNull<[u8]>) -> Option<DeviceAddress> {
    dma::address_of(VirtAddr::from_ptr(buffer.cast::<u8>().as_ptr()), buffer.len()).map(PhysAddr::as_u64)
}

/// Lends `buffer` as a queue does to a device, for which `device` stands, and takes it back: what is written to it there is in it then
/// if the `direction` is that.
#[cfg(feature = "selftest")]
pub fn lend(buffer: &mut [u8], direction: BufferDirection, device: impl FnOnce(&mut [u8])) {
    let (length, shared) = (buffer.len(), NonNull::from(buffer));
    // SAFETY: the buffer is the caller's, and nobody looks at it meanwhile.
    let address = unsafe { Machine::share(shared, direction) };
    let start = super::direct(PhysAddr::new(address)).expect("what is shared is memory").as_mut_ptr();
    // SAFETY: the direct map shows what is shared, which is as long, and the device's alone until it is taken back.
    device(unsafe { slice::from_raw_parts_mut(start, length) });
    // SAFETY: it was shared so.
    unsafe { Machine::unshare(address, shared, direction) };
}

/// Places in a queue. Each device has at least as many.
const QUEUE_SIZE: usize = 8;

/// A device that is driven through one queue, which it fills one buffer of, again and again.
///
/// The memory is freed after the transport is dropped, which ends the device's access to it.
pub struct Source<T: Transport> {
    transport: T,
    queue: VirtQueue<Machine, QUEUE_SIZE>,
    index: u16,
    buffer: DmaMemory,
    /// What the device has been asked to fill: the queue's name for it, and bytes.
    asked: Option<(u16, usize)>,
}

impl<T: Transport> Source<T> {
    /// Sets up queue `index` of a device that features have been agreed on with, and starts the device.
    ///
    /// # Errors
    /// The device has no such queue, or memory is short.
    pub fn start(mut transport: T, index: u16) -> Result<Self, Error> {
        let buffer = DmaMemory::new(PAGE_SIZE).map_err(|_| Error::DmaError)?;
        let mut queue = VirtQueue::new(&mut transport, index, false, false)?;
        queue.set_dev_notify(false);
        transport.finish_init();
        Ok(Self { transport, queue, index, buffer, asked: None })
    }

    /// Asks the device for `bytes` bytes, at most 4096, at least one.
    ///
    /// # Errors
    /// It has not answered the last time, or there cannot be as many.
    pub fn ask(&mut self, bytes: usize) -> Result<(), Error> {
        if self.asked.is_some() || !(1..=self.buffer.bytes()).contains(&bytes) {
            return Err(Error::InvalidParam);
        }
        // SAFETY: the buffer is this source's, at least as long, and the device does not have it.
        let buffer = unsafe { slice::from_raw_parts_mut(self.buffer.start().as_ptr(), bytes) };
        // SAFETY: nobody looks at the buffer until the device has answered, and it lives until the device is stopped.
        let name = unsafe { self.queue.add(&[], &mut [buffer]) }?;
        self.asked = Some((name, bytes));
        if self.queue.should_notify() {
            self.transport.notify(self.index);
        }
        Ok(())
    }

    /// What the device has filled in, once it has; as much as it says, at most what it was asked for.
    ///
    /// # Errors
    /// It answers what it was not asked.
    pub fn answer(&mut self) -> Result<Option<&[u8]>, Error> {
        let Some((name, bytes)) = self.asked.filter(|_| self.queue.can_pop()) else { return Ok(None) };
        // SAFETY: the buffer is this source's, at least as long, and the device says that it is done with it; a device that is not
        // is one that lies, and what it does to these bytes is as random as it would have been.
        let buffer = unsafe { slice::from_raw_parts_mut(self.buffer.start().as_ptr(), bytes) };
        // SAFETY: it is the buffer that was added under this name.
        let length = unsafe { self.queue.pop_used(name, &[], &mut [&mut *buffer]) }?;
        self.asked = None;
        Ok(buffer.get(..bytes.min(length as usize)))
    }
}
