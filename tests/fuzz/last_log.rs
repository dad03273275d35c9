//! Fuzz target: whatever memory holds where the last start's log should be, reading it ends, and a new log is begun in it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use log::Level;
use logic::last_log::{BYTES, Kind, LastLog};

fuzz_target!(|data: &[u8]| {
    let mut memory = vec![0; BYTES];
    // The fuzzer's bytes over a log that is whole, each at a place that they name.
    {
        let mut log = LastLog::open(&mut memory).expect("the memory is as large as it must be");
        for number in 0..40 {
            log.push(Level::Info, Kind::Ordinary, format!("line {number}").as_bytes());
        }
    }
    for change in data.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % BYTES;
        memory[at] = change[2];
    }
    let mut log = LastLog::open(&mut memory).expect("the memory is as large as it must be");
    let _ = (log.end(), log.panic_message());
    let mut position = 0;
    while let Some(record) = log.record(position) {
        assert!(record.next > position, "reading does not get on");
        position = record.next;
    }
    log.push(Level::Error, Kind::Panic, data);
    let mut log = LastLog::open(&mut memory).expect("the memory is as large as it must be");
    assert!(log.record(0).is_some_and(|record| data.starts_with(record.text)));
    log.push(Level::Info, Kind::End, b"");
});
