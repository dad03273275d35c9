//! How fast text scrolls: 10000 lines of 107 characters, no two alike in a screenful, as a program writes them; by the kernel's own
//! clock, on a screen of 1024x768 pixels or of VGA text. With `--linux`, the same text on Linux's framebuffer console beside it.
//!
//! `scripts/bench.sh console` runs it. The cases take turns, so that whatever disturbs the host disturbs them all.

#[path = "../machine/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the harness serves the machine tests first; a bench needs a part of it")]
mod harness;

use harness::{ComposedImage, Machine, image_path};
use std::env;

const DEFAULT_RUNS: usize = 5;

/// What Linux needs, which takes part of QEMU's default of 128 MiB for its initramfs.
const LINUX_MEMORY_MIB: u32 = 512;

/// One screen, measured again and again.
struct Case {
    name: &'static str,
    measure: fn() -> f64,
    lines_per_second: Vec<f64>,
}

impl Case {
    fn new(name: &'static str, measure: fn() -> f64) -> Self {
        Self { name, measure, lines_per_second: Vec::new() }
    }
}

fn main() {
    let words: Vec<String> = env::args().collect();
    // `cargo test --all-targets` runs benches too, without this word, and only wants to know that they start.
    if !words.iter().any(|word| word == "--bench") {
        return;
    }
    let value = words.iter().position(|word| word == "--runs").and_then(|at| words.get(at + 1)?.parse().ok());
    let runs: usize = value.unwrap_or(DEFAULT_RUNS).max(1);
    let mut cases = vec![
        Case::new("framebuffer", || eres(&["--command-line", "then=scroll"], false)),
        Case::new("framebuffer and serial port", || eres(&["--command-line", "then=scroll"], true)),
        Case::new("VGA text", || eres(&["--text", "--command-line", "then=scroll"], false)),
    ];
    if words.iter().any(|word| word == "--linux") {
        cases.push(Case::new("Linux, framebuffer (vesafb)", linux));
    }
    for _ in 0..runs {
        for case in &mut cases {
            case.lines_per_second.push((case.measure)());
        }
    }
    println!("\nLines scrolled in a second: median (least to most) of {runs} runs\n");
    for case in &mut cases {
        let measured = &mut case.lines_per_second;
        measured.sort_by(f64::total_cmp);
        let (least, most) = (measured[0], measured[measured.len() - 1]);
        println!("{:<30} {:>8.0} ({least:.0} to {most:.0})", case.name, measured[measured.len() / 2]);
    }
}

/// Lines in a second on our console. Without a serial port, the screen tells.
fn eres(options: &[&str], serial: bool) -> f64 {
    let image = ComposedImage::new(options);
    let setup = Machine::image(&image.path());
    let report = if serial {
        setup.boot().expect_line("scrolled: ").text
    } else {
        let screen = setup.no_serial().boot().expect_on_screen("scrolled: ");
        screen.rows.iter().find(|row| row.contains("scrolled: ")).cloned().unwrap_or_default()
    };
    lines_per_second(&report)
}

/// Lines in a second on Linux's console, whose report comes by the serial port.
fn linux() -> f64 {
    let [kernel, initramfs] = ["build/linux/console/vmlinuz", "build/linux/console/initramfs.cpio"]
        .map(|file| image_path(file, "scripts/linux.sh console"));
    let setup = Machine::raw().memory_mib(LINUX_MEMORY_MIB);
    let setup = setup.argument("-kernel").argument(&kernel.display().to_string());
    let setup = setup.argument("-initrd").argument(&initramfs.display().to_string());
    // 1024x768 in 32 bits a pixel, by QEMU's VGA BIOS.
    let mut machine = setup.argument("-append").argument("vga=0x344 console=tty0 quiet").boot();
    lines_per_second(&machine.expect_line("scrolled: ").text)
}

/// Of `scrolled: 10000 lines in 1234 ms`.
fn lines_per_second(report: &str) -> f64 {
    let number = |before: &str| report.split(before).next()?.split(' ').next_back()?.parse::<f64>().ok();
    match (number(" lines in"), number(" ms")) {
        (Some(lines), Some(milliseconds)) if milliseconds > 0.0 => lines * 1000.0 / milliseconds,
        _ => panic!("no report: {report:?}"),
    }
}
