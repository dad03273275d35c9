//! Waiting for several files at once: what poll(2) and select(2) have in common, and the bit sets of the latter.
//!
//! The layer above calls [`PollSet::watch`], then [`PollSet::evaluate`], sleeps if that found nothing, and does all that again
//! when it is woken.

use crate::errno::Errno;
use crate::fs::open_file::OpenFile;
use crate::fs::{File, Readiness};
use crate::sync::{WaitQueue, Waiter};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::Waker;

/// An open file that somebody watches: the open description, so that what is watched ends with its last descriptor, even if
/// what it opened (a terminal, say) goes on.
pub trait Watched: Send + Sync {
    /// The file.
    fn file(&self) -> &dyn File;
}

impl<F: File> Watched for F {
    fn file(&self) -> &dyn File {
        self
    }
}

impl Watched for OpenFile {
    fn file(&self) -> &dyn File {
        &**OpenFile::file(self)
    }
}

/// What is told whether it was asked for or not.
pub const UNASKED: Readiness = Readiness::ERR.union(Readiness::HUP);

/// What `file` is ready for of what is `asked`, and what is told unasked. A kind that never waits is always ready.
pub fn readiness(file: &dyn File, asked: Readiness) -> Readiness {
    let ready = if file.changes().is_some() { file.poll() } else { Readiness::ALWAYS };
    ready & (asked | UNASKED)
}

/// A file of a [`PollSet`].
struct Entry {
    /// None if the descriptor is not open, or is to be ignored.
    file: Option<Arc<dyn Watched>>,
    asked: Readiness,
    found: Readiness,
    waiter: Option<Arc<Waiter>>,
}

impl Entry {
    fn queue(&self) -> Option<&WaitQueue> {
        self.file.as_ref()?.file().changes()
    }
}

/// Files that somebody waits for, in the order of adding.
#[derive(Default)]
pub struct PollSet(Vec<Entry>);

impl PollSet {
    /// No files.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a file, and what is asked of it.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn add(&mut self, file: Arc<dyn Watched>, asked: Readiness) -> Result<(), Errno> {
        self.push(Entry { file: Some(file), asked, found: Readiness::empty(), waiter: None })
    }

    /// Adds a place for a descriptor that is not open, which is told ([`Readiness::NVAL`]).
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn add_missing(&mut self) -> Result<(), Errno> {
        self.push(Entry { file: None, asked: Readiness::empty(), found: Readiness::NVAL, waiter: None })
    }

    /// Adds a place that stays empty: poll(2) ignores negative descriptors.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn add_ignored(&mut self) -> Result<(), Errno> {
        self.push(Entry { file: None, asked: Readiness::empty(), found: Readiness::empty(), waiter: None })
    }

    fn push(&mut self, entry: Entry) -> Result<(), Errno> {
        self.0.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.0.push(entry);
        Ok(())
    }

    /// From now on, `waker` is woken once when something changes. To be called before each look: a wake-up ends it.
    pub fn watch(&mut self, waker: &Waker) {
        for entry in &mut self.0 {
            if entry.waiter.is_none() {
                entry.waiter = Some(Waiter::observer(waker.clone()));
            }
            if let (Some(queue), Some(waiter)) = (entry.queue(), &entry.waiter) {
                queue.add(waiter);
            }
        }
    }

    /// Looks at all files; how many have something to tell.
    pub fn evaluate(&mut self) -> usize {
        for entry in &mut self.0 {
            if let Some(file) = &entry.file {
                entry.found = readiness(file.file(), entry.asked);
            }
        }
        self.0.iter().filter(|entry| !entry.found.is_empty()).count()
    }

    /// What the last look found, in the order of adding.
    pub fn found(&self) -> impl Iterator<Item = Readiness> {
        self.0.iter().map(|entry| entry.found)
    }
}

impl Drop for PollSet {
    fn drop(&mut self) {
        for entry in &self.0 {
            if let (Some(queue), Some(waiter)) = (entry.queue(), &entry.waiter) {
                queue.remove(waiter);
            }
        }
    }
}

/// What select(2) calls ready to be read.
const READABLE: Readiness = Readiness::IN.union(Readiness::RDNORM).union(UNASKED);
/// And to be written.
const WRITABLE: Readiness = Readiness::OUT.union(Readiness::WRNORM).union(Readiness::ERR);

/// Bits of a word.
const WORD: usize = u64::BITS as usize;

/// The three sets of descriptors of select(2): bit n of each is descriptor n. Sets that were not given are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectSets {
    /// Those to be read.
    pub read: Vec<u64>,
    /// Those to be written.
    pub write: Vec<u64>,
    /// Those that something exceptional may happen to.
    pub except: Vec<u64>,
}

impl SelectSets {
    /// Words of each set for descriptors below `count`.
    pub fn words(count: usize) -> usize {
        count.div_ceil(WORD)
    }

    /// The descriptors below `count` that are in any set, and what each is asked for.
    pub fn asked(&self, count: usize) -> impl Iterator<Item = (usize, Readiness)> {
        (0..count).filter_map(|descriptor| {
            let mut asked = Readiness::empty();
            asked.set(READABLE, has(&self.read, descriptor));
            asked |= if has(&self.write, descriptor) { WRITABLE } else { Readiness::empty() };
            asked |= if has(&self.except, descriptor) { Readiness::PRI } else { Readiness::empty() };
            (!asked.is_empty()).then_some((descriptor, asked))
        })
    }

