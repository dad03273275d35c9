//! The Multiboot2 header (specification 2.0, section 3.1): found, checked, and asked what it wants of our loader.
//!
//! Invariant: a header whose required wishes our loader does not grant is refused here, where someone can read why.

use crate::Result;
use crate::layout::{Framebuffer, get_u16, get_u32};

const MAGIC: u32 = 0xe852_50d6;
/// Protected-mode i386, which is also what a 64-bit kernel is entered in.
const ARCHITECTURE_I386: u32 = 0;
const SEARCHED: usize = 32 * 1024;
const ALIGNMENT: usize = 8;
const FIXED_BYTES: usize = 16;
const OPTIONAL: u16 = 1;

const TAG_END: u16 = 0;
const TAG_INFORMATION_REQUEST: u16 = 1;
const TAG_ADDRESSES: u16 = 2;
const TAG_ENTRY: u16 = 3;
const TAG_CONSOLE: u16 = 4;
const TAG_FRAMEBUFFER: u16 = 5;
const TAG_MODULE_ALIGNMENT: u16 = 6;
const TAG_EFI_BOOT_SERVICES: u16 = 7;
const TAG_EFI_I386_ENTRY: u16 = 8;
const TAG_EFI_AMD64_ENTRY: u16 = 9;
const TAG_RELOCATABLE: u16 = 10;

/// The boot information that stage 2 may give: command line to boot device, memory map, screen, RSDP, load base.
const GIVEN: [u32; 10] = [1, 2, 3, 4, 5, 6, 8, 14, 15, 21];

/// What a size of 0, "no preference", becomes.
const DEFAULT_FRAMEBUFFER: Framebuffer = Framebuffer { width: 1024, height: 768, depth: 32 };

/// What the header wants.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    pub entry: Option<u32>,
    pub framebuffer: Option<Framebuffer>,
}

/// Finds the header in a kernel's first bytes and reads it.
pub fn read(image: &[u8]) -> Result<Wishes> {
    let searched = &image[..image.len().min(SEARCHED)];
    let header = (0..searched.len())
        .step_by(ALIGNMENT)
        .find_map(|at| valid_header(&searched[at..]))
        .ok_or("no valid Multiboot2 header in the first 32 KiB")?;
    let mut wishes = Wishes::default();
    let mut tags = &header[FIXED_BYTES..];
    loop {
        let (kind, flags, body, rest) = next_tag(tags).ok_or("the Multiboot2 header has a tag that does not fit")?;
        if kind == TAG_END {
            return Ok(wishes);
        }
        grant(&mut wishes, kind, body, flags & OPTIONAL == 0)?;
        tags = rest;
    }
}

/// The header at the start of `bytes`, if there is one: magic, architecture, length, checksum to zero.
fn valid_header(bytes: &[u8]) -> Option<&[u8]> {
    let fixed = bytes.get(..FIXED_BYTES)?;
    let [magic, architecture, length, checksum] = [0, 4, 8, 12].map(|at| get_u32(fixed, at));
    let sum = magic.wrapping_add(architecture).wrapping_add(length).wrapping_add(checksum);
    if magic != MAGIC || architecture != ARCHITECTURE_I386 || sum != 0 {
        return None;
    }
    bytes.get(..usize::try_from(length).ok()?).filter(|header| header.len() >= FIXED_BYTES)
}

/// Type, flags and body of the first tag, and what follows it.
fn next_tag(tags: &[u8]) -> Option<(u16, u16, &[u8], &[u8])> {
    let head = tags.get(..8)?;
    let size = usize::try_from(get_u32(head, 4)).ok()?;
    let body = tags.get(8..size)?;
    // The last tag may lack its padding.
    let rest = tags.get(size.checked_next_multiple_of(ALIGNMENT)?..).unwrap_or_default();
    Some((get_u16(head, 0), get_u16(head, 2), body, rest))
}

