//! What each fault brings, what is counted, and what processors are told.

use super::*;
use crate::mem::space::area::GUARD_BYTES;

const STACK: u64 = 0x7000_0000_0000;

fn signal<T>(signal: Signal) -> Result<T, FaultOutcome> {
    Err(FaultOutcome::Signal(signal))
}

fn stack(machine: &Machine) -> Program {
    let mut program = machine.program();
    let placement = Placement::Fixed(STACK - PAGE);
    program.map(MapRequest { placement, flags: AreaFlags::GROWS_DOWN, ..anonymous(PAGE) }).unwrap();
    program
}

#[test]
fn reading_untouched_memory_takes_no_page_and_writing_takes_one() {
    let machine = Machine::new();
    let mut program = machine.program();
    let start = program.map(anonymous(8 * PAGE)).unwrap();
    assert_eq!(program.read(start), Ok(0));
    let in_use = machine.frames.frames.in_use();
    for page in 0..8 {
        assert_eq!(program.read(start + page * PAGE), Ok(0));
    }
    assert_eq!(machine.frames.frames.in_use(), in_use);
    assert_eq!(program.space.usage().resident.total(), 0);
    program.write(start, 1).unwrap();
    assert_eq!(machine.frames.frames.in_use(), in_use + 1);
    assert_eq!(program.space.usage().resident, Resident { anonymous: 1, file: 0, shared: 0 });
    assert_eq!(program.space.usage().tables, 4);
    assert_eq!((program.read(start), program.read(start + PAGE)), (Ok(1), Ok(0)));
}

#[test]
fn a_private_mapping_shows_the_file_until_it_is_written_to() {
    let machine = Machine::new();
    let file = TestFile::new(&machine, 2);
    let mut program = machine.program();
    let start = program.map(backed(&file, 3 * PAGE, AreaFlags::empty())).unwrap();
    assert_eq!(program.read(start + 5), Ok(100));
    assert_eq!(program.space.usage().resident, Resident { anonymous: 0, file: 1, shared: 0 });
    program.write(start + 5, 7).unwrap();
    assert_eq!((program.read(start + 5), program.read(start + 6)), (Ok(7), Ok(100)));
    assert_eq!(program.space.usage().resident, Resident { anonymous: 1, file: 0, shared: 0 });
    assert_eq!(program.read(start + 2 * PAGE), signal(Signal::BeyondEnd));
    assert_eq!(program.write(start + 2 * PAGE, 1), signal(Signal::BeyondEnd));
    assert!(file.written.lock().unwrap().is_empty());
}

#[test]
fn a_shared_mapping_tells_the_file_before_it_is_written_to() {
    let machine = Machine::new();
    let file = TestFile::new(&machine, 2);
    let mut program = machine.program();
    let start = program.map(backed(&file, 2 * PAGE, AreaFlags::SHARED)).unwrap();
    assert_eq!(program.read(start), Ok(100));
    assert!(file.written.lock().unwrap().is_empty());
    program.write(start, 1).unwrap();
    program.write(start + PAGE, 2).unwrap();
    assert_eq!(*file.written.lock().unwrap(), BTreeSet::from([0, 1]));
    let mut byte = [0];
    file.pages[1].read(0, &mut byte);
    assert_eq!(byte, [2]);
}

#[test]
fn the_last_who_has_a_page_writes_to_it_without_a_copy() {
    let machine = Machine::new();
    let mut parent = machine.program();
    let start = parent.map(anonymous(PAGE)).unwrap();
    parent.write(start, 1).unwrap();
    let mut child = parent.fork().unwrap();
    child.write(start, 2).unwrap();
    let frame = parent.space.pages.get(start).unwrap().frame;
    parent.write(start, 3).unwrap();
    assert_eq!(parent.space.pages.get(start).unwrap().frame, frame);
    assert_eq!((parent.read(start), child.read(start)), (Ok(3), Ok(2)));
}

#[test]
fn what_is_shared_stays_shared_with_a_child() {
    let machine = Machine::new();
    let mut parent = machine.program();
    let start = parent.map(MapRequest { flags: AreaFlags::SHARED, ..anonymous(2 * PAGE) }).unwrap();
    parent.write(start, 1).unwrap();
    let mut child = parent.fork().unwrap();
    child.write(start + PAGE, 2).unwrap();
    assert_eq!((child.read(start), parent.read(start + PAGE)), (Ok(1), Ok(2)));
    assert_eq!(child.space.usage().resident, Resident { anonymous: 0, file: 0, shared: 2 });
    drop(parent);
    assert_eq!(child.read(start), Ok(1));
    drop(child);
    machine.assert_idle();
}

