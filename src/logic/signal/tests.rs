//! Tests of sending and delivering signals; of frames, see `frame_tests.rs`.

use super::info::INFO_BYTES;
use super::*;
use crate::errno::Errno;
use linux_raw_sys::general;
use proptest::prelude::*;

const USER: u64 = 0x40_0000;

fn real_time(number: u8) -> Signal {
    Signal::new(number).expect("a signal")
}

fn action(handler: u64, flags: ActionFlags) -> Action {
    Action { handler, flags, ..Action::default() }
}

fn everything() -> SignalSet {
    SignalSet::from_bits(u64::MAX)
}

#[test]
fn signals_have_linux_numbers_names_and_default_actions() {
    assert_eq!((Signal::SIGKILL.number(), Signal::SIGCHLD.number(), Signal::SIGSYS.number()), (9, 17, 31));
    assert_eq!(format!("{} {}", Signal::SIGTERM, real_time(34)), "SIGTERM signal 34");
    assert_eq!(Signal::from_user(0), Ok(None));
    assert_eq!(Signal::from_user(64), Ok(Some(real_time(64))));
    for wrong in [-1, 65, 256 + 9, i32::MIN, i32::MAX] {
        assert_eq!(Signal::from_user(wrong), Err(Errno::EINVAL));
    }
    let of = |action| {
        let all = everything().iter().filter(|signal| signal.default_action() == action);
        all.map(Signal::number).collect::<Vec<_>>()
    };
    assert_eq!(of(DefaultAction::Core), [3, 4, 5, 6, 7, 8, 11, 24, 25, 31]);
    assert_eq!(of(DefaultAction::Ignore), [17, 23, 28]);
    assert_eq!((of(DefaultAction::Stop), of(DefaultAction::Continue)), (vec![19, 20, 21, 22], vec![18]));
    assert!(!Signal::SIGSYS.is_real_time() && real_time(32).is_real_time());
}

#[test]
fn going_on_and_stopping_cancel_each_other() {
    assert_eq!(Signal::SIGCONT.cancels(), SignalSet::STOPPING);
    assert_eq!(Signal::SIGTSTP.cancels(), SignalSet::of(&[Signal::SIGCONT]));
    assert_eq!(Signal::SIGTERM.cancels(), SignalSet::EMPTY);
    let mut pending = Pending::new();
    for signal in [Signal::SIGTSTP, Signal::SIGTERM, Signal::SIGSTOP] {
        pending.add(SignalInfo::kernel(signal), true).expect("room");
    }
    assert_eq!(pending.discard(Signal::SIGCONT.cancels()), 2);
    assert_eq!(pending.set(), SignalSet::of(&[Signal::SIGTERM]));
}

#[test]
fn sets_have_signal_1_in_the_lowest_bit() {
    let set = SignalSet::of(&[Signal::SIGHUP, real_time(64), Signal::SIGKILL]);
    assert_eq!(set.bits(), 1 | 1 << 8 | 1 << 63);
    assert_eq!(set.as_mask().bits(), 1 | 1 << 63);
    assert_eq!((set.lowest(), SignalSet::EMPTY.lowest()), (Some(Signal::SIGHUP), None));
    assert_eq!(set.iter().map(Signal::number).collect::<Vec<_>>(), [1, 9, 64]);
}

#[test]
fn masks_change_as_sigprocmask_2_says() {
    let mask = SignalSet::of(&[Signal::SIGHUP, Signal::SIGINT]);
    let set = SignalSet::of(&[Signal::SIGINT, Signal::SIGKILL, Signal::SIGTERM]);
    let changed = |how| mask.changed(how, set).map(|mask| mask.iter().map(Signal::number).collect::<Vec<_>>());
    assert_eq!(changed(general::SIG_BLOCK), Ok(vec![1, 2, 15]));
    assert_eq!(changed(general::SIG_UNBLOCK), Ok(vec![1]));
    assert_eq!(changed(general::SIG_SETMASK), Ok(vec![2, 15]));
    assert_eq!(changed(3), Err(Errno::EINVAL));
}

