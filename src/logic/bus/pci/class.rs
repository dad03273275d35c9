//! What a function is for, in words (PCI Code and ID Assignment 1.11).

use core::fmt;
use pci_types::device_type::{DeviceType, UsbType};

/// The class code: what a function is for, and how it is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Base class.
    pub base: u8,
    /// Subclass.
    pub sub: u8,
    /// Programming interface: what registers it has.
    pub interface: u8,
}

impl Class {
    pub(in crate::bus) fn from_register(value: u32) -> Self {
        let [_, interface, sub, base] = value.to_le_bytes();
        Self { base, sub, interface }
    }

    /// From processor to PCI.
    pub fn is_host_bridge(self) -> bool {
        (self.base, self.sub) == (0x06, 0x00)
    }

    /// Something that others are reached through, by which they reach memory.
    pub fn is_bridge(self) -> bool {
        self.base == 0x06
    }

    /// Something that shows pictures, and may be showing some already.
    pub fn is_display(self) -> bool {
        self.base == 0x03 || (self.base, self.sub) == (0x00, 0x01)
    }

    /// What it is, if it is one of the common ones.
    pub fn name(self) -> Option<&'static str> {
        Some(match DeviceType::from((self.base, self.sub)) {
            DeviceType::ScsiBusController => "SCSI controller",
            DeviceType::IdeController => "IDE controller",
            DeviceType::FloppyController => "floppy disk controller",
            DeviceType::RaidController => "RAID controller",
            DeviceType::AtaController => "ATA controller",
            DeviceType::SataController if self.interface == 0x01 => "SATA controller (AHCI)",
            DeviceType::SataController => "SATA controller",
            DeviceType::SasController => "SAS controller",
            DeviceType::NvmeController if self.interface == 0x02 => "NVMe controller",
            DeviceType::NvmeController => "non-volatile memory controller",
            DeviceType::OtherMassStorageController => "storage controller",
            DeviceType::EthernetController => "Ethernet controller",
            DeviceType::OtherNetworkController => "network controller",
            DeviceType::VgaCompatibleController | DeviceType::LegacyVgaCompatible => "VGA adapter",
            DeviceType::XgaController | DeviceType::ThreeDController | DeviceType::OtherDisplayController => {
                "display adapter"
            }
            DeviceType::VideoDevice => "video device",
            // The crate has "other" for subclass 3, which is High Definition Audio.
            DeviceType::AudioDevice | DeviceType::OtherMultimediaDevice => "audio device",
            DeviceType::RamController | DeviceType::FlashController | DeviceType::OtherMemoryController => {
                "memory controller"
            }
            DeviceType::HostBridge => "host bridge",
            DeviceType::IsaBridge => "ISA bridge",
            DeviceType::PciPciBridge => "PCI bridge",
            DeviceType::CardBusBridge => "CardBus bridge",
            DeviceType::OtherBridgeDevice => "bridge",
            DeviceType::SerialController => "serial port",
            DeviceType::ParallelPort => "parallel port",
            DeviceType::MultiportSerialController => "serial ports",
            DeviceType::OtherCommunicationsDevice => "communication device",
            DeviceType::InterruptController => "interrupt controller",
            DeviceType::DmaController => "DMA controller",
            DeviceType::SystemTimer => "timer",
            DeviceType::RtcController => "real-time clock",
            DeviceType::SdHostController => "SD card controller",
            DeviceType::OtherSystemPeripheral => "system device",
            DeviceType::KeyboardController => "keyboard",
            DeviceType::MouseController => "mouse",
            DeviceType::OtherInputController => "input device",
            DeviceType::FirewireController => "FireWire controller",
            DeviceType::UsbController => match UsbType::try_from(self.interface) {
                Ok(UsbType::Uhci) => "USB controller (UHCI)",
                Ok(UsbType::Ohci) => "USB controller (OHCI)",
                Ok(UsbType::Ehci) => "USB controller (EHCI)",
                Ok(UsbType::Xhci) => "USB controller (xHCI)",
                _ => "USB controller",
            },
            DeviceType::SmBusController => "SMBus controller",
            DeviceType::CanBusController => "CAN controller",
            DeviceType::BluetoothController => "Bluetooth controller",
            DeviceType::Ethernet5GHzController
            | DeviceType::Ethernet24GHzController
            | DeviceType::OtherWirelessController => "wireless controller",
            DeviceType::NetworkCryptionController | DeviceType::OtherCryptionController => "encryption controller",
            DeviceType::OtherSignalProcessingController => "signal processor",
            _ => return None,
        })
    }
}

/// Its name, or the code of one that has none: `class 12.00.00`.
impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.pad(name),
            None => write!(formatter, "class {:02x}.{:02x}.{:02x}", self.base, self.sub, self.interface),
        }
    }
}
