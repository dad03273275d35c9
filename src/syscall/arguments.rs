//! What registers of a system call mean: each type says how it is made of them, before the handler runs.
//!
//! A pointer is only a number here: whether something is there shows when it is used.

use crate::proc::process::Task;
use alloc::vec::Vec;
use core::marker::PhantomData;
use linux_raw_sys::general::PATH_MAX;
use logic::errno::Errno;

/// The registers with arguments, one after the other.
pub struct Registers<'a>(core::slice::Iter<'a, u64>);

impl<'a> Registers<'a> {
    /// RDI, RSI, RDX, R10, R8, R9.
    pub fn new(registers: &'a [u64; 6]) -> Self {
        Self(registers.iter())
    }

    /// The next. No system call has more than six.
    fn next(&mut self) -> u64 {
        self.0.next().copied().unwrap_or(0)
    }
}

/// What can be made of one register or more.
pub trait Argument: Sized {
    /// Takes as many registers as it needs.
    ///
    /// # Errors
    /// What the system call answers if they make no sense.
    fn take(registers: &mut Registers<'_>) -> Result<Self, Errno>;
}

impl Argument for u64 {
    fn take(registers: &mut Registers<'_>) -> Result<Self, Errno> {
        Ok(registers.next())
    }
}

impl Argument for i64 {
    fn take(registers: &mut Registers<'_>) -> Result<Self, Errno> {
        Ok(registers.next().cast_signed())
    }
}

impl Argument for usize {
    fn take(registers: &mut Registers<'_>) -> Result<Self, Errno> {
        usize::try_from(registers.next()).map_err(|_| Errno::EINVAL)
    }
}

impl Argument for u32 {
    /// The upper half is nobody's (System V ABI, 3.2.3).
    fn take(registers: &mut Registers<'_>) -> Result<Self, Errno> {
        u32::try_from(registers.next() & u64::from(u32::MAX)).map_err(|_| Errno::EINVAL)
    }
}

impl Argument for i32 {
    fn take(registers: &mut Registers<'_>) -> Result<Self, Errno> {
        u32::take(registers).map(u32::cast_signed)
    }
}

/// A descriptor; negative ones stand for none, or for the working directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fd(pub i32);

impl Argument for Fd {
    fn take(registers: &mut Registers<'_>) -> Result<Self, Errno> {
        i32::take(registers).map(Self)
    }
}

/// Bytes of the program's memory: an address and a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserBuffer {
    /// Where.
    pub address: u64,
    /// How many.
    pub length: usize,
}

impl Argument for UserBuffer {
    fn take(registers: &mut Registers<'_>) -> Result<Self, Errno> {
        Ok(Self { address: registers.next(), length: usize::take(registers)? })
    }
}

impl UserBuffer {
    /// A part of it.
    pub fn part(&self, offset: usize, length: usize) -> Self {
        Self { address: self.address.wrapping_add(offset as u64), length }
    }

