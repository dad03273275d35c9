//! Interrupts for drivers: claim a line, name a handler, drop the registration to be rid of both.
//!
//! Handlers run with interrupts off, on any processor, never two of one line at the same time. They only acknowledge, record and
//! wake: they do not allocate, do not sleep, wait for no other processor, and neither register nor drop registrations.
//!
//! [`dispatch`] never waits for what it has interrupted: the list of a vector's handlers is read-locked by whoever runs them,
//! and write-locked, with interrupts off, only for as long as one entry comes or goes. So that a handler is gone from its list
//! means that it runs nowhere.

use super::apic;
use super::ioapic::IoApics;
use super::percpu;
use super::pic::{self, Pic};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::iter;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use logic::acpi::Platform;
use logic::irq::lines::{ClaimError, LineTable, Source};
use logic::irq::routing::{
    Controller, ISA_IRQS, Mode, RedirectionEntry, gsi_mode, is_pin_at_isa_line, isa_line, may_have_pic, pic_mode,
};
use logic::irq::vectors::{DEVICE_VECTORS, FIXED_BASE, PIC_BASE};
use logic::sync::{IrqLock, Rank};
use spin::{Once, RwLock};
use x86_64::instructions::interrupts::without_interrupts;

pub use logic::irq::routing::MsiMessage;
pub use logic::irq::vectors::{
    CALL_VECTOR, ERROR_VECTOR, RESCHEDULE_VECTOR, SHOOTDOWN_VECTOR, SPURIOUS_VECTOR, TIMER_VECTOR,
};

/// The vectors of exceptions, which are not for [`dispatch`].
const EXCEPTIONS: usize = 32;

/// A line that interrupts so often without any handler wanting it is stuck and gets masked, lest nothing else ever run.
const MOST_UNCLAIMED: u32 = 100_000;

static SETUP: Once<Setup> = Once::new();
static LINES: IrqLock<Lines> =
    IrqLock::new(Rank::Interrupts, Lines { table: LineTable::new(), io_apics: IoApics::none(), pic: None });
static SLOTS: [Slot; 256 - EXCEPTIONS] = [const { Slot::new() }; 256 - EXCEPTIONS];
static FIXED: [Once<fn()>; 256 - FIXED_BASE as usize] = [const { Once::new() }; 256 - FIXED_BASE as usize];

/// What [`init`] has found.
struct Setup {
    platform: &'static Platform,
    controller: Controller,
    /// The APIC number of the first processor, which gets the interrupts of all lines.
    first_cpu: u32,
}

/// Finds and silences all interrupt controllers. Called once, on the first processor, before interrupts are enabled.
pub fn init(platform: &'static Platform) {
    let pic = may_have_pic(platform).then(Pic::find).flatten();
    let has_apic = apic::find() != apic::ApicMode::Absent;
    let io_apics = if has_apic { IoApics::find(platform) } else { IoApics::none() };
    let controller = Controller::choose(has_apic, io_apics.count(), pic.is_some());
    apic::init_this_cpu(platform, controller == Controller::Pic);
    percpu::current().set_apic_id(apic::id());
    SETUP.call_once(|| Setup { platform, controller, first_cpu: apic::id() });
    match controller {
        Controller::IoApic => {
            log::debug!("interrupts: {}, {} I/O APIC(s), processor {}", apic::mode(), io_apics.count(), apic::id());
        }
        Controller::Pic => log::debug!("interrupts: 8259s, {}", apic::mode()),
        Controller::None => log::warn!("interrupts: no controller for devices, {}", apic::mode()),
    }
    let mut lines = LINES.lock();
    lines.io_apics = io_apics;
    lines.pic = pic;
}

/// Makes another processor take interrupts. Called on it, after [`init`].
pub fn init_this_cpu() {
    if let Some(setup) = SETUP.get() {
        apic::init_this_cpu(setup.platform, false);
    }
}

/// Whether devices can interrupt by messages: they go to local APICs.
pub fn has_messages() -> bool {
    apic::mode() != apic::ApicMode::Absent
}

/// An interrupt that a driver may claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Of the ISA bus, 0 to 15.
    Isa(u8),
    /// A global system interrupt, as ACPI numbers them. Where the 8259s deliver interrupts, theirs, 0 to 15: what PCI's interrupt
    /// line register says.
    Gsi(u32),
    /// One that the device raises by a message ([`Registration::message`]).
    Message,
}

