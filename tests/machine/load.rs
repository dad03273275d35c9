//! The system under load: hostile and greedy programs, many processes one after another, many at once. The shell must answer
//! afterwards.
//!
//! `user/hostile` and `tests/programs/load.sh` are what runs; `scripts/programs.sh` puts them into an initramfs.

use crate::boot_to_shell;
use crate::harness::{Machine, Setup, image_path};
use crate::monitor::ask;
use crate::shell::PROMPT;
use std::path::Path;
use std::process::Command;

/// Loss of free memory that is no leak, in KiB, however often something runs: heap pages that are partly used, and the stacks that
/// processors keep for the next threads. A frame each time would be thousands of KiB.
const SLACK_KIB: u64 = 256;

fn setup(cpus: u32) -> Setup {
    Machine::kernel_with_programs()
        .initramfs(&image_path("build/tests/initramfs.cpio", "scripts/programs.sh"))
        .cpus(cpus)
}

/// The shell answers, and nothing has shaken the kernel.
#[track_caller]
fn expect_health(machine: &mut Machine) {
    assert_eq!(ask(machine, PROMPT, "echo alive $((6 * 7))"), ["alive 42"]);
    assert!(machine.line("kernel panic").is_none(), "{}", machine.serial_log());
}

/// Free memory in KiB, as `load.sh` tells it on the line that begins with `when`.
#[track_caller]
fn free_kib(said: &[String], when: &str) -> u64 {
    let told = said.iter().find_map(|line| line.strip_prefix(when)?.strip_prefix(": free ")?.split(' ').next());
    told.and_then(|kib| kib.parse().ok()).unwrap_or_else(|| panic!("free memory {when}: {said:#?}"))
}

#[track_caller]
fn expect_no_leak(said: &[String], slack_kib: u64) {
    let (before, after) = (free_kib(said, "before"), free_kib(said, "after"));
    assert!(after + slack_kib >= before, "{before} KiB were free, then {after} KiB: {said:#?}");
}

#[test]
fn hostile_programs_harm_nobody() {
    let mut machine = boot_to_shell(setup(2));
    for (attack, children, killed) in [
        ("addresses", 48, Some(48)),
        ("instructions", 32, None),
        ("stacks", 49, None),
        ("system-calls", 61, None),
        ("memory", 5, None),
        ("forks", 2, None),
        ("programs", 400, None),
    ] {
        let said = ask(&mut machine, PROMPT, &format!("/tests/hostile 1 {attack} </dev/null"));
        let start = format!("hostile: {attack}: {children} children, ");
        let summary = said.iter().find_map(|line| line.strip_prefix(&start));
        let summary = summary.unwrap_or_else(|| panic!("no summary of {attack}: {said:#?}"));
        assert!(summary.ends_with(", 0 hung"), "{attack}: {summary}");
        let ends = summary.split(' ').next().and_then(|count| count.parse::<u32>().ok());
        assert!(killed.is_none() || ends == killed, "{attack}: {summary}");
        assert!(said.iter().any(|line| line == "hostile: done"), "{attack}: {said:#?}");
        expect_health(&mut machine);
    }
    assert_eq!(ask(&mut machine, PROMPT, "ps | grep -c '[h]ostile'"), ["0"]);
}

#[test]
fn the_greediest_program_ends_when_memory_does() {
    let mut machine = boot_to_shell(setup(2).memory_mib(128));
    let said = ask(&mut machine, PROMPT, "/tests/load.sh greed");
    let named = |line: &&String| {
        line.starts_with("error: out of memory: process ") && line.contains(" (busybox) ends, which has ")
    };
    assert_eq!(said.iter().filter(named).count(), 2, "{said:#?}");
    assert_eq!(said.iter().filter(|line| line.contains("out of memory")).count(), 2, "{said:#?}");
    assert_eq!(said.iter().filter(|line| *line == "greedy: 137").count(), 2, "{said:#?}");
    assert!(said.iter().any(|line| line == "modest: lives"), "{said:#?}");
    // The heap grows once.
    expect_no_leak(&said, 4 * SLACK_KIB);
    expect_health(&mut machine);
}

#[test]
fn processes_leave_no_memory_behind() {
    let mut machine = boot_to_shell(setup(2));
    for load in ["forks 1000", "pipes 300", "threads 30", "objects 2"] {
        let said = ask(&mut machine, PROMPT, &format!("/tests/load.sh measure {load}"));
        assert!(!said.iter().any(|line| line.contains("failed")), "{load}: {said:#?}");
        expect_no_leak(&said, SLACK_KIB);
    }
    expect_health(&mut machine);
}

#[test]
fn parallel_pipelines_answer_right_on_four_processors() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/load.sh");
    // The kernel that checks the order of its locks.
    let kernel = image_path("build/debug.elf", "scripts/kernel.sh debug");
    let mut machine = boot_to_shell(setup(4).kernel_file(&kernel));
    let said = ask(&mut machine, PROMPT, "/tests/load.sh parallel 60");
    for job in 1..=8 {
        let output = Command::new("sh").arg(&script).args(["answer", &job.to_string()]).output().expect("sh runs");
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let start = format!("job {job}: ");
        let told = said.iter().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{job}: {said:#?}"));
        let words: Vec<&str> = told.split(' ').collect();
        let [rounds, "rounds,", answers, "answers,", ..] = words[..] else { panic!("job {job}: {told}") };
        assert!(rounds == answers && rounds != "0", "job {job}: {told}");
        assert!(told.ends_with(&format!(" answers, all {answer}")), "job {job}: {told}, not {answer}");
    }
    assert!(said.iter().any(|line| line == "all jobs have ended"), "{said:#?}");
    expect_health(&mut machine);
}
