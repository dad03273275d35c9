//! The kernel's command line: words separated by blanks, each a flag (`quiet`) or an option with a value (`log=debug`).

use arrayvec::ArrayString;

/// Bytes of command line that are kept; Linux keeps 2048, GRUB passes at most 1500 or so.
pub const CAPACITY: usize = 1024;

/// An owned command line, cut at [`CAPACITY`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine(ArrayString<CAPACITY>);

impl CommandLine {
    /// Keeps the first [`CAPACITY`] bytes of `text`, cut at a character boundary.
    pub fn new(text: &str) -> Self {
        Self(truncated(text))
    }

    /// The whole line.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of the last `name=value`, if any: later words override earlier ones.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.split_ascii_whitespace().filter_map(|word| word.strip_prefix(name)?.strip_prefix('=')).next_back()
    }
}

/// As much of `text` as fits, cut at a character boundary.
pub(super) fn truncated<const N: usize>(text: &str) -> ArrayString<N> {
    let mut kept = ArrayString::new();
    for character in text.chars() {
        if kept.try_push(character).is_err() {
            break;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_wins_and_prefixes_do_not_match() {
        let line = CommandLine::new("log=info  logs=x log=debug quiet");
        assert_eq!(line.value("log"), Some("debug"));
        assert_eq!(line.value("lo"), None);
        assert_eq!(line.value("quiet"), None);
    }

    #[test]
    fn an_overlong_line_is_cut_at_a_character() {
        let line = CommandLine::new(&"ä".repeat(CAPACITY));
        assert_eq!(line.as_str().len(), CAPACITY);
        let line = CommandLine::new(&("a".to_owned() + &"ä".repeat(CAPACITY)));
        assert_eq!(line.as_str().len(), CAPACITY - 1);
    }
}
