//! For how long a device that does nothing is waited for: a while the first time, and not at all from then on, until it does
//! something.

use super::Instant;
use core::time::Duration;

/// How long, whoever waits, and how much of that is over.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    length: Duration,
    /// Looks at the device in all that time, should time stand still.
    most_looks: u32,
    /// Since when it has been waited for.
    since: Option<Instant>,
    looks: u32,
}

impl Patience {
    /// For `length`, or for `most_looks` at the device if those are over first.
    pub const fn new(length: Duration, most_looks: u32) -> Self {
        Self { length, most_looks, since: None, looks: 0 }
    }

    /// The device has done something.
    pub fn renew(&mut self) {
        (self.since, self.looks) = (None, 0);
    }

    /// The device has done nothing, seen at `now`. Whether to look again.
    pub fn lasts(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        self.looks = self.looks.saturating_add(1);
        now.since(since) < self.length && self.looks < self.most_looks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::START.after(Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_device_that_pauses_is_waited_for_and_one_that_is_dead_only_once() {
        let mut patience = Patience::new(Duration::from_millis(500), u32::MAX);
        assert!(patience.lasts(at(1000)) && patience.lasts(at(1499)));
        patience.renew();
        assert!(patience.lasts(at(1500)) && patience.lasts(at(1999)));
        assert!(!patience.lasts(at(2000)));
        assert!(!patience.lasts(at(9000)), "it is as dead as before");
        patience.renew();
        assert!(patience.lasts(at(9001)));
    }

    #[test]
    fn a_clock_that_stands_still_ends_the_wait_too() {
        let mut patience = Patience::new(Duration::from_millis(500), 3);
        assert!(patience.lasts(at(7)) && patience.lasts(at(7)));
        assert!(!patience.lasts(at(7)) && !patience.lasts(at(7)));
    }
}
