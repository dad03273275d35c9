//! All processes and threads, and the numbers that they, their groups and sessions hold.
//!
//! Every process but init has a living parent: who loses it gets another. Nothing that takes a process out of the tree
//! needs memory, because relations are numbers in the entries themselves.

use super::exit::Ended;
use super::pid_table::PidTable;
use super::status::Usage;
use super::terminal::Terminal;
use crate::errno::Errno;
use crate::signal::{ActionFlags, Actions, Disposition, Signal};
use core::fmt;
use core::num::NonZeroU32;

/// The number of a thread, a process, a group or a session. That of a process is the number of its first thread.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(NonZeroU32);

impl Pid {
    /// The first process, which all others descend from.
    pub const INIT: Self = Self(NonZeroU32::MIN);

    /// The number of a thread that there may be.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The same for what programs pass: `None` if it is not positive.
    pub fn from_user(number: i32) -> Option<Self> {
        u32::try_from(number).ok().and_then(Self::new)
    }

    /// The number.
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// Numbers that are possible at all: Linux's `PID_MAX_LIMIT`.
pub const MOST_NUMBERS: u32 = 4_194_304;

/// Numbers that are given out: Linux's `pid_max`, as it is on small machines.
pub const DEFAULT_NUMBERS: u32 = 32_768;

/// When all numbers were given out, those below stay with the processes that a system starts with: Linux's
/// `RESERVED_PIDS`.
const FIRST_AGAIN: u32 = 300;

/// What a parent wants to know of its children: `SA_NOCLDWAIT`, `SA_NOCLDSTOP` and the disposition of SIGCHLD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildPolicy {
    /// Nothing of those that end: SIGCHLD is ignored, or `SA_NOCLDWAIT`.
    pub discards_ended: bool,
    /// Nothing of those that stop or go on: `SA_NOCLDSTOP`.
    pub silent_about_stops: bool,
}

impl From<&Actions> for ChildPolicy {
    fn from(actions: &Actions) -> Self {
        let action = actions.get(Signal::SIGCHLD);
        Self {
            discards_ended: action.disposition() == Disposition::Ignore
                || action.flags.contains(ActionFlags::NO_CHILD_WAIT),
            silent_about_stops: action.flags.contains(ActionFlags::NO_CHILD_STOP),
        }
    }
}

/// How a process comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birth {
    /// The process that makes it.
    pub maker: Pid,
    /// What its parent gets when it ends; nothing, or something else than SIGCHLD, makes it a "clone" child for
    /// wait(2).
    pub exit_signal: Option<Signal>,
    /// Its parent is its maker's: `CLONE_PARENT`.
    pub as_sibling: bool,
}

/// All processes and threads. `T` is what the kernel has for each thread.
pub struct Tree<T> {
    pub(super) numbers: PidTable<Number<T>>,
    pub(super) last: u32,
    limit: u32,
}

/// What one number is used for.
pub(super) struct Number<T> {
    pub thread: Option<Thread<T>>,
    pub process: Option<Process>,
    pub group: Option<Group>,
    pub session: Option<Session>,
    /// Somebody is about to use it.
    reserved: bool,
}

pub(super) struct Thread<T> {
    pub process: Pid,
    pub ended: bool,
    links: Links,
    pub payload: T,
}

pub(super) struct Process {
    pub parent: Option<Pid>,
    pub group: Pid,
    pub session: Pid,
    pub exit_signal: Option<Signal>,
    pub state: State,
    /// It was let go on, and its parent has not asked since.
    pub continued: bool,
    /// It runs another program than its parent left it with.
    pub has_executed: bool,
    pub is_subreaper: bool,
    pub child_policy: ChildPolicy,
    /// What children used that were waited for.
    pub children_usage: Usage,
    /// User of the last change, for whom waits.
    pub uid: u32,
    children: Ends,
    siblings: Links,
    members: Links,
    threads: Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Stopped { signal: Signal, reported: bool },
    Zombie(Ended),
}

pub(super) struct Group {
    pub session: Pid,
    members: Ends,
}

pub(super) struct Session {
    groups: u32,
    pub terminal: Option<Terminal>,
    pub foreground: Option<Pid>,
}

/// Neighbours in a chain.
#[derive(Clone, Copy, Default)]
struct Links {
    previous: Option<Pid>,
    next: Option<Pid>,
}

