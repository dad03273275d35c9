//! The log in memory that outlives a warm reset, so that the next start can tell what the last one said.
//!
//! Nothing has to be done at the end: every record is complete when it is written, and carries a checksum, so that a start that
//! ended in a panic, at the reset button or by nobody knows what leaves all its records, and memory that has decayed or was
//! written over since yields what is whole of it and nothing else.
//!
//! The memory is four segments. A start writes to two of them in turns, emptying the older when the newer is full; the two with
//! the last start's records are left alone until the next. A segment is a header (magic number, number of the start, number of
//! the segment in it, checksum) and records behind each other (length, a mark, kind, the start's lowest byte, checksum, text). A
//! record's checksum covers also where it belongs, so that what was there before is none. Reading goes on at the next record that is
//! whole, wherever that is; mark and lowest byte make the search cheap, the checksum alone decides.

use arrayvec::ArrayString;
use core::fmt::Write;
use core::ops::Range;
use log::Level;

const SEGMENTS: usize = 4;
const SEGMENT_BYTES: usize = 8 * 1024;
/// Bytes of memory that the log takes.
pub const BYTES: usize = SEGMENTS * SEGMENT_BYTES;

const MAGIC: u32 = u32::from_le_bytes(*b"ErLg");
const HEADER_BYTES: usize = 16;
const RECORD_HEADER_BYTES: usize = 8;
const RECORD_MARK: u8 = 0xa5;
/// Records begin at multiples of this.
const ALIGNMENT: usize = 4;
/// Bytes of a text that are kept.
pub const MAX_TEXT: usize = 240;

/// What a record is, beside its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Said while the kernel ran.
    Ordinary,
    /// Said by a panic.
    Panic,
    /// The last that was said before the machine was reset or switched off on purpose.
    End,
}

/// A record of the last start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// How important it is.
    pub level: Level,
    /// What it is.
    pub kind: Kind,
    /// Its text, in UTF-8 but for a character cut at the end.
    pub text: &'a [u8],
    /// Where the next one is.
    pub next: usize,
}

/// How the last start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// There is no trace of one.
    Unknown,
    /// It was reset or switched off on purpose.
    InOrder,
    /// It panicked.
    Panic,
    /// It just ended.
    Abrupt,
}

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    start: u32,
    sequence: u32,
}

/// The memory: what the last start left in it, and what this one writes.
#[derive(Debug)]
pub struct LastLog<'a> {
    memory: &'a mut [u8],
    /// Segments of the last start, the older one first.
    last: [Option<usize>; 2],
    /// Segments of this start; the first is being written.
    own: [usize; 2],
    header: Header,
    /// Where in the segment the next record goes.
    at: usize,
}

impl<'a> LastLog<'a> {
    /// Finds the last start's log in `memory` and begins this one's. `None` if it is not [`BYTES`] bytes.
    pub fn open(memory: &'a mut [u8]) -> Option<Self> {
        if memory.len() != BYTES {
            return None;
        }
        let headers: [Option<Header>; SEGMENTS] = core::array::from_fn(|segment| read_header(memory, segment));
        // Numbers of starts wrap around, so the newest is the one that no other follows.
        let newest = headers
            .iter()
            .flatten()
            .map(|header| header.start)
            .reduce(|newest, start| if start.wrapping_sub(newest) < u32::MAX / 2 { start } else { newest });
        let is_last = |segment: &usize| {
            newest.is_some() && headers.get(*segment).copied().flatten().map(|header| header.start) == newest
        };
        let mut last = [None, None];
        let mut found = (0..SEGMENTS).filter(is_last);
        for place in &mut last {
            *place = found.next();
        }
        let sequence = |segment: Option<usize>| Some(headers.get(segment?)?.as_ref()?.sequence);
        if let (Some(first), Some(second)) = (sequence(last[0]), sequence(last[1]))
            && second.wrapping_sub(first) > u32::MAX / 2
        {
            last.reverse();
        }
        let mut free = (0..SEGMENTS).filter(|segment| !last.contains(&Some(*segment)));
        let own = [free.next()?, free.next()?];
        let header = Header { start: newest.map_or(1, |newest| newest.wrapping_add(1)), sequence: 0 };
        let mut log = Self { memory, last, own, header, at: 0 };
        log.begin_segment();
        Some(log)
    }

