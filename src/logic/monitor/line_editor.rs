//! A line that is edited while it is typed: a state machine over the bytes of a terminal, with history, search and completion.
//!
//! The line takes one row of the terminal, whatever its length: a longer one is seen through a window that follows the cursor.
//! The last column stays empty, so that no terminal wraps; each character takes one column. The cursor is known to be where the last drawing left it; whoever
//! writes between two bytes begins a new row and calls [`LineEditor::redraw`]. Nothing is allocated.

use super::history::{History, LINE_BYTES, LineText};
use super::keys::{Key, KeyDecoder};
use super::words::last_word;
use arrayvec::{ArrayString, ArrayVec};
use core::fmt::Write;
use unicode_width::UnicodeWidthChar;

/// Columns of a terminal that does not say.
const USUAL_COLUMNS: usize = 80;
/// Columns of text that there must be room for beside the prompt; else the prompt is left out.
const LEAST_ROOM: usize = 8;

/// Where the bytes for the terminal go.
pub type Sink<'a> = &'a mut dyn FnMut(&[u8]);

/// Who knows how words go on.
pub trait Completer {
    /// Offers every word that may stand in place of the last one of `before`, which is the line up to the cursor. Those that do
    /// not begin as it does are left out.
    fn complete(&mut self, before: &str, offer: &mut dyn FnMut(&str));
}

/// What a byte has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The line goes on.
    Pending,
    /// It is complete, and to be had by [`LineEditor::line`].
    Line,
    /// Ctrl-C: it is given up.
    Interrupted,
    /// Ctrl-D on an empty line.
    End,
}

/// The editor of one terminal.
pub struct LineEditor {
    prompt: &'static str,
    columns: usize,
    keys: KeyDecoder,
    /// In UTF-8 at most [`LINE_BYTES`] long.
    line: ArrayVec<char, LINE_BYTES>,
    /// At most the line's length.
    cursor: usize,
    /// The first character that is seen.
    first: usize,
    history: History,
    /// How far back the line that is seen was taken from.
    back: Option<usize>,
    /// What was typed before it was taken.
    draft: LineText,
    /// What was cut last.
    cut: LineText,
    search: Option<Search>,
}

/// A search through the history.
struct Search {
    wanted: LineText,
    /// How far back the line that was found is.
    back: usize,
}

impl LineEditor {
    /// An editor with an empty history.
    pub const fn new(prompt: &'static str) -> Self {
        Self {
            prompt,
            columns: USUAL_COLUMNS,
            keys: KeyDecoder::new(),
            line: ArrayVec::new_const(),
            cursor: 0,
            first: 0,
            history: History::new(),
            back: None,
            draft: LineText::new_const(),
            cut: LineText::new_const(),
            search: None,
        }
    }

    /// Begins a line on a terminal of `columns` columns (0 if that is not known), whose cursor is at the start of a row.
    pub fn begin(&mut self, columns: usize, sink: Sink<'_>) {
        self.columns = if columns == 0 { USUAL_COLUMNS } else { columns };
        self.line.clear();
        (self.cursor, self.first, self.back, self.search) = (0, 0, None, None);
        self.redraw(sink);
    }

    /// The line as it is.
    pub fn line(&self) -> LineText {
        text_of(&self.line)
    }

    /// How many characters of the line are before the cursor.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Takes a byte from the terminal.
    pub fn push(&mut self, byte: u8, sink: Sink<'_>, completer: &mut dyn Completer) -> Event {
        let Some(key) = self.keys.push(byte) else { return Event::Pending };
        if self.search.is_some() && self.search_key(key, sink) {
            return Event::Pending;
        }
        match key {
            Key::Enter => {
                sink(b"\n");
                self.history.add(&self.line());
                return Event::Line;
            }
            Key::Control('c') => {
                sink(b"^C\n");
                self.line.clear();
                self.cursor = 0;
                return Event::Interrupted;
            }
            Key::Control('d') if self.line.is_empty() => {
                sink(b"\n");
                return Event::End;
            }
            Key::Character(character) => self.insert_drawn(character, sink),
            Key::Tab => self.complete(sink, completer),
            Key::Control('l') => {
                sink(b"\x1b[H\x1b[2J");
                self.redraw(sink);
            }
            _ => {
                self.edit(key);
                self.redraw(sink);
            }
        }
        Event::Pending
    }

    /// Draws the line anew, in the row that the cursor is in.
    pub fn redraw(&mut self, sink: Sink<'_>) {
        sink(b"\r");
        if let Some(search) = &self.search {
            let row = "search ".chars().chain(search.wanted.chars()).chain(": ".chars());
            draw(row.chain(self.line.iter().copied()).take(self.columns.saturating_sub(1)), sink);
            sink(b"\x1b[K");
            return;
        }
        let (prompt, room) = (self.shown_prompt(), self.room());
        self.follow_cursor();
        sink(prompt.as_bytes());
        draw(self.line.iter().copied().skip(self.first).take(room), sink);
        sink(b"\x1b[K");
        let seen = self.line.len().saturating_sub(self.first).min(room);
        let before_cursor = self.cursor.saturating_sub(self.first);
        if before_cursor < seen {
            sink(b"\r");
            forward(prompt.len().saturating_add(before_cursor), sink);
        }
    }