/// First and last of a chain.
#[derive(Clone, Copy, Default)]
struct Ends {
    first: Option<Pid>,
    last: Option<Pid>,
}

/// Chains: each has an owner, and everybody is in at most one of each kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chain {
    Children,
    Members,
    Threads,
}

impl<T> Tree<T> {
    /// A tree of init alone, in a group and session of its own. `numbers` is how many numbers there are
    /// ([`DEFAULT_NUMBERS`]).
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn new(init: T, numbers: u32) -> Result<Self, Errno> {
        let mut tree = Self { numbers: PidTable::new(), last: 0, limit: numbers.clamp(FIRST_AGAIN * 2, MOST_NUMBERS) };
        let pid = tree.reserve()?;
        tree.add_leader(pid, None, None, init);
        tree.open_session(pid);
        tree.join_group(pid, pid, pid);
        Ok(tree)
    }

    /// Takes a number that nothing uses, for a thread that is about to be made.
    ///
    /// # Errors
    /// [`Errno::EAGAIN`] if there is none; [`Errno::ENOMEM`].
    pub fn reserve(&mut self) -> Result<Pid, Errno> {
        let pid = self.next_free().ok_or(Errno::EAGAIN)?;
        let number = Number { thread: None, process: None, group: None, session: None, reserved: true };
        self.numbers.insert(pid, number)?;
        self.last = pid.number();
        Ok(pid)
    }

    fn next_free(&self) -> Option<Pid> {
        let after = self.last + 1..self.limit;
        let again = FIRST_AGAIN..self.limit.min(self.last + 1);
        after.chain(again).filter_map(Pid::new).find(|pid| self.numbers.get(*pid).is_none())
    }

    /// Gives a reserved number back: nothing came of it.
    pub fn cancel(&mut self, pid: Pid) {
        if let Some(number) = self.numbers.get_mut(pid) {
            number.reserved = false;
        }
        self.release_if_unused(pid);
    }

    /// Adds a process with its first thread, in its maker's group and session, under a reserved number.
    ///
    /// # Errors
    /// [`Errno::ESRCH`] if the maker is not alive; the number is given back then. [`Errno::EINVAL`] if init's sibling
    /// is wanted.
    pub fn add_process(&mut self, pid: Pid, birth: Birth, payload: T) -> Result<(), Errno> {
        let maker = self.process(birth.maker).filter(|maker| maker.is_alive());
        let Some(maker) = maker else {
            self.cancel(pid);
            return Err(Errno::ESRCH);
        };
        let (group, session) = (maker.group, maker.session);
        // Who gets a child that it did not make is told as it is told of the maker.
        let (parent, exit_signal) =
            if birth.as_sibling { (maker.parent, maker.exit_signal) } else { (Some(birth.maker), birth.exit_signal) };
        if parent.is_none() {
            self.cancel(pid);
            return Err(Errno::EINVAL);
        }
        self.add_leader(pid, parent, exit_signal, payload);
        self.join_group(pid, group, session);
        Ok(())
    }

    fn add_leader(&mut self, pid: Pid, parent: Option<Pid>, exit_signal: Option<Signal>, payload: T) {
        let Some(number) = self.numbers.get_mut(pid) else { return };
        number.process = Some(Process {
            parent,
            group: pid,
            session: pid,
            exit_signal,
            state: State::Running,
            continued: false,
            has_executed: false,
            is_subreaper: false,
            child_policy: ChildPolicy::default(),
            children_usage: Usage::default(),
            uid: 0,
            children: Ends::default(),
            siblings: Links::default(),
            members: Links::default(),
            threads: Ends::default(),
        });
        self.put_thread(pid, pid, payload);
        if let Some(parent) = parent {
            self.append(Chain::Children, parent, pid);
        }
    }

    /// Adds a thread to a process, under a reserved number.
    ///
    /// # Errors
    /// [`Errno::ESRCH`] if the process is not alive; the number is given back then.
    pub fn add_thread(&mut self, tid: Pid, process: Pid, payload: T) -> Result<(), Errno> {
        if !self.process(process).is_some_and(Process::is_alive) {
            self.cancel(tid);
            return Err(Errno::ESRCH);
        }
        self.put_thread(tid, process, payload);
        Ok(())
    }

    fn put_thread(&mut self, tid: Pid, process: Pid, payload: T) {
        let Some(number) = self.numbers.get_mut(tid) else { return };
        number.reserved = false;
        number.thread = Some(Thread { process, ended: false, links: Links::default(), payload });
        self.append(Chain::Threads, process, tid);
    }

