//! On which processor a thread runs. Loads are read without locks, so they may be a little old: every answer is good enough,
//! none is binding.

use super::cpu_set::{CpuId, CpuSet};
use super::entity::Priority;

/// How busy a processor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Threads that wait for their turn.
    pub queued: usize,
    /// No thread runs.
    pub idle: bool,
}

impl Load {
    /// Threads that run or wait.
    pub fn total(&self) -> usize {
        self.queued + usize::from(!self.idle)
    }
}

/// How busy all processors are, read one by one: a list of all of them is too long for a kernel stack.
pub trait Loads {
    /// How many processors there are.
    fn count(&self) -> usize;

    /// How busy processor `cpu` is; `None` if there is no such processor.
    fn load(&self, cpu: CpuId) -> Option<Load>;
}

impl<T: AsRef<[Load]> + ?Sized> Loads for T {
    fn count(&self) -> usize {
        self.as_ref().len()
    }

    fn load(&self, cpu: CpuId) -> Option<Load> {
        self.as_ref().get(cpu).copied()
    }
}

/// Where a thread that becomes runnable goes: to its previous processor if that is idle, for its cache; to the waker's, for the
/// data it brings; to any idle one; else to the least busy, where moving must be worth more than one thread. If none of the
/// processors is allowed, as if all were.
pub fn choose_cpu(previous: Option<CpuId>, waker: CpuId, loads: &(impl Loads + ?Sized), allowed: &CpuSet) -> CpuId {
    let count = loads.count();
    let any_allowed = (0..count).any(|cpu| allowed.contains(cpu));
    let may = |cpu: CpuId| cpu < count && (!any_allowed || allowed.contains(cpu));
    let total = |cpu: CpuId| loads.load(cpu).map_or(usize::MAX, |load| load.total());
    let previous = previous.filter(|&cpu| may(cpu));
    let home = previous.unwrap_or(waker);
    let near = previous.into_iter().chain([waker]).filter(|&cpu| may(cpu));
    if let Some(idle) = near.chain(others(home, count)).find(|&cpu| may(cpu) && total(cpu) == 0) {
        return idle;
    }
    let least = [home].into_iter().chain(others(home, count)).filter(|&cpu| may(cpu)).min_by_key(|&cpu| total(cpu));
    match (previous, least) {
        (Some(previous), Some(least)) if total(previous) <= total(least) + 1 => previous,
        (_, least) => least.unwrap_or(waker),
    }
}

/// From whom of `candidates` processor `me` should take a thread that waits: the one with the most waiting, if both are better
/// off then. If none of its threads may move, the caller asks again without it.
pub fn choose_victim(loads: &(impl Loads + ?Sized), me: CpuId, candidates: &CpuSet) -> Option<CpuId> {
    let mine = loads.load(me)?.total();
    others(me, loads.count())
        .filter(|&cpu| candidates.contains(cpu))
        .filter_map(|cpu| Some((cpu, loads.load(cpu)?)))
        .filter(|(_, load)| load.queued > 0 && load.total() >= mine + 2)
        // The last of equals is taken: reversed, the first after me.
        .rev()
        .max_by_key(|(_, load)| load.queued)
        .map(|(cpu, _)| cpu)
}

/// Whom a woken thread should displace if no processor is idle: the running thread that matters least, if it matters less by its
/// class (time is the run queue's business); `preferred` among equals. `running` tells for each processor what it runs, `None`
/// if it is idle, and then it is the answer.
pub fn whom_to_preempt(
    woken: Priority,
    running: &[Option<Priority>],
    preferred: CpuId,
    allowed: &CpuSet,
) -> Option<CpuId> {
    let importance = |cpu: CpuId| match running.get(cpu).copied().flatten() {
        None => 0,
        Some(Priority::Idle) => 1,
        Some(Priority::Fair(_)) => 2,
        Some(Priority::Urgent) => 3,
    };
    let displaces = |cpu: &CpuId| match running.get(*cpu) {
        None => false,
        Some(None) => true,
        Some(&Some(priority)) => woken.outranks(priority),
    };
    [preferred]
        .into_iter()
        .chain(others(preferred, running.len()))
        .filter(|&cpu| allowed.contains(cpu))
        .filter(displaces)
        .min_by_key(|&cpu| importance(cpu))
}

