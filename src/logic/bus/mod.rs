//! Buses that devices sit on.

pub mod pci;
pub mod virtio;
