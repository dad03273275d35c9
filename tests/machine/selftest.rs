//! The kernel tests itself, on several machines: a kernel built with the feature `selftest` runs its tests when it is ready, and
//! ends QEMU with an exit code. What it prints is told in src/selftest/mod.rs.

use crate::harness::{ComposedImage, Machine, Setup};

/// QEMU's exit codes for what the kernel writes to `isa-debug-exit` (`Exit` in src/hw/power.rs).
const PASSED: i32 = 33;
const FAILED: i32 = 35;
const PANICKED: i32 = 37;

fn image(command_line: &str) -> ComposedImage {
    ComposedImage::of_kernel("build/selftest.elf", &["--command-line", command_line])
}

fn machine(image: &ComposedImage) -> Setup {
    Machine::image(&image.path()).argument("-device").argument("isa-debug-exit,iobase=0xf4,iosize=4")
}

/// What a log tells of tests that did not pass: those that failed, hung, or were begun and never done with.
fn failures(log: &str) -> Vec<String> {
    let mut running = None;
    let mut failures = Vec::new();
    for line in log.lines() {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ...")) {
            running = Some(name);
        } else if let Some(name) = running
            && let Some((_, verdict)) = line.split_once(&format!("test {name}: "))
        {
            if !verdict.starts_with("ok (") {
                failures.push(format!("{name}: {verdict}"));
            }
            running = None;
        }
    }
    failures.extend(running.map(|name| format!("{name}: was begun and did not end")));
    failures
}

/// Runs all tests but those that end in a panic.
#[track_caller]
fn passes(differences: impl FnOnce(Setup) -> Setup) {
    passes_those("", differences);
}

/// Runs the tests that a command line asks for, and answers what was said.
#[track_caller]
fn passes_those(command_line: &str, differences: impl FnOnce(Setup) -> Setup) -> String {
    let image = image(command_line);
    let mut machine = differences(machine(&image)).boot();
    let mut lines = 0;
    let code = loop {
        let code = machine.wait_for_exit();
        let now = machine.lines().len();
        // The kernel's own watchdog ends a test that hangs; a machine that says nothing for longer is past that.
        if code.is_some() || now == lines {
            break code;
        }
        lines = now;
    };
    let log = machine.serial_log();
    let failures = failures(&log);
    assert!(code == Some(PASSED) && failures.is_empty(), "exit code {code:?}; {failures:#?}\n{log}");
    assert!(log.contains(" passed, 0 failed"), "no summary in\n{log}");
    log
}

#[test]
fn the_kernel_passes_its_tests_on_the_least_cpu() {
    passes(|machine| machine.cpu("qemu64").cpus(4));
}

#[test]
fn the_kernel_passes_its_tests_on_a_cpu_with_everything() {
    passes(|machine| machine.cpu("max").cpus(4));
}

#[test]
fn the_kernel_passes_its_tests_on_an_old_cpu() {
    passes(|machine| machine.cpu("core2duo").cpus(2));
}

#[test]
fn the_kernel_passes_its_tests_without_no_execute() {
    passes(|machine| machine.cpu("qemu64,-nx").cpus(2));
}

#[test]
fn the_kernel_passes_its_tests_on_one_processor() {
    passes(|machine| machine.cpus(1));
}

#[test]
fn the_kernel_passes_its_tests_on_eight_processors_with_more_memory() {
    passes(|machine| machine.cpus(8).memory_mib(512));
}

#[test]
fn the_kernel_passes_its_tests_with_memory_above_4_gib() {
    passes(|machine| machine.machine("q35").cpus(2).memory_mib(5 * 1024));
}

/// As slow a machine as this takes turns away that have hardly begun if the kernel lets it.
#[test]
fn threads_of_little_weight_get_turns_on_a_slow_machine_with_x2apics() {
    let image = image("selftest=threads-preemption,threads-urgent,processors");
    let mut machine = Machine::bochs().image(&image.path()).cpu("corei7_haswell_4770").cpus(2).mips(50).boot();
    let summary = machine.expect_line("selftest: ").text;
    let log = machine.serial_log();
    assert!(failures(&log).is_empty() && summary.ends_with(" passed, 0 failed"), "{log}");
}

