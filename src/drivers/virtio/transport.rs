//! A virtio device's registers on PCI (Virtual I/O Device 1.2, section 4.1), as crate `virtio-drivers` wants to use them.

use super::VirtioError;
use crate::drivers::pci::device::{Device, PciError};
use crate::hw::clock;
use crate::hw::mmio::Registers;
use bitflags::Flags;
use core::fmt::Debug;
use core::hint::spin_loop;
use core::ops::BitAnd;
use core::time::Duration;
use logic::bus::virtio::{Layout, Place, kind};
use logic::time::patience::Patience;
use virtio_drivers::device::common::Feature;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Offsets of the registers that all devices have (section 4.1.4.3).
const DEVICE_FEATURE_SELECT: usize = 0x00;
const DEVICE_FEATURE: usize = 0x04;
const DRIVER_FEATURE_SELECT: usize = 0x08;
const DRIVER_FEATURE: usize = 0x0c;
const STATUS: usize = 0x14;
const CONFIGURATION_GENERATION: usize = 0x15;
const QUEUE_SELECT: usize = 0x16;
const QUEUE_SIZE: usize = 0x18;
const QUEUE_ENABLE: usize = 0x1c;
const QUEUE_NOTIFY: usize = 0x1e;
const QUEUE_DESCRIPTORS: usize = 0x20;
const QUEUE_DRIVER: usize = 0x28;
const QUEUE_DEVICE: usize = 0x30;

/// For how long a reset is waited for, or how many looks at the device.
const RESET: Duration = Duration::from_millis(100);
const RESET_LOOKS: u32 = 1_000_000;

/// A device in a driver's hands. Dropping it resets the device and keeps it from memory.
pub struct PciTransport {
    device: Device,
    layout: Layout,
    common: Area,
    notify: Area,
    interrupt_status: Area,
    own: Option<Area>,
    kind: DeviceType,
    state: State,
}

/// How far a device has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// What it does, firmware or nobody knows.
    Unknown,
    /// It is as when it was switched on.
    Reset,
    /// It has agreed to what its driver can do.
    Agreed,
}

/// Registers of a device.
#[derive(Clone, Copy)]
struct Area {
    memory: &'static Registers,
    offset: usize,
    bytes: usize,
}

impl Area {
    fn new(device: &Device, place: Place) -> Result<Self, PciError> {
        Ok(Self { memory: device.memory(place.bar)?, offset: place.offset, bytes: place.bytes })
    }

    fn read_u32(self, at: usize) -> u32 {
        self.memory.read_u32(self.offset + at)
    }

    fn write_u32(self, at: usize, value: u32) {
        self.memory.write_u32(self.offset + at, value);
    }

    /// In two halves, as every device takes it (section 4.1.3.1).
    fn write_u64(self, at: usize, value: u64) {
        let [low, high] = [value, value >> 32].map(|half| half as u32);
        self.write_u32(at, low);
        self.write_u32(at + 4, high);
    }

    fn read_u16(self, at: usize) -> u16 {
        self.memory.read_u16(self.offset + at)
    }

    fn write_u16(self, at: usize, value: u16) {
        self.memory.write_u16(self.offset + at, value);
    }

    fn read_u8(self, at: usize) -> u8 {
        self.memory.read_u8(self.offset + at)
    }

    fn write_u8(self, at: usize, value: u8) {
        self.memory.write_u8(self.offset + at, value);
    }
}

impl PciTransport {
    /// A device whose registers are where `layout` says. It does nothing until its driver agrees with it.
    pub(super) fn new(device: Device, layout: Layout) -> Result<Self, VirtioError> {
        let kind = kind(device.function()).and_then(|kind| DeviceType::try_from(kind).ok());
        Ok(Self {
            kind: kind.ok_or(VirtioError::Unknown)?,
            common: Area::new(&device, layout.common)?,
            notify: Area::new(&device, layout.notify)?,
            interrupt_status: Area::new(&device, layout.interrupt_status)?,
            own: layout.own.map(|place| Area::new(&device, place)).transpose()?,
            device,
            layout,
            state: State::Unknown,
        })
    }

    /// Resets the device, and agrees with it on those of `features` that it has, and on version 1.
    ///
    /// # Errors
    /// It does not, or it does not reset.
    pub(super) fn agree(&mut self, features: Feature) -> Result<Feature, VirtioError> {
        let agreed = self.begin_init(features);
        match self.state {
            State::Agreed => Ok(agreed),
            State::Reset => Err(VirtioError::NoAgreement),
            State::Unknown => Err(VirtioError::NoReset),
        }
    }

    fn reset(&mut self) {
        self.common.write_u8(STATUS, 0);
        let mut patience = Patience::new(RESET, RESET_LOOKS);
        self.state = loop {
            if self.common.read_u8(STATUS) == 0 {
                break State::Reset;
            }
            if !patience.lasts(clock::now()) {
                break State::Unknown;
            }
            spin_loop();
        };
    }

