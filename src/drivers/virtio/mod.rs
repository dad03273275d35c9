//! virtio devices (Virtual I/O Device 1.2), which virtual machines have: found, and opened for their drivers.
//!
//! Crate `virtio-drivers` keeps the queues. Its way to a device's registers is not used: it follows a looped list of capabilities
//! for ever, adds a device's numbers up unchecked, panics on a doorbell outside of its memory, waits for a reset without end, and does
//! not ask whether the device has agreed. [`transport`] is used instead, over registers that are checked.

pub mod rng;
mod transport;

use super::pci::{self, device::PciError};
use core::fmt;
use logic::bus::pci::Function;
use logic::bus::virtio::{Layout, Unusable, kind};
use transport::PciTransport;
use virtio_drivers::Error as QueueError;

/// Why a device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VirtioError {
    /// Somebody has it.
    Taken,
    /// It is of a kind that nobody knows.
    Unknown,
    /// Its registers are nowhere.
    Unusable(Unusable),
    /// They cannot be reached.
    Registers(PciError),
    /// It does not become as it was when it was switched on.
    NoReset,
    /// It wants what the driver has not, or has not what the driver wants.
    NoAgreement,
    /// It does not do with its queue what it should, or memory is short.
    Queue(QueueError),
    /// It does nothing.
    Silent,
    /// It answers with nothing.
    Empty,
}

impl fmt::Display for VirtioError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => formatter.write_str("it is in use"),
            Self::Unknown => formatter.write_str("nobody knows of what kind it is"),
            Self::Unusable(why) => why.fmt(formatter),
            Self::Registers(why) => why.fmt(formatter),
            Self::NoReset => formatter.write_str("it does not reset"),
            Self::NoAgreement => formatter.write_str("it does not agree to what the driver can do"),
            Self::Queue(why) => write!(formatter, "its queue: {why}"),
            Self::Silent => formatter.write_str("it does not answer"),
            Self::Empty => formatter.write_str("it answers with nothing"),
        }
    }
}

impl From<PciError> for VirtioError {
    fn from(error: PciError) -> Self {
        Self::Registers(error)
    }
}

impl From<QueueError> for VirtioError {
    fn from(error: QueueError) -> Self {
        Self::Queue(error)
    }
}

/// The devices of a kind, by virtio's number for it.
fn devices(wanted: u16) -> impl Iterator<Item = &'static Function> {
    pci::functions().filter(move |function| kind(function) == Some(wanted))
}

/// Takes a device, which does nothing until its driver has agreed with it.
fn open(function: &Function) -> Result<PciTransport, VirtioError> {
    let device = pci::take(function.address).ok_or(VirtioError::Taken)?;
    let layout = Layout::find(function, |offset| device.read(offset)).map_err(VirtioError::Unusable)?;
    PciTransport::new(device, layout)
}
