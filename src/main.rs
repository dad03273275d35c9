//! The Eres kernel: boot order on one page.
//!
//! `asm/entry.asm` calls [`kernel_main`] on the boot stack, in long mode, with the early page tables of that file, interrupts
//! off. Rooms depend one way: drivers on hw, hw on logic.

#![no_std]
#![no_main]

mod drivers;
mod finish;
mod hw;
mod panic;
mod provoke;

use hw::boot;
use hw::pit::Stopwatch;
use logic::boot::BootInfo;
use logic::display::Display;

/// Physical address of the boot information and the time-stamp counter at the entry, both from `asm/entry.asm`.
#[allow(unsafe_code, reason = "the one symbol that the assembly calls")]
#[unsafe(no_mangle)]
extern "C" fn kernel_main(information: u32, entry_tsc: u64) -> ! {
    hw::trap::install();
    let stopwatch = Stopwatch::start();
    drivers::console::start();
    log::info!("Eres OS {} (x86_64)", env!("CARGO_PKG_VERSION"));

    match boot::information(information, entry_tsc) {
        Ok(info) => {
            drivers::console::attach(info);
            hw::acpi::init(info);
            report(info, stopwatch);
            provoke::as_asked(info);
            log::info!("ready");
            finish::as_asked(info);
        }
        Err(error) => {
            drivers::console::attach_display(boot::display(information));
            log::error!("{error}");
        }
    }
    hw::cpu::halt()
}

/// Tells in a few lines what was found: the proof that the kernel has read and understood its boot information.
fn report(info: &BootInfo, stopwatch: Stopwatch) {
    const MIB: u64 = 1 << 20;
    log::info!("loader: {}", if info.loader.is_empty() { "unnamed" } else { &info.loader });
    if !info.command_line.as_str().is_empty() {
        log::info!("command line: {}", info.command_line.as_str());
    }
    let memory = &info.memory;
    let ranges = memory.usable().count();
    log::info!(
        "memory: {} MiB usable in {ranges} range{}, {} MiB RAM, top {:#x}",
        memory.usable_bytes() / MIB,
        if ranges == 1 { "" } else { "s" },
        memory.ram_bytes() / MIB,
        memory.top()
    );
    for region in memory.regions() {
        log::debug!("  {:#014x}-{:#014x} {}", region.start, region.end, region.kind);
    }
    match info.display {
        Display::Framebuffer(framebuffer) => log::info!(
            "display: framebuffer {}x{}, {} bits per pixel, at {:#x}",
            framebuffer.width,
            framebuffer.height,
            framebuffer.bytes_per_pixel * 8,
            framebuffer.address
        ),
        Display::Text { columns, rows } => log::info!("display: VGA text {columns}x{rows}"),
        Display::None => log::info!("display: none"),
    }
    for module in &info.modules {
        log::info!("module: {}, {} B at {:#x}", module.arguments, module.size(), module.start);
    }
    if info.tags_left_out > 0 {
        log::warn!("{} malformed or unusable tags in the boot information were left out", info.tags_left_out);
    }
    if info.loaded_outside_usable_memory {
        log::warn!("the kernel or a module was loaded to memory that the firmware does not call usable");
    }
    report_time(info, stopwatch);
}

/// The time-stamp counter starts with the machine, so its value at the entry is what firmware and loader took.
fn report_time(info: &BootInfo, stopwatch: Stopwatch) {
    let Some(frequency) = stopwatch.tsc_frequency() else {
        log::warn!("time: no timer to measure the time-stamp counter with; entered at {} ticks", info.entry_tsc);
        return;
    };
    let kernel = frequency.microseconds(hw::cpu::tsc().saturating_sub(info.entry_tsc));
    match info.loader_tsc {
        Some(loader_tsc) => log::info!(
            "time: firmware {}, loader {}, kernel {}, TSC {} MHz",
            frequency.microseconds(loader_tsc),
            frequency.microseconds(info.entry_tsc.saturating_sub(loader_tsc)),
            kernel,
            frequency.hertz() / 1_000_000
        ),
        None => log::info!(
            "time: firmware and loader {}, kernel {}, TSC {} MHz",
            frequency.microseconds(info.entry_tsc),
            kernel,
            frequency.hertz() / 1_000_000
        ),
    }
}
