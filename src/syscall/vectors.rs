//! Several buffers of a program as one sequence of bytes (readv(2)).

use super::arguments::{UserBuffer, zeroed};
use super::transfer::{copy_in, copy_out};
use crate::proc::process::Task;
use alloc::vec::Vec;
use logic::errno::Errno;

/// How many bytes buffers have together.
pub fn total(buffers: &[UserBuffer]) -> usize {
    buffers.iter().map(|buffer| buffer.length).fold(0, usize::saturating_add)
}

/// The parts of `buffers` in which `length` bytes from `start` on lie, each with its place among these bytes.
fn parts(buffers: &[UserBuffer], start: usize, length: usize) -> impl Iterator<Item = (usize, UserBuffer)> {
    let (end, mut place) = (start.saturating_add(length), 0usize);
    buffers.iter().filter_map(move |buffer| {
        let (first, last) = (place, place.saturating_add(buffer.length));
        place = last;
        let (from, to) = (first.max(start), last.min(end));
        (from < to).then(|| (from - start, buffer.part(from - first, to - from)))
    })
}

/// Copies `length` bytes from `start` on.
///
/// # Errors
/// [`Errno::EFAULT`], [`Errno::ENOMEM`].
pub fn gather(task: &Task, buffers: &[UserBuffer], start: usize, length: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = zeroed(length)?;
    for (place, part) in parts(buffers, start, length) {
        task.read(part.address, bytes.get_mut(place..place + part.length).unwrap_or_default())?;
    }
    Ok(bytes)
}

/// Copies `bytes` to where they lie from `start` on.
///
/// # Errors
/// [`Errno::EFAULT`].
pub fn scatter(task: &Task, buffers: &[UserBuffer], start: usize, bytes: &[u8]) -> Result<(), Errno> {
    for (place, part) in parts(buffers, start, bytes.len()) {
        part.write(task, bytes.get(place..).unwrap_or_default())?;
    }
    Ok(())
}

/// [`gather`] into `bytes`, as much as the program has memory for, from `start` on; how much that was.
///
/// # Errors
/// Why nothing can be copied.
pub fn gather_some(task: &Task, buffers: &[UserBuffer], start: usize, bytes: &mut [u8]) -> Result<usize, Errno> {
    until_fault(parts(buffers, start, bytes.len()), |place, part| {
        copy_in(task, part.address, bytes.get_mut(place..place + part.length).unwrap_or_default())
    })
}

/// [`scatter`] as much of `bytes` as the program has memory for, from the first on; how much that was.
///
/// # Errors
/// Why nothing can be copied.
pub fn scatter_some(task: &Task, buffers: &[UserBuffer], start: usize, bytes: &[u8]) -> Result<usize, Errno> {
    until_fault(parts(buffers, start, bytes.len()), |place, part| {
        copy_out(task, part.address, bytes.get(place..place + part.length).unwrap_or_default())
    })
}

/// Copies part after part, until one is not copied whole.
fn until_fault(
    parts: impl Iterator<Item = (usize, UserBuffer)>,
    mut copy: impl FnMut(usize, UserBuffer) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let mut done = 0;
    for (place, part) in parts {
        match copy(place, part) {
            Ok(count) => {
                done = place + count;
                if count < part.length {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}
