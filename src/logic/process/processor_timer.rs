//! A timer that counts processor time: setitimer(2), `ITIMER_VIRTUAL` and `ITIMER_PROF`.

/// Such a timer. Times are in nanoseconds; `now` is the processor time that its process has had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessorTimer {
    /// When it expires; 0 is never.
    due_ns: u64,
    interval_ns: u64,
}

impl ProcessorTimer {
    /// One that is not set.
    pub const fn new() -> Self {
        Self { due_ns: 0, interval_ns: 0 }
    }

    /// Sets it to expire after `value_ns`, and every `interval_ns` after that; never if the first is 0.
    pub fn set(&mut self, now_ns: u64, value_ns: u64, interval_ns: u64) {
        let due_ns = if value_ns == 0 { 0 } else { now_ns.saturating_add(value_ns) };
        *self = Self { due_ns, interval_ns };
    }

    /// Whether it will expire.
    pub fn is_set(&self) -> bool {
        self.due_ns != 0
    }

    /// What is left, and the interval; of one that is not set, nothing.
    pub fn left(&self, now_ns: u64) -> (u64, u64) {
        // What is due within the moment is not off yet.
        if self.is_set() { (self.due_ns.saturating_sub(now_ns).max(1), self.interval_ns) } else { (0, 0) }
    }

    /// Whether it has expired, of which it is told once; then it is set to the next time that is to come, if it has an interval.
    pub fn take_expired(&mut self, now_ns: u64) -> bool {
        if !self.is_set() || now_ns < self.due_ns {
            return false;
        }
        self.due_ns = match (now_ns - self.due_ns).checked_div(self.interval_ns) {
            Some(missed) => self.due_ns.saturating_add((missed + 1).saturating_mul(self.interval_ns)),
            None => 0,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_expires_once_without_an_interval() {
        let mut timer = ProcessorTimer::new();
        assert_eq!((timer.is_set(), timer.left(5), timer.take_expired(u64::MAX)), (false, (0, 0), false));
        timer.set(100, 10, 0);
        assert_eq!((timer.is_set(), timer.left(104)), (true, (6, 0)));
        assert!(!timer.take_expired(109));
        assert_eq!(timer.left(110), (1, 0));
        assert!(timer.take_expired(110));
        assert!(!timer.is_set() && !timer.take_expired(200));
    }

    #[test]
    fn it_expires_again_and_again_with_one() {
        let mut timer = ProcessorTimer::new();
        timer.set(100, 10, 4);
        assert!(timer.take_expired(111) && !timer.take_expired(113));
        assert_eq!(timer.left(112), (2, 4));
        assert!(timer.take_expired(114));
        // Those that nobody looked for are one.
        assert!(timer.take_expired(131) && !timer.take_expired(133));
        assert_eq!(timer.left(131), (3, 4));
        timer.set(131, 0, 4);
        assert!(!timer.is_set());
    }

    #[test]
    fn the_farthest_time_is_never_reached_too_early() {
        let mut timer = ProcessorTimer::new();
        timer.set(7, u64::MAX, u64::MAX);
        assert!(!timer.take_expired(u64::MAX - 1));
        assert!(timer.take_expired(u64::MAX) && timer.is_set());
    }
}
