//! `scripts/usb.sh`: what it refuses, what it writes, and that it notices a stick that does not keep what was written. A stand-in
//! for lsblk(8) tells of disks that are files; where there are loop devices, one is written to as well.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Answers from the file `disks`, whose lines are columns parted by bars.
const LSBLK: &str = r#"#!/usr/bin/env bash
columns=(NAME TYPE RM TRAN RO SIZE MODEL MOUNTPOINTS PKNAME)
nodeps=false output= device=
while (($#)); do
    case $1 in
        --nodeps) nodeps=true ;;
        --output) output=$2; shift ;;
        --*) ;;
        *) device=${1#/dev/} ;;
    esac
    shift
done
found=1
while IFS='|' read -r -a row; do
    if [[ -n $device ]]; then
        [[ ${row[0]} = "$device" ]] || { ! $nodeps && [[ ${row[8]-} = "$device" ]]; } || continue
    else
        [[ ${row[1]} != part ]] || continue
    fi
    found=0
    for index in "${!columns[@]}"; do
        [[ ${columns[index]} = "$output" ]] && echo " ${row[index]-} "
    done
done <"$(dirname "$0")/disks"
exit $found
"#;

const DISKS: &str = "\
sda|disk|0|sata|0|500000000000|OWN DISK||
sda1|part|0||0|499999999999|||sda
sdb|disk|1|usb|0|8000000|Some Stick 3.0||
sdc|disk|1|usb|0|8000000|Mounted||
sdc1|part|1||0|7000000||/media/stick|sdc
sdd|disk|1|usb|0|8000000|Encrypted||
sdd1|crypt|0||0|7000000|||sdd
sde|disk|1|usb|1|8000000|Locked||
sdf|disk|1|usb|0|1000|Tiny||
sdg|disk|0|usb|0|8000000|Big USB Disk||
sr0|rom|1|sata|0|8000000|DVD||
loop9|loop|0||0|8000000|||
";

/// A folder with stand-ins, first on the PATH of the script, and an image.
struct Desk {
    folder: PathBuf,
}

impl Desk {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("eres-usb-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        let desk = Self { folder };
        desk.program("lsblk", LSBLK);
        fs::write(desk.folder.join("disks"), DISKS).expect("a file can be written");
        // Three pieces, the last of them not whole.
        let bytes: Vec<u8> = (0..2_500_000_u32).map(|index| (index.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        fs::write(desk.image(), bytes).expect("a file can be written");
        desk
    }

    fn image(&self) -> PathBuf {
        self.folder.join("an image")
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::write(&path, text).expect("a file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// Runs the script, with `typed` to read.
    fn run(&self, arguments: &[&str], typed: &str) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/usb.sh"));
        command.args(arguments).env("PATH", format!("{}:{path}", self.folder.display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut script = command.spawn().expect("the script runs");
        // It may not read.
        let _ = script.stdin.take().expect("its input is a pipe").write_all(typed.as_bytes());
        script.wait_with_output().expect("the script ends")
    }

    #[track_caller]
    fn refuses(&self, arguments: &[&str], typed: &str, words: &str) {
        let output = self.run(arguments, typed);
        let said = text(&output);
        assert!(!output.status.success(), "{arguments:?} was not refused:\n{said}");
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn removable_disks_are_listed_and_no_others() {
    let output = Desk::new().run(&[], "");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for words in ["sdb", "Some Stick 3.0", "sdc", "mounted at /media/stick", "sdg", "Big USB Disk"] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
    for name in ["sda", "sr0", "loop9"] {
        assert!(!said.contains(name), "{name} in\n{said}");
    }
}

#[test]
fn what_is_no_stick_or_in_use_is_refused() {
    let desk = Desk::new();
    let image = desk.image();
    let image = image.to_str().expect("a path of letters");
    for (device, words) in [
        ("sda", "neither removable nor on USB"),
        ("/dev/sda1", "is a partition: the image is for the whole disk, /dev/sda"),
        ("sdc", "in use: mounted at /media/stick"),
        ("sdd", "in use: part of a RAID, LVM or encrypted volume"),
        ("sde", "write-protected"),
        ("sdf", "has room for 1000 bytes"),
        ("sr0", "is no disk but a rom"),
        ("loop9", "a loop device, which --loop allows"),
        ("sdz", "there is no disk /dev/sdz"),
    ] {
        desk.refuses(&[image, device], "", words);
    }
    desk.refuses(&["no-such-file", "sdb"], "", "there is no file no-such-file");
    desk.refuses(&["--no-such-option"], "", "Writes an image to a USB stick");
}

#[test]
fn a_dry_run_goes_as_far_as_writing() {
    let desk = Desk::new();
    let image = desk.image();
    let output = desk.run(&["--dry-run", image.to_str().expect("a path of letters"), "sdb"], "");
    let said = text(&output);
    assert!(output.status.success() && said.contains("2500000 bytes, to /dev/sdb"), "{said}");
    assert!(said.contains("nothing was written (--dry-run)"), "{said}");
}

#[test]
fn nothing_is_written_unless_the_name_is_typed() {
    let desk = Desk::new();
    desk.program("dd", "#!/bin/sh\necho dd was run >&2\nexit 1\n");
    let image = desk.image();
    for typed in ["", "\n", "y\n", "yes\n", "sda\n", "sdb \nsdb"] {
        let output = desk.run(&[image.to_str().expect("a path of letters"), "sdb"], typed);
        let said = text(&output);
        // Blanks around the name do no harm; the stand-in for dd fails then.
        let is_name = typed.starts_with("sdb");
        assert!(!output.status.success(), "{typed:?}: {said}");
        assert_eq!(said.contains("dd was run"), is_name, "{typed:?}: {said}");
        assert_eq!(said.contains("nothing was written"), !is_name, "{typed:?}: {said}");
    }
}

/// A loop device over a file, until it is dropped.
struct Loop {
    device: String,
    file: PathBuf,
}

impl Loop {
    /// `None` where there are no loop devices for us.
    fn new(desk: &Desk, bytes: u64) -> Option<Self> {
        let file = desk.folder.join("stick");
        fs::File::create(&file).and_then(|file| file.set_len(bytes)).expect("a file can be made");
        let output = Command::new("losetup").args(["--find", "--show"]).arg(&file).output().ok()?;
        let device = String::from_utf8_lossy(&output.stdout).trim().to_string();
        if !output.status.success() {
            println!("no loop devices here: {}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        // Its own lsblk must tell of it.
        fs::remove_file(desk.folder.join("lsblk")).expect("the stand-in is there");
        Some(Self { device, file })
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.device]).status();
    }
}

#[test]
fn a_loop_device_gets_the_image_and_is_read_back() {
    let desk = Desk::new();
    let image = desk.image();
    let Some(stick) = Loop::new(&desk, 4 << 20) else { return };
    let name = stick.device.trim_start_matches("/dev/");
    let arguments = ["--loop", image.to_str().expect("a path of letters"), &stick.device];
    let output = desk.run(&arguments, &format!("{name}\n"));
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for words in ["written 100 %", "reading it back", "is good; it can be pulled out"] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
    let written = fs::read(&stick.file).expect("the file is there");
    let wanted = fs::read(&image).expect("the image is there");
    assert!(written[..wanted.len()] == wanted[..], "the image is not on the device");
    assert!(written[wanted.len()..].iter().all(|byte| *byte == 0), "more than the image was written");
    // One that forgets: what dd says is written is not.
    desk.program("dd", "#!/bin/sh\nexit 0\n");
    fs::write(&stick.file, vec![0; 4 << 20]).expect("the file is ours");
    desk.refuses(&arguments, &format!("{name}\n"), "what was read back is not what was written");
    // One that breaks.
    desk.program("dd", "#!/bin/sh\nexit 1\n");
    desk.refuses(&arguments, &format!("{name}\n"), "cannot be written at byte 0");
}
