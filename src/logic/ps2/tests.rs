//! Controllers as they should be and as they are, and keyboards that do not do as they are told.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use super::*;
use crate::time::Instant;
use crate::tty::keys::ScanCodeSet;
use proptest::prelude::*;
use std::collections::VecDeque;

/// What a read or write of a port takes.
const ACCESS: Duration = Duration::from_micros(1);
/// A pause of the kernel's.
const PAUSE: Duration = Duration::from_micros(100);

/// A controller with its faults.
struct Fake {
    clock: Duration,
    configuration: u8,
    output: VecDeque<(u8, bool)>,
    awaits_configuration: bool,
    first_on: bool,
    second_on: bool,
    /// Bits of the status that are always 1.
    stuck: u8,
    self_test: Option<u8>,
    forgets: Option<u8>,
    cannot_translate: bool,
    is_mute: bool,
    mouse_moves: bool,
}

impl Fake {
    /// As QEMU's: both ports on, interrupts on.
    fn sound() -> Self {
        Self {
            clock: Duration::ZERO,
            configuration: 0x47,
            output: VecDeque::new(),
            awaits_configuration: false,
            first_on: true,
            second_on: true,
            stuck: 0,
            self_test: Some(SELF_TEST_PASSED),
            forgets: None,
            cannot_translate: false,
            is_mute: false,
            mouse_moves: false,
        }
    }

    fn answer(&mut self, byte: u8) {
        if !self.is_mute {
            self.output.push_back((byte, false));
        }
    }
}

impl Ports for Fake {
    fn status(&mut self) -> u8 {
        self.clock += ACCESS;
        if self.mouse_moves && self.second_on && self.output.len() < 3 {
            self.output.push_back((0x08, true));
        }
        let full = self
            .output
            .front()
            .map_or(0, |(_, second)| status::OUTPUT_FULL | if *second { status::FROM_SECOND } else { 0 });
        full | self.stuck
    }

    fn read_data(&mut self) -> u8 {
        self.clock += ACCESS;
        self.output.pop_front().map_or(0, |(byte, _)| byte)
    }

    fn write_command(&mut self, command: ControllerCommand) {
        self.clock += ACCESS;
        match command {
            ControllerCommand::ReadConfiguration => self.answer(self.configuration),
            ControllerCommand::WriteConfiguration => self.awaits_configuration = true,
            ControllerCommand::DisableSecond => self.second_on = false,
            ControllerCommand::DisableFirst => self.first_on = false,
            ControllerCommand::EnableFirst => self.first_on = true,
            ControllerCommand::SelfTest => {
                self.configuration = self.forgets.unwrap_or(self.configuration);
                if let Some(result) = self.self_test {
                    self.answer(result);
                }
            }
        }
    }

    fn write_data(&mut self, byte: u8) {
        self.clock += ACCESS;
        assert!(std::mem::take(&mut self.awaits_configuration), "nothing is sent to the keyboard meanwhile");
        self.configuration = if self.cannot_translate { byte & !Configuration::TRANSLATES.bits() } else { byte };
    }

    fn now(&mut self) -> Duration {
        self.clock
    }

    fn pause(&mut self, _: Duration) {
        self.clock += PAUSE;
    }
}

/// Sets `fake` up and on; it must deliver the keyboard's interrupts, and only those.
fn comes_up(fake: &mut Fake) -> Controller {
    let controller = initialise(fake).unwrap();
    let quiet = Configuration::from_bits_retain(fake.configuration);
    assert!(!quiet.intersects(Configuration::FIRST_INTERRUPTS | Configuration::SECOND_INTERRUPTS));
    controller.enable(fake).unwrap();
    let configuration = Configuration::from_bits_retain(fake.configuration);
    assert!(configuration.contains(Configuration::FIRST_INTERRUPTS | Configuration::SECOND_OFF));
    assert!(!configuration.intersects(Configuration::SECOND_INTERRUPTS | Configuration::FIRST_OFF));
    assert!(fake.first_on && !fake.second_on && fake.output.is_empty());
    controller
}

#[test]
fn a_sound_controller_is_set_up_within_microseconds() {
    let mut fake = Fake::sound();
    let controller = comes_up(&mut fake);
    assert_eq!((controller.scan_codes, controller.self_test), (ScanCodeSet::One, SelfTest::Passed));
    assert!(fake.clock < Duration::from_micros(50), "{:?}", fake.clock);
}

#[test]
fn that_nothing_is_there_is_found_at_once() {
    let mut fake = Fake { stuck: status::NOTHING_THERE, ..Fake::sound() };
    assert_eq!(initialise(&mut fake), Err(Failure::Absent));
    assert!(fake.clock <= 2 * ACCESS, "{:?}", fake.clock);
}

#[test]
fn ports_that_read_as_zeros_are_given_up_soon() {
    let mut fake = Fake { is_mute: true, ..Fake::sound() };
    assert_eq!(initialise(&mut fake), Err(Failure::Unresponsive));
    assert!(fake.clock < Duration::from_millis(30), "{:?}", fake.clock);
}

