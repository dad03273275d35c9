//! What /proc tells of the machine as a whole.

use super::Make;
use super::cpuinfo::cpuinfo;
use crate::hw::frames::{self, FRAME_BYTES};
use crate::hw::stacks::STACK_BYTES;
use crate::hw::{clock, heap, irq};
use crate::proc::files::FILE_SYSTEMS;
use crate::proc::process::{Task, count_made, current_task, with_tree};
use crate::proc::{host, load, scheduler, thread};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;
use linux_raw_sys::general::TMPFS_MAGIC;
use logic::errno::Errno;
use logic::fs::synthetic::Output;
use logic::process::Pid;
use logic::procfs::machine::{Activity, Memory, Seconds, Times};
use logic::procfs::mounts;

/// The texts, by name.
pub const TEXTS: &[(&str, Make)] = &[
    ("cmdline", command_line),
    ("consoles", |output| output.push(b"console              -WU (EC     )    5:1\n")),
    ("cpuinfo", cpuinfo),
    ("devices", |output| output.push(DEVICES)),
    ("filesystems", file_systems),
    ("interrupts", interrupts),
    ("loadavg", load_averages),
    ("meminfo", |output| memory().write(output)),
    ("partitions", |output| output.push(b"major minor  #blocks  name\n\n")),
    ("stat", activity),
    ("swaps", |output| output.push(b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")),
    ("uptime", uptime),
    ("version", version),
    ("vmstat", memory_counts),
];

/// Numbers of drivers.
const DEVICES: &[u8] = b"Character devices:\n  1 mem\n  4 tty\n  5 /dev/tty\n  5 /dev/console\n\nBlock devices:\n";

fn command_line(output: &mut Output) -> Result<(), Errno> {
    let text = crate::hw::boot::known().map_or("", |info| info.command_line.as_str());
    Ok(writeln!(output, "{text}")?)
}

fn file_systems(output: &mut Output) -> Result<(), Errno> {
    for (name, needs_device) in FILE_SYSTEMS {
        writeln!(output, "{}\t{name}", if *needs_device { "" } else { "nodev" })?;
    }
    Ok(())
}

/// The counts are of all processors together: nobody counts them apart.
fn interrupts(output: &mut Output) -> Result<(), Errno> {
    writeln!(output, "           CPU0")?;
    for (vector, name, count) in irq::counts() {
        writeln!(output, "{vector:3}: {count:10}   {name}")?;
    }
    Ok(())
}

/// Threads that run or want to, the kernel's own too, and all.
fn threads() -> (u64, u64) {
    let (mut running, mut all) = (0, 0);
    thread::for_each(|thread| {
        all += 1;
        running += u64::from(thread.state() != thread::State::Waiting);
    });
    (running, all)
}

fn load_averages(output: &mut Output) -> Result<(), Errno> {
    let (running, all) = threads();
    let last = with_tree(|tree| tree.last_number()).unwrap_or(0);
    Ok(writeln!(output, "{} {running}/{all} {last}", load::averages())?)
}

fn activity(output: &mut Output) -> Result<(), Errno> {
    let processors: Vec<Times> = scheduler::times().collect();
    // One interrupt may have several handlers.
    let mut last = None;
    let new_ones = irq::counts().filter(|(vector, ..)| last.replace(*vector) != Some(*vector));
    let interrupts = new_ones.map(|(_, _, count)| count).sum();
    let running_seconds = i64::try_from(clock::now().nanoseconds() / 1_000_000_000).unwrap_or(i64::MAX);
    Activity {
        processors: &processors,
        interrupts,
        switches: scheduler::switches(),
        boot_seconds: clock::wall_clock().seconds.saturating_sub(running_seconds),
        made: count_made(),
        running: threads().0,
    }
    .write(output)
}

fn uptime(output: &mut Output) -> Result<(), Errno> {
    let idle_ns = scheduler::times().map(|times| times.idle_ns).fold(0, u64::saturating_add);
    Ok(writeln!(output, "{} {}", Seconds(clock::now().nanoseconds()), Seconds(idle_ns))?)
}

fn version(output: &mut Output) -> Result<(), Errno> {
    let own = env!("CARGO_PKG_VERSION");
    Ok(writeln!(output, "{} version {} (Eres OS {own}) {}", host::SYSTEM, host::RELEASE, host::VERSION)?)
}

/// What all programs together have, in pages: for themselves, of files, in tables. Pages that several have count for each, and
/// whose space is just being changed is left out.
fn pages_of_programs() -> [u64; 3] {
    let mut sums = [0_u64; 3];
    let mut next = with_tree(|tree| tree.next_process(0)).flatten();
    while let Some(pid) = next {
        let task: Option<Arc<Task>> = with_tree(|tree| tree.thread(pid).cloned()).flatten();
        let usage = task.and_then(|task| task.process.space().ok()?.try_usage());
        if let Some(usage) = usage {
            let resident = usage.resident;
            for (sum, pages) in sums.iter_mut().zip([resident.anonymous, resident.file + resident.shared, usage.tables])
            {
                *sum = sum.saturating_add(pages);
            }
        }
        next = pid.number().checked_add(1).and_then(|from| with_tree(|tree| tree.next_process(from)).flatten());
    }
    sums
}

/// Bytes in file systems that are in memory alone, as far as whoever asks sees them.
fn bytes_in_memory_files() -> u64 {
    let task = current_task().or_else(|| crate::proc::process::find_task(Pid::INIT));
    let Some(context) = task.and_then(|task| task.context().ok()) else { return 0 };
    let mut seen = Vec::new();
    let mut bytes = 0_u64;
    for (mount, _) in mounts::below(&context.root()).unwrap_or_default() {
        let statistics = mount.root().inode().statistics();
        if statistics.magic == TMPFS_MAGIC && !seen.contains(&statistics.device) {
            seen.push(statistics.device);
            let blocks = statistics.blocks.saturating_sub(statistics.free_blocks);
            bytes = bytes.saturating_add(blocks.saturating_mul(statistics.block_bytes.into()));
        }
    }
    bytes
}

fn memory() -> Memory {
    let [anonymous, _, tables] = pages_of_programs();
    let free = frames::free_frames() * FRAME_BYTES;
    let cached = bytes_in_memory_files();
    Memory {
        total: frames::total_bytes(),
        free,
        available: free,
        cached,
        shared: cached,
        anonymous: anonymous.saturating_mul(FRAME_BYTES),
        tables: tables.saturating_mul(FRAME_BYTES),
        heap: heap::size(),
        stacks: thread::count() as u64 * STACK_BYTES,
    }
}

fn memory_counts(output: &mut Output) -> Result<(), Errno> {
    let [anonymous, mapped, tables] = pages_of_programs();
    for (name, count) in [
        ("nr_free_pages", frames::free_frames()),
        ("nr_anon_pages", anonymous),
        ("nr_mapped", mapped),
        ("nr_page_table_pages", tables),
        ("nr_shmem", bytes_in_memory_files() / FRAME_BYTES),
    ] {
        writeln!(output, "{name} {count}")?;
    }
    Ok(())
}
