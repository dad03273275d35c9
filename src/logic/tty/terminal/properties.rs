//! What holds for every stream of bytes.

use super::{Attributes, Cell, Terminal};
use proptest::prelude::*;

/// Bytes of all kinds, mostly such as mean something to a terminal.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "\\x1b\\[[?>!]?[0-9]{0,3}(;[0-9]{0,3}){0,3}[$ ]?[@-~]".prop_map(String::into_bytes),
        2 => "\\x1b[78DEHMZc=>]|\\x1b#8|\\x1b[()][0AB]".prop_map(String::into_bytes),
        2 => "[ -~]{0,30}".prop_map(String::into_bytes),
        2 => "[\\n\\r\\t\\x08\\x0e\\x0f]{1,4}".prop_map(String::into_bytes),
        2 => "[漢字e\u{301}äß│\u{200d}a]{0,12}".prop_map(String::into_bytes),
        1 => "\\x1b\\[\\?(47|1047|1048|1049|6|7|5|25)[hl]".prop_map(String::into_bytes),
        1 => "\\x1b[\\]P_X][ -~]{0,20}(\\x07|\\x1b\\\\)?".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// All that can be seen of a terminal.
fn seen(terminal: &Terminal) -> (Vec<Vec<Cell>>, Option<super::Cursor>, super::Modes) {
    let (_, rows) = terminal.size();
    let lines = (0..rows).map(|row| terminal.line(row).to_vec()).collect();
    (lines, terminal.cursor(), *terminal.modes())
}

#[track_caller]
fn check(terminal: &mut Terminal, size: (usize, usize)) {
    assert_eq!(terminal.size(), size);
    terminal.write(b"\x1b[?25h");
    let cursor = terminal.cursor().expect("a cursor that is shown is inside");
    assert!(cursor.column < size.0 && cursor.row < size.1);
    for row in 0..size.1 {
        let line = terminal.line(row);
        assert_eq!(line.len(), size.0);
        for (column, cell) in line.iter().enumerate() {
            let attributes = cell.attributes();
            assert!(!attributes.has(Attributes::CURSOR));
            if attributes.has(Attributes::WIDE) {
                let right = line.get(column + 1).expect("a wide character has room");
                assert!(right.attributes().has(Attributes::CONTINUATION), "half a character at {column}, {row}");
            }
            if attributes.has(Attributes::CONTINUATION) {
                assert!(column > 0 && line[column - 1].attributes().has(Attributes::WIDE), "half at {column}, {row}");
            }
        }
    }
}

proptest! {
    #[test]
    fn the_cursor_stays_inside_and_no_character_is_halved(
        bytes in stream(), columns in 1_usize..20, rows in 1_usize..8, past in 0_usize..10, back in 0_isize..12,
    ) {
        let mut terminal = Terminal::new(columns, rows, past).unwrap();
        terminal.write(&bytes);
        check(&mut terminal, (columns, rows));
        terminal.scroll_view(back);
        for row in 0..rows {
            prop_assert_eq!(terminal.line(row).len(), columns);
        }
        terminal.begin_line();
        terminal.continue_line("kernel\nline 漢");
        terminal.end_line();
        check(&mut terminal, (columns, rows));
        terminal.recover();
        check(&mut terminal, (columns, rows));
    }

    #[test]
    fn how_a_stream_is_cut_into_writes_does_not_matter(bytes in stream(), cuts in prop::collection::vec(1_usize..9, 1..99)) {
        let mut whole = Terminal::new(12, 5, 9).unwrap();
        whole.write(&bytes);
        let mut cut = Terminal::new(12, 5, 9).unwrap();
        let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (first, others) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            cut.write(first);
            rest = others;
        }
        prop_assert_eq!(seen(&whole), seen(&cut));
        prop_assert_eq!(whole.take_reply(), cut.take_reply());
    }

    #[test]
    fn what_is_not_damaged_has_not_changed(first in stream(), second in stream()) {
        let mut terminal = Terminal::new(12, 5, 9).unwrap();
        terminal.write(&first);
        let before = seen(&terminal).0;
        for row in 0..5 {
            terminal.take_damage(row);
        }
        terminal.write(&second);
        for (row, line) in before.iter().enumerate() {
            let damaged = terminal.take_damage(row);
            prop_assert!(damaged || terminal.line(row) == line, "row {} changed unnoticed", row);
        }
    }
}
