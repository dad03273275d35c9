//! Floating-point registers in a signal's frame: what FXSAVE or XSAVE wrote, with Linux's words in the bytes that both
//! leave to software. SDM volume 1, 10.5.1 and 13.4; `arch/x86/include/uapi/asm/sigcontext.h`.

/// Bytes of FXSAVE's area, which XSAVE's begins with.
pub const LEGACY_BYTES: usize = 512;

/// Bytes of the header that follows it in XSAVE's area.
pub const HEADER_BYTES: usize = 64;

/// Bytes behind XSAVE's area, which say that it is whole.
pub const END_BYTES: usize = 4;

/// Where software may write in FXSAVE's area.
const SOFTWARE: usize = 464;
const SOFTWARE_BYTES: usize = 48;

const MAGIC_START: u32 = 0x4650_5853;
const MAGIC_END: u32 = 0x4650_5845;

/// MXCSR in FXSAVE's area.
const MXCSR: usize = 24;

/// State components that every processor has: x87 and SSE.
pub const LEGACY_FEATURES: u64 = 3;

/// What a frame says that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// What FXSAVE wrote.
    Legacy,
    /// What XSAVE wrote.
    Extended {
        /// Bytes, at most as many as this machine's XSAVE writes. [`is_whole`] asks for what follows them.
        bytes: usize,
        /// State components that are restored; all others get their first values.
        features: u64,
    },
}

/// Bytes that `area`, what FXSAVE or XSAVE wrote, takes in a frame.
pub(super) fn frame_bytes(area: &[u8]) -> usize {
    if is_extended(area) { area.len() + END_BYTES } else { area.len() }
}

fn is_extended(area: &[u8]) -> bool {
    area.len() >= LEGACY_BYTES + HEADER_BYTES
}

/// Appends `area` to a frame, with what software says of it.
pub(super) fn append(area: &[u8], features: u64, frame: &mut alloc::vec::Vec<u8>) {
    let start = frame.len();
    frame.extend_from_slice(area);
    let Some(software) = frame.get_mut(start + SOFTWARE..start + SOFTWARE + SOFTWARE_BYTES) else { return };
    software.fill(0);
    if is_extended(area) {
        // struct _fpx_sw_bytes: magic number, size with the end, features, size without, zeros.
        let size = u32::try_from(area.len()).unwrap_or(u32::MAX);
        software[0..4].copy_from_slice(&MAGIC_START.to_le_bytes());
        software[4..8].copy_from_slice(&size.saturating_add(END_BYTES as u32).to_le_bytes());
        software[8..16].copy_from_slice(&features.to_le_bytes());
        software[16..20].copy_from_slice(&size.to_le_bytes());
        frame.extend_from_slice(&MAGIC_END.to_le_bytes());
    }
}

/// What the first bytes of an area in a frame say. Whatever makes no sense is taken for what FXSAVE wrote, as Linux
/// does: programs may have built the frame themselves. `most_bytes` is what this machine's XSAVE writes, 0 if it has
/// none.
pub fn inspect(first: &[u8; LEGACY_BYTES], most_bytes: usize) -> Saved {
    // Offsets are constants within the area.
    let word = |offset: usize| u32::from_le_bytes(core::array::from_fn(|index| first[SOFTWARE + offset + index]));
    let (extended_size, size) = (word(4), word(16));
    let features = u64::from(word(8)) | u64::from(word(12)) << 32;
    match usize::try_from(size) {
        Ok(bytes)
            if word(0) == MAGIC_START
                && size <= extended_size
                && bytes >= LEGACY_BYTES + HEADER_BYTES
                && bytes <= most_bytes =>
        {
            Saved::Extended { bytes, features }
        }
        _ => Saved::Legacy,
    }
}

/// Whether an area that says it is XSAVE's is followed by the right bytes. If not, it is to be taken for
/// [`Saved::Legacy`].
pub fn is_whole(end: [u8; END_BYTES]) -> bool {
    u32::from_le_bytes(end) == MAGIC_END
}

/// Makes an area from a frame fit for XRSTOR or FXRSTOR, which fault on what they do not know. `saved` is what
/// [`inspect`] found, `features` are the state components that programs may have, `mxcsr_mask` the bits of MXCSR that
/// there are. False if the header cannot be XSAVE's: the thread then gets SIGSEGV, as in Linux.
pub fn make_fit(area: &mut [u8], saved: Saved, features: u64, mxcsr_mask: u32) -> bool {
    let Some(mxcsr) = area.get_mut(MXCSR..MXCSR + 4) else { return false };
    for (byte, mask) in mxcsr.iter_mut().zip(mxcsr_mask.to_le_bytes()) {
        *byte &= mask;
    }
    let Saved::Extended { features: wanted, .. } = saved else { return true };
    let Some(header) = area.get_mut(LEGACY_BYTES..LEGACY_BYTES + HEADER_BYTES) else { return false };
    // Components that are there; then XCOMP_BV and what is reserved, which are zero in the standard format.
    let Some((present, rest)) = header.split_first_chunk_mut::<8>() else { return false };
    if rest.iter().any(|byte| *byte != 0) || u64::from_le_bytes(*present) & !features != 0 {
        return false;
    }
    *present = (u64::from_le_bytes(*present) & wanted).to_le_bytes();
    true
}
