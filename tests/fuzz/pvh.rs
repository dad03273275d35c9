//! Fuzz target: whatever start information PVH gives, parsing it ends in an answer or an error, and a map that it answers with
//! keeps its promises.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::boot::pvh::{PhysicalMemory, parse};

/// Memory with the fuzzer's bytes from here on.
const START: u64 = 0x400;
const KERNEL: std::ops::Range<u64> = 0x10_0000..0x20_0000;

struct Memory<'a>(&'a [u8]);

impl PhysicalMemory for Memory<'_> {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(START)?).ok()?;
        self.0.get(start..start.checked_add(length)?)
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    // The magic number and a version, so that the fuzzer need not find them out.
    if let Some(head) = bytes.get_mut(0x100..0x108) {
        head[..4].copy_from_slice(&0x336e_c578_u32.to_le_bytes());
        head[5..].fill(0);
    }
    if let Ok(info) = parse(&Memory(&bytes), START + 0x100, KERNEL, 1000) {
        let regions = info.memory.regions();
        assert!(regions.windows(2).all(|pair| pair[0].end <= pair[1].start), "regions overlap or are out of order");
        let taken = |range: std::ops::Range<u64>| info.memory.usable().all(|region| range.end <= region.start || region.end <= range.start);
        assert!(taken(0..KERNEL.end), "low memory or the kernel is free");
        for module in info.modules.iter().filter(|module| module.size() > 0) {
            assert!(taken(module.start..module.end), "a module is free");
        }
    }
});
