//! virtio devices on PCI: which functions are some, and where their registers are (Virtual I/O Device 1.2, section 4.1).
//!
//! Capabilities of the maker's own say in which of the function's memory each set of registers lies. Those that lead out of it, or
//! nowhere, are passed over, so that whatever a device says, its registers are inside its memory.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

use super::pci::{CONVENTIONAL_BYTES, Capability, Function};
use core::fmt;

/// The number of devices that give random bytes (section 5).
pub const ENTROPY_SOURCE: u16 = 4;

const VENDOR: u16 = 0x1af4;
/// Devices that speak the old interface too have numbers from here on.
const FIRST_TRANSITIONAL: u16 = 0x1000;
const FIRST_MODERN: u16 = 0x1040;
const LAST: u16 = 0x107f;

/// Kinds of registers (section 4.1.4).
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const INTERRUPT_STATUS: u8 = 3;
const OWN: u8 = 4;

/// Bytes of a capability, and of one that leads to doorbells.
const CAPABILITY_BYTES: u8 = 16;
const NOTIFY_BYTES: u8 = 20;

/// Bytes of the registers that all devices have.
const COMMON_BYTES: u64 = 56;
/// Bytes of a doorbell.
const DOORBELL_BYTES: usize = 2;

/// What a function is by virtio's numbers (section 5); `None` if it is no virtio device.
pub fn kind(function: &Function) -> Option<u16> {
    if function.vendor != VENDOR {
        return None;
    }
    match function.device {
        FIRST_MODERN..=LAST => function.device.checked_sub(FIRST_MODERN),
        FIRST_TRANSITIONAL..FIRST_MODERN => function.subsystem.map(|(_, device)| device),
        _ => None,
    }
}

/// Registers in a function's memory, all of them inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The base address register that leads to the memory.
    pub bar: u8,
    /// Where in that memory they begin, in bytes.
    pub offset: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// Where a device's registers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Those that all devices have (section 4.1.4.3).
    pub common: Place,
    /// Doorbells: what is written there tells the device of work (section 4.1.4.4).
    pub notify: Place,
    /// Bytes from one doorbell to the next.
    pub notify_step: u32,
    /// Why it interrupts (section 4.1.4.5).
    pub interrupt_status: Place,
    /// Those of its kind, if it has some (section 4.1.4.6).
    pub own: Option<Place>,
}

/// Why a device cannot be driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It has the interface of before virtio 1.0 only.
    Legacy,
    /// It has no such registers, or they are where its memory is not.
    Lacks(&'static str),
}

impl fmt::Display for Unusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Legacy => formatter.write_str("it has the interface of before virtio 1.0 only"),
            Self::Lacks(what) => write!(formatter, "it says nowhere usable where its {what} are"),
        }
    }
}

impl Layout {
    /// Finds the registers of `function`, whose configuration space `read` reads, four bytes at an offset that is a multiple of 4.
    ///
    /// # Errors
    /// [`Unusable`] says why it cannot be driven.
    pub fn find(function: &Function, mut read: impl FnMut(u16) -> u32) -> Result<Self, Unusable> {
        let is_transitional = function.device < FIRST_MODERN;
        let (mut common, mut notify, mut interrupt_status, mut own) = (None, None, None, None);
        for capability in function.capabilities.iter().filter(|capability| capability.is_vendor_specific()) {
            let Some(found) = Found::read(*capability, &mut read) else { continue };
            // Of several, the first that can be used is the one to use (section 4.1.4.1).
            match found.kind {
                COMMON if common.is_none() => common = found.place(function, COMMON_BYTES, 4),
                NOTIFY if notify.is_none() && found.bytes >= NOTIFY_BYTES => {
                    let step = read(u16::from(capability.offset).saturating_add(u16::from(CAPABILITY_BYTES)));
                    let place = found.place(function, DOORBELL_BYTES as u64, 2);
                    notify = place.filter(|_| step.is_multiple_of(2)).map(|place| (place, step));
                }
                INTERRUPT_STATUS if interrupt_status.is_none() => interrupt_status = found.place(function, 1, 1),
                OWN if own.is_none() => own = found.place(function, 1, 4),
                _ => {}
            }
        }
        if is_transitional && common.is_none() && notify.is_none() && interrupt_status.is_none() {
            return Err(Unusable::Legacy);
        }
        let (notify, notify_step) = notify.ok_or(Unusable::Lacks("doorbells"))?;
        Ok(Self {
            common: common.ok_or(Unusable::Lacks("common registers"))?,
            notify,
            notify_step,
            interrupt_status: interrupt_status.ok_or(Unusable::Lacks("interrupt status"))?,
            own,
        })
    }

    /// Where in the doorbells' memory the one is whose number the device has told; `None` if that leads out of them.
    pub fn doorbell(&self, number: u16) -> Option<usize> {
        let offset = usize::try_from(u64::from(number).checked_mul(u64::from(self.notify_step))?).ok()?;
        let fits = offset.checked_add(DOORBELL_BYTES)? <= self.notify.bytes;
        self.notify.offset.checked_add(offset).filter(|_| fits)
    }
}

