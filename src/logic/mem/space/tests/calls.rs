//! What each system call answers, as its manual page has it.

use super::*;
use linux_raw_sys::general;

const NONE: AreaFlags = AreaFlags::empty();

fn at(placement: Placement, bytes: u64) -> MapRequest {
    MapRequest { placement, ..anonymous(bytes) }
}

/// An address space is used by whichever processor its program runs on.
const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<Space>();
};

fn program() -> (Machine, Program) {
    let machine = Machine::new();
    let program = machine.program();
    (machine, program)
}

#[test]
fn mappings_are_placed_from_the_top_down() {
    let (_machine, mut program) = program();
    let top = program.space.layout().mapping_top;
    assert_eq!(program.map(anonymous(1)), Ok(top - PAGE));
    assert_eq!(program.map(MapRequest { protection: Protection::READ, ..anonymous(2 * PAGE) }), Ok(top - 3 * PAGE));
    assert_eq!(program.unmap(top - PAGE, PAGE), Ok(()));
    assert_eq!(program.map(anonymous(2 * PAGE)), Ok(top - 5 * PAGE), "it does not fit above");
    assert_eq!(program.map(anonymous(PAGE)), Ok(top - PAGE), "it fits above");
}

#[test]
fn a_hint_is_followed_if_there_is_room() {
    let (_machine, mut program) = program();
    let near = |address| at(Placement::Near(address), 2 * PAGE);
    assert_eq!(program.map(near(0x10_0123)), Ok(0x10_0000));
    assert_ne!(program.map(near(0x10_1000)), Ok(0x10_1000));
    assert_eq!(program.map(near(1)), Ok(program.space.layout().mapping_top - 4 * PAGE), "no hint at all");
    assert_eq!(program.map(near(PAGE)), Ok(LOWEST), "not below the lowest");
    assert!(program.map(near(END)).is_ok_and(|start| start < END));
    let low = program.map(at(Placement::Low, PAGE)).unwrap();
    assert!(low < 1 << 31);
}

#[test]
fn mmap_refuses_what_it_must() {
    let (machine, mut program) = program();
    let file = TestFile::new(&machine, 2);
    let read_only = |flags, protection, offset, most| MapRequest {
        content: Content::Backed { backing: file.clone(), offset, most },
        flags,
        protection,
        ..anonymous(PAGE)
    };
    let (read, shared) = (Protection::READ, AreaFlags::SHARED);
    for (request, error) in [
        (anonymous(0), Errno::EINVAL),
        (anonymous(u64::MAX), Errno::ENOMEM),
        (anonymous(END), Errno::ENOMEM),
        (at(Placement::Fixed(0x10_0001), PAGE), Errno::EINVAL),
        (at(Placement::Fixed(PAGE), PAGE), Errno::EPERM),
        (at(Placement::Fixed(END), PAGE), Errno::ENOMEM),
        (at(Placement::Fixed(u64::MAX - 4095), PAGE), Errno::ENOMEM),
        (MapRequest { flags: shared | AreaFlags::GROWS_DOWN, ..anonymous(PAGE) }, Errno::EINVAL),
        (read_only(shared, READ_WRITE, 0, read), Errno::EACCES),
        (read_only(NONE, read, 0, Protection::WRITE), Errno::EACCES),
        (read_only(NONE, read, 1, read), Errno::EINVAL),
        (read_only(NONE, read, 0u64.wrapping_sub(PAGE), read), Errno::EOVERFLOW),
    ] {
        assert_eq!(program.map(request), Err(error));
    }
    assert!(program.map(read_only(NONE, READ_WRITE, 0, read)).is_ok(), "a private mapping may be written to");
    let start = program.map(read_only(shared, read, 0, read)).unwrap();
    assert_eq!(program.protect(start, PAGE, READ_WRITE), Err(Errno::EACCES));
    drop((program, file));
    machine.assert_idle();
}

#[test]
fn a_fixed_mapping_replaces_or_refuses() {
    let (_machine, mut program) = program();
    let start = program.map(at(Placement::Fixed(0x10_0000), 4 * PAGE)).unwrap();
    program.write(start + PAGE, 7).unwrap();
    assert_eq!(program.map(at(Placement::FixedIfFree(start + PAGE), PAGE)), Err(Errno::EEXIST));
    assert_eq!(program.map(at(Placement::FixedIfFree(start + 4 * PAGE), PAGE)), Ok(start + 4 * PAGE));
    let request = MapRequest { protection: Protection::READ, ..at(Placement::Fixed(start + PAGE), PAGE) };
    assert_eq!(program.map(request), Ok(start + PAGE));
    assert_eq!(program.read(start + PAGE), Ok(0));
    assert_eq!(program.space.areas().count(), 3);
    program.audit();
}

