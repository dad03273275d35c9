//! epoll(7): many files watched at once, of which only those are looked at that something happened to.
//!
//! Each file of the interest list is an [`Item`], with a waiter in the file's own queue. A wake-up puts the item at the end of
//! the ready list, and takes the waiter out of the queue. [`Epoll::wait`] takes items from the front: it puts the waiter back
//! first, then asks the file, so that nothing that happens in between is missed. A level-triggered item that was reported goes
//! back to the end of the list; an edge-triggered one only when the next wake-up comes.
//!
//! An item does not keep its file open. When the open description has gone, the item goes as soon as anybody comes across it.

mod item;
mod nesting;
#[cfg(test)]
mod tests;

use self::item::{Item, Key, Setting};
use super::poll::Watched;
use crate::errno::Errno;
use crate::fs::{File, Readiness};
use crate::sync::{IrqLock, Rank, WaitQueue};
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use linux_raw_sys::general;

/// `struct epoll_event`: events as epoll_ctl(2) numbers them, and what the program wants to be told with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EpollEvent {
    /// `EPOLLIN` and so on.
    pub events: u32,
    /// Whatever the program likes.
    pub data: u64,
}

impl EpollEvent {
    /// Bytes of the structure, which is packed on x86-64.
    pub const SIZE: usize = size_of::<u32>() + size_of::<u64>();

    /// Of a program's memory.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let [e0, e1, e2, e3, data @ ..] = *bytes;
        Self { events: u32::from_ne_bytes([e0, e1, e2, e3]), data: u64::from_ne_bytes(data) }
    }

    /// For a program's memory.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let ([e0, e1, e2, e3], [d0, d1, d2, d3, d4, d5, d6, d7]) = (self.events.to_ne_bytes(), self.data.to_ne_bytes());
        [e0, e1, e2, e3, d0, d1, d2, d3, d4, d5, d6, d7]
    }
}

/// Files that are watched, itself an open file.
pub struct Epoll {
    me: Weak<Self>,
    state: IrqLock<State>,
    /// Who waits in [`Epoll::wait`]. Each event wakes one of them.
    waiters: WaitQueue,
    /// Who watches this as a file.
    changed: WaitQueue,
}

struct State {
    /// The interest list, in the order of keys.
    items: Vec<Arc<Item>>,
    /// Items that something happened to. There is always room for those that are not in it, so that a wake-up needs no memory.
    ready: VecDeque<Arc<Item>>,
    /// How many items there may be before those whose files were closed are looked for.
    sweep_at: usize,
    /// Epolls among the items, and epolls that this is an item of.
    children: Vec<Weak<Epoll>>,
    parents: Vec<Weak<Epoll>>,
}

impl State {
    fn find(&self, key: Key) -> Result<usize, usize> {
        self.items.binary_search_by_key(&key, |item| item.key)
    }

    fn get(&self, key: Key) -> Option<&Arc<Item>> {
        self.items.get(self.find(key).ok()?)
    }

    fn insert(&mut self, item: &Arc<Item>) -> Result<(), Errno> {
        let place = self.find(item.key).err().ok_or(Errno::EEXIST)?;
        self.items.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let most_added = self.items.len().saturating_add(1);
        self.ready.try_reserve(most_added).map_err(|_| Errno::ENOMEM)?;
        self.items.insert(place, item.clone());
        Ok(())
    }

    /// Puts an item at the end of the ready list. False if it is there, or does not count any more.
    fn push_ready(&mut self, item: &Arc<Item>) -> bool {
        let is_new = item.is_member() && !item.set_listed(true);
        if is_new {
            self.ready.push_back(item.clone());
        }
        is_new
    }
}

