//! Pseudo-terminals by the rules of pty(7) and ioctl_tty(2).

use super::*;
use crate::fs::attributes::Timestamp;
use crate::fs::credentials::Ownership;
use crate::fs::{File, Readiness};
use crate::ipc::testing::{Bell, Memory};
use crate::sync::Waiter;
use crate::tty::discipline::{self, LocalFlags};
use crate::tty::job_control::{Caller, HangUp, JobSignal};
use crate::tty::requests::{self, Asker, Outcome};
use linux_raw_sys::ioctl;
use proptest::prelude::*;
use std::sync::Mutex;

/// Notes what is signalled.
#[derive(Default)]
struct Notes {
    signals: Mutex<Vec<(u32, Signal)>>,
    hang_ups: Mutex<Vec<HangUp>>,
}

impl SignalSink for Notes {
    fn signal(&self, group: u32, signal: Signal) {
        self.signals.lock().unwrap().push((group, signal));
    }

    fn hang_up(&self, whom: HangUp) {
        self.hang_ups.lock().unwrap().push(whom);
    }
}

struct Setup {
    notes: Arc<Notes>,
    all: Arc<PseudoTerminals>,
    master: Arc<Master>,
    slave: Arc<Slave>,
}

fn set_up() -> Setup {
    let notes = Arc::new(Notes::default());
    let all = PseudoTerminals::new(notes.clone());
    let master = open(&all).unwrap();
    unlock(&master);
    let slave = master.pty().open_slave().unwrap();
    Setup { notes, all, master, slave }
}

fn open(all: &PseudoTerminals) -> Result<Arc<Master>, Errno> {
    all.open(Ownership { user: 0, group: 0, permissions: 0o600 }, Timestamp::default())
}

fn unlock(master: &Master) {
    master.control(ioctl::TIOCSPTLCK, 0, &mut Memory::new(4)).unwrap();
}

const LEADER: Caller = Caller {
    group: 4,
    session: 4,
    leads_session: true,
    has_terminal: false,
    is_orphaned: false,
    ignores_input: false,
    ignores_output: false,
    is_privileged: false,
};

/// Asks the slave's terminal, with `bytes` in memory; what memory holds afterwards.
fn ask(slave: &Slave, caller: Caller, request: u32, argument: u64, bytes: &[u8]) -> Result<(Outcome, Vec<u8>), Errno> {
    let mut memory = Memory(bytes.to_vec());
    let session_of = |group: u32| (group < 9).then_some(4);
    let asker = Asker { caller, session_of: &session_of };
    let outcome = requests::control(slave.terminal().unwrap(), Some(&asker), request, argument, &mut memory)?;
    Ok((outcome, memory.0))
}

fn do_ask(slave: &Slave, request: u32, argument: u64) -> Result<Outcome, Errno> {
    ask(slave, LEADER, request, argument, &[0; 64]).map(|(outcome, _)| outcome)
}

fn read(file: &dyn File, most: usize) -> Result<String, Errno> {
    let mut bytes = vec![0; most];
    let count = file.read(0, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..count]).into_owned())
}

fn write(file: &dyn File, text: &str) -> Result<usize, Errno> {
    file.write(0, text.as_bytes())
}

#[test]
fn what_is_typed_is_echoed_and_read_by_lines() {
    let Setup { master, slave, .. } = set_up();
    assert_eq!((read(&*slave, 99), read(&*master, 99)), (Err(Errno::EAGAIN), Err(Errno::EAGAIN)));
    write(&*master, "hel").unwrap();
    assert_eq!((read(&*slave, 99), read(&*master, 99)), (Err(Errno::EAGAIN), Ok("hel".into())));
    write(&*master, "lo\r").unwrap();
    assert_eq!((read(&*slave, 99), read(&*master, 99)), (Ok("hello\n".into()), Ok("lo\r\n".into())));
    write(&*slave, "out\n").unwrap();
    assert_eq!(read(&*master, 99).unwrap(), "out\r\n");
    write(&*master, "\x04").unwrap();
    assert_eq!(read(&*slave, 99).unwrap(), "");
}

