//! /proc/PID/maps: one line for each area, in Linux's columns.

use super::area::{Area, Protection};
use super::{AddressSpace, View};
use crate::mem::page::PAGE_BYTES;
use crate::mem::page_table::TableMemory;
use core::fmt::{self, Write};

/// The column that names start in, counted from 0: after what `show_vma_header_prefix` of Linux pads to.
const NAME_COLUMN: usize = 73;

/// A line, shown without its end.
pub struct Line<'a> {
    area: &'a Area,
    /// What the area is, if it has no file.
    role: Option<&'static str>,
}

impl<M: TableMemory> AddressSpace<M> {
    /// The lines of /proc/PID/maps.
    pub fn maps(&self) -> impl Iterator<Item = Line<'_>> {
        self.areas().map(|area| Line { area, role: self.role(area) })
    }

    /// What an area without a file is for.
    fn role(&self, area: &Area) -> Option<&'static str> {
        if area.name.is_some() || area.view.is_some() {
            return area.name;
        }
        let is_heap = !self.heap.is_empty() && area.start <= self.heap.end && area.end >= self.heap.start;
        let is_stack = area.start <= self.stack && self.stack <= area.end;
        match () {
            () if is_heap => Some("[heap]"),
            () if is_stack => Some("[stack]"),
            () => None,
        }
    }
}

/// The number of a driver in the number of a device (makedev(3)).
fn major(device: u64) -> u64 {
    (device >> 8) & 0xfff | (device >> 32) & !0xfff
}

/// The number of one of a driver's devices in the number of a device (makedev(3)).
fn minor(device: u64) -> u64 {
    device & 0xff | (device >> 12) & !0xff
}

/// Counts what it passes on.
struct Counted<'a, 'f> {
    output: &'a mut fmt::Formatter<'f>,
    count: usize,
}

impl Write for Counted<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.count += text.len();
        self.output.write_str(text)
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, output: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Area { start, end, protection, view, .. } = self.area;
        let right = |right: Protection, letter: char| if protection.contains(right) { letter } else { '-' };
        let (read, write) = (right(Protection::READ, 'r'), right(Protection::WRITE, 'w'));
        let execute = right(Protection::EXECUTE, 'x');
        let share = if self.area.is_shared() { 's' } else { 'p' };
        // What the kernel made for itself has a backing, but no file.
        let view = view.as_ref().filter(|_| self.role.is_none());
        let file = view.map(|View { backing, index }| (backing.name(), index.wrapping_mul(PAGE_BYTES as u64)));
        let (device, inode, offset) = file.as_ref().map_or((0, 0, 0), |(name, at)| (name.device, name.inode, *at));
        let (major, minor) = (major(device), minor(device));
        let mut output = Counted { output, count: 0 };
        write!(
            output,
            "{start:08x}-{end:08x} {read}{write}{execute}{share} {offset:08x} {major:02x}:{minor:02x} {inode} "
        )?;
        let name = file.as_ref().map(|(name, _)| name.path.as_str()).or(self.role).unwrap_or_default();
        if name.is_empty() {
            return Ok(());
        }
        let blanks = NAME_COLUMN.saturating_sub(output.count).max(1);
        write!(output, "{:blanks$}", "")?;
        // A name must not end the line.
        name.split_inclusive('\n').try_for_each(|part| match part.strip_suffix('\n') {
            Some(part) => write!(output, "{part}\\012"),
            None => output.write_str(part),
        })
    }
}
