//! Which pseudo-terminals there are: /dev/ptmx and /dev/pts.

use super::file_system::Entry;
use super::{Master, Pty};
use crate::errno::Errno;
use crate::fs::attributes::Timestamp;
use crate::fs::credentials::Ownership;
use crate::sync::{IrqLock, Rank};
use crate::tty::requests::SignalSink;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

/// Pseudo-terminals at a time: Linux' /proc/sys/kernel/pty/max.
const MOST: usize = 4096;

/// All pseudo-terminals, by number.
pub struct PseudoTerminals {
    me: Weak<Self>,
    signals: Arc<dyn SignalSink>,
    /// The place is the number. None is free; who has gone, but is still being freed, is not.
    terminals: IrqLock<Vec<Option<Weak<Pty>>>>,
}

impl PseudoTerminals {
    /// None yet. Their signals go to `signals`.
    pub fn new(signals: Arc<dyn SignalSink>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self { me: me.clone(), signals, terminals: IrqLock::new(Rank::File, Vec::new()) })
    }

    /// Opens /dev/ptmx: a new terminal, with the lowest free number, and locked. Its entry in /dev/pts is `owner`'s.
    ///
    /// # Errors
    /// [`Errno::ENOSPC`] if there are too many; [`Errno::ENOMEM`].
    pub fn open(&self, owner: Ownership, now: Timestamp) -> Result<Arc<Master>, Errno> {
        let place = self.take_number()?;
        let number = u32::try_from(place).map_err(|_| Errno::ENOSPC)?;
        let pty = Arc::new(Pty::new(number, Entry::new(owner, now), self.me.clone(), self.signals.clone()));
        if let Some(slot) = self.terminals.lock().get_mut(place) {
            *slot = Some(Arc::downgrade(&pty));
        }
        Ok(Master::new(pty))
    }

    fn take_number(&self) -> Result<usize, Errno> {
        let mut terminals = self.terminals.lock();
        let place = match terminals.iter().position(Option::is_none) {
            Some(place) => place,
            None if terminals.len() >= MOST => return Err(Errno::ENOSPC),
            None => {
                terminals.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                terminals.push(None);
                terminals.len().saturating_sub(1)
            }
        };
        if let Some(slot) = terminals.get_mut(place) {
            *slot = Some(Weak::new());
        }
        Ok(place)
    }

    /// The terminal of that number, as long as its master is open.
    pub fn find(&self, number: u32) -> Option<Arc<Pty>> {
        let pty = {
            let terminals = self.terminals.lock();
            terminals.get(usize::try_from(number).ok()?)?.clone()
        };
        pty?.upgrade().filter(|pty| pty.state.lock().has_master)
    }

    /// The next number from `first` on of a terminal whose master is open: for reading /dev/pts.
    pub fn next(&self, first: u32) -> Option<u32> {
        let last = u32::try_from(self.terminals.lock().len()).unwrap_or(u32::MAX);
        (first..last).find(|number| self.find(*number).is_some())
    }

    pub(super) fn release(&self, number: u32) {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(slot) = self.terminals.lock().get_mut(place) {
            *slot = None;
        }
    }
}
