//! Who runs next on one processor: everybody gets time in proportion to weight, and nobody waits for ever.
//!
//! A thread's virtual time is the time it has run, divided by its weight; the one with the least runs next. Urgent threads have
//! a lane of their own that goes first, for at most 95 % of each period while others wait. Who comes back from sleep has at most
//! [`CREDIT`] in hand, and who is new stands a little behind the first, so neither keeps the others out. The minimum of a lane's
//! virtual time never falls; a thread that changes lanes or processors keeps its distance from it. Who yields gives up what it
//! had in hand over the one that goes first.
//!
//! The running thread is known to the queue but not in it. A switch goes like this, with interrupts off: lock,
//! [`pick_next`](RunQueue::pick_next), unlock, switch stacks, then [`enqueue`](RunQueue::enqueue) the thread that was left if it
//! is still runnable: not before, or another processor could steal it and run it on a stack in use.

use super::balance::Load;
use super::cpu_set::CpuId;
use super::entity::{NOWHERE, Priority, Schedulable, SchedulingEntity};
use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;
use intrusive_collections::RBTree;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;

/// Within this time everybody has had a turn, if there are few.
pub const LATENCY_NS: u64 = 12 * MILLISECOND;

/// The shortest turn.
pub const SHORTEST_SLICE_NS: u64 = 1_500 * MICROSECOND;

/// How far the running thread must be ahead before one that wakes up takes its place.
const WAKE_UP_GRANULARITY_NS: u64 = MILLISECOND;

/// How much a thread can have in hand after any sleep, in virtual time.
pub const CREDIT: u64 = virtual_time(LATENCY_NS / 2, 1024);

/// How far behind the first a new thread starts, as time to be run: without it, threads that start threads and end could keep
/// all others waiting.
const DEBIT_NS: u64 = SHORTEST_SLICE_NS;

/// Urgent threads run for this part of each period while others wait.
pub const URGENT_PERIOD_NS: u64 = 100 * MILLISECOND;
/// See [`URGENT_PERIOD_NS`].
pub const URGENT_BUDGET_NS: u64 = 95 * MILLISECOND;

/// Threads looked at for one that may be stolen.
const MOST_LOOKED_AT: usize = 32;

/// The virtual time of running for `ran_ns`: units of 16 ns at weight 1024, rounded up so that nothing is free. 64 bits last
/// for decades even at the smallest weight; then everybody is equal, in turns.
const fn virtual_time(ran_ns: u64, weight: u64) -> u64 {
    ran_ns.saturating_mul(64).div_ceil(weight)
}

/// Why a thread is put into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// For the first time.
    New,
    /// It slept.
    Woken,
    /// It ran until another was picked.
    Preempted,
    /// It was stolen from another queue or may not stay there.
    Migrated,
}

/// What becomes of the running thread when the next is picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// It may go on, and does if it is its turn.
    Runnable,
    /// It may go on but lets another go first.
    Yields,
    /// It goes to sleep or ends.
    Leaves,
}

/// The queue of one processor.
pub struct RunQueue<T: Schedulable> {
    cpu: CpuId,
    urgent: Lane<T>,
    fair: Lane<T>,
    running: Option<Arc<T>>,
    budget: Budget,
}

impl<T: Schedulable> RunQueue<T> {
    /// An empty queue of processor `cpu`, which must differ from that of all other queues.
    pub const fn new(cpu: CpuId) -> Self {
        Self {
            cpu,
            urgent: Lane::new(cpu * 2),
            fair: Lane::new(cpu * 2 + 1),
            running: None,
            budget: Budget { period_start: 0, used: 0 },
        }
    }

    /// Puts a thread into the queue that is in none and runs nowhere. A priority asked for meanwhile counts from now on.
    pub fn enqueue(&mut self, thread: Arc<T>, now: u64, reason: Reason) {
        self.charge(now);
        let entity = thread.entity();
        entity.cpu.store(self.cpu, Relaxed);
        let weight = entity.effective().weight();
        let priority = entity.settle_priority();
        if priority.weight() != weight {
            rescale_lag(entity, weight, priority.weight());
        }
        self.lane_mut(priority).enqueue(thread, reason);
    }