#[test]
fn a_fork_that_fails_anywhere_leaves_the_parent_whole() {
    let machine = Machine::new();
    let mut parent = machine.program();
    let pages: Vec<u64> = (1..6).map(|number| number << 30).collect();
    for page in &pages {
        parent.map(MapRequest { placement: Placement::Fixed(*page), ..anonymous(PAGE) }).unwrap();
        parent.write(*page, 1).unwrap();
    }
    let in_use = machine.frames.frames.in_use();
    let mut failed = 0;
    let child = loop {
        machine.leave(failed);
        match parent.fork() {
            Ok(child) => break child,
            Err(error) => assert_eq!(error, Errno::ENOMEM),
        }
        failed += 1;
        assert_eq!(machine.frames.frames.in_use(), in_use);
        for page in &pages {
            parent.write(*page, failed as u8).unwrap();
        }
        parent.audit();
    };
    assert!(failed > 10);
    drop((parent, child));
    machine.assert_idle();
}

#[test]
fn a_stack_grows_to_its_limit_and_not_near_others() {
    let machine = Machine::new();
    let mut program = stack(&machine);
    program.write(STACK - 20 * PAGE, 1).unwrap();
    assert_eq!(program.space.area(STACK - 1).unwrap().bytes(), 20 * PAGE);
    let limits = Limits { stack: 30 * PAGE, ..Limits::NONE };
    let mut fault = |address| program.with_flush(|space, flush| space.fault(address, Access::Write, &limits, flush));
    assert_eq!(fault(STACK - 30 * PAGE), FaultOutcome::Resolved);
    assert_eq!(fault(STACK - 31 * PAGE), FaultOutcome::Signal(Signal::NotMapped));
    let neighbour = STACK - 30 * PAGE - GUARD_BYTES - 3 * PAGE;
    program.map(MapRequest { placement: Placement::Fixed(neighbour), ..anonymous(PAGE) }).unwrap();
    program.write(STACK - 32 * PAGE, 1).unwrap();
    assert_eq!(program.write(STACK - 33 * PAGE, 1), signal(Signal::NotMapped));
    program.protect(neighbour, PAGE, Protection::empty()).unwrap();
    program.write(STACK - 33 * PAGE, 1).unwrap();
    assert_eq!(program.space.usage().sizes.stack, 33 * PAGE);
    program.audit();
}

#[test]
fn no_mapping_is_placed_in_a_stacks_guard() {
    let machine = Machine::new();
    let mut program = stack(&machine);
    let start = STACK - GUARD_BYTES - PAGE;
    let placed = program.map(MapRequest { placement: Placement::Near(start), ..anonymous(PAGE) }).unwrap();
    assert_ne!(placed, start);
    let placed = program.map(MapRequest { placement: Placement::Near(start - PAGE), ..anonymous(PAGE) }).unwrap();
    assert_eq!(placed, start - PAGE);
}

#[test]
fn what_may_not_be_touched_keeps_its_content() {
    let machine = Machine::new();
    let mut program = machine.program();
    let start = program.map(anonymous(2 * PAGE)).unwrap();
    program.write(start, 4).unwrap();
    program.protect(start, 2 * PAGE, Protection::empty()).unwrap();
    assert_eq!(program.read(start), signal(Signal::NotAllowed));
    assert_eq!(program.read(start + PAGE), signal(Signal::NotAllowed));
    program.audit();
    let mut child = program.fork().unwrap();
    program.protect(start, PAGE, READ_WRITE).unwrap();
    child.protect(start, PAGE, Protection::READ).unwrap();
    program.write(start, 5).unwrap();
    assert_eq!((program.read(start), child.read(start)), (Ok(5), Ok(4)));
    assert_eq!(child.access(start, Access::Execute), signal(Signal::NotAllowed));
}

