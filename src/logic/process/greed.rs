//! Which process has to end when memory runs out: the one with most of it, unless it was told otherwise (`oom_score_adj`,
//! `oom_score` of proc(5)).

use crate::errno::Errno;

/// Thousandths of all memory that a process can be said to have more or less of.
const MOST: i16 = 1000;

/// What a process, its children too, is said to have more of than it has, in thousandths of all memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preference {
    value: i16,
    /// What whoever has no privileges may go down to.
    least: i16,
}

impl Preference {
    /// The number, from -1000 to 1000.
    pub fn value(self) -> i16 {
        self.value
    }

    /// Takes what was written to /proc/PID/oom_score_adj.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if it is no number or too large; [`Errno::EACCES`] if it protects the process and that takes privileges.
    pub fn write(&mut self, text: &[u8], is_privileged: bool) -> Result<(), Errno> {
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        let value: i16 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
        if !(-MOST..=MOST).contains(&value) {
            return Err(Errno::EINVAL);
        }
        if is_privileged {
            self.least = value;
        } else if value < self.least {
            return Err(Errno::EACCES);
        }
        self.value = value;
        Ok(())
    }

    /// What a process is compared by that has `bytes` of `total`: the one with most ends. None: not this one.
    pub fn rank(self, bytes: u64, total: u64) -> Option<i64> {
        if self.value == -MOST {
            return None;
        }
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let more = signed(total / MOST.unsigned_abs() as u64).saturating_mul(self.value.into());
        Some(signed(bytes).saturating_add(more))
    }

    /// The same in thousandths of `total`, from 0 to 1000: /proc/PID/oom_score.
    pub fn score(self, bytes: u64, total: u64) -> i64 {
        let thousandth = i64::try_from(total / MOST.unsigned_abs() as u64).unwrap_or(i64::MAX).max(1);
        (self.rank(bytes, total).unwrap_or(0) / thousandth).clamp(0, MOST.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTAL: u64 = 1_000_000;

    #[test]
    fn who_is_said_to_have_more_ends_first_and_the_protected_never() {
        let mut preference = Preference::default();
        assert_eq!((preference.rank(5000, TOTAL), preference.score(5000, TOTAL)), (Some(5000), 5));
        preference.write(b"500\n", false).unwrap();
        assert_eq!((preference.rank(5000, TOTAL), preference.score(5000, TOTAL)), (Some(505_000), 505));
        preference.write(b"1000", false).unwrap();
        assert_eq!(preference.score(5000, TOTAL), 1000);
        preference.write(b" -999 ", true).unwrap();
        assert_eq!((preference.rank(5000, TOTAL), preference.score(5000, TOTAL)), (Some(-994_000), 0));
        preference.write(b"-1000", true).unwrap();
        assert_eq!((preference.rank(u64::MAX, TOTAL), preference.score(u64::MAX, TOTAL)), (None, 0));
        assert_eq!(Preference::default().score(u64::MAX, 0), 1000);
    }

    #[test]
    fn nonsense_is_refused_and_protection_takes_privileges() {
        let mut preference = Preference::default();
        for text in [&b""[..], b"x", b"1001", b"-1001", b"99999", b"1 2", b"\xff"] {
            assert_eq!(preference.write(text, true), Err(Errno::EINVAL));
        }
        assert_eq!(preference.write(b"-1", false), Err(Errno::EACCES));
        preference.write(b"300", false).unwrap();
        preference.write(b"0", false).unwrap();
        preference.write(b"-200", true).unwrap();
        preference.write(b"100", false).unwrap();
        assert_eq!(preference.write(b"-201", false), Err(Errno::EACCES));
        preference.write(b"-200", false).unwrap();
        assert_eq!(preference.value(), -200);
    }
}
