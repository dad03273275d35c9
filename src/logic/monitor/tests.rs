//! The line editor against a simple model of a line, and what it draws against a simple terminal.

use super::line_editor::{Completer, Event, LineEditor};
use proptest::prelude::*;
use unicode_width::UnicodeWidthChar;

const PROMPT: &str = "> ";
const COMMANDS: [&str; 4] = ["memory", "memo", "log", "löschen"];

struct Commands;

impl Completer for Commands {
    fn complete(&mut self, _: &str, offer: &mut dyn FnMut(&str)) {
        COMMANDS.into_iter().for_each(offer);
    }
}

/// A terminal of one row that matters, the one with the cursor. It panics on what the editor must not send.
struct Terminal {
    columns: usize,
    row: Vec<char>,
    column: usize,
    pending: Vec<u8>,
    /// Rows that were left.
    above: Vec<String>,
}

impl Terminal {
    fn new(columns: usize) -> Self {
        Self { columns, row: vec![' '; columns], column: 0, pending: Vec::new(), above: Vec::new() }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.pending.extend(bytes);
        let Ok(text) = String::from_utf8(self.pending.clone()) else { return };
        self.pending.clear();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => self.column = 0,
                '\n' => {
                    self.above.push(self.shown());
                    self.row.fill(' ');
                    self.column = 0;
                }
                '\x1b' => {
                    assert_eq!(characters.next(), Some('['));
                    let sequence: String = characters.by_ref().take_while(|next| !next.is_alphabetic()).collect();
                    // `take_while` has eaten the final byte: it is told by what precedes it in the text.
                    let end = text.len() - characters.as_str().len();
                    self.control(&sequence, text[..end].chars().next_back().unwrap());
                }
                _ => {
                    assert_eq!(character.width(), Some(1), "{character:?}");
                    assert!(self.column + 1 < self.columns, "the last column is written to");
                    self.row[self.column] = character;
                    self.column += 1;
                }
            }
        }
    }

    fn control(&mut self, parameter: &str, last: char) {
        match last {
            'C' => self.column += parameter.parse::<usize>().unwrap(),
            'K' => self.row[self.column..].fill(' '),
            'H' => self.column = 0,
            'J' => self.row.fill(' '),
            other => panic!("CSI {parameter} {other}"),
        }
        assert!(self.column < self.columns);
    }

    fn shown(&self) -> String {
        self.row.iter().collect::<String>().trim_end().to_owned()
    }
}

/// An editor at its terminal.
struct Desk {
    editor: LineEditor,
    terminal: Terminal,
}

impl Desk {
    fn new(columns: usize) -> Self {
        let mut desk = Self { editor: LineEditor::new(PROMPT), terminal: Terminal::new(columns) };
        desk.begin();
        desk
    }

    fn begin(&mut self) {
        let Self { editor, terminal } = self;
        editor.begin(terminal.columns, &mut |bytes| terminal.write(bytes));
    }

    /// Types, and answers what the last byte led to.
    fn push(&mut self, bytes: &[u8]) -> Event {
        let Self { editor, terminal } = self;
        let mut event = Event::Pending;
        for byte in bytes {
            event = editor.push(*byte, &mut |bytes| terminal.write(bytes), &mut Commands);
        }
        event
    }

    fn enter(&mut self, line: &str) {
        assert_eq!(self.push(line.as_bytes()), Event::Pending);
        assert_eq!(self.push(b"\r"), Event::Line);
        self.begin();
    }

    fn line(&self) -> String {
        self.editor.line().to_string()
    }
}

/// What a character is drawn as.
fn seen(character: char) -> char {
    if character.width() == Some(1) { character } else { '�' }
}

/// The line after typing `bytes`, with `|` where the cursor is.
#[track_caller]
fn expect(bytes: &[u8], wanted: &str) {
    let mut desk = Desk::new(60);
    desk.push(bytes);
    let line: Vec<char> = desk.line().chars().collect();
    let (before, behind) = line.split_at(desk.editor.cursor());
    let found: String = before.iter().chain(&['|']).chain(behind).collect();
    assert_eq!(found, wanted, "{}", bytes.escape_ascii());
    assert_eq!(desk.terminal.shown(), format!("{PROMPT}{}", desk.line()).trim_end());
    assert_eq!(desk.terminal.column, PROMPT.len() + before.len());
}

