//! The Eres kernel: boot order on one page.
//!
//! `asm/entry.asm` calls [`kernel_main`] on the boot stack, in long mode, with the early page tables of that file, interrupts
//! off. Rooms depend one way: monitor on proc, proc on drivers, drivers on hw, hw on logic.

#![no_std]
#![no_main]
#![cfg_attr(
    not(feature = "selftest"),
    allow(dead_code, reason = "what the self-tests alone call shows there if it is dead")
)]

extern crate alloc;

mod drivers;
mod finish;
mod hw;
mod monitor;
mod panic;
mod proc;
mod provoke;
#[cfg(feature = "selftest")]
mod selftest;
mod show;
mod syscall;

use core::fmt::Write;
use drivers::console;
use drivers::log_code::CodePlace;
use hw::boot;
use logic::boot::BootInfo;
use logic::display::Display;
use logic::sync::wait_queue::WaitQueue;

/// Heap that a processor's idle thread takes at most, with the processor's run queue.
const IDLE_THREAD_BYTES: usize = 16 * 1024;
const NO_FIRST_THREAD: &str = "E38 there is not enough memory for the first thread";

/// Physical address of the boot information, the time-stamp counter at the entry, and which entry it was, all from `asm/entry.asm`.
#[allow(unsafe_code, reason = "the one symbol that the assembly calls")]
#[unsafe(no_mangle)]
extern "C" fn kernel_main(information: u32, entry_tsc: u64, protocol: boot::Protocol) -> ! {
    hw::startup::boot_cpu();
    hw::clock::begin(entry_tsc);
    console::start();
    log::info!("Eres OS {} (x86_64)", env!("CARGO_PKG_VERSION"));

    let info = match boot::information(protocol, information, entry_tsc) {
        Ok(info) => info,
        Err(error) => stop(boot::display(protocol, information), &error),
    };
    console::retain(info);
    provoke::early_as_asked(info);
    // Before free memory is given out: some firmware leaves its tables there.
    let platform = hw::acpi::init(info);
    hw::smbios::init(info);
    if hw::paging::install(info).is_err() {
        stop(info.display, &"E37 there is not enough memory for the page tables");
    }
    // What the clock is measured against counts while everything else goes on.
    hw::clock::add_references(platform);
    console::attach(info);
    hw::irq::init(platform);
    hw::timer::begin();
    hw::power::init();
    hw::startup::finish(info);
    hw::startup::leave_boot_stack(info, kernel_main_on_its_own_stack)
}

/// What the boot processor goes on with, until it is idle.
extern "C" fn kernel_main_on_its_own_stack(info: &'static BootInfo) -> ! {
    hw::startup::give_up_boot_stack(info);
    let platform = hw::acpi::platform();
    report(info);
    hw::clock::start(platform);
    hw::timer::init_bsp();
    hw::ipi::init();
    // For the idle thread, which is made by functions that cannot fail.
    if hw::heap::ensure(IDLE_THREAD_BYTES).is_err() {
        stop(info.display, &NO_FIRST_THREAD);
    }
    proc::scheduler::start_boot_cpu();
    let main = proc::spawn("main", proc::Priority::NORMAL, move || main_thread(info));
    if main.is_err() {
        stop(info.display, &NO_FIRST_THREAD);
    }
    proc::scheduler::idle()
}

/// What goes on when threads can run.
#[inline(never)]
fn main_thread(info: &'static BootInfo) {
    drivers::tty::begin();
    if finish::reads_input(info) {
        drivers::tty::give_to_programs();
    }
    if proc::spawn("input", proc::Priority::Urgent, || input_thread(info)).is_err() {
        log::warn!("no memory for the thread that serves keyboard and serial port");
    }
    proc::scheduler::start_other_cpus(info, hw::acpi::platform());
    drivers::pci::init(info);
    draw_what_is_left();
    report_use(info);
    report_time(info);
    monitor::start(info);
    provoke::as_asked(info);
    log::info!("ready");
    monitor::note_ready();
    finish::as_asked(info);
    #[cfg(feature = "selftest")]
    selftest::as_asked(info);
    run_programs(info);
    monitor::open();
}

/// Starts init and waits until it has ended, which it does not if all is well.
fn run_programs(info: &BootInfo) {
    if let Some(what) = info.command_line.value("syscall.trace") {
        syscall::trace(what);
    }
    proc::files::set_system_calls(syscall::show);
    let wanted = info.command_line.value("init");
    if wanted == Some("none") {
        return;
    }
    // If it is damaged, that has been told.
    let Some(archive) = boot::take_initramfs(info) else { return };
    let memory_mib = info.memory.usable_bytes() >> 20;
    match proc::process::start_first(archive, wanted, memory_mib, syscall::run) {
        Ok(()) => proc::process::wait_for_end(),
        Err(error) => log::warn!("no init: {error:?}"),
    }
}

