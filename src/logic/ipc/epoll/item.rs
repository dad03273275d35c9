//! One file of an interest list.

use super::{Epoll, EpollEvent, HOW};
use crate::errno::Errno;
use crate::fs::{File, Readiness};
use crate::ipc::poll::{UNASKED, Watched};
use crate::sync::Waiter;
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::task::Waker;
use linux_raw_sys::general;

/// What tells items apart: descriptor and open description, because either may be there several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    descriptor: i32,
    /// Where the description is, which stays its own as long as the item is there.
    address: usize,
}

impl Key {
    pub(super) fn new(descriptor: i32, target: &Arc<dyn Watched>) -> Self {
        Self { descriptor, address: Arc::as_ptr(target).addr() }
    }
}

/// What is asked of a file, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting(EpollEvent);

impl Setting {
    pub(super) fn new(event: EpollEvent) -> Result<Self, Errno> {
        // A wake-up source keeps the machine from suspending, which it does not do: allowed, and without effect.
        let events = event.events | UNASKED.bits();
        Ok(Self(EpollEvent { events, data: event.data }))
    }

    pub(super) fn data(self) -> u64 {
        self.0.data
    }

    pub(super) fn mask(self, found: Readiness) -> Readiness {
        Readiness::from_bits_retain(found.bits() & self.0.events & !HOW)
    }

    pub(super) fn is_exclusive(self) -> bool {
        self.0.events & general::EPOLLEXCLUSIVE != 0
    }

    /// Whether it asks for what epoll_ctl(2) does not allow with `EPOLLEXCLUSIVE`.
    pub(super) fn has_more_than_exclusive_may(self) -> bool {
        let allowed = general::EPOLLIN | general::EPOLLOUT | general::EPOLLET | general::EPOLLWAKEUP;
        self.0.events & !(allowed | UNASKED.bits() | general::EPOLLEXCLUSIVE) != 0
    }

    pub(super) fn is_edge_triggered(self) -> bool {
        self.0.events & general::EPOLLET != 0
    }

    pub(super) fn is_one_shot(self) -> bool {
        self.0.events & general::EPOLLONESHOT != 0
    }

    /// The same with nothing asked, not even what is told unasked.
    pub(super) fn disabled(self) -> Self {
        Self(EpollEvent { events: self.0.events & HOW, data: self.0.data })
    }

    pub(super) fn is_disabled(self) -> bool {
        self.0.events & !HOW == 0
    }
}

/// A file of an interest list. What changes does so with the epoll's lock held.
pub(super) struct Item {
    pub(super) key: Key,
    epoll: Weak<Epoll>,
    target: Weak<dyn Watched>,
    waiter: Arc<Waiter>,
    events: AtomicU32,
    data: AtomicU64,
    /// It is on the ready list.
    listed: AtomicBool,
    /// It is not on the interest list any more.
    gone: AtomicBool,
    wake_ups: AtomicU32,
}

impl Item {
    pub(super) fn new(epoll: Weak<Epoll>, descriptor: i32, target: &Arc<dyn Watched>, setting: Setting) -> Arc<Self> {
        Arc::new_cyclic(|item| {
            let waker = Waker::from(Arc::new(Bell(item.clone())));
            // An exclusive item is one of those who take: a wake-up for one of them wakes no other.
            let waiter = if setting.is_exclusive() { Waiter::new(waker) } else { Waiter::observer(waker) };
            Self {
                key: Key::new(descriptor, target),
                epoll,
                target: Arc::downgrade(target),
                waiter,
                events: AtomicU32::new(setting.0.events),
                data: AtomicU64::new(setting.0.data),
                listed: AtomicBool::new(false),
                gone: AtomicBool::new(false),
                wake_ups: AtomicU32::new(0),
            }
        })
    }

    /// The open description, if it is still open.
    pub(super) fn target(&self) -> Option<Arc<dyn Watched>> {
        self.target.upgrade()
    }

    /// Whether the open description has gone.
    pub(super) fn is_closed(&self) -> bool {
        self.target.strong_count() == 0
    }

    /// The next wake-up of `file`, its own, is told.
    pub(super) fn arm(&self, file: &dyn File) {
        if let Some(queue) = file.changes() {
            queue.add(&self.waiter);
        }
    }

    /// No wake-up is told any more.
    pub(super) fn disarm(&self, file: &dyn File) {
        if let Some(queue) = file.changes() {
            queue.remove(&self.waiter);
        }
    }

    pub(super) fn setting(&self) -> Setting {
        let (events, data) = (self.events.load(Ordering::Relaxed), self.data.load(Ordering::Relaxed));
        Setting(EpollEvent { events, data })
    }

    pub(super) fn set(&self, setting: Setting) {
        self.events.store(setting.0.events, Ordering::Relaxed);
        self.data.store(setting.0.data, Ordering::Relaxed);
    }

    /// Notes whether it is on the ready list, and answers whether it was.
    pub(super) fn set_listed(&self, listed: bool) -> bool {
        self.listed.swap(listed, Ordering::Relaxed)
    }

    pub(super) fn is_member(&self) -> bool {
        !self.gone.load(Ordering::Relaxed)
    }

    pub(super) fn leave(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    pub(super) fn wake_ups(&self) -> u32 {
        self.wake_ups.load(Ordering::Relaxed)
    }

    pub(super) fn count_wake_up(&self) {
        self.wake_ups.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a file's queue wakes. It does not keep the item, which has the waiter that has this.
struct Bell(Weak<Item>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(item) = self.0.upgrade()
            && let Some(epoll) = item.epoll.upgrade()
        {
            epoll.item_changed(&item);
        }
    }
}
