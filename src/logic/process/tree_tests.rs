//! Tests of births, ends and waits, and a tree against a model.

use super::*;
use crate::errno::Errno;
use crate::signal::{Action, ActionFlags, Actions, Signal};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn pid(number: u32) -> Pid {
    Pid::new(number).expect("not 0")
}

/// A tree whose threads have their numbers as payload.
pub(super) fn tree() -> Tree<u32> {
    Tree::new(1, DEFAULT_NUMBERS).expect("memory")
}

pub(super) fn birth(maker: u32) -> Birth {
    Birth { maker: pid(maker), exit_signal: Some(Signal::SIGCHLD), as_sibling: false }
}

pub(super) fn fork(tree: &mut Tree<u32>, maker: u32) -> u32 {
    let child = tree.reserve().expect("a number");
    tree.add_process(child, birth(maker), child.number()).expect("the maker is alive");
    child.number()
}

fn ended(code: u8) -> Ended {
    Ended { status: Status::Exited(code), usage: Usage { user_ns: 1, ..Usage::default() }, uid: 1000 }
}

pub(super) fn exit(tree: &mut Tree<u32>, process: u32, code: u8) -> Vec<Event<u32>> {
    let mut events = Vec::new();
    tree.exit_process(pid(process), ended(code), &mut |event| events.push(event)).expect("alive");
    events
}

fn wait4(tree: &mut Tree<u32>, caller: u32, number: i32, options: u32) -> Result<Option<(u32, u32)>, Errno> {
    let own = tree.group(pid(caller)).expect("alive");
    let report = tree.wait(pid(caller), Which::for_wait4(number, own)?, WaitOptions::for_wait4(options)?)?;
    Ok(report.map(|report| (report.pid.number(), report.status.word())))
}

const WUNTRACED: u32 = 2;
const WCONTINUED: u32 = 8;
const WALL: u32 = 0x4000_0000;
const WCLONE: u32 = 0x8000_0000;

#[test]
fn a_child_is_waited_for_once_and_then_its_number_is_free() {
    let mut tree = tree();
    let child = fork(&mut tree, 1);
    assert_eq!(wait4(&mut tree, 1, -1, 0), Ok(None));
    let told =
        Event::Child { parent: Pid::INIT, child: pid(child), signal: Some(Signal::SIGCHLD), status: Status::Exited(3) };
    assert_eq!(exit(&mut tree, child, 3), vec![told]);
    assert!(tree.is_zombie(pid(child)));
    assert_eq!(tree.exit_process(pid(child), ended(0), &mut |_| {}), Err(Errno::ESRCH));
    let mut wait = |options| tree.wait(Pid::INIT, Which::Any, options);
    let look = wait(WaitOptions::EXITED | WaitOptions::NO_WAIT).expect("a child").expect("ended");
    assert_eq!((look.gone, look.uid, look.status), (None, 1000, Status::Exited(3)));
    let report = wait(WaitOptions::EXITED).expect("a child").expect("ended");
    assert_eq!((report.gone, report.usage.user_ns), (Some(child), 1));
    assert_eq!(tree.children_usage(Pid::INIT).user_ns, 1);
    assert_eq!(wait4(&mut tree, 1, -1, 0), Err(Errno::ECHILD));
    assert_eq!((tree.thread(pid(child)), tree.processes().count()), (None, 1));
}

#[test]
fn children_are_chosen_as_wait4_says() {
    let mut tree = tree();
    let (first, second) = (fork(&mut tree, 1), fork(&mut tree, 1));
    tree.set_group(Pid::INIT, second as i32, 0).expect("a child");
    let silent = tree.reserve().expect("a number");
    tree.add_process(silent, Birth { exit_signal: None, ..birth(1) }, 0).expect("alive");
    for child in [first, second, silent.number()] {
        exit(&mut tree, child, 0);
    }
    assert_eq!(wait4(&mut tree, 1, 12345, 0), Err(Errno::ECHILD));
    assert_eq!(wait4(&mut tree, 1, i32::MIN, 0), Err(Errno::ESRCH));
    assert_eq!(wait4(&mut tree, 1, -1, 0x10), Err(Errno::EINVAL));
    assert_eq!(wait4(&mut tree, 1, silent.number() as i32, 0), Err(Errno::ECHILD), "only with __WCLONE or __WALL");
    assert_eq!(wait4(&mut tree, 1, first as i32, WCLONE), Err(Errno::ECHILD));
    assert_eq!(wait4(&mut tree, 1, -1, WCLONE), Ok(Some((silent.number(), 0))));
    assert_eq!(wait4(&mut tree, 1, -(second as i32), WALL), Ok(Some((second, 0))));
    assert_eq!(wait4(&mut tree, 1, 0, 0), Ok(Some((first, 0))));
}

