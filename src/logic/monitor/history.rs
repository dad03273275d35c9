//! Lines that were entered before.

use arrayvec::{ArrayString, ArrayVec};

/// Lines that are kept.
pub const MAX_LINES: usize = 16;

/// Bytes of a line.
pub const LINE_BYTES: usize = 256;

/// A line of text.
pub type LineText = ArrayString<LINE_BYTES>;

/// The newest lines, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History(ArrayVec<LineText, MAX_LINES>);

impl History {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(ArrayVec::new_const())
    }

    /// Adds a line, unless it is blank or the same as the one before.
    pub fn add(&mut self, line: &LineText) {
        if line.trim().is_empty() || self.0.last() == Some(line) {
            return;
        }
        if self.0.is_full() {
            self.0.remove(0);
        }
        // There is room now.
        let _ = self.0.try_push(*line);
    }

    /// The line that was entered `back` lines ago; 0 is the newest.
    pub fn get(&self, back: usize) -> Option<&LineText> {
        self.0.iter().rev().nth(back)
    }

    /// The newest line from `back` on that contains `text`, and how far back it is.
    pub fn search(&self, text: &str, back: usize) -> Option<(usize, &LineText)> {
        self.0.iter().rev().enumerate().skip(back).find(|(_, line)| line.contains(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> LineText {
        LineText::from(text).unwrap()
    }

    #[test]
    fn the_newest_lines_are_kept_once() {
        let mut history = History::new();
        for text in ["a", "a", " ", "", "b", "a"] {
            history.add(&line(text));
        }
        let kept: Vec<&str> = (0..).map_while(|back| history.get(back)).map(|line| line.as_str()).collect();
        assert_eq!(kept, ["a", "b", "a"]);
        for number in 0..40 {
            history.add(&line(&number.to_string()));
        }
        assert_eq!(history.get(0), Some(&line("39")));
        assert_eq!(history.get(MAX_LINES - 1), Some(&line(&(40 - MAX_LINES).to_string())));
        assert_eq!(history.get(MAX_LINES), None);
    }

    #[test]
    fn a_search_goes_back_from_where_it_is() {
        let mut history = History::new();
        ["memory map", "log", "memory heap"].iter().for_each(|text| history.add(&line(text)));
        assert_eq!(history.search("mem", 0), Some((0, &line("memory heap"))));
        assert_eq!(history.search("mem", 1), Some((2, &line("memory map"))));
        assert_eq!(history.search("mem", 3), None);
    }
}
