//! `memory`, `address`, `x`: memory, who has it, and what is in it.

use super::context::{self, Address, Complaint, Context, Outcome, complain};
use super::unknown;
use crate::hw::peek::{self, Refusal};
use crate::hw::{self, backtrace, frames, heap, stacks};
use core::fmt::Write;
use logic::backtrace::Frame;
use logic::boot::MemoryKind;
use logic::boot::memory_map::Region;
use logic::mem::frames::Zone;
use logic::mem::page_table::PageSize;
use logic::monitor::hex::{HexLine, LINE_BYTES};
use x86_64::VirtAddr;

/// What `memory` shows in detail.
pub const PARTS: &[&str] = &["map", "frames", "heap", "tables"];

/// Bytes that `x` shows.
const USUAL_BYTES: u64 = 64;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Shows memory in numbers, or a part in detail.
pub fn memory(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    match arguments {
        [] => summary(context),
        ["map"] => map(context),
        ["frames"] => frames(context),
        ["heap"] => heap_use(context),
        ["tables"] => tables(context),
        [part] => Err(unknown("part of memory", part, PARTS.iter().copied(), "help memory")),
        _ => Err(Complaint::Usage),
    }
}

fn summary(context: &mut Context<'_>) -> Outcome {
    let memory = &context.info.memory;
    writeln!(
        context,
        "RAM        {:>8} MiB, {} MiB of it usable",
        memory.ram_bytes() / MIB,
        memory.usable_bytes() / MIB
    )?;
    writeln!(context, "kernel     {:>8} KiB", hw::boot::image_bytes() / KIB)?;
    context.needs_locks()?;
    writeln!(context, "heap       {:>8} KiB", heap::size() / KIB)?;
    writeln!(context, "free       {:>8} KiB", frames::free_frames() * frames::FRAME_BYTES / KIB)?;
    Ok(())
}

fn map(context: &mut Context<'_>) -> Outcome {
    for Region { start, end, kind } in context.info.memory.regions() {
        writeln!(context, "{start:#014x}-{:#014x} {:>10} KiB  {kind}", end - 1, (end - start) / KIB)?;
    }
    Ok(())
}

fn frames(context: &mut Context<'_>) -> Outcome {
    context.needs_locks()?;
    let statistics = frames::statistics();
    write!(context, "zone    frames     free  blocks of")?;
    (0..logic::mem::frames::ORDERS).try_for_each(|order| write!(context, "{:>5}", 1 << order))?;
    writeln!(context)?;
    for (zone, name) in Zone::ALL.into_iter().zip(["<4 GiB", "rest"]) {
        let Some(numbers) = statistics.zones.get(zone as usize) else { continue };
        write!(context, "{name:<6}{:>8} {:>8}           ", numbers.total, numbers.free)?;
        numbers.blocks.iter().try_for_each(|count| write!(context, "{count:>5}"))?;
        writeln!(context)?;
    }
    writeln!(
        context,
        "{} frames hold records, {} will; {} of {} sections of {} MiB are in use",
        statistics.records,
        statistics.records_to_come,
        statistics.awake,
        statistics.sections,
        statistics.section_bytes / MIB
    )?;
    Ok(())
}

fn heap_use(context: &mut Context<'_>) -> Outcome {
    context.needs_locks()?;
    writeln!(context, "the heap has {} KiB; it grows as it must and does not shrink", heap::size() / KIB)?;
    writeln!(context, "stacks take {} KiB each, in areas of their own", stacks::STACK_BYTES / KIB)?;
    Ok(())
}

fn tables(context: &mut Context<'_>) -> Outcome {
    let mut outcome = Ok(());
    // Once whoever reads has seen enough, the rest goes by unseen.
    peek::walk(|run| outcome = outcome.and_then(|()| writeln!(context, "{run}")));
    Ok(outcome?)
}

