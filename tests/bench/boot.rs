//! How long booting takes, by every door: seconds from QEMU's start to the kernel's first line, to ready and to the shell's prompt,
//! by wall clock, beside a boot sector that greets at once and beside a Linux that comes to a shell; the instructions that all
//! that takes, which do not depend on the host; then sizes.
//!
//! `scripts/bench.sh boot` runs it. The cases take turns, so that whatever disturbs the host disturbs them all.

#[path = "../machine/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the harness serves the machine tests first; a bench needs a part of it")]
mod harness;

use harness::{Machine, Setup, image_path};
use serde_json::json;
use std::time::Duration;
use std::{env, fs};

/// The shell's prompt.
const SHELL: &str = "root@eres:~# ";
const DEFAULT_RUNS: usize = 7;

/// The floor: what QEMU and its BIOS take before anybody's code runs, and two lines. The second tells the time-stamp counter.
const BARE_SECTOR: &str = r#"
bits 16
cpu x64
org 0x7c00
        xor ax, ax
        mov ds, ax
        mov es, ax
        cld
        rdtsc
        mov [ticks], eax
        mov [ticks + 4], edx
        mov di, digits
        mov si, ticks + 7
        mov cx, 8
.byte:  std
        lodsb
        cld
        mov ah, al
        shr al, 4
        call digit
        mov al, ah
        and al, 15
        call digit
        loop .byte
        mov si, text
        mov dx, 0x3f8
.next:  lodsb
        out dx, al
        test al, al
        jnz .next
.stop:  hlt
        jmp .stop
digit:  cmp al, 10
        sbb al, 0x69
        das
        stosb
        ret
ticks:  dq 0
text:   db "Eres OS would be here", 10, "ready", 10, "counter: "
digits: times 16 db 0
        db 10, "$ ", 0
        times 510-($-$$) db 0
        dw 0xaa55
"#;

/// What Linux needs for its initramfs beside QEMU's default of 128 MiB.
const LINUX_MEMORY_MIB: u32 = 512;

/// One way to boot, measured again and again.
struct Case {
    name: &'static str,
    setup: fn() -> Setup,
    milestones: Milestones,
    runs: usize,
    first_line: Vec<Duration>,
    ready: Vec<Duration>,
    prompt: Vec<Duration>,
}

