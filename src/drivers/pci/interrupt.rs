//! A function's interrupts: by the messages of a table (MSI-X), by one message (MSI), or by a pin.

use super::device::{PciError, Taken};
use crate::hw::irq::{self, IrqError, Line, MsiMessage, Registration, Verdict};
use crate::hw::percpu;
use alloc::sync::Arc;
use logic::bus::pci::{CommandRegister, ConfigurationSpace, Function, MsiXEntry};

/// How a function interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// By the messages of a table: MSI-X.
    Table,
    /// By one message: MSI.
    Message,
    /// By a wire that others may share.
    Pin,
}

impl Means {
    /// All, the best first.
    pub(super) const ALL: [Self; 3] = [Self::Table, Self::Message, Self::Pin];

    /// Whether the function's interrupts can come so.
    pub(super) fn is_usable(self, function: &Function) -> bool {
        match self {
            Self::Table => function.msix.is_some() && irq::has_messages(),
            Self::Message => function.msi.is_some() && irq::has_messages(),
            Self::Pin => line(function).is_some(),
        }
    }

    /// How many different interrupts the function has so.
    pub(super) fn count(self, function: &Function) -> u16 {
        match self {
            Self::Table => function.msix.map_or(0, |msix| msix.entries),
            Self::Message | Self::Pin => 1,
        }
    }

    /// Sets up what all of the function's interrupts need that come so.
    pub(super) fn prepare(self, taken: &Taken) -> Result<(), PciError> {
        let (space, function) = (&taken.found.space, &taken.entry.function);
        if let (Self::Table, Some(msix)) = (self, function.msix) {
            let table = taken.memory(msix.bar)?;
            msix.enable_masked(space, function.address);
            for (offset, value) in (0..msix.entries).filter_map(|index| msix.entry(index)).map(MsiXEntry::mask) {
                table.write_u32(offset, value);
            }
            msix.unmask(space, function.address);
        }
        if self != Self::Pin {
            taken.enable(CommandRegister::BUS_MASTER_ENABLE);
        }
        Ok(())
    }
}

/// The line at which the function's pin interrupts, where that is known.
fn line(function: &Function) -> Option<Line> {
    function.pin?.line.and_then(Line::of_pci_pin)
}

/// An interrupt with its handler. Dropping it holds the interrupt back and waits until the handler runs nowhere.
#[must_use = "dropping it takes the handler away"]
pub struct Interrupt {
    /// `None` while it is being dropped.
    registration: Option<Registration>,
    means: Means,
    index: u16,
    taken: Arc<Taken>,
}

impl Interrupt {
    pub(super) fn new<V: Into<Verdict>>(
        taken: &Arc<Taken>,
        means: Means,
        index: u16,
        cpu: usize,
        handler: impl Fn() -> V + Send + Sync + 'static,
        name: &'static str,
    ) -> Result<Self, PciError> {
        if index >= means.count(&taken.entry.function) {
            return Err(PciError::NoSuchInterrupt);
        }
        if !taken.claim(index) {
            return Err(PciError::InUse);
        }
        // From here on, dropping it undoes all.
        let mut interrupt = Self { registration: None, means, index, taken: taken.clone() };
        let line = match means {
            Means::Table | Means::Message => Some(Line::Message),
            Means::Pin => line(&taken.entry.function),
        };
        let registration = irq::register(line.ok_or(PciError::NoSuchInterrupt)?, handler, name)?;
        let message = message(&registration, cpu);
        interrupt.registration = Some(registration);
        interrupt.let_out(message)?;
        Ok(interrupt)
    }

    /// Has the function raise it.
    fn let_out(&self, message: Result<MsiMessage, IrqError>) -> Result<(), PciError> {
        let (space, function) = (&self.taken.found.space, &self.taken.entry.function);
        let is_out = match self.means {
            Means::Table => {
                let msix = function.msix.ok_or(PciError::NoSuchInterrupt)?;
                let entry = msix.entry(self.index).ok_or(PciError::NoSuchInterrupt)?;
                let table = self.taken.memory(msix.bar)?;
                entry.unmask(message?).into_iter().for_each(|(offset, value)| table.write_u32(offset, value));
                true
            }
            Means::Message => function.msi.ok_or(PciError::NoSuchInterrupt)?.enable(space, function.address, message?),
            Means::Pin => {
                self.taken.change_command(CommandRegister::INTERRUPT_DISABLE, CommandRegister::empty());
                true
            }
        };
        if is_out { Ok(()) } else { Err(IrqError::Unreachable.into()) }
    }

    /// Has the function raise it no more. What was on its way before has arrived then: the read follows it on the bus.
    fn hold_back(&self) {
        let (space, function) = (&self.taken.found.space, &self.taken.entry.function);
        match self.means {
            Means::Table => {
                let Some(msix) = function.msix else { return };
                let (Some(entry), Ok(table)) = (msix.entry(self.index), self.taken.memory(msix.bar)) else { return };
                let (offset, value) = entry.mask();
                table.write_u32(offset, value);
                table.read_u32(offset);
            }
            Means::Message => {
                let Some(msi) = function.msi else { return };
                msi.disable(space, function.address);
                space.read(function.address, msi.offset.into());
            }
            Means::Pin => self.taken.change_command(CommandRegister::empty(), CommandRegister::INTERRUPT_DISABLE),
        }
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.hold_back();
        self.registration = None;
        self.taken.give_back(self.index);
    }
}

/// What interrupts processor `cpu`, or the first one if no message reaches that.
fn message(registration: &Registration, cpu: usize) -> Result<MsiMessage, IrqError> {
    let to = |cpu| percpu::get(cpu).map(|cpu| registration.message(cpu.apic_id()));
    to(cpu).and_then(Result::ok).map_or_else(|| to(0).unwrap_or(Err(IrqError::Unreachable)), Ok)
}
