//! Packs what stage 2 loads: one LZ4 block (lz4 1.10, doc/lz4_Block_format.md), unpacked in place by `asm/loader/unpack.asm`.
//!
//! Reading from a disk by the BIOS costs far more time than unpacking, and LZ4 needs the least code to unpack.

use crate::Result;
use lz4::block::CompressionMode;

/// The most thorough search that there is; an image is packed once.
const LEVEL: i32 = 12;

/// Something as it lies in the image.
pub struct Packed {
    pub bytes: Vec<u8>,
    /// Memory that unpacking takes, with the packed bytes at the end of it.
    pub room: usize,
}

/// Packs `bytes`; nothing stays nothing.
pub fn pack(bytes: &[u8]) -> Result<Packed> {
    if bytes.is_empty() {
        return Ok(Packed { bytes: Vec::new(), room: 0 });
    }
    let packed = lz4::block::compress(bytes, Some(CompressionMode::HIGHCOMPRESSION(LEVEL)), false)
        .map_err(|error| format!("cannot pack: {error}"))?;
    let room = bytes.len() + margin(packed.len());
    Ok(Packed { bytes: packed, room })
}

/// Unpacks what is to become `size` bytes.
pub fn unpack(packed: &[u8], size: usize) -> Result<Vec<u8>> {
    let limit = i32::try_from(size).map_err(|_| "more than 2 GiB when unpacked".to_string())?;
    let bytes = lz4::block::decompress(packed, Some(limit)).map_err(|error| format!("cannot unpack: {error}"))?;
    if bytes.len() == size { Ok(bytes) } else { Err(format!("{} bytes when unpacked, not {size}", bytes.len())) }
}

/// How far behind the unpacked bytes' end the packed ones must end, so that writing never overtakes reading
/// (lz4.h, LZ4_DECOMPRESS_INPLACE_MARGIN).
fn margin(packed: usize) -> usize {
    (packed >> 8) + 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Unpacks in place, as `asm/loader/unpack.asm` does, and fails where that writes over what is still to be read.
    fn unpack_in_place(packed: &Packed) -> Vec<u8> {
        let mut memory = vec![0; packed.room];
        let mut read = packed.room - packed.bytes.len();
        memory[read..].copy_from_slice(&packed.bytes);
        let mut written = 0;
        let long_count = |memory: &[u8], read: &mut usize, nibble: u8| {
            let mut count = usize::from(nibble);
            let mut goes_on = nibble == 15;
            while goes_on {
                let more = memory[*read];
                *read += 1;
                count += usize::from(more);
                goes_on = more == 255;
            }
            count
        };
        while read < memory.len() {
            let token = memory[read];
            read += 1;
            let literals = long_count(&memory, &mut read, token >> 4);
            memory.copy_within(read..read + literals, written);
            (read, written) = (read + literals, written + literals);
            assert!(written <= read);
            if read == memory.len() {
                break;
            }
            let back = usize::from(u16::from_le_bytes([memory[read], memory[read + 1]]));
            read += 2;
            let repeated = long_count(&memory, &mut read, token & 15) + 4;
            for _ in 0..repeated {
                memory[written] = memory[written - back];
                written += 1;
            }
            assert!(written <= read, "{written} is past {read}");
        }
        memory.truncate(written);
        memory
    }

    #[test]
    fn nothing_stays_nothing() {
        let packed = pack(&[]).unwrap();
        assert!(packed.bytes.is_empty() && packed.room == 0);
    }

    #[test]
    fn what_is_no_packed_block_is_refused() {
        let packed = pack(&[7; 1000]).unwrap();
        assert!(unpack(&packed.bytes, 999).is_err());
        assert!(unpack(&packed.bytes, 1001).is_err());
        assert!(unpack(&packed.bytes[..packed.bytes.len() / 2], 1000).is_err());
    }

    proptest! {
        #[test]
        fn unpacking_gives_what_was_packed_and_fits_its_room(
            pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..40), 1..60usize), 1..40),
        ) {
            let bytes: Vec<u8> = pieces.iter().flat_map(|(piece, times)| piece.repeat(*times)).collect();
            let packed = pack(&bytes).unwrap();
            prop_assert_eq!(&unpack(&packed.bytes, bytes.len()).unwrap(), &bytes);
            prop_assert_eq!(&unpack_in_place(&packed), &bytes);
        }

        #[test]
        fn what_cannot_be_packed_fits_too(bytes in prop::collection::vec(any::<u8>(), 1..5000)) {
            prop_assert_eq!(&unpack_in_place(&pack(&bytes).unwrap()), &bytes);
        }
    }
}