#[test]
fn waitid_takes_what_it_is_told() {
    let own = pid(7);
    assert_eq!(Which::for_waitid(0, -5, own), Ok(Which::Any));
    assert_eq!(Which::for_waitid(1, 5, own), Ok(Which::Process(pid(5))));
    assert_eq!(Which::for_waitid(2, 0, own), Ok(Which::Group(own)));
    assert_eq!(Which::for_waitid(2, 5, own), Ok(Which::Group(pid(5))));
    for (kind, number) in [(1, 0), (1, -1), (2, -1), (3, 4), (9, 1)] {
        assert_eq!(Which::for_waitid(kind, number, own), Err(Errno::EINVAL));
    }
    assert_eq!(WaitOptions::for_waitid(1), Err(Errno::EINVAL), "nothing to wait for");
    assert_eq!(WaitOptions::for_waitid(0x14), Err(Errno::EINVAL));
    assert_eq!(WaitOptions::for_waitid(4 | 1 << 24), Ok(WaitOptions::EXITED | WaitOptions::NO_WAIT));
}

#[test]
fn stopping_and_going_on_are_told_once_to_who_asks() {
    let mut tree = tree();
    let child = fork(&mut tree, 1);
    let mut events = Vec::new();
    tree.stop(pid(child), Signal::SIGTSTP, 5, &mut |event| events.push(event));
    assert_eq!(wait4(&mut tree, 1, -1, 0), Ok(None));
    assert_eq!(wait4(&mut tree, 1, -1, WUNTRACED), Ok(Some((child, 20 << 8 | 0x7f))));
    assert_eq!(wait4(&mut tree, 1, -1, WUNTRACED), Ok(None));
    assert!(tree.go_on(pid(child), 5, &mut |event| events.push(event)));
    assert!(!tree.go_on(pid(child), 5, &mut |_| panic!("it was not stopped")));
    assert_eq!(wait4(&mut tree, 1, -1, WUNTRACED), Ok(None));
    assert_eq!(wait4(&mut tree, 1, -1, WCONTINUED), Ok(Some((child, 0xffff))));
    assert_eq!(wait4(&mut tree, 1, -1, WCONTINUED), Ok(None));
    assert_eq!(events.len(), 2);
    tree.set_child_policy(Pid::INIT, ChildPolicy { silent_about_stops: true, ..ChildPolicy::default() });
    tree.stop(pid(child), Signal::SIGSTOP, 5, &mut |event| {
        assert!(matches!(event, Event::Child { signal: None, .. }), "woken, but not signalled");
    });
}

#[test]
fn who_does_not_want_to_know_has_nothing_to_wait_for() {
    let mut tree = tree();
    tree.set_child_policy(Pid::INIT, ChildPolicy { discards_ended: true, ..ChildPolicy::default() });
    let child = fork(&mut tree, 1);
    assert!(exit(&mut tree, child, 0).contains(&Event::Gone(child)));
    assert_eq!(wait4(&mut tree, 1, -1, 0), Err(Errno::ECHILD));
    assert_eq!(tree.children_usage(Pid::INIT), Usage::default());
}

#[test]
fn what_a_parent_wants_to_know_is_in_its_action_for_sigchld() {
    let policy = |handler, flags| {
        let mut actions = Actions::new();
        actions.set(Signal::SIGCHLD, Action { handler, flags, ..Action::default() }).expect("not absolute");
        let policy = ChildPolicy::from(&actions);
        (policy.discards_ended, policy.silent_about_stops)
    };
    assert_eq!(policy(0, ActionFlags::empty()), (false, false), "ignoring by default is not asking for it");
    assert_eq!(policy(1, ActionFlags::empty()), (true, false));
    assert_eq!(policy(0x40_0000, ActionFlags::NO_CHILD_WAIT | ActionFlags::NO_CHILD_STOP), (true, true));
}

