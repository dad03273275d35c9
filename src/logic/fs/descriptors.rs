//! The table of open descriptors: small numbers for open descriptions.
//!
//! The table is plain data: its process keeps it under a lock of rank [`crate::sync::Rank::FileTable`]. What closing takes out is
//! handed out, to be dropped without that lock; where it may be much, in batches.

use super::open_file::OpenFile;
use crate::errno::Errno;
use alloc::sync::Arc;
use alloc::vec::Vec;
use arrayvec::ArrayVec;

/// Descriptors that one process may have, whatever its limit says: copying and closing the table stays short work.
pub const MOST_DESCRIPTORS: u32 = 65_536;

/// Descriptions that are closed at a time.
pub const BATCH: usize = 64;

/// Closed descriptions, to be dropped with no lock held.
pub type Closed = ArrayVec<Arc<OpenFile>, BATCH>;

/// A descriptor: an open description, and what is the descriptor's own.
#[derive(Clone)]
pub struct Descriptor {
    /// The description.
    pub open: Arc<OpenFile>,
    /// Whether execve(2) closes it.
    pub close_on_exec: bool,
}

/// Descriptors by number.
#[derive(Default)]
pub struct DescriptorTable {
    slots: Vec<Option<Descriptor>>,
    /// No lower number is free.
    lowest_free: usize,
    open: usize,
}

