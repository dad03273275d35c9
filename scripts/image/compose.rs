//! Puts a raw image together: boot sector, stage 2, and the payload in the one partition.
//!
//! Layout: LBA 0 boot sector · LBA 1 stage 2 · LBA 2048 kernel, then initramfs, both packed, each from a sector's start · zeros to a
//! whole cylinder. Invariant: nothing but the inputs decides a byte, the disk signature included.

use crate::Result;
use crate::kernel_elf::FlatKernel;
use crate::layout::{self, PARTITION_LBA, Payload, PayloadTable, SECTOR, STAGE2_LBA, STAGE2_SECTORS_MAX};
use crate::mbr;
use crate::pack::{self, Packed};

pub struct Parts<'a> {
    pub sector: &'a [u8],
    pub stage2: &'a [u8],
    pub kernel: &'a FlatKernel,
    /// Empty: there is none.
    pub initramfs: &'a [u8],
    pub command_line: &'a str,
    /// Text mode whatever the kernel asks for.
    pub text: bool,
}

/// The whole image.
pub fn image(parts: &Parts) -> Result<Vec<u8>> {
    let (packed_kernel, packed_initramfs) = (pack::pack(&parts.kernel.bytes)?, pack::pack(parts.initramfs)?);
    let mut kernel = payload(PARTITION_LBA, &packed_kernel, parts.kernel.bytes.len())?;
    kernel.address = parts.kernel.load_address;
    kernel.room = kernel.room.max(parts.kernel.end - parts.kernel.load_address);
    let initramfs = payload(PARTITION_LBA + kernel.sectors(), &packed_initramfs, parts.initramfs.len())?;
    let sectors = initramfs.lba.checked_add(initramfs.sectors()).ok_or("the image exceeds 2 TiB")?;
    let table = PayloadTable {
        kernel,
        initramfs,
        kernel_entry: parts.kernel.entry,
        framebuffer: parts.kernel.framebuffer.filter(|_| !parts.text),
        command_line: parts.command_line.to_string(),
    };
    let mut stage2 = parts.stage2.to_vec();
    stage2.resize(stage2.len().next_multiple_of(SECTOR), 0);
    if stage2.len() > STAGE2_SECTORS_MAX * SECTOR {
        return Err(format!("stage 2 has more than {STAGE2_SECTORS_MAX} sectors"));
    }
    table.store(&mut stage2)?;

    let sectors = sectors.checked_next_multiple_of(mbr::CYLINDER_SECTORS).ok_or("the image exceeds 2 TiB")?;
    // Stage 2 holds the checksums of the payload by now, so its own stands for the whole content. 0 means "none".
    let disk_signature = crc32fast::hash(&stage2).max(1);
    let mut sector = parts.sector.to_vec();
    mbr::fill_in(&mut sector, &stage2, disk_signature, PARTITION_LBA, sectors - PARTITION_LBA)?;

    let mut image = vec![0; offset(sectors)?];
    for (lba, bytes) in [
        (0, &sector[..]),
        (STAGE2_LBA, &stage2),
        (table.kernel.lba, &packed_kernel.bytes),
        (table.initramfs.lba, &packed_initramfs.bytes),
    ] {
        layout::put(&mut image, offset(lba)?, bytes);
    }
    Ok(image)
}

fn payload(lba: u32, packed: &Packed, unpacked: usize) -> Result<Payload> {
    let number = |value| u32::try_from(value).map_err(|_| "kernel or initramfs exceeds 4 GiB".to_string());
    let crc = crc32fast::hash(&packed.bytes);
    let (bytes, unpacked, room) = (number(packed.bytes.len())?, number(unpacked)?, number(packed.room)?);
    Ok(Payload { lba, bytes, crc, unpacked, address: 0, room })
}