#[test]
fn keys_edit_as_they_do_everywhere() {
    expect(b"abd\x1b[Dc", "abc|d");
    expect(b"abc\x01X\x05Y", "XabcY|");
    expect(b"abc\x1b[H\x1b[3~", "|bc");
    expect(b"abc\x1bOH\x04\x1bOF\x7f", "b|");
    expect(b"ab cd ef\x1b[1;5D\x1b[1;5D\x0b", "ab |");
    expect(b"ab cd\x17", "ab |");
    expect(b"ab cd\x15", "|");
    expect(b"ab\x02\x15\x05\x19", "ba|");
    expect(b"ab cd\x1bb\x1bd", "ab |");
    expect(b"acb\x14", "abc|");
    expect(b"bac\x01\x06\x14", "ab|c");
    expect("grün\x02\x08".as_bytes(), "gr|n");
    expect(b"ab\x0c", "ab|");
    expect(b"\x7f\x04\x14\x17\x0b\x1b[C\x1b[D", "|");
}

#[test]
fn characters_of_two_columns_or_none_are_drawn_in_one_and_kept_as_they_are() {
    let mut desk = Desk::new(60);
    desk.push("漢e\u{301}\u{200b}x\x1b[D".as_bytes());
    assert_eq!((desk.terminal.shown().as_str(), desk.terminal.column), ("> �e��x", PROMPT.len() + 4));
    assert_eq!(desk.line(), "漢e\u{301}\u{200b}x");
}

#[test]
fn enter_ends_the_line_and_ctrl_c_gives_it_up() {
    let mut desk = Desk::new(60);
    assert_eq!(desk.push(b"log\r"), Event::Line);
    assert_eq!(desk.line(), "log");
    desk.begin();
    assert_eq!(desk.push(b"x\x03"), Event::Interrupted);
    desk.begin();
    assert_eq!(desk.push(b"\x04"), Event::End);
    assert_eq!(desk.terminal.above, ["> log", "> x^C", ">"]);
}

#[test]
fn earlier_lines_come_back_and_so_does_what_was_being_typed() {
    let mut desk = Desk::new(60);
    desk.enter("first");
    desk.enter("second");
    desk.push(b"thi\x1b[A");
    assert_eq!(desk.line(), "second");
    desk.push(b"\x1bOA\x1b[A");
    assert_eq!(desk.line(), "first");
    desk.push(b"\x1b[B\x1b[B");
    assert_eq!(desk.line(), "thi");
    desk.push(b"\x1b[B");
    assert_eq!((desk.line().as_str(), desk.terminal.shown().as_str()), ("thi", "> thi"));
}

#[test]
fn a_search_finds_earlier_lines() {
    let mut desk = Desk::new(60);
    ["memory map", "log debug", "memory heap"].into_iter().for_each(|line| desk.enter(line));
    desk.push(b"typed\x12mem");
    assert_eq!(desk.terminal.shown(), "search mem: memory heap");
    desk.push(b"\x12");
    assert_eq!(desk.terminal.shown(), "search mem: memory map");
    desk.push(b"\x01x");
    assert_eq!(desk.terminal.shown(), "> xmemory map");
    desk.push(b"\x15\x0btyped\x12log\x07");
    assert_eq!(desk.line(), "typed");
    assert_eq!(desk.push(b"\x12log\r"), Event::Line);
    assert_eq!(desk.line(), "log debug");
}

#[test]
fn tab_completes_as_far_as_it_can_and_then_lists() {
    expect(b"lo\t", "log |");
    expect(b"me\t", "memo|");
    expect(b"x l\xc3\t", "x l|");
    expect("lö\t".as_bytes(), "löschen |");
    expect(b"q\t", "q|");
    expect(b"lo x\x01\x06\x06\t", "log| x");
    let mut desk = Desk::new(60);
    desk.push(b"memo\t");
    assert_eq!(desk.terminal.above, ["> memo", "memory  memo"]);
    assert_eq!(desk.terminal.shown(), "> memo");
}

#[test]
fn a_line_has_as_many_bytes_as_fit() {
    let mut desk = Desk::new(60);
    desk.push("é".repeat(500).as_bytes());
    assert_eq!(desk.line().len(), super::history::LINE_BYTES);
    desk.push(b"a\x01b");
    assert_eq!(desk.line(), "é".repeat(128));
}

#[test]
fn a_line_longer_than_the_terminal_is_seen_through_a_window() {
    let mut desk = Desk::new(20);
    desk.push(b"0123456789abcdefghijklmnopqrstuvwxyz");
    assert!(desk.terminal.shown().ends_with("xyz"));
    desk.push(b"\x01");
    assert_eq!((desk.terminal.shown().as_str(), desk.terminal.column), ("> 0123456789abcdefg", PROMPT.len()));
    desk.push(b"\x05\x15short");
    assert_eq!(desk.terminal.shown(), "> short");
}

/// A line as a model of it has it.
#[derive(Default)]
struct Model {
    line: Vec<char>,
    cursor: usize,
}

