//! Tests of loading: made-up programs, scripts and stacks, and what holds for all bytes.

use super::header::{HEADER_BYTES, PROGRAM_HEADER_BYTES};
use super::plan::{interpreter_error, interpreter_path};
use super::stack::{Contents, InitialStack, MAX_STRING_BYTES};
use super::*;
use crate::errno::Errno;
use crate::mem::space::Protection;
use crate::mem::space::area::PAGE;
use crate::mem::space::layout::{END as USER_END, LOWEST as USER_START};
use linux_raw_sys::auxvec;
use linux_raw_sys::elf::{ET_DYN, PF_R, PF_W, PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD, PT_TLS};
use proptest::prelude::*;

const ET_EXEC: u16 = 2;
const LARGE: u64 = 1 << 40;

#[derive(Clone, Copy, Debug)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    file_bytes: u64,
    memory_bytes: u64,
    alignment: u64,
}

fn load(flags: u32, offset: u64, address: u64, file_bytes: u64, memory_bytes: u64) -> Segment {
    Segment { kind: PT_LOAD, flags, offset, address, file_bytes, memory_bytes, alignment: 4096 }
}

/// ELF header and program headers behind it.
fn elf(kind: u16, entry: u64, segments: &[Segment]) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend(kind.to_le_bytes());
    bytes.extend(62_u16.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    [entry, 64, 0].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    bytes.extend(0_u32.to_le_bytes());
    [64, 56, segments.len() as u16, 0, 0, 0].iter().for_each(|half| bytes.extend(half.to_le_bytes()));
    for segment in segments {
        bytes.extend(segment.kind.to_le_bytes());
        bytes.extend(segment.flags.to_le_bytes());
        let Segment { offset, address, file_bytes, memory_bytes, alignment, .. } = *segment;
        [offset, address, address, file_bytes, memory_bytes, alignment]
            .iter()
            .for_each(|word| bytes.extend(word.to_le_bytes()));
    }
    bytes
}

fn parse(bytes: &[u8]) -> Result<Program, Errno> {
    let header = Header::parse(bytes)?;
    let table = header.table();
    let table = bytes.get(table.start as usize..table.end as usize).ok_or(Errno::ENOEXEC)?;
    Program::parse(&header, table, LARGE)
}

fn refused(kind: u16, segments: &[Segment]) -> Errno {
    parse(&elf(kind, 0x40_0000, segments)).expect_err("it is refused")
}

fn file(address: u64, length: u64, protection: Protection, offset: u64, zero_tail: u64) -> Mapping {
    Mapping { address, length, protection, source: Source::File { offset, zero_tail } }
}

fn zero(address: u64, length: u64, protection: Protection) -> Mapping {
    Mapping { address, length, protection, source: Source::Zero }
}

const READ: Protection = Protection::READ;
const RX: Protection = Protection::READ.union(Protection::EXECUTE);
const RW: Protection = Protection::READ.union(Protection::WRITE);

#[test]
fn a_fixed_program_is_mapped_where_it_says() {
    let segments = [
        load(PF_R, 0, 0x40_0000, 0x500, 0x500),
        load(PF_R | PF_X, 0x1000, 0x40_1000, 0x1234, 0x1234),
        load(PF_R | PF_W, 0x2f00, 0x40_3f00, 0x200, 0x3000),
        Segment { kind: PT_GNU_STACK, ..load(PF_R | PF_W, 0, 0, 0, 0) },
        Segment { kind: PT_TLS, ..load(PF_R, u64::MAX, u64::MAX, u64::MAX, 0) },
    ];
    let program = parse(&elf(ET_EXEC, 0x40_1000, &segments)).expect("sound");
    assert!(!program.is_movable());
    assert_eq!((program.executable_stack(), program.interpreter()), (Some(false), None));
    let plan = program.place(0x7777_7777_7777).expect("it has its own place");
    assert_eq!(
        plan.mappings,
        [
            file(0x40_0000, 0x1000, READ, 0, 0),
            file(0x40_1000, 0x2000, RX, 0x1000, 0),
            file(0x40_3000, 0x2000, RW, 0x2000, 0xf00),
            zero(0x40_5000, 0x2000, RW),
        ]
    );
    assert_eq!((plan.bias, plan.entry, plan.program_headers), (0, 0x40_1000, 0x40_0040));
    assert_eq!((plan.span, plan.break_start, plan.program_header_count), (0x40_0000..0x40_7000, 0x40_7000, 5));
}

