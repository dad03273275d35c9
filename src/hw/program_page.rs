//! A page as programs have them, to see that the kernel cannot touch it. Only kernels that test themselves have this.

use super::attempts::Attempt;
use super::fixup::attempt;
use super::frames::{self, FRAME_BYTES};
use super::paging::{self, MapError};
use x86_64::VirtAddr;
use x86_64::structures::paging::PageTableFlags;

/// Where programs have their code on Linux.
const START: VirtAddr = VirtAddr::new(0x40_0000);

/// `jmp r9`.
const JUMP: [u8; 3] = [0x41, 0xff, 0xe1];

/// What a program may do with the page beside reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Write to it.
    Write,
    /// Run it.
    Run,
}

/// A page among the programs' addresses, until it is dropped. One at a time.
pub struct ProgramPage(());

impl ProgramPage {
    /// Maps a page that can be read, and written to or run.
    ///
    /// # Errors
    /// [`MapError`] if there is no memory, or there is such a page already.
    pub fn new(right: Right) -> Result<Self, MapError> {
        Self::holding(&JUMP, right)
    }

    /// The same with `content`, of which a page holds 4096 bytes.
    ///
    /// # Errors
    /// As of [`Self::new`].
    pub fn holding(content: &[u8], right: Right) -> Result<Self, MapError> {
        let frame = frames::allocate_zeroed()?;
        let start = super::direct(frame.start_address()).ok_or(MapError::BadRange)?.as_mut_ptr::<u8>();
        let length = content.len().min(FRAME_BYTES as usize);
        // SAFETY: the frame was just taken and zeroed, the direct map shows it, and it has room for as much.
        unsafe { start.copy_from_nonoverlapping(content.as_ptr(), length) };
        let flags = match right {
            Right::Write => PageTableFlags::WRITABLE | PageTableFlags::NO_EXECUTE,
            Right::Run => PageTableFlags::empty(),
        };
        if let Err(error) = paging::map_for_programs(START, frame, flags) {
            frames::free(frame, 0);
            return Err(error);
        }
        Ok(Self(()))
    }

    /// Its address.
    pub fn address(&self) -> u64 {
        START.as_u64()
    }

    /// Runs it: it jumps back at once.
    pub fn run(&self) -> Attempt {
        attempt!(
            "lea r9, [rip + 2f]\nmov r10d, 0x400000\njmp r10\n.pushsection .fixup, \"a\"\n.quad 0x400000, 3f\n.popsection\n2:",
            out("r9") _, out("r10") _
        )
    }
}

impl Drop for ProgramPage {
    fn drop(&mut self) {
        paging::unmap_and_free([START..START + FRAME_BYTES]);
    }
}
