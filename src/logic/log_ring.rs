//! The log's memory: a ring of bytes that keeps the newest whole records.
//!
//! A record is a level and a line of text; it is stored as one byte of level, the text, and a newline.

use core::fmt::{self, Write};
use log::Level;

/// The newest records that fit in `N` bytes.
pub struct LogRing<const N: usize> {
    bytes: [u8; N],
    /// Where the oldest record starts.
    start: usize,
    /// Bytes in use.
    length: usize,
    /// Bytes that were dropped so far.
    dropped: u64,
}

impl<const N: usize> LogRing<N> {
    /// An empty ring.
    pub const fn new() -> Self {
        Self { bytes: [0; N], start: 0, length: 0, dropped: 0 }
    }

    /// Adds a record, dropping the oldest ones to make room. A newline in the text becomes a blank; a text longer than
    /// the ring keeps its end. Answers the record's position, for [`LogRing::newest_at`].
    pub fn push(&mut self, level: Level, text: fmt::Arguments<'_>) -> u64 {
        let position = self.dropped + self.length as u64;
        self.push_byte(level as u8);
        // The ring's own Write never fails; a Display that does has said what it could.
        let _ = Text(self).write_fmt(text);
        self.push_byte(b'\n');
        position
    }

    /// The records, oldest first, each as its level and the pieces of its text.
    pub fn records(&self) -> impl Iterator<Item = (Level, impl Iterator<Item = u8>)> {
        let mut position = 0;
        core::iter::from_fn(move || {
            if position >= self.length {
                return None;
            }
            let begin = position;
            // The newest record has no newline while it is being pushed, which is when a panic may come to read it.
            while position < self.length && self.at(position) != b'\n' {
                position += 1;
            }
            let end = position;
            position += 1;
            Some((level_of(self.at(begin)), (begin + 1..end).map(|index| self.at(index))))
        })
    }

    /// The newest `count` records, oldest of them first, as [`LogRing::records`] gives them.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = (Level, impl Iterator<Item = u8>)> {
        self.records().skip(self.records().count().saturating_sub(count))
    }

    /// The first record at or behind `position`, and the position behind it. Positions count all bytes ever stored, so that they
    /// keep their meaning while records come and go: whoever reads on from one misses only what was dropped.
    pub fn record_from(&self, position: u64) -> Option<(Level, impl Iterator<Item = u8>, u64)> {
        let begin = usize::try_from(position.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        if begin >= self.length {
            return None;
        }
        let end = (begin..self.length).find(|index| self.at(*index) == b'\n').unwrap_or(self.length);
        let text = (begin + 1..end).map(|index| self.at(index));
        Some((level_of(self.at(begin)), text, self.dropped + end as u64 + 1))
    }

    /// The record that was pushed last, at `position`: its level, and its text in two pieces, of which the second is empty unless the
    /// ring's end is between them. Unlike the others this takes no time to speak of.
    pub fn newest_at(&self, position: u64) -> Option<(Level, [&[u8]; 2])> {
        let begin = usize::try_from(position.saturating_sub(self.dropped)).ok()?;
        // Behind the text is a newline.
        let text = begin.checked_add(1)?..self.length.checked_sub(1)?;
        let (start, end) = (self.start.checked_add(text.start)?, self.start + text.end);
        let first = self.bytes.get(start.min(N)..end.min(N))?;
        let second = self.bytes.get(start.saturating_sub(N)..end.saturating_sub(N))?;
        Some((level_of(self.at(begin)), [first, second]))
    }

    fn at(&self, index: usize) -> u8 {
        self.bytes[(self.start + index) % N]
    }

    fn push_byte(&mut self, byte: u8) {
        if self.length == N {
            self.drop_oldest();
        }
        self.bytes[(self.start + self.length) % N] = byte;
        self.length += 1;
    }

    /// Frees the oldest record or, while one record alone fills the ring, its text's first byte.
    fn drop_oldest(&mut self) {
        let record = (0..self.length).find(|index| self.at(*index) == b'\n').map(|newline| newline + 1);
        let dropped = record.unwrap_or_else(|| {
            let level = self.at(0);
            self.bytes[(self.start + 1) % N] = level;
            1
        });
        self.start = (self.start + dropped) % N;
        self.length -= dropped;
        self.dropped += dropped as u64;
    }
}

impl<const N: usize> Default for LogRing<N> {
    fn default() -> Self {
        Self::new()
    }
}

struct Text<'a, const N: usize>(&'a mut LogRing<N>);

impl<const N: usize> Write for Text<'_, N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0.push_byte(if byte == b'\n' { b' ' } else { byte });
        }
        Ok(())
    }
}

