//! A table by process number, of which only those parts take memory that are in use.

use super::tree::Pid;
use crate::errno::Errno;
use alloc::vec::Vec;

/// Entries of a part.
const PART: usize = 64;

/// Something for each number that is in use.
pub(super) struct PidTable<T> {
    /// A part is empty, or has [`PART`] entries.
    parts: Vec<Vec<Option<T>>>,
}

impl<T> PidTable<T> {
    pub const fn new() -> Self {
        Self { parts: Vec::new() }
    }

    pub fn get(&self, pid: Pid) -> Option<&T> {
        let (part, place) = position(pid);
        self.parts.get(part)?.get(place)?.as_ref()
    }

    pub fn get_mut(&mut self, pid: Pid) -> Option<&mut T> {
        let (part, place) = position(pid);
        self.parts.get_mut(part)?.get_mut(place)?.as_mut()
    }

    /// Puts `value` in the place of `pid`.
    pub fn insert(&mut self, pid: Pid, value: T) -> Result<(), Errno> {
        let (part, place) = position(pid);
        if part >= self.parts.len() {
            self.parts.try_reserve(part + 1 - self.parts.len()).map_err(|_| Errno::ENOMEM)?;
            self.parts.resize_with(part + 1, Vec::new);
        }
        let part = self.parts.get_mut(part).ok_or(Errno::ENOMEM)?;
        if part.is_empty() {
            part.try_reserve_exact(PART).map_err(|_| Errno::ENOMEM)?;
            part.resize_with(PART, || None);
        }
        *part.get_mut(place).ok_or(Errno::ENOMEM)? = Some(value);
        Ok(())
    }

    pub fn remove(&mut self, pid: Pid) -> Option<T> {
        let (part, place) = position(pid);
        let part = self.parts.get_mut(part)?;
        let value = part.get_mut(place)?.take();
        if part.iter().all(Option::is_none) {
            *part = Vec::new();
        }
        value
    }

    /// All entries, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Pid, &T)> {
        self.iter_from(0)
    }

    /// The entries whose numbers are at least `from`, in their order.
    pub fn iter_from(&self, from: u32) -> impl Iterator<Item = (Pid, &T)> {
        let from = from as usize;
        let places = self.parts.iter().enumerate().skip(from / PART).flat_map(|(part, entries)| {
            entries.iter().enumerate().map(move |(place, entry)| (part * PART + place, entry))
        });
        places
            .filter(move |(number, _)| *number >= from)
            .filter_map(|(number, entry)| Some((Pid::new(u32::try_from(number).ok()?)?, entry.as_ref()?)))
    }
}

fn position(pid: Pid) -> (usize, usize) {
    let number = pid.number() as usize;
    (number / PART, number % PART)
}
