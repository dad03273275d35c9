//! How much of what is limited by user each user has: `RLIMIT_NPROC`, `RLIMIT_SIGPENDING`.

use crate::errno::Errno;
use alloc::vec::Vec;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Threads, by their real user.
    Threads,
    /// Queued signals, by the real user of who receives them.
    Signals,
}

/// What users have. Who has nothing takes no memory.
#[derive(Debug, Default)]
pub struct UserCounts {
    /// In the order of users.
    users: Vec<User>,
}

#[derive(Debug)]
struct User {
    number: u32,
    threads: u64,
    signals: u64,
}

impl UserCounts {
    /// Nobody has anything.
    pub const fn new() -> Self {
        Self { users: Vec::new() }
    }

    /// How much a user has.
    pub fn get(&self, user: u32, what: Counted) -> u64 {
        self.users.binary_search_by_key(&user, |user| user.number).map_or(0, |index| match what {
            Counted::Threads => self.users[index].threads,
            Counted::Signals => self.users[index].signals,
        })
    }

    /// A user gets one more, if that does not exceed `limit`.
    ///
    /// # Errors
    /// [`Errno::EAGAIN`] if it does; [`Errno::ENOMEM`].
    pub fn add(&mut self, user: u32, what: Counted, limit: u64) -> Result<(), Errno> {
        if self.get(user, what) >= limit {
            return Err(Errno::EAGAIN);
        }
        let index = match self.users.binary_search_by_key(&user, |user| user.number) {
            Ok(index) => index,
            Err(index) => {
                self.users.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                self.users.insert(index, User { number: user, threads: 0, signals: 0 });
                index
            }
        };
        *self.users[index].count(what) += 1;
        Ok(())
    }

    /// A user has some less.
    pub fn remove(&mut self, user: u32, what: Counted, count: u64) {
        let Ok(index) = self.users.binary_search_by_key(&user, |user| user.number) else { return };
        let entry = &mut self.users[index];
        let left = entry.count(what).saturating_sub(count);
        *entry.count(what) = left;
        if entry.threads == 0 && entry.signals == 0 {
            self.users.remove(index);
        }
    }
}

impl User {
    fn count(&mut self, what: Counted) -> &mut u64 {
        match what {
            Counted::Threads => &mut self.threads,
            Counted::Signals => &mut self.signals,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn users_have_what_they_were_given(
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0_u32..6, 0_u64..5), 0..100),
        ) {
            let mut counts = UserCounts::new();
            let mut model: BTreeMap<(u32, bool), u64> = BTreeMap::new();
            for (is_more, are_threads, user, number) in steps {
                let what = if are_threads { Counted::Threads } else { Counted::Signals };
                let has = model.entry((user, are_threads)).or_default();
                if is_more {
                    let expected = if *has < number { Ok(()) } else { Err(Errno::EAGAIN) };
                    prop_assert_eq!(counts.add(user, what, number), expected);
                    *has += u64::from(expected.is_ok());
                } else {
                    counts.remove(user, what, number);
                    *has = has.saturating_sub(number);
                }
                prop_assert_eq!(counts.get(user, what), *has);
                let has = |user, kind| model.get(&(user, kind)).is_some_and(|has| *has > 0);
                let having = (0..6).filter(|user| has(*user, true) || has(*user, false));
                prop_assert_eq!(counts.users.len(), having.count());
            }
        }
    }
}