#[test]
fn interrupts_of_pci_devices_arrive_by_all_means() {
    let behind_a_bridge: &[&str] = &["pci-bridge,id=bridge,chassis_nr=1", "edu,bus=bridge,addr=5", "e1000e"];
    let plain: &[&str] = &["edu", "e1000e"];
    let add = |setup: Setup, devices: &[&str]| {
        devices.iter().fold(setup, |setup, device| setup.argument("-device").argument(device))
    };
    for (board, cpu, devices) in [
        ("q35", "qemu64", plain),
        ("q35", "max", behind_a_bridge),
        ("pc", "max", plain),
        // Without tables, there are 8259s for pins.
        ("pc,acpi=off", "qemu64", plain),
    ] {
        let log = passes_those("selftest=pci", |machine| add(machine.machine(board).cpu(cpu).cpus(3), devices));
        // On `pc`, extended configuration space cannot be reached.
        let skipped = log.lines().filter(|line| line.starts_with("skipped: ") && !line.contains("pci-extended"));
        assert_eq!(skipped.count(), 0, "{board} lacks a device:\n{log}");
        assert_eq!(log.contains("skipped: pci-extended"), board != "q35", "{log}");
    }
}

#[test]
fn the_kernel_passes_its_tests_without_acpi_tables() {
    passes(|machine| machine.machine("pc,acpi=off"));
    passes(|machine| machine.machine("isapc").cpu("qemu64"));
}

#[test]
fn the_kernel_passes_its_tests_without_a_local_apic() {
    passes(|machine| machine.cpu("qemu64,-apic"));
}

/// The tests of a kind, `fatal` or `faulty`, that run only when named, each with the words that must come.
#[track_caller]
fn named(kind: &str) -> Vec<(String, String)> {
    let list = image("selftest=list");
    let mut lister = machine(&list).boot();
    lister.expect_exit(PASSED);
    let log = lister.serial_log();
    let of_kind = |line: &str| {
        let (name, words) = line.strip_prefix(kind)?.strip_prefix(' ')?.split_once(": ")?;
        Some((name.to_owned(), words.to_owned()))
    };
    let tests: Vec<_> = log.lines().filter_map(of_kind).collect();
    assert!(!tests.is_empty(), "no test is {kind}:\n{log}");
    tests
}

#[test]
fn tests_that_must_end_in_a_panic_do() {
    for (name, words) in named("fatal") {
        let image = image(&format!("selftest={name}"));
        let mut machine = machine(&image).cpus(4).boot();
        machine.expect_line(&format!("test {name} ..."));
        machine.expect_line("kernel panic at ");
        machine.expect_line(&words);
        machine.expect_exit(PANICKED);
    }
}

#[test]
fn a_test_that_fails_hangs_faults_or_leaks_is_told_by_name() {
    for (name, words) in named("faulty") {
        let image = image(&format!("selftest={name} patience=2"));
        let mut machine = machine(&image).cpus(2).boot();
        machine.expect_line(&format!("test {name} ..."));
        machine.expect_line(&words);
        let code = machine.wait_for_exit();
        let log = machine.serial_log();
        let wanted = if log.contains("kernel panic at ") { PANICKED } else { FAILED };
        assert!(code == Some(wanted) && failures(&log).len() == 1, "exit code {code:?}\n{log}");
    }
}

#[test]
fn a_test_that_did_not_end_well_is_named() {
    let log =
        "ready\ntest a ...\ntest a: ok (1 ms)\ntest b ...\nerror: test b: FAILED: why\ntest c ...\n\nkernel panic at";
    assert_eq!(failures(log), ["b: FAILED: why", "c: was begun and did not end"]);
}
