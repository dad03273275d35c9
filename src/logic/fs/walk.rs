//! From a path to a place: path_resolution(7).
//!
//! A walk needs no recursion and no more memory than the longest path and the text of one link after the other: what a link says
//! is put in front of what is still to be walked.

use super::attributes::FileKind;
use super::credentials::{Access, Credentials};
use super::inode::LinkTarget;
use super::name::Name;
use super::place::Place;
use crate::errno::Errno;
use alloc::boxed::Box;
use alloc::vec::Vec;
use linux_raw_sys::general::PATH_MAX;

/// Symbolic links that are followed on one path.
const MOST_LINKS: usize = 40;

/// Who walks, and from where.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The process's root: where `/` is, and where `..` ends.
    pub root: &'a Place,
    /// Where paths begin that do not begin with `/`: the working directory, or what a descriptor is open for.
    pub start: &'a Place,
    /// Who asks.
    pub credentials: &'a Credentials,
    /// Permissions that new files do not get.
    pub umask: u16,
}

/// What is wanted of the last component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// What it leads to, through symbolic links.
    Target,
    /// What it is, even a symbolic link; only a slash behind it follows one.
    Object,
    /// The entry, which is to be made, moved or removed: neither links nor mounts are followed, slash or not.
    Entry,
}

/// What the last component was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Last {
    /// A name.
    Name(Box<[u8]>),
    /// `.`, or the place that a link of /proc leads to.
    Dot,
    /// `..`.
    DotDot,
    /// There was none: the root.
    Root,
}

/// Where a path led.
pub struct Found {
    /// The directory that has the entry; without a name, the place itself.
    pub parent: Place,
    /// The last component.
    pub last: Last,
    /// What is there; none if only the last name was missing.
    pub place: Option<Place>,
    /// Whether slashes came after the last component: then it has to be a directory.
    pub trailing_slash: bool,
}

impl Found {
    /// The last component as a name, or else `otherwise`.
    ///
    /// # Errors
    /// `otherwise`.
    pub fn name(&self, otherwise: Errno) -> Result<Name<'_>, Errno> {
        match &self.last {
            Last::Name(name) => Name::new(name),
            _ => Err(otherwise),
        }
    }
}

impl Caller<'_> {
    /// The place that a path leads to.
    ///
    /// # Errors
    /// As path_resolution(7).
    pub fn lookup(&self, path: &[u8], wanted: Wanted) -> Result<Place, Errno> {
        self.walk(path, wanted)?.place.ok_or(Errno::ENOENT)
    }

    /// Walks a path as far as its last component's directory, and looks whether that is there.
    ///
    /// # Errors
    /// As path_resolution(7).
    pub fn walk(&self, path: &[u8], wanted: Wanted) -> Result<Found, Errno> {
        let first = path.first().ok_or(Errno::ENOENT)?;
        if path.len() >= PATH_MAX as usize {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut at = if *first == b'/' { self.root } else { self.start }.clone();
        let mut rest = joined(path, b"")?;
        let mut links = 0;
        let mut last = Last::Root;
        loop {
            let Some((component, remaining)) = split(&rest) else {
                return Ok(Found { parent: at.clone(), last, place: Some(at), trailing_slash: !rest.is_empty() });
            };
            let is_last = remaining.iter().all(|byte| *byte == b'/');
            let trailing_slash = is_last && !remaining.is_empty();
            if !at.dentry.is_directory() {
                return Err(Errno::ENOTDIR);
            }
            self.credentials.check(&at.inode().attributes()?, Access::EXECUTE)?;
            match component {
                b"." => last = Last::Dot,
                b".." => {
                    at = at.above(self.root);
                    last = Last::DotDot;
                }
                _ => {
                    let name = Name::new(component)?;
                    let found = |parent: Place, place| {
                        let last = Last::Name(name.bytes().into());
                        Ok(Found { parent, last, place, trailing_slash })
                    };
                    let child = match at.dentry.lookup(name) {
                        Ok(child) => child,
                        Err(Errno::ENOENT) if is_last => return found(at, None),
                        Err(error) => return Err(error),
                    };
                    let follows = !is_last
                        || match wanted {
                            Wanted::Target => true,
                            Wanted::Object => trailing_slash,
                            Wanted::Entry => false,
                        };
                    if follows && child.inode().kind() == FileKind::Symlink {
                        links += 1;
                        if links > MOST_LINKS {
                            return Err(Errno::ELOOP);
                        }
                        match child.inode().follow()? {
                            LinkTarget::Place(place) => {
                                at = place;
                                last = Last::Dot;
                                if trailing_slash && !at.dentry.is_directory() {
                                    return Err(Errno::ENOTDIR);
                                }
                                rest = joined(remaining, b"")?;
                            }
                            LinkTarget::Text(text) => {
                                match text.first() {
                                    None => return Err(Errno::ENOENT),
                                    Some(b'/') => {
                                        at = self.root.clone();
                                        last = Last::Root;
                                    }
                                    Some(_) => {}
                                }
                                if text.len() >= PATH_MAX as usize {
                                    return Err(Errno::ENAMETOOLONG);
                                }
                                rest = joined(&text, remaining)?;
                            }
                        }
                        continue;
                    }
                    let place = Place { mount: at.mount.clone(), dentry: child };
                    if is_last && wanted == Wanted::Entry {
                        return found(at, Some(place));
                    }
                    let place = place.covered();
                    if is_last {
                        if trailing_slash && !place.dentry.is_directory() {
                            return Err(Errno::ENOTDIR);
                        }
                        return found(at, Some(place));
                    }
                    at = place;
                }
            }
            rest = joined(remaining, b"")?;
        }
    }
}

/// The first component and what comes after it, beginning with a slash; none if there are only slashes.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = path.iter().position(|byte| *byte != b'/')?;
    let path = path.get(start..)?;
    let end = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
    path.split_at_checked(end)
}

fn joined(first: &[u8], second: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut path = Vec::new();
    path.try_reserve_exact(first.len() + second.len()).map_err(|_| Errno::ENOMEM)?;
    path.extend_from_slice(first);
    path.extend_from_slice(second);
    Ok(path)
}
