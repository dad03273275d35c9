//! I/O APICs: inputs of the machine to vectors of processors (Intel 82093AA data sheet, section 3).

use super::mmio::Registers;
use arrayvec::ArrayVec;
use core::ops::Range;
use logic::acpi::Platform;
use logic::irq::routing::RedirectionEntry;
use x86_64::PhysAddr;

/// The register that says which one [`DATA`] is.
const INDEX: usize = 0x00;
const DATA: usize = 0x10;
const BYTES: u64 = 0x20;

/// Version in the low byte, number of the last input in bits 16 to 23.
const VERSION: u32 = 0x01;
const REDIRECTION_TABLE: u32 = 0x10;
/// Registers have numbers of eight bits, and an input has two of them.
const MAX_INPUTS: u32 = (256 - REDIRECTION_TABLE) / 2;

const MAX_IO_APICS: usize = 32;

/// All I/O APICs of the machine. There is one handle at most.
pub struct IoApics(ArrayVec<IoApic, MAX_IO_APICS>);

impl IoApics {
    /// None.
    pub const fn none() -> Self {
        Self(ArrayVec::new_const())
    }

    /// Finds those that the tables tell of, and silences their inputs.
    pub fn find(platform: &Platform) -> Self {
        let mut found = Self::none();
        for entry in &platform.io_apics {
            match IoApic::find(entry.address, entry.gsi_base) {
                Some(io_apic) if !found.0.is_full() => found.0.push(io_apic),
                Some(_) => log::warn!("interrupts: more than {MAX_IO_APICS} I/O APICs"),
                None => log::warn!("interrupts: no I/O APIC answers at {:#x}", entry.address),
            }
        }
        found
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether there is an input for `gsi` that is the kernel's to use.
    pub fn have(&self, gsi: u32) -> bool {
        self.input(gsi).is_some_and(|(io_apic, input)| !io_apic.read_entry(input).is_firmware())
    }

    /// Sets up the input of `gsi`. `false` if there is none.
    pub fn route(&mut self, gsi: u32, entry: RedirectionEntry) -> bool {
        self.input(gsi).map(|(io_apic, input)| io_apic.write_entry(input, entry)).is_some()
    }

    /// Holds interrupts of `gsi` back.
    pub fn mask(&mut self, gsi: u32) {
        if let Some((io_apic, input)) = self.input(gsi) {
            io_apic.write_entry(input, io_apic.read_entry(input).masked(true));
        }
    }

    fn input(&self, gsi: u32) -> Option<(&IoApic, u32)> {
        let io_apic = self.0.iter().find(|io_apic| io_apic.gsis.contains(&gsi))?;
        Some((io_apic, gsi - io_apic.gsis.start))
    }
}

struct IoApic {
    registers: Registers,
    /// The global system interrupts of its inputs.
    gsis: Range<u32>,
}

impl IoApic {
    fn find(address: u64, gsi_base: u32) -> Option<Self> {
        let registers = Registers::map(PhysAddr::try_new(address).ok()?, BYTES)?;
        let mut io_apic = Self { registers, gsis: gsi_base..gsi_base };
        let version = io_apic.read(VERSION);
        if version == u32::MAX || version == 0 {
            return None;
        }
        let inputs = ((version >> 16 & 0xff) + 1).min(MAX_INPUTS);
        io_apic.gsis.end = gsi_base.checked_add(inputs)?;
        for input in (0..inputs).filter(|input| !io_apic.read_entry(*input).is_firmware()) {
            io_apic.write_entry(input, RedirectionEntry::SILENT);
        }
        Some(io_apic)
    }

    fn read_entry(&self, input: u32) -> RedirectionEntry {
        let register = REDIRECTION_TABLE + 2 * input;
        RedirectionEntry::from_registers(self.read(register), self.read(register + 1))
    }

    /// The input is masked while its entry is half old and half new.
    fn write_entry(&self, input: u32, entry: RedirectionEntry) {
        let register = REDIRECTION_TABLE + 2 * input;
        let (low, high) = entry.registers();
        self.write(register, entry.masked(true).registers().0);
        self.write(register + 1, high);
        self.write(register, low);
    }

    fn read(&self, register: u32) -> u32 {
        self.registers.write_u32(INDEX, register);
        self.registers.read_u32(DATA)
    }

    fn write(&self, register: u32, value: u32) {
        self.registers.write_u32(INDEX, register);
        self.registers.write_u32(DATA, value);
    }
}
