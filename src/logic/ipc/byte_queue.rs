//! Bytes that wait to be read, first in, first out, in pages: growing copies nothing, and what is empty takes next to nothing.

use crate::errno::Errno;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Bytes in one piece of memory.
const PAGE: usize = 4096;

/// A queue of bytes. How many it may hold is for its owner to say.
#[derive(Debug, Default)]
pub struct ByteQueue {
    pages: VecDeque<Vec<u8>>,
    /// Where the oldest byte is in the first page.
    first: usize,
    length: usize,
    /// A page that became empty, so that a queue that is filled and emptied in turn does not ask for memory each time.
    spare: Option<Vec<u8>>,
}

impl ByteQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { pages: VecDeque::new(), first: 0, length: 0, spare: None }
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds all of `bytes`, or none of them.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.make_room(bytes.len())?;
        let mut rest = bytes;
        let mut end = self.first.saturating_add(self.length);
        while !rest.is_empty() {
            let Some(target) = self.pages.get_mut(end / PAGE).and_then(|page| page.get_mut(end % PAGE..)) else {
                break;
            };
            let count = copy(target, rest);
            rest = rest.get(count..).unwrap_or_default();
            end = end.saturating_add(count);
        }
        self.length = self.length.saturating_add(bytes.len());
        Ok(())
    }

    /// Takes the oldest bytes, as many as there are and `buffer` holds.
    pub fn pop(&mut self, buffer: &mut [u8]) -> usize {
        let done = self.peek(0, buffer);
        self.discard(done);
        done
    }

    /// Copies bytes from the one after the `offset` oldest on, as many as there are and `buffer` holds. They stay.
    pub fn peek(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let wanted = buffer.len().min(self.length.saturating_sub(offset));
        let mut done = 0_usize;
        while done < wanted {
            let start = self.first.saturating_add(offset).saturating_add(done);
            let Some(target) = buffer.get_mut(done..wanted) else { break };
            let Some(source) = self.pages.get(start / PAGE).and_then(|page| page.get(start % PAGE..)) else { break };
            done = done.saturating_add(copy(target, source));
        }
        done
    }

    /// Takes the oldest `count` bytes away, or all if there are fewer.
    pub fn discard(&mut self, count: usize) {
        let count = count.min(self.length);
        self.length = self.length.saturating_sub(count);
        self.first = self.first.saturating_add(count);
        while self.first >= PAGE {
            self.first = self.first.saturating_sub(PAGE);
            self.spare = self.pages.pop_front().or(self.spare.take());
        }
        if self.length == 0 {
            self.first = 0;
            self.spare = self.pages.pop_front().or(self.spare.take());
            self.pages.clear();
        }
    }

    /// Has pages for so many bytes more.
    fn make_room(&mut self, more: usize) -> Result<(), Errno> {
        let end = self.first.checked_add(self.length).and_then(|end| end.checked_add(more)).ok_or(Errno::ENOMEM)?;
        let pages = end.div_ceil(PAGE);
        self.pages.try_reserve(pages.saturating_sub(self.pages.len())).map_err(|_| Errno::ENOMEM)?;
        while self.pages.len() < pages {
            let page = match self.spare.take() {
                Some(page) => page,
                None => new_page()?,
            };
            self.pages.push_back(page);
        }
        Ok(())
    }
}

fn new_page() -> Result<Vec<u8>, Errno> {
    let mut page = Vec::new();
    page.try_reserve_exact(PAGE).map_err(|_| Errno::ENOMEM)?;
    page.resize(PAGE, 0);
    Ok(page)
}

/// Copies as much as both have, and answers how much that is.
fn copy(target: &mut [u8], source: &[u8]) -> usize {
    let count = target.len().min(source.len());
    if let (Some(target), Some(source)) = (target.get_mut(..count), source.get(..count)) {
        target.copy_from_slice(source);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_queue_keeps_no_more_than_a_page() {
        let mut queue = ByteQueue::new();
        queue.push(&[7; 10 * PAGE]).expect("memory");
        let mut bytes = vec![0; 10 * PAGE];
        assert_eq!(queue.pop(&mut bytes), 10 * PAGE);
        assert_eq!(bytes, [7; 10 * PAGE]);
        assert!(queue.is_empty() && queue.pages.is_empty() && queue.spare.is_some());
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(steps in prop::collection::vec((any::<bool>(), 0..3 * PAGE), 1..60)) {
            let (mut queue, mut model) = (ByteQueue::new(), VecDeque::new());
            let mut next = 0_u8;
            for (pushes, length) in steps {
                if pushes {
                    let bytes: Vec<u8> = (0..length).map(|_| { next = next.wrapping_mul(5).wrapping_add(1); next }).collect();
                    queue.push(&bytes).expect("memory");
                    model.extend(bytes);
                } else {
                    let mut bytes = vec![0; length];
                    let skipped = length / 3;
                    let peeked = queue.peek(skipped, &mut bytes);
                    prop_assert_eq!(peeked, length.min(model.len().saturating_sub(skipped)));
                    let expected: Vec<u8> = model.iter().copied().skip(skipped).take(peeked).collect();
                    prop_assert_eq!(&bytes[..peeked], &expected[..]);
                    let count = queue.pop(&mut bytes);
                    prop_assert_eq!(count, length.min(model.len()));
                    let expected: Vec<u8> = model.drain(..count).collect();
                    prop_assert_eq!(&bytes[..count], &expected[..]);
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert!(queue.pages.len() <= model.len().div_ceil(PAGE) + 1);
            }
        }
    }
}