fn level_of(byte: u8) -> Level {
    Level::iter().find(|level| *level as u8 == byte).unwrap_or(Level::Error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts<const N: usize>(ring: &LogRing<N>) -> Vec<(Level, String)> {
        ring.records().map(|(level, text)| (level, String::from_utf8(text.collect()).unwrap())).collect()
    }

    #[test]
    fn the_newest_records_stay_whole() {
        let mut ring = LogRing::<16>::new();
        ring.push(Level::Info, format_args!("one"));
        ring.push(Level::Warn, format_args!("two"));
        ring.push(Level::Debug, format_args!("three\n3"));
        assert_eq!(texts(&ring), [(Level::Warn, "two".into()), (Level::Debug, "three 3".into())]);
    }

    #[test]
    fn the_newest_records_are_found_and_an_unfinished_one_among_them() {
        let mut ring = LogRing::<64>::new();
        for text in ["one", "two", "three"] {
            ring.push(Level::Info, format_args!("{text}"));
        }
        let newest = |ring: &LogRing<64>, count| -> Vec<String> {
            ring.newest(count).map(|(_, text)| String::from_utf8(text.collect()).unwrap()).collect()
        };
        assert_eq!(newest(&ring, 2), ["two", "three"]);
        assert_eq!(newest(&ring, 9), ["one", "two", "three"]);
        ring.push_byte(Level::Warn as u8);
        ring.push_byte(b'f');
        assert_eq!(texts(&ring).last(), Some(&(Level::Warn, "f".into())));
        assert_eq!(LogRing::<8> { length: 3, ..LogRing::new() }.records().count(), 1);
    }

    #[test]
    fn a_text_longer_than_the_ring_keeps_its_level_and_end() {
        let mut ring = LogRing::<8>::new();
        ring.push(Level::Warn, format_args!("abcdefghijkl"));
        assert_eq!(texts(&ring), [(Level::Warn, "ghijkl".into())]);
    }

    #[test]
    fn a_reader_goes_on_where_it_was_whatever_was_dropped() {
        let mut ring = LogRing::<16>::new();
        let read = |ring: &LogRing<16>, position| {
            let (_, text, next) = ring.record_from(position)?;
            Some((String::from_utf8(text.collect()).unwrap(), next))
        };
        ring.push(Level::Info, format_args!("one"));
        ring.push(Level::Info, format_args!("two"));
        let (first, behind) = read(&ring, 0).unwrap();
        ring.push(Level::Info, format_args!("three"));
        assert_eq!(first, "one");
        let (second, behind) = read(&ring, behind).unwrap();
        assert_eq!(second, "two");
        ring.push(Level::Info, format_args!("a long one"));
        let (third, end) = read(&ring, behind).unwrap();
        assert_eq!(third, "a long one");
        assert_eq!(read(&ring, end), None);
        assert_eq!(read(&ring, u64::MAX), None);
    }

    proptest! {
        #[test]
        fn reading_on_gives_what_all_records_are(lines in prop::collection::vec("[a-z]{0,20}", 0..30)) {
            let mut ring = LogRing::<64>::new();
            for line in &lines {
                ring.push(Level::Info, format_args!("{line}"));
            }
            let mut position = 0;
            let mut read = Vec::new();
            while let Some((level, text, next)) = ring.record_from(position) {
                read.push((level, String::from_utf8(text.collect()).unwrap()));
                position = next;
            }
            prop_assert_eq!(read, texts(&ring));
        }

        #[test]
        fn the_newest_record_is_found_where_it_was_pushed(lines in prop::collection::vec("[a-z]{0,80}", 1..30)) {
            let mut ring = LogRing::<64>::new();
            for line in &lines {
                let position = ring.push(Level::Debug, format_args!("{line}"));
                let (level, text) = ring.newest_at(position).unwrap();
                let text = String::from_utf8(text.concat()).unwrap();
                // The end of one that is longer than the ring.
                prop_assert!(level == Level::Debug && line.ends_with(&text) && text.len() == line.len().min(62));
                prop_assert!(ring.newest_at(u64::MAX).is_none() && ring.newest_at(position + 82).is_none());
            }
        }

        #[test]
        fn what_is_kept_is_the_tail_of_what_was_pushed(lines in prop::collection::vec("[a-z]{0,20}", 0..30)) {
            let mut ring = LogRing::<64>::new();
            for line in &lines {
                ring.push(Level::Info, format_args!("{line}"));
            }
            let kept: Vec<String> = texts(&ring).into_iter().map(|(_, text)| text).collect();
            prop_assert_eq!(&kept[..], &lines[lines.len() - kept.len()..]);
            prop_assert!(lines.is_empty() || !kept.is_empty());
        }
    }
}