    /// Adds a record, of whose text it keeps the first [`MAX_TEXT`] bytes. Answers the bytes of the memory that have changed.
    pub fn push(&mut self, level: Level, kind: Kind, text: &[u8]) -> [Range<usize>; 2] {
        let text = text.get(..MAX_TEXT).unwrap_or(text);
        let bytes = (RECORD_HEADER_BYTES + text.len()).next_multiple_of(ALIGNMENT);
        let mut changed = [0..0, 0..0];
        if self.at + bytes > SEGMENT_BYTES {
            self.own.reverse();
            self.header.sequence = self.header.sequence.wrapping_add(1);
            changed[1] = self.begin_segment();
        }
        let start = self.own[0] * SEGMENT_BYTES + self.at;
        let kind = level as u8 | (kind as u8) << 4;
        // At most `MAX_TEXT`.
        let [length, _] = (text.len() as u16).to_le_bytes();
        let [start_low, ..] = self.header.start.to_le_bytes();
        let head = [length, RECORD_MARK, kind, start_low];
        let checksum = record_checksum(self.header, self.at, head, text).to_le_bytes();
        if let Some(record) = self.memory.get_mut(start..start + bytes) {
            record[..4].copy_from_slice(&head);
            record[4..RECORD_HEADER_BYTES].copy_from_slice(&checksum);
            record[RECORD_HEADER_BYTES..][..text.len()].copy_from_slice(text);
        }
        self.at += bytes;
        changed[0] = start..start + bytes;
        changed
    }

    /// The first record of the last start at or behind `position` that is whole. The first of all is at 0 or behind, and each tells
    /// where the next one may be.
    pub fn record(&self, position: usize) -> Option<Record<'_>> {
        self.find(position, |_| true)
    }

    /// How the last start ended.
    pub fn end(&self) -> End {
        let mut end = if self.record(0).is_some() { End::Abrupt } else { End::Unknown };
        let mut position = 0;
        while let Some(record) = self.find(position, |kind| kind != Kind::Ordinary) {
            if record.kind == Kind::Panic {
                return End::Panic;
            }
            (end, position) = (End::InOrder, record.next);
        }
        end
    }

    /// What the last start's panic said first: where it was and why. Empty if there was none.
    pub fn panic_message(&self) -> ArrayString<160> {
        let mut message = ArrayString::new();
        let first = self.find(0, |kind| kind == Kind::Panic);
        let second = first.and_then(|first| self.record(first.next)).filter(|record| record.kind == Kind::Panic);
        for record in first.into_iter().chain(second) {
            if !message.is_empty() {
                // What does not fit is cut.
                let _ = message.write_str(": ");
            }
            // A character that was cut is left out.
            let text = record.text.utf8_chunks().next().map_or("", |chunk| chunk.valid()).trim();
            text.chars().take_while(|character| message.try_push(*character).is_ok()).for_each(drop);
        }
        message
    }

    /// The first record at or behind `position` that is of a kind that is wanted, and whole. Others are passed over without a look at
    /// their checksums, which would take most of the time.
    fn find(&self, position: usize, is_wanted: impl Fn(Kind) -> bool) -> Option<Record<'_>> {
        let (mut index, mut at) = (position / SEGMENT_BYTES, (position % SEGMENT_BYTES).max(HEADER_BYTES));
        loop {
            let segment = (*self.last.get(index)?)?;
            let header = read_header(self.memory, segment)?;
            let bytes = self.memory.get(segment * SEGMENT_BYTES..(segment + 1) * SEGMENT_BYTES)?;
            while at < SEGMENT_BYTES {
                at = match read_record(bytes, header, at) {
                    Some(record) if !is_wanted(record.kind) => record.next,
                    Some(record) if is_whole(bytes, header, at, record.text) => {
                        return Some(Record { next: index * SEGMENT_BYTES + record.next, ..record });
                    }
                    _ => at + ALIGNMENT,
                };
            }
            (index, at) = (index + 1, HEADER_BYTES);
        }
    }

    /// Bytes of the memory, such as those that [`Self::push`] tells of.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.memory.get(range).unwrap_or_default()
    }

    fn begin_segment(&mut self) -> Range<usize> {
        let start = self.own[0] * SEGMENT_BYTES;
        let header = self.header;
        let fields = [MAGIC, header.start, header.sequence].map(u32::to_le_bytes);
        let checksum = header_checksum(header).to_le_bytes();
        if let Some(place) = self.memory.get_mut(start..start + HEADER_BYTES) {
            for (place, field) in place.chunks_exact_mut(4).zip(fields.into_iter().chain([checksum])) {
                place.copy_from_slice(&field);
            }
        }
        self.at = HEADER_BYTES;
        start..start + HEADER_BYTES
    }
}