    /// Leaves only what is ready, and answers how many bits that is. `found` has what each of [`SelectSets::asked`] is ready
    /// for, in the same order.
    pub fn keep(&mut self, count: usize, found: impl IntoIterator<Item = Readiness>) -> usize {
        let mut found = found.into_iter();
        let mut kept = 0_usize;
        for descriptor in 0..self.longest().saturating_mul(WORD) {
            let is_in_one = [&self.read, &self.write, &self.except].iter().any(|set| has(set, descriptor));
            let ready = if descriptor < count && is_in_one { found.next() } else { None }.unwrap_or_default();
            for (set, kind) in
                [(&mut self.read, READABLE), (&mut self.write, WRITABLE), (&mut self.except, Readiness::PRI)]
            {
                if has(set, descriptor) {
                    if ready.intersects(kind) {
                        kept = kept.saturating_add(1);
                    } else if let Some(word) = set.get_mut(descriptor / WORD) {
                        *word &= !(1 << (descriptor % WORD));
                    }
                }
            }
        }
        kept
    }

    fn longest(&self) -> usize {
        self.read.len().max(self.write.len()).max(self.except.len())
    }
}

fn has(set: &[u64], descriptor: usize) -> bool {
    set.get(descriptor / WORD).is_some_and(|word| word & (1 << (descriptor % WORD)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::testing::Bell;
    use crate::ipc::{EventCounter, Pipe};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A file that never waits.
    struct Plain;

    impl File for Plain {
        fn read(&self, _: u64, _: &mut [u8]) -> Result<usize, Errno> {
            Ok(0)
        }

        fn write(&self, _: u64, bytes: &[u8]) -> Result<usize, Errno> {
            Ok(bytes.len())
        }

        fn poll(&self) -> Readiness {
            Readiness::empty()
        }

        fn changes(&self) -> Option<&WaitQueue> {
            None
        }
    }

    #[test]
    fn each_file_tells_what_was_asked_and_failures_unasked() {
        let (reader, writer) = Pipe::pair();
        let mut set = PollSet::new();
        set.add(reader.clone(), Readiness::IN).unwrap();
        set.add(writer, Readiness::IN).unwrap();
        set.add(Arc::new(Plain), Readiness::IN | Readiness::OUT | Readiness::PRI).unwrap();
        set.add_missing().unwrap();
        set.add_ignored().unwrap();
        assert_eq!(set.evaluate(), 2);
        let none = Readiness::empty();
        let always = Readiness::IN | Readiness::OUT;
        assert_eq!(set.found().collect::<Vec<_>>(), [none, none, always, Readiness::NVAL, none]);
        drop(set);
        let (other, writer) = Pipe::pair();
        drop(other);
        assert_eq!(readiness(&*writer, none), Readiness::ERR);
    }

    #[test]
    fn a_change_of_any_file_wakes_and_nothing_is_left_behind() {
        let counters = [EventCounter::new(0, false), EventCounter::new(0, false)];
        let (bell, waker) = Bell::new();
        let mut set = PollSet::new();
        for counter in &counters {
            set.add(counter.clone(), Readiness::IN).unwrap();
        }
        set.watch(&waker);
        assert_eq!(set.evaluate(), 0);
        counters[1].signal();
        assert_eq!((bell.rings(), set.evaluate()), (1, 1));
        counters[1].signal();
        assert_eq!(bell.rings(), 1, "woken once");
        set.watch(&waker);
        counters[0].signal();
        assert_eq!(bell.rings(), 2);
        set.watch(&waker);
        drop(set);
        assert!(counters.iter().all(|counter| counter.changes().unwrap().is_empty()));
    }

    proptest! {
        #[test]
        fn sets_keep_what_is_ready(
            read in prop::collection::vec(any::<u64>(), 0..3), write in prop::collection::vec(any::<u64>(), 0..3),
            except in prop::collection::vec(any::<u64>(), 0..3), count in 0..200_usize, seed: u64
        ) {
            let before = SelectSets { read, write, except };
            let mut after = before.clone();
            let asked: BTreeMap<usize, Readiness> = before.asked(count).collect();
            let ready = |descriptor: usize| {
                let bits = seed.rotate_left(descriptor as u32) as u32;
                Readiness::from_bits_truncate(bits) & asked[&descriptor]
            };
            let kept = after.keep(count, asked.keys().map(|descriptor| ready(*descriptor)));
            let mut expected = 0;
            for descriptor in 0..200 {
                for (old, new, kind) in [
                    (&before.read, &after.read, READABLE),
                    (&before.write, &after.write, WRITABLE),
                    (&before.except, &after.except, Readiness::PRI),
                ] {
                    let stays = descriptor < count && has(old, descriptor) && ready(descriptor).intersects(kind);
                    prop_assert_eq!(has(new, descriptor), stays);
                    expected += usize::from(stays);
                }
            }
            prop_assert_eq!(kept, expected);
        }
    }
}