#[test]
fn a_movable_program_goes_where_it_is_put_with_its_alignment() {
    let large = Segment { alignment: 0x20_0000, ..load(PF_R | PF_X, 0, 0, 0x800, 0x800) };
    let program = parse(&elf(ET_DYN, 0x400, &[large, load(PF_R | PF_W, 0x800, 0x20_0800, 8, 0x801)])).expect("sound");
    assert!(program.is_movable());
    assert_eq!((program.span(), program.alignment()), (0..0x20_2000, 0x20_0000));
    let plan = program.place(0x5555_5540_0000).expect("aligned");
    assert_eq!((plan.bias, plan.entry, plan.program_headers), (0x5555_5540_0000, 0x5555_5540_0400, 0x5555_5540_0040));
    assert_eq!(plan.break_start, 0x5555_5560_2000);
    assert_eq!(program.place(0x5555_5540_1000), Err(Errno::EINVAL));
    assert_eq!(program.place(0), Err(Errno::ENOMEM), "not where null pointers point");
    assert_eq!(program.place(USER_END & !0x1f_ffff), Err(Errno::ENOMEM));
}

#[test]
fn the_interpreter_is_where_the_program_says() {
    let name = Segment { kind: PT_INTERP, ..load(PF_R, 0x300, 0x300, 28, 28) };
    let text = load(PF_R | PF_X, 0, 0, 0x800, 0x800);
    assert_eq!(parse(&elf(ET_DYN, 0, &[name, text])).expect("sound").interpreter(), Some(0x300..0x31c));
    assert_eq!(refused(ET_DYN, &[name, name, text]), Errno::EINVAL);
    for file_bytes in [0, 1, 4097, u64::MAX] {
        assert_eq!(refused(ET_DYN, &[Segment { file_bytes, ..name }, text]), Errno::ENOEXEC);
    }
    assert_eq!(interpreter_path(b"/lib/ld.so\0"), Ok(&b"/lib/ld.so"[..]));
    assert_eq!(interpreter_path(b"/lib/ld.so\0rest\0"), Ok(&b"/lib/ld.so"[..]));
    assert_eq!(interpreter_path(b"/lib/ld.so"), Err(Errno::ENOEXEC));
    assert_eq!(interpreter_path(b""), Err(Errno::ENOEXEC));
    assert_eq!(interpreter_error(Errno::ENOEXEC), Errno::ELIBBAD);
    assert_eq!(interpreter_error(Errno::ENOMEM), Errno::ENOMEM);
}

#[test]
fn what_is_no_program_for_this_machine_is_refused() {
    let good = elf(ET_EXEC, 0x40_0000, &[load(PF_R, 0, 0x40_0000, 1, 1)]);
    assert!(parse(&good).is_ok());
    // Magic number, 32 bits, big end first, version, relocatable file, 386, size of entries, no entries, too many
    // entries.
    let wrong = [(1, b'e'), (4, 1), (5, 2), (6, 0), (16, 1), (18, 3), (54, 55), (56, 0), (57, 0xff)];
    for (place, byte) in wrong {
        let mut bad = good.clone();
        bad[place] = byte;
        assert_eq!(parse(&bad).expect_err("refused"), Errno::ENOEXEC, "byte {place}");
    }
    for length in 0..good.len() {
        assert_eq!(parse(&good[..length]).expect_err("refused"), Errno::ENOEXEC, "cut to {length}");
    }
    assert_eq!(refused(ET_EXEC, &[Segment { kind: PT_TLS, ..load(PF_R, 0, 0, 0, 0) }]), Errno::ENOEXEC);
}