fn read_header(memory: &[u8], segment: usize) -> Option<Header> {
    let word = |index: usize| {
        let bytes = memory.get(segment * SEGMENT_BYTES + 4 * index..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    };
    let header = Header { start: word(1)?, sequence: word(2)? };
    (word(0)? == MAGIC && word(3)? == header_checksum(header)).then_some(header)
}

/// What looks like a record, and may be none.
fn read_record(segment: &[u8], header: Header, at: usize) -> Option<Record<'_>> {
    let bytes = segment.get(at..)?;
    let [length, mark, kind, start_low] = *bytes.first_chunk()?;
    let length = usize::from(length);
    if mark != RECORD_MARK || start_low != header.start.to_le_bytes()[0] || length > MAX_TEXT {
        return None;
    }
    let text = bytes.get(RECORD_HEADER_BYTES..)?.get(..length)?;
    let level = Level::iter().find(|level| *level as u8 == kind & 0xf)?;
    let kind = match kind >> 4 {
        0 => Kind::Ordinary,
        1 => Kind::Panic,
        2 => Kind::End,
        _ => return None,
    };
    let next = at + (RECORD_HEADER_BYTES + length).next_multiple_of(ALIGNMENT);
    Some(Record { level, kind, text, next })
}

/// Whether what looks like a record with this text is one.
fn is_whole(segment: &[u8], header: Header, at: usize, text: &[u8]) -> bool {
    let bytes = segment.get(at..).unwrap_or_default();
    let (Some(head), Some(checksum)) = (bytes.first_chunk(), bytes.get(4..).and_then(<[u8]>::first_chunk)) else {
        return false;
    };
    u32::from_le_bytes(*checksum) == record_checksum(header, at, *head, text)
}

fn header_checksum(header: Header) -> u32 {
    let fields = [MAGIC, header.start, header.sequence].map(u32::to_le_bytes);
    !fields.iter().fold(u32::MAX, |checksum, field| add_to_checksum(checksum, field))
}

fn record_checksum(header: Header, at: usize, head: [u8; 4], text: &[u8]) -> u32 {
    // Positions in a segment are small.
    let place = [header.start, header.sequence, at as u32].map(u32::to_le_bytes);
    let checksum = place.iter().fold(u32::MAX, |checksum, field| add_to_checksum(checksum, field));
    !add_to_checksum(add_to_checksum(checksum, &head), text)
}

