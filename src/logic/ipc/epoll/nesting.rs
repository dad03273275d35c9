//! Epolls that watch epolls: never in a ring, and never so deep that telling one another takes much stack.

use super::item::Item;
use super::{Epoll, State};
use crate::errno::Errno;
use crate::sync::{IrqLock, Rank};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

/// How many epolls may watch one another in a row (epoll_ctl(2), ELOOP).
const MOST_DEEP: usize = 5;

/// How many are looked at to find that out. More is refused.
const PATIENCE: usize = 500;

/// Held while epolls begin to watch one another, so that no two of them close a ring together.
static NESTING: IrqLock<()> = IrqLock::new(Rank::EpollNesting, ());

/// Which way to look.
#[derive(Clone, Copy)]
enum Way {
    Down,
    Up,
}

impl Way {
    fn of(self, state: &mut State) -> &mut Vec<Weak<Epoll>> {
        match self {
            Self::Down => &mut state.children,
            Self::Up => &mut state.parents,
        }
    }
}

impl Epoll {
    /// Begins to watch another epoll.
    pub(super) fn nest(&self, inner: &Self, item: &Arc<Item>) -> Result<(), Errno> {
        if core::ptr::eq(self, inner) {
            return Err(Errno::EINVAL);
        }
        // Declared before the lock, so dropped after it: whoever is met may be gone otherwise, and be freed by that.
        let mut met = Vec::new();
        met.try_reserve_exact(PATIENCE).map_err(|_| Errno::ENOMEM)?;
        let _whole = NESTING.lock();
        let below = inner.extent(Way::Down, MOST_DEEP, Some(self), &mut met).ok_or(Errno::ELOOP)?;
        let left = MOST_DEEP.saturating_sub(below);
        self.extent(Way::Up, left, None, &mut met).ok_or(Errno::ELOOP)?;
        self.reserve_link(Way::Down)?;
        inner.reserve_link(Way::Up)?;
        self.state.lock().insert(item)?;
        self.state.lock().children.push(inner.me.clone());
        inner.state.lock().parents.push(self.me.clone());
        Ok(())
    }

    /// Ends to watch another epoll.
    pub(super) fn unnest(&self, inner: &Self) {
        let _whole = NESTING.lock();
        for (epoll, way, other) in [(self, Way::Down, &inner.me), (inner, Way::Up, &self.me)] {
            let mut state = epoll.state.lock();
            let links = way.of(&mut state);
            if let Some(place) = links.iter().position(|link| link.ptr_eq(other)) {
                links.swap_remove(place);
            }
        }
    }

    /// How many epolls there are in a row from this one on, itself included. None if there are more than `most`, or `goal` is
    /// among them, or too many have been met, who are kept.
    fn extent(&self, way: Way, most: usize, goal: Option<&Self>, met: &mut Vec<Arc<Self>>) -> Option<usize> {
        let most = most.checked_sub(1)?;
        if goal.is_some_and(|goal| core::ptr::eq(self, goal)) {
            return None;
        }
        let mut longest = 0_usize;
        for index in 0_usize.. {
            let Some(next) = way.of(&mut self.state.lock()).get(index).cloned() else { break };
            if let Some(next) = next.upgrade() {
                if met.len() >= PATIENCE {
                    return None;
                }
                met.push(next.clone());
                longest = longest.max(next.extent(way, most, goal, met)?);
            }
        }
        longest.checked_add(1)
    }

    /// Room for one link more, after those that lead nowhere any more have gone.
    fn reserve_link(&self, way: Way) -> Result<(), Errno> {
        let mut state = self.state.lock();
        let links = way.of(&mut state);
        links.retain(|link| link.strong_count() > 0);
        links.try_reserve(1).map_err(|_| Errno::ENOMEM)
    }
}