/// Where a sector starts in the image's bytes.
fn offset(lba: u32) -> Result<usize> {
    usize::try_from(u64::from(lba) * 512).map_err(|_| "the image exceeds this machine's memory".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Framebuffer;
    use crate::layout::tests::assemble;

    fn kernel() -> FlatKernel {
        FlatKernel {
            load_address: 0x10_0000,
            // Nothing that packing could shorten.
            bytes: std::iter::successors(Some(1u32), |last| {
                Some(last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
            })
            .map(|number| (number >> 24) as u8 | 1)
            .take(1500)
            .collect(),
            end: 0x10_2000,
            entry: 0x10_0010,
            framebuffer: Some(Framebuffer { width: 1024, height: 768, depth: 32 }),
        }
    }

    fn composed(initramfs: &[u8], text: bool) -> Vec<u8> {
        let (sector, stage2) = (assemble("sector").0, assemble("stage2").0);
        let kernel = kernel();
        image(&Parts { sector: &sector, stage2: &stage2, kernel: &kernel, initramfs, command_line: "a=b", text })
            .unwrap()
    }

    #[test]
    fn an_image_describes_itself_and_notices_damage() {
        let mut image = composed(b"archive", false);
        assert_eq!(image.len() % 8_225_280, 0);
        let text = layout::describe(&image).unwrap();
        for line in [
            "stage2.lba: 1",
            "stage2.state: ok",
            "kernel.lba: 2048",
            "kernel.bytes: 1507",
            "kernel.sectors: 3",
            "kernel.unpacked: 1500",
            "kernel.address: 0x100000",
            "kernel.room: 8192",
            "kernel.entry: 0x100010",
            "kernel.state: ok",
            "initramfs.lba: 2051",
            "initramfs.bytes: 8",
            "initramfs.unpacked: 7",
            "initramfs.state: ok",
            "framebuffer: 1024x768x32",
            "command_line: a=b",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line:?} in\n{text}");
        }
        assert_eq!(&image[2051 * SECTOR + 1..2051 * SECTOR + 8], b"archive");
        image[2048 * SECTOR + 700] ^= 1;
        image[SECTOR + 2000] ^= 0x80;
        let text = layout::describe(&image).unwrap();
        assert!(text.contains("kernel.state: damaged") && text.contains("stage2.state: damaged"), "{text}");
        image.truncate(2051 * SECTOR);
        assert!(layout::describe(&image).unwrap().contains("initramfs.state: truncated"));
    }

    #[test]
    fn text_mode_and_a_missing_initramfs_are_recorded() {
        let text = layout::describe(&composed(b"", true)).unwrap();
        assert!(text.contains("framebuffer: text") && text.contains("initramfs.state: none"), "{text}");
    }

    #[test]
    fn there_is_one_active_partition_from_1_mib_to_the_last_whole_cylinder() {
        let image = composed(b"", false);
        let partition = &image[layout::PARTITIONS_AT..layout::PARTITIONS_AT + 16];
        assert_eq!(partition[..8], [0x80, 32, 33, 0, 0x83, 254, 63, 0]);
        assert_eq!(layout::get_u32(partition, 8), 2048);
        assert_eq!(layout::get_u32(partition, 12), 255 * 63 - 2048);
        assert!(image[layout::PARTITIONS_AT + 16..layout::BOOT_SIGNATURE_AT].iter().all(|&byte| byte == 0));
        assert_ne!(layout::get_u32(&image, layout::DISK_SIGNATURE_AT), 0);
    }

    #[test]
    fn the_same_parts_give_the_same_image() {
        assert!(composed(b"archive", false) == composed(b"archive", false));
        let signature = |image: &[u8]| layout::get_u32(image, layout::DISK_SIGNATURE_AT);
        assert_ne!(signature(&composed(b"archive", false)), signature(&composed(b"Archive", false)));
    }

    #[test]
    fn a_stage_2_that_is_none_or_too_long_is_refused() {
        let (sector, kernel) = (assemble("sector").0, kernel());
        let mut long = assemble("stage2").0;
        long.resize(17 * SECTOR, 0);
        for stage2 in [&b"short"[..], &[0; 4096], &long] {
            let parts =
                Parts { sector: &sector, stage2, kernel: &kernel, initramfs: b"", command_line: "", text: false };
            assert!(image(&parts).is_err());
        }
    }
}
