//! Fuzz target: whatever is typed at a terminal with whatever settings, and however it is read, the line discipline
//! keeps its promises.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::tty::discipline::{CAPACITY, Discipline, InputFlags, LocalFlags, OutputFlags, ReadOutcome, Signal, Sink, Termios};

/// Counts what comes out.
#[derive(Default)]
struct Counter {
    shown: usize,
}

impl Sink for Counter {
    fn show(&mut self, bytes: &[u8]) {
        assert!(!bytes.is_empty());
        self.shown += bytes.len();
    }

    fn signal(&mut self, _: Signal) {}
}

fuzz_target!(|data: &[u8]| {
    let mut tty = Box::new(Discipline::new(Termios::cooked()));
    let mut counter = Counter::default();
    let (mut typed, mut read) = (0, 0);
    let mut rest = data;
    // Each step is a byte for its kind, one for its length, and that many bytes.
    while let [kind, length, after @ ..] = rest {
        let (bytes, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        match kind % 5 {
            // Many times over, so that the queue fills.
            0 => (0..=kind / 5).for_each(|_| {
                let taken = tty.receive(bytes, &mut counter);
                assert!(taken <= bytes.len());
                assert!(taken == bytes.len() || tty.is_full());
                typed += taken;
            }),
            1 => {
                let mut buffer = vec![0; usize::from(*length)];
                let before = tty.available();
                match tty.read(&mut buffer) {
                    ReadOutcome::Bytes(count) => {
                        assert!(count <= buffer.len() && count <= before);
                        read += count;
                    }
                    ReadOutcome::WouldBlock => assert!(tty.available() == 0),
                    ReadOutcome::EndOfFile => assert!(tty.termios().is_canonical() && before > 0),
                }
            }
            2 => {
                let taken = tty.process_output(bytes, &mut counter);
                assert!(taken == if tty.is_writable() { bytes.len() } else { 0 });
            }
            3 => {
                let mut termios = *tty.termios();
                let mut words = bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
                termios.input = InputFlags::from_bits_retain(words.next().unwrap_or(0));
                termios.output = OutputFlags::from_bits_retain(words.next().unwrap_or(0));
                termios.local = LocalFlags::from_bits_retain(words.next().unwrap_or(0));
                for (character, byte) in termios.characters.iter_mut().zip(bytes.iter().skip(12)) {
                    *character = *byte;
                }
                tty.set_termios(termios);
            }
            _ => tty.set_termios(Termios::cooked()),
        }
        assert!(tty.available() <= CAPACITY && read <= typed);
        assert!(tty.pace().minimum <= 255);
    }
});
