//! Tests of job control: groups, sessions, terminals, and whom signals reach.

use super::tree_tests::{exit, fork, pid, tree};
use super::*;
use crate::errno::Errno;
use crate::signal::Signal;

const TERMINAL: Terminal = Terminal(7);

/// Init; a shell that leads a session with a terminal; two of its children, the second in a group of its own.
fn shell() -> (Tree<u32>, u32, u32, u32) {
    let mut tree = tree();
    let shell = fork(&mut tree, 1);
    tree.set_session(pid(shell)).expect("no leader");
    tree.set_terminal(pid(shell), TERMINAL, false).expect("it leads a session");
    let (first, second) = (fork(&mut tree, shell), fork(&mut tree, shell));
    tree.set_group(pid(shell), second as i32, 0).expect("a child");
    (tree, shell, first, second)
}

#[test]
fn groups_are_joined_as_setpgid_2_says() {
    let (mut tree, shell, first, second) = shell();
    let stranger = fork(&mut tree, 1);
    let mut set = |caller: u32, process: u32, group: i32| tree.set_group(pid(caller), process as i32, group);
    assert_eq!(set(shell, first, -1), Err(Errno::EINVAL));
    assert_eq!(set(shell, stranger, 0), Err(Errno::ESRCH), "not a child");
    assert_eq!(set(shell, 20_000, 0), Err(Errno::ESRCH));
    assert_eq!(set(shell, shell, 0), Err(Errno::EPERM), "it leads its session");
    assert_eq!(set(shell, first, 1), Err(Errno::EPERM), "in another session");
    assert_eq!(set(shell, first, 20_000), Err(Errno::EPERM), "there is none");
    assert_eq!(set(shell, first, second as i32), Ok(()));
    assert_eq!(set(first, 0, 0), Ok(()));
    assert_eq!(set(first, 0, 0), Ok(()), "again");
    tree.note_exec(pid(first));
    assert_eq!(tree.set_group(pid(shell), first as i32, second as i32), Err(Errno::EACCES));
    assert_eq!(tree.set_group(pid(first), 0, second as i32), Ok(()), "itself it still can");
    tree.set_group(pid(first), 0, 0).expect("its own group");
    tree.set_group(pid(first), 0, shell as i32).expect("the shell's group");
    tree.set_session(pid(first)).expect("no leader");
    assert_eq!(tree.set_group(pid(shell), first as i32, 0), Err(Errno::EPERM), "in another session");
    assert_eq!((tree.group(pid(first)), tree.session(pid(second))), (Some(pid(first)), Some(pid(shell))));
}

#[test]
fn a_leader_of_a_group_cannot_have_a_session() {
    let (mut tree, shell, first, second) = shell();
    assert_eq!(tree.set_session(pid(shell)), Err(Errno::EPERM));
    assert_eq!(tree.set_session(pid(second)), Err(Errno::EPERM));
    assert_eq!(tree.set_session(pid(first)), Ok(pid(first)));
    assert_eq!((tree.terminal(pid(first)), tree.terminal(pid(second))), (None, Some(TERMINAL)));
}

#[test]
fn a_number_stays_in_use_while_a_group_or_session_has_it() {
    let (mut tree, shell, _, second) = shell();
    let member = fork(&mut tree, second);
    exit(&mut tree, second, 0);
    tree.wait(pid(shell), Which::Process(pid(second)), WaitOptions::EXITED).expect("a child").expect("ended");
    assert_eq!(tree.thread(pid(second)), None);
    assert_eq!(tree.members(pid(second)).collect::<Vec<_>>(), [pid(member)]);
    assert!(tree.numbers.get(pid(second)).is_some());
    assert_eq!(tree.targets(pid(shell), second as i32), Err(Errno::ESRCH));
    assert_eq!(tree.targets(pid(shell), -(second as i32)), Ok(Targets::Group(pid(second))));
    exit(&mut tree, member, 0);
    tree.wait(Pid::INIT, Which::Any, WaitOptions::EXITED).expect("a child").expect("ended");
    assert!(tree.numbers.get(pid(second)).is_none());
}

#[test]
fn a_session_outlives_its_leader_as_long_as_it_has_groups() {
    let (mut tree, shell, first, second) = shell();
    for process in [shell, first] {
        exit(&mut tree, process, 0);
    }
    for process in [shell, first] {
        tree.wait(Pid::INIT, Which::Process(pid(process)), WaitOptions::EXITED).expect("a child").expect("ended");
    }
    assert_eq!(tree.session(pid(second)), Some(pid(shell)));
    assert_eq!(tree.session_members(pid(shell)).collect::<Vec<_>>(), [pid(second)]);
    exit(&mut tree, second, 0);
    tree.wait(Pid::INIT, Which::Any, WaitOptions::EXITED).expect("a child").expect("ended");
    assert!([shell, first, second].into_iter().all(|process| tree.numbers.get(pid(process)).is_none()));
}

#[test]
fn a_group_that_only_init_is_the_parent_of_is_orphaned() {
    let mut tree = tree();
    let child = fork(&mut tree, 1);
    tree.set_group(pid(child), 0, 0).expect("its own group");
    assert!(tree.is_orphaned(pid(child)));
    let grandchild = fork(&mut tree, child);
    tree.set_group(pid(child), grandchild as i32, 0).expect("a child");
    assert!(!tree.is_orphaned(pid(grandchild)));
}

