//! Fuzz target: whatever bytes a loader leaves as boot information, parsing them ends in an answer or an error, and a map
//! that it answers with keeps its promises.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The structure must lie on a multiple of eight. Its total size is made true, so that the fuzzer need not find out.
    let mut buffer = vec![0_u8; data.len() + 8];
    let start = buffer.as_ptr().align_offset(8);
    let bytes = &mut buffer[start..start + data.len()];
    bytes.copy_from_slice(data);
    if let Some(size) = bytes.first_chunk_mut::<4>() {
        *size = (data.len() as u32).to_le_bytes();
    }
    if let Ok(info) = logic::boot::parse(bytes, 0x30_0000, 0x10_0000..0x20_0000, 1000) {
        let regions = info.memory.regions();
        assert!(regions.windows(2).all(|pair| pair[0].end <= pair[1].start), "regions overlap or are out of order");
        assert!(regions.iter().all(|region| region.start < region.end && (region.start | region.end) % 4096 == 0));
        let taken = |range: std::ops::Range<u64>| info.memory.usable().all(|region| range.end <= region.start || region.end <= range.start);
        assert!(taken(0..0x20_0000), "low memory or the kernel is free");
        assert!(taken(0x30_0000..0x30_0000 + data.len() as u64), "the information is free");
        for module in info.modules.iter().filter(|module| module.size() > 0) {
            assert!(taken(module.start..module.end), "a module is free");
        }
    }
});
