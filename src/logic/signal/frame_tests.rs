//! Tests of frames: layout, stacks, and what hostile frames restore.

use super::fpu::{LEGACY_BYTES, Saved, inspect, is_whole, make_fit};
use super::frame::{Exception, FRAME_BYTES, Frame, Interrupted, Registers, build, most_bytes, restore};
use super::*;
use crate::errno::Errno;
use crate::mem::space::layout::END as USER_END;
use proptest::prelude::*;

const HANDLER: u64 = 0x40_1000;
const RESTORER: u64 = 0x40_2000;
const STACK: u64 = 0x7fff_0000_1238;

fn call(flags: ActionFlags) -> Call {
    Call {
        info: SignalInfo::fault(Signal::SIGSEGV, 1, 0x1234),
        action: Action {
            handler: HANDLER,
            flags: flags | ActionFlags::RESTORER,
            restorer: RESTORER,
            ..Action::default()
        },
        mask: SignalSet::EMPTY,
    }
}

fn registers() -> Registers {
    Registers {
        r8: 8,
        r9: 9,
        r10: 10,
        r11: 11,
        r12: 12,
        r13: 13,
        r14: 14,
        r15: 15,
        rdi: 16,
        rsi: 17,
        rbp: 18,
        rbx: 19,
        rdx: 20,
        rax: 21,
        rcx: 22,
        rsp: STACK,
        rip: 0x40_0123,
        rflags: 0x1_0746,
        cs: 0x33,
        ss: 0x2b,
    }
}

fn interrupted<'a>(registers: &'a Registers, alternate: AlternateStack, fpu: &'a [u8]) -> Interrupted<'a> {
    let exception = Exception { error: 6, vector: 14, address: 0x1234 };
    Interrupted { registers, exception, mask: SignalSet::of(&[Signal::SIGHUP]), alternate, fpu, fpu_features: 7 }
}

fn alternate(base: u64, size: u64) -> AlternateStack {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&base.to_le_bytes());
    bytes[16..].copy_from_slice(&size.to_le_bytes());
    AlternateStack::NONE.replaced(&bytes, 0, 0).expect("large enough")
}

fn word(frame: &Frame, offset: usize) -> u64 {
    u64::from_le_bytes(frame.bytes[offset..offset + 8].try_into().expect("8 bytes"))
}

fn head(frame: &Frame) -> [u8; FRAME_BYTES] {
    *frame.bytes.first_chunk().expect("a whole frame")
}

#[test]
fn a_frame_is_laid_out_as_linux_has_it() {
    assert_eq!(FRAME_BYTES, 440);
    let registers = registers();
    let frame =
        build(&call(ActionFlags::empty()), &interrupted(&registers, AlternateStack::NONE, &[7; 832])).expect("room");
    let word = |offset| word(&frame, offset);
    assert_eq!((word(0), word(8), word(16)), (RESTORER, 7, 0));
    assert_eq!((word(24), word(32), word(40)), (0, 2, 0), "no alternate stack");
    // R8 to R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX.
    assert!((8..23).zip((48..).step_by(8)).all(|(value, offset)| word(offset) == value));
    assert_eq!((word(168), word(176), word(184)), (STACK, 0x40_0123, 0x1_0746));
    assert_eq!(word(192), 0x002b_0000_0000_0033);
    assert_eq!((word(200), word(208), word(216), word(224)), (6, 14, 1, 0x1234));
    let fpu = word(232);
    assert!(fpu.is_multiple_of(64) && (240..304).step_by(8).all(|offset| word(offset) == 0));
    assert_eq!(word(304), 1);
    assert_eq!((word(312), word(320), word(328)), (11, 1, 0x1234));
    assert!(fpu + 836 <= STACK - 128 && frame.address + frame.bytes.len() as u64 == fpu + 836);
    assert!(frame.bytes.len() <= most_bytes(832));
    let area = &frame.bytes[(fpu - frame.address) as usize..];
    assert!(area[..464].iter().chain(&area[512..832]).all(|byte| *byte == 7));
    assert_eq!(area[464..468], *b"SXPF");
    assert_eq!(area[468..472], 836_u32.to_le_bytes());
    assert_eq!((area[472], area[480..484].to_vec(), area[832..].to_vec()), (7, vec![0x40, 3, 0, 0], b"EXPF".to_vec()));
}

