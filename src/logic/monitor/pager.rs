//! Output by the page: counts the rows that text takes on a screen, and says when to ask before going on.

use super::keys::Key;

/// What stands on the last row while it asks.
pub const QUESTION: &str = "-- more (Space page, Enter line, q quit) --";

/// Columns between tab stops.
const TAB: usize = 8;

/// What the answer to [`QUESTION`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Output goes on.
    GoOn,
    /// No more output is wanted.
    Quit,
    /// No answer: ask again.
    None,
}

/// Where the output stands.
#[derive(Clone, Debug)]
pub struct Pager {
    columns: usize,
    rows: usize,
    column: usize,
    /// Rows begun since the last answer.
    row: usize,
    /// Rows that may be begun before asking.
    allowed: usize,
}

impl Pager {
    /// For a screen of `columns` by `rows`; with fewer than two of either there is nothing to page.
    pub fn new(columns: usize, rows: usize) -> Self {
        let (columns, rows) = if columns < 2 || rows < 2 { (usize::MAX, usize::MAX) } else { (columns, rows) };
        Self { columns, rows, column: 0, row: 0, allowed: rows.saturating_sub(1) }
    }

    /// How much of `text`, in bytes, may be shown before asking; that is counted as shown. 0 means: ask now.
    pub fn advance(&mut self, text: &str) -> usize {
        for (place, character) in text.char_indices() {
            if self.row >= self.allowed {
                return place;
            }
            match character {
                '\n' => self.next_row(0),
                '\r' => self.column = 0,
                '\t' => {
                    let stop = self.column.checked_div(TAB).unwrap_or(0).saturating_add(1).saturating_mul(TAB);
                    self.column = stop.min(self.columns.saturating_sub(1));
                }
                _ if character.is_control() => {}
                // A row that is full to its end begins the next with the character that follows.
                _ if self.column >= self.columns => {
                    self.next_row(1);
                    if self.row >= self.allowed {
                        // This character is the first of the next page.
                        self.column = 0;
                        return place;
                    }
                }
                _ => self.column = self.column.saturating_add(1),
            }
        }
        text.len()
    }

    /// Takes the answer. The question must be wiped away before output goes on.
    pub fn answer(&mut self, key: Key) -> Answer {
        self.allowed = match key {
            Key::Character(' ') | Key::Right => self.rows.saturating_sub(1),
            Key::Enter | Key::Down => 1,
            Key::Character('q' | 'Q') | Key::Control('c' | 'd') => return Answer::Quit,
            _ => return Answer::None,
        };
        self.row = 0;
        Answer::GoOn
    }

    fn next_row(&mut self, column: usize) {
        self.column = column;
        self.row = self.row.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAGE: Key = Key::Character(' ');

    /// The pages that `text` comes in when each question is answered with `key`.
    fn pages(columns: usize, rows: usize, text: &str, key: Key) -> Vec<String> {
        let mut pager = Pager::new(columns, rows);
        let (mut pages, mut rest) = (vec![String::new()], text);
        while !rest.is_empty() {
            let shown = pager.advance(rest);
            pages.last_mut().unwrap().push_str(&rest[..shown]);
            rest = &rest[shown..];
            if !rest.is_empty() {
                assert_eq!(pager.answer(key), Answer::GoOn);
                pages.push(String::new());
            }
        }
        pages
    }

    #[test]
    fn a_page_leaves_a_row_for_the_question() {
        assert_eq!(pages(80, 4, "1\n2\n3\n4\n5\n6\n7\n", PAGE), ["1\n2\n3\n", "4\n5\n6\n", "7\n"]);
        assert_eq!(pages(80, 4, "1\n2\n3\n4\n5\n", Key::Enter), ["1\n2\n3\n", "4\n", "5\n"]);
        assert_eq!(pages(80, 4, "1\n2\n3\n", PAGE), ["1\n2\n3\n"]);
    }

    #[test]
    fn wrapped_lines_count_as_many_rows_as_they_take() {
        assert_eq!(pages(4, 3, "abcdefghijkl", PAGE), ["abcdefgh", "ijkl"]);
        assert_eq!(pages(4, 3, "abcd\nefgh\nij", PAGE), ["abcd\nefgh\n", "ij"]);
    }

    #[test]
    fn without_a_screen_everything_is_one_page() {
        assert_eq!(pages(0, 0, &"line\n".repeat(500), PAGE).len(), 1);
    }

    #[test]
    fn who_has_seen_enough_quits() {
        let mut pager = Pager::new(80, 2);
        for (key, answer) in [
            (Key::Character('q'), Answer::Quit),
            (Key::Control('c'), Answer::Quit),
            (Key::Character('z'), Answer::None),
            (PAGE, Answer::GoOn),
        ] {
            assert_eq!(pager.answer(key), answer);
        }
    }

    proptest! {
        #[test]
        fn a_page_never_takes_more_rows_than_the_screen_has(
            columns in 2_usize..12,
            rows in 2_usize..6,
            text in "[a-c\n]{0,120}",
            key in prop_oneof![Just(PAGE), Just(Key::Enter)],
        ) {
            let pages = pages(columns, rows, &text, key);
            prop_assert_eq!(pages.concat(), text);
            for page in &pages[..pages.len() - 1] {
                prop_assert!(!page.is_empty());
            }
            for page in pages {
                let ended = page.matches('\n').count();
                let wrapped: usize = page.split('\n').map(|line| line.len().saturating_sub(1) / columns).sum();
                prop_assert!(ended + wrapped < rows, "{page:?}");
            }
        }
    }
}