/// Something typed, and what it does to a line.
#[derive(Clone, Debug)]
enum Typed {
    Character(char),
    Left,
    Right,
    Home,
    End,
    Backspace,
    Delete,
    CutBehind,
    CutBefore,
    Swap,
    Clear,
    Unknown,
}

impl Typed {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Character(character) => character.to_string().into_bytes(),
            Self::Left => b"\x1b[D".into(),
            Self::Right => b"\x1bOC".into(),
            Self::Home => b"\x1b[1~".into(),
            Self::End => b"\x05".into(),
            Self::Backspace => b"\x7f".into(),
            Self::Delete => b"\x1b[3~".into(),
            Self::CutBehind => b"\x0b".into(),
            Self::CutBefore => b"\x15".into(),
            Self::Swap => b"\x14".into(),
            Self::Clear => b"\x0c".into(),
            Self::Unknown => b"\x1b[24~".into(),
        }
    }

    fn apply(&self, Model { line, cursor }: &mut Model) {
        match self {
            Self::Character(character) => {
                line.insert(*cursor, *character);
                *cursor += 1;
            }
            Self::Left => *cursor = cursor.saturating_sub(1),
            Self::Right => *cursor = (*cursor + 1).min(line.len()),
            Self::Home => *cursor = 0,
            Self::End => *cursor = line.len(),
            Self::Backspace if *cursor > 0 => {
                *cursor -= 1;
                line.remove(*cursor);
            }
            Self::Delete if *cursor < line.len() => drop(line.remove(*cursor)),
            Self::CutBehind => line.truncate(*cursor),
            Self::CutBefore => {
                line.drain(..*cursor);
                *cursor = 0;
            }
            Self::Swap if line.len() > 1 && *cursor > 0 => {
                let right = (*cursor).min(line.len() - 1);
                line.swap(right - 1, right);
                *cursor = right + 1;
            }
            _ => {}
        }
    }
}

fn typed() -> impl Strategy<Value = Typed> {
    prop_oneof![
        12 => prop::char::ranges(vec!['!'..='~', ' '..=' ', 'à'..='ÿ', 'あ'..='ん'].into()).prop_map(Typed::Character),
        3 => Just(Typed::Left),
        2 => Just(Typed::Right),
        1 => Just(Typed::Home),
        1 => Just(Typed::End),
        2 => Just(Typed::Backspace),
        1 => Just(Typed::Delete),
        1 => prop_oneof![Just(Typed::CutBehind), Just(Typed::CutBefore), Just(Typed::Swap)],
        1 => prop_oneof![Just(Typed::Clear), Just(Typed::Unknown)],
    ]
}

proptest! {
    #[test]
    fn the_editor_does_as_the_model_and_the_terminal_shows_it(
        columns in 4_usize..50,
        keys in prop::collection::vec(typed(), 0..80),
    ) {
        let (mut desk, mut model) = (Desk::new(columns), Model::default());
        let prompt = if columns > PROMPT.len() + 8 { PROMPT } else { "" };
        for key in keys {
            // Without Delete on an empty line, which would be its end.
            prop_assert_eq!(desk.push(&key.bytes()), Event::Pending);
            key.apply(&mut model);
            prop_assert_eq!(desk.line(), model.line.iter().collect::<String>());
            prop_assert_eq!(desk.editor.cursor(), model.cursor);
            // Some stretch of the line that has the cursor in it is seen.
            let shown: Vec<char> = desk.terminal.row.iter().copied().skip(prompt.len()).collect();
            let behind_prompt = desk.terminal.column - prompt.len();
            let first = model.cursor - behind_prompt;
            let room = columns - prompt.len() - 1;
            let mut wanted: Vec<char> = model.line.iter().map(|character| seen(*character)).skip(first).take(room).collect();
            wanted.resize(room + 1, ' ');
            prop_assert_eq!(shown, wanted);
            prop_assert!(first == 0 || model.line.len() > room);
        }
    }

    #[test]
    fn no_bytes_whatever_do_harm(
        columns in 0_usize..40,
        bytes in prop::collection::vec(prop_oneof![3 => any::<u8>(), 2 => 0_u8..0x20, 1 => Just(b'm')], 0..400),
    ) {
        let mut editor = LineEditor::new(PROMPT);
        let mut sent = Vec::new();
        editor.begin(columns, &mut |bytes| sent.extend(bytes));
        for byte in bytes {
            if editor.push(byte, &mut |bytes| sent.extend(bytes), &mut Commands) != Event::Pending {
                editor.begin(columns, &mut |bytes| sent.extend(bytes));
            }
            prop_assert!(editor.cursor() <= editor.line().chars().count());
        }
        prop_assert!(String::from_utf8(sent).is_ok());
    }
}
