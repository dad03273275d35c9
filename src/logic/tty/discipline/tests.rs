//! The line discipline against a model of it, and what it puts on the screen against a small terminal.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use super::*;
use proptest::prelude::*;

/// What came out.
#[derive(Default)]
struct Output {
    shown: Vec<u8>,
    signals: Vec<Signal>,
}

impl Sink for Output {
    fn show(&mut self, bytes: &[u8]) {
        self.shown.extend(bytes);
    }

    fn signal(&mut self, signal: Signal) {
        self.signals.push(signal);
    }
}

fn cooked() -> Box<Discipline> {
    Box::new(Discipline::new(Termios::cooked()))
}

fn with(change: impl FnOnce(&mut Termios)) -> Box<Discipline> {
    let mut termios = Termios::cooked();
    change(&mut termios);
    Box::new(Discipline::new(termios))
}

/// Types `text`; what the screen gets.
fn echo(discipline: &mut Discipline, text: &str) -> String {
    let mut output = Output::default();
    assert_eq!(discipline.receive(text.as_bytes(), &mut output), text.len());
    String::from_utf8_lossy(&output.shown).into_owned()
}

/// Reads as much as `size` bytes hold.
fn read(discipline: &mut Discipline, size: usize) -> Result<String, ReadOutcome> {
    let mut buffer = vec![0; size];
    match discipline.read(&mut buffer) {
        ReadOutcome::Bytes(count) => Ok(String::from_utf8_lossy(&buffer[..count]).into_owned()),
        other => Err(other),
    }
}

fn line(discipline: &mut Discipline) -> Result<String, ReadOutcome> {
    read(discipline, 2 * CAPACITY)
}

#[test]
fn a_line_is_read_when_it_is_complete() {
    let mut tty = cooked();
    assert_eq!(echo(&mut tty, "ab"), "ab");
    assert_eq!(line(&mut tty), Err(ReadOutcome::WouldBlock));
    assert!(!tty.is_readable());
    assert_eq!(echo(&mut tty, "c\rd"), "c\r\nd");
    assert!(tty.is_readable());
    assert_eq!(line(&mut tty).unwrap(), "abc\n");
    assert_eq!(line(&mut tty), Err(ReadOutcome::WouldBlock));
    echo(&mut tty, "\none\ntwo\n");
    assert_eq!(["d\n", "one\n", "two\n"].map(|_| line(&mut tty).unwrap()), ["d\n", "one\n", "two\n"]);
}

#[test]
fn a_small_buffer_gets_a_line_in_parts() {
    let mut tty = cooked();
    echo(&mut tty, "abcde\n");
    assert_eq!([2, 2, 9].map(|size| read(&mut tty, size).unwrap()), ["ab", "cd", "e\n"]);
    assert_eq!(read(&mut tty, 0).unwrap(), "");
}

#[test]
fn end_of_file_ends_a_line_without_a_byte() {
    let mut tty = cooked();
    assert_eq!(echo(&mut tty, "ab\u{4}"), "ab");
    assert_eq!(line(&mut tty).unwrap(), "ab");
    assert_eq!(line(&mut tty), Err(ReadOutcome::WouldBlock), "it was only pushed");
    echo(&mut tty, "\u{4}x\n");
    assert_eq!(line(&mut tty), Err(ReadOutcome::EndOfFile));
    assert_eq!(line(&mut tty).unwrap(), "x\n");
    echo(&mut tty, "ab\u{4}\u{4}");
    assert_eq!(read(&mut tty, 2).unwrap(), "ab", "a buffer that is just full");
    assert_eq!(read(&mut tty, 2), Err(ReadOutcome::EndOfFile), "the second one");
    assert_eq!(read(&mut tty, 2), Err(ReadOutcome::WouldBlock));
}

