//! The other processors: starting them all at once, and asking them for things.
//!
//! Starting: SDM volume 3 section 11.4.4. Each gets an INIT and a startup IPI with the trampoline of `asm/smp.asm`, takes a slot
//! out of a table there, and comes to [`smp_main`] on the slot's stack. A slot is whose it was taken by, for good. One that does
//! not come in time is left out; should it come later, it finds an empty table and halts.

use super::apic;
use super::areas::OutOfMemory;
use super::gdt::EXCEPTION_STACKS;
use super::percpu::{self, MAX_CPUS, PerCpu};
use super::stacks::KernelStack;
use super::{clock, cpu, direct, frames, heap, ipi, irq, paging, startup, timer, tsc_sync};
use alloc::boxed::Box;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use core::time::Duration;
use logic::boot::BootInfo;
use logic::boot::memory_map::MemoryKind;
use logic::mem::OutOfFrames;
use spin::Once;
use x86_64::PhysAddr;
use x86_64::instructions::interrupts;
use x86_64::registers::model_specific::Efer;

/// Where the trampoline goes if that page is memory; else to another one below this limit.
const FAVOURITE_PAGE: u64 = 0x8000;
const PAGE: u64 = 4096;
/// The BIOS's own data at the bottom, and its extended data and video memory at the top, are left alone.
const TRAMPOLINE_PAGES: core::ops::Range<u64> = 0x1000..0x80000;

/// How long processors that were started have time to come. Under emulation 32 of them share a host's two.
const PATIENCE: Duration = Duration::from_secs(2);
/// After this, those that have not come get a second startup IPI, as the SDM has it.
const SECOND_STARTUP: Duration = Duration::from_micros(200);
/// How long counters are compared closely; a real machine needs a millisecond or two. Where it does not suffice, they are so slow
/// to answer that a rough comparison says as much.
const COMPARING: Duration = Duration::from_millis(20);
/// Old processors need a rest between INIT and startup IPI.
const INIT_REST: Duration = Duration::from_millis(10);

/// `parameter_tables` and what follows in `asm/smp.asm`.
#[repr(C, packed)]
struct Parameters {
    tables: u32,
    efer: u32,
    entry: u32,
    entry_selector: u16,
    gdt_limit: u16,
    gdt: u32,
}

unsafe extern "C" {
    static smp_trampoline: u8;
    static smp_trampoline_end: u8;
    static smp_parameters: u8;
    /// First words of the slots that wait for processors.
    static smp_slots: [AtomicPtr<u64>; MAX_CPUS];
}

/// What waits for one processor.
#[repr(C)]
struct Slot {
    /// The upper end of `stack`: `asm/smp.asm` reads it.
    stack_top: u64,
    stack: KernelStack,
    exception_stacks: [KernelStack; EXCEPTION_STACKS],
    cpu: PerCpu,
}

const _: () = assert!(offset_of!(Slot, stack_top) == 0 && MAX_CPUS == 256, "as in asm/smp.asm");

/// What a processor does when it is set up. Does not return.
static MAIN: Once<fn() -> !> = Once::new();
/// Processors that have come to [`smp_main`], since power-on.
static ARRIVED: AtomicUsize = AtomicUsize::new(0);

/// What became of the processors that were to be started.
pub struct Outcome {
    /// APIC ids of those that did not answer.
    pub silent: Vec<u32>,
    /// Those for which there was no memory or no room.
    pub left_out: usize,
}

