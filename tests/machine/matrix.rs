//! Every firmware, door and medium, on machines, processors and memory of all kinds, as one table: the cases of the tests, and the
//! page `docs/matrix.md`.
//!
//! Every way in that there is stands in it; processors, memory and numbers of processors are spread over it so that each is
//! combined with each firmware and door, and each processor with each size of memory. Each case ends at the shell, with a command
//! answered, or as its outcome says. The sampled rows run in the suite, all of them where `ERES_ALL` is set: `scripts/test.sh --all`.

use crate::harness::{Bus, Cd, Machine, Setup, Usb};
use crate::{ERES_LOADER, GRUB, expect_ready, monitor, shell};
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::{env, fs};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Firmware {
    SeaBios,
    Ovmf,
    /// Bochs has another BIOS and another processor, and no serial port to type at.
    Bochs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Iso,
    Raw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Medium {
    Cd(Cd),
    Disk(Bus),
    Usb(Usb),
}

/// How a case ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// At the shell, with a command answered.
    Shell,
    /// At the kernel's own prompt, without programs, for which there is no room.
    Monitor,
    /// Firmware does not start the medium, and says so in these words on the serial port.
    Refused(&'static str),
}

#[derive(Clone, Copy, Debug)]
struct Row {
    firmware: Firmware,
    door: Door,
    machine: &'static str,
    medium: Medium,
    cpu: &'static str,
    memory_mib: u32,
    cpus: u32,
    outcome: Outcome,
    is_sampled: bool,
}

use Door::{Iso, Raw};
use Firmware::{Bochs, Ovmf, SeaBios};
use Medium::{Cd as Disc, Disk, Usb as Stick};

/// The least memory that will do, which depends on firmware and door.
const FLOOR: u32 = 0;
const GIB: u32 = 1024;

const CPUS: [&str; 6] = ["core2duo", "qemu64", "qemu64,-nx", "Nehalem", "EPYC", "max"];
const MEMORIES: [u32; 4] = [FLOOR, 128, 3 * GIB, 12 * GIB];
const CPU_COUNTS: [u32; 2] = [1, 4];

/// What cannot be combined at all, for the page.
const IMPOSSIBLE: [(&str, &str); 5] = [
    ("the raw image as a CD", "a CD needs El Torito; the raw image is a disk's"),
    ("the ISO image as a floppy disk", "it is larger than one"),
    ("UEFI from a floppy disk or on `isapc`", "OVMF has no driver for floppy disks, and needs PCI"),
    ("the ISO image in Bochs 2.7", "GRUB 2.06 itself crashes there, before it loads anything of ours"),
    ("`isapc` with SATA, virtio, NVMe or USB", "that machine has no PCI"),
];

const ROWS: &[Row] = &[
    // SeaBIOS, the ISO image.
    row(SeaBios, Iso, "pc", Disc(Cd::Ide), "core2duo", FLOOR, 1).sampled(),
    row(SeaBios, Iso, "isapc", Disc(Cd::Ide), "qemu64", 128, 1).sampled(),
    row(SeaBios, Iso, "q35", Disc(Cd::Ahci), "qemu64", 128, 1).sampled(),
    row(SeaBios, Iso, "pc", Disc(Cd::VirtioScsi), "qemu64,-nx", 3 * GIB, 4).sampled(),
    row(SeaBios, Iso, "q35", Disc(Cd::VirtioScsi), "Nehalem", 12 * GIB, 4).sampled(),
    row(SeaBios, Iso, "pc", Disk(Bus::Ide), "EPYC", FLOOR, 1).sampled(),
    row(SeaBios, Iso, "isapc", Disk(Bus::Ide), "qemu64", 128, 1).sampled(),
    row(SeaBios, Iso, "q35", Disk(Bus::Ahci), "max", 128, 1).sampled(),
    row(SeaBios, Iso, "pc", Disk(Bus::Virtio), "core2duo", 12 * GIB, 4).sampled(),
    row(SeaBios, Iso, "q35", Disk(Bus::Virtio), "qemu64", FLOOR, 4).sampled(),
    row(SeaBios, Iso, "pc", Disk(Bus::Nvme), "qemu64,-nx", 128, 1).sampled(),
    row(SeaBios, Iso, "q35", Disk(Bus::Nvme), "Nehalem", 3 * GIB, 1).sampled(),
    row(SeaBios, Iso, "pc", Stick(Usb::Xhci), "EPYC", 12 * GIB, 4).sampled(),
    row(SeaBios, Iso, "q35", Stick(Usb::Xhci), "max", FLOOR, 4).sampled(),
    row(SeaBios, Iso, "pc", Stick(Usb::Ehci), "core2duo", 3 * GIB, 1).sampled(),
    row(SeaBios, Iso, "q35", Stick(Usb::Ehci), "qemu64", 12 * GIB, 1).sampled(),
    row(SeaBios, Iso, "pc", Stick(Usb::Uhci), "qemu64,-nx", FLOOR, 4).sampled(),
    row(SeaBios, Iso, "q35", Stick(Usb::Uhci), "Nehalem", 128, 4).sampled(),
    // SeaBIOS, the raw image.
    row(SeaBios, Raw, "pc", Disk(Bus::Ide), "EPYC", 3 * GIB, 1).sampled(),
    row(SeaBios, Raw, "isapc", Disk(Bus::Ide), "qemu64", 128, 1).sampled(),
    row(SeaBios, Raw, "q35", Disk(Bus::Ahci), "max", 12 * GIB, 1).sampled(),
    row(SeaBios, Raw, "pc", Disk(Bus::Virtio), "core2duo", 128, 4).sampled(),
    row(SeaBios, Raw, "q35", Disk(Bus::Virtio), "qemu64", 3 * GIB, 4).sampled(),
    row(SeaBios, Raw, "pc", Disk(Bus::Nvme), "qemu64,-nx", 12 * GIB, 1).sampled(),
    row(SeaBios, Raw, "q35", Disk(Bus::Nvme), "Nehalem", FLOOR, 1).sampled(),
    row(SeaBios, Raw, "pc", Stick(Usb::Xhci), "EPYC", 128, 4).sampled(),
    row(SeaBios, Raw, "q35", Stick(Usb::Xhci), "max", 3 * GIB, 4).sampled(),
    row(SeaBios, Raw, "pc", Stick(Usb::Ehci), "core2duo", FLOOR, 1).sampled(),
    row(SeaBios, Raw, "q35", Stick(Usb::Ehci), "qemu64", 128, 1).sampled(),
    row(SeaBios, Raw, "pc", Stick(Usb::Uhci), "qemu64,-nx", 3 * GIB, 4).sampled(),
    row(SeaBios, Raw, "q35", Stick(Usb::Uhci), "Nehalem", 12 * GIB, 4).sampled(),
    row(SeaBios, Raw, "pc", Disk(Bus::Floppy), "EPYC", FLOOR, 1).without_programs().sampled(),
    row(SeaBios, Raw, "isapc", Disk(Bus::Floppy), "qemu64", 128, 1).without_programs().sampled(),
    // OVMF, the ISO image.
    row(Ovmf, Iso, "pc", Disc(Cd::Ide), "max", 128, 1).sampled(),
    row(Ovmf, Iso, "q35", Disc(Cd::Ahci), "core2duo", 12 * GIB, 4),
    row(Ovmf, Iso, "pc", Disc(Cd::VirtioScsi), "qemu64", FLOOR, 4),
    row(Ovmf, Iso, "q35", Disc(Cd::VirtioScsi), "qemu64,-nx", 128, 1),
    row(Ovmf, Iso, "pc", Disk(Bus::Ide), "Nehalem", 3 * GIB, 1),
    row(Ovmf, Iso, "q35", Disk(Bus::Ahci), "EPYC", 12 * GIB, 4),
    row(Ovmf, Iso, "pc", Disk(Bus::Virtio), "max", FLOOR, 4),
    row(Ovmf, Iso, "q35", Disk(Bus::Virtio), "core2duo", 3 * GIB, 1),
    row(Ovmf, Iso, "pc", Disk(Bus::Nvme), "qemu64", 12 * GIB, 1),
    row(Ovmf, Iso, "q35", Disk(Bus::Nvme), "qemu64,-nx", FLOOR, 4).sampled(),
    row(Ovmf, Iso, "pc", Stick(Usb::Xhci), "Nehalem", 128, 4),
    row(Ovmf, Iso, "q35", Stick(Usb::Xhci), "EPYC", 3 * GIB, 1),
    row(Ovmf, Iso, "pc", Stick(Usb::Ehci), "max", 12 * GIB, 1),
    row(Ovmf, Iso, "q35", Stick(Usb::Ehci), "core2duo", 128, 4),
    row(Ovmf, Iso, "pc", Stick(Usb::Uhci), "qemu64", 3 * GIB, 4),
    row(Ovmf, Iso, "q35", Stick(Usb::Uhci), "qemu64,-nx", 12 * GIB, 1),
    // OVMF starts no boot sectors.
    row(Ovmf, Raw, "q35", Disk(Bus::Ahci), "qemu64", 128, 1).refused("failed to load Boot0002").sampled(),
    // Bochs.
    row(Bochs, Raw, "Bochs", Disk(Bus::Ide), "Bochs", 128, 1).sampled(),
    row(Bochs, Raw, "Bochs", Disk(Bus::Floppy), "Bochs", 128, 1).without_programs(),
];

const fn row(
    firmware: Firmware,
    door: Door,
    machine: &'static str,
    medium: Medium,
    cpu: &'static str,
    memory_mib: u32,
    cpus: u32,
) -> Row {
    Row { firmware, door, machine, medium, cpu, memory_mib, cpus, outcome: Outcome::Shell, is_sampled: false }
}

impl Outcome {
    fn prompt(self) -> &'static str {
        if self == Self::Shell { shell::PROMPT } else { monitor::PROMPT }
    }
}

