//! Finds all functions: on the buses that begin at the processor, and on those that bridges lead to, each bus once.
//!
//! Where the first bus of a range is all that is known, others may begin at the processor too: firmware names them in AML,
//! which is not run. They are found by trying ([`Sweep`]).

use super::{Complaint, ConfigurationSpace, DEVICES, FUNCTIONS, Function, Header, is_present};
use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use pci_types::PciAddress;

/// Functions that are kept: more than the largest machines have, little enough memory.
pub const MAX_FUNCTIONS: usize = 2048;

const BUSES: usize = 256;

/// Buses of a segment that configuration space reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusRange {
    /// The segment group.
    pub segment: u16,
    /// The first bus, which begins at the processor.
    pub first: u8,
    /// The last bus.
    pub last: u8,
    /// Whether to try all others.
    pub sweep: Sweep,
}

/// Whether to try buses that no bridge leads to: some 8000 reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// They are left out.
    Never,
    /// If there is more than one bridge from the processor.
    IfSeveralHosts,
    /// They are tried.
    Always,
}

/// Everything in `ranges`, sorted by address. What cannot be is complained of and left out.
///
/// # Errors
/// There is no memory for it.
pub fn enumerate(
    space: &impl ConfigurationSpace,
    ranges: &[BusRange],
    complain: &mut dyn FnMut(Complaint),
) -> Result<Vec<Function>, TryReserveError> {
    let mut functions = Vec::new();
    for (index, range) in ranges.iter().enumerate() {
        let earlier = ranges.get(..index).unwrap_or_default();
        if earlier.iter().all(|other| other.segment != range.segment) {
            Segment::new(space, range.segment, ranges, &mut functions, complain).find_all(ranges)?;
        }
    }
    functions.sort_unstable_by_key(|function| function.address);
    Ok(functions)
}

/// A segment while it is searched.
struct Segment<'a, S> {
    space: &'a S,
    number: u16,
    /// Buses that there can be.
    possible: BusSet,
    /// Buses that were or will be looked at: each of them is pending at most once.
    reached: BusSet,
    /// Buses that bridges claim to lead to, at once or farther on.
    behind_bridges: BusSet,
    pending: ArrayVec<u8, BUSES>,
    functions: &'a mut Vec<Function>,
    /// Functions of other segments.
    before: usize,
    is_full: bool,
    complain: &'a mut dyn FnMut(Complaint),
}

impl<'a, S: ConfigurationSpace> Segment<'a, S> {
    fn new(
        space: &'a S,
        number: u16,
        ranges: &[BusRange],
        functions: &'a mut Vec<Function>,
        complain: &'a mut dyn FnMut(Complaint),
    ) -> Self {
        let mut possible = BusSet::default();
        ranges.iter().filter(|range| range.segment == number).for_each(|range| possible.add(range.first, range.last));
        Self {
            space,
            number,
            possible,
            reached: BusSet::default(),
            behind_bridges: BusSet::default(),
            pending: ArrayVec::new(),
            before: functions.len(),
            functions,
            is_full: false,
            complain,
        }
    }

    fn find_all(&mut self, ranges: &[BusRange]) -> Result<(), TryReserveError> {
        let ranges = || ranges.iter().filter(|range| range.segment == self.number);
        let firsts: ArrayVec<u8, BUSES> = ranges().map(|range| range.first).take(BUSES).collect();
        let mut swept = BusSet::default();
        for range in ranges().filter(|range| range.sweep != Sweep::Never) {
            swept.add(range.first, range.last);
        }
        let always = ranges().any(|range| range.sweep == Sweep::Always);
        for bus in firsts {
            self.search_from(bus)?;
        }
        if !always && self.host_bridges() < 2 {
            return Ok(());
        }
        for bus in 0..=u8::MAX {
            let is_open = swept.has(bus) && !self.reached.has(bus) && !self.behind_bridges.has(bus);
            if is_open && (0..DEVICES).any(|device| is_present(self.space, self.address(bus, device, 0))) {
                self.search_from(bus)?;
            }
        }
        Ok(())
    }

    fn host_bridges(&self) -> usize {
        let mine = self.functions.get(self.before..).unwrap_or_default();
        mine.iter().filter(|function| function.class.is_host_bridge()).count()
    }

    /// Looks at a bus and at all that bridges on it lead to.
    fn search_from(&mut self, bus: u8) -> Result<(), TryReserveError> {
        self.reach(bus);
        while let Some(bus) = self.pending.pop() {
            for device in 0..DEVICES {
                if self.search(bus, device, 0)? {
                    for function in 1..FUNCTIONS {
                        self.search(bus, device, function)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Notes a bus as pending; `false` if it was reached before.
    fn reach(&mut self, bus: u8) -> bool {
        // There is room: every bus comes here once.
        !self.reached.has(bus) && {
            self.reached.add(bus, bus);
            self.pending.try_push(bus).is_ok()
        }
    }

    /// Looks at one function. Answers whether its device may have others.
    fn search(&mut self, bus: u8, device: u8, function: u8) -> Result<bool, TryReserveError> {
        let address = self.address(bus, device, function);
        if self.is_full {
            return Ok(false);
        }
        if self.functions.len() >= MAX_FUNCTIONS {
            self.is_full = is_present(self.space, address);
            if self.is_full {
                (self.complain)(Complaint::TooManyFunctions);
            }
            return Ok(false);
        }
        let Some((function, has_others)) = Function::read(self.space, address, &mut *self.complain) else {
            return Ok(false);
        };
        if let Header::Bridge(buses) = function.header
            && buses.secondary != 0
        {
            self.behind_bridges.add(buses.secondary, buses.subordinate);
            if !self.possible.has(buses.secondary) {
                (self.complain)(Complaint::NoSuchBus(address, buses.secondary));
            } else if !self.reach(buses.secondary) {
                (self.complain)(Complaint::BusTwice(address, buses.secondary));
            }
        }
        self.functions.try_reserve(1)?;
        self.functions.push(function);
        Ok(has_others)
    }

    fn address(&self, bus: u8, device: u8, function: u8) -> PciAddress {
        PciAddress::new(self.number, bus, device, function)
    }
}

/// A set of buses.
#[derive(Clone, Copy, Debug, Default)]
struct BusSet([u128; 2]);

impl BusSet {
    fn has(&self, bus: u8) -> bool {
        self.0.get(usize::from(bus >> 7)).is_some_and(|half| half >> (bus & 127) & 1 != 0)
    }

    /// Adds the buses from `first` to `last`, none if that is before.
    fn add(&mut self, first: u8, last: u8) {
        for bus in first..=last {
            if let Some(half) = self.0.get_mut(usize::from(bus >> 7)) {
                *half |= 1 << (bus & 127);
            }
        }
    }
}