#[test]
fn orphans_come_to_the_nearest_subreaper_or_to_init() {
    let mut tree = tree();
    let reaper = fork(&mut tree, 1);
    let parent = fork(&mut tree, reaper);
    let (living, dead) = (fork(&mut tree, parent), fork(&mut tree, parent));
    exit(&mut tree, dead, 9);
    tree.set_subreaper(pid(reaper), true);
    assert!(tree.is_subreaper(pid(reaper)));
    let events = exit(&mut tree, parent, 0);
    assert_eq!(tree.parent(pid(living)), Some(pid(reaper)));
    let told = |parent: u32, child: u32, code| Event::Child {
        parent: pid(parent),
        child: pid(child),
        signal: Some(Signal::SIGCHLD),
        status: Status::Exited(code),
    };
    assert_eq!(events, [told(reaper, dead, 9), told(reaper, parent, 0)]);
    assert_eq!(wait4(&mut tree, reaper, dead as i32, 0), Ok(Some((dead, 9 << 8))));
    exit(&mut tree, reaper, 0);
    assert_eq!(tree.parent(pid(living)), Some(Pid::INIT));
    assert_eq!(tree.parent(pid(parent)), Some(Pid::INIT), "zombies too");
}

#[test]
fn a_process_ends_with_its_last_thread_and_keeps_its_first() {
    let mut tree = tree();
    let process = fork(&mut tree, 1);
    let thread = tree.reserve().expect("a number");
    tree.add_thread(thread, pid(process), 77).expect("alive");
    assert_eq!(tree.process_of(thread), Some(pid(process)));
    assert_eq!(tree.exit_thread(pid(process)), Ok((None, false)));
    assert!(tree.thread(pid(process)).is_some(), "others know the process by it");
    assert_eq!(wait4(&mut tree, 1, -1, 0), Ok(None));
    assert_eq!(tree.exit_thread(thread), Ok((Some(77), true)));
    assert_eq!(tree.exit_thread(thread), Err(Errno::ESRCH));
    exit(&mut tree, process, 0);
    let late = tree.reserve().expect("a number");
    assert_eq!(tree.add_thread(late, pid(process), 0), Err(Errno::ESRCH));
    assert_eq!(tree.add_process(late, birth(process), 0), Err(Errno::ESRCH));
    assert_eq!(wait4(&mut tree, 1, -1, 0), Ok(Some((process, 0))));
}

#[test]
fn a_thread_that_executes_becomes_the_first() {
    let mut tree = tree();
    let process = fork(&mut tree, 1);
    let (thread, other) = (tree.reserve().expect("a number"), tree.reserve().expect("a number"));
    tree.add_thread(thread, pid(process), 77).expect("alive");
    tree.add_thread(other, pid(process), 88).expect("alive");
    assert_eq!(tree.become_first(thread), Err(Errno::EBUSY));
    tree.exit_thread(other).expect("there");
    assert_eq!(tree.become_first(thread), Err(Errno::EBUSY));
    tree.exit_thread(pid(process)).expect("there");
    assert_eq!(tree.become_first(thread), Ok(Some(process)));
    assert_eq!((tree.thread(pid(process)), tree.thread(thread)), (Some(&77), None));
    assert_eq!(tree.become_first(pid(process)), Ok(None));
    assert_eq!(tree.threads(pid(process)).collect::<Vec<_>>(), [pid(process)]);
}

#[test]
fn a_sibling_is_its_makers_parents_child() {
    let mut tree = tree();
    let maker = fork(&mut tree, 1);
    let sibling = tree.reserve().expect("a number");
    tree.add_process(sibling, Birth { as_sibling: true, exit_signal: None, ..birth(maker) }, 0).expect("alive");
    assert_eq!(tree.parent(sibling), Some(Pid::INIT));
    assert_eq!(tree.children(Pid::INIT).collect::<Vec<_>>(), [pid(maker), sibling]);
    exit(&mut tree, sibling.number(), 0);
    assert_eq!(wait4(&mut tree, 1, -1, 0), Ok(Some((sibling.number(), 0))), "by the maker's signal");
    let impossible = tree.reserve().expect("a number");
    assert_eq!(tree.add_process(impossible, Birth { as_sibling: true, ..birth(1) }, 0), Err(Errno::EINVAL));
}