#[test]
fn terminals_have_the_lowest_free_numbers_and_are_found_by_them() {
    let Setup { all, master, slave, .. } = set_up();
    let second = open(&all).unwrap();
    assert_eq!((master.pty().number(), second.pty().number()), (0, 1));
    assert_eq!((all.next(0), all.next(1), all.next(2)), (Some(0), Some(1), None));
    drop(master);
    assert!(all.find(0).is_none() && all.next(0) == Some(1));
    assert_eq!(open(&all).unwrap().pty().number(), 2, "the slave is still open");
    drop(slave);
    assert_eq!(open(&all).unwrap().pty().number(), 0);
    let mut memory = Memory::new(4);
    second.control(ioctl::TIOCGPTN, 0, &mut memory).unwrap();
    assert_eq!(memory.0, [1, 0, 0, 0]);
}

#[test]
fn there_are_only_so_many() {
    let Setup { all, .. } = set_up();
    let masters: Vec<_> = std::iter::from_fn(|| open(&all).ok()).collect();
    assert_eq!((masters.len(), open(&all).err()), (4096, Some(Errno::ENOSPC)));
}

#[test]
fn a_slave_is_opened_when_it_is_unlocked() {
    let Setup { all, .. } = set_up();
    let master = open(&all).unwrap();
    let mut memory = Memory::new(4);
    master.control(ioctl::TIOCGPTLCK, 0, &mut memory).unwrap();
    assert_eq!((memory.0[0], master.pty().open_slave().err()), (1, Some(Errno::EIO)));
    unlock(&master);
    assert!(master.pty().open_slave().is_ok());
    let pty = master.pty().clone();
    drop(master);
    assert_eq!(pty.open_slave().err(), Some(Errno::EIO));
}

#[test]
fn the_master_s_end_hangs_up_and_ends_the_file() {
    let Setup { notes, master, slave, .. } = set_up();
    assert_eq!(do_ask(&slave, ioctl::TIOCSCTTY, 0), Ok(Outcome::Acquired(None)));
    write(&*master, "unread\n").unwrap();
    let (bell, waker) = Bell::new();
    slave.changes().unwrap().add(&Waiter::new(waker));
    drop(master);
    assert_eq!(bell.rings(), 1);
    assert_eq!(*notes.hang_ups.lock().unwrap(), [HangUp { session: 4, foreground: Some(4) }]);
    assert_eq!((read(&*slave, 9), write(&*slave, "x")), (Ok(String::new()), Err(Errno::EIO)));
    assert!(slave.poll().contains(Readiness::HUP | Readiness::ERR | Readiness::IN | Readiness::OUT));
    assert_eq!(slave.pty().jobs().lock().session(), None);
    let asked =
        [ioctl::TCGETS, ioctl::TIOCGWINSZ, ioctl::TIOCSCTTY, ioctl::TIOCSPGRP].map(|ask| do_ask(&slave, ask, 0));
    assert_eq!(asked, [Err(Errno::EIO), Err(Errno::EIO), Err(Errno::EIO), Err(Errno::ENOTTY)]);
}

#[test]
fn the_master_reads_what_is_left_and_then_that_nobody_is_there() {
    let Setup { all, master, slave, .. } = set_up();
    write(&*slave, "bye").unwrap();
    let second = master.pty().open_slave().unwrap();
    drop(slave);
    assert!(!master.poll().contains(Readiness::HUP));
    let (bell, waker) = Bell::new();
    master.changes().unwrap().add(&Waiter::new(waker));
    drop(second);
    assert_eq!((bell.rings(), master.poll().contains(Readiness::HUP | Readiness::IN)), (1, true));
    assert_eq!((read(&*master, 9), read(&*master, 9)), (Ok("bye".into()), Err(Errno::EIO)));
    let again = master.pty().open_slave().unwrap();
    assert_eq!((read(&*master, 9), master.poll().contains(Readiness::HUP)), (Err(Errno::EAGAIN), false));
    drop(again);
    let fresh = open(&all).unwrap();
    assert_eq!(read(&*fresh, 9), Err(Errno::EAGAIN), "nobody has come yet");
}