    /// What the kernel has for a thread.
    pub fn thread(&self, tid: Pid) -> Option<&T> {
        self.numbers.get(tid)?.thread.as_ref().map(|thread| &thread.payload)
    }

    /// Which process a thread is of.
    pub fn process_of(&self, tid: Pid) -> Option<Pid> {
        self.numbers.get(tid)?.thread.as_ref().map(|thread| thread.process)
    }

    /// The parent of a process; init has none.
    pub fn parent(&self, pid: Pid) -> Option<Pid> {
        self.process(pid)?.parent
    }

    /// Whether a process has ended and waits to be waited for.
    pub fn is_zombie(&self, pid: Pid) -> bool {
        self.process(pid).is_some_and(|process| !process.is_alive())
    }

    /// What the children of a process used that were waited for: `RUSAGE_CHILDREN`.
    pub fn children_usage(&self, pid: Pid) -> Usage {
        self.process(pid).map_or_else(Usage::default, |process| process.children_usage)
    }

    /// All processes, those that ended too, by number.
    pub fn processes(&self) -> impl Iterator<Item = Pid> {
        self.numbers.iter().filter(|(_, number)| number.process.is_some()).map(|(pid, _)| pid)
    }

    /// The children of a process, the oldest first.
    pub fn children(&self, pid: Pid) -> impl Iterator<Item = Pid> {
        self.walk(Chain::Children, pid)
    }

    /// The threads of a process. The first stays until the process is gone, even if it has ended.
    pub fn threads(&self, pid: Pid) -> impl Iterator<Item = Pid> {
        self.walk(Chain::Threads, pid)
    }

    /// The process runs another program now: its parent moves it to no other group any more.
    pub fn note_exec(&mut self, pid: Pid) {
        if let Some(process) = self.process_mut(pid) {
            process.has_executed = true;
        }
    }

    /// `PR_SET_CHILD_SUBREAPER`: descendants that lose their parents come to this process.
    pub fn set_subreaper(&mut self, pid: Pid, is_subreaper: bool) {
        if let Some(process) = self.process_mut(pid) {
            process.is_subreaper = is_subreaper;
        }
    }

    /// Whether it is one: `PR_GET_CHILD_SUBREAPER`.
    pub fn is_subreaper(&self, pid: Pid) -> bool {
        self.process(pid).is_some_and(|process| process.is_subreaper)
    }

    /// What a process wants to know of its children, whenever its action for SIGCHLD changes.
    pub fn set_child_policy(&mut self, pid: Pid, policy: ChildPolicy) {
        if let Some(process) = self.process_mut(pid) {
            process.child_policy = policy;
        }
    }

    pub(super) fn process(&self, pid: Pid) -> Option<&Process> {
        self.numbers.get(pid)?.process.as_ref()
    }

    pub(super) fn process_mut(&mut self, pid: Pid) -> Option<&mut Process> {
        self.numbers.get_mut(pid)?.process.as_mut()
    }

    pub(super) fn group_entry(&self, pid: Pid) -> Option<&Group> {
        self.numbers.get(pid)?.group.as_ref()
    }

    pub(super) fn session_entry(&self, pid: Pid) -> Option<&Session> {
        self.numbers.get(pid)?.session.as_ref()
    }

    pub(super) fn session_entry_mut(&mut self, pid: Pid) -> Option<&mut Session> {
        self.numbers.get_mut(pid)?.session.as_mut()
    }

    /// Makes a session without groups, which [`Tree::join_group`] adds.
    pub(super) fn open_session(&mut self, pid: Pid) {
        if let Some(number) = self.numbers.get_mut(pid) {
            number.session.get_or_insert(Session { groups: 0, terminal: None, foreground: None });
        }
    }

    /// Puts a process that is in no group into one, which is made if there is none. Its number must be in use.
    pub(super) fn join_group(&mut self, pid: Pid, group: Pid, session: Pid) {
        let is_new = self.group_entry(group).is_none();
        if is_new && let Some(number) = self.numbers.get_mut(group) {
            number.group = Some(Group { session, members: Ends::default() });
        }
        if is_new && let Some(session) = self.session_entry_mut(session) {
            session.groups = session.groups.saturating_add(1);
        }
        if let Some(process) = self.process_mut(pid) {
            (process.group, process.session) = (group, session);
        }
        self.append(Chain::Members, group, pid);
    }