fn grant(wishes: &mut Wishes, kind: u16, body: &[u8], required: bool) -> Result<()> {
    match kind {
        TAG_INFORMATION_REQUEST => {
            let missing = body.chunks_exact(4).map(|word| get_u32(word, 0)).find(|wanted| !GIVEN.contains(wanted));
            match missing {
                Some(wanted) if required => Err(format!("the kernel requires boot information {wanted}")),
                _ => Ok(()),
            }
        }
        TAG_ENTRY => {
            let address = body.get(..4).ok_or("the Multiboot2 entry tag is too short")?;
            wishes.entry = Some(get_u32(address, 0));
            Ok(())
        }
        TAG_FRAMEBUFFER => {
            let body = body.get(..12).ok_or("the Multiboot2 framebuffer tag is too short")?;
            wishes.framebuffer = Some(framebuffer([0, 4, 8].map(|at| get_u32(body, at))));
            Ok(())
        }
        // Our loader has a console, aligns its module, loads where the segments say, and is no EFI application.
        TAG_CONSOLE
        | TAG_MODULE_ALIGNMENT
        | TAG_EFI_BOOT_SERVICES
        | TAG_EFI_I386_ENTRY
        | TAG_EFI_AMD64_ENTRY
        | TAG_RELOCATABLE => Ok(()),
        TAG_ADDRESSES => Err("the Multiboot2 address tag is for kernels that are not ELF".to_string()),
        _ if required => Err(format!("the kernel requires Multiboot2 header tag {kind}")),
        _ => Ok(()),
    }
}

fn framebuffer(size: [u32; 3]) -> Framebuffer {
    let [width, height, depth] = size.map(|number| u16::try_from(number).unwrap_or(u16::MAX));
    match (width, height) {
        (0, _) | (_, 0) => DEFAULT_FRAMEBUFFER,
        _ => Framebuffer { width, height, depth: if depth == 0 { DEFAULT_FRAMEBUFFER.depth } else { depth } },
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A header with these tags: type, flags, body.
    pub fn header(tags: &[(u16, u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, flags, content) in tags.iter().chain([&(TAG_END, 0, &[][..])]) {
            body.extend(kind.to_le_bytes());
            body.extend(flags.to_le_bytes());
            body.extend((content.len() as u32 + 8).to_le_bytes());
            body.extend(*content);
            body.resize(body.len().next_multiple_of(ALIGNMENT), 0);
        }
        let length = (FIXED_BYTES + body.len()) as u32;
        let mut header = Vec::new();
        for word in [MAGIC, ARCHITECTURE_I386, length, 0u32.wrapping_sub(MAGIC).wrapping_sub(length)] {
            header.extend(word.to_le_bytes());
        }
        header.extend(body);
        header
    }

    pub fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn the_wishes_are_read() {
        let size = words(&[800, 600, 24]);
        let entry = words(&[0x10_1234]);
        let tags = header(&[(TAG_FRAMEBUFFER, 0, &size), (TAG_ENTRY, 1, &entry), (TAG_RELOCATABLE, 0, &[0; 16])]);
        let wanted = Framebuffer { width: 800, height: 600, depth: 24 };
        assert_eq!(read(&tags).unwrap(), Wishes { entry: Some(0x10_1234), framebuffer: Some(wanted) });
        let any_size = words(&[0, 0, 0]);
        assert_eq!(read(&header(&[(TAG_FRAMEBUFFER, 1, &any_size)])).unwrap().framebuffer, Some(DEFAULT_FRAMEBUFFER));
        assert_eq!(read(&header(&[])).unwrap(), Wishes::default());
    }

    #[test]
    fn a_header_counts_only_on_its_boundary_within_32_kib_and_with_its_checksum() {
        let good = header(&[]);
        let at = |offset: usize| [vec![0; offset], good.clone()].concat();
        assert!(read(&at(8)).is_ok());
        assert!(read(&at(SEARCHED - good.len())).is_ok());
        assert!(read(&at(4)).is_err());
        assert!(read(&at(SEARCHED - good.len() + 8)).is_err());
        for byte in 0..FIXED_BYTES {
            let mut bad = good.clone();
            bad[byte] ^= 0x10;
            assert!(read(&bad).is_err(), "byte {byte}");
        }
    }

    #[test]
    fn required_wishes_that_are_not_granted_are_refused() {
        assert!(read(&header(&[(99, OPTIONAL, &[])])).is_ok());
        assert!(read(&header(&[(99, 0, &[])])).unwrap_err().contains("tag 99"));
        let request = words(&[1, 6, 17]);
        assert!(read(&header(&[(TAG_INFORMATION_REQUEST, OPTIONAL, &request)])).is_ok());
        assert!(read(&header(&[(TAG_INFORMATION_REQUEST, 0, &request)])).unwrap_err().contains("information 17"));
        assert!(read(&header(&[(TAG_ADDRESSES, 0, &[0; 16])])).is_err());
    }
}