    /// Copies it, which must not be longer than `most`.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if it is; [`Errno::EFAULT`], [`Errno::ENOMEM`].
    pub fn read(&self, task: &Task, most: usize) -> Result<Vec<u8>, Errno> {
        if self.length > most {
            return Err(Errno::EINVAL);
        }
        let mut bytes = zeroed(self.length)?;
        task.read(self.address, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies to it as many of `bytes` as it has room for; how many that are.
    ///
    /// # Errors
    /// [`Errno::EFAULT`], [`Errno::ENOMEM`].
    pub fn write(&self, task: &Task, bytes: &[u8]) -> Result<usize, Errno> {
        let count = bytes.len().min(self.length);
        task.write(self.address, bytes.get(..count).unwrap_or_default())?;
        Ok(count)
    }
}

/// A buffer of the kernel's own.
///
/// # Errors
/// [`Errno::ENOMEM`].
pub fn zeroed(length: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(length, 0);
    Ok(bytes)
}

/// A pointer to a value in the program's memory; it may be null.
#[derive(Debug, PartialEq, Eq)]
pub struct UserPtr<T> {
    address: u64,
    value: PhantomData<T>,
}

impl<T> Clone for UserPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for UserPtr<T> {}

impl<T> Argument for UserPtr<T> {
    fn take(registers: &mut Registers<'_>) -> Result<Self, Errno> {
        Ok(Self::new(registers.next()))
    }
}

/// What programs pass by pointers: as little-endian bytes without gaps.
pub trait Plain: Sized {
    /// Calls `fill` with room for the bytes, and makes the value of them.
    ///
    /// # Errors
    /// What `fill` answers.
    fn read(fill: impl FnOnce(&mut [u8]) -> Result<(), Errno>) -> Result<Self, Errno>;

    /// Calls `take` with the bytes.
    ///
    /// # Errors
    /// What `take` answers.
    fn write(&self, take: impl FnOnce(&[u8]) -> Result<(), Errno>) -> Result<(), Errno>;
}

impl<const N: usize> Plain for [u8; N] {
    fn read(fill: impl FnOnce(&mut [u8]) -> Result<(), Errno>) -> Result<Self, Errno> {
        let mut bytes = [0; N];
        fill(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, take: impl FnOnce(&[u8]) -> Result<(), Errno>) -> Result<(), Errno> {
        take(self)
    }
}

macro_rules! plain_numbers {
    ($($number:ident),*) => {$(
        impl Plain for $number {
            fn read(fill: impl FnOnce(&mut [u8]) -> Result<(), Errno>) -> Result<Self, Errno> {
                <[u8; size_of::<$number>()]>::read(fill).map($number::from_le_bytes)
            }

            fn write(&self, take: impl FnOnce(&[u8]) -> Result<(), Errno>) -> Result<(), Errno> {
                take(&self.to_le_bytes())
            }
        }
    )*};
}

plain_numbers!(u16, u32, i32, u64, i64);

impl<T> UserPtr<T> {
    /// A pointer to this address.
    pub fn new(address: u64) -> Self {
        Self { address, value: PhantomData }
    }

    /// The address.
    pub fn address(self) -> u64 {
        self.address
    }

    /// Whether it points nowhere.
    pub fn is_null(self) -> bool {
        self.address == 0
    }

    /// The same, unless it is null.
    pub fn non_null(self) -> Option<Self> {
        (!self.is_null()).then_some(self)
    }
}

impl<T: Plain> UserPtr<T> {
    /// Reads the value.
    ///
    /// # Errors
    /// [`Errno::EFAULT`], [`Errno::ENOMEM`].
    pub fn read(self, task: &Task) -> Result<T, Errno> {
        T::read(|bytes| task.read(self.address, bytes))
    }

    /// Writes the value.
    ///
    /// # Errors
    /// [`Errno::EFAULT`], [`Errno::ENOMEM`].
    pub fn write(self, task: &Task, value: &T) -> Result<(), Errno> {
        value.write(|bytes| task.write(self.address, bytes))
    }

    /// Writes the value, unless the pointer is null.
    ///
    /// # Errors
    /// As of [`Self::write`].
    pub fn write_if_any(self, task: &Task, value: &T) -> Result<(), Errno> {
        if self.is_null() { Ok(()) } else { self.write(task, value) }
    }
}

/// A path: a pointer to bytes that end in NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserPath(pub u64);

impl Argument for UserPath {
    fn take(registers: &mut Registers<'_>) -> Result<Self, Errno> {
        Ok(Self(registers.next()))
    }
}

impl UserPath {
    /// Reads it.
    ///
    /// # Errors
    /// [`Errno::ENAMETOOLONG`], [`Errno::EFAULT`], [`Errno::ENOMEM`].
    pub fn read(self, task: &Task) -> Result<Vec<u8>, Errno> {
        string(task, self.0, PATH_MAX as usize)?.ok_or(Errno::ENAMETOOLONG)
    }
}

/// The string at `address`, without its NUL, which must come within `most` bytes.
///
/// # Errors
/// [`Errno::EFAULT`], [`Errno::ENOMEM`].
pub fn string(task: &Task, address: u64, most: usize) -> Result<Option<Vec<u8>>, Errno> {
    const PIECE: usize = 128;
    let mut bytes = Vec::new();
    while bytes.len() < most {
        let place = address.checked_add(bytes.len() as u64).ok_or(Errno::EFAULT)?;
        // Never over the end of a page, behind which there may be nothing.
        let in_page = 4096 - (place % 4096) as usize;
        let mut piece = [0; PIECE];
        let piece = piece.get_mut(..in_page.min(PIECE).min(most - bytes.len())).unwrap_or_default();
        task.read(place, piece)?;
        let end = piece.iter().position(|byte| *byte == 0);
        let text = piece.get(..end.unwrap_or(piece.len())).unwrap_or_default();
        bytes.try_reserve(text.len()).map_err(|_| Errno::ENOMEM)?;
        bytes.extend_from_slice(text);
        if end.is_some() {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}
