//! The kernel's page tables and protections are what they should be: nothing both writable and executable, nothing in the lower
//! half, every part of the image as linker.ld has it, device memory uncached.

use super::{INFO, Outcome, Test, on_each_cpu};
use crate::hw::inspect::{self, REGIONS};
use crate::hw::paging::{self, Caching, Run};
use logic::display::{Display, TEXT_MEMORY};
use logic::mem::page_table::PAGE_ATTRIBUTES;
use x86_64::VirtAddr;

const PAGE: u64 = 4096;

pub const TESTS: &[Test] = &[
    Test { name: "mappings-protections", run: protections },
    Test { name: "mappings-nothing-writable-runs", run: nothing_writable_runs },
    Test { name: "mappings-kernel-half-only", run: kernel_half_only },
    Test { name: "mappings-image", run: image },
    Test { name: "mappings-image-in-direct-map", run: image_in_direct_map },
    Test { name: "mappings-start-up-memory-is-gone", run: start_up_memory_is_gone },
    Test { name: "mappings-all-memory-in-direct-map", run: all_memory_in_direct_map },
    Test { name: "mappings-caching", run: caching },
    Test { name: "mappings-display-combines-writes", run: display_combines_writes },
];

fn protections() -> Outcome {
    on_each_cpu(|| {
        for (name, has, on) in inspect::protections() {
            check!(
                has == on,
                "{name} is {}, but the processor {}",
                words(on, "on", "off"),
                words(has, "has it", "lacks it")
            );
        }
        if let Some(attributes) = inspect::page_attributes() {
            check!(attributes == PAGE_ATTRIBUTES, "the page attributes are {attributes:#x}");
        }
        Ok(())
    })
}

fn words(condition: bool, yes: &'static str, no: &'static str) -> &'static str {
    if condition { yes } else { no }
}

fn can_forbid_execution() -> bool {
    inspect::protections().iter().any(|(name, _, on)| *name == "NX" && *on)
}

/// The first run that `is_wrong`. The tables are locked meanwhile: nothing may be allocated.
fn first_run(mut is_wrong: impl FnMut(&Run) -> bool) -> Option<Run> {
    let mut found = None;
    paging::walk(|run| {
        if found.is_none() && is_wrong(run) {
            found = Some(*run);
        }
    });
    found
}

fn none(what: &str, run: Option<Run>) -> Outcome {
    check!(run.is_none(), "{what}: {}", run.map_or_else(alloc::string::String::new, |run| alloc::format!("{run}")));
    Ok(())
}

fn nothing_writable_runs() -> Outcome {
    if !can_forbid_execution() {
        log::info!("  the processor cannot forbid execution");
        return Ok(());
    }
    let [text, ..] = inspect::sections();
    none("writable and executable", first_run(|run| run.mapping.is_writable() && run.mapping.is_executable()))?;
    none(
        "executable, but no code",
        first_run(|run| {
            let is_code = text.range.contains(&run.start.as_u64()) && text.range.contains(&run.last().as_u64());
            run.mapping.is_executable() && !is_code
        }),
    )
}

fn kernel_half_only() -> Outcome {
    check!(paging::translate(VirtAddr::zero()).is_none(), "address 0 is mapped");
    none("in the lower half", first_run(|run| run.start.as_u64() < 1 << 63))?;
    none("open to programs", first_run(|run| run.mapping.is_user()))?;
    none("not global", first_run(|run| !run.mapping.is_global()))?;
    let sections = inspect::sections();
    let known = |address: u64| {
        let mut ranges = REGIONS.iter().chain(sections.iter().map(|section| &section.range));
        ranges.any(|range| range.contains(&address))
    };
    none("of unknown use", first_run(|run| !known(run.start.as_u64()) || !known(run.last().as_u64())))
}

fn image() -> Outcome {
    let sections = inspect::sections();
    let base = 0xffff_ffff_8000_0000;
    for section in &sections {
        for address in section.range.clone().step_by(PAGE as usize) {
            let Some(found) = paging::translate(VirtAddr::new(address)) else {
                return Err(alloc::format!("{address:#x} of {} is not mapped", section.name));
            };
            let mapping = found.mapping;
            let runs = section.executable || !can_forbid_execution();
            check!(
                (mapping.is_writable(), mapping.is_executable()) == (section.writable, runs),
                "{address:#x} of {} is mapped as {mapping:?}",
                section.name
            );
            check!(found.address.as_u64() == address - base, "{address:#x} leads to {:#x}", found.address);
        }
    }
    let [.., bss] = &sections;
    for (what, address) in [("the page before the image", base), ("the page behind the image", bss.range.end)] {
        check!(paging::translate(VirtAddr::new(address)).is_none(), "{what} is mapped");
    }
    Ok(())
}

fn image_in_direct_map() -> Outcome {
    let [text, rodata, ..] = inspect::sections();
    for address in [text, rodata].into_iter().flat_map(|section| section.range.step_by(PAGE as usize)) {
        let physical = paging::translate(VirtAddr::new(address)).map(|found| found.address.as_u64());
        let alias = physical.map(inspect::direct).and_then(|alias| paging::translate(VirtAddr::new(alias)));
        let Some(alias) = alias else { return Err(alloc::format!("{address:#x} is not in the direct map")) };
        check!(!alias.mapping.is_writable(), "{address:#x} is writable in the direct map");
    }
    Ok(())
}

fn start_up_memory_is_gone() -> Outcome {
    for address in inspect::start_up_memory().into_iter().flat_map(|range| range.step_by(PAGE as usize)) {
        check!(paging::translate(VirtAddr::new(address)).is_none(), "{address:#x} is still mapped");
    }
    Ok(())
}

fn all_memory_in_direct_map() -> Outcome {
    let Some(info) = INFO.get() else { return Ok(()) };
    for region in info.memory.regions() {
        for physical in [region.start, region.start.midpoint(region.end), region.end - 1] {
            let found = paging::translate(VirtAddr::new(inspect::direct(physical)));
            let found = found.map(|found| found.address.as_u64());
            let wanted = region.kind.is_ram().then_some(physical);
            check!(found == wanted, "{physical:#x}, {}, is in the direct map as {found:x?}", region.kind);
        }
    }
    Ok(())
}

fn caching() -> Outcome {
    let Some(info) = INFO.get() else { return Ok(()) };
    let is_ram = |run: &Run| {
        let start = run.physical.as_u64();
        let mut regions = info.memory.regions().iter().filter(|region| region.kind.is_ram());
        regions.any(|region| region.start < start + run.bytes && start < region.end)
    };
    none("memory that is not cached", first_run(|run| is_ram(run) && run.mapping.caching != Caching::WriteBack))?;
    none("device memory that is cached", first_run(|run| !is_ram(run) && run.mapping.caching == Caching::WriteBack))
}

fn display_combines_writes() -> Outcome {
    let Some(info) = INFO.get() else { return Ok(()) };
    let address = match info.display {
        Display::Framebuffer(framebuffer) => framebuffer.address,
        Display::Text { .. } => TEXT_MEMORY,
        Display::None => return Ok(()),
    };
    let shows = |run: &Run| (run.physical.as_u64()..run.physical.as_u64() + run.bytes).contains(&address);
    let combines = |run: &Run| run.mapping.caching == Caching::WriteCombining;
    check!(first_run(|run| shows(run) && combines(run)).is_some(), "the display at {address:#x} is not mapped so");
    none("the display, mapped otherwise", first_run(|run| shows(run) && !combines(run)))
}