#[test]
fn siginfo_is_laid_out_as_programs_read_it() {
    let words = |detail, code| {
        let bytes = SignalInfo { signal: Signal::SIGCHLD, code, detail }.to_bytes();
        assert_eq!(bytes.len(), 128);
        let words: Vec<_> =
            bytes.chunks_exact(4).map(|word| i32::from_le_bytes(word.try_into().expect("4 bytes"))).collect();
        assert_eq!((words[0], words[1], words[2], words[3]), (17, 0, code, 0));
        words[4..12].to_vec()
    };
    let value = 0x0000_0002_0000_0001;
    assert_eq!(words(Detail::None, 0), [0; 8]);
    assert_eq!(words(Detail::Sender { pid: 5, uid: 6 }, -6), [5, 6, 0, 0, 0, 0, 0, 0]);
    assert_eq!(words(Detail::Queued { pid: 5, uid: 6, value }, -1), [5, 6, 1, 2, 0, 0, 0, 0]);
    assert_eq!(words(Detail::Timer { id: 5, overrun: 6, value }, -2), [5, 6, 1, 2, 0, 0, 0, 0]);
    let child = Detail::Child { pid: 5, uid: 6, status: 7, user_ticks: 8, system_ticks: 9 };
    assert_eq!(words(child, general::CLD_EXITED as i32), [5, 6, 7, 0, 8, 0, 9, 0]);
    assert_eq!(words(Detail::Fault { address: value }, 1), [1, 2, 0, 0, 0, 0, 0, 0]);
    assert_eq!(words(Detail::Poll { band: value as i64, descriptor: 3 }, 1), [1, 2, 3, 0, 0, 0, 0, 0]);
    let call = Detail::SystemCall { address: value, number: 3, architecture: 4 };
    assert_eq!(words(call, 1), [1, 2, 3, 4, 0, 0, 0, 0]);
}

#[test]
fn programs_cannot_pose_as_the_kernel_but_to_themselves() {
    let signal = real_time(40);
    let info = SignalInfo { signal, code: general::SI_QUEUE, detail: Detail::Queued { pid: 1, uid: 2, value: 3 } };
    assert_eq!(SignalInfo::from_user(signal, &info.to_bytes(), false), Ok(info));
    for forged in [SignalInfo::kernel(signal), SignalInfo::user(signal, 1, 0), SignalInfo::thread(signal, 1, 0)] {
        assert_eq!(SignalInfo::from_user(signal, &forged.to_bytes(), false), Err(Errno::EPERM));
        let kept = SignalInfo::from_user(signal, &forged.to_bytes(), true).expect("to itself");
        assert_eq!(kept.code, forged.code);
    }
}

#[test]
fn actions_are_read_and_told_as_rt_sigaction_has_them() {
    let mut bytes = [0; action::ACTION_BYTES];
    for (index, word) in [USER, u64::MAX, 0x1234, u64::MAX].iter().enumerate() {
        bytes[8 * index..8 * index + 8].copy_from_slice(&word.to_le_bytes());
    }
    let action = Action::from_bytes(&bytes);
    assert_eq!((action.handler, action.restorer), (USER, 0x1234));
    assert_eq!(action.flags, ActionFlags::all(), "unknown flags are dropped");
    assert_eq!(action.mask, everything().as_mask());
    assert_eq!(Action::from_bytes(&action.to_bytes()), action);
}

#[test]
fn nothing_can_be_said_about_kill_and_stop() {
    let mut actions = Actions::new();
    for signal in SignalSet::ABSOLUTE.iter() {
        assert_eq!(actions.set(signal, action(1, ActionFlags::empty())), Err(Errno::EINVAL));
    }
    let handler = action(USER, ActionFlags::RESTART);
    assert_eq!(actions.set(Signal::SIGINT, handler), Ok(Action::default()));
    assert_eq!(actions.set(Signal::SIGINT, Action::default()), Ok(handler));
}

#[test]
fn ignored_signals_are_dropped_unless_they_are_blocked() {
    let mut actions = Actions::new();
    actions.set(Signal::SIGINT, action(1, ActionFlags::empty())).expect("not absolute");
    actions.set(Signal::SIGCHLD, action(USER, ActionFlags::empty())).expect("not absolute");
    assert!(actions.discards(Signal::SIGINT, false) && !actions.discards(Signal::SIGINT, true));
    assert!(actions.discards(Signal::SIGWINCH, false));
    assert!(!actions.discards(Signal::SIGCHLD, false) && !actions.discards(Signal::SIGTERM, false));
}

#[test]
fn a_new_program_has_no_handlers_but_ignores_what_was_ignored() {
    let mut actions = Actions::new();
    actions.set(Signal::SIGINT, action(1, ActionFlags::RESTART)).expect("not absolute");
    actions.set(Signal::SIGTERM, action(USER, ActionFlags::RESTART)).expect("not absolute");
    let new = actions.after_exec();
    assert_eq!(new.get(Signal::SIGINT), action(1, ActionFlags::empty()));
    assert_eq!(new.get(Signal::SIGTERM), Action::default());
}

