//! Tests of status words, credentials, limits and clone requests.

use super::clone::{CloneFlags, CloneRequest, MOST_ARGUMENT_BYTES};
use super::limits::{INFINITE, MOST_DESCRIPTORS};
use super::*;
use crate::errno::Errno;
use crate::signal::{Detail, Signal};
use linux_raw_sys::general;
use proptest::prelude::*;

const SAME: u32 = u32::MAX;

#[test]
fn status_words_are_those_of_wait_2() {
    let killed = |core| Status::Killed { signal: Signal::SIGSEGV, core };
    let all = [Status::Exited(255), killed(false), killed(true), Status::Stopped(Signal::SIGTSTP), Status::Continued];
    assert_eq!(all.map(Status::word), [0xff00, 11, 0x8b, 0x147f, 0xffff]);
    assert_eq!(all.map(Status::code), [(1, 255), (2, 11), (3, 11), (5, 20), (6, 18)]);
    let usage = Usage { user_ns: 25_000_000, system_ns: u64::MAX, ..Usage::default() };
    let info = Status::Exited(3).info(Signal::SIGCHLD, 7, 8, &usage);
    assert_eq!((info.signal, info.code), (Signal::SIGCHLD, general::CLD_EXITED as i32));
    let system_ticks = (u64::MAX / 10_000_000) as i64;
    assert_eq!(info.detail, Detail::Child { pid: 7, uid: 8, status: 3, user_ticks: 2, system_ticks });
}

#[test]
fn usage_adds_up_and_is_laid_out_as_getrusage_2_has_it() {
    let one = Usage { user_ns: 1_500_002_000, most_kib: 7, minor_faults: 1, voluntary_switches: 2, ..Usage::default() };
    let other = Usage { system_ns: 3_000_000_000, most_kib: 5, minor_faults: u64::MAX, ..Usage::default() };
    let bytes = one.and(&other).to_bytes();
    let words: Vec<_> =
        bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("8 bytes"))).collect();
    assert_eq!(words, [1, 500_002, 3, 0, 7, 0, 0, 0, u64::MAX, 0, 0, 0, 0, 0, 0, 0, 2, 0][..16 + 2]);
    assert_eq!(bytes.len(), 144);
}

fn user(real: u32, effective: u32, saved: u32) -> Credentials {
    let mut credentials = Credentials::root();
    credentials.set_all_users([real, effective, saved]).expect("root may");
    credentials
}

fn users(credentials: &Credentials) -> [u32; 4] {
    let Identities { real, effective, saved, file_system } = credentials.users;
    [real, effective, saved, file_system]
}

#[test]
fn root_becomes_somebody_for_good_by_setuid() {
    let mut root = Credentials::root();
    assert_eq!(root.set_user(SAME), Err(Errno::EINVAL));
    root.set_user(1000).expect("root may");
    assert_eq!(users(&root), [1000; 4]);
    assert_eq!(root.set_user(0), Err(Errno::EPERM));
    assert_eq!(root.set_supplementary(vec![1]), Err(Errno::EPERM));
    assert_eq!(root.set_group(5), Err(Errno::EPERM));
    assert!(!root.is_privileged());
}

#[test]
fn others_move_between_their_own_identities() {
    let mut set = user(1000, 500, 500);
    set.set_user(1000).expect("its real user");
    assert_eq!(users(&set), [1000, 1000, 500, 1000]);
    set.set_user(500).expect("its saved user");
    assert_eq!(users(&set), [1000, 500, 500, 500]);
    set.set_users(500, 1000).expect("swapped");
    assert_eq!(users(&set), [500, 1000, 1000, 1000]);
    assert_eq!(set.set_users(SAME, 7), Err(Errno::EPERM));
    assert_eq!(set.set_users(7, SAME), Err(Errno::EPERM));

    let mut set = user(1000, 500, 600);
    assert_eq!(set.set_users(600, SAME), Err(Errno::EPERM), "the saved one is not for the real one");
    set.set_users(SAME, 600).expect("its saved user");
    assert_eq!(users(&set), [1000, 600, 600, 600]);
    assert_eq!(set.set_all_users([1000, 600, 500]), Err(Errno::EPERM));
    set.set_all_users([SAME, 1000, SAME]).expect("its own");
    assert_eq!(users(&set), [1000, 1000, 600, 1000]);
    assert_eq!(set.set_file_system_user(600), 1000);
    assert_eq!(set.set_file_system_user(7), 600, "not changed");
    assert_eq!(set.set_file_system_user(SAME), 600);
}

#[test]
fn further_groups_count_for_files() {
    let mut credentials = Credentials::root();
    credentials.set_supplementary(vec![9, 3, 7]).expect("root may");
    assert_eq!(credentials.supplementary(), [3, 7, 9]);
    credentials.set_all_groups([1, 2, SAME]).expect("root may");
    assert!(credentials.is_member(7) && credentials.is_member(2) && !credentials.is_member(1));
    assert_eq!(credentials.set_file_system_group(1), 2);
    assert!(credentials.is_member(1) && !credentials.is_member(2));
    assert_eq!(credentials.set_supplementary(vec![0; 65_537]), Err(Errno::EINVAL));
    assert_eq!(credentials.set_supplementary(vec![SAME]), Err(Errno::EINVAL));
}

