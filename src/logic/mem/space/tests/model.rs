//! Several spaces that fork from each other, against a model of what each address holds, while frames run out. Processors remember
//! entries until they are told to forget them, and pages that are used after they were freed make the test fail.

use super::*;
use proptest::prelude::*;

/// Where the pages are that the steps are about.
const BASE: u64 = 0x7000_0000 - 8 * PAGE;
const PAGES: u64 = 24;
const FILE_PAGES: u64 = 6;
/// The byte of each page that is looked at.
const BYTE: u64 = 5;
const MOST_PROGRAMS: usize = 4;

/// What a page of the model shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    Nothing,
    /// A page of the file.
    File(u64),
    /// A page of a shared memory.
    Memory(usize, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    protection: Protection,
    shows: Shows,
    is_shared: bool,
    /// What the program wrote for itself.
    own: Option<u8>,
}

#[derive(Default)]
struct World {
    file: BTreeMap<u64, u8>,
    memories: BTreeMap<(usize, u64), u8>,
    /// Pages of each shared memory.
    sizes: Vec<u64>,
}

type Cells = BTreeMap<u64, Cell>;

#[derive(Clone, Debug)]
enum Step {
    Map { at: u64, pages: u64, protection: Protection, kind: u8, offset: u64 },
    Unmap { at: u64, pages: u64 },
    Protect { at: u64, pages: u64, protection: Protection },
    Discard { at: u64, pages: u64 },
    Move { from: u64, pages: u64, to: u64, new_pages: u64 },
    Resize { at: u64, pages: u64, new_pages: u64 },
    Read { at: u64 },
    Write { at: u64, byte: u8 },
    Peek { at: u64 },
    Poke { at: u64, byte: u8 },
    Fork,
    Exit,
    Leave { frames: Option<usize> },
}

