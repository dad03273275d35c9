//! Fuzz target: whatever configuration space holds, enumerating it ends, puts back what it changed, and what comes of it keeps
//! its promises; so do the places of virtio's registers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logic::bus::pci::{
    BusRange, ConfigurationSpace, MAX_FUNCTIONS, PciAddress, Sweep, enumerate, extended_capabilities,
};
use logic::bus::virtio;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// Words of configuration space that the input has of a function: its values, then the bits of them that can be written.
const WORDS: usize = 32;
/// Bytes of the input for a function: bus, device and function, then the words.
const RECORD: usize = 2 + 2 * 4 * WORDS;

/// Errors in the status register, which ones clear.
const ERRORS: u32 = 0xf900_0000;

struct Space {
    /// Values and writable bits. Offsets beyond them are further copies of the same.
    functions: RefCell<BTreeMap<PciAddress, ([u32; WORDS], [u32; WORDS])>>,
    /// What answers where no function is.
    elsewhere: u32,
    accesses: Cell<u64>,
}

impl ConfigurationSpace for Space {
    fn read(&self, address: PciAddress, offset: u16) -> u32 {
        assert!(offset.is_multiple_of(4) && offset < 4096);
        self.accesses.set(self.accesses.get() + 1);
        let functions = self.functions.borrow();
        functions.get(&address).map_or(self.elsewhere, |(values, _)| values[usize::from(offset) / 4 % WORDS])
    }

    fn write(&self, address: PciAddress, offset: u16, value: u32) {
        assert!((4..0x28).contains(&offset), "enumeration writes to the command and base address registers alone");
        let mut functions = self.functions.borrow_mut();
        let Some((values, writable)) = functions.get_mut(&address) else { return };
        let index = usize::from(offset) / 4;
        let before = values[index];
        let new = before & !writable[index] | value & writable[index];
        values[index] = if index == 1 { new & !ERRORS | before & ERRORS & !value } else { new };
    }
}

fuzz_target!(|data: &[u8]| {
    let [mode, last, data @ ..] = data else { return };
    let mut functions = BTreeMap::new();
    for record in data.chunks_exact(RECORD) {
        let mut words = record[2..].chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        let values: [u32; WORDS] = std::array::from_fn(|_| words.next().unwrap());
        let mut writable: [u32; WORDS] = std::array::from_fn(|_| words.next().unwrap());
        // What cannot be written back is not to be restored: of the status register, nothing else can be written.
        writable[1] &= 0xffff;
        functions.insert(PciAddress::new(0, record[0] & 15, record[1] >> 3, record[1] & 7), (values, writable));
    }
    let elsewhere = if mode & 0x0f == 1 { u32::from_le_bytes([*last, *mode, *last, *mode]) } else { u32::MAX };
    let sweep = [Sweep::Never, Sweep::IfSeveralHosts, Sweep::Always][usize::from(mode >> 4) % 3];
    let count = functions.len();
    let space = Space { functions: RefCell::new(functions.clone()), elsewhere, accesses: Cell::new(0) };
    let ranges = [
        BusRange { segment: 0, first: 0, last: *last, sweep },
        BusRange { segment: 0, first: last / 2, last: 255, sweep: Sweep::Never },
    ];
    let mut complaints = 0;
    let found = enumerate(&space, &ranges, &mut |complaint| {
        assert!(!complaint.to_string().is_empty());
        complaints += 1;
    })
    .expect("there is memory");
    assert!(*space.functions.borrow() == functions, "something was not restored");
    assert!(found.len() <= MAX_FUNCTIONS && complaints <= 12 * found.len() + 1);
    assert!(elsewhere != u32::MAX || found.len() <= count);
    assert!(found.is_sorted_by(|before, after| before.address < after.address), "not sorted, or found twice");
    for function in found {
        assert!(!function.to_string().is_empty());
        assert!(function.bars.iter().all(|bar| bar.size.is_power_of_two() && bar.size >= 4 && bar.index < 6));
        assert!(function.bars.iter().all(|bar| bar.end().is_none_or(|end| end > bar.address)));
        assert!(function.capabilities.iter().all(|capability| capability.offset >= 0x40));
        if let Some(msix) = function.msix {
            let bar = function.bar(msix.bar).expect("its table is in the function's memory");
            assert!(u64::from(msix.table) + 16 * u64::from(msix.entries) <= bar.size);
        }
        if let Ok(layout) = virtio::Layout::find(&function, |offset| space.read(function.address, offset)) {
            for place in [layout.common, layout.notify, layout.interrupt_status].into_iter().chain(layout.own) {
                let bar = function.bar(place.bar).expect("its registers are in the function's memory");
                assert!(bar.is_memory() && (place.offset + place.bytes) as u64 <= bar.size);
            }
            let end = layout.notify.offset + layout.notify.bytes;
            assert!(layout.doorbell(u16::from(*last)).is_none_or(|doorbell| doorbell + 2 <= end));
        }
        assert!(virtio::kind(&function).is_none_or(|_| function.vendor == 0x1af4));
        let extended = extended_capabilities(&space, function.address).expect("there is memory");
        assert!(extended.len() <= 960);
    }
    assert!(space.accesses.get() < 1 << 20, "endless");
});