impl Row {
    const fn sampled(self) -> Self {
        Self { is_sampled: true, ..self }
    }

    const fn without_programs(self) -> Self {
        Self { outcome: Outcome::Monitor, ..self }
    }

    const fn refused(self, words: &'static str) -> Self {
        Self { outcome: Outcome::Refused(words), ..self }
    }

    fn memory_mib(&self) -> u32 {
        match (self.memory_mib, self.firmware, self.door) {
            (FLOOR, Ovmf, _) => 64,
            // Less than half of it would not hold the programs.
            (FLOOR, _, _) => 12,
            (memory_mib, _, _) => memory_mib,
        }
    }

    fn setup(&self) -> Setup {
        let setup = match (self.door, self.outcome) {
            (Iso, _) => Machine::iso_with_programs(),
            (Raw, Outcome::Monitor) => Machine::raw(),
            (Raw, _) => Machine::raw_with_programs(),
        };
        let setup = match self.medium {
            Disc(bus) => setup.cd(bus),
            Disk(bus) => setup.disk(bus),
            Stick(controller) => setup.usb_stick(controller),
        };
        let setup = setup.machine(self.machine).cpu(self.cpu).memory_mib(self.memory_mib()).cpus(self.cpus);
        if self.firmware == Ovmf { setup.uefi() } else { setup }
    }

