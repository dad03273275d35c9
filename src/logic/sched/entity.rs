//! What a run queue knows of a thread.

use super::cpu_set::CpuId;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use intrusive_collections::{Adapter, DefaultPointerOps, KeyAdapter, RBTreeAtomicLink, rbtree};

/// How nice a thread is to the others: from -20, the least, to 19 (`nice(2)`). Each step is a factor of 1.25.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nice(i8);

impl Nice {
    /// Gets the most.
    pub const MIN: Self = Self(-20);
    /// As threads are unless they ask otherwise.
    pub const NORMAL: Self = Self(0);
    /// Gets the least.
    pub const MAX: Self = Self(19);

    /// The nearest value there is.
    pub fn new(value: i32) -> Self {
        Self(value.clamp(-20, 19) as i8)
    }

    /// From -20 to 19.
    pub fn value(self) -> i32 {
        self.0.into()
    }
}

/// How a thread competes with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Before all others, in turns, but never all of the time: for threads of the kernel that must react.
    Urgent,
    /// A share of the time according to its weight.
    Fair(Nice),
    /// A share so small that it hardly matters unless nobody else wants to run.
    Idle,
}

/// Weights of `Fair` from [`Nice::MIN`] on: 1024 at 0, then 1.25 times more or less for each step.
const WEIGHTS: [u64; 40] = {
    /// Fixed point, so that roundings do not add up.
    const ONE: u64 = 1 << 20;
    let mut weights = [0; 40];
    let (mut up, mut down, mut step) = (1024 * ONE, 1024 * ONE, 0);
    while step <= 20 {
        weights[20 - step] = (up + ONE / 2) / ONE;
        if step < 20 {
            weights[20 + step] = (down + ONE / 2) / ONE;
        }
        up = up * 5 / 4;
        down = down * 4 / 5;
        step += 1;
    }
    weights
};

const IDLE_WEIGHT: u64 = 3;

impl Priority {
    /// What a thread has unless told otherwise.
    pub const NORMAL: Self = Self::Fair(Nice::NORMAL);

    /// Share of the time relative to others in the same queue.
    pub fn weight(self) -> u64 {
        match self {
            Self::Urgent => 1024,
            Self::Fair(nice) => WEIGHTS[(nice.value() + 20) as usize],
            Self::Idle => IDLE_WEIGHT,
        }
    }

    /// Whether a thread of this priority is the one to run rather than one of `other`, whatever they have had so far.
    pub fn outranks(self, other: Self) -> bool {
        let height = |priority| match priority {
            Self::Urgent => 2,
            Self::Fair(_) => 1,
            Self::Idle => 0,
        };
        height(self) > height(other)
    }

    fn encode(self) -> u8 {
        match self {
            Self::Fair(nice) => (nice.value() + 20) as u8,
            Self::Idle => 40,
            Self::Urgent => 41,
        }
    }

    fn decode(code: u8) -> Self {
        match code {
            40 => Self::Idle,
            41 => Self::Urgent,
            nice => Self::Fair(Nice::new(i32::from(nice) - 20)),
        }
    }
}

/// No lane of any queue.
pub(super) const NOWHERE: usize = usize::MAX;

/// The part of a thread that run queues work with. Fields other than `priority` belong to the queue that has the thread, under
/// its lock, and else to whoever takes the thread from one queue to another; they are atomic only to be shared at all.
#[derive(Debug)]
pub struct SchedulingEntity {
    /// For the macro `schedulable!`.
    #[doc(hidden)]
    pub link: RBTreeAtomicLink,
    priority: AtomicU8,
    /// The priority that the queue counts with.
    effective: AtomicU8,
    /// The lane whose virtual time `vruntime` is in.
    pub(super) lane: AtomicUsize,
    /// The processor that had this last.
    pub(super) cpu: AtomicUsize,
    /// Virtual time received.
    pub(super) vruntime: AtomicU64,
    /// Order among equals; unique within a queue.
    pub(super) sequence: AtomicU64,
    /// `vruntime` relative to the lane's minimum when this last left or was charged.
    pub(super) lag: AtomicI64,
    /// Until when the time on the processor was charged.
    pub(super) charged_until: AtomicU64,
    pub(super) slice_end: AtomicU64,
    pub(super) run_time: AtomicU64,
}

impl SchedulingEntity {
    /// A thread that has not run yet.
    pub const fn new() -> Self {
        const NORMAL: u8 = 20;
        Self {
            link: RBTreeAtomicLink::new(),
            priority: AtomicU8::new(NORMAL),
            effective: AtomicU8::new(NORMAL),
            lane: AtomicUsize::new(NOWHERE),
            cpu: AtomicUsize::new(NOWHERE),
            vruntime: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            lag: AtomicI64::new(0),
            charged_until: AtomicU64::new(0),
            slice_end: AtomicU64::new(0),
            run_time: AtomicU64::new(0),
        }
    }

