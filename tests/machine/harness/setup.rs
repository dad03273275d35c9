//! The description of a machine before it runs: the image, how it is attached, and what differs from QEMU's defaults.
//!
//! QEMU's defaults are kept as a user has them; only what a test asks for is changed. Always off are the display
//! window, the monitor and the network card (its boot ROM only costs time), and a reset ends QEMU instead of looping.

use super::machine::{Machine, image_path};
use super::scratch::Scratch;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What has the kernel start no programs: its own prompt comes instead.
pub(super) const NO_PROGRAMS: &str = "init=none";

/// Memory that the host is asked for as a whole.
const MOST_ORDINARY_MEMORY_MIB: u32 = 8192;

const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const OVMF_VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
/// OVMF alone wants more than QEMU's 128 MiB to be at ease.
const UEFI_MEMORY_MIB: u32 = 256;

/// Where a disk image is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    Ide,
    /// Needs QEMU's q35 machine and chooses it.
    Ahci,
    Virtio,
    Nvme,
    Floppy,
}

/// Where a CD is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cd {
    /// Where the machine has its CD drive: IDE on `pc` and `isapc`.
    Ide,
    /// The same on `q35`, which it chooses.
    Ahci,
    VirtioScsi,
}

/// The kind of USB host controller that a stick is plugged into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usb {
    Xhci,
    Ehci,
    Uhci,
}

/// How long a sector stays unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// For as many reads.
    Times(usize),
    Always,
}

enum Medium {
    /// No medium: QEMU loads the image, a kernel, itself, and an initramfs with it.
    Kernel(PathBuf),
    /// The kernel alone.
    KernelAlone,
    Cd(Cd),
    Disk(Bus),
    Stick(Usb),
}

type Damage = Box<dyn FnOnce(&mut Vec<u8>)>;

/// A machine to be; every method adds one difference, `boot` starts it.
#[must_use]
pub struct Setup {
    scratch: Scratch,
    image: PathBuf,
    medium: Medium,
    damage: Option<Damage>,
    bad_sector: Option<(usize, ReadError)>,
    uefi: bool,
    serial: bool,
    memory_mib: Option<u32>,
    machine: Option<String>,
    held_key: Option<String>,
    may_reset: bool,
    kernel_arguments: String,
    arguments: Vec<String>,
}

impl Setup {
    pub(super) fn raw() -> Self {
        Self::new(image_path("build/monitor.img", "scripts/monitor.sh"), Medium::Disk(Bus::Ide))
    }

    pub(super) fn raw_with_programs() -> Self {
        Self::new(image_path("build/os.img", "scripts/raw.sh"), Medium::Disk(Bus::Ide))
    }

    pub(super) fn iso() -> Self {
        Self::new(image_path("build/monitor.iso", "scripts/monitor.sh"), Medium::Cd(Cd::Ide))
    }

    pub(super) fn iso_with_programs() -> Self {
        Self::new(image_path("os.iso", "scripts/iso.sh"), Medium::Cd(Cd::Ide))
    }

    pub(super) fn kernel() -> Self {
        let initramfs = image_path("build/files.cpio", "scripts/monitor.sh");
        Self { kernel_arguments: NO_PROGRAMS.into(), ..Self::of_kernel(initramfs) }
    }

    pub(super) fn kernel_with_programs() -> Self {
        Self::of_kernel(image_path("build/initramfs.cpio", "scripts/kernel.sh"))
    }

    pub(super) fn kernel_with(initramfs: &[u8]) -> Self {
        let mut setup = Self::kernel();
        let file = setup.scratch.file("initramfs");
        fs::write(&file, initramfs).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        setup.medium = Medium::Kernel(file);
        setup
    }

    pub(super) fn kernel_alone() -> Self {
        Self { medium: Medium::KernelAlone, ..Self::kernel_with_programs() }
    }

    fn of_kernel(initramfs: PathBuf) -> Self {
        Self::new(image_path("build/kernel.elf", "scripts/kernel.sh"), Medium::Kernel(initramfs))
    }

    pub(super) fn of_image(path: &Path) -> Self {
        Self::new(path.to_path_buf(), Medium::Disk(Bus::Ide))
    }

    /// A disk with nothing but a boot sector, which NASM makes of `source`.
    pub(super) fn of_sector(source: &str) -> Self {
        let mut setup = Self::of_image(Path::new(""));
        setup.image = setup.scratch.file("sector");
        let source_file = setup.scratch.file("sector.asm");
        fs::write(&source_file, source).unwrap_or_else(|error| panic!("{}: {error}", source_file.display()));
        let mut nasm = Command::new("nasm");
        nasm.args(["-f", "bin", "-o"]).arg(&setup.image).arg(source_file);
        assert!(nasm.status().is_ok_and(|status| status.success()), "NASM makes no boot sector of:\n{source}");
        setup
    }

    fn new(image: PathBuf, medium: Medium) -> Self {
        Self {
            scratch: Scratch::new(),
            image,
            medium,
            damage: None,
            bad_sector: None,
            uefi: false,
            serial: true,
            memory_mib: None,
            machine: None,
            held_key: None,
            may_reset: false,
            kernel_arguments: String::new(),
            arguments: Vec::new(),
        }
    }

