//! Sets of processors, such as those that a thread may run on.

use core::fmt;

/// A processor, counted from 0.
pub type CpuId = usize;

/// Most processors there can be.
pub const MAX_CPUS: usize = 256;

const BITS: usize = u64::BITS as usize;

/// A set of processors. Numbers from [`MAX_CPUS`] on are never in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CpuSet([u64; MAX_CPUS / BITS]);

impl CpuSet {
    /// No processor.
    pub const EMPTY: Self = Self([0; MAX_CPUS / BITS]);

    /// Every processor there can be.
    pub const ALL: Self = Self([u64::MAX; MAX_CPUS / BITS]);

    /// One processor.
    pub fn only(cpu: CpuId) -> Self {
        let mut set = Self::EMPTY;
        set.insert(cpu);
        set
    }

    /// The processors from 0 up to but not including `count`.
    pub fn first(count: usize) -> Self {
        (0..count.min(MAX_CPUS)).collect()
    }

    /// Adds a processor. False if there can be no such processor.
    pub fn insert(&mut self, cpu: CpuId) -> bool {
        self.0.get_mut(cpu / BITS).map(|word| *word |= 1 << (cpu % BITS)).is_some()
    }

    /// Takes a processor out.
    pub fn remove(&mut self, cpu: CpuId) {
        if let Some(word) = self.0.get_mut(cpu / BITS) {
            *word &= !(1 << (cpu % BITS));
        }
    }

    /// Whether `cpu` is in the set.
    pub fn contains(&self, cpu: CpuId) -> bool {
        self.0.get(cpu / BITS).is_some_and(|word| word & 1 << (cpu % BITS) != 0)
    }

    /// The processors that are in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|index| self.0[index] & other.0[index]))
    }

    /// How many processors there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is no processor.
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// The processors, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = CpuId> + '_ {
        (0..MAX_CPUS).filter(|&cpu| self.contains(cpu))
    }

    /// The set as 64-bit words, processor 0 in the lowest bit of the first: the layout of `sched_getaffinity(2)`.
    pub fn words(&self) -> &[u64; MAX_CPUS / BITS] {
        &self.0
    }

    /// The set with these words; those left out are 0.
    pub fn from_words(words: &[u64]) -> Self {
        Self(core::array::from_fn(|index| words.get(index).copied().unwrap_or(0)))
    }
}

impl FromIterator<CpuId> for CpuSet {
    fn from_iter<I: IntoIterator<Item = CpuId>>(cpus: I) -> Self {
        let mut set = Self::EMPTY;
        cpus.into_iter().for_each(|cpu| {
            set.insert(cpu);
        });
        set
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in_and_not_taken_out(
            steps in prop::collection::vec((any::<bool>(), 0_usize..300), 0..100)
        ) {
            let (mut set, mut model) = (CpuSet::EMPTY, BTreeSet::new());
            for (insert, cpu) in steps {
                if insert {
                    prop_assert_eq!(set.insert(cpu), cpu < MAX_CPUS);
                    model.insert(cpu);
                } else {
                    set.remove(cpu);
                    model.remove(&cpu);
                }
            }
            model.retain(|&cpu| cpu < MAX_CPUS);
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(set.is_empty(), model.is_empty());
            prop_assert!(set.iter().eq(model.iter().copied()));
            prop_assert_eq!(CpuSet::from_words(set.words()), set);
        }
    }

    #[test]
    fn sets_meet() {
        assert_eq!(CpuSet::first(70).intersection(&CpuSet::only(69)), CpuSet::only(69));
        assert!(CpuSet::first(69).intersection(&CpuSet::only(69)).is_empty());
        assert_eq!(CpuSet::first(1000), CpuSet::ALL);
        assert!(!CpuSet::ALL.contains(MAX_CPUS));
    }
}
