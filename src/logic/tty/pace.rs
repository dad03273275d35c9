//! When a screen is drawn: at once as a rule, and not after each write while writes flood in.

use crate::time::Instant;
use core::time::Duration;

/// How long a program's output may wait to be drawn with what follows.
const FRAME: Duration = Duration::from_millis(16);

/// Who wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A program, which may write much in small pieces.
    Program,
    /// The kernel, whose lines should be seen even if the next thing it does is to hang.
    Kernel,
}

/// What to do after a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Draw.
    Now,
    /// Draw then, at the latest, with what is written meanwhile.
    At(Instant),
}

/// When was drawn last, and how long that took.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    ended: Instant,
    took: Duration,
}

impl Pace {
    /// Nothing was drawn yet.
    pub const fn new() -> Self {
        Self { ended: Instant::START, took: Duration::ZERO }
    }

    /// Notes that drawing took from `began` to `ended`.
    pub fn note(&mut self, began: Instant, ended: Instant) {
        *self = Self { ended, took: ended.since(began) };
    }

    /// Whether to draw after a write at `now`. The kernel's lines wait only so long that drawing takes no more than half of the
    /// time, a program's output for a frame too.
    pub fn decide(&self, now: Instant, source: Source) -> Decision {
        let pause = match source {
            Source::Kernel => self.took.min(FRAME),
            Source::Program => self.took.max(FRAME),
        };
        let due = self.ended.after(pause);
        if now >= due { Decision::Now } else { Decision::At(due) }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::START.after(Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_lone_write_is_drawn_at_once_and_a_flood_in_frames() {
        let mut pace = Pace::new();
        assert_eq!(pace.decide(at(100), Source::Program), Decision::Now);
        pace.note(at(100), at(102));
        assert_eq!(pace.decide(at(103), Source::Program), Decision::At(at(118)));
        assert_eq!(pace.decide(at(118), Source::Program), Decision::Now);
    }

    #[test]
    fn the_kernels_lines_wait_no_longer_than_drawing_takes() {
        let mut pace = Pace::new();
        pace.note(at(100), at(102));
        assert_eq!(pace.decide(at(103), Source::Kernel), Decision::At(at(104)));
        assert_eq!(pace.decide(at(104), Source::Kernel), Decision::Now);
        pace.note(at(200), at(300));
        assert_eq!(pace.decide(at(300), Source::Kernel), Decision::At(at(316)));
        assert_eq!(
            pace.decide(at(316), Source::Program),
            Decision::At(at(400)),
            "a slow screen leaves time for others"
        );
    }
}
