//! Fuzz target: whatever is loaded as initramfs, looking for its seal ends; and what can be sealed is whole then.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::seal::{InitramfsError, check_archive, seal_archive};

fuzz_target!(|data: &[u8]| {
    let found = check_archive(data);
    let mut sealed = data.to_vec();
    if seal_archive(&mut sealed).is_some() && found != Err(InitramfsError::NoArchive) {
        assert_eq!(check_archive(&sealed), Ok(()));
    }
});
