//! Who called whom: follows the chain of frame pointers, whatever state the stacks are in.
//!
//! A function's frame begins with its caller's frame pointer and, one word higher, the address it returns to; the outermost
//! frame pointer is 0. The chain runs on through interrupted code: `asm/trap.asm` calls Rust from a frame of that shape made of
//! what was interrupted, right below its [`Layout`]. Invariants: only words inside a known stack are read; on one stack the
//! chain must rise, and other stacks are entered through traps alone, a few times, so that every walk ends.

use core::ops::Range;

/// Interrupted code within interrupted code: more is a chain gone wild.
const MAX_TRAPS: u32 = 8;

/// The memory that a walk may look at.
pub trait Stacks {
    /// The bounds of the mapped stack that `address` lies in.
    fn bounds(&self, address: u64) -> Option<Range<u64>>;
    /// The word at `address`, which is a multiple of 8 and lies with its eight bytes inside such bounds.
    fn read(&self, address: u64) -> u64;
    /// Whether `address` lies in the kernel's code.
    fn is_code(&self, address: u64) -> bool;
}

/// What `asm/trap.asm` leaves on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Where its call of Rust returns to.
    pub return_address: u64,
    /// Offsets in the saved registers, which lie above the two words of the frame.
    pub rip: u64,
    /// See [`Layout::rip`].
    pub cs: u64,
    /// See [`Layout::rip`].
    pub rbp: u64,
    /// See [`Layout::rip`].
    pub rsp: u64,
}

/// A place in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Behind the call of the function before.
    Return(u64),
    /// An interrupted instruction.
    Interrupted(u64),
}

/// The frames of a chain, innermost first.
pub struct Backtrace<S> {
    stacks: S,
    layout: Layout,
    frame_pointer: u64,
    /// What frame pointers must be above while they stay on its stack.
    floor: u64,
    traps: u32,
    /// Comes before the frame pointer is followed.
    pending: Option<Frame>,
    /// Where the registers lie that interrupted code is to be read from next.
    trap: Option<u64>,
}

impl<S: Stacks> Backtrace<S> {
    /// From the function whose frame pointer this is: its caller comes first.
    pub fn new(stacks: S, layout: Layout, frame_pointer: u64) -> Self {
        Self { stacks, layout, frame_pointer, floor: 0, traps: 0, pending: None, trap: None }
    }

    /// From the code that was interrupted when the registers at `registers` were saved: that comes first.
    pub fn of_interrupted(stacks: S, layout: Layout, registers: u64) -> Self {
        Self { trap: Some(registers), ..Self::new(stacks, layout, 0) }
    }

    /// The word at `address` if all of it lies in one stack.
    fn word(&self, address: u64) -> Option<u64> {
        let end = address.checked_add(8)?;
        let inside = address.is_multiple_of(8) && self.stacks.bounds(address).is_some_and(|stack| end <= stack.end);
        inside.then(|| self.stacks.read(address))
    }

    /// The code that the registers at `registers` were saved of, and from there on its callers.
    fn interrupted(&mut self, registers: u64) -> Option<Frame> {
        self.traps += 1;
        if self.traps > MAX_TRAPS {
            return None;
        }
        let register = |offset: u64| self.word(registers.checked_add(offset)?);
        let instruction = register(self.layout.rip)?;
        let from_user = register(self.layout.cs)? & 3 != 0;
        let frame_pointer = if from_user { 0 } else { register(self.layout.rbp)? };
        // Called what is no code: the call has pushed its return address, and no function has set up its frame.
        let lost = !from_user && !self.stacks.is_code(instruction);
        let caller = if lost { register(self.layout.rsp).and_then(|stack| self.word(stack)) } else { None };
        self.pending = caller.filter(|caller| self.stacks.is_code(*caller)).map(Frame::Return);
        self.frame_pointer = frame_pointer;
        self.floor = 0;
        Some(Frame::Interrupted(instruction))
    }
}