#[test]
fn a_standard_signal_is_pending_once_and_a_real_time_signal_as_often_as_sent() {
    let mut pending = Pending::new();
    let queued = |pid| SignalInfo {
        signal: real_time(40),
        code: general::SI_QUEUE,
        detail: Detail::Queued { pid, uid: 0, value: 0 },
    };
    assert_eq!(pending.add(SignalInfo::user(Signal::SIGTERM, 1, 0), true), Ok(Added::Queued));
    assert_eq!(pending.add(SignalInfo::user(Signal::SIGTERM, 2, 0), true), Ok(Added::Merged));
    assert_eq!(pending.add(queued(1), true), Ok(Added::Queued));
    assert_eq!(pending.add(queued(2), true), Ok(Added::Queued));
    let mut take = || pending.take(everything());
    assert_eq!(take(), Some(Taken { info: SignalInfo::user(Signal::SIGTERM, 1, 0), counted: true }));
    assert_eq!([take(), take()], [1, 2].map(|pid| Some(Taken { info: queued(pid), counted: true })));
    assert_eq!(take(), None);
}

#[test]
fn without_room_only_what_carries_a_value_fails() {
    let mut pending = Pending::new();
    let value = SignalInfo {
        signal: real_time(40),
        code: general::SI_QUEUE,
        detail: Detail::Queued { pid: 1, uid: 0, value: 7 },
    };
    assert_eq!(pending.add(value, false), Err(Errno::EAGAIN));
    assert_eq!(pending.set(), SignalSet::EMPTY);
    assert_eq!(pending.add(SignalInfo::user(real_time(40), 1, 1), false), Ok(Added::Bare));
    assert_eq!(pending.add(SignalInfo::user(real_time(40), 1, 1), false), Ok(Added::Merged));
    assert_eq!(pending.add(SignalInfo::user(Signal::SIGTERM, 1, 1), false), Ok(Added::Bare));
    let bare = |signal| Some(Taken { info: SignalInfo::user(signal, 0, 0), counted: false });
    assert_eq!(pending.take(everything()), bare(Signal::SIGTERM));
    assert_eq!(pending.take(everything()), bare(real_time(40)));
    assert_eq!(pending.take(everything()), None);
}

#[test]
fn kill_comes_first_then_faults_then_the_lowest_of_the_thread_then_of_the_process() {
    let (mut own, mut shared) = (Pending::new(), Pending::new());
    for signal in [Signal::SIGUSR1, Signal::SIGSEGV, Signal::SIGHUP] {
        own.add(SignalInfo::kernel(signal), true).expect("room");
    }
    for signal in [Signal::SIGINT, Signal::SIGKILL, Signal::SIGHUP] {
        shared.add(SignalInfo::kernel(signal), true).expect("room");
    }
    let mask = SignalSet::of(&[Signal::SIGINT, Signal::SIGKILL]);
    let order: Vec<_> =
        core::iter::from_fn(|| take_next(mask, &mut own, &mut shared)).map(|taken| taken.info.signal).collect();
    let expected = [Signal::SIGKILL, Signal::SIGSEGV, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGHUP];
    assert_eq!(order, expected);
    assert_eq!(shared.set(), SignalSet::of(&[Signal::SIGINT]), "what is blocked waits");
}

#[test]
fn without_a_handler_signals_do_what_is_usual() {
    let decide =
        |signal, situation| decide(SignalInfo::user(signal, 1, 1), &mut Actions::new(), SignalSet::EMPTY, situation);
    let usual = Situation::default();
    assert_eq!(decide(Signal::SIGTERM, usual), Delivery::Terminate { core: false });
    assert_eq!(decide(real_time(50), usual), Delivery::Terminate { core: false });
    assert_eq!(decide(Signal::SIGQUIT, usual), Delivery::Terminate { core: true });
    assert_eq!(decide(Signal::SIGCHLD, usual), Delivery::Ignore);
    assert_eq!(decide(Signal::SIGCONT, usual), Delivery::Continue);
    assert_eq!([Signal::SIGTSTP, Signal::SIGSTOP].map(|signal| decide(signal, usual)), [Delivery::Stop; 2]);
    let orphaned = Situation { orphaned: true, ..usual };
    assert_eq!(decide(Signal::SIGTSTP, orphaned), Delivery::Ignore);
    assert_eq!(decide(Signal::SIGSTOP, orphaned), Delivery::Stop);
}

