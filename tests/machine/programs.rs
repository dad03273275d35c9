//! The same programs on Linux and on Eres: they must say the same, line by line.
//!
//! `scripts/programs.sh` builds them: tests of system calls (`user/abi-tests`), tests in C (`user/c-tests`), and
//! `tests/programs/applets.sh`, which busybox runs.

use crate::harness::{Machine, image_path};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Programs in C, and what `tests/programs/all.sh` runs besides.
const C_PROGRAMS: [&str; 15] = [
    "children",
    "context",
    "events",
    "jobs",
    "jumps",
    "messages",
    "pending",
    "procfs",
    "pty",
    "sockets",
    "stack",
    "threads",
    "transfers",
    "waiting",
    "writers",
];

/// Tests of `abi-tests` that fail on Eres so far, and why. One that passes does not belong here any more.
const GAPS: &[(&str, &str)] = &[];

/// Beginnings of lines that `abi-tests` prints; between them the kernel may speak of programs that ended by a fault.
const RESULTS: [&str; 3] = ["ok ", "FAILED ", "skipped "];

fn programs() -> PathBuf {
    image_path("build/tests/programs", "scripts/programs.sh")
}

/// The programs in C with the one library, and most with the other, in the order in which they run.
fn c_programs() -> impl Iterator<Item = String> {
    let all = C_PROGRAMS.iter().flat_map(|name| [(*name).to_owned(), format!("musl-{name}")]);
    all.filter(|program| programs().join(program).exists())
}

/// What a run of all programs on Eres printed.
fn on_eres() -> String {
    let initramfs = image_path("build/tests/initramfs.cpio", "scripts/programs.sh");
    let setup = Machine::kernel_with_programs().initramfs(&initramfs).machine("q35").memory_mib(512).cpus(2);
    let mut machine = setup.kernel_arguments("init=/tests/all.sh").boot();
    for program in ["abi-tests".to_owned()].into_iter().chain(c_programs()).chain(["applets".to_owned()]) {
        machine.expect_line(&format!("end {program}: "));
    }
    machine.serial_log()
}

/// What `program` printed there.
fn part<'a>(log: &'a str, program: &str) -> Vec<&'a str> {
    let lines = log.lines().skip_while(|line| *line != format!("begin {program}")).skip(1);
    lines.take_while(|line| !line.starts_with(&format!("end {program}: "))).collect()
}

/// A folder that goes away with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("eres-programs-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a program prints on this Linux.
fn on_linux(program: &str) -> Vec<String> {
    let folder = Folder::new(program);
    // Whoever runs this may have signals ignored: nohup(1), shells without job control.
    let output =
        Command::new("env").arg("--default-signal").arg(programs().join(program)).current_dir(&folder.0).output();
    let output = output.unwrap_or_else(|error| panic!("{program} does not run: {error}"));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// What the shell script of busybox's commands prints on this Linux, in a root directory of its own; none where that cannot be had.
fn applets_on_linux() -> Option<Vec<String>> {
    let folder = Folder::new("applets");
    let root = folder.0.join("root");
    let source = image_path("build/tests/root", "scripts/programs.sh");
    let copied = Command::new("cp").arg("-a").arg(source).arg(&root).status();
    assert!(copied.is_ok_and(|status| status.success()), "cp works");
    let script = "mount --rbind /dev \"$1/dev\" && mount -t proc none \"$1/proc\" && mount -t tmpfs none \"$1/tmp\" \
        && mkdir \"$1/tmp/applets\" && echo begins && exec chroot \"$1\" /bin/busybox sh /tests/applets.sh /tmp/applets 2>&1";
    for rights in [&[][..], &["--map-root-user"]] {
        let mut command = Command::new("env");
        command
            .args(["--default-signal", "unshare"])
            .args(rights)
            .args(["--mount", "--pid", "--fork", "sh", "-c", script, "sh"])
            .arg(&root);
        let Ok(output) = command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output() else { continue };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if let Some(text) = text.strip_prefix("begins\n") {
            return Some(text.lines().map(str::to_owned).collect());
        }
    }
    None
}

/// Complains of the first lines that differ.
fn compare(what: &str, eres: &[&str], linux: &[String], complaints: &mut Vec<String>) {
    for index in 0..eres.len().max(linux.len()) {
        let (here, there) = (eres.get(index).copied(), linux.get(index).map(String::as_str));
        if here != there {
            complaints.push(format!("{what}, line {}: Eres says {here:?}, Linux {there:?}", index + 1));
            return;
        }
    }
}

/// Complains of tests of system calls that fail, here or there.
fn compare_abi_tests(eres: &[&str], linux: &[String], complaints: &mut Vec<String>) {
    complaints.extend(linux.iter().filter(|line| line.starts_with("FAILED ")).map(|line| format!("on Linux: {line}")));
    let name = |line: &str| {
        line.split([' ', ':']).filter(|word| !word.is_empty()).skip(1).take(2).collect::<Vec<_>>().join("::")
    };
    let results: Vec<&str> =
        eres.iter().copied().filter(|line| RESULTS.iter().any(|start| line.starts_with(start))).collect();
    for line in &results {
        let is_gap = GAPS.iter().any(|(gap, _)| *gap == name(line));
        match (line.starts_with("FAILED "), is_gap) {
            (true, false) => complaints.push(format!("on Eres: {line}")),
            (false, true) => complaints.push(format!("on Eres, no gap any more: {line}")),
            _ => {}
        }
    }
    let wanted = linux.iter().filter(|line| RESULTS.iter().any(|start| line.starts_with(start))).count();
    if results.len() != wanted {
        complaints.push(format!("{} tests of system calls ran on Eres, {wanted} on Linux", results.len()));
    }
}

#[test]
fn programs_say_on_eres_what_they_say_on_linux() {
    let log = on_eres();
    let mut complaints = Vec::new();
    compare_abi_tests(&part(&log, "abi-tests"), &on_linux("abi-tests"), &mut complaints);
    for program in c_programs() {
        compare(&program, &part(&log, &program), &on_linux(&program), &mut complaints);
    }
    match applets_on_linux() {
        Some(linux) => compare("applets", &part(&log, "applets"), &linux, &mut complaints),
        None => {
            println!("not compared: busybox's commands, as this user may not change the root directory (unshare -r)")
        }
    }
    assert!(complaints.is_empty(), "{}\n--- Eres ---\n{log}", complaints.join("\n"));
}