#[test]
fn init_does_not_end() {
    assert_eq!(tree().exit_process(Pid::INIT, ended(0), &mut |_| {}), Err(Errno::EPERM));
}

#[test]
fn numbers_go_round_and_spare_those_in_use() {
    let mut tree = Tree::new(0, 600).expect("memory");
    let kept = fork(&mut tree, 1);
    let mut last = 0;
    for _ in 0..2000 {
        let number = tree.reserve().expect("a number");
        assert!(number.number() != kept && number.number() < 600 && number.number() != last);
        assert!(number.number() > last || number.number() == 300, "{last} {number}");
        last = number.number();
        tree.cancel(number);
    }
    let taken: BTreeSet<_> = core::iter::from_fn(|| tree.reserve().ok()).collect();
    assert_eq!(tree.reserve(), Err(Errno::EAGAIN));
    assert_eq!(taken.len(), 300, "those below belong to who came first");
}

#[derive(Clone, Debug)]
enum Step {
    Fork(usize),
    Exit(usize),
    Wait(usize),
    Stop(usize),
    GoOn(usize),
    SetSession(usize),
    SetGroup(usize, usize, usize),
    Subreaper(usize, bool),
    Discard(usize, bool),
    Cancel,
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0_usize..64;
    prop_oneof![
        4 => which.clone().prop_map(Step::Fork),
        3 => which.clone().prop_map(Step::Exit),
        3 => which.clone().prop_map(Step::Wait),
        1 => which.clone().prop_map(Step::Stop),
        1 => which.clone().prop_map(Step::GoOn),
        1 => which.clone().prop_map(Step::SetSession),
        2 => (which.clone(), which.clone(), which.clone()).prop_map(|(a, b, c)| Step::SetGroup(a, b, c)),
        1 => (which.clone(), any::<bool>()).prop_map(|(a, on)| Step::Subreaper(a, on)),
        1 => (which, any::<bool>()).prop_map(|(a, on)| Step::Discard(a, on)),
        1 => Just(Step::Cancel),
    ]
}

/// Everything that holds for every tree.
fn check(tree: &Tree<u32>, alive: &BTreeSet<u32>) {
    let all: Vec<_> = tree.processes().collect();
    let mut by_parent: BTreeMap<Pid, BTreeSet<Pid>> = BTreeMap::new();
    for process in &all {
        assert_eq!(tree.is_zombie(*process), !alive.contains(&process.number()));
        let group = tree.group(*process).expect("there");
        let session = tree.session(*process).expect("there");
        assert!(tree.members(group).any(|member| member == *process), "in its group");
        assert_eq!(tree.session_members(session).filter(|member| member == process).count(), 1);
        let Some(parent) = tree.parent(*process) else {
            assert_eq!(*process, Pid::INIT);
            continue;
        };
        assert!(all.contains(&parent) && !tree.is_zombie(parent), "every parent lives");
        by_parent.entry(parent).or_default().insert(*process);
        // All lead up to init.
        let ancestors = core::iter::successors(Some(parent), |ancestor| tree.parent(*ancestor));
        assert_eq!(ancestors.take(all.len()).last(), Some(Pid::INIT));
    }
    for parent in &all {
        let children: Vec<_> = tree.children(*parent).collect();
        let set: BTreeSet<_> = children.iter().copied().collect();
        assert_eq!(children.len(), set.len());
        assert_eq!(set, by_parent.remove(parent).unwrap_or_default());
    }
    for (number, entry) in tree.numbers.iter() {
        if entry.group.is_some() {
            assert!(tree.members(number).next().is_some(), "no empty groups");
        }
        if entry.session.is_some() {
            assert!(tree.session_members(number).next().is_some(), "no empty sessions");
        }
        assert!(entry.process.is_some() || entry.group.is_some() || entry.session.is_some(), "nothing unused");
    }
}

