//! /sys: which processors there are, for who counts them there, and the directories that programs expect (sysfs(5)).

use super::CLOCK;
use crate::hw::percpu;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;
use linux_raw_sys::general::SYSFS_MAGIC;
use logic::errno::Errno;
use logic::fs::synthetic::{Directory, Information, Listing, Node, Output, Synthetic, TextFrom};
use logic::procfs::status::write_processor_list;
use spin::Once;

/// The number of the root's inode.
const ROOT_NUMBER: u64 = 1;

/// Inodes of processors are numbered from here on.
const FIRST_PROCESSOR: u64 = 1 << 16;

/// The file system, always the same. `device` tells it from others (`st_dev`).
pub fn file_system(device: u64) -> Arc<Synthetic> {
    static FILE_SYSTEM: Once<Arc<Synthetic>> = Once::new();
    FILE_SYSTEM.call_once(|| Synthetic::new("sysfs", SYSFS_MAGIC, device, &CLOCK, root())).clone()
}

fn root() -> Arc<Listing> {
    let mut number = ROOT_NUMBER;
    let mut next = |permissions| {
        number += 1;
        Information::of_root(number, permissions)
    };
    let mut list = |name| (name, TextFrom::node(next(0o444), processors));
    let lists = ["online", "possible", "present"].map(&mut list);
    let cpu = Node::Directory(Arc::new(Processors(Listing::new(next(0o555), lists.into()))));
    let system = Node::Directory(Listing::new(next(0o555), [("cpu", cpu)].into()));
    let devices = Node::Directory(Listing::new(next(0o555), [("system", system)].into()));
    let mut entries: Vec<(&'static str, Node)> = [("devices", devices)].into();
    for name in ["block", "bus", "class", "dev", "fs", "kernel"] {
        entries.push((name, Node::Directory(Listing::new(next(0o555), Vec::new()))));
    }
    Listing::new(Information::of_root(ROOT_NUMBER, 0o555), entries)
}

fn processors(output: &mut Output) -> Result<(), Errno> {
    write_processor_list(output, percpu::count())?;
    Ok(writeln!(output)?)
}

/// A directory for each processor, beside lists of all.
struct Processors(Arc<Listing>);

impl Processors {
    fn node(number: usize) -> Option<(Box<[u8]>, Node)> {
        percpu::get(number)?;
        let information = Information::of_root(FIRST_PROCESSOR + number as u64, 0o555);
        Some((format!("cpu{number}").into_bytes().into(), Node::Directory(Listing::new(information, Vec::new()))))
    }
}

impl Directory for Processors {
    fn information(&self) -> Information {
        self.0.information()
    }

    fn find(&self, name: &[u8]) -> Option<Node> {
        let of_name = |number| Self::node(number).filter(|(known, _)| **known == *name).map(|(_, node)| node);
        self.0.find(name).or_else(|| (0..percpu::numbers()).find_map(of_name))
    }

    fn next(&self, position: u64) -> Option<(u64, Box<[u8]>, Node)> {
        if let Some(entry) = self.0.next(position) {
            return Some(entry);
        }
        let from = usize::try_from(position.saturating_sub(FIRST_PROCESSOR)).ok()?;
        let (number, (name, node)) =
            (from..percpu::numbers()).find_map(|number| Some((number, Self::node(number)?)))?;
        Some((FIRST_PROCESSOR + number as u64, name, node))
    }
}
