//! What the screen shows for which bytes: cases written from ECMA-48, DEC's manuals and xterm's control-sequence document.

use super::{Attributes, Cell, Colour, CursorShape, Style, Terminal};

/// Bytes written to a terminal of 10 by 5 cells, the rows it shows then (dots for blanks), and the cursor's column and row.
type Case = (&'static str, &'static str, [&'static str; 5], (usize, usize));

fn terminal(bytes: &str) -> Terminal {
    let mut terminal = Terminal::new(10, 5, 20).unwrap();
    terminal.write(bytes.as_bytes());
    terminal
}

/// A row with a dot for each blank, and nothing for the right half of a wide character.
fn row(terminal: &Terminal, row: usize) -> String {
    let cells = terminal.line(row).iter().filter(|cell| !cell.attributes().has(Attributes::CONTINUATION));
    cells.map(|cell| cell.character()).collect::<String>().replace(' ', ".")
}

fn rows(terminal: &Terminal) -> [String; 5] {
    [0, 1, 2, 3, 4].map(|index| row(terminal, index).trim_end_matches('.').to_owned())
}

fn position(terminal: &Terminal) -> (usize, usize) {
    terminal.cursor().map(|cursor| (cursor.column, cursor.row)).unwrap()
}

fn reply(bytes: &str) -> String {
    String::from_utf8(terminal(bytes).take_reply().to_vec()).unwrap()
}

#[track_caller]
fn check(cases: &[Case]) {
    for (what, bytes, expected, cursor) in cases {
        let terminal = terminal(bytes);
        assert_eq!((rows(&terminal), position(&terminal)), (expected.map(str::to_owned), *cursor), "{what}: {bytes:?}");
    }
}

/// Five rows of letters.
const FULL: &str = "aaaaa\r\nbbbbb\r\nccccc\r\nddddd\r\neeeee";

#[test]
fn controls_move_the_cursor() {
    check(&[
        ("carriage return, line feed", "ab\r\ncd\nef\rg", ["ab", "cd", "g.ef", "", ""], (1, 2)),
        ("VT and FF are line feeds", "a\x0bb\x0cc", ["a", ".b", "..c", "", ""], (3, 2)),
        ("backspace stops at the edge", "ab\x08\x08\x08c", ["cb", "", "", "", ""], (1, 0)),
        ("tab stops at the last column", "a\tb\t\tc", ["a.......bc", "", "", "", ""], (9, 0)),
        ("tab stops set and cleared", "\x1b[3g\x1b[4G\x1bH\ra\tb", ["a..b", "", "", "", ""], (4, 0)),
        ("tab back and forth", "\x1b[9Ga\x1b[2Zb\x1b[Ic", ["b.......c", "", "", "", ""], (9, 0)),
        ("bell and other controls show nothing", "a\x07\x00\x01\x7fb", ["ab", "", "", "", ""], (2, 0)),
        ("LNM", "\x1b[20hab\ncd", ["ab", "cd", "", "", ""], (2, 1)),
        ("IND, NEL, RI", "a\x1bDb\x1bEc\x1bMd", ["a", ".d", "c", "", ""], (2, 1)),
    ]);
}

#[test]
fn text_wraps_when_the_next_character_comes() {
    check(&[
        ("a full row scrolls nothing yet", "0123456789", ["0123456789", "", "", "", ""], (9, 0)),
        ("the next character wraps", "0123456789a", ["0123456789", "a", "", "", ""], (1, 1)),
        ("return after a full row stays", "0123456789\ra", ["a123456789", "", "", "", ""], (1, 0)),
        (
            "a line feed after a full row keeps the column",
            "0123456789\na",
            ["0123456789", ".........a", "", "", ""],
            (9, 1),
        ),
        ("movement ends the waiting", "0123456789\x1b[Ca", ["012345678a", "", "", "", ""], (9, 0)),
        (
            "without DECAWM the last cell is written again",
            "\x1b[?7l0123456789ab",
            ["012345678b", "", "", "", ""],
            (9, 0),
        ),
        ("IRM", "abc\r\x1b[4hxy\x1b[4l", ["xyabc", "", "", "", ""], (2, 0)),
        ("REP", "ab\x1b[3b", ["abbbb", "", "", "", ""], (5, 0)),
        ("REP wraps", "a\x1b[10b", ["aaaaaaaaaa", "a", "", "", ""], (1, 1)),
    ]);
}

#[test]
fn the_cursor_goes_where_it_is_told_and_stays_inside() {
    check(&[
        ("CUP, HVP", "\x1b[2;3Ha\x1b[4;5fb\x1b[Hc", ["c", "..a", "", "....b", ""], (1, 0)),
        ("CUP beyond the edges", "\x1b[99;99Ha\x1b[0;0Hb", ["b", "", "", "", ".........a"], (1, 0)),
        ("CUU, CUD, CUF, CUB", "\x1b[3;5H\x1b[A\x1b[2D*\x1b[2B\x1b[3C*", ["", "..*", "", "......*", ""], (7, 3)),
        ("too far up, down, left, right", "\x1b[99B\x1b[99C\x1b[99A\x1b[99D*", ["*", "", "", "", ""], (1, 0)),
        (
            "CNL, CPL, CHA, HPA, VPA",
            "abc\x1b[2Ed\x1b[Fe\x1b[5Gf\x1b[7`g\x1b[4dh",
            ["abc", "e...f.g", "d", ".......h", ""],
            (8, 3),
        ),
        ("HPR, VPR", "a\x1b[2a*\x1b[2e*", ["a..*", "", "....*", "", ""], (5, 2)),
        ("DECSC, DECRC", "\x1b[2;2H\x1b7\x1b[H*\x1b8*", ["*", ".*", "", "", ""], (2, 1)),
        ("SCOSC, SCORC", "\x1b[2;2H\x1b[s\x1b[H*\x1b[u*", ["*", ".*", "", "", ""], (2, 1)),
        ("DECRC without DECSC", "\x1b[2;2H\x1b8*", ["*", "", "", "", ""], (1, 0)),
    ]);
}

#[test]
fn erasing_and_shifting_change_what_they_should() {
    let full = |bytes: &str| rows(&terminal(&format!("{FULL}\x1b[3;3H{bytes}")));
    for (bytes, expected) in [
        ("\x1b[J", ["aaaaa", "bbbbb", "cc", "", ""]),
        ("\x1b[1J", ["", "", "...cc", "ddddd", "eeeee"]),
        ("\x1b[2J", ["", "", "", "", ""]),
        ("\x1b[?0J", ["aaaaa", "bbbbb", "cc", "", ""]),
        ("\x1b[K", ["aaaaa", "bbbbb", "cc", "ddddd", "eeeee"]),
        ("\x1b[1K", ["aaaaa", "bbbbb", "...cc", "ddddd", "eeeee"]),
        ("\x1b[2K", ["aaaaa", "bbbbb", "", "ddddd", "eeeee"]),
        ("\x1b[2X", ["aaaaa", "bbbbb", "cc..c", "ddddd", "eeeee"]),
        ("\x1b[2@", ["aaaaa", "bbbbb", "cc..ccc", "ddddd", "eeeee"]),
        ("\x1b[99@", ["aaaaa", "bbbbb", "cc", "ddddd", "eeeee"]),
        ("\x1b[2P", ["aaaaa", "bbbbb", "ccc", "ddddd", "eeeee"]),
        ("\x1b[L", ["aaaaa", "bbbbb", "", "ccccc", "ddddd"]),
        ("\x1b[M", ["aaaaa", "bbbbb", "ddddd", "eeeee", ""]),
        ("\x1b[99M", ["aaaaa", "bbbbb", "", "", ""]),
        ("\x1b[2S", ["ccccc", "ddddd", "eeeee", "", ""]),
        ("\x1b[2T", ["", "", "aaaaa", "bbbbb", "ccccc"]),
        ("\x1b[1;2;3;4;5T", ["aaaaa", "bbbbb", "ccccc", "ddddd", "eeeee"]),
        ("\x1b#8", ["EEEEEEEEEE"; 5]),
        ("\x1bc", [""; 5]),
    ] {
        assert_eq!(full(bytes), expected, "{bytes:?}");
    }
}

#[test]
fn a_scrolling_region_scrolls_alone() {
    check(
        &[
            (
                "line feeds at its end",
                &(FULL.to_owned() + "\x1b[2;4r\x1b[4;1H\n*")[..],
                ["aaaaa", "ccccc", "ddddd", "*", "eeeee"],
                (1, 3),
            ),
            (
                "RI at its start",
                &(FULL.to_owned() + "\x1b[2;4r\x1b[2;1H\x1bM*"),
                ["aaaaa", "*", "bbbbb", "ccccc", "eeeee"],
                (1, 1),
            ),
            (
                "below it nothing scrolls",
                &(FULL.to_owned() + "\x1b[1;2r\x1b[5;1H\n*"),
                ["aaaaa", "bbbbb", "ccccc", "ddddd", "*eeee"],
                (1, 4),
            ),
            (
                "IL inside",
                &(FULL.to_owned() + "\x1b[2;4r\x1b[3;3H\x1b[L*"),
                ["aaaaa", "bbbbb", "*", "ccccc", "eeeee"],
                (1, 2),
            ),
            (
                "DL outside does nothing",
                &(FULL.to_owned() + "\x1b[2;4r\x1b[M"),
                ["aaaaa", "bbbbb", "ccccc", "ddddd", "eeeee"],
                (0, 0),
            ),
            ("cursor keys stop at its ends", "\x1b[2;4r\x1b[3;1H\x1b[99A*\x1b[99B*", ["", "*", "", ".*", ""], (2, 3)),
            ("origin mode", "\x1b[2;4r\x1b[?6h*\x1b[99;1H*\x1b[?6l", ["", "*", "", "*", ""], (0, 0)),
            ("a region of one row is refused", "\x1b[3;3r\x1b[5;1H\n*", ["", "", "", "", "*"], (1, 4)),
            ("none given is the whole screen", "\x1b[2;3r\x1b[r\x1b[5;1H\n*", ["", "", "", "", "*"], (1, 4)),
        ]
        .map(|(what, bytes, rows, cursor)| (what, &*Box::leak(bytes.to_owned().into_boxed_str()), rows, cursor)),
    );
}

#[test]
fn characters_are_unicode_or_line_drawing() {
    check(&[
        ("UTF-8", "äß€│", ["äß€│", "", "", "", ""], (4, 0)),
        ("wide characters take two cells", "漢字a", ["漢字a", "", "", "", ""], (5, 0)),
        ("one that does not fit wraps", "012345678漢", ["012345678", "漢", "", "", ""], (2, 1)),
        ("and without wrapping ends the row", "\x1b[?7l012345678漢", ["01234567漢", "", "", "", ""], (9, 0)),
        ("half of one is not left over", "漢字\x1b[2GX", [".X字", "", "", "", ""], (2, 0)),
        ("marks join their letters", "e\u{301}a\u{308}\u{304}", ["éǟ", "", "", "", ""], (2, 0)),
        ("marks that cannot are dropped", "\u{301}q\u{301}x\u{200d}", ["qx", "", "", "", ""], (2, 0)),
        ("a mark on the last column", "012345678o\u{308}", ["012345678ö", "", "", "", ""], (9, 0)),
        ("DEC special graphics as G0", "\x1b(0lqk\x1b(Bq", ["┌─┐q", "", "", "", ""], (4, 0)),
        ("and as G1", "\x1b)0q\x0eq\x0fq", ["q─q", "", "", "", ""], (3, 0)),
        (
            "titles and device strings are swallowed",
            "a\x1b]0;title\x07b\x1b]2;t\x1b\\c\x1bPq#1\x1b\\d",
            ["abcd", "", "", "", ""],
            (4, 0),
        ),
        ("private strings too", "a\x1b_x\x1b\\b\x1b^y\x1b\\c", ["abc", "", "", "", ""], (3, 0)),
        (
            "unknown sequences show nothing",
            "a\x1b[5;6yb\x1b[>4;2mc\x1b%Gd\x1b[=1;1ue",
            ["abcde", "", "", "", ""],
            (5, 0),
        ),
    ]);
    let mut terminal = Terminal::new(10, 5, 0).unwrap();
    terminal.write(b"a\xffb\xe2\x82c\xc3");
    terminal.write(b"\xa4d\xe2");
    terminal.write(b"\x1b[1mz");
    assert_eq!(row(&terminal, 0), "a\u{fffd}b\u{fffd}cäd\u{fffd}z.");
}

#[test]
fn a_terminal_of_one_cell_shows_what_it_can() {
    let mut terminal = Terminal::new(1, 1, 0).unwrap();
    terminal.write("漢a\x1b[99;99H\x1b[5Lb\r\n\tc".as_bytes());
    assert_eq!((row(&terminal, 0).as_str(), position(&terminal)), ("c", (0, 0)));
    assert_eq!(Terminal::new(0, 0, 0).unwrap().size(), (1, 1));
}

/// The style of the last character written.
fn style_after(bytes: &str) -> Style {
    terminal(&format!("{bytes}x")).line(0)[0].style()
}

#[test]
fn sgr_sets_attributes_and_colours() {
    let bold = Attributes::BOLD;
    let special = Attributes::FAINT.with(Attributes::BLINK).with(Attributes::INVERSE).with(Attributes::HIDDEN);
    for (bytes, attributes, foreground, background) in [
        ("\x1b[1m", bold, Colour::Default, Colour::Default),
        ("\x1b[1;3;4;9m\x1b[22;23;24m", Attributes::STRIKE, Colour::Default, Colour::Default),
        ("\x1b[1;31;44m", bold, Colour::Indexed(1), Colour::Indexed(4)),
        ("\x1b[97;100m", Attributes::NONE, Colour::Indexed(15), Colour::Indexed(8)),
        ("\x1b[38;5;208;48;2;1;2;3m", Attributes::NONE, Colour::Indexed(208), Colour::Rgb(1, 2, 3)),
        ("\x1b[38:5:208;48:2:1:2:3m", Attributes::NONE, Colour::Indexed(208), Colour::Rgb(1, 2, 3)),
        ("\x1b[38:2::1:2:3;1m", bold, Colour::Rgb(1, 2, 3), Colour::Default),
        ("\x1b[58;5;9;1m", bold, Colour::Default, Colour::Default),
        ("\x1b[31;1;38m", bold, Colour::Indexed(1), Colour::Default),
        ("\x1b[31m\x1b[m", Attributes::NONE, Colour::Default, Colour::Default),
        ("\x1b[31;42m\x1b[39;49m", Attributes::NONE, Colour::Default, Colour::Default),
        ("\x1b[4:3m", Attributes::UNDERLINE, Colour::Default, Colour::Default),
        ("\x1b[4m\x1b[4:0m", Attributes::NONE, Colour::Default, Colour::Default),
        ("\x1b[2;5;7;8m", special, Colour::Default, Colour::Default),
        ("\x1b[2;5;7;8m\x1b[25;27;28;22m", Attributes::NONE, Colour::Default, Colour::Default),
    ] {
        assert_eq!(style_after(bytes), Style { attributes, foreground, background }, "{bytes:?}");
    }
}

#[test]
fn erasing_keeps_the_background_and_nothing_else() {
    let blank = Cell::blank(Colour::Indexed(4));
    for bytes in ["\x1b[44;1;7m\x1b[K", "\x1b[44m\x1b[2J", "\x1b[44m\x1b[9X", "\x1b[44m\x1b[L", "\x1b[44m\x1b[S\x1b[5S"]
    {
        assert_eq!(terminal(bytes).line(0)[5], blank, "{bytes:?}");
    }
    assert_eq!(terminal("\x1b[5;1H\x1b[44m\n").line(4)[0], blank);
}

#[test]
fn the_alternate_screen_comes_and_goes_without_a_trace() {
    for (on, off) in [("\x1b[?1049h", "\x1b[?1049l"), ("\x1b7\x1b[?47h\x1b[2J", "\x1b[?47l\x1b8")] {
        let mut terminal = terminal(&format!("main\r\nscreen{on}"));
        assert_eq!(rows(&terminal), [""; 5], "{on:?}");
        terminal.write(b"\x1b[Hother\r\n\n\n\n\n\n");
        assert!(!terminal.scroll_view(1), "it has no past");
        terminal.write(off.as_bytes());
        assert_eq!((rows(&terminal), position(&terminal)), (["main", "screen", "", "", ""].map(str::to_owned), (6, 1)));
    }
    let mut terminal = terminal("a\x1b[?1047hb\x1b[?1047lc\x1b[?1047h");
    assert_eq!(rows(&terminal), [""; 5]);
    terminal.write(b"\x1b[?1049h\x1b[?1047l\x1b[?1049l");
    assert_eq!(rows(&terminal)[0], "a.c");
}

#[test]
fn modes_are_kept_for_those_who_ask() {
    let mut terminal = terminal("\x1b[?1;66;2004;1000;1006;1004h\x1b=");
    let modes = *terminal.modes();
    assert!(modes.application_cursor_keys && modes.application_keypad && modes.bracketed_paste && modes.focus_events);
    assert_eq!(modes.mouse.iter().filter(|on| **on).count(), 2);
    terminal.write(b"\x1b[?25l\x1b[5 q");
    assert_eq!(terminal.cursor(), None);
    terminal.write(b"\x1b[?25h");
    assert_eq!(terminal.cursor().map(|cursor| cursor.shape), Some(CursorShape::Bar));
    terminal.write(b"\x1b[!p");
    assert!(!terminal.modes().application_cursor_keys);
    assert_eq!(terminal.cursor().map(|cursor| cursor.shape), Some(CursorShape::Block));
    terminal.write(b"\x1b[?5h");
    assert!(terminal.is_reversed());
    terminal.write(b"\x1bc");
    assert_eq!(*terminal.modes(), super::Modes::new());
}

#[test]
fn questions_are_answered() {
    for (question, answer) in [
        ("\x1b[5n", "\x1b[0n"),
        ("\x1b[3;4H\x1b[6n", "\x1b[3;4R"),
        ("\x1b[2;4r\x1b[?6h\x1b[2;1H\x1b[6n\x1b[?6n", "\x1b[2;1R\x1b[?2;1R"),
        ("0123456789\x1b[6n", "\x1b[1;10R"),
        ("\x1b[c\x1bZ", "\x1b[?62;22c\x1b[?62;22c"),
        ("\x1b[>c\x1b[>1c", "\x1b[>1;10;0c"),
        ("\x1b[18t", "\x1b[8;5;10t"),
        ("\x1b[?25$p\x1b[?2004$p\x1b[?2026$p\x1b[4$p", "\x1b[?25;1$y\x1b[?2004;2$y\x1b[?2026;0$y\x1b[4;2$y"),
        ("\x1b[?1049h\x1b[?1049$p", "\x1b[?1049;1$y"),
    ] {
        assert_eq!(reply(question), answer, "{question:?}");
    }
    let many = reply(&"\x1b[5n".repeat(99));
    assert_eq!(many.len(), super::REPLY_BYTES);
}

#[test]
fn the_view_scrolls_back_and_output_returns_to_the_present() {
    let mut terminal = Terminal::new(4, 2, 3).unwrap();
    terminal.write(b"1\r\n2\r\n3\r\n4\r\n5\r\n6");
    let shown = |terminal: &Terminal| format!("{}{}", row(terminal, 0), row(terminal, 1)).replace('.', "");
    assert_eq!(shown(&terminal), "56");
    assert!(terminal.scroll_view(1));
    assert_eq!((shown(&terminal).as_str(), terminal.cursor().map(|cursor| cursor.row)), ("45", None));
    assert!(terminal.scroll_view(99) && !terminal.scroll_view(1));
    assert_eq!(shown(&terminal), "23");
    assert!(terminal.scroll_view(-1));
    assert_eq!(shown(&terminal), "34");
    terminal.write(b"!");
    assert_eq!(shown(&terminal), "56!");
    assert!(!terminal.reset_view());
    terminal.write(b"\x1b[3J");
    assert!(!terminal.scroll_view(1));
}

#[test]
fn the_kernels_lines_stay_apart_from_what_programs_do() {
    let line = |terminal: &mut Terminal, text: &str| {
        terminal.begin_line();
        terminal.continue_line(text);
        terminal.end_line();
    };
    let mut terminal = terminal("$ ls\x1b[31;1m\x1b[2;3r\x1b[1;5H\x1b[3");
    line(&mut terminal, "kernel");
    terminal.write(b"2mx");
    assert_eq!(rows(&terminal), ["$.ls", "kernel", "x", "", ""]);
    assert_eq!(terminal.line(1)[0].style(), Style::default());
    assert_eq!(terminal.line(2)[0].style().foreground, Colour::Indexed(2));
    terminal.write(b"\x1b[?1049hvi");
    line(&mut terminal, "more\nof it\x1b[2J");
    assert_eq!(rows(&terminal), ["", "", ".vi", "", ""]);
    terminal.write(b"\x1b[?1049l");
    assert_eq!(rows(&terminal), ["kernel", "x", "more", "of.it[2J", ""]);
    assert_eq!(position(&terminal), (0, 4), "what comes next does not overwrite them");
}

#[test]
fn a_panic_finds_a_terminal_fit_for_its_words() {
    let mut terminal = terminal("log\x1b[?1049h\x1b[?5h\x1b[2;3r\x1b[?7l\x1b[8mvi\x1b]0;half");
    terminal.recover();
    terminal.begin_line();
    terminal.continue_line("kernel panic");
    assert_eq!(rows(&terminal), ["log", "kernel.pan", "ic", "", ""]);
    assert!(terminal.line(1)[0].style() == Style::default() && !terminal.is_reversed());
}
