//! /proc: what the kernel tells of itself and of processes, as files (proc(5)). The texts' formats are `logic::procfs`'s.
//!
//! What is told of the machine always has the same names; below those are the processes that there are at the moment. A node of a
//! process refers to it by a [`Subject`](subject::Subject), which asks the tree of processes anew each time.

mod cpuinfo;
mod descriptors;
mod machine;
mod process;
mod settings;
mod subject;
mod texts;

use super::CLOCK;
use crate::proc::process::{current_task, with_tree};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general::PROC_SUPER_MAGIC;
use logic::errno::Errno;
use logic::fs::inode::LinkTarget;
use logic::fs::synthetic::{Directory, Information, Link, Listing, Node, Output, Synthetic, Text};
use logic::process::Pid;
use spin::Once;
use subject::Subject;

/// The number of the root's inode; others that are always there follow, up to 2^20, from where the processes' begin.
const ROOT_NUMBER: u64 = 1;

/// Processes come after all other entries of the root: at this position and their number.
const FIRST_PROCESS: u64 = 1 << 16;

/// What makes a text.
type Make = fn(&mut Output) -> Result<(), Errno>;

static SYSTEM_CALLS: Once<Make> = Once::new();

/// Has /proc/eres/syscalls tell what `show` does: system calls are of a room above.
pub fn set_system_calls(show: Make) {
    SYSTEM_CALLS.call_once(|| show);
}

/// The file system, always the same. `device` tells it from others (`st_dev`).
pub fn file_system(device: u64) -> Arc<Synthetic> {
    static FILE_SYSTEM: Once<Arc<Synthetic>> = Once::new();
    FILE_SYSTEM.call_once(|| Synthetic::new("proc", PROC_SUPER_MAGIC, device, &CLOCK, root())).clone()
}

fn root() -> Arc<Root> {
    let mut numbers = Numbers(ROOT_NUMBER);
    let mut entries: Vec<(&'static str, Node)> = Vec::new();
    entries.push(("self", numbers.link(own_process)));
    entries.push(("thread-self", numbers.link(own_thread)));
    entries.push(("mounts", numbers.link(|| Ok("self/mounts".to_string()))));
    entries.extend(machine::TEXTS.iter().map(|(name, make)| (*name, numbers.text(0o444, *make, None))));
    entries.push(("sys", settings::directory(&mut numbers)));
    let calls = numbers.text(0o444, |output| SYSTEM_CALLS.get().map_or(Ok(()), |show| show(output)), None);
    entries.push(("eres", numbers.directory([("syscalls", calls)].into())));
    Arc::new(Root(Listing::new(Information::of_root(ROOT_NUMBER, 0o555), entries)))
}

fn own_process() -> Result<alloc::string::String, Errno> {
    Ok(current_task().ok_or(Errno::ENOENT)?.process.id.to_string())
}

fn own_thread() -> Result<alloc::string::String, Errno> {
    let task = current_task().ok_or(Errno::ENOENT)?;
    Ok(format!("{}/task/{}", task.process.id, task.id()))
}

/// Numbers of inodes, and nodes that have them.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, permissions: u16) -> Information {
        self.0 += 1;
        Information::of_root(self.0, permissions)
    }

    fn text(&mut self, permissions: u16, make: Make, take: Option<Take>) -> Node {
        Node::Text(Arc::new(Fixed { information: self.next(permissions), make, take }))
    }

    fn link(&mut self, target: fn() -> Result<alloc::string::String, Errno>) -> Node {
        Node::Link(Arc::new(Leading { information: self.next(0o777), target }))
    }

    fn directory(&mut self, entries: Vec<(&'static str, Node)>) -> Node {
        Node::Directory(Listing::new(self.next(0o555), entries))
    }
}

/// What takes a text that was written.
type Take = fn(&[u8]) -> Result<(), Errno>;

/// A text that is always there.
struct Fixed {
    information: Information,
    make: Make,
    take: Option<Take>,
}

impl Text for Fixed {
    fn information(&self) -> Information {
        self.information
    }

    fn text(&self, text: &mut Output) -> Result<(), Errno> {
        (self.make)(text)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.take.ok_or(Errno::EACCES)?(bytes)?;
        Ok(bytes.len())
    }
}

/// A link that leads elsewhere for each who follows it.
struct Leading {
    information: Information,
    target: fn() -> Result<alloc::string::String, Errno>,
}

impl Link for Leading {
    fn information(&self) -> Information {
        self.information
    }

    fn target(&self) -> Result<LinkTarget, Errno> {
        Ok(LinkTarget::Text((self.target)()?.into_bytes()))
    }
}

/// The uppermost directory.
struct Root(Arc<Listing>);

impl Directory for Root {
    fn information(&self) -> Information {
        self.0.information()
    }

    fn find(&self, name: &[u8]) -> Option<Node> {
        if let Some(node) = self.0.find(name) {
            return Some(node);
        }
        process::node(Subject::of_number(Pid::new(subject::number(name)?)?)?)
    }

    fn next(&self, position: u64) -> Option<(u64, Box<[u8]>, Node)> {
        if let Some(entry) = self.0.next(position) {
            return Some(entry);
        }
        let mut from = u32::try_from(position.saturating_sub(FIRST_PROCESS)).ok()?;
        loop {
            let pid = with_tree(|tree| tree.next_process(from)).flatten()?;
            // One that is gone by now is left out.
            if let Some(node) = Subject::of_number(pid).and_then(process::node) {
                return Some((FIRST_PROCESS + u64::from(pid.number()), subject::name(pid.number()), node));
            }
            from = pid.number().checked_add(1)?;
        }
    }
}