impl Epoll {
    /// Watches nothing yet.
    pub fn new() -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            state: IrqLock::new(
                Rank::File,
                State {
                    items: Vec::new(),
                    ready: VecDeque::new(),
                    sweep_at: LEAST_SWEEP,
                    children: Vec::new(),
                    parents: Vec::new(),
                },
            ),
            waiters: WaitQueue::new(),
            changed: WaitQueue::new(),
        })
    }

    /// `EPOLL_CTL_ADD`.
    ///
    /// # Errors
    /// As epoll_ctl(2): [`Errno::EEXIST`], [`Errno::EINVAL`], [`Errno::ELOOP`], [`Errno::ENOMEM`], [`Errno::EPERM`].
    pub fn add(&self, descriptor: i32, target: &Arc<dyn Watched>, event: EpollEvent) -> Result<(), Errno> {
        let nested = nested(target.file());
        if target.file().changes().is_none() {
            return Err(Errno::EPERM);
        }
        let setting = Setting::new(event)?;
        if setting.is_exclusive() && (nested.is_some() || setting.has_more_than_exclusive_may()) {
            return Err(Errno::EINVAL);
        }
        self.sweep();
        let item = Item::new(self.me.clone(), descriptor, target, setting);
        match nested {
            Some(inner) => self.nest(inner, &item)?,
            None => self.state.lock().insert(&item)?,
        }
        self.look_at(&item, target);
        Ok(())
    }

    /// `EPOLL_CTL_MOD`. A one-shot item works again.
    ///
    /// # Errors
    /// [`Errno::ENOENT`]; [`Errno::EINVAL`] for `EPOLLEXCLUSIVE`.
    pub fn modify(&self, descriptor: i32, target: &Arc<dyn Watched>, event: EpollEvent) -> Result<(), Errno> {
        let setting = Setting::new(event)?;
        let item = {
            let state = self.state.lock();
            let item = state.get(Key::new(descriptor, target)).ok_or(Errno::ENOENT)?;
            if setting.is_exclusive() || item.setting().is_exclusive() {
                return Err(Errno::EINVAL);
            }
            item.set(setting);
            item.clone()
        };
        self.look_at(&item, target);
        Ok(())
    }

    /// `EPOLL_CTL_DEL`.
    ///
    /// # Errors
    /// [`Errno::ENOENT`].
    pub fn remove(&self, descriptor: i32, target: &Arc<dyn Watched>) -> Result<(), Errno> {
        let item = self.state.lock().get(Key::new(descriptor, target)).cloned().ok_or(Errno::ENOENT)?;
        self.forget(&item);
        item.disarm(target.file());
        if let Some(inner) = nested(target.file()) {
            self.unnest(inner);
        }
        Ok(())
    }

    /// epoll_wait(2) without waiting: fills in what happened, oldest first, and answers how many events that is. Who finds
    /// nothing waits in [`Epoll::waiters`].
    ///
    /// # Errors
    /// [`Errno::EAGAIN`] if there is nothing; [`Errno::EINVAL`] if there is no room for anything.
    pub fn wait(&self, events: &mut [EpollEvent]) -> Result<usize, Errno> {
        if events.is_empty() {
            return Err(Errno::EINVAL);
        }
        let mut done = 0_usize;
        // Items that go back to the end of the list are not looked at twice.
        let mut left = self.state.lock().ready.len();
        while left > 0
            && let Some(slot) = events.get_mut(done)
            && let Some(item) = self.take_ready()
        {
            left = left.saturating_sub(1);
            let Some(target) = item.target() else {
                self.forget(&item);
                continue;
            };
            item.arm(target.file());
            let found = target.file().poll();
            if let Some(event) = self.report(&item, found) {
                *slot = event;
                done = done.saturating_add(1);
            }
        }
        if !self.state.lock().ready.is_empty() {
            self.waiters.pass_on();
        }
        if done == 0 { Err(Errno::EAGAIN) } else { Ok(done) }
    }

    /// Where who waits for events waits.
    pub fn waiters(&self) -> &WaitQueue {
        &self.waiters
    }

    /// How many files are watched.
    pub fn watched(&self) -> usize {
        self.state.lock().items.len()
    }

    /// Something happened to an item's file.
    fn item_changed(&self, item: &Arc<Item>) {
        let is_new = {
            let mut state = self.state.lock();
            item.count_wake_up();
            !item.setting().is_disabled() && state.push_ready(item)
        };
        if is_new {
            self.waiters.wake_one();
            self.changed.wake_all();
        }
    }

    /// Looks whether the file is ready already, and sees to it that its next wake-up is not missed.
    fn look_at(&self, item: &Arc<Item>, target: &Arc<dyn Watched>) {
        item.arm(target.file());
        if !item.setting().mask(target.file().poll()).is_empty() {
            self.item_changed(item);
        }
    }

    fn take_ready(&self) -> Option<Arc<Item>> {
        let item = self.state.lock().ready.pop_front()?;
        item.set_listed(false);
        Some(item)
    }

    /// What a program is told of an item whose file is ready for `found`, if anything.
    fn report(&self, item: &Arc<Item>, found: Readiness) -> Option<EpollEvent> {
        let mut state = self.state.lock();
        let setting = item.setting();
        let found = setting.mask(found);
        if found.is_empty() || !item.is_member() {
            return None;
        }
        if setting.is_one_shot() {
            item.set(setting.disabled());
        } else if !setting.is_edge_triggered() {
            state.push_ready(item);
        }
        Some(EpollEvent { events: found.bits(), data: setting.data() })
    }

    /// Takes an item off the interest list.
    fn forget(&self, item: &Arc<Item>) {
        let mut state = self.state.lock();
        item.leave();
        if let Ok(place) = state.find(item.key) {
            state.items.remove(place);
        }
        if item.set_listed(false) {
            state.ready.retain(|other| !Arc::ptr_eq(other, item));
        }
    }

    /// Takes the items off whose files were closed, each time that the list has doubled: nobody comes across those otherwise to
    /// which nothing happens any more, and servers close connections without a word to their epoll.
    fn sweep(&self) {
        // Dropped after the lock.
        let mut closed = Vec::new();
        let mut state = self.state.lock();
        if state.items.len() < state.sweep_at {
            return;
        }
        let count = state.items.iter().filter(|item| item.is_closed()).count();
        if closed.try_reserve_exact(count).is_err() {
            return;
        }
        // One that is closed only now stays for the next time.
        closed.extend(state.items.iter().filter(|item| item.is_closed()).take(count).cloned());
        for item in &closed {
            item.leave();
            item.set_listed(false);
        }
        state.items.retain(|item| item.is_member());
        state.ready.retain(|item| item.is_member());
        state.sweep_at = state.items.len().saturating_mul(2).max(LEAST_SWEEP);
    }

    /// The first of the ready list, and how often it has been woken.
    fn first_ready(&self) -> Option<(Arc<Item>, u32)> {
        let state = self.state.lock();
        state.ready.front().map(|item| (item.clone(), item.wake_ups()))
    }

    /// Takes an item off the ready list, unless something has happened to its file since it had been woken so often.
    fn is_not_ready(&self, item: &Arc<Item>, wake_ups: u32) {
        let mut state = self.state.lock();
        if item.wake_ups() == wake_ups && item.set_listed(false) {
            state.ready.retain(|other| !Arc::ptr_eq(other, item));
        }
    }
}

