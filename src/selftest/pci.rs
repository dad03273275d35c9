//! Tests of PCI: what is found, who may have it, and that interrupts arrive by each means.
//!
//! Two devices of QEMU's raise interrupts when told to: `edu` (docs/specs/edu.rst) by MSI or a pin, `e1000e` (82574 data sheet,
//! section 10.2.4) by MSI-X. Without them, their tests say `skipped` and pass.

use super::tools::{eventually, here, processors};
use super::{Outcome, Test};
use crate::drivers::pci::device::{Device, PciError};
use crate::drivers::pci::interrupt::{Interrupt, Means};
use crate::drivers::pci::{extended, functions, is_extended, take};
use crate::hw::irq::Verdict;
use crate::hw::mmio::Registers;
use crate::proc::sleep;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use core::time::Duration;
use logic::bus::pci::Function;

/// All of them.
pub const TESTS: &[Test] = &[
    Test { name: "pci-functions", run: the_host_bridge_is_found },
    Test { name: "pci-handles", run: each_function_has_one_driver_at_a_time },
    Test { name: "pci-extended", run: extended_configuration_space_is_read },
    Test { name: "pci-msi", run: messages_arrive },
    Test { name: "pci-pin", run: pins_arrive },
    Test { name: "pci-msix", run: messages_of_a_table_arrive },
];

/// The command register, and its bit that lets a function at memory.
const COMMAND: u16 = 0x04;
const BUS_MASTER: u32 = 1 << 2;

const EDU: (u16, u16) = (0x1234, 0x11e8);
const EDU_STATUS: usize = 0x24;
const EDU_RAISE: usize = 0x60;
const EDU_ACKNOWLEDGE: usize = 0x64;

const E1000E: (u16, u16) = (0x8086, 0x10d3);
const CAUSE: usize = 0xc0;
const CAUSE_SET: usize = 0xc8;
const MASK_SET: usize = 0xd0;
const MASK_CLEAR: usize = 0xd8;
const VECTORS: usize = 0xe4;
/// The causes "link status changed" and, with MSI-X, "other".
const LINK: u32 = 1 << 2;
const OTHER: u32 = 1 << 24;

/// Where on the machine nothing is left but to wait, for what should not come.
const QUIET: Duration = Duration::from_millis(20);

/// Maps what the tests use: mappings are for good, and no test is to be blamed for the page tables.
pub fn prepare() {
    for wanted in [EDU, E1000E] {
        if let Some(device) = find(wanted).and_then(|function| take(function.address)) {
            device.function().bars.iter().for_each(|bar| {
                // What cannot be mapped is a test's to tell.
                let _ = device.memory(bar.index);
            });
        }
    }
}

fn find((vendor, device): (u16, u16)) -> Option<&'static Function> {
    functions().find(|function| (function.vendor, function.device) == (vendor, device))
}

/// The wanted device, or a line that says which test does without.
fn take_or_skip(wanted: (u16, u16), test: &str) -> Result<Option<Device>, String> {
    let Some(function) = find(wanted) else {
        log::info!("skipped: {test}, for want of a device");
        return Ok(None);
    };
    let device = take(function.address).ok_or_else(|| format!("{} is taken", function.address))?;
    Ok(Some(device))
}

fn text(error: PciError) -> String {
    error.to_string()
}

fn the_host_bridge_is_found() -> Outcome {
    let Some(first) = functions().next() else {
        log::info!("skipped: pci-functions, for want of PCI");
        return Ok(());
    };
    check_eq!(first.address.to_string(), "0000:00:00.0");
    check!(first.class.is_host_bridge(), "the first function is a {}", first.class);
    let is_sorted = functions().map(|function| function.address).is_sorted_by(|before, after| before < after);
    check!(is_sorted, "the list is not sorted, or has a function twice");
    Ok(())
}

fn each_function_has_one_driver_at_a_time() -> Outcome {
    for function in functions() {
        if function.class.is_bridge() || function.class.is_display() {
            check_eq!(take(function.address).is_some(), function.class.is_display());
            continue;
        }
        let mut device = take(function.address).ok_or_else(|| format!("{function} cannot be taken"))?;
        check!(take(function.address).is_none(), "{function} is taken twice");
        check_eq!(device.function().address, function.address);
        check_eq!(device.read(0), u32::from(function.device) << 16 | u32::from(function.vendor));
        let is_master = |device: &Device| device.read(COMMAND) & BUS_MASTER != 0;
        check!(!is_master(&device), "{function} is at memory unasked");
        if function.pin.is_some() || function.msi.is_some() {
            device.set_bus_master(true);
            check!(is_master(&device), "{function} is not let at memory");
        }
        device.set_bus_master(false);
        check!(!is_master(&device), "{function} stays at memory");
        for index in 0..=u8::MAX {
            let has = function.bar(index).is_some_and(|bar| bar.is_memory());
            check!(has || device.memory(index).is_err(), "{function} has memory {index} out of nothing");
        }
        drop(device);
        check!(take(function.address).is_some(), "{function} does not come back");
    }
    Ok(())
}

/// The 82574 has "advanced error reporting" (1) there.
fn extended_configuration_space_is_read() -> Outcome {
    // Other buses would have to be mapped first, for good.
    let on_first_bus = |function: &&Function| is_extended(function) && function.address.bus() == 0;
    let Some(function) = find(E1000E).filter(on_first_bus) else {
        log::info!("skipped: pci-extended, for want of a device");
        return Ok(());
    };
    let list = extended(function).map_err(|error| format!("{error:?}"))?;
    check!(list.iter().any(|capability| capability.id == 1), "{function} has but {list:?}");
    Ok(())
}

