//! Exceptions arrive with the right number, error code and address, on every processor, and what was interrupted goes on.
//!
//! Not here, as they cannot be had: bound range (not in 64-bit mode), invalid TSS (no task switches), alignment check (only for
//! programs), SIMD floating-point errors (QEMU raises none); and NMIs and machine checks, which are hardware failures and end in a
//! panic (tests/machine/faults.rs has them).

use super::{Outcome, Test, on_each_cpu};
use crate::hw::attempts::{self, Attempt};
use crate::hw::fixup::Fault;
use crate::hw::inspect;
use crate::hw::program_page::{ProgramPage, Right};
use alloc::format;
use x86_64::instructions::interrupts;

const DIVIDE_ERROR: u64 = 0;
const DEBUG: u64 = 1;
const BREAKPOINT: u64 = 3;
const OVERFLOW: u64 = 4;
const INVALID_OPCODE: u64 = 6;
const DEVICE_NOT_AVAILABLE: u64 = 7;
const SEGMENT_NOT_PRESENT: u64 = 11;
const STACK_SEGMENT: u64 = 12;
const GENERAL_PROTECTION: u64 = 13;
const PAGE_FAULT: u64 = 14;
const FLOATING_POINT: u64 = 16;

/// Bits of a page fault's error code: SDM volume 3 section 4.7.
const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const FETCH: u64 = 1 << 4;

/// Just above the lower half: no processor with four levels of page tables has such an address.
const NOT_CANONICAL: u64 = 0x0000_8000_0000_0000;

/// Exceptions in a row in the last test.
const MANY: u32 = 20_000;

pub const TESTS: &[Test] = &[
    Test { name: "exceptions-divide-error", run: || each(attempts::divide_by_zero, DIVIDE_ERROR, 0) },
    Test { name: "exceptions-debug", run: || each(attempts::debug_breakpoint, DEBUG, 0) },
    Test { name: "exceptions-breakpoint", run: || each(attempts::breakpoint, BREAKPOINT, 0) },
    Test { name: "exceptions-overflow", run: || each(attempts::overflow, OVERFLOW, 0) },
    Test { name: "exceptions-invalid-opcode", run: || each(attempts::invalid_opcode, INVALID_OPCODE, 0) },
    Test {
        name: "exceptions-device-not-available",
        run: || each(attempts::floating_point_when_off, DEVICE_NOT_AVAILABLE, 0),
    },
    Test { name: "exceptions-floating-point", run: || each(attempts::floating_point_error, FLOATING_POINT, 0) },
    Test { name: "exceptions-segments", run: segments },
    Test { name: "exceptions-general-protection", run: general_protection },
    Test { name: "exceptions-page-fault", run: page_faults },
    Test { name: "exceptions-page-fault-by-running", run: page_faults_by_running },
    Test { name: "exceptions-of-smap", run: programs_memory_is_not_touched },
    Test { name: "exceptions-of-smep", run: programs_code_is_not_run },
    Test { name: "exceptions-many", run: many },
];

/// Fails unless `attempt` ends in exception `vector` with `error_code`, on every processor.
fn each(attempt: fn() -> Attempt, vector: u64, error_code: u64) -> Outcome {
    on_each_cpu(move || expect("it", attempt(), vector, error_code).map(drop))
}

fn expect(what: &str, attempt: Attempt, vector: u64, error_code: u64) -> Result<Fault, alloc::string::String> {
    check!(interrupts::are_enabled(), "{what} left interrupts off");
    let Err(fault) = attempt else { return Err(format!("{what} raised no exception")) };
    check!(
        (fault.vector, fault.error_code) == (vector, error_code),
        "{what} raised exception {} with code {:#x}, not {vector} with {error_code:#x}",
        fault.vector,
        fault.error_code
    );
    Ok(fault)
}

fn expect_page_fault(what: &str, attempt: Attempt, error_code: u64, address: u64) -> Outcome {
    let fault = expect(what, attempt, PAGE_FAULT, error_code)?;
    check!(fault.address == address, "{what} faulted at {:#x}, not {address:#x}", fault.address);
    Ok(())
}

