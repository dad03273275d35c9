//! Fuzz target: whatever bytes a terminal sends, at whatever width, the line editor goes on, keeps its promises, and sends nothing
//! but text and the few control sequences that it says it sends. Lines that come of it can be split and read as numbers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::monitor::history::LINE_BYTES;
use logic::monitor::line_editor::{Completer, Event, LineEditor};
use logic::monitor::{pager::Pager, suggest, words};

const NAMES: [&str; 4] = ["memory", "memo", "log", "löschen"];

struct Names;

impl Completer for Names {
    fn complete(&mut self, before: &str, offer: &mut dyn FnMut(&str)) {
        assert!(before.len() <= LINE_BYTES);
        NAMES.into_iter().for_each(offer);
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&columns, data)) = data.split_first() else { return };
    let mut editor = LineEditor::new("eres> ");
    let mut sent = Vec::new();
    editor.begin(columns.into(), &mut |bytes| sent.extend(bytes));
    for byte in data {
        let event = editor.push(*byte, &mut |bytes| sent.extend(bytes), &mut Names);
        let line = editor.line();
        assert!(editor.cursor() <= line.chars().count());
        assert!(!line.contains(char::is_control));
        if event == Event::Pending {
            continue;
        }
        for word in words::split(&line).unwrap_or_default() {
            let _ = (words::number(word), words::address(word), suggest::closest(word, NAMES));
        }
        let mut pager = Pager::new(columns.into(), 3);
        assert!(pager.advance(&line) > 0 || line.is_empty());
        editor.begin(columns.into(), &mut |bytes| sent.extend(bytes));
    }
    let sent = String::from_utf8(sent).expect("what is sent is UTF-8");
    let mut characters = sent.chars();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            assert_eq!(characters.next(), Some('['));
            let last = characters.find(|next| !next.is_ascii_digit());
            assert!(last.is_some_and(|last| "CHJK".contains(last)), "CSI {last:?}");
        } else {
            assert!(!character.is_control() || "\r\n".contains(character), "{character:?}");
        }
    }
});
