//! From program headers to mappings.

use super::header::{self, Header, Kind, PROGRAM_HEADER_BYTES, ProgramHeader};
use crate::errno::Errno;
use crate::mem::space::area::PAGE;
use crate::mem::space::layout::{END, LOWEST};
use crate::mem::space::{Protection, round_down, round_up};
use alloc::vec::Vec;
use core::ops::Range;
use linux_raw_sys::elf::{PF_R, PF_W, PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD};
use linux_raw_sys::general::PATH_MAX;

/// Where the bytes of a mapping come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: they are zero.
    Zero,
    /// The program's file, as a private mapping.
    File {
        /// Offset in the file, a multiple of the size of a page.
        offset: u64,
        /// So many bytes at the mapping's end, less than a page, are to be zero instead.
        zero_tail: u64,
    },
}

/// One private mapping to be made. Address and length are multiples of the size of a page; the length is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The first address.
    pub address: u64,
    /// Bytes.
    pub length: u64,
    /// What the program may do there.
    pub protection: Protection,
    /// What is there.
    pub source: Source,
}

impl Mapping {
    /// The first address behind it. A mapping of a [`Program`] ends below [`END`].
    pub fn end(&self) -> u64 {
        self.address.saturating_add(self.length)
    }

    /// What is left of it before `end`.
    fn before(self, end: u64) -> Option<Self> {
        let length = end.min(self.end()).checked_sub(self.address).filter(|length| *length > 0)?;
        let source = match self.source {
            Source::File { offset, .. } if length < self.length => Source::File { offset, zero_tail: 0 },
            source => source,
        };
        Some(Self { length, source, ..self })
    }

    /// What is left of it from `start` on.
    fn from(self, start: u64) -> Option<Self> {
        let address = start.max(self.address);
        let length = self.end().checked_sub(address).filter(|length| *length > 0)?;
        let source = match self.source {
            Source::File { offset, zero_tail } => {
                Source::File { offset: offset.saturating_add(address - self.address), zero_tail }
            }
            Source::Zero => Source::Zero,
        };
        Some(Self { address, length, source, ..self })
    }
}

/// A program, or the interpreter that a program names, checked, before its place is known.
#[derive(Debug)]
pub struct Program {
    header: Header,
    /// In the order of their addresses; none overlaps another; before any moving.
    mappings: Vec<Mapping>,
    alignment: u64,
    /// Where the last segment ends, not rounded.
    end: u64,
    table_address: Option<u64>,
    interpreter: Option<Range<u64>>,
    executable_stack: Option<bool>,
}

/// Everything that is to be mapped, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// In the order of their addresses; none overlaps another.
    pub mappings: Vec<Mapping>,
    /// What was added to all addresses of the file.
    pub bias: u64,
    /// From the first mapping to the end of the last; holes between them belong to the program too.
    pub span: Range<u64>,
    /// Where it starts to run.
    pub entry: u64,
    /// Where the program headers are in memory; 0 if they are in no segment.
    pub program_headers: u64,
    /// How many there are.
    pub program_header_count: u16,
    /// Where brk(2) may start, on a page.
    pub break_start: u64,
}

impl Program {
    /// Checks the program headers. `table` is what the file holds at [`Header::table`].
    ///
    /// # Errors
    /// As execve(2): [`Errno::ENOEXEC`] if the file cannot be what it says (the interpreter's, see
    /// [`interpreter_error`]), [`Errno::EINVAL`] if a segment cannot be mapped or two interpreters are named,
    /// [`Errno::EPERM`] if it would lie at address 0,
    /// [`Errno::ENOMEM`].
    pub fn parse(header: &Header, table: &[u8], file_bytes: u64) -> Result<Self, Errno> {
        let expected = usize::from(header.table_count()) * PROGRAM_HEADER_BYTES;
        let table = table.get(..expected).ok_or(Errno::ENOEXEC)?;
        let mut program = Self {
            header: *header,
            mappings: Vec::new(),
            alignment: PAGE,
            end: 0,
            table_address: None,
            interpreter: None,
            executable_stack: None,
        };
        for entry in header::program_headers(table) {
            match entry.kind {
                PT_LOAD => program.add_segment(&entry, file_bytes)?,
                PT_INTERP => program.add_interpreter(&entry, file_bytes)?,
                PT_GNU_STACK => program.executable_stack = Some(entry.flags & PF_X != 0),
                _ => {}
            }
        }
        if program.mappings.is_empty() {
            return Err(Errno::ENOEXEC);
        }
        Ok(program)
    }

    fn add_interpreter(&mut self, entry: &ProgramHeader, file_bytes: u64) -> Result<(), Errno> {
        let range = entry.file_range().filter(|range| range.end <= file_bytes).ok_or(Errno::ENOEXEC)?;
        if !(2..=u64::from(PATH_MAX)).contains(&entry.file_bytes) {
            return Err(Errno::ENOEXEC);
        }
        match self.interpreter.replace(range) {
            None => Ok(()),
            Some(_) => Err(Errno::EINVAL),
        }
    }

