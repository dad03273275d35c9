//! A small /proc: texts that change, processes that come and go, links that lead to a very place.

use super::*;
use crate::fs::credentials::Access;
use crate::fs::fake::{Counting, NoSpecials, Tree};
use crate::fs::mount::{Mount, MountFlags};
use crate::fs::place::Place;
use crate::fs::walk::Wanted;
use linux_raw_sys::general::{O_RDWR, O_TRUNC, O_WRONLY, PROC_SUPER_MAGIC};
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbered directories, some of which are there.
struct Processes(Arc<Mutex<Vec<u64>>>, Place);

impl Directory for Processes {
    fn information(&self) -> Information {
        Information::of_root(1, 0o555)
    }

    fn find(&self, name: &[u8]) -> Option<Node> {
        let number = std::str::from_utf8(name).ok()?.parse().ok()?;
        self.0.lock().unwrap().contains(&number).then(|| process(number, self.1.clone()))
    }

    fn next(&self, position: u64) -> Option<(u64, Box<[u8]>, Node)> {
        let processes = self.0.lock().unwrap();
        let number = *processes.iter().filter(|number| **number >= position).min()?;
        Some((number, number.to_string().into_bytes().into(), process(number, self.1.clone())))
    }
}

struct Leading(u64, Place);

impl Link for Leading {
    fn information(&self) -> Information {
        Information::of_root(self.0, 0o777)
    }

    fn target(&self) -> Result<LinkTarget, Errno> {
        Ok(LinkTarget::Place(self.1.clone()))
    }
}

fn process(number: u64, place: Place) -> Node {
    let name = TextFrom::node(Information::of_root(number * 100 + 1, 0o444), move |text: &mut Output| {
        Ok(writeln!(text, "process {number}")?)
    });
    let entries = vec![("comm", name), ("exe", Node::Link(Arc::new(Leading(number * 100 + 2, place))))];
    Node::Directory(Listing::new(Information::of_root(number * 100, 0o555), entries))
}

fn mounted(tree: &Tree, root: Arc<dyn Directory>) {
    let on = tree.caller().make_directory(b"/proc", 0o755).unwrap();
    let clock = Box::leak(Box::<Counting>::default());
    Mount::add(&on, Synthetic::new("proc", PROC_SUPER_MAGIC, 40, clock, root), MountFlags::empty()).unwrap();
}

#[test]
fn entries_come_and_go_and_links_lead_to_the_very_place() {
    let tree = Tree::new();
    tree.write("/program", b"code");
    let program = tree.caller().lookup(b"/program", Wanted::Object).unwrap();
    let processes = Arc::new(Mutex::new(vec![1, 7, 300]));
    mounted(&tree, Arc::new(Processes(processes.clone(), program)));
    assert_eq!(tree.list("/proc").unwrap(), ["1", "7", "300"]);
    assert_eq!(tree.list("/proc/7").unwrap(), ["comm", "exe"]);
    tree.caller().rename(b"/program", &tree.caller(), b"/renamed", crate::fs::inode::RenameFlags::empty()).unwrap();
    assert_eq!(tree.read("/proc/7/exe").unwrap(), b"code");
    let link = tree.caller().lookup(b"/proc/7/exe", Wanted::Object).unwrap();
    assert_eq!(tree.caller().link_text(&link).unwrap(), b"/renamed");
    tree.caller().unlink(b"/renamed").unwrap();
    assert_eq!(tree.caller().link_text(&link).unwrap(), b"/renamed (deleted)");
    assert_eq!(tree.read("/proc/7/exe").unwrap(), b"code");
    assert_eq!(tree.open("/proc/7/exe/", 0).err(), Some(Errno::ENOTDIR));
    processes.lock().unwrap().retain(|number| *number != 7);
    assert_eq!(tree.list("/proc").unwrap(), ["1", "300"]);
    assert_eq!(tree.open("/proc/7/comm", 0).err(), Some(Errno::ENOENT));
    assert_eq!(tree.caller().make_directory(b"/proc/9", 0o755).err(), Some(Errno::EPERM));
    assert_eq!(tree.caller().unlink(b"/proc/1/comm"), Err(Errno::EPERM));
    let place = tree.caller().lookup(b"/proc/1", Wanted::Object).unwrap();
    assert_eq!(place.path(&tree.root).unwrap().path, b"/proc/1");
}

/// What answers everybody with an error.
struct Closed(Errno);

impl Directory for Closed {
    fn information(&self) -> Information {
        Information::of_root(3, 0o555)
    }

    fn check(&self) -> Result<(), Errno> {
        Err(self.0)
    }

    fn find(&self, _: &[u8]) -> Option<Node> {
        unreachable!("nobody may look")
    }