/// CRC-32 (IEEE 802.3), a byte at a time: larger tables are not worth their place.
fn add_to_checksum(checksum: u32, bytes: &[u8]) -> u32 {
    static TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut remainder = index as u32;
            let mut bit = 0;
            while bit < 8 {
                remainder = if remainder & 1 == 1 { remainder >> 1 ^ 0xedb8_8320 } else { remainder >> 1 };
                bit += 1;
            }
            table[index] = remainder;
            index += 1;
        }
        table
    };
    bytes.iter().fold(checksum, |checksum, byte| TABLE[usize::from(checksum as u8 ^ byte)] ^ checksum >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(log: &LastLog<'_>) -> Vec<(Level, Kind, String)> {
        let mut records = Vec::new();
        let mut position = 0;
        while let Some(record) = log.record(position) {
            records.push((record.level, record.kind, String::from_utf8(record.text.to_vec()).unwrap()));
            position = record.next;
        }
        records
    }

    fn start(memory: &mut [u8], lines: &[(Kind, &str)]) {
        let mut log = LastLog::open(memory).unwrap();
        for (kind, line) in lines {
            log.push(Level::Info, *kind, line.as_bytes());
        }
    }

    #[test]
    fn checksums_are_crc_32() {
        assert_eq!(!add_to_checksum(u32::MAX, b"123456789"), crc32fast::hash(b"123456789"));
    }

    #[test]
    fn memory_that_has_just_been_switched_on_has_no_log() {
        for byte in [0, 0xff, 0x55] {
            let mut memory = vec![byte; BYTES];
            let log = LastLog::open(&mut memory).unwrap();
            assert_eq!((log.end(), records(&log).len()), (End::Unknown, 0));
        }
        assert!(LastLog::open(&mut [0; 100]).is_none());
    }

    #[test]
    fn a_start_finds_what_the_last_one_said_and_how_it_ended() {
        let mut memory = vec![0; BYTES];
        for (lines, end) in [
            (&[(Kind::Ordinary, "one"), (Kind::Ordinary, "two")][..], End::Abrupt),
            (&[(Kind::Ordinary, "three"), (Kind::Panic, "bad"), (Kind::Ordinary, "more")], End::Panic),
            (&[(Kind::Ordinary, "four"), (Kind::End, "rebooting"), (Kind::Ordinary, "trying")], End::InOrder),
            (&[], End::Unknown),
            (&[(Kind::End, "")], End::InOrder),
        ] {
            start(&mut memory, lines);
            let mut copy = memory.clone();
            let log = LastLog::open(&mut copy).unwrap();
            let expected: Vec<_> = lines.iter().map(|(kind, line)| (Level::Info, *kind, line.to_string())).collect();
            assert_eq!((records(&log), log.end()), (expected, end));
        }
    }

    #[test]
    fn the_last_log_stays_whole_while_this_one_fills_its_memory() {
        let mut memory = vec![0; BYTES];
        start(&mut memory, &[(Kind::Panic, "the end")]);
        let mut log = LastLog::open(&mut memory).unwrap();
        for number in 0..10_000 {
            log.push(Level::Debug, Kind::Ordinary, format!("line {number}").as_bytes());
        }
        assert_eq!(records(&log), [(Level::Info, Kind::Panic, "the end".into())]);
        let log = LastLog::open(&mut memory).unwrap();
        let found = records(&log);
        assert_eq!(found.last().unwrap().2, "line 9999");
        assert!(found.len() > SEGMENT_BYTES / 20, "{}", found.len());
    }

    #[test]
    fn long_texts_are_cut_and_numbers_of_starts_wrap() {
        let mut memory = vec![0; BYTES];
        let mut log = LastLog::open(&mut memory).unwrap();
        log.header.start = u32::MAX;
        log.begin_segment();
        log.push(Level::Error, Kind::Ordinary, &[b'x'; 1000]);
        let mut log = LastLog::open(&mut memory).unwrap();
        assert_eq!((records(&log)[0].2.len(), log.header.start), (MAX_TEXT, 0));
        log.push(Level::Info, Kind::Ordinary, b"after");
        assert_eq!(records(&LastLog::open(&mut memory).unwrap())[0].2, "after");
    }

    #[test]
    fn a_panic_is_told_by_its_place_and_message_whatever_follows() {
        let message = |lines: &[(Kind, &str)]| {
            let mut memory = vec![0; BYTES];
            start(&mut memory, lines);
            LastLog::open(&mut memory).unwrap().panic_message().to_string()
        };
        let place = (Kind::Panic, "kernel panic at src/main.rs:1");
        assert_eq!(message(&[]), "");
        assert_eq!(message(&[(Kind::Ordinary, "fine"), (Kind::End, "rebooting")]), "");
        assert_eq!(message(&[(Kind::Ordinary, "fine"), place]), place.1);
        let all = [place, (Kind::Panic, "  out of luck"), (Kind::Panic, "  | fine"), (Kind::Panic, "rax 1")];
        assert_eq!(message(&all), "kernel panic at src/main.rs:1: out of luck");
        // A long message is cut; it does not give way to what came behind it.
        let long = message(&[place, (Kind::Panic, &"é".repeat(100)), (Kind::Panic, "rax 1")]);
        assert!(
            long.starts_with("kernel panic at src/main.rs:1: éé") && long.len() >= 159 && long.ends_with('é'),
            "{long}"
        );
        // The log cuts within a character.
        let cut = message(&[(Kind::Panic, ""), (Kind::Panic, &"xé".repeat(100))]);
        assert!(cut.starts_with("xéxé"), "{cut}");
    }

    #[test]
    fn damage_before_a_panic_does_not_hide_it() {
        let mut memory = vec![0; BYTES];
        let ordinary = {
            let mut log = LastLog::open(&mut memory).unwrap();
            let [ordinary, _] = log.push(Level::Info, Kind::Ordinary, b"fine");
            for _ in 0..9 {
                log.push(Level::Error, Kind::Panic, b"a line of a panic's many");
            }
            ordinary
        };
        for (at, value) in ordinary.clone().flat_map(|at| (0..=255).map(move |value| (at, value))) {
            let mut memory = memory.clone();
            memory[at] = value;
            let log = LastLog::open(&mut memory).unwrap();
            assert_eq!(log.end(), End::Panic, "byte {at} is {value}");
            assert_eq!(records(&log).iter().filter(|(_, kind, _)| *kind == Kind::Panic).count(), 9);
        }
    }

    proptest! {
        #[test]
        fn what_was_damaged_is_left_out_and_nothing_else_is_made_up(
            lines in prop::collection::vec("[a-z ]{0,60}", 1..300),
            damage in prop::collection::vec((0..BYTES, any::<u8>()), 0..8),
        ) {
            let mut memory = vec![0; BYTES];
            let mut written = Vec::new();
            {
                let mut log = LastLog::open(&mut memory).unwrap();
                for line in &lines {
                    let [record, header] = log.push(Level::Info, Kind::Ordinary, line.as_bytes());
                    let segment = record.start / SEGMENT_BYTES;
                    if !header.is_empty() {
                        written.retain(|(record, _): &(Range<usize>, _)| record.start / SEGMENT_BYTES != segment);
                    }
                    written.push((record, line));
                }
            }
            for (at, byte) in damage {
                let is_header = at % SEGMENT_BYTES < HEADER_BYTES;
                if memory[at] != byte {
                    memory[at] = byte;
                    // A segment whose header is damaged is none.
                    let segment = at / SEGMENT_BYTES;
                    written.retain(|(record, _)| {
                        let text = record.start..record.start + RECORD_HEADER_BYTES + usize::from(memory[record.start]);
                        let is_hit = text.contains(&at);
                        !(is_hit || is_header && record.start / SEGMENT_BYTES == segment)
                    });
                }
            }
            let log = LastLog::open(&mut memory).unwrap();
            let found: Vec<String> = records(&log).into_iter().map(|(_, _, text)| text).collect();
            let expected: Vec<&String> = written.iter().map(|(_, line)| *line).collect();
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn any_memory_will_do(mut memory in prop::collection::vec(any::<u8>(), BYTES), place in 0..SEGMENTS, length: u16) {
            // A header that is right, before records that are not.
            let header = Header { start: 7, sequence: 1 };
            let words = [MAGIC, header.start, header.sequence, header_checksum(header)].map(u32::to_le_bytes).concat();
            memory[place * SEGMENT_BYTES..][..HEADER_BYTES].copy_from_slice(&words);
            memory[place * SEGMENT_BYTES + HEADER_BYTES..][..2].copy_from_slice(&length.to_le_bytes());
            let log = LastLog::open(&mut memory).unwrap();
            prop_assert_eq!(records(&log).len(), 0);
        }
    }
}