    fn select_queue(&self, queue: u16) {
        self.common.write_u16(QUEUE_SELECT, queue);
    }

    /// Where `T` is among the device's own registers, and how many bytes of it are one register: whatever its fields are aligned to.
    fn own<T>(&self, offset: usize) -> Result<(Area, usize), Error> {
        let own = self.own.ok_or(Error::ConfigSpaceMissing)?;
        let end = offset.checked_add(size_of::<T>()).ok_or(Error::ConfigSpaceTooSmall)?;
        if end > own.bytes { Err(Error::ConfigSpaceTooSmall) } else { Ok((own, align_of::<T>().min(4))) }
    }
}

impl Transport for PciTransport {
    fn device_type(&self) -> DeviceType {
        self.kind
    }

    /// As section 3.1.1 has it. A device that does not agree has no queues for its driver, which so hears of it.
    fn begin_init<F: Flags<Bits = u64> + BitAnd<Output = F> + Debug>(&mut self, supported: F) -> F {
        const STARTED: DeviceStatus = DeviceStatus::ACKNOWLEDGE.union(DeviceStatus::DRIVER);
        let version = Feature::VERSION_1.bits();
        self.reset();
        if self.state != State::Reset {
            return F::empty();
        }
        // Only now: what firmware has told it to do with memory has ended.
        self.device.set_bus_master(true);
        self.set_status(STARTED);
        let agreed = self.read_device_features() & (supported.bits() | version);
        self.write_driver_features(agreed);
        self.set_status(STARTED | DeviceStatus::FEATURES_OK);
        if agreed & version == 0 || !self.get_status().contains(DeviceStatus::FEATURES_OK) {
            return F::empty();
        }
        self.state = State::Agreed;
        F::from_bits_truncate(agreed) & supported
    }

    fn read_device_features(&mut self) -> u64 {
        let [low, high] = [0, 1].map(|half| {
            self.common.write_u32(DEVICE_FEATURE_SELECT, half);
            u64::from(self.common.read_u32(DEVICE_FEATURE))
        });
        high << 32 | low
    }

    fn write_driver_features(&mut self, features: u64) {
        for (half, value) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.common.write_u32(DRIVER_FEATURE_SELECT, half);
            self.common.write_u32(DRIVER_FEATURE, value);
        }
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        if self.state != State::Agreed {
            return 0;
        }
        self.select_queue(queue);
        self.common.read_u16(QUEUE_SIZE).into()
    }

    fn notify(&mut self, queue: u16) {
        self.select_queue(queue);
        // A device that leads elsewhere hears of nothing, and so does nothing.
        if let Some(doorbell) = self.layout.doorbell(self.common.read_u16(QUEUE_NOTIFY)) {
            self.notify.memory.write_u16(doorbell, queue);
        }
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_retain(self.common.read_u8(STATUS).into())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        if status.is_empty() { self.reset() } else { self.common.write_u8(STATUS, status.bits() as u8) }
    }

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        self.select_queue(queue);
        self.common.write_u16(QUEUE_SIZE, size as u16);
        self.common.write_u64(QUEUE_DESCRIPTORS, descriptors);
        self.common.write_u64(QUEUE_DRIVER, driver_area);
        self.common.write_u64(QUEUE_DEVICE, device_area);
        self.common.write_u16(QUEUE_ENABLE, 1);
    }

    /// Only a reset takes a queue from a device (section 4.1.4.3.2).
    fn queue_unset(&mut self, _: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.select_queue(queue);
        self.common.read_u16(QUEUE_ENABLE) == 1
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::from_bits_retain(self.interrupt_status.read_u8(0).into())
    }

    fn read_config_generation(&self) -> u32 {
        self.common.read_u8(CONFIGURATION_GENERATION).into()
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
        let (own, width) = self.own::<T>(offset)?;
        let mut value = T::new_zeroed();
        for (index, bytes) in value.as_mut_bytes().chunks_mut(width).enumerate() {
            let at = offset + index * width;
            match bytes.len() {
                4 => bytes.copy_from_slice(&own.read_u32(at).to_le_bytes()),
                2 => bytes.copy_from_slice(&own.read_u16(at).to_le_bytes()),
                _ => bytes.fill(own.read_u8(at)),
            }
        }
        Ok(value)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, offset: usize, value: T) -> Result<(), Error> {
        let (own, width) = self.own::<T>(offset)?;
        for (index, bytes) in value.as_bytes().chunks(width).enumerate() {
            let at = offset + index * width;
            match *bytes {
                [a, b, c, d] => own.write_u32(at, u32::from_le_bytes([a, b, c, d])),
                [a, b] => own.write_u16(at, u16::from_le_bytes([a, b])),
                [byte] => own.write_u8(at, byte),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for PciTransport {
    fn drop(&mut self) {
        // If it does not reset, it is kept from memory all the same, when the device is dropped.
        self.reset();
    }
}