/// What handlers tell.
#[derive(Default)]
struct Calls {
    count: AtomicUsize,
    cpu: AtomicUsize,
}

/// Has `device` call a handler that tells of its calls, after `was_mine` has calmed the device; by the best means if by `None`.
fn handle(
    device: &mut Device,
    (means, index, cpu): (Option<Means>, u16, usize),
    was_mine: impl Fn() -> bool + Send + Sync + 'static,
) -> Result<(Interrupt, Arc<Calls>), String> {
    let calls = Arc::new(Calls::default());
    let told = calls.clone();
    let handler = move || {
        if !was_mine() {
            return Verdict::NotMine;
        }
        told.cpu.store(here(), SeqCst);
        told.count.fetch_add(1, SeqCst);
        Verdict::Mine
    };
    let interrupt = match means {
        Some(means) => device.interrupt_by(means, index, cpu, handler, "test"),
        None => device.interrupt(index, cpu, handler, "test"),
    };
    Ok((interrupt.map_err(text)?, calls))
}

/// Raises three interrupts, one after the other, each of which must arrive once.
fn expect_calls(calls: &Calls, raise: impl Fn()) -> Outcome {
    for count in 1..=3 {
        raise();
        check!(eventually(|| calls.count.load(SeqCst) >= count), "interrupt {count} does not arrive");
    }
    expect_no_more(calls, "have been raised")
}

/// Nothing comes beyond the three.
fn expect_no_more(calls: &Calls, when: &str) -> Outcome {
    sleep(QUIET);
    let count = calls.count.load(SeqCst);
    check!(count == 3, "{count} interrupts when 3 {when}");
    Ok(())
}

fn edu_was_it(registers: &Registers) -> bool {
    let status = registers.read_u32(EDU_STATUS);
    registers.write_u32(EDU_ACKNOWLEDGE, status);
    status != 0
}

fn edu_interrupts(mut device: Device, means: Option<Means>, cpus: usize) -> Outcome {
    let registers = device.memory(0).map_err(text)?;
    for cpu in 0..cpus {
        let (interrupt, calls) = handle(&mut device, (means, 0, cpu), || edu_was_it(registers))?;
        check!(handle(&mut device, (means, 0, cpu), || false).is_err(), "two handlers for one interrupt");
        check!(handle(&mut device, (means, 1, cpu), || false).is_err(), "it has only one");
        expect_calls(&calls, || registers.write_u32(EDU_RAISE, 1))?;
        check_eq!(calls.cpu.load(SeqCst), cpu);
        drop(interrupt);
        registers.write_u32(EDU_RAISE, 1);
        expect_no_more(&calls, "have come and the handler has gone")?;
        edu_was_it(registers);
    }
    check!(handle(&mut device, (Some(Means::Table), 0, 0), || false).is_err(), "it has no table");
    Ok(())
}

fn messages_arrive() -> Outcome {
    let Some(device) = take_or_skip(EDU, "pci-msi")? else { return Ok(()) };
    check_eq!(device.interrupts(), 1);
    edu_interrupts(device, Some(Means::Message), processors())?;
    let device = take_or_skip(EDU, "pci-msi")?.ok_or("it is gone")?;
    edu_interrupts(device, None, 1)
}

fn pins_arrive() -> Outcome {
    let Some(device) = take_or_skip(EDU, "pci-pin")? else { return Ok(()) };
    edu_interrupts(device, Some(Means::Pin), 1)
}

fn messages_of_a_table_arrive() -> Outcome {
    let Some(mut device) = take_or_skip(E1000E, "pci-msix")? else { return Ok(()) };
    let registers = device.memory(0).map_err(text)?;
    check_eq!(device.function().bar(0).map(|bar| bar.size), Some(registers.bytes() as u64));
    let entries = device.interrupts();
    check_eq!(entries, 5);
    registers.write_u32(MASK_CLEAR, u32::MAX);
    // Causes are cleared by ones.
    let calm = || registers.write_u32(CAUSE, u32::MAX);
    calm();
    registers.write_u32(MASK_SET, LINK | OTHER);
    // Interrupts that come sooner than 128 µs after another are put off, and by QEMU raised twice.
    let raise = || {
        sleep(Duration::from_millis(1));
        registers.write_u32(CAUSE_SET, LINK);
    };
    let calm = move || {
        registers.write_u32(CAUSE, u32::MAX);
        true
    };
    for index in 0..entries {
        let cpu = usize::from(index) % processors();
        // The cause "other" goes to the entry in bits 16 to 18, and is valid by bit 19.
        registers.write_u32(VECTORS, (8 | u32::from(index)) << 16);
        let (interrupt, calls) = handle(&mut device, (None, index, cpu), calm)?;
        let (_other, others) = handle(&mut device, (Some(Means::Table), (index + 1) % entries, 0), calm)?;
        // Entry 0 was told to interrupt while held back, and does so once it is let out.
        let owed = usize::from(index + 1 == entries);
        check!(eventually(|| others.count.load(SeqCst) == owed), "what was held back does not come");
        expect_calls(&calls, raise)?;
        check_eq!(calls.cpu.load(SeqCst), cpu);
        drop(interrupt);
        raise();
        expect_no_more(&calls, "have come and the handler has gone")?;
        calm();
        check_eq!(others.count.load(SeqCst), owed);
    }
    registers.write_u32(MASK_CLEAR, u32::MAX);
    Ok(())
}
