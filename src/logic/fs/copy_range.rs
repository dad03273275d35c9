//! What copy_file_range(2) may copy.

use super::attributes::FileKind;
use super::credentials::Access;
use super::open_file::{OpenFile, StatusFlags};
use crate::errno::Errno;

/// Looks at a copy of `count` bytes from `start` of `source` to `target_start` of `target`, and answers how many there are to copy:
/// less if the source ends before.
///
/// # Errors
/// As copy_file_range(2): [`Errno::EISDIR`], [`Errno::EINVAL`] if one of them is no regular file, if a position is beyond all files,
/// or if the ranges are in the same file and overlap; [`Errno::EBADF`] if they are not open for that, or the target for appending;
/// [`Errno::EXDEV`] if they are in different file systems; [`Errno::EOVERFLOW`] if a range has no end.
pub fn check(source: &OpenFile, start: u64, target: &OpenFile, target_start: u64, count: u64) -> Result<u64, Errno> {
    let (from, to) = (source.place().inode(), target.place().inode());
    if from.kind() == FileKind::Directory || to.kind() == FileKind::Directory {
        return Err(Errno::EISDIR);
    }
    if from.kind() != FileKind::Regular || to.kind() != FileKind::Regular {
        return Err(Errno::EINVAL);
    }
    let is_open = |open: &OpenFile, access| !open.is_path_only() && open.access().contains(access);
    let appends = target.flags().contains(StatusFlags::APPEND);
    if !is_open(source, Access::READ) || !is_open(target, Access::WRITE) || appends {
        return Err(Errno::EBADF);
    }
    if from.identity().device != to.identity().device {
        return Err(Errno::EXDEV);
    }
    if i64::try_from(start).is_err() || i64::try_from(target_start).is_err() {
        return Err(Errno::EINVAL);
    }
    let ends = |start: u64| start.checked_add(count).ok_or(Errno::EOVERFLOW);
    ends(start).and(ends(target_start))?;
    let count = count.min(source.file().end()?.saturating_sub(start));
    let distance = start.abs_diff(target_start);
    if from.identity() == to.identity() && distance < count { Err(Errno::EINVAL) } else { Ok(count) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::fake::{Tree, tmpfs};
    use crate::fs::mount::{Mount, MountFlags};
    use crate::fs::tmpfs::Limits;
    use crate::fs::walk::Wanted;
    use linux_raw_sys::general::{O_APPEND, O_CREAT, O_PATH, O_RDONLY, O_RDWR, O_WRONLY};

    #[test]
    fn as_much_is_copied_as_there_is() {
        let tree = Tree::new();
        tree.write("/from", b"0123456789");
        tree.write("/to", b"");
        let (from, to) = (tree.open("/from", O_RDONLY).unwrap(), tree.open("/to", O_WRONLY).unwrap());
        for (start, target, count, wanted) in
            [(0, 0, 4, 4), (3, 100, 4, 4), (3, 0, 100, 7), (10, 0, 1, 0), (1 << 40, 0, 1, 0), (0, 0, 0, 0)]
        {
            assert_eq!(check(&from, start, &to, target, count), Ok(wanted), "{start} {target} {count}");
        }
        assert_eq!(check(&from, 1 << 63, &to, 0, 1), Err(Errno::EINVAL));
        assert_eq!(check(&from, 0, &to, u64::MAX, 1), Err(Errno::EINVAL));
        assert_eq!(check(&from, 1, &to, 0, u64::MAX), Err(Errno::EOVERFLOW));
        assert_eq!(check(&from, 0, &to, 1, u64::MAX), Err(Errno::EOVERFLOW));
    }

    #[test]
    fn ranges_of_one_file_are_apart() {
        let tree = Tree::new();
        tree.write("/file", b"0123456789");
        let (from, to) = (tree.open("/file", O_RDONLY).unwrap(), tree.open("/file", O_RDWR).unwrap());
        assert_eq!(check(&from, 0, &to, 5, 5), Ok(5));
        assert_eq!(check(&from, 5, &to, 0, 5), Ok(5));
        assert_eq!(check(&from, 0, &to, 10, 100), Ok(10));
        assert_eq!(check(&from, 0, &to, 4, 5), Err(Errno::EINVAL));
        assert_eq!(check(&from, 4, &to, 0, 5), Err(Errno::EINVAL));
        assert_eq!(check(&to, 0, &to, 0, 1), Err(Errno::EINVAL));
        assert_eq!(check(&to, 0, &to, 0, 0), Ok(0));
        // What the source does not have overlaps nothing.
        assert_eq!(check(&from, 8, &to, 0, 8), Ok(2));
    }

    #[test]
    fn only_regular_files_that_are_open_for_it_are_copied() {
        let tree = Tree::new();
        tree.caller().make_directory(b"/d", 0o755).unwrap();
        tree.caller().make_directory(b"/other", 0o755).unwrap();
        tree.write("/file", b"text");
        let open = |path, flags| tree.open(path, flags).unwrap();
        let (file, directory) = (open("/file", O_RDWR), open("/d", O_RDONLY));
        let answer = |from: &OpenFile, to: &OpenFile| check(from, 0, to, 100, 1);
        assert_eq!(answer(&file, &directory), Err(Errno::EISDIR));
        assert_eq!(answer(&directory, &file), Err(Errno::EISDIR));
        assert_eq!(answer(&open("/file", O_WRONLY), &file), Err(Errno::EBADF));
        assert_eq!(answer(&open("/file", O_PATH), &file), Err(Errno::EBADF));
        assert_eq!(answer(&file, &open("/file", O_RDONLY)), Err(Errno::EBADF));
        assert_eq!(answer(&file, &open("/file", O_RDWR | O_APPEND)), Err(Errno::EBADF));
        let at = tree.caller().lookup(b"/other", Wanted::Target).unwrap();
        let other = tmpfs(2, tree.frames, Limits { pages: 9, inodes: 9 });
        Mount::add(&at, other, MountFlags::empty()).map(drop).unwrap();
        assert_eq!(answer(&file, &open("/other/file", O_CREAT | O_WRONLY)), Err(Errno::EXDEV));
    }
}