#[test]
fn a_handler_starts_as_if_called_with_three_arguments() {
    let registers = registers();
    let frame =
        build(&call(ActionFlags::empty()), &interrupted(&registers, AlternateStack::NONE, &[0; 512])).expect("room");
    let new = frame.registers;
    assert_eq!((new.rip, new.rsp, new.rax, new.rdi), (HANDLER, frame.address, 0, 11));
    assert_eq!((new.rsi, new.rdx), (frame.address + 312, frame.address + 8));
    assert_eq!((new.rsp + 8) % 16, 0);
    assert_eq!(new.rflags, 0x246, "neither direction, nor single steps, nor resuming");
    assert_eq!((new.rbx, new.r15, new.cs, new.ss), (19, 15, 0x33, 0x2b));
    assert_eq!(word(&frame, 8), 6, "no extended state");
}

#[test]
fn a_handler_runs_on_the_alternate_stack_if_it_wants_to_and_is_not_there() {
    let stack = alternate(0x10_0000, 0x4000);
    let place = |flags, rsp| {
        let registers = Registers { rsp, ..registers() };
        build(&call(flags), &interrupted(&registers, stack, &[0; 512])).map(|frame| frame.address & !0xffff)
    };
    assert_eq!(place(ActionFlags::empty(), STACK), Ok(0x7fff_0000_0000));
    assert_eq!(place(ActionFlags::ON_STACK, STACK), Ok(0x10_0000));
    let registers = Registers { rsp: 0x10_3000, ..registers() };
    let nested = build(&call(ActionFlags::ON_STACK), &interrupted(&registers, stack, &[0; 512])).expect("room");
    assert!(nested.address < 0x10_3000 - 128 && nested.address > 0x10_2000, "below what is there");
    assert_eq!(place(ActionFlags::ON_STACK, 0x10_0300), Err(Errno::EFAULT), "over its end");
    assert_eq!(place(ActionFlags::empty(), 0x10_0300), Err(Errno::EFAULT));
}

#[test]
fn a_frame_without_room_or_return_is_refused() {
    let build = |rsp, flags| {
        let registers = Registers { rsp, ..registers() };
        let mut call = call(ActionFlags::empty());
        call.action.flags = flags;
        build(&call, &interrupted(&registers, AlternateStack::NONE, &[0; 512])).map(|_| ())
    };
    assert_eq!(build(STACK, ActionFlags::RESTORER), Ok(()));
    assert_eq!(build(STACK, ActionFlags::empty()), Err(Errno::EFAULT));
    for stack in [0, 127, 900, USER_END + 8192, u64::MAX] {
        assert_eq!(build(stack, ActionFlags::RESTORER), Err(Errno::EFAULT), "{stack:#x}");
    }
}

#[test]
fn what_a_frame_restores_keeps_segments_and_the_kernels_flags() {
    let current = Registers { rflags: 0x202, ..registers() };
    let restored = restore(&[0xff; FRAME_BYTES], &current);
    assert_eq!(restored.registers.rflags, 0x202 | 0x5_0dd5);
    assert_eq!((restored.registers.cs, restored.registers.ss), (0x33, 0x2b));
    assert_eq!((restored.registers.rip, restored.fpu_address), (u64::MAX, Some(u64::MAX)));
    assert_eq!(restored.mask, SignalSet::from_bits(u64::MAX).as_mask());
    assert_eq!(restore(&[0; FRAME_BYTES], &current).fpu_address, None);
}

#[test]
fn floating_point_registers_that_make_no_sense_are_taken_for_legacy_ones() {
    let registers = registers();
    let frame =
        build(&call(ActionFlags::empty()), &interrupted(&registers, AlternateStack::NONE, &[0; 832])).expect("room");
    let start = (word(&frame, 232) - frame.address) as usize;
    let first: [u8; LEGACY_BYTES] = *frame.bytes[start..].first_chunk().expect("whole");
    assert_eq!(inspect(&first, 832), Saved::Extended { bytes: 832, features: 7 });
    assert_eq!(inspect(&first, 831), Saved::Legacy, "more than this machine has");
    assert_eq!(inspect(&first, 0), Saved::Legacy);
    assert_eq!(inspect(&[0; LEGACY_BYTES], 832), Saved::Legacy);
    // Magic number, size with the end less than without, less than a header.
    for (place, bytes) in [(464, [0; 4]), (468, [0; 4]), (480, 575_u32.to_le_bytes())] {
        let mut bad = first;
        bad[place..place + 4].copy_from_slice(&bytes);
        assert_eq!(inspect(&bad, 832), Saved::Legacy, "byte {place}");
    }
    assert!(is_whole(*frame.bytes.last_chunk().expect("4 bytes")) && !is_whole([0; 4]));
}