/// Starts the processors with the local APIC ids `ids`, none of which runs, and has each run `main`, which is the same
/// function in every call.
///
/// # Errors
/// [`OutOfFrames`] if not even the trampoline could be set up.
pub fn start(info: &BootInfo, ids: &[u32], main: fn() -> !) -> Result<Outcome, OutOfFrames> {
    MAIN.call_once(|| main);
    let mut outcome = Outcome { silent: Vec::new(), left_out: 0 };
    if ids.is_empty() {
        return Ok(outcome);
    }
    outcome.silent.try_reserve(ids.len()).map_err(|_| OutOfFrames)?;
    // Before the slots, which take what there is.
    let page = prepare_trampoline(info)?;
    let arrived_before = ARRIVED.load(Ordering::Acquire);
    let ids_left = &ids[..offer_slots(ids.len())];
    outcome.left_out = ids.len() - ids_left.len();

    for id in ids_left {
        apic::send_init(*id);
    }
    if needs_rest_after_init() {
        busy_wait(INIT_REST);
    }
    let started = clock::now();
    for id in ids_left {
        apic::send_startup(*id, page);
    }
    let all_here = || ARRIVED.load(Ordering::Acquire) - arrived_before >= ids_left.len();
    let wait = |time: Duration| {
        while !all_here() && clock::now().since(started) < time {
            core::hint::spin_loop();
        }
    };
    wait(SECOND_STARTUP);
    let missing = |id: &&u32| !percpu::all().any(|cpu| cpu.apic_id() == **id);
    for id in ids_left.iter().filter(missing) {
        apic::send_startup(*id, page);
    }
    wait(PATIENCE);
    outcome.silent.extend(ids_left.iter().filter(missing));
    withdraw_slots();
    admit(ids_left);
    Ok(outcome)
}

/// Compares the counters of those with the local APIC ids `ids` that have come with this processor's, the boot processor's as long
/// as no other runs threads, and only then lets them run any, so that nobody is told a time that the clock has to take back. They
/// sleep meanwhile: who waits busily takes time from the others where emulated processors share few real ones.
fn admit(ids: &[u32]) {
    // Who comes from here on is too late.
    let mut new = ArrayVec::<&PerCpu, MAX_CPUS>::new();
    new.extend(percpu::all().filter(|cpu| !cpu.is_admitted() && ids.contains(&cpu.apic_id())));
    let is_wanted = |number| new.iter().any(|cpu| cpu.number() == number);
    let rough = tsc_sync::exchange_with_all(is_wanted);
    let begun = clock::now();
    for cpu in &new {
        let mut exchanges = ArrayVec::<_, { tsc_sync::ROUNDS + 1 }>::new();
        if clock::now().since(begun) < COMPARING {
            exchanges.extend(tsc_sync::exchange_with(cpu.number(), &cpu::tsc));
        }
        exchanges.push(rough(cpu.number()));
        match clock::judge_cpu(cpu.number(), &exchanges) {
            Some(skew) => log::debug!("processor {}: APIC id {}, TSC {skew}", cpu.number(), cpu.apic_id()),
            None => log::debug!("processor {}: APIC id {}", cpu.number(), cpu.apic_id()),
        }
    }
    ipi::call_others(is_wanted, &|| percpu::current().admit());
}

/// Puts out slots for up to `most` processors; answers how many there are. They take at most half of the memory that is free:
/// more processors are of no use if there is nothing left for what they are to run.
fn offer_slots(most: usize) -> usize {
    let room = MAX_CPUS.saturating_sub(percpu::count());
    let reserve = frames::free_frames() / 2;
    let mut offered = 0;
    for place in slots().iter().take(most.min(room)) {
        let Ok(slot) = Slot::new() else { break };
        // The last one must not be the one too many.
        if frames::free_frames() < reserve {
            break;
        }
        place.store(Box::into_raw(slot).cast(), Ordering::Release);
        offered += 1;
    }
    offered
}

/// Gives back the slots that nobody has taken. Who has taken one is here or on its way.
fn withdraw_slots() {
    for place in slots() {
        let slot = place.swap(ptr::null_mut(), Ordering::AcqRel).cast::<Slot>();
        if !slot.is_null() {
            // SAFETY: it came from `Box::into_raw`, and being taken out of the table by this exchange, it is nobody else's.
            drop(unsafe { Box::from_raw(slot) });
        }
    }
}

fn slots() -> &'static [AtomicPtr<u64>; MAX_CPUS] {
    // SAFETY: the table in `asm/smp.asm`, made to be shared between processors; zeros are null pointers.
    unsafe { &smp_slots }
}

impl Slot {
    fn new() -> Result<Box<Self>, OutOfMemory> {
        heap::ensure(size_of::<Self>())?;
        let exception_stacks = [KernelStack::new()?, KernelStack::new()?, KernelStack::new()?, KernelStack::new()?];
        let stack = KernelStack::new()?;
        Ok(Box::new(Self { stack_top: stack.top().as_u64(), stack, exception_stacks, cpu: PerCpu::new() }))
    }
}