#[test]
fn signals_are_typed_for_the_foreground() {
    let Setup { notes, master, slave, .. } = set_up();
    write(&*master, "\x03").unwrap();
    assert!(notes.signals.lock().unwrap().is_empty(), "there is nobody");
    do_ask(&slave, ioctl::TIOCSCTTY, 0).unwrap();
    ask(&slave, LEADER, ioctl::TIOCSPGRP, 0, &6_i32.to_ne_bytes()).unwrap();
    write(&*master, "ab\x03\x1a").unwrap();
    master.control(ioctl::TIOCSIG, 3, &mut Memory::new(0)).unwrap();
    assert_eq!(master.control(ioctl::TIOCSIG, 9, &mut Memory::new(0)), Err(Errno::EINVAL));
    let size = WindowSize { rows: 24, columns: 80, ..WindowSize::default() };
    for _ in 0..2 {
        master.control(ioctl::TIOCSWINSZ, 0, &mut Memory(size.to_bytes().to_vec())).unwrap();
    }
    let signals = [Signal::Interrupt, Signal::Suspend, Signal::Quit, Signal::WindowChanged];
    assert_eq!(*notes.signals.lock().unwrap(), signals.map(|signal| (6, signal)));
    assert_eq!(ask(&slave, LEADER, ioctl::TIOCGWINSZ, 0, &[0; 8]).unwrap().1, size.to_bytes());
}

#[test]
fn output_waits_when_the_master_does_not_read_and_when_it_is_stopped() {
    let Setup { master, slave, .. } = set_up();
    let written = write(&*slave, &"x".repeat(100_000)).unwrap();
    assert!((CAPACITY / 2..=CAPACITY).contains(&written), "{written}");
    assert_eq!(write(&*slave, &"x".repeat(100)).ok().filter(|count| *count == 100), None);
    while write(&*slave, "x").is_ok() {}
    assert!(!slave.poll().contains(Readiness::OUT));
    let (bell, waker) = Bell::new();
    slave.changes().unwrap().add(&Waiter::new(waker.clone()));
    read(&*master, 100).unwrap();
    assert_eq!(bell.rings(), 0);
    read(&*master, CAPACITY).unwrap();
    assert_eq!((bell.rings(), slave.poll().contains(Readiness::OUT)), (1, true));
    write(&*master, "\x13").unwrap();
    assert_eq!((write(&*slave, "x"), slave.poll().contains(Readiness::OUT)), (Err(Errno::EAGAIN), false));
    slave.changes().unwrap().add(&Waiter::new(waker));
    write(&*master, "\x11").unwrap();
    assert_eq!((bell.rings(), write(&*slave, "x")), (2, Ok(1)));
}

#[test]
fn typing_waits_when_nobody_reads() {
    let Setup { master, slave, .. } = set_up();
    let line = "y".repeat(99) + "\n";
    let mut typed = 0;
    while let Ok(count) = write(&*master, &line) {
        typed += count;
        while read(&*master, 4096).is_ok() {}
    }
    assert!(typed > discipline::CAPACITY - 200 && !master.poll().contains(Readiness::OUT));
    let (bell, waker) = Bell::new();
    master.changes().unwrap().add(&Waiter::new(waker));
    assert_eq!(read(&*slave, 4096).unwrap(), line);
    assert_eq!((bell.rings(), master.poll().contains(Readiness::OUT)), (1, true));
}

#[test]
fn in_packet_mode_the_master_reads_what_happens() {
    let Setup { master, slave, .. } = set_up();
    master.control(ioctl::TIOCPKT, 0, &mut Memory(1_i32.to_ne_bytes().to_vec())).unwrap();
    assert_eq!(read(&*master, 9), Err(Errno::EAGAIN));
    write(&*slave, "hi").unwrap();
    assert_eq!(read(&*master, 9).unwrap(), "\0hi");
    do_ask(&slave, ioctl::TCFLSH, 2).unwrap();
    assert!(master.poll().contains(Readiness::PRI | Readiness::IN));
    assert_eq!(read(&*master, 9).unwrap(), "\x03");
    write(&*master, "\x13").unwrap();
    assert_eq!(read(&*master, 9).unwrap(), "\x04");
    write(&*master, "\x11\x13\x11").unwrap();
    assert_eq!(read(&*master, 9).unwrap(), "\x08");
    let raw = Termios::cooked().raw();
    ask(&slave, LEADER, ioctl::TCSETS, 0, &raw.to_bytes()).unwrap();
    assert_eq!(read(&*master, 9).unwrap(), "\x10");
    ask(&slave, LEADER, ioctl::TCSETS, 0, &Termios::cooked().to_bytes()).unwrap();
    assert_eq!((read(&*master, 9).unwrap(), read(&*master, 9)), ("\x20".into(), Err(Errno::EAGAIN)));
}

