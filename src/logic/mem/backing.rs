//! What a mapping of a file or a device shows: pages that somebody else keeps.

use super::page::Page;
use alloc::string::String;

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPage {
    /// The file ends before it, or could not be read: SIGBUS.
    BeyondEnd,
    /// There is no memory for it.
    OutOfFrames,
}

/// Why a file has pages no more that mappings may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The file ends before them: copies in private mappings go as well (truncate(2)).
    CutOff,
    /// They are a hole: copies in private mappings stay (fallocate(2)).
    Hole,
}

/// How /proc/PID/maps names what is mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackingName {
    /// The device, as makedev(3) has it.
    pub device: u64,
    /// The inode's number.
    pub inode: u64,
    /// The path.
    pub path: String,
}

/// A file or device, as mappings see it. Its pages are its own: shared mappings show them, private ones show them until the
/// program writes, and copy them then. All methods may be asked with the lock of an address space held.
pub trait Backing: Send + Sync {
    /// The page at `index` (offset in pages), as one user more of it.
    ///
    /// # Errors
    /// [`NoPage`].
    fn page(&self, index: u64) -> Result<Page, NoPage>;

    /// A shared mapping lets the program write to the page at `index` from now on.
    fn will_be_written(&self, index: u64);

    /// Device and inode's number of the file, if it is one that can lose pages: see [`Gone`].
    fn file(&self) -> Option<(u64, u64)> {
        None
    }

    /// Its name.
    fn name(&self) -> BackingName;
}