#[test]
fn erasing_takes_whole_characters_off_line_and_screen() {
    for (typed, shown, left) in [
        ("ab\u{7f}", "ab\u{8} \u{8}", "a"),
        ("aé\u{7f}", "aé\u{8} \u{8}", "a"),
        ("a漢\u{7f}", "a漢\u{8} \u{8}\u{8} \u{8}", "a"),
        ("a\u{1}\u{7f}", "a^A\u{8} \u{8}\u{8} \u{8}", "a"),
        ("\u{7f}\u{7f}x", "x", "x"),
        ("one two_3.  \u{17}", &("one two_3.  ".to_owned() + &"\u{8} \u{8}".repeat(8)), "one "),
        ("abc\u{15}d", "abc\u{8} \u{8}\u{8} \u{8}\u{8} \u{8}d", "d"),
        ("abcdef\t\u{7f}", "abcdef\t\u{8} \u{8}\u{8} \u{8}", "abcdef"),
    ] {
        let mut tty = cooked();
        assert_eq!(echo(&mut tty, typed), shown, "{typed:?}");
        echo(&mut tty, "\n");
        assert_eq!(line(&mut tty).unwrap(), format!("{left}\n"), "{typed:?}");
    }
}

#[test]
fn erasing_does_not_reach_into_the_line_before() {
    let mut tty = cooked();
    assert_eq!(echo(&mut tty, "ab\n\u{7f}\u{17}\u{15}c\n"), "ab\r\nc\r\n");
    assert_eq!([(); 2].map(|()| line(&mut tty).unwrap()), ["ab\n", "c\n"]);
}

#[test]
fn a_tab_is_erased_from_where_the_line_began() {
    let mut tty = cooked();
    let mut output = Output::default();
    tty.process_output(b"prompt> ", &mut output);
    assert_eq!(echo(&mut tty, "a\t\u{7f}"), format!("a\t{}", "\u{8} \u{8}".repeat(7)));
}

#[test]
fn without_utf8_erasing_takes_bytes() {
    let mut tty = with(|termios| termios.input -= InputFlags::IUTF8);
    echo(&mut tty, "é\u{7f}\n");
    let mut buffer = [0; 9];
    assert_eq!(tty.read(&mut buffer), ReadOutcome::Bytes(2));
    assert_eq!(buffer[..2], [0xc3, b'\n']);
}

#[test]
fn flags_choose_how_editing_looks() {
    let mut plain = with(|termios| termios.local -= LocalFlags::ECHOE | LocalFlags::ECHOKE);
    assert_eq!(echo(&mut plain, "ab\u{7f}\u{15}"), "ab^?^U\r\n");
    let mut silent = with(|termios| termios.local -= LocalFlags::ECHO);
    assert_eq!(echo(&mut silent, "ab\u{7f}\u{17}x\n"), "");
    assert_eq!(line(&mut silent).unwrap(), "x\n");
    let mut password = with(|termios| {
        termios.local -= LocalFlags::ECHO;
        termios.local |= LocalFlags::ECHONL;
    });
    assert_eq!(echo(&mut password, "secret\n"), "\r\n");
    let mut bare = with(|termios| termios.local -= LocalFlags::ECHOCTL);
    assert_eq!(echo(&mut bare, "a\u{1}"), "a\u{1}");
}

#[test]
fn the_next_character_can_be_taken_literally() {
    let mut tty = cooked();
    assert_eq!(echo(&mut tty, "\u{16}\u{3}\u{16}\u{7f}\u{16}\n"), "^\u{8}^C^\u{8}^?^\u{8}^J");
    echo(&mut tty, "\n");
    assert_eq!(line(&mut tty).unwrap(), "\u{3}\u{7f}\n\n");
}

#[test]
fn the_line_can_be_shown_again() {
    let mut tty = cooked();
    assert_eq!(echo(&mut tty, "ab\u{1}\u{12}"), "ab^A^R\r\nab^A");
    assert_eq!(echo(&mut tty, "\u{15}"), "\u{8} \u{8}".repeat(4));
}

#[test]
fn other_characters_can_end_lines() {
    let mut tty = with(|termios| {
        termios.characters[Special::EndOfLine as usize] = b';';
        termios.characters[Special::EndOfLine2 as usize] = b'!';
    });
    assert_eq!(echo(&mut tty, "a;b!c"), "a;b!c");
    assert_eq!([(); 2].map(|()| line(&mut tty).unwrap()), ["a;", "b!"]);
    assert_eq!(line(&mut tty), Err(ReadOutcome::WouldBlock));
}