    /// Takes the thread to run from now on. It is the one that runs already if that is its turn still; if another, the caller
    /// puts the old one back after the switch unless it leaves. `None` if there is nothing to run.
    pub fn pick_next(&mut self, now: u64, outgoing: Outgoing) -> Option<Arc<T>> {
        self.charge(now);
        let stays = self.running.take().filter(|_| outgoing != Outgoing::Leaves);
        let stays_urgent = stays.as_ref().is_some_and(|thread| is_urgent(thread));
        let urgent_ready = self.urgent.count > 0 || stays_urgent;
        let fair_ready = self.fair.count > 0 || (stays.is_some() && !stays_urgent);
        let take_urgent = urgent_ready && !(fair_ready && self.budget.is_exhausted());
        let lane = if take_urgent { &mut self.urgent } else { &mut self.fair };
        if outgoing == Outgoing::Yields
            && let Some(thread) = stays.as_ref().filter(|thread| is_urgent(thread) == take_urgent)
        {
            lane.yield_to_first(thread.entity());
        }
        let goes_on = |thread: &Arc<T>| {
            let first = lane.first_vruntime();
            let turn = outgoing == Outgoing::Runnable && Some(thread.entity().vruntime.load(Relaxed)) <= first;
            is_urgent(thread) == take_urgent && (first.is_none() || turn)
        };
        let next = match stays.filter(goes_on) {
            Some(thread) => thread,
            None => lane.take_first()?,
        };
        let entity = next.entity();
        entity.charged_until.store(now, Relaxed);
        entity.slice_end.store(now.saturating_add(lane.slice_ns(entity)), Relaxed);
        self.running = Some(next.clone());
        Some(next)
    }

    /// Charges the running thread for its time until `now`. Every other method that is told the time does it too.
    pub fn charge(&mut self, now: u64) {
        if let Some(running) = &self.running {
            let entity = running.entity();
            let ran = now.saturating_sub(entity.charged_until.load(Relaxed));
            entity.charged_until.fetch_max(now, Relaxed);
            entity.run_time.fetch_add(ran, Relaxed);
            let priority = entity.effective();
            let vruntime = entity.vruntime.load(Relaxed).saturating_add(virtual_time(ran, priority.weight()));
            entity.vruntime.store(vruntime, Relaxed);
            let lane = if priority == Priority::Urgent { &mut self.urgent } else { &mut self.fair };
            lane.advance(vruntime);
            lane.note_lag(entity);
            if priority == Priority::Urgent {
                self.budget.used = self.budget.used.saturating_add(ran);
            }
        }
        self.budget.renew(now);
    }

    /// Whether another thread should run now instead of the running one: to be asked after a thread was enqueued and when the
    /// timer of [`slice_end`](Self::slice_end) has fired.
    pub fn should_preempt(&mut self, now: u64) -> bool {
        self.charge(now);
        let Some(running) = &self.running else { return !self.is_empty() };
        let entity = running.entity();
        let slice_over = now >= entity.slice_end.load(Relaxed);
        if is_urgent(running) {
            return (self.fair.count > 0 && self.budget.is_exhausted()) || (self.urgent.count > 0 && slice_over);
        }
        if self.urgent.count > 0 && !self.budget.is_exhausted() {
            return true;
        }
        let Some(first) = self.fair.tree.front().get() else { return false };
        let margin = virtual_time(WAKE_UP_GRANULARITY_NS, first.entity().effective().weight());
        let behind = first.entity().vruntime.load(Relaxed).saturating_add(margin);
        slice_over || entity.vruntime.load(Relaxed) > behind
    }

