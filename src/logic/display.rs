//! Where text can be shown: descriptions of a framebuffer or of VGA text memory, checked so that no pixel or cell computed
//! from them lies outside.

use core::fmt;
use core::ops::Range;

/// The largest width and height in pixels that are believed.
const MAX_SIDE: u32 = 16384;

/// Physical address of colour VGA text memory.
pub const TEXT_MEMORY: u64 = 0xb8000;

/// What the loader left us to show text on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// Nothing that we know how to use.
    None,
    /// VGA text memory at [`TEXT_MEMORY`], two bytes a cell.
    Text {
        /// Cells in a line.
        columns: u32,
        /// Lines.
        rows: u32,
    },
    /// A linear framebuffer.
    Framebuffer(Framebuffer),
}

impl Display {
    /// What every PC starts in.
    pub const TEXT_80X25: Self = Self::Text { columns: 80, rows: 25 };

    /// VGA text of `columns` by `rows` cells at `address`, lines `pitch` bytes apart; `None` if that is not to be believed.
    pub fn text(address: u64, columns: u32, rows: u32, pitch: u32) -> Option<Self> {
        let fits = (1..=132).contains(&columns) && (1..=60).contains(&rows) && columns * rows * 2 <= 0x8000;
        (address == TEXT_MEMORY && fits && pitch == columns * 2).then_some(Self::Text { columns, rows })
    }
}

/// In a few words: `framebuffer 1024x768, 32 bits per pixel, at 0xfd000000`.
impl fmt::Display for Display {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Framebuffer(Framebuffer { width, height, bytes_per_pixel, address, .. }) => {
                write!(
                    formatter,
                    "framebuffer {width}x{height}, {} bits per pixel, at {address:#x}",
                    bytes_per_pixel * 8
                )
            }
            Self::Text { columns, rows } => write!(formatter, "VGA text {columns}x{rows}"),
            Self::None => formatter.write_str("none"),
        }
    }
}

/// A linear framebuffer of direct colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framebuffer {
    /// Physical address of the top left pixel.
    pub address: u64,
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Bytes from one line to the next.
    pub pitch: u32,
    /// Bytes in a pixel: 3 or 4.
    pub bytes_per_pixel: u32,
    /// Position and size in bits of red, green and blue in a pixel.
    fields: [(u8, u8); 3],
}

impl Framebuffer {
    /// `None` unless it is 24 or 32 bits deep, of a believable size, within 52 bits of address, and the colours' bits
    /// (`fields`: position and size of red, green, blue) lie in the pixel.
    pub fn new(address: u64, size: (u32, u32), pitch: u32, bits: u8, fields: [(u8, u8); 3]) -> Option<Self> {
        let (width, height) = size;
        let bytes_per_pixel = match bits {
            24 => 3,
            32 => 4,
            _ => return None,
        };
        let fields_fit = fields.iter().all(|(position, size)| {
            (1..=16).contains(size) && position.checked_add(*size).is_some_and(|end| end <= bits)
        });
        let size_fits = (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height);
        let framebuffer = Self { address, width, height, pitch, bytes_per_pixel, fields };
        let fits = address != 0
            && size_fits
            && fields_fit
            && pitch >= width * bytes_per_pixel
            && pitch <= MAX_SIDE * 4
            && address.checked_add(framebuffer.bytes()).is_some_and(|end| end <= 1 << 52);
        fits.then_some(framebuffer)
    }

    /// Whether it has an address in common with `range`.
    pub fn overlaps(&self, range: &Range<u64>) -> bool {
        self.address < range.end && range.start < self.address + self.bytes()
    }

    /// Bytes from the first pixel to the end of the last line.
    pub fn bytes(&self) -> u64 {
        u64::from(self.pitch) * u64::from(self.height)
    }

    /// A colour given as 8 bits each of red, green and blue, as the value of a pixel.
    pub fn pixel(&self, colour: [u8; 3]) -> u32 {
        self.fields.iter().zip(colour).fold(0, |pixel, (&(position, size), level)| {
            // The level's 8 bits, repeated to 16, cut to the field's size.
            let level = (u32::from(level) * 0x101) >> (16 - size);
            pixel | (level << position)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RGB: [(u8, u8); 3] = [(16, 8), (8, 8), (0, 8)];

    #[test]
    fn colours_land_in_their_fields() {
        let framebuffer = Framebuffer::new(0x1000, (8, 8), 32, 32, RGB).unwrap();
        assert_eq!(framebuffer.pixel([0x12, 0x34, 0x56]), 0x12_3456);
        let bgr = Framebuffer::new(0x1000, (8, 8), 32, 32, [(0, 8), (8, 8), (16, 8)]).unwrap();
        assert_eq!(bgr.pixel([0x12, 0x34, 0x56]), 0x56_3412);
        let deep = Framebuffer::new(0x1000, (8, 8), 32, 32, [(20, 10), (10, 10), (0, 10)]).unwrap();
        assert_eq!(deep.pixel([0xff, 0xff, 0xff]), 0x3fff_ffff);
    }

    #[test]
    fn impossible_framebuffers_are_refused() {
        let new = Framebuffer::new;
        assert!(new(0, (8, 8), 32, 32, RGB).is_none(), "no address");
        assert!(new(0x1000, (0, 8), 32, 32, RGB).is_none(), "no width");
        assert!(new(0x1000, (8, 8), 31, 32, RGB).is_none(), "lines overlap");
        assert!(new(0x1000, (8, 8), 32, 16, RGB).is_none(), "16 bits deep");
        assert!(new(0x1000, (8, 8), 32, 24, [(24, 8), (8, 8), (0, 8)]).is_none(), "red outside the pixel");
        assert!(new(u64::MAX - 16, (8, 8), 32, 32, RGB).is_none(), "wraps");
        assert!(new(0x1000, (u32::MAX, u32::MAX), u32::MAX, 32, RGB).is_none(), "huge");
    }

    #[test]
    fn only_the_well_known_text_memory_is_believed() {
        assert_eq!(Display::text(0xb8000, 80, 25, 160), Some(Display::TEXT_80X25));
        assert_eq!(Display::text(0xb8000, 80, 25, 320), None);
        assert_eq!(Display::text(0x1000, 80, 25, 160), None);
        assert_eq!(Display::text(0xb8000, 0, 25, 0), None);
        assert_eq!(Display::text(0xb8000, u32::MAX, u32::MAX, 2), None);
    }

    proptest! {
        #[test]
        fn an_accepted_framebuffer_holds_its_last_pixel(
            address: u64, width: u32, height: u32, pitch: u32, bits in prop::sample::select(vec![0u8, 24, 32, 255]),
            fields: [(u8, u8); 3], colour: [u8; 3],
        ) {
            if let Some(framebuffer) = Framebuffer::new(address, (width, height), pitch, bits, fields) {
                let last = u64::from(height - 1) * u64::from(pitch) + u64::from(width) * u64::from(framebuffer.bytes_per_pixel);
                prop_assert!(last <= framebuffer.bytes());
                framebuffer.pixel(colour);
            }
        }
    }
}
