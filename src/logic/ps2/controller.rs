//! Sets the controller up: keyboard on, mouse off, both silent until interrupts are asked for.

use super::ControllerCommand::{
    self, DisableFirst, DisableSecond, EnableFirst, ReadConfiguration, SelfTest as SelfTestCommand, WriteConfiguration,
};
use super::status::{FROM_SECOND, INPUT_FULL, NOTHING_THERE, OUTPUT_FULL};
use super::{Ports, SELF_TEST_PASSED};
use crate::tty::keys::ScanCodeSet;
use core::fmt;
use core::time::Duration;

/// How long the controller may take for a command, or to answer one: some need milliseconds.
const PATIENCE: Duration = Duration::from_millis(20);
/// And for its self-test.
const SELF_TEST_PATIENCE: Duration = Duration::from_millis(500);
/// Bytes that may have been left from before. Keyboards hold 16, and mice that move send more meanwhile.
const MOST_LEFT_OVER: u32 = 64;
/// Looks at the status in one wait, should time stand still.
const MOST_LOOKS: u32 = 1_000_000;

bitflags::bitflags! {
    /// The controller's configuration byte.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Configuration: u8 {
        /// Bytes from the first port raise ISA interrupt 1.
        const FIRST_INTERRUPTS = 1 << 0;
        /// Bytes from the second port raise ISA interrupt 12.
        const SECOND_INTERRUPTS = 1 << 1;
        /// The first port's clock is held.
        const FIRST_OFF = 1 << 4;
        /// The second port's clock is held.
        const SECOND_OFF = 1 << 5;
        /// Scan codes of set 2 become those of set 1.
        const TRANSLATES = 1 << 6;
        /// All others are the machine's own.
        const _ = !0;
    }
}

/// Why there is no keyboard at this controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing answers at its ports.
    Absent,
    /// It does not take or answer commands.
    Unresponsive,
    /// It always has one more byte.
    NeverEmpty,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Absent => "there is no controller",
            Self::Unresponsive => "the controller does not answer",
            Self::NeverEmpty => "the controller's buffer does not empty",
        })
    }
}

/// What became of the self-test, which decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfTest {
    /// As it should be.
    Passed,
    /// Another answer than that.
    Answered(u8),
    /// No answer.
    Silent,
}

/// A controller that was set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controller {
    /// What it was configured with, interrupts off.
    pub configuration: Configuration,
    /// What the keyboard's bytes mean.
    pub scan_codes: ScanCodeSet,
    /// What it said of itself.
    pub self_test: SelfTest,
}

/// Finds the controller and makes it quiet.
///
/// # Errors
/// [`Failure`] says why it cannot be used. That nothing is there is found out by two reads.
pub fn initialise(ports: &mut impl Ports) -> Result<Controller, Failure> {
    if ports.status() == NOTHING_THERE && ports.status() == NOTHING_THERE {
        return Err(Failure::Absent);
    }
    // First of all, so that nothing comes in between commands and answers.
    command(ports, DisableFirst)?;
    command(ports, DisableSecond)?;
    empty(ports)?;
    let found = configuration(ports).ok_or(Failure::Unresponsive)?;
    let self_test = self_test(ports)?;
    empty(ports)?;
    let off = Configuration::FIRST_INTERRUPTS | Configuration::SECOND_INTERRUPTS | Configuration::FIRST_OFF;
    let wanted = (found - off) | Configuration::SECOND_OFF | Configuration::TRANSLATES;
    configure(ports, wanted)?;
    // A controller that cannot translate says so.
    let configuration = configuration(ports).unwrap_or(wanted) - off;
    let translates = configuration.contains(Configuration::TRANSLATES);
    let scan_codes = if translates { ScanCodeSet::One } else { ScanCodeSet::Two };
    Ok(Controller { configuration, scan_codes, self_test })
}

impl Controller {
    /// Lets the keyboard's bytes through, and lets them interrupt.
    ///
    /// # Errors
    /// [`Failure::Unresponsive`].
    pub fn enable(&self, ports: &mut impl Ports) -> Result<(), Failure> {
        command(ports, EnableFirst)?;
        configure(ports, self.configuration | Configuration::FIRST_INTERRUPTS)
    }
}

fn self_test(ports: &mut impl Ports) -> Result<SelfTest, Failure> {
    command(ports, SelfTestCommand)?;
    Ok(match answer(ports, SELF_TEST_PATIENCE) {
        Some(SELF_TEST_PASSED) => SelfTest::Passed,
        Some(other) => SelfTest::Answered(other),
        None => SelfTest::Silent,
    })
}

fn configuration(ports: &mut impl Ports) -> Option<Configuration> {
    command(ports, ReadConfiguration).ok()?;
    answer(ports, PATIENCE).map(Configuration::from_bits_retain)
}

fn configure(ports: &mut impl Ports, configuration: Configuration) -> Result<(), Failure> {
    command(ports, WriteConfiguration)?;
    wait(ports, PATIENCE, |status| status & INPUT_FULL == 0).ok_or(Failure::Unresponsive)?;
    ports.write_data(configuration.bits());
    Ok(())
}

fn command(ports: &mut impl Ports, command: ControllerCommand) -> Result<(), Failure> {
    wait(ports, PATIENCE, |status| status & INPUT_FULL == 0).ok_or(Failure::Unresponsive)?;
    ports.write_command(command);
    Ok(())
}

/// The controller's answer; a mouse's bytes are not it.
fn answer(ports: &mut impl Ports, patience: Duration) -> Option<u8> {
    for _ in 0..MOST_LEFT_OVER {
        let status = wait(ports, patience, |status| status & OUTPUT_FULL != 0)?;
        let byte = ports.read_data();
        if status & FROM_SECOND == 0 {
            return Some(byte);
        }
    }
    None
}

/// Throws away what was left to be read.
fn empty(ports: &mut impl Ports) -> Result<(), Failure> {
    // The commands before this have arrived when this is over.
    wait(ports, PATIENCE, |status| status & INPUT_FULL == 0).ok_or(Failure::Unresponsive)?;
    for _ in 0..MOST_LEFT_OVER {
        if ports.status() & OUTPUT_FULL == 0 {
            return Ok(());
        }
        ports.read_data();
    }
    Err(Failure::NeverEmpty)
}

/// Waits for a status that `is_wanted`, and answers it.
fn wait(ports: &mut impl Ports, patience: Duration, is_wanted: impl Fn(u8) -> bool) -> Option<u8> {
    let begun = ports.now();
    for _ in 0..MOST_LOOKS {
        let status = ports.status();
        if is_wanted(status) {
            return Some(status);
        }
        let waited = ports.now().saturating_sub(begun);
        if waited > patience {
            return None;
        }
        ports.pause(waited);
    }
    None
}
