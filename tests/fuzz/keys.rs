//! Fuzz target: whatever a keyboard or its controller sends, what comes of it is text, or an action, in every layout.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::ps2::Commands;
use logic::time::Instant;
use logic::tty::keys::{KeyModes, Keyboard, Keymap, ScanCodeSet, Typed};

const KEYMAPS: [&str; 11] =
    ["us", "uk", "de", "fr", "no", "se", "jp", "dvorak", "dvp", "colemak", "de-nodeadkeys"];

fuzz_target!(|data: &[u8]| {
    let [choice, flags, bytes @ ..] = data else { return };
    let keymap = Keymap::new(KEYMAPS[usize::from(*choice) % KEYMAPS.len()]).expect("it is one of those there are");
    let set = if flags & 1 == 0 { ScanCodeSet::One } else { ScanCodeSet::Two };
    let mut keyboard = Keyboard::new(set, keymap);
    let mut commands = Commands::new(keyboard.lights());
    let mut sent = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if !commands.receive(*byte)
            && let Typed::Bytes(text) = keyboard.receive(*byte, KeyModes { application_cursor: flags & 2 != 0 })
        {
            assert!(!text.is_empty() && core::str::from_utf8(&text).is_ok());
        }
        assert!(keyboard.lights() < 8);
        commands.set_lights(keyboard.lights());
        let now = Instant::from_nanoseconds(index as u64 * 1_000_000);
        while commands.next(now).is_some() {
            sent += 1;
            assert!(sent <= 8 + 3 * bytes.len(), "commands without end");
        }
    }
});