/// All processors but `me`, beginning after it, so that not everybody turns to the first.
fn others(me: CpuId, count: usize) -> impl DoubleEndedIterator<Item = CpuId> + Clone {
    (me.saturating_add(1)..count).chain(0..me.min(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::Nice;
    use proptest::prelude::*;

    fn choose_victim(loads: &[Load], me: CpuId) -> Option<CpuId> {
        super::choose_victim(loads, me, &CpuSet::ALL)
    }

    const IDLE: Load = Load { queued: 0, idle: true };

    fn busy(queued: usize) -> Load {
        Load { queued, idle: false }
    }

    #[test]
    fn a_woken_thread_goes_where_it_finds_its_cache_or_an_idle_processor() {
        let all = CpuSet::ALL;
        assert_eq!(choose_cpu(Some(1), 0, &[IDLE, IDLE, IDLE], &all), 1);
        assert_eq!(choose_cpu(Some(1), 0, &[IDLE, busy(0), IDLE], &all), 0, "the waker's is idle");
        assert_eq!(choose_cpu(Some(1), 0, &[busy(0), busy(0), IDLE], &all), 2);
        assert_eq!(choose_cpu(None, 2, &[IDLE, busy(0), busy(0)], &all), 0);
    }

    #[test]
    fn moving_from_one_busy_processor_to_another_must_be_worth_it() {
        let all = CpuSet::ALL;
        assert_eq!(choose_cpu(Some(1), 0, &[busy(0), busy(1)], &all), 1);
        assert_eq!(choose_cpu(Some(1), 0, &[busy(0), busy(2)], &all), 0);
    }

    #[test]
    fn affinity_is_kept_if_it_can_be() {
        assert_eq!(choose_cpu(Some(0), 0, &[IDLE, busy(5)], &CpuSet::only(1)), 1);
        assert_eq!(choose_cpu(Some(0), 0, &[IDLE, IDLE], &CpuSet::only(7)), 0);
        assert_eq!(choose_cpu(Some(9), 8, &[busy(1), busy(0)], &CpuSet::EMPTY), 1);
    }

    #[test]
    fn the_victim_is_the_busiest_and_only_if_it_helps() {
        assert_eq!(choose_victim(&[IDLE, busy(1), busy(3), busy(3)], 0), Some(2));
        assert_eq!(choose_victim(&[busy(3), IDLE, busy(1)], 1), Some(0));
        assert_eq!(choose_victim(&[IDLE, busy(0)], 0), None, "it only runs one");
        assert_eq!(choose_victim(&[IDLE, Load { queued: 1, idle: true }], 0), None, "it is about to run it");
        assert_eq!(choose_victim(&[busy(0), busy(1)], 0), None);
        assert_eq!(choose_victim(&[busy(0), busy(2)], 0), Some(1));
        assert_eq!(choose_victim(&[busy(9)], 3), None);
        let mut candidates = CpuSet::ALL;
        candidates.remove(2);
        assert_eq!(super::choose_victim(&[IDLE, busy(1), busy(3)], 0, &candidates), Some(1), "the next best");
    }

    #[test]
    fn the_least_important_is_displaced() {
        let normal = Priority::Fair(Nice::NORMAL);
        let running = [Some(normal), Some(Priority::Urgent), Some(normal), Some(Priority::Idle)];
        let all = CpuSet::ALL;
        assert_eq!(whom_to_preempt(Priority::Urgent, &running, 0, &all), Some(3));
        assert_eq!(whom_to_preempt(Priority::Urgent, &running[..3], 2, &all), Some(2));
        assert_eq!(whom_to_preempt(Priority::Urgent, &running[..3], 1, &all), Some(2));
        assert_eq!(whom_to_preempt(normal, &running[..3], 0, &all), None);
        assert_eq!(whom_to_preempt(Priority::Idle, &[Some(normal), None], 0, &all), Some(1));
        assert_eq!(whom_to_preempt(Priority::Urgent, &running, 0, &CpuSet::only(1)), None);
    }

    proptest! {
        #[test]
        fn choices_exist_are_allowed_and_never_worse_than_any_by_more_than_one(
            loads in prop::collection::vec((0_usize..5, any::<bool>()), 1..20),
            allowed in any::<u64>(), previous in prop::option::of(0_usize..30), waker in 0_usize..20,
        ) {
            let loads: Vec<Load> = loads.iter().map(|&(queued, idle)| Load { queued, idle }).collect();
            let waker = waker % loads.len();
            let allowed = CpuSet::from_words(&[allowed]);
            let chosen = choose_cpu(previous, waker, &loads, &allowed);
            let options: Vec<CpuId> = (0..loads.len()).filter(|&cpu| allowed.contains(cpu)).collect();
            prop_assert!(chosen < loads.len());
            prop_assert!(options.is_empty() || options.contains(&chosen));
            for option in options {
                prop_assert!(loads[chosen].total() <= loads[option].total() + 1);
                prop_assert!(loads[option].total() > 0 || loads[chosen].total() == 0);
            }
            if let Some(victim) = choose_victim(&loads, waker) {
                prop_assert!(victim != waker && loads[victim].queued > 0);
            }
        }
    }
}
