//! What was typed and not read yet: lines that are complete, then the one that is still being edited.

use alloc::vec::Vec;

/// Bytes and marks that are kept, and so the longest line, its end included: Linux' N_TTY_BUF_SIZE.
pub const CAPACITY: usize = 4096;

/// A byte, or the mark that ends a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry(u16);

impl Entry {
    /// With this, a line ends.
    const ENDS_LINE: u16 = 1 << 8;
    /// No byte.
    const MARK: u16 = 1 << 9;
    /// What VEOF leaves: a line ends, and nothing is added to it.
    pub const END_OF_FILE: Self = Self(Self::MARK | Self::ENDS_LINE);

    /// A byte within a line.
    pub const fn byte(byte: u8) -> Self {
        Self(byte as u16)
    }

    /// A byte that ends its line.
    pub const fn last(byte: u8) -> Self {
        Self(byte as u16 | Self::ENDS_LINE)
    }

    /// The byte; none if it is a mark.
    pub fn value(self) -> Option<u8> {
        let [byte, _] = self.0.to_le_bytes();
        (self.0 & Self::MARK == 0).then_some(byte)
    }

    pub fn ends_line(self) -> bool {
        self.0 & Self::ENDS_LINE != 0
    }
}

/// First in, first out; the last may be taken back as long as their line is not complete.
pub struct Queue {
    /// A ring, which takes memory only when there has been something: a terminal that is made fits on a kernel's stack.
    entries: Vec<Entry>,
    /// Where the oldest is.
    first: usize,
    /// How many there are, and how many of them may be read.
    length: usize,
    complete: usize,
}

impl Queue {
    pub const fn new() -> Self {
        Self { entries: Vec::new(), first: 0, length: 0, complete: 0 }
    }

    pub fn length(&self) -> usize {
        self.length
    }

    /// Entries that may be read.
    pub fn complete(&self) -> usize {
        self.complete
    }

    pub fn is_editing(&self) -> bool {
        self.length > self.complete
    }

    /// Adds an entry to the line. False if there is no room.
    pub fn push(&mut self, entry: Entry) -> bool {
        if self.length == CAPACITY || !self.has_ring() {
            return false;
        }
        let place = self.place(self.length);
        if let Some(slot) = self.entries.get_mut(place) {
            *slot = entry;
        }
        self.length = self.length.saturating_add(1);
        true
    }

    /// All that there is may be read.
    pub fn complete_all(&mut self) {
        self.complete = self.length;
    }

    /// Makes a line of all that there is.
    pub fn end_line(&mut self) {
        if let Some(last) = self.length.checked_sub(1) {
            let place = self.place(last);
            if let Some(entry) = self.entries.get_mut(place) {
                entry.0 |= Entry::ENDS_LINE;
            }
        }
        self.complete_all();
    }

    /// The next entry to be read.
    pub fn peek(&self) -> Option<Entry> {
        (self.complete > 0).then(|| self.get(0)).flatten()
    }

    /// Takes the next entry to be read.
    pub fn pop(&mut self) -> Option<Entry> {
        let entry = self.peek()?;
        self.first = self.place(1);
        self.length = self.length.saturating_sub(1);
        self.complete = self.complete.saturating_sub(1);
        Some(entry)
    }

    /// Takes the last byte of the line that is being edited back.
    pub fn take_back(&mut self) -> Option<u8> {
        let last = self.last()?;
        self.length = self.length.saturating_sub(1);
        Some(last)
    }

    /// The last byte of the line that is being edited.
    pub fn last(&self) -> Option<u8> {
        if !self.is_editing() {
            return None;
        }
        self.get(self.length.checked_sub(1)?)?.value()
    }

    /// A byte of the line that is being edited.
    pub fn line_byte(&self, index: usize) -> Option<u8> {
        let index = self.complete.saturating_add(index);
        (index < self.length).then(|| self.get(index)?.value()).flatten()
    }

    /// The bytes of the line that is being edited.
    pub fn line(&self) -> impl Iterator<Item = u8> {
        (0..).map_while(|index| self.line_byte(index))
    }

    pub fn clear(&mut self) {
        (self.length, self.complete) = (0, 0);
    }

    /// Whether there is memory for the ring.
    fn has_ring(&mut self) -> bool {
        if self.entries.is_empty() && self.entries.try_reserve_exact(CAPACITY).is_ok() {
            self.entries.resize(CAPACITY, Entry(0));
        }
        !self.entries.is_empty()
    }

    fn get(&self, index: usize) -> Option<Entry> {
        self.entries.get(self.place(index)).copied()
    }

    fn place(&self, index: usize) -> usize {
        self.first.wrapping_add(index) % CAPACITY
    }
}