#[test]
fn settings_are_read_and_changed_at_both_sides() {
    let Setup { master, slave, .. } = set_up();
    let raw = Termios::cooked().raw();
    write(&*master, "unfinished").unwrap();
    assert_eq!(ask(&slave, LEADER, ioctl::TCSETS, 0, &raw.to_bytes()).unwrap().0, Outcome::Done);
    assert_eq!(read(&*slave, 99).unwrap(), "unfinished");
    let mut memory = Memory::new(44);
    master.control(ioctl::TCGETS2, 0, &mut memory).unwrap();
    assert_eq!((&memory.0[..36], &memory.0[36..40]), (&raw.to_bytes()[..], &38_400_u32.to_ne_bytes()[..]));
    write(&*master, "typed").unwrap();
    let (_, memory) = ask(&slave, LEADER, ioctl::FIONREAD, 0, &[0; 4]).unwrap();
    assert_eq!(memory, 5_i32.to_ne_bytes());
    ask(&slave, LEADER, ioctl::TCSETSF, 0, &raw.to_bytes()).unwrap();
    assert_eq!((read(&*slave, 9), do_ask(&slave, ioctl::TIOCOUTQ, 0)), (Err(Errno::EAGAIN), Ok(Outcome::Done)));
    assert_eq!(ask(&slave, LEADER, ioctl::TCGETS, 0, &raw.to_bytes()[1..]).err(), Some(Errno::EFAULT));
    assert_eq!(ask(&slave, LEADER, ioctl::TCSETS, 1, &raw.to_bytes()).err(), Some(Errno::EFAULT));
}

#[test]
fn flow_is_controlled_by_request_too() {
    let Setup { master, slave, .. } = set_up();
    for (action, can_write) in [(0, false), (1, true)] {
        do_ask(&slave, ioctl::TCXONC, action).unwrap();
        assert_eq!(write(&*slave, "x").is_ok(), can_write);
    }
    do_ask(&slave, ioctl::TCXONC, 2).unwrap();
    do_ask(&slave, ioctl::TCXONC, 3).unwrap();
    assert_eq!(read(&*master, 9).unwrap(), "x\x13\x11");
    for (request, argument) in [(ioctl::TCXONC, 4), (ioctl::TCFLSH, 3)] {
        assert_eq!(do_ask(&slave, request, argument), Err(Errno::EINVAL));
    }
    assert_eq!(do_ask(&slave, ioctl::TIOCSTI, 0), Err(Errno::EIO));
    assert_eq!(do_ask(&slave, ioctl::TIOCGPTN, 0), Err(Errno::ENOTTY));
    assert_eq!(ask(&slave, LEADER, ioctl::TIOCSETD, 0, &[5, 0, 0, 0]).err(), Some(Errno::EINVAL));
    assert_eq!(do_ask(&slave, ioctl::TIOCGETD, 0), Ok(Outcome::Done));
}