#[test]
fn segments_that_cannot_be_are_refused() {
    let refused = |segment| refused(ET_EXEC, &[segment]);
    assert_eq!(refused(load(PF_R, 0, 0x40_0000, 2, 1)), Errno::EINVAL, "more in the file than in memory");
    assert_eq!(refused(load(PF_R, 0x100, 0x40_0200, 1, 1)), Errno::EINVAL, "in the middle of another page");
    assert_eq!(refused(load(PF_R, 0, USER_END - 4096, 1, 4097)), Errno::EINVAL, "beyond what programs have");
    assert_eq!(refused(load(PF_R, 0, u64::MAX - 4095, 1, 8192)), Errno::EINVAL, "around the end of addresses");
    assert_eq!(refused(load(PF_R, 0, 0, 1, 1)), Errno::EPERM, "where null pointers point");
    assert_eq!(refused(load(PF_R, LARGE, 0x40_0000, 1, 1)), Errno::ENOEXEC, "beyond the file");
    assert_eq!(refused(load(PF_R, !0xfff, 0x40_0000, 4096, 4096)), Errno::ENOEXEC);
    assert!(parse(&elf(ET_EXEC, 0, &[load(PF_R, 0, USER_END - 4096, 1, 4096)])).is_ok());
}

#[test]
fn later_segments_cover_earlier_ones() {
    let segments = [
        load(PF_R, 0x1000, 0x10_1000, 0x4800, 0x5000),
        load(PF_R | PF_X, 0x8000, 0x10_3000, 0x1000, 0x1000),
        load(PF_R | PF_W, 0, 0x10_5000, 0, 0x2000),
    ];
    let plan = parse(&elf(ET_EXEC, 0x10_1000, &segments)).expect("sound").place(0).expect("fixed");
    assert_eq!(
        plan.mappings,
        [
            file(0x10_1000, 0x2000, READ, 0x1000, 0),
            file(0x10_3000, 0x1000, RX, 0x8000, 0),
            file(0x10_4000, 0x1000, READ, 0x4000, 0),
            zero(0x10_5000, 0x2000, RW),
        ],
        "and zeros at the end of what is covered are not needed"
    );
}

#[test]
fn a_script_names_its_interpreter_and_one_argument() {
    let script = |text: &[u8]| {
        Script::parse(text)
            .map(|found| found.map(|script| (script.interpreter.to_vec(), script.argument.map(<[u8]>::to_vec))))
    };
    let found =
        |interpreter: &[u8], argument: Option<&[u8]>| Ok(Some((interpreter.to_vec(), argument.map(<[u8]>::to_vec))));
    assert_eq!(script(b"\x7fELF"), Ok(None));
    assert_eq!(script(b"#"), Ok(None));
    assert_eq!(script(b"#!/bin/sh\nexit"), found(b"/bin/sh", None));
    assert_eq!(script(b"#! \t/bin/sh \t \n"), found(b"/bin/sh", None));
    assert_eq!(script(b"#!/usr/bin/env -S  a b \nexit"), found(b"/usr/bin/env", Some(b"-S  a b")));
    assert_eq!(script(b"#!/bin/sh"), found(b"/bin/sh", None), "the file may end there");
    assert_eq!(script(b"#!/bin/sh\0-x\n"), found(b"/bin/sh", None));
    for empty in [&b"#!"[..], b"#!\n/bin/sh", b"#! \t \n", b"#!\0"] {
        assert_eq!(script(empty), Err(Errno::ENOEXEC));
    }
    let long = [b"#!/".to_vec(), vec![b'x'; 300], b"\n".to_vec()].concat();
    assert_eq!(script(&long), Err(Errno::ENOEXEC), "its name is cut");
    let long = [b"#!/x ".to_vec(), vec![b'y'; 300], b"\n".to_vec()].concat();
    assert_eq!(script(&long), found(b"/x", Some(&[b'y'; 251])), "its argument may be cut");
}

#[test]
fn a_script_gives_its_interpreter_arguments_until_there_are_too_many_scripts() {
    let script = Script { interpreter: b"/bin/sh", argument: Some(b"-e") };
    let mut arguments = vec![b"name".to_vec(), b"one".to_vec()];
    script.arguments(b"/path", &mut arguments, 4).expect("the fifth");
    assert_eq!(arguments, [&b"/bin/sh"[..], b"-e", b"/path", b"one"]);
    assert_eq!(script.arguments(b"/path", &mut arguments, 5), Err(Errno::ELOOP));
    let mut none = Vec::new();
    Script { argument: None, ..script }.arguments(b"/path", &mut none, 0).expect("no name to replace");
    assert_eq!(none, [&b"/bin/sh"[..], b"/path"]);
}