#[test]
fn floating_point_registers_are_made_fit_or_refused() {
    let saved = Saved::Extended { bytes: 832, features: 3 };
    let mut area = [0xff; 832];
    area[512..576].fill(0);
    area[512] = 7;
    assert!(make_fit(&mut area, saved, 7, 0xffbf));
    assert_eq!((area[24..28].to_vec(), area[512]), (vec![0xbf, 0xff, 0, 0], 3), "only what the frame says is there");
    area[512] = 8;
    assert!(!make_fit(&mut area, saved, 7, 0xffff), "a component that programs do not have");
    area[512] = 1;
    area[527] = 0x80;
    assert!(!make_fit(&mut area, saved, 7, 0xffff), "the compacted format");
    assert!(make_fit(&mut [0xff; 512], Saved::Legacy, 7, 0xffff));
    assert!(!make_fit(&mut [0; 20], Saved::Legacy, 7, 0xffff) && !make_fit(&mut [0; 512], saved, 7, 0xffff));
}

fn any_registers() -> impl Strategy<Value = Registers> {
    (any::<[u64; 18]>(), any::<u16>(), any::<u16>()).prop_map(|(words, cs, ss)| {
        let [rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags] = words;
        Registers { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, cs, ss }
    })
}

proptest! {
    #[test]
    fn what_was_interrupted_goes_on_as_it_was(
        mut registers in any_registers(),
        stack in prop_oneof![0_u64..1 << 48, any::<u64>()],
        fpu_bytes in prop_oneof![Just(0), Just(512), Just(576), Just(832), Just(2696)],
        mask in any::<u64>(),
        on_stack in any::<bool>(),
    ) {
        registers.rsp = stack;
        let fpu: Vec<u8> = (0..fpu_bytes).map(|index| index as u8).collect();
        let flags = if on_stack { ActionFlags::ON_STACK } else { ActionFlags::empty() };
        let mask = SignalSet::from_bits(mask).as_mask();
        let alternate = alternate(0x10_0000, 0x4000);
        let interrupted = Interrupted { mask, ..interrupted(&registers, alternate, &fpu) };
        let Ok(frame) = build(&call(flags), &interrupted) else { return Ok(()) };
        let end = frame.address + frame.bytes.len() as u64;
        prop_assert!(end <= USER_END && (frame.address + 8).is_multiple_of(16));
        let restored = restore(&head(&frame), &registers);
        prop_assert_eq!((restored.registers, restored.mask), (registers, mask));
        prop_assert_eq!(alternate.replaced(&restored.alternate, 0, 0), Ok(alternate));
        let area = restored.fpu_address.expect("somewhere");
        prop_assert!(area.is_multiple_of(64) && area >= frame.address + FRAME_BYTES as u64);
        let area = &frame.bytes[(area - frame.address) as usize..];
        let kept = fpu.len().min(464);
        prop_assert_eq!(&area[..kept], &fpu[..kept]);
        if let Some(first) = area.first_chunk() {
            let extended = Saved::Extended { bytes: fpu_bytes, features: 7 };
            prop_assert_eq!(inspect(first, 4096), if fpu_bytes > 512 { extended } else { Saved::Legacy });
        }
    }

    #[test]
    fn any_area_is_made_fit_or_refused(
        first in prop::collection::vec(any::<u8>(), LEGACY_BYTES),
        rest in prop::collection::vec(0_u8..2, 0..400),
        sound in any::<bool>(),
    ) {
        let mut area = [first, rest].concat();
        if sound {
            area[464..468].copy_from_slice(b"SXPF");
            area[468..472].fill(0x7f);
            area[480..484].copy_from_slice(&[0x80, 2, 0, 0]);
        }
        let saved = inspect(area.first_chunk().expect("512 bytes"), area.len());
        if let Saved::Extended { bytes, .. } = saved {
            prop_assert!(bytes <= area.len());
        }
        if make_fit(&mut area, saved, 7, 0xffff) && saved != Saved::Legacy {
            prop_assert!(area[512] <= 7 && area[513..576].iter().all(|byte| *byte == 0));
        }
    }
}
