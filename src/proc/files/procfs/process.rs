//! /proc/PID and /proc/PID/task/TID: directories of what there is to know of a process and its threads.

use super::descriptors::Descriptors;
use super::subject::{self, Section, Subject};
use super::texts;
use crate::proc::process::{NAME_BYTES, current_task, with_tree};
use alloc::boxed::Box;
use alloc::sync::Arc;
use logic::errno::Errno;
use logic::fs::inode::LinkTarget;
use logic::fs::place::Place;
use logic::fs::synthetic::{Directory, Information, Link, Node, Output, Text};
use logic::process::Pid;

/// What an entry is.
#[derive(Clone, Copy)]
enum Kind {
    /// A text.
    Text(fn(&Subject, &mut Output) -> Result<(), Errno>),
    /// The same, for who may look into the process.
    Inspected(fn(&Subject, &mut Output) -> Result<(), Errno>),
    /// The same as a text, and what takes what is written.
    Changeable(fn(&Subject, &mut Output) -> Result<(), Errno>, fn(&Subject, &[u8]) -> Result<(), Errno>),
    /// A link to a place.
    Link(fn(&Subject) -> Result<Place, Errno>),
    /// Descriptors, as links or as texts.
    Descriptors(Section),
    /// Threads.
    Threads,
}