fn some_plan() -> Plan {
    parse(&elf(ET_EXEC, 0x40_0078, &[load(PF_R, 0, 0x40_0000, 0x200, 0x200)])).expect("sound").place(0).expect("fixed")
}

fn contents<'a>(arguments: &'a [Vec<u8>], environment: &'a [Vec<u8>], program: &'a Plan) -> Contents<'a, Vec<u8>> {
    Contents {
        arguments,
        environment,
        path: b"/bin/program",
        random: *b"0123456789abcdef",
        program,
        interpreter_bias: Some(0x7f00_0000_0000),
        identities: [1000, 0, 100, 50],
        secure: true,
        hardware: 0x78b_fbff,
        hardware_2: 2,
        vdso: None,
        least_signal_stack: 1234,
    }
}

type Strings = Vec<Vec<u8>>;

/// Reads a stack as a program does.
struct Reader<'a>(&'a InitialStack);

impl Reader<'_> {
    fn word(&self, address: u64) -> u64 {
        let offset = (address - self.0.pointer) as usize;
        u64::from_le_bytes(self.0.bytes[offset..offset + 8].try_into().expect("8 bytes"))
    }

    fn string(&self, address: u64) -> Vec<u8> {
        let bytes = &self.0.bytes[(address - self.0.pointer) as usize..];
        bytes.iter().copied().take_while(|byte| *byte != 0).collect()
    }

    fn strings(&self, place: &mut u64) -> Vec<Vec<u8>> {
        let mut strings = Vec::new();
        loop {
            let pointer = self.word(*place);
            *place += 8;
            if pointer == 0 {
                return strings;
            }
            strings.push(self.string(pointer));
        }
    }

    fn everything(&self) -> (u64, Strings, Strings, Vec<(u64, u64)>) {
        let count = self.word(self.0.pointer);
        let mut place = self.0.pointer + 8;
        let (arguments, environment) = (self.strings(&mut place), self.strings(&mut place));
        let mut vector = Vec::new();
        while self.word(place) != u64::from(auxvec::AT_NULL) {
            vector.push((self.word(place), self.word(place + 8)));
            place += 16;
        }
        (count, arguments, environment, vector)
    }
}

const TOP: u64 = 0x7fff_ffff_e000;

#[test]
fn a_program_finds_its_arguments_environment_and_auxiliary_vector() {
    let plan = some_plan();
    let (arguments, environment) = ([b"program".to_vec(), b"-v".to_vec()], [b"HOME=/".to_vec()]);
    let stack = stack::build(TOP, 8 << 20, &contents(&arguments, &environment, &plan)).expect("small");
    assert_eq!(stack.pointer % 16, 0);
    assert_eq!(stack.pointer + stack.bytes.len() as u64, TOP);
    let reader = Reader(&stack);
    let (count, found_arguments, found_environment, vector) = reader.everything();
    assert_eq!((count, found_arguments, found_environment), (2, arguments.to_vec(), environment.to_vec()));
    let value = |kind: u32| vector.iter().find(|(found, _)| *found == u64::from(kind)).expect("it is there").1;
    assert_eq!([auxvec::AT_PHDR, auxvec::AT_PHENT, auxvec::AT_PHNUM].map(value), [0x40_0040, 56, 1]);
    assert_eq!([auxvec::AT_ENTRY, auxvec::AT_BASE, auxvec::AT_PAGESZ].map(value), [0x40_0078, 0x7f00_0000_0000, 4096]);
    assert_eq!([auxvec::AT_UID, auxvec::AT_EUID, auxvec::AT_GID, auxvec::AT_EGID].map(value), [1000, 0, 100, 50]);
    assert_eq!([auxvec::AT_SECURE, auxvec::AT_HWCAP, auxvec::AT_MINSIGSTKSZ].map(value), [1, 0x78b_fbff, 1234]);
    assert_eq!(reader.string(value(auxvec::AT_EXECFN)), b"/bin/program");
    assert_eq!(reader.string(value(auxvec::AT_PLATFORM)), b"x86_64");
    assert!(reader.string(value(auxvec::AT_RANDOM)).starts_with(b"0123456789abcdef"));
    assert!(vector.iter().all(|(kind, _)| *kind != u64::from(auxvec::AT_SYSINFO_EHDR)));
    let at = |range: core::ops::Range<u64>| {
        &stack.bytes[(range.start - stack.pointer) as usize..(range.end - stack.pointer) as usize]
    };
    assert_eq!(at(stack.arguments.clone()), b"program\0-v\0");
    assert_eq!(at(stack.environment.clone()), b"HOME=/\0");
    assert!(stack.bytes.ends_with(b"/bin/program\0\0\0\0\0\0\0\0\0"));
}