#[test]
fn init_ends_only_of_its_own_faults() {
    let init = Situation { is_init: true, ..Situation::default() };
    let decide = |info: SignalInfo| decide(info, &mut Actions::new(), SignalSet::EMPTY, init);
    for signal in [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGTERM, Signal::SIGSEGV] {
        assert_eq!(decide(SignalInfo::user(signal, 2, 0)), Delivery::Ignore);
    }
    let fault = SignalInfo::fault(Signal::SIGSEGV, general::SEGV_MAPERR, 0);
    assert_eq!(decide(fault), Delivery::Terminate { core: true });
}

#[test]
fn a_handler_blocks_what_it_wants_and_its_own_signal() {
    let mut actions = Actions::new();
    let wanted = Action { mask: SignalSet::of(&[Signal::SIGHUP]), ..action(USER, ActionFlags::empty()) };
    actions.set(Signal::SIGINT, wanted).expect("not absolute");
    let mask = SignalSet::of(&[Signal::SIGTERM]);
    let mut handle = |flags| {
        actions.set(Signal::SIGINT, Action { flags, ..wanted }).expect("not absolute");
        match decide(SignalInfo::kernel(Signal::SIGINT), &mut actions, mask, Situation::default()) {
            Delivery::Handler(call) => (call.mask, actions.get(Signal::SIGINT).disposition()),
            other => panic!("{other:?}"),
        }
    };
    let usual = SignalSet::of(&[Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM]);
    assert_eq!(handle(ActionFlags::empty()), (usual, Disposition::Handler(USER)));
    assert_eq!(handle(ActionFlags::RESET_HANDLER), (usual, Disposition::Default));
    let nested = SignalSet::of(&[Signal::SIGHUP, Signal::SIGTERM]);
    assert_eq!(handle(ActionFlags::NO_DEFER), (nested, Disposition::Handler(USER)));
}

#[test]
fn a_fault_that_is_blocked_or_ignored_ends_the_process() {
    let fault = Signal::SIGSEGV;
    let blocked = SignalSet::of(&[fault, Signal::SIGHUP]);
    let rest = SignalSet::of(&[Signal::SIGHUP]);
    for (handler, mask, left) in [(USER, blocked, 0), (1, rest, 0), (USER, rest, USER), (0, rest, 0)] {
        let mut actions = Actions::new();
        actions.set(fault, action(handler, ActionFlags::empty())).expect("not absolute");
        assert_eq!(force(fault, &mut actions, mask), rest);
        assert_eq!(actions.get(fault).handler, left);
    }
}

#[test]
fn interrupted_calls_are_made_again_as_signal_7_says() {
    let call =
        |flags| Call { info: SignalInfo::kernel(Signal::SIGINT), action: action(USER, flags), mask: SignalSet::EMPTY };
    let (plain, restarting) = (call(ActionFlags::empty()), call(ActionFlags::RESTART));
    for (restart, unhandled, by_plain, by_restarting) in [
        (Restart::IfNotHandled, Resume::Again, Resume::Interrupted, Resume::Interrupted),
        (Restart::IfSaRestart, Resume::Again, Resume::Interrupted, Resume::Again),
        (Restart::Always, Resume::Again, Resume::Again, Resume::Again),
        (Restart::Never, Resume::Interrupted, Resume::Interrupted, Resume::Interrupted),
        (Restart::RestartBlock, Resume::RestartBlock, Resume::Interrupted, Resume::Interrupted),
    ] {
        assert_eq!(restart.resume(None), unhandled, "{restart:?}");
        assert_eq!(restart.resume(Some(&plain)), by_plain, "{restart:?}");
        assert_eq!(restart.resume(Some(&restarting)), by_restarting, "{restart:?}");
    }
}

fn stack(base: u64, flags: u32, size: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&base.to_le_bytes());
    bytes[8..12].copy_from_slice(&flags.to_le_bytes());
    bytes[16..].copy_from_slice(&size.to_le_bytes());
    bytes
}

#[test]
fn an_alternate_stack_is_set_and_told_as_sigaltstack_2_says() {
    const AUTODISARM: u32 = general::SS_AUTODISARM;
    let none = AlternateStack::NONE;
    assert_eq!(none.to_bytes(0), stack(0, 2, 0));
    let set = none.replaced(&stack(0x1000, 0, 8192), 0x9000, 0).expect("large enough");
    assert_eq!((set.to_bytes(0x1000), set.to_bytes(0x3000)), (stack(0x1000, 0, 8192), stack(0x1000, 1, 8192)));
    assert_eq!(set.top(), Some(0x3000));
    assert_eq!(set.replaced(&stack(0, 2, 0), 0x2000, 0), Err(Errno::EPERM));
    assert_eq!(set.replaced(&stack(0x5000, 2, 8192), 0x9000, 0), Ok(none));
    assert_eq!(none.replaced(&stack(0x1000, 0, 2047), 0, 0), Err(Errno::ENOMEM));
    assert_eq!(none.replaced(&stack(0x1000, 0, 2048), 0, 3000), Err(Errno::ENOMEM));
    assert_eq!(none.replaced(&stack(0x1000, 4, 8192), 0, 0), Err(Errno::EINVAL));
    assert_eq!(none.replaced(&stack(0x1000, 3, 8192), 0, 0), Err(Errno::EINVAL));
    let disarms = none.replaced(&stack(0x1000, AUTODISARM | 1, 8192), 0, 0).expect("large enough");
    assert_eq!(disarms.to_bytes(0x2000), stack(0x1000, AUTODISARM, 8192), "never in use");
    assert_eq!((disarms.after_delivery(), set.after_delivery()), (none, set));
}