impl Line {
    /// The line of a PCI pin that firmware has led to the 8259s' input `irq`; `None` if that is not known.
    pub fn of_pci_pin(irq: u8) -> Option<Self> {
        let setup = SETUP.get()?;
        is_pin_at_isa_line(setup.platform, setup.controller, irq).then_some(Self::Isa(irq))
    }
}

/// Whether an interrupt was a handler's device's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its device wanted something.
    Mine,
    /// Its device wanted nothing: the interrupt is for another one on the line.
    NotMine,
}

/// Handlers that cannot tell answer nothing.
impl From<()> for Verdict {
    fn from((): ()) -> Self {
        Self::Mine
    }
}

/// Why a line cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrqError {
    /// No controller has such a line, or there is no controller.
    NoSuchLine,
    /// Somebody has the line and it cannot be shared.
    InUse,
    /// All vectors are in use.
    NoVector,
    /// No memory.
    NoMemory,
    /// The processor cannot be reached from there, or the line is no message.
    Unreachable,
}

impl fmt::Display for IrqError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoSuchLine => "no such interrupt line",
            Self::InUse => "the interrupt line is in use",
            Self::NoVector => "no interrupt vector is free",
            Self::NoMemory => "no memory for an interrupt handler",
            Self::Unreachable => "no interrupt can reach that processor",
        })
    }
}

/// Calls `handler` on every interrupt of `line` until the registration is dropped; see the rules for handlers at the top. Lines
/// that are level-triggered (PCI's pins) are shared: there, a handler must answer a [`Verdict`]. `name` is for people.
///
/// # Errors
/// [`IrqError`] says which.
pub fn register<V: Into<Verdict>>(
    line: Line,
    handler: impl Fn() -> V + Send + Sync + 'static,
    name: &'static str,
) -> Result<Registration, IrqError> {
    static NEXT_KEY: AtomicU64 = AtomicU64::new(0);
    let setup = SETUP.get().ok_or(IrqError::NoSuchLine)?;
    let handler = Box::new(move || handler().into());
    let (source, mode) = setup.source(line)?;
    let claim = LINES.lock().table.claim(source, mode).map_err(|error| match error {
        ClaimError::InUse => IrqError::InUse,
        ClaimError::NoVector => IrqError::NoVector,
    })?;
    // Dropping it undoes all, from here on.
    let registration = Registration {
        vector: claim.vector,
        is_message: line == Line::Message,
        key: NEXT_KEY.fetch_add(1, Ordering::Relaxed),
    };
    let slot = slot(claim.vector).ok_or(IrqError::NoVector)?;
    slot.add(Action { key: registration.key, name, handler })?;
    if claim.is_first && !LINES.lock().open(source, mode, claim.vector, setup.first_cpu) {
        return Err(IrqError::NoSuchLine);
    }
    Ok(registration)
}

/// A handler at work. Dropping it takes the handler away, masks the line if it was the last one's, and waits until the handler
/// runs nowhere.
#[must_use = "dropping it takes the handler away"]
#[derive(Debug)]
pub struct Registration {
    vector: u8,
    is_message: bool,
    /// Which of the vector's handlers.
    key: u64,
}

impl Registration {
    /// What a device must write to interrupt the processor with APIC number `destination`.
    ///
    /// # Errors
    /// [`IrqError::Unreachable`] if messages do not reach so far, or the line is not [`Line::Message`].
    pub fn message(&self, destination: u32) -> Result<MsiMessage, IrqError> {
        MsiMessage::new(self.vector, destination).filter(|_| self.is_message).ok_or(IrqError::Unreachable)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        {
            let mut lines = LINES.lock();
            if let Some(source) = lines.table.release(self.vector) {
                lines.close(source);
            }
        }
        let Some(slot) = slot(self.vector) else { return };
        // The handler itself, with all it owns, is dropped with no lock held.
        drop(slot.remove(self.key));
        LINES.lock().table.forget(self.vector);
    }
}