#[test]
fn a_program_without_arguments_gets_an_empty_one() {
    let plan = some_plan();
    let stack = stack::build(TOP, 8 << 20, &contents(&[], &[], &plan)).expect("small");
    let (count, arguments, environment, _) = Reader(&stack).everything();
    assert_eq!((count, arguments, environment), (1, vec![Vec::new()], Vec::new()));
}

#[test]
fn too_long_arguments_are_refused() {
    let plan = some_plan();
    let build = |lengths: &[usize], limit| {
        let arguments: Vec<_> = lengths.iter().map(|length| vec![b'x'; *length]).collect();
        stack::build(TOP, limit, &contents(&arguments, &[], &plan)).map(|_| ())
    };
    assert_eq!(build(&[MAX_STRING_BYTES - 1], 8 << 20), Ok(()));
    assert_eq!(build(&[MAX_STRING_BYTES], 8 << 20), Err(Errno::E2BIG));
    assert_eq!(build(&[100_000; 20], 8 << 20), Ok(()));
    assert_eq!(build(&[100_000; 21], 8 << 20), Err(Errno::E2BIG), "a quarter of the stack");
    assert_eq!(build(&[100_000], 0), Ok(()), "some fit always");
    assert_eq!(build(&[100_000; 2], 0), Err(Errno::E2BIG));
    assert_eq!(build(&[100_000; 64], u64::MAX), Err(Errno::E2BIG), "and not the whole memory");
    assert_eq!(build(&[0; 20_000], 0), Err(Errno::E2BIG), "pointers count");
    assert_eq!(stack::build(64, 8 << 20, &contents(&[], &[], &plan)), Err(Errno::ENOMEM));
}

/// Everything a plan promises.
fn check(plan: &Plan) {
    let mut last = plan.span.start;
    for mapping in &plan.mappings {
        assert!(mapping.address.is_multiple_of(PAGE) && mapping.length.is_multiple_of(PAGE) && mapping.length > 0);
        assert!(mapping.address >= last && mapping.address >= USER_START && mapping.end() <= USER_END);
        last = mapping.end();
        if let Source::File { offset, zero_tail } = mapping.source {
            assert!(offset.is_multiple_of(PAGE) && zero_tail < PAGE);
            assert!(offset + mapping.length < LARGE + PAGE);
        }
    }
    assert_eq!(plan.span.end, last);
    assert!(plan.entry < USER_END && plan.program_headers < USER_END && plan.break_start <= USER_END);
}

fn any_segment() -> impl Strategy<Value = Segment> {
    let edge = prop_oneof![Just(0_u64), Just(4096), Just(USER_END), Just(LARGE), Just(u64::MAX), any::<u64>()];
    let number = (edge, 0_u64..8192).prop_map(|(base, more)| base.wrapping_add(more));
    let kind = prop_oneof![8 => Just(PT_LOAD), 1 => Just(PT_INTERP), 1 => Just(PT_GNU_STACK), 1 => any::<u32>()];
    (kind, any::<u32>(), number.clone(), number.clone(), number.clone(), number.clone(), number).prop_map(
        |(kind, flags, offset, address, file_bytes, memory_bytes, alignment)| Segment {
            kind,
            flags,
            offset,
            address,
            file_bytes,
            memory_bytes,
            alignment,
        },
    )
}

/// Segments of a few pages close together, mostly sound.
fn small_segment() -> impl Strategy<Value = Segment> {
    (0_u64..8, 0_u64..16, 0_u64..4096, 0_u64..0x5000, 0_u64..0x3000, 0_u32..8).prop_map(
        |(page, at, within, file_bytes, more, flags)| {
            load(flags, page * 4096 + within, 0x10_0000 + at * 4096 + within, file_bytes, file_bytes + more)
        },
    )
}