#[test]
fn signals_are_raised_and_input_before_them_forgotten() {
    let mut tty = cooked();
    let mut output = Output::default();
    tty.receive(b"line\nab\x03\x1c\x1a", &mut output);
    assert_eq!(output.signals, [Signal::Interrupt, Signal::Quit, Signal::Suspend]);
    assert_eq!(output.shown, b"line\r\nab^C^\\^Z");
    assert_eq!(line(&mut tty), Err(ReadOutcome::WouldBlock));
    let mut keeping = with(|termios| termios.local |= LocalFlags::NOFLSH);
    echo(&mut keeping, "ab\u{3}c\n");
    assert_eq!(line(&mut keeping).unwrap(), "abc\n");
    let mut deaf = with(|termios| termios.local -= LocalFlags::ISIG);
    echo(&mut deaf, "\u{3}\n");
    assert_eq!(line(&mut deaf).unwrap(), "\u{3}\n");
}

#[test]
fn output_can_be_stopped_and_started() {
    let mut tty = cooked();
    let mut output = Output::default();
    tty.receive(b"\x13", &mut output);
    assert_eq!((tty.process_output(b"x", &mut output), tty.is_writable()), (0, false));
    tty.receive(b"\x11", &mut output);
    assert_eq!((tty.process_output(b"x", &mut output), tty.is_writable()), (1, true));
    tty.receive(b"\x13\x03", &mut output);
    assert!(tty.is_writable(), "who is interrupted may say so");
    let mut any = with(|termios| termios.input |= InputFlags::IXANY);
    any.receive(b"\x13a", &mut output);
    assert!(any.is_writable());
    let mut through = with(|termios| termios.input -= InputFlags::IXON);
    echo(&mut through, "\u{13}\n");
    assert_eq!(line(&mut through).unwrap(), "\u{13}\n");
}

#[test]
fn carriage_returns_and_newlines_are_mapped_as_asked() {
    let typed = |input: InputFlags| {
        let mut tty = with(|termios| {
            *termios = termios.raw();
            termios.input = input;
        });
        echo(&mut tty, "\r\n");
        line(&mut tty).unwrap()
    };
    let off = InputFlags::empty();
    for (flags, read) in [
        (off, "\r\n"),
        (InputFlags::ICRNL, "\n\n"),
        (InputFlags::INLCR, "\r\r"),
        (InputFlags::IGNCR, "\n"),
        (InputFlags::ICRNL | InputFlags::INLCR, "\n\r"),
    ] {
        assert_eq!(typed(flags), read, "{flags:?}");
    }
    let mut seven = with(|termios| termios.input |= InputFlags::ISTRIP);
    seven.receive(&[b'a' | 0x80, b'\n'], &mut Output::default());
    assert_eq!(line(&mut seven).unwrap(), "a\n");
}

#[test]
fn output_is_processed_as_asked() {
    let written = |flags: OutputFlags, text: &str| {
        let mut tty = with(|termios| termios.output = flags);
        let mut output = Output::default();
        tty.process_output(text.as_bytes(), &mut output);
        String::from_utf8(output.shown).unwrap()
    };
    let post = OutputFlags::OPOST;
    assert_eq!(written(OutputFlags::ONLCR, "a\nb"), "a\nb", "nothing without OPOST");
    assert_eq!(written(post | OutputFlags::ONLCR, "a\nb\n"), "a\r\nb\r\n");
    assert_eq!(written(post | OutputFlags::OCRNL, "a\rb"), "a\nb");
    assert_eq!(written(post | OutputFlags::ONOCR, "\ra\r\r"), "a\r");
    assert_eq!(written(post | OutputFlags::ONOCR | OutputFlags::ONLRET, "a\n\rb"), "a\nb");
    assert_eq!(written(post | OutputFlags::ONOCR, "a\n\rb"), "a\n\rb");
    assert_eq!(written(post | OutputFlags::XTABS, "ab\tc\t"), "ab      c       ");
}

#[test]
fn raw_bytes_are_read_as_they_come() {
    let mut tty = with(|termios| *termios = termios.raw());
    assert_eq!(echo(&mut tty, "a\u{3}\r\u{4}\u{7f}"), "");
    assert!(tty.is_readable());
    assert_eq!(line(&mut tty).unwrap(), "a\u{3}\r\u{4}\u{7f}");
    assert_eq!(line(&mut tty), Err(ReadOutcome::WouldBlock));
}