#[test]
fn addresses_that_are_not_the_programs_are_not_mapped() {
    let machine = Machine::new();
    let mut program = machine.program();
    for address in [0, LOWEST, END - 1, END, 1 << 47, 1 << 63, u64::MAX] {
        let outcome = program.with_flush(|space, flush| space.fault(address, Access::Write, &Limits::NONE, flush));
        assert_eq!(outcome, FaultOutcome::Signal(Signal::NotMapped));
    }
}

#[test]
fn the_kernel_reads_and_writes_across_pages() {
    let machine = Machine::new();
    let mut program = machine.program();
    let start = program.map(anonymous(3 * PAGE)).unwrap();
    let bytes: Vec<u8> = (0..9000).map(|number| number as u8).collect();
    let address = start + 3000;
    let done = program.with_flush(|space, flush| space.poke(address, &bytes, Reach::Allowed, &Limits::NONE, flush));
    assert_eq!(done, Ok(9000));
    let mut read = vec![0; 12_000];
    let done = program.with_flush(|space, flush| space.peek(address, &mut read, Reach::Allowed, &Limits::NONE, flush));
    assert_eq!(done, Ok(3 * 4096 - 3000));
    assert_eq!(read[..9000], bytes);
    let mut peek =
        |address, reach| program.with_flush(|space, flush| space.peek(address, &mut [0], reach, &Limits::NONE, flush));
    assert_eq!(peek(start - 1, Reach::Forced), Err(Errno::EFAULT));
    assert_eq!(peek(u64::MAX, Reach::Allowed), Err(Errno::EFAULT));
}

#[test]
fn a_debugger_writes_to_code_and_the_program_still_may_not() {
    let machine = Machine::new();
    let file = TestFile::new(&machine, 1);
    let mut program = machine.program();
    let code = Protection::READ | Protection::EXECUTE;
    let start = program.map(MapRequest { protection: code, ..backed(&file, PAGE, AreaFlags::empty()) }).unwrap();
    let mut poke = |reach| program.with_flush(|space, flush| space.poke(start, &[0xcc], reach, &Limits::NONE, flush));
    assert_eq!(poke(Reach::Allowed), Err(Errno::EFAULT));
    assert_eq!(poke(Reach::Forced), Ok(1));
    assert_eq!(poke(Reach::Forced), Ok(1));
    assert_eq!(program.read(start), Ok(0xcc));
    assert_eq!(program.write(start, 1), signal(Signal::NotAllowed));
    let mut byte = [0];
    file.pages[0].read(0, &mut byte);
    assert_eq!(byte, [100]);
    program.audit();
}

#[test]
fn populated_pages_are_there_and_writable() {
    let machine = Machine::new();
    let mut program = machine.program();
    let start = program.map(anonymous(4 * PAGE)).unwrap();
    assert_eq!(program.with_flush(|space, flush| space.populate(start, 4 * PAGE, flush)), Ok(()));
    assert_eq!(program.space.usage().resident.anonymous, 4);
    assert_eq!(program.space.usage().greed(), 8 * PAGE);
    assert_eq!(program.with_flush(|space, flush| space.populate(start, 5 * PAGE, flush)), Err(Errno::ENOMEM));
    machine.leave(1);
    let more = program.map(anonymous(4 * PAGE)).unwrap();
    assert_eq!(program.with_flush(|space, flush| space.populate(more, 4 * PAGE, flush)), Err(Errno::ENOMEM));
    let done = program.with_flush(|space, flush| space.bring(start, 4 * PAGE, Access::Execute, &Limits::NONE, flush));
    assert_eq!(done, Err(Errno::EFAULT));
}

#[test]
fn a_truncated_file_takes_its_pages_away() {
    let machine = Machine::new();
    let file = TestFile::new(&machine, 3);
    let mut program = machine.program();
    let start = program.map(backed(&file, 3 * PAGE, AreaFlags::SHARED)).unwrap();
    (0..3).for_each(|page| assert_eq!(program.read(start + page * PAGE), Ok(100 + page as u8)));
    program.with_flush(|space, flush| space.forget_pages((1, 2), &(0..u64::MAX), Gone::CutOff, flush));
    let mut resident = [0; 3];
    program.space.resident(start, &mut resident).unwrap();
    assert_eq!(resident, [1; 3], "another file");
    let name = file.name();
    let name = (name.device, name.inode);
    program.with_flush(|space, flush| space.forget_pages(name, &(1..u64::MAX), Gone::CutOff, flush));
    let mut resident = [0; 3];
    program.space.resident(start, &mut resident).unwrap();
    assert_eq!(resident, [1, 0, 0]);
    program.audit();
}

