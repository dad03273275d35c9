//! Signals by number, and what they do to who does not say otherwise.

use super::SignalSet;
use crate::errno::Errno;
use core::fmt;
use linux_raw_sys::general;

/// A signal: 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// What a signal does where there is no handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// Ends the process.
    Terminate,
    /// Ends the process, which leaves its memory to be looked at.
    Core,
    /// Nothing.
    Ignore,
    /// Stops the process.
    Stop,
    /// Lets the process go on if it is stopped.
    Continue,
}

macro_rules! signals {
    ($($name:ident $default:ident: $meaning:literal,)*) => {
        impl Signal {
            $(#[doc = $meaning] pub const $name: Self = Self(general::$name as u8);)*

            /// What it does where there is no handler. Real-time signals end the process.
            pub fn default_action(self) -> DefaultAction {
                match self {
                    $(Self::$name => DefaultAction::$default,)*
                    _ => DefaultAction::Terminate,
                }
            }
        }

        const NAMES: &[(Signal, &str)] = &[$((Signal::$name, stringify!($name)),)*];
    };
}

signals! {
    SIGHUP Terminate: "The terminal is gone.",
    SIGINT Terminate: "Interrupted from the keyboard.",
    SIGQUIT Core: "Quit from the keyboard.",
    SIGILL Core: "An instruction that there is not.",
    SIGTRAP Core: "A breakpoint.",
    SIGABRT Core: "abort(3).",
    SIGBUS Core: "Memory that is not there though it is mapped.",
    SIGFPE Core: "Arithmetic that cannot be.",
    SIGKILL Terminate: "The end, whatever the process says.",
    SIGUSR1 Terminate: "As users like.",
    SIGSEGV Core: "Memory that is not the process's.",
    SIGUSR2 Terminate: "As users like.",
    SIGPIPE Terminate: "Nobody reads.",
    SIGALRM Terminate: "alarm(2).",
    SIGTERM Terminate: "The end is asked for.",
    SIGSTKFLT Terminate: "Not used.",
    SIGCHLD Ignore: "A child ended, stopped or went on.",
    SIGCONT Continue: "Go on.",
    SIGSTOP Stop: "Stop, whatever the process says.",
    SIGTSTP Stop: "Stop from the keyboard.",
    SIGTTIN Stop: "A read from the terminal in the background.",
    SIGTTOU Stop: "A write to the terminal in the background.",
    SIGURG Ignore: "Urgent data at a socket.",
    SIGXCPU Core: "More processor time than allowed.",
    SIGXFSZ Core: "A larger file than allowed.",
    SIGVTALRM Terminate: "A timer of the process's own time.",
    SIGPROF Terminate: "A timer for profiling.",
    SIGWINCH Ignore: "The window has another size.",
    SIGIO Terminate: "A file became ready.",
    SIGPWR Terminate: "Power fails.",
    SIGSYS Core: "A system call that there is not.",
}

impl Signal {
    /// The lowest real-time signal, as the kernel counts.
    pub const REAL_TIME_FIRST: u8 = general::SIGRTMIN as u8;

    /// The highest signal.
    pub const LAST: u8 = general::_NSIG as u8;

    /// The signal of a number that is one.
    pub const fn new(number: u8) -> Option<Self> {
        if number >= 1 && number <= Self::LAST { Some(Self(number)) } else { None }
    }

    /// The signal of a number that a program passed; `None` for 0, with which kill(2) only asks.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] if there is no such signal.
    pub fn from_user(number: i32) -> Result<Option<Self>, Errno> {
        match u8::try_from(number) {
            Ok(0) => Ok(None),
            Ok(number) => Self::new(number).map(Some).ok_or(Errno::EINVAL),
            Err(_) => Err(Errno::EINVAL),
        }
    }

    /// The number, 1 to 64.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether several of it can be pending.
    pub const fn is_real_time(self) -> bool {
        self.0 >= Self::REAL_TIME_FIRST
    }

    /// Whether neither masks nor handlers keep it away.
    pub fn is_absolute(self) -> bool {
        SignalSet::ABSOLUTE.contains(self)
    }

    /// What of all that is pending goes away when this is sent: who is to go on need not stop, and the other way round.
    pub fn cancels(self) -> SignalSet {
        match self.default_action() {
            DefaultAction::Continue => SignalSet::STOPPING,
            DefaultAction::Stop => SignalSet::of(&[Self::SIGCONT]),
            _ => SignalSet::EMPTY,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(signal, _)| signal == self) {
            Some((_, name)) => formatter.pad(name),
            None => write!(formatter, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
