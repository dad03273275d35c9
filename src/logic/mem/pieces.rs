//! Whether what is in one piece to the kernel is in one piece to devices too, which know no page tables.

use x86_64::{PhysAddr, VirtAddr};

const PAGE: u64 = 4096;

/// The physical address of `bytes` bytes at `start`, whose pages `translate` looks up: an address in a page to that of its memory.
/// `None` if not all are mapped, or their memory is not in one piece.
pub fn start_of_piece(
    start: VirtAddr,
    bytes: u64,
    translate: impl Fn(VirtAddr) -> Option<PhysAddr>,
) -> Option<PhysAddr> {
    let first = translate(start)?;
    let end = start.as_u64().checked_add(bytes)?;
    let mut page = start.as_u64() - start.as_u64() % PAGE;
    while end - page > PAGE {
        page += PAGE;
        let expected = first.as_u64() + (page - start.as_u64());
        translate(VirtAddr::try_new(page).ok()?).filter(|found| found.as_u64() == expected)?;
    }
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages at 100000h: two that are neighbours, one elsewhere, a hole.
    fn translate(address: VirtAddr) -> Option<PhysAddr> {
        const FRAMES: [u64; 3] = [0x7000, 0x8000, 0x3000];
        let offset = address.as_u64().checked_sub(0x10_0000)?;
        let frame = FRAMES.get(usize::try_from(offset / PAGE).ok()?)?;
        Some(PhysAddr::new(frame + offset % PAGE))
    }

    fn piece(start: u64, bytes: u64) -> Option<u64> {
        start_of_piece(VirtAddr::new(start), bytes, translate).map(PhysAddr::as_u64)
    }

    #[test]
    fn neighbouring_frames_are_one_piece() {
        assert_eq!(piece(0x10_0000, 1), Some(0x7000));
        assert_eq!(piece(0x10_0ff0, 16), Some(0x7ff0));
        assert_eq!(piece(0x10_0ff0, 17), Some(0x7ff0));
        assert_eq!(piece(0x10_0001, 0x1fff), Some(0x7001));
    }

    #[test]
    fn other_frames_are_not() {
        assert_eq!(piece(0x10_0001, 0x2000), None);
        assert_eq!(piece(0x10_1fff, 2), None);
        assert_eq!(piece(0x10_2000, 0x1000), Some(0x3000));
        assert_eq!(piece(0x10_2000, 0x1001), None, "a hole");
        assert_eq!(piece(0x10_3000, 1), None);
        assert_eq!(piece(0x10_0000, u64::MAX), None);
    }

    #[test]
    fn the_end_of_addresses_is_an_end() {
        let everything = |address: VirtAddr| Some(PhysAddr::new(address.as_u64() & 0xf_ffff));
        assert_eq!(start_of_piece(VirtAddr::new(u64::MAX - 1), 4, everything), None);
        assert!(start_of_piece(VirtAddr::new(u64::MAX - 1), 1, everything).is_some());
        // Not even there is an address between the halves.
        assert_eq!(start_of_piece(VirtAddr::new(0x7fff_ffff_f000), 0x1001, everything), None);
    }
}
