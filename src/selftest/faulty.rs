//! Tests that must fail: they show that the runner tells of one that fails, hangs, faults or leaks, by name.

use super::{Faulty, Outcome, Test};
use crate::hw::{frames, provoke};
use logic::mem::frames::Zone;
use logic::sync::interrupts::InterruptsOff;

/// All of them.
pub const FAULTY: &[Faulty] = &[
    Faulty {
        expect: "test runner-failure: FAILED: 1 + 1 is 2, not 3",
        test: Test { name: "runner-failure", run: fail },
    },
    Faulty { expect: "test runner-hang: HANGS", test: Test { name: "runner-hang", run: hang } },
    Faulty { expect: "test runner-deaf-hang: HANGS", test: Test { name: "runner-deaf-hang", run: hang_deaf } },
    Faulty { expect: "exception 6, invalid opcode", test: Test { name: "runner-fault", run: fault } },
    Faulty { expect: "test runner-leak: FAILED: ", test: Test { name: "runner-leak", run: leak } },
];

fn fail() -> Outcome {
    check_eq!(1 + 1, 3);
    Ok(())
}

fn hang() -> Outcome {
    loop {
        core::hint::spin_loop();
    }
}

/// Another processor must notice.
fn hang_deaf() -> Outcome {
    let _deaf = InterruptsOff::new();
    hang()
}

fn fault() -> Outcome {
    provoke::invalid_opcode();
    Ok(())
}

fn leak() -> Outcome {
    frames::allocate(0, Zone::Normal).map(drop).map_err(|_| "no frame is left".into())
}