    /// The priority asked for.
    pub fn priority(&self) -> Priority {
        Priority::decode(self.priority.load(Relaxed))
    }

    /// Asks for another priority: from any context. It counts from the next time that the thread is put into a queue.
    pub fn set_priority(&self, priority: Priority) {
        self.priority.store(priority.encode(), Relaxed);
    }

    /// Processor time received so far, up to the last charge.
    pub fn run_time_ns(&self) -> u64 {
        self.run_time.load(Relaxed)
    }

    /// The processor whose queue had this last; `None` before the first time.
    pub fn last_cpu(&self) -> Option<CpuId> {
        Some(self.cpu.load(Relaxed)).filter(|&cpu| cpu != NOWHERE)
    }

    /// Whether this is in a queue; not while it runs.
    pub fn is_queued(&self) -> bool {
        self.link.is_linked()
    }

    /// Order in a queue.
    #[doc(hidden)]
    pub fn key(&self) -> (u64, u64) {
        (self.vruntime.load(Relaxed), self.sequence.load(Relaxed))
    }

    /// The priority that the queue counts with.
    pub(super) fn effective(&self) -> Priority {
        Priority::decode(self.effective.load(Relaxed))
    }

    /// Makes the priority asked for the one that counts.
    pub(super) fn settle_priority(&self) -> Priority {
        self.effective.store(self.priority.load(Relaxed), Relaxed);
        self.effective()
    }
}

impl Default for SchedulingEntity {
    fn default() -> Self {
        Self::new()
    }
}

/// What run queues can hold: implemented by the macro [`schedulable!`](crate::schedulable).
pub trait Schedulable: Sized + 'static {
    /// The way from a link to the thread around it.
    type Adapter: Adapter<PointerOps = DefaultPointerOps<Arc<Self>>, LinkOps = rbtree::AtomicLinkOps>
        + for<'a> KeyAdapter<'a, Key = (u64, u64)>;

    /// An adapter.
    const ADAPTER: Self::Adapter;

    /// The part that run queues work with.
    fn entity(&self) -> &SchedulingEntity;
}

/// `schedulable!(pub Thread { entity })`: lets run queues hold `Arc<Thread>`, a structure with a [`SchedulingEntity`] `entity`.
/// The visibility is the structure's.
#[macro_export]
macro_rules! schedulable {
    ($visibility:vis $thread:ident { $entity:ident }) => {
        const _: () = {
            use $crate::sched::macro_support::{Arc, KeyAdapter, RBTreeAtomicLink, intrusive_adapter};
            type Holder = $thread;
    intrusive_adapter!($visibility EntityAdapter = Arc<Holder>: Holder { $entity.link => RBTreeAtomicLink });

            impl<'a> KeyAdapter<'a> for EntityAdapter {
                type Key = (u64, u64);

                fn get_key(&self, holder: &'a Holder) -> (u64, u64) {
                    holder.$entity.key()
                }
            }

            impl $crate::sched::Schedulable for Holder {
                type Adapter = EntityAdapter;

                const ADAPTER: EntityAdapter = EntityAdapter::NEW;

                fn entity(&self) -> &$crate::sched::SchedulingEntity {
                    &self.$entity
                }
            }
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_nice_is_a_quarter_more_or_a_fifth_less() {
        assert_eq!(Priority::Fair(Nice::NORMAL).weight(), 1024);
        assert_eq!(Priority::Fair(Nice::new(5)).weight(), 336);
        assert_eq!(Priority::Fair(Nice::MAX).weight(), 15);
        assert_eq!(Priority::Fair(Nice::MIN).weight(), 88818);
        assert_eq!((Nice::new(-100), Nice::new(100)), (Nice::MIN, Nice::MAX));
        assert!(WEIGHTS.windows(2).all(|pair| pair[0] > pair[1] && pair[1] > IDLE_WEIGHT));
    }

    #[test]
    fn every_priority_survives_its_encoding() {
        let fair = (-20..20).map(|nice| Priority::Fair(Nice::new(nice)));
        for priority in fair.chain([Priority::Idle, Priority::Urgent]) {
            let entity = SchedulingEntity::new();
            entity.set_priority(priority);
            assert_eq!(entity.priority(), priority);
        }
        assert_eq!(SchedulingEntity::new().priority(), Priority::Fair(Nice::NORMAL));
    }
}
