//! Memory: mmap(2), munmap(2), mprotect(2), mremap(2), madvise(2), brk(2), mincore(2), msync(2), mlock(2).

use super::arguments::{Fd, UserPtr, zeroed};
use crate::proc::process::{Answer, Current, Task};
use linux_raw_sys::general;
use logic::errno::Errno;
use logic::fs::credentials::Access;
use logic::mem::space::{AreaFlags, Content, Destination, MapRequest, Placement, Protection, RemapRequest};

/// Pages whose presence mincore(2) tells at a time.
const PAGES: u64 = 4096;
const PAGE: u64 = 4096;

fn protection(bits: u32) -> Result<Protection, Errno> {
    Protection::from_bits(bits & !general::PROT_SEM).ok_or(Errno::EINVAL)
}

/// mmap(2).
pub fn mmap(
    current: &mut Current,
    address: u64,
    length: u64,
    bits: u32,
    flags: u32,
    descriptor: Fd,
    offset: u64,
) -> Answer {
    let task = &current.task;
    let is_shared = match flags & general::MAP_TYPE {
        general::MAP_PRIVATE => false,
        general::MAP_SHARED => true,
        general::MAP_SHARED_VALIDATE if flags & !KNOWN == 0 => true,
        general::MAP_SHARED_VALIDATE => return Err(Errno::EOPNOTSUPP.into()),
        _ => return Err(Errno::EINVAL.into()),
    };
    if !offset.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL.into());
    }
    // Bits that mean nothing do not count, as they never have.
    let protection = Protection::from_bits_truncate(bits);
    let has = |flag: u32| flags & flag != 0;
    if has(general::MAP_HUGETLB) {
        return Err(Errno::ENOMEM.into());
    }
    let content = if has(general::MAP_ANONYMOUS) {
        Content::Anonymous
    } else {
        // Positions in files are signed.
        if offset.checked_add(length).is_none_or(|end| i64::try_from(end).is_err()) {
            return Err(Errno::EOVERFLOW.into());
        }
        file_content(task, descriptor, is_shared, protection, offset)?
    };
    let placement = match () {
        () if has(general::MAP_FIXED_NOREPLACE) => Placement::FixedIfFree(address),
        () if has(general::MAP_FIXED) => Placement::Fixed(address),
        () if has(general::MAP_32BIT) => Placement::Low,
        () => Placement::Near(address),
    };
    let mut area = AreaFlags::empty();
    area.set(AreaFlags::SHARED, is_shared);
    area.set(AreaFlags::GROWS_DOWN, has(general::MAP_GROWSDOWN));
    area.set(AreaFlags::NO_RESERVE, has(general::MAP_NORESERVE));
    area.set(AreaFlags::LOCKED, has(general::MAP_LOCKED));
    let request = MapRequest { placement, bytes: length, protection, flags: area, content, name: None };
    let limits = task.process.memory_limits();
    task.process.space()?.edit(|space, flush| {
        let start = space.map(request, &limits, flush)?;
        if has(general::MAP_POPULATE | general::MAP_LOCKED) && !has(general::MAP_NONBLOCK) {
            // As far as there is memory: the mapping is there in any case.
            let _ = space.populate(start, length, flush);
        }
        Ok(start)
    })
}

/// Flags that `MAP_SHARED_VALIDATE` vouches for.
const KNOWN: u32 = general::MAP_TYPE
    | general::MAP_FIXED
    | general::MAP_FIXED_NOREPLACE
    | general::MAP_ANONYMOUS
    | general::MAP_32BIT
    | general::MAP_GROWSDOWN
    | general::MAP_NORESERVE
    | general::MAP_LOCKED
    | general::MAP_POPULATE
    | general::MAP_NONBLOCK
    | general::MAP_STACK
    | general::MAP_DENYWRITE
    | general::MAP_EXECUTABLE;

fn file_content(
    task: &Task,
    descriptor: Fd,
    is_shared: bool,
    protection: Protection,
    offset: u64,
) -> Result<Content, Errno> {
    let open = task.files().get(descriptor.0)?;
    if open.is_path_only() {
        return Err(Errno::EBADF);
    }
    if !open.access().contains(Access::READ) {
        return Err(Errno::EACCES);
    }
    let mut most = Protection::all();
    if is_shared && !open.access().contains(Access::WRITE) {
        most.remove(Protection::WRITE);
    }
    if !most.contains(protection) {
        return Err(Errno::EACCES);
    }
    Ok(Content::Backed { backing: open.backing()?, offset, most })
}

/// munmap(2).
pub fn munmap(current: &mut Current, address: u64, length: u64) -> Answer {
    current.task.process.space()?.edit(|space, flush| space.unmap(address, length, flush))?;
    Ok(0)
}