impl<S: Stacks> Iterator for Backtrace<S> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        if let Some(registers) = self.trap.take() {
            return self.interrupted(registers);
        }
        if let Some(frame) = self.pending.take() {
            return Some(frame);
        }
        let here = self.frame_pointer;
        let rises = here > self.floor && (self.floor == 0 || self.stacks.bounds(here)?.contains(&self.floor));
        let (above, return_address) = (self.word(here)?, self.word(here.checked_add(8)?)?);
        if !rises || return_address == 0 {
            return None;
        }
        (self.frame_pointer, self.floor) = (above, here);
        if return_address == self.layout.return_address {
            // `above` is the frame made of what was interrupted; the registers lie on it.
            return self.interrupted(above.checked_add(16)?);
        }
        Some(Frame::Return(return_address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LAYOUT: Layout = Layout { return_address: 0xc0de, rip: 0, cs: 8, rbp: 16, rsp: 24 };
    const STACK: u64 = 0x1000;
    const OTHER_STACK: u64 = 0x8000;
    const WORDS: u64 = 32;

    /// Two stacks of a few words; code is what lies in 0xc000..0xd000.
    #[derive(Clone)]
    struct Memory([Vec<u64>; 2]);

    impl Memory {
        fn new() -> Self {
            Self([(); 2].map(|()| vec![0; WORDS as usize]))
        }

        fn set(&mut self, address: u64, words: &[u64]) {
            let (stack, start) = if address < OTHER_STACK { (0, STACK) } else { (1, OTHER_STACK) };
            let at = ((address - start) / 8) as usize;
            self.0[stack][at..at + words.len()].copy_from_slice(words);
        }
    }

    impl Stacks for Memory {
        fn bounds(&self, address: u64) -> Option<Range<u64>> {
            [STACK, OTHER_STACK]
                .map(|start| start..start + WORDS * 8)
                .into_iter()
                .find(|stack| stack.contains(&address))
        }

        fn read(&self, address: u64) -> u64 {
            assert!(address.is_multiple_of(8), "{address:#x}");
            let stack = self.bounds(address).expect("only stacks are read");
            self.0[usize::from(stack.start == OTHER_STACK)][((address - stack.start) / 8) as usize]
        }

        fn is_code(&self, address: u64) -> bool {
            (0xc000..0xd000).contains(&address)
        }
    }

    #[test]
    fn callers_come_innermost_first_until_the_chain_ends() {
        let mut memory = Memory::new();
        memory.set(STACK, &[STACK + 32, 0xc001]);
        memory.set(STACK + 32, &[STACK + 64, 0xc002]);
        memory.set(STACK + 64, &[0, 0xc003]);
        let frames: Vec<Frame> = Backtrace::new(memory, LAYOUT, STACK).collect();
        assert_eq!(frames, [0xc001, 0xc002, 0xc003].map(Frame::Return));
    }

    #[test]
    fn the_chain_runs_through_a_trap_onto_the_stack_that_it_interrupted() {
        let mut memory = Memory::new();
        memory.set(OTHER_STACK, &[OTHER_STACK + 32, 0xc0de]);
        memory.set(OTHER_STACK + 32, &[STACK, 0xc100, 0xc100, 8, STACK, 0]);
        memory.set(STACK, &[0, 0xc002]);
        let expected = [Frame::Interrupted(0xc100), Frame::Return(0xc002)];
        assert_eq!(Backtrace::new(memory.clone(), LAYOUT, OTHER_STACK).collect::<Vec<_>>(), expected);
        assert_eq!(Backtrace::of_interrupted(memory, LAYOUT, OTHER_STACK + 48).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn who_called_what_is_no_code_is_not_lost() {
        let mut memory = Memory::new();
        memory.set(OTHER_STACK, &[0, 8, STACK + 8, STACK]);
        memory.set(STACK, &[0xc001, 0, 0xc002]);
        let frames: Vec<Frame> = Backtrace::of_interrupted(memory, LAYOUT, OTHER_STACK).collect();
        assert_eq!(frames, [Frame::Interrupted(0), Frame::Return(0xc001), Frame::Return(0xc002)]);
    }

    #[test]
    fn it_ends_at_user_code() {
        let mut memory = Memory::new();
        memory.set(STACK, &[0x40_0000, 0x33, STACK, STACK]);
        let frames: Vec<Frame> = Backtrace::of_interrupted(memory, LAYOUT, STACK).collect();
        assert_eq!(frames, [Frame::Interrupted(0x40_0000)]);
    }

    #[test]
    fn a_chain_that_falls_or_changes_stacks_or_leaves_them_ends() {
        for next in [STACK, STACK + 8, STACK + 17, STACK + WORDS * 8 - 8, STACK + WORDS * 8, OTHER_STACK, 0, u64::MAX] {
            let mut memory = Memory::new();
            memory.set(STACK + 8, &[next, 0xc001]);
            memory.set(STACK, &[STACK]);
            memory.set(OTHER_STACK, &[0, 0xc002]);
            let frames: Vec<Frame> = Backtrace::new(memory, LAYOUT, STACK + 8).collect();
            assert_eq!(frames, [Frame::Return(0xc001)], "{next:#x}");
        }
    }

    proptest! {
        #[test]
        fn any_walk_stays_on_the_stacks_and_ends(
            words in prop::collection::vec(prop_oneof![
                (0..WORDS).prop_map(|word| STACK + word * 8),
                (0..WORDS).prop_map(|word| OTHER_STACK + word * 8),
                Just(LAYOUT.return_address),
                any::<u64>(),
            ], 2 * WORDS as usize),
            start in prop_oneof![(0..WORDS).prop_map(|word| STACK + word * 8), any::<u64>()],
        ) {
            let (one, other) = words.split_at(WORDS as usize);
            let memory = Memory([one.to_vec(), other.to_vec()]);
            // Memory panics when anything else is read.
            let most = (MAX_TRAPS as usize + 1) * (WORDS as usize + 2);
            prop_assert!(Backtrace::new(memory.clone(), LAYOUT, start).count() <= most);
            prop_assert!(Backtrace::of_interrupted(memory, LAYOUT, start).count() <= most);
        }
    }
}