proptest! {
    #[test]
    fn plans_of_any_segments_lie_in_user_space(
        kind in prop_oneof![Just(ET_EXEC), Just(ET_DYN)],
        entry in any::<u64>(),
        segments in prop::collection::vec(any_segment(), 0..6),
        start in any::<u64>(),
    ) {
        if let Ok(program) = parse(&elf(kind, entry, &segments)) {
            for start in [start, start & (USER_END >> 1) & !0xfff, 0x5555_5555_4000] {
                if let Ok(plan) = program.place(start) {
                    check(&plan);
                }
            }
        }
    }

    #[test]
    fn the_last_segment_that_covers_a_page_is_what_is_there(segments in prop::collection::vec(small_segment(), 1..8)) {
        let Ok(program) = parse(&elf(ET_EXEC, 0x10_0000, &segments)) else { return Ok(()) };
        let plan = program.place(0).expect("fixed");
        check(&plan);
        // (protection, offset in the file or zeros), by page.
        let mut model = [None; 64];
        for segment in segments.iter().filter(|segment| segment.memory_bytes > 0) {
            let start = segment.address & !0xfff;
            for page in (start..segment.address + segment.memory_bytes).step_by(4096) {
                let is_file = segment.file_bytes > 0 && page < segment.address + segment.file_bytes;
                let offset = is_file.then(|| (segment.offset & !0xfff) + (page - start));
                model[((page - 0x10_0000) / 4096) as usize] = Some((segment.flags, offset));
            }
        }
        let mut found = [None; 64];
        for mapping in &plan.mappings {
            // PF_X, PF_W, PF_R are PROT_EXEC, PROT_WRITE, PROT_READ in reverse.
            let flags = mapping.protection.bits().reverse_bits() >> 29;
            for page in (0..mapping.length).step_by(4096) {
                let offset = match mapping.source {
                    Source::File { offset, .. } => Some(offset + page),
                    Source::Zero => None,
                };
                found[((mapping.address + page - 0x10_0000) / 4096) as usize] = Some((flags, offset));
            }
        }
        prop_assert_eq!(found, model);
    }

    #[test]
    fn any_bytes_are_refused_or_make_a_plan(
        mut bytes in prop::collection::vec(any::<u8>(), 0..300),
        sound in any::<bool>(),
    ) {
        if sound && bytes.len() >= HEADER_BYTES + PROGRAM_HEADER_BYTES {
            let header = elf(ET_DYN, 0, &[load(0, 0, 0, 0, 0)]);
            bytes[..HEADER_BYTES].copy_from_slice(&header[..HEADER_BYTES]);
        }
        if let Ok(plan) = parse(&bytes).and_then(|program| program.place(0x5555_5555_4000)) {
            check(&plan);
        }
        let mut text = b"#!".to_vec();
        text.extend(&bytes);
        if let Ok(script) = Script::parse(&text) {
            let script = script.expect("it begins as one");
            prop_assert!(!script.interpreter.is_empty());
            prop_assert!(!script.interpreter.iter().any(|byte| b" \t\n\0".contains(byte)));
        }
    }

    #[test]
    fn every_stack_reads_back(
        arguments in prop::collection::vec(prop::collection::vec(1_u8.., 0..40), 1..20),
        environment in prop::collection::vec(prop::collection::vec(1_u8.., 0..40), 0..20),
        top in (0x1000_u64..USER_END / 16).prop_map(|top| top * 16),
    ) {
        let plan = some_plan();
        let stack = stack::build(top, 8 << 20, &contents(&arguments, &environment, &plan)).expect("small");
        prop_assert_eq!(stack.pointer % 16, 0);
        prop_assert_eq!(stack.pointer + stack.bytes.len() as u64, top);
        let (count, found_arguments, found_environment, vector) = Reader(&stack).everything();
        prop_assert_eq!(count as usize, arguments.len());
        prop_assert_eq!((found_arguments, found_environment), (arguments, environment));
        prop_assert_eq!(vector.len(), 20);
    }
}