    /// Starts the machine. Where its disk has not answered by the next frame, as on a busy host, QEMU's UHCI takes the first of the
    /// BIOS's ring of transfers twice, and what the disk sends for the second is lost. That read fails after five seconds. GRUB reads
    /// again, as `grub.cfg` has it; its first stage gives up, so a machine with that controller that never gets to our code has more
    /// tries.
    fn boot(&self) -> Machine {
        let tries_before_last = if self.medium == Stick(Usb::Uhci) { 2 } else { 0 };
        for _ in 0..tries_before_last {
            let mut machine = self.setup().boot();
            if machine.comes_to_line("Eres OS ") {
                return machine;
            }
        }
        self.setup().boot()
    }

    /// Boots it and fails unless it ends as it must.
    fn check(&self) {
        if self.firmware == Bochs {
            let setup = match self.medium {
                Disk(Bus::Floppy) => Machine::bochs().floppy(),
                _ => Machine::bochs_with_programs(),
            };
            let mut machine = setup.memory_mib(self.memory_mib()).boot();
            expect_ready(&mut machine);
            machine.expect_prompt(self.outcome.prompt());
            return;
        }
        let mut machine = self.boot();
        match self.outcome {
            Outcome::Shell | Outcome::Monitor => {
                expect_ready(&mut machine);
                let loader = if self.door == Iso { GRUB } else { ERES_LOADER };
                let line = machine.line(loader).unwrap_or_default();
                assert!(line.contains("module: initramfs, "), "no {loader:?} with its module");
                let running = format!("processors: {} running", self.cpus);
                assert!(machine.line(&running).is_some(), "not {running:?}:\n{}", machine.serial_log());
                let (command, beginning) =
                    if self.outcome == Outcome::Shell { ("echo $((6 * 7))", "42") } else { ("uptime", "up 00:") };
                let answer = monitor::ask(&mut machine, self.outcome.prompt(), command);
                assert!(answer.iter().any(|line| line.starts_with(beginning)), "{answer:?}");
            }
            Outcome::Refused(words) => {
                machine.expect_line(words);
                assert_eq!(machine.line("Eres OS "), None);
            }
        }
    }
}