/// The epoll that a file is.
fn nested(file: &dyn File) -> Option<&Epoll> {
    (file as &dyn Any).downcast_ref()
}

impl File for Epoll {
    fn read(&self, _: u64, _: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    fn write(&self, _: u64, _: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Whether [`Epoll::wait`] would find something. What turns out not to be ready leaves the ready list by that.
    fn poll(&self) -> Readiness {
        let most = self.state.lock().ready.len();
        for _ in 0..most {
            let Some((item, wake_ups)) = self.first_ready() else { break };
            match item.target() {
                None => self.forget(&item),
                Some(target) => {
                    item.arm(target.file());
                    if !item.setting().mask(target.file().poll()).is_empty() {
                        return Readiness::IN | Readiness::RDNORM;
                    }
                    self.is_not_ready(&item, wake_ups);
                }
            }
        }
        Readiness::empty()
    }

    fn changes(&self) -> Option<&WaitQueue> {
        Some(&self.changed)
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        for item in core::mem::take(&mut self.state.get_mut().items) {
            if let Some(target) = item.target() {
                item.disarm(target.file());
            }
        }
    }
}

/// So few items are not worth a search.
const LEAST_SWEEP: usize = 64;

/// Bits that say how, not what.
const HOW: u32 = general::EPOLLET | general::EPOLLONESHOT | general::EPOLLWAKEUP | general::EPOLLEXCLUSIVE;