    /// When to ask [`should_preempt`](Self::should_preempt) again if nothing happens: `None` if nobody else wants to run, so
    /// that no timer is needed. May lie in the past. Changes whenever a thread is picked or enqueued.
    pub fn slice_end(&self) -> Option<u64> {
        let entity = self.running.as_ref()?.entity();
        let slice_end = entity.slice_end.load(Relaxed);
        let (own, other, other_turn) = if entity.effective() == Priority::Urgent {
            let left = URGENT_BUDGET_NS.saturating_sub(self.budget.used);
            (&self.urgent, &self.fair, entity.charged_until.load(Relaxed).saturating_add(left))
        } else {
            let turn = if self.budget.is_exhausted() { self.budget.period_end() } else { 0 };
            (&self.fair, &self.urgent, turn)
        };
        let own_turn = (own.count > 0).then_some(slice_end);
        let other_turn = (other.count > 0).then_some(other_turn);
        own_turn.into_iter().chain(other_turn).min()
    }

    /// Takes out a thread that another processor may run instead, from the end of the queue, urgent ones first. The thief
    /// enqueues it as [`Reason::Migrated`].
    pub fn steal(&mut self, allowed: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        self.urgent.take_last(&allowed).or_else(|| self.fair.take_last(&allowed))
    }

    /// Whether [`steal`](Self::steal) would find a thread.
    pub fn could_give(&self, allowed: impl Fn(&T) -> bool) -> bool {
        self.urgent.last_few().chain(self.fair.last_few()).any(allowed)
    }

    /// Takes a thread out if it is in this queue, for instance because it may not run here any more.
    pub fn remove(&mut self, thread: &Arc<T>) -> bool {
        self.urgent.take(thread) || self.fair.take(thread)
    }

    /// The running thread.
    pub fn running(&self) -> Option<&Arc<T>> {
        self.running.as_ref()
    }

    /// How many threads wait for their turn; the running one is not counted.
    pub fn len(&self) -> usize {
        self.urgent.count + self.fair.count
    }

    /// Whether nobody waits for a turn.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What balancing wants to know.
    pub fn load(&self) -> Load {
        Load { queued: self.len(), idle: self.running.is_none() }
    }

    fn lane_mut(&mut self, priority: Priority) -> &mut Lane<T> {
        if priority == Priority::Urgent { &mut self.urgent } else { &mut self.fair }
    }
}

/// Keeps the time that a thread has had too much or too little of when its weight changes.
fn rescale_lag(entity: &SchedulingEntity, old_weight: u64, new_weight: u64) {
    let lag = i128::from(entity.lag.load(Relaxed)) * i128::from(old_weight) / i128::from(new_weight);
    entity.lag.store(saturate(lag), Relaxed);
    entity.lane.store(NOWHERE, Relaxed);
}

