//! Fuzz target: any text of a QR code is read or refused, and any log comes out of its own text, as far as there was room.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::log_code::{Packer, Report, unpack};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let _ = unpack(&text);
    let _ = unpack(&format!("ERES1 {text}"));
    let Some((room, lines)) = data.split_first_chunk::<2>() else { return };
    let characters = usize::from(u16::from_le_bytes(*room)) % 2000;
    let (head, log) = lines.split_at(lines.len() / 4);
    let split = |text: &[u8]| -> Vec<Vec<u8>> { text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect() };
    let (head, log) = (split(head), split(log));
    let mut packer = Box::new(Packer::new());
    let report = Report { head: head.iter().map(Vec::as_slice), newest_first: log.iter().rev().map(Vec::as_slice) };
    let packed = packer.pack(report, characters);
    assert!(packed.len() <= characters);
    let Ok(unpacked) = unpack(packed) else {
        assert!(packed.is_empty(), "what was packed cannot be read");
        return;
    };
    let texts = |lines: &[Vec<u8>]| -> Vec<String> {
        lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    };
    assert!(texts(&head).starts_with(&unpacked.head) && texts(&log).ends_with(&unpacked.log));
});
