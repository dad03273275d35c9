//! Lines of text in memory of a fixed size: the first that fit, or the last.

/// At most `N` bytes of lines, each with its newline.
pub struct Lines<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Lines<N> {
    /// None.
    pub const fn new() -> Self {
        Self { bytes: [0; N], length: 0 }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Adds a line, of the pieces of which it is made, behind the others. False if there is no room for it.
    pub fn push(&mut self, pieces: &[&str]) -> bool {
        let bytes = pieces.iter().fold(1_usize, |bytes, piece| bytes.saturating_add(piece.len()));
        if bytes > N - self.length {
            return false;
        }
        // A line is a line whatever is in it.
        let text = pieces.iter().flat_map(|piece| piece.bytes()).map(|byte| if byte == b'\n' { b' ' } else { byte });
        for (place, byte) in self.bytes.iter_mut().skip(self.length).zip(text.chain([b'\n'])) {
            *place = byte;
        }
        self.length += bytes;
        true
    }

    /// The same at the cost of the first lines. One that is longer than all of the memory is left out.
    pub fn push_newest(&mut self, pieces: &[&str]) {
        while !self.push(pieces) && self.length > 0 {
            let first = self.iter().next().map_or(0, <[u8]>::len);
            self.bytes.copy_within(first..self.length, 0);
            self.length -= first;
        }
    }

    /// The lines with their newlines, first to last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.bytes.get(..self.length).unwrap_or_default().split_inclusive(|byte| *byte == b'\n')
    }
}

impl<const N: usize> Default for Lines<N> {
    fn default() -> Self {
        Self::new()
    }
}
