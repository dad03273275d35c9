//! Who uses which interrupt: the life of a vector from the first sharer of its line to the last.
//!
//! A line is claimed, then its handler added and the hardware told; it is released, then its handler waited for, and only then
//! is its vector forgotten. In between, a line with no sharers keeps its vector, and whoever claims it again gets the same.

use super::routing::Mode;
use super::vectors::{PIC_BASE, VectorAllocator};

/// Where an interrupt comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A global system interrupt: an input of an I/O APIC.
    Gsi(u32),
    /// An interrupt request of the 8259s, 0 to 15.
    Pic(u8),
    /// A message that a device writes to a local APIC.
    Message,
}

/// What a claim got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The vector that the line raises.
    pub vector: u8,
    /// Nobody else has the line: the hardware must be told to deliver it.
    pub is_first: bool,
}

/// Why a line cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimError {
    /// All vectors are in use.
    NoVector,
    /// Somebody has the line, and lines that are edge-triggered or messages cannot be shared.
    InUse,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    source: Source,
    mode: Mode,
    sharers: u16,
}

/// All lines that are in use, by vector.
#[derive(Clone, Debug)]
pub struct LineTable {
    lines: [Option<Line>; 256],
    vectors: VectorAllocator,
}

impl LineTable {
    /// No line is in use.
    pub const fn new() -> Self {
        Self { lines: [None; 256], vectors: VectorAllocator::new() }
    }

    /// One more sharer for the line from `source`.
    ///
    /// # Errors
    /// [`ClaimError`] says which.
    pub fn claim(&mut self, source: Source, mode: Mode) -> Result<Claim, ClaimError> {
        let shared = (0..=u8::MAX).zip(&mut self.lines).find_map(|(vector, line)| {
            let line = line.as_mut().filter(|line| line.source == source && source != Source::Message)?;
            Some((vector, line))
        });
        if let Some((vector, line)) = shared {
            let is_first = line.sharers == 0;
            let can_share = mode.level && mode == line.mode;
            if !is_first && !can_share {
                return Err(ClaimError::InUse);
            }
            line.sharers = line.sharers.checked_add(1).ok_or(ClaimError::InUse)?;
            line.mode = mode;
            return Ok(Claim { vector, is_first });
        }
        let vector = match source {
            Source::Pic(irq) => PIC_BASE + irq % 16,
            Source::Gsi(_) | Source::Message => self.vectors.allocate(1).ok_or(ClaimError::NoVector)?,
        };
        self.lines[usize::from(vector)] = Some(Line { source, mode, sharers: 1 });
        Ok(Claim { vector, is_first: true })
    }

    /// One sharer less for `vector`'s line. Answers where it comes from if that was the last: the hardware must be told to
    /// deliver it no more, and [`forget`](Self::forget) called when its handlers have ended.
    pub fn release(&mut self, vector: u8) -> Option<Source> {
        let line = self.lines[usize::from(vector)].as_mut()?;
        line.sharers = line.sharers.saturating_sub(1);
        (line.sharers == 0).then_some(line.source)
    }

    /// Frees `vector`, unless its line was claimed again since it was released.
    pub fn forget(&mut self, vector: u8) {
        let line = &mut self.lines[usize::from(vector)];
        if line.is_some_and(|line| line.sharers == 0) {
            *line = None;
            self.vectors.release(vector);
        }
    }

    /// Where `vector` comes from, and how.
    pub fn source(&self, vector: u8) -> Option<(Source, Mode)> {
        self.lines[usize::from(vector)].map(|line| (line.source, line.mode))
    }
}

impl Default for LineTable {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn level_triggered_lines_are_shared_until_the_last_sharer_goes() {
        let mut table = LineTable::new();
        let first = table.claim(Source::Gsi(17), Mode::PCI).unwrap();
        assert!(first.is_first);
        assert_eq!(table.claim(Source::Gsi(17), Mode::PCI), Ok(Claim { vector: first.vector, is_first: false }));
        assert_eq!(table.release(first.vector), None);
        assert_eq!(table.release(first.vector), Some(Source::Gsi(17)));
        table.forget(first.vector);
        assert_eq!(table.source(first.vector), None);
    }

    #[test]
    fn edge_triggered_lines_have_one_user_at_a_time() {
        let mut table = LineTable::new();
        let claim = table.claim(Source::Pic(4), Mode::ISA).unwrap();
        assert_eq!(claim, Claim { vector: PIC_BASE + 4, is_first: true });
        assert_eq!(table.claim(Source::Pic(4), Mode::ISA), Err(ClaimError::InUse));
        assert_eq!(table.claim(Source::Pic(4), Mode::PCI), Err(ClaimError::InUse));
        assert_eq!(table.release(claim.vector), Some(Source::Pic(4)));
        assert_eq!(table.claim(Source::Pic(4), Mode::ISA), Ok(claim));
    }

    #[test]
    fn a_line_claimed_while_it_closes_keeps_its_vector() {
        let mut table = LineTable::new();
        let claim = table.claim(Source::Gsi(9), Mode::PCI).unwrap();
        assert!(table.release(claim.vector).is_some());
        assert_eq!(table.claim(Source::Gsi(9), Mode::PCI), Ok(claim));
        table.forget(claim.vector);
        assert_eq!(table.source(claim.vector), Some((Source::Gsi(9), Mode::PCI)));
    }

    #[test]
    fn messages_never_share() {
        let mut table = LineTable::new();
        let one = table.claim(Source::Message, Mode::ISA).unwrap();
        let other = table.claim(Source::Message, Mode::ISA).unwrap();
        assert_ne!(one.vector, other.vector);
        assert!(one.is_first && other.is_first);
        let left = std::iter::from_fn(|| table.claim(Source::Message, Mode::ISA).ok()).count();
        assert_eq!(left, 190);
        assert_eq!(table.claim(Source::Message, Mode::ISA), Err(ClaimError::NoVector));
    }

    #[test]
    fn what_was_never_claimed_can_be_released_in_vain() {
        let mut table = LineTable::new();
        assert_eq!(table.release(0x55), None);
        table.forget(0x55);
    }

    proptest! {
        #[test]
        fn a_vector_belongs_to_one_line(steps in prop::collection::vec((0_u32..8, any::<bool>()), 1..300)) {
            let mut table = LineTable::new();
            let mut held: Vec<(u32, u8)> = Vec::new();
            for (gsi, claim) in steps {
                if claim {
                    let Claim { vector, is_first } = table.claim(Source::Gsi(gsi), Mode::PCI).unwrap();
                    prop_assert_eq!(is_first, !held.iter().any(|(other, _)| *other == gsi));
                    held.push((gsi, vector));
                } else if let Some(at) = held.iter().position(|(other, _)| *other == gsi) {
                    let (_, vector) = held.swap_remove(at);
                    let last = table.release(vector);
                    prop_assert_eq!(last.is_some(), !held.iter().any(|(other, _)| *other == gsi));
                    table.forget(vector);
                }
                for (gsi, vector) in &held {
                    prop_assert_eq!(table.source(*vector), Some((Source::Gsi(*gsi), Mode::PCI)));
                }
            }
        }
    }
}
