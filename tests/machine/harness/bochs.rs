//! Machines in Bochs: another BIOS, another CPU implementation, which checks segment limits as QEMU's TCG does not, and has an
//! x2APIC and a timer with TSC deadline as that has not.
//!
//! Only the serial port is connected: such a machine has no screen to read and no keyboard.

use super::machine::Machine;
use super::scratch::Scratch;
use super::setup::hostile_image;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BIOS: &str = "/usr/share/bochs/BIOS-bochs-latest";
const VGA_BIOS: &str = "/usr/share/bochs/VGABIOS-lgpl-latest";

enum Medium {
    Disk,
    Floppy,
}

/// As much as the memory map of `hostile.asm` tells of.
const HOSTILE_MEMORY_MIB: u32 = 128;
const FLOPPY_BYTES: usize = 1440 * 1024;

/// A Bochs machine to be.
#[must_use]
pub struct BochsSetup {
    scratch: Scratch,
    image: PathBuf,
    medium: Medium,
    memory_mib: u32,
    cpu: Option<String>,
    cpus: u32,
    mips: u32,
}

impl BochsSetup {
    pub(super) fn of_image(image: PathBuf) -> Self {
        // 4 MIPS are Bochs's own choice: what waits for a time is soon done, what computes takes its time.
        let scratch = Scratch::new();
        Self { scratch, image, medium: Medium::Disk, memory_mib: 64, cpu: None, cpus: 1, mips: 4 }
    }

    /// A BIOS with `faults`, of those that `tests/machine/hostile.asm` has, between the image and that of Bochs.
    pub fn hostile(mut self, faults: &[&str]) -> Self {
        self.image = hostile_image(&self.image, faults, &self.scratch);
        self.memory_mib = HOSTILE_MEMORY_MIB;
        self
    }

    /// Another disk image.
    pub fn image(mut self, path: &Path) -> Self {
        self.image = path.into();
        self
    }

    /// As much of the image as a floppy disk of 1440 KiB holds, as one.
    pub fn floppy(mut self) -> Self {
        self.medium = Medium::Floppy;
        self
    }

    /// A model of those that `bochs --help cpu` lists.
    pub fn cpu(mut self, model: &str) -> Self {
        self.cpu = Some(model.into());
        self
    }

    pub fn cpus(mut self, count: u32) -> Self {
        self.cpus = count;
        self
    }

    /// Millions of instructions that each processor runs in a second of the machine's time.
    pub fn mips(mut self, mips: u32) -> Self {
        self.mips = mips;
        self
    }

    pub fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.memory_mib = memory_mib;
        self
    }

    /// Starts the machine, as soon as fewer than two others run.
    pub fn boot(self) -> Machine {
        let scratch = self.scratch;
        let serial = scratch.file("serial");
        let model = self.cpu.map(|model| format!("model={model}, ")).unwrap_or_default();
        let settings = [
            "config_interface: textconfig".to_string(),
            // Bochs must have a display; this one is a VNC server that waits for nobody.
            "display_library: rfb, options=\"timeout=0\"".to_string(),
            "sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy".to_string(),
            format!("romimage: file={BIOS}"),
            format!("vgaromimage: file={VGA_BIOS}"),
            format!("memory: guest={0}, host={0}", self.memory_mib),
            format!("cpu: {model}count={}, ips={}", self.cpus, u64::from(self.mips) * 1_000_000),
            "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14".to_string(),
            self.medium.settings(&self.image, &scratch),
            format!("com1: enabled=1, mode=file, dev={}", serial.display()),
            "port_e9_hack: enabled=1".to_string(),
            format!("log: {}", scratch.file("log").display()),
            "panic: action=fatal".to_string(),
            "error: action=report".to_string(),
            "info: action=ignore".to_string(),
        ];
        let settings_file = scratch.file("bochsrc");
        // Debian's Bochs is built with its debugger, which waits for a command before it starts the machine.
        let debugger_file = scratch.file("debugger");
        let written = fs::write(&settings_file, settings.join("\n") + "\n")
            .and_then(|()| fs::write(&debugger_file, "continue\n"));
        written.unwrap_or_else(|error| panic!("cannot write into {}: {error}", scratch.path().display()));

        let mut command = Command::new("bochs");
        command.arg("-q").arg("-f").arg(settings_file).arg("-rc").arg(debugger_file);
        Machine::start_bochs(command, scratch, serial)
    }
}

impl Medium {
    fn settings(&self, image: &Path, scratch: &Scratch) -> String {
        let path = image.display();
        match self {
            // Volatile: what the machine writes goes to a journal, never into the image.
            Self::Disk => {
                let journal = scratch.file("journal");
                let journal = journal.display();
                format!("ata0-master: type=disk, path={path}, mode=volatile, journal={journal}\nboot: disk")
            }
            Self::Floppy => {
                let copy = scratch.file("floppy");
                let mut bytes = fs::read(image).unwrap_or_else(|error| panic!("{path}: {error}"));
                bytes.resize(FLOPPY_BYTES, 0);
                fs::write(&copy, bytes).unwrap_or_else(|error| panic!("{}: {error}", copy.display()));
                format!("floppya: 1_44={}, status=inserted, write_protected=1\nboot: floppy", copy.display())
            }
        }
    }
}