#[test]
fn limits_are_kept() {
    let (_machine, mut program) = program();
    let limits = Limits { total: 4 * PAGE, data: 2 * PAGE, stack: 0 };
    let mut map = |request| program.with_flush(|space, flush| space.map(request, &limits, flush));
    let readable = |bytes| MapRequest { protection: Protection::READ, ..anonymous(bytes) };
    assert_eq!(map(anonymous(3 * PAGE)), Err(Errno::ENOMEM));
    let data = map(anonymous(2 * PAGE)).unwrap();
    assert_eq!(map(anonymous(PAGE)), Err(Errno::ENOMEM));
    let rest = map(readable(2 * PAGE)).unwrap();
    assert_eq!(map(readable(PAGE)), Err(Errno::ENOMEM));
    assert_eq!(map(MapRequest { placement: Placement::Fixed(data), ..readable(PAGE) }), Ok(data));
    let done = program.with_flush(|space, flush| space.protect(rest, 2 * PAGE, READ_WRITE, &limits, flush));
    assert_eq!(done, Err(Errno::ENOMEM));
    let grown = RemapRequest {
        start: rest,
        bytes: 2 * PAGE,
        new_bytes: 3 * PAGE,
        destination: Destination::MayMove,
        leave_area: false,
    };
    let done = program.with_flush(|space, flush| space.remap(grown, &limits, flush));
    assert_eq!(done, Err(Errno::ENOMEM));
    program.audit();
}

#[test]
fn there_are_only_so_many_areas() {
    let (_machine, mut program) = program();
    let bytes = (MOST_AREAS as u64 + 9) * PAGE;
    let start = program.map(at(Placement::Fixed(1 << 32), bytes)).unwrap();
    // Every second page becomes an area, and what is between them does.
    let refused = (1..).find_map(|number| program.protect(start + 2 * number * PAGE, PAGE, Protection::READ).err());
    assert_eq!(refused, Some(Errno::ENOMEM));
    assert_eq!(program.space.areas.len(), MOST_AREAS - 1);
    let rest = start + (MOST_AREAS as u64 + 2) * PAGE;
    assert_eq!(program.unmap(rest, PAGE), Ok(()));
    assert_eq!(program.unmap(rest + 2 * PAGE, PAGE), Err(Errno::ENOMEM));
    assert_eq!(program.unmap(start, bytes), Ok(()));
    assert_eq!(program.space.areas.len(), 0);
}

#[test]
fn munmap_refuses_what_is_not_pages_of_a_program() {
    let (_machine, mut program) = program();
    for (start, bytes) in [(1, PAGE), (PAGE, 0), (END, PAGE), (PAGE, u64::MAX), (u64::MAX - 4095, PAGE)] {
        assert_eq!(program.unmap(start, bytes), Err(Errno::EINVAL));
    }
    assert_eq!(program.unmap(0, END), Ok(()), "nothing is there, and that is all right");
}

#[test]
fn mprotect_stops_at_a_hole() {
    let (_machine, mut program) = program();
    let start = program.map(at(Placement::Fixed(0x10_0000), 4 * PAGE)).unwrap();
    program.unmap(start + 2 * PAGE, PAGE).unwrap();
    assert_eq!(program.protect(start, 4 * PAGE, Protection::READ), Err(Errno::ENOMEM));
    let protections: Vec<_> = program.space.areas().map(|area| area.protection).collect();
    assert_eq!(protections, [Protection::READ, READ_WRITE]);
    assert_eq!(program.protect(start + 1, PAGE, Protection::READ), Err(Errno::EINVAL));
    assert_eq!(program.protect(start, 0, Protection::READ), Ok(()));
    assert_eq!(program.protect(start, u64::MAX, Protection::READ), Err(Errno::ENOMEM));
    assert_eq!(program.protect(start, END, Protection::READ), Err(Errno::ENOMEM));
}

#[test]
fn what_is_alike_again_is_one_area_again() {
    let (_machine, mut program) = program();
    let start = program.map(anonymous(5 * PAGE)).unwrap();
    program.protect(start + PAGE, PAGE, Protection::READ).unwrap();
    program.protect(start + 3 * PAGE, PAGE, Protection::empty()).unwrap();
    assert_eq!(program.space.areas().count(), 5);
    program.protect(start, 5 * PAGE, READ_WRITE).unwrap();
    assert_eq!(program.space.areas().count(), 1);
}

