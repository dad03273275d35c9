//! What to do about a page fault: a pure decision from the area, the state of the page and the access.

use super::area::{Area, Protection};

/// What the program wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read.
    Read,
    /// To write.
    Write,
    /// To execute.
    Execute,
}

/// Why a program cannot have a page: which signal it gets, with which code (sigaction(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGSEGV, `SEGV_MAPERR`: nothing is there.
    NotMapped,
    /// SIGSEGV, `SEGV_ACCERR`: not for this access.
    NotAllowed,
    /// SIGBUS, `BUS_ADRERR`: the file ends before.
    BeyondEnd,
}

/// What the page's entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// There is no page.
    Absent,
    /// There is a page.
    Present {
        /// The entry allows writing.
        is_writable: bool,
        /// The frame was made for programs' private use.
        is_own: bool,
        /// Nobody else uses the frame.
        is_sole: bool,
    },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Map the page of zeros that all share, read-only.
    MapZero,
    /// Map a fresh page of zeros.
    MapFresh,
    /// Map the backing's page; if `writable`, tell the backing first.
    MapCached {
        /// Whether the program may write to it at once.
        writable: bool,
    },
    /// Map a copy of the backing's page.
    CopyCached,
    /// Map a copy of the page that is there.
    CopyThenMap,
    /// Allow writing to the page that is there; if `tell`, tell the backing first.
    MakeWritable {
        /// Whether it is the backing's.
        tell: bool,
    },
    /// Extend the area down to the page, and decide again.
    Grow,
    /// Nothing: the processor remembered an entry that has changed since.
    Spurious,
    /// Refuse.
    Signal(Signal),
}

/// What to do about an `access` to a page, given the area that has it or, if that grows down, starts above it.
pub fn decide(area: Option<&Area>, address: u64, page: PageState, access: Access) -> Decision {
    let Some(area) = area else { return Decision::Signal(Signal::NotMapped) };
    if !allows(area.protection, access) {
        let signal = if address < area.start { Signal::NotMapped } else { Signal::NotAllowed };
        return Decision::Signal(signal);
    }
    if address < area.start {
        return if area.grows_down() { Decision::Grow } else { Decision::Signal(Signal::NotMapped) };
    }
    supply(area, page, access)
}

/// What to do so that an access that is allowed works.
pub fn supply(area: &Area, page: PageState, access: Access) -> Decision {
    let writes = access == Access::Write;
    match page {
        PageState::Absent => match (area.view.is_some(), area.is_shared(), writes) {
            (false, _, false) => Decision::MapZero,
            (false, _, true) => Decision::MapFresh,
            (true, false, true) => Decision::CopyCached,
            (true, true, true) => Decision::MapCached { writable: true },
            (true, _, false) => Decision::MapCached { writable: false },
        },
        PageState::Present { is_writable, is_own, is_sole } if writes && !is_writable => {
            if area.is_shared() {
                Decision::MakeWritable { tell: true }
            } else if is_own && is_sole {
                Decision::MakeWritable { tell: false }
            } else {
                Decision::CopyThenMap
            }
        }
        PageState::Present { .. } => Decision::Spurious,
    }
}

/// Whether an area may be accessed so. The processor cannot forbid reading alone.
pub fn allows(protection: Protection, access: Access) -> bool {
    match access {
        Access::Read => !protection.is_empty(),
        Access::Write => protection.contains(Protection::WRITE),
        Access::Execute => protection.contains(Protection::EXECUTE),
    }
}

#[cfg(test)]
mod tests {
    use super::super::area::AreaFlags;
    use super::super::shared_memory::SharedMemory;
    use super::*;
    use crate::mem::page::fake::FakeFrames;
    use alloc::sync::Arc;

    use Access::{Execute, Read, Write};
    use PageState::Absent;

    fn area(protection: Protection, flags: AreaFlags, backed: bool) -> Area {
        let backing = || Arc::new(SharedMemory::new(FakeFrames::new(0), 1));
        let view = backed.then(|| super::super::area::View { backing: backing(), index: 0 });
        Area { start: 0x5000, end: 0x9000, protection, most: Protection::all(), flags, view, name: None }
    }

    fn present(is_writable: bool, is_own: bool, is_sole: bool) -> PageState {
        PageState::Present { is_writable, is_own, is_sole }
    }

    #[test]
    fn each_access_to_each_page_has_its_answer() {
        let writable = Protection::READ | Protection::WRITE;
        let (private, shared, down) = (AreaFlags::empty(), AreaFlags::SHARED, AreaFlags::GROWS_DOWN);
        let accerr = Decision::Signal(Signal::NotAllowed);
        let maperr = Decision::Signal(Signal::NotMapped);
        for (protection, flags, backed, address, page, access, expected) in [
            (writable, private, false, 0x5000, Absent, Read, Decision::MapZero),
            (writable, private, false, 0x5000, Absent, Write, Decision::MapFresh),
            (writable, private, true, 0x5000, Absent, Read, Decision::MapCached { writable: false }),
            (writable, private, true, 0x5000, Absent, Write, Decision::CopyCached),
            (writable, shared, true, 0x5000, Absent, Read, Decision::MapCached { writable: false }),
            (writable, shared, true, 0x5000, Absent, Write, Decision::MapCached { writable: true }),
            (writable, private, true, 0x5000, present(false, false, false), Write, Decision::CopyThenMap),
            // A page of a file stays one, even if the file has given it up.
            (writable, private, true, 0x5000, present(false, false, true), Write, Decision::CopyThenMap),
            (writable, private, false, 0x5000, present(false, true, false), Write, Decision::CopyThenMap),
            (
                writable,
                private,
                false,
                0x5000,
                present(false, true, true),
                Write,
                Decision::MakeWritable { tell: false },
            ),
            (
                writable,
                shared,
                true,
                0x5000,
                present(false, false, false),
                Write,
                Decision::MakeWritable { tell: true },
            ),
            (writable, private, false, 0x5000, present(true, true, true), Write, Decision::Spurious),
            (writable, private, false, 0x5000, present(false, true, true), Read, Decision::Spurious),
            (Protection::READ, private, false, 0x5000, Absent, Write, accerr),
            (writable, private, false, 0x5000, Absent, Execute, accerr),
            (Protection::EXECUTE, private, false, 0x5000, Absent, Read, Decision::MapZero),
            (Protection::WRITE, private, false, 0x5000, Absent, Read, Decision::MapZero),
            (Protection::empty(), private, false, 0x5000, present(false, true, true), Read, accerr),
            (writable, private, false, 0x4fff, Absent, Write, maperr),
            (writable, down, false, 0x4fff, Absent, Write, Decision::Grow),
            (Protection::READ, down, false, 0x4fff, Absent, Write, maperr),
        ] {
            let area = area(protection, flags, backed);
            let decision = decide(Some(&area), address, page, access);
            assert_eq!(decision, expected, "{access:?} of {page:?} at {address:#x} in {area:?}");
        }
        assert_eq!(decide(None, 0x5000, Absent, Read), maperr);
    }
}
