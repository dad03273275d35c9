//! The devices that need no device: /dev/null, /dev/zero, /dev/full, as null(4) and full(4) describe them.

use super::attributes::{DeviceNumber, Identity};
use super::file::File;
use super::page_cache::{MAX_BYTES, PageCache};
use crate::errno::Errno;
use crate::mem::backing::{Backing, BackingName, NoPage};
use crate::mem::page::{Frames, Page};
use alloc::string::ToString;
use alloc::sync::Arc;

/// Their major number.
const MEMORY: u32 = 1;

/// The numbers of these devices, with the names they have in /dev.
pub const DEVICES: [(&str, DeviceNumber); 3] = [
    ("null", DeviceNumber { major: MEMORY, minor: 3 }),
    ("zero", DeviceNumber { major: MEMORY, minor: 5 }),
    ("full", DeviceNumber { major: MEMORY, minor: 7 }),
];

/// Opens one of [`DEVICES`]; none for other numbers.
pub fn open(number: DeviceNumber, frames: &'static dyn Frames) -> Option<Arc<dyn File>> {
    match (number.major, number.minor) {
        (MEMORY, 3) => Some(Arc::new(Null)),
        (MEMORY, 5) => Some(Arc::new(Zero { frames })),
        (MEMORY, 7) => Some(Arc::new(Full)),
        _ => None,
    }
}

/// Takes everything and has nothing.
struct Null;

/// Takes everything and has zeros without end.
struct Zero {
    frames: &'static dyn Frames,
}

/// Has zeros without end and no room.
struct Full;

impl File for Null {
    fn read(&self, _position: u64, _bytes: &mut [u8]) -> Result<usize, Errno> {
        Ok(0)
    }

    fn write(&self, _position: u64, bytes: &[u8]) -> Result<usize, Errno> {
        Ok(bytes.len())
    }

    fn end(&self) -> Result<u64, Errno> {
        Ok(0)
    }
}

impl File for Zero {
    fn read(&self, _position: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        bytes.fill(0);
        Ok(bytes.len())
    }

    fn write(&self, _position: u64, bytes: &[u8]) -> Result<usize, Errno> {
        Ok(bytes.len())
    }

    fn end(&self) -> Result<u64, Errno> {
        Ok(0)
    }

    /// Each mapping shows zeros of its own, to be shared with children only: mem(4).
    fn backing(&self) -> Result<Arc<dyn Backing>, Errno> {
        let cache = PageCache::new(Identity { device: 0, inode: 0 }, self.frames, None);
        cache.set_size(MAX_BYTES)?;
        Ok(Arc::new(Zeros(cache)))
    }
}

impl File for Full {
    fn read(&self, _position: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        bytes.fill(0);
        Ok(bytes.len())
    }

    fn write(&self, _position: u64, _bytes: &[u8]) -> Result<usize, Errno> {
        Err(Errno::ENOSPC)
    }

    fn end(&self) -> Result<u64, Errno> {
        Ok(0)
    }
}

/// What a mapping of /dev/zero shows.
struct Zeros(PageCache);

impl Backing for Zeros {
    fn page(&self, index: u64) -> Result<Page, NoPage> {
        self.0.page(index)
    }

    fn will_be_written(&self, _index: u64) {}

    fn name(&self) -> BackingName {
        BackingName { device: 0, inode: 0, path: "/dev/zero".to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::page::fake::FakeFrames;

    #[test]
    fn they_take_and_give_what_the_manual_says() {
        let frames = FakeFrames::new(2);
        let [null, zero, full] = DEVICES.map(|(_, number)| open(number, frames).unwrap());
        let mut bytes = [7; 4];
        assert_eq!((null.read(0, &mut bytes), bytes), (Ok(0), [7; 4]));
        assert_eq!((zero.read(9, &mut bytes), bytes), (Ok(4), [0; 4]));
        assert_eq!((full.read(0, &mut [1]), full.write(0, b"x")), (Ok(1), Err(Errno::ENOSPC)));
        assert_eq!((null.write(0, b"xyz"), zero.write(0, b"xyz")), (Ok(3), Ok(3)));
        assert!(open(DeviceNumber { major: 1, minor: 1 }, frames).is_none());
        let (one, other) = (zero.backing().unwrap(), zero.backing().unwrap());
        one.page(1 << 40).unwrap().write(0, b"x");
        other.page(1 << 40).unwrap().read(0, &mut bytes);
        assert_eq!(bytes, [0; 4]);
        assert_eq!(null.backing().err(), Some(Errno::ENODEV));
    }
}