#[test]
fn a_hole_takes_pages_of_the_file_away_and_leaves_copies() {
    let machine = Machine::new();
    let file = TestFile::new(&machine, 5);
    let mut program = machine.program();
    let shared = program.map(backed(&file, 5 * PAGE, AreaFlags::SHARED)).unwrap();
    // Private, and of the file from its second page on.
    let content = Content::Backed { backing: file.clone(), offset: PAGE, most: Protection::all() };
    let private = program.map(MapRequest { content, ..anonymous(4 * PAGE) }).unwrap();
    (0..5).for_each(|page| assert_eq!(program.read(shared + page * PAGE), Ok(100 + page as u8)));
    (0..4).for_each(|page| assert_eq!(program.read(private + page * PAGE), Ok(101 + page as u8)));
    program.write(private + PAGE, 7).unwrap();
    let present = |program: &Program| {
        let there = |address| u8::from(program.space.pages.get(address).is_some());
        ([0, 1, 2, 3, 4].map(|page| there(shared + page * PAGE)), [0, 1, 2, 3].map(|page| there(private + page * PAGE)))
    };
    let name = (file.name().device, file.name().inode);
    program.with_flush(|space, flush| space.forget_pages(name, &(0..1), Gone::Hole, flush));
    assert_eq!(present(&program), ([0, 1, 1, 1, 1], [1, 1, 1, 1]));
    let told = program.processor.told.load(Ordering::Relaxed);
    program.with_flush(|space, flush| space.forget_pages(name, &(2..4), Gone::Hole, flush));
    assert_eq!(present(&program), ([0, 1, 0, 0, 1], [1, 1, 0, 1]));
    assert_eq!(program.processor.told.load(Ordering::Relaxed), told + 1);
    program.audit();
    assert_eq!((program.read(private + PAGE), program.read(private + 2 * PAGE)), (Ok(7), Ok(103)));
    program.with_flush(|space, flush| space.forget_pages(name, &(2..4), Gone::CutOff, flush));
    assert_eq!(present(&program), ([0, 1, 0, 0, 1], [1, 0, 0, 1]));
    program.audit();
}

#[test]
fn processors_are_told_once_of_many_pages_and_never_of_new_ones() {
    let machine = Machine::new();
    let mut program = machine.program();
    let start = program.map(anonymous(100 * PAGE)).unwrap();
    (0..100).for_each(|page| program.write(start + page * PAGE, 1).unwrap());
    assert_eq!(program.processor.told.load(Ordering::Relaxed), 0);
    program.unmap(start, 100 * PAGE).unwrap();
    assert_eq!(program.processor.told.load(Ordering::Relaxed), 1);
}

#[test]
fn what_is_stale_is_told_by_range_or_as_everything() {
    struct Told(Mutex<Vec<Stale>>);
    impl Processors for Told {
        fn forget(&self, stale: &Stale) {
            self.0.lock().unwrap().push(stale.clone());
        }
    }
    let machine = Machine::new();
    let mut program = machine.program();
    let start = program.map(anonymous(100 * PAGE)).unwrap();
    (0..100).for_each(|page| program.write(start + page * PAGE, 1).unwrap());
    let told = Told(Mutex::default());
    let mut flush = program.space.flush(&told);
    program.space.protect(start, PAGE, Protection::READ, &Limits::NONE, &mut flush).unwrap();
    program.space.protect(start + PAGE, PAGE, Protection::READ, &Limits::NONE, &mut flush).unwrap();
    program.space.protect(start + 5 * PAGE, PAGE, Protection::READ, &Limits::NONE, &mut flush).unwrap();
    flush.carry_out();
    for page in (10..40).step_by(3) {
        program.space.unmap(start + page * PAGE, PAGE, &mut flush).unwrap();
    }
    drop(flush);
    let told = told.0.into_inner().unwrap();
    let ranges = [start..start + 2 * PAGE, start + 5 * PAGE..start + 6 * PAGE];
    assert_eq!(told[0].ranges(), Some(ranges.as_slice()));
    assert_eq!((told.len(), told[1].ranges()), (2, None));
}