/// Tells what an address is.
pub fn address(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    let [word] = arguments else { return Err(Complaint::Usage) };
    match context::address(word)? {
        Address::Physical(physical) => tell_physical(context, physical),
        Address::Virtual(address) => tell_virtual(context, address),
    }
}

fn tell_virtual(context: &mut Context<'_>, address: u64) -> Outcome {
    let Ok(virtual_address) = VirtAddr::try_new(address) else { complain!("{}", Refusal::NotCanonical(address)) };
    writeln!(context, "{address:#x} is in the {}", hw::purpose(address))?;
    if context.panicking.is_none()
        && let Some(place) = hw::areas::describe(virtual_address)
    {
        writeln!(context, "  it belongs to {place}")?;
    }
    if let Some((name, offset)) = backtrace::symbol(Frame::Interrupted(address)) {
        writeln!(context, "  code of {name}+{offset:#x}")?;
    }
    let Some(translation) = peek::translate(virtual_address) else {
        writeln!(context, "  nothing is mapped there")?;
        return Ok(());
    };
    let may = |holds: bool, letter: char| if holds { letter } else { '-' };
    let mapping = translation.mapping;
    writeln!(
        context,
        "  mapped to p:{:#x} as r{}{}{}{}, in a page of {}, {:?}",
        translation.address,
        may(mapping.is_writable(), 'w'),
        may(mapping.is_executable(), 'x'),
        may(mapping.is_user(), 'u'),
        may(mapping.is_global(), 'g'),
        match translation.page_size {
            PageSize::Small => "4 KiB",
            PageSize::Large => "2 MiB",
            PageSize::Huge => "1 GiB",
        },
        mapping.caching
    )?;
    tell_physical(context, translation.address.as_u64())
}

fn tell_physical(context: &mut Context<'_>, address: u64) -> Outcome {
    let regions = context.info.memory.regions();
    let kind = regions.iter().find(|region| (region.start..region.end).contains(&address)).map(|region| region.kind);
    match kind {
        Some(kind) => writeln!(context, "p:{address:#x} is {kind} by the memory map")?,
        None => writeln!(context, "p:{address:#x} is not in the memory map: a device, or nothing")?,
    }
    Ok(())
}

/// Shows memory.
pub fn examine(context: &mut Context<'_>, arguments: &[&str]) -> Outcome {
    let (word, bytes) = match arguments {
        [word] => (word, USUAL_BYTES),
        [word, bytes] => (word, context::number(bytes)?),
        _ => return Err(Complaint::Usage),
    };
    let start = context::address(word)?;
    let mut done = 0;
    while done < bytes {
        let mut buffer = [0; LINE_BYTES];
        let wanted = usize::try_from(bytes - done).unwrap_or(LINE_BYTES).min(LINE_BYTES);
        let (line, _) = buffer.split_at_mut(wanted);
        let (address, read) = match start {
            Address::Virtual(start) => {
                let address = start.checked_add(done);
                (address, address.map(|address| peek::read(address, line)))
            }
            Address::Physical(start) => {
                let address = start.checked_add(done).filter(|address| is_memory(context, *address));
                (address, address.map(|address| peek::read_physical(address, line)))
            }
        };
        let (address, count) = match (address, read, start) {
            (Some(address), Some(Ok(count)), _) => (address, count),
            (_, Some(Err(refusal)), _) => complain!("{refusal}"),
            (_, None, Address::Physical(start)) => {
                complain!("{}", Refusal::NotMemory(start.saturating_add(done)))
            }
            _ => complain!("addresses end here"),
        };
        writeln!(context, "{}", HexLine { address, bytes: line.get(..count).unwrap_or_default() })?;
        done += count as u64;
    }
    Ok(())
}

/// Whether the memory map has RAM at a physical address.
fn is_memory(context: &Context<'_>, address: u64) -> bool {
    let is_there = |region: &Region| (region.start..region.end).contains(&address);
    context.info.memory.regions().iter().any(|region| is_there(region) && MemoryKind::is_ram(region.kind))
}
