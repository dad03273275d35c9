//! A function in a driver's hands.

use super::interrupt::{Interrupt, Means};
use super::{Entry, Found};
use crate::hw::irq::{IrqError, Verdict};
use crate::hw::mmio::Registers;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use logic::bus::pci::{Bar, CommandRegister, ConfigurationSpace, Function, change_command};
use x86_64::PhysAddr;

/// Where messages to processors go (SDM volume 3 section 11.11.1): no function's memory.
const MESSAGES: core::ops::Range<u64> = 0xfee0_0000..0xfef0_0000;

/// Messages that a table of MSI-X can have.
const MAX_MESSAGES: usize = 2048;

/// Why something of a function cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PciError {
    /// It has no such memory, or firmware has placed it nowhere, or where something else is.
    NoMemoryThere,
    /// There is no room to map it.
    NoRoom,
    /// It has no such interrupt, or none that can be had by this means.
    NoSuchInterrupt,
    /// The interrupt has a handler, or others use another means.
    InUse,
    /// The interrupt cannot be had.
    Interrupt(IrqError),
}

impl fmt::Display for PciError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemoryThere => formatter.write_str("the function has no memory where its driver needs it"),
            Self::NoRoom => formatter.write_str("no room to map the function's memory"),
            Self::NoSuchInterrupt => formatter.write_str("the function has no such interrupt"),
            Self::InUse => formatter.write_str("the function's interrupt is in use"),
            Self::Interrupt(error) => error.fmt(formatter),
        }
    }
}

impl From<IrqError> for PciError {
    fn from(error: IrqError) -> Self {
        Self::Interrupt(error)
    }
}

/// A function that one driver has. Dropping it, and all its interrupts, silences the function and lets another driver take it.
pub struct Device {
    taken: Arc<Taken>,
    /// How it interrupts, once that is chosen.
    means: Option<Means>,
}

impl Device {
    pub(super) fn new(found: &'static Found, entry: &'static Entry) -> Self {
        let taken = Taken { found, entry, handled: [const { AtomicU64::new(0) }; MAX_MESSAGES / 64] };
        taken.silence();
        Self { taken: Arc::new(taken), means: None }
    }

    /// What the function says of itself.
    pub fn function(&self) -> &'static Function {
        &self.taken.entry.function
    }

    /// Reads four bytes of configuration space at `offset`, a multiple of 4.
    pub fn read(&self, offset: u16) -> u32 {
        self.taken.found.space.read(self.function().address, offset & !0b11)
    }

    /// The memory that base address register `index` leads to. It is mapped once, for good, and the function made to answer
    /// there.
    ///
    /// # Errors
    /// [`PciError::NoMemoryThere`], [`PciError::NoRoom`].
    pub fn memory(&self, index: u8) -> Result<&'static Registers, PciError> {
        self.taken.memory(index)
    }

    /// Lets the function read and write memory, or forbids it. What firmware has told it to do there may go on: reset it first.
    pub fn set_bus_master(&mut self, on: bool) {
        if on {
            self.taken.enable(CommandRegister::BUS_MASTER_ENABLE);
        } else {
            self.taken.change_command(CommandRegister::BUS_MASTER_ENABLE, CommandRegister::empty());
        }
    }

    /// How many different interrupts it can raise, by the means that [`interrupt`](Self::interrupt) would choose.
    pub fn interrupts(&self) -> u16 {
        let usable = |means: &Means| means.is_usable(self.function());
        let means = self.means.or_else(|| Means::ALL.into_iter().find(usable));
        means.map_or(0, |means| means.count(self.function()))
    }

    /// Calls `handler` on processor `cpu` at each interrupt `index`, from 0 on, until what this answers is dropped; the rules
    /// are those of [`irq`](crate::hw::irq). The best means is chosen, at the first call for all: MSI-X, MSI, or else the pin,
    /// which others may share, so that the handler must answer whether it was its function's; it comes to the first processor.
    /// What a table's entry was to send while it had no handler is sent at once.
    /// Messages are writes to memory, so the function is let at memory as by [`set_bus_master`](Self::set_bus_master).
    ///
    /// # Errors
    /// [`PciError`] says which.
    pub fn interrupt<V: Into<Verdict>>(
        &mut self,
        index: u16,
        cpu: usize,
        handler: impl Fn() -> V + Send + Sync + 'static,
        name: &'static str,
    ) -> Result<Interrupt, PciError> {
        let means = self.choose(&Means::ALL)?;
        Interrupt::new(&self.taken, means, index, cpu, handler, name)
    }

    /// As [`interrupt`](Self::interrupt), by a means of the caller's choice.
    ///
    /// # Errors
    /// [`PciError`] says which.
    pub fn interrupt_by<V: Into<Verdict>>(
        &mut self,
        means: Means,
        index: u16,
        cpu: usize,
        handler: impl Fn() -> V + Send + Sync + 'static,
        name: &'static str,
    ) -> Result<Interrupt, PciError> {
        let means = self.choose(&[means])?;
        Interrupt::new(&self.taken, means, index, cpu, handler, name)
    }

    /// The means by which the function interrupts from now on: the first that works, but the one chosen before, if any.
    fn choose(&mut self, among: &[Means]) -> Result<Means, PciError> {
        if let Some(chosen) = self.means {
            return if among.contains(&chosen) { Ok(chosen) } else { Err(PciError::InUse) };
        }
        let mut why = PciError::NoSuchInterrupt;
        for means in among.iter().copied().filter(|means| means.is_usable(self.function())) {
            match means.prepare(&self.taken) {
                Ok(()) => {
                    self.means = Some(means);
                    return Ok(means);
                }
                Err(error) => why = error,
            }
        }
        Err(why)
    }
}