    /// Takes a process out of its group. Groups without members and sessions without groups are gone.
    pub(super) fn leave_group(&mut self, pid: Pid) {
        let Some((group, session)) = self.process(pid).map(|process| (process.group, process.session)) else { return };
        self.unlink(Chain::Members, group, pid);
        if self.walk(Chain::Members, group).next().is_some() {
            return;
        }
        if let Some(number) = self.numbers.get_mut(group) {
            number.group = None;
        }
        if let Some(number) = self.numbers.get_mut(session)
            && let Some(entry) = &mut number.session
        {
            entry.groups = entry.groups.saturating_sub(1);
            if entry.groups == 0 {
                number.session = None;
            }
        }
        self.release_if_unused(group);
        self.release_if_unused(session);
    }

    pub(super) fn release_if_unused(&mut self, pid: Pid) {
        let is_unused = self.numbers.get(pid).is_some_and(|number| {
            !number.reserved
                && number.thread.is_none()
                && number.process.is_none()
                && number.group.is_none()
                && number.session.is_none()
        });
        if is_unused {
            self.numbers.remove(pid);
        }
    }

    fn ends(&self, chain: Chain, owner: Pid) -> Option<&Ends> {
        let number = self.numbers.get(owner)?;
        match chain {
            Chain::Children => number.process.as_ref().map(|process| &process.children),
            Chain::Threads => number.process.as_ref().map(|process| &process.threads),
            Chain::Members => number.group.as_ref().map(|group| &group.members),
        }
    }

    fn ends_mut(&mut self, chain: Chain, owner: Pid) -> Option<&mut Ends> {
        let number = self.numbers.get_mut(owner)?;
        match chain {
            Chain::Children => number.process.as_mut().map(|process| &mut process.children),
            Chain::Threads => number.process.as_mut().map(|process| &mut process.threads),
            Chain::Members => number.group.as_mut().map(|group| &mut group.members),
        }
    }

    fn links(&self, chain: Chain, pid: Pid) -> Option<&Links> {
        let number = self.numbers.get(pid)?;
        match chain {
            Chain::Children => number.process.as_ref().map(|process| &process.siblings),
            Chain::Members => number.process.as_ref().map(|process| &process.members),
            Chain::Threads => number.thread.as_ref().map(|thread| &thread.links),
        }
    }

    fn links_mut(&mut self, chain: Chain, pid: Pid) -> Option<&mut Links> {
        let number = self.numbers.get_mut(pid)?;
        match chain {
            Chain::Children => number.process.as_mut().map(|process| &mut process.siblings),
            Chain::Members => number.process.as_mut().map(|process| &mut process.members),
            Chain::Threads => number.thread.as_mut().map(|thread| &mut thread.links),
        }
    }

    /// Everybody in a chain, in the order of coming.
    pub(super) fn walk(&self, chain: Chain, owner: Pid) -> impl Iterator<Item = Pid> {
        let first = self.ends(chain, owner).and_then(|ends| ends.first);
        core::iter::successors(first, move |pid| self.links(chain, *pid)?.next)
    }

    pub(super) fn append(&mut self, chain: Chain, owner: Pid, pid: Pid) {
        let Some(ends) = self.ends_mut(chain, owner) else { return };
        let last = ends.last.replace(pid);
        ends.first.get_or_insert(pid);
        if let Some(links) = self.links_mut(chain, pid) {
            *links = Links { previous: last, next: None };
        }
        if let Some(links) = last.and_then(|last| self.links_mut(chain, last)) {
            links.next = Some(pid);
        }
    }

    pub(super) fn unlink(&mut self, chain: Chain, owner: Pid, pid: Pid) {
        let Some(links) = self.links_mut(chain, pid) else { return };
        let Links { previous, next } = core::mem::take(links);
        match previous.and_then(|previous| self.links_mut(chain, previous)) {
            Some(links) => links.next = next,
            None => {
                if let Some(ends) = self.ends_mut(chain, owner) {
                    ends.first = next;
                }
            }
        }
        match next.and_then(|next| self.links_mut(chain, next)) {
            Some(links) => links.previous = previous,
            None => {
                if let Some(ends) = self.ends_mut(chain, owner) {
                    ends.last = previous;
                }
            }
        }
    }
}

impl Process {
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, State::Zombie(_))
    }
}
