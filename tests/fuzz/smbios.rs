//! Fuzz target: whatever firmware leaves where it describes the machine, reading ends, and a name is text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::smbios::{SEARCH_BYTES, SEARCH_START, by_search, by_system_table};

fuzz_target!(|data: &[u8]| {
    let mut area = data.to_vec();
    area.resize(SEARCH_BYTES, 0);
    let mut read = |address: u64, bytes: usize| {
        let offset = usize::try_from(address.checked_sub(SEARCH_START)?).ok()?;
        area.get(offset..)?.get(..bytes)
    };
    let names = [by_search(&mut read), by_system_table(SEARCH_START, &mut read)];
    for name in names.into_iter().flatten() {
        assert!(name.to_string().bytes().all(|byte| matches!(byte, b' '..=b'~')));
    }
});
