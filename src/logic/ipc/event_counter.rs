//! A counter that programs add to and wait for (eventfd(2)).

use crate::errno::Errno;
use crate::fs::{File, Readiness};
use crate::sync::{IrqLock, Rank, WaitQueue};
use alloc::sync::Arc;

/// What the counter is at most.
const MOST: u64 = u64::MAX - 1;

/// Bytes that a read gives and a write takes.
const SIZE: usize = size_of::<u64>();

/// A counter, as an open file.
pub struct EventCounter {
    count: IrqLock<u64>,
    /// `EFD_SEMAPHORE`: a read takes one, not all.
    takes_one: bool,
    changed: WaitQueue,
}

impl EventCounter {
    /// A counter that is at `count`.
    pub fn new(count: u32, takes_one: bool) -> Arc<Self> {
        Arc::new(Self { count: IrqLock::new(Rank::File, u64::from(count)), takes_one, changed: WaitQueue::new() })
    }

    /// Adds one, if it goes on: for the kernel's own news. Neither waits nor fails.
    pub fn signal(&self) {
        {
            let mut count = self.count.lock();
            *count = count.saturating_add(1);
        }
        self.changed.wake_all();
    }
}

impl File for EventCounter {
    fn read(&self, _: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        let target = bytes.first_chunk_mut::<SIZE>().ok_or(Errno::EINVAL)?;
        let taken = {
            let mut count = self.count.lock();
            let taken = if self.takes_one { (*count).min(1) } else { *count };
            *count = count.saturating_sub(taken);
            taken
        };
        if taken == 0 {
            return Err(Errno::EAGAIN);
        }
        // Readers and writers wait in one queue, so one cannot be picked.
        self.changed.wake_all();
        *target = taken.to_ne_bytes();
        Ok(SIZE)
    }

    fn write(&self, _: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let more = u64::from_ne_bytes(*bytes.first_chunk::<SIZE>().ok_or(Errno::EINVAL)?);
        if more > MOST {
            return Err(Errno::EINVAL);
        }
        {
            let mut count = self.count.lock();
            *count = count.checked_add(more).filter(|sum| *sum <= MOST).ok_or(Errno::EAGAIN)?;
        }
        self.changed.wake_all();
        Ok(SIZE)
    }

    fn poll(&self) -> Readiness {
        let count = *self.count.lock();
        let mut ready = Readiness::empty();
        ready.set(Readiness::IN | Readiness::RDNORM, count > 0);
        ready.set(Readiness::OUT | Readiness::WRNORM, count < MOST);
        ready.set(Readiness::ERR, count > MOST);
        ready
    }

    fn changes(&self) -> Option<&WaitQueue> {
        Some(&self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::testing::Bell;
    use crate::sync::Waiter;
    use proptest::prelude::*;

    fn read(counter: &EventCounter) -> Result<u64, Errno> {
        let mut bytes = [0; SIZE];
        counter.read(0, &mut bytes).map(|_| u64::from_ne_bytes(bytes))
    }

    fn write(counter: &EventCounter, more: u64) -> Result<usize, Errno> {
        counter.write(0, &more.to_ne_bytes())
    }

    #[test]
    fn a_read_takes_everything_and_of_a_semaphore_one() {
        let counter = EventCounter::new(2, false);
        write(&counter, 3).unwrap();
        assert_eq!((read(&counter), read(&counter)), (Ok(5), Err(Errno::EAGAIN)));
        let semaphore = EventCounter::new(2, true);
        assert_eq!([(); 3].map(|()| read(&semaphore)), [Ok(1), Ok(1), Err(Errno::EAGAIN)]);
    }

    #[test]
    fn the_counter_does_not_overflow_but_for_the_kernel() {
        let counter = EventCounter::new(1, false);
        assert_eq!(write(&counter, u64::MAX), Err(Errno::EINVAL));
        assert_eq!(write(&counter, MOST), Err(Errno::EAGAIN));
        assert_eq!(write(&counter, MOST - 1), Ok(8));
        assert!(!counter.poll().contains(Readiness::OUT));
        counter.signal();
        assert_eq!(counter.poll(), Readiness::IN | Readiness::RDNORM | Readiness::ERR);
        assert_eq!(read(&counter), Ok(u64::MAX));
    }

    #[test]
    fn a_buffer_of_less_than_eight_bytes_is_refused() {
        let counter = EventCounter::new(1, false);
        assert_eq!(counter.read(0, &mut [0; 7]), Err(Errno::EINVAL));
        assert_eq!(counter.write(0, &[0; 7]), Err(Errno::EINVAL));
        assert_eq!(counter.read(0, &mut [0; 20]), Ok(8));
    }

    #[test]
    fn a_write_wakes_and_so_does_a_read() {
        let counter = EventCounter::new(0, false);
        let (bell, waker) = Bell::new();
        let waiter = Waiter::new(waker);
        counter.changes().unwrap().add(&waiter);
        write(&counter, 1).unwrap();
        counter.changes().unwrap().add(&waiter);
        read(&counter).unwrap();
        assert_eq!(bell.rings(), 2);
    }

    proptest! {
        #[test]
        fn what_was_added_is_what_is_read(steps in prop::collection::vec(prop::option::of(0..5_u64), 0..60), one: bool) {
            let counter = EventCounter::new(0, one);
            let mut model = 0;
            for step in steps {
                if let Some(more) = step {
                    prop_assert_eq!(write(&counter, more), Ok(8));
                    model += more;
                } else {
                    let expected = if one { model.min(1) } else { model };
                    prop_assert_eq!(read(&counter), if expected == 0 { Err(Errno::EAGAIN) } else { Ok(expected) });
                    model -= expected;
                }
                prop_assert_eq!(counter.poll().contains(Readiness::IN), model > 0);
            }
        }
    }
}