/// Gives one of the fixed vectors from [`TIMER_VECTOR`] on its handler, for good. The rules are those of all handlers, but that
/// it may end in another thread: the local APIC has been told that the interrupt is done before it is called.
///
/// # Panics
/// If the vector is not a fixed one, or has another handler.
pub fn set_fixed_handler(vector: u8, handler: fn()) {
    let place =
        vector.checked_sub(FIXED_BASE).filter(|_| vector < ERROR_VECTOR).and_then(|at| FIXED.get(usize::from(at)));
    let set = *place.unwrap_or_else(|| panic!("vector {vector:#x} is not a fixed one")).call_once(|| handler);
    assert!(core::ptr::fn_addr_eq(set, handler), "vector {vector:#x} has a handler");
}

/// Does all that an interrupt needs. Called by the trap code, with interrupts off, for vectors from 32 on.
pub fn dispatch(vector: u8) {
    let Some(slot) = slot(vector) else { return };
    slot.count.fetch_add(1, Ordering::Relaxed);
    if vector < *DEVICE_VECTORS.start() {
        let irq = vector - PIC_BASE;
        if !pic::is_spurious(irq) {
            slot.run(vector);
            pic::end_of_interrupt(irq);
        }
    } else if DEVICE_VECTORS.contains(&vector) {
        // An I/O APIC whose level-triggered line is told before its device has calmed down interrupts again at once.
        slot.run(vector);
        apic::end_of_interrupt();
    } else if vector == ERROR_VECTOR {
        apic::take_errors();
        apic::end_of_interrupt();
    } else if vector != SPURIOUS_VECTOR {
        apic::end_of_interrupt();
        match FIXED[usize::from(vector - FIXED_BASE)].get() {
            Some(handler) => handler(),
            None => slot.unclaimed(vector),
        }
    }
}

/// Vector, name and number of interrupts so far, of every vector that has a handler or was raised; once for each handler.
pub fn counts() -> impl Iterator<Item = (u8, &'static str, u64)> {
    (PIC_BASE..=SPURIOUS_VECTOR).zip(&SLOTS).flat_map(|(vector, slot)| {
        let count = slot.count.load(Ordering::Relaxed);
        let fixed = iter::once(fixed_name(vector)).filter(move |_| vector >= FIXED_BASE && count > 0);
        let stray =
            iter::once("no handler").filter(move |_| slot.name(0).is_none() && vector < FIXED_BASE && count > 0);
        let named = (0..).map_while(|index| slot.name(index));
        fixed.chain(stray).chain(named).map(move |name| (vector, name, count))
    })
}

/// How many interrupts no handler has wanted.
pub fn unclaimed() -> u64 {
    SLOTS.iter().map(|slot| slot.all_unclaimed.load(Ordering::Relaxed)).sum()
}

fn fixed_name(vector: u8) -> &'static str {
    match vector {
        TIMER_VECTOR => "timer",
        RESCHEDULE_VECTOR => "reschedule",
        SHOOTDOWN_VECTOR => "TLB shootdown",
        CALL_VECTOR => "call",
        ERROR_VECTOR => "APIC error",
        SPURIOUS_VECTOR => "spurious",
        _ => "no handler",
    }
}

impl Setup {
    /// Where the interrupts of `line` come from, and how.
    fn source(&self, line: Line) -> Result<(Source, Mode), IrqError> {
        let found = match (line, self.controller) {
            (Line::Message, _) => has_messages().then_some((Source::Message, Mode::ISA)),
            (_, Controller::None) => None,
            (Line::Isa(irq), Controller::IoApic) => {
                isa_line(self.platform, irq).map(|(gsi, mode)| (Source::Gsi(gsi), mode))
            }
            (Line::Gsi(gsi), Controller::IoApic) => Some((Source::Gsi(gsi), gsi_mode(self.platform, gsi))),
            (Line::Isa(irq), Controller::Pic) => Some(irq).and_then(pic_source),
            (Line::Gsi(gsi), Controller::Pic) => u8::try_from(gsi).ok().and_then(pic_source),
        };
        found.ok_or(IrqError::NoSuchLine)
    }
}

fn pic_source(irq: u8) -> Option<(Source, Mode)> {
    (irq < ISA_IRQS && irq != logic::irq::routing::CASCADE_IRQ)
        .then(|| (Source::Pic(irq), pic_mode(pic::edge_level_control(), irq)))
}

/// Who uses which line, and the controllers that they come through.
struct Lines {
    table: LineTable,
    io_apics: IoApics,
    pic: Option<Pic>,
}

