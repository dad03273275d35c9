//! Fuzz target: whatever clone3(2) is given, it is refused or makes sense; and whatever a dead thread's list of locks is, looking
//! at it ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::errno::Errno;
use logic::process::clone::{CloneFlags, CloneRequest};
use logic::process::robust::{LockMemory, MOST_LOCKS, release};

/// The input, as memory from address 0 on.
struct Memory<'a> {
    bytes: &'a mut [u8],
    accesses: usize,
}

impl Memory<'_> {
    fn at<const N: usize>(&mut self, address: u64) -> Result<&mut [u8; N], Errno> {
        self.accesses += 1;
        let address = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
        self.bytes.get_mut(address..).and_then(|bytes| bytes.first_chunk_mut()).ok_or(Errno::EFAULT)
    }
}

impl LockMemory for Memory<'_> {
    fn pointer(&mut self, address: u64) -> Result<u64, Errno> {
        self.at(address).map(|bytes| u64::from_le_bytes(*bytes))
    }

    fn load(&mut self, address: u64) -> Result<u32, Errno> {
        self.at(address).map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn compare_exchange(&mut self, address: u64, old: u32, new: u32) -> Result<u32, Errno> {
        let word = self.at(address)?;
        let found = u32::from_le_bytes(*word);
        if found == old {
            *word = new.to_le_bytes();
        }
        Ok(found)
    }

    fn wake_one(&mut self, address: u64) {
        assert!(address.is_multiple_of(4));
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = CloneRequest::clone3(data) {
        let has = |flag| request.flags.contains(flag);
        assert!(!has(CloneFlags::THREAD) || has(CloneFlags::SIGHAND) && has(CloneFlags::VM));
        assert!(!has(CloneFlags::SIGHAND | CloneFlags::CLEAR_SIGHAND));
    }
    let mut bytes = data.to_vec();
    let mut memory = Memory { bytes: &mut bytes, accesses: 0 };
    let _ = release(0, 7, &mut memory);
    assert!(memory.accesses <= 3 + 3 * (MOST_LOCKS + 1), "endless");
});