/// A function that is taken, by a handle or an interrupt that came of it.
pub(super) struct Taken {
    pub(super) found: &'static Found,
    pub(super) entry: &'static Entry,
    /// A bit for each interrupt that has a handler.
    handled: [AtomicU64; MAX_MESSAGES / 64],
}

impl Taken {
    /// Sets a bit of the command registers of the function and of the bridges before it, which firmware need not have done.
    pub(super) fn enable(&self, what: CommandRegister) {
        let address = self.entry.function.address;
        let bridges = self.found.entries.iter().filter(|entry| entry.function.leads_to(address));
        for entry in bridges.chain([self.entry]) {
            change_command(&self.found.space, entry.function.address, CommandRegister::empty(), what);
        }
    }

    pub(super) fn change_command(&self, clear: CommandRegister, set: CommandRegister) {
        change_command(&self.found.space, self.entry.function.address, clear, set);
    }

    pub(super) fn memory(&self, index: u8) -> Result<&'static Registers, PciError> {
        let bar = self.entry.function.bar(index).filter(|bar| bar.is_memory()).ok_or(PciError::NoMemoryThere)?;
        let place = self.entry.memory.get(usize::from(index)).ok_or(PciError::NoMemoryThere)?;
        let registers = place.try_call_once(|| {
            let start = self.start_of(bar).ok_or(PciError::NoMemoryThere)?;
            Registers::map(start, bar.size).ok_or(PciError::NoRoom)
        })?;
        self.enable(CommandRegister::MEMORY_ENABLE);
        Ok(registers)
    }

    /// Where the function's memory is, if nothing else is there.
    fn start_of(&self, bar: &Bar) -> Option<PhysAddr> {
        let (start, end) = (bar.address, bar.end()?);
        let overlaps = |other: core::ops::Range<u64>| start < other.end && other.start < end;
        let mut memory = self.found.memory.regions().iter().filter(|region| region.kind.is_ram());
        let is_elsewhere = overlaps(MESSAGES) || memory.any(|region| overlaps(region.start..region.end));
        PhysAddr::try_new(start).ok().filter(|_| !is_elsewhere)
    }

    /// Notes that an interrupt has a handler; `false` if it had one.
    pub(super) fn claim(&self, index: u16) -> bool {
        let (place, bit) = self.handled(index);
        place.is_some_and(|place| place.fetch_or(bit, Ordering::AcqRel) & bit == 0)
    }

    /// Notes that an interrupt has no handler any more.
    pub(super) fn give_back(&self, index: u16) {
        let (place, bit) = self.handled(index);
        if let Some(place) = place {
            place.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    fn handled(&self, index: u16) -> (Option<&AtomicU64>, u64) {
        (self.handled.get(usize::from(index / 64)), 1 << (index % 64))
    }

    /// Has the function send no interrupts and leave memory alone.
    fn silence(&self) {
        let (space, function) = (&self.found.space, &self.entry.function);
        self.change_command(CommandRegister::BUS_MASTER_ENABLE, CommandRegister::INTERRUPT_DISABLE);
        if let Some(msi) = function.msi {
            msi.disable(space, function.address);
        }
        if let Some(msix) = function.msix {
            msix.disable(space, function.address);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.silence();
        self.entry.is_taken.store(false, Ordering::Release);
    }
}