impl DescriptorTable {
    /// No descriptors.
    pub const fn new() -> Self {
        Self { slots: Vec::new(), lowest_free: 0, open: 0 }
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// A descriptor.
    ///
    /// # Errors
    /// [`Errno::EBADF`].
    pub fn get(&self, number: u32) -> Result<&Descriptor, Errno> {
        self.slots.get(number as usize).and_then(Option::as_ref).ok_or(Errno::EBADF)
    }

    /// The first descriptor from `number` on: for /proc/PID/fd.
    pub fn next(&self, number: u32) -> Option<(u32, &Descriptor)> {
        let rest = self.slots.get(number as usize..)?;
        let (distance, slot) = rest.iter().enumerate().find_map(|(distance, slot)| Some((distance, slot.as_ref()?)))?;
        Some((number.checked_add(u32::try_from(distance).ok()?)?, slot))
    }

    /// Gives the lowest number from `from` on that is free; all are below `limit` (RLIMIT_NOFILE).
    ///
    /// # Errors
    /// [`Errno::EMFILE`]; [`Errno::EINVAL`] if `from` is no number below the limit (F_DUPFD); [`Errno::ENOMEM`].
    pub fn insert(&mut self, descriptor: Descriptor, from: u32, limit: u32) -> Result<u32, Errno> {
        let limit = limit.min(MOST_DESCRIPTORS);
        if from > 0 && from >= limit {
            return Err(Errno::EINVAL);
        }
        let start = self.lowest_free.max(from as usize);
        let taken = self.slots.get(start..).unwrap_or_default().iter().take_while(|slot| slot.is_some()).count();
        let place = start + taken;
        let number = u32::try_from(place).ok().filter(|number| *number < limit).ok_or(Errno::EMFILE)?;
        let replaced = self.set(place, descriptor)?;
        debug_assert!(replaced.is_none(), "the number was free");
        if start == self.lowest_free {
            self.lowest_free = place + 1;
        }
        Ok(number)
    }

    /// Puts a descriptor where it is wanted (dup2(2)); hands out what was there.
    ///
    /// # Errors
    /// [`Errno::EBADF`] if the number is not below the limit; [`Errno::ENOMEM`].
    pub fn replace(&mut self, number: u32, descriptor: Descriptor, limit: u32) -> Result<Option<Arc<OpenFile>>, Errno> {
        if number >= limit.min(MOST_DESCRIPTORS) {
            return Err(Errno::EBADF);
        }
        Ok(self.set(number as usize, descriptor)?.map(|replaced| replaced.open))
    }

    fn set(&mut self, place: usize, descriptor: Descriptor) -> Result<Option<Descriptor>, Errno> {
        if place >= self.slots.len() {
            let more = place + 1 - self.slots.len();
            self.slots.try_reserve(more).map_err(|_| Errno::ENOMEM)?;
            self.slots.resize(place + 1, None);
        }
        let Some(slot) = self.slots.get_mut(place) else { return Err(Errno::ENOMEM) };
        let replaced = slot.replace(descriptor);
        self.open += usize::from(replaced.is_none());
        Ok(replaced)
    }

    /// dup3(2), and dup2(2) but for equal numbers, which that answers itself.
    ///
    /// # Errors
    /// [`Errno::EBADF`], [`Errno::EINVAL`] for equal numbers, [`Errno::ENOMEM`].
    pub fn duplicate_to(
        &mut self,
        number: u32,
        to: u32,
        close_on_exec: bool,
        limit: u32,
    ) -> Result<Option<Arc<OpenFile>>, Errno> {
        if number == to {
            return Err(Errno::EINVAL);
        }
        let open = self.get(number)?.open.clone();
        self.replace(to, Descriptor { open, close_on_exec }, limit)
    }

    /// dup(2), F_DUPFD.
    ///
    /// # Errors
    /// As [`DescriptorTable::insert`]; [`Errno::EBADF`].
    pub fn duplicate(&mut self, number: u32, from: u32, close_on_exec: bool, limit: u32) -> Result<u32, Errno> {
        let open = self.get(number)?.open.clone();
        self.insert(Descriptor { open, close_on_exec }, from, limit)
    }

    /// F_SETFD.
    ///
    /// # Errors
    /// [`Errno::EBADF`].
    pub fn set_close_on_exec(&mut self, number: u32, close_on_exec: bool) -> Result<(), Errno> {
        let slot = self.slots.get_mut(number as usize).and_then(Option::as_mut).ok_or(Errno::EBADF)?;
        slot.close_on_exec = close_on_exec;
        Ok(())
    }

    /// close(2).
    ///
    /// # Errors
    /// [`Errno::EBADF`].
    pub fn close(&mut self, number: u32) -> Result<Arc<OpenFile>, Errno> {
        let slot = self.slots.get_mut(number as usize).and_then(Option::take).ok_or(Errno::EBADF)?;
        self.lowest_free = self.lowest_free.min(number as usize);
        self.open -= 1;
        Ok(slot.open)
    }

    /// close_range(2), from `first` to `last` inclusive: as many as fit a batch. To be called until the batch is not full.
    pub fn close_range(&mut self, first: u32, last: u32) -> Closed {
        self.close_where(first, last, |_| true)
    }

    /// What execve(2) closes: as many as fit a batch. To be called until the batch is not full.
    pub fn close_on_exec(&mut self) -> Closed {
        self.close_where(0, u32::MAX, |descriptor| descriptor.close_on_exec)
    }

    /// Has execve(2) close them (close_range(2), CLOSE_RANGE_CLOEXEC).
    pub fn mark_range(&mut self, first: u32, last: u32) {
        for slot in self.range(first, last).iter_mut().flatten() {
            slot.close_on_exec = true;
        }
    }

    fn range(&mut self, first: u32, last: u32) -> &mut [Option<Descriptor>] {
        let end = (last as usize).saturating_add(1).min(self.slots.len());
        self.slots.get_mut(first as usize..end).unwrap_or_default()
    }

    fn close_where(&mut self, first: u32, last: u32, wanted: impl Fn(&Descriptor) -> bool) -> Closed {
        let mut lowest = None;
        let mut closed = Closed::new();
        for (distance, slot) in self.range(first, last).iter_mut().enumerate() {
            if closed.is_full() {
                break;
            }
            if let Some(descriptor) = slot.take_if(|descriptor| wanted(descriptor)) {
                lowest = lowest.or(Some(first as usize + distance));
                closed.push(descriptor.open);
            }
        }
        self.lowest_free = lowest.map_or(self.lowest_free, |lowest| self.lowest_free.min(lowest));
        self.open -= closed.len();
        closed
    }

    /// The child's table after fork(2): the same descriptions under the same numbers.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn copy(&self) -> Result<Self, Errno> {
        let used = self.slots.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let mut slots = Vec::new();
        slots.try_reserve_exact(used).map_err(|_| Errno::ENOMEM)?;
        slots.extend(self.slots.iter().take(used).cloned());
        Ok(Self { slots, lowest_free: self.lowest_free, open: self.open })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::fake::Tree;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn descriptor(tree: &Tree, close_on_exec: bool) -> Descriptor {
        Descriptor { open: tree.open("/", 0).unwrap(), close_on_exec }
    }

    #[test]
    fn a_full_table_answers_emfile_and_wrong_numbers_ebadf() {
        let tree = Tree::new();
        let mut table = DescriptorTable::new();
        for number in 0..3 {
            assert_eq!(table.insert(descriptor(&tree, false), 0, 3), Ok(number));
        }
        assert_eq!(table.insert(descriptor(&tree, false), 0, 3), Err(Errno::EMFILE));
        assert_eq!(table.duplicate(1, 3, false, 3), Err(Errno::EINVAL));
        assert_eq!(table.duplicate(9, 0, false, 9), Err(Errno::EBADF));
        assert_eq!(table.duplicate_to(1, 3, false, 3).err(), Some(Errno::EBADF));
        assert_eq!(table.duplicate_to(1, 1, false, 3).err(), Some(Errno::EINVAL));
        assert_eq!(table.close(7).err(), Some(Errno::EBADF));
        assert_eq!(table.set_close_on_exec(u32::MAX, true), Err(Errno::EBADF));
        assert!(table.close(1).is_ok());
        assert_eq!(table.duplicate(0, 0, true, 3), Ok(1));
    }

    #[test]
    fn a_copy_shares_descriptions_and_exec_closes_only_its_own() {
        let tree = Tree::new();
        let mut parent = DescriptorTable::new();
        for number in 0..200 {
            parent.insert(descriptor(&tree, number % 2 == 1), 0, 1000).unwrap();
        }
        let mut child = parent.copy().unwrap();
        let mut batches = vec![child.close_on_exec()];
        while batches.last().is_some_and(ArrayVec::is_full) {
            batches.push(child.close_on_exec());
        }
        assert_eq!(batches.iter().map(ArrayVec::len).sum::<usize>(), 100);
        assert_eq!((parent.len(), child.len()), (200, 100));
        assert!(Arc::ptr_eq(&parent.get(4).unwrap().open, &child.get(4).unwrap().open));
        assert_eq!(child.next(1).map(|(number, _)| number), Some(2));
        assert_eq!(child.next(199).map(|(number, _)| number), None);
    }

    proptest! {
        #[test]
        fn it_is_a_map_that_gives_the_lowest_free_number(
            steps in proptest::collection::vec((0..6_u8, 0..20_u32, 0..20_u32, any::<bool>()), 0..80)
        ) {
            const LIMIT: u32 = 16;
            let tree = Tree::new();
            let mut table = DescriptorTable::new();
            let mut model = BTreeMap::<u32, (u64, bool)>::new();
            for (what, a, b, flag) in steps {
                let lowest = |model: &BTreeMap<u32, _>, from| (from..LIMIT).find(|number| !model.contains_key(number));
                match what {
                    0 | 1 => {
                        let new = descriptor(&tree, flag);
                        let number = new.open.number();
                        let expected = lowest(&model, 0);
                        prop_assert_eq!(table.insert(new, 0, LIMIT).ok(), expected);
                        if let Some(place) = expected {
                            model.insert(place, (number, flag));
                        }
                    }
                    2 => {
                        let expected = model.get(&a).map(|(number, _)| *number).zip(lowest(&model, b));
                        prop_assert_eq!(table.duplicate(a, b, flag, LIMIT).ok(), expected.map(|(_, place)| place));
                        if let Some((number, place)) = expected {
                            model.insert(place, (number, flag));
                        }
                    }
                    3 => {
                        let done = table.duplicate_to(a, b, flag, LIMIT).is_ok();
                        let known = model.get(&a).copied();
                        prop_assert_eq!(done, known.is_some() && b < LIMIT && a != b);
                        if let (true, Some((number, _))) = (done, known) {
                            model.insert(b, (number, flag));
                        }
                    }
                    4 => prop_assert_eq!(table.close(a).ok().map(|open| open.number()), model.remove(&a).map(|(number, _)| number)),
                    _ => {
                        table.close_range(a, b);
                        model.retain(|number, _| !(a..=b).contains(number));
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                for number in 0..20 {
                    let found = table.get(number).ok().map(|found| (found.open.number(), found.close_on_exec));
                    prop_assert_eq!(found, model.get(&number).copied());
                }
            }
        }
    }
}