    /// UEFI firmware (OVMF) instead of SeaBIOS.
    pub fn uefi(mut self) -> Self {
        self.uefi = true;
        self
    }

    /// The image as a CD on `bus`.
    pub fn cd(mut self, bus: Cd) -> Self {
        self.medium = Medium::Cd(bus);
        self
    }

    /// The image as a hard disk, or a floppy disk, on `bus`.
    pub fn disk(mut self, bus: Bus) -> Self {
        self.medium = Medium::Disk(bus);
        self
    }

    /// The image as a USB stick.
    pub fn usb_stick(mut self, controller: Usb) -> Self {
        self.medium = Medium::Stick(controller);
        self
    }

    /// Boots a copy of the image that `damage` has changed.
    pub fn damaged(mut self, damage: impl FnOnce(&mut Vec<u8>) + 'static) -> Self {
        self.damage = Some(Box::new(damage));
        self
    }

    /// Every read of `sector` fails, the first time or always. A CD cannot fail so.
    pub fn bad_sector(mut self, sector: usize, error: ReadError) -> Self {
        self.bad_sector = Some((sector, error));
        self
    }

    /// A BIOS with `faults`, of those that `tests/machine/hostile.asm` has, between the image, as a hard disk, and QEMU's.
    pub fn hostile(mut self, faults: &[&str]) -> Self {
        self.image = hostile_image(&self.image, faults, &self.scratch);
        self.medium = Medium::Disk(Bus::Ide);
        // Standard error takes the emulator's own messages.
        self.argument("-debugcon").argument("file:/dev/stderr")
    }

