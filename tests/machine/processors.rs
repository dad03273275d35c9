//! Every processor: started by all firmware, however many there are and however they are numbered.

use crate::harness::{ComposedImage, Machine, Setup};
use crate::{boot_to_ready, expect_ready};

/// Processors that the kernel says it runs.
#[track_caller]
fn running(setup: Setup) -> u32 {
    let machine = boot_to_ready(setup);
    let line = machine.line("processors: ").expect("a line about processors");
    assert!(!machine.serial_log().contains("does not answer"), "{}", machine.serial_log());
    line.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no count in {line:?}"))
}

#[test]
fn every_processor_is_started() {
    for count in [1, 2, 4, 8, 32] {
        assert_eq!(running(Machine::raw().cpus(count)), count);
    }
}

#[test]
fn processors_are_started_whoever_loaded_the_kernel() {
    assert_eq!(running(Machine::iso().cpus(3)), 3);
    assert_eq!(running(Machine::iso().uefi().cpus(4)), 4);
}

#[test]
fn processors_are_started_on_old_and_new_models() {
    for model in ["core2duo", "qemu64,-nx", "EPYC", "max"] {
        assert_eq!(running(Machine::raw().cpu(model).cpus(4).machine("q35")), 4, "{model}");
    }
}

#[test]
fn numbers_with_gaps_do_no_harm() {
    assert_eq!(running(Machine::raw().argument("-smp").argument("6,sockets=2,cores=3")), 6);
    assert_eq!(running(Machine::raw().argument("-smp").argument("3,maxcpus=7,sockets=7")), 3);
}

#[test]
fn each_is_known_by_its_apic_id_and_its_counter_is_compared() {
    let image = ComposedImage::new(&["--command-line", "log=debug"]);
    let machine =
        boot_to_ready(Machine::image(&image.path()).argument("-smp").argument("6,sockets=2,cores=3,threads=1"));
    let log = machine.serial_log();
    let lines: Vec<_> =
        log.lines().filter_map(|line| line.strip_prefix("debug: processor ")?.split_once(": ")).collect();
    assert!(lines.iter().map(|(number, _)| *number).eq(["1", "2", "3", "4", "5"]), "{log}");
    let id = |line: &str| line.strip_prefix("APIC id ")?.split(',').next()?.parse().ok();
    let mut ids: Vec<Option<u32>> = lines.iter().map(|(_, line)| id(line)).collect();
    ids.sort_unstable();
    // Three cores take numbers of two bits.
    assert_eq!(ids, [1, 2, 4, 5, 6].map(Some), "{log}");
    // "TSC LEAST to MOST ticks ahead"; QEMU's are all equal.
    for (_, line) in lines {
        let mut numbers = line.split(' ').filter_map(|word| word.parse::<i64>().ok());
        let range = numbers.next().zip(numbers.next());
        assert!(range.is_some_and(|(least, most)| least <= 0 && most >= 0), "{log}");
    }
    assert!(!log.contains("warning: "), "{log}");
}

#[test]
fn x2apics_and_timers_with_deadlines_are_used_where_they_are() {
    for (model, interrupts, timer) in [
        ("corei7_haswell_4770", "interrupts: x2APIC, ", "timer: local APIC, TSC deadline"),
        ("broadwell_ult", "interrupts: x2APIC, ", "timer: local APIC, TSC deadline"),
        ("corei7_sandy_bridge_2600k", "interrupts: xAPIC, ", "timer: local APIC, TSC deadline"),
        ("ryzen", "interrupts: xAPIC, ", " kHz"),
    ] {
        let image = ComposedImage::new(&["--command-line", "log=debug"]);
        let mut machine = Machine::bochs().image(&image.path()).cpu(model).cpus(3).boot();
        expect_ready(&mut machine);
        let log = machine.serial_log();
        assert!(machine.line(interrupts).is_some(), "{model}:\n{log}");
        assert!(machine.line(timer).is_some(), "{model}:\n{log}");
        assert!(machine.line("processors: 3 running").is_some() && !log.contains("warning: "), "{model}:\n{log}");
    }
}

#[test]
fn a_machine_without_apics_runs_one_processor() {
    for (machine, model) in [("pc", "qemu64,-apic"), ("isapc", "qemu64"), ("pc,acpi=off", "qemu64")] {
        assert_eq!(running(Machine::raw().machine(machine).cpu(model)), 1, "{machine} {model}");
    }
}

#[test]
fn fewer_processors_are_used_when_asked_for() {
    let image = |words: &str| ComposedImage::new(&["--command-line", words]);
    assert_eq!(running(Machine::image(&image("cpus=2").path()).cpus(4)), 2);
    assert_eq!(running(Machine::image(&image("cpus=1").path()).cpus(4)), 1);
    let machine = boot_to_ready(Machine::image(&image("cpus=none").path()).cpus(2));
    assert!(machine.line("warning: cpus= takes a number from 1 on").is_some());
    assert!(machine.line("processors: 2 running").is_some());
}
