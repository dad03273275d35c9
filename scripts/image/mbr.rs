//! The master boot record: the boot sector's filled-in fields, the disk signature and the one partition.
//!
//! Invariants: exactly one entry, active, because some BIOSes do not boot a disk without one; its CHS fields follow the
//! 255-head, 63-sector geometry that BIOSes guess from them, and say FE FF FF where that ends.

use crate::Result;
use crate::layout::{self, SECTOR};

/// Heads and sectors a track of the geometry every BIOS since the 1990s translates to.
const HEADS: u32 = 255;
const TRACK_SECTORS: u32 = 63;
const CYLINDERS: u32 = 1024;

/// Images end on a whole cylinder, a multiple of 8,225,280 bytes. Otherwise a BIOS without LBA sees a shorter disk.
pub const CYLINDER_SECTORS: u32 = HEADS * TRACK_SECTORS;

/// "Linux": a type that no firmware and no other system takes for its own.
const PARTITION_TYPE: u8 = 0x83;
const ACTIVE: u8 = 0x80;

/// Fills the assembled boot sector in.
pub fn fill_in(sector: &mut [u8], stage2: &[u8], disk_signature: u32, first_lba: u32, sectors: u32) -> Result<()> {
    if sector.len() != SECTOR || sector[layout::BOOT_SIGNATURE_AT..] != [0x55, 0xaa] {
        return Err("the boot sector is not 512 bytes with 55 AA at its end".to_string());
    }
    if sector[layout::STAGE2_SECTORS_AT..layout::BOOT_SIGNATURE_AT].iter().any(|&byte| byte != 0) {
        return Err("the boot sector has something where its fields are to be filled in".to_string());
    }
    let stage2_sectors = u16::try_from(stage2.len() / SECTOR).map_err(|error| error.to_string())?;
    layout::put(sector, layout::STAGE2_SECTORS_AT, &stage2_sectors.to_le_bytes());
    layout::put(sector, layout::STAGE2_CRC_AT, &crc32fast::hash(stage2).to_le_bytes());
    layout::put(sector, layout::DISK_SIGNATURE_AT, &disk_signature.to_le_bytes());
    let last_lba = first_lba.checked_add(sectors.saturating_sub(1)).ok_or("the image exceeds 2 TiB")?;
    let mut partition = vec![ACTIVE];
    partition.extend(cylinder_head_sector(first_lba));
    partition.push(PARTITION_TYPE);
    partition.extend(cylinder_head_sector(last_lba));
    partition.extend(first_lba.to_le_bytes());
    partition.extend(sectors.to_le_bytes());
    layout::put(sector, layout::PARTITIONS_AT, &partition);
    Ok(())
}

/// The three bytes of an address: head, sector (from 1) with cylinder bits 8 and 9 above it, cylinder bits 0 to 7.
fn cylinder_head_sector(lba: u32) -> [u8; 3] {
    let cylinder = lba / CYLINDER_SECTORS;
    if cylinder >= CYLINDERS {
        return [0xfe, 0xff, 0xff];
    }
    let head = lba / TRACK_SECTORS % HEADS;
    let sector = lba % TRACK_SECTORS + 1;
    [head, sector | cylinder >> 8 << 6, cylinder & 0xff].map(|number| number.to_le_bytes()[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_the_translated_geometry_up_to_its_end() {
        assert_eq!(cylinder_head_sector(0), [0, 1, 0]);
        assert_eq!(cylinder_head_sector(2048), [32, 33, 0]);
        assert_eq!(cylinder_head_sector(255 * 63 - 1), [254, 63, 0]);
        assert_eq!(cylinder_head_sector(255 * 63 * 300), [0, 1 | 1 << 6, 44]);
        assert_eq!(cylinder_head_sector(255 * 63 * 1024 - 1), [254, 0xff, 0xff]);
        assert_eq!(cylinder_head_sector(255 * 63 * 1024), [0xfe, 0xff, 0xff]);
        assert_eq!(cylinder_head_sector(u32::MAX), [0xfe, 0xff, 0xff]);
    }

    #[test]
    fn a_file_that_is_no_boot_sector_is_refused() {
        let stage2 = [0; SECTOR];
        assert!(fill_in(&mut [0; SECTOR], &stage2, 1, 2048, 1).is_err());
        assert!(fill_in(&mut [0; 100], &stage2, 1, 2048, 1).is_err());
        let mut taken = [0; SECTOR];
        taken[510] = 0x55;
        taken[511] = 0xaa;
        assert!(fill_in(&mut taken.clone(), &stage2, 1, 2048, 1).is_ok());
        taken[439] = 1;
        assert!(fill_in(&mut taken, &stage2, 1, 2048, 1).is_err());
    }
}
