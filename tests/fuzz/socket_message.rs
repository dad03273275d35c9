//! Fuzz target: whatever programs pass as a socket's name, as control messages or as a timer's setting is read or refused,
//! and what was read is written as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::ipc::control_message::{ControlMessages, ControlWriter};
use logic::ipc::timer::Setting;
use logic::ipc::unix::Address;

fuzz_target!(|data: &[u8]| {
    if let Ok(address) = Address::from_bytes(data) {
        let bytes = address.to_bytes();
        assert!(Address::from_bytes(&bytes[..bytes.len().min(110)]) == Ok(address));
    }
    if let Ok(found) = ControlMessages::from_bytes(data) {
        let mut bytes = vec![0; 2048];
        let mut writer = ControlWriter::new(&mut bytes);
        writer.descriptors(&found.descriptors);
        found.credentials.into_iter().for_each(|credentials| writer.credentials(credentials));
        assert!(!writer.is_truncated());
        let used = writer.used();
        assert!(ControlMessages::from_bytes(&bytes[..used]) == Ok(found.clone()));
        // Any room is enough not to write beyond it.
        let room = data.len() % 64;
        let mut writer = ControlWriter::new(&mut bytes[..room]);
        found.credentials.into_iter().for_each(|credentials| writer.credentials(credentials));
        writer.descriptors(&found.descriptors);
        assert!(writer.used() <= room);
    }
    if let Some(Ok(setting)) = data.first_chunk().map(Setting::from_bytes) {
        assert!(Setting::from_bytes(&setting.to_bytes()) == Ok(setting));
    }
});
