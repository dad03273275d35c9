//! The order in which locks are taken: lowest rank first, so that no two processors ever wait for each other in a ring.
//!
//! Debug builds and builds with the feature `selftest` check it at every lock. Which locks a processor holds is noted in a
//! [`HeldRanks`] of its own, to which the kernel shows the way ([`install_rank_hook`]); host tests have one for each thread.

use super::interrupts::InterruptsOff;
use arrayvec::ArrayVec;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

/// What a lock guards. While a lock is held, only locks of higher ranks may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Parents, children, groups and sessions.
    ProcessTree,
    /// One process.
    Process,
    /// One thread of a process.
    Thread,
    /// The map of one address space and its page tables.
    AddressSpace,
    /// Open descriptors.
    FileTable,
    /// Who changes mounts.
    MountChanges,
    /// Mounts and names of files.
    Mount,
    /// One file-system object.
    Inode,
    /// Cached pages of files.
    PageCache,
    /// Which epolls watch which others.
    EpollNesting,
    /// Open files on their way through sockets.
    RightsInFlight,
    /// The inside of an open file: pipe, terminal, socket.
    File,
    /// Who waits for something.
    WaitQueue,
    /// Who wants to run on one processor.
    RunQueue,
    /// Who runs on one processor, and who was left for it.
    Current,
    /// What is to happen later.
    Timers,
    /// What programs read of the clock.
    SharedClock,
    /// Kernel stacks that are kept for the next thread.
    StackPool,
    /// Who uses which of the kernel's virtual addresses.
    KernelAreas,
    /// The heap's end.
    HeapGrowth,
    /// The kernel's own page tables.
    KernelSpace,
    /// One processor's free frames.
    FrameCache,
    /// Free physical memory.
    FrameAllocator,
    /// The kernel's heap.
    Heap,
    /// The log's memory.
    Log,
    /// The part of the log that outlives a reset.
    RetainedLog,
    /// Screens.
    Console,
    /// The serial port.
    Serial,
    /// PCI configuration space, reached by a pair of ports: takes nothing.
    PciConfiguration,
    /// Interrupt lines and their controllers: taken whatever else is held, and takes nothing.
    Interrupts,
}

/// Locks that one processor may hold at a time.
const MOST_HELD: usize = 16;

/// The ranks of the locks that a processor holds, in the order of taking.
#[derive(Debug)]
pub struct HeldRanks(ArrayVec<Rank, MOST_HELD>);

/// How the order was violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A lock was taken while one of the same or a higher rank was held.
    Order {
        /// The rank of the lock that was to be taken.
        taken: Rank,
        /// The rank of the lock that was held.
        held: Rank,
    },
    /// The first lock was released before one taken after it; with it, interrupts came on.
    ReleasedTooEarly {
        /// The rank of the lock that was released.
        released: Rank,
        /// The rank of a lock still held.
        held: Rank,
    },
    /// A lock is held by code that is about to sleep.
    Held(Rank),
    /// More locks are held than there is room to note.
    TooMany,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order { taken, held } => {
                write!(f, "lock order: {taken:?} (rank {}) taken while {held:?} (rank {})", *taken as u8, *held as u8)?;
                f.write_str(" is held")
            }
            Self::ReleasedTooEarly { released, held } => {
                write!(f, "lock order: {released:?}, the first taken, released while {held:?} is held")
            }
            Self::Held(held) => write!(f, "lock order: {held:?} is held where nothing may be"),
            Self::TooMany => write!(f, "lock order: more than {MOST_HELD} locks held at a time"),
        }
    }
}

/// How a lock is about to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    /// It will be waited for.
    Waiting,
    /// It will be waited for, as the second of a pair of the same rank.
    SecondOfPair,
    /// It was free, so that no waiting could do harm.
    WasFree,
}

impl HeldRanks {
    /// Nothing held.
    pub const fn new() -> Self {
        Self(ArrayVec::new_const())
    }

    fn take(&mut self, taken: Rank, taking: Taking) -> Result<(), Violation> {
        let highest = self.0.iter().max().copied();
        match (highest, taking) {
            (Some(held), Taking::Waiting) if held >= taken => return Err(Violation::Order { taken, held }),
            (Some(held), Taking::SecondOfPair) if held > taken => return Err(Violation::Order { taken, held }),
            _ => {}
        }
        self.0.try_push(taken).map_err(|_| Violation::TooMany)
    }

    fn release(&mut self, released: Rank) -> Result<(), Violation> {
        let Some(place) = self.0.iter().rposition(|&held| held == released) else { return Ok(()) };
        self.0.remove(place);
        match self.0.first() {
            Some(&held) if place == 0 => Err(Violation::ReleasedTooEarly { released, held }),
            _ => Ok(()),
        }
    }
}

impl Default for HeldRanks {
    fn default() -> Self {
        Self::new()
    }
}

/// Calls what it is given with the [`HeldRanks`] of this processor. Interrupts are off, and neither side takes a lock.
pub type RankHook = fn(&mut dyn FnMut(&mut HeldRanks));

static HOOK: spin::Once<RankHook> = spin::Once::new();

/// Whether violations still count: one is enough to report, and a panic must not stumble over the order.
static CHECKING: AtomicBool = AtomicBool::new(true);

/// Starts the checks. Locks held meanwhile stay unknown, which does no harm. The first hook stays.
pub fn install_rank_hook(hook: RankHook) {
    HOOK.call_once(|| hook);
}