    fn add_segment(&mut self, entry: &ProgramHeader, file_bytes: u64) -> Result<(), Errno> {
        if entry.file_bytes > entry.memory_bytes {
            return Err(Errno::EINVAL);
        }
        let file = entry.file_range().filter(|range| range.end <= file_bytes).ok_or(Errno::ENOEXEC)?;
        let end = entry.address.checked_add(entry.memory_bytes).filter(|end| *end <= END).ok_or(Errno::EINVAL)?;
        if entry.memory_bytes == 0 {
            return Ok(());
        }
        if self.header.kind == Kind::Fixed && entry.address < LOWEST {
            return Err(Errno::EPERM);
        }
        if entry.alignment.is_power_of_two() {
            self.alignment = self.alignment.max(entry.alignment);
        }
        self.end = self.end.max(end);
        let table = self.header.table();
        if file.start <= table.start && table.end <= file.end {
            // In range: it lies in the segment, whose end was checked.
            self.table_address.get_or_insert(entry.address.saturating_add(table.start - file.start));
        }
        let start = round_down(entry.address);
        let end = round_up(end).ok_or(Errno::EINVAL)?;
        let protection = protection(entry.flags);
        let mut zero_start = start;
        if entry.file_bytes > 0 {
            // A page of memory must be a page of the file.
            if entry.offset % PAGE != entry.address % PAGE {
                return Err(Errno::EINVAL);
            }
            let file_end = entry.address.saturating_add(entry.file_bytes);
            zero_start = round_up(file_end).ok_or(Errno::EINVAL)?;
            // Where memory ends with the file's bytes, what follows them in the page stays as it is in the file.
            let zero_tail = if entry.memory_bytes > entry.file_bytes { zero_start - file_end } else { 0 };
            let source = Source::File { offset: round_down(entry.offset), zero_tail };
            self.insert(Mapping { address: start, length: zero_start - start, protection, source })?;
        }
        if end > zero_start {
            let length = end - zero_start;
            self.insert(Mapping { address: zero_start, length, protection, source: Source::Zero })?;
        }
        Ok(())
    }

    /// Adds a mapping over all before it, as Linux maps one segment after the other.
    fn insert(&mut self, new: Mapping) -> Result<(), Errno> {
        // Of one mapping that is split, two ends stay.
        self.mappings.try_reserve(2).map_err(|_| Errno::ENOMEM)?;
        let first = self.mappings.partition_point(|old| old.end() <= new.address);
        let behind = self.mappings.partition_point(|old| old.address < new.end());
        let covered = self.mappings.get(first..behind).unwrap_or_default();
        let left = covered.first().and_then(|old| old.before(new.address));
        let right = covered.last().and_then(|old| old.from(new.end()));
        self.mappings.splice(first..behind, left.into_iter().chain([new]).chain(right));
        Ok(())
    }

    /// Where in the file the interpreter's path is, if it names one, with its NUL: at most 4096 bytes. See
    /// [`interpreter_path`].
    pub fn interpreter(&self) -> Option<Range<u64>> {
        self.interpreter.clone()
    }

    /// Whether the stack is to be executable; `None` if the program does not say.
    pub fn executable_stack(&self) -> Option<bool> {
        self.executable_stack
    }

    /// Whether it can be loaded anywhere.
    pub fn is_movable(&self) -> bool {
        self.header.kind == Kind::Movable
    }

    /// Its addresses from the first page to the end of the last, before it is moved.
    pub fn span(&self) -> Range<u64> {
        let start = self.mappings.first().map_or(0, |first| first.address);
        start..self.mappings.last().map_or(start, Mapping::end)
    }

    /// What the address of a movable program must be a multiple of: a power of two, at least the size of a page.
    pub fn alignment(&self) -> u64 {
        self.alignment
    }

    /// The plan for a program whose first page is to be at `start`, or for one that cannot be moved at its own address.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`] if there is no room for it from there on, or no memory for the plan; [`Errno::EINVAL`] if a
    /// movable program would not be aligned, or starts to run outside the addresses of programs.
    pub fn place(&self, start: u64) -> Result<Plan, Errno> {
        let span = self.span();
        let bias = match self.header.kind {
            Kind::Fixed => 0,
            // What counts is how far it is moved: its first page need not be aligned, if its segments are.
            Kind::Movable => start.wrapping_sub(span.start),
        };
        if bias & (self.alignment - 1) != 0 {
            return Err(Errno::EINVAL);
        }
        let first = span.start.wrapping_add(bias);
        let end = first.checked_add(span.end - span.start).filter(|end| *end <= END).ok_or(Errno::ENOMEM)?;
        if first < LOWEST {
            return Err(Errno::ENOMEM);
        }
        let entry = self.header.entry.wrapping_add(bias);
        if entry >= END {
            return Err(Errno::EINVAL);
        }
        let mut mappings = Vec::new();
        mappings.try_reserve_exact(self.mappings.len()).map_err(|_| Errno::ENOMEM)?;
        mappings.extend(
            self.mappings.iter().map(|mapping| Mapping { address: mapping.address.wrapping_add(bias), ..*mapping }),
        );
        Ok(Plan {
            mappings,
            bias,
            span: first..end,
            entry,
            program_headers: self.table_address.map_or(0, |address| address.wrapping_add(bias)),
            program_header_count: self.header.table_count(),
            break_start: round_up(self.end.wrapping_add(bias)).ok_or(Errno::ENOMEM)?,
        })
    }
}

/// The path in what the file holds at [`Program::interpreter`].
///
/// # Errors
/// [`Errno::ENOEXEC`] if it does not end in NUL.
pub fn interpreter_path(bytes: &[u8]) -> Result<&[u8], Errno> {
    match bytes.split_last() {
        Some((0, path)) => Ok(path.split(|byte| *byte == 0).next().unwrap_or_default()),
        _ => Err(Errno::ENOEXEC),
    }
}

/// What execve(2) answers if reading the interpreter's file answers `error`.
pub fn interpreter_error(error: Errno) -> Errno {
    if error == Errno::ENOEXEC { Errno::ELIBBAD } else { error }
}

fn protection(flags: u32) -> Protection {
    [(PF_R, Protection::READ), (PF_W, Protection::WRITE), (PF_X, Protection::EXECUTE)]
        .into_iter()
        .filter(|(flag, _)| flags & flag != 0)
        .fold(Protection::empty(), |all, (_, right)| all | right)
}