#[test]
fn a_terminal_belongs_to_one_session() {
    let (mut tree, shell, first, _) = shell();
    let other = fork(&mut tree, 1);
    assert_eq!(tree.set_terminal(pid(other), TERMINAL, true), Err(Errno::EPERM), "it leads nothing");
    tree.set_session(pid(other)).expect("no leader");
    assert_eq!(tree.set_terminal(pid(shell), TERMINAL, false), Ok(()), "it has it");
    assert_eq!(tree.set_terminal(pid(shell), Terminal(8), false), Err(Errno::EPERM), "it has another");
    assert_eq!(tree.set_terminal(pid(first), TERMINAL, false), Err(Errno::EPERM));
    assert_eq!(tree.set_terminal(pid(other), TERMINAL, false), Err(Errno::EPERM));
    assert_eq!(tree.set_terminal(pid(other), TERMINAL, true), Ok(()), "root takes it");
    assert_eq!((tree.terminal(pid(shell)), tree.foreground(TERMINAL)), (None, Some(pid(other))));
}

#[test]
fn the_foreground_is_set_as_tcsetpgrp_3_says() {
    let (mut tree, shell, _, second) = shell();
    assert_eq!(tree.foreground(TERMINAL), Some(pid(shell)));
    let mut set = |caller: u32, terminal, group: u32| tree.set_foreground(pid(caller), terminal, group as i32);
    assert_eq!(set(1, TERMINAL, shell), Err(Errno::ENOTTY));
    assert_eq!(set(shell, Terminal(8), shell), Err(Errno::ENOTTY));
    assert_eq!(set(shell, TERMINAL, 0), Err(Errno::EINVAL));
    assert_eq!(set(shell, TERMINAL, u32::MAX), Err(Errno::EINVAL));
    assert_eq!(set(shell, TERMINAL, 20_000), Err(Errno::ESRCH));
    assert_eq!(set(shell, TERMINAL, 1), Err(Errno::EPERM));
    assert_eq!(set(shell, TERMINAL, second), Ok(()));
    assert_eq!(tree.foreground(TERMINAL), Some(pid(second)));
    exit(&mut tree, second, 0);
    tree.wait(pid(shell), Which::Any, WaitOptions::EXITED).expect("a child").expect("ended");
    assert_eq!(tree.foreground(TERMINAL), None, "nobody");
}

#[test]
fn a_leader_that_ends_or_gives_up_takes_the_terminal_from_all() {
    let (mut tree, shell, first, second) = shell();
    tree.set_foreground(pid(shell), TERMINAL, second as i32).expect("its group");
    let mut events = Vec::new();
    assert_eq!(tree.give_up_terminal(Pid::INIT, TERMINAL, &mut |_| {}), Err(Errno::ENOTTY));
    tree.give_up_terminal(pid(first), TERMINAL, &mut |event| events.push(event)).expect("its terminal");
    assert_eq!((events.len(), tree.terminal(pid(first))), (0, Some(TERMINAL)));
    tree.give_up_terminal(pid(shell), TERMINAL, &mut |event| events.push(event)).expect("its terminal");
    assert_eq!((events, tree.terminal(pid(first))), (vec![Event::HangUp(pid(second))], None));

    tree.set_terminal(pid(shell), TERMINAL, false).expect("it is free");
    let events = exit(&mut tree, shell, 0);
    assert_eq!(events[0], Event::HangUp(pid(shell)));
    assert_eq!((tree.foreground(TERMINAL), tree.terminal(pid(first))), (None, None));
}

#[test]
fn a_stopped_group_hears_when_nobody_can_let_it_go_on_any_more() {
    let (mut tree, shell, _, second) = shell();
    tree.stop(pid(second), Signal::SIGTSTP, 0, &mut |_| {});
    let events = exit(&mut tree, shell, 0);
    assert!(events.contains(&Event::Orphaned(pid(second))), "{events:?}");

    // The same when the process itself was the connection.
    let (mut tree, _, _, second) = self::shell();
    let member = fork(&mut tree, second);
    tree.stop(pid(member), Signal::SIGTSTP, 0, &mut |_| {});
    let events = exit(&mut tree, second, 0);
    assert!(events.contains(&Event::Orphaned(pid(second))), "{events:?}");

    // Nobody is told of what runs.
    let (mut tree, shell, _, _) = self::shell();
    let events = exit(&mut tree, shell, 0);
    assert!(!events.iter().any(|event| matches!(event, Event::Orphaned(_))), "{events:?}");
}

#[test]
fn signals_reach_whom_kill_2_means() {
    let (mut tree, shell, first, second) = shell();
    let thread = tree.reserve().expect("a number");
    tree.add_thread(thread, pid(first), 77).expect("alive");
    let sent = |number: i32| {
        let mut reached = Vec::new();
        let targets = tree.targets(pid(shell), number)?;
        tree.send_to(pid(shell), targets, &mut |process, _| {
            reached.push(process.number());
            Ok(())
        })?;
        Ok(reached)
    };
    assert_eq!(sent(first as i32), Ok(vec![first]));
    assert_eq!(sent(thread.number() as i32), Ok(vec![first]), "a thread stands for its process");
    assert_eq!(sent(0), Ok(vec![shell, first]));
    assert_eq!(sent(-(second as i32)), Ok(vec![second]));
    assert_eq!(sent(-1), Ok(vec![first, second]));
    assert_eq!(sent(20_000), Err(Errno::ESRCH));
    assert_eq!(sent(-20_000), Err(Errno::ESRCH));
    assert_eq!(sent(i32::MIN), Err(Errno::ESRCH));
    let targets = Targets::Group(pid(shell));
    let but = |allowed: Option<u32>| {
        tree.send_to(pid(shell), targets, &mut |process, _| {
            if Some(process.number()) == allowed { Ok(()) } else { Err(Errno::EPERM) }
        })
    };
    assert_eq!((but(None), but(Some(shell)), but(Some(first))), (Err(Errno::EPERM), Ok(()), Ok(())));
}