#[test]
fn sessions_and_the_foreground_are_told_to_whom_they_concern() {
    let Setup { notes, master, slave, .. } = set_up();
    let id = |result: Result<(Outcome, Vec<u8>), Errno>| result.map(|(_, memory)| memory[0]);
    for request in [ioctl::TIOCGPGRP, ioctl::TIOCGSID, ioctl::TIOCSPGRP, ioctl::TIOCNOTTY] {
        assert_eq!(do_ask(&slave, request, 0), Err(Errno::ENOTTY));
    }
    do_ask(&slave, ioctl::TIOCSCTTY, 0).unwrap();
    assert_eq!(ask(&slave, LEADER, ioctl::TIOCSPGRP, 0, &(-1_i32).to_ne_bytes()).err(), Some(Errno::EINVAL));
    assert_eq!(ask(&slave, LEADER, ioctl::TIOCSPGRP, 0, &9_i32.to_ne_bytes()).err(), Some(Errno::ESRCH));
    ask(&slave, LEADER, ioctl::TIOCSPGRP, 0, &5_i32.to_ne_bytes()).unwrap();
    assert_eq!(id(ask(&slave, LEADER, ioctl::TIOCGPGRP, 0, &[0; 4])), Ok(5));
    assert_eq!(id(ask(&slave, LEADER, ioctl::TIOCGSID, 0, &[0; 4])), Ok(4));
    let stranger = Caller { session: 8, ..LEADER };
    assert_eq!(id(ask(&slave, stranger, ioctl::TIOCGPGRP, 0, &[0; 4])), Err(Errno::ENOTTY));
    let mut memory = Memory::new(4);
    master.control(ioctl::TIOCGPGRP, 0, &mut memory).unwrap();
    assert_eq!(memory.0[0], 5);
    assert_eq!(master.control(ioctl::TIOCSCTTY, 0, &mut memory), Err(Errno::ENOTTY));
    // The leader is in the background now.
    let stopped = Ok(Outcome::Stopped(JobSignal::Output));
    assert_eq!([do_ask(&slave, ioctl::TCFLSH, 0), do_ask(&slave, ioctl::TCSETS, 0)], [stopped, stopped]);
    assert_eq!(do_ask(&slave, ioctl::TCGETS, 0), Ok(Outcome::Done));
    let member = Caller { leads_session: false, ..LEADER };
    let gave_up = ask(&slave, member, ioctl::TIOCNOTTY, 0, &[]).map(|(outcome, _)| outcome);
    assert_eq!(gave_up, Ok(Outcome::GaveUp(None)));
    let lost = HangUp { session: 4, foreground: Some(5) };
    assert_eq!(do_ask(&slave, ioctl::TIOCNOTTY, 0), Ok(Outcome::GaveUp(Some(lost))));
    drop(master);
    assert!(notes.hang_ups.lock().unwrap().is_empty(), "nobody is left to be told");
}

#[test]
fn a_raw_terminal_says_how_long_a_read_waits() {
    let Setup { master, slave, .. } = set_up();
    let mut raw = Termios::cooked().raw();
    raw.characters[6] = 3;
    ask(&slave, LEADER, ioctl::TCSETS, 0, &raw.to_bytes()).unwrap();
    assert_eq!(slave.terminal().unwrap().pace().minimum, 3);
    write(&*master, "ab").unwrap();
    assert!(!slave.poll().contains(Readiness::IN));
    write(&*master, "c").unwrap();
    assert!(slave.poll().contains(Readiness::IN) && !raw.local.contains(LocalFlags::ECHO));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn bytes_pass_a_raw_terminal_unchanged_both_ways(
        steps in prop::collection::vec((0..4, prop::collection::vec(any::<u8>(), 0..6000)), 1..30)
    ) {
        let Setup { master, slave, .. } = set_up();
        ask(&slave, LEADER, ioctl::TCSETS, 0, &Termios::cooked().raw().to_bytes()).unwrap();
        let (mut typed, mut shown) = (std::collections::VecDeque::new(), std::collections::VecDeque::new());
        for (step, bytes) in steps {
            let (file, model): (&dyn File, _) = match step {
                0 | 3 => (&*master, if step == 0 { &mut typed } else { &mut shown }),
                _ => (&*slave, if step == 1 { &mut shown } else { &mut typed }),
            };
            if step < 2 {
                match file.write(0, &bytes) {
                    Ok(count) => model.extend(&bytes[..count]),
                    Err(error) => prop_assert!(error == Errno::EAGAIN && model.len() > 4000),
                }
            } else {
                let mut buffer = vec![0; bytes.len()];
                match file.read(0, &mut buffer) {
                    Ok(count) => {
                        let expected: Vec<u8> = model.drain(..count).collect();
                        prop_assert_eq!(&buffer[..count], &expected[..]);
                    }
                    Err(error) => prop_assert!(error == Errno::EAGAIN && model.is_empty()),
                }
            }
        }
    }
}
