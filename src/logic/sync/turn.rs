//! A turn, which one at a time has: a lock for longer than a spinning one may be held.
//!
//! Nothing here waits: who does not get it [lines up](Turn::line_up), and sleeps until the turn is handed over. So nobody waits for
//! ever though others come again and again.

use super::lock::IrqLock;
use super::rank::Rank;
use super::wait_queue::WaitQueue;
use alloc::collections::{TryReserveError, VecDeque};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

/// What only one may do at a time, however long it takes.
pub struct Turn(IrqLock<State>);

struct State {
    is_taken: bool,
    /// Those who wait, in the order of coming.
    line: VecDeque<Arc<Place>>,
}

#[derive(Default)]
struct Place {
    /// The turn was handed over.
    is_called: AtomicBool,
    called: WaitQueue,
}

/// It is one's turn, until this is dropped.
#[must_use = "the turn is over when this is dropped"]
pub struct Taken<'a>(&'a Turn);

/// A place in the line. Who drops it without having [taken](Self::try_take) the turn leaves the line, or hands the turn on.
pub struct InLine<'a> {
    turn: &'a Turn,
    place: Arc<Place>,
    has_taken: AtomicBool,
}

impl Turn {
    /// Nobody's.
    pub const fn new() -> Self {
        Self(IrqLock::new(Rank::File, State { is_taken: false, line: VecDeque::new() }))
    }

    /// The turn, unless somebody has it or waits for it.
    pub fn try_take(&self) -> Option<Taken<'_>> {
        let mut state = self.0.lock();
        if state.is_taken {
            return None;
        }
        state.is_taken = true;
        Some(Taken(self))
    }

    /// Waits for the turn, behind all who wait already.
    ///
    /// # Errors
    /// If there is no memory to remember it.
    pub fn line_up(&self) -> Result<InLine<'_>, TryReserveError> {
        let place = Arc::<Place>::default();
        let mut state = self.0.lock();
        state.line.try_reserve(1)?;
        if state.is_taken {
            state.line.push_back(place.clone());
        } else {
            state.is_taken = true;
            place.is_called.store(true, Ordering::Release);
        }
        drop(state);
        Ok(InLine { turn: self, place, has_taken: AtomicBool::new(false) })
    }

    /// Hands it over to the first in the line.
    fn hand_over(&self) {
        let next = {
            let mut state = self.0.lock();
            let next = state.line.pop_front();
            state.is_taken = next.is_some();
            next
        };
        if let Some(place) = next {
            place.is_called.store(true, Ordering::Release);
            place.called.wake_all();
        }
    }
}

impl Default for Turn {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> InLine<'a> {
    /// Wakes when the turn is handed over.
    pub fn called(&self) -> &WaitQueue {
        &self.place.called
    }

    /// The turn, once it was handed over.
    pub fn try_take(&self) -> Option<Taken<'a>> {
        let is_mine = self.place.is_called.load(Ordering::Acquire) && !self.has_taken.swap(true, Ordering::Relaxed);
        is_mine.then(|| Taken(self.turn))
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if *self.has_taken.get_mut() {
            return;
        }
        let left = {
            let mut state = self.turn.0.lock();
            let at = state.line.iter().position(|place| Arc::ptr_eq(place, &self.place));
            at.and_then(|at| state.line.remove(at))
        };
        if left.is_none() {
            self.turn.hand_over();
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.hand_over();
    }
}
