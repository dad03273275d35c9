//! /proc/PID/fd and /proc/PID/fdinfo: what a process has open.

use super::subject::{self, Section, Subject};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt::Write;
use linux_raw_sys::general::O_CLOEXEC;
use logic::errno::Errno;
use logic::fs::credentials::Access;
use logic::fs::descriptors::Descriptor;
use logic::fs::inode::LinkTarget;
use logic::fs::synthetic::{Directory, Information, Link, Node, Output, Text};

/// What Linux says that each link's text has.
const LINK_BYTES: u64 = 64;

/// All descriptors, each as a link to what is open, or as a text about it.
pub struct Descriptors {
    /// Whose.
    pub subject: Subject,
    /// As links or as texts.
    pub section: Section,
    /// The directory's own number among the files about the subject.
    pub number: u32,
    /// Who may see them.
    pub permissions: u16,
}

impl Descriptors {
    fn node(&self, number: u32, access: Access) -> Node {
        let one = One { subject: self.subject.clone(), number, access };
        if self.section == Section::Descriptors { Node::Link(Arc::new(one)) } else { Node::Text(Arc::new(one)) }
    }

    /// The first descriptor from `number` on.
    fn first_from(&self, number: u32) -> Option<(u32, Node)> {
        let files = self.subject.task().ok()?.files();
        let (number, access) = files.edit(|table| {
            let (number, descriptor) = table.next(number)?;
            Some((number, descriptor.open.access()))
        })?;
        Some((number, self.node(number, access)))
    }
}

impl Directory for Descriptors {
    fn information(&self) -> Information {
        self.subject.information(Section::Fixed, self.number, self.permissions)
    }

    /// The links are protected by permissions and one by one.
    fn check(&self) -> Result<(), Errno> {
        if self.section == Section::DescriptorTexts { self.subject.inspected().map(|_| ()) } else { Ok(()) }
    }

    fn find(&self, name: &[u8]) -> Option<Node> {
        let wanted = subject::number(name)?;
        self.first_from(wanted).filter(|(number, _)| *number == wanted).map(|(_, node)| node)
    }

    fn next(&self, position: u64) -> Option<(u64, Box<[u8]>, Node)> {
        let (number, node) = self.first_from(u32::try_from(position).ok()?)?;
        Some((number.into(), subject::name(number), node))
    }
}

/// One descriptor, by its number: what is open there may be another by the time it is asked for.
struct One {
    subject: Subject,
    number: u32,
    access: Access,
}

impl One {
    fn descriptor(&self) -> Result<Descriptor, Errno> {
        let files = self.subject.inspected()?.files();
        files.edit(|table| table.get(self.number).cloned()).map_err(|_| Errno::ENOENT)
    }
}

impl Link for One {
    /// The permissions tell what it is open for.
    fn information(&self) -> Information {
        let mut permissions = 0o100;
        if self.access.contains(Access::READ) {
            permissions |= 0o400;
        }
        if self.access.contains(Access::WRITE) {
            permissions |= 0o200;
        }
        self.subject.information(Section::Descriptors, self.number, permissions)
    }

    fn size(&self) -> u64 {
        LINK_BYTES
    }

    fn target(&self) -> Result<LinkTarget, Errno> {
        Ok(LinkTarget::Place(self.descriptor()?.open.place().clone()))
    }
}

impl Text for One {
    fn information(&self) -> Information {
        self.subject.information(Section::DescriptorTexts, self.number, 0o444)
    }

    fn text(&self, text: &mut Output) -> Result<(), Errno> {
        let Descriptor { open, close_on_exec } = self.descriptor()?;
        let flags = open.status() | if close_on_exec { O_CLOEXEC } else { 0 };
        let (mount, inode) = (open.place().mount.number(), open.place().inode().identity().inode);
        Ok(writeln!(text, "pos:\t{}\nflags:\t0{flags:o}\nmnt_id:\t{mount}\nino:\t{inode}", open.position())?)
    }
}