#[test]
fn a_raw_read_waits_as_vmin_and_vtime_say() {
    let paced = |minimum, tenths| {
        with(|termios| {
            *termios = termios.raw();
            termios.set_pace(minimum, tenths);
        })
    };
    let time = Some(Duration::from_millis(500));
    let pace = |minimum, total, between_bytes| ReadPace { minimum, total, between_bytes };
    assert_eq!(paced(3, 0).pace(), pace(3, None, None));
    assert_eq!(paced(3, 5).pace(), pace(3, None, time));
    assert_eq!(paced(0, 5).pace(), pace(1, time, None));
    assert_eq!(paced(0, 0).pace(), pace(0, None, None));
    assert_eq!(cooked().pace(), pace(1, None, None));
    assert_eq!(line(&mut paced(0, 0)).unwrap(), "", "which does not wait at all");
    assert_eq!(line(&mut paced(0, 5)), Err(ReadOutcome::WouldBlock));
    let mut three = paced(3, 0);
    echo(&mut three, "ab");
    assert!(!three.is_readable(), "poll waits for three");
    assert_eq!(line(&mut three).unwrap(), "ab", "but who does not want to wait gets two");
}

#[test]
fn what_was_typed_survives_a_change_of_mode() {
    let mut tty = cooked();
    echo(&mut tty, "one\ntwo\u{4}thr");
    let raw = tty.termios().raw();
    tty.set_termios(raw);
    assert_eq!(read(&mut tty, 5).unwrap(), "one\nt");
    tty.set_termios(Termios::cooked());
    assert_eq!([(); 2].map(|()| line(&mut tty).unwrap()), ["wo", "thr"]);
    echo(&mut tty, "\u{4}");
    tty.set_termios(raw);
    assert_eq!(line(&mut tty), Err(ReadOutcome::WouldBlock), "a mark is no byte");
    echo(&mut tty, "x");
    tty.set_termios(Termios::cooked());
    assert_eq!(line(&mut tty).unwrap(), "x");
}

#[test]
fn a_line_has_4096_bytes_with_its_end_and_what_is_more_is_lost() {
    let mut tty = cooked();
    let long = "x".repeat(CAPACITY + 10);
    assert_eq!(echo(&mut tty, &long), "x".repeat(CAPACITY - 1) + &"\u{7}".repeat(11));
    echo(&mut tty, "\u{7f}y\n");
    assert_eq!(line(&mut tty).unwrap(), "x".repeat(CAPACITY - 2) + "y\n");
}

#[test]
fn complete_lines_are_never_lost() {
    let mut tty = cooked();
    let lines = "0123456789\n".repeat(1000);
    let (mut sent, mut received) = (0, String::new());
    while received.len() < lines.len() {
        let taken = tty.receive(&lines.as_bytes()[sent..], &mut Output::default());
        sent += taken;
        received += &line(&mut tty).unwrap();
    }
    assert_eq!(received, lines);
    let mut raw = with(|termios| *termios = termios.raw());
    assert_eq!(raw.receive(&[b'x'; CAPACITY + 1], &mut Output::default()), CAPACITY);
    assert_eq!(read(&mut raw, 10).unwrap().len(), 10);
    assert_eq!(raw.receive(&[b'x'; CAPACITY], &mut Output::default()), 10);
}

#[test]
fn a_program_that_does_not_read_can_be_stopped_and_interrupted() {
    for mut tty in [cooked(), with(|termios| termios.local -= LocalFlags::ICANON)] {
        let mut output = Output::default();
        while tty.receive(b"line\n", &mut output) == 5 {}
        assert_eq!((tty.receive(b"x", &mut output), tty.receive(b"\x13\x11\x13", &mut output)), (0, 3));
        assert!(!tty.is_writable() && output.signals.is_empty());
        assert_eq!(tty.receive(b"\x03new\n", &mut output), 5);
        assert_eq!((line(&mut tty).unwrap().as_str(), output.signals), ("new\n", vec![Signal::Interrupt]));
    }
}

#[test]
fn the_window_has_a_size_and_its_change_is_a_signal() {
    let mut tty = cooked();
    let mut output = Output::default();
    let size = WindowSize { rows: 25, columns: 80, ..WindowSize::default() };
    tty.set_window_size(size, &mut output);
    tty.set_window_size(size, &mut output);
    assert_eq!((tty.window_size(), output.signals), (size, vec![Signal::WindowChanged]));
}

