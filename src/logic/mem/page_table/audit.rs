//! W^X, checked: is anything mapped both writable and executable?

use super::{Run, TableMemory, Tables};
use arrayvec::ArrayVec;

/// Runs that are shown; the others are counted.
pub const SHOWN: usize = 8;

/// What is mapped both writable and executable. Empty if all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The first few.
    pub runs: ArrayVec<Run, SHOWN>,
    /// All of them.
    pub count: usize,
}

impl Findings {
    fn look_at(&mut self, run: &Run) {
        if run.mapping.is_writable() && run.mapping.is_executable() {
            self.count += 1;
            // Those past the first few are only counted.
            let _ = self.runs.try_push(*run);
        }
    }
}

/// Looks for what is both writable and executable in all that `tables` map. Without NX in the processor, that is everything
/// writable.
pub fn writable_and_executable(tables: &Tables, memory: &impl TableMemory) -> Findings {
    let mut findings = Findings::default();
    tables.walk(memory, |run| findings.look_at(run));
    findings
}
