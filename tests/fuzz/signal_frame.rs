//! Fuzz target: whatever a program leaves in a signal's frame, what is restored of it is fit for the processor.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::signal::fpu::{self, LEGACY_BYTES, Saved};
use logic::signal::frame::{FRAME_BYTES, Registers, restore};
use logic::signal::{Action, AlternateStack, Signal, SignalInfo};

/// State components that programs may have, and bits of MXCSR that there are.
const FEATURES: u64 = 7;
const MXCSR: u32 = 0xffff;

fuzz_target!(|data: &[u8]| {
    let Some((frame, data)) = data.split_first_chunk::<FRAME_BYTES>() else { return };
    let current = Registers { rflags: 0x202, cs: 0x33, ss: 0x2b, ..Registers::default() };
    let restored = restore(frame, &current);
    assert_eq!((restored.registers.cs, restored.registers.ss), (0x33, 0x2b));
    // Interrupts on, no I/O, no nested task, no virtual 8086 mode.
    assert_eq!(restored.registers.rflags & 0x7202, 0x202);
    assert!(!restored.mask.contains(Signal::SIGKILL) && !restored.mask.contains(Signal::SIGSTOP));
    if let Ok(stack) = AlternateStack::NONE.replaced(&restored.alternate, restored.registers.rsp, 0) {
        assert!(stack.top().is_none() || stack.replaced(&stack.to_bytes(0), 0, 0) == Ok(stack));
    }
    if let Some(action) = frame.first_chunk() {
        let action = Action::from_bytes(action);
        assert_eq!(Action::from_bytes(&action.to_bytes()), action);
    }
    if let Some(Ok(info)) = frame.last_chunk().map(|info| SignalInfo::from_user(Signal::SIGUSR1, info, false)) {
        assert!(info.code < 0);
    }
    let mut area = data.to_vec();
    let Some(first) = area.first_chunk::<LEGACY_BYTES>() else { return };
    let saved = fpu::inspect(first, data.len());
    if fpu::make_fit(&mut area, saved, FEATURES, MXCSR) {
        assert_eq!(area[26..28], [0, 0]);
        if let Saved::Extended { bytes, .. } = saved {
            assert!(bytes <= area.len());
            assert!(u64::from(area[512]) <= FEATURES && area[513..576].iter().all(|byte| *byte == 0));
        }
    }
});