impl Lines {
    /// Makes the controllers deliver interrupts from `source`. `false` if none can.
    fn open(&mut self, source: Source, mode: Mode, vector: u8, destination: u32) -> bool {
        match source {
            Source::Message => true,
            Source::Pic(irq) => self.pic.as_mut().map(|pic| pic.unmask(irq)).is_some(),
            Source::Gsi(gsi) => RedirectionEntry::fixed(vector, destination, mode)
                .filter(|_| self.io_apics.have(gsi))
                .is_some_and(|entry| self.io_apics.route(gsi, entry)),
        }
    }

    /// Makes the controllers hold interrupts from `source` back.
    fn close(&mut self, source: Source) {
        match source {
            Source::Message => {}
            Source::Pic(irq) => {
                if let Some(pic) = &mut self.pic {
                    pic.mask(irq);
                }
            }
            Source::Gsi(gsi) => self.io_apics.mask(gsi),
        }
    }
}

/// A handler with its name.
struct Action {
    key: u64,
    name: &'static str,
    handler: Box<dyn Fn() -> Verdict + Send + Sync>,
}

/// What happens on one vector.
struct Slot {
    actions: RwLock<Vec<Action>>,
    count: AtomicU64,
    all_unclaimed: AtomicU64,
    /// Since the last one that was claimed.
    unclaimed_in_a_row: AtomicU32,
    warned: AtomicBool,
}

fn slot(vector: u8) -> Option<&'static Slot> {
    SLOTS.get(usize::from(vector).checked_sub(EXCEPTIONS)?)
}

impl Slot {
    const fn new() -> Self {
        Self {
            actions: RwLock::new(Vec::new()),
            count: AtomicU64::new(0),
            all_unclaimed: AtomicU64::new(0),
            unclaimed_in_a_row: AtomicU32::new(0),
            warned: AtomicBool::new(false),
        }
    }

    fn add(&self, action: Action) -> Result<(), IrqError> {
        self.change(|actions| {
            actions.try_reserve(1).map_err(|_| IrqError::NoMemory)?;
            actions.push(action);
            Ok(())
        })
    }

    /// The action with `key`, which runs nowhere any more.
    fn remove(&self, key: u64) -> Option<Action> {
        self.change(|actions| {
            let at = actions.iter().position(|action| action.key == key)?;
            Some(actions.swap_remove(at))
        })
    }

    /// Waits until no handler of the vector runs. Interrupts are off, so that none comes here to wait for this.
    fn change<R>(&self, change: impl FnOnce(&mut Vec<Action>) -> R) -> R {
        without_interrupts(|| change(&mut self.actions.write()))
    }

    fn name(&self, index: usize) -> Option<&'static str> {
        // Nobody may be preempted with this lock: `change` would wait for it with interrupts off.
        without_interrupts(|| self.actions.read().get(index).map(|action| action.name))
    }

    /// Calls all handlers: an edge can mean several devices.
    fn run(&self, vector: u8) {
        let mut claimed = false;
        for action in self.actions.read().iter() {
            claimed |= (action.handler)() == Verdict::Mine;
        }
        if claimed {
            self.unclaimed_in_a_row.store(0, Ordering::Relaxed);
        } else {
            self.unclaimed(vector);
        }
    }

    /// Tells once that nobody wants `vector`, and silences its line if that does not end.
    fn unclaimed(&self, vector: u8) {
        self.all_unclaimed.fetch_add(1, Ordering::Relaxed);
        let name = self.name(0).unwrap_or("no handler");
        let in_a_row = self.unclaimed_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        // A single one may have been on its way when its line was closed.
        if in_a_row > 1 && !self.warned.swap(true, Ordering::Relaxed) {
            log::warn!("interrupts: vector {vector:#x} ({name}) comes for nobody");
        }
        if in_a_row < MOST_UNCLAIMED {
            return;
        }
        self.unclaimed_in_a_row.store(0, Ordering::Relaxed);
        let silenced = {
            let mut lines = LINES.lock();
            // Only its device can silence a message.
            let source =
                lines.table.source(vector).map(|(source, _)| source).filter(|source| *source != Source::Message);
            source.into_iter().for_each(|source| lines.close(source));
            source
        };
        if let Some(source) = silenced {
            log::error!("interrupts: {source:?} ({name}) never ends: masked");
        }
    }
}
