//! Tests of interrupt lines: handlers come and go, lines are shared or refused, and nothing is lost between the two.

use super::tools::{eventually, here};
use super::{Outcome, Test, on_each_cpu};
use crate::hw::apic::{self, ApicMode, Destination};
use crate::hw::inspect;
use crate::hw::irq::{self, IrqError, Line, Verdict};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use logic::irq::vectors::DEVICE_VECTORS;

/// All of them.
pub const TESTS: &[Test] = &[
    Test { name: "interrupts-messages", run: messages_arrive_where_they_are_sent },
    Test { name: "interrupts-lines", run: a_line_interrupts_until_it_is_given_up },
    Test { name: "interrupts-shared", run: handlers_on_a_level_share_it },
    Test { name: "interrupts-refused", run: what_cannot_be_had_is_refused },
    Test { name: "interrupts-vectors", run: vectors_run_out_and_come_back },
];

fn has_apic() -> bool {
    apic::mode() != ApicMode::Absent
}

/// The vector of the handler called `name`.
fn vector_of(name: &str) -> Option<u8> {
    irq::counts().find(|(_, found, _)| *found == name).map(|(vector, ..)| vector)
}

/// A device's message is a write to a local APIC's address, which a processor cannot make; it sends the same vector itself.
fn messages_arrive_where_they_are_sent() -> Outcome {
    const NAME: &str = "test message";
    if !has_apic() {
        check_eq!(irq::register(Line::Message, || (), NAME).map(drop), Err(IrqError::NoSuchLine));
        return Ok(());
    }
    on_each_cpu(|| {
        let seen = Arc::new((AtomicU64::new(0), AtomicUsize::new(usize::MAX)));
        let noted = seen.clone();
        let handler = move || {
            noted.1.store(here(), SeqCst);
            noted.0.fetch_add(1, SeqCst);
        };
        let line = irq::register(Line::Message, handler, NAME).map_err(|error| error.to_string())?;
        let id = apic::id();
        let message = line.message(id).map_err(|error| error.to_string())?;
        check_eq!(message.address, 0xfee0_0000 | u64::from(id) << 12);
        check_eq!(line.message(1 << 20), Err(IrqError::Unreachable));
        let vector = message.data as u8;
        check_eq!(vector_of(NAME), Some(vector));
        for round in 1..=100 {
            check!(apic::send(Destination::One(id), vector), "the message cannot be sent");
            check!(eventually(|| seen.0.load(SeqCst) == round), "{} of {round} came", seen.0.load(SeqCst));
        }
        check_eq!(seen.1.load(SeqCst), here());
        drop(line);
        check_eq!(Arc::strong_count(&seen), 1);
        check_eq!(vector_of(NAME), None);
        // One that comes late is for nobody, and does no harm.
        let before = irq::unclaimed();
        check!(apic::send(Destination::One(id), vector), "the message cannot be sent");
        check!(eventually(|| irq::unclaimed() == before + 1), "a message for nobody was not noticed");
        check_eq!(seen.0.load(SeqCst), 100);
        check_eq!(apic::errors(), 0);
        Ok(())
    })
}

/// The interval timer's line. Where it is the kernel's own timer, nobody else can have it.
fn a_line_interrupts_until_it_is_given_up() -> Outcome {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if vector_of("timer").is_some_and(|vector| vector <= *DEVICE_VECTORS.end()) {
        check_eq!(irq::register(Line::Isa(0), || (), "second timer").map(drop), Err(IrqError::InUse));
        return Ok(());
    }
    for _ in 0..3 {
        COUNT.store(0, SeqCst);
        let count = || _ = COUNT.fetch_add(1, SeqCst);
        let line = irq::register(Line::Isa(0), count, "test line").map_err(|error| error.to_string())?;
        check_eq!(line.message(0), Err(IrqError::Unreachable));
        for round in 1..=3 {
            inspect::raise_isa_0();
            check!(eventually(|| COUNT.load(SeqCst) >= round), "{} of {round} came", COUNT.load(SeqCst));
        }
        drop(line);
        let before = COUNT.load(SeqCst);
        inspect::raise_isa_0();
        crate::proc::sleep(core::time::Duration::from_millis(10));
        check_eq!(COUNT.load(SeqCst), before);
    }
    Ok(())
}

/// PCI's lines are levels: several devices share one, each handler says whether it was its device's.
fn handlers_on_a_level_share_it() -> Outcome {
    // On the boards that QEMU has, a PCI line with I/O APICs as with 8259s.
    const LINE: Line = Line::Gsi(11);
    let calls = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let handler = |index: usize, verdict| {
        let calls = calls.clone();
        move || {
            calls[index].fetch_add(1, SeqCst);
            verdict
        }
    };
    let first = match irq::register(LINE, handler(0, Verdict::NotMine), "first of two") {
        Err(IrqError::NoSuchLine) => return Ok(()),
        first => first.map_err(|error| error.to_string())?,
    };
    let second = irq::register(LINE, handler(1, Verdict::Mine), "second of two");
    let Ok(second) = second else {
        // An edge is not shared.
        check_eq!(second.map(drop), Err(IrqError::InUse));
        return Ok(());
    };
    check_eq!(vector_of("first of two"), vector_of("second of two"));
    let vector = vector_of("first of two").ok_or("the handlers have no vector")?;
    let raise = |wanted: [u64; 2]| -> Outcome {
        check!(apic::send(Destination::One(apic::id()), vector), "it cannot be raised");
        let now = || [calls[0].load(SeqCst), calls[1].load(SeqCst)];
        check!(eventually(|| now() == wanted), "the handlers were called {:?} times, not {wanted:?}", now());
        Ok(())
    };
    // A local APIC that raises what is the 8259s' is never told that it is done.
    if !has_apic() || !DEVICE_VECTORS.contains(&vector) {
        return Ok(());
    }
    let unclaimed = irq::unclaimed();
    raise([1, 1])?;
    check_eq!(irq::unclaimed(), unclaimed);
    drop(second);
    raise([2, 1])?;
    check_eq!(irq::unclaimed(), unclaimed + 1);
    drop(first);
    check_eq!(vector_of("first of two"), None);
    Ok(())
}

fn what_cannot_be_had_is_refused() -> Outcome {
    for line in [Line::Isa(2), Line::Isa(16), Line::Isa(255), Line::Gsi(100_000), Line::Gsi(u32::MAX)] {
        check_eq!(irq::register(line, || (), "nowhere").map(drop), Err(IrqError::NoSuchLine));
    }
    check_eq!(vector_of("nowhere"), None);
    Ok(())
}

fn vectors_run_out_and_come_back() -> Outcome {
    if !has_apic() {
        return Ok(());
    }
    for _ in 0..2 {
        let mut lines = Vec::with_capacity(256);
        let error = loop {
            match irq::register(Line::Message, || (), "one of many") {
                Ok(line) => lines.push(line),
                Err(error) => break error,
            }
        };
        check_eq!(error, IrqError::NoVector);
        check!(lines.len() > 100 && lines.len() <= DEVICE_VECTORS.len(), "{} vectors could be had", lines.len());
    }
    Ok(())
}
