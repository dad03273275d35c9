//! The names of host and kernel: uname(2), /proc/sys/kernel.

use arrayvec::ArrayVec;
use logic::sync::{IrqLock, Rank};

/// Bytes of a name, without the NUL.
pub const NAME_BYTES: usize = 64;

/// What the system is called: the one whose system calls these are.
pub const SYSTEM: &str = "Linux";
/// The version of Linux whose system calls these are.
pub const RELEASE: &str = "6.1.0-eres";
/// What `uname -v` says.
pub const VERSION: &str = "#1 SMP Eres OS";
/// The processor's architecture.
pub const MACHINE: &str = "x86_64";

/// A name.
pub type HostName = ArrayVec<u8, NAME_BYTES>;

/// A name that root may change.
pub struct Changeable {
    /// `None` as long as it is the first.
    changed: IrqLock<Option<HostName>>,
    first: &'static [u8],
}

/// The name of the host.
pub static HOST: Changeable = Changeable::new(b"eres");
/// The name of its NIS domain.
pub static DOMAIN: Changeable = Changeable::new(b"(none)");

impl Changeable {
    const fn new(first: &'static [u8]) -> Self {
        Self { changed: IrqLock::new(Rank::Process, None), first }
    }

    /// The name.
    pub fn get(&self) -> HostName {
        let changed = self.changed.lock().clone();
        changed.unwrap_or_else(|| self.first.iter().copied().take(NAME_BYTES).collect())
    }

    /// Changes it; what is too long is cut.
    pub fn set(&self, name: &[u8]) {
        *self.changed.lock() = Some(name.iter().copied().take(NAME_BYTES).collect());
    }
}