/// Ends the checks for good: a panic takes the locks it needs whatever is held.
pub fn stop_checking() {
    CHECKING.store(false, Ordering::Relaxed);
}

/// Panics in checked builds if this processor holds a lock: for code that is about to give the processor away.
pub fn assert_none_held() {
    if CHECKED {
        // The caller may be preempted, and what another processor holds is not its.
        let _here = InterruptsOff::new();
        update(|held| held.0.last().map_or(Ok(()), |&held| Err(Violation::Held(held))));
    }
}

/// A lock's rank where ranks are checked, elsewhere nothing: there, a lock of zeros is all zeros, and takes no room in the image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct LockRank([Rank; CHECKED as usize]);

impl LockRank {
    pub(super) const fn new(rank: Rank) -> Self {
        Self([rank; CHECKED as usize])
    }

    fn get(self) -> Option<Rank> {
        self.0.first().copied()
    }
}

impl fmt::Debug for LockRank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|rank| rank.fmt(f))
    }
}

/// A lock noted as held, until this is dropped.
#[derive(Debug)]
pub(super) struct Held(Option<Rank>);

impl Held {
    /// Notes that a lock of `rank` is taken. Panics if it must not be.
    pub(super) fn note(rank: LockRank, taking: Taking) -> Self {
        Self(rank.get().filter(|rank| update(|held| held.take(*rank, taking))))
    }

    /// A lock that is left out of the account.
    pub(super) const fn unknown() -> Self {
        Self(None)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(rank) = self.0 {
            update(|held| held.release(rank));
        }
    }
}

/// Whether this build checks ranks.
const CHECKED: bool = cfg!(any(debug_assertions, test, feature = "selftest"));

/// Applies `change` to this processor's held ranks and panics if that fails, after the hook has returned: the panic handler
/// takes locks too. False if nothing was noted.
fn update(mut change: impl FnMut(&mut HeldRanks) -> Result<(), Violation>) -> bool {
    let mut outcome = None;
    if CHECKING.load(Ordering::Relaxed) {
        with_held(&mut |held| outcome = Some(change(held)));
    }
    if let Some(Err(violation)) = outcome {
        violated(violation);
    }
    outcome.is_some()
}

#[cfg(not(test))]
fn with_held(visit: &mut dyn FnMut(&mut HeldRanks)) {
    if let Some(hook) = HOOK.get() {
        hook(visit);
    }
}

#[cfg(test)]
fn with_held(visit: &mut dyn FnMut(&mut HeldRanks)) {
    std::thread_local!(static HELD: core::cell::RefCell<HeldRanks> = const { core::cell::RefCell::new(HeldRanks::new()) });
    HELD.with_borrow_mut(visit);
}

fn violated(violation: Violation) -> ! {
    // Host tests go on after the panic, and other tests with them.
    if !cfg!(test) {
        stop_checking();
    }
    panic!("{violation}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_may_only_rise() {
        let mut held = HeldRanks::new();
        assert_eq!(held.take(Rank::RunQueue, Taking::Waiting), Ok(()));
        assert_eq!(held.take(Rank::Serial, Taking::Waiting), Ok(()));
        let lower = held.take(Rank::Heap, Taking::Waiting).expect_err("lower");
        assert_eq!(lower, Violation::Order { taken: Rank::Heap, held: Rank::Serial });
        let (heap, serial) = (Rank::Heap as u8, Rank::Serial as u8);
        let message = format!("lock order: Heap (rank {heap}) taken while Serial (rank {serial}) is held");
        assert_eq!(lower.to_string(), message);
        assert_eq!(
            held.take(Rank::Serial, Taking::Waiting),
            Err(Violation::Order { taken: Rank::Serial, held: Rank::Serial })
        );
        assert_eq!(held.release(Rank::Serial), Ok(()));
        assert_eq!(held.take(Rank::Heap, Taking::Waiting), Ok(()));
    }

    #[test]
    fn a_pair_may_share_a_rank_and_a_free_lock_may_be_tried_in_any_order() {
        let mut held = HeldRanks::new();
        held.take(Rank::RunQueue, Taking::Waiting).expect("first");
        held.take(Rank::RunQueue, Taking::SecondOfPair).expect("second");
        held.take(Rank::WaitQueue, Taking::SecondOfPair).expect_err("lower");
        held.take(Rank::Process, Taking::WasFree).expect("tried");
        held.take(Rank::WaitQueue, Taking::Waiting).expect_err("the highest counts, not the last");
    }

    #[test]
    fn the_first_lock_is_released_last() {
        let mut held = HeldRanks::new();
        for rank in [Rank::Process, Rank::Inode, Rank::PageCache] {
            held.take(rank, Taking::Waiting).expect("rising");
        }
        assert_eq!(held.release(Rank::Inode), Ok(()));
        let early = held.release(Rank::Process).expect_err("PageCache is held");
        assert_eq!(early.to_string(), "lock order: Process, the first taken, released while PageCache is held");
        assert_eq!(held.release(Rank::Process), Ok(()), "taken before the checks began");
    }

    #[test]
    fn too_many_locks_are_told() {
        let mut held = HeldRanks::new();
        for _ in 0..MOST_HELD {
            held.take(Rank::Inode, Taking::SecondOfPair).expect("room");
        }
        assert_eq!(held.take(Rank::Heap, Taking::Waiting), Err(Violation::TooMany));
    }
}
