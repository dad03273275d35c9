//! What the tree knows of one process, at one moment: for /proc.

use super::exit::Ended;
use super::status::Usage;
use super::tree::{Chain, Pid, State, Tree};
use crate::signal::Signal;

/// A process, as /proc/PID/stat tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its parent; init has none.
    pub parent: Option<Pid>,
    /// Its group.
    pub group: Pid,
    /// Its session.
    pub session: Pid,
    /// What its parent gets when it ends.
    pub exit_signal: Option<Signal>,
    /// Whether job control has stopped it.
    pub is_stopped: bool,
    /// How it ended, if it has.
    pub ended: Option<Ended>,
    /// What its children used that were waited for.
    pub children_usage: Usage,
}

impl<T> Tree<T> {
    /// What there is to know of a process.
    pub fn describe(&self, pid: Pid) -> Option<Description> {
        let process = self.process(pid)?;
        Some(Description {
            parent: process.parent,
            group: process.group,
            session: process.session,
            exit_signal: process.exit_signal,
            is_stopped: matches!(process.state, State::Stopped { .. }),
            ended: match process.state {
                State::Zombie(ended) => Some(ended),
                _ => None,
            },
            children_usage: process.children_usage,
        })
    }

    /// The number that was given out last.
    pub fn last_number(&self) -> u32 {
        self.last
    }

    /// The process with the lowest number that is at least `from`.
    pub fn next_process(&self, from: u32) -> Option<Pid> {
        let mut numbers = self.numbers.iter_from(from);
        numbers.find(|(_, number)| number.process.is_some()).map(|(pid, _)| pid)
    }

    /// The thread of a process with the lowest number that is at least `from`.
    pub fn next_thread(&self, process: Pid, from: u32) -> Option<Pid> {
        self.walk(Chain::Threads, process).filter(|tid| tid.number() >= from).min()
    }

    /// The threads of a process that have not ended.
    pub fn living_threads(&self, process: Pid) -> impl Iterator<Item = &T> {
        let threads = self.walk(Chain::Threads, process).filter_map(|tid| self.numbers.get(tid)?.thread.as_ref());
        threads.filter(|thread| !thread.ended).map(|thread| &thread.payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Birth, Status};

    #[test]
    fn processes_and_threads_are_found_in_order_and_described_as_they_are() {
        let mut tree = Tree::new(1, 1000).unwrap();
        let birth = Birth { maker: Pid::INIT, exit_signal: Some(Signal::SIGCHLD), as_sibling: false };
        let [child, thread, last] = [(); 3].map(|()| tree.reserve().unwrap());
        tree.add_process(child, birth, 2).unwrap();
        tree.add_thread(thread, child, 3).unwrap();
        tree.add_process(last, birth, 4).unwrap();

        let found = core::iter::successors(tree.next_process(0), |pid| tree.next_process(pid.number() + 1));
        assert_eq!(found.collect::<Vec<_>>(), [Pid::INIT, child, last]);
        assert_eq!(tree.next_process(u32::MAX), None);
        assert_eq!(tree.next_thread(child, 0), Some(child));
        assert_eq!(tree.next_thread(child, child.number() + 1), Some(thread));
        assert_eq!(tree.next_thread(child, thread.number() + 1), None);

        let described = tree.describe(child).unwrap();
        assert_eq!((described.parent, described.group, described.ended), (Some(Pid::INIT), Pid::INIT, None));
        tree.stop(child, Signal::SIGTSTP, 0, &mut |_| ());
        assert!(tree.describe(child).unwrap().is_stopped);
        assert_eq!(tree.living_threads(child).copied().collect::<Vec<_>>(), [2, 3]);
        tree.exit_thread(child).unwrap();
        assert_eq!(tree.living_threads(child).copied().collect::<Vec<_>>(), [3]);
        tree.exit_thread(thread).unwrap();
        let ended = Ended { status: Status::Exited(7), usage: Usage::default(), uid: 0 };
        tree.exit_process(child, ended, &mut |_| ()).unwrap();
        assert_eq!(tree.describe(child).unwrap().ended, Some(ended));
        assert_eq!(tree.describe(thread), None);
    }
}