/// Has a thread draw what the console leaves undrawn while much is written. Without it, all is drawn at once.
fn draw_what_is_left() {
    let thread = proc::spawn("console", proc::Priority::NORMAL, || {
        console::extend_past();
        console::defer_from_now_on();
        loop {
            proc::wait::wait_until(console::flush_queue(), None, console::is_flush_wanted);
            proc::wait::wait_until(&WaitQueue::new(), Some(console::flush_due()), || false);
            console::flush();
        }
    });
    if thread.is_err() {
        log::warn!("console: no memory for the thread that draws");
    }
}

/// Serves keyboard and serial port. What they take to be set up delays nobody.
fn input_thread(info: &BootInfo) {
    let mut input = drivers::input::Input::start(info, proc::sleep);
    loop {
        proc::random::note();
        input.service();
        proc::wait_until(input.work(), input.deadline(), || input.has_work());
    }
}

/// Says on every console that there is why the kernel cannot go on.
fn stop(display: Display, error: &dyn core::fmt::Display) -> ! {
    console::attach_display(display);
    log::error!("{error}");
    drivers::log_code::show_log(None, CodePlace::BesideText, format_args!("{error}"));
    hw::cpu::halt()
}

/// Tells what was found: the proof that the kernel has read and understood its boot information. Most of it is for who asks by
/// `log=debug`, or at the monitor's prompt.
fn report(info: &BootInfo) {
    let loader = if info.loader.is_empty() { "unnamed" } else { &info.loader };
    let mut modules = arrayvec::ArrayString::<160>::new();
    for module in &info.modules {
        // What does not fit is told by the monitor.
        let _ = write!(modules, "; module: {}, {} B", module.arguments, module.size());
        log::debug!("module {} at {:#x}-{:#x}", module.arguments, module.start, module.end);
    }
    if let Some(machine) = hw::smbios::machine() {
        log::info!("machine: {machine}");
    }
    log::info!("loader: {loader}, from {}{modules}", info.firmware);
    if !info.command_line.as_str().is_empty() {
        log::debug!("command line: {}", info.command_line.as_str());
    }
    for region in info.memory.regions() {
        log::debug!("  {:#014x}-{:#014x} {}", region.start, region.end, region.kind);
    }
    log::debug!("display: {}", info.display);
    if info.tags_left_out > 0 {
        log::warn!("{} malformed or unusable tags in the boot information were left out", info.tags_left_out);
    }
    if info.loaded_outside_usable_memory {
        log::warn!("the kernel or a module was loaded to memory that the firmware does not call usable");
    }
    if let Err(error) = boot::check_initramfs(info) {
        log::warn!("{error}");
    }
}

/// Tells what the machine has and what the kernel takes of it.
fn report_use(info: &BootInfo) {
    const MIB: u64 = 1 << 20;
    let mut protections = arrayvec::ArrayString::<64>::new();
    for name in hw::cpu::protections() {
        // There are fewer than fit.
        let _ = protections.try_push_str(" ");
        let _ = protections.try_push_str(name);
    }
    log::debug!("protection:{protections}; heap {} KiB", hw::heap::size() / 1024);
    match hw::cpu::identity().get_processor_brand_string() {
        Some(brand) => log::info!("processors: {} running, {}", hw::percpu::count(), brand.as_str().trim()),
        None => log::info!("processors: {} running", hw::percpu::count()),
    }
    let memory = &info.memory;
    let ranges = memory.usable_pieces();
    let statistics = hw::frames::statistics();
    let given: u64 = statistics.zones.iter().map(|zone| zone.total).sum();
    log::info!(
        "memory: {} MiB usable in {ranges} range{}, {} MiB RAM; in use: {} KiB beside the kernel's image of {} KiB",
        memory.usable_bytes() / MIB,
        if ranges == 1 { "" } else { "s" },
        memory.ram_bytes() / MIB,
        (given - hw::frames::free_frames() - statistics.records_to_come) * 4,
        hw::boot::image_bytes() / 1024,
    );
}

/// Tells what the time went into.
fn report_time(info: &BootInfo) {
    match hw::clock::tsc_frequency() {
        Some(frequency) => log::info!("time: {}, TSC {} MHz", monitor::Times(info), frequency.hertz() / 1_000_000),
        None => log::warn!("time: {}", monitor::Times(info)),
    }
}