fn protections() -> impl Strategy<Value = Protection> {
    prop_oneof![
        4 => Just(READ_WRITE),
        2 => Just(Protection::READ),
        1 => Just(Protection::empty()),
        1 => Just(Protection::all()),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let at = || 0..PAGES;
    let pages = || 1..7_u64;
    let step = prop_oneof![
        4 => (at(), pages(), protections(), 0..4_u8, 0..4_u64)
            .prop_map(|(at, pages, protection, kind, offset)| Step::Map { at, pages, protection, kind, offset }),
        2 => (at(), pages()).prop_map(|(at, pages)| Step::Unmap { at, pages }),
        3 => (at(), pages(), protections()).prop_map(|(at, pages, protection)| Step::Protect { at, pages, protection }),
        1 => (at(), pages()).prop_map(|(at, pages)| Step::Discard { at, pages }),
        4 => (at(), pages(), at(), pages())
            .prop_map(|(from, pages, to, new_pages)| Step::Move { from, pages, to, new_pages }),
        1 => (at(), pages(), pages()).prop_map(|(at, pages, new_pages)| Step::Resize { at, pages, new_pages }),
        8 => at().prop_map(|at| Step::Read { at }),
        12 => (at(), 1..100_u8).prop_map(|(at, byte)| Step::Write { at, byte }),
        2 => at().prop_map(|at| Step::Peek { at }),
        2 => (at(), 1..100_u8).prop_map(|(at, byte)| Step::Poke { at, byte }),
        3 => Just(Step::Fork),
        1 => Just(Step::Exit),
        2 => prop::option::of(0..12_usize).prop_map(|frames| Step::Leave { frames }),
    ];
    prop::collection::vec((0..MOST_PROGRAMS, step), 1..120)
}

fn address(page: u64) -> u64 {
    BASE + page * PAGE
}

impl World {
    /// What a cell holds; `None` beyond the end of what it shows.
    fn value(&self, cell: &Cell) -> Option<u8> {
        let shown = match cell.shows {
            Shows::Nothing => Some(0),
            Shows::File(page) => (page < FILE_PAGES).then(|| self.file.get(&page).copied().unwrap_or(100 + page as u8)),
            Shows::Memory(memory, page) => {
                (page < self.sizes[memory]).then(|| self.memories.get(&(memory, page)).copied().unwrap_or(0))
            }
        };
        cell.own.or(shown)
    }

    /// What an access by the program, or a forced one, must answer.
    fn expected(&self, cell: Option<&Cell>, access: Access, is_forced: bool) -> Result<u8, Signal> {
        let cell = cell.ok_or(Signal::NotMapped)?;
        let is_allowed =
            decide::allows(cell.protection, access) || (is_forced && (access == Access::Read || !cell.is_shared));
        if !is_allowed {
            return Err(Signal::NotAllowed);
        }
        self.value(cell).ok_or(Signal::BeyondEnd)
    }

    fn write(&mut self, cell: &mut Cell, byte: u8) {
        match (cell.is_shared, cell.shows) {
            (true, Shows::File(page)) => {
                self.file.insert(page, byte);
            }
            (true, Shows::Memory(memory, page)) => {
                self.memories.insert((memory, page), byte);
            }
            _ => cell.own = Some(byte),
        }
    }
}

/// The cell that a mapping has `page` pages after `first`.
fn later(first: &Cell, page: u64) -> Cell {
    let shows = match first.shows {
        Shows::Nothing => Shows::Nothing,
        Shows::File(at) => Shows::File(at + page),
        Shows::Memory(memory, at) => Shows::Memory(memory, at + page),
    };
    Cell { shows, own: None, ..*first }
}

struct Running {
    program: Program,
    cells: Cells,
}

struct Run {
    machine: Machine,
    file: Arc<TestFile>,
    world: World,
    running: Vec<Running>,
}

impl Run {
    fn new() -> Self {
        let machine = Machine::new();
        let file = TestFile::new(&machine, FILE_PAGES as u8);
        let running = vec![Running { program: machine.program(), cells: Cells::new() }];
        Self { machine, file, world: World::default(), running }
    }

    fn step(&mut self, who: usize, step: Step) {
        let who = who % self.running.len();
        let Running { program, cells } = &mut self.running[who];
        match step {
            Step::Map { at, pages, protection, kind, offset } => {
                let is_shared = kind % 2 == 1;
                let flags = if is_shared { AreaFlags::SHARED } else { AreaFlags::empty() };
                let (content, shows) = match kind {
                    0 => (Content::Anonymous, Shows::Nothing),
                    1 => {
                        self.world.sizes.push(pages);
                        (Content::Anonymous, Shows::Memory(self.world.sizes.len() - 1, 0))
                    }
                    _ => {
                        let backing: Arc<dyn Backing> = self.file.clone();
                        let offset_bytes = offset * PAGE;
                        let content = Content::Backed { backing, offset: offset_bytes, most: Protection::all() };
                        (content, Shows::File(offset))
                    }
                };
                let placement = Placement::Fixed(address(at));
                let request = MapRequest { placement, bytes: pages * PAGE, protection, flags, content, name: None };
                assert_eq!(program.map(request), Ok(address(at)));
                let first = Cell { protection, shows, is_shared, own: None };
                cells.extend((0..pages).map(|page| (at + page, later(&first, page))));
            }
            Step::Unmap { at, pages } => {
                assert_eq!(program.unmap(address(at), pages * PAGE), Ok(()));
                cells.retain(|page, _| !(at..at + pages).contains(page));
            }
            Step::Protect { at, pages, protection } => {
                let done = program.protect(address(at), pages * PAGE, protection);
                let whole = (at..at + pages).take_while(|page| cells.contains_key(page)).count() as u64;
                assert_eq!(done, if whole == pages { Ok(()) } else { Err(Errno::ENOMEM) });
                cells.range_mut(at..at + whole).for_each(|(_, cell)| cell.protection = protection);
            }
            Step::Discard { at, pages } => {
                let done = program.advise(address(at), pages * PAGE, linux_raw_sys::general::MADV_DONTNEED);
                let is_whole = (at..at + pages).all(|page| cells.contains_key(&page));
                assert_eq!(done, if is_whole { Ok(()) } else { Err(Errno::ENOMEM) });
                cells.range_mut(at..at + pages).for_each(|(_, cell)| cell.own = None);
            }
            Step::Move { from, pages, to, new_pages } => Self::relocate(program, cells, from, pages, to, new_pages),
            Step::Resize { at, pages, new_pages } => Self::resize(program, cells, at, pages, new_pages),
            Step::Read { at } => {
                let expected = self.world.expected(cells.get(&at), Access::Read, false);
                match program.read(address(at) + BYTE) {
                    Err(FaultOutcome::OutOfMemory) => assert!(expected.is_ok()),
                    read => assert_eq!(read, expected.map_err(FaultOutcome::Signal)),
                }
            }
            Step::Write { at, byte } => {
                let expected = self.world.expected(cells.get(&at), Access::Write, false);
                match program.write(address(at) + BYTE, byte) {
                    Err(FaultOutcome::OutOfMemory) => assert!(expected.is_ok()),
                    Err(outcome) => assert_eq!(Err(outcome), expected.map_err(FaultOutcome::Signal)),
                    Ok(()) => {
                        assert!(expected.is_ok());
                        if let Some(cell) = cells.get_mut(&at) {
                            self.world.write(cell, byte);
                        }
                    }
                }
            }
            Step::Peek { at } => {
                let expected = self.world.expected(cells.get(&at), Access::Read, true);
                let mut byte = [0];
                let address = address(at) + BYTE;
                let done = program
                    .with_flush(|space, flush| space.peek(address, &mut byte, Reach::Forced, &Limits::NONE, flush));
                match done {
                    Err(Errno::ENOMEM) => assert!(expected.is_ok()),
                    done => assert_eq!(done.map(|_| byte[0]), expected.map_err(|_| Errno::EFAULT)),
                }
            }
            Step::Poke { at, byte } => {
                let expected = self.world.expected(cells.get(&at), Access::Write, true);
                let address = address(at) + BYTE;
                let done = program
                    .with_flush(|space, flush| space.poke(address, &[byte], Reach::Forced, &Limits::NONE, flush));
                match done {
                    Err(Errno::ENOMEM) => assert!(expected.is_ok()),
                    Err(error) => assert_eq!(Err(error), expected.map_err(|_| Errno::EFAULT)),
                    Ok(_) => {
                        assert!(expected.is_ok());
                        if let Some(cell) = cells.get_mut(&at) {
                            self.world.write(cell, byte);
                        }
                    }
                }
            }
            Step::Fork => {
                if self.running.len() < MOST_PROGRAMS {
                    let in_use = self.machine.frames.frames.in_use();
                    let Running { program, cells } = &mut self.running[who];
                    match program.fork() {
                        Ok(child) => {
                            let cells = cells.clone();
                            self.running.push(Running { program: child, cells });
                        }
                        Err(error) => {
                            assert_eq!(error, Errno::ENOMEM);
                            assert_eq!(self.machine.frames.frames.in_use(), in_use, "a failed fork leaks nothing");
                        }
                    }
                }
            }
            Step::Exit => {
                if self.running.len() > 1 {
                    self.running.remove(who);
                }
            }
            Step::Leave { frames } => self.machine.leave(frames.unwrap_or(usize::MAX)),
        }
    }

    /// Pages that one area of the model has from `at` on, as far as `pages`. What is alike and goes on is one area.
    fn run_from(program: &Program, at: u64, pages: u64) -> bool {
        let end = address(at) + pages * PAGE;
        program.space.area(address(at)).is_some_and(|area| end <= area.end)
    }

    fn relocate(program: &mut Program, cells: &mut Cells, from: u64, pages: u64, to: u64, new_pages: u64) {
        let is_one = Self::run_from(program, from, pages);
        let request = RemapRequest {
            start: address(from),
            bytes: pages * PAGE,
            new_bytes: new_pages * PAGE,
            destination: Destination::Fixed(address(to)),
            leave_area: false,
        };
        let done = program.remap(request);
        let overlap = from < to + new_pages && to < from + pages;
        let moves = match done {
            Err(Errno::EINVAL) => return assert!(overlap),
            Err(Errno::EFAULT) => return assert!(!is_one),
            // What was there may be gone.
            Err(error) => {
                assert_eq!(error, Errno::ENOMEM);
                false
            }
            Ok(start) => {
                assert_eq!(start, address(to));
                true
            }
        };
        assert!(is_one && !overlap);
        cells.retain(|page, _| !(to..to + new_pages).contains(page));
        if moves {
            let first = cells[&from];
            for page in 0..new_pages {
                let moved = (page < pages).then(|| cells[&(from + page)]);
                cells.insert(to + page, moved.unwrap_or_else(|| later(&first, page)));
            }
            cells.retain(|page, _| !(from..from + pages).contains(page));
        }
    }

    fn resize(program: &mut Program, cells: &mut Cells, at: u64, pages: u64, new_pages: u64) {
        let is_one = Self::run_from(program, at, pages);
        let is_last = program.space.area(address(at)).is_some_and(|area| area.end == address(at + pages));
        let request = RemapRequest {
            start: address(at),
            bytes: pages * PAGE,
            new_bytes: new_pages * PAGE,
            destination: Destination::Stay,
            leave_area: false,
        };
        let done = program.remap(request);
        let Some(first) = cells.get(&at).copied() else { return assert_eq!(done, Err(Errno::EFAULT)) };
        if new_pages <= pages {
            assert_eq!(done, Ok(address(at)));
            cells.retain(|page, _| !(at + new_pages..at + pages).contains(page));
            return;
        }
        if !is_one {
            return assert_eq!(done, Err(Errno::EFAULT));
        }
        let is_free = (at + pages..at + new_pages).all(|page| !cells.contains_key(&page));
        assert_eq!(done, if is_last && is_free { Ok(address(at)) } else { Err(Errno::ENOMEM) });
        if done.is_ok() {
            cells.extend((pages..new_pages).map(|page| (at + page, later(&first, page))));
        }
    }

    /// Checks every space as a whole, and what each page of the model holds if that needs no frame.
    fn audit(&mut self) {
        for Running { program, cells } in &mut self.running {
            program.audit();
            let mapped: Vec<u64> = program
                .space
                .areas()
                .flat_map(|area| area.range().step_by(PAGE as usize))
                .map(|page| (page - BASE) / PAGE)
                .collect();
            assert_eq!(mapped, cells.keys().copied().collect::<Vec<_>>());
            for (page, cell) in cells.iter() {
                let area = program.space.area(address(*page)).expect("it is mapped");
                assert_eq!((area.protection, area.is_shared()), (cell.protection, cell.is_shared));
                if let Some(entry) = program.space.pages.get(address(*page)) {
                    let mut byte = [0];
                    program.space.pages.frames().read(entry.frame, BYTE as usize, &mut byte);
                    assert_eq!(Some(byte[0]), self.world.value(cell), "page {page}");
                } else {
                    assert_eq!(cell.own, None, "page {page}");
                }
            }
        }
        let told = self.file.written.lock().unwrap();
        assert!(self.world.file.keys().all(|page| told.contains(page)), "the file was told of what was written");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_program_sees_what_it_and_those_it_shares_with_wrote(steps in steps()) {
        let mut run = Run::new();
        for (who, step) in steps {
            run.step(who, step);
            run.audit();
        }
        let Run { machine, file, running, .. } = run;
        drop((running, file));
        machine.assert_idle();
    }
}