#[test]
fn a_buffer_that_is_always_full_is_given_up() {
    for (stuck, failure) in [(status::INPUT_FULL, Failure::Unresponsive), (status::OUTPUT_FULL, Failure::NeverEmpty)] {
        let mut fake = Fake { stuck, ..Fake::sound() };
        assert_eq!(initialise(&mut fake), Err(failure));
        assert!(fake.clock < Duration::from_millis(30), "{:?}", fake.clock);
    }
}

#[test]
fn a_self_test_that_fails_or_never_answers_does_not_matter() {
    for (self_test, outcome) in [(Some(0xfc), SelfTest::Answered(0xfc)), (None, SelfTest::Silent)] {
        let mut fake = Fake { self_test, ..Fake::sound() };
        assert_eq!(comes_up(&mut fake).self_test, outcome);
        assert!(fake.clock < Duration::from_millis(600), "{:?}", fake.clock);
    }
}

#[test]
fn a_configuration_that_the_self_test_forgets_is_written_again() {
    for forgotten in [0x00, 0x30, 0xff] {
        let mut fake = Fake { forgets: Some(forgotten), ..Fake::sound() };
        assert_eq!(comes_up(&mut fake).scan_codes, ScanCodeSet::One);
    }
}

#[test]
fn a_controller_that_does_not_translate_is_believed() {
    let mut fake = Fake { cannot_translate: true, ..Fake::sound() };
    assert_eq!(comes_up(&mut fake).scan_codes, ScanCodeSet::Two);
}

#[test]
fn bytes_left_from_before_and_a_moving_mouse_are_no_answers() {
    let mut fake = Fake { mouse_moves: true, ..Fake::sound() };
    fake.output.extend((0..16).map(|byte| (byte, false)));
    assert_eq!(comes_up(&mut fake).configuration, Configuration::from_bits_retain(0x64));
}

/// Milliseconds after the start.
fn at(milliseconds: u64) -> Instant {
    Instant::START.after(Duration::from_millis(milliseconds))
}

#[test]
fn a_keyboard_is_told_one_thing_after_the_other() {
    let mut commands = Commands::new(4);
    for byte in [0xf4, 0xf3, 0x00, 0xed, 4] {
        assert_eq!(commands.next(at(0)), Some(byte));
        assert_eq!(commands.next(at(1)), None, "the last byte was not acknowledged yet");
        assert!(commands.deadline().is_some());
        assert!(!commands.receive(0x1e), "a key that is pressed meanwhile is no answer");
        assert!(commands.receive(0xfa));
    }
    assert_eq!((commands.next(at(1)), commands.deadline()), (None, None));
    assert!(!commands.receive(0xfa), "nothing was asked");
    commands.set_lights(1);
    commands.set_lights(2);
    let sent = [(); 3].map(|()| {
        let byte = commands.next(at(2));
        commands.receive(0xfa);
        byte
    });
    assert_eq!(sent, [Some(0xed), Some(2), None], "only the last wish counts");
}

#[test]
fn a_keyboard_that_asks_for_ever_to_send_again_is_given_up_command_by_command() {
    let mut commands = Commands::new(0);
    let mut sent = Vec::new();
    while let Some(byte) = commands.next(at(0)) {
        sent.push(byte);
        assert!(commands.receive(0xfe));
    }
    assert_eq!(sent, [0xf4, 0xf4, 0xf4, 0xf3, 0xf3, 0xf3, 0xed, 0xed, 0xed]);
}

#[test]
fn an_absent_keyboard_is_asked_once() {
    let mut commands = Commands::new(0);
    assert_eq!(commands.next(at(0)), Some(0xf4));
    assert_eq!(commands.deadline(), Some(at(200)));
    assert_eq!((commands.next(at(199)), commands.next(at(200))), (None, None));
    assert_eq!(commands.deadline(), None);
    commands.set_lights(7);
    assert_eq!(commands.next(at(300)), Some(0xed), "it may have come later");
    commands.not_sent();
    assert_eq!((commands.next(at(301)), commands.deadline()), (None, None));
}

proptest! {
    #[test]
    fn whatever_stands_in_for_a_controller_the_end_comes_soon(statuses in proptest::collection::vec(any::<u8>(), 1..40)) {
        struct Nonsense<'a>(&'a [u8], usize, Duration);
        impl Ports for Nonsense<'_> {
            fn status(&mut self) -> u8 {
                self.1 += 1;
                self.0[self.1 % self.0.len()]
            }
            fn read_data(&mut self) -> u8 {
                self.status()
            }
            fn write_command(&mut self, _: ControllerCommand) {}
            fn write_data(&mut self, _: u8) {}
            fn now(&mut self) -> Duration {
                self.2
            }
            fn pause(&mut self, _: Duration) {
                self.2 += PAUSE;
            }
        }
        let mut ports = Nonsense(&statuses, 0, Duration::ZERO);
        if let Ok(controller) = initialise(&mut ports) {
            let _ = controller.enable(&mut ports);
        }
        prop_assert!(ports.2 < Duration::from_secs(1));
    }
}