    fn next(&self, _: u64) -> Option<(u64, Box<[u8]>, Node)> {
        unreachable!("nobody may look")
    }
}

impl Text for Closed {
    fn information(&self) -> Information {
        Information::of_root(4, 0o444)
    }

    fn check_open(&self) -> Result<(), Errno> {
        Err(self.0)
    }

    fn text(&self, _: &mut Output) -> Result<(), Errno> {
        unreachable!("nobody may read")
    }
}

impl Link for Closed {
    fn information(&self) -> Information {
        Information::of_root(5, 0o777)
    }

    fn size(&self) -> u64 {
        64
    }

    fn target(&self) -> Result<LinkTarget, Errno> {
        Err(self.0)
    }
}

#[test]
fn nodes_close_themselves_to_who_may_not_look() {
    let tree = Tree::new();
    let closed = |error| Arc::new(Closed(error));
    let entries = vec![
        ("closed", Node::Directory(closed(Errno::EACCES))),
        ("gone", Node::Directory(closed(Errno::ESRCH))),
        ("text", Node::Text(closed(Errno::EACCES))),
        ("link", Node::Link(closed(Errno::EACCES))),
    ];
    mounted(&tree, Listing::new(Information::of_root(1, 0o555), entries));
    assert_eq!(tree.list("/proc/closed").err(), Some(Errno::EACCES));
    assert_eq!(tree.open("/proc/closed/x", 0).err(), Some(Errno::EACCES));
    assert_eq!(tree.list("/proc/gone").err(), Some(Errno::ENOENT));
    assert_eq!(tree.open("/proc/gone/x", 0).err(), Some(Errno::ESRCH));
    assert_eq!(tree.open("/proc/text", 0).err(), Some(Errno::EACCES));
    assert_eq!(tree.open("/proc/link", 0).err(), Some(Errno::EACCES));
    let size = |path: &[u8]| tree.caller().lookup(path, Wanted::Object).unwrap().inode().attributes().unwrap().size;
    assert_eq!((size(b"/proc/link"), size(b"/proc/text")), (64, 0));
}

struct Setting(Arc<Mutex<String>>);

impl Text for Setting {
    fn information(&self) -> Information {
        Information::of_root(9, 0o644)
    }

    fn text(&self, text: &mut Output) -> Result<(), Errno> {
        text.push(self.0.lock().unwrap().as_bytes())
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        *self.0.lock().unwrap() = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?.to_owned();
        Ok(bytes.len())
    }
}

#[test]
fn a_text_is_whole_however_it_is_read_and_what_is_written_arrives() {
    let tree = Tree::new();
    let count = Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    let counter = TextFrom::node(Information::of_root(2, 0o444), move |text: &mut Output| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        Ok(write!(text, "{number}{number}{number}")?)
    });
    let gone = TextFrom::node(Information::of_root(3, 0o444), |_: &mut Output| Err(Errno::ESRCH));
    let setting = Arc::new(Mutex::new("old".to_owned()));
    let entries =
        vec![("counter", counter), ("gone", gone), ("setting", Node::Text(Arc::new(Setting(setting.clone()))))];
    mounted(&tree, Listing::new(Information::of_root(1, 0o555), entries));

    let open = tree.open("/proc/counter", 0).unwrap();
    let mut position = open.claim_position().unwrap();
    let mut text = [0; 3];
    for byte in &mut text {
        assert_eq!(position.read(core::slice::from_mut(byte)), Ok(1));
    }
    assert_eq!((&text, position.read(&mut [0])), (b"000", Ok(0)));
    position.seek(crate::fs::open_file::Seek::Set(0)).unwrap();
    position.read(&mut text).unwrap();
    assert_eq!(&text, b"111");

    assert_eq!(tree.open("/proc/gone", 0).unwrap().read_at(0, &mut text), Err(Errno::ESRCH));
    let open = tree.open("/proc/setting", O_WRONLY | O_TRUNC).unwrap();
    assert_eq!(open.claim_position().unwrap().write(b"new"), Ok(3));
    assert_eq!(*setting.lock().unwrap(), "new");
    assert_eq!(tree.open("/proc/counter", O_RDWR).unwrap().write_at(0, b"x"), Err(Errno::EACCES));
    let user = crate::fs::credentials::Credentials { user: 5, group: 5, groups: Arc::from([]) };
    let caller = crate::fs::walk::Caller { credentials: &user, ..tree.caller() };
    assert_eq!(caller.open(b"/proc/setting", O_WRONLY, 0, &NoSpecials).err(), Some(Errno::EACCES));
    let setting = caller.lookup(b"/proc/setting", Wanted::Target).unwrap();
    assert_eq!(caller.check_access(&setting, Access::READ), Ok(()));
    assert_eq!(setting.inode().statistics().magic, PROC_SUPER_MAGIC);
}
