//! The files of this machine: file systems that can be mounted, devices, what hangs together with a task.

mod console;
mod events;
mod locks;
mod nameless;
mod procfs;
mod sockets;
mod special;
mod sysfs;
mod terminals;

pub use console::{begin as begin_console, file as console_file};
pub use events::{ProgramTimer, SignalSource, TimerClock};
pub use locks::{record_lock, release_all_locks, whole_file_lock};
pub use nameless::{is_nameless, make as make_nameless};
pub use procfs::set_system_calls;
pub use sockets::{closed, domain as socket_domain};
pub use special::SpecialFor;
pub use terminals::{
    caller as terminal_caller, hang_up as hang_up_terminal, number as terminal_number, release as release_terminal,
};

use crate::hw::clock;
use crate::hw::frames;
use crate::hw::space::FRAMES;
use crate::proc::process::Task;
use alloc::sync::Arc;
use logic::errno::Errno;
use logic::fs::anonymous::Anonymous;
use logic::fs::attributes::{Clock, DeviceNumber, FileKind, Timestamp};
use logic::fs::credentials::Ownership;
use logic::fs::devices;
use logic::fs::inode::{FileSystem, Inode, NewInode};
use logic::fs::name::Name;
use logic::fs::place::Place;
use logic::fs::tmpfs::{Limits, Tmpfs};
use logic::process::Terminal;
use logic::time::calendar::UnixTime;
use spin::Once;

/// The time of day.
pub struct SystemClock;

/// The same, for whoever keeps a reference.
pub static CLOCK: SystemClock = SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let UnixTime { seconds, nanoseconds } = clock::wall_clock();
        Timestamp { seconds, nanoseconds }
    }
}

/// Numbers that tell file systems apart (`st_dev`), with no device behind them.
const ROOT_DEVICE: u64 = 1;
const DEVICES_DEVICE: u64 = 2;
const ANONYMOUS_DEVICE: u64 = 3;
const PROCESSES_DEVICE: u64 = 4;
const SYSTEM_DEVICE: u64 = 5;
const TERMINALS_DEVICE: u64 = 6;
const NAMELESS_DEVICE: u64 = 7;
const FIRST_FREE_DEVICE: u64 = 16;

/// Inodes of a file system in memory for each of its pages.
const INODES_PER_PAGE: u64 = 1;

fn owner_of_root(permissions: u16) -> Ownership {
    Ownership { user: 0, group: 0, permissions }
}

/// A file system in memory that may have half of it.
fn memory_file_system(kind: &'static str, device: u64, permissions: u16, pages: Option<u64>) -> Arc<Tmpfs> {
    let total: u64 = frames::statistics().zones.iter().map(|zone| zone.total).sum();
    let pages = pages.unwrap_or(total / 2);
    let inodes = usize::try_from(pages * INODES_PER_PAGE).unwrap_or(usize::MAX).max(1024);
    Tmpfs::new(kind, device, &FRAMES, &CLOCK, Limits { pages, inodes }, owner_of_root(permissions))
}

/// The first root.
pub fn root_file_system() -> Arc<Tmpfs> {
    memory_file_system("tmpfs", ROOT_DEVICE, 0o755, None)
}

/// The kinds that there are, and whether they need a device to be mounted: for /proc/filesystems.
pub const FILE_SYSTEMS: &[(&str, bool)] =
    &[("sysfs", false), ("tmpfs", false), ("ramfs", false), ("proc", false), ("devtmpfs", false), ("devpts", false)];

/// The file system of this kind, with these options: mount(2).
///
/// # Errors
/// [`Errno::ENODEV`] if there is none; [`Errno::EINVAL`] if an option makes no sense.
pub fn file_system(kind: &[u8], options: &[u8]) -> Result<Arc<dyn FileSystem>, Errno> {
    use core::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(FIRST_FREE_DEVICE);
    match kind {
        b"tmpfs" | b"ramfs" => {
            let options = MemoryOptions::parse(options)?;
            let device = NEXT.fetch_add(1, Ordering::Relaxed);
            let kind = if kind == b"ramfs" { "ramfs" } else { "tmpfs" };
            Ok(memory_file_system(kind, device, options.permissions, options.pages))
        }
        b"devtmpfs" => Ok(device_file_system()?),
        b"proc" => Ok(procfs::file_system(PROCESSES_DEVICE)),
        b"sysfs" => Ok(sysfs::file_system(SYSTEM_DEVICE)),
        b"devpts" => Ok(terminals::file_system(options)?),
        _ => Err(Errno::ENODEV),
    }
}