/// An entry: name, permissions, what it is.
type Entry = (&'static str, u16, Kind);

/// All entries; a thread has all but [`Kind::Threads`].
static ENTRIES: &[Entry] = &[
    ("task", 0o555, Kind::Threads),
    ("fd", 0o500, Kind::Descriptors(Section::Descriptors)),
    ("fdinfo", 0o555, Kind::Descriptors(Section::DescriptorTexts)),
    ("cwd", 0o777, Kind::Link(directory)),
    ("root", 0o777, Kind::Link(root)),
    ("exe", 0o777, Kind::Link(executable)),
    ("environ", 0o400, Kind::Inspected(texts::environment)),
    ("auxv", 0o400, Kind::Inspected(texts::auxiliary)),
    ("status", 0o444, Kind::Text(texts::status)),
    ("limits", 0o444, Kind::Text(texts::limits)),
    ("comm", 0o644, Kind::Changeable(texts::name, set_name)),
    ("cmdline", 0o444, Kind::Text(texts::arguments)),
    ("stat", 0o444, Kind::Text(texts::stat)),
    ("statm", 0o444, Kind::Text(texts::memory)),
    ("maps", 0o444, Kind::Inspected(texts::maps)),
    ("mounts", 0o444, Kind::Text(texts::mounts)),
    ("mountinfo", 0o444, Kind::Text(texts::mountinfo)),
    ("wchan", 0o444, Kind::Text(texts::waits_in)),
    ("oom_score", 0o444, Kind::Text(texts::greed)),
    ("oom_score_adj", 0o644, Kind::Changeable(texts::preference, set_preference)),
    ("cgroup", 0o444, Kind::Text(texts::control_group)),
    ("loginuid", 0o444, Kind::Text(texts::login)),
    ("sessionid", 0o444, Kind::Text(texts::login)),
];

/// The directory of a process or thread.
pub fn node(subject: Subject) -> Option<Node> {
    Some(Node::Directory(Arc::new(About(subject))))
}

struct About(Subject);

impl About {
    fn entry(&self, index: usize, (_, permissions, kind): &Entry) -> Option<Node> {
        let number = u32::try_from(index).ok()? + 1;
        let subject = self.0.clone();
        let permissions = *permissions;
        let file = AboutFile { subject, number, permissions, kind: *kind };
        Some(match *kind {
            Kind::Text(_) | Kind::Inspected(_) | Kind::Changeable(..) => Node::Text(Arc::new(file)),
            Kind::Link(_) => Node::Link(Arc::new(file)),
            Kind::Descriptors(section) => {
                let AboutFile { subject, .. } = file;
                Node::Directory(Arc::new(Descriptors { subject, section, number, permissions }))
            }
            Kind::Threads if self.0.is_thread() => return None,
            Kind::Threads => Node::Directory(Arc::new(Threads(file))),
        })
    }
}

impl Directory for About {
    fn information(&self) -> Information {
        self.0.information(Section::Fixed, 0, 0o555)
    }

    fn check(&self) -> Result<(), Errno> {
        self.0.task().map(|_| ())
    }

    fn find(&self, name: &[u8]) -> Option<Node> {
        let (index, entry) = ENTRIES.iter().enumerate().find(|(_, (known, ..))| known.as_bytes() == name)?;
        self.entry(index, entry)
    }

    fn next(&self, position: u64) -> Option<(u64, Box<[u8]>, Node)> {
        let rest = ENTRIES.iter().enumerate().skip(usize::try_from(position).ok()?);
        let (index, entry, node) =
            rest.filter_map(|(index, entry)| Some((index, entry, self.entry(index, entry)?))).next()?;
        Some((index as u64, entry.0.as_bytes().into(), node))
    }
}

/// A file in such a directory.
struct AboutFile {
    subject: Subject,
    number: u32,
    permissions: u16,
    kind: Kind,
}

impl AboutFile {
    fn information(&self) -> Information {
        self.subject.information(Section::Fixed, self.number, self.permissions)
    }
}

impl Text for AboutFile {
    fn information(&self) -> Information {
        self.information()
    }

    fn check_open(&self) -> Result<(), Errno> {
        match self.kind {
            Kind::Inspected(_) => self.subject.inspected().map(|_| ()),
            _ => Ok(()),
        }
    }

    fn text(&self, text: &mut Output) -> Result<(), Errno> {
        match self.kind {
            Kind::Text(make) | Kind::Inspected(make) | Kind::Changeable(make, _) => make(&self.subject, text),
            _ => Err(Errno::EINVAL),
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match self.kind {
            Kind::Changeable(_, take) => take(&self.subject, bytes).map(|()| bytes.len()),
            _ => Err(Errno::EACCES),
        }
    }
}

impl Link for AboutFile {
    fn information(&self) -> Information {
        self.information()
    }

    fn target(&self) -> Result<LinkTarget, Errno> {
        match self.kind {
            Kind::Link(find) => find(&self.subject).map(LinkTarget::Place),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// /proc/PID/task.
struct Threads(AboutFile);

impl Directory for Threads {
    fn information(&self) -> Information {
        self.0.information()
    }

    fn find(&self, name: &[u8]) -> Option<Node> {
        self.0.subject.task().ok()?;
        node(self.0.subject.thread(Pid::new(subject::number(name)?)?)?)
    }

    fn next(&self, position: u64) -> Option<(u64, Box<[u8]>, Node)> {
        let process = self.0.subject.process().id;
        let mut from = u32::try_from(position).ok()?;
        loop {
            self.0.subject.task().ok()?;
            let tid = with_tree(|tree| tree.next_thread(process, from)).flatten()?;
            if let Some(node) = self.0.subject.thread(tid).and_then(node) {
                return Some((tid.number().into(), subject::name(tid.number()), node));
            }
            from = tid.number().checked_add(1)?;
        }
    }
}

/// What a link of a process that has ended leads to.
fn nowhere(_: Errno) -> Errno {
    Errno::ENOENT
}

fn directory(subject: &Subject) -> Result<Place, Errno> {
    Ok(subject.inspected()?.context().map_err(nowhere)?.directory())
}

fn root(subject: &Subject) -> Result<Place, Errno> {
    Ok(subject.inspected()?.context().map_err(nowhere)?.root())
}

fn executable(subject: &Subject) -> Result<Place, Errno> {
    let executable = subject.inspected()?.process.image.lock().executable.clone();
    executable.ok_or(Errno::ENOENT)
}

/// Only its own threads give a process another name, whoever may write to the file.
fn set_name(subject: &Subject, name: &[u8]) -> Result<(), Errno> {
    let task = subject.task()?;
    let is_own = current_task().is_some_and(|own| Arc::ptr_eq(&own.process, &task.process));
    if !is_own {
        return Err(Errno::EINVAL);
    }
    let name = name.split(|byte| matches!(byte, b'\n' | 0)).next().unwrap_or_default();
    *task.name.lock() = name.iter().copied().take(NAME_BYTES).collect();
    Ok(())
}

fn set_preference(subject: &Subject, text: &[u8]) -> Result<(), Errno> {
    let is_privileged = current_task().is_none_or(|task| task.credentials().is_privileged());
    subject.task()?.process.greed.lock().write(text, is_privileged)
}
