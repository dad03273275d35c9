//! Random numbers: what they are seeded from, with a host that gives some, and with one that only seems to.

use crate::harness::{ComposedImage, Machine, Scratch, Setup, image_path};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first process, which nobody has typed anything for: it says what it draws.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox echo \"drawn $(/bin/busybox head -c 16 /dev/urandom | /bin/busybox hexdump -v -e '1/1 \"%02x\"').\"
exec /bin/busybox poweroff -f
";

/// An initramfs with nothing but what that takes.
struct Files(Scratch);

impl Files {
    fn new() -> Self {
        let files = Self(Scratch::new());
        let root = files.0.file("root");
        for folder in ["bin", "dev"] {
            fs::create_dir_all(root.join(folder)).expect("there is room for a folder");
        }
        let busybox = image_path("build/busybox", "scripts/kernel.sh");
        fs::copy(busybox, root.join("bin/busybox")).expect("there is room for busybox");
        fs::write(root.join("init"), INIT).expect("there is room for a script");
        fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let made = Command::new(env!("CARGO_BIN_EXE_image")).arg("cpio").arg(root).arg(files.path()).status();
        assert!(made.is_ok_and(|status| status.success()), "image works");
        files
    }

    fn path(&self) -> PathBuf {
        self.0.file("files.cpio")
    }
}

fn setup(files: &Path, board: &str, cpu: &str, arguments: &[&str]) -> Setup {
    let setup = Machine::kernel_with_programs().initramfs(files).machine(board).cpu(cpu).kernel_arguments("log=debug");
    arguments.iter().fold(setup, |setup, argument| setup.argument(argument))
}

/// What it is seeded from, and 16 bytes that are drawn then, in hexadecimal digits.
#[track_caller]
fn seed_and_draw(machine: &mut Machine) -> (String, String) {
    let seeded = machine.expect_line("random: seeded by ").text;
    let drawn = machine.expect_line("drawn ").text;
    let drawn = drawn.trim_start_matches("drawn ").trim_end_matches('.').to_owned();
    assert!(drawn.len() == 32 && drawn.bytes().any(|digit| digit != b'0'), "{}", machine.serial_log());
    (seeded.trim_start_matches("debug: random: seeded by ").to_owned(), drawn)
}

/// Without a device, and with one in each place where it may be.
#[test]
fn the_host_seeds_it_beside_the_processor() {
    let files = Files::new();
    for (board, cpu, arguments, sources) in [
        ("pc", "qemu64", &[][..], "timing"),
        ("q35", "max,-rdseed", &[], "RDRAND"),
        ("pc", "qemu64", &["-device", "virtio-rng-pci"], "virtio-rng"),
        ("q35", "qemu64", &["-device", "virtio-rng-pci"], "virtio-rng"),
        (
            "q35",
            "max,-rdseed",
            &["-device", "pcie-root-port,id=root", "-device", "virtio-rng-pci,bus=root"],
            "RDRAND, virtio-rng",
        ),
        ("q35", "qemu64", &["-device", "virtio-rng-pci,max-bytes=16,period=10"], "virtio-rng"),
    ] {
        let mut machine = setup(&files.path(), board, cpu, arguments).boot();
        let (seeded, _) = seed_and_draw(&mut machine);
        assert_eq!(seeded, sources, "{board} {cpu} {arguments:?}\n{}", machine.serial_log());
        assert_eq!(machine.line("virtio-rng 0000:"), None, "{}", machine.serial_log());
    }
}

/// Bochs has the instruction that QEMU's emulation has not.
#[test]
fn the_processors_newest_numbers_are_preferred() {
    let image = ComposedImage::with_programs(&["--command-line", "log=debug"]);
    for (model, source) in [("broadwell_ult", "RDSEED"), ("corei7_ivy_bridge_3770k", "RDRAND")] {
        let mut machine = Machine::bochs().image(&image.path()).cpu(model).boot();
        let seeded = machine.expect_line("random: seeded by ").text;
        assert_eq!(seeded, format!("debug: random: seeded by {source}"), "{model}");
    }
}

/// Every instruction takes the same time here, so that all is the same in each start but for what the host gives.
#[test]
fn no_start_is_like_another_though_time_is() {
    const TIME: [&str; 4] = ["-icount", "shift=4,sleep=off", "-rtc", "base=2026-01-01,clock=vm"];
    let files = Files::new();
    let arguments = [&TIME[..], &["-device", "virtio-rng-pci"]].concat();
    let [first, second] =
        [(); 2].map(|()| seed_and_draw(&mut setup(&files.path(), "q35", "qemu64", &arguments).boot()));
    assert_eq!(first.0, "virtio-rng");
    assert_eq!(second.0, "virtio-rng");
    assert_ne!(first.1, second.1);
}

#[test]
fn devices_that_are_of_no_use_hold_nothing_up() {
    let files = Files::new();
    let silent = ["-chardev", "null,id=nobody", "-object", "rng-egd,id=silent,chardev=nobody"];
    for (devices, complaint, sources) in [
        (&["virtio-rng-pci,disable-modern=on"][..], "it has the interface of before virtio 1.0 only", "timing"),
        (&["virtio-rng-pci,rng=silent"], "it does not answer", "timing"),
        (&["virtio-rng-pci,max-bytes=1,period=100000000"], "it does not answer", "virtio-rng, timing"),
        (
            &["virtio-rng-pci,iommu_platform=on,disable-legacy=on"],
            "it does not agree to what the driver can do",
            "timing",
        ),
        (&["virtio-rng-pci,rng=silent", "virtio-rng-pci"], "it does not answer", "virtio-rng"),
    ] {
        let devices = devices.iter().flat_map(|device| ["-device", device]);
        let arguments: Vec<_> = silent.into_iter().chain(devices).collect();
        // With the order of locks checked: the wait is a sleep.
        let kernel = image_path("build/debug.elf", "scripts/kernel.sh selftest debug");
        let mut machine = setup(&files.path(), "q35", "qemu64", &arguments).kernel_file(&kernel).boot();
        let (seeded, _) = seed_and_draw(&mut machine);
        assert_eq!(seeded, sources, "{arguments:?}\n{}", machine.serial_log());
        let warning = machine.line("warning: virtio-rng 0000:").unwrap_or_default();
        assert!(warning.ends_with(complaint), "{arguments:?}\n{}", machine.serial_log());
    }
}
