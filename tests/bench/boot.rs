//! How long booting takes: seconds from QEMU's start, by wall clock, beside a boot sector that greets at once; then
//! instructions from the kernel's entry to `ready`, which do not depend on the host; then sizes.
//!
//! `scripts/bench.sh` runs it. The cases take turns, so that whatever disturbs the host disturbs them all.

#[path = "../machine/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the harness serves the machine tests first; a bench needs a part of it")]
mod harness;

use harness::{Machine, Setup, image_path};
use std::time::Duration;
use std::{env, fs};

const DEFAULT_RUNS: usize = 7;

/// The floor: what QEMU and its BIOS take before anybody's code runs, and one line.
const BARE_SECTOR: &str = r#"
bits 16
org 0x7c00
        xor ax, ax
        mov ds, ax
        mov si, text
        mov dx, 0x3f8
.next:  lodsb
        out dx, al
        test al, al
        jnz .next
.stop:  hlt
        jmp .stop
text:   db "Eres OS would be here", 10, "ready", 10, 0
        times 510-($-$$) db 0
        dw 0xaa55
"#;

/// One way to boot, measured again and again.
struct Case {
    name: &'static str,
    setup: fn() -> Setup,
    runs: usize,
    first_line: Vec<Duration>,
    ready: Vec<Duration>,
}

impl Case {
    fn new(name: &'static str, runs: usize, setup: fn() -> Setup) -> Self {
        Self { name, setup, runs, first_line: Vec::new(), ready: Vec::new() }
    }

    fn measure(&mut self) {
        let mut machine = (self.setup)().boot();
        self.first_line.push(machine.expect_line("Eres OS ").arrived);
        self.ready.push(expect_ready(&mut machine));
    }
}

fn main() {
    // `cargo test --all-targets` runs benches too, without this word, and only wants to know that they start.
    if !env::args().any(|word| word == "--bench") {
        return;
    }
    let runs = runs_wanted();
    let mut cases = [
        Case::new("bare sector", runs, || Machine::sector(BARE_SECTOR)),
        Case::new("raw, BIOS", runs, Machine::raw),
        Case::new("ISO, BIOS", runs, Machine::iso),
        Case::new("ISO, UEFI", runs.div_ceil(3), || Machine::iso().uefi()),
    ];
    for round in 0..runs {
        cases.iter_mut().filter(|case| round < case.runs).for_each(Case::measure);
    }
    print_times(&cases);
    print_instructions();
    print_memory();
    print_processors();
    print_sizes();
}

/// `--runs N` on the command line; Cargo adds words of its own.
fn runs_wanted() -> usize {
    let words: Vec<String> = env::args().collect();
    let value = words.iter().position(|word| word == "--runs").and_then(|at| words.get(at + 1)?.parse().ok());
    value.unwrap_or(DEFAULT_RUNS).max(1)
}

fn expect_ready(machine: &mut Machine) -> Duration {
    machine.expect_line_where("the line `ready`", |line| line == "ready").arrived
}

fn print_times(cases: &[Case]) {
    let floor = median(&cases[0].ready);
    println!("\nSeconds from QEMU's start: median (least to most)\n");
    println!("{:<12} {:>4}  {:<24} {:<24} {:>7}", "", "runs", "to the first line", "to ready", "x bare");
    for case in cases {
        let ratio = median(&case.ready) / floor;
        let (first_line, ready) = (spread(&case.first_line), spread(&case.ready));
        println!("{:<12} {:>4}  {first_line:<24} {ready:<24} {ratio:>7.1}", case.name, case.ready.len());
    }
}

/// With `-icount shift=0` QEMU's clocks advance by one nanosecond an instruction, the time stamp counter among them, so
/// the kernel's own account of its time counts its instructions, waits included.
fn print_instructions() {
    println!("\nInstructions from the kernel's entry to ready, by its `time:` line under -icount shift=0\n");
    for (name, setup) in [("raw, BIOS", Machine::raw()), ("ISO, BIOS", Machine::iso())] {
        let mut machine = setup.cpu("max").argument("-icount").argument("shift=0,sleep=off").boot();
        expect_ready(&mut machine);
        match machine.line("time: ").as_deref().and_then(kernel_milliseconds) {
            Some(milliseconds) => println!("{name:<12} {:>8.1} million", milliseconds),
            None => println!("{name:<12} the kernel tells no time"),
        }
    }
}

/// How the kernel's own time, in instructions, and its memory at ready grow with the machine's memory, by our loader.
fn print_memory() {
    println!("\nBy memory: instructions from entry to ready, RAM in use at ready beside the image\n");
    for memory_mib in [128, 1024, 4096, 16 * 1024, 64 * 1024] {
        let setup = Machine::raw().cpu("max").memory_mib(memory_mib);
        let mut machine = setup.argument("-icount").argument("shift=0,sleep=off").boot();
        expect_ready(&mut machine);
        let milliseconds = machine.line("time: ").as_deref().and_then(kernel_milliseconds).unwrap_or(f64::NAN);
        let used = machine.line("in use: ").unwrap_or_default();
        println!(
            "{memory_mib:>6} MiB {milliseconds:>8.1} million, {}",
            used.split_once("in use: ").map_or("", |(_, used)| used)
        );
    }
}

/// How long the kernel takes to start more and more processors, which the host's few emulate in turns; by our loader.
fn print_processors() {
    println!("\nBy processors: milliseconds from entry to ready, RAM in use at ready beside the image\n");
    for count in [1, 2, 4, 8, 16, 32] {
        let mut machine = Machine::raw().cpus(count).boot();
        expect_ready(&mut machine);
        let milliseconds = machine.line("time: ").as_deref().and_then(kernel_milliseconds).unwrap_or(f64::NAN);
        let used = machine.line("in use: ").unwrap_or_default();
        println!(
            "{count:>6} CPUs {milliseconds:>7.1} ms, {}",
            used.split_once("in use: ").map_or("", |(_, used)| used)
        );
    }
}

/// The number in `time: firmware and loader 123.4 ms, kernel 1.2 ms`; a millisecond is a million instructions.
fn kernel_milliseconds(line: &str) -> Option<f64> {
    line.split_once("kernel ")?.1.split_once(" ms")?.0.parse().ok()
}

fn print_sizes() {
    println!("\nBytes\n");
    let files = [
        ("sector", "build/sector.bin", "scripts/raw.sh"),
        ("stage 2", "build/stage2.bin", "scripts/raw.sh"),
        ("kernel ELF", "build/kernel.elf", "scripts/raw.sh"),
        ("initramfs", "build/initramfs.cpio", "scripts/raw.sh"),
        ("raw image", "build/os.img", "scripts/raw.sh"),
        ("ISO image", "os.iso", "scripts/iso.sh"),
    ];
    for (name, file, script) in files {
        let size = fs::metadata(image_path(file, script)).map(|metadata| metadata.len());
        println!("{name:<12} {:>10}", size.unwrap_or_else(|error| panic!("{file}: {error}")));
    }
}

fn spread(times: &[Duration]) -> String {
    let seconds = |time: Option<&Duration>| time.map_or(f64::NAN, Duration::as_secs_f64);
    let (least, most) = (seconds(times.iter().min()), seconds(times.iter().max()));
    format!("{:.3} ({least:.3} to {most:.3})", median(times))
}

/// The middle one in seconds, or the mean of the middle two.
fn median(times: &[Duration]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort();
    let (below, above) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    (below + above).as_secs_f64() / 2.0
}