/// Puts the trampoline in place, with page tables that map it at its own address beside the kernel; answers the page's number.
fn prepare_trampoline(info: &BootInfo) -> Result<u8, OutOfFrames> {
    static PREPARED: Once<u8> = Once::new();
    PREPARED
        .try_call_once(|| {
            let page = trampoline_page(info).ok_or(OutOfFrames)?;
            let tables = paging::trampoline_tables(page)?;
            let (start, end) = (&raw const smp_trampoline, &raw const smp_trampoline_end);
            let length = end.addr() - start.addr();
            let target = direct(page).ok_or(OutOfFrames)?.as_mut_ptr::<u8>();
            // SAFETY: the page is memory that the kernel gave to nobody else, mapped writable in the direct map; the code is
            // smaller than a page, and lies elsewhere.
            unsafe { ptr::copy_nonoverlapping(start, target, length) };
            let offset = (&raw const smp_parameters).addr() - start.addr();
            // SAFETY: the parameters lie within what was just copied.
            let parameters = unsafe { target.add(offset) }.cast::<Parameters>();
            // SAFETY: as above; the structure is packed, and any bytes are one.
            let mut words = unsafe { parameters.read_unaligned() };
            // The page lies below 1 MiB, the tables below 4 GiB.
            let base = page.as_u64() as u32;
            words.tables = tables.start_address().as_u64() as u32;
            // Bits 8 and 11 as the boot processor has them; LMA, bit 10, is the processor's to set.
            words.efer = (Efer::read_raw() & 0x900) as u32;
            words.entry += base;
            words.gdt += base;
            // SAFETY: as for the read.
            unsafe { parameters.write_unaligned(words) };
            Ok((base / PAGE as u32) as u8)
        })
        .copied()
}

/// A page below 1 MiB that is memory.
fn trampoline_page(info: &BootInfo) -> Option<PhysAddr> {
    let pages = TRAMPOLINE_PAGES.step_by(PAGE as usize);
    let is_memory = |page: &u64| info.memory.is_all(&(*page..*page + PAGE), MemoryKind::LowMemory);
    core::iter::once(FAVOURITE_PAGE).chain(pages).find(is_memory).map(PhysAddr::new)
}

/// Called by `asm/smp.asm` on the stack of the slot that it took out of the table.
#[unsafe(no_mangle)]
extern "C" fn smp_main(slot: *const Slot) -> ! {
    // SAFETY: `offer_slots` made it, and taken out of the table it is this processor's for ever.
    let slot: &'static Slot = unsafe { &*slot };
    let cpu = &slot.cpu;
    paging::enter();
    let exception_stacks = slot.exception_stacks.each_ref().map(KernelStack::top);
    startup::further_cpu(cpu, slot.stack.bottom()..slot.stack.top(), exception_stacks);
    irq::init_this_cpu();
    cpu.set_apic_id(apic::id());
    percpu::publish(cpu);
    ipi::joined();
    timer::init_this_cpu();
    ARRIVED.fetch_add(1, Ordering::AcqRel);
    // Who comes too late for `admit` stays here, and answers calls.
    while !cpu.is_admitted() {
        interrupts::enable_and_hlt();
        interrupts::disable();
    }
    match MAIN.get() {
        Some(main) => main(),
        None => cpu::halt(),
    }
}

/// Whether the processors are of a kind that must rest between INIT and startup IPI: neither Intel's family 6 nor AMD's 15 and later.
fn needs_rest_after_init() -> bool {
    let identity = cpu::identity();
    let family = identity.get_feature_info().map_or(0, |info| info.family_id());
    match identity.get_vendor_info().as_ref().map(|vendor| vendor.as_str()) {
        Some("GenuineIntel") => family != 6,
        Some("AuthenticAMD" | "HygonGenuine") => family < 15,
        _ => true,
    }
}

fn busy_wait(time: Duration) {
    let started = clock::now();
    while clock::now().since(started) < time {
        core::hint::spin_loop();
    }
}
