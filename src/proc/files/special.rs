//! Devices and fifos: what open(2) finds at their inodes.

use super::{console, terminals};
use crate::hw::space::FRAMES;
use crate::proc::process::Task;
use crate::proc::random;
use alloc::sync::Arc;
use logic::errno::Errno;
use logic::fs::attributes::{DeviceNumber, FileKind};
use logic::fs::credentials::Access;
use logic::fs::inode::Anchor;
use logic::fs::open::{Opening, SpecialFiles};
use logic::fs::open_file::StatusFlags;
use logic::fs::{File, devices};
use logic::ipc::pipe::{self, Pipe};
use logic::tty::pty::{MULTIPLEXER, SLAVES};

const fn number(major: u32, minor: u32) -> DeviceNumber {
    DeviceNumber { major, minor }
}

const RANDOM: DeviceNumber = number(1, 8);
const URANDOM: DeviceNumber = number(1, 9);
const KMSG: DeviceNumber = number(1, 11);
const TTY: DeviceNumber = number(5, 0);
pub(super) const CONSOLE: DeviceNumber = number(5, 1);
/// The screen with the keyboard, and the first serial port: both are the console.
const TTY0: DeviceNumber = number(4, 0);
const TTY1: DeviceNumber = number(4, 1);
const TTYS0: DeviceNumber = number(4, 64);

/// Devices of this machine, beside those of `logic`, with their names in /dev and permissions.
pub const DEVICES: &[(&str, DeviceNumber, u16)] = &[
    ("random", RANDOM, 0o666),
    ("urandom", URANDOM, 0o666),
    ("kmsg", KMSG, 0o644),
    ("tty", TTY, 0o666),
    ("console", CONSOLE, 0o600),
    ("ptmx", MULTIPLEXER, 0o666),
    ("tty0", TTY0, 0o620),
    ("tty1", TTY1, 0o620),
    ("ttyS0", TTYS0, 0o620),
];

/// Opens special files in the name of a task.
pub struct SpecialFor<'a>(pub &'a Task);

impl SpecialFiles for SpecialFor<'_> {
    fn open_device(&self, kind: FileKind, number: DeviceNumber, opening: Opening) -> Result<Arc<dyn File>, Errno> {
        if kind == FileKind::BlockDevice {
            return Err(Errno::ENXIO);
        }
        if let Some(file) = devices::open(number, &FRAMES) {
            return Ok(file);
        }
        match number {
            RANDOM | URANDOM => Ok(Arc::new(Random)),
            KMSG => Ok(Arc::new(Log)),
            CONSOLE | TTY0 | TTY1 | TTYS0 => {
                let file = console::file();
                if !opening.no_controlling_terminal {
                    terminals::become_controlling(self.0, &*file);
                }
                Ok(file)
            }
            TTY => terminals::own(self.0),
            MULTIPLEXER => terminals::open_master(self.0),
            DeviceNumber { major: SLAVES, minor } => {
                let file = terminals::open_slave(minor)?;
                if !opening.no_controlling_terminal {
                    terminals::become_controlling(self.0, &*file);
                }
                Ok(file)
            }
            _ => Err(Errno::ENXIO),
        }
    }

    fn open_fifo(&self, anchor: &Anchor, opening: Opening) -> Result<Arc<dyn File>, Errno> {
        let pipe: Arc<Pipe> = anchor.get_or_set(Pipe::new);
        let access = match (opening.access.contains(Access::READ), opening.access.contains(Access::WRITE)) {
            (true, true) => pipe::Access::Both,
            (false, true) => pipe::Access::Write,
            _ => pipe::Access::Read,
        };
        Ok(pipe.open(access, opening.flags.contains(StatusFlags::NONBLOCK))?)
    }
}

/// /dev/random and /dev/urandom, which are the same: random(4).
struct Random;

impl File for Random {
    fn read(&self, _: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        random::fill(bytes);
        Ok(bytes.len())
    }

    fn write(&self, _: u64, bytes: &[u8]) -> Result<usize, Errno> {
        random::mix(bytes);
        Ok(bytes.len())
    }
}

/// /dev/kmsg: what is written becomes a line of the kernel's log.
struct Log;

impl File for Log {
    fn read(&self, _: u64, _: &mut [u8]) -> Result<usize, Errno> {
        Ok(0)
    }

    fn write(&self, _: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        log::info!("{}", text.escape_ascii());
        Ok(bytes.len())
    }
}
