//! Pages of memory that have owners: each [`Page`] is one user of its frame, and the last one frees it.
//!
//! What lies in a page is reached through the trait only, so that the same code runs over the direct map and over the memory of
//! a test.

use super::OutOfFrames;
use core::fmt;
use x86_64::structures::paging::PhysFrame;

/// Bytes in a page.
pub const PAGE_BYTES: usize = 4096;

/// Who has the frames. All methods may be called at any time, by everybody at once.
pub trait Frames: Send + Sync {
    /// Takes a frame, zeroed, with one user.
    ///
    /// # Errors
    /// [`OutOfFrames`].
    fn allocate_zeroed(&self) -> Result<PhysFrame, OutOfFrames>;

    /// Takes a frame with the content of another one, with one user.
    ///
    /// # Errors
    /// [`OutOfFrames`].
    fn allocate_copy(&self, original: PhysFrame) -> Result<PhysFrame, OutOfFrames> {
        let copy = self.allocate_zeroed()?;
        let mut piece = [0; 256];
        for offset in (0..PAGE_BYTES).step_by(piece.len()) {
            self.read(original, offset, &mut piece);
            self.write(copy, offset, &piece);
        }
        Ok(copy)
    }

    /// One user more.
    ///
    /// # Errors
    /// [`OutOfFrames`] if it has as many as can be counted.
    fn share(&self, frame: PhysFrame) -> Result<(), OutOfFrames>;

    /// One user less; the last one frees it.
    fn release(&self, frame: PhysFrame);

    /// Its users. Only who is the only one can rely on that.
    fn users(&self, frame: PhysFrame) -> u32;

    /// Copies bytes of the frame, from `offset` on. What is outside the page is a bug of the caller.
    fn read(&self, frame: PhysFrame, offset: usize, bytes: &mut [u8]);

    /// Changes bytes of the frame, from `offset` on. What is outside the page is a bug of the caller.
    fn write(&self, frame: PhysFrame, offset: usize, bytes: &[u8]);
}

/// One user of a frame.
pub struct Page {
    frame: PhysFrame,
    frames: &'static dyn Frames,
}

impl Page {
    /// A page of zeros.
    ///
    /// # Errors
    /// [`OutOfFrames`].
    pub fn zeroed(frames: &'static dyn Frames) -> Result<Self, OutOfFrames> {
        Ok(Self { frame: frames.allocate_zeroed()?, frames })
    }

    /// The user that `frame` has on the caller's account, who has it no more: the way back from [`Page::into_frame`].
    pub fn from_frame(frame: PhysFrame, frames: &'static dyn Frames) -> Self {
        Self { frame, frames }
    }

    /// Another user of the same frame.
    ///
    /// # Errors
    /// [`OutOfFrames`] if it has as many as can be counted.
    pub fn share(&self) -> Result<Self, OutOfFrames> {
        self.frames.share(self.frame)?;
        Ok(Self { frame: self.frame, frames: self.frames })
    }

    /// A page of one's own with the same content.
    ///
    /// # Errors
    /// [`OutOfFrames`].
    pub fn copy(&self) -> Result<Self, OutOfFrames> {
        Ok(Self { frame: self.frames.allocate_copy(self.frame)?, frames: self.frames })
    }

    /// Gives the frame with its user to a page table, which has no room for more.
    pub fn into_frame(self) -> PhysFrame {
        let frame = self.frame;
        core::mem::forget(self);
        frame
    }

    /// The frame.
    pub fn frame(&self) -> PhysFrame {
        self.frame
    }

    /// Whether nobody else uses the frame.
    pub fn is_sole_user(&self) -> bool {
        self.frames.users(self.frame) == 1
    }

    /// Copies bytes from `offset` on. What is outside the page is a bug of the caller.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) {
        self.frames.read(self.frame, offset, bytes);
    }

    /// Changes bytes from `offset` on. What is outside the page is a bug of the caller.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        self.frames.write(self.frame, offset, bytes);
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.frames.release(self.frame);
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Page({:#x})", self.frame.start_address().as_u64())
    }
}

/// Frames of a test, on its heap.
#[cfg(test)]
pub mod fake {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use x86_64::PhysAddr;

    /// At most `limit` frames at a time, from 16 MiB up.
    pub struct FakeFrames {
        limit: usize,
        state: Mutex<State>,
    }

    #[derive(Default)]
    struct State {
        next: u64,
        frames: BTreeMap<u64, (u32, Box<[u8; PAGE_BYTES]>)>,
    }

    impl FakeFrames {
        /// Lives until the test program ends.
        pub fn new(limit: usize) -> &'static Self {
            Box::leak(Box::new(Self { limit, state: Mutex::default() }))
        }

        /// Frames that have users.
        pub fn in_use(&self) -> usize {
            self.state.lock().unwrap().frames.len()
        }
    }

    impl Frames for FakeFrames {
        fn allocate_zeroed(&self) -> Result<PhysFrame, OutOfFrames> {
            let mut state = self.state.lock().unwrap();
            if state.frames.len() >= self.limit {
                return Err(OutOfFrames);
            }
            let address = 0x100_0000 + state.next * PAGE_BYTES as u64;
            state.next += 1;
            state.frames.insert(address, (1, Box::new([0; PAGE_BYTES])));
            Ok(PhysFrame::containing_address(PhysAddr::new(address)))
        }

        fn share(&self, frame: PhysFrame) -> Result<(), OutOfFrames> {
            let mut state = self.state.lock().unwrap();
            state.frames.get_mut(&frame.start_address().as_u64()).expect("a frame in use").0 += 1;
            Ok(())
        }

        fn release(&self, frame: PhysFrame) {
            let mut state = self.state.lock().unwrap();
            let address = frame.start_address().as_u64();
            let users = &mut state.frames.get_mut(&address).expect("a frame in use").0;
            *users -= 1;
            if *users == 0 {
                state.frames.remove(&address);
            }
        }

        fn users(&self, frame: PhysFrame) -> u32 {
            self.state.lock().unwrap().frames.get(&frame.start_address().as_u64()).map_or(0, |(users, _)| *users)
        }

        fn read(&self, frame: PhysFrame, offset: usize, bytes: &mut [u8]) {
            let state = self.state.lock().unwrap();
            let (_, content) = &state.frames[&frame.start_address().as_u64()];
            bytes.copy_from_slice(&content[offset..offset + bytes.len()]);
        }

        fn write(&self, frame: PhysFrame, offset: usize, bytes: &[u8]) {
            let mut state = self.state.lock().unwrap();
            let (_, content) = state.frames.get_mut(&frame.start_address().as_u64()).expect("a frame in use");
            content[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fake::FakeFrames;
    use super::*;

    #[test]
    fn the_last_user_frees_the_frame() {
        let frames = FakeFrames::new(2);
        let page = Page::zeroed(frames).unwrap();
        let shared = page.share().unwrap();
        assert!(!page.is_sole_user());
        page.write(4090, b"shared");
        let mut text = [0; 6];
        shared.read(4090, &mut text);
        assert_eq!(&text, b"shared");
        let copy = page.copy().unwrap();
        assert_eq!(Page::zeroed(frames).err(), Some(OutOfFrames));
        page.write(4090, b"SHARED");
        copy.read(4090, &mut text);
        assert_eq!(&text, b"shared");
        drop(page);
        assert!(shared.is_sole_user());
        let frame = shared.into_frame();
        assert_eq!(frames.in_use(), 2);
        drop((copy, Page::from_frame(frame, frames)));
        assert_eq!(frames.in_use(), 0);
    }
}
