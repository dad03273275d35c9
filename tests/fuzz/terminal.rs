//! Fuzz target: whatever bytes programs write, the terminal takes them, keeps its cursor inside and its wide characters whole.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::tty::terminal::{Attributes, Terminal};

fuzz_target!(|data: &[u8]| {
    let [columns, rows, past, bytes @ ..] = data else { return };
    let size = (usize::from(columns % 24) + 1, usize::from(rows % 9) + 1);
    let Ok(mut terminal) = Terminal::new(size.0, size.1, usize::from(past % 12)) else { return };
    // As programs write: in pieces, with the kernel's own lines and a scrolled view between them.
    for (number, piece) in bytes.chunks(usize::from(past % 31) + 1).enumerate() {
        terminal.write(piece);
        match number % 7 {
            3 => {
                terminal.begin_line();
                terminal.continue_line("kernel 漢");
                terminal.end_line();
            }
            5 => {
                terminal.scroll_view(number as isize % 5 - 2);
            }
            _ => {}
        }
        terminal.take_reply();
        check(&mut terminal, size);
    }
    terminal.recover();
    check(&mut terminal, size);
});

fn check(terminal: &mut Terminal, size: (usize, usize)) {
    assert_eq!(terminal.size(), size);
    if let Some(cursor) = terminal.cursor() {
        assert!(cursor.column < size.0 && cursor.row < size.1, "the cursor left the grid");
    }
    for row in 0..size.1 {
        let line = terminal.line(row);
        assert_eq!(line.len(), size.0);
        for pair in line.windows(2) {
            let (left, right) = (pair[0].attributes(), pair[1].attributes());
            assert_eq!(left.has(Attributes::WIDE), right.has(Attributes::CONTINUATION), "half a character");
        }
        assert!(!line[0].attributes().has(Attributes::CONTINUATION));
        assert!(!line[size.0 - 1].attributes().has(Attributes::WIDE));
    }
}