/// A capability as it stands in configuration space.
struct Found {
    kind: u8,
    bytes: u8,
    bar: u8,
    offset: u32,
    length: u32,
}

impl Found {
    /// `None` if it is too short or reaches out of configuration space.
    fn read(capability: Capability, read: &mut impl FnMut(u16) -> u32) -> Option<Self> {
        let start = u16::from(capability.offset);
        let mut word = |at: u16| read(start.saturating_add(at));
        let [_, _, bytes, kind] = word(0).to_le_bytes();
        let fits = start.saturating_add(u16::from(bytes)) <= CONVENTIONAL_BYTES;
        if bytes < CAPABILITY_BYTES || !fits {
            return None;
        }
        let [bar, ..] = word(4).to_le_bytes();
        Some(Self { kind, bytes, bar, offset: word(8), length: word(12) })
    }

    /// Where it leads, if at least `least` bytes are there, aligned to `align`, in memory of the function.
    fn place(&self, function: &Function, least: u64, align: u32) -> Option<Place> {
        let bar = function.bar(self.bar).filter(|bar| bar.is_memory())?;
        let end = u64::from(self.offset).checked_add(u64::from(self.length))?;
        let fits = end <= bar.size && u64::from(self.length) >= least && self.offset.is_multiple_of(align);
        let (offset, bytes) = (usize::try_from(self.offset).ok()?, usize::try_from(self.length).ok()?);
        fits.then_some(Place { bar: self.bar, offset, bytes })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used)]

    use super::super::pci::{Bar, BarKind, Class, Header, PciAddress};
    use super::*;
    use arrayvec::ArrayVec;
    use proptest::prelude::*;

    const MEMORY: BarKind = BarKind::Memory { is_wide: true, is_prefetchable: true };
    const VENDOR_SPECIFIC: u8 = 9;

    /// A capability: kind, bytes, register of its memory, offset, length, and the word behind.
    type Words = (u8, u8, u8, u32, u32, u32);

    /// As QEMU has them: https://gitlab.com/qemu-project/qemu, hw/virtio/virtio-pci.c.
    const GOOD: [Words; 4] = [
        (COMMON, 16, 4, 0, 0x1000, 0),
        (INTERRUPT_STATUS, 16, 4, 0x1000, 0x1000, 0),
        (OWN, 16, 4, 0x2000, 0x1000, 0),
        (NOTIFY, 20, 4, 0x3000, 0x1000, 4),
    ];

    fn function(device: u16, subsystem: u16) -> Function {
        let bars = [
            Bar { index: 0, kind: BarKind::Ports, address: 0xc000, size: 0x20 },
            Bar { index: 4, kind: MEMORY, address: 0xfe00_0000, size: 0x4000 },
        ];
        Function {
            address: PciAddress::new(0, 0, 3, 0),
            vendor: VENDOR,
            device,
            revision: 1,
            class: Class::from_register(0x00ff_0001),
            header: Header::Ordinary,
            subsystem: Some((VENDOR, subsystem)),
            bars: bars.into_iter().collect(),
            capabilities: ArrayVec::new(),
            msi: None,
            msix: None,
            pin: None,
        }
    }

    /// Puts `list` into configuration space, 20 bytes each, and finds what it leads to.
    fn find(list: &[Words]) -> Result<Layout, Unusable> {
        let mut function = function(0x1005, ENTROPY_SOURCE);
        let mut space = [0; 64];
        for (index, &(kind, bytes, bar, offset, length, behind)) in list.iter().enumerate() {
            let start = 16 + 5 * index;
            let header = u32::from_le_bytes([VENDOR_SPECIFIC, 0, bytes, kind]);
            let words = [header, bar.into(), offset, length, behind];
            space[start..start + 5].copy_from_slice(&words);
            function.capabilities.push(Capability { id: VENDOR_SPECIFIC, offset: u8::try_from(4 * start).unwrap() });
        }
        Layout::find(&function, |offset| space[usize::from(offset) / 4])
    }

    #[test]
    fn devices_are_told_by_their_numbers() {
        assert_eq!(kind(&function(0x1044, 0x1100)), Some(ENTROPY_SOURCE));
        assert_eq!(kind(&function(0x1005, ENTROPY_SOURCE)), Some(ENTROPY_SOURCE));
        assert_eq!(kind(&function(0x1000, 1)), Some(1), "a network");
        assert_eq!(kind(&function(0x1110, ENTROPY_SOURCE)), None, "shared memory, of the same maker");
        assert_eq!(kind(&Function { subsystem: None, ..function(0x1005, 0) }), None);
        assert_eq!(kind(&Function { vendor: 0x8086, ..function(0x1044, ENTROPY_SOURCE) }), None);
    }

    #[test]
    fn registers_are_found() {
        let place = |offset| Place { bar: 4, offset, bytes: 0x1000 };
        let layout = find(&GOOD).expect("all is there");
        let expected = Layout {
            common: place(0),
            notify: place(0x3000),
            notify_step: 4,
            interrupt_status: place(0x1000),
            own: Some(place(0x2000)),
        };
        assert_eq!(layout, expected);
        assert_eq!(layout.doorbell(0), Some(0x3000));
        assert_eq!(layout.doorbell(0x3ff), Some(0x3ffc));
        assert_eq!(layout.doorbell(0x400), None);
        assert_eq!(Layout { notify_step: u32::MAX, ..layout }.doorbell(u16::MAX), None);
        assert_eq!(Layout { notify_step: 0, ..layout }.doorbell(u16::MAX), Some(0x3000));
    }

    #[test]
    fn what_leads_nowhere_is_passed_over() {
        let lacks = |what| Err(Unusable::Lacks(what));
        for (bad, outcome) in [
            ((COMMON, 16, 4, 0x3fc9, 56, 0), lacks("common registers")),
            ((COMMON, 16, 4, 0x3fcc, 56, 0), lacks("common registers")),
            ((COMMON, 16, 4, 2, 0x1000, 0), lacks("common registers")),
            ((COMMON, 16, 4, 0, 55, 0), lacks("common registers")),
            ((COMMON, 15, 4, 0, 0x1000, 0), lacks("common registers")),
            ((COMMON, 16, 0, 0, 0x20, 0), lacks("common registers")),
            ((COMMON, 16, 5, 0, 0x1000, 0), lacks("common registers")),
            ((COMMON, 16, 255, 0, 0x1000, 0), lacks("common registers")),
            ((COMMON, 16, 4, u32::MAX - 3, 0x1000, 0), lacks("common registers")),
            ((COMMON, 255, 4, 0, 0x1000, 0), lacks("common registers")),
            ((NOTIFY, 16, 4, 0x3000, 0x1000, 4), lacks("doorbells")),
            ((NOTIFY, 20, 4, 0x3000, 0x1000, 3), lacks("doorbells")),
            ((NOTIFY, 20, 4, 0x3000, 1, 4), lacks("doorbells")),
            ((INTERRUPT_STATUS, 16, 4, 0x1000, 0, 0), lacks("interrupt status")),
        ] {
            let list = GOOD.map(|good| if good.0 == bad.0 { bad } else { good });
            assert_eq!(find(&list), outcome, "{bad:?}");
            // A usable one behind it is taken.
            let good = GOOD.into_iter().find(|good| good.0 == bad.0).expect("there is one of each");
            let both: Vec<_> = list.into_iter().chain([good]).collect();
            assert_eq!(find(&both), find(&GOOD), "{bad:?}");
        }
        assert_eq!(find(&GOOD[..2]), lacks("doorbells"));
    }

    #[test]
    fn registers_of_its_kind_may_be_missing() {
        let without: Vec<_> = GOOD.into_iter().filter(|good| good.0 != OWN).collect();
        assert_eq!(find(&without).expect("the rest is there").own, None);
    }

    #[test]
    fn the_old_interface_alone_is_told_from_a_damaged_one() {
        assert_eq!(find(&[]), Err(Unusable::Legacy));
        let modern = function(0x1044, 0x1100);
        assert_eq!(Layout::find(&modern, |_| 0), Err(Unusable::Lacks("doorbells")));
    }

    proptest! {
        #[test]
        fn registers_are_inside_the_memory_whatever_the_device_says(
            words in proptest::collection::vec(any::<u32>(), 64),
            shapes in proptest::collection::vec((0u8..6, 14u8..22, 3u8..6, 0u32..0x5000, 0u32..0x5000), 0..9),
            offsets in proptest::collection::vec(0u8..64, 0..12),
            number: u16,
        ) {
            let mut function = function(0x1044, 0x1100);
            let mut space = words;
            for (index, (kind, bytes, bar, offset, length)) in shapes.into_iter().enumerate() {
                let start = 16 + 5 * index;
                space[start] = u32::from_le_bytes([VENDOR_SPECIFIC, 0, bytes, kind]);
                space[start + 1..start + 4].copy_from_slice(&[bar.into(), offset & !3, length]);
                let offset = u8::try_from(4 * start).unwrap();
                function.capabilities.push(Capability { id: VENDOR_SPECIFIC, offset });
            }
            let astray = offsets.into_iter().map(|offset| Capability { id: VENDOR_SPECIFIC, offset: 4 * offset });
            function.capabilities.extend(astray);
            let read = |offset: u16| space.get(usize::from(offset) / 4).copied().unwrap_or(u32::MAX);
            if let Ok(layout) = Layout::find(&function, read) {
                let places = [layout.common, layout.notify, layout.interrupt_status].into_iter().chain(layout.own);
                for place in places {
                    prop_assert!(place.bar == 4 && place.offset + place.bytes <= 0x4000, "{place:?}");
                }
                prop_assert!(layout.common.bytes >= 56 && layout.common.offset % 4 == 0);
                let notify = layout.notify;
                let inside = |at| at >= notify.offset && at + 2 <= notify.offset + notify.bytes && at % 2 == 0;
                prop_assert!(layout.doorbell(number).is_none_or(inside));
            }
        }
    }
}