#[test]
fn set_user_id_programs_get_rights_that_their_caller_has_not() {
    let mut caller = user(1000, 1000, 1000);
    assert!(!caller.clone().execute(0o755, 0, 0, true));
    assert!(!caller.clone().execute(0o6755, 0, 0, false));
    assert!(!caller.clone().execute(0o2744, 0, 5, true), "no right to execute for the group");
    assert!(caller.clone().execute(0o2755, 0, 5, true));
    let mut content = caller.clone();
    content.no_new_privileges = true;
    assert!(!content.execute(0o6755, 0, 5, true));
    assert!(caller.execute(0o4755, 0, 0, true));
    assert_eq!(users(&caller), [1000, 0, 0, 0]);
}

#[test]
fn signals_may_be_sent_as_kill_2_says() {
    let target = user(1000, 0, 500);
    let term = Some(Signal::SIGTERM);
    let may = |sender: Credentials, signal, same_session| sender.may_signal(&target, signal, same_session);
    assert_eq!(may(Credentials::root(), term, false), Ok(()));
    assert_eq!(may(user(1000, 7, 7), term, false), Ok(()), "real to real");
    assert_eq!(may(user(7, 500, 7), None, false), Ok(()), "effective to saved");
    assert_eq!(may(user(7, 7, 500), term, false), Err(Errno::EPERM), "the saved one does not count");
    assert_eq!(may(user(7, 7, 7), Some(Signal::SIGCONT), true), Ok(()));
    assert_eq!(may(user(7, 7, 7), Some(Signal::SIGCONT), false), Err(Errno::EPERM));
    assert_eq!(may(user(7, 7, 7), term, true), Err(Errno::EPERM));
}

#[test]
fn limits_are_lowered_by_everybody_and_raised_by_root() {
    let mut limits = Limits::new(1000);
    assert_eq!(limits.get(Resource::Stack), Limit { current: 8 << 20, most: INFINITE });
    assert_eq!(limits.get(Resource::Processes), Limit { current: 500, most: 500 });
    assert_eq!((Resource::from_user(7), Resource::from_user(16)), (Ok(Resource::Descriptors), Err(Errno::EINVAL)));
    for number in 0..16 {
        assert_eq!(Resource::from_user(number).map(|resource| resource as u32), Ok(number));
    }
    let limit = |current, most| Limit { current, most };
    let mut set = |new, privileged| limits.set(Resource::Descriptors, new, privileged);
    assert_eq!(set(limit(5, 4), true), Err(Errno::EINVAL));
    assert_eq!(set(limit(4096, 4096), false), Ok(limit(1024, 4096)));
    assert_eq!(set(limit(10, 100), false), Ok(limit(4096, 4096)));
    assert_eq!(set(limit(10, 101), false), Err(Errno::EPERM));
    assert_eq!(set(limit(10, 101), true), Ok(limit(10, 100)));
    assert_eq!(set(limit(10, MOST_DESCRIPTORS + 1), true), Err(Errno::EPERM));
    assert_eq!(limits.set(Resource::Core, limit(INFINITE, INFINITE), false), Ok(limit(0, INFINITE)));
}

const THREAD: u32 = general::CLONE_THREAD;
const SIGHAND: u32 = general::CLONE_SIGHAND;
const VM: u32 = general::CLONE_VM;

#[test]
fn clone_refuses_combinations_that_make_no_sense() {
    let clone = |flags: u32| CloneRequest::clone(u64::from(flags), 0, 1, 2, 3);
    let usual = clone(17).expect("fork");
    assert_eq!((usual.exit_signal, usual.flags, usual.stack), (Some(Signal::SIGCHLD), CloneFlags::empty(), None));
    // What the threads of glibc and musl ask for.
    for flags in [0x3d_0f00, 0x7d_0f00] {
        assert!(clone(flags).expect("a thread").flags.contains(CloneFlags::THREAD | CloneFlags::SETTLS));
    }
    for flags in [
        THREAD,
        THREAD | SIGHAND,
        SIGHAND,
        65,
        general::CLONE_NEWNS,
        general::CLONE_NEWUSER | 17,
        general::CLONE_NEWPID | THREAD | SIGHAND | VM,
        general::CLONE_PTRACE,
        general::CLONE_PIDFD | general::CLONE_PARENT_SETTID,
        general::CLONE_PIDFD | general::CLONE_DETACHED,
        general::CLONE_PIDFD | THREAD | SIGHAND | VM,
    ] {
        assert_eq!(clone(flags), Err(Errno::EINVAL), "{flags:#x}");
    }
    let outside = CloneRequest::clone(u64::from(general::CLONE_SETTLS), 0, 0, 0, 1 << 47);
    assert_eq!(outside, Err(Errno::EPERM));
    assert_eq!(CloneRequest::vfork().flags, CloneFlags::VFORK | CloneFlags::VM);
    assert_eq!(CloneRequest::clone(1 << 40 | 17, 0x1000, 0, 0, 0).expect("as ever").stack, Some(0x1000));
}

/// flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup.
fn arguments(words: [u64; 11]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn clone3_takes_structures_of_all_sizes_that_say_what_we_know() {
    let bytes = arguments([u64::from(VM), 1, 2, 3, 17, 0x1000, 0x2000, 4, 0, 0, 0]);
    let request = CloneRequest::clone3(&bytes).expect("sound");
    assert_eq!((request.flags, request.exit_signal), (CloneFlags::VM, Some(Signal::SIGCHLD)));
    assert_eq!((request.stack, request.tls), (Some(0x3000), 4));
    assert_eq!((request.pidfd, request.child_tid, request.parent_tid), (1, 2, 3));
    assert_eq!(CloneRequest::clone3(&bytes[..64]), Ok(request));
    assert_eq!(CloneRequest::clone3(&bytes[..63]), Err(Errno::EINVAL));
    assert_eq!(CloneRequest::clone3(&vec![0; MOST_ARGUMENT_BYTES + 1]), Err(Errno::E2BIG));
    assert_eq!(CloneRequest::clone3(&[bytes.clone(), vec![0; 8]].concat()), Ok(request));
    assert_eq!(CloneRequest::clone3(&[bytes, vec![1]].concat()), Err(Errno::E2BIG));
    let refused = |place: usize, word: u64| {
        let mut words = [u64::from(VM), 1, 2, 3, 17, 0x1000, 0x2000, 4, 0, 0, 0];
        words[place] = word;
        CloneRequest::clone3(&arguments(words)).expect_err("refused")
    };
    let detached = u64::from(general::CLONE_DETACHED);
    let both = general::CLONE_CLEAR_SIGHAND | u64::from(SIGHAND | VM);
    let thread = u64::from(THREAD | SIGHAND | VM);
    for (place, word) in [
        (0, 17),
        (0, detached),
        (0, both),
        (0, thread),
        (0, u64::from(general::CLONE_NEWNET)),
        (0, general::CLONE_INTO_CGROUP),
        (4, 65),
        (4, u64::MAX),
        (5, 0),
        (6, 0),
        (6, u64::MAX),
        (8, 1),
        (9, 1),
    ] {
        assert_eq!(refused(place, word), Errno::EINVAL, "word {place}: {word:#x}");
    }
}

proptest! {
    #[test]
    fn any_clone_request_is_refused_or_makes_sense(
        words in any::<[u64; 11]>(),
        flags in 0_u64..1 << 33,
        sparse in any::<u64>(),
    ) {
        let mut sound = [flags & sparse & sparse.rotate_left(9), 0, 0, 0, 17, 0, 0, 0, 0, 0, 0];
        for words in [words, sound] {
            let [flags, stack, parent_tid, child_tid, tls, ..] = words;
            let old = CloneRequest::clone(flags, stack, parent_tid, child_tid, tls);
            for request in [CloneRequest::clone3(&arguments(words)), old].into_iter().flatten() {
                let has = |flag| request.flags.contains(flag);
                prop_assert!(!has(CloneFlags::THREAD) || has(CloneFlags::SIGHAND) && has(CloneFlags::VM));
            }
        }
        sound[4] = 0;
        let _ = CloneRequest::clone3(&arguments(sound));
    }

    #[test]
    fn nobody_becomes_root_who_was_not(
        steps in prop::collection::vec((0_u8..4, prop::array::uniform3(0_u32..4)), 0..30),
    ) {
        let ids = [1, 2, 3, SAME];
        let mut credentials = user(1, 2, 3);
        for (kind, [a, b, c]) in steps {
            let [a, b, c] = [a, b, c].map(|index| if index == 0 && kind == 3 { 0 } else { ids[index as usize] });
            let before = users(&credentials);
            let result = match kind {
                0 => credentials.set_user(a),
                1 => credentials.set_users(a, b),
                2 => credentials.set_all_users([a, b, c]),
                _ => credentials.set_all_users([a, b, c]),
            };
            let after = users(&credentials);
            prop_assert!(after[..3].iter().all(|id| before[..3].contains(id)) && after[3] != 0);
            prop_assert!(result.is_ok() || before == after);
            prop_assert!(!credentials.is_privileged());
        }
    }
}

#[test]
fn only_who_is_the_same_in_every_way_or_root_looks_into_a_process() {
    let root = Credentials::root();
    let user = |number: u32| {
        let mut credentials = Credentials::root();
        credentials.set_group(number).unwrap();
        credentials.set_user(number).unwrap();
        credentials
    };
    assert!(root.may_inspect(&user(5)) && user(5).may_inspect(&user(5)));
    assert!(!user(5).may_inspect(&user(6)) && !user(5).may_inspect(&root));
    // A program with set-user-ID that acts as its caller for now is still not its caller's.
    let mut mixed = Credentials::root();
    mixed.set_group(5).unwrap();
    mixed.set_all_users([5, 5, 0]).unwrap();
    assert!(!user(5).may_inspect(&mixed));
}
