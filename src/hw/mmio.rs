//! Registers in memory, bounds-checked: reads outside or off alignment answer all ones, as a bus does where nobody is; such
//! writes go nowhere.

use super::paging::Caching;
use super::window;
use core::ptr::NonNull;
use x86_64::PhysAddr;

/// A device's registers, mapped for good and never cached.
#[derive(Debug)]
pub struct Registers {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the registers are mapped on every processor for good, and each access is one instruction.
unsafe impl Send for Registers {}
// SAFETY: as above; what must happen in one go is up to the device's driver.
unsafe impl Sync for Registers {}

impl Registers {
    /// Maps `bytes` bytes of device memory at `address`; `None` if they cannot be mapped.
    pub fn map(address: PhysAddr, bytes: u64) -> Option<Self> {
        let start = NonNull::new(window::map(address, bytes, Caching::Uncached)?.as_mut_ptr())?;
        Some(Self { start, length: usize::try_from(bytes).ok()? })
    }

    /// Bytes of registers.
    pub fn bytes(&self) -> usize {
        self.length
    }

    /// Reads the register at byte `offset`, a multiple of 4.
    pub fn read_u32(&self, offset: usize) -> u32 {
        self.read(offset).unwrap_or(u32::MAX)
    }

    /// Writes the register at byte `offset`, a multiple of 4.
    pub fn write_u32(&self, offset: usize, value: u32) {
        self.write(offset, value);
    }

    /// Reads the register at byte `offset`, a multiple of 2.
    pub fn read_u16(&self, offset: usize) -> u16 {
        self.read(offset).unwrap_or(u16::MAX)
    }

    /// Writes the register at byte `offset`, a multiple of 2.
    pub fn write_u16(&self, offset: usize, value: u16) {
        self.write(offset, value);
    }

    /// Reads the register at byte `offset`.
    pub fn read_u8(&self, offset: usize) -> u8 {
        self.read(offset).unwrap_or(u8::MAX)
    }

    /// Writes the register at byte `offset`.
    pub fn write_u8(&self, offset: usize, value: u8) {
        self.write(offset, value);
    }

    fn read<T: Copy>(&self, offset: usize) -> Option<T> {
        let register = self.register(offset)?;
        // SAFETY: `register` is aligned and inside the mapped registers, which hold any bits.
        Some(unsafe { register.read_volatile() })
    }

    fn write<T: Copy>(&self, offset: usize, value: T) {
        let Some(register) = self.register(offset) else { return };
        // SAFETY: `register` is aligned and inside the mapped registers, which are no memory of the kernel's.
        unsafe { register.write_volatile(value) };
    }

    /// Where a register of `T`'s size is; `None` if it is not all inside, or not aligned.
    fn register<T>(&self, offset: usize) -> Option<NonNull<T>> {
        let fits = offset.checked_add(size_of::<T>())? <= self.length;
        // SAFETY: the offset lies inside the mapped registers.
        let register = fits.then(|| unsafe { self.start.add(offset) })?.cast::<T>();
        register.is_aligned().then_some(register)
    }
}
