//! The texts of /proc, in Linux's formats (proc(5)): what programs parse, so every column counts.
//!
//! Who knows the facts fills in a structure; what comes of it is decided here, without a machine.

pub mod limits;
pub mod load;
pub mod machine;
pub mod mounts;
pub mod stat;
pub mod status;
#[cfg(test)]
mod tests;

/// Nanoseconds in a tick, of which /proc counts a hundred a second (`_SC_CLK_TCK` of sysconf(3)).
pub const TICK_NS: u64 = 10_000_000;

/// What a process or thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs, or wants to.
    Running,
    /// It waits.
    Sleeping,
    /// Job control has stopped it.
    Stopped,
    /// It has ended, and nobody has asked how.
    Zombie,
}

impl State {
    /// The letter of /proc/PID/stat.
    pub const fn letter(self) -> char {
        match self {
            Self::Running => 'R',
            Self::Sleeping => 'S',
            Self::Stopped => 'T',
            Self::Zombie => 'Z',
        }
    }

    /// The word of /proc/PID/status.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Sleeping => "sleeping",
            Self::Stopped => "stopped",
            Self::Zombie => "zombie",
        }
    }
}