/// mprotect(2).
pub fn mprotect(current: &mut Current, address: u64, length: u64, bits: u32) -> Answer {
    const DIRECTIONS: u32 = general::PROT_GROWSDOWN | general::PROT_GROWSUP;
    if bits & DIRECTIONS != 0 {
        return Err(Errno::EINVAL.into());
    }
    let protection = protection(bits)?;
    let limits = current.task.process.memory_limits();
    let space = current.task.process.space()?;
    space.edit(|space, flush| space.protect(address, length, protection, &limits, flush))?;
    Ok(0)
}

/// mremap(2).
pub fn mremap(current: &mut Current, start: u64, bytes: u64, new_bytes: u64, flags: u32, new: u64) -> Answer {
    const KNOWN: u32 = general::MREMAP_MAYMOVE | general::MREMAP_FIXED | general::MREMAP_DONTUNMAP;
    let moves = flags & general::MREMAP_MAYMOVE != 0;
    let is_fixed = flags & general::MREMAP_FIXED != 0;
    let leave_area = flags & general::MREMAP_DONTUNMAP != 0;
    if flags & !KNOWN != 0 || ((is_fixed || leave_area) && !moves) {
        return Err(Errno::EINVAL.into());
    }
    let destination = match (is_fixed, moves) {
        (true, _) => Destination::Fixed(new),
        (false, true) => Destination::MayMove,
        (false, false) => Destination::Stay,
    };
    let request = RemapRequest { start, bytes, new_bytes, destination, leave_area };
    let limits = current.task.process.memory_limits();
    Ok(current.task.process.space()?.edit(|space, flush| space.remap(request, &limits, flush))?)
}

/// madvise(2).
pub fn madvise(current: &mut Current, address: u64, length: u64, advice: u32) -> Answer {
    let limits = current.task.process.memory_limits();
    let space = current.task.process.space()?;
    space.edit(|space, flush| space.advise(address, length, advice, &limits, flush))?;
    Ok(0)
}

/// brk(2), which answers where the break is, and never fails.
pub fn brk(current: &mut Current, wanted: u64) -> Answer {
    let limits = current.task.process.memory_limits();
    Ok(current.task.process.space()?.edit(|space, flush| space.set_break(wanted, &limits, flush)))
}

/// mincore(2).
pub fn mincore(current: &mut Current, start: u64, length: u64, target: UserPtr<u64>) -> Answer {
    let task = &current.task;
    if !start.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL.into());
    }
    let pages = length.div_ceil(PAGE);
    let mut done = 0;
    while done < pages {
        let count = (pages - done).min(PAGES);
        let mut present = zeroed(usize::try_from(count).unwrap_or(0))?;
        let address = start.checked_add(done.saturating_mul(PAGE)).ok_or(Errno::ENOMEM)?;
        task.process.space()?.edit(|space, _| space.resident(address, &mut present))?;
        task.write(target.address().wrapping_add(done), &present)?;
        done += count;
    }
    Ok(0)
}

/// msync(2): mappings show the files' own pages, so there is nothing to bring in line.
pub fn msync(current: &mut Current, start: u64, length: u64, flags: u32) -> Answer {
    let both = general::MS_SYNC | general::MS_ASYNC;
    if flags & !(both | general::MS_INVALIDATE) != 0 || flags & both == both || !start.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL.into());
    }
    let end = start.checked_add(length).ok_or(Errno::ENOMEM)?;
    let is_mapped = current.task.process.space()?.edit(|space, _| {
        let mut place = start;
        while place < end {
            match space.area(place) {
                Some(area) => place = area.end,
                None => return false,
            }
        }
        true
    });
    if is_mapped { Ok(0) } else { Err(Errno::ENOMEM.into()) }
}

fn set_locked(current: &mut Current, start: u64, length: u64, is_locked: bool) -> Answer {
    current.task.process.space()?.edit(|space, flush| {
        space.lock(start - start % PAGE, length.saturating_add(start % PAGE), is_locked)?;
        if is_locked {
            space.populate(start - start % PAGE, length.saturating_add(start % PAGE), flush)
        } else {
            Ok(())
        }
    })?;
    Ok(0)
}

/// mlock(2).
pub fn mlock(current: &mut Current, start: u64, length: u64) -> Answer {
    set_locked(current, start, length, true)
}

/// munlock(2).
pub fn munlock(current: &mut Current, start: u64, length: u64) -> Answer {
    set_locked(current, start, length, false)
}

/// mlockall(2): all pages stay in memory anyway.
pub fn mlockall(_: &mut Current, flags: u32) -> Answer {
    const KNOWN: u32 = general::MCL_CURRENT | general::MCL_FUTURE | general::MCL_ONFAULT;
    if flags & !KNOWN != 0 || flags & (general::MCL_CURRENT | general::MCL_FUTURE) == 0 {
        return Err(Errno::EINVAL.into());
    }
    Ok(0)
}

/// munlockall(2).
pub fn munlockall(_: &mut Current) -> Answer {
    Ok(0)
}