#[test]
fn mremap_moves_with_what_is_there() {
    let (_machine, mut program) = program();
    let start = program.map(at(Placement::Fixed(0x10_0000), 2 * PAGE)).unwrap();
    program.write(start + PAGE, 9).unwrap();
    program.map(at(Placement::Fixed(start + 3 * PAGE), PAGE)).unwrap();
    let request = |bytes, new_bytes, destination| RemapRequest {
        start,
        bytes: bytes * PAGE,
        new_bytes: new_bytes * PAGE,
        destination,
        leave_area: false,
    };
    assert_eq!(program.remap(request(2, 4, Destination::Stay)), Err(Errno::ENOMEM));
    assert_eq!(program.remap(request(2, 3, Destination::Stay)), Ok(start));
    assert_eq!(program.space.areas().count(), 1, "it reaches its neighbour");
    assert_eq!(program.remap(request(2, 0, Destination::Stay)), Err(Errno::EINVAL));
    assert_eq!(program.remap(request(5, 6, Destination::MayMove)), Err(Errno::EFAULT));
    assert_eq!(program.remap(request(0, 2, Destination::MayMove)), Err(Errno::EINVAL), "private");
    assert_eq!(program.remap(request(2, 2, Destination::Fixed(start + PAGE))), Err(Errno::EINVAL), "overlap");
    assert_eq!(program.remap(request(2, 2, Destination::Fixed(PAGE))), Err(Errno::EPERM));
    let moved = program.remap(request(2, 6, Destination::MayMove)).unwrap();
    assert_ne!(moved, start);
    assert_eq!(program.read(moved + PAGE), Ok(9));
    assert_eq!(program.read(start + PAGE), Err(FaultOutcome::Signal(Signal::NotMapped)));
    program.audit();
}

#[test]
fn mremap_makes_another_mapping_of_what_is_shared() {
    let (machine, mut program) = program();
    let start = program.map(MapRequest { flags: AreaFlags::SHARED, ..anonymous(3 * PAGE) }).unwrap();
    let request = RemapRequest {
        start: start + PAGE,
        bytes: 0,
        new_bytes: 2 * PAGE,
        destination: Destination::MayMove,
        leave_area: false,
    };
    let other = program.remap(request).unwrap();
    program.write(start + 2 * PAGE, 3).unwrap();
    assert_eq!(program.read(other + PAGE), Ok(3));
    drop(program);
    machine.assert_idle();
}

#[test]
fn mremap_may_leave_an_empty_area() {
    let (_machine, mut program) = program();
    let start = program.map(anonymous(PAGE)).unwrap();
    program.write(start, 5).unwrap();
    let request =
        RemapRequest { start, bytes: PAGE, new_bytes: PAGE, destination: Destination::MayMove, leave_area: true };
    let moved = program.remap(request).unwrap();
    assert_eq!((program.read(moved), program.read(start)), (Ok(5), Ok(0)));
    assert_eq!(program.remap(RemapRequest { new_bytes: 2 * PAGE, ..request }), Err(Errno::EINVAL));
}

#[test]
fn madvise_drops_flags_and_refuses() {
    let (machine, mut program) = program();
    let file = TestFile::new(&machine, 1);
    let start = program.map(anonymous(2 * PAGE)).unwrap();
    program.write(start, 5).unwrap();
    assert_eq!(program.advise(start, PAGE, general::MADV_FREE), Ok(()));
    assert_eq!(program.read(start), Ok(0));
    assert_eq!(program.advise(start + 1, PAGE, general::MADV_NORMAL), Err(Errno::EINVAL));
    assert_eq!(program.advise(start, PAGE, 999), Err(Errno::EINVAL));
    assert_eq!(program.advise(start, u64::MAX, general::MADV_NORMAL), Err(Errno::EINVAL));
    assert_eq!(program.advise(start, 3 * PAGE, general::MADV_WILLNEED), Err(Errno::ENOMEM));
    assert_eq!(program.advise(start, PAGE, general::MADV_DONTFORK), Ok(()));
    assert_eq!(program.advise(start + PAGE, PAGE, general::MADV_WIPEONFORK), Ok(()));
    program.write(start + PAGE, 6).unwrap();
    let mut child = program.fork().unwrap();
    assert_eq!(child.read(start), Err(FaultOutcome::Signal(Signal::NotMapped)));
    assert_eq!((child.read(start + PAGE), program.read(start + PAGE)), (Ok(0), Ok(6)));
    let mapped = program.map(backed(&file, PAGE, NONE)).unwrap();
    assert_eq!(program.advise(mapped, PAGE, general::MADV_FREE), Err(Errno::EINVAL));
    assert_eq!(program.advise(mapped, PAGE, general::MADV_WIPEONFORK), Err(Errno::EINVAL));
    assert_eq!(program.advise(mapped, PAGE, general::MADV_POPULATE_WRITE), Ok(()));
    program.space.lock(mapped, PAGE, true).unwrap();
    assert_eq!(program.advise(mapped, PAGE, general::MADV_DONTNEED), Err(Errno::EINVAL));
    assert_eq!(program.space.usage().sizes.locked, PAGE);
}