proptest! {
    #[test]
    fn every_process_has_a_living_parent_and_is_waited_for_once(steps in prop::collection::vec(step(), 0..120)) {
        let mut tree = Tree::new(1, 600).expect("memory");
        let mut alive = BTreeSet::from([1_u32]);
        let mut ended_codes: BTreeMap<u32, u8> = BTreeMap::new();
        let nth = |alive: &BTreeSet<u32>, index: usize| *alive.iter().nth(index % alive.len()).expect("init lives");
        for (time, step) in (0_u8..=255).cycle().zip(steps) {
            match step {
                Step::Fork(maker) => {
                    let in_use: BTreeSet<_> = tree.numbers.iter().map(|(number, _)| number.number()).collect();
                    let child = fork(&mut tree, nth(&alive, maker));
                    prop_assert!(!in_use.contains(&child) && alive.insert(child));
                }
                Step::Cancel => {
                    let number = tree.reserve().expect("a number");
                    tree.cancel(number);
                }
                Step::Exit(index) => {
                    let process = nth(&alive, index);
                    if process != 1 {
                        prop_assert_eq!(tree.exit_thread(pid(process)), Ok((None, true)));
                        alive.remove(&process);
                        let events = exit(&mut tree, process, time);
                        ended_codes.insert(process, time);
                        let is_own =
                            |event: &&Event<u32>| matches!(event, Event::Child { child, .. } if *child == pid(process));
                        prop_assert_eq!(events.iter().filter(is_own).count(), 1);
                        if events.contains(&Event::Gone(process)) {
                            ended_codes.remove(&process);
                        }
                        // Zombies that came to somebody who does not want to know are gone as well.
                        ended_codes.retain(|process, _| tree.is_zombie(pid(*process)));
                    }
                }
                Step::Wait(index) => {
                    let caller = nth(&alive, index);
                    let children: Vec<_> = tree.children(pid(caller)).collect();
                    let zombie = children.iter().copied().find(|child| tree.is_zombie(*child));
                    let waited = tree.wait(pid(caller), Which::Any, WaitOptions::EXITED);
                    match (waited, zombie) {
                        (Err(error), _) => prop_assert!(error == Errno::ECHILD && children.is_empty()),
                        (Ok(None), zombie) => prop_assert!(zombie.is_none() && !children.is_empty()),
                        (Ok(Some(report)), zombie) => {
                            prop_assert_eq!(Some(report.pid), zombie);
                            let code = ended_codes.remove(&report.pid.number());
                            prop_assert_eq!(code.map(Status::Exited), Some(report.status), "once");
                            prop_assert_eq!(report.gone, Some(report.pid.number()));
                        }
                    }
                }
                Step::Stop(index) => tree.stop(pid(nth(&alive, index)), Signal::SIGSTOP, 0, &mut |_| {}),
                Step::GoOn(index) => {
                    let process = pid(nth(&alive, index));
                    let was = tree.is_stopped(process);
                    prop_assert_eq!(tree.go_on(process, 0, &mut |_| {}), was);
                }
                Step::SetSession(index) => {
                    let process = pid(nth(&alive, index));
                    if tree.set_session(process).is_ok() {
                        prop_assert_eq!((tree.group(process), tree.session(process)), (Some(process), Some(process)));
                    }
                }
                Step::SetGroup(caller, target, group) => {
                    let caller = pid(nth(&alive, caller));
                    let (target, group) = (nth(&alive, target), nth(&alive, group));
                    let session = tree.session(pid(target));
                    if tree.set_group(caller, target as i32, group as i32).is_ok() {
                        prop_assert_eq!(tree.group(pid(target)), Some(pid(group)));
                    }
                    prop_assert_eq!(tree.session(pid(target)), session);
                }
                Step::Subreaper(index, on) => tree.set_subreaper(pid(nth(&alive, index)), on),
                Step::Discard(index, on) => {
                    let policy = ChildPolicy { discards_ended: on, ..ChildPolicy::default() };
                    tree.set_child_policy(pid(nth(&alive, index)), policy);
                }
            }
            check(&tree, &alive);
        }
    }
}
