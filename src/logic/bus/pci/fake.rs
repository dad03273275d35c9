//! Configuration space of machines that are made up, for tests.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Class, ConfigurationSpace, PciAddress};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// A function: what its registers hold, and which of their bits can be written.
#[derive(Clone, Debug)]
pub struct FakeFunction {
    pub registers: Vec<u32>,
    pub writable: Vec<u32>,
}

impl FakeFunction {
    /// An ordinary function without anything.
    pub fn new(vendor: u16, device: u16, class: u32) -> Self {
        let mut function = Self { registers: vec![0; 1024], writable: vec![0; 1024] };
        function.registers[0] = u32::from(device) << 16 | u32::from(vendor);
        function.registers[2] = class << 8 | 1;
        function.writable[1] = 0x0547;
        function.registers[1] = 0x0003;
        function
    }

    pub fn bridge(secondary: u8, subordinate: u8) -> Self {
        let buses = u32::from(subordinate) << 16 | u32::from(secondary) << 8;
        Self::new(0x1b36, 1, 0x06_0400).with(0x0c, 1 << 16).with(0x18, buses)
    }

    pub fn host_bridge() -> Self {
        Self::new(0x8086, 0x1237, 0x06_0000)
    }

    /// A register set to a value.
    pub fn with(mut self, offset: usize, value: u32) -> Self {
        self.registers[offset / 4] = value;
        self
    }

    /// A register set to a value, of which some bits can be written.
    pub fn with_writable(mut self, offset: usize, value: u32, writable: u32) -> Self {
        self.writable[offset / 4] = writable;
        self.with(offset, value)
    }

    /// With a list of capabilities: offset and the words there, of which the links are made.
    pub fn with_capabilities(mut self, list: &[(u8, &[u32])]) -> Self {
        self.registers[1] |= 1 << 20;
        self.registers[0x34 / 4] = list.first().map_or(0, |(offset, _)| u32::from(*offset));
        for (index, (offset, words)) in list.iter().enumerate() {
            let next = list.get(index + 1).map_or(0, |(offset, _)| u32::from(*offset));
            for (at, word) in words.iter().enumerate() {
                self.registers[usize::from(*offset) / 4 + at] = *word;
                self.writable[usize::from(*offset) / 4 + at] = if at == 0 { 0xc171_0000 } else { u32::MAX };
            }
            self.registers[usize::from(*offset) / 4] |= next << 8;
        }
        self
    }
}

/// All functions, and what was done to them.
#[derive(Default)]
pub struct FakeSpace {
    functions: RefCell<BTreeMap<PciAddress, FakeFunction>>,
    /// Where there is no function, this one answers.
    everywhere: Option<FakeFunction>,
    pub reads: Cell<u64>,
    /// A base address register was changed while the function answered at it.
    pub was_careless: Cell<bool>,
    pub was_unused: RefCell<Vec<Class>>,
}

impl FakeSpace {
    pub fn new(functions: impl IntoIterator<Item = ((u8, u8, u8), FakeFunction)>) -> Self {
        let functions = functions.into_iter();
        Self::of(functions.map(|((bus, device, function), fake)| (PciAddress::new(0, bus, device, function), fake)))
    }

    pub fn of(functions: impl IntoIterator<Item = (PciAddress, FakeFunction)>) -> Self {
        Self { functions: RefCell::new(functions.into_iter().collect()), ..Self::default() }
    }

    /// The same function everywhere; what is written to it is forgotten.
    pub fn everywhere(function: FakeFunction) -> Self {
        Self { everywhere: Some(function), ..Self::default() }
    }

    pub fn registers(&self) -> BTreeMap<PciAddress, Vec<u32>> {
        self.functions.borrow().iter().map(|(address, function)| (*address, function.registers.clone())).collect()
    }
}

impl ConfigurationSpace for FakeSpace {
    fn read(&self, address: PciAddress, offset: u16) -> u32 {
        assert!(offset.is_multiple_of(4), "an access off alignment");
        self.reads.set(self.reads.get() + 1);
        let functions = self.functions.borrow();
        let function = functions.get(&address).or(self.everywhere.as_ref());
        function.and_then(|function| function.registers.get(usize::from(offset) / 4)).copied().unwrap_or(u32::MAX)
    }

    fn write(&self, address: PciAddress, offset: u16, value: u32) {
        assert!(offset.is_multiple_of(4), "an access off alignment");
        let mut functions = self.functions.borrow_mut();
        let Some(function) = functions.get_mut(&address) else { return };
        let index = usize::from(offset) / 4;
        let Some(register) = function.registers.get(index).copied() else { return };
        let writable = function.writable[index];
        let mut new = register & !writable | value & writable;
        if index == 1 {
            // Ones clear the errors in the status register.
            let errors = 0xf900_0000;
            new = new & !errors | register & errors & !value;
        }
        function.registers[index] = new;
        if (4..10).contains(&index) && new != register && function.registers[1] & 0b11 & function.writable[1] != 0 {
            self.was_careless.set(true);
        }
    }

    fn while_unused(&self, class: Class, action: &mut dyn FnMut()) {
        self.was_unused.borrow_mut().push(class);
        action();
    }
}