    pub fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.memory_mib = Some(memory_mib);
        self
    }

    /// QEMU's machine type: `pc` unless told otherwise.
    pub fn machine(mut self, name: &str) -> Self {
        self.machine = Some(name.into());
        self
    }

    /// QEMU's CPU model with features, such as `qemu64,-nx`.
    pub fn cpu(self, model: &str) -> Self {
        self.argument("-cpu").argument(model)
    }

    pub fn cpus(self, count: u32) -> Self {
        self.argument("-smp").argument(&count.to_string())
    }

    /// QEMU's display adapter: `std`, `none`, `cirrus`, …
    pub fn vga(self, adapter: &str) -> Self {
        self.argument("-vga").argument(adapter)
    }

    /// No serial port at all; only the screen can tell what happens.
    pub fn no_serial(mut self) -> Self {
        self.serial = false;
        self
    }

    /// Holds a key down from power-on, as `Machine::hold_key` does, until it is released.
    pub fn holding(mut self, key: &str) -> Self {
        self.held_key = Some(key.into());
        self
    }

    /// A reset starts the machine anew, with its memory as it is, instead of ending it.
    pub fn may_reset(mut self) -> Self {
        self.may_reset = true;
        self
    }

    /// Another initramfs, where QEMU itself loads the kernel.
    pub fn initramfs(mut self, path: &Path) -> Self {
        self.medium = Medium::Kernel(path.into());
        self
    }

    /// Another kernel, where QEMU itself loads it.
    pub fn kernel_file(mut self, path: &Path) -> Self {
        self.image = path.into();
        self
    }

    /// Arguments for the kernel, after those that it has already, where QEMU itself loads that.
    pub fn kernel_arguments(mut self, arguments: &str) -> Self {
        self.kernel_arguments = format!("{} {arguments}", self.kernel_arguments).trim_start().into();
        self
    }

    /// One more argument for QEMU, as it is.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Starts the machine, as soon as fewer than two others run.
    pub fn boot(mut self) -> Machine {
        let image = self.prepared_image();
        let control = self.scratch.file("control");
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-accel", "tcg", "-display", "none", "-nic", "none"]);
        if !self.may_reset {
            command.arg("-no-reboot");
        }
        command.args(["-monitor", "none", "-parallel", "none"]);
        command.args(["-serial", if self.serial { "stdio" } else { "none" }]);
        command.args(["-qmp", &format!("unix:{},server=on,wait=off", control.display())]);
        let memory_mib = self.memory_mib.or(self.uefi.then_some(UEFI_MEMORY_MIB));
        // More than the host may have: memory that takes none of the host's until it is touched.
        let sparse = memory_mib.filter(|memory_mib| *memory_mib > MOST_ORDINARY_MEMORY_MIB);
        if let Some(memory_mib) = sparse {
            command.args(["-object", &format!("memory-backend-ram,id=sparse,size={memory_mib}M,reserve=off")]);
            command.args(["-machine", &format!("{},memory-backend=sparse", self.machine_type().unwrap_or("pc"))]);
        } else if let Some(machine) = self.machine_type() {
            command.args(["-machine", machine]);
        }
        if let Some(memory_mib) = memory_mib {
            command.args(["-m", &memory_mib.to_string()]);
        }
        if self.uefi {
            let pflash = "if=pflash,format=raw";
            command.args(["-drive", &format!("{pflash},readonly=on,file={OVMF_CODE}")]);
            command.args(["-drive", &format!("{pflash},snapshot=on,file={OVMF_VARIABLES}")]);
        }
        if self.held_key.is_some() {
            // Stopped until the key can be pressed: `Machine::start` lets it go.
            command.arg("-S");
        }
        command.args(self.medium_arguments(&image));
        if !self.kernel_arguments.is_empty() {
            command.args(["-append", &self.kernel_arguments]);
        }
        command.args(&self.arguments);
        Machine::start_qemu(command, self.scratch, control, self.serial, self.held_key)
    }

    fn machine_type(&self) -> Option<&str> {
        let needed = matches!(self.medium, Medium::Disk(Bus::Ahci) | Medium::Cd(Cd::Ahci)).then_some("q35");
        self.machine.as_deref().or(needed)
    }

    fn medium_arguments(&self, image: &Path) -> Vec<String> {
        let drive = format!("format=raw,snapshot=on,{}", self.file_options(image));
        let device = |device: &str| {
            vec!["-drive".into(), format!("if=none,id=boot,{drive}"), "-device".into(), device.to_string()]
        };
        let stick = |controller: &str| {
            let storage = device("usb-storage,drive=boot,bootindex=0");
            ["-device".to_string(), controller.to_string()].into_iter().chain(storage).collect()
        };
        match &self.medium {
            Medium::KernelAlone => vec!["-kernel".into(), image.display().to_string()],
            Medium::Kernel(initramfs) => {
                ["-kernel".into(), image.display().to_string(), "-initrd".into(), initramfs.display().to_string()]
                    .into()
            }
            Medium::Cd(Cd::Ide | Cd::Ahci) => vec!["-cdrom".into(), image.display().to_string()],
            Medium::Cd(Cd::VirtioScsi) => {
                let controller = ["-device".to_string(), "virtio-scsi-pci".into()].into_iter();
                controller.chain(device("scsi-cd,drive=boot,bootindex=0")).collect()
            }
            Medium::Disk(Bus::Ide | Bus::Ahci) => vec!["-drive".into(), drive],
            Medium::Disk(Bus::Virtio) => vec!["-drive".into(), format!("if=virtio,{drive}")],
            Medium::Disk(Bus::Nvme) => device("nvme,drive=boot,serial=eres,bootindex=0"),
            Medium::Disk(Bus::Floppy) => {
                vec!["-drive".into(), format!("if=floppy,{drive}"), "-boot".into(), "a".into()]
            }
            Medium::Stick(Usb::Xhci) => stick("qemu-xhci"),
            Medium::Stick(Usb::Ehci) => stick("usb-ehci"),
            Medium::Stick(Usb::Uhci) => stick("piix3-usb-uhci"),
        }
    }

    /// The image as a QEMU block node, with its bad sector if it has one (QEMU docs/devel/blkdebug).
    fn file_options(&self, image: &Path) -> String {
        let image = image.display();
        let Some((sector, error)) = self.bad_sector else {
            return format!("file={image}");
        };
        let (once, times) = if let ReadError::Times(times) = error { ("on", times) } else { ("off", 1) };
        let rule =
            format!("[inject-error]\nevent = \"read_aio\"\nerrno = \"5\"\nsector = \"{sector}\"\nonce = \"{once}\"\n");
        let rules = self.scratch.file("bad-sector");
        fs::write(&rules, rule.repeat(times)).unwrap_or_else(|error| panic!("{}: {error}", rules.display()));
        let rules = rules.display();
        format!("file.driver=blkdebug,file.config={rules},file.image.driver=file,file.image.filename={image}")
    }

    /// The image itself, or a changed copy of it.
    fn prepared_image(&mut self) -> PathBuf {
        let Some(damage) = self.damage.take() else {
            return self.image.clone();
        };
        let mut bytes =
            fs::read(&self.image).unwrap_or_else(|error| panic!("cannot read {}: {error}", self.image.display()));
        damage(&mut bytes);
        let copy = self.scratch.file("image");
        fs::write(&copy, bytes).unwrap_or_else(|error| panic!("cannot write {}: {error}", copy.display()));
        copy
    }
}

/// The disk image `of` behind a BIOS with `faults`.
pub(super) fn hostile_image(of: &Path, faults: &[&str], scratch: &Scratch) -> PathBuf {
    let image = scratch.file("hostile");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machine/hostile.asm");
    let mut nasm = Command::new("nasm");
    nasm.args(["-f", "bin", "-Werror"]).arg(format!("-DGIVEN={}", faults.len()));
    nasm.args(faults.iter().map(|fault| format!("-DWITH_{fault}")));
    let status = nasm.arg("-o").arg(&image).arg(source).status();
    assert!(status.is_ok_and(|status| status.success()), "NASM makes no BIOS of {faults:?}");
    let whole = fs::read(&image).and_then(|bios| Ok([bios, fs::read(of)?].concat()));
    let written = whole.and_then(|whole| fs::write(&image, whole));
    written.unwrap_or_else(|error| panic!("{}: {error}", image.display()));
    image
}