    /// The prompt, if there is room for it.
    fn shown_prompt(&self) -> &'static str {
        let is_room = self.prompt.len().saturating_add(LEAST_ROOM) < self.columns;
        if is_room { self.prompt } else { "" }
    }

    /// Characters of the line that are seen at a time. The cursor can stand behind the last of them.
    fn room(&self) -> usize {
        self.columns.saturating_sub(self.shown_prompt().len()).saturating_sub(1)
    }

    /// Moves the window if the cursor has left it, or if all fits.
    fn follow_cursor(&mut self) {
        let room = self.room();
        if self.line.len() <= room {
            self.first = 0;
        } else if !(self.first..=self.first.saturating_add(room)).contains(&self.cursor) {
            self.first = self.cursor.saturating_sub(room / 2);
        }
    }

    /// Puts a character in; at the end of the line, and while the window need not move, that is drawn by the character alone.
    fn insert_drawn(&mut self, character: char, sink: Sink<'_>) {
        if !self.insert(character) {
            return;
        }
        let is_seen = self.cursor.saturating_sub(self.first) <= self.room();
        if self.cursor == self.line.len() && is_seen {
            draw([character], sink);
        } else {
            self.redraw(sink);
        }
    }

    /// Whether there was room for it.
    fn insert(&mut self, character: char) -> bool {
        let bytes: usize = self.line.iter().map(|character| character.len_utf8()).sum();
        let fits = bytes.saturating_add(character.len_utf8()) <= LINE_BYTES;
        let inserted = fits && self.line.try_insert(self.cursor, character).is_ok();
        self.cursor = self.cursor.saturating_add(usize::from(inserted));
        inserted
    }

    fn edit(&mut self, key: Key) {
        let length = self.line.len();
        match key {
            Key::Left | Key::Control('b') => self.cursor = self.cursor.saturating_sub(1),
            Key::Right | Key::Control('f') => self.cursor = self.cursor.saturating_add(1).min(length),
            Key::Home | Key::Control('a') => self.cursor = 0,
            Key::End | Key::Control('e') => self.cursor = length,
            Key::WordLeft | Key::Alt('b') => self.cursor = self.word_left(char::is_alphanumeric),
            Key::WordRight | Key::Alt('f') => self.cursor = self.word_right(),
            Key::Backspace if self.cursor > 0 => {
                self.cursor = self.cursor.saturating_sub(1);
                self.line.pop_at(self.cursor);
            }
            Key::Delete | Key::Control('d') => {
                self.line.pop_at(self.cursor);
            }
            Key::Control('k') => self.cut(self.cursor, length),
            Key::Control('u') => self.cut(0, self.cursor),
            Key::Control('w') => self.cut(self.word_left(|character| !character.is_whitespace()), self.cursor),
            Key::Alt('d') => self.cut(self.cursor, self.word_right()),
            Key::Control('y') => {
                let cut = self.cut;
                cut.chars().all(|character| self.insert(character));
            }
            Key::Control('t') => self.swap(),
            Key::Up | Key::Control('p') => self.older(),
            Key::Down | Key::Control('n') => self.newer(),
            Key::Control('r') => {
                self.draft = self.line();
                self.search = Some(Search { wanted: LineText::new(), back: 0 });
            }
            _ => {}
        }
    }

    /// The start of the word before the cursor.
    fn word_left(&self, is_in_word: impl Fn(char) -> bool) -> usize {
        let mut place = self.cursor;
        let before = |place: usize| self.line.get(place.checked_sub(1)?).copied();
        while before(place).is_some_and(|character| !is_in_word(character)) {
            place = place.saturating_sub(1);
        }
        while before(place).is_some_and(&is_in_word) {
            place = place.saturating_sub(1);
        }
        place
    }

    /// The end of the word behind the cursor.
    fn word_right(&self) -> usize {
        let behind = self.line.iter().skip(self.cursor);
        let other = behind.clone().take_while(|character| !character.is_alphanumeric()).count();
        let word = behind.skip(other).take_while(|character| character.is_alphanumeric()).count();
        self.cursor.saturating_add(other).saturating_add(word)
    }

    /// Takes the characters from `start` up to `end` out, and remembers them.
    fn cut(&mut self, start: usize, end: usize) {
        if start < end && end <= self.line.len() {
            let taken: ArrayVec<char, LINE_BYTES> = self.line.drain(start..end).collect();
            self.cut = text_of(&taken);
            self.cursor = start;
        }
    }

    /// Swaps the characters before and under the cursor, at the end of the line the last two, and steps on.
    fn swap(&mut self) {
        let right = self.cursor.min(self.line.len().saturating_sub(1));
        if let Some(left) = right.checked_sub(1) {
            self.line.swap(left, right);
            self.cursor = right.saturating_add(1);
        }
    }

    fn older(&mut self) {
        let back = self.back.map_or(0, |back| back.saturating_add(1));
        let Some(line) = self.history.get(back).copied() else { return };
        if self.back.is_none() {
            self.draft = self.line();
        }
        self.back = Some(back);
        self.replace(&line);
    }

    fn newer(&mut self) {
        let Some(back) = self.back else { return };
        self.back = back.checked_sub(1);
        let line = self.back.and_then(|back| self.history.get(back)).copied().unwrap_or(self.draft);
        self.replace(&line);
    }

    fn replace(&mut self, text: &LineText) {
        self.line = text.chars().collect();
        self.cursor = self.line.len();
    }

    /// A key during a search; false if it ends the search and is to be taken as usual.
    fn search_key(&mut self, key: Key, sink: Sink<'_>) -> bool {
        let Some(search) = &mut self.search else { return false };
        let start = match key {
            Key::Character(character) => {
                // A search for more than fits in a line finds none.
                let _ = search.wanted.try_push(character);
                search.back
            }
            Key::Backspace => {
                search.wanted.pop();
                0
            }
            Key::Control('r') => search.back.saturating_add(1),
            Key::Control('c' | 'g') => {
                self.search = None;
                let draft = self.draft;
                self.replace(&draft);
                self.redraw(sink);
                return true;
            }
            _ => {
                self.search = None;
                self.redraw(sink);
                return false;
            }
        };
        if let Some((back, line)) = self.history.search(&search.wanted, start).filter(|_| !search.wanted.is_empty()) {
            search.back = back;
            let line = *line;
            self.replace(&line);
        }
        self.redraw(sink);
        true
    }

    /// Completes the word before the cursor as far as all that is offered agrees, or shows what is offered.
    fn complete(&mut self, sink: Sink<'_>, completer: &mut dyn Completer) {
        let before: ArrayVec<char, LINE_BYTES> = self.line.iter().copied().take(self.cursor).collect();
        let before = text_of(&before);
        let typed = last_word(&before);
        let (mut count, mut common) = (0_usize, LineText::new());
        completer.complete(&before, &mut |word| {
            let Some(rest) = word.strip_prefix(typed) else { return };
            if count == 0 {
                rest.chars().all(|character| common.try_push(character).is_ok());
            } else {
                let agrees = common.char_indices().zip(rest.chars()).find(|((_, ours), theirs)| ours != theirs);
                let length = agrees.map_or(common.len().min(rest.len()), |((place, _), _)| place);
                common.truncate(length);
            }
            count = count.saturating_add(1);
        });
        let follows_blank = self.line.get(self.cursor).is_some_and(|next| next.is_whitespace());
        let is_listing = count > 1 && common.is_empty();
        common.chars().all(|character| self.insert(character));
        if count == 1 && !follows_blank {
            self.insert(' ');
        }
        if is_listing {
            self.list(&before, sink, completer);
        }
        self.redraw(sink);
    }

    /// Shows all that is offered, below the line; the line is to be drawn again below that.
    fn list(&self, before: &str, sink: Sink<'_>, completer: &mut dyn Completer) {
        let typed = last_word(before);
        let mut column = 0_usize;
        sink(b"\n");
        completer.complete(before, &mut |word| {
            if !word.starts_with(typed) {
                return;
            }
            let width = word.chars().count().saturating_add(2);
            if column > 0 && column.saturating_add(width) > self.columns {
                sink(b"\n");
                column = 0;
            }
            sink(word.as_bytes());
            sink(b"  ");
            column = column.saturating_add(width);
        });
        sink(b"\n");
    }
}

/// As text; a line never has more than fits.
fn text_of(characters: &[char]) -> LineText {
    let mut text = LineText::new();
    characters.iter().all(|character| text.try_push(*character).is_ok());
    text
}

/// Draws each character in one column: those that take two, or none, as a sign of their own.
fn draw(characters: impl IntoIterator<Item = char>, sink: Sink<'_>) {
    for character in characters {
        let shown = if character.width() == Some(1) { character } else { char::REPLACEMENT_CHARACTER };
        sink(shown.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Moves the cursor to the right (CUF).
fn forward(columns: usize, sink: Sink<'_>) {
    let mut sequence = ArrayString::<24>::new();
    // No number is longer than that.
    if columns > 0 && write!(sequence, "\x1b[{columns}C").is_ok() {
        sink(sequence.as_bytes());
    }
}