#[test]
fn mincore_tells_what_is_in_memory() {
    let (_machine, mut program) = program();
    let start = program.map(anonymous(3 * PAGE)).unwrap();
    program.write(start + PAGE, 1).unwrap();
    let mut pages = [9; 3];
    assert_eq!(program.space.resident(start, &mut pages), Ok(()));
    assert_eq!(pages, [0, 1, 0]);
    assert_eq!(program.space.resident(start + 1, &mut pages), Err(Errno::EINVAL));
    assert_eq!(program.space.resident(start + PAGE, &mut pages), Err(Errno::ENOMEM));
    assert_eq!(program.space.resident(END, &mut pages), Err(Errno::ENOMEM));
}

#[test]
fn the_break_moves_if_it_can() {
    let (machine, mut program) = program();
    let mut limits = Limits::NONE;
    program.space.start_heap(0x10_0123);
    let set = |program: &mut Program, wanted, limits: &Limits| {
        program.with_flush(|space, flush| space.set_break(wanted, limits, flush))
    };
    assert_eq!(set(&mut program, 0, &limits), 0x10_0123);
    assert_eq!(set(&mut program, 0x10_2001, &limits), 0x10_2001);
    program.write(0x10_2fff, 1).unwrap();
    assert_eq!(program.shown(), ["00101000-00103000 rw-p 00000000 00:00 0                                  [heap]"]);
    program.map(at(Placement::Fixed(0x10_5000), PAGE)).unwrap();
    assert_eq!(set(&mut program, 0x10_4001, &limits), 0x10_2001, "a page must stay free");
    assert_eq!(set(&mut program, 0x10_4000, &limits), 0x10_4000);
    limits.data = 0x1000;
    assert_eq!(set(&mut program, 0x10_4001, &limits), 0x10_4000);
    assert_eq!(set(&mut program, 0x10_0123, &Limits::NONE), 0x10_0123);
    assert_eq!(set(&mut program, u64::MAX, &Limits::NONE), 0x10_0123);
    program.audit();
    assert_eq!(program.space.areas().count(), 1);
    drop(program);
    machine.assert_idle();
}

#[test]
fn maps_has_the_lines_of_linux() {
    let (machine, mut program) = program();
    let file = TestFile::new(&machine, 4);
    let content = |offset| Content::Backed { backing: file.clone(), offset, most: Protection::all() };
    let fixed = |start, bytes| at(Placement::Fixed(start), bytes);
    let code = Protection::READ | Protection::EXECUTE;
    program.map(MapRequest { content: content(0x1000), protection: code, ..fixed(0x40_0000, 0x2000) }).unwrap();
    program.map(MapRequest { content: content(0), flags: AreaFlags::SHARED, ..fixed(0x5555_5555_4000, PAGE) }).unwrap();
    program.map(MapRequest { protection: Protection::empty(), ..fixed(0x7f00_0000_0000, PAGE) }).unwrap();
    let vdso =
        MapRequest { content: content(0), protection: code, name: Some("[vdso]"), ..fixed(0x7fff_f7fc_0000, PAGE) };
    program.map(vdso).unwrap();
    program.map(MapRequest { flags: AreaFlags::GROWS_DOWN, ..fixed(0x7fff_fffd_e000, 0x2_1000) }).unwrap();
    program.space.set_stack(0x7fff_ffff_e000);
    assert_eq!(
        program.shown(),
        [
            "00400000-00402000 r-xp 00001000 08:01 4711                               /tmp/a file",
            "555555554000-555555555000 rw-s 00000000 08:01 4711                       /tmp/a file",
            "7f0000000000-7f0000001000 ---p 00000000 00:00 0 ",
            "7ffff7fc0000-7ffff7fc1000 r-xp 00000000 00:00 0                          [vdso]",
            "7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]",
        ]
    );
}