impl fmt::Display for Row {
    /// A row of the page's table.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let medium = match self.medium {
            Disc(Cd::Ide) => "CD, IDE",
            Disc(Cd::Ahci) => "CD, SATA",
            Disc(Cd::VirtioScsi) => "CD, virtio-scsi",
            Disk(Bus::Ide) => "disk, IDE",
            Disk(Bus::Ahci) => "disk, SATA",
            Disk(Bus::Virtio) => "disk, virtio",
            Disk(Bus::Nvme) => "disk, NVMe",
            Disk(Bus::Floppy) => "floppy disk",
            Stick(Usb::Xhci) => "USB 3 stick",
            Stick(Usb::Ehci) => "USB 2 stick",
            Stick(Usb::Uhci) => "USB 1 stick",
        };
        let firmware = match self.firmware {
            SeaBios => "SeaBIOS",
            Ovmf => "OVMF (UEFI)",
            Bochs => "Bochs BIOS",
        };
        let door = if self.door == Iso { "ISO" } else { "raw" };
        let memory = match self.memory_mib() {
            mib if mib >= GIB => format!("{} GiB", mib / GIB),
            mib => format!("{mib} MiB"),
        };
        let outcome = match self.outcome {
            Outcome::Shell => "shell".to_string(),
            Outcome::Monitor => "kernel's prompt".to_string(),
            Outcome::Refused(words) => format!("refused: \u{201c}{words}\u{201d}"),
        };
        let Self { machine, cpu, cpus, .. } = self;
        write!(formatter, "| {firmware} | {door} | {medium} | {machine} | {cpu} | {memory} | {cpus} | {outcome} |")
    }
}