/// What to wait for.
enum Milestones {
    /// Eres's own lines, and a prompt.
    Eres { prompt: &'static str },
    /// A prompt that is all there is to see.
    Prompt(&'static str),
}

impl Case {
    fn new(name: &'static str, runs: usize, milestones: Milestones, setup: fn() -> Setup) -> Self {
        Self { name, setup, milestones, runs, first_line: Vec::new(), ready: Vec::new(), prompt: Vec::new() }
    }

    fn eres(name: &'static str, runs: usize, setup: fn() -> Setup) -> Self {
        Self::new(name, runs, Milestones::Eres { prompt: SHELL }, setup)
    }

    fn measure(&mut self) {
        let mut machine = (self.setup)().boot();
        let prompt = match self.milestones {
            Milestones::Eres { prompt } => {
                self.first_line.push(machine.expect_line("Eres OS ").arrived);
                self.ready.push(expect_ready(&mut machine));
                prompt
            }
            Milestones::Prompt(prompt) => prompt,
        };
        self.prompt.push(machine.expect_prompt(prompt));
    }

    /// Millions of instructions from power-on to the prompt. With `-icount shift=0` QEMU's clocks advance by one nanosecond an
    /// instruction, the time-stamp counter among them, so whoever reads that counts instructions, waits included.
    fn million_instructions(&self) -> Option<f64> {
        let mut machine = (self.setup)().cpu("max").argument("-icount").argument("shift=0,sleep=off").boot();
        let prompt = match self.milestones {
            Milestones::Eres { prompt } | Milestones::Prompt(prompt) => prompt,
        };
        machine.expect_prompt(prompt);
        if let Some(line) = machine.line("counter: ") {
            let ticks = u64::from_str_radix(line.split_once("counter: ")?.1.trim(), 16).ok()?;
            return Some(ticks as f64 / 1e6);
        }
        Some(milliseconds(&times(&mut machine)).iter().sum())
    }
}

fn main() {
    // `cargo test --all-targets` runs benches too, without this word, and only wants to know that they start.
    let words: Vec<String> = env::args().collect();
    if !words.iter().any(|word| word == "--bench") {
        return;
    }
    let value = words.iter().position(|word| word == "--runs").and_then(|at| words.get(at + 1)?.parse().ok());
    let runs: usize = value.unwrap_or(DEFAULT_RUNS).max(1);
    let few = runs.div_ceil(3);
    let mut cases = vec![
        Case::new("bare sector", runs, Milestones::Eres { prompt: "$ " }, || Machine::sector(BARE_SECTOR)),
        Case::eres("raw, BIOS", runs, Machine::raw_with_programs),
        Case::eres("ISO, BIOS", runs, Machine::iso_with_programs),
        Case::eres("kernel, PVH", runs, Machine::kernel_with_programs),
        Case::eres("ISO, UEFI", few, || Machine::iso_with_programs().uefi()),
    ];
    if words.iter().any(|word| word == "--linux") {
        cases.push(Case::new("Linux, -kernel", few, Milestones::Prompt("/ # "), linux));
    }
    for round in 0..runs {
        cases.iter_mut().filter(|case| round < case.runs).for_each(Case::measure);
    }
    print_times(&cases);
    print_parts();
    print_memory();
    print_processors();
    print_sizes();
}

/// Debian's kernel for clouds and a busybox, to a shell on the serial port.
fn linux() -> Setup {
    let [kernel, initramfs] = ["build/linux/boot/vmlinuz", "build/linux/boot/initramfs.cpio"]
        .map(|file| image_path(file, "scripts/linux.sh boot").display().to_string());
    let setup = Machine::raw_with_programs().memory_mib(LINUX_MEMORY_MIB);
    let setup = setup.argument("-kernel").argument(&kernel).argument("-initrd").argument(&initramfs);
    setup.argument("-append").argument("console=ttyS0 quiet")
}

fn expect_ready(machine: &mut Machine) -> Duration {
    machine.expect_line_where("the line `ready`", |line| line == "ready").arrived
}

fn print_times(cases: &[Case]) {
    let bare = median(&cases[0].prompt);
    let linux = cases.iter().find(|case| matches!(case.milestones, Milestones::Prompt(_)));
    println!("\nSeconds from QEMU's start, median (least to most); millions of instructions to the prompt\n");
    println!(
        "{:<14} {:>4}  {:<22} {:<22} {:<22} {:>7} {:>8} {:>8}",
        "", "runs", "to the first line", "to ready", "to the prompt", "x bare", "/ Linux", "million"
    );
    for case in cases {
        let prompt = median(&case.prompt);
        let [first_line, ready, to_prompt] = [&case.first_line, &case.ready, &case.prompt].map(|times| spread(times));
        let of_linux = linux.map_or("-".to_string(), |linux| format!("1/{:.1}", median(&linux.prompt) / prompt));
        let instructions = case.million_instructions().map_or("-".to_string(), |million| format!("{million:.1}"));
        println!(
            "{:<14} {:>4}  {first_line:<22} {ready:<22} {to_prompt:<22} {:>7.1} {of_linux:>8} {instructions:>8}",
            case.name,
            case.prompt.len(),
            prompt / bare,
        );
    }
}

/// Of the same instructions, which part takes how many.
fn print_parts() {
    println!("\nMillions of instructions by part, as the monitor's `boot` tells them\n");
    for (name, setup) in [("raw, BIOS", Machine::raw_with_programs()), ("ISO, BIOS", Machine::iso_with_programs())] {
        let mut machine = setup.cpu("max").argument("-icount").argument("shift=0,sleep=off").boot();
        machine.expect_prompt(SHELL);
        let line = times(&mut machine);
        println!("{name:<14} {}", line.trim_start_matches("times").trim().replace(" ms", ""));
    }
}

/// What the monitor tells of the times, over the shell: when that first waited for what is typed is the time of the prompt.
fn times(machine: &mut Machine) -> String {
    machine.qmp("chardev-send-break", json!({ "id": "serial0" }));
    machine.expect_prompt("eres> ");
    machine.send_serial("boot\r");
    machine.expect_line("times ").text
}

/// How the kernel's own time, in instructions, and its memory at ready grow with the machine's memory, by our loader.
fn print_memory() {
    println!("\nBy memory: instructions from entry to ready, RAM in use at ready beside the image\n");
    for memory_mib in [128, 1024, 4096, 16 * 1024, 64 * 1024] {
        let setup = Machine::raw_with_programs().cpu("max").memory_mib(memory_mib);
        let mut machine = setup.argument("-icount").argument("shift=0,sleep=off").boot();
        expect_ready(&mut machine);
        println!("{memory_mib:>6} MiB {:>8.1} million, {}", kernel_milliseconds(&machine), memory_in_use(&machine));
    }
}

/// How long the kernel takes to start more and more processors, which the host's few emulate in turns; by our loader.
fn print_processors() {
    println!("\nBy processors: milliseconds from entry to ready, RAM in use at ready beside the image\n");
    for count in [1, 2, 4, 8, 16, 32] {
        let mut machine = Machine::raw_with_programs().cpus(count).boot();
        expect_ready(&mut machine);
        println!("{count:>6} CPUs {:>7.1} ms, {}", kernel_milliseconds(&machine), memory_in_use(&machine));
    }
}

/// The last number in `time: firmware 8.3 ms, loader 1.9 ms, kernel 3.4 ms, TSC 1000 MHz`; a millisecond is a million instructions.
fn kernel_milliseconds(machine: &Machine) -> f64 {
    let line = machine.line("time: ").unwrap_or_default();
    milliseconds(&line).last().copied().unwrap_or(f64::NAN)
}

fn memory_in_use(machine: &Machine) -> String {
    let line = machine.line("in use: ").unwrap_or_default();
    line.split_once("in use: ").map_or(String::new(), |(_, used)| used.to_string())
}

/// Every number that stands before ` ms`, or, in milliseconds, before ` us` or ` s`.
fn milliseconds(line: &str) -> Vec<f64> {
    let words: Vec<&str> = line.split([' ', ',']).collect();
    let number = |pair: &[&str]| -> Option<f64> {
        let scale = match pair[1] {
            "us" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            _ => return None,
        };
        Some(pair[0].parse::<f64>().ok()? * scale)
    };
    words.windows(2).filter_map(number).collect()
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
        println!("{name:<14} {:>10}", size.unwrap_or_else(|error| panic!("{file}: {error}")));
    }
}

fn spread(times: &[Duration]) -> String {
    if times.is_empty() {
        return "-".to_string();
    }
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