fn saturate(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

fn is_urgent<T: Schedulable>(thread: &Arc<T>) -> bool {
    thread.entity().effective() == Priority::Urgent
}

/// What urgent threads have used of the current period.
struct Budget {
    period_start: u64,
    used: u64,
}

impl Budget {
    fn is_exhausted(&self) -> bool {
        self.used >= URGENT_BUDGET_NS
    }

    fn period_end(&self) -> u64 {
        self.period_start.saturating_add(URGENT_PERIOD_NS)
    }

    fn renew(&mut self, now: u64) {
        if now >= self.period_end() {
            *self = Self { period_start: now, used: 0 };
        }
    }
}

/// Threads that compete by virtual time.
struct Lane<T: Schedulable> {
    /// Tells this lane from those of all queues.
    number: usize,
    tree: RBTree<T::Adapter>,
    count: usize,
    /// Of all threads in the tree.
    weight: u64,
    /// The least virtual time of a thread that runs or waits here. Never falls.
    minimum: u64,
    next_sequence: u64,
}

impl<T: Schedulable> Lane<T> {
    const fn new(number: usize) -> Self {
        Self { number, tree: RBTree::new(T::ADAPTER), count: 0, weight: 0, minimum: 0, next_sequence: 0 }
    }

    fn enqueue(&mut self, thread: Arc<T>, reason: Reason) {
        let entity = thread.entity();
        let weight = entity.effective().weight();
        let credit_limit = self.minimum.saturating_sub(CREDIT);
        let at_home = entity.lane.load(Relaxed) == self.number;
        let vruntime = match reason {
            Reason::New => self.minimum.saturating_add(virtual_time(DEBIT_NS, weight)),
            Reason::Woken if at_home => entity.vruntime.load(Relaxed).max(credit_limit),
            Reason::Preempted | Reason::Migrated if at_home => entity.vruntime.load(Relaxed),
            _ => self.minimum.saturating_add_signed(entity.lag.load(Relaxed)).max(credit_limit),
        };
        entity.lane.store(self.number, Relaxed);
        entity.vruntime.store(vruntime, Relaxed);
        entity.sequence.store(self.next_sequence, Relaxed);
        self.next_sequence += 1;
        self.count += 1;
        self.weight += weight;
        self.tree.insert(thread);
    }

    fn first_vruntime(&self) -> Option<u64> {
        self.tree.front().get().map(|thread| thread.entity().vruntime.load(Relaxed))
    }

    fn take_first(&mut self) -> Option<Arc<T>> {
        let thread = self.tree.front_mut().remove()?;
        self.account_taken(&thread);
        Some(thread)
    }

    /// A thread that lets the first of the others go before it gives up what it had in hand over that one. Did it keep that, the
    /// other's virtual time would run away from its own, the minimum with it, and who wakes up near the minimum would wait for
    /// the thread that yields to catch up.
    fn yield_to_first(&mut self, entity: &SchedulingEntity) {
        if let Some(first) = self.first_vruntime() {
            entity.vruntime.fetch_max(first, Relaxed);
            self.note_lag(entity);
        }
    }

    /// The threads that may be stolen, in the order of asking.
    fn last_few(&self) -> impl Iterator<Item = &T> {
        self.tree.iter().rev().take(MOST_LOOKED_AT)
    }

    fn take_last(&mut self, allowed: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let mut cursor = self.tree.back_mut();
        for _ in 0..MOST_LOOKED_AT {
            if allowed(cursor.get()?) {
                let thread = cursor.remove()?;
                self.send_away(&thread);
                return Some(thread);
            }
            cursor.move_prev();
        }
        None
    }

    fn take(&mut self, thread: &Arc<T>) -> bool {
        let entity = thread.entity();
        if !entity.is_queued() || entity.lane.load(Relaxed) != self.number {
            return false;
        }
        let mut cursor = self.tree.find_mut(&entity.key());
        if !cursor.get().is_some_and(|found| core::ptr::eq(found, &raw const **thread)) {
            return false;
        }
        cursor.remove();
        self.send_away(thread);
        true
    }

    /// A thread that leaves keeps its distance from the minimum, and its virtual time here is forgotten.
    fn send_away(&mut self, thread: &Arc<T>) {
        self.account_taken(thread);
        self.note_lag(thread.entity());
        thread.entity().lane.store(NOWHERE, Relaxed);
    }

    fn account_taken(&mut self, thread: &Arc<T>) {
        self.count -= 1;
        self.weight -= thread.entity().effective().weight();
    }

    fn note_lag(&self, entity: &SchedulingEntity) {
        let lag = i128::from(entity.vruntime.load(Relaxed)) - i128::from(self.minimum);
        entity.lag.store(saturate(lag), Relaxed);
    }

    /// Raises the minimum after the running thread has come to virtual time `running`.
    fn advance(&mut self, running: u64) {
        let least = self.first_vruntime().map_or(running, |first| first.min(running));
        self.minimum = self.minimum.max(least);
    }

    /// The turn of a thread that is about to run with all others waiting.
    fn slice_ns(&self, entity: &SchedulingEntity) -> u64 {
        let weight = entity.effective().weight();
        let round = LATENCY_NS.max(SHORTEST_SLICE_NS.saturating_mul(self.count as u64 + 1));
        (round.saturating_mul(weight) / (self.weight + weight)).max(SHORTEST_SLICE_NS)
    }
}