/// Runs the rows of a firmware and a door, and tells all that fail.
#[track_caller]
fn all_end_as_they_must(firmware: Firmware, door: Door) {
    let all = env::var_os("ERES_ALL").is_some();
    let rows = ROWS.iter().filter(|row| row.firmware == firmware && row.door == door && (all || row.is_sampled));
    let failed: Vec<String> =
        rows.filter(|row| catch_unwind(AssertUnwindSafe(|| row.check())).is_err()).map(Row::to_string).collect();
    assert!(failed.is_empty(), "{} failed (see above for each):\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn the_iso_image_boots_from_every_medium_under_bios() {
    all_end_as_they_must(SeaBios, Iso);
}

#[test]
fn the_raw_image_boots_from_every_medium_under_bios() {
    all_end_as_they_must(SeaBios, Raw);
}

#[test]
fn the_iso_image_boots_from_every_medium_under_uefi() {
    all_end_as_they_must(Ovmf, Iso);
}

#[test]
fn the_raw_image_is_refused_by_uefi() {
    all_end_as_they_must(Ovmf, Raw);
}

#[test]
fn the_raw_image_boots_in_bochs() {
    all_end_as_they_must(Bochs, Raw);
}

#[test]
fn the_table_combines_what_it_should() {
    let is_refused = |row: &&Row| matches!(row.outcome, Outcome::Refused(_));
    let to_prompt = || ROWS.iter().filter(|row| !is_refused(row) && row.firmware != Bochs);
    for (firmware, door) in [(SeaBios, Iso), (SeaBios, Raw), (Ovmf, Iso)] {
        let group = || to_prompt().filter(|row| row.firmware == firmware && row.door == door);
        for cpu in CPUS {
            assert!(group().any(|row| row.cpu == cpu), "{firmware:?} {door:?} without {cpu}");
        }
        for memory in MEMORIES {
            assert!(group().any(|row| row.memory_mib == memory), "{firmware:?} {door:?} without {memory} MiB");
        }
        for cpus in CPU_COUNTS {
            assert!(group().any(|row| row.cpus == cpus), "{firmware:?} {door:?} without {cpus} CPUs");
        }
        // Every medium that the door can be on, on every machine that has it.
        for medium in MEDIA {
            for machine in ["pc", "q35", "isapc"] {
                let exists = can_be(firmware, door, medium, machine);
                let is_there = group().any(|row| row.medium == medium && row.machine == machine);
                assert_eq!(is_there, exists, "{firmware:?} {door:?} {medium:?} {machine}");
            }
        }
    }
    for cpu in CPUS {
        for memory in MEMORIES {
            assert!(to_prompt().any(|row| row.cpu == cpu && row.memory_mib == memory), "{cpu} without {memory} MiB");
        }
    }
    assert!(ROWS.iter().all(|row| row.firmware == Bochs || CPUS.contains(&row.cpu)));
}

const MEDIA: [Medium; 11] = [
    Disc(Cd::Ide),
    Disc(Cd::Ahci),
    Disc(Cd::VirtioScsi),
    Disk(Bus::Ide),
    Disk(Bus::Ahci),
    Disk(Bus::Virtio),
    Disk(Bus::Nvme),
    Disk(Bus::Floppy),
    Stick(Usb::Xhci),
    Stick(Usb::Ehci),
    Stick(Usb::Uhci),
];

fn can_be(firmware: Firmware, door: Door, medium: Medium, machine: &str) -> bool {
    let machine_has_it = match medium {
        Disc(Cd::Ide) | Disk(Bus::Ide | Bus::Floppy) => machine != "q35",
        Disc(Cd::Ahci) | Disk(Bus::Ahci) => machine == "q35",
        _ => machine != "isapc",
    };
    let door_fits = match medium {
        Disc(_) => door == Iso,
        Disk(Bus::Floppy) => door == Raw,
        _ => true,
    };
    machine_has_it && door_fits && (firmware != Ovmf || machine != "isapc")
}

const PAGE: &str = "docs/matrix.md";

fn page() -> String {
    let mut page = "# Where Eres was seen to boot\n\n\
        Every row is a test (`tests/machine/matrix.rs`, of which this page is made by `ERES_WRITE_MATRIX=1 cargo test --test machine \
        matrix::the_page`).\nThose in bold run at every change, the others by `scripts/test.sh --all`. At the shell a command is typed and its answer \
        read, except in\nBochs, which takes no input. A \
        floppy disk has no room for the programs: there, the image of `scripts/monitor.sh` comes to the kernel's own \
        prompt.\nUSB 1 may need more than one try: on a busy host, QEMU's controller loses packets. Real machines: none yet; please tell.\n\n\
        | firmware | image | medium | machine | CPU | memory | CPUs | outcome |\n|---|---|---|---|---|---|---|---|\n"
        .to_string();
    for row in ROWS {
        let text = row.to_string();
        let text = if row.is_sampled { text.replacen(" | ", "** | ", 1).replacen("| ", "| **", 1) } else { text };
        // Writing to a string never fails.
        let _ = writeln!(page, "{text}");
    }
    page += "\nWhat there is not:\n\n";
    for (what, why) in IMPOSSIBLE {
        let _ = writeln!(page, "- {what}: {why}.");
    }
    page
}

#[test]
fn the_page_is_made_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if env::var_os("ERES_WRITE_MATRIX").is_some() {
        fs::write(&path, page()).expect("the page can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page(), "{PAGE} does not say what the table says; ERES_WRITE_MATRIX=1 has this test write it");
}
