//! Fuzz target: whatever a file holds, it is refused, or names an interpreter, or makes a plan that keeps its promises.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::exec::plan::interpreter_path;
use logic::exec::{Header, Program, Script, Source};
use logic::mem::space::layout::{END, LOWEST};

const PAGE: u64 = 4096;

fn part(file: &[u8], range: std::ops::Range<u64>) -> Option<&[u8]> {
    file.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

fuzz_target!(|data: &[u8]| {
    let [start, file @ ..] = data else { return };
    if let Ok(Some(script)) = Script::parse(file) {
        assert!(!script.interpreter.is_empty() && script.interpreter.len() < 256);
        assert!(script.argument.is_none_or(|argument| !argument.is_empty()));
        let mut arguments = vec![b"name".to_vec(), b"more".to_vec()];
        script.arguments(b"/path", &mut arguments, 0).expect("the first script");
        assert!((3..=4).contains(&arguments.len()));
    }
    let Ok(header) = Header::parse(file) else { return };
    let Some(table) = part(file, header.table()) else { return };
    // Half of the time the file is said to be longer than it is, so that segments need few bytes of input.
    let length = if start & 1 == 0 { file.len() as u64 } else { 1 << 40 };
    let Ok(program) = Program::parse(&header, table, length) else { return };
    if let Some(path) = program.interpreter().and_then(|range| part(file, range)).map(interpreter_path) {
        assert!(path.is_ok_and(|path| !path.contains(&0)) || path.is_err());
    }
    let Ok(plan) = program.place(u64::from(*start) << 39) else { return };
    let mut last = plan.span.start;
    for mapping in &plan.mappings {
        assert!(mapping.address.is_multiple_of(PAGE) && mapping.length.is_multiple_of(PAGE) && mapping.length > 0);
        assert!(mapping.address >= last && mapping.address >= LOWEST && mapping.end() <= END);
        last = mapping.end();
        if let Source::File { offset, zero_tail } = mapping.source {
            assert!(offset.is_multiple_of(PAGE) && zero_tail < PAGE && offset + mapping.length < length + PAGE);
        }
    }
    assert!(last == plan.span.end && plan.entry < END && plan.break_start <= END);
});
