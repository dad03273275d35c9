//! Many threads at once in one small tree: whatever the order, nobody waits for ever, and what is left is consistent.

use super::attributes::FileKind;
use super::fake::{NoSpecials, Tree, tmpfs};
use super::inode::{Inode, RenameFlags};
use super::mount::{Mount, MountFlags};
use super::place::Place;
use super::tmpfs::Limits;
use super::walk::Wanted;
use linux_raw_sys::general::{O_APPEND, O_CREAT, O_RDWR, O_TRUNC};
use std::sync::Arc;
use std::thread;

const THREADS: u64 = 4;
const STEPS: usize = 1500;

/// Numbers that look random, another row for each seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        // Marsaglia's xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn path(&mut self) -> String {
        (0..=self.throw(3)).map(|_| ["/a", "/b", "/c"][self.throw(3) as usize]).collect()
    }
}

fn step(tree: &Tree, dice: &mut Dice, held: &mut Vec<Place>) {
    let caller = tree.caller();
    let (path, other) = (dice.path(), dice.path());
    let path = path.as_bytes();
    // Most fail; which, depends on the others.
    match dice.throw(9) {
        0 | 1 => drop(caller.make_directory(path, 0o755)),
        2 => {
            if let Ok(open) = caller.open(path, O_CREAT | O_RDWR | O_TRUNC, 0o644, &NoSpecials) {
                let _ = open.write_at(dice.throw(10_000), b"some bytes");
            }
        }
        3 => drop(caller.unlink(path)),
        4 => drop(caller.remove_directory(path)),
        5 => {
            let flags = [RenameFlags::empty(), RenameFlags::NOREPLACE, RenameFlags::EXCHANGE][dice.throw(3) as usize];
            let _ = caller.rename(path, &caller, other.as_bytes(), flags);
        }
        6 => {
            if let Ok(place) = caller.lookup(path, Wanted::Target) {
                let _ = caller.link(&place, other.as_bytes());
                held.push(place);
            }
        }
        7 => held.iter().for_each(|place| drop(place.path(&tree.root))),
        _ if dice.throw(2) == 0 => held.clear(),
        _ => {
            if let Ok(on) = caller.lookup(path, Wanted::Target)
                && let Ok(mount) =
                    Mount::add(&on, tmpfs(7, tree.frames, Limits { pages: 9, inodes: 9 }), MountFlags::empty())
            {
                let _ = Mount::remove(mount.root(), true);
            }
        }
    }
}

/// Checks links below a directory; answers how many inodes there are by their numbers.
fn check(directory: &Arc<dyn Inode>, found: &mut std::collections::BTreeMap<u64, (u32, u32)>) {
    let (mut after, mut directories) = (0, 0);
    while let Some(entry) = directory.next_entry(after).unwrap() {
        after = entry.cookie;
        let name = super::name::Name::new(&entry.name).unwrap();
        let inode = directory.lookup(name).unwrap();
        assert_eq!((inode.identity().inode, inode.kind()), (entry.inode, entry.kind));
        if entry.kind == FileKind::Directory {
            directories += 1;
            check(&inode, found);
        } else {
            let links = inode.attributes().unwrap().links;
            found.entry(entry.inode).or_insert((0, links)).0 += 1;
        }
    }
    assert_eq!(directory.attributes().unwrap().links, 2 + directories);
}

#[test]
fn a_crowd_leaves_a_tree_with_right_counts_and_no_pages_behind() {
    let tree = Tree::with_limits(Limits { pages: 500, inodes: 500 });
    thread::scope(|scope| {
        for seed in 1..=THREADS {
            let tree = &tree;
            scope.spawn(move || {
                let (mut dice, mut held) = (Dice(seed * 0x9e37_79b9), Vec::new());
                (0..STEPS).for_each(|_| step(tree, &mut dice, &mut held));
            });
        }
    });
    let mut files = std::collections::BTreeMap::new();
    check(tree.root.inode(), &mut files);
    for (inode, (names, links)) in files {
        assert_eq!(names, links, "inode {inode}");
    }
    let frames = tree.frames;
    drop(tree);
    assert_eq!(frames.in_use(), 0);
}

#[test]
fn appends_of_a_crowd_are_all_there_and_whole() {
    let tree = Tree::new();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let tree = &tree;
            scope.spawn(move || {
                let open = tree.open("/log", O_CREAT | O_RDWR | O_APPEND).unwrap();
                let line = [b'a' + number as u8; 8];
                (0..500).for_each(|_| assert_eq!(open.write_at(0, &line), Ok(8)));
            });
        }
    });
    let log = tree.read("/log").unwrap();
    assert_eq!(log.len(), THREADS as usize * 500 * 8);
    assert!(log.chunks(8).all(|line| line.iter().all(|byte| *byte == line[0])));
}

#[test]
fn one_position_is_had_by_one_at_a_time_and_all_get_it() {
    let tree = Tree::new();
    let open = tree.open("/f", O_CREAT | O_RDWR).unwrap();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..200 {
                    let mut claim = loop {
                        if let Some(claim) = open.claim_position() {
                            break claim;
                        }
                        thread::yield_now();
                    };
                    claim.write(b"1").unwrap();
                    claim.write(b"2").unwrap();
                }
            });
        }
    });
    assert_eq!(tree.read("/f").unwrap(), b"12".repeat(THREADS as usize * 200));
}