#[derive(Clone, Debug)]
enum Step {
    Add(u8, bool),
    Take(u64),
    Discard(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let signal = prop_oneof![1_u8..20, 32_u8..36];
    prop_oneof![
        4 => (signal, prop::bool::weighted(0.8)).prop_map(|(signal, room)| Step::Add(signal, room)),
        2 => any::<u64>().prop_map(Step::Take),
        1 => any::<u64>().prop_map(|set| Step::Discard(set & set.rotate_left(7))),
    ]
}

proptest! {
    #[test]
    fn pending_signals_arrive_as_sent(steps in prop::collection::vec(step(), 0..200)) {
        let mut pending = Pending::new();
        // Signal, and its sender if there was room, in the order of sending.
        let mut model: Vec<(Signal, Option<u32>)> = Vec::new();
        for (time, step) in (1..).zip(steps) {
            match step {
                Step::Add(number, has_room) => {
                    let signal = real_time(number);
                    let is_pending = model.iter().any(|(other, _)| *other == signal);
                    let expected = if is_pending && !(signal.is_real_time() && has_room) {
                        Added::Merged
                    } else if has_room {
                        model.push((signal, Some(time)));
                        Added::Queued
                    } else {
                        model.push((signal, None));
                        Added::Bare
                    };
                    prop_assert_eq!(pending.add(SignalInfo::user(signal, time, 0), has_room), Ok(expected));
                }
                Step::Take(wanted) => {
                    let wanted = SignalSet::from_bits(wanted);
                    let key = |signal: Signal| (!SignalSet::SYNCHRONOUS.contains(signal), signal);
                    let meant = model.iter().map(|(signal, _)| *signal).filter(|signal| wanted.contains(*signal));
                    let next = meant.min_by_key(|signal| key(*signal));
                    let taken = pending.take(wanted);
                    prop_assert_eq!(taken.map(|taken| taken.info.signal), next);
                    if let (Some(signal), Some(taken)) = (next, taken) {
                        // Those with a sender come first, and with the last of them what has none is gone too.
                        let place = model.iter().position(|(other, sender)| *other == signal && sender.is_some());
                        let sender = place.and_then(|place| model.remove(place).1);
                        prop_assert_eq!(taken.counted, sender.is_some());
                        prop_assert_eq!(taken.info, SignalInfo::user(signal, sender.unwrap_or(0), 0));
                        if !model.iter().any(|(other, sender)| *other == signal && sender.is_some()) {
                            model.retain(|(other, _)| *other != signal);
                        }
                    }
                }
                Step::Discard(set) => {
                    let set = SignalSet::from_bits(set);
                    let counts = |entry: &&(Signal, Option<u32>)| set.contains(entry.0) && entry.1.is_some();
                    let counted = model.iter().filter(counts).count();
                    model.retain(|(signal, _)| !set.contains(*signal));
                    prop_assert_eq!(pending.discard(set), counted);
                }
            }
            let set = model.iter().fold(SignalSet::EMPTY, |set, (signal, _)| set.with(*signal));
            prop_assert_eq!(pending.set(), set);
        }
        let counted = model.iter().filter(|(_, sender)| sender.is_some()).count();
        prop_assert_eq!(pending.discard_all(), counted);
        prop_assert_eq!(pending.set(), SignalSet::EMPTY);
    }

    #[test]
    fn any_siginfo_of_a_program_comes_back_with_its_code(bytes in any::<[[u8; 32]; 4]>()) {
        let bytes: [u8; INFO_BYTES] = bytes.concat().try_into().expect("128 bytes");
        if let Ok(info) = SignalInfo::from_user(Signal::SIGUSR1, &bytes, false) {
            prop_assert!(info.code < 0 && info.code != general::SI_TKILL);
            prop_assert_eq!(&info.to_bytes()[16..32], &bytes[16..32]);
        }
    }
}