/// A row of a terminal that understands what echo sends: enough to see what a person sees.
fn visible(shown: &[u8]) -> String {
    let (mut cells, mut column): (Vec<String>, usize) = (Vec::new(), 0);
    for character in String::from_utf8_lossy(shown).chars() {
        match character {
            '\u{8}' => column = column.saturating_sub(1),
            '\r' => column = 0,
            '\n' => cells.clear(),
            '\t' => column = (column / 8 + 1) * 8,
            _ => {
                let width = if character == '漢' { 2 } else { 1 };
                cells.resize(cells.len().max(column + width), " ".to_owned());
                cells[column] = character.to_string();
                if width == 2 {
                    cells[column + 1].clear();
                }
                column += width;
            }
        }
    }
    cells.concat().trim_end().to_owned()
}

/// Keys that edit, and some that do not.
fn key() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "a", "b", "_", " ", ".", "é", "漢", "\t", "\u{1}", "\u{7f}", "\u{7f}", "\u{17}", "\u{15}", "\u{16}", "\n",
        "\u{4}",
    ])
}

/// The lines that keys make, in the simplest way.
#[derive(Default)]
struct Model {
    complete: Vec<String>,
    line: Vec<char>,
    literal: bool,
}

impl Model {
    fn press(&mut self, key: &str) {
        let character = key.chars().next().unwrap();
        if std::mem::take(&mut self.literal) {
            return self.line.push(character);
        }
        match character {
            '\u{7f}' => drop(self.line.pop()),
            '\u{15}' => self.line.clear(),
            '\u{16}' => self.literal = true,
            '\u{17}' => {
                let is_word = |character: &char| character.is_alphanumeric() || *character == '_';
                while self.line.pop_if(|last| !is_word(last)).is_some() {}
                while self.line.pop_if(|last| is_word(last)).is_some() {}
            }
            '\n' | '\u{4}' => {
                if character == '\n' {
                    self.line.push('\n');
                }
                self.complete.push(self.line.drain(..).collect());
            }
            _ => self.line.push(character),
        }
    }
}

proptest! {
    #[test]
    fn lines_are_those_of_the_model(keys in proptest::collection::vec(key(), 0..200)) {
        let (mut tty, mut model) = (cooked(), Model::default());
        for key in &keys {
            echo(&mut tty, key);
            model.press(key);
        }
        for expected in &model.complete {
            let found = match line(&mut tty) {
                Err(ReadOutcome::EndOfFile) => String::new(),
                other => other.unwrap(),
            };
            prop_assert_eq!(&found, expected);
        }
        prop_assert_eq!(line(&mut tty), Err(ReadOutcome::WouldBlock));
    }

    #[test]
    fn the_screen_shows_the_line(keys in proptest::collection::vec(key(), 0..60)) {
        // Nothing that leaves the row, or is shown elsewhere than at its end.
        let keys = keys.into_iter().filter(|key| !matches!(*key, "\n" | "\u{4}" | "\u{16}"));
        let (mut tty, mut model, mut shown) = (cooked(), Model::default(), String::new());
        for key in keys {
            shown += &echo(&mut tty, key);
            model.press(key);
        }
        let line: String = model.line.iter().collect();
        prop_assert_eq!(visible(shown.as_bytes()), visible(line.replace('\u{1}', "^A").as_bytes()));
    }

    #[test]
    fn any_settings_and_bytes_are_borne(
        flags in any::<[u32; 3]>(),
        characters in any::<[u8; termios::NCCS]>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        size in 0_usize..20,
    ) {
        let mut tty = with(|termios| {
            termios.input = InputFlags::from_bits_retain(flags[0]);
            termios.output = OutputFlags::from_bits_retain(flags[1]);
            termios.local = LocalFlags::from_bits_retain(flags[2]);
            termios.characters = characters;
        });
        let mut output = Output::default();
        let taken = tty.receive(&bytes, &mut output);
        prop_assert!(taken == bytes.len());
        let mut read = 0;
        while let Ok(text) = self::read(&mut tty, size) {
            if text.is_empty() { break }
            read += 1;
            prop_assert!(read <= bytes.len());
        }
    }
}