/// Options of tmpfs(5).
struct MemoryOptions {
    permissions: u16,
    pages: Option<u64>,
}

impl MemoryOptions {
    fn parse(options: &[u8]) -> Result<Self, Errno> {
        let mut parsed = Self { permissions: 0o1777, pages: None };
        let text = core::str::from_utf8(options).map_err(|_| Errno::EINVAL)?;
        for option in text.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("mode", mode)) => {
                    parsed.permissions = u16::from_str_radix(mode, 8).map_err(|_| Errno::EINVAL)? & 0o7777;
                }
                Some(("size", size)) => parsed.pages = Some(bytes(size)?.div_ceil(4096)),
                // Who owns it, and how many inodes: accepted, without effect.
                Some(("uid" | "gid" | "nr_inodes" | "nr_blocks" | "huge", _)) => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(parsed)
    }
}

/// A number of bytes with its unit.
fn bytes(text: &str) -> Result<u64, Errno> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| Errno::EINVAL)?;
    number.checked_mul(1 << shift).ok_or(Errno::EINVAL)
}

/// /dev: one for all who mount it.
fn device_file_system() -> Result<Arc<dyn FileSystem>, Errno> {
    static DEVICES: Once<Arc<Tmpfs>> = Once::new();
    let devices = DEVICES.try_call_once(|| {
        let file_system = memory_file_system("devtmpfs", DEVICES_DEVICE, 0o755, None);
        let root = file_system.root();
        for (name, number) in devices::DEVICES {
            make_device(&root, name, number, 0o666)?;
        }
        for (name, number, permissions) in special::DEVICES {
            make_device(&root, name, *number, *permissions)?;
        }
        for (name, text) in [
            ("fd", &b"/proc/self/fd"[..]),
            ("stdin", b"/proc/self/fd/0"),
            ("stdout", b"/proc/self/fd/1"),
            ("stderr", b"/proc/self/fd/2"),
        ] {
            root.create(Name::new(name.as_bytes())?, NewInode::Symlink(text), owner_of_root(0o777))?;
        }
        for name in ["pts", "shm"] {
            root.create(Name::new(name.as_bytes())?, NewInode::Directory, owner_of_root(0o755))?;
        }
        Ok::<_, Errno>(file_system)
    })?;
    Ok(devices.clone())
}

fn make_device(root: &Arc<dyn Inode>, name: &str, number: DeviceNumber, permissions: u16) -> Result<(), Errno> {
    root.create(Name::new(name.as_bytes())?, NewInode::CharacterDevice(number), owner_of_root(permissions))?;
    Ok(())
}

/// The device that a terminal is, as /proc/PID/stat tells it.
pub fn terminal_device(terminal: Terminal) -> Option<DeviceNumber> {
    Some(DeviceNumber::decode(terminal.0))
}

/// The group in the foreground of a terminal.
pub fn foreground(terminal: Terminal) -> Option<u32> {
    crate::proc::process::with_tree(|tree| tree.foreground(terminal)).flatten().map(logic::process::Pid::number)
}

fn anonymous() -> &'static Anonymous {
    static ANONYMOUS: Once<Anonymous> = Once::new();
    ANONYMOUS.call_once(|| Anonymous::new(ANONYMOUS_DEVICE, &CLOCK))
}

/// The place of something that is open but in no directory, as `pipe` or `socket`.
pub fn anonymous_place(task: &Task, label: &str, kind: FileKind) -> Place {
    anonymous().place(label, kind, task.credentials().users.file_system)
}

/// The place of the console, for who has it open before /dev is there.
pub fn console_place() -> Place {
    anonymous().device("/dev/console", special::CONSOLE)
}

/// The place of something that tells of events, as `eventpoll`.
pub fn event_place(task: &Task, label: &str) -> Place {
    anonymous().event_place(label, task.credentials().users.file_system)
}

/// The place of a pipe.
pub fn pipe_place(task: &Task) -> Place {
    anonymous_place(task, "pipe", FileKind::Fifo)
}