fn segments() -> Outcome {
    on_each_cpu(|| {
        let (attempt, selector) = attempts::load_absent_segment();
        expect("loading DS with an absent segment", attempt, SEGMENT_NOT_PRESENT, selector.into())?;
        let (attempt, selector) = attempts::load_absent_stack_segment();
        expect("loading SS with an absent segment", attempt, STACK_SEGMENT, selector.into())?;
        // Bit 1: the error is in the interrupt table. QEMU up to 7 gives 16 bytes for each entry where the SDM has 8.
        let attempt = attempts::call_empty_gate();
        let code = attempt.err().map(|fault| (fault.vector, fault.error_code));
        let wanted = [15 << 3 | 0b10, 15 << 4 | 0b10].map(|code| Some((SEGMENT_NOT_PRESENT, code)));
        check!(wanted.contains(&code), "calling an empty gate ended in {code:x?}");
        Ok(())
    })
}

fn general_protection() -> Outcome {
    on_each_cpu(|| {
        for (what, attempt, error_code) in [
            ("reading an address that is not canonical", attempts::read(NOT_CANONICAL), 0),
            ("writing to an address that is not canonical", attempts::write(NOT_CANONICAL), 0),
            ("loading a selector beyond the table", attempts::load_selector_beyond_table(), 0xfff8),
        ] {
            expect(what, attempt, GENERAL_PROTECTION, error_code)?;
        }
        let (attempt, selector) = attempts::load_local_table_of_data();
        expect("loading data as the local table", attempt, GENERAL_PROTECTION, selector.into())?;
        let (attempt, selector) = attempts::load_busy_task();
        expect("loading the busy task", attempt, GENERAL_PROTECTION, selector.into()).map(drop)
    })
}

fn page_faults() -> Outcome {
    on_each_cpu(|| {
        for address in [0, 8, 0xfff, 0x7fff_ffff_f123, 0xffff_ff80_0000_0456, u64::MAX] {
            expect_page_fault("reading nothing", attempts::read(address), 0, address)?;
        }
        expect_page_fault("writing to nothing", attempts::write_null(), WRITE, 0)?;
        let (attempt, address) = attempts::write_code();
        expect_page_fault("writing to code", attempt, PRESENT | WRITE, address)?;
        let (attempt, address) = attempts::write_constant();
        expect_page_fault("writing to a constant", attempt, PRESENT | WRITE, address)
    })
}

/// Whether a protection is on.
fn is_on(wanted: &str) -> bool {
    inspect::protections().iter().any(|(name, _, on)| *name == wanted && *on)
}

/// With SMAP the kernel cannot read or write what is a program's; without it, it can, which shows that the page was there.
fn programs_memory_is_not_touched() -> Outcome {
    let page = ProgramPage::new(Right::Write).map_err(|error| format!("no page: {error:?}"))?;
    let address = page.address();
    on_each_cpu(move || {
        if is_on("SMAP") {
            expect_page_fault("reading a program's memory", attempts::read(address), PRESENT, address)?;
            return expect_page_fault("writing to it", attempts::write(address), PRESENT | WRITE, address);
        }
        check_eq!(attempts::read(address), Ok(()));
        check_eq!(attempts::write(address), Ok(()));
        Ok(())
    })
}

/// The same for SMEP and running.
fn programs_code_is_not_run() -> Outcome {
    let page = ProgramPage::new(Right::Run).map_err(|error| format!("no page: {error:?}"))?;
    let (page, address) = (&page, page.address());
    if is_on("SMEP") {
        return expect_page_fault("running a program's code", page.run(), PRESENT | FETCH, address);
    }
    check_eq!(page.run(), Ok(()));
    Ok(())
}

fn page_faults_by_running() -> Outcome {
    on_each_cpu(|| {
        // The processor tells of fetches only if it can forbid some: SDM volume 3 section 4.7.
        let fetch = if is_on("NX") || is_on("SMEP") { FETCH } else { 0 };
        expect_page_fault("running nothing", attempts::run_null(), fetch, 0)?;
        let (attempt, address) = attempts::run_data();
        if is_on("NX") {
            return expect_page_fault("running data", attempt, PRESENT | fetch, address);
        }
        check_eq!(attempt, Ok(()));
        Ok(())
    })
}

/// Exceptions on all processors at once, among interrupts and switches.
fn many() -> Outcome {
    super::on_all_cpus(|| {
        for _ in 0..MANY {
            expect("it", attempts::breakpoint(), BREAKPOINT, 0)?;
            expect_page_fault("reading nothing", attempts::read(0x1234), 0, 0x1234)?;
        }
        Ok(())
    })
}
