//! What the tests of this room share: a waker that counts, and a program's memory.

use crate::errno::Errno;
use crate::fs::UserBytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

/// Counts how often it was woken.
#[derive(Default)]
pub struct Bell(AtomicUsize);

impl Bell {
    pub fn new() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self::default());
        (bell.clone(), Waker::from(bell))
    }

    pub fn rings(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A program's memory, from address 0 on.
pub struct Memory(pub Vec<u8>);

impl Memory {
    pub fn new(size: usize) -> Self {
        Self(vec![0; size])
    }

    fn range(&mut self, address: u64, length: usize) -> Result<&mut [u8], Errno> {
        let start = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
        let end = start.checked_add(length).ok_or(Errno::EFAULT)?;
        self.0.get_mut(start..end).ok_or(Errno::EFAULT)
    }
}

impl UserBytes for Memory {
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        bytes.copy_from_slice(self.range(address, bytes.len())?);
        Ok(())
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.range(address, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }
}
